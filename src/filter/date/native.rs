//! The dates of a TOML jail: a list of templates with hand-written parsers.
//!
//! No two of them can begin at the same place, so which one wins never depends on the lines before.

mod template;
#[cfg(test)]
mod tests;

use super::civil::DAY;
use super::{Dated, Zone};
use crate::time::UnixTime;
use template::{Fields, TEMPLATES, digits};

/// How much of a line is searched for a date in brackets.
const REACH: usize = 1024;

/// The first date of a line: at its beginning, behind up to two other characters or a syslog priority (`<34>1 `),
/// else the first one that follows a `[`.
///
/// What stands before it has no letters or ends with `[`: the prefilter's literals depend on this.
pub(super) fn find(zone: &Zone, line: &[u8], now: UnixTime) -> Option<Dated> {
    let (start, (length, fields)) = at_begin(line).or_else(|| in_brackets(line))?;
    Some(Dated { start, end: start + length, time: moment(zone, &fields, now), whole: false })
}

fn moment(zone: &Zone, fields: &Fields, now: UnixTime) -> Option<UnixTime> {
    let (date, offset) = match *fields {
        Fields::Epoch(time) => return Some(time),
        Fields::Civil(date, offset) => (date, offset),
    };
    if let Some(year) = date.year {
        return zone.moment(date.seconds(year)?, date.micros, offset);
    }
    let year = zone.year(now);
    let time = zone.moment(date.seconds(year)?, date.micros, offset)?;
    if time <= now + std::time::Duration::from_secs(DAY as u64) {
        return Some(time);
    }
    zone.moment(date.seconds(year - 1)?, date.micros, offset)
}

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
    let number = digits(&line[1..]);
    if !(1..=3).contains(&number) || line.get(1 + number) != Some(&b'>') {
        return 0;
    }
    let end = number + 2;
    let version = digits(&line[end..]);
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
