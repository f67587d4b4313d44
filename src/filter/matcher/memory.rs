//! Where a search has been: what has failed at a place fails there again.

/// Bytes of the table; a text for which it would be larger is searched without.
const LARGEST: usize = 32 << 20;
/// Conditionals that can be told apart.
const CONDITIONS: usize = 6;

/// A bit for each (turn, place, state of the conditions).
#[derive(Debug, Default)]
pub(super) struct Memory {
    bits: Vec<u64>,
    places: usize,
    states: usize,
}

impl Memory {
    /// Forgets everything. False when the table would be too large.
    pub(super) fn prepare(&mut self, ops: usize, length: usize, conditions: usize) -> bool {
        if conditions > CONDITIONS {
            return false;
        }
        self.places = length + 1;
        self.states = 1 << conditions;
        let words = (ops * self.states).saturating_mul(self.places).div_ceil(64);
        self.bits.clear();
        if words > LARGEST / 8 {
            return false;
        }
        self.bits.resize(words, 0);
        true
    }

    /// Notes a visit; false when it is not the first.
    pub(super) fn is_new(&mut self, op: usize, at: usize, state: usize) -> bool {
        let bit = (op * self.states + state) * self.places + at;
        let word = &mut self.bits[bit / 64];
        let mask = 1 << (bit % 64);
        let is_new = *word & mask == 0;
        *word |= mask;
        is_new
    }
}
