//! What gives way when memory is short: first the length of lines, then the records that matter least.

use super::packed::Packed;
use super::{Tracker, note_removal};

/// Memory is short past so many bytes for each address that may be tracked …
const BYTES_EACH: usize = 256;
/// … and past so many, records are evicted although there is room for more of them.
const BYTES_EACH_AT_MOST: usize = 512;
/// Whatever may be tracked, all records take at most so many bytes.
const BYTES_AT_MOST: usize = 1 << 30;
/// An eviction gives up this part of the records.
const EVICTED_PART: usize = 8;

impl Tracker {
    /// Whether the lines of new failures are to be kept short.
    pub(super) fn is_short(&self) -> bool {
        self.records.size() > self.room(BYTES_EACH)
    }

    /// So many bytes for each address that may be tracked.
    fn room(&self, each: usize) -> usize {
        self.options.max_tracked.max(1).saturating_mul(each).min(BYTES_AT_MOST)
    }

    /// Before a new record.
    pub(super) fn make_room(&mut self) {
        let full = self.records.len() >= self.options.max_tracked.max(1);
        if full || self.records.size() > self.room(BYTES_EACH_AT_MOST) {
            self.evict((self.records.len() / EVICTED_PART).max(1));
        }
    }

    /// Gives up `count` records: those of the lowest retry, of these the oldest.
    pub(super) fn evict(&mut self, count: usize) {
        let Some(last) = count.min(self.records.len()).checked_sub(1) else { return };
        let rank = |packed: Packed<'_>| (packed.open().0.retry, packed.last());
        let mut ranks: Vec<_> = self.records.iter().map(rank).collect();
        let (below, &mut limit, _) = ranks.select_nth_unstable(last);
        let mut at_limit = last + 1 - below.iter().filter(|rank| **rank < limit).count();
        self.records.remove_if(|packed| {
            let rank = rank(packed);
            let goes = rank < limit || (rank == limit && at_limit > 0);
            if goes {
                at_limit -= usize::from(rank == limit);
                note_removal(packed, &mut self.gone);
            }
            goes
        });
        self.evicted += last as u64 + 1;
    }
}
