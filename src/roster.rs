//! Who is banned in one jail, until when, and whether the firewall has confirmed it.
//!
//! Pure: no clock, no I/O. This is the truth about a jail's bans: kernel sets, timer and store are copies of it.
//! A million bans take about 50 MiB: an entry has 36 bytes, its deadline 4, and what few entries have lies aside.

mod deadlines;
mod entry;
mod places;

use std::hash::RandomState;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashTable;

use self::deadlines::Deadlines;
use self::entry::{Beside, Entry, NEVER};
use crate::id::Id;
use crate::jail::Ban;
use crate::sentence::Sentence;
use crate::subnet::Subnet;
use crate::time::UnixTime;

/// Whether a ban is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The firewall has not answered yet.
    Wanted,
    /// It is in force.
    Acknowledged,
    /// The firewall refused it, with its reason; it stays wanted and is asked for again when the firewall revives.
    Refused(Arc<str>),
}

/// What became of a wish to ban.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It is a new ban.
    Banned,
    /// It was banned, and its end moved to the later one: the ban as it is now.
    Prolonged(Ban),
    /// It is banned since this moment, and not for longer.
    Already(UnixTime),
    /// The ban would be over already.
    Expired,
}

/// One ban, as a listing shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Banned {
    /// The ban; its lines may have been dropped for lack of room.
    pub ban: Ban,
    /// Whether it is in force.
    pub state: State,
}

/// The bans of one jail.
#[derive(Debug, Default)]
pub struct Roster {
    /// In the order of banning, with holes where a ban has ended.
    entries: Vec<Entry>,
    holes: usize,
    acknowledged: usize,
    beside: Beside,
    evidence: usize,
    /// Entries before this place have lost their evidence.
    evidence_from: usize,
    /// Places by id.
    index: HashTable<u32>,
    /// The last place that [`Roster::find_next`] found.
    found: u32,
    hasher: RandomState,
    deadlines: Deadlines,
    /// Looks for bans that are over as Fail2Ban does, not before `look`.
    looks_late: bool,
    /// When Fail2Ban looks next: at the first end that it knew of when somebody was banned or it looked last.
    look: Option<UnixTime>,
}

impl Roster {
    /// Nobody is banned.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bans, by the rules of SPEC §4.2.
    pub fn ban(&mut self, ban: Ban, now: UnixTime) -> Verdict {
        let until = ban.until();
        if until.is_some_and(|until| until < now) {
            return Verdict::Expired;
        }
        let Some(place) = self.find(&ban.id) else {
            self.look = self.look.into_iter().chain(until).min();
            self.add(ban, until);
            return Verdict::Banned;
        };
        let entry = &self.entries[place as usize];
        if until.map_or(NEVER, UnixTime::micros) <= entry.until {
            return Verdict::Already(entry.time());
        }
        self.set_until(place, until);
        self.entries[place as usize].set_follows(false);
        let prolonged = self.view(place).ban;
        let unknown = prolonged.lines.is_empty();
        Verdict::Prolonged(if unknown {
            Ban { lines: ban.lines, data: ban.data, ..prolonged }
        } else {
            prolonged
        })
    }

    /// The time of `id`'s ban is the jail's: [`Roster::follow`] changes it.
    pub fn set_follows(&mut self, id: &Id) {
        if let Some(place) = self.find(id) {
            self.entries[place as usize].set_follows(true);
        }
    }

    /// The jail's ban time is another one: bans that follow it have another end. What they are now.
    pub fn follow(&mut self, time: Sentence) -> Vec<Ban> {
        let mut changed = Vec::new();
        for place in 0..self.entries.len() as u32 {
            let entry = &self.entries[place as usize];
            if entry.gone() || !entry.follows() {
                continue;
            }
            self.set_until(place, time.0.map(|span| entry.time() + span));
            changed.push(self.view(place).ban);
        }
        changed
    }

    /// Whether a ban that was made shorter is over only when the first would have been before, as in Fail2Ban.
    pub fn set_looks_late(&mut self, looks_late: bool) {
        self.looks_late = looks_late;
    }

    /// An active ban has the time that it deserves now, since its address was banned before; whether that is another.
    pub fn increase(&mut self, ban: &Ban) -> bool {
        let Some(place) = self.find(&ban.id) else { return false };
        let entry = &mut self.entries[place as usize];
        if entry.time() != ban.time {
            return false;
        }
        entry.count = ban.count;
        entry.set_follows(false);
        let until = ban.until();
        let differs = until.map_or(NEVER, UnixTime::micros) != entry.until;
        self.set_until(place, until);
        differs
    }

    /// Lets `id` in, if it is banned.
    pub fn unban(&mut self, id: &Id) -> bool {
        let Some(place) = self.find(id) else { return false };
        self.remove(place);
        true
    }

    /// Lets everybody in; who that was.
    pub fn unban_all(&mut self) -> Vec<Id> {
        let ids = self.ids().collect();
        *self = Self { looks_late: self.looks_late, look: self.look, ..Self::new() };
        ids
    }

    /// Whoever is banned inside this prefix, itself included.
    pub fn inside(&self, prefix: Subnet) -> Vec<Id> {
        self.places()
            .filter_map(|place| self.net(place))
            .filter(|net| prefix.contains(net))
            .map(Id::Net)
            .collect()
    }

    /// The ban of exactly `id`.
    pub fn get(&self, id: &Id) -> Option<Banned> {
        self.find(id).map(|place| self.view(place))
    }

    /// Somebody whose ban is over (strictly: its end has passed), who leaves the roster.
    pub fn pop_due(&mut self, now: UnixTime) -> Option<Id> {
        if self.looks_late && self.look.is_some_and(|look| now <= look) {
            return None;
        }
        let first = self.deadlines.first();
        let due = first.filter(|place| self.entries[*place as usize].until < now.micros());
        let Some(place) = due else {
            self.look = first.and_then(|place| self.entries[place as usize].until());
            return None;
        };
        let id = self.id(place);
        self.remove(place);
        Some(id)
    }

    /// The ban that [`Roster::pop_due`] would end.
    pub fn due(&self, now: UnixTime) -> Option<Ban> {
        let place = self.deadlines.first()?;
        (self.entries[place as usize].until < now.micros()).then(|| self.view(place).ban)
    }

    /// When the first ban ends.
    pub fn next_deadline(&self) -> Option<UnixTime> {
        let first = self.deadlines.first()?;
        let until = UnixTime::from_micros(self.entries[first as usize].until);
        Some(self.look.filter(|_| self.looks_late).map_or(until, |look| until.max(look)))
    }

    /// The firewall's word about the ban of `id`, if that is banned still.
    pub fn set_state(&mut self, id: &Id, state: State) {
        if let Some(place) = self.find(id) {
            self.put_state(place, state);
        }
    }

    /// As [`Roster::set_state`], if that is another; whether the ban is a restored one.
    pub fn change_state(&mut self, id: &Id, state: State) -> Option<bool> {
        let place = self.find_next(id).filter(|&place| self.state(place) != state)?;
        self.put_state(place, state);
        Some(self.entries[place as usize].restored())
    }

    /// What the firewall should enforce: addresses and prefixes with the time that remains (none: for ever), those
    /// refused included.
    pub fn wanted(&self, now: UnixTime) -> impl Iterator<Item = (Subnet, Option<Duration>)> {
        self.wanted_behind(0, now)
    }

    /// As [`Roster::wanted`], without the first so many places.
    pub fn wanted_behind(
        &self,
        places: usize,
        now: UnixTime,
    ) -> impl Iterator<Item = (Subnet, Option<Duration>)> {
        self.places_behind(places).filter_map(move |place| {
            let until = self.entries[place as usize].until();
            let over = until.is_some_and(|until| until < now);
            let net = self.net(place).filter(|_| !over)?;
            Some((net, until.map(|until| until.since(now))))
        })
    }

    /// What the firewall has not confirmed, refused bans included.
    pub fn unanswered(&self, now: UnixTime) -> impl Iterator<Item = (Subnet, Option<Duration>)> {
        self.places().filter_map(move |place| {
            let entry = &self.entries[place as usize];
            let until = entry.until();
            let owed = !entry.acknowledged() && until.is_none_or(|until| until >= now);
            Some((self.net(place).filter(|_| owed)?, until.map(|until| until.since(now))))
        })
    }

    /// All bans, in the order of banning.
    pub fn iter(&self) -> impl Iterator<Item = Banned> {
        self.places().map(|place| self.view(place))
    }

    /// Everybody banned, in the order of banning.
    pub fn ids(&self) -> impl Iterator<Item = Id> {
        self.places().map(|place| self.id(place))
    }

    /// Who is banned for failures, and not by an operator, in the order of banning.
    pub fn offenders(&self) -> impl Iterator<Item = Id> {
        self.places().filter(|&place| self.entries[place as usize].failures > 0).map(|place| self.id(place))
    }

    /// Everybody whose ban the firewall has confirmed, in the order of banning.
    pub fn ids_in_force(&self) -> impl Iterator<Item = Id> {
        self.places().filter(|&place| self.entries[place as usize].acknowledged()).map(|place| self.id(place))
    }

    /// Bans that the firewall refused, with its reason.
    pub fn refused(&self) -> impl Iterator<Item = (Id, Arc<str>)> {
        let mut refused: Vec<_> = self
            .beside
            .extras
            .iter()
            .filter_map(|(place, extra)| Some((*place, extra.reason.clone()?)))
            .collect();
        refused.sort_unstable_by_key(|(place, _)| *place);
        refused.into_iter().map(|(place, reason)| (self.id(place), reason))
    }

    /// How many places there are: whoever is banned next lies behind them.
    pub fn end(&self) -> usize {
        self.entries.len()
    }

    /// How many are banned.
    pub fn len(&self) -> usize {
        self.entries.len() - self.holes
    }

    /// How many bans the firewall has confirmed.
    pub fn in_force(&self) -> usize {
        self.acknowledged
    }

    /// Whether nobody is banned.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Another firewall is in charge, or none: every ban is `state` now. Those wanted anew count as restored.
    pub fn reset(&mut self, state: &State) {
        for place in 0..self.entries.len() as u32 {
            if !self.entries[place as usize].gone() {
                self.put_state(place, state.clone());
                self.entries[place as usize].set_restored();
            }
        }
    }
}

#[cfg(test)]
mod tests;
