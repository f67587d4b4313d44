//! Finds the date of a line: where it stands, and which moment it is.
//!
//! A list of templates with hand-written parsers; no two of them can begin at the same place,
//! so which one wins never depends on the lines before. The caller passes `now` (for dates without a year)
//! and the time zone (for dates without one).

mod template;
#[cfg(test)]
mod tests;
mod zone;

pub use zone::Zone;

use crate::time::UnixTime;
use template::{Fields, TEMPLATES};

/// The date found in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dated {
    /// The date's first byte.
    pub start: usize,
    /// Behind its last byte.
    pub end: usize,
    /// The moment; none when there is no such date (30 February).
    pub time: Option<UnixTime>,
}

/// Finds dates; for a whole file as well as for single lines.
#[derive(Debug, Clone)]
pub struct Dates {
    zone: Zone,
}

/// How much of a line is searched for a date in brackets.
const REACH: usize = 1024;

impl Dates {
    /// Dates without a zone are of this one.
    pub fn new(zone: Zone) -> Self {
        Self { zone }
    }

    /// The first date of a line: at its beginning, behind up to two other characters or a syslog priority (`<34>1 `),
    /// else the first one that follows a `[`.
    ///
    /// What stands before it has no letters or ends with `[`: the prefilter's literals depend on this.
    pub fn find(&self, line: &[u8], now: UnixTime) -> Option<Dated> {
        let (start, (length, fields)) = at_begin(line).or_else(|| in_brackets(line))?;
        Some(Dated { start, end: start + length, time: self.moment(&fields, now) })
    }

    /// The moment of a line's date, for a search by date in a file.
    pub fn time(&self, line: &[u8], now: UnixTime) -> Option<UnixTime> {
        self.find(line, now)?.time
    }

    fn moment(&self, fields: &Fields, now: UnixTime) -> Option<UnixTime> {
        let (date, offset) = match *fields {
            Fields::Epoch(time) => return Some(time),
            Fields::Civil(date, offset) => (date, offset),
        };
        if let Some(year) = date.year {
            return self.zone.moment(date.seconds(year)?, date.micros, offset);
        }
        let year = self.zone.year(now);
        let time = self.zone.moment(date.seconds(year)?, date.micros, offset)?;
        if time <= now + DAY {
            return Some(time);
        }
        self.zone.moment(date.seconds(year - 1)?, date.micros, offset)
    }
}

const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

fn at_begin(line: &[u8]) -> Option<(usize, (usize, Fields))> {
    let skip = priority(line);
    let skips = if skip > 0 { skip..=skip } else { 0..=2 };
    for start in skips {
        let rest = line.get(start..)?;
        if let Some(found) = TEMPLATES.iter().find_map(|template| (template.parse)(rest)) {
            return Some((start, found));
        }
        if rest.first().is_none_or(|byte| is_word(*byte)) {
            return None;
        }
    }
    None
}

/// The length of `<34>1 ` (RFC 5424) or `<34>` (RFC 3164).
fn priority(line: &[u8]) -> usize {
    if line.first() != Some(&b'<') {
        return 0;
    }
    let digits = template::digits(&line[1..]);
    if !(1..=3).contains(&digits) || line.get(1 + digits) != Some(&b'>') {
        return 0;
    }
    let end = digits + 2;
    let version = template::digits(&line[end..]);
    if (1..=2).contains(&version) && line.get(end + version) == Some(&b' ') { end + version + 1 } else { end }
}

fn in_brackets(line: &[u8]) -> Option<(usize, (usize, Fields))> {
    let head = &line[..line.len().min(REACH)];
    memchr::memchr_iter(b'[', head).find_map(|bracket| {
        let start = bracket + 1;
        let templates = TEMPLATES.iter().filter(|template| template.anywhere);
        let found = templates.into_iter().find_map(|template| (template.parse)(&line[start..]))?;
        Some((start, found))
    })
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
