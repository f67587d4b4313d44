//! What passes between the daemon and its broker: descriptors first, then one order and one report by a socket of
//! their own, each as its length and JSON of bounded size.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recv, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::action::grant::Grant;
use crate::action::process::End;

/// The longest order, in bytes: the kernel gives no process more arguments than six million.
pub(super) const ORDER_CAP: usize = 32 << 20;
/// The longest report: twice 8 KiB of output, each byte as a number.
pub(super) const REPORT_CAP: usize = 128 << 10;
/// Descriptors that come with an order: its socket, the word to stop, and three streams.
const DESCRIPTORS: usize = 5;

/// What is to be done, with which capabilities.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) work: Work,
    pub(super) grant: Grant,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Work {
    /// A script by `/bin/sh`, in a session of its own.
    Script { text: String, argv: Vec<String>, limit: Duration },
    /// A program, on the streams that came along.
    Program { program: String, words: Vec<String>, limit: Option<Duration> },
    /// A new `/etc/hosts.deny`, which is in the file that came along.
    HostsDeny,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) end: End,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    /// How many workers there were before this one.
    pub(super) born: u32,
}

/// Hands descriptors over, without waiting.
pub(super) fn hand(socket: impl AsFd, descriptors: &[BorrowedFd<'_>]) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut buffer = SendAncillaryBuffer::new(&mut space);
    if !buffer.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(Errno::TOOBIG);
    }
    sendmsg(socket, &[IoSlice::new(b"o")], &mut buffer, SendFlags::DONTWAIT | SendFlags::NOSIGNAL).map(drop)
}

/// Takes descriptors; none: nobody is there any more who could hand any over.
pub(super) fn take(socket: impl AsFd) -> Result<Option<Vec<OwnedFd>>, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut buffer = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let got = recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut buffer, RecvFlags::CMSG_CLOEXEC)?;
    if got.bytes == 0 {
        return Ok(None);
    }
    let mut taken = Vec::new();
    for message in buffer.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            taken.extend(descriptors);
        }
    }
    Ok(Some(taken))
}

/// Waits for an order and leaves it where it is; false: whoever would send one is gone.
pub(super) fn waits(socket: impl AsFd) -> Result<bool, Errno> {
    let got = rustix::io::retry_on_intr(|| recv(&socket, &mut [0_u8; 1][..], RecvFlags::PEEK))?;
    Ok(got.1 > 0)
}

/// Sends a value.
pub(super) fn write(mut stream: &UnixStream, value: &impl Serialize, cap: usize) -> io::Result<()> {
    let bytes = serde_json::to_vec(value)?;
    if bytes.len() > cap {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is too long for the command broker"));
    }
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    stream.write_all(&length.to_le_bytes())?;
    stream.write_all(&bytes)
}

/// Receives a value. A longer one is refused before there is room made for it.
pub(super) fn read<T: DeserializeOwned>(mut stream: &UnixStream, cap: usize) -> io::Result<T> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > cap {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is too long"));
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_arrives_and_what_is_too_long_does_not() {
        let (one, other) = UnixStream::pair().unwrap();
        let report = Report { end: End::Signal(9), stdout: vec![0, 255], stderr: Vec::new(), born: 3 };
        write(&one, &report, REPORT_CAP).unwrap();
        let got: Report = read(&other, REPORT_CAP).unwrap();
        assert_eq!((got.end, got.stdout, got.born), (End::Signal(9), vec![0, 255], 3));
        assert!(write(&one, &"four", 3).is_err());
        write(&one, &"four", 100).unwrap();
        assert_eq!(read::<String>(&other, 3).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn the_longest_report_fits() {
        let full = vec![255; crate::action::process::OUTPUT_CAP];
        let report = Report { end: End::Exit(0), stdout: full.clone(), stderr: full, born: u32::MAX };
        assert!(serde_json::to_vec(&report).unwrap().len() <= REPORT_CAP);
    }

    #[test]
    fn descriptors_are_handed_over() {
        use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
        let kind = SocketType::SEQPACKET;
        let (one, other) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        hand(&one, &[theirs.as_fd()]).unwrap();
        drop(theirs);
        let mut taken = take(&other).unwrap().unwrap();
        let theirs = UnixStream::from(taken.pop().unwrap());
        write(&theirs, &7, 10).unwrap();
        assert_eq!(read::<u8>(&ours, 10).unwrap(), 7);
        drop(one);
        assert!(take(&other).unwrap().is_none());
    }
}
