//! The entries of one file that a jail wants, found by the values' own lists: what is not wanted is not read.

use super::bytes::Damage;
use super::chain::Chain;
use super::file::{Entry, JournalFile};
use super::matches::Matches;

/// Lists that are asked for the next entry, before others have their turn.
pub(super) const STEPS: usize = 20_000;

/// One value that is wanted, and the walk along its entries.
#[derive(Debug)]
struct Leaf {
    value: Vec<u8>,
    /// Its object, once an entry has it.
    found: Option<(u64, Chain)>,
    /// Whether this was looked up since the last look at the file.
    fresh: bool,
}

/// What is wanted of one file.
#[derive(Debug)]
pub(super) struct Selection {
    matches: Matches,
    groups: Vec<Vec<Vec<Leaf>>>,
    /// All entries, when all are wanted.
    all: Chain,
}

/// What a search brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// This entry.
    Entry(u64),
    /// Nothing before that one: search on from there.
    From(u64),
    /// Nothing more.
    Nothing,
}

impl Selection {
    pub(super) fn new(matches: Matches, file: &JournalFile) -> Self {
        let leaf = |value: &Vec<u8>| Leaf { value: value.clone(), found: None, fresh: false };
        let field = |values: &Vec<Vec<u8>>| values.iter().map(leaf).collect();
        let group = |fields: &Vec<Vec<Vec<u8>>>| fields.iter().map(field).collect();
        let groups = matches.groups.iter().map(group).collect();
        Self { matches, groups, all: file.chain() }
    }

    /// The file was looked at again.
    pub(super) fn refresh(&mut self, file: &JournalFile) {
        let now = file.chain();
        self.all.take_growth(&now);
        self.groups.iter_mut().flatten().flatten().for_each(|leaf| leaf.fresh = false);
    }

    /// The first wanted entry at `from` or behind it. What is asked later must not be less.
    /// Takes as many `steps` as it looks at lists.
    pub(super) fn next(
        &mut self,
        file: &mut JournalFile,
        from: u64,
        steps: &mut usize,
    ) -> Result<Next, Damage> {
        let Some(last) = file.last().copied() else { return Ok(Next::Nothing) };
        let found = if self.groups.is_empty() {
            file.at_least(&mut self.all, from)?.map_or(Next::Nothing, Next::Entry)
        } else {
            let mut first = Next::Nothing;
            for group in &mut self.groups {
                first = first.or(next_of_group(group, file, from, steps)?);
            }
            first
        };
        match found {
            Next::Entry(offset) if offset < last.offset => Ok(found),
            Next::From(offset) if offset < last.offset => Ok(found),
            _ if from <= last.offset && self.wants(file, &last)? => Ok(Next::Entry(last.offset)),
            _ => Ok(Next::Nothing),
        }
    }

    /// Judges an entry by its own values.
    fn wants(&self, file: &mut JournalFile, entry: &Entry) -> Result<bool, Damage> {
        let mut has = Vec::new();
        file.values(entry, self.matches.longest() + 1, &mut |value| {
            if self.matches.names(value) {
                has.push(value.to_vec());
            }
        })?;
        Ok(self.matches.wants(&|value| has.iter().any(|known| known == value)))
    }
}

impl Next {
    /// Whichever comes first in the file.
    fn or(self, other: Self) -> Self {
        let place = |next: &Self| match next {
            Self::Entry(offset) | Self::From(offset) => *offset,
            Self::Nothing => u64::MAX,
        };
        // At the same place, what one of them has found is found.
        let is_search = |next: &Self| matches!(next, Self::From(_));
        if (place(&self), is_search(&self)) <= (place(&other), is_search(&other)) { self } else { other }
    }
}

/// The first entry that has one value of each field.
fn next_of_group(
    fields: &mut [Vec<Leaf>],
    file: &mut JournalFile,
    from: u64,
    steps: &mut usize,
) -> Result<Next, Damage> {
    let mut at = from;
    let mut agreed = 0;
    for turn in (0..fields.len()).cycle() {
        if *steps == 0 {
            return Ok(Next::From(at));
        }
        let mut first = None;
        for leaf in &mut fields[turn] {
            *steps = steps.saturating_sub(1);
            let next = leaf.next(file, at)?;
            first = first.into_iter().chain(next).min();
        }
        let Some(offset) = first else { return Ok(Next::Nothing) };
        agreed = if offset == at { agreed + 1 } else { 1 };
        at = offset;
        if agreed >= fields.len() {
            return Ok(Next::Entry(at));
        }
    }
    Ok(Next::Nothing)
}

impl Leaf {
    fn next(&mut self, file: &mut JournalFile, from: u64) -> Result<Option<u64>, Damage> {
        if !std::mem::replace(&mut self.fresh, true) {
            match &mut self.found {
                Some((value, chain)) => file.grow(*value, chain)?,
                None => {
                    if let Some(value) = file.find(&self.value)? {
                        self.found = Some((value, file.chain_of(value)?));
                    }
                }
            }
        }
        let Some((_, chain)) = &mut self.found else { return Ok(None) };
        file.at_least(chain, from)
    }
}
