//! The netlink socket: the only part that talks to the kernel.
//!
//! The kernel works a request off while it is sent, so that its answers are there when `send` returns; nothing here
//! waits. The socket belongs to the network namespace of the thread that opens it.

use std::io;

use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket as Netlink, SocketAddr};
use rustix::net::sockopt;

use super::events;
use super::wire::{self, Kind, Message, Writer};
use crate::firewall::FirewallError;

/// Room for one answer: a part of a dump has 32 KiB at most.
const ANSWER: usize = 1 << 16;

/// Errors come one by one: room for thousands.
const RECEIVE_BUFFER: usize = 4 << 20;

/// No transaction is larger. A million bans take 30 to 50 MB.
const LARGEST: usize = 256 << 20;

/// How often a dump begins again because the tables changed meanwhile; then it is taken as it is.
const DUMP_TRIES: usize = 5;

#[derive(Debug)]
pub(super) struct Socket {
    netlink: Netlink,
    port: u32,
    largest: usize,
    number: u32,
    answer: Vec<u8>,
}

impl Socket {
    /// Opens the socket and asks nftables for a sign of life.
    pub(super) fn open() -> Result<Self, FirewallError> {
        let mut netlink = Netlink::new(NETLINK_NETFILTER).map_err(missing)?;
        let port = netlink.bind_auto()?.port_number();
        // Connected to the kernel, the socket takes nothing from anyone else.
        netlink.connect(&SocketAddr::new(0, 0))?;
        netlink.set_cap_ack(true)?;
        // Not being allowed more than the usual is no mistake: then transactions are smaller and errors read in turns.
        let _ = sockopt::set_socket_recv_buffer_size_force(&netlink, RECEIVE_BUFFER)
            .or_else(|_| sockopt::set_socket_recv_buffer_size(&netlink, RECEIVE_BUFFER));
        let mut socket =
            Self { netlink, port, largest: LARGEST, number: 1, answer: Vec::with_capacity(ANSWER) };
        let ping = |writer: &mut Writer| writer.message(Kind::GetGeneration, wire::NLM_F_ACK, |_| {});
        socket.ask(ping, |_| {}).map_err(|error| match error {
            FirewallError::Io(error) => missing(error),
            other => other,
        })?;
        Ok(socket)
    }

    /// The number that the kernel knows this socket by.
    pub(super) fn port(&self) -> u32 {
        self.port
    }

    /// The generation of the tables: each transaction of anybody makes a new one.
    pub(super) fn generation(&mut self) -> Result<Option<u32>, FirewallError> {
        let mut generation = None;
        let request = |writer: &mut Writer| writer.message(Kind::GetGeneration, wire::NLM_F_ACK, |_| {});
        self.ask(request, |message| generation = generation.or(events::generation(message)))?;
        Ok(generation)
    }

    /// The number for the first message of the next request.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// Sends no transaction larger than this.
    pub(super) fn limit(&mut self, bytes: usize) {
        self.largest = bytes;
    }

    /// Makes room for a transaction of this many bytes; whether there is enough.
    pub(super) fn reserve(&self, bytes: usize) -> Result<bool, FirewallError> {
        let wanted = bytes + 1024;
        let room = || sockopt::socket_send_buffer_size(&self.netlink).map_err(io::Error::from);
        if bytes > self.largest {
            return Ok(false);
        }
        if room()? < wanted {
            let _ = sockopt::set_socket_send_buffer_size_force(&self.netlink, wanted)
                .or_else(|_| sockopt::set_socket_send_buffer_size(&self.netlink, wanted));
        }
        Ok(room()? >= wanted)
    }

    /// Sends a transaction, for which there must be room. Answers with what failed: message number and errno; if
    /// nothing did, all of it stands, else none of it.
    pub(super) fn commit(&mut self, transaction: &Writer) -> Result<Vec<(u32, i32)>, FirewallError> {
        self.forget_old_answers();
        let first = self.number;
        // The last before the end is the one that is acknowledged.
        let last = transaction.next_number().wrapping_sub(2);
        self.number = transaction.next_number();
        self.send(transaction.bytes())?;
        let mut failed = Vec::new();
        let mut acknowledged = false;
        while !acknowledged {
            match self.receive() {
                Ok(()) => {}
                // Some errors did not fit; those that did are dealt with first.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
            for message in wire::messages(&self.answer).filter(|message| message.kind == wire::NLMSG_ERROR) {
                let errno = message.errno();
                if message.number == first && errno != 0 {
                    return Err(meaning(io::Error::from_raw_os_error(errno)));
                }
                if errno != 0 {
                    failed.push((message.number, errno));
                }
                acknowledged |= message.number == last;
            }
        }
        if failed.is_empty() && !acknowledged {
            return Err(FirewallError::Protocol(
                "the kernel did not say whether it took the changes".to_owned(),
            ));
        }
        Ok(failed)
    }

    /// Reads what a request asks for, message by message.
    pub(super) fn dump<T: Default>(
        &mut self,
        request: impl Fn(&mut Writer),
        mut each: impl FnMut(&mut T, Message),
    ) -> Result<T, FirewallError> {
        let mut tries = 0;
        loop {
            let mut found = T::default();
            let mut interrupted = false;
            tries += 1;
            self.ask(&request, |message| {
                interrupted |= message.flags & wire::NLM_F_DUMP_INTR != 0;
                each(&mut found, message);
            })?;
            if !interrupted || tries == DUMP_TRIES {
                return Ok(found);
            }
        }
    }

    /// Sends one request and hands over its answers.
    fn ask(
        &mut self,
        request: impl FnOnce(&mut Writer),
        mut each: impl FnMut(Message),
    ) -> Result<(), FirewallError> {
        self.forget_old_answers();
        let number = self.number;
        let mut writer = Writer::new(number);
        request(&mut writer);
        self.number = writer.next_number();
        self.send(writer.bytes())?;
        loop {
            self.receive()?;
            for message in wire::messages(&self.answer).filter(|message| message.number == number) {
                match message.kind {
                    wire::NLMSG_ERROR | wire::NLMSG_DONE if message.errno() != 0 => {
                        return Err(meaning(io::Error::from_raw_os_error(message.errno())));
                    }
                    wire::NLMSG_ERROR | wire::NLMSG_DONE => return Ok(()),
                    _ => each(message),
                }
            }
        }
    }

    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        self.netlink.send(bytes, 0).map(drop)
    }

    /// Reads one datagram; nothing there is an error, for the kernel has answered already.
    fn receive(&mut self) -> io::Result<()> {
        self.answer.clear();
        self.netlink.recv(&mut self.answer, libc::MSG_DONTWAIT).map(drop)
    }

    /// After an error, answers may still lie in the socket.
    fn forget_old_answers(&mut self) {
        loop {
            match self.receive() {
                Err(error) if error.raw_os_error() != Some(libc::ENOBUFS) => return,
                _ => {}
            }
        }
    }
}

/// What an error that concerns no single change means to the operator.
fn meaning(error: io::Error) -> FirewallError {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => FirewallError::Permission,
        Some(libc::ENOENT) => FirewallError::Drift,
        _ => FirewallError::Io(error),
    }
}

/// The same at the first request: nfnetlink does not know nftables, or there is no nfnetlink.
fn missing(error: io::Error) -> FirewallError {
    match error.raw_os_error() {
        Some(libc::EINVAL | libc::EOPNOTSUPP | libc::EPROTONOSUPPORT | libc::EAFNOSUPPORT) => {
            FirewallError::NoKernel
        }
        _ => meaning(error),
    }
}
