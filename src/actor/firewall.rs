//! The firewall actor: one thread that turns everything pending into one transaction.
//!
//! Its mailbox is a bounded crossbeam channel: a jail waits for room in it, never for the kernel, whose word comes
//! back as [`Acknowledged`]. What others take out of the firewall is put back from a copy of its own (`healing`).
//! The channel outlives the thread, so a revived one goes on with what is queued.

mod ears;
mod filling;
mod healing;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use actix::Recipient;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use tokio::sync::oneshot;

use crate::actor::guard::Alive;
use crate::actor::message::{Acknowledged, Act, Drift};
use crate::config::FirewallKind;
use crate::fault;
use crate::firewall::heal::Heal;
use crate::firewall::nftables::monitor::News;
use crate::firewall::{Change, Enforced, Firewall, FirewallError, Refusal, Wanted};
use crate::subnet::Subnet;
pub use filling::{Fill, Piece};
use healing::Healing;
pub use healing::Told;

/// Jobs that may wait in the mailbox.
const MAILBOX: usize = 1024;
/// Changes in one transaction at most; a larger storm becomes several.
const BATCH: usize = 100_000;
/// Bans of one jail that an empty firewall gets at once.
const PIECE: usize = 2000;

/// What the firewall's thread is asked to do.
pub enum Job {
    /// Jail → firewall: enforce these. Answered by [`Acknowledged`] for each ban.
    Apply {
        /// Which firewall.
        kind: FirewallKind,
        /// What to change.
        changes: Vec<Change>,
        /// Who hears of it.
        answer: Recipient<Acknowledged>,
    },
    /// Supervisor → firewall: exactly these, at start and revival. Jails hear of their bans first.
    Replace {
        /// What each jail wants, by firewall, and who hears of it.
        all: Vec<(FirewallKind, Wanted, Recipient<Acknowledged>)>,
        /// The kernel has answered.
        done: oneshot::Sender<Result<Unfilled, String>>,
    },
    /// Supervisor → firewall, at start: these jails' bans are on their way, for firewalls that can be filled piece by piece.
    Fill {
        /// Which jails, and what comes of them.
        fill: Fill,
        /// The kernel has answered to all that came: the firewalls that have everything.
        done: oneshot::Sender<Result<Vec<FirewallKind>, String>>,
    },
    /// Supervisor → firewall: what is enforced now?
    List {
        /// Which firewall.
        kind: FirewallKind,
        /// What it says.
        done: oneshot::Sender<Result<Enforced, String>>,
    },
    /// Monitor → firewall: somebody changed the firewall; it was heard then.
    News(News, Instant),
    /// Supervisor → firewall: from now on this is put back.
    Heal(Heal),
    /// Supervisor → firewall: answer when everything before this is done.
    Sync(oneshot::Sender<Result<Refused, String>>),
    /// Supervisor → firewall: the last job; with `remove` everything is taken away, else what Fail2Ban's actions spell out.
    Stop {
        /// Take everything away.
        remove: bool,
        /// Done.
        done: oneshot::Sender<Result<(), String>>,
    },
}

/// The jails whose rules are not what they asked for, and why.
pub type Refused = BTreeMap<Arc<str>, String>;

/// The firewalls that could not be filled, and why.
pub type Unfilled = BTreeMap<FirewallKind, String>;

/// Opens a firewall; called at start, and again when its thread is revived.
pub type Open = Arc<dyn Fn(FirewallKind) -> Result<Box<dyn Firewall>, FirewallError> + Send + Sync>;

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
    backends: Backends,
    alive: Alive,
) -> std::io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name("firewall".into()).stack_size(512 * 1024).spawn(move || {
        let _alive = alive;
        run(&receiver, backends);
    })
}

/// The firewalls in use.
pub struct Backends {
    open: Open,
    /// Who is told that only a `Replace` helps.
    drift: Option<Recipient<Drift>>,
    opened: BTreeMap<FirewallKind, Box<dyn Firewall>>,
    healing: Healing,
    refused: Refused,
}

impl Backends {
    /// None is open yet.
    pub fn new(open: Open) -> Self {
        Self {
            open,
            drift: None,
            opened: BTreeMap::new(),
            healing: Healing::default(),
            refused: Refused::default(),
        }
    }

    /// Tells this one when only a `Replace` helps.
    #[must_use]
    pub fn telling(self, drift: Recipient<Drift>) -> Self {
        Self { drift: Some(drift), ..self }
    }

    /// Asks for a `Replace`.
    fn fill_anew(&self) {
        if let Some(drift) = &self.drift {
            drift.do_send(Drift);
        }
    }

    /// Puts back what others take away, and tells of it here; news come by this mailbox.
    #[must_use]
    pub fn healing(self, heal: Heal, told: Told, mailbox: Sender<Job>) -> Self {
        Self { healing: Healing::new(heal, told, mailbox), ..self }
    }

    /// The firewall of this kind, opened when it is first asked for.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn get(&mut self, kind: FirewallKind) -> Result<&mut dyn Firewall, FirewallError> {
        if !self.opened.contains_key(&kind) {
            self.opened.insert(kind, (self.open)(kind)?);
        }
        Ok(self.opened.get_mut(&kind).map(AsMut::as_mut).expect("just opened"))
    }
}

/// Works until the last job or until nobody can send any more.
fn run(receiver: &Receiver<Job>, mut backends: Backends) {
    let mut pending = Vec::new();
    loop {
        let first = match backends.healing.wait(Instant::now()) {
            None => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(wait) => receiver.recv_timeout(wait),
        };
        let mut next = match first {
            Ok(first) => Some(first),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let mut size = 0;
        while let Some(job) = next.take() {
            match job {
                Job::Apply { kind, changes, answer } => {
                    size += changes.len();
                    pending.push((kind, changes, answer));
                    if size < BATCH {
                        next = receiver.try_recv().ok();
                    }
                }
                other => {
                    flush(&mut backends, &mut pending);
                    size = 0;
                    if barrier(&mut backends, other) {
                        return;
                    }
                    next = receiver.try_recv().ok();
                }
            }
        }
        flush(&mut backends, &mut pending);
        healing::heal(&mut backends);
        ears::watch(&mut backends);
    }
}

type Pending = (FirewallKind, Vec<Change>, Recipient<Acknowledged>);

/// One transaction per firewall with everything pending; then each jail hears the kernel's word.
fn flush(backends: &mut Backends, pending: &mut Vec<Pending>) {
    while let Some(kind) = pending.first().map(|(kind, ..)| *kind) {
        fault::point("firewall.apply");
        let (mine, rest): (Vec<Pending>, _) = pending.drain(..).partition(|job| job.0 == kind);
        *pending = rest;
        let mut changes = Vec::new();
        let mut owners = Vec::new();
        for (_, wishes, answer) in mine {
            owners.push((wishes.len(), answer));
            changes.extend(wishes);
        }
        let outcome = fault::refusal("firewall.send")
            .map_err(FirewallError::from)
            .and_then(|()| healing::apply(backends, kind, &changes));
        fault::point("firewall.applied");
        let answers = match outcome {
            Ok(answers) => answers,
            Err(FirewallError::Drift) => {
                tracing::warn!(target: "fail2ban.actions", "the firewall is not as we left it: it is filled anew");
                backends.fill_anew();
                vec![Err(Refusal(FirewallError::Drift.to_string())); changes.len()]
            }
            Err(error) => {
                tracing::error!(target: "fail2ban.actions", "nothing could be changed in the firewall: {error}");
                // Of bans the jails see themselves that they are in force; of rules nobody does.
                if changes.iter().any(Change::is_structural) {
                    backends.fill_anew();
                }
                vec![Err(Refusal(error.to_string())); changes.len()]
            }
        };
        let mut each = changes.into_iter().zip(answers);
        for (count, answer) in owners {
            let heard: Vec<_> =
                each.by_ref().take(count).filter_map(|told| heard(told, &mut backends.refused)).collect();
            if !heard.is_empty() {
                // A full or closed mailbox: the jail asks again for what stays unanswered.
                let _ = answer.try_send(Acknowledged(heard));
            }
        }
    }
}

/// What a jail hears of a change: the fate of each element; of its rules only what went wrong, in the log.
fn heard((change, answer): (Change, Result<(), Refusal>), refused: &mut Refused) -> Option<Heard> {
    match change {
        Change::Ban { element, .. } => {
            Some((Act::Ban, element.net, answer.map_err(|Refusal(why)| why.into())))
        }
        Change::Unban { jail, net } => {
            if let Err(why) = &answer {
                tracing::error!(target: "fail2ban.actions", "[{jail}] {net} could not be unbanned: {why}");
            }
            Some((Act::Unban, net, answer.map_err(|Refusal(why)| why.into())))
        }
        Change::Open { jail, .. } | Change::Close { jail } => {
            refused.remove(&jail);
            if let Err(Refusal(why)) = answer {
                tracing::error!(target: "fail2ban.actions", "[{jail}] its rules could not be changed: {why}");
                refused.insert(jail, why);
            }
            None
        }
    }
}

type Heard = (Act, Subnet, Result<(), Arc<str>>);

/// A job that stands between batches; true when it was the last.
fn barrier(backends: &mut Backends, job: Job) -> bool {
    match job {
        Job::Apply { .. } => false,
        Job::Replace { all, done } => {
            let unfilled = replace(backends, all);
            ears::watch(backends);
            let _ = done.send(Ok(unfilled));
            false
        }
        Job::Fill { fill, done } => {
            let filled = filling::fill(backends, fill);
            ears::watch(backends);
            let _ = done.send(Ok(filled));
            false
        }
        Job::News(news, at) => {
            healing::heard(backends, &news, at);
            healing::heal(backends);
            false
        }
        Job::Heal(heal) => {
            healing::retune(backends, heal);
            false
        }
        Job::Sync(done) => {
            let _ = done.send(Ok(backends.refused.clone()));
            false
        }
        Job::List { kind, done } => {
            let listing = backends.get(kind).and_then(Firewall::list);
            let _ = done.send(listing.map_err(|error| error.to_string()));
            false
        }
        Job::Stop { remove, done } => {
            // What is taken away now is not to be put back.
            backends.healing = Healing::default();
            let mut outcome = Ok(());
            // What Fail2Ban's actions spell out ends with the program, as `actionstop` says.
            let leaving =
                backends.opened.iter_mut().filter(|(kind, _)| remove || **kind == FirewallKind::Exact);
            for (_, firewall) in leaving {
                outcome = outcome.and(firewall.remove().map_err(|error| error.to_string()));
            }
            let _ = done.send(outcome);
            true
        }
    }
}

/// Fills every firewall; one that fails costs its own jails alone, and they hear why.
fn replace(backends: &mut Backends, all: Vec<(FirewallKind, Wanted, Recipient<Acknowledged>)>) -> Unfilled {
    let mut kinds: BTreeMap<FirewallKind, (Vec<Wanted>, Vec<Recipient<Acknowledged>>)> = BTreeMap::new();
    for (kind, wanted, answer) in all {
        let (wishes, answers) = kinds.entry(kind).or_default();
        wishes.push(wanted);
        answers.push(answer);
    }
    let mut unfilled = Unfilled::new();
    for (kind, (wishes, answers)) in kinds {
        let before = healing::before(backends, kind);
        let filled =
            backends.get(kind).ok().and_then(|firewall| filling::replace(firewall, &wishes, &answers));
        let has_heard = filled.is_some();
        let outcome = filled.map_or_else(|| replace_at_once(backends, kind, &wishes), Ok);
        if let Ok(refused) = &outcome {
            healing::replaced(backends, kind, &wishes, refused, before);
            backends.refused.retain(|jail, _| wishes.iter().all(|wanted| wanted.jail != *jail));
        }
        if has_heard {
            continue;
        }
        let refused = outcome.unwrap_or_else(|error| {
            let refusal = Refusal(error.to_string());
            unfilled.insert(kind, error.to_string());
            let nets = |wanted: &Wanted| {
                wanted.elements.iter().map(|element| (element.net, refusal.clone())).collect()
            };
            wishes.iter().map(nets).collect()
        });
        for ((wanted, answer), refused) in wishes.into_iter().zip(answers).zip(refused) {
            let refused: std::collections::HashMap<_, _> = refused.into_iter().collect();
            let heard = wanted.elements.iter().map(|element| {
                let word = refused.get(&element.net).map_or(Ok(()), |Refusal(why)| Err(why.as_str().into()));
                (Act::Ban, element.net, word)
            });
            let _ = answer.try_send(Acknowledged(heard.collect()));
        }
    }
    unfilled
}

fn replace_at_once(
    backends: &mut Backends,
    kind: FirewallKind,
    all: &[Wanted],
) -> Result<Vec<Vec<(Subnet, Refusal)>>, FirewallError> {
    fault::refusal("firewall.replace")?;
    backends.get(kind)?.replace(all)
}

#[cfg(test)]
mod tests;
