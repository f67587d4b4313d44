//! What a jail owes to the past: bans whose time grows with those before, and failures of those known to be bad
//! (SPEC §4.4).
//!
//! Pure. The past is the store's to tell, and that takes a while. Until it has answered, a ban is in force with its
//! first time and is not remembered as one; it is saved as owed, so that a restart asks again.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::court::Court;
use super::{Ban, Effect, Past};
use crate::id::Id;
use crate::sentence::Sentence;
use crate::time::UnixTime;

/// So much may be owed; past it a ban keeps its first time, and a failure counts once. The store is dead then.
const OWED: usize = 5000;
/// So many of those known to be bad are remembered as such while they are counted.
const KNOWN_BAD: usize = 10_000;
/// Past so many bans before, failures count no more.
const DOUBLINGS: u32 = 20;

/// What waits for the past of an address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Debt {
    /// A ban that is in force.
    Ban(Ban),
    /// A failure that was counted, and its moment.
    Failure(UnixTime),
}

/// All that is owed, in order for each address. An address is asked about when its first debt is made.
#[derive(Debug, Default)]
pub(super) struct Owed {
    debts: HashMap<Id, Vec<Debt>>,
    count: usize,
    changed: bool,
}

impl Owed {
    /// Takes note; whether the store is to be asked now. False also when there is no room.
    fn note(&mut self, id: &Id, debt: Debt) -> Option<bool> {
        if self.count >= OWED {
            return None;
        }
        self.count += 1;
        self.changed = true;
        let debts = self.debts.entry(id.clone()).or_default();
        debts.push(debt);
        Some(debts.len() == 1)
    }

    fn take(&mut self, id: &Id) -> Vec<Debt> {
        let debts = self.debts.remove(id).unwrap_or_default();
        self.count -= debts.len();
        self.changed |= !debts.is_empty();
        debts
    }

    /// An operator let somebody in, or all: no ban is owed any more.
    pub(super) fn forgive(&mut self, id: Option<&Id>) {
        let ids: Vec<Id> = id.map_or_else(|| self.debts.keys().cloned().collect(), |id| vec![id.clone()]);
        for id in ids {
            for debt in self.take(&id) {
                if matches!(debt, Debt::Failure(_)) {
                    self.note(&id, debt);
                }
            }
        }
    }

    /// Whether a ban of `id` waits for its time.
    pub(super) fn has_ban(&self, id: &Id) -> bool {
        let debts = self.debts.get(id).map(Vec::as_slice).unwrap_or_default();
        debts.iter().any(|debt| matches!(debt, Debt::Ban(_)))
    }

    /// Everybody whose past is waited for.
    pub(super) fn ids(&self) -> impl Iterator<Item = &Id> {
        self.debts.keys()
    }

    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// As it is saved.
    pub(super) fn saved(&self) -> Vec<(Id, SavedDebt)> {
        let all = self.debts.iter().flat_map(|(id, debts)| debts.iter().map(move |debt| (id, debt)));
        all.map(|(id, debt)| (id.clone(), SavedDebt(debt.clone()))).collect()
    }
}

/// One debt as it is saved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct SavedDebt(Debt);

impl Court {
    /// A ban of the jail's own time was made: asks for the past, or has it remembered as it is.
    pub(super) fn owe_ban(&mut self, ban: Ban, effects: &mut Vec<Effect>) {
        let grows = self.options.increment.is_some() && ban.sentence.0.is_some_and(|time| !time.is_zero());
        if !grows {
            return effects.push(Effect::Remember(ban));
        }
        let id = ban.id.clone();
        match self.owed.note(&id, Debt::Ban(ban.clone())) {
            Some(true) => effects.push(Effect::Recall(id)),
            Some(false) => {}
            None => effects.push(Effect::Remember(ban)),
        }
    }

    /// A failure was counted: asks for the past, since those who were banned before have fewer chances.
    pub(super) fn owe_failure(&mut self, id: &Id, time: UnixTime, effects: &mut Vec<Effect>) {
        if self.options.increment.is_some() && self.owed.note(id, Debt::Failure(time)) == Some(true) {
            effects.push(Effect::Recall(id.clone()));
        }
    }

    /// The store's answer about `id`; what was owed is settled in its order.
    pub(super) fn recalled(
        &mut self,
        id: &Id,
        mut past: Option<Past>,
        now: UnixTime,
        random: &mut dyn FnMut() -> f64,
        effects: &mut Vec<Effect>,
    ) {
        for debt in self.owed.take(id) {
            match debt {
                Debt::Ban(ban) => past = Some(self.increase(ban, past, random(), effects)),
                Debt::Failure(time) => self.aggravate(id, time, past, now, effects),
            }
        }
    }

    /// Gives a ban the time that it deserves, and has it remembered.
    fn increase(&mut self, mut ban: Ban, past: Option<Past>, random: f64, effects: &mut Vec<Effect>) -> Past {
        ban.restored = false;
        let all = self.options.increment.as_ref().is_some_and(|increment| increment.all_jails);
        let before = past.map_or(0, |past| if all { past.everywhere } else { past.count });
        if before > 0 {
            ban.count = before.saturating_add(1);
        }
        if let (1.., Some(base), Some(increment)) = (before, ban.sentence.0, &self.options.increment) {
            match increment.sentence(base, before, random) {
                Ok(time) => ban.sentence = Sentence(Some(time)),
                Err(why) => effects.push(Effect::Unreckoned(ban.id.clone(), why.to_string().into())),
            }
            // It may have ended since.
            if self.roster.increase(&ban) {
                effects.push(Effect::Increase(ban.clone()));
            }
        }
        let past = Past {
            count: ban.count,
            last: ban.time,
            everywhere: past.map_or(0, |past| past.everywhere - past.count).saturating_add(ban.count),
        };
        effects.push(Effect::Remember(ban));
        past
    }

    /// Lets a failure of somebody who was banned before count for several.
    fn aggravate(
        &mut self,
        id: &Id,
        time: UnixTime,
        past: Option<Past>,
        now: UnixTime,
        effects: &mut Vec<Effect>,
    ) {
        let Some(past) = past.filter(|past| past.count > 0 && time > past.last) else { return };
        let weight = (1_u32 << past.count.min(DOUBLINGS)) / 2 + 1;
        let weight = weight.min(self.options.tracker.max_retry).max(1);
        let Some(record) = self.tracker.get(id) else { return };
        // As in Fail2Ban a ban begins with this number if its first failure was known to be bad.
        if record.failures == 1 {
            if self.known_bad.len() >= KNOWN_BAD {
                self.known_bad.clear();
            }
            self.known_bad.insert(id.clone(), past.count);
        }
        let offence = self.tracker.aggravate(id, weight - 1, now);
        self.totals.failed += 1;
        effects.push(Effect::FoundBad(id.clone(), time, past.count, weight));
        if let Some(offence) = offence {
            self.sentence(id.clone(), offence, now, effects);
        }
    }

    /// Bans and failures that were owed when the program ended.
    pub(super) fn restore_owed(
        &mut self,
        owed: Vec<(Id, SavedDebt)>,
        now: UnixTime,
        effects: &mut Vec<Effect>,
    ) {
        for (id, SavedDebt(debt)) in owed {
            match debt {
                Debt::Ban(mut ban) => {
                    // What was done about it before the end is not known: it is done again, as for any old ban.
                    ban.restored = true;
                    match self.spared_by(&ban) {
                        Some(rule) => effects.push(Effect::Ignored(ban.id, rule)),
                        None => self.ban(ban, super::court::Term::Jail, now, effects),
                    }
                }
                Debt::Failure(time) => self.owe_failure(&id, time, effects),
            }
        }
    }
}
