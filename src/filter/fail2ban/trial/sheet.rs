//! The lines of a block with their dates: all that has to be known of a line in the order of the log before patterns
//! can be tried on it anywhere.
//!
//! Where lines end, and which of them begin as the one before does, any thread can tell ([`Splitter`]). Then the dates
//! ([`Dater`]) are a matter of a few lines for each block.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::window::Entry;
use super::super::{Before, Judge, Taken, Zone};
use crate::filter::date::TemplateUse;
use crate::filter::text::begins;
use crate::time::UnixTime;

/// Finds the dates of lines, one block after the other.
#[derive(Debug)]
pub struct Dater {
    /// Without its patterns.
    judge: Box<Judge>,
    now: UnixTime,
    splitter: Splitter,
    /// The last mark.
    mark: Mark,
}

/// Finds the lines of blocks, in any order.
#[derive(Debug, Clone)]
pub struct Splitter {
    /// Whether empty lines and comments are none.
    skips: bool,
    /// How much of a line's beginning its date depends on, as far as is known.
    reach: Arc<AtomicUsize>,
}

/// Lines of a block, and how they are dated.
#[derive(Debug, Default)]
pub struct Sheet {
    /// UTF-8.
    text: Vec<u8>,
    /// Where they begin and end, without their ends.
    lines: Vec<(usize, usize)>,
    /// The lines that do not begin as the one before does, in their first so many bytes.
    others: Vec<usize>,
    reach: usize,
    /// From which line on lines are dated so.
    marks: Vec<(usize, Mark)>,
    /// Some date is.
    pub(super) is_odd: bool,
    /// All of its text.
    pub(super) is_ascii: bool,
}

/// How a line is dated, and those behind it that begin alike.
#[derive(Debug, Clone, Default)]
pub(super) struct Mark {
    before: Before,
    pub(super) date: Range<usize>,
    pub(super) time: Option<UnixTime>,
    pub(super) whole: bool,
    /// It was cut out of the line's middle, or left nothing.
    is_odd: bool,
}

impl Splitter {
    /// Finds the lines of a block; what is no text there becomes U+FFFD.
    pub fn split(&self, block: Vec<u8>, sheet: &mut Sheet) {
        sheet.begin(block, self.reach.load(Ordering::Relaxed));
        let Sheet { text, lines, others, reach, .. } = sheet;
        let (text, reach) = (&text[..], *reach);
        let (mut start, mut last) = (0, &[][..]);
        let ends = memchr::memchr_iter(b'\n', text);
        let end = text.last().is_some_and(|last| *last != b'\n').then_some(text.len());
        for next in ends.chain(end) {
            let mut line = &text[start..next];
            while let [rest @ .., b'\r'] = line {
                line = rest;
            }
            let begin = std::mem::replace(&mut start, next + 1);
            if self.skips && matches!(line, [] | [b'#', ..]) {
                continue;
            }
            let head = if line.len() > reach { &line[..reach] } else { &[] };
            if head.is_empty() || last.len() != head.len() || !begins(head, last) {
                others.push(lines.len());
            }
            last = head;
            lines.push((begin, begin + line.len()));
        }
    }
}

impl Dater {
    pub(super) fn new(judge: Box<Judge>, now: UnixTime, skips: bool) -> Self {
        let splitter = Splitter { skips, reach: Arc::default() };
        Self { judge, now, splitter, mark: Mark::default() }
    }

    /// For each thread one.
    pub fn splitter(&self) -> Splitter {
        self.splitter.clone()
    }

    /// Finds the dates of the lines of a block.
    pub fn date(&mut self, sheet: &mut Sheet) {
        sheet.mark(&self.mark);
        let ends = sheet.others.iter().skip(1).copied().chain([sheet.lines.len()]);
        for (first, end) in sheet.others.iter().copied().zip(ends) {
            let mut next = first;
            while next < end {
                let line = &sheet.text[sheet.place(next)];
                if !self.judge.dates.repeats(line, self.now) {
                    self.look(text_of(line));
                    sheet.marks.push((next, self.mark.clone()));
                    sheet.is_odd |= self.mark.is_odd;
                }
                next += 1;
                if next < end && self.judge.dates.alike(sheet.reach, self.now).is_some() {
                    self.judge.dates.repeated(end - next);
                    next = end;
                }
            }
        }
        self.splitter.reach.store(self.judge.dates.head(), Ordering::Relaxed);
    }

    /// Finds the date of a line.
    fn look(&mut self, line: &str) {
        let taken = self.judge.take_tried(line, None, self.now);
        let Taken { before, date, time, whole, .. } = taken;
        // A text of a pattern begins with a letter: none is made of what stood on both sides of the date.
        let is_cut = line[..date.start].bytes().any(|byte| byte.is_ascii_alphabetic());
        let is_odd = !date.is_empty() && (is_cut || date.len() == line.len());
        self.mark = Mark { before, date, time, whole, is_odd };
    }

    #[cfg(test)]
    pub(super) fn begin(&mut self) {
        self.judge.restore(b"");
        self.mark = Mark::default();
    }

    /// The templates of dates in the order in which they are tried now.
    pub fn date_templates(&self) -> Vec<TemplateUse> {
        self.judge.date_templates()
    }
}

impl Sheet {
    fn begin(&mut self, block: Vec<u8>, reach: usize) {
        self.reach = reach;
        self.others.clear();
        self.is_ascii = block.is_ascii();
        self.text = if self.is_ascii {
            block
        } else {
            let text = String::from_utf8(block);
            text.unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()).into_bytes()
        };
        self.lines.clear();
        self.marks.clear();
        self.is_odd = false;
    }

    fn mark(&mut self, mark: &Mark) {
        self.marks.push((0, mark.clone()));
        self.is_odd |= mark.is_odd;
    }

    /// Its text, for the next block to use its room.
    pub fn take_text(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.text)
    }

    /// How many lines there are.
    pub fn count(&self) -> usize {
        self.lines.len()
    }

    /// A line, without its end.
    pub fn line(&self, line: usize) -> &str {
        text_of(&self.text[self.place(line)])
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    pub(super) fn place(&self, line: usize) -> Range<usize> {
        let (start, end) = self.lines[line];
        start..end
    }

    /// How lines are dated, for those that are asked about in their order.
    pub(super) fn marks(&self) -> Marks<'_> {
        Marks { marks: &self.marks, at: 0 }
    }

    /// The same from a line on.
    pub(super) fn marks_from(&self, line: usize) -> Marks<'_> {
        let behind = self.marks.partition_point(|(from, _)| *from <= line);
        Marks { marks: &self.marks, at: behind.saturating_sub(1) }
    }

    /// What the patterns look at in a line.
    pub(super) fn content(&self, line: usize, mark: &Mark) -> Cow<'_, [u8]> {
        let Range { start, end } = self.place(line);
        let bytes = &self.text[..];
        if mark.date.start == 0 && bytes.get(end) == Some(&b'\n') {
            return bytes[start + mark.date.end..=end].into();
        }
        let line = &bytes[start..end];
        [&line[..mark.date.start], &line[mark.date.end..], b"\n"].concat().into()
    }

    /// As it is reported.
    pub(super) fn entry(&self, line: usize, mark: &Mark, zone: &Zone) -> Entry {
        self.taken(line, mark).entry(zone)
    }

    /// The same, cut.
    pub(super) fn shown(&self, line: usize, mark: &Mark, zone: &Zone) -> Arc<str> {
        self.taken(line, mark).shown(zone)
    }

    fn taken(&self, line: usize, mark: &Mark) -> Taken<'_> {
        let Mark { before, date, time, whole, .. } = mark.clone();
        Taken { before, line: self.line(line), date, time, whole, undated: false }
    }
}

/// A line of a sheet: all of it is text.
fn text_of(line: &[u8]) -> &str {
    std::str::from_utf8(line).unwrap_or_default()
}

/// Goes along with the lines of a sheet.
pub(super) struct Marks<'s> {
    marks: &'s [(usize, Mark)],
    at: usize,
}

impl<'s> Marks<'s> {
    pub(super) fn of(&mut self, line: usize) -> &'s Mark {
        while self.marks.get(self.at + 1).is_some_and(|(from, _)| *from <= line) {
            self.at += 1;
        }
        &self.marks[self.at].1
    }
}
