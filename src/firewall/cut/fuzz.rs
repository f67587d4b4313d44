//! Whatever a message says, read as each kind of answer about connections.

use super::{TCP, sockets, tracked};
use crate::firewall::nftables::wire::{Message, Writer, messages};

/// What is then demanded names its connection.
pub(in crate::firewall) fn connections(message: Message) {
    let mut writer = Writer::new(1);
    if let Some(socket) = sockets::read(message.body, TCP) {
        sockets::destroy(&mut writer, &socket);
    }
    if let Some(tracked) = tracked::read(message) {
        let start = writer.bytes().len();
        tracked::delete(&mut writer, &tracked);
        let demand = messages(&writer.bytes()[start..]).next().map(tracked::names);
        assert_eq!(demand, Some(true), "it would be understood as all");
    }
}
