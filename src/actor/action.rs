//! The action broker: runs the commands that jails ask for, one after another for each action file.
//!
//! Its mailbox is a bounded crossbeam channel that outlives the thread, as do the [`Lanes`] into which the thread sorts
//! what comes: one for each action file, over all jails, so that two jails never edit a file at the same time. A
//! command that hangs delays its own lane alone, until its time is over. Whatever becomes of a [`Job::Perform`], its
//! jail hears [`Performed`]: also when a thread dies over it.

mod lanes;
mod work;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use actix::Recipient;
use crossbeam_channel::{Receiver, Sender, bounded};
use tokio::sync::oneshot;

use crate::action::Definition;
use crate::action::lifecycle::{Task, Verdict};
use crate::action::template::Ticket;
use crate::actor::guard::Alive;
use crate::actor::message::Performed;
use crate::fault;
pub use lanes::Lanes;

/// Jobs that may wait in the mailbox.
const MAILBOX: usize = 1024;
/// How long commands have to end when the program stops and they are cut off.
pub(super) const LAST: Duration = Duration::from_secs(5);

/// What the broker is asked to do.
pub enum Job {
    /// Jail → broker: do this. Answered by [`Performed`].
    Perform(Box<Perform>),
    /// Supervisor → broker: the last job; commands that still run are cut off.
    Stop(oneshot::Sender<Result<(), String>>),
}

/// A task for one action of one jail.
pub struct Perform {
    /// Which action.
    pub definition: Arc<Definition>,
    /// What.
    pub task: Task,
    /// About whom, and of which jail.
    pub ticket: Ticket,
    /// Who hears of it.
    pub answer: Answer,
}

/// Answers a jail, once: with a verdict, or when it is dropped with an error.
pub struct Answer {
    number: u64,
    to: Option<Recipient<Performed>>,
}

impl Answer {
    /// An answer under this number of the jail's.
    pub fn new(number: u64, to: Recipient<Performed>) -> Self {
        Self { number, to: Some(to) }
    }

    fn give(mut self, verdict: Verdict) {
        self.send(verdict);
    }

    fn refuse(self, why: &str) {
        self.give(Verdict { result: Err(why.to_owned()), repaired: Vec::new() });
    }

    fn send(&mut self, verdict: Verdict) {
        if let Some(to) = self.to.take() {
            // Not bounded by the jail's mailbox: a jail has a window of few of them open.
            to.do_send(Performed { number: self.number, verdict });
        }
    }

    /// Nobody is to hear of it: it was not handed over.
    pub fn forget(mut self) {
        self.to = None;
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let result = Err("it was lost when a thread ended".to_owned());
        self.send(Verdict { result, repaired: Vec::new() });
    }
}

/// The mailbox's two ends.
pub fn mailbox() -> (Sender<Job>, Receiver<Job>) {
    bounded(MAILBOX)
}

/// Starts the thread.
///
/// # Errors
/// The system has no thread to give.
pub fn spawn(
    receiver: Receiver<Job>,
    lanes: Arc<Lanes>,
    alive: Alive,
) -> std::io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name("actions".into()).stack_size(256 * 1024).spawn(move || {
        let _alive = alive;
        run(&receiver, &lanes);
    })
}

/// Works until the last job or until nobody can send any more.
fn run(receiver: &Receiver<Job>, lanes: &Arc<Lanes>) {
    while let Ok(job) = receiver.recv() {
        match job {
            Job::Perform(perform) => {
                fault::point("actions.job");
                lanes.push(perform);
            }
            Job::Stop(done) => {
                let idle = lanes.stop(Instant::now() + LAST);
                let _ = done.send(if idle { Ok(()) } else { Err("commands still run".to_owned()) });
                return;
            }
        }
    }
}
