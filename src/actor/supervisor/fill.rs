//! Makes every firewall what the jails want, again until the kernel takes it.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use futures_util::future::join_all;

use super::yard::Yard;
use crate::actor::firewall::{Job, Unfilled};
use crate::actor::jail::JailActor;
use crate::actor::message::{Acknowledged, Collect, Reenforce, Replaced};
use crate::config::FirewallKind;
use crate::firewall::Wanted;

/// How long until a firewall is filled again that refused it, at first and at last.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(60);
/// How long a jail may take to tell what it wants.
const PATIENCE: Duration = Duration::from_secs(30);

impl Yard {
    /// Makes those firewalls exactly what the jails want, and waits for the kernel. Where that fails, it is tried again.
    pub(super) async fn fill(self: &Rc<Self>, concerns: impl Fn(FirewallKind) -> bool) {
        self.fill_once(concerns).await;
        let yard = self.clone();
        actix::spawn(async move { yard.fill_the_rest().await });
    }

    /// Fills the firewalls anew after they were changed by others, once for all who found it so.
    pub(super) async fn refill(self: &Rc<Self>) {
        if !self.refilling.replace(true) {
            self.fill(|_| true).await;
            self.refilling.set(false);
        }
    }

    async fn fill_once(&self, concerns: impl Fn(FirewallKind) -> bool) {
        // What jails change between being collected and the word that all is in force is kept for one at a time.
        let _one_at_a_time = self.filling.lock().await;
        let asked = self.living().into_iter().filter_map(|(name, addr)| {
            let jails = self.jails.borrow();
            let config = &jails.get(&name)?.config;
            let is_asked = config.options.enforced && concerns(config.firewall);
            is_asked.then(|| wanted_by(name, config.firewall, addr))
        });
        let asked: Vec<_> = asked.collect();
        let mut all = Vec::new();
        let mut late = Vec::new();
        for told in join_all(asked).await {
            match told {
                Ok(wanted) => all.push(wanted),
                Err(addr) => late.push(addr),
            }
        }
        let unfilled = if all.is_empty() {
            Unfilled::new()
        } else {
            let kinds: Vec<_> = all.iter().map(|(kind, ..)| *kind).collect();
            let outcome = self.ask_firewall(|done| Job::Replace { all, done }).await;
            for (_, addr) in self.living() {
                addr.do_send(Replaced);
            }
            outcome.unwrap_or_else(|why| kinds.into_iter().map(|kind| (kind, why.clone())).collect())
        };
        // They do it themselves when they come to it.
        for addr in late {
            addr.do_send(Reenforce);
        }
        self.note_filled(concerns, unfilled);
    }

    /// What of those firewalls could not be filled, said once for each reason; all others are, or nobody wants them.
    fn note_filled(&self, concerns: impl Fn(FirewallKind) -> bool, unfilled: Unfilled) {
        let mut known = self.unfilled.borrow_mut();
        for (_, why) in unfilled.iter().filter(|(kind, why)| known.get(kind) != Some(why)) {
            tracing::error!(target: "fail2ban.actions", "{}", unfilled_text(why));
        }
        let was_unfilled = !known.is_empty();
        known.retain(|kind, _| !concerns(*kind));
        known.extend(unfilled);
        if was_unfilled && known.is_empty() {
            tracing::info!(target: "fail2ban.actions", "the firewall is filled");
        }
    }

    /// Fills what could not be filled, ever more seldom. One does so at a time.
    async fn fill_the_rest(&self) {
        if self.unfilled.borrow().is_empty() || self.insisting.replace(true) {
            return;
        }
        let mut pause = FIRST_PAUSE;
        while !self.unfilled.borrow().is_empty() {
            tokio::time::sleep(pause).await;
            if self.stopping.get() {
                return;
            }
            pause = (pause * 2).min(LAST_PAUSE);
            let rest: Vec<_> = self.unfilled.borrow().keys().copied().collect();
            self.fill_once(|kind| rest.contains(&kind)).await;
        }
        self.insisting.set(false);
    }
}

/// What a jail wants to be in force, if it tells in time; else the jail.
async fn wanted_by(
    name: Arc<str>,
    kind: FirewallKind,
    addr: Addr<JailActor>,
) -> Result<(FirewallKind, Wanted, Recipient<Acknowledged>), Addr<JailActor>> {
    let why = match tokio::time::timeout(PATIENCE, addr.send(Collect)).await {
        Ok(Ok(wanted)) => return Ok((kind, wanted, addr.recipient())),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("it has not answered for {PATIENCE:?}"),
    };
    tracing::error!(target: "fail2ban.actions", "[{name}] the firewall is filled without its bans: {why}");
    Err(addr)
}

/// What is said of a firewall that could not be filled.
pub(super) fn unfilled_text(why: &str) -> String {
    format!("the firewall could not be filled, it is tried again: {why}")
}
