//! The bans that end, the first to end in front: a binary heap whose entries know their place in it.

use super::entry::{Entry, NOT_QUEUED};

/// A heap of places in the roster, 4 bytes each; the ends themselves lie in the entries.
#[derive(Debug, Default)]
pub(super) struct Deadlines(Vec<u32>);

impl Deadlines {
    /// The entry that ends first.
    pub(super) fn first(&self) -> Option<u32> {
        self.0.first().copied()
    }

    pub(super) fn push(&mut self, place: u32, entries: &mut [Entry]) {
        self.0.push(place);
        self.rise(self.0.len() - 1, entries);
    }

    /// Takes an entry out, if it is in; its end must be what it was when it was pushed.
    pub(super) fn remove(&mut self, place: u32, entries: &mut [Entry]) {
        let queued = std::mem::replace(&mut entries[place as usize].queued, NOT_QUEUED);
        if queued == NOT_QUEUED {
            return;
        }
        let at = queued as usize;
        self.0.swap_remove(at);
        if at < self.0.len() {
            let at = self.rise(at, entries);
            self.sink(at, entries);
        }
    }

    /// The entries have moved to new places.
    pub(super) fn renumber(&mut self, moved: &[u32]) {
        for place in &mut self.0 {
            *place = moved[*place as usize];
        }
    }

    fn end(&self, at: usize, entries: &[Entry]) -> (i64, u32) {
        (entries[self.0[at] as usize].until, self.0[at])
    }

    fn rise(&mut self, mut at: usize, entries: &mut [Entry]) -> usize {
        while at > 0 && self.end(at, entries) < self.end((at - 1) / 2, entries) {
            self.swap(at, (at - 1) / 2, entries);
            at = (at - 1) / 2;
        }
        self.note(at, entries);
        at
    }

    fn sink(&mut self, mut at: usize, entries: &mut [Entry]) {
        let length = self.0.len();
        let below = |at: usize| 2 * at + 1..length.min(2 * at + 3);
        while let Some(child) = below(at).min_by_key(|&child| self.end(child, entries)) {
            if self.end(at, entries) <= self.end(child, entries) {
                break;
            }
            self.swap(at, child, entries);
            at = child;
        }
        self.note(at, entries);
    }

    fn swap(&mut self, one: usize, other: usize, entries: &mut [Entry]) {
        self.0.swap(one, other);
        self.note(one, entries);
        self.note(other, entries);
    }

    fn note(&self, at: usize, entries: &mut [Entry]) {
        entries[self.0[at] as usize].queued = at as u32;
    }
}
