//! The store actor: one thread that commits everything pending as one transaction.
//!
//! Its mailbox is a bounded crossbeam channel that outlives the thread. A jail keeps what it sent until
//! [`Recorded`] comes back, and sends it again to a revived store.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use actix::Recipient;
use crossbeam_channel::{Receiver, Sender, bounded};
use tokio::sync::{mpsc, oneshot};

use crate::action::template::Evidence;
use crate::actor::guard::Alive;
use crate::actor::message::{Recalled, Recorded};
use crate::fault;
use crate::id::Id;
use crate::store::{Entry, Saved, Store, StoreError};
use crate::time::UnixTime;

/// Jobs that may wait in the mailbox.
const MAILBOX: usize = 1024;
/// Entries in one transaction at most.
const BATCH: usize = 100_000;
/// Before a commit that failed is tried again.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What the store's thread is asked to do.
pub enum Job {
    /// Jail → store: remember these together. Answered by [`Recorded`].
    Record {
        /// What to remember.
        entries: Arc<Vec<Entry>>,
        /// The jail's number for them.
        number: u64,
        /// Who hears that they are on disk.
        answer: Recipient<Recorded>,
    },
    /// Supervisor → store: what is remembered of these jails?
    Load {
        /// Which jails.
        jails: Vec<Arc<str>>,
        /// Bans that are over by then are left out.
        now: UnixTime,
        /// Bans, as soon as they are read, with the place of their jail.
        parts: mpsc::UnboundedSender<(usize, Saved)>,
        /// What else it remembers of each, its last bans among it.
        done: oneshot::Sender<Result<Vec<Loaded>, String>>,
    },
    /// Jail → store: how often were these banned before? Not waited for; what is lost is asked again.
    Recall {
        /// Who asks.
        jail: Arc<str>,
        /// Whose past.
        whose: Vec<Id>,
        /// Who hears it.
        answer: Recipient<Recalled>,
    },
    /// Action broker → store: what led to the bans of this address?
    Evidence {
        /// Whose.
        id: Id,
        /// Only in this jail.
        jail: Option<Arc<str>>,
        /// What it remembers.
        done: Sender<Result<Evidence, String>>,
    },
    /// Supervisor → store: forget what is older.
    Purge {
        /// The moment of asking.
        now: UnixTime,
        /// What is kept.
        age: Duration,
    },
    /// Supervisor → store: these jails are enabled.
    Enable(Vec<Arc<str>>),
    /// Supervisor → store: so many lines of a ban are kept from now on (`dbmaxmatches`).
    Keep(usize),
    /// Supervisor → store: the last job; answered when everything before it is on disk.
    Stop(oneshot::Sender<Result<(), String>>),
}

/// What is remembered of a jail, or why that cannot be read.
pub type Loaded = Result<Saved, String>;

/// What is known of the store from outside its thread.
#[derive(Debug, Default)]
pub struct Health {
    /// How the database is damaged, once a thread has ended over it: its successor begins with a new one.
    damage: Mutex<Option<String>>,
    /// Why what happens is not on disk at the moment.
    behind: Mutex<Option<String>>,
}

impl Health {
    /// How the database is damaged, told once.
    pub fn take_damage(&self) -> Option<String> {
        self.damage.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Why what happens is not on disk at the moment; none: it is.
    pub fn behind(&self) -> Option<String> {
        self.behind.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_behind(&self, why: Option<String>) {
        *self.behind.lock().unwrap_or_else(PoisonError::into_inner) = why;
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
    mut store: Store,
    health: Arc<Health>,
    alive: Alive,
) -> std::io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name("store".into()).stack_size(512 * 1024).spawn(move || {
        let _alive = alive;
        if let Err(why) = run(&receiver, &mut store, &health) {
            tracing::error!(target: "fail2ban.database", "the database is damaged: {why}");
            *health.damage.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
        }
    })
}

type Pending = (Arc<Vec<Entry>>, u64, Recipient<Recorded>);

/// Works until the last job, or until the database turns out to be damaged.
///
/// # Errors
/// How the database is damaged.
fn run(receiver: &Receiver<Job>, store: &mut Store, health: &Health) -> Result<(), String> {
    let mut pending: Vec<Pending> = Vec::new();
    while let Ok(first) = receiver.recv() {
        let mut size = 0;
        let mut next = Some(first);
        while let Some(job) = next.take() {
            if let Job::Record { entries, number, answer } = job {
                size += entries.iter().map(Entry::size).sum::<usize>();
                pending.push((entries, number, answer));
            } else {
                commit(store, &mut pending, health)?;
                size = 0;
                if other(store, job) {
                    return Ok(());
                }
            }
            if size < BATCH {
                next = receiver.try_recv().ok();
            }
        }
        commit(store, &mut pending, health)?;
    }
    Ok(())
}

/// One transaction with everything pending. What cannot be written is tried again until it can be: a later cursor must
/// never be saved without the effects before it. Meanwhile the mailbox fills and jails gather; the bans hold.
///
/// # Errors
/// The database is damaged.
fn commit(store: &mut Store, pending: &mut Vec<Pending>, health: &Health) -> Result<(), String> {
    if pending.is_empty() {
        return Ok(());
    }
    fault::point("store.before_commit");
    let mut pause = FIRST_PAUSE;
    while let Err(error) = store.commit(pending.iter().flat_map(|(entries, ..)| entries.iter())) {
        if let StoreError::Corrupt(why) = error {
            return Err(why);
        }
        tracing::error!(
            target: "fail2ban.database",
            "what happened is not on disk yet, bans hold: {error}; tried again in {pause:?}"
        );
        health.set_behind(Some(error.to_string()));
        thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    if pause > FIRST_PAUSE {
        health.set_behind(None);
        tracing::info!(target: "fail2ban.database", "what happened meanwhile is on disk");
    }
    fault::point("store.after_commit");
    for (_, number, answer) in pending.drain(..) {
        answer.do_send(Recorded(number));
    }
    Ok(())
}

/// A job that stands between transactions; true when it was the last.
fn other(store: &mut Store, job: Job) -> bool {
    match job {
        Job::Record { .. } => {}
        Job::Load { jails, now, parts, done } => {
            let names: Vec<&str> = jails.iter().map(|jail| &**jail).collect();
            // Where nobody takes them any more, nobody waits for the rest either.
            let mut each = |place, part| drop(parts.send((place, part)));
            let in_words = |error: StoreError| error.to_string();
            let all = store.load_in_parts(&names, now, &mut each).map_err(in_words);
            let _ = done.send(all.map(|all| all.into_iter().map(|one| one.map_err(in_words)).collect()));
        }
        Job::Recall { jail, whose, answer } => {
            let past = |id: Id| match store.past(&jail, &id) {
                Ok(past) => Some((id, past)),
                Err(error) => {
                    tracing::error!(target: "fail2ban.database", "[{jail}] the past of {id} is unknown: {error}");
                    None
                }
            };
            answer.do_send(Recalled(whose.into_iter().filter_map(past).collect()));
        }
        Job::Evidence { id, jail, done } => {
            let _ = done.send(store.evidence(&id, jail.as_deref()).map_err(|error| error.to_string()));
        }
        Job::Purge { now, age } => match store.purge(now, age) {
            Ok(rows) if rows > 0 => {
                tracing::info!(target: "fail2ban.database", "{rows} old bans left the history");
            }
            Ok(_) => {}
            Err(error) => tracing::error!(target: "fail2ban.database", "old bans cannot be purged: {error}"),
        },
        Job::Enable(jails) => {
            if let Err(error) = store.jails(&jails) {
                tracing::error!(target: "fail2ban.database", "the jails cannot be written: {error}");
            }
        }
        Job::Keep(matches) => store.keep_matches(matches),
        Job::Stop(done) => {
            if let Err(error) = store.close() {
                tracing::warn!(target: "fail2ban.database", "the database keeps its write-ahead log beside it: {error}");
            }
            let _ = done.send(Ok(()));
            return true;
        }
    }
    false
}
