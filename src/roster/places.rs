//! Where a ban lies: its entry, what few entries have beside it, and the indexes over them.

use hashbrown::HashTable;

use super::entry::{self, Entry, Extra, NEVER};
use super::{Banned, Roster, State};
use crate::id::Id;
use crate::jail::Ban;
use crate::sentence::Sentence;
use crate::subnet::Subnet;
use crate::time::UnixTime;

/// The lines that led to bans are kept for the newest ones, up to so many bytes; the store has them all.
pub(super) const EVIDENCE_KEPT: usize = 2 * 1024 * 1024;

impl Roster {
    pub(super) fn places(&self) -> impl Iterator<Item = u32> {
        self.places_behind(0)
    }

    pub(super) fn places_behind(&self, first: usize) -> impl Iterator<Item = u32> {
        (first as u32..self.entries.len() as u32).filter(|&place| !self.entries[place as usize].gone())
    }

    pub(super) fn hash(&self, id: &Id) -> u64 {
        entry::hash(&self.hasher, id)
    }

    pub(super) fn find(&self, id: &Id) -> Option<u32> {
        self.index
            .find(self.hash(id), |&place| self.entries[place as usize].is(id, &self.beside, place))
            .copied()
    }

    /// As [`Roster::find`], at once where it is the one behind the last that was found so: the firewall answers in the
    /// order in which it was asked.
    pub(super) fn find_next(&mut self, id: &Id) -> Option<u32> {
        let next = self.found.wrapping_add(1);
        let is_it = |entry: &&Entry| !entry.gone() && entry.is(id, &self.beside, next);
        let place = match self.entries.get(next as usize).filter(is_it) {
            Some(_) => next,
            None => self.find(id)?,
        };
        self.found = place;
        Some(place)
    }

    pub(super) fn id(&self, place: u32) -> Id {
        self.entries[place as usize].id(&self.beside, place)
    }

    pub(super) fn net(&self, place: u32) -> Option<Subnet> {
        self.entries[place as usize].net(&self.beside)
    }

    pub(super) fn add(&mut self, ban: Ban, until: Option<UnixTime>) {
        if self.holes > 64 + self.entries.len() / 4 {
            self.close_ranks();
        }
        let place = self.entries.len() as u32;
        self.entries.push(Entry::new(&ban, until, &mut self.beside));
        let hash = self.hash(&ban.id);
        let extra = Extra::new(ban);
        self.evidence += extra.evidence_size();
        if !extra.is_empty() {
            self.beside.extras.insert(place, extra);
        }
        if self.index.len() == self.index.capacity() {
            self.index = self.indexed(self.index.len() + self.index.len() / 4 + 1, place);
        }
        let rehash = |&place: &u32| self.entries[place as usize].hash(&self.hasher, &self.beside, place);
        self.index.insert_unique(hash, place, rehash);
        if until.is_some() {
            self.deadlines.push(place, &mut self.entries);
        }
        self.drop_old_evidence();
    }

    /// An index over the entries before `end` with room for so many. They are read in their order; a table that grows by
    /// itself would read them in its own, and wait for memory each time.
    fn indexed(&self, room: usize, end: u32) -> HashTable<u32> {
        let mut index = HashTable::with_capacity(room);
        let hash = |&place: &u32| self.entries[place as usize].hash(&self.hasher, &self.beside, place);
        for place in self.places().take_while(|place| *place < end) {
            index.insert_unique(hash(&place), place, hash);
        }
        index
    }

    pub(super) fn remove(&mut self, place: u32) {
        let id = self.id(place);
        let hash = self.hash(&id);
        if let Ok(found) = self.index.find_entry(hash, |&other| other == place) {
            found.remove();
        }
        self.deadlines.remove(place, &mut self.entries);
        if let Some(extra) = self.beside.extras.remove(&place) {
            self.evidence -= extra.evidence_size();
        }
        let entry = &mut self.entries[place as usize];
        self.acknowledged -= usize::from(entry.acknowledged());
        entry.set_gone();
        self.holes += 1;
        if self.is_empty() {
            *self = Self { looks_late: self.looks_late, look: self.look, ..Self::new() };
        }
    }

    pub(super) fn set_until(&mut self, place: u32, until: Option<UnixTime>) {
        self.deadlines.remove(place, &mut self.entries);
        self.entries[place as usize].until = until.map_or(NEVER, UnixTime::micros);
        if until.is_some() {
            self.deadlines.push(place, &mut self.entries);
        }
    }

    pub(super) fn put_state(&mut self, place: u32, state: State) {
        let entry = &mut self.entries[place as usize];
        self.acknowledged -= usize::from(entry.acknowledged());
        entry.set_acknowledged(state == State::Acknowledged);
        self.acknowledged += usize::from(entry.acknowledged());
        match state {
            State::Refused(reason) => self.beside.extras.entry(place).or_default().reason = Some(reason),
            State::Wanted | State::Acknowledged if self.beside.extras.is_empty() => {}
            State::Wanted | State::Acknowledged => {
                if let Some(extra) = self.beside.extras.get_mut(&place) {
                    extra.reason = None;
                    if extra.is_empty() {
                        self.beside.extras.remove(&place);
                    }
                }
            }
        }
    }

    pub(super) fn state(&self, place: u32) -> State {
        if self.entries[place as usize].acknowledged() {
            return State::Acknowledged;
        }
        let reason = self.beside.extras.get(&place).and_then(|extra| extra.reason.clone());
        reason.map_or(State::Wanted, State::Refused)
    }

    pub(super) fn view(&self, place: u32) -> Banned {
        let entry = &self.entries[place as usize];
        let (lines, data) = self.beside.extras.get(&place).map(Extra::evidence).unwrap_or_default();
        let ban = Ban {
            id: self.id(place),
            time: entry.time(),
            sentence: Sentence(entry.until().map(|until| until.since(entry.time()))),
            count: entry.count,
            failures: entry.failures,
            lines,
            data,
            restored: entry.restored(),
        };
        Banned { ban, state: self.state(place) }
    }

    pub(super) fn drop_old_evidence(&mut self) {
        while self.evidence > EVIDENCE_KEPT && self.evidence_from < self.entries.len() {
            let place = self.evidence_from as u32;
            self.evidence_from += 1;
            if let Some(extra) = self.beside.extras.get_mut(&place) {
                self.evidence -= extra.evidence_size();
                extra.drop_evidence();
                if extra.is_empty() {
                    self.beside.extras.remove(&place);
                }
            }
        }
    }

    /// Moves all entries to the front, in their order, so that there are no holes.
    pub(super) fn close_ranks(&mut self) {
        let mut moved = vec![0; self.entries.len()];
        let (mut from, mut to) = (0_usize, 0_u32);
        self.entries.retain(|entry| {
            moved[from] = to;
            from += 1;
            to += u32::from(!entry.gone());
            !entry.gone()
        });
        self.beside.renumber(&moved, &mut self.entries);
        self.deadlines.renumber(&moved);
        self.holes = 0;
        self.evidence_from = 0;
        for place in &mut self.index {
            *place = moved[*place as usize];
        }
    }
}
