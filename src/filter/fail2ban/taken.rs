//! A line taken apart: its date, what the patterns look at, and what is shown of it.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use super::window::Entry;
use crate::filter::date::Zone;
use crate::filter::text::{SHOWN, lossy};
use crate::time::UnixTime;

/// A line taken apart.
#[derive(Debug)]
pub(super) struct Taken<'l> {
    pub(super) before: Before,
    pub(super) line: &'l str,
    /// The line's own date.
    pub(super) date: Range<usize>,
    pub(super) time: Option<UnixTime>,
    /// Fail2Ban has the line's own date as a whole number.
    pub(super) whole: bool,
    /// The line has no date of its own, though it should.
    pub(super) undated: bool,
}

/// What is shown before a line.
#[derive(Debug, Clone, Default)]
pub(super) enum Before {
    #[default]
    Nothing,
    /// The text of the last date, where the line has none of its own.
    Last(String),
    /// The moment that the line's source knows.
    Known(UnixTime),
}

impl Taken<'_> {
    /// Whether its time is that of its own date.
    pub(super) fn is_dated(&self) -> bool {
        self.time.is_some() && !self.date.is_empty()
    }

    /// What stands before its date.
    pub(super) fn head(&self) -> std::slice::Iter<'_, u8> {
        self.line.as_bytes()[..self.date.start].iter()
    }

    /// What the patterns look at.
    pub(super) fn write(&self, text: &mut Vec<u8>) {
        text.clear();
        text.extend_from_slice(&self.line.as_bytes()[..self.date.start]);
        text.extend_from_slice(&self.line.as_bytes()[self.date.end..]);
        text.push(b'\n');
    }

    pub(super) fn entry(&self, zone: &Zone) -> Entry {
        let before = self.before(zone);
        if before.is_empty() {
            return Entry { line: self.line.into(), date: self.date.clone() };
        }
        Entry { line: [&*before, self.line].concat().into(), date: 0..before.len() }
    }

    pub(super) fn shown(&self, zone: &Zone) -> Arc<str> {
        let before = self.before(zone);
        if before.is_empty() {
            let is_short = self.line.len() <= SHOWN;
            return if is_short { self.line.into() } else { lossy(self.line.as_bytes(), SHOWN).into() };
        }
        lossy([&*before, self.line].concat().as_bytes(), SHOWN).into()
    }

    pub(super) fn before(&self, zone: &Zone) -> Cow<'_, str> {
        match &self.before {
            Before::Nothing => "".into(),
            Before::Last(text) => (&**text).into(),
            Before::Known(time) => (zone.iso(*time) + " ").into(),
        }
    }
}

/// A line as text, without any `\r` at its end.
pub(super) fn decoded(line: &[u8]) -> Cow<'_, str> {
    let end = line.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |last| last + 1);
    let line = &line[..end];
    std::str::from_utf8(line).map_or_else(|_| String::from_utf8_lossy(line), Cow::Borrowed)
}
