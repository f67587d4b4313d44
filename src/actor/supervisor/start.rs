//! Start and revival: store, firewall, timer, jails with their past, the kernel's word, then the tailer.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use futures_util::future::{Either, select};
use tokio::sync::mpsc;

use super::notify;
use super::traces::{Traces, kernel_ban};
use super::yard::Yard;
use crate::actor::guard::Child;
use crate::actor::jail::{Attention, Commands, JailActor, Past};
use crate::actor::message::{Collect, Own, Reenforce, Register, Replaced, Rewire, Watching};
use crate::actor::tailer::TailerActor;
use crate::actor::timer::TimerActor;
use crate::actor::{action, firewall, now, store};
use crate::config::JailConfig;
use crate::control::text;
use crate::jail::{Effect, Jail, Remembered};
use crate::memory;
use crate::net;
use crate::store::Saved;
use crate::time::UnixTime;

/// How long until the kernel is asked again for own addresses, when it did not tell.
const WATCH_AGAIN: Duration = Duration::from_secs(10);
/// What is said then; only loopback is spared, or what was known before.
const UNKNOWN: &str = "changes of the host's own addresses and gateways are not seen";

/// How much of its past a jail goes on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    /// All that is remembered.
    All,
    /// Its bans and how far it read, but no failures: an operator restarts it.
    Bans,
}

impl Yard {
    /// Starts everything; ready when saved bans are confirmed and logs are open.
    pub(super) async fn start(self: Rc<Self>) {
        if let Err(why) = self.start_threads() {
            tracing::error!(target: "fail2ban.server", "{why}");
            return self.end(1);
        }
        memory::give_back_code(); // what read the configuration
        self.watch_own().await;
        self.start_timer();
        let configs = self.config.borrow().jails.clone();
        self.enable();
        let mut traces = self.traces();
        if self.adopt {
            traces.kernel = self.adopt(&configs).await;
        }
        for config in configs {
            self.start_jail(config, &mut traces, Memory::All).await;
        }
        drop(traces);
        if let Err(why) = self.enforce_all().await {
            let what = format!("the firewall could not be filled: {why}");
            tracing::error!(target: "fail2ban.actions", "{what}");
            self.warnings.borrow_mut().push(what);
        }
        self.look().await;
        self.start_tailer();
        self.logs_open().await;
        self.ready.set(true);
        (self.manner.on_ready)();
        memory::give_back();
        let told = text::count(self.jails.borrow().len() as u64, "jail", "jails");
        notify(&[sd_notify::NotifyState::Ready, sd_notify::NotifyState::Status(&told)]);
        tracing::info!(target: "fail2ban.server", "ready: {told}");
    }

    fn start_threads(&self) -> Result<(), String> {
        let backends =
            self.backends.borrow_mut().take().unwrap_or_else(|| firewall::Backends::new(self.open.clone()));
        firewall::spawn(self.firewall.1.clone(), self.heals(backends), self.life(Child::Firewall))
            .map_err(|error| format!("the firewall's thread cannot be started: {error}"))?;
        self.start_actions()?;
        let store = self.fresh_store.borrow_mut().take();
        store.map_or(Ok(()), |store| self.start_store(store))
    }

    fn start_actions(&self) -> Result<(), String> {
        let (receiver, lanes) = (self.actions.1.clone(), self.lanes.clone());
        let spawned = action::spawn(receiver, lanes, self.life(Child::Actions));
        spawned.map(drop).map_err(|error| format!("the action broker's thread cannot be started: {error}"))
    }

    /// Learns the host's own addresses before the first line is read, and every change after.
    async fn watch_own(self: &Rc<Self>) {
        let interfaces = self.config.borrow().daemon.interfaces.clone();
        let (first, heard) = tokio::sync::oneshot::channel();
        let mut first = Some(first);
        let weak = Rc::downgrade(self);
        actix::spawn(async move {
            while let Err(error) = net::watch(interfaces.clone(), |own| {
                if let Some(yard) = weak.upgrade() {
                    yard.set_own(own);
                }
                if let Some(first) = first.take() {
                    let _ = first.send(());
                }
            })
            .await
            {
                let Some(yard) = weak.upgrade() else { return };
                yard.lose_own(&error);
                drop(yard);
                tokio::time::sleep(WATCH_AGAIN).await;
            }
        });
        // A kernel that does not answer must not stop the start.
        let _ = tokio::time::timeout(Duration::from_secs(2), heard).await;
    }

    /// The kernel does not tell of own addresses, or no longer: those that were known are spared on.
    fn lose_own(&self, error: &net::NetError) {
        let mut warnings = self.warnings.borrow_mut();
        if warnings.iter().any(|what| what.starts_with(UNKNOWN)) {
            return;
        }
        let what = format!("{UNKNOWN}: {error}; tried again every {WATCH_AGAIN:?}");
        tracing::warn!(target: "fail2ban.server", "{what}");
        warnings.push(what);
    }

    fn set_own(&self, own: net::Own) {
        self.warnings.borrow_mut().retain(|what| !what.starts_with(UNKNOWN));
        let own = Arc::new(own);
        let before = std::mem::replace(&mut *self.own.borrow_mut(), own.clone());
        for name in own.missing.iter().filter(|name| !before.missing.contains(name)) {
            tracing::warn!(target: "fail2ban.server", "{}", missing(name));
        }
        for (_, jail) in self.living() {
            jail.do_send(Own(own.clone()));
        }
    }

    fn start_timer(&self) {
        match TimerActor::new(self.life(Child::Timer)) {
            Ok(timer) => {
                let timer = timer.start();
                for (jail, addr) in self.living() {
                    timer.do_send(Register { jail, to: Some(addr.recipient()) });
                }
                *self.timer.borrow_mut() = Some(timer);
            }
            // The guard in its hands is dropped: it is tried again.
            Err(error) => tracing::error!(target: "fail2ban.server", "no timer: {error}"),
        }
    }

    fn start_tailer(&self) {
        let alive = self.life(Child::Tailer);
        let tailer = TailerActor::start_in_arbiter(&self.tailer_arbiter(), move |_| TailerActor::new(alive));
        *self.tailer.borrow_mut() = Some(tailer.clone());
        for (_, jail) in self.living() {
            jail.do_send(Rewire { tailer: Some(tailer.clone().recipient()), ..Rewire::default() });
        }
    }

    /// Waits until the tailer has looked at every jail's files once.
    async fn logs_open(&self) {
        let Some(tailer) = self.tailer.borrow().clone() else { return };
        for (name, _) in self.living() {
            for _ in 0..500 {
                match tailer.send(Watching(name.clone())).await {
                    Ok(Some(_)) => break,
                    _ => tokio::time::sleep(Duration::from_millis(2)).await,
                }
            }
        }
    }

    /// Starts a jail with what is remembered of it. The firewall is not told yet.
    pub(super) async fn start_jail(&self, config: JailConfig, traces: &mut Traces, keep: Memory) {
        let name = config.options.name.clone();
        let now = now();
        let mut jail = match Jail::new(&config.options) {
            Ok(jail) => jail,
            Err(mistakes) => {
                for mistake in mistakes {
                    tracing::error!(target: "fail2ban.server", "[{name}] {mistake}");
                }
                return;
            }
        };
        jail.set_own(self.own.borrow().addresses.clone());
        jail.set_gateways(self.own.borrow().gateways.clone());
        let mut commands = Commands::new(&config, &mut jail);
        let mut effects = Vec::new();
        let mut saved = self.load(&mut jail, now, &mut effects).await;
        let elements = traces.kernel.remove(&name).unwrap_or_default();
        let remember = !elements.is_empty();
        let bans = elements.into_iter().map(|element| kernel_ban(element, now));
        saved.bans.extend(bans.filter(|ban| jail.banned(&ban.id).is_none()));
        if keep == Memory::Bans || !self.config.borrow().daemon.keep_counters {
            saved.counters.clear();
        }
        let cursors = std::mem::take(&mut saved.cursors);
        commands.set_untold(std::mem::take(&mut saved.untold));
        restore(&mut jail, saved, now, &mut effects);
        self.resume_trial(&mut jail);
        let mut said = traces.log.remove(&name).unwrap_or_default();
        said.keep(|id| jail.banned(id).is_some());
        let attention = if self.is_idle(&name) { Attention::Idle } else { Attention::Reads };
        let past = Past { effects, cursors, remember, commands, attention, said };
        let addr = self.place(config.clone(), move |wires, alive, number| {
            JailActor::new(jail, config, number, wires, past, alive)
        });
        if let Some(timer) = &*self.timer.borrow() {
            timer.do_send(Register { jail: name, to: Some(addr.recipient()) });
        }
    }

    /// Bans again whom the store remembers, while it reads on; what else it remembers of a jail.
    async fn load(&self, jail: &mut Jail, now: UnixTime, effects: &mut Vec<Effect>) -> Saved {
        let name = jail.name().clone();
        let (parts, mut read) = mpsc::unbounded_channel();
        let asked = self.ask_store(|done| store::Job::Load { jail: name.clone(), now, parts, done });
        let mut asked = std::pin::pin!(asked);
        let loaded = loop {
            match select(std::pin::pin!(read.recv()), asked.as_mut()).await {
                Either::Left((Some(part), _)) => restore(jail, part, now, effects),
                Either::Left((None, _)) => break asked.await,
                Either::Right((loaded, _)) => break loaded,
            }
        };
        while let Ok(part) = read.try_recv() {
            restore(jail, part, now, effects);
        }
        let mut saved = match loaded {
            Some(Ok(saved)) => saved,
            Some(Err(why)) => {
                tracing::error!(target: "fail2ban.database", "[{name}] starts without its past: {why}");
                Saved::default()
            }
            None => Saved::default(),
        };
        if saved.skipped > 0 {
            tracing::warn!(
                target: "fail2ban.database",
                "[{name}] {} rows of the store made no sense and were passed over",
                saved.skipped
            );
        }
        let last = Saved {
            bans: std::mem::take(&mut saved.bans),
            inherited: std::mem::take(&mut saved.inherited),
            timeless: std::mem::take(&mut saved.timeless),
            ..Saved::default()
        };
        restore(jail, last, now, effects);
        saved
    }

    /// Makes the firewall exactly what the jails want, and waits for the kernel.
    pub(super) async fn enforce_all(&self) -> Result<(), String> {
        let mut all = Vec::new();
        for (name, addr) in self.living() {
            let config = self.jails.borrow().get(&name).map(|slot| slot.config.clone());
            let Some(config) = config.filter(|config| config.options.enforced) else { continue };
            match addr.send(Collect).await {
                Ok(wanted) => all.push((config.firewall, wanted, addr.recipient())),
                Err(error) => tracing::warn!(target: "fail2ban.actions", "[{name}] is not heard: {error}"),
            }
        }
        let outcome = self.ask_firewall(|done| firewall::Job::Replace { all, done }).await;
        for (_, addr) in self.living() {
            addr.do_send(Replaced);
        }
        outcome
    }

    /// Fills the firewall anew after it was changed by others, once for all who found it so.
    pub(super) async fn refill(&self) {
        if self.refilling.replace(true) {
            return;
        }
        if let Err(why) = self.enforce_all().await {
            tracing::error!(target: "fail2ban.actions", "the firewall could not be filled: {why}");
        }
        self.refilling.set(false);
    }

    /// Writes to the store which jails there are.
    pub(super) fn enable(&self) {
        let mut names: Vec<Arc<str>> = self.jails.borrow().keys().cloned().collect();
        names.extend(self.config.borrow().jails.iter().map(|config| config.options.name.clone()));
        names.sort();
        names.dedup();
        if let Some(store) = self.store_sender() {
            let _ = store.try_send(store::Job::Enable(names));
        }
    }

    /// Lets old history go.
    pub(super) fn purge(&self) {
        let age = self.config.borrow().daemon.purge_age;
        if let Some(store) = self.store_sender() {
            let _ = store.try_send(store::Job::Purge { now: now(), age });
        }
    }

    /// Starts a child again that has died, if that was not done meanwhile.
    pub(super) async fn revive(self: &Rc<Self>, child: Child) {
        if !self.stopping.get() && self.resurrect(&child) {
            self.start_again(child).await;
        }
    }

    /// Starts a child anew from what is remembered.
    pub(super) async fn start_again(self: &Rc<Self>, child: Child) {
        match &child {
            Child::Tailer => self.start_tailer(),
            Child::Timer => {
                self.start_timer();
                let timer = self.timer.borrow().clone().map(Addr::recipient);
                for (_, jail) in self.living() {
                    jail.do_send(Rewire { timer: timer.clone(), ..Rewire::default() });
                }
            }
            Child::Firewall => {
                let backends = self.heals(firewall::Backends::new(self.open.clone()));
                let spawned = firewall::spawn(self.firewall.1.clone(), backends, self.life(Child::Firewall));
                if let Err(error) = spawned {
                    tracing::error!(target: "fail2ban.server", "the firewall cannot be revived: {error}");
                } else if let Err(why) = self.enforce_all().await {
                    tracing::error!(target: "fail2ban.actions", "the firewall could not be filled: {why}");
                }
            }
            Child::Store => self.revive_store(),
            Child::Actions => {
                if let Err(why) = self.start_actions() {
                    tracing::error!(target: "fail2ban.server", "{why}");
                }
            }
            Child::Jail(name) => {
                let config = self.jails.borrow().get(name).map(|slot| slot.config.clone());
                let Some(config) = config else { return };
                self.start_jail(config, &mut self.traces(), Memory::All).await;
                let addr = self.jails.borrow().get(name).and_then(|slot| slot.addr.clone());
                if let Some(addr) = addr {
                    addr.do_send(Reenforce);
                }
            }
        }
        tracing::info!(target: "fail2ban.server", "{child} is back");
    }
}

/// A jail goes on from what is remembered, or from a part of it.
fn restore(jail: &mut Jail, saved: Saved, now: UnixTime, effects: &mut Vec<Effect>) {
    let Saved { bans, inherited, timeless, counters, state, waiting, .. } = saved;
    let new = jail.restore(Remembered { bans, inherited, timeless, counters, state, waiting }, now);
    // Without commands only the firewall hears of them, and of all at once.
    let told = jail.tells_commands();
    effects.extend(new.into_iter().filter(|effect| told || !matches!(effect, Effect::Ban(_))));
}

/// What is said of an interface that was named in vain.
pub(super) fn missing(interface: &str) -> String {
    format!(
        "there is no network interface {interface} (NETWORK_INTERFACE, daemon.interfaces): the addresses and gateways of \
         all count as this host's own"
    )
}
