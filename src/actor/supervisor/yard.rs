//! What the supervisor has: the actors, their lives, and what they were made from.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix::prelude::*;
use crossbeam_channel::{Receiver, Sender};
use tokio::sync::oneshot;

use super::Supervisor;
use super::restarts::Lives;
use super::trial::Before;
use crate::actor::cutter::Cutter;
use crate::actor::guard::{Alive, Child};
use crate::actor::jail::{JailActor, Wires};
use crate::actor::logins::Logins;
use crate::actor::message::{Own, Schedule, Subscribe};
use crate::actor::tailer::TailerActor;
use crate::actor::timer::TimerActor;
use crate::actor::{action, firewall, helper, now, store};
use crate::config::{Config, JailConfig, Sources};
use crate::control::Listener;
use crate::ignore::Login;
use crate::log::Logs;
use crate::net;
use crate::probation::Probation;
use crate::sandbox;
use crate::store::Store;
use crate::time::UnixTime;

/// Jails that have a thread of their own; more share them. A jail that hangs must not delay another.
const ARBITERS: usize = 32;
/// How long the supervisor waits for an answer of a thread.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// What is said of one that did not come.
pub(super) const LATE: &str = "it did not answer in time";

/// What is said of a child that was given up.
const PARKED: &str = "it is parked until it is reloaded or restarted";

/// What the program was started with, checked and opened.
pub struct Setup {
    /// The configuration, without mistakes that concern everything.
    pub config: Config,
    /// Where it came from.
    pub sources: Sources,
    /// The log.
    pub logs: Logs,
    /// Opens a firewall.
    pub open: firewall::Open,
    /// The firewalls that were opened to see whether they can be used.
    pub backends: firewall::Backends,
    /// The store; none: nothing is remembered.
    pub store: Option<Store>,
    /// Where bans are remembered, or why not.
    pub store_text: String,
    /// The store is new because the old one was set aside: bans are taken over from the kernel.
    pub adopt: bool,
    /// There is no store because it cannot be written at the moment.
    pub store_later: bool,
    /// The control socket.
    pub listener: Option<Listener>,
    /// Take the bans out of the firewall at the end.
    pub remove: bool,
    /// What the operator should know.
    pub warnings: Vec<String>,
    /// As which program it runs.
    pub manner: Manner,
}

/// What differs by the name the program was called by.
#[derive(Debug, Clone)]
pub struct Manner {
    /// The first line of the log.
    pub greeting: String,
    /// Whether SIGHUP reloads; else it means nothing.
    pub hangup_reloads: bool,
    /// Called once when everything runs.
    pub on_ready: fn(),
}

impl Manner {
    /// The daemon's own.
    pub fn stockade() -> Self {
        let greeting = format!("starting stockade {}", env!("CARGO_PKG_VERSION"));
        Self { greeting, hangup_reloads: true, on_ready: || {} }
    }
}

/// The two ends of the store's mailbox.
type Mailbox = (Sender<store::Job>, Receiver<store::Job>);

/// Learns the exit code; none while running.
pub type Ending = Arc<Mutex<Option<u8>>>;

/// A jail as the supervisor sees it.
pub(super) struct Slot {
    pub(super) config: JailConfig,
    pub(super) number: u32,
    pub(super) addr: Option<Addr<JailActor>>,
    /// Given up after too many panics.
    pub(super) parked: bool,
    /// How many jails were started before it.
    born: u32,
    arbiter: usize,
}

/// Everything the supervisor has. One thread: no borrow is held across an `await`.
pub(super) struct Yard {
    pub(super) supervisor: Addr<Supervisor>,
    pub(super) started: UnixTime,
    pub(super) ready: Cell<bool>,
    pub(super) stopping: Cell<bool>,
    /// The firewall is being filled anew.
    pub(super) refilling: Cell<bool>,
    /// One fills it at a time.
    pub(super) filling: tokio::sync::Mutex<()>,
    /// What could not be filled.
    pub(super) unfilled: RefCell<firewall::Unfilled>,
    /// That is tried again.
    pub(super) insisting: Cell<bool>,
    pub(super) config: RefCell<Config>,
    pub(super) sources: Sources,
    pub(super) logs: Logs,
    pub(super) open: firewall::Open,
    pub(super) backends: RefCell<Option<firewall::Backends>>,
    pub(super) fresh_store: RefCell<Option<Store>>,
    /// What others did to the firewall.
    pub(super) drifts: firewall::Told,
    pub(super) health: Arc<store::Health>,
    pub(super) store_text: RefCell<String>,
    /// In how many looks to try again to open a store; none: there is one, or there shall be none.
    pub(super) store_later: Cell<Option<u32>>,
    pub(super) adopt: bool,
    pub(super) remove: bool,
    pub(super) warnings: RefCell<Vec<String>>,
    pub(super) ending: Ending,
    pub(super) manner: Manner,
    pub(super) jails: RefCell<BTreeMap<Arc<str>, Slot>>,
    pub(super) numbers: RefCell<HashMap<Arc<str>, u32>>,
    pub(super) own: RefCell<Arc<net::Own>>,
    pub(super) tailer: RefCell<Option<Addr<TailerActor>>>,
    pub(super) timer: RefCell<Option<Addr<TimerActor>>>,
    pub(super) firewall: (Sender<firewall::Job>, Receiver<firewall::Job>),
    pub(super) store: RefCell<Option<Mailbox>>,
    pub(super) actions: (Sender<action::Job>, Receiver<action::Job>),
    pub(super) lanes: Arc<action::Lanes>,
    /// Finds out for the jails what blocks.
    pub(super) helper: Arc<helper::Helper>,
    /// Who is logged in.
    pub(super) logins: Arc<Logins>,
    /// What the jails were told of that.
    pub(super) logged_in: RefCell<Arc<[Login]>>,
    /// When it began, on a clock that nobody sets.
    pub(super) since: Instant,
    /// What returns if the configuration is not confirmed.
    pub(super) trial: RefCell<Probation<Before>>,
    /// Ends the connections of banned hosts.
    pub(super) cutter: Arc<Cutter>,
    /// One reload at a time.
    pub(super) reloading: tokio::sync::Mutex<()>,
    /// What drop-ins and ignore files looked like.
    pub(super) seen: RefCell<super::reload::Seen>,
    /// What only Fail2Ban's world knows.
    pub(super) world: super::fail2ban::World,
    /// Jails started so far.
    births: Cell<u32>,
    lives: RefCell<Lives>,
    /// Dead, and to be revived in a moment.
    dead: RefCell<Vec<Child>>,
    arbiters: RefCell<Vec<Arbiter>>,
    tailer_arbiter: Arbiter,
}

impl Yard {
    pub(super) fn new(setup: Setup, supervisor: Addr<Supervisor>, ending: Ending) -> Self {
        let store = setup.store.is_some().then(store::mailbox);
        let asked = store.as_ref().map(|(sender, _)| sender.clone());
        let world = super::fail2ban::World::new(&setup.config);
        let logins = Arc::new(Logins::new(setup.config.daemon.logins.clone()));
        Self {
            world,
            actions: action::mailbox(),
            lanes: Arc::new(action::Lanes::new(asked)),
            supervisor,
            started: now(),
            ready: Cell::new(false),
            stopping: Cell::new(false),
            refilling: Cell::new(false),
            filling: tokio::sync::Mutex::default(),
            unfilled: RefCell::default(),
            insisting: Cell::new(false),
            config: RefCell::new(setup.config),
            sources: setup.sources,
            logs: setup.logs,
            open: setup.open,
            backends: RefCell::new(Some(setup.backends)),
            store: RefCell::new(store),
            fresh_store: RefCell::new(setup.store),
            drifts: firewall::Told::default(),
            health: Arc::default(),
            store_text: RefCell::new(setup.store_text),
            store_later: Cell::new(setup.store_later.then_some(0)),
            adopt: setup.adopt,
            remove: setup.remove,
            warnings: RefCell::new(setup.warnings),
            ending,
            manner: setup.manner,
            jails: RefCell::default(),
            numbers: RefCell::default(),
            own: RefCell::default(),
            tailer: RefCell::default(),
            timer: RefCell::default(),
            firewall: firewall::mailbox(),
            helper: Arc::new(helper::Helper::new()),
            logins,
            since: Instant::now(),
            trial: RefCell::default(),
            logged_in: RefCell::default(),
            cutter: Arc::default(),
            reloading: tokio::sync::Mutex::default(),
            seen: RefCell::default(),
            births: Cell::new(0),
            lives: RefCell::default(),
            dead: RefCell::default(),
            arbiters: RefCell::default(),
            tailer_arbiter: reader(),
        }
    }

    /// A new life for this child, with the guard that tells of its end.
    pub(super) fn life(&self, child: Child) -> Alive {
        let life = self.lives.borrow_mut().begin(&child);
        Alive { child, life, tell: self.supervisor.clone().recipient() }
    }

    /// Whether this child was dead; it is not any more.
    pub(super) fn resurrect(&self, child: &Child) -> bool {
        let mut dead = self.dead.borrow_mut();
        let before = dead.len();
        dead.retain(|other| other != child);
        dead.len() < before
    }

    /// Its coming end is wanted: no news.
    pub(super) fn dismiss(&self, child: &Child) {
        self.lives.borrow_mut().dismiss(child);
    }

    /// Notes a death; after which delay to revive the child, none when that is not wanted.
    pub(super) fn mourn(&self, child: &Child, life: u64, panicked: bool, now: UnixTime) -> Option<Duration> {
        let mut lives = self.lives.borrow_mut();
        let restarts = lives.ended(child, life)?;
        if self.stopping.get() {
            return None;
        }
        let how = if panicked { "panicked" } else { "ended" };
        if let Some(name) = child.jail()
            && let Some(slot) = self.jails.borrow_mut().get_mut(name)
        {
            slot.addr = None;
        }
        let delay = restarts.died(now, child.jail().is_some());
        if let Some(delay) = delay {
            self.dead.borrow_mut().push(child.clone());
            tracing::error!(
                target: "fail2ban.server",
                "{child} {how}: it is revived in {delay:?}, bans stay in force"
            );
        } else {
            let what = format!("{child} {how} again and again: {PARKED}");
            tracing::error!(target: "fail2ban.server", "{what}");
            self.warnings.borrow_mut().push(what);
            if let Some(name) = child.jail()
                && let Some(slot) = self.jails.borrow_mut().get_mut(name)
            {
                slot.parked = true;
            }
        }
        delay
    }

    /// A child that was parked has another chance: that is no warning any more.
    pub(super) fn unpark(&self, child: &Child) {
        self.dismiss(child);
        let begin = format!("{child} ");
        self.warnings.borrow_mut().retain(|what| !(what.starts_with(&begin) && what.ends_with(PARKED)));
    }

    /// The jail's number while the program runs: the same after it was gone for a while.
    pub(super) fn number(&self, jail: &Arc<str>) -> u32 {
        let mut numbers = self.numbers.borrow_mut();
        let next = numbers.len() as u32 + 1;
        *numbers.entry(jail.clone()).or_insert(next)
    }

    /// Which jail has this number.
    pub(super) fn numbered(&self, number: u32) -> Option<Arc<str>> {
        let jails = self.jails.borrow();
        jails.iter().find(|(_, slot)| slot.number == number).map(|(name, _)| name.clone())
    }

    /// Whom a new jail talks to.
    pub(super) fn wires(&self) -> Wires {
        Wires {
            firewall: self.firewall.0.clone(),
            actions: self.actions.0.clone(),
            store: self.store_sender(),
            tailer: self.tailer.borrow().clone().map(Addr::recipient::<Subscribe>),
            timer: self.timer.borrow().clone().map(Addr::recipient::<Schedule>),
            helper: self.helper.clone(),
            logins: self.logins.clone(),
            cutter: self.cutter.clone(),
        }
    }

    /// Puts a jail on an arbiter and into its slot.
    pub(super) fn place(
        &self,
        config: JailConfig,
        make: impl FnOnce(Wires, Alive, u32) -> JailActor + Send + 'static,
    ) -> Addr<JailActor> {
        let name = config.options.name.clone();
        let number = self.number(&name);
        let arbiter = self.arbiter(&name);
        let alive = self.life(Child::Jail(name.clone()));
        if config.cut.is_some() {
            self.cutter.begin();
        }
        let wires = self.wires();
        let addr = JailActor::start_in_arbiter(&self.arbiters.borrow()[arbiter].handle(), move |_| {
            make(wires, alive, number)
        });
        addr.do_send(Own(self.own.borrow().clone()));
        let mut jails = self.jails.borrow_mut();
        let born =
            jails.get(&name).map_or_else(|| self.births.replace(self.births.get() + 1), |slot| slot.born);
        jails.insert(name, Slot { config, number, addr: Some(addr.clone()), parked: false, born, arbiter });
        addr
    }

    /// How many jails were started before this one; none: it was not started.
    pub(super) fn born(&self, jail: &str) -> Option<u32> {
        self.jails.borrow().get(jail).map(|slot| slot.born)
    }

    /// The arbiter for a jail: its own from before, else the least used.
    fn arbiter(&self, name: &Arc<str>) -> usize {
        let jails = self.jails.borrow();
        if let Some(slot) = jails.get(name) {
            return slot.arbiter;
        }
        let mut arbiters = self.arbiters.borrow_mut();
        let used = |index| jails.values().filter(|slot| slot.arbiter == index).count();
        match (0..arbiters.len()).min_by_key(|index| used(*index)) {
            Some(index) if used(index) == 0 || arbiters.len() >= ARBITERS => index,
            _ => {
                arbiters.push(reader());
                arbiters.len() - 1
            }
        }
    }

    /// The arbiter of the tailer.
    pub(super) fn tailer_arbiter(&self) -> ArbiterHandle {
        self.tailer_arbiter.handle()
    }

    /// The living jails.
    pub(super) fn living(&self) -> Vec<(Arc<str>, Addr<JailActor>)> {
        let jails = self.jails.borrow();
        jails.iter().filter_map(|(name, slot)| Some((name.clone(), slot.addr.clone()?))).collect()
    }

    /// The way to the store's thread, if there is a store.
    pub(super) fn store_sender(&self) -> Option<Sender<store::Job>> {
        self.store.borrow().as_ref().map(|(sender, _)| sender.clone())
    }

    /// Asks the store's thread, at once, and waits for its answer.
    pub(super) fn ask_store<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, String>>) -> store::Job,
    ) -> impl Future<Output = Option<Result<T, String>>> {
        let answered = self.store_sender().map(|sender| {
            let (done, answer) = oneshot::channel();
            hand(sender, job(done), answer)
        });
        async { Some(answered?.await.and_then(|answer| answer)) }
    }

    /// The firewall's thread tells of others, and puts back what they take.
    pub(super) fn heals(&self, backends: firewall::Backends) -> firewall::Backends {
        let heal = self.config.borrow().daemon.heal;
        let backends = backends.telling(self.supervisor.clone().recipient());
        backends.healing(heal, self.drifts.clone(), self.firewall.0.clone())
    }

    /// Asks the firewall's thread, at once, and waits for its answer.
    pub(super) fn ask_firewall<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, String>>) -> firewall::Job,
    ) -> impl Future<Output = Result<T, String>> {
        let (done, answer) = oneshot::channel();
        let answered = hand(self.firewall.0.clone(), job(done), answer);
        async { answered.await.and_then(|answer| answer) }
    }

    /// Ends the action broker and what it still runs.
    pub(super) async fn ask_actions_to_stop(&self) -> Result<(), String> {
        let (done, answer) = oneshot::channel();
        hand(self.actions.0.clone(), action::Job::Stop(done), answer).await.and_then(|answer| answer)
    }

    /// The end, with this exit code.
    pub(super) fn end(&self, code: u8) {
        *self.ending.lock().unwrap_or_else(PoisonError::into_inner) = Some(code);
        System::current().stop();
    }
}

/// Hands a job to a thread, at once or as soon as it has room, and waits for its answer.
fn hand<J, T>(
    sender: Sender<J>,
    job: J,
    answer: oneshot::Receiver<T>,
) -> impl Future<Output = Result<T, String>> {
    let mut left = sender.try_send(job).err();
    let work = async move {
        while let Some(error) = left {
            let crossbeam_channel::TrySendError::Full(job) = error else {
                return Err("it is gone".to_owned());
            };
            tokio::time::sleep(Duration::from_millis(2)).await;
            left = sender.try_send(job).err();
        }
        answer.await.map_err(|_| "it died over this".to_owned())
    };
    async { tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(LATE.to_owned())) }
}

/// A thread that reads what attackers write: it opens no way to the firewall.
fn reader() -> Arbiter {
    let arbiter = Arbiter::new();
    arbiter.spawn_fn(sandbox::no_firewall_from_here);
    arbiter
}
