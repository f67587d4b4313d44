//! The command broker: a process that is started before the sandbox closes, and runs what the daemon cannot any more.
//!
//! Edge: a process and its socket. The daemon hands over an `Order` by a socket of its own for each, with the
//! descriptors that it needs; the broker answers once, by a `Report` of bounded size. So orders know nothing of each
//! other: one that hangs or floods delays itself. The broker is a keeper, which does nothing but start the worker again,
//! and the worker (`serve`): this program once more (`stockade broker`), a thread for each order.
//!
//! The keeper parts from the daemon before that reads its jails or opens anything (`candidate`): so it is small.
//!
//! Without a broker everything here runs in this process, as long as no sandbox is closed.

mod candidate;
mod program;
pub mod serve;
mod wire;

use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, waitpid};

use crate::action::grant::Grant;
use crate::action::process::{Cancel, End, Outcome, STOPPING};
use crate::action::template::Script;
use crate::sandbox;
pub use candidate::Candidate;
pub use program::{Process, Program, Streams};
use wire::{Order, Report, Work};

/// The command's name; nobody types it.
pub const NAME: &str = "broker";
/// How long the broker may take over what is no work: to take an order, to stop what is over, to answer.
const MARGIN: Duration = Duration::from_secs(15);

/// How long `/etc/hosts.deny` may take to be written.
const HOSTS_DENY: Duration = Duration::from_secs(60);

static BROKER: OnceLock<Broker> = OnceLock::new();

/// The daemon's end.
struct Broker {
    socket: OwnedFd,
    keeper: Pid,
    /// It has ended, and its number may be another's.
    is_gone: AtomicBool,
    /// How often the worker was started again, as far as it is known.
    born: AtomicU32,
}

/// How the broker is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// There is none: nothing needs one, or there is no sandbox.
    None,
    /// It runs, under this process id.
    Running(u32),
    /// It has ended: commands do not run any more.
    Gone,
}

/// This program as the worker.
fn this_program() -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("stockade").arg(NAME).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// How the broker is now.
pub fn state() -> State {
    let Some(broker) = BROKER.get() else { return State::None };
    if !broker.is_gone.load(Ordering::Relaxed)
        && matches!(waitpid(Some(broker.keeper), WaitOptions::NOHANG), Ok(None))
    {
        return State::Running(broker.keeper.as_raw_nonzero().get().unsigned_abs());
    }
    broker.is_gone.store(true, Ordering::Relaxed);
    State::Gone
}

/// Runs a script with these capabilities to its end, until its time is over, or until it is cancelled.
pub fn script(script: &Script, grant: Grant, limit: Duration, cancel: Option<&Cancel>) -> Outcome {
    let Some(broker) = hired() else {
        return match missing() {
            Some(why) => Outcome::not_started(why),
            None => crate::action::process::run(script, limit, cancel),
        };
    };
    let work = Work::Script { text: script.text.clone(), argv: script.argv.clone(), limit };
    let answer = broker.carry_out(&Order { work, grant }, cancel, Some(limit));
    answer.unwrap_or_else(Outcome::not_started)
}

/// Writes `/etc/hosts.deny`; none: here, for there is no broker.
pub fn hosts_deny(text: &str) -> Option<io::Result<()>> {
    let Some(broker) = hired() else { return missing().map(|why| Err(io::Error::other(why))) };
    let done = broker.write_hosts_deny(text).and_then(|outcome| match outcome.end {
        End::Exit(0) => Ok(()),
        _ => Err(io::Error::other(String::from_utf8_lossy(&outcome.stderr).into_owned())),
    });
    Some(done)
}

fn hired() -> Option<&'static Broker> {
    BROKER.get()
}

/// Why no command can run, if that is so.
pub fn missing() -> Option<&'static str> {
    let closed = sandbox::is_closed() && BROKER.get().is_none();
    closed
        .then_some("commands need a restart of the daemon: at its start there were none in the configuration")
}

impl Broker {
    /// Hands an order over; the answer comes by the socket.
    fn order(&self, order: &Order, cancel: &Cancel, streams: &[BorrowedFd<'_>]) -> io::Result<UnixStream> {
        let (ours, theirs) = UnixStream::pair()?;
        let mut handed = vec![theirs.as_fd(), cancel.as_fd()];
        handed.extend(streams);
        wire::hand(&self.socket, &handed).map_err(|error| match error {
            Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN => {
                io::Error::other("the command broker has ended: restart the daemon")
            }
            Errno::AGAIN => io::Error::other("the command broker takes no more orders"),
            error => error.into(),
        })?;
        drop(handed);
        drop(theirs);
        ours.set_write_timeout(Some(MARGIN))?;
        ours.set_read_timeout(Some(MARGIN))?;
        wire::write(&ours, order, wire::ORDER_CAP)?;
        Ok(ours)
    }

    fn carry_out(
        &self,
        order: &Order,
        cancel: Option<&Cancel>,
        limit: Option<Duration>,
    ) -> io::Result<Outcome> {
        let cancel = cancel.cloned().map_or_else(Cancel::new, Ok)?;
        let stream = self.order(order, &cancel, &[])?;
        self.answer(&stream, &cancel, limit)
    }

    /// The text goes over as a file without a name: it may be long.
    fn write_hosts_deny(&self, text: &str) -> io::Result<Outcome> {
        let mut file = File::from(memfd_create("stockade", MemfdFlags::CLOEXEC)?);
        file.write_all(text.as_bytes())?;
        file.rewind()?;
        let cancel = Cancel::new()?;
        let order = Order { work: Work::HostsDeny, grant: Grant::ALL };
        let stream = self.order(&order, &cancel, &[file.as_fd()])?;
        self.answer(&stream, &cancel, Some(HOSTS_DENY))
    }

    /// Waits for the answer; once it is cancelled or its time is over, not much longer.
    fn answer(&self, stream: &UnixStream, cancel: &Cancel, limit: Option<Duration>) -> io::Result<Outcome> {
        let mut deadline =
            limit.and_then(|limit| Instant::now().checked_add(limit.saturating_add(STOPPING + MARGIN)));
        let mut cancelled = false;
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(io::Error::other("the command broker does not answer"));
            }
            let timeout = left.and_then(|left| Timespec::try_from(left).ok());
            let mut places = vec![PollFd::new(stream, PollFlags::IN)];
            if !cancelled {
                places.push(PollFd::from_borrowed_fd(cancel.as_fd(), PollFlags::IN));
            }
            match poll(&mut places, timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if !places[0].revents().is_empty() {
                let report: Report = wire::read(stream, wire::REPORT_CAP)
                    .map_err(|_| io::Error::other("the command broker ended over it"))?;
                self.hear_of(report.born);
                return Ok(Outcome { end: report.end, stdout: report.stdout, stderr: report.stderr });
            }
            if places.get(1).is_some_and(|place| !place.revents().is_empty()) {
                cancelled = true;
                deadline = Instant::now().checked_add(STOPPING + MARGIN);
            }
        }
    }

    fn hear_of(&self, born: u32) {
        let before = self.born.fetch_max(born, Ordering::Relaxed);
        if born > before {
            tracing::warn!(
                target: "fail2ban.actions",
                "the command broker had ended and was started again ({born} so far): what ran then was lost"
            );
        }
    }
}
