//! Runs a script in `/bin/sh`, in a session of its own, for a limited time.
//!
//! Edge: processes. In: a [`Script`] and its time limit. Out: an [`Outcome`], with the beginning of what it printed.
//! Blocks its thread meanwhile. When the time is over the script's whole process group is told to end and then made to;
//! what a script leaves in the background when it ends in time goes on, as with Fail2Ban (SPEC §5.1).

use std::fmt;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use process_wrap::std::{ChildWrapper, CommandWrap, ProcessSession};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use serde::{Deserialize, Serialize};

use super::template::Script;

/// What is kept of each output, in bytes.
pub const OUTPUT_CAP: usize = 8 * 1024;
/// How long a script has to end after it was told to.
const GRACE: Duration = Duration::from_secs(2);
/// Reads of one output, of 16 KiB each, after the script has ended: others may go on writing.
const LAST_READS: usize = 64;
/// What the end of a script takes at most once it is to end.
pub const STOPPING: Duration = Duration::from_secs(2 * GRACE.as_secs() + 1);
/// How long to rest when the kernel has no memory to watch with.
const NO_MEMORY: Duration = Duration::from_millis(50);

/// How a script ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// It ended itself with this code; 0 is success.
    Exit(i32),
    /// Another ended it by this signal.
    Signal(i32),
    /// Its time was over.
    TimeOver(Duration),
    /// Nobody waits for it any more: the program stops.
    Cancelled,
    /// It could not be started.
    NotStarted(String),
}

impl End {
    /// Whether it did what it should.
    pub fn is_success(&self) -> bool {
        *self == Self::Exit(0)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(code) => write!(f, "returned {code}"),
            Self::Signal(signal) => write!(f, "killed by signal {signal}"),
            Self::TimeOver(limit) => write!(f, "timed out after {} seconds", limit.as_secs_f32()),
            Self::Cancelled => f.write_str("cut off by the stop"),
            Self::NotStarted(why) => write!(f, "could not be started: {why}"),
        }
    }
}

/// What came of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// The beginning of its output.
    pub stdout: Vec<u8>,
    /// The beginning of its errors.
    pub stderr: Vec<u8>,
}

impl Outcome {
    pub(crate) fn not_started(why: impl fmt::Display) -> Self {
        Self { end: End::NotStarted(why.to_string()), stdout: Vec::new(), stderr: Vec::new() }
    }
}

/// Ends every script that runs under it, and every later one at once.
#[derive(Debug, Clone)]
pub struct Cancel(Arc<OwnedFd>);

impl Cancel {
    /// Nothing is cancelled.
    ///
    /// # Errors
    /// The system has no descriptor to give.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self(Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)))
    }

    /// From here on everything is.
    pub fn cancel(&self) {
        // The only error is a full counter: then it is cancelled already.
        let _ = rustix::io::write(&*self.0, &1_u64.to_ne_bytes());
    }
}

impl From<OwnedFd> for Cancel {
    /// That of another process, which has sent it here.
    fn from(counter: OwnedFd) -> Self {
        Self(Arc::new(counter))
    }
}

impl AsFd for Cancel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Runs a script to its end, until its time is over, or until it is cancelled; in this process, with its rights.
pub fn run(script: &Script, limit: Duration, cancel: Option<&Cancel>) -> Outcome {
    let mut command = CommandWrap::with_new("/bin/sh", |command| {
        command.arg("-c").arg(&script.text).args(&script.argv);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    });
    let child = match command.wrap(ProcessSession).spawn() {
        Ok(child) => child.into_inner(),
        Err(error) => return Outcome::not_started(error),
    };
    match Running::new(child) {
        Ok(running) => running.finish(limit, cancel),
        Err(why) => Outcome::not_started(why),
    }
}

struct Running {
    child: Box<dyn ChildWrapper>,
    pid: Pid,
    /// Readable once the script has ended.
    ended: OwnedFd,
    stdout: Output,
    stderr: Output,
}

impl Running {
    fn new(mut child: Box<dyn ChildWrapper>) -> Result<Self, String> {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or("it has no process id")?;
        let mut watch = || -> Result<_, Errno> {
            Ok((
                pidfd_open(pid, PidfdFlags::empty())?,
                Output::new(child.stdout().take())?,
                Output::new(child.stderr().take())?,
            ))
        };
        match watch() {
            Ok((ended, stdout, stderr)) => Ok(Self { child, pid, ended, stdout, stderr }),
            Err(error) => {
                let _ = kill_process_group(pid, Signal::KILL);
                let _ = child.wait();
                Err(format!("it cannot be watched: {error}"))
            }
        }
    }

    fn finish(mut self, limit: Duration, cancel: Option<&Cancel>) -> Outcome {
        // A limit past the end of time is none.
        let end = match self.until(Instant::now().checked_add(limit), cancel) {
            Step::Ended => self.child.wait().map_or_else(|error| gone(&error), ended),
            Step::TimeOver => return self.stop(End::TimeOver(limit)),
            Step::Cancelled => return self.stop(End::Cancelled),
        };
        Outcome { end, stdout: self.stdout.kept, stderr: self.stderr.kept }
    }

    fn stop(mut self, end: End) -> Outcome {
        for signal in [Signal::TERM, Signal::KILL] {
            // Nobody has waited for the leader yet, so the number of the group is still its own.
            let _ = kill_process_group(self.pid, signal);
            if matches!(self.until(Instant::now().checked_add(GRACE), None), Step::Ended) {
                // Those of the group that passed over the first signal.
                let _ = kill_process_group(self.pid, Signal::KILL);
                break;
            }
        }
        let mut child = self.child;
        if !matches!(child.try_wait(), Ok(Some(_))) {
            // Not even the kernel can end it now (a dead disk): it is waited for until it can.
            let _ = std::thread::Builder::new().name("reap".into()).spawn(move || child.wait());
        }
        Outcome { end, stdout: self.stdout.kept, stderr: self.stderr.kept }
    }

    /// Takes what is printed until the script ends, this moment comes or it is cancelled.
    fn until(&mut self, deadline: Option<Instant>, cancel: Option<&Cancel>) -> Step {
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Step::TimeOver;
            }
            let ready = {
                let mut places = vec![PollFd::new(&self.ended, PollFlags::IN)];
                places.extend(cancel.map(|cancel| PollFd::new(&*cancel.0, PollFlags::IN)));
                for pipe in [&self.stdout.pipe, &self.stderr.pipe].into_iter().flatten() {
                    places.push(PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN));
                }
                let timeout = left.and_then(|left| Timespec::try_from(left).ok());
                match poll(&mut places, timeout.as_ref()) {
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(_) => std::thread::sleep(NO_MEMORY),
                }
                (!places[0].revents().is_empty(), cancel.is_some() && !places[1].revents().is_empty())
            };
            self.stdout.read(1);
            self.stderr.read(1);
            match ready {
                (true, _) => {
                    self.stdout.read(LAST_READS);
                    self.stderr.read(LAST_READS);
                    return Step::Ended;
                }
                (false, true) => return Step::Cancelled,
                (false, false) => {}
            }
        }
    }
}

enum Step {
    Ended,
    TimeOver,
    Cancelled,
}

pub(crate) fn ended(status: ExitStatus) -> End {
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Exit(code),
        (None, signal) => End::Signal(signal.unwrap_or_default()),
    }
}

fn gone(error: &std::io::Error) -> End {
    End::NotStarted(format!("its end was not seen: {error}"))
}

/// One output: its beginning is kept, the rest is taken and dropped, so that the script does not block.
struct Output {
    pipe: Option<Box<dyn Pipe>>,
    kept: Vec<u8>,
}

trait Pipe: Read + AsFd {}

impl<T: Read + AsFd> Pipe for T {}

impl Output {
    fn new<T: Pipe + 'static>(pipe: Option<T>) -> Result<Self, Errno> {
        if let Some(pipe) = &pipe {
            ioctl_fionbio(pipe, true)?;
        }
        Ok(Self { pipe: pipe.map(|pipe| Box::new(pipe) as Box<dyn Pipe>), kept: Vec::new() })
    }

    fn read(&mut self, times: usize) {
        let mut buffer = [0; 16 * 1024];
        for _ in 0..times {
            let Some(pipe) = &mut self.pipe else { return };
            match pipe.read(&mut buffer) {
                Ok(0) => self.pipe = None,
                Ok(length) => {
                    let room = OUTPUT_CAP - self.kept.len();
                    self.kept.extend_from_slice(&buffer[..length.min(room)]);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.pipe = None,
            }
        }
    }
}

#[cfg(test)]
mod tests;
