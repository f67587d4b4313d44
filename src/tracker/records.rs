//! All packed records in one piece of memory, found by their keys.
//!
//! A record that changes is written anew behind the last; when a fifth of the memory is waste, the rest moves together.
//! That spares each record its own allocation and pointer, which would take a third more.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use super::packed::{Head, Packed};

/// Less waste than this does not matter.
const WASTE: usize = 64 * 1024;

/// Records by key. A place is where in `text` a record begins.
#[derive(Debug, Default)]
pub(super) struct Records {
    text: Vec<u8>,
    /// How much of `text` is records.
    used: usize,
    places: HashTable<u32>,
    hasher: RandomState,
}

impl Records {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The bytes of all records.
    pub(super) fn size(&self) -> usize {
        self.used
    }

    /// The bytes that are no records.
    pub(super) fn waste(&self) -> usize {
        self.text.len() - self.used
    }

    pub(super) fn find(&self, key: &[u8]) -> Option<Packed<'_>> {
        let found = self.places.find(self.hash(key), |&place| self.at(place).key() == key);
        found.map(|&place| self.at(place))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Packed<'_>> {
        self.places.iter().map(|&place| self.at(place))
    }

    /// Writes a record, in place of the one of this key.
    pub(super) fn put(&mut self, key: &[u8], head: Head, body: &[u8]) {
        let hash = self.hash(key);
        self.remove_hashed(hash, key);
        let place = self.text.len() as u32;
        Packed::write(key, head, body, &mut self.text);
        self.used += self.text.len() - place as usize;
        let (text, hasher) = (&self.text, &self.hasher);
        let rehash = |&place: &u32| hasher.hash_one(Packed::read(&text[place as usize..]).key());
        self.places.insert_unique(hash, place, rehash);
        self.save_room();
    }

    /// Whether there was one.
    pub(super) fn remove(&mut self, key: &[u8]) -> bool {
        self.remove_hashed(self.hash(key), key)
    }

    fn remove_hashed(&mut self, hash: u64, key: &[u8]) -> bool {
        let text = &self.text;
        let is_it = |&place: &u32| Packed::read(&text[place as usize..]).key() == key;
        let Ok(found) = self.places.find_entry(hash, is_it) else { return false };
        let (place, _) = found.remove();
        let size = self.at(place).size();
        self.used -= size;
        if place as usize + size == self.text.len() {
            self.text.truncate(place as usize);
        }
        true
    }

    /// Removes the records of which this says so.
    pub(super) fn remove_if(&mut self, mut goes: impl FnMut(Packed<'_>) -> bool) {
        let (text, used) = (&self.text, &mut self.used);
        self.places.retain(|&mut place| {
            let packed = Packed::read(&text[place as usize..]);
            let goes = goes(packed);
            *used -= if goes { packed.size() } else { 0 };
            !goes
        });
        self.save_room();
    }

    /// Notes that the store knows the record of this key.
    pub(super) fn mark_saved(&mut self, key: &[u8]) {
        if let Some(&place) = self.places.find(self.hash(key), |&place| self.at(place).key() == key) {
            Packed::mark_saved(&mut self.text[place as usize..]);
        }
    }

    fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }

    fn at(&self, place: u32) -> Packed<'_> {
        Packed::read(&self.text[place as usize..])
    }

    fn save_room(&mut self) {
        if self.waste() > self.used / 4 + WASTE {
            self.move_together();
        }
        if self.places.capacity() > 1024 && self.places.len() < self.places.capacity() / 4 {
            let (text, hasher) = (&self.text, &self.hasher);
            let rehash = |&place: &u32| hasher.hash_one(Packed::read(&text[place as usize..]).key());
            self.places.shrink_to(self.places.len() * 2, rehash);
        }
    }

    fn move_together(&mut self) {
        let mut before: Vec<_> = self.places.iter().copied().collect();
        before.sort_unstable();
        let mut end = 0;
        let after: Vec<_> = before
            .iter()
            .map(|&place| {
                let (from, to) = (place as usize, end);
                end += self.at(place).size();
                self.text.copy_within(from..from + end - to, to);
                to as u32
            })
            .collect();
        for place in &mut self.places {
            if let Ok(index) = before.binary_search(place) {
                *place = after[index];
            }
        }
        self.text.truncate(end);
        self.text.shrink_to(end + end / 2);
    }
}
