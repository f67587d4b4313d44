//! All packed records in one piece of memory, found by their keys.
//!
//! A record that changes is written anew behind the last; when a fifth of the memory is waste, the rest moves together.
//! That spares each record its own allocation and pointer, which would take a third more.

use std::hash::{BuildHasher, Hasher, RandomState};

use hashbrown::HashTable;

use super::packed::{Head, Packed};

/// Less waste than this does not matter.
const WASTE: usize = 64 * 1024;

/// When records move together, one is looked for among those of so many bytes.
const STRETCH: usize = 256;

/// Records by key. A place is where in `text` a record begins.
#[derive(Debug, Default)]
pub(super) struct Records {
    text: Vec<u8>,
    /// How much of `text` is records.
    used: usize,
    /// What stands from here on was written since [`Records::take_new`].
    new: usize,
    places: HashTable<u32>,
    /// Counts what may have changed a place.
    moves: u64,
    hasher: RandomState,
}

/// A key, and where its record is.
#[derive(Debug, Default)]
pub(super) struct Spot {
    key: Vec<u8>,
    hash: u64,
    place: Option<u32>,
    /// [`Records::moves`] when it was looked up.
    moves: u64,
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

    /// Looks a key up; `key` gets what was looked up before.
    pub(super) fn point(&self, spot: &mut Spot, key: &mut Vec<u8>) {
        if spot.key == *key {
            return self.point_again(spot);
        }
        std::mem::swap(&mut spot.key, key);
        spot.hash = self.hash(&spot.key);
        self.look_up(spot);
    }

    /// Looks up again what was, if anything has changed since.
    pub(super) fn point_again(&self, spot: &mut Spot) {
        if spot.moves != self.moves {
            self.look_up(spot);
        }
    }

    fn look_up(&self, spot: &mut Spot) {
        spot.place = self.place(&spot.key, spot.hash);
        spot.moves = self.moves;
    }

    /// What is at a spot that was looked up and has not changed since.
    pub(super) fn get(&self, spot: &Spot) -> Option<Packed<'_>> {
        debug_assert_eq!(spot.moves, self.moves);
        spot.place.map(|place| self.at(place))
    }

    pub(super) fn find(&self, key: &[u8]) -> Option<Packed<'_>> {
        self.place(key, self.hash(key)).map(|place| self.at(place))
    }

    fn place(&self, key: &[u8], hash: u64) -> Option<u32> {
        self.places.find(hash, |&place| self.at(place).key() == key).copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Packed<'_>> {
        self.placed().map(|(_, packed)| packed)
    }

    /// All, in no order, each with its place: the later it was written, the higher.
    pub(super) fn placed(&self) -> impl Iterator<Item = (u32, Packed<'_>)> {
        self.places.iter().map(|&place| (place, self.at(place)))
    }

    /// Writes a record, in place of the one at the spot.
    pub(super) fn put(&mut self, spot: &Spot, head: Head, body: &[u8]) {
        debug_assert_eq!(spot.moves, self.moves);
        if let Some(before) = spot.place {
            self.waste_at(before);
        }
        let place = self.text.len() as u32;
        Packed::write(&spot.key, head, body, &mut self.text);
        self.used += self.text.len() - place as usize;
        let known = spot.place.and_then(|before| self.places.find_mut(spot.hash, |known| *known == before));
        if let Some(known) = known {
            *known = place;
        } else {
            let rehash = rehash(&self.text, &self.hasher);
            self.places.insert_unique(spot.hash, place, rehash);
        }
        self.moves += 1;
        self.save_room();
    }

    /// Removes the record at the spot. Whether there was one.
    pub(super) fn remove(&mut self, spot: &Spot) -> bool {
        debug_assert_eq!(spot.moves, self.moves);
        let Some(place) = spot.place else { return false };
        if let Ok(found) = self.places.find_entry(spot.hash, |known| *known == place) {
            found.remove();
            self.waste_at(place);
        }
        self.moves += 1;
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
        self.moves += 1;
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

    fn hash(&self, key: &[u8]) -> u64 {
        hash(&self.hasher, key)
    }

    fn at(&self, place: u32) -> Packed<'_> {
        Packed::read(&self.text[place as usize..])
    }

    fn save_room(&mut self) {
        if self.waste() > self.used / 4 + WASTE {
            self.move_together();
        }
        if self.places.capacity() > 1024 && self.places.len() < self.places.capacity() / 4 {
            self.places.shrink_to(self.places.len() * 2, rehash(&self.text, &self.hasher));
        }
    }

    fn move_together(&mut self) {
        let (mut at, mut end) = (0, 0);
        let mut new = None;
        // Where each record was and is, in order, and how many of them begin before each [`STRETCH`].
        let mut moved = Vec::with_capacity(self.places.len());
        let mut before = Vec::with_capacity(self.text.len() / STRETCH + 1);
        while at < self.text.len() {
            while before.len() * STRETCH <= at {
                before.push(moved.len() as u32);
            }
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
            let first = before[*place as usize / STRETCH] as usize;
            if let Some((_, now)) = moved[first..].iter().find(|(before, _)| before == place) {
                *place = *now;
            }
        }
        self.new = new.unwrap_or(end);
        self.text.truncate(end);
        self.text.shrink_to(end + end / 2);
    }
}

/// No key is the beginning of another, so its length needs no hash.
fn hash(hasher: &RandomState, key: &[u8]) -> u64 {
    let mut hasher = hasher.build_hasher();
    hasher.write(key);
    hasher.finish()
}

fn rehash(text: &[u8], hasher: &RandomState) -> impl Fn(&u32) -> u64 {
    |&place| hash(hasher, Packed::read(&text[place as usize..]).key())
}
