//! The socket by which the kernel tells of every change to nftables, by whomever.
//!
//! What this program itself changes is dropped by the kernel, before it is queued: a storm of bans costs no reading.

use std::io;
use std::os::fd::AsFd;

use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket as Netlink, SocketAddr};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::fd::OwnedFd;
use rustix::net::sockopt;
use socket2::{SockFilter, SockRef};

use super::events::{Foreign, Gatherer};

/// `NFNLGRP_NFTABLES`.
const GROUP: u32 = 7;
/// No datagram is larger.
const DATAGRAM: usize = 1 << 16;
/// Room for what comes while this thread has no turn.
const RECEIVE_BUFFER: usize = 8 << 20;

/// What was heard.
#[derive(Debug)]
pub enum News {
    /// Somebody's transaction.
    Foreign(Foreign),
    /// More than the socket had room for: nobody knows what.
    Overrun,
}

/// Listens to the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct Monitor {
    netlink: Netlink,
    stop: OwnedFd,
    gatherer: Gatherer,
    datagram: Vec<u8>,
}

impl Monitor {
    /// Listens from here on, but not to transactions that are sent by these sockets. Ends when something is written to
    /// the second answer, an eventfd.
    ///
    /// # Errors
    /// Those of the socket; listening needs `CAP_NET_ADMIN`.
    pub fn open(own: &[u32]) -> io::Result<(Self, OwnedFd)> {
        let mut netlink = Netlink::new(NETLINK_NETFILTER)?;
        netlink.bind_auto()?;
        netlink.connect(&SocketAddr::new(0, 0))?;
        SockRef::from(&netlink).attach_filter(&filter(own))?;
        let _ = sockopt::set_socket_recv_buffer_size_force(&netlink, RECEIVE_BUFFER)
            .or_else(|_| sockopt::set_socket_recv_buffer_size(&netlink, RECEIVE_BUFFER));
        netlink.add_membership(GROUP)?;
        let stop = eventfd(0, EventfdFlags::CLOEXEC)?;
        let handle = stop.try_clone()?;
        let datagram = Vec::with_capacity(DATAGRAM);
        Ok((Self { netlink, stop, gatherer: Gatherer::default(), datagram }, handle))
    }

    /// Waits for news, and hands them over; false: it is to end.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn wait(&mut self, mut each: impl FnMut(News)) -> io::Result<bool> {
        let mut ready = [
            PollFd::from_borrowed_fd(self.stop.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.netlink.as_fd(), PollFlags::IN),
        ];
        match poll(&mut ready, None) {
            Err(rustix::io::Errno::INTR) => return Ok(true),
            other => other?,
        };
        if !ready[0].revents().is_empty() {
            return Ok(false);
        }
        self.datagram.clear();
        match self.netlink.recv(&mut self.datagram, libc::MSG_DONTWAIT) {
            Ok(_) => self.gatherer.read(&self.datagram, |foreign| each(News::Foreign(foreign))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                self.gatherer.overrun();
                each(News::Overrun);
            }
            Err(error) => return Err(error),
        }
        Ok(true)
    }
}

/// Drops a datagram whose first message was caused by one of these sockets. All of a datagram is of one transaction.
fn filter(own: &[u32]) -> Vec<SockFilter> {
    const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
    const EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    const RETURN: u16 = 0x06;
    /// Where a message's header has the sender's port.
    const PORT: u32 = 12;
    let own = &own[..own.len().min(200)];
    let mut filter = vec![SockFilter::new(LOAD, 0, 0, PORT)];
    for (index, port) in own.iter().enumerate() {
        // What is loaded is taken to be big-endian. It jumps over the other ports and the first of two ends.
        filter.push(SockFilter::new(EQUAL, (own.len() - index) as u8, 0, port.to_be()));
    }
    filter.push(SockFilter::new(RETURN, 0, 0, u32::MAX));
    filter.push(SockFilter::new(RETURN, 0, 0, 0));
    filter
}
