//! A world with a clock that stands still between events: jails, a store in memory, and the timers of both.
//!
//! What the daemon does by messages happens here at once and in Fail2Ban's order: due timers, whoever is to be let in,
//! the event, what the store is asked, bans.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::settings::{self, Cleanup, JailSettings, Settings};
use super::{Action, Event, Told, What, at};
use crate::id::Id;
use crate::jail::{Ban, Effect, Jail, Remembered};
use crate::store::{Entry, Store};
use crate::time::UnixTime;

/// What Fail2Ban's dice show here.
const RANDOM: f64 = 0.5;
/// Fail2Ban tells actions of a longer ban up to so many seconds after it.
const PROLONG_AT_MOST: u64 = 10;
/// … but not so soon when it is hardly longer.
const PROLONG_SLACK: u64 = 5;

pub(super) struct World {
    epoch: i64,
    now: UnixTime,
    settings: Settings,
    /// What was set since the start, with the rest.
    set: BTreeMap<String, JailSettings>,
    jails: BTreeMap<String, Jail>,
    store: Option<Store>,
    /// What actions were told of those who are banned.
    told: BTreeMap<(String, Id), Told>,
    /// When actions hear that a ban is longer: moment, jail, ban.
    prolong: Vec<(UnixTime, String, Ban)>,
    actions: Vec<Action>,
}

impl World {
    pub(super) fn new(settings: Settings, epoch: i64) -> anyhow::Result<Self> {
        let store = settings.db.then(Store::in_memory).transpose()?;
        let mut world = Self {
            epoch,
            now: UnixTime::from_secs(epoch),
            settings,
            set: BTreeMap::new(),
            jails: BTreeMap::new(),
            store,
            told: BTreeMap::new(),
            prolong: Vec::new(),
            actions: Vec::new(),
        };
        world.start()?;
        Ok(world)
    }

    pub(super) fn into_actions(self) -> Vec<Action> {
        self.actions
    }

    /// Starts every jail with what the store remembers of it.
    fn start(&mut self) -> anyhow::Result<()> {
        self.set.clone_from(&self.settings.jails);
        for (name, settings) in self.settings.jails.clone() {
            let mut options = settings::options(&name, &settings)?;
            if self.store.is_none() {
                options.increment = None;
            }
            let mut jail = Jail::with_filter(&options, None);
            let effects = match &mut self.store {
                Some(store) => {
                    let saved = store.load(&name, self.now)?;
                    jail.restore(Remembered { bans: saved.bans, ..Remembered::default() }, self.now)
                }
                None => Vec::new(),
            };
            self.jails.insert(name.clone(), jail);
            self.carry(&name, effects);
        }
        Ok(())
    }

    /// Lets time pass: timers, and the ends of bans at the first whole second after them.
    pub(super) fn run_to(&mut self, t: f64) {
        let end = self.at(t);
        loop {
            let ends = self.jails.values().filter_map(Jail::next_deadline);
            let ends = ends.map(|end| UnixTime::from_secs(end.secs() + 1)).min();
            let prolong = self.prolong.iter().map(|(at, ..)| *at).min();
            let Some(next) = ends.into_iter().chain(prolong).min().filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            let (due, later): (Vec<_>, _) =
                std::mem::take(&mut self.prolong).into_iter().partition(|(at, ..)| *at <= next);
            self.prolong = later;
            for (_, jail, ban) in due {
                self.tell_prolonged(&jail, &ban);
            }
            self.expire();
        }
        self.now = self.now.max(end);
    }

    fn expire(&mut self) {
        for name in self.names(None) {
            let mut effects = Vec::new();
            if let Some(jail) = self.jails.get_mut(&name) {
                jail.expire(self.now, &mut effects);
            }
            self.carry(&name, effects);
        }
    }

    /// Something happens now.
    pub(super) fn happen(&mut self, event: &Event) -> anyhow::Result<()> {
        if let What::Restart { new } = &event.what {
            return self.restart(new);
        }
        for name in self.names(event.jail.as_deref()) {
            if self.settings.cleanup == Cleanup::Eager
                && let Some(jail) = self.jails.get_mut(&name)
            {
                jail.clean(self.now);
            }
            self.happen_in(&name, &event.what)?;
        }
        Ok(())
    }

    fn happen_in(&mut self, name: &str, what: &What) -> anyhow::Result<()> {
        let (now, mut effects) = (self.now, Vec::new());
        let Some(jail) = self.jails.get_mut(name) else { return Ok(()) };
        match what {
            What::Fail { ip, time } => {
                let line: Arc<str> = format!("failure of {ip}").into();
                let time = time.map_or(now, |time| at(self.epoch, time));
                jail.attempt(&Id::parse(ip), time, &[line], &[], now, &mut effects);
            }
            What::Attempt { ip, matches } => {
                let lines: Vec<Arc<str>> = matches.iter().map(|line| line.as_str().into()).collect();
                jail.charge(&Id::parse(ip), &lines, now, &mut effects);
            }
            What::Banip { ip, ips } => {
                for ip in ip.iter().chain(ips) {
                    // A jail without a firewall refuses nothing that is forced.
                    effects.extend(jail.ban(Id::parse(ip), None, true, now).unwrap_or_default());
                }
            }
            What::Unbanip { ip, ips } => {
                for ip in ip.iter().chain(ips) {
                    effects.extend(jail.unban(&Id::parse(ip)));
                }
            }
            What::UnbanAll {} => effects = jail.unban_all(),
            What::Set { opt, val } => {
                let settings = self.set.entry(name.to_owned()).or_default();
                settings.insert(opt.clone(), val.clone());
                let options = settings::options(name, settings)?;
                effects = jail.retune(&options).unwrap_or_default();
            }
            What::Restart { .. } => {}
        }
        self.carry(name, effects);
        Ok(())
    }

    fn restart(&mut self, new: &JailSettings) -> anyhow::Result<()> {
        self.jails.clear();
        self.told.clear();
        self.prolong.clear();
        self.actions.push(Action { t: self.seconds(), jail: None, op: "restart", ban: None });
        for settings in self.settings.jails.values_mut() {
            settings.extend(new.clone());
        }
        self.start()
    }

    /// What a jail wants done is done, and what it asks of the store is answered.
    fn carry(&mut self, name: &str, effects: Vec<Effect>) {
        let mut effects: std::collections::VecDeque<_> = effects.into();
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Ban(ban) => self.tell(name, "ban", &ban),
                Effect::Increase(ban) => {
                    let before =
                        self.told.get(&(name.to_owned(), ban.id.clone())).map_or(0, |told| told.bantime);
                    let time = ban.sentence.0.map_or(0, |span| span.as_secs());
                    let more = time.saturating_sub(before.unsigned_abs() + PROLONG_SLACK);
                    let wait = std::time::Duration::from_secs(more.min(PROLONG_AT_MOST));
                    self.prolong.push((self.now + wait, name.to_owned(), ban));
                }
                Effect::Unban(id, release) => {
                    let ban = self.told.remove(&(name.to_owned(), id.clone()));
                    self.actions.push(Action {
                        t: self.seconds(),
                        jail: Some(name.to_owned()),
                        op: "unban",
                        ban,
                    });
                    if release == crate::jail::Release::Operator {
                        self.remember(&Entry::Forgotten(name.into(), Some(id)));
                    }
                }
                Effect::Forget(id) => self.remember(&Entry::Forgotten(name.into(), id)),
                Effect::Remember(ban) => self.remember(&Entry::Banned(name.into(), ban)),
                Effect::Recall(id) => {
                    let past = self.store.as_mut().and_then(|store| store.past(name, &id).ok().flatten());
                    let mut more = Vec::new();
                    if let Some(jail) = self.jails.get_mut(name) {
                        jail.recalled(&id, past, self.now, &mut || RANDOM, &mut more);
                    }
                    // Before all else: Fail2Ban's observer is through with one event before the next is seen.
                    more.into_iter().rev().for_each(|effect| effects.push_front(effect));
                }
                // A ban that was silently prolonged is not remembered as such, and no action hears of it.
                _ => {}
            }
        }
    }

    fn remember(&mut self, entry: &Entry) {
        if let Some(store) = &mut self.store {
            // In memory there is nothing that could fail but memory itself.
            let _ = store.commit([entry]);
        }
    }

    fn tell(&mut self, name: &str, op: &'static str, ban: &Ban) {
        let told = Told {
            ip: ban.id.to_string(),
            bantime: ban.sentence.0.map_or(-1, |span| i64::try_from(span.as_secs()).unwrap_or(i64::MAX)),
            bancount: ban.count,
            failures: ban.failures,
            matches: ban.lines.len(),
            restored: ban.restored.into(),
        };
        self.told.insert((name.to_owned(), ban.id.clone()), told.clone());
        self.actions.push(Action { t: self.seconds(), jail: Some(name.to_owned()), op, ban: Some(told) });
    }

    /// Actions hear that a ban is longer, if its address is banned still, by whichever ban.
    fn tell_prolonged(&mut self, name: &str, ban: &Ban) {
        let over = ban.until().is_some_and(|until| until < self.now);
        let banned = self.jails.get(name).and_then(|jail| jail.banned(&ban.id));
        if !over && banned.is_some() {
            self.tell(name, "prolong", ban);
        }
    }

    fn names(&self, only: Option<&str>) -> Vec<String> {
        let all = self.jails.keys().filter(|name| only.is_none_or(|only| only == *name));
        all.cloned().collect()
    }

    fn at(&self, t: f64) -> UnixTime {
        at(self.epoch, t)
    }

    fn seconds(&self) -> f64 {
        (self.now.micros() - self.epoch * 1_000_000) as f64 / 1e6
    }
}
