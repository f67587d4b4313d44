//! The forms of dates, each with a parser of its own.

use super::is_word;
use crate::filter::date::civil;
use crate::time::UnixTime;

/// A form of date.
pub(super) struct Template {
    /// Reads a date that begins at the first byte: its length, and what it says.
    pub(super) parse: fn(&[u8]) -> Option<(usize, Fields)>,
    /// Whether it is looked for behind each `[`, too.
    pub(super) anywhere: bool,
}

/// In their first characters these exclude each other: `2026-`, a letter, ten digits, `02/Jan`.
pub(super) const TEMPLATES: &[Template] = &[
    Template { parse: iso, anywhere: true },
    Template { parse: syslog, anywhere: true },
    Template { parse: epoch, anywhere: false },
    Template { parse: common_log, anywhere: true },
];

/// What a date says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fields {
    Epoch(UnixTime),
    /// With the seconds east of Greenwich, if it says so.
    Civil(Civil, Option<i64>),
}

/// A day and a time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Civil {
    pub(super) year: Option<i64>,
    pub(super) month: u8,
    pub(super) day: u8,
    pub(super) seconds: u32,
    pub(super) micros: u32,
}

impl Civil {
    /// Seconds since 1970 as if in UTC; none when there is no such day.
    pub(super) fn seconds(&self, year: i64) -> Option<i64> {
        if self.seconds > DAY_SECONDS || !(1970..=9000).contains(&year) {
            return None;
        }
        let days = civil::days(year, self.month, self.day)?;
        Some(days * i64::from(DAY_SECONDS) + i64::from(self.seconds))
    }
}

const DAY_SECONDS: u32 = 86_400;

/// Reads bytes one after the other.
struct Reader<'r> {
    text: &'r [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek() == Some(byte)).then(|| self.at += 1)
    }

    fn any(&mut self, bytes: &[u8]) -> Option<u8> {
        let byte = self.peek().filter(|byte| bytes.contains(byte))?;
        self.at += 1;
        Some(byte)
    }

    /// A number of `least` to `most` digits.
    fn number(&mut self, least: usize, most: usize) -> Option<u32> {
        let mut value = 0;
        let mut length = 0;
        while length < most
            && let Some(digit) = self.peek().filter(u8::is_ascii_digit)
        {
            value = value * 10 + u32::from(digit - b'0');
            self.at += 1;
            length += 1;
        }
        (length >= least).then_some(value)
    }

    fn year(&mut self) -> Option<i64> {
        self.number(4, 4).map(i64::from)
    }

    /// `3:04:05`; hours above 23 and so on are read, and make no moment.
    fn time(&mut self) -> Option<u32> {
        let hours = self.number(1, 2)?;
        self.take(b':')?;
        let minutes = self.number(2, 2)?;
        self.take(b':')?;
        let seconds = self.number(2, 2)?;
        let fits = hours < 24 && minutes < 60 && seconds < 62;
        // A leap second is the first of the next minute.
        Some(if fits { hours * 3600 + minutes * 60 + seconds } else { u32::MAX })
    }

    /// `.123456` as microseconds; 0 when there is none.
    fn fraction(&mut self, marks: &[u8]) -> u32 {
        let before = self.at;
        if self.any(marks).is_some() {
            let digits = digits(&self.text[self.at..]);
            if (1..=9).contains(&digits) {
                let shown = digits.min(6);
                let value = self.number(shown, shown).unwrap_or(0);
                self.at += digits - shown;
                return value * 10_u32.pow(6 - shown as u32);
            }
        }
        self.at = before;
        0
    }

    /// `Z`, `UTC`, `GMT`, `+01:00`, `-0500`, `+01`: seconds east of Greenwich.
    fn zone(&mut self) -> Option<i64> {
        for name in [&b"Z"[..], b"UTC", b"GMT"] {
            if self.text[self.at..].starts_with(name) {
                self.at += name.len();
                return Some(0);
            }
        }
        let sign = if self.any(b"+-")? == b'-' { -1 } else { 1 };
        let hours = self.number(2, 2)?;
        let before = self.at;
        let _ = self.take(b':');
        let minutes = self.number(2, 2).unwrap_or_else(|| {
            self.at = before;
            0
        });
        (hours < 20 && minutes < 60).then_some(sign * (i64::from(hours) * 3600 + i64::from(minutes) * 60))
    }

    /// A zone behind up to `blanks` blanks, if one is there and ends there.
    fn maybe_zone(&mut self, blanks: usize) -> Option<i64> {
        let before = self.at;
        while self.at < before + blanks && self.take(b' ').is_some() {}
        let zone = self.zone().filter(|_| self.is_end());
        if zone.is_none() {
            self.at = before;
        }
        zone
    }

    fn is_end(&self) -> bool {
        !self.peek().is_some_and(is_word)
    }

    fn month(&mut self) -> Option<u8> {
        let name = self.text.get(self.at..self.at + 3)?;
        let month = civil::MONTHS.iter().position(|month| month.eq_ignore_ascii_case(name))?;
        self.at += 3;
        Some(month as u8 + 1)
    }

    fn done(&self, civil: Civil, offset: Option<i64>) -> Option<(usize, Fields)> {
        self.is_end().then_some((self.at, Fields::Civil(civil, offset)))
    }
}

/// How many digits a text begins with.
pub(super) fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// `2026-01-02T03:04:05.678+01:00`, `2026/01/02 03:04:05`, `2026-01-02 03:04:05,678 UTC`
fn iso(text: &[u8]) -> Option<(usize, Fields)> {
    let mut reader = Reader { text, at: 0 };
    let year = Some(reader.year()?);
    let separator = reader.any(b"-/.")?;
    let month = reader.number(1, 2)? as u8;
    reader.take(separator)?;
    let day = reader.number(1, 2)? as u8;
    if reader.any(b"T ")? == b' ' {
        let _ = reader.take(b' ');
    }
    let seconds = reader.time()?;
    let micros = reader.fraction(b".,");
    let offset = reader.maybe_zone(1);
    reader.done(Civil { year, month, day, seconds, micros }, offset)
}

/// `Jan  2 03:04:05`, `Fri Jan 02 03:04:05.678 2026`, `Jan 2 2026 03:04:05`
fn syslog(text: &[u8]) -> Option<(usize, Fields)> {
    if !text.first()?.is_ascii_alphabetic() {
        return None;
    }
    let mut reader = Reader { text, at: 0 };
    let weekday = text.get(..3)?;
    if text.get(3) == Some(&b' ') && civil::WEEKDAYS.iter().any(|day| day.eq_ignore_ascii_case(weekday)) {
        reader.at = 4;
    }
    let month = reader.month()?;
    reader.take(b' ')?;
    let _ = reader.take(b' ');
    let day = reader.number(1, 2)? as u8;
    reader.take(b' ')?;
    let mut year = None;
    if reader.text.get(reader.at + 4) == Some(&b' ') {
        year = Some(reader.year()?);
        reader.take(b' ')?;
    }
    let _ = reader.take(b' ');
    let seconds = reader.time()?;
    let micros = reader.fraction(b".");
    if year.is_none() {
        let before = reader.at;
        year = reader.take(b' ').and_then(|()| reader.year()).filter(|_| reader.is_end());
        if year.is_none() {
            reader.at = before;
        }
    }
    reader.done(Civil { year, month, day, seconds, micros }, None)
}

/// `1767323045`, `1767323045.678`
fn epoch(text: &[u8]) -> Option<(usize, Fields)> {
    let length = digits(text);
    if !(10..=11).contains(&length) {
        return None;
    }
    let seconds = text[..length].iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
    let mut reader = Reader { text, at: length };
    let micros = i64::from(reader.fraction(b"."));
    reader.is_end().then_some((reader.at, Fields::Epoch(UnixTime::from_micros(seconds * 1_000_000 + micros))))
}

/// `02/Jan/2026:03:04:05 +0100`, `02-Jan-2026 03:04:05.678`
fn common_log(text: &[u8]) -> Option<(usize, Fields)> {
    let mut reader = Reader { text, at: 0 };
    let day = reader.number(1, 2)? as u8;
    let separator = reader.any(b"/-")?;
    let month = reader.month()?;
    reader.take(separator)?;
    let year = Some(reader.year()?);
    reader.any(b": ")?;
    let seconds = reader.time()?;
    let micros = reader.fraction(b".");
    let offset = reader.maybe_zone(1);
    reader.done(Civil { year, month, day, seconds, micros }, offset)
}
