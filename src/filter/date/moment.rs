//! What the fields of a date say → which moment it is.
//!
//! In: texts by their letters, the present moment, a zone. Out: a moment, or none where there is no such date or the
//! fields leave it open. Whatever a line does not say comes from the present: Source: SPEC §3.5.

use std::ops::Range;
use std::sync::LazyLock;

use regex_syntax::hir::{Class, Hir, HirKind};

use super::civil::{self, DAY};
use super::offset;
use super::zone::Zone;
use crate::time::UnixTime;

/// What a date says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) year: Option<i64>,
    pub(super) month: Option<u8>,
    pub(super) day: Option<u8>,
    pub(super) hour: u8,
    /// Of half a day.
    pub(super) hour12: Option<u8>,
    pub(super) minute: u8,
    pub(super) second: u8,
    /// Of the year, from 1.
    pub(super) year_day: Option<i64>,
    /// From Monday, 0.
    pub(super) weekday: Option<i64>,
    /// The week of the year, and the weekday that it begins with.
    pub(super) week: Option<(i64, i64)>,
    /// Minutes east of Greenwich.
    pub(super) offset: Option<i64>,
}

const SUNDAY: i64 = 6;
const MONDAY: i64 = 0;

impl Said {
    /// Reads the texts of fields, in their order; none: one of them is not what its letter says.
    pub(super) fn read(line: &[u8], fields: &[(u8, Range<usize>)]) -> Option<Self> {
        let mut said = Self::default();
        for (letter, place) in fields {
            said.field(*letter, &line[place.clone()])?;
        }
        // The half of the day may stand before the hour as well as behind it.
        if let Some(hour) = said.hour12 {
            let half =
                fields.iter().find(|(letter, _)| *letter == b'p').map(|(_, place)| &line[place.clone()]);
            let afternoon = half.is_some_and(|half| half.eq_ignore_ascii_case(b"pm"));
            said.hour = if hour == 12 { 0 } else { hour } + if afternoon { 12 } else { 0 };
        }
        Some(said)
    }

    fn field(&mut self, letter: u8, text: &[u8]) -> Option<()> {
        let small = || number(text).and_then(|number| u8::try_from(number).ok());
        match letter {
            b'y' | b'Y' => {
                let year = number(text)?;
                self.year = Some(if letter == b'y' && year <= 2000 { year + 2000 } else { year });
            }
            b'm' => self.month = Some(small()?),
            b'd' => self.day = Some(small()?),
            b'b' | b'B' => self.month = Some(named(text, &civil::MONTHS)? as u8 + 1),
            b'a' | b'A' => self.weekday = Some(named(text, &civil::WEEKDAYS)? as i64),
            b'w' => self.weekday = Some((number(text)? + SUNDAY) % 7),
            b'H' => {
                self.hour = small()?;
                self.hour12 = None;
            }
            b'I' => self.hour12 = Some(small()?),
            b'M' => self.minute = small()?,
            b'S' => self.second = small()?,
            b'j' => self.year_day = Some(number(text)?),
            b'U' => self.week = Some((number(text)?, SUNDAY)),
            b'W' => self.week = Some((number(text)?, MONDAY)),
            b'z' | b'Z' => self.offset = Some(offset::minutes(text)?),
            _ => {}
        }
        Some(())
    }

    /// The moment; `default` is the offset of dates without one (minutes), none: they are local.
    pub(super) fn moment(&self, now: UnixTime, zone: &Zone, default: Option<i64>) -> Option<UnixTime> {
        let present = zone.local(now)?;
        let (this_year, ..) = civil::date(present);
        let year = self.year.unwrap_or(this_year);
        let (days, is_today) = match (self.month, self.day) {
            (Some(month), Some(day)) => (civil::days(year, month, day)?, false),
            (month, day) => match self.days_of_year(year) {
                Some(days) => (days?, false),
                None if month.is_none() && day.is_none() => {
                    let (_, month, day) = civil::date(present);
                    (civil::days(year, month, day)?, true)
                }
                None => return None,
            },
        };
        let seconds = self.seconds()?;
        let offset = self.offset.or(default);
        let mut local = days * DAY + seconds - offset.unwrap_or(0) * 60;
        if is_today && local > present {
            local -= DAY;
        }
        if !is_today && self.year.is_none() && local > present + DAY {
            // The day that is said, even if the offset made it another one.
            let (year, month, day) = civil::date(days * DAY);
            local = civil::days(year - 1, month, day)? * DAY + local.rem_euclid(DAY);
        }
        if offset.is_some() { Some(UnixTime::from_secs(local)) } else { zone.moment_like(local, now) }
    }

    fn seconds(&self) -> Option<i64> {
        let (hour, minute, second) = (i64::from(self.hour), i64::from(self.minute), i64::from(self.second));
        (hour < 24 && minute < 60 && second < 60).then_some(hour * 3600 + minute * 60 + second)
    }

    /// The day from a day of the year, or from a week and its day; none: neither is said.
    #[expect(
        clippy::option_option,
        reason = "outside: whether it is said; inside: whether there is such a day"
    )]
    fn days_of_year(&self, year: i64) -> Option<Option<i64>> {
        let first = civil::days(year, 1, 1);
        if let Some(day) = self.year_day {
            return Some(first.map(|first| first + day - 1));
        }
        let ((week, start), weekday) = (self.week?, self.weekday?);
        Some(first.map(|first| {
            // As in C: days before the first such weekday are in week 0.
            let since = |weekday: i64| (weekday - start).rem_euclid(7);
            let (of_first, day) = (since(civil::weekday(first)), since(weekday));
            if week == 0 { first + day - of_first } else { first + (7 - of_first) % 7 + (week - 1) * 7 + day }
        }))
    }
}

/// A number as Python's `int` reads it, digits of any script included; not more than nine of them.
fn number(text: &[u8]) -> Option<i64> {
    if (1..=9).contains(&text.len()) && text.iter().all(u8::is_ascii_digit) {
        return Some(text.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0')));
    }
    let text = std::str::from_utf8(text).ok()?.trim();
    if text.is_empty() || text.chars().count() > 9 {
        return None;
    }
    text.chars().try_fold(0, |value, char| Some(value * 10 + i64::from(digit(char)?)))
}

/// The value of a decimal digit of any script.
pub(super) fn digit(char: char) -> Option<u8> {
    if char.is_ascii() {
        return char.to_digit(10).map(|digit| digit as u8);
    }
    let range = DIGITS.iter().find(|(first, last)| (*first..=*last).contains(&u32::from(char)))?;
    Some(((u32::from(char) - range.0) % 10) as u8)
}

/// The decimal digits beyond ASCII: each script has its ten in a row.
static DIGITS: LazyLock<Vec<(u32, u32)>> =
    LazyLock::new(|| match regex_syntax::parse(r"\d").map(Hir::into_kind) {
        Ok(HirKind::Class(Class::Unicode(class))) => {
            class.iter().map(|range| (u32::from(range.start()), u32::from(range.end()))).collect()
        }
        _ => Vec::new(),
    });

/// Which name a text is, by its first three letters.
fn named(text: &[u8], names: &[&[u8]]) -> Option<usize> {
    let text = text.get(..3)?;
    names.iter().position(|name| name.eq_ignore_ascii_case(text))
}
