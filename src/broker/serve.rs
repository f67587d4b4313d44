//! The broker's own processes: the keeper, forked from the daemon, and the worker, `stockade broker --worker N`.
//!
//! Both ignore what ends a service: at a stop the daemon still has bans to undo. They end when the daemon is gone, the
//! worker once what it runs has ended.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use rustix::process::Signal;

use super::candidate::be_deaf;
use super::program::{self, Streams};
use super::wire::{self, Order, Report, Work};
use super::{MARGIN, this_program};
use crate::action::process::{self, Cancel, End, Outcome};
use crate::action::template::Script;
use crate::firewall::hosts_deny;
use crate::sandbox;

/// What both are called in lists of processes.
const COMM: &CStr = c"stockade-broker";
/// Orders that are worked on at once.
const MOST: usize = 64;
/// Of `/etc/hosts.deny`, in bytes.
const LONGEST: u64 = 256 << 20;
/// A worker that lived for so long died by chance.
const LONG: Duration = Duration::from_secs(60);
/// Rests before a worker is started again: first, longest.
const RESTS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(10));

/// Starts the worker, and again whenever it dies. Ends with the daemon.
///
/// # Errors
/// The system has nothing to give.
pub(super) fn keep() -> io::Result<()> {
    let _ = rustix::thread::set_name(COMM);
    let _ = rustix::process::setsid(); // away from the terminal's signals
    be_deaf();
    let mut rest = RESTS.0;
    for born in 0.. {
        // Nobody is there before there is something to do: mostly there never is.
        if !wire::waits(rustix::stdio::stdin())? {
            return Ok(());
        }
        let started = Instant::now();
        let number = u32::to_string(&born);
        let ended = this_program()
            .args(["--worker", &number])
            .stdin(Stdio::inherit())
            .spawn()
            .and_then(|mut worker| worker.wait());
        if ended.as_ref().is_ok_and(ExitStatus::success) {
            return Ok(());
        }
        rest = if started.elapsed() > LONG { RESTS.0 } else { (rest * 2).min(RESTS.1) };
        thread::sleep(rest);
    }
    Ok(())
}

/// Carries out orders until the daemon is gone.
///
/// # Errors
/// Standard input is no daemon's.
pub fn work(born: u32) -> io::Result<()> {
    // With the keeper, or nobody would know whether it is there.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let _ = rustix::thread::set_name(COMM);
    be_deaf();
    crate::memory::give_back();
    let (here, gone) = bounded::<()>(0);
    let (room, rooms) = bounded(MOST);
    while let Some(handed) = wire::take(rustix::stdio::stdin())? {
        let _ = room.send(()); // waits while too many are worked on
        let left = Leave { _here: here.clone(), rooms: rooms.clone() };
        let spawned = thread::Builder::new().name("order".into()).spawn(move || {
            let _left = left;
            let _ = carry_out(handed, born); // who ordered it is gone
        });
        drop(spawned); // none to be had: its socket closes, which is an answer, too
    }
    drop(here);
    let _ = gone.recv(); // the last one has left
    Ok(())
}

/// Held while an order is worked on.
struct Leave {
    _here: Sender<()>,
    rooms: crossbeam_channel::Receiver<()>,
}

impl Drop for Leave {
    fn drop(&mut self) {
        let _ = self.rooms.try_recv();
    }
}

fn carry_out(handed: Vec<OwnedFd>, born: u32) -> io::Result<()> {
    let mut handed = handed.into_iter();
    let (Some(stream), Some(cancel)) = (handed.next(), handed.next()) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    let (stream, cancel) = (UnixStream::from(stream), Cancel::from(cancel));
    stream.set_read_timeout(Some(MARGIN))?;
    stream.set_write_timeout(Some(MARGIN))?;
    let Order { work, grant } = wire::read(&stream, wire::ORDER_CAP)?;
    // Of this thread, which ends with the order, and so of what it starts.
    let outcome = match sandbox::capabilities::limit(grant.set()) {
        Ok(()) => perform(work, &mut handed, &cancel),
        Err(error) => Outcome::not_started(format!("its capabilities could not be limited: {error}")),
    };
    let Outcome { end, stdout, stderr } = outcome;
    wire::write(&stream, &Report { end, stdout, stderr, born }, wire::REPORT_CAP)
}

fn perform(work: Work, handed: &mut impl Iterator<Item = OwnedFd>, cancel: &Cancel) -> Outcome {
    let ended = |end| Outcome { end, stdout: Vec::new(), stderr: Vec::new() };
    match work {
        Work::Script { text, argv, limit } => process::run(&Script { text, argv }, limit, Some(cancel)),
        Work::Program { program, words, limit } => {
            let streams = Streams { stdin: handed.next(), stdout: handed.next(), stderr: handed.next() };
            ended(program::run(&program, &words, streams, limit, cancel))
        }
        Work::HostsDeny => match whole(handed.next()).and_then(|text| hosts_deny::put(&text)) {
            Ok(()) => ended(End::Exit(0)),
            Err(error) => Outcome { stderr: error.to_string().into_bytes(), ..ended(End::Exit(1)) },
        },
    }
}

/// What is in a file that was handed over.
fn whole(file: Option<OwnedFd>) -> io::Result<String> {
    let file = File::from(file.ok_or(io::ErrorKind::InvalidData)?);
    let mut text = String::new();
    file.take(LONGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(text) }
}
