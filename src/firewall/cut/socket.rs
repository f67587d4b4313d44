//! A netlink socket for questions about connections. The kernel answers while it is asked: nothing here waits.

use std::io;

use netlink_sys::{Socket as Netlink, SocketAddr};

use crate::firewall::nftables::wire::{self, Message, Writer};

/// Room for one answer: a part of a list has 32 KiB at most.
const ANSWER: usize = 1 << 16;
/// No list has more parts than that: 32 GiB.
const MOST_PARTS: usize = 1 << 20;

pub(super) struct Asker {
    netlink: Netlink,
    number: u32,
    answer: Vec<u8>,
}

impl Asker {
    /// For the network namespace of this thread.
    pub(super) fn open(protocol: isize) -> io::Result<Self> {
        let mut netlink = Netlink::new(protocol)?;
        netlink.bind_auto()?;
        // Connected to the kernel, the socket takes nothing from anyone else.
        netlink.connect(&SocketAddr::new(0, 0))?;
        netlink.set_cap_ack(true)?;
        Ok(Self { netlink, number: 1, answer: Vec::with_capacity(ANSWER) })
    }

    /// Sends one question and hands over its answers; an error is the kernel's, or that it did not answer to the end.
    pub(super) fn ask(
        &mut self,
        question: impl FnOnce(&mut Writer),
        mut each: impl FnMut(Message),
    ) -> io::Result<()> {
        self.forget_old_answers();
        let number = self.number;
        let mut writer = Writer::new(number);
        question(&mut writer);
        self.number = writer.next_number();
        self.netlink.send(writer.bytes(), 0)?;
        for _ in 0..MOST_PARTS {
            self.receive()?;
            for message in wire::messages(&self.answer).filter(|message| message.number == number) {
                match message.kind {
                    wire::NLMSG_ERROR | wire::NLMSG_DONE if message.errno() != 0 => {
                        return Err(io::Error::from_raw_os_error(message.errno()));
                    }
                    wire::NLMSG_ERROR | wire::NLMSG_DONE => return Ok(()),
                    _ => each(message),
                }
            }
        }
        Err(io::Error::other("the kernel's answer has no end"))
    }

    fn receive(&mut self) -> io::Result<()> {
        self.answer.clear();
        self.netlink.recv(&mut self.answer, libc::MSG_DONTWAIT).map(drop)
    }

    /// After an error, answers may still lie in the socket.
    fn forget_old_answers(&mut self) {
        while self.receive().is_ok() {}
    }
}
