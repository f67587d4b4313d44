//! A jail's effects become changes for the firewall, entries for the store and lines in the log.

use std::time::Duration;

use super::book::Word;
use super::{JailActor, SAFETY, consult};
use crate::firewall::{Change, Element};
use crate::id::Id;
use crate::jail::{Effect, Release};
use crate::log::notice;
use crate::source::Block;
use crate::store::Entry;
use crate::time::UnixTime;

/// Whoever fails so long after his ban makes its actions' environment doubtful (SPEC §4.2).
const CHECKED_AFTER: Duration = Duration::from_secs(3);

impl JailActor {
    /// Turns effects into changes for the firewall, tasks for actions, entries for the store and lines in the log.
    pub(super) fn carry(&mut self, effects: &mut Vec<Effect>, now: UnixTime) -> Vec<Change> {
        let _lines = crate::log::gather();
        let (mut changes, mut held) = (Vec::new(), Vec::new());
        while !effects.is_empty() {
            let mut words = Vec::new();
            for effect in std::mem::take(effects) {
                if let (Effect::Enforced(id, _), Some(_)) = (&effect, &self.config.cut) {
                    held.extend(id.net());
                }
                self.carry_one(effect, now, &mut changes, &mut words);
            }
            self.obey(words, effects);
        }
        if let Some(scope) = &self.config.cut {
            self.wires.cutter.cut(self.name(), scope, held);
        }
        if let Some(meanwhile) = &mut self.meanwhile {
            meanwhile.extend(changes.iter().cloned());
        }
        changes
    }

    fn carry_one(&mut self, effect: Effect, now: UnixTime, changes: &mut Vec<Change>, words: &mut Vec<Word>) {
        // A name of one's own would be counted each time, in memory that the firewall's thread reads meanwhile.
        let name = &self.config.options.name;
        match effect {
            Effect::Found(id, time) => {
                let said = found(name, &id, time);
                tracing::info!(target: "fail2ban.filter", message = &*said);
            }
            Effect::Ignored(id, rule) => {
                tracing::info!(target: "fail2ban.filter", "[{name}] Ignore {id} by {rule}");
            }
            Effect::Futile(futile) => {
                tracing::warn!(target: "fail2ban.actions", "[{name}] {futile}");
            }
            Effect::Spared(spared) => {
                tracing::warn!(target: "fail2ban.actions", "[{name}] {spared}");
            }
            Effect::Shut(id, why) => {
                tracing::warn!(target: "fail2ban.actions", "[{name}] {}", shut(&id, &why));
            }
            Effect::Masked(masked) => {
                tracing::warn!(target: "fail2ban.filter", "[{name}] {masked}");
            }
            Effect::Ban(ban) => {
                let timeout = ban.until().map(|until| until.since(now) + SAFETY);
                self.enforce(&ban.id, timeout, changes);
                self.tell_ban(&ban, words);
            }
            Effect::Remember(ban) => self.outbox.push(Entry::Banned(name.clone(), ban)),
            Effect::Increase(ban) => {
                let timeout = ban.until().map(|until| until.since(now) + SAFETY);
                self.enforce(&ban.id, timeout, changes);
                self.commands.book.prolong(&ban.id);
                consult::say_increased(name, &ban);
            }
            Effect::Unreckoned(id, why) => {
                tracing::error!(target: "fail2ban.observer", "[{name}] the ban time of {id} stays as it is: its formula {why}");
            }
            Effect::FoundBad(id, time, count, weight) => {
                let bans = weight >= self.config.options.tracker.max_retry;
                consult::say_bad(name, &id, time, count, (weight, bans));
            }
            Effect::Consult(question) => self.consults.ask(question),
            Effect::Recall(id) => self.consults.recall(id),
            Effect::Prolong(ban) => {
                let timeout = ban.until().map(|until| until.since(now) + SAFETY);
                self.enforce(&ban.id, timeout, changes);
                self.commands.book.prolong(&ban.id);
                // One whose time is not known yet is not remembered yet, or it would count as an earlier one.
                if !self.jail.owes(&ban.id) {
                    self.outbox.push(Entry::Prolonged(name.clone(), ban));
                }
            }
            Effect::Already(id, since) => {
                already(name, &id, now.since(since));
                if now.since(since) > CHECKED_AFTER {
                    self.commands.book.check(now);
                }
            }
            Effect::Expired(id) => {
                notice!(target: "fail2ban.actions", "[{name}] Ignore {id}, expired bantime");
            }
            Effect::Enforced(id, restored) => {
                let begun = || self.jail.banned(&id).map(|ban| ban.time);
                let restored = if self.said.take(&id, restored, begun) { "Restore " } else { "" };
                notice!(target: "fail2ban.actions", "[{name}] {restored}Ban {id}");
                self.commands.book.holds(&id, words);
            }
            Effect::NotEnforced(id, why) => {
                tracing::error!(target: "fail2ban.actions", "[{name}] {id} is not banned: {why}");
            }
            Effect::Unban(id, release) => {
                if let (Some(net), true) = (id.net(), self.config.options.enforced) {
                    changes.push(Change::Unban { jail: name.clone(), net });
                }
                notice!(target: "fail2ban.actions", "[{name}] Unban {id}");
                self.tell_unban(&id, words);
                if release == Release::Operator {
                    self.outbox.push(Entry::Forgotten(self.config.options.name.clone(), Some(id)));
                }
            }
            Effect::Forget(id) => self.outbox.push(Entry::Forgotten(name.clone(), id)),
        }
    }

    /// Lines without a date count as of their reading, also when they are read again after a kill.
    pub(super) fn date_bans(&mut self, effects: &[Effect], block: &Block) {
        for effect in effects {
            if let Effect::Ban(ban) = effect
                && ban.time == block.read_at
            {
                self.said.undated(&ban.id, block.since);
            }
        }
    }

    fn enforce(&self, id: &Id, timeout: Option<Duration>, changes: &mut Vec<Change>) {
        if let (Some(net), true) = (id.net(), self.config.options.enforced) {
            changes.push(Change::Ban { jail: self.name().clone(), element: Element { net, timeout } });
        }
    }
}

/// What is said of a failure. A flood has many, so no formatter is asked.
fn found(name: &str, id: &Id, time: UnixTime) -> String {
    let mut said = Vec::with_capacity(96);
    said.push(b'[');
    said.extend_from_slice(name.as_bytes());
    said.extend_from_slice(b"] Found ");
    match id {
        Id::Net(net) => net.spell(&mut said),
        Id::Text(text) => said.extend_from_slice(text.as_bytes()),
    }
    said.extend_from_slice(b" - ");
    crate::log::local(time).spell(&mut said);
    String::from_utf8(said).unwrap_or_default()
}

/// What is said of a banned host that somebody is logged in from.
pub(super) fn shut(id: &impl std::fmt::Display, why: &str) -> String {
    format!("{id} is banned, and {why}: the ban stays until `stockade unban {id}`")
}

/// Fail2Ban's levels: an address that goes on failing although banned is the louder, the longer it does.
fn already(name: &str, id: &Id, age: Duration) {
    match age.as_secs() {
        0..3 => tracing::debug!(target: "fail2ban.actions", "[{name}] {id} already banned"),
        3..60 => notice!(target: "fail2ban.actions", "[{name}] {id} already banned"),
        _ => tracing::warn!(target: "fail2ban.actions", "[{name}] {id} already banned"),
    }
}
