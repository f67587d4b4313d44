//! The regular expression of a form of dates, compiled: text → where the date stands, and the texts of its fields.
//!
//! It is the dialect of a Fail2Ban filter (`syntax`, `matcher`), searched in a part of a line with all before it in view.

use std::ops::Range;

use super::DateError;
use crate::filter::matcher::{Matcher, Stack};
use crate::filter::pattern::is_anchored;
use crate::filter::syntax::{Dialect, parse};

/// Steps for one form on one line, besides one for each byte; a form that needs more does not match.
const STEPS: usize = 50_000;
/// Bytes of a line that are searched.
const REACH: usize = 8 * 1024;

/// A compiled expression.
#[derive(Debug)]
pub(super) struct Expression {
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

/// The texts of a match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found<'t> {
    /// What the fields say, by their letters, in their order.
    pub(super) fields: Vec<(u8, &'t [u8])>,
    /// The second group, where the digits of `{EPOCH}` are.
    pub(super) second: Option<&'t [u8]>,
}

impl Expression {
    /// Compiles an expression.
    ///
    /// # Errors
    /// It is none, or too large.
    pub(super) fn new(pattern: &str) -> Result<Self, DateError> {
        let fail = |problem: String| DateError::Regex { pattern: pattern.to_owned(), problem };
        let syntax = parse(pattern, Dialect::Python { multi_line: false });
        let syntax = syntax.map_err(|error| fail(error.to_string()))?;
        let letter = |name: &str| <[u8; 1]>::try_from(name.as_bytes()).ok().map(|[letter]| letter);
        let fields = syntax.names.iter().filter_map(|(name, group)| Some((*group, Some(letter(name)?))));
        let fields: Vec<_> = fields.filter(|(group, _)| *group > 1).collect();
        let has_second = fields.iter().any(|(group, _)| *group == 2);
        let second = if has_second { None } else { Some((2, None)) };
        let (groups, kept): (Vec<_>, Vec<_>) = [(1, None)].into_iter().chain(fields).chain(second).unzip();
        let matcher = Matcher::new(&syntax, &groups, is_anchored(&syntax.root))
            .ok_or_else(|| fail("it is too large".to_owned()))?;
        Ok(Self { matcher, kept })
    }

    /// The leftmost match that begins at `from` or later and ends at `to` at the latest, as if the line ended there.
    pub(super) fn find<'t>(
        &self,
        line: &'t [u8],
        from: usize,
        to: usize,
        stack: &mut Stack,
    ) -> Option<(Place, Found<'t>)> {
        let line = &line[..character(line, to.min(REACH))];
        if from > line.len() || !self.matcher.find_from(line, from, stack, &mut (STEPS + line.len())).ok()? {
            return None;
        }
        let mut places = stack.places().map(|place| place.map(|(start, end)| start..end));
        let whole = places.next().flatten()?;
        let date = places.next().flatten().unwrap_or_else(|| whole.clone());
        let mut found = Found::default();
        for (letter, place) in self.kept[1..].iter().zip(places) {
            let Some(place) = place else { continue };
            match letter {
                Some(letter) => found.fields.push((*letter, &line[place])),
                None => found.second = Some(&line[place]),
            }
        }
        Some((Place { whole, date }, found))
    }
}

/// The place, or the first one before it that is not inside a character.
fn character(line: &[u8], place: usize) -> usize {
    if place >= line.len() {
        return line.len();
    }
    (0..=place).rev().find(|place| line[*place] & 0xc0 != 0x80).unwrap_or(0)
}
