//! The helper: finds out for jails what blocks, addresses of host names and the word of an operator's command.
//!
//! Two lanes of a few threads each, made when there is something to do: a resolver that hangs holds up no command, and
//! no answer is waited for. A command is killed when its time is over; a resolver cannot be, but the jails lose
//! patience and go on. Mailboxes are bounded crossbeam channels: a jail keeps what finds no room.

use std::net::{IpAddr, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use actix::Recipient;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use crate::action::grant::Grant;
use crate::action::process::{Cancel, End};
use crate::action::template::{self, Ticket};
use crate::actor::message::Answered;
use crate::broker;
use crate::jail::{Answer, COMMAND_PATIENCE, Inquiry, Question};

/// Jobs that may wait in a lane.
const MAILBOX: usize = 256;
/// Threads of a lane.
const THREADS: usize = 4;
/// A command is killed after this time.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);
/// What a resolver's work needs of stack.
const STACK: usize = 256 * 1024;

/// A question with who asks it.
pub struct Job {
    /// Which jail.
    pub jail: Arc<str>,
    /// What.
    pub question: Question,
    /// Who hears the answer.
    pub answer: Recipient<Answered>,
    /// Since when it waits: past a jail's patience nobody wants the answer.
    pub since: Instant,
}

/// The two lanes.
pub struct Helper {
    names: Lane,
    commands: Lane,
    /// Ends the commands that run; none: the system had nothing to give, and each ends by its own time.
    cancel: Option<Cancel>,
}

impl Default for Helper {
    fn default() -> Self {
        Self::new()
    }
}

impl Helper {
    /// Nobody has asked anything yet.
    pub fn new() -> Self {
        let cancel = Cancel::new().ok();
        Self { names: Lane::new("names", None), commands: Lane::new("commands", cancel.clone()), cancel }
    }

    /// The program stops: commands are ended, and what they were to say stays unanswered.
    pub fn stop(&self) {
        if let Some(cancel) = &self.cancel {
            cancel.cancel();
        }
    }

    /// Takes a question, or gives it back when there is no room.
    ///
    /// # Errors
    /// The question: try again later.
    pub fn ask(&self, job: Job) -> Result<(), Job> {
        match job.question {
            Question::Name(_) => self.names.send(job),
            Question::Command(_) => self.commands.send(job),
        }
    }
}

struct Lane {
    name: &'static str,
    sender: Sender<Job>,
    receiver: Receiver<Job>,
    /// Threads that were started.
    started: AtomicUsize,
    /// Jobs in hand or in the mailbox.
    busy: Arc<AtomicUsize>,
    cancel: Option<Cancel>,
}

impl Lane {
    fn new(name: &'static str, cancel: Option<Cancel>) -> Self {
        let (sender, receiver) = bounded(MAILBOX);
        Self { name, sender, receiver, started: AtomicUsize::new(0), busy: Arc::default(), cancel }
    }

    fn send(&self, job: Job) -> Result<(), Job> {
        self.busy.fetch_add(1, Ordering::Relaxed);
        if let Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) = self.sender.try_send(job) {
            self.busy.fetch_sub(1, Ordering::Relaxed);
            return Err(job);
        }
        let started = self.started.load(Ordering::Relaxed);
        if started < THREADS && self.busy.load(Ordering::Relaxed) > started {
            self.start_one();
        }
        Ok(())
    }

    /// One thread more, which ends with the program.
    fn start_one(&self) {
        if self.started.fetch_add(1, Ordering::Relaxed) >= THREADS {
            self.started.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let (receiver, busy, cancel) = (self.receiver.clone(), self.busy.clone(), self.cancel.clone());
        let work = move || {
            for job in receiver {
                let Job { jail, question, answer, since } = job;
                if since.elapsed() < COMMAND_PATIENCE {
                    // A thread that panicked would be one less for ever; the jail loses patience over its question.
                    let found = catch_unwind(AssertUnwindSafe(|| find_out(&jail, question, cancel.as_ref())));
                    if let Ok(Some(found)) = found {
                        answer.do_send(Answered(found));
                    }
                }
                busy.fetch_sub(1, Ordering::Relaxed);
            }
        };
        let spawned = thread::Builder::new().name(self.name.into()).stack_size(STACK).spawn(work);
        if let Err(error) = spawned {
            self.started.fetch_sub(1, Ordering::Relaxed);
            tracing::error!(target: "fail2ban.filter", "no thread for {}: {error}", self.name);
        }
    }
}

/// None: the program stops.
fn find_out(jail: &Arc<str>, question: Question, cancel: Option<&Cancel>) -> Option<Answer> {
    match question {
        Question::Name(name) => {
            let addresses = addresses(&name);
            if addresses.is_empty() {
                tracing::warn!(target: "fail2ban.filter", "[{jail}] no address is known of {name}");
            }
            Some(Answer::Addresses(name, addresses))
        }
        Question::Command(inquiry) => {
            ignores(jail, &inquiry, cancel).map(|ignore| Answer::Ignore(inquiry.number, ignore))
        }
    }
}

/// All addresses of a name, each once; none when nobody knows it.
fn addresses(name: &str) -> Vec<IpAddr> {
    let Ok(found) = (name, 0).to_socket_addrs() else { return Vec::new() };
    let mut addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// Whether the operator's command exits with 0; with 1 it does not want to, with anything else it has failed.
fn ignores(jail: &Arc<str>, inquiry: &Inquiry, cancel: Option<&Cancel>) -> Option<bool> {
    let ticket = Ticket {
        id: Some(inquiry.id.clone()),
        failures: 1,
        time: inquiry.time,
        matches: inquiry.lines.clone(),
        data: inquiry.data.clone(),
        ..Ticket::default()
    };
    let script = template::render(&inquiry.command, &ticket);
    let outcome = broker::script(&script, Grant::NOTHING, COMMAND_LIMIT, cancel);
    match outcome.end {
        End::Exit(0) => Some(true),
        End::Exit(1) => Some(false),
        End::Cancelled => None,
        failed => {
            let told = String::from_utf8_lossy(&outcome.stderr);
            tracing::error!(
                target: "fail2ban.filter",
                "[{jail}] ignore_command {failed} over {}, which is not ignored: {}",
                inquiry.id,
                told.trim()
            );
            Some(false)
        }
    }
}
