//! The lines of a block judged at once: most mean nothing, which is seen in passing.
//!
//! A scan for the texts of which every failure has one finds the lines that need a look. Of the lines between only the
//! dates matter, for undated lines behind them and for what the templates of dates learn; mostly a line's date is that
//! of the line before. What is not as expected is judged line by line.

use std::ops::Range;
use std::sync::Arc;

use super::hits::{self, Hits, Told};
use super::native::Native;
use super::scan::Scanner;
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
    /// Where each of them ends, as [`line_ends`] has it; empty: that is not known yet.
    pub ends: &'t [u32],
    /// Their times where those are known, else empty.
    pub times: &'t [UnixTime],
    /// Where a scan has found something, if there was one.
    pub hits: Option<&'t Hits>,
}

impl<'t> From<&'t [u8]> for Lines<'t> {
    fn from(text: &'t [u8]) -> Self {
        Self { text, ends: &[], times: &[], hits: None }
    }
}

/// Few lines of a large text are shorter.
const SHORT: usize = 64;

/// Where each line of a text ends, its `\n` included; nothing of a text that is too long.
pub fn line_ends(text: &[u8], ends: &mut Vec<u32>) {
    ends.clear();
    if u32::try_from(text.len()).is_err() {
        return;
    }
    ends.reserve(text.len() / SHORT);
    ends.extend(memchr::memchr_iter(b'\n', text).map(|end| end as u32 + 1));
    if text.last().is_some_and(|byte| *byte != b'\n') {
        ends.push(text.len() as u32);
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

    /// Judges the lines of a block and reports those that mean something, as far as they are wanted. How many lines it
    /// has.
    ///
    /// The same as [`Filter::line_at`] for each of them, only faster.
    pub fn block(
        &mut self,
        lines: Lines<'_>,
        at: &Reading,
        wanted: Wanted,
        each: &mut dyn FnMut(&[u8], Outcome),
    ) -> usize {
        self.begin(wanted);
        let Lines { text, mut ends, times, hits: found } = lines;
        let mut own = std::mem::take(&mut self.spare);
        if ends.is_empty() {
            line_ends(text, &mut own.0);
            ends = &own.0;
        }
        let count = match &self.scan {
            Some(scan) if times.is_empty() && !ends.is_empty() => {
                // Those of another filter mean nothing to this one.
                let hits = found.filter(|found| found.is_by(scan));
                if hits.is_none() {
                    scan.look(text, ends, None, &mut own.1);
                    own.1.runs = found.and_then(|found| found.runs.clone());
                }
                self.judge_hits(text, ends, hits.unwrap_or(&own.1), at, each);
                ends.len()
            }
            _ => {
                let mut times = times.iter();
                let one = |line| tell(line, self.line_at(line, times.next().copied(), at), each);
                each_line(text).map(one).count()
            }
        };
        own.1.save_room();
        if own.0.capacity() <= hits::ROOM {
            self.spare = own;
        }
        self.begin(Wanted::Everything);
        count
    }

    fn begin(&mut self, wanted: Wanted) {
        if let Judge::Fail2Ban(judge) = &mut self.judge {
            judge.begin(wanted);
        }
        if let Some(first) = &mut self.supplement {
            first.begin(wanted);
        }
    }

    fn judge_hits(&mut self, text: &[u8], ends: &[u32], found: &Hits, at: &Reading, each: Each<'_>) {
        let line = |number: usize| {
            let start = number.checked_sub(1).map_or(0, |before| ends[before]);
            start as usize..ends[number] as usize
        };
        let mut runs = found.runs();
        // From `undated` on the native filter has not seen the dates of lines.
        let (mut next, mut undated) = (0, 0);
        let hits = found.iter().map(|(number, told)| (number, Some(told)));
        for (number, told) in hits.chain([(ends.len(), None)]) {
            while next < number && !self.is_native() {
                let until = runs.until(next, number);
                if until > next && self.pass_alike(until - next, runs.length, at) {
                    next = until;
                    continue;
                }
                let line = ended(&text[line(next)]);
                tell(line, self.pass(line, at), each);
                next += 1;
            }
            let Some(told) = told else { break };
            let Range { start, end } = line(number);
            let hit = &text[start..end];
            let alike = if runs.until(number, number + 1) > number { runs.length } else { 0 };
            let outcome = self.hit(&text[undated..start], hit, alike, told, at);
            // Another thread wrote the line: its end is not looked at without need.
            if outcome != Outcome::Nothing {
                each(ended(hit), outcome);
            }
            (next, undated) = (number + 1, end);
        }
        if let Some(native) = self.native() {
            native.catch_up(&text[undated..], at.now);
        }
        if let (Some(scan), Judge::Fail2Ban(judge)) = (&self.scan, &self.judge) {
            let (end, head) = judge.date();
            scan.set_date(end, head);
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
    fn hit(
        &mut self,
        passed: &[u8],
        line: &[u8],
        alike: usize,
        told: Option<Told<'_>>,
        at: &Reading,
    ) -> Outcome {
        let is_native = self.is_native();
        if let Some(native) = self.native() {
            let outcome = native.after(passed, ended(line), is_native, at);
            if is_native {
                return outcome;
            }
            if outcome != Outcome::Nothing {
                if let Judge::Fail2Ban(judge) = &mut self.judge {
                    judge.missed();
                }
                return outcome.of_later_pattern(self.own);
            }
            return match &mut self.judge {
                Judge::Native(native) => native.line(ended(line), None, at),
                Judge::Fail2Ban(judge) => judge.line(ended(line), None, at),
            };
        }
        match &mut self.judge {
            Judge::Fail2Ban(judge) if self.supplement.is_none() => judge.hit(line, alike, told, at),
            _ => self.line_at(ended(line), None, at),
        }
    }

    /// Passes over so many lines that begin as the one before for so many bytes, and have none of the texts; false: each
    /// needs a look.
    fn pass_alike(&mut self, lines: usize, alike: usize, at: &Reading) -> bool {
        let is_alone = self.supplement.is_none() || self.native().is_some();
        match &mut self.judge {
            Judge::Fail2Ban(judge) => is_alone && judge.pass_alike(lines, alike, at.now),
            Judge::Native(_) => false,
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
