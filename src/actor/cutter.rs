//! The cutter: a thread that ends the connections of banned hosts, once their bans are in force.
//!
//! Jails tell it of bans and wait for nothing: neither a jail nor the firewall's thread is delayed by a look at a large
//! table of connections. All bans that wait are looked for at once, and after a look it rests so long that looks take
//! about a twentieth of a core. The supervisor makes it when the first jail wants it: what a jail's thread makes has no way
//! to the firewall. A panic costs one look.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::control::request::Cuts;
use crate::control::text;
use crate::firewall::cut::{Knife, Outcome, Scope, Wanted};
use crate::log::notice;
use crate::memory;
use crate::subnet::Subnet;

/// Jobs that may wait.
const MAILBOX: usize = 1024;
/// Bans that may wait; more are not looked for, and that is said.
const MOST: usize = 200_000;
/// So often a look that failed is taken again.
const TRIES: usize = 3;
/// The rest after a look, in parts of what it took.
const REST: u32 = 19;
/// No rest is longer.
const LONGEST_REST: Duration = Duration::from_secs(2);
/// Bans of which one look tells one by one.
const LINES: usize = 20;

/// Bans that are in force now.
struct Job {
    jail: Arc<str>,
    scope: Arc<Scope>,
    nets: Vec<Subnet>,
}

/// The way to the thread.
pub struct Cutter {
    sender: Sender<Job>,
    /// Until the thread is made.
    receiver: Mutex<Option<Receiver<Job>>>,
    waiting: Arc<AtomicUsize>,
    told: Told,
}

/// What was cut, for whoever asks.
type Told = Arc<Mutex<Cuts>>;

impl Default for Cutter {
    fn default() -> Self {
        let (sender, receiver) = bounded(MAILBOX);
        Self { sender, receiver: Mutex::new(Some(receiver)), waiting: Arc::default(), told: Told::default() }
    }
}

impl Cutter {
    /// Ends the connections of these bans soon. Waits for nothing; of what finds no room only the number is kept.
    pub fn cut(&self, jail: &Arc<str>, scope: &Arc<Scope>, nets: Vec<Subnet>) {
        if nets.is_empty() || scope.is_nothing() {
            return;
        }
        let count = nets.len();
        let before = self.waiting.fetch_add(count, Ordering::Relaxed);
        let job = Job { jail: jail.clone(), scope: scope.clone(), nets };
        if before + count <= MOST && self.sender.try_send(job).is_ok() {
            return;
        }
        self.waiting.fetch_sub(count, Ordering::Relaxed);
        let mut told = tell(&self.told);
        if told.missed == 0 {
            tracing::warn!(
                target: "fail2ban.actions",
                "too many bans at once: the connections of some banned hosts end by themselves, see status"
            );
        }
        told.missed += count as u64;
    }

    /// What was cut so far.
    pub fn told(&self) -> Cuts {
        tell(&self.told).clone()
    }

    /// Makes the thread, if there is none yet. To be called where netlink may be used.
    pub fn begin(&self) {
        let mut receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(jobs) = receiver.take() else { return };
        let (waiting, told) = (self.waiting.clone(), self.told.clone());
        let thread = thread::Builder::new().name("cutter".into()).stack_size(256 * 1024);
        if let Err(error) = thread.spawn(move || run(&jobs, &waiting, &told)) {
            tell(&self.told).cannot = Some(format!("no thread: {error}"));
        }
    }
}

fn tell(told: &Told) -> MutexGuard<'_, Cuts> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Works until nobody can ask any more.
fn run(jobs: &Receiver<Job>, waiting: &AtomicUsize, told: &Told) {
    let mut knife = Knife::default();
    while let Ok(first) = jobs.recv() {
        let mut wanted = Wanted::default();
        let mut next = Some(first);
        while let Some(Job { jail, scope, nets }) = next {
            waiting.fetch_sub(nets.len(), Ordering::Relaxed);
            wanted.add(&jail, &scope, &nets);
            next = if wanted.len() < MOST { jobs.try_recv().ok() } else { None };
        }
        wanted.sort();
        for left in (0..TRIES).rev() {
            let began = Instant::now();
            let look = catch_unwind(AssertUnwindSafe(|| knife.cut(&wanted)));
            let took = began.elapsed();
            let Ok(outcome) = look else { break };
            say(&outcome, &knife, wanted.len(), took, told);
            thread::sleep((took * REST).min(LONGEST_REST));
            match outcome.failed {
                None => break,
                Some(error) if left == 0 => {
                    tracing::error!(
                        target: "fail2ban.actions",
                        "the connections of {} cannot be cut: {error}",
                        text::count(wanted.len() as u64, "banned host", "banned hosts")
                    );
                }
                Some(_) => thread::sleep(LONGEST_REST),
            }
        }
        if wanted.len() >= memory::MANY {
            drop(wanted);
            memory::give_back_heap();
        }
    }
}

/// What came of a look, in the log and for status.
fn say(outcome: &Outcome, knife: &Knife, bans: usize, took: Duration, told: &Told) {
    tracing::debug!(target: "fail2ban.actions", "looked for connections of {bans} banned hosts in {took:.1?}");
    let connections = |number| text::count(number, "connection", "connections");
    let mut cut = outcome.cut.iter();
    for ((jail, net), number) in cut.by_ref().take(LINES) {
        notice!(target: "fail2ban.actions", "[{jail}] cut {} of {net}", connections(*number));
    }
    let rest: u64 = cut.clone().map(|(_, number)| number).sum();
    if cut.len() > 0 {
        notice!(target: "fail2ban.actions", "cut {} of {} more banned hosts", connections(rest), cut.len());
    }
    for lack in &outcome.lacks {
        tracing::warn!(target: "fail2ban.actions", "connections of banned hosts end by themselves only: {lack}");
    }
    let mut told = tell(told);
    told.connections += outcome.cut.values().sum::<u64>();
    told.hosts += outcome.cut.len() as u64;
    let lacks: Vec<_> = knife.lacks().map(|lack| lack.to_string()).collect();
    told.cannot = (!lacks.is_empty()).then(|| lacks.join("; "));
}
