//! What the store has to learn of a tracker, packed as it is kept: a flood changes many records between two saves.

use super::Record;
use super::packed::{Names, Packed};
use super::phrases::Phrases;
use super::records::Records;
use crate::id::Id;

/// Records as they were at one moment; each address is named once.
#[derive(Debug, Clone, Default)]
pub struct Dirty {
    /// Those that are counted, one behind the other.
    text: Vec<u8>,
    count: usize,
    /// Those that are not any more.
    gone: Vec<Id>,
    names: Names,
    phrases: Phrases,
}

impl Dirty {
    /// What was written since the last time, and who is gone; the store knows it from now on.
    pub(super) fn take(
        gone: impl IntoIterator<Item = Id>,
        records: &mut Records,
        names: &Names,
        phrases: &Phrases,
    ) -> Self {
        let mut dirty = Self { gone: gone.into_iter().collect(), ..Self::default() };
        records.take_new(|packed| {
            packed.copy(&mut dirty.text);
            dirty.count += 1;
        });
        if dirty.count > 0 {
            (dirty.names, dirty.phrases) = (names.clone(), phrases.readable());
        }
        dirty
    }

    /// How many addresses it names.
    pub fn len(&self) -> usize {
        self.count + self.gone.len()
    }

    /// Whether the store knows it all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each address with its record; none: it counts no more.
    pub fn iter(&self) -> impl Iterator<Item = (Id, Option<Record>)> {
        let mut rest = &self.text[..];
        let kept = std::iter::from_fn(move || {
            let packed = (!rest.is_empty()).then(|| Packed::read(rest))?;
            rest = &rest[packed.size()..];
            Some((packed.id(), Some(packed.record(&self.names, &self.phrases))))
        });
        kept.chain(self.gone.iter().map(|id| (id.clone(), None)))
    }
}

impl PartialEq for Dirty {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}
