//! The lines of a block judged at once: most mean nothing, which is seen in passing.
//!
//! A scan for the texts of which every failure has one finds the lines that need a look. Of the lines between only the
//! dates matter, for undated lines behind them and for what the templates of dates learn; mostly a line's date is that
//! of the line before. What is not as expected is judged line by line.

use std::ops::Range;
use std::sync::Arc;

use super::native::Native;
use super::sift::{Hits, Scanner, Told};
use super::text::without_return;
use super::{Filter, Judge, Outcome, Reading};
use crate::time::UnixTime;

/// What is to be reported of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Every line that means something.
    Everything,
    /// What counts: lines that are too old, or mean nothing for themselves and for any other, may be left out.
    Failures,
}

/// Lines to be judged.
#[derive(Debug, Clone, Copy)]
pub struct Lines<'t> {
    /// Each ended by `\n` or `\r\n`.
    pub text: &'t [u8],
    /// Their times where those are known, else empty.
    pub times: &'t [UnixTime],
    /// Where a scan has found something, if there was one.
    pub hits: Option<&'t Hits>,
}

impl<'t> From<&'t [u8]> for Lines<'t> {
    fn from(text: &'t [u8]) -> Self {
        Self { text, times: &[], hits: None }
    }
}

/// Whom lines that mean something are told to.
pub(super) type Each<'e> = &'e mut dyn FnMut(&[u8], Outcome);

impl Filter {
    /// Who can tell which lines of a block need a look; none: all do.
    pub fn scanner(&self) -> Option<Scanner> {
        let sifter = match &self.judge {
            Judge::Fail2Ban(judge) if self.supplement.is_none() => judge.sifter(),
            _ => None,
        };
        Some(Scanner::new(Arc::clone(self.scan.as_ref()?), sifter))
    }

    /// Judges the lines of a block and reports those that mean something, as far as they are wanted.
    ///
    /// The same as [`Filter::line_at`] for each of them, only faster.
    pub fn block(
        &mut self,
        lines: Lines<'_>,
        at: &Reading,
        wanted: Wanted,
        each: &mut dyn FnMut(&[u8], Outcome),
    ) {
        self.begin(wanted);
        let Lines { text, times, hits: found } = lines;
        match (&self.scan, times, found) {
            // Those of another filter mean nothing to this one.
            (Some(scan), [], Some(found)) if Arc::ptr_eq(scan, &found.by) => {
                self.judge_hits(text, found.iter(), at, each);
            }
            (Some(scan), [], _) => {
                let scan = Arc::clone(scan);
                self.judge_hits(text, scan.hits(text).map(|line| (line, None)), at, each);
            }
            _ => {
                let mut times = times.iter();
                for line in each_line(text) {
                    tell(line, self.line_at(line, times.next().copied(), at), each);
                }
            }
        }
        self.begin(Wanted::Everything);
    }

    fn begin(&mut self, wanted: Wanted) {
        if let Judge::Fail2Ban(judge) = &mut self.judge {
            judge.begin(wanted);
        }
        if let Some(first) = &mut self.supplement {
            first.begin(wanted);
        }
    }

    fn judge_hits<'h>(
        &mut self,
        text: &[u8],
        hits: impl Iterator<Item = (Range<usize>, Option<Told<'h>>)>,
        at: &Reading,
        each: Each<'_>,
    ) {
        // From `undated` on the native filter has not seen the dates of lines.
        let (mut next, mut undated) = (0, 0);
        for (hit, told) in hits {
            self.pass_all(&text[next..hit.start], at, each);
            let line = &text[hit.clone()];
            tell(ended(line), self.hit(&text[undated..hit.start], line, told, at), each);
            (next, undated) = (hit.end, hit.end);
        }
        self.pass_all(&text[next..], at, each);
        if let Some(native) = self.native() {
            native.catch_up(&text[undated..], at.now);
        }
        if let (Some(scan), Judge::Fail2Ban(judge)) = (&self.scan, &self.judge) {
            scan.set_date_end(judge.date_end());
        }
    }

    fn pass_all(&mut self, text: &[u8], at: &Reading, each: Each<'_>) {
        if !self.is_native() {
            for line in each_line(text) {
                tell(line, self.pass(line, at), each);
            }
        }
    }

    fn is_native(&self) -> bool {
        matches!(self.judge, Judge::Native(_)) && self.supplement.is_none()
    }

    /// The one to which of the lines that are passed over only the last date matters: itself or its supplement.
    fn native(&mut self) -> Option<&mut Native> {
        match (self.supplement.as_deref_mut(), &mut self.judge) {
            (Some(Filter { judge: Judge::Native(native), supplement: None, .. }), _)
            | (None, Judge::Native(native)) => Some(native),
            _ => None,
        }
    }

    /// Judges a line, with its end, that has one of the texts; those before were passed over.
    fn hit(&mut self, passed: &[u8], line: &[u8], told: Option<Told<'_>>, at: &Reading) -> Outcome {
        let is_native = self.is_native();
        if let Some(native) = self.native() {
            let outcome = native.after(passed, ended(line), is_native, at);
            if is_native {
                return outcome;
            }
            if outcome != Outcome::Nothing {
                return outcome.of_later_pattern(self.own);
            }
            return match &mut self.judge {
                Judge::Native(native) => native.line(ended(line), None, at),
                Judge::Fail2Ban(judge) => judge.line(ended(line), None, at),
            };
        }
        match &mut self.judge {
            Judge::Fail2Ban(judge) if self.supplement.is_none() => judge.hit(line, told, at),
            _ => self.line_at(ended(line), None, at),
        }
    }

    /// Judges a line that has none of the texts, unless its date was cut out of one.
    fn pass(&mut self, line: &[u8], at: &Reading) -> Outcome {
        if self.native().is_none()
            && let Some(first) = &mut self.supplement
        {
            let outcome = first.pass(line, at);
            if outcome != Outcome::Nothing {
                return outcome.of_later_pattern(self.own);
            }
        }
        match &mut self.judge {
            Judge::Native(native) => native.line(line, None, at),
            Judge::Fail2Ban(judge) => judge.pass(line, at),
        }
    }
}

/// A line without its end.
fn ended(line: &[u8]) -> &[u8] {
    without_return(line.strip_suffix(b"\n").unwrap_or(line))
}

fn tell(line: &[u8], outcome: Outcome, each: Each<'_>) {
    if outcome != Outcome::Nothing {
        each(line, outcome);
    }
}

/// Lines without their ends.
fn each_line(mut text: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        if text.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', text).unwrap_or(text.len());
        let line = without_return(&text[..end]);
        text = text.get(end + 1..).unwrap_or_default();
        Some(line)
    })
}
