//! The database: its thread starts, is revived, and gives way to another file.

use std::path::Path;

use std::sync::Arc;

use tokio::sync::mpsc;

use super::yard::Yard;
use crate::actor::guard::Child;
use crate::actor::message::{Lost, Recollect, Rewire};
use crate::actor::{now, store};
use crate::store::{Opened, Saved, Store};

/// So begins the warning that there is no store.
pub const NOT_REMEMBERED: &str = "nothing is remembered";

/// So many looks are between two tries to open a store.
const TRIES: u32 = 5;

impl Yard {
    /// Starts the store's thread on its mailbox.
    pub(super) fn start_store(&self, store: Store) -> Result<(), String> {
        let receiver = self.store.borrow().as_ref().map(|(_, receiver)| receiver.clone());
        let Some(receiver) = receiver else { return Ok(()) };
        store::spawn(receiver, store, self.health.clone(), self.life(Child::Store))
            .map(drop)
            .map_err(|error| format!("the store's thread cannot be started: {error}"))
    }

    pub(super) fn revive_store(&self) {
        let receiver = self.store.borrow().as_ref().map(|(_, receiver)| receiver.clone());
        let Some(receiver) = receiver else { return };
        let Some(path) = self.config.borrow().daemon.store.clone() else { return };
        let alive = self.life(Child::Store);
        let damage = self.health.take_damage();
        let opened = Store::open(&path, now()).and_then(|opened| match damage {
            Some(why) if opened.set_aside.is_none() => opened.store.set_aside(now(), &why),
            _ => Ok(opened),
        });
        let opened = match opened {
            Ok(opened) => opened,
            Err(error) => {
                // The guard is dropped here: it is tried again, later.
                tracing::error!(target: "fail2ban.database", "the store cannot be opened: {error}");
                return;
            }
        };
        let (store, new) = self.take_in(opened);
        let spawned = store::spawn(receiver, store, self.health.clone(), alive);
        if let Err(error) = spawned {
            tracing::error!(target: "fail2ban.database", "the store's thread cannot be started: {error}");
        }
        for (_, jail) in self.living() {
            let store = Some(if new { Lost::Everything } else { Lost::InHand });
            jail.do_send(Rewire { store, ..Rewire::default() });
        }
    }

    /// Says what was found in a file; with it, whether it is new in the place of a damaged one.
    fn take_in(&self, mut opened: Opened) -> (Store, bool) {
        opened.store.keep_matches(self.config.borrow().daemon.store_matches);
        let new = opened.set_aside.is_some();
        if let Some((aside, why)) = opened.set_aside {
            let what = format!("the store was damaged and set aside as {}: {why}", aside.display());
            tracing::error!(target: "fail2ban.database", "{what}");
            self.warnings.borrow_mut().push(what);
        }
        (opened.store, new)
    }

    /// So many lines of a ban are kept from now on.
    pub(super) fn keep_matches(&self, matches: usize) {
        self.config.borrow_mut().daemon.store_matches = matches;
        if let Some(store) = self.store_sender() {
            let _ = store.try_send(store::Job::Keep(matches));
        }
    }

    /// Nobody writes any more: what is on its way is written, and the file is closed.
    pub(super) async fn close_store(&self) {
        if self.store.borrow().is_none() {
            return;
        }
        self.dismiss(&Child::Store);
        if let Some(Err(why)) = self.ask_store(store::Job::Stop).await {
            tracing::error!(target: "fail2ban.database", "the database was not closed in order: {why}");
        }
        *self.store.borrow_mut() = None;
        self.lanes.set_store(None);
    }

    /// Remembers in this file from now on; there was none before.
    pub(super) fn open_store(&self, path: &Path) -> Result<(), String> {
        let opened = Store::open(path, now()).map_err(|error| format!("dbfile: {error}"))?;
        let (store, _) = self.take_in(opened);
        let mailbox = store::mailbox();
        self.lanes.set_store(Some(mailbox.0.clone()));
        *self.store.borrow_mut() = Some(mailbox);
        *self.store_text.borrow_mut() = path.display().to_string();
        self.store_later.set(None);
        self.start_store(store)
    }

    /// What could not be written at the start may be by now: then it is caught up, both ways.
    pub(super) async fn try_store(&self) {
        let Some(wait) = self.store_later.get().filter(|_| self.ready.get() && !self.stopping.get()) else {
            return;
        };
        self.store_later.set(Some(wait.checked_sub(1).unwrap_or(TRIES)));
        let path = self.config.borrow().daemon.store.clone().filter(|_| wait == 0);
        let Some(path) = path else { return };
        let _one_at_a_time = self.reloading.lock().await;
        if let Err(error) = self.open_store(&path) {
            tracing::debug!(target: "fail2ban.database", "there is still no store: {error}");
            return;
        }
        self.warnings.borrow_mut().retain(|what| !what.starts_with(NOT_REMEMBERED));
        tracing::info!(
            target: "fail2ban.database",
            "{} can be written now: what happened meanwhile is written, bans from before come back",
            path.display()
        );
        self.enable();
        for (name, jail) in self.living() {
            let saved = self.saved(&name).await;
            if let Some(store) = self.store_sender() {
                jail.do_send(Recollect { store, saved });
            }
        }
    }

    /// What the store remembers of a jail, in parts.
    async fn saved(&self, jail: &Arc<str>) -> Vec<Saved> {
        let (parts, mut read) = mpsc::unbounded_channel();
        let (jails, now) = (vec![jail.clone()], now());
        let loaded = self.ask_store(|done| store::Job::Load { jails, now, parts, done }).await;
        let mut saved = Vec::new();
        while let Ok((_, part)) = read.try_recv() {
            saved.push(part);
        }
        saved.extend(loaded.and_then(Result::ok).into_iter().flatten().filter_map(Result::ok));
        saved
    }
}
