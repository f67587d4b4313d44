//! Where a search has been: what has failed at a place fails there again.

/// Bytes of the table; a text for which it would be larger is searched without. Only what is touched costs.
const LARGEST: usize = 16 << 20;
/// Conditions, and rounds that may take nothing, that can be told apart.
const CONDITIONS: usize = 6;

/// Of each turn and state of the conditions: the places where it was taken, as bits.
/// Of each run and state: the places where it has ended.
#[derive(Debug, Default)]
pub(super) struct Memory {
    bits: Vec<u64>,
    places: usize,
    states: usize,
    runs: Vec<Option<(usize, usize)>>,
    /// Of each run: from where to where its class goes on, as last seen.
    stretches: Vec<Option<(usize, usize)>>,
}

/// What is left to try of a run.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Left {
    All,
    Nothing,
    /// Ends before this place.
    Before(usize),
    /// Ends behind this place.
    Behind(usize),
}

impl Memory {
    /// Begins anew. False when the table would be too large.
    pub(super) fn prepare(&mut self, turns: usize, runs: usize, length: usize, conditions: usize) -> bool {
        if conditions > CONDITIONS {
            return false;
        }
        self.places = length + 1;
        self.states = 1 << conditions;
        let words = (turns * self.states).saturating_mul(self.places).div_ceil(64);
        if words > LARGEST / 8 {
            return false;
        }
        self.bits = vec![0; words];
        self.runs = vec![None; runs * self.states];
        self.stretches = vec![None; runs];
        true
    }

    /// Gives its space back.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn stretch(&mut self, run: usize) -> &mut Option<(usize, usize)> {
        &mut self.stretches[run]
    }

    /// Notes that a turn is taken at a place; false when it was taken there before.
    pub(super) fn is_new(&mut self, turn: usize, at: usize, state: usize) -> bool {
        let bit = (turn * self.states + state) * self.places + at;
        let word = &mut self.bits[bit / 64];
        let mask = 1 << (bit % 64);
        let is_new = *word & mask == 0;
        *word |= mask;
        is_new
    }

    /// Notes that a greedy run will end at each place from `most` down to `least`.
    ///
    /// That is true before it is done: whatever comes back to this run meanwhile stands behind where it ends by then.
    pub(super) fn ends(&mut self, run: usize, state: usize, least: usize, most: usize) -> Left {
        let known = &mut self.runs[run * self.states + state];
        match *known {
            Some((low, high)) if low <= least && most <= high => Left::Nothing,
            Some((low, high)) if low <= most && most <= high => {
                *known = Some((least, high));
                Left::Before(low)
            }
            _ => {
                *known = Some((least, most));
                Left::All
            }
        }
    }

    /// Whether a lazy run has ended at a place before.
    pub(super) fn has_ended(&self, run: usize, state: usize, at: usize) -> Left {
        match self.runs[run * self.states + state] {
            Some((low, high)) if low <= at && at <= high => Left::Behind(high),
            _ => Left::All,
        }
    }

    /// Notes that a lazy run ends at a place; it has not where what follows could not begin in between.
    pub(super) fn end(&mut self, run: usize, state: usize, before: usize, at: usize) {
        let known = &mut self.runs[run * self.states + state];
        *known = match *known {
            Some((low, high)) if low <= before && before <= high => Some((low, at.max(high))),
            _ => Some((at, at)),
        };
    }
}
