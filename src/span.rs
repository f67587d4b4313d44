//! Spans of time as operators write them: `90`, `10m`, `1d 12h`, `1w`.
//!
//! Units: `s`, `m`, `h`, `d`, `w`, `mo` (2 629 800 s), `y` (31 557 600 s), each a fixed number of seconds.
//! Source: jail.conf(5), "TIME ABBREVIATION FORMAT".

use std::fmt::Write as _;
use std::time::Duration;

/// Why a text is no span.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpanError {
    /// No word at all.
    #[error("the span is empty")]
    Empty,
    /// A word that is not a number followed by a unit.
    #[error("`{0}` is not a number with a unit (s, m, h, d, w, mo, y)")]
    Word(String),
    /// More than `u64` seconds.
    #[error("the span is too long")]
    TooLong,
}

/// Reads a span; a bare number is seconds, terms add up.
///
/// # Errors
/// No word at all, a word that is not a number with a unit, or a sum past 292 thousand years.
pub fn parse(text: &str) -> Result<Duration, SpanError> {
    let mut total: Option<u64> = None;
    for word in text.split_whitespace() {
        let mut rest = word;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let letters = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
            if digits == 0 || (letters == 0 && digits < rest.len()) {
                return Err(SpanError::Word(word.to_owned()));
            }
            let unit = match &*rest[digits..digits + letters].to_ascii_lowercase() {
                "" | "s" | "sec" | "second" | "seconds" => 1,
                "m" | "min" | "minute" | "minutes" => 60,
                "h" | "hour" | "hours" => 3600,
                "d" | "day" | "days" => 86_400,
                "w" | "week" | "weeks" => 604_800,
                "mo" | "month" | "months" => 2_629_800,
                "y" | "year" | "years" => 31_557_600,
                _ => return Err(SpanError::Word(word.to_owned())),
            };
            let number: u64 = rest[..digits].parse().map_err(|_| SpanError::TooLong)?;
            let term = number.checked_mul(unit).ok_or(SpanError::TooLong)?;
            total = Some(total.unwrap_or(0).checked_add(term).ok_or(SpanError::TooLong)?);
            rest = &rest[digits + letters..];
        }
    }
    match total {
        None => Err(SpanError::Empty),
        Some(secs) if secs > i64::MAX as u64 / 1_000_000 => Err(SpanError::TooLong),
        Some(secs) => Ok(Duration::from_secs(secs)),
    }
}

/// Writes a span in its largest whole terms: `1w`, `1d 12h`, `0s`.
pub fn format(span: Duration) -> String {
    terms(span, usize::MAX)
}

/// The same, of so many terms at most.
pub fn terms(span: Duration, most: usize) -> String {
    let mut secs = span.as_secs();
    let mut text = String::new();
    let mut left = most;
    for (unit, size) in [("w", 604_800), ("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)] {
        if secs >= size && left > 0 {
            let gap = if text.is_empty() { "" } else { " " };
            _ = write!(text, "{gap}{}{unit}", secs / size);
            secs %= size;
            left -= 1;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Writes a span as Fail2Ban's log does: rounded, in three terms at most: `10m`, `1h 1m`, `1w 4d 14h`, `0`.
///
/// From a year on it is rounded to days, from a week on to hours, from a day on to minutes, from 59:55 on to ten
/// seconds; a year has 365 days here. Measured with Fail2Ban 1.0.2 (SPEC §1.7).
pub fn readable(span: Duration) -> String {
    type Terms = &'static [(&'static str, u64)];
    const YEARS: Terms = &[("y", 31_536_000), ("w", 604_800), ("d", 86_400)];
    const WEEKS: Terms = &[("w", 604_800), ("d", 86_400), ("h", 3600)];
    const DAYS: Terms = &[("d", 86_400), ("h", 3600), ("m", 60)];
    const HOURS: Terms = &[("h", 3600), ("m", 60)];
    const MINUTES: Terms = &[("m", 60), ("s", 1)];
    let secs = span.as_secs();
    let (step, terms) = match secs {
        31_536_000.. => (86_400, YEARS),
        604_800.. => (3600, WEEKS),
        86_400.. => (60, DAYS),
        3595.. => (10, HOURS),
        _ => (1, MINUTES),
    };
    let mut left = ((secs as f64 / step as f64).round_ties_even() as u64).saturating_mul(step);
    let mut words = Vec::new();
    for (unit, size) in terms {
        if left >= *size {
            words.push(format!("{}{unit}", left / size));
            left %= size;
        }
    }
    if words.is_empty() { "0".to_owned() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Measured with Fail2Ban 1.0.2.
    #[test]
    fn a_span_is_rounded_for_the_log() {
        for (secs, text) in [
            (0, "0"),
            (59, "59s"),
            (601, "10m 1s"),
            (3594, "59m 54s"),
            (3595, "1h"),
            (3661, "1h 1m"),
            (10_000, "2h 46m"),
            (86_390, "23h 59m"),
            (100_000, "1d 3h 47m"),
            (650_000, "1w 13h"),
            (31_557_600, "1y"),
            (62_914_560, "1y 51w 6d"),
            (1_000_000_000, "31y 37w"),
        ] {
            assert_eq!(readable(Duration::from_secs(secs)), text, "{secs}");
        }
    }

    #[test]
    fn spans() {
        for (text, seconds) in [
            ("90", Ok(90)),
            ("10m", Ok(600)),
            ("1d 12h", Ok(129_600)),
            ("1d12h", Ok(129_600)),
            ("1W", Ok(604_800)),
            (" ", Err("the span is empty")),
            ("10 q", Err("`q` is not a number with a unit (s, m, h, d, w, mo, y)")),
            ("-5", Err("`-5` is not a number with a unit (s, m, h, d, w, mo, y)")),
            ("5µ", Err("`5µ` is not a number with a unit (s, m, h, d, w, mo, y)")),
            ("99999999999999w", Err("the span is too long")),
        ] {
            let got = parse(text).map(|span| span.as_secs()).map_err(|error| error.to_string());
            assert_eq!(got, seconds.map_err(str::to_owned), "{text:?}");
        }
    }

    #[test]
    fn a_span_is_written_in_its_largest_terms() {
        for (secs, text) in [(0, "0s"), (604_800, "1w"), (129_600, "1d 12h"), (61, "1m 1s")] {
            assert_eq!(format(Duration::from_secs(secs)), text);
            assert_eq!(parse(text).unwrap().as_secs(), secs);
        }
    }
}
