//! One of the system's programs, without a shell, on given streams: here, or by the broker.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::wire::{Order, Work};
use super::{Broker, hired, missing};
use crate::action::grant::Grant;
use crate::action::process::{Cancel, End};

/// Where programs of the administrator are, which the `PATH` of a service may lack.
const MORE_PATH: &str = "/usr/local/sbin:/usr/sbin:/sbin";

/// What is to be run.
#[derive(Debug, Clone, Copy)]
pub struct Program<'a> {
    /// Its name or path.
    pub program: &'a str,
    /// Its arguments.
    pub words: &'a [String],
    /// What it may do.
    pub grant: Grant,
    /// After so long it is killed.
    pub limit: Option<Duration>,
}

/// What it reads and writes; none: nothing.
#[derive(Debug, Default)]
pub struct Streams {
    /// Standard input.
    pub stdin: Option<OwnedFd>,
    /// Standard output.
    pub stdout: Option<OwnedFd>,
    /// Standard error.
    pub stderr: Option<OwnedFd>,
}

/// A program that runs.
pub struct Process(Where);

enum Where {
    Here(Child),
    There { broker: &'static Broker, stream: UnixStream, cancel: Cancel },
}

impl Program<'_> {
    /// Starts it.
    ///
    /// # Errors
    /// It is not there ([`io::ErrorKind::NotFound`]; by the broker that is told by [`Process::wait`]), or cannot be run.
    pub fn start(self, streams: Streams) -> io::Result<Process> {
        let Some(broker) = hired() else {
            if let Some(why) = missing() {
                return Err(io::Error::other(why));
            }
            return Ok(Process(Where::Here(spawn(self.program, self.words, streams)?)));
        };
        let work =
            Work::Program { program: self.program.to_owned(), words: self.words.to_vec(), limit: self.limit };
        let cancel = Cancel::new()?;
        let nothing = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
        let streams = [&streams.stdin, &streams.stdout, &streams.stderr];
        let handed = streams.map(|stream| stream.as_ref().map_or(nothing.as_fd(), AsFd::as_fd));
        let stream = broker.order(&Order { work, grant: self.grant }, &cancel, &handed)?;
        Ok(Process(Where::There { broker, stream, cancel }))
    }
}

impl Process {
    /// Ends it.
    pub fn kill(&mut self) {
        match &mut self.0 {
            Where::Here(child) => drop(child.kill()),
            Where::There { cancel, .. } => cancel.cancel(),
        }
    }

    /// Waits until it has ended, or its time is over: then it is killed.
    ///
    /// # Errors
    /// It could not be run or watched.
    pub fn wait(&mut self, limit: Option<Duration>) -> io::Result<End> {
        match &mut self.0 {
            Where::Here(child) => ends(child, limit, None),
            Where::There { broker, stream, cancel } => {
                let outcome = broker.answer(stream, cancel, limit)?;
                match outcome.end {
                    End::NotStarted(why) if why == NOT_FOUND => Err(io::ErrorKind::NotFound.into()),
                    End::NotStarted(why) => Err(io::Error::other(why)),
                    end => Ok(end),
                }
            }
        }
    }
}

/// How a program that is not there is spoken of by the broker.
const NOT_FOUND: &str = "not found";

/// The broker's part: runs a program to its end.
pub(super) fn run(
    program: &str,
    words: &[String],
    streams: Streams,
    limit: Option<Duration>,
    cancel: &Cancel,
) -> End {
    match spawn(program, words, streams) {
        Ok(mut child) => ends(&mut child, limit, Some(cancel))
            .unwrap_or_else(|error| End::NotStarted(format!("it cannot be watched: {error}"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => End::NotStarted(NOT_FOUND.to_owned()),
        Err(error) => End::NotStarted(error.to_string()),
    }
}

fn spawn(program: &str, words: &[String], streams: Streams) -> io::Result<Child> {
    let path = std::env::var("PATH").unwrap_or_default();
    let stdio = |stream: Option<OwnedFd>| stream.map_or_else(Stdio::null, Stdio::from);
    Command::new(program)
        .args(words)
        .env("PATH", format!("{path}:{MORE_PATH}"))
        .env("LC_ALL", "C")
        .stdin(stdio(streams.stdin))
        .stdout(stdio(streams.stdout))
        .stderr(stdio(streams.stderr))
        .spawn()
}

/// Waits for its end; kills it when its time is over or when it is cancelled.
fn ends(child: &mut Child, limit: Option<Duration>, cancel: Option<&Cancel>) -> io::Result<End> {
    let watched = watch(child.id(), limit, cancel);
    if !matches!(watched, Ok(None)) {
        let _ = child.kill();
    }
    let status = child.wait()?;
    Ok(watched?.unwrap_or_else(|| crate::action::process::ended(status)))
}

/// Why it did not end by itself; none: it did.
fn watch(id: u32, limit: Option<Duration>, cancel: Option<&Cancel>) -> io::Result<Option<End>> {
    let pid = Pid::from_raw(id.cast_signed()).ok_or(io::ErrorKind::InvalidInput)?;
    let handle = pidfd_open(pid, PidfdFlags::empty())?;
    let timeout = limit.and_then(|limit| Timespec::try_from(limit).ok());
    loop {
        let mut places = vec![PollFd::new(&handle, PollFlags::IN)];
        places.extend(cancel.map(|cancel| PollFd::from_borrowed_fd(cancel.as_fd(), PollFlags::IN)));
        match poll(&mut places, timeout.as_ref()) {
            Ok(0) => return Ok(Some(End::TimeOver(limit.unwrap_or_default()))),
            Ok(_) if !places[0].revents().is_empty() => return Ok(None),
            Ok(_) => return Ok(Some(End::Cancelled)),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
