//! Lines that are passed over, or left out: what can be seen of a line before it is decoded and tried on patterns.
//!
//! In: lines of a block, and whether a scan has found one of the patterns' texts in them. Out: the same as
//! [`Judge::line`], but for lines that are not wanted.

use super::{Judge, Outcome, Reading, Taken, groups};
use crate::filter::Wanted;
use crate::filter::hits::{Told, What};
use crate::filter::pattern::Role;
use crate::filter::patterns::Content;
use crate::filter::sift::Sifter;
use crate::filter::text::without_return;
use crate::time::UnixTime;

/// What is known of the lines at hand.
#[derive(Debug)]
pub(super) struct Passing {
    /// The last line was dated by itself and of no account otherwise: so is one with the same date that no pattern
    /// can match.
    pub(super) calm: bool,
    /// What is to be reported of the lines at hand.
    pub(super) wanted: Wanted,
    /// Whether the line at hand is known to have one of the texts of the patterns.
    pub(super) is_hit: bool,
    /// Where the date of the last line ended that began with one; else 0.
    date_end: usize,
}

impl Default for Passing {
    fn default() -> Self {
        Self { calm: false, wanted: Wanted::Everything, is_hit: false, date_end: 0 }
    }
}

impl Judge {
    pub(in crate::filter) fn spans_lines(&self) -> bool {
        self.max_lines > 1
    }

    /// Before lines of another reading.
    pub(in crate::filter) fn begin(&mut self, wanted: Wanted) {
        self.passing = Passing { wanted, date_end: self.passing.date_end, ..Passing::default() };
    }

    /// Where dates are likely to end that begin lines, and how many bytes they depend on; 0 where that is not known.
    pub(in crate::filter) fn date(&self) -> (usize, usize) {
        (self.passing.date_end, self.dates.head())
    }

    /// Who can tell what the patterns say of one line; none: it takes others.
    pub(in crate::filter) fn sifter(&self) -> Option<Sifter> {
        if self.spans_lines() || self.ignore_first { None } else { self.patterns.sifter() }
    }

    /// Judges one line, with its end, that has one of the texts of the patterns, and begins as the one before for so many
    /// bytes.
    pub(in crate::filter) fn hit(
        &mut self,
        line: &[u8],
        alike: usize,
        told: Option<Told<'_>>,
        at: &Reading,
    ) -> Outcome {
        if self.is_left_out(line, alike, told, at.now) {
            self.changed = true;
            return Outcome::Nothing;
        }
        self.passing.is_hit = true;
        let line = without_return(line.strip_suffix(b"\n").unwrap_or(line));
        let outcome = self.line_told(line, None, told, at);
        self.passing.is_hit = false;
        outcome
    }

    /// Notes where a line's date stands, and takes what was told of the line only if it is about this date.
    pub(super) fn fitting<'h>(&mut self, taken: &Taken<'_>, told: Option<Told<'h>>) -> Option<Told<'h>> {
        if taken.is_dated() {
            self.passing.date_end = if taken.date.start == 0 { taken.date.end } else { 0 };
        }
        told.filter(|told| taken.date == (0..told.date_end) && !matches!(told.what, What::Quiet(_)))
    }

    /// Judges one line of the same reading as the one before that has none of the texts of the patterns.
    pub(in crate::filter) fn pass(&mut self, line: &[u8], at: &Reading) -> Outcome {
        if self.passing.calm && line.last() != Some(&b'\r') && self.dates.repeats(line, at.now) {
            self.changed = true;
            return Outcome::Nothing;
        }
        self.line(line, None, at)
    }

    /// Passes over so many lines that begin as the one before for so many bytes, and have none of the texts; false: each
    /// needs a look.
    pub(in crate::filter) fn pass_alike(&mut self, lines: usize, alike: usize, now: UnixTime) -> bool {
        let passes = self.passing.calm && self.dates.alike(alike, now).is_some();
        if passes {
            self.changed = true;
            self.dates.repeated(lines);
        }
        passes
    }

    /// A line was judged by another filter.
    pub(in crate::filter) fn missed(&mut self) {
        self.passing.calm = false;
    }

    /// Whether it has none of the texts of which each match has one.
    pub(super) fn has_no_text(&self, text: &[u8]) -> bool {
        self.patterns.literals.as_ref().is_some_and(|literals| literals.find(text).is_none())
    }

    /// The same as [`Judge::is_of_no_account`] at first sight: the line's date is that of the line before, and begins it.
    fn is_left_out(&mut self, line: &[u8], alike: usize, told: Option<Told<'_>>, now: UnixTime) -> bool {
        if self.passing.wanted != Wanted::Failures || !self.passing.calm {
            return false;
        }
        // What is told of a line is told of its text as it is: its end needs no look.
        let date = match told.and_then(|_| self.dates.alike(alike, now)) {
            None if line.ends_with(b"\n") && !line.ends_with(b"\r\n") => self.dates.would_repeat(line, now),
            date => date,
        };
        let Some(date) = date.filter(|date| date.start == 0) else { return false };
        let text = &line[date.end..];
        let left_out = match told.filter(|told| told.date_end == date.end) {
            Some(Told { what: What::No, .. }) => true,
            Some(Told { what: What::Quiet(mark), session: Some(end), .. }) => {
                end <= groups::VALUE && !self.memory.sessions.may_know(mark)
                    || self.is_unknown(&text[..end], now)
            }
            Some(_) => false,
            None => self.patterns.is_quiet(line) && self.is_of_no_account_here(text, now),
        };
        if left_out {
            self.dates.repeated(1);
        }
        left_out
    }

    /// Whether the line can only end a connection of which nothing is known: that is not wanted.
    pub(super) fn is_of_no_account(&mut self, text: &[u8], taken: &Taken<'_>, now: UnixTime) -> bool {
        if self.passing.wanted != Wanted::Failures
            || !taken.is_dated()
            || self.spans_lines()
            || !self.patterns.is_quiet(text)
        {
            return false;
        }
        self.is_of_no_account_here(text, now)
    }

    fn is_of_no_account_here(&mut self, text: &[u8], now: UnixTime) -> bool {
        match self.patterns.session(text) {
            Ok(Some(key)) => {
                let end = key.len();
                self.is_unknown(&text[..end], now)
            }
            Ok(None) => true,
            Err(()) => false,
        }
    }

    /// Whether nothing is known of this connection.
    fn is_unknown(&self, key: &[u8], now: UnixTime) -> bool {
        let key = std::str::from_utf8(key).ok().filter(|key| key.len() <= groups::VALUE);
        key.is_some_and(|key| !self.memory.sessions.knows(key, now))
    }

    /// Whether the last match, of this pattern, ends a connection of which nothing is known, and says nothing by itself.
    pub(super) fn is_idle(
        &self,
        text: &[u8],
        content: &Content,
        pattern: usize,
        inner: &[u8],
        now: UnixTime,
    ) -> bool {
        let (mut held, mut forget) = (false, false);
        for (group, value) in self.patterns.of_pattern(pattern, inner) {
            let says = value.is_some_and(|value| !value.is_empty());
            match group.role {
                Role::NoFail | Role::Gained => held |= says,
                Role::Forget => forget = says,
                Role::Session => return false,
                _ => {}
            }
        }
        let mut prefix = self.patterns.of_prefix(text, content);
        let key = prefix.find(|(group, _)| group.role == Role::Session).and_then(|(_, key)| key);
        held && forget && key.is_some_and(|key| self.is_unknown(key, now))
    }
}
