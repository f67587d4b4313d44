//! What the store has to learn of a tracker, packed as it is kept: a flood changes many records between two saves.

use super::packed::{Names, Packed};
use super::phrases::Phrases;
use super::records::Records;
use super::{Record, put_key};
use crate::id::Id;

/// Records as they were at one moment; each address is named once.
#[derive(Debug, Clone, Default)]
pub struct Dirty {
    /// Those that are counted, one behind the other.
    text: Vec<u8>,
    /// Where in `text` each begins.
    places: Vec<u32>,
    /// Those that are not any more.
    gone: Vec<Id>,
    names: Names,
    phrases: Phrases,
}

impl Dirty {
    /// The records of these addresses; the store knows them from now on.
    pub(super) fn take(
        changed: impl IntoIterator<Item = Id>,
        records: &mut Records,
        names: &Names,
        phrases: &Phrases,
    ) -> Self {
        let mut dirty = Self::default();
        let mut key = Vec::new();
        for id in changed {
            key.clear();
            put_key(&id, &mut key);
            records.mark_saved(&key);
            match records.find(&key) {
                Some(packed) => {
                    dirty.places.push(dirty.text.len() as u32);
                    packed.copy(&mut dirty.text);
                }
                None => dirty.gone.push(id),
            }
        }
        if !dirty.places.is_empty() {
            (dirty.names, dirty.phrases) = (names.clone(), phrases.readable());
        }
        dirty
    }

    /// How many addresses it names.
    pub fn len(&self) -> usize {
        self.places.len() + self.gone.len()
    }

    /// Whether the store knows it all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whom it names.
    pub fn ids(&self) -> impl Iterator<Item = Id> {
        let kept = self.places.iter().map(|&place| self.at(place).id());
        kept.chain(self.gone.iter().cloned())
    }

    /// The record of the id of this number; none: it counts no more.
    pub fn record(&self, number: usize) -> Option<Record> {
        self.places.get(number).map(|&place| self.at(place).record(&self.names, &self.phrases))
    }

    /// Each address with its record; none: it counts no more.
    pub fn iter(&self) -> impl Iterator<Item = (Id, Option<Record>)> {
        self.ids().enumerate().map(|(number, id)| (id, self.record(number)))
    }

    fn at(&self, place: u32) -> Packed<'_> {
        Packed::read(&self.text[place as usize..])
    }
}

impl PartialEq for Dirty {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}
