//! The lines of a block judged at once: most mean nothing, which is seen in passing.
//!
//! A scan for the texts of which every failure has one finds the lines that need a look. Of the lines between only the
//! dates matter, for undated lines behind them and for what the templates of dates learn; mostly a line's date is that
//! of the line before. What is not as expected is judged line by line.

use std::sync::Arc;

use super::native::Native;
use super::prefilter::Literals;
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

/// Whom lines that mean something are told to.
pub(super) type Each<'e> = &'e mut dyn FnMut(&[u8], Outcome);

impl Filter {
    /// Judges the lines of a block, each ended by `\n` or `\r\n`, and reports those that mean something, as far as
    /// they are wanted. `times` are those of the lines where they are known, else empty.
    ///
    /// The same as [`Filter::line_at`] for each of them, only faster.
    pub fn block(
        &mut self,
        text: &[u8],
        times: &[UnixTime],
        at: &Reading,
        wanted: Wanted,
        each: &mut dyn FnMut(&[u8], Outcome),
    ) {
        self.begin(wanted);
        match (&mut self.judge, &self.scan, times) {
            (Judge::Native(native), _, []) if self.supplement.is_none() => native.block(text, at, each),
            (_, Some(scan), []) => {
                let scan = Arc::clone(scan);
                self.scan_block(&scan, text, at, each);
            }
            _ => {
                let mut times = times.iter();
                for line in lines(text) {
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

    fn scan_block(&mut self, scan: &Literals, text: &[u8], at: &Reading, each: Each<'_>) {
        // From `undated` on the supplement has not seen the dates of lines.
        let (mut next, mut undated) = (0, 0);
        while next < text.len() {
            let hit = scan.find(&text[next..]).map_or(text.len(), |hit| next + hit);
            let start = match hit == text.len() {
                true => hit,
                false => next + memchr::memrchr(b'\n', &text[next..hit]).map_or(0, |end| end + 1),
            };
            for line in lines(&text[next..start]) {
                tell(line, self.pass(line, at), each);
            }
            if start == text.len() {
                break;
            }
            let end = memchr::memchr(b'\n', &text[hit..]).map_or(text.len(), |end| hit + end);
            let line = &text[start..text.len().min(end + 1)];
            tell(ended(line), self.hit(&text[undated..start], line, at), each);
            next = end + 1;
            undated = next;
        }
        if let Some(native) = self.native_supplement() {
            native.catch_up(text.get(undated..).unwrap_or_default(), at.now);
        }
    }

    /// Of the lines that are passed over only the last date matters to it.
    fn native_supplement(&mut self) -> Option<&mut Native> {
        match self.supplement.as_deref_mut() {
            Some(Filter { judge: Judge::Native(native), supplement: None, .. }) => Some(native),
            _ => None,
        }
    }

    /// Judges a line, with its end, that has one of the texts; those before were passed over.
    fn hit(&mut self, passed: &[u8], line: &[u8], at: &Reading) -> Outcome {
        if let Some(native) = self.native_supplement() {
            let outcome = native.after(passed, ended(line), false, at);
            if outcome != Outcome::Nothing {
                return outcome.of_later_pattern(self.own);
            }
            return match &mut self.judge {
                Judge::Native(native) => native.line(ended(line), None, at),
                Judge::Fail2Ban(judge) => judge.line(ended(line), None, at),
            };
        }
        match &mut self.judge {
            Judge::Fail2Ban(judge) if self.supplement.is_none() => judge.hit(line, at),
            _ => self.line_at(ended(line), None, at),
        }
    }

    /// Judges a line that has none of the texts, unless its date was cut out of one.
    fn pass(&mut self, line: &[u8], at: &Reading) -> Outcome {
        if self.native_supplement().is_none()
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
fn lines(mut text: &[u8]) -> impl Iterator<Item = &[u8]> {
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
