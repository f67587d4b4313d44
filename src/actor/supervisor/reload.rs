//! Reload: the configuration is read and checked whole, then only what differs moves.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::past::Memory;
use super::signals;
use super::traces::Traces;
use super::yard::{PATIENCE, Slot, Yard};
use crate::actor::guard::Child;
use crate::actor::message::{
    HandedOn, IgnoreFiles, LoggedIn, Reenforce, Register, Retire, Retune, Unsubscribe,
};
use crate::actor::{firewall, store};
use crate::config::{self, Config, JailConfig, Step};
use crate::control::request::Reloaded;
use crate::ignore::{self, SpareLogins};
use crate::subnet::Subnet;

/// How a file looked: none when it is missing.
type Look = Option<(u64, u64, i64, i64)>;

/// Addresses to ignore, each with its rule.
type List = Vec<(Subnet, Arc<str>)>;

/// What the watched files looked like.
#[derive(Default)]
pub(super) struct Seen {
    drop_ins: Option<BTreeMap<PathBuf, Look>>,
    /// They changed at the last look: loaded when they have not changed again at the next.
    unsettled: bool,
    ignore: HashMap<PathBuf, (Look, List)>,
}

/// What the sandbox was not closed for, it does not open any more.
fn warn_of_outside(new: &Config, only: Option<&str>, told: &mut Reloaded) {
    let outside = new.outside(only);
    for what in &outside {
        tracing::error!(target: "fail2ban.server", "{what}");
    }
    told.mistakes.extend(outside);
}

fn look_at(path: &Path) -> Look {
    let meta = fs::metadata(path).ok()?;
    Some((meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec()))
}

impl Yard {
    /// Reads the configuration again and moves what differs (all jails, or one); for good, or until `confirm` is over without
    /// a confirmation.
    pub(super) async fn reload(
        self: &Rc<Self>,
        only: Option<&str>,
        confirm: Option<Duration>,
    ) -> Result<Reloaded, String> {
        if self.stopping.get() {
            return Err("it is stopping".to_owned());
        }
        let _one_at_a_time = self.reloading.lock().await;
        notify_reloading(true);
        if confirm.is_some() {
            self.begin_trial();
        }
        let sources = self.sources.clone();
        let loaded = tokio::task::spawn_blocking(move || config::load(&sources)).await;
        let mut outcome = match loaded {
            Ok(new) => self.move_to(new, only).await,
            Err(error) => Err(format!("the configuration could not be read: {error}")),
        };
        match (confirm, &mut outcome) {
            (Some(span), _) => self.await_confirmation(&mut outcome, span),
            (None, Ok(told)) => told.confirm_until = self.on_trial().map(|trial| trial.until),
            (None, Err(_)) => {}
        }
        notify_reloading(false);
        outcome
    }

    pub(super) async fn move_to(
        self: &Rc<Self>,
        new: Config,
        only: Option<&str>,
    ) -> Result<Reloaded, String> {
        if new.refused.everything {
            let why: Vec<_> = new.mistakes.iter().map(ToString::to_string).collect();
            return Err(format!("nothing was moved: {}", why.join("; ")));
        }
        if let Some(only) = only
            && !new.knows(only)
            && !self.jails.borrow().contains_key(only)
        {
            return Err(format!("there is no jail {only}"));
        }
        let mut told = Reloaded {
            mistakes: new
                .mistakes
                .iter()
                .filter(|mistake| only.is_none() || mistake.jail.as_deref() == only)
                .map(ToString::to_string)
                .collect(),
            ..Reloaded::default()
        };
        warn_of_outside(&new, only, &mut told);
        self.move_jails(&new, only, &mut told).await;
        if only.is_none() {
            self.note_moved(&[], true);
            let mut new = new;
            if new.refused.daemon {
                new.daemon = self.config.borrow().daemon.clone();
            }
            self.retune_daemon(&new, &mut told);
            // It moves at the next restart.
            new.daemon.store.clone_from(&self.config.borrow().daemon.store);
            self.world.retell(&new);
            *self.config.borrow_mut() = new;
        }
        self.enable();
        self.look_at_ignored(true);
        Ok(told)
    }

    /// Moves the jails that differ, all or one.
    pub(super) async fn move_jails(self: &Rc<Self>, new: &Config, only: Option<&str>, told: &mut Reloaded) {
        let running: Vec<JailConfig> = self.jails.borrow().values().map(|slot| slot.config.clone()).collect();
        let mut moved = Vec::new();
        for step in config::diff(&running, new, only) {
            let name = step.jail().clone();
            if let Err(why) = self.step(step, told).await {
                told.mistakes.push(format!("{name}: {why}"));
            }
            moved.push(name);
        }
        self.note_moved(&moved, false);
        self.revive_parked(only, &mut moved, told).await;
        self.await_kernel(&moved, told).await;
        let same = running.iter().map(|config| &config.options.name);
        told.same = same
            .filter(|name| only.is_none_or(|only| &***name == only) && !moved.contains(name))
            .map(ToString::to_string)
            .collect();
        // What they are told from may differ although they do not.
        let mut jails = self.jails.borrow_mut();
        for config in &new.jails {
            let name = &config.options.name;
            if only.is_none_or(|only| &**name == only)
                && !moved.contains(name)
                && let Some(slot) = jails.get_mut(name)
            {
                slot.config = config.clone();
            }
        }
    }

    /// Waits for the kernel's word on what moved: what is said of it is in force.
    async fn await_kernel(&self, moved: &[Arc<str>], told: &mut Reloaded) {
        for name in moved {
            let addr = self.jails.borrow().get(name).and_then(|slot| slot.addr.clone());
            if let Some(addr) = addr {
                // It died: its heir hands everything on anew.
                let _ = addr.send(HandedOn).await;
            }
        }
        if moved.is_empty() {
            return;
        }
        match self.ask_firewall(firewall::Job::Sync).await {
            Ok(refused) => {
                let theirs = refused.iter().filter(|(name, _)| moved.contains(name));
                told.mistakes.extend(
                    theirs.map(|(name, why)| format!("{name}: its rules are not in the firewall yet: {why}")),
                );
            }
            Err(why) => {
                told.mistakes.push(format!("whether all of it is in the firewall is not known: {why}"));
            }
        }
    }

    async fn step(self: &Rc<Self>, step: Step, told: &mut Reloaded) -> Result<(), String> {
        match step {
            Step::Start(config) => {
                let name = config.options.name.clone();
                self.start_jail(*config, &mut Traces::default(), Memory::All).await;
                let addr = self.jails.borrow().get(&name).and_then(|slot| slot.addr.clone());
                let addr = addr.ok_or("it could not be started: see the log")?;
                addr.send(Reenforce).await.map_err(|error| error.to_string())?;
                told.moved.push(format!("{name}: started"));
            }
            Step::Stop(name) => {
                self.stop_jail(&name).await;
                told.moved.push(format!("{name}: stopped, its bans are lifted"));
            }
            Step::Retune(config, what) => {
                let name = config.options.name.clone();
                let addr = self.jails.borrow().get(&name).and_then(|slot| slot.addr.clone());
                let addr = addr.ok_or("it is not running")?;
                if config.cut.is_some() {
                    self.cutter.begin();
                }
                let retune = Retune { config: config.clone(), on_trial: self.is_on_trial() };
                addr.send(retune).await.map_err(|error| error.to_string())??;
                if let Some(slot) = self.jails.borrow_mut().get_mut(&name) {
                    slot.config = *config;
                }
                told.moved.push(format!("{name}: {}", what.join(", ")));
            }
            Step::Keep(_) => {}
        }
        Ok(())
    }

    pub(super) async fn stop_jail(&self, name: &Arc<str>) {
        self.dismiss(&Child::Jail(name.clone()));
        self.world.stopped(name);
        let slot = self.jails.borrow_mut().remove(name);
        if let Some(addr) = slot.and_then(|slot| slot.addr) {
            let limit = PATIENCE + self.config.borrow().daemon.stop_timeout;
            if tokio::time::timeout(limit, addr.send(Retire { lift: true })).await.is_err() {
                tracing::error!(target: "fail2ban.actions", "[{name}] its actions are not stopped after {limit:?}");
            }
            if let Err(why) = self.ask_firewall(firewall::Job::Sync).await {
                tracing::error!(target: "fail2ban.actions", "[{name}] its bans may not be lifted yet: {why}");
            }
        }
        if let Some(tailer) = &*self.tailer.borrow() {
            tailer.do_send(Unsubscribe(name.clone()));
        }
        if let Some(timer) = &*self.timer.borrow() {
            timer.do_send(Register { jail: name.clone(), to: None });
        }
    }

    /// A parked jail gets another chance when it is reloaded.
    async fn revive_parked(
        self: &Rc<Self>,
        only: Option<&str>,
        moved: &mut Vec<Arc<str>>,
        told: &mut Reloaded,
    ) {
        let parked: Vec<Arc<str>> = self
            .jails
            .borrow()
            .iter()
            .filter(|(name, slot)| slot.parked && only.is_none_or(|only| &***name == only))
            .map(|(name, _)| name.clone())
            .collect();
        for name in parked {
            self.unpark(&Child::Jail(name.clone()));
            self.start_again(Child::Jail(name.clone())).await;
            told.moved.push(format!("{name}: started again after it was parked"));
            moved.push(name);
        }
    }

    pub(super) fn retune_daemon(&self, new: &Config, told: &mut Reloaded) {
        let old = self.config.borrow().daemon.clone();
        let now = &new.daemon;
        if old.log_level != now.log_level {
            match self.logs.set_level(&now.log_level) {
                Ok(()) => told.moved.push(format!("daemon: log_level is {}", now.log_level)),
                Err(error) => told.mistakes.push(format!("daemon: {error}")),
            }
        }
        if old.log_target != now.log_target {
            match self.logs.set_target(&now.log_target) {
                Ok(()) => told.moved.push(format!("daemon: log_target is {}", now.log_target)),
                Err(error) => told.mistakes.push(format!("daemon: {error}")),
            }
        }
        if old.stop_timeout != now.stop_timeout {
            told.moved.push("daemon: stop_timeout".to_owned());
        }
        if old.store_matches != now.store_matches
            && let Some(store) = self.store_sender()
            && store.try_send(store::Job::Keep(now.store_matches)).is_ok()
        {
            told.moved.push(format!("daemon: store_matches is {}", now.store_matches));
        }
        if old.heal != now.heal && self.firewall.0.try_send(firewall::Job::Heal(now.heal)).is_ok() {
            told.moved.push("daemon: heal".to_owned());
        }
        if old.logins != now.logins {
            self.logins.move_to(now.logins.clone());
            told.moved.push("daemon: logins".to_owned());
        }
        let fixed = [
            ("socket", old.socket != now.socket),
            ("pid_file", old.pid_file != now.pid_file),
            ("store", old.store != now.store),
            ("log_format", old.log_format != now.log_format),
            ("interfaces", old.interfaces != now.interfaces),
            ("sandbox", old.sandbox != now.sandbox),
            ("socket_group", old.socket_group != now.socket_group),
        ];
        for (key, _) in fixed.iter().filter(|(_, differs)| *differs) {
            told.moved.push(format!("daemon: {key} moves at the next restart"));
        }
    }

    /// What to look at: the layers of TOML, and the Fail2Ban tree.
    fn watched(&self) -> Vec<PathBuf> {
        let tree = self.config.borrow().watched.clone();
        self.sources.watched().into_iter().chain(tree).collect()
    }

    /// Looks at drop-ins (when they are watched) and ignore files, and loads what changed.
    pub(super) async fn look(self: &Rc<Self>) {
        self.look_at_ignored(false);
        self.look_at_logins();
        if !self.config.borrow().daemon.watch || self.stopping.get() {
            return;
        }
        let now: BTreeMap<_, _> =
            self.watched().into_iter().map(|path| (path.clone(), look_at(&path))).collect();
        let settled = {
            let mut seen = self.seen.borrow_mut();
            let same = seen.drop_ins.as_ref().is_none_or(|before| *before == now);
            let settled = seen.unsettled && same;
            seen.unsettled = !same;
            seen.drop_ins = Some(now);
            settled
        };
        if settled {
            signals::log(self.reload(None, None).await);
        }
    }

    /// Looks whether anybody has logged in or out, and tells the jails whom that concerns.
    fn look_at_logins(&self) {
        let concerns = |slot: &Slot| slot.config.options.ignore.logins != SpareLogins::Nobody;
        if !self.jails.borrow().values().any(concerns) {
            return;
        }
        let logins = self.logins.fresh();
        if !Arc::ptr_eq(&logins, &self.logged_in.replace(logins.clone())) {
            for (_, jail) in self.living() {
                jail.do_send(LoggedIn);
            }
        }
    }

    /// Reads the ignore files that changed, and tells the jails that name them.
    pub(super) fn look_at_ignored(&self, all: bool) {
        let jails: Vec<_> = self
            .jails
            .borrow()
            .values()
            .filter(|slot| !slot.config.ignore_files.is_empty())
            .filter_map(|slot| Some((slot.config.ignore_files.clone(), slot.addr.clone()?)))
            .collect();
        let mut changed = Vec::new();
        for path in jails.iter().flat_map(|(paths, _)| paths) {
            let look = look_at(path);
            let mut seen = self.seen.borrow_mut();
            if seen.ignore.get(path).is_some_and(|(before, _)| *before == look) {
                continue;
            }
            let list = read_list(path);
            changed.push(path.clone());
            seen.ignore.insert(path.clone(), (look, list));
        }
        for (paths, addr) in jails {
            if all || paths.iter().any(|path| changed.contains(path)) {
                let seen = self.seen.borrow();
                let lists = paths.iter().filter_map(|path| seen.ignore.get(path));
                addr.do_send(IgnoreFiles(lists.flat_map(|(_, list)| list.iter().cloned()).collect()));
            }
        }
    }
}

/// The addresses in an ignore file; lines that are none are said.
fn read_list(path: &Path) -> List {
    let rule: Arc<str> = format!("file:{}", path.display()).into();
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            tracing::warn!(target: "fail2ban.filter", "{rule} cannot be read: {error}");
            return Vec::new();
        }
    };
    let (nets, mistakes) = ignore::parse_list(&text);
    for (line, mistake) in mistakes {
        tracing::warn!(target: "fail2ban.filter", "{}:{line}: {mistake}", path.display());
    }
    nets.into_iter().map(|net| (net, rule.clone())).collect()
}

fn notify_reloading(begins: bool) {
    if begins {
        match sd_notify::NotifyState::monotonic_usec_now() {
            Ok(usec) => super::notify(&[sd_notify::NotifyState::Reloading, usec]),
            Err(_) => super::notify(&[sd_notify::NotifyState::Reloading]),
        }
    } else {
        super::notify(&[sd_notify::NotifyState::Ready]);
    }
}
