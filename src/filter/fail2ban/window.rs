//! The last lines of a log, for patterns that span several (`maxlines`, SPEC §2.2).
//!
//! Lines are joined by `\n` and end with one. A match takes the lines it spans out of the window; those that its
//! `<SKIPLINES>` skipped stay. Bounded: by the filter's `maxlines` and by [`BYTES`].

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::filter::text::{SHOWN, lossy};

/// Bytes of all lines together; the oldest make room.
const BYTES: usize = 256 * 1024;

/// A line, and where its date stands in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Whole.
    pub line: Arc<str>,
    /// Its date; empty where it has none.
    pub date: Range<usize>,
}

impl Entry {
    pub(super) fn undated(line: &str) -> Self {
        Self { line: line.into(), date: 0..0 }
    }

    /// What stands before the date, the date, and what stands behind it.
    pub fn parts(&self) -> [&str; 3] {
        let [before, behind] = self.sides();
        [before, &self.line[self.date.clone()], behind]
    }

    /// What stands before and behind the date.
    fn sides(&self) -> [&str; 2] {
        [&self.line[..self.date.start], &self.line[self.date.end..]]
    }

    fn is(&self, text: &str) -> bool {
        let [before, behind] = self.sides();
        text.strip_prefix(before) == Some(behind)
    }

    fn is_whole(&self) -> bool {
        self.date.start <= self.date.end && self.line.get(self.date.clone()).is_some()
    }
}

/// The lines, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Window(pub(super) Vec<Entry>);

/// What a match makes of a window.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Split {
    pub(super) matched: Window,
    pub(super) rest: Window,
}

impl Window {
    /// Adds a line; no more than `most` stay.
    pub(super) fn push(&mut self, entry: Entry, most: usize) {
        self.0.push(entry);
        self.trim(most);
    }

    /// Leaves the last `most` lines, and of them what fits the bound.
    fn trim(&mut self, most: usize) {
        let mut bytes = 0;
        let fitting = self.0.iter().rev().take(most).take_while(|entry| {
            bytes += entry.line.len();
            bytes <= BYTES
        });
        let surplus = self.0.len() - fitting.count();
        self.0.drain(..surplus);
    }

    /// After a restart: what no bound would have let in is thrown away.
    pub(super) fn restored(mut self, most: usize) -> Self {
        self.0.retain(Entry::is_whole);
        self.trim(most);
        self
    }

    /// What the patterns look at.
    pub(super) fn text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        self.write(&mut text);
        text
    }

    /// The lines as they are reported, with their dates.
    pub(super) fn shown(&self) -> impl Iterator<Item = Arc<str>> {
        self.0.iter().map(|entry| match &*entry.line {
            line if line.len() > SHOWN => lossy(line.as_bytes(), SHOWN).into(),
            _ => Arc::clone(&entry.line),
        })
    }

    /// What the patterns look at.
    pub(super) fn write(&self, text: &mut Vec<u8>) {
        text.clear();
        for entry in &self.0 {
            for side in entry.sides() {
                text.extend_from_slice(side.as_bytes());
            }
            text.push(b'\n');
        }
        if self.0.is_empty() {
            text.push(b'\n');
        }
    }

    /// Splits the lines by a match in `text`, which has as many; `skipped` is what `<SKIPLINES>` captured.
    pub(super) fn split(&self, text: &[u8], span: &Range<usize>, skipped: &str) -> Split {
        let lines = |end: usize| memchr::memchr_iter(b'\n', &text[..end.min(text.len())]).count();
        if self.0.len() <= 1 {
            return Split { matched: self.clone(), rest: Self::default() };
        }
        // A match that begins with a line's end belongs to the next line, one that ends with it to this one.
        let first = lines(span.start + 1).min(self.0.len());
        let behind = span.end.saturating_sub(1).min(text.len());
        let last = memchr::memchr(b'\n', &text[behind..]).map_or(text.len(), |end| behind + end + 1);
        let last = lines(last).clamp(first, self.0.len());
        let mut matched = self.0[first..last].to_vec();
        let mut rest = self.0[..first].to_vec();
        let mut from = 0;
        for line in python_lines(skipped) {
            if let Some(at) = matched.iter().skip(from).position(|entry| entry.is(line)) {
                rest.push(matched.remove(from + at));
                from += at;
            }
        }
        rest.extend_from_slice(&self.0[last..]);
        Split { matched: Self(matched), rest: Self(rest) }
    }
}

/// The lines of a text as Python's `splitlines` cuts them.
fn python_lines(text: &str) -> impl Iterator<Item = &str> {
    const ENDS: [char; 10] =
        ['\n', '\r', '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}', '\u{2029}'];
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.find(ENDS).unwrap_or(rest.len());
        let line = &rest[..end];
        rest = &rest[end..];
        rest = rest.strip_prefix("\r\n").unwrap_or_else(|| {
            let mut chars = rest.chars();
            chars.next();
            chars.as_str()
        });
        Some(line)
    })
}
