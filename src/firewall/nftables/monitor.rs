//! The socket by which the kernel tells of every change to nftables, by whomever.
//!
//! What this program itself changes is dropped by the kernel, before it is queued: a storm of bans costs no reading.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket as Netlink, SocketAddr};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fd::OwnedFd;
use rustix::net::sockopt;
use socket2::{SockFilter, SockRef};

use super::events::{Foreign, Gatherer};
use crate::fault;

/// `NFNLGRP_NFTABLES`.
const GROUP: u32 = 7;
/// No datagram is larger.
const DATAGRAM: usize = 1 << 16;
/// Room for what comes while this thread has no turn.
const RECEIVE_BUFFER: usize = 8 << 20;
/// The first pause before a socket that failed is opened anew; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

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
    own: Vec<u32>,
    /// None: it failed.
    netlink: Option<Netlink>,
    /// How often it failed since anything was heard.
    failures: u32,
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
        let netlink = Some(connect(own)?);
        let stop = eventfd(0, EventfdFlags::CLOEXEC)?;
        let handle = stop.try_clone()?;
        let datagram = Vec::with_capacity(DATAGRAM);
        let gatherer = Gatherer::default();
        Ok((Self { own: own.to_vec(), netlink, failures: 0, stop, gatherer, datagram }, handle))
    }

    /// Waits for news, and hands them over; false: it is to end.
    ///
    /// # Errors
    /// Those of the socket: only [`Monitor::reopen`] helps.
    pub fn wait(&mut self, mut each: impl FnMut(News)) -> io::Result<bool> {
        let outcome = self.hear(&mut each);
        match outcome {
            Ok(_) => self.failures = 0,
            Err(_) => self.netlink = None,
        }
        outcome
    }

    fn hear(&mut self, each: &mut impl FnMut(News)) -> io::Result<bool> {
        let Some(netlink) = &self.netlink else { return Err(io::ErrorKind::NotConnected.into()) };
        let mut ready = [
            PollFd::from_borrowed_fd(self.stop.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(netlink.as_fd(), PollFlags::IN),
        ];
        match poll(&mut ready, None) {
            Err(rustix::io::Errno::INTR) => return Ok(true),
            other => other?,
        };
        if !ready[0].revents().is_empty() {
            return Ok(false);
        }
        self.datagram.clear();
        let read = fault::refusal("monitor.read")
            .and_then(|()| netlink.recv(&mut self.datagram, libc::MSG_DONTWAIT));
        match read {
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

    /// Listens anew, after ever longer pauses; each failure is told. What happened meanwhile was not heard. False: it is
    /// to end.
    pub fn reopen(&mut self, mut each: impl FnMut(&io::Error)) -> bool {
        self.gatherer.overrun();
        loop {
            let pause = pause_after(self.failures);
            self.failures = self.failures.saturating_add(1);
            if !self.rest(pause) {
                return false;
            }
            match connect(&self.own) {
                Ok(netlink) => {
                    self.netlink = Some(netlink);
                    return true;
                }
                Err(error) => each(&error),
            }
        }
    }

    /// Waits so long; false: it is to end.
    fn rest(&self, pause: Duration) -> bool {
        let mut stop = [PollFd::from_borrowed_fd(self.stop.as_fd(), PollFlags::IN)];
        // A signal may make it shorter.
        Timespec::try_from(pause).is_ok_and(|pause| !matches!(poll(&mut stop, Some(&pause)), Ok(1..)))
    }
}

/// The pause before it is opened anew, after so many failures in a row.
fn pause_after(failures: u32) -> Duration {
    (FIRST_PAUSE * 2_u32.pow(failures.min(10))).min(LONGEST_PAUSE)
}

/// A socket that hears all but what is sent by these.
fn connect(own: &[u32]) -> io::Result<Netlink> {
    fault::refusal("monitor.open")?;
    let mut netlink = Netlink::new(NETLINK_NETFILTER)?;
    netlink.bind_auto()?;
    netlink.connect(&SocketAddr::new(0, 0))?;
    SockRef::from(&netlink).attach_filter(&filter(own))?;
    if fault::refusal("monitor.room").is_ok() {
        let _ = sockopt::set_socket_recv_buffer_size_force(&netlink, RECEIVE_BUFFER)
            .or_else(|_| sockopt::set_socket_recv_buffer_size(&netlink, RECEIVE_BUFFER));
    } else {
        // As little as a socket may have: more than one datagram is too much.
        sockopt::set_socket_recv_buffer_size(&netlink, 1)?;
    }
    netlink.add_membership(GROUP)?;
    Ok(netlink)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_minute() {
        let pauses = [0, 1, 2, 7, 8, 100, u32::MAX].map(|failures| pause_after(failures).as_millis());
        assert_eq!(pauses, [250, 500, 1000, 32_000, 60_000, 60_000, 60_000]);
    }
}
