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

    /// Gives up `count` records: those of the lowest retry, of these the oldest, of these the first that was written.
    pub(super) fn evict(&mut self, count: usize) {
        let Some(last) = count.min(self.records.len()).checked_sub(1) else { return };
        let rank = |place: u32, packed: Packed<'_>| (packed.open().0.retry, packed.last(), place);
        let mut ranks: Vec<_> = self.records.placed().map(|(place, packed)| rank(place, packed)).collect();
        let (_, &mut limit, _) = ranks.select_nth_unstable(last);
        self.records.remove_if(|place, packed| {
            let goes = rank(place, packed) <= limit;
            if goes {
                note_removal(packed, &mut self.gone);
            }
            goes
        });
        self.evicted += last as u64 + 1;
    }
}
