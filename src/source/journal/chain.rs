//! Entry arrays: the offsets of all entries of a file, or of those with one value, in the order of writing.
//!
//! Source: systemd's `JOURNAL_FILE_FORMAT`, "Entry Array Objects". An array grows by a next one that lies behind it in the
//! file; what points backwards is damage, so a walk ends however the file was made.

use super::bytes::{Bytes, Damage, corrupt};

/// Where the items of an array object begin.
const ITEMS: u64 = 24;
const ENTRY_ARRAY: u8 = 6;
/// Arrays that a chain may have: each is twice as long as the one before.
const ARRAYS_CAP: u32 = 1000;

/// A walk along a chain. It only goes forward.
#[derive(Debug, Clone, Default)]
pub(super) struct Chain {
    /// The entry that stands before the arrays, in the object itself (a value's first); 0: there is none.
    first: u64,
    /// The array where the walk is; 0: there is none yet.
    array: u64,
    /// Entries before that array.
    before: u64,
    /// Entries of the whole chain.
    total: u64,
    /// Arrays that the walk has left behind.
    walked: u32,
    /// Bytes of an item: 4 in compact files, else 8.
    item: u64,
}

/// An array object, as far as it was checked.
struct Array {
    next: u64,
    capacity: u64,
}

impl Chain {
    /// All entries of a file.
    pub(super) fn of_all(array: u64, total: u64, compact: bool) -> Self {
        Self { first: 0, array, before: 0, total, walked: 0, item: if compact { 4 } else { 8 } }
    }

    /// The entries of a value.
    pub(super) fn of_value(first: u64, array: u64, total: u64, compact: bool) -> Self {
        Self { first, before: 1, ..Self::of_all(array, total, compact) }
    }

    /// Takes over what has been appended since.
    pub(super) fn grow(&mut self, first: u64, first_array: u64, total: u64) {
        self.first = first;
        if self.array == 0 {
            self.array = first_array;
        }
        self.total = total;
    }

    /// The same from a new walk along the same chain.
    pub(super) fn take_growth(&mut self, now: &Self) {
        self.grow(now.first, now.array, now.total);
    }

    /// The first entry at `least` or behind it. What is asked later must not be less.
    pub(super) fn at_least(&mut self, bytes: &mut Bytes, least: u64) -> Result<Option<u64>, Damage> {
        if self.first != 0 && self.first >= least {
            return Ok(Some(self.first));
        }
        while self.array != 0 && self.before < self.total {
            let array = self.open(bytes)?;
            let count = array.capacity.min(self.total - self.before);
            if count > 0 && self.item(bytes, count - 1)? >= least {
                let (mut low, mut high) = (0, count - 1);
                while low < high {
                    let middle = low + (high - low) / 2;
                    if self.item(bytes, middle)? < least { low = middle + 1 } else { high = middle }
                }
                let found = self.item(bytes, low)?;
                return if found >= least {
                    Ok(Some(found))
                } else {
                    Err(corrupt("an entry array", self.array))
                };
            }
            if !self.step(&array)? {
                break;
            }
        }
        Ok(None)
    }

    /// The entry of that number, from 0. What is asked later must not be less, but for the same array.
    pub(super) fn number(&mut self, bytes: &mut Bytes, number: u64) -> Result<Option<u64>, Damage> {
        while self.array != 0 && number < self.total && number >= self.before {
            let array = self.open(bytes)?;
            if number - self.before < array.capacity {
                return self.item(bytes, number - self.before).map(Some);
            }
            if !self.step(&array)? {
                break;
            }
        }
        Ok(None)
    }

    /// The first entry that `is_behind` says yes to; it says no to all before, and yes to all behind that one.
    pub(super) fn partition(
        mut self,
        bytes: &mut Bytes,
        mut is_behind: impl FnMut(u64) -> Result<bool, Damage>,
    ) -> Result<Option<u64>, Damage> {
        while self.array != 0 && self.before < self.total {
            let array = self.open(bytes)?;
            let count = array.capacity.min(self.total - self.before);
            if count > 0 {
                let last = self.item(bytes, count - 1)?;
                if is_behind(last)? {
                    let (mut low, mut high) = (0, count - 1);
                    while low < high {
                        let middle = low + (high - low) / 2;
                        if is_behind(self.item(bytes, middle)?)? { high = middle } else { low = middle + 1 }
                    }
                    return self.item(bytes, low).map(Some);
                }
            }
            if !self.step(&array)? {
                break;
            }
        }
        Ok(None)
    }

    fn open(&self, bytes: &mut Bytes) -> Result<Array, Damage> {
        let damaged = corrupt("an entry array", self.array);
        let head: [u8; 24] = bytes.array(self.array)?;
        let (kind, _, size) = super::file::object(&head);
        let next = u64::from_le_bytes(std::array::from_fn(|at| head[16 + at]));
        let room = size.checked_sub(ITEMS).filter(|_| kind == ENTRY_ARRAY).ok_or(damaged)?;
        if next != 0 && next <= self.array {
            return Err(damaged);
        }
        Ok(Array { next, capacity: room / self.item })
    }

    /// Goes to the next array; false: there is none yet, as far as the chain is known. A writer may have filled this
    /// one and begun the next since: what it put here must not be passed over.
    fn step(&mut self, array: &Array) -> Result<bool, Damage> {
        let before = self.before.saturating_add(array.capacity);
        if array.next == 0 || array.capacity == 0 || before > self.total {
            return Ok(false);
        }
        if self.walked >= ARRAYS_CAP {
            return Err(corrupt("too long a chain of entry arrays", self.array));
        }
        self.walked += 1;
        self.before = before;
        self.array = array.next;
        Ok(true)
    }

    fn item(&self, bytes: &mut Bytes, at: u64) -> Result<u64, Damage> {
        let place = at.checked_mul(self.item).and_then(|skip| self.array.checked_add(ITEMS + skip));
        let place = place.ok_or(corrupt("an entry array", self.array))?;
        let offset = if self.item == 4 { bytes.u32(place).map(u64::from) } else { bytes.u64(place) }?;
        if offset == 0 { Err(corrupt("an entry array", self.array)) } else { Ok(offset) }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::Arc;

    use super::*;

    /// An array of these entries, and the place of the next one.
    fn array(entries: &[u64], next: u64) -> Vec<u8> {
        let mut bytes = vec![ENTRY_ARRAY, 0, 0, 0, 0, 0, 0, 0];
        bytes.extend((ITEMS + 8 * entries.len() as u64).to_le_bytes());
        bytes.extend(next.to_le_bytes());
        bytes.extend(entries.iter().flat_map(|entry| entry.to_le_bytes()));
        bytes
    }

    fn bytes(of: &[Vec<u8>]) -> Bytes {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[0; 8]).unwrap();
        file.write_all(&of.concat()).unwrap();
        Bytes::new(Arc::new(file))
    }

    #[test]
    fn what_is_filled_while_it_is_read_is_not_passed_over() {
        // Two entries were known when the walk began; the array is full now, and there is another one.
        let mut bytes = bytes(&[array(&[100, 200, 300, 400], 64), array(&[500, 600], 0)]);
        let mut chain = Chain::of_all(8, 2, false);
        assert_eq!(chain.at_least(&mut bytes, 201), Ok(None));
        chain.grow(0, 8, 6);
        for (least, expected) in
            [(201, Some(300)), (301, Some(400)), (401, Some(500)), (600, Some(600)), (601, None)]
        {
            assert_eq!(chain.at_least(&mut bytes, least), Ok(expected), "{least}");
        }
    }

    #[test]
    fn entries_by_number_and_by_what_they_are() {
        let mut bytes = bytes(&[array(&[100, 200, 300, 400], 64), array(&[500, 600], 0)]);
        for (number, expected) in [(0, Some(100)), (3, Some(400)), (4, Some(500)), (5, Some(600)), (6, None)]
        {
            assert_eq!(Chain::of_all(8, 6, false).number(&mut bytes, number), Ok(expected), "{number}");
            let behind = |entry| Ok(entry / 100 > number);
            let chain = Chain::of_all(8, 6, false);
            assert_eq!(chain.partition(&mut bytes, behind), Ok(expected), "{number}");
        }
    }

    #[test]
    fn a_chain_that_misleads_ends() {
        for (arrays, what) in [
            (vec![array(&[100, 200], 8)], "to itself"),
            (vec![array(&[100, 200], 48), array(&[300], 8)], "backwards"),
            (vec![array(&[100, 0], 0)], "to nothing"),
            (vec![vec![9; 64]], "to another object"),
            (vec![array(&[100, 200], 1 << 60)], "out of the file"),
            ((1..=2000).map(|number| array(&[100], 8 + number * 32)).collect(), "on and on"),
        ] {
            let mut bytes = bytes(&arrays);
            let damage = Chain::of_all(8, u64::MAX, false).at_least(&mut bytes, 1000);
            assert!(matches!(damage, Err(Damage::Corrupt { .. })), "{what}: {damage:?}");
        }
    }
}
