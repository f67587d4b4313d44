//! The process that becomes the broker's keeper if the configuration turns out to need one.
//!
//! It is forked, not started: a start maps and relocates this whole program once more, which takes three times as much
//! memory as all that a keeper ever does.

use std::os::fd::OwnedFd;
use std::panic::catch_unwind;
use std::process::exit;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::{fs, io};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, WaitOptions, waitpid};

use super::{BROKER, Broker, serve};

/// What the keeper is called in lists of processes, as if it had been started so.
const TITLE: &[u8] = b"stockade\0broker\0";

/// A keeper that waits to be hired; dropped, it ends.
#[derive(Debug)]
pub struct Candidate {
    /// None: hired.
    socket: Option<OwnedFd>,
    keeper: Pid,
}

impl Candidate {
    /// Parts from this process, which has one thread and holds nothing open yet. The keeper has all the rights that this
    /// process has now.
    ///
    /// # Errors
    /// The system has no process or socket to give, or there are threads.
    pub fn new() -> io::Result<Self> {
        if fs::read_dir("/proc/self/task")?.count() != 1 {
            return Err(io::Error::other("threads run already"));
        }
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        // SAFETY: this is the only thread, so none holds a lock that would stay locked in the child for ever.
        #[expect(unsafe_code, reason = "there is no safe way to go on as two processes")]
        let number = unsafe { libc::fork() };
        if number < 0 {
            return Err(io::Error::last_os_error());
        }
        match Pid::from_raw(number) {
            None => {
                drop(ours);
                exit(catch_unwind(|| become_keeper(theirs)).map_or(2, |done| i32::from(done.is_err())))
            }
            Some(keeper) => Ok(Self { socket: Some(ours), keeper }),
        }
    }

    /// From now on it is the broker.
    pub fn hire(mut self) {
        if let Some(socket) = self.socket.take() {
            let (is_gone, born) = (AtomicBool::new(false), AtomicU32::new(0));
            let _ = BROKER.set(Broker { socket, keeper: self.keeper, is_gone, born });
        }
    }
}

impl Drop for Candidate {
    fn drop(&mut self) {
        if let Some(socket) = self.socket.take() {
            drop(socket); // it hears that, and ends
            let _ = waitpid(Some(self.keeper), WaitOptions::empty());
        }
    }
}

/// In the child. It asks the kernel itself, where it can: what the standard library and an async runtime bring along for
/// it lies all over this program, and each place takes a piece of memory.
fn become_keeper(socket: OwnedFd) -> io::Result<()> {
    rustix::stdio::dup2_stdin(&socket)?;
    drop(socket);
    let null = open(c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    drop(null);
    close_others();
    let _ = rename(); // in a list of processes it stands under the daemon's name then
    serve::keep()
}

/// Closes what systemd handed to the daemon: neither the keeper nor a command may have it.
fn close_others() {
    // SAFETY: nothing of this process owns a descriptor from 3 on: the socket and `/dev/null` were closed above, and
    // before the fork nothing was opened.
    #[expect(unsafe_code, reason = "there is no safe way to close what nobody here opened")]
    let _ = unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
}

/// Writes the title over the words that this process was started with, where there is room.
fn rename() -> Result<(), Errno> {
    let mut fields = [0; 1024];
    let file = open(c"/proc/self/stat", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let length = rustix::io::read(file, &mut fields)?;
    let Some((start, end)) = words(&fields[..length]) else { return Ok(()) };
    let file = open(c"/proc/self/mem", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    if end.saturating_sub(start) < TITLE.len() as u64 {
        return Ok(());
    }
    rustix::io::pwrite(&file, TITLE, start)?;
    (start..end).skip(TITLE.len()).try_for_each(|place| rustix::io::pwrite(&file, &[0], place).map(drop))
}

/// Where the words begin and end that a process was started with: fields 48 and 49 of its `stat`. Field 2, its name, may
/// hold anything.
fn words(fields: &[u8]) -> Option<(u64, u64)> {
    let name = fields.iter().rposition(|byte| *byte == b')')?;
    let mut numbers = fields[name..].split(|byte| *byte == b' ').skip(46).map(number);
    Some((numbers.next()??, numbers.next()??))
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number.checked_mul(10)?.checked_add(digit.into())
    })
}

/// Lets what ends a service pass by. It is not ignored, or every command would ignore it, too.
pub(super) fn be_deaf() {
    extern "C" fn nothing(_: libc::c_int) {}
    let nothing = nothing as extern "C" fn(libc::c_int);
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
        // SAFETY: a handler that does nothing may run at any moment.
        #[expect(unsafe_code, reason = "the safe ways bring a runtime, or a thread, along")]
        let _ = unsafe { libc::signal(signal, nothing as libc::sighandler_t) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_this_process_are_found() {
        let fields = std::fs::read("/proc/self/stat").unwrap();
        let (start, end) = words(&fields).unwrap();
        let long = std::env::args_os().map(|word| word.len() as u64 + 1).sum::<u64>();
        assert_eq!(end - start, long);
        let odd = [&b"7 (a) b ) 1 ("[..], &fields[fields.iter().position(|byte| *byte == b')').unwrap()..]]
            .concat();
        assert_eq!(words(&odd), Some((start, end)));
        assert_eq!((words(b""), words(b"7 (a) S 1 2")), (None, None));
    }
}
