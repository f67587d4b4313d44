//! `reload --confirm`: the configuration before is kept until the new one is confirmed, and returns if it is not.
//!
//! When is decided by [`crate::probation`]; whom that lets in by each jail.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::fail2ban::Options;
use super::signals;
use super::yard::Yard;
use crate::actor::message::Tried;
use crate::actor::now;
use crate::config::{Config, JailConfig, Refused};
use crate::control::request::{OnTrial, Reloaded};
use crate::jail::Jail;
use crate::log::local;
use crate::span;
use crate::time::UnixTime;

/// The shortest and the longest time to confirm.
const SPANS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(86_400));
/// How long a stop waits for the configuration before.
const AT_STOP: Duration = Duration::from_secs(1);

/// What returns.
pub(super) struct Before {
    config: Config,
    jails: BTreeMap<Arc<str>, JailConfig>,
    told: Options,
    /// The jails that moved since; the others are not touched.
    moved: BTreeSet<Arc<str>>,
    /// The whole program moved, and not single jails alone.
    whole: bool,
    since: UnixTime,
    until: Option<UnixTime>,
}

/// How long an operator wants to be able to confirm.
pub(super) fn span_of(text: &str) -> Result<Duration, String> {
    let span = span::parse(text).map_err(|error| format!("--confirm: {error}"))?;
    let (least, most) = SPANS;
    if span < least || span > most {
        return Err(format!("--confirm: from {} to {}", span::format(least), span::format(most)));
    }
    Ok(span)
}

impl Yard {
    /// Seconds on a clock that nobody sets.
    fn clock(&self) -> Duration {
        Instant::now().duration_since(self.since)
    }

    /// Something new is going to be put in force on trial: keeps what runs now.
    pub(super) fn begin_trial(&self) {
        let running = |jails: &BTreeMap<Arc<str>, super::yard::Slot>| {
            jails.iter().map(|(name, slot)| (name.clone(), slot.config.clone())).collect()
        };
        self.trial.borrow_mut().begin(|| Before {
            config: self.config.borrow().clone(),
            jails: running(&self.jails.borrow()),
            told: self.world.told(),
            moved: BTreeSet::new(),
            whole: false,
            since: now(),
            until: None,
        });
    }

    /// It is in force, or not: from here on it waits to be confirmed, or nothing does.
    pub(super) fn await_confirmation(&self, outcome: &mut Result<Reloaded, String>, span: Duration) {
        let mut trial = self.trial.borrow_mut();
        let Ok(told) = outcome else { return trial.give_up() };
        let until = now() + span;
        trial.wait(self.clock() + span);
        if let Some(before) = trial.before_mut() {
            before.until = Some(until);
        }
        told.confirm_until = Some(until);
        tracing::warn!(
            target: "fail2ban.server",
            "reload: on trial: unless `stockade confirm` comes before {}, the configuration before returns",
            local(until)
        );
    }

    /// Whether what moves now is on trial, too: also what is reloaded meanwhile without a word about it.
    pub(super) fn is_on_trial(&self) -> bool {
        self.trial.borrow().before().is_some()
    }

    /// These jails have moved, and with them perhaps the whole program.
    pub(super) fn note_moved(&self, names: &[Arc<str>], whole: bool) {
        if let Some(before) = self.trial.borrow_mut().before_mut() {
            before.moved.extend(names.iter().cloned());
            before.whole |= whole;
        }
    }

    /// What waits to be confirmed, for `status`.
    pub(super) fn on_trial(&self) -> Option<OnTrial> {
        let trial = self.trial.borrow();
        let before = trial.before()?;
        let jails = before.moved.iter().map(ToString::to_string).collect();
        Some(OnTrial { since: before.since, until: before.until?, jails })
    }

    /// A jail that is started anew in the middle of a trial learns what it worked by before.
    pub(super) fn resume_trial(&self, jail: &mut Jail) {
        let trial = self.trial.borrow();
        let Some(before) = trial.before() else { return };
        let Some(old) = before.jails.get(jail.name()) else { return };
        if old.options != *jail.options() {
            // Logs know no more of a moment than its second.
            jail.resume_trial(old.options.clone(), UnixTime::from_secs(before.since.secs()));
        }
    }

    /// What is on trial stays; the jails that moved.
    pub(super) async fn confirm(&self) -> Result<Vec<String>, String> {
        let _one_at_a_time = self.reloading.lock().await;
        let before = self.trial.borrow_mut().confirm().map_err(|why| why.to_string())?;
        self.tell_tried(&before, Tried::Stays);
        tracing::info!(target: "fail2ban.server", "reload: confirmed: the configuration stays");
        Ok(before.moved.iter().map(ToString::to_string).collect())
    }

    /// What is on trial does not stay: an operator says so.
    pub(super) async fn undo_trial(self: &Rc<Self>) -> Result<Reloaded, String> {
        let _one_at_a_time = self.reloading.lock().await;
        let before = self.trial.borrow_mut().confirm().map_err(|why| why.to_string())?;
        tracing::warn!(target: "fail2ban.server", "reload: undone: the configuration before returns");
        Ok(self.bring_back(before).await)
    }

    /// Looks whether the time to confirm is over.
    pub(super) async fn look_at_trial(self: &Rc<Self>) {
        if !self.trial.borrow().is_over(self.clock()) {
            return;
        }
        let _one_at_a_time = self.reloading.lock().await;
        let Some(before) = self.trial.borrow_mut().lapse(self.clock()) else { return };
        tracing::warn!(
            target: "fail2ban.server",
            "reload: not confirmed in time: the configuration before returns"
        );
        signals::log(Ok(self.bring_back(before).await));
    }

    /// The program ends, and nothing was confirmed: the firewall is left as it was before.
    pub(super) async fn end_trial(self: &Rc<Self>) {
        if !self.is_on_trial() {
            return;
        }
        tracing::warn!(
            target: "fail2ban.server",
            "stopping before `stockade confirm`: the configuration before returns; the next start reads the files as they are then"
        );
        if tokio::time::timeout(AT_STOP, self.undo_trial()).await.is_err() {
            tracing::error!(target: "fail2ban.server", "the configuration before could not return in time");
        }
    }

    /// Puts in force again what was before, and lets in whom only the other banned.
    async fn bring_back(self: &Rc<Self>, before: Before) -> Reloaded {
        let mut told = Reloaded::default();
        let config = self.as_before(&before);
        self.move_jails(&config, None, &mut told).await;
        if before.whole {
            self.retune_daemon(&config, &mut told);
            self.world.tell(before.told.clone());
            *self.config.borrow_mut() = config;
        } else {
            self.config.borrow_mut().jails = config.jails;
        }
        self.tell_tried(&before, Tried::Undone);
        self.enable();
        self.look_at_ignored(true);
        told
    }

    /// The configuration before; jails that did not move meanwhile stay as they are now.
    fn as_before(&self, before: &Before) -> Config {
        let mut jails = self.jails.borrow_mut();
        for (name, slot) in jails.iter_mut() {
            // One that is being revived comes back as it was.
            if let (None, true, Some(old)) = (&slot.addr, before.moved.contains(name), before.jails.get(name))
            {
                slot.config = old.clone();
            }
        }
        let unmoved = jails.values().map(|slot| &slot.config);
        let unmoved = unmoved.filter(|config| !before.moved.contains(&config.options.name));
        let moved = before.jails.iter().filter(|(name, _)| before.moved.contains(*name));
        Config {
            jails: unmoved.chain(moved.map(|(_, config)| config)).cloned().collect(),
            refused: Refused::default(),
            ..before.config.clone()
        }
    }

    fn tell_tried(&self, before: &Before, tried: Tried) {
        for (name, jail) in self.living() {
            if before.moved.contains(&name) {
                jail.do_send(tried);
            }
        }
    }
}
