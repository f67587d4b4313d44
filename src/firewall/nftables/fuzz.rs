//! Whatever bytes, read as each kind of answer that the kernel gives, also about connections.

use super::{elements, events, expression, ruleset, wire};

/// As the answers to a dump, and as events of the monitor, the second half behind a loss.
pub fn netlink(bytes: &[u8]) {
    let mut found = [(false, false), (false, true), (true, false), (true, true)]
        .map(|kind| (kind, elements::Found::default()));
    for message in wire::messages(bytes) {
        _ = message.errno();
        ruleset::read_table(message);
        ruleset::read_set(message);
        ruleset::read_chain(message);
        expression::read_rule(message.attributes());
        crate::firewall::cut::fuzz::connections(message);
        for ((is_ipv6, is_interval), found) in &mut found {
            found.read(message, *is_ipv6, *is_interval);
        }
    }
    for (_, found) in found {
        found.finish();
    }
    let mut gatherer = events::Gatherer::default();
    let (first, second) = bytes.split_at(bytes.len() / 2 / 4 * 4);
    gatherer.read(bytes, |_| ());
    gatherer.read(first, |_| ());
    gatherer.overrun();
    gatherer.read(second, |_| ());
}
