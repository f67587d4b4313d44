//! The regular expression of a form of dates, compiled: text → where the date stands, and the texts of its fields.
//!
//! It is the dialect of a Fail2Ban filter (`syntax`, `matcher`), searched in a part of a line with all before it in view.

use std::ops::Range;

use super::DateError;
use super::program::{Known, Program, Spans};
use crate::filter::matcher::{Matcher, Stack};
use crate::filter::syntax::{Dialect, parse};

/// Steps for one form on one line, besides one for each byte; a form that needs more does not match.
const STEPS: usize = 50_000;
/// Bytes of a line that are searched.
const REACH: usize = 8 * 1024;

/// A compiled expression.
#[derive(Debug)]
pub(super) struct Expression {
    /// Quicker, and sometimes not sure.
    program: Option<Program>,
    matcher: Matcher,
    /// Groups that are kept: the first, then those that are fields (with their letters), then the second of all.
    kept: Vec<Option<u8>>,
}

/// Where a date stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The whole match.
    pub(super) whole: Range<usize>,
    /// Its first group: the date.
    pub(super) date: Range<usize>,
}

/// What a match says, and what it takes to find one; made once and used again.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// Where the fields of the last match stand, by their letters, in their order.
    pub(super) fields: Vec<(u8, Range<usize>)>,
    /// Its second group, where the digits of `{EPOCH}` are.
    pub(super) second: Option<Range<usize>>,
    /// The last match would be the same in any line that begins with as many bytes of this one, all of them ASCII, and goes on.
    pub(super) reach: usize,
    stack: Stack,
    spans: Spans,
}

impl Expression {
    /// Compiles an expression.
    ///
    /// # Errors
    /// It is none, or too large.
    pub(super) fn new(pattern: &str, known: &Known) -> Result<Self, DateError> {
        let fail = |problem: String| DateError::Regex { pattern: pattern.to_owned(), problem };
        let syntax = parse(pattern, Dialect::Python { multi_line: false });
        let syntax = syntax.map_err(|error| fail(error.to_string()))?;
        let letter = |name: &str| <[u8; 1]>::try_from(name.as_bytes()).ok().map(|[letter]| letter);
        let fields = syntax.names.iter().filter_map(|(name, group)| Some((*group, Some(letter(name)?))));
        let fields: Vec<_> = fields.filter(|(group, _)| *group > 1).collect();
        let has_second = fields.iter().any(|(group, _)| *group == 2);
        let second = if has_second { None } else { Some((2, None)) };
        let (groups, kept): (Vec<_>, Vec<_>) = [(1, None)].into_iter().chain(fields).chain(second).unzip();
        let matcher = Matcher::new(&syntax, &groups).ok_or_else(|| fail("it is too large".to_owned()))?;
        Ok(Self { program: Program::new(&syntax, &groups, known), matcher, kept })
    }

    #[cfg(test)]
    pub(super) fn without_program(&mut self) {
        self.program = None;
    }

    /// The leftmost match that begins at `from` or later and ends at `to` at the latest, as if the line ended there.
    pub(super) fn find(&self, line: &[u8], from: usize, to: usize, scratch: &mut Scratch) -> Option<Place> {
        let line = &line[..character(line, to.min(REACH))];
        if from > line.len() {
            return None;
        }
        if let Some(Ok(whole)) =
            self.program.as_ref().map(|program| program.find(line, from, &mut scratch.spans))
        {
            scratch.reach = scratch.spans.far;
            return self.quickly(whole?, scratch);
        }
        scratch.reach = usize::MAX;
        self.exactly(line, from, scratch)
    }

    fn quickly(&self, (start, end): (usize, usize), scratch: &mut Scratch) -> Option<Place> {
        let Scratch { fields, second, spans, .. } = scratch;
        let places = (0..self.kept.len()).map(|group| spans.get(group).map(|(start, end)| start..end));
        self.place(start..end, places, fields, second)
    }

    fn exactly(&self, line: &[u8], from: usize, scratch: &mut Scratch) -> Option<Place> {
        let Scratch { fields, second, stack, .. } = scratch;
        if !self.matcher.find_from(line, from, stack, &mut (STEPS + line.len())).ok()? {
            return None;
        }
        let mut places = stack.places().map(|place| place.map(|(start, end)| start..end));
        let whole = places.next().flatten()?;
        self.place(whole, places, fields, second)
    }

    fn place(
        &self,
        whole: Range<usize>,
        mut places: impl Iterator<Item = Option<Range<usize>>>,
        fields: &mut Vec<(u8, Range<usize>)>,
        second: &mut Option<Range<usize>>,
    ) -> Option<Place> {
        let date = places.next()?.unwrap_or_else(|| whole.clone());
        fields.clear();
        *second = None;
        for (letter, place) in self.kept[1..].iter().zip(places) {
            let Some(place) = place else { continue };
            match letter {
                Some(letter) => fields.push((*letter, place)),
                None => *second = Some(place),
            }
        }
        Some(Place { whole, date })
    }
}

/// The place, or the first one before it that is not inside a character.
fn character(line: &[u8], place: usize) -> usize {
    if place >= line.len() {
        return line.len();
    }
    (0..=place).rev().find(|place| line[*place] & 0xc0 != 0x80).unwrap_or(0)
}
