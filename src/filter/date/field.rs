//! The fields of a `datepattern`: `%Y`, `%Exd`, … and the regular expression that each stands for.
//!
//! In: a pattern with fields, and the years that `%ExY` accepts. Out: a regular expression whose named groups are the
//! fields. Pure text; [`super::language`] puts the bounds around it. Source: SPEC §3.2.

use std::fmt::Write;

use super::DateError;

/// The years that `%ExY` accepts, by decades: those of last year to in three years, and all since 2000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    /// The first of the first decade's years.
    pub(super) first: i64,
    /// The last of the last decade's.
    pub(super) last: i64,
}

/// From here on all years are accepted.
const CENTURY: i64 = 2000;
/// What `fail2ban-regex` accepts besides.
const OLD: i64 = 1960;

impl Window {
    /// The window of a year; `old` adds those since 1960.
    pub(super) fn of(year: i64, old: bool) -> Self {
        let year = year.clamp(OLD, 9000);
        let first = if old { OLD } else { (year - 1).min(CENTURY) };
        Self { first: first / 10 * 10, last: (year + 3) / 10 * 10 + 9 }
    }

    /// Alternatives such as `199\d|20[0-2]\d`.
    fn regex(self) -> String {
        let decades: Vec<i64> = (self.first / 10..=self.last / 10).collect();
        let centuries = decades.chunk_by(|a, b| a / 10 == b / 10);
        let range = |decades: &[i64]| {
            let digits: String = decades.iter().map(|decade| (decade % 10).to_string()).collect();
            format!(r"{}[{digits}]\d", decades[0] / 10)
        };
        centuries.map(range).collect::<Vec<_>>().join("|")
    }
}

const WEEKDAY: &str = "mon|tue|wed|thu|fri|sat|sun";
const MONTH: &str = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec";
const LONG_WEEKDAY: &str = "wednesday|thursday|saturday|tuesday|monday|friday|sunday";
const LONG_MONTH: &str =
    "september|february|november|december|january|october|august|march|april|june|july|may";
/// What C's locale makes of `%X` and `%x`; `%c` is made of the same.
const CLOCK: &str = r"(?P<H>2[0-3]|[0-1]\d|\d):(?P<M>[0-5]\d|\d):(?P<S>6[0-1]|[0-5]\d|\d)";
const DAY: &str = "(?P<d>3[0-1]|[1-2]\\d|0[1-9]|[1-9]| [1-9])";
const WEEK: &str = r"5[0-3]|[0-4]\d|\d";
const ABBREVIATION: &str = "[A-Z](?:[A-Z]{2,4})?";
const OFFSET: &str = r"[+-][01]\d(?::?\d{2})?";

/// The expression of a field, `spec` without its `%`; none: there is no such field.
fn regex(spec: &str, window: Window) -> Option<String> {
    let group = |name: &str, regex: &str| format!("(?P<{name}>{regex})");
    let named = |regex: &str| group(spec.strip_prefix("Ex").unwrap_or(spec), regex);
    Some(match spec {
        "%" => "%".to_owned(),
        "a" => named(WEEKDAY),
        "A" => named(LONG_WEEKDAY),
        "b" => named(MONTH),
        "B" => named(LONG_MONTH),
        "c" => format!(
            r"{}\s+{}\s+{DAY}\s+{CLOCK}\s+{}",
            group("a", WEEKDAY),
            group("b", MONTH),
            group("Y", r"\d{4}")
        ),
        "d" => named(r"[1-2]\d|[0 ]?[1-9]|3[0-1]"),
        "Exd" => named(r"[1-2]\d|0[1-9]|3[0-1]"),
        "f" => named("[0-9]{1,6}"),
        "H" => named(r"[0-1]?\d|2[0-3]"),
        "ExH" => named(r"[0-1]\d|2[0-3]"),
        "I" => named("1[0-2]|0[1-9]|[1-9]"),
        "j" => named(r"36[0-6]|3[0-5]\d|[1-2]\d\d|0[1-9]\d|00[1-9]|[1-9]\d|0[1-9]|[1-9]"),
        "k" => format!(" ?{}", group("H", r"[0-2]?\d")),
        "Exk" => format!(" ?{}", group("H", r"[0-1]?\d|2[0-3]")),
        "l" => format!(" ?{}", group("I", r"1?\d")),
        "Exl" => format!(" ?{}", group("I", r"1[0-2]|\d")),
        "m" => named("0?[1-9]|1[0-2]"),
        "Exm" => named("0[1-9]|1[0-2]"),
        "M" => named(r"[0-5]?\d"),
        "ExM" => named(r"[0-5]\d"),
        "p" => named("am|pm"),
        "S" => named(r"[0-5]?\d|6[0-1]"),
        "ExS" => named(r"[0-5]\d|6[0-1]"),
        "u" => named("[1-7]"),
        "U" | "W" => named(WEEK),
        "V" => named(r"5[0-3]|0[1-9]|[1-4]\d|\d"),
        "w" => named("[0-6]"),
        "x" => format!(r"(?P<m>1[0-2]|0[1-9]|[1-9])/{DAY}/(?P<y>\d\d)"),
        "X" => CLOCK.to_owned(),
        "y" | "Exy" => named(r"\d{2}"),
        "G" | "Y" => named(r"\d{4}"),
        "ExY" => named(&window.regex()),
        "z" => named(&format!("Z|UTC|GMT|{OFFSET}")),
        "Exz" => named(&format!("(?:{ABBREVIATION})?{OFFSET}|{ABBREVIATION}")),
        "Z" => named("Z|[A-Z]{3,5}"),
        "ExZ" => named(ABBREVIATION),
        _ => return None,
    })
}

/// Splits a pattern at its fields: `each` gets the text between, or the field without its `%`.
fn split<'p>(
    pattern: &'p str,
    mut each: impl FnMut(Piece<'p>) -> Result<(), DateError>,
) -> Result<(), DateError> {
    let mut rest = pattern;
    while let Some(at) = rest.find('%') {
        each(Piece::Text(&rest[..at]))?;
        let (text, field) = (&rest[at..], &rest[at + 1..]);
        let letters = |count: usize| field.char_indices().nth(count).map_or(field.len(), |(end, _)| end);
        let (spec, length) = if let Some(end) = field.strip_prefix('(').and_then(|inner| inner.find(")s")) {
            (&field[1..=end], end + 3)
        } else {
            let length = letters(if field.starts_with("Ex") { 3 } else { 1 });
            (&field[..length], length)
        };
        each(Piece::Field { spec, text: &text[..=length] })?;
        rest = &field[length..];
    }
    each(Piece::Text(rest))
}

enum Piece<'p> {
    Text(&'p str),
    Field { spec: &'p str, text: &'p str },
}

/// The pattern with each field replaced by its expression.
///
/// # Errors
/// A `%` that begins no field.
pub(super) fn expand(pattern: &str, window: Window) -> Result<String, DateError> {
    let mut out = String::with_capacity(4 * pattern.len());
    split(pattern, |piece| {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Field { spec, text } => {
                out.push_str(&regex(spec, window).ok_or_else(|| DateError::Field(text.to_owned()))?);
            }
        }
        Ok(())
    })?;
    Ok(out)
}

/// Whether the pattern has names of days or months, or `%p`: then it knows no case.
///
/// # Errors
/// A `%` that begins no field.
pub(super) fn has_names(pattern: &str) -> Result<bool, DateError> {
    let mut has = false;
    split(pattern, |piece| {
        has |= matches!(piece, Piece::Field { spec: "a" | "A" | "b" | "B" | "c" | "p", .. });
        Ok(())
    })?;
    Ok(has)
}

/// The pattern with a word in braces replaced, whatever its case.
pub(super) fn replace(pattern: &str, word: &str, by: &str) -> String {
    let upper = pattern.to_ascii_uppercase();
    let mut out = String::new();
    let mut done = 0;
    for (at, _) in upper.match_indices(word) {
        out.push_str(&pattern[done..at]);
        out.push_str(by);
        done = at + word.len();
    }
    out.push_str(&pattern[done..]);
    out
}

/// The pattern as people are shown it, with words for its fields.
pub(super) fn named(pattern: &str) -> String {
    let mut out = String::new();
    let _ = split(pattern, |piece| {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Field { spec, text } => {
                let (wider, letter) = spec.strip_prefix("Ex").map_or(("", spec), |letter| ("Ex", letter));
                match word(letter) {
                    Some(word) => out.extend([wider, word]),
                    None => out.push_str(text),
                }
            }
        }
        Ok(())
    });
    out
}

/// A field in Fail2Ban's words.
fn word(letter: &str) -> Option<&'static str> {
    Some(match letter {
        "a" => "DAY",
        "A" => "DAYNAME",
        "b" => "MON",
        "B" => "MONTH",
        "d" => "Day",
        "H" => "24hour",
        "I" => "12hour",
        "j" => "Yearday",
        "m" => "Month",
        "M" => "Minute",
        "p" => "AMPM",
        "S" => "Second",
        "U" | "W" => "Yearweek",
        "w" => "Weekday",
        "y" => "Year2",
        "Y" => "Year",
        "z" => "Zone offset",
        "Z" => "Zone name",
        "f" => "Microseconds",
        "%" => "%",
        _ => return None,
    })
}

/// The pattern in one spelling, by which two of them are the same.
pub(super) fn spelling(pattern: &str) -> String {
    let mut out = String::new();
    let _ = split(pattern, |piece| {
        let _ = match piece {
            Piece::Text(text) => write!(out, "{text}"),
            Piece::Field { spec, .. } => write!(out, "%({spec})"),
        };
        Ok(())
    });
    out
}
