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
    /// What stands from here on was written since [`Records::take_new`].
    new: usize,
    places: HashTable<u32>,
    hasher: RandomState,
}

/// A key with its hash.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key<'k> {
    bytes: &'k [u8],
    hash: u64,
}

impl<'k> Key<'k> {
    /// A key whose hash is known ([`Records::hash`]).
    pub(super) fn new(bytes: &'k [u8], hash: u64) -> Self {
        Self { bytes, hash }
    }
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

    pub(super) fn find(&self, key: Key<'_>) -> Option<Packed<'_>> {
        self.place(key).map(|place| self.at(place))
    }

    fn place(&self, key: Key<'_>) -> Option<u32> {
        self.places.find(key.hash, |&place| self.at(place).key() == key.bytes).copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Packed<'_>> {
        self.placed().map(|(_, packed)| packed)
    }

    /// All, in no order, each with its place: the later it was written, the higher.
    pub(super) fn placed(&self) -> impl Iterator<Item = (u32, Packed<'_>)> {
        self.places.iter().map(|&place| (place, self.at(place)))
    }

    /// Writes a record, in place of the one of this key.
    pub(super) fn put(&mut self, key: Key<'_>, head: Head, body: &[u8]) {
        let before = self.place(key);
        if let Some(before) = before {
            self.waste_at(before);
        }
        let place = self.text.len() as u32;
        Packed::write(key.bytes, head, body, &mut self.text);
        self.used += self.text.len() - place as usize;
        let known = before.and_then(|before| self.places.find_mut(key.hash, |known| *known == before));
        if let Some(known) = known {
            *known = place;
        } else {
            let (text, hasher) = (&self.text, &self.hasher);
            let rehash = |&place: &u32| hasher.hash_one(Packed::read(&text[place as usize..]).key());
            self.places.insert_unique(key.hash, place, rehash);
        }
        self.save_room();
    }

    /// Whether there was one.
    pub(super) fn remove(&mut self, key: Key<'_>) -> bool {
        let text = &self.text;
        let is_it = |&place: &u32| Packed::read(&text[place as usize..]).key() == key.bytes;
        let Ok(found) = self.places.find_entry(key.hash, is_it) else { return false };
        let (place, _) = found.remove();
        self.waste_at(place);
        true
    }

    /// The record here is none any more.
    fn waste_at(&mut self, place: u32) {
        let (place, size) = (place as usize, self.at(place).size());
        self.used -= size;
        if place + size == self.text.len() {
            self.text.truncate(place);
            self.new = self.new.min(place);
        } else {
            Packed::mark_gone(&mut self.text[place..]);
        }
    }

    /// Removes the records of which this says so.
    pub(super) fn remove_if(&mut self, mut goes: impl FnMut(u32, Packed<'_>) -> bool) {
        let (text, used) = (&mut self.text, &mut self.used);
        self.places.retain(|&mut place| {
            let packed = Packed::read(&text[place as usize..]);
            let goes = goes(place, packed);
            if goes {
                *used -= packed.size();
                Packed::mark_gone(&mut text[place as usize..]);
            }
            !goes
        });
        self.save_room();
    }

    /// Hands out the records that were written since the last time; the store knows them from now on.
    pub(super) fn take_new(&mut self, mut each: impl FnMut(Packed<'_>)) {
        let mut at = std::mem::replace(&mut self.new, self.text.len());
        while at < self.text.len() {
            let packed = self.at(at as u32);
            let size = packed.size();
            if !packed.is_gone() {
                each(packed);
                Packed::mark_saved(&mut self.text[at..]);
            }
            at += size;
        }
    }

    /// Whether the store knows all of them.
    pub(super) fn is_saved(&self) -> bool {
        self.new == self.text.len()
    }

    /// The store does.
    pub(super) fn set_saved(&mut self) {
        self.new = self.text.len();
    }

    pub(super) fn hash(&self, key: &[u8]) -> u64 {
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
        let (mut at, mut end) = (0, 0);
        let mut new = None;
        // Where each record was and is, in order.
        let mut moved = Vec::with_capacity(self.places.len());
        while at < self.text.len() {
            if at >= self.new {
                new.get_or_insert(end);
            }
            let packed = self.at(at as u32);
            let size = packed.size();
            if !packed.is_gone() {
                moved.push((at as u32, end as u32));
                self.text.copy_within(at..at + size, end);
                end += size;
            }
            at += size;
        }
        for place in &mut self.places {
            if let Ok(index) = moved.binary_search_by_key(place, |(before, _)| *before) {
                *place = moved[index].1;
            }
        }
        self.new = new.unwrap_or(end);
        self.text.truncate(end);
        self.text.shrink_to(end + end / 2);
    }
}
