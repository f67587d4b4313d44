//! Finds the date of a line: where it stands, and which moment it is.
//!
//! Two ways: a TOML jail's (`native`, hand-written parsers, without a memory), and Fail2Ban's (`detector`: templates that
//! compete, so that the lines before have a say). The caller passes `now` (for dates without a year) and the time zone
//! (for dates without one).
//!
//! Fail2Ban's way, in the order in which it happens: `datepattern` becomes forms (`language`, `field`), each with an
//! expression (`expression`) and, where it can, a quicker matcher of its own (`template`, `program`); the detector
//! chooses; `moment` (with `civil`, `offset`, `zone`) reads what was found.

mod civil;
mod detector;
mod expression;
mod field;
mod language;
mod moment;
mod native;
mod offset;
mod program;
mod shown;
mod template;
#[cfg(test)]
mod tests;
mod zone;

pub use detector::Memory;
pub use shown::TemplateUse;
pub use zone::Zone;

use std::ops::Range;

use crate::time::UnixTime;
use detector::Detector;

/// The date found in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dated {
    /// The date's first byte.
    pub start: usize,
    /// Behind its last byte; the same place where the pattern says that there is none (`{NONE}`).
    pub end: usize,
    /// The moment; none when there is no such date (30 February), or when it is empty.
    pub time: Option<UnixTime>,
    /// Fail2Ban knows the moment as a whole number of seconds: the offset from Greenwich is told.
    pub whole: bool,
}

/// How the dates of a Fail2Ban jail are read.
#[derive(Debug, Clone)]
pub struct DateOptions {
    /// `datepattern`, one pattern a line; none: Fail2Ban's own.
    pub pattern: Option<String>,
    /// `logtimezone`, such as `UTC+0200` or `CET`; none: `system`.
    pub zone: Option<String>,
    /// The zone of dates without one.
    pub system: Zone,
    /// The year that the default patterns take for the present one: they accept years since 2000 up to the end of the
    /// decade of the year in three years. None: that of `now`, as it goes on. Fail2Ban takes it from the clock even
    /// where its `now` is another one; a command that replays an old log passes the clock's year.
    pub year: Option<i64>,
    /// Accepts years since 1960.
    pub old_years: bool,
    /// The default patterns are those of Fail2Ban since 1.1.
    pub newer: bool,
}

/// Why dates cannot be read as an option says; each message names the option.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DateError {
    /// A `%` that begins no field.
    #[error("datepattern has `{0}`, which is no field (a percent sign is `%%`)")]
    Field(String),
    /// One pattern twice.
    #[error("datepattern has `{0}` twice")]
    Twice(String),
    /// Too many patterns.
    #[error("datepattern has more than {0} patterns")]
    TooMany(usize),
    /// A pattern that is too long.
    #[error("datepattern has a pattern of more than {0} bytes")]
    TooLong(usize),
    /// No regular expression.
    #[error("datepattern does not compile: {problem} (in `{pattern}`)")]
    Regex {
        /// The expression.
        pattern: String,
        /// What is wrong with it.
        problem: String,
    },
    /// No time zone.
    #[error("logtimezone `{0}` is no zone such as `UTC`, `CET` or `UTC+0200`")]
    Zone(String),
}

/// Finds dates; for a whole file as well as for single lines.
#[derive(Debug)]
pub struct Dates(Kind);

#[derive(Debug)]
enum Kind {
    Native(Zone),
    Fail2Ban(Box<Detector>),
}

impl Dates {
    /// The dates of a TOML jail; those without a zone are of this one.
    pub fn new(zone: Zone) -> Self {
        Self(Kind::Native(zone))
    }

    /// The dates of a Fail2Ban jail.
    ///
    /// # Errors
    /// `datepattern` or `logtimezone` mean nothing.
    pub fn fail2ban(options: &DateOptions) -> Result<Self, DateError> {
        Ok(Self(Kind::Fail2Ban(Box::new(Detector::new(options)?))))
    }

    /// The date of a line.
    pub fn find(&mut self, line: &[u8], now: UnixTime) -> Option<Dated> {
        match &mut self.0 {
            Kind::Native(zone) => native::find(zone, line, now),
            Kind::Fail2Ban(detector) => detector.find(line, now),
        }
    }

    /// The templates in the order in which they are tried now; none of a TOML jail.
    pub fn templates(&self) -> Vec<TemplateUse> {
        match &self.0 {
            Kind::Native(_) => Vec::new(),
            Kind::Fail2Ban(detector) => detector.templates(),
        }
    }

    /// Whether the line is dated exactly as the last one was, which is then noted. False: look for its date.
    pub fn repeats(&mut self, line: &[u8], now: UnixTime) -> bool {
        match &mut self.0 {
            Kind::Native(_) => false,
            Kind::Fail2Ban(detector) => detector.repeats(line, now),
        }
    }

    /// Where [`Dates::repeats`] would find the line's date.
    pub(super) fn would_repeat(&self, line: &[u8], now: UnixTime) -> Option<Range<usize>> {
        match &self.0 {
            Kind::Native(_) => None,
            Kind::Fail2Ban(detector) => detector.would_repeat(line, now),
        }
    }

    /// Where the date stands of a line that begins with so many bytes of the last one, and has more; none: look for it.
    pub(super) fn alike(&self, bytes: usize, now: UnixTime) -> Option<Range<usize>> {
        match &self.0 {
            Kind::Native(_) => None,
            Kind::Fail2Ban(detector) => detector.alike(bytes, now),
        }
    }

    /// Notes so many lines of which [`Dates::alike`] has told.
    pub(super) fn repeated(&mut self, lines: usize) {
        if let Kind::Fail2Ban(detector) = &mut self.0 {
            detector.repeated(lines);
        }
    }

    /// So many bytes of the last line told all of its date; 0: that is not known.
    pub(super) fn head(&self) -> usize {
        match &self.0 {
            Kind::Native(_) => 0,
            Kind::Fail2Ban(detector) => detector.head(),
        }
    }

    /// The moment of a line's date, for a search by date in a file.
    pub fn time(&mut self, line: &[u8], now: UnixTime) -> Option<UnixTime> {
        self.find(line, now)?.time
    }

    /// As slow as it is exact: for the law that the quick matchers keep.
    #[cfg(test)]
    fn without_programs(&mut self) {
        if let Kind::Fail2Ban(detector) = &mut self.0 {
            detector.without_programs();
        }
    }

    /// What it has learnt from the lines before.
    pub fn memory(&self) -> Option<Memory> {
        match &self.0 {
            Kind::Native(_) => None,
            Kind::Fail2Ban(detector) => Some(detector.memory()),
        }
    }

    /// Begins as if there had been no line before.
    pub fn forget(&mut self) {
        if let Kind::Fail2Ban(detector) = &mut self.0 {
            detector.forget();
        }
    }

    /// Goes on from what was learnt; of other patterns it means nothing.
    pub fn recall(&mut self, memory: &Memory) {
        if let Kind::Fail2Ban(detector) = &mut self.0 {
            detector.recall(memory);
        }
    }
}
