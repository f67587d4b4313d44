//! The regular expression of a form of dates, compiled: text → where the date stands, and the texts of its fields.
//!
//! It is the filter's own dialect (`syntax`, `rewrite`), searched in a part of a line with all of the line in view.

use std::ops::Range;

use fancy_regex::BytesMode;

use super::DateError;
use crate::filter::rewrite;
use crate::filter::syntax::{Dialect, parse};

/// Steps for one form on one line.
const STEPS: usize = 50_000;
/// Bytes of a line that are searched.
pub(super) const REACH: usize = 8 * 1024;
/// Bytes of one compiled expression.
const SIZE: usize = 2 << 20;

/// A compiled expression.
#[derive(Debug, Clone)]
pub(super) struct Expression {
    regex: fancy_regex::Regex,
    /// Named groups that say something, in the order of the expression: a letter as in `%Y`, and the group.
    fields: Vec<(u8, usize)>,
}

/// Where a date stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The whole match.
    pub(super) whole: Range<usize>,
    /// Its first group: the date.
    pub(super) date: Range<usize>,
}

/// What the fields of a date say, by their letters, in their order.
pub(super) type Fields<'t> = Vec<(u8, &'t [u8])>;

impl Expression {
    /// Compiles an expression.
    ///
    /// # Errors
    /// It is none, or too large.
    pub(super) fn new(pattern: &str) -> Result<Self, DateError> {
        let fail = |problem: String| DateError::Regex { pattern: pattern.to_owned(), problem };
        let syntax = parse(pattern, Dialect::Bytes).map_err(|error| fail(error.to_string()))?;
        let mut builder = fancy_regex::RegexBuilder::new(&rewrite::fancy(&syntax.root));
        builder.bytes_mode(BytesMode::Ascii).backtrack_limit(STEPS);
        builder.delegate_size_limit(SIZE).delegate_dfa_size_limit(64 * 1024).max_prog_size(100_000);
        let regex = builder.build().map_err(|error| fail(error.to_string()))?;
        let letter = |name: &str| <[u8; 1]>::try_from(name.as_bytes()).ok().map(|[letter]| letter);
        let fields = syntax.names.iter().filter_map(|(name, group)| Some((letter(name)?, *group))).collect();
        Ok(Self { regex, fields })
    }

    /// The leftmost match that begins at `from` or later and ends at `to` at the latest, as if the line ended there.
    pub(super) fn find<'t>(&self, line: &'t [u8], from: usize, to: usize) -> Option<(Place, Found<'t>)> {
        let line = line.get(..to.min(REACH).min(line.len()))?;
        let captures = self.regex.captures_from_pos(line, from).ok().flatten()?;
        let whole = captures.get(0).map(|place| place.start()..place.end())?;
        let date = captures.get(1).map_or(whole.clone(), |place| place.start()..place.end());
        let text = |group: usize| captures.get(group).map(|place| &line[place.start()..place.end()]);
        let fields =
            self.fields.iter().filter_map(|(letter, group)| Some((*letter, text(*group)?))).collect();
        Some((Place { whole, date }, Found { fields, second: text(2) }))
    }
}

/// The texts of a match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found<'t> {
    pub(super) fields: Fields<'t>,
    /// The second group, where the digits of `{EPOCH}` are.
    pub(super) second: Option<&'t [u8]>,
}
