//! A jail's effects become changes for the firewall, entries for the store and lines in the log.

use std::time::Duration;

use super::{JailActor, SAFETY, consult};
use crate::firewall::{Change, Element};
use crate::id::Id;
use crate::jail::{Effect, Release};
use crate::log::notice;
use crate::store::Entry;
use crate::time::UnixTime;

impl JailActor {
    /// Turns effects into changes for the firewall, entries for the store and lines in the log.
    pub(super) fn carry(&mut self, effects: &mut Vec<Effect>, now: UnixTime) -> Vec<Change> {
        let name = self.name().clone();
        let mut changes = Vec::new();
        for effect in effects.drain(..) {
            match effect {
                Effect::Found(id, time) => {
                    tracing::info!(target: "fail2ban.filter", "[{name}] Found {id} - {}", crate::log::local(time));
                }
                Effect::Ignored(id, rule) => {
                    tracing::info!(target: "fail2ban.filter", "[{name}] Ignore {id} by {rule}");
                }
                Effect::Ban(ban) => {
                    let timeout = ban.until().map(|until| until.since(now) + SAFETY);
                    self.enforce(&ban.id, timeout, &mut changes);
                }
                Effect::Remember(ban) => self.outbox.push(Entry::Banned(name.clone(), ban)),
                Effect::Increase(ban) => {
                    let timeout = ban.until().map(|until| until.since(now) + SAFETY);
                    self.enforce(&ban.id, timeout, &mut changes);
                    consult::say_increased(&name, &ban);
                }
                Effect::Unreckoned(id, why) => {
                    tracing::error!(target: "fail2ban.observer", "[{name}] the ban time of {id} stays as it is: its formula {why}");
                }
                Effect::FoundBad(id, time, count, weight) => {
                    let max_retry = self.config.options.tracker.max_retry;
                    consult::say_bad(&name, &id, time, count, (weight, weight >= max_retry));
                }
                Effect::Consult(question) => self.consults.ask(question),
                Effect::Recall(id) => self.consults.recall(id),
                Effect::Prolong(ban) => {
                    let timeout = ban.until().map(|until| until.since(now) + SAFETY);
                    self.enforce(&ban.id, timeout, &mut changes);
                    // One whose time is not known yet is not remembered yet, or it would count as an earlier one.
                    if !self.jail.owes(&ban.id) {
                        self.outbox.push(Entry::Prolonged(name.clone(), ban));
                    }
                }
                Effect::Already(id, since) => already(&name, &id, now.since(since)),
                Effect::Expired(id) => {
                    notice!(target: "fail2ban.actions", "[{name}] Ignore {id}, expired bantime");
                }
                Effect::Enforced(id, true) => {
                    notice!(target: "fail2ban.actions", "[{name}] Restore Ban {id}");
                }
                Effect::Enforced(id, false) => notice!(target: "fail2ban.actions", "[{name}] Ban {id}"),
                Effect::NotEnforced(id, why) => {
                    tracing::error!(target: "fail2ban.actions", "[{name}] {id} is not banned: {why}");
                }
                Effect::Unban(id, release) => {
                    if let (Some(net), true) = (id.net(), self.config.options.enforced) {
                        changes.push(Change::Unban { jail: name.clone(), net });
                    }
                    notice!(target: "fail2ban.actions", "[{name}] Unban {id}");
                    if release == Release::Operator {
                        self.outbox.push(Entry::Forgotten(name.clone(), Some(id)));
                    }
                }
                Effect::Forget(id) => self.outbox.push(Entry::Forgotten(name.clone(), id)),
            }
        }
        if let Some(meanwhile) = &mut self.meanwhile {
            meanwhile.extend(changes.iter().cloned());
        }
        changes
    }

    fn enforce(&self, id: &Id, timeout: Option<Duration>, changes: &mut Vec<Change>) {
        if let (Some(net), true) = (id.net(), self.config.options.enforced) {
            changes.push(Change::Ban { jail: self.name().clone(), element: Element { net, timeout } });
        }
    }
}

/// Fail2Ban's levels: an address that goes on failing although banned is the louder, the longer it does.
fn already(name: &str, id: &Id, age: Duration) {
    match age.as_secs() {
        0..3 => tracing::debug!(target: "fail2ban.actions", "[{name}] {id} already banned"),
        3..60 => notice!(target: "fail2ban.actions", "[{name}] {id} already banned"),
        _ => tracing::warn!(target: "fail2ban.actions", "[{name}] {id} already banned"),
    }
}
