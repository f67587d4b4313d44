//! Start and revival: store, firewall, timer, jails with their past, the kernel's word, then the tailer.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::notify;
use super::past::Memory;
use super::yard::Yard;
use crate::actor::guard::Child;
use crate::actor::message::{Own, Reenforce, Register, Rewire, Watching};
use crate::actor::tailer::TailerActor;
use crate::actor::timer::TimerActor;
use crate::actor::{action, firewall, now, store};
use crate::control::text;
use crate::memory;
use crate::net;

/// How long until the kernel is asked again for own addresses, when it did not tell.
const WATCH_AGAIN: Duration = Duration::from_secs(10);
/// What is said then; only loopback is spared, or what was known before.
const UNKNOWN: &str = "changes of the host's own addresses and gateways are not seen";

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
        let filled = self.start_jails(configs, &mut traces).await;
        drop(traces);
        self.fill(|kind| !filled.contains(&kind)).await;
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
                } else {
                    self.fill(|_| true).await;
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

/// What is said of an interface that was named in vain.
pub(super) fn missing(interface: &str) -> String {
    format!(
        "there is no network interface {interface} (NETWORK_INTERFACE, daemon.interfaces): the addresses and gateways of \
         all count as this host's own"
    )
}
