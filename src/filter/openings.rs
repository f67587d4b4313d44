//! Which patterns a text can match, as far as its first byte tells.

use super::pattern::Pattern;

/// Patterns in one set.
const SET: usize = 64;

/// For each first byte, the patterns that can match a text which begins with it.
#[derive(Debug, Default)]
pub(super) struct Openings(Vec<[u64; 256]>);

impl Openings {
    pub(super) fn new(patterns: &[Pattern]) -> Self {
        let mut sets = vec![[0; 256]; patterns.len().div_ceil(SET)];
        for (index, pattern) in patterns.iter().enumerate() {
            for byte in (0..=u8::MAX).filter(|byte| pattern.may_open(*byte)) {
                sets[index / SET][usize::from(byte)] |= 1 << (index % SET);
            }
        }
        Self(sets)
    }

    /// Those of `patterns`, in their order, from this one on.
    pub(super) fn of(&self, text: &[u8], patterns: usize, from: usize) -> impl Iterator<Item = usize> {
        let mut at = from;
        std::iter::from_fn(move || {
            while at < patterns {
                let set = text.first().map_or(u64::MAX, |byte| self.0[at / SET][usize::from(*byte)]);
                let rest = set >> (at % SET);
                if rest != 0 {
                    let found = at + rest.trailing_zeros() as usize;
                    at = found + 1;
                    return Some(found).filter(|found| *found < patterns);
                }
                at = (at / SET + 1) * SET;
            }
            None
        })
    }
}
