//! Fields as a whole: where each can end, in the order in which its expression would try.

use super::walk::Unsure;
use crate::filter::date::civil;
use crate::filter::date::field::Window;
use crate::filter::syntax::ByteSet;

/// What a field is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Digits {
    /// `[1-2]\d|[0 ]?[1-9]|3[0-1]`
    Day,
    /// `[1-2]\d|0[1-9]|3[0-1]`
    ExactDay,
    /// `0?[1-9]|1[0-2]`
    Month,
    /// `0[1-9]|1[0-2]`
    ExactMonth,
    /// `[0-1]?\d|2[0-3]`
    Hour,
    /// `[0-1]\d|2[0-3]`
    ExactHour,
    /// `[0-2]?\d`
    LooseHour,
    /// `1[0-2]|0[1-9]|[1-9]`
    Hour12,
    /// `[0-5]?\d`
    Minute,
    /// `[0-5]\d`
    ExactMinute,
    /// `[0-5]?\d|6[0-1]`
    Second,
    /// `[0-5]\d|6[0-1]`
    ExactSecond,
    /// `[0-9]{1,6}`
    Fraction,
    /// `\d{2}`
    Two,
    /// `\d{4}`
    Four,
    /// Years of a window.
    Window(Window),
    /// `Z|UTC|GMT|[+-][01]\d(?::?\d{2})?`; `fold`: in any case.
    Offset { fold: bool },
    /// `jan|feb|…`
    MonthName,
    /// `mon|tue|…`
    DayName,
}

/// Fields of digits.
pub(super) const NUMBERS: [(&str, Digits); 15] = [
    ("d", Digits::Day),
    ("Exd", Digits::ExactDay),
    ("m", Digits::Month),
    ("Exm", Digits::ExactMonth),
    ("H", Digits::Hour),
    ("ExH", Digits::ExactHour),
    ("k", Digits::LooseHour),
    ("I", Digits::Hour12),
    ("M", Digits::Minute),
    ("ExM", Digits::ExactMinute),
    ("S", Digits::Second),
    ("ExS", Digits::ExactSecond),
    ("f", Digits::Fraction),
    ("y", Digits::Two),
    ("Y", Digits::Four),
];

/// Fields that are other ones in an expression that knows no case.
pub(super) const NAMES: [(&str, Digits); 3] =
    [("z", Digits::Offset { fold: true }), ("b", Digits::MonthName), ("a", Digits::DayName)];

/// Lengths, in the order in which they are tried; zero: no more.
pub(super) type Lengths = [u8; 6];

const NONE: Lengths = [0; 6];

const fn lengths(first: u8, second: u8) -> Lengths {
    [first, second, 0, 0, 0, 0]
}

impl Digits {
    /// The bytes that it can begin with; LEAD is up to the caller.
    pub(super) fn first(self) -> ByteSet {
        match self {
            Self::Day => ByteSet::of(b" 0123456789"),
            Self::Offset { .. } => ByteSet::of(b"ZUGzug+-"),
            Self::MonthName => ByteSet::of(b"jfmasondJFMASOND"),
            Self::DayName => ByteSet::of(b"mtwfsMTWFS"),
            _ => ByteSet::DIGIT,
        }
    }

    /// Bytes that [`Digits::lengths`] looks at, at most, where they are ASCII and begin with `first`.
    pub(super) fn looks_at(self, first: Option<&u8>) -> usize {
        match self {
            Self::Offset { .. } => 6,
            Self::MonthName | Self::DayName => 3,
            Self::Day => 2,
            _ if !first.is_some_and(u8::is_ascii_digit) => 1,
            Self::Fraction => 6,
            Self::Four | Self::Window(_) => 4,
            _ => 2,
        }
    }

    /// Where the field can end, when it begins at `at`.
    pub(super) fn lengths(self, line: &[u8], at: usize) -> Result<Lengths, Unsure> {
        let byte = |at: usize| line.get(at).copied().unwrap_or(0);
        let (a, b) = (byte(at), byte(at + 1));
        if a >= 0x80 {
            return unsure(line, at);
        }
        let digit = a.is_ascii_digit();
        // The second digit matters only behind a first character that lets one follow.
        let second = |may: bool| if may && b >= 0x80 { Err(Unsure) } else { Ok(may && b.is_ascii_digit()) };
        let both = |may: bool| Ok(if second(may)? { lengths(2, 1) } else { lengths(u8::from(digit), 0) });
        let only = |may: bool| Ok(if may { lengths(2, 0) } else { NONE });
        Ok(match (self, a) {
            (Self::Day, b'1' | b'2') => both(true)?,
            (Self::Day, b'3') => lengths(1, if matches!(b, b'0' | b'1') { 2 } else { 0 }),
            (Self::Day | Self::ExactDay | Self::Month | Self::ExactMonth | Self::Hour12, b'0')
            | (Self::Day, b' ') => only(matches!(b, b'1'..=b'9'))?,
            (Self::Day | Self::Month | Self::Hour12, b'2'..=b'9') => lengths(1, 0),
            (Self::ExactDay, b'3') => only(matches!(b, b'0' | b'1'))?,
            (Self::Month, b'1') => lengths(1, if matches!(b, b'0'..=b'2') { 2 } else { 0 }),
            (Self::ExactMonth, b'1') => only(matches!(b, b'0'..=b'2'))?,
            (Self::Hour12, b'1') => {
                if matches!(b, b'0'..=b'2') {
                    lengths(2, 1)
                } else {
                    lengths(1, 0)
                }
            }
            (Self::Hour, b'2') => lengths(1, if matches!(b, b'0'..=b'3') { 2 } else { 0 }),
            (Self::Hour, _) => both(matches!(a, b'0' | b'1'))?,
            (Self::ExactHour, b'2') => only(matches!(b, b'0'..=b'3'))?,
            (Self::LooseHour, _) => both(matches!(a, b'0'..=b'2'))?,
            (Self::Second, b'6') => lengths(1, if matches!(b, b'0' | b'1') { 2 } else { 0 }),
            (Self::Minute | Self::Second, _) => both(matches!(a, b'0'..=b'5'))?,
            (Self::ExactSecond, b'6') => only(matches!(b, b'0' | b'1'))?,
            (Self::ExactDay, b'1' | b'2')
            | (Self::ExactHour, b'0' | b'1')
            | (Self::ExactMinute | Self::ExactSecond, b'0'..=b'5')
            | (Self::Two, b'0'..=b'9') => only(second(true)?)?,
            (Self::Fraction, _) => fraction(line, at),
            (Self::Four | Self::Window(_), b'0'..=b'9') => self.year(line, at)?,
            (Self::Offset { fold }, _) => offset(line, at, fold)?,
            (Self::MonthName, _) => name(line, at, &civil::MONTHS)?,
            (Self::DayName, _) => name(line, at, &civil::WEEKDAYS)?,
            _ => NONE,
        })
    }

    fn year(self, line: &[u8], at: usize) -> Result<Lengths, Unsure> {
        let digits = line.get(at..line.len().min(at + 4)).unwrap_or_default();
        if digits.iter().any(|byte| *byte >= 0x80) {
            return Err(Unsure);
        }
        if digits.len() < 4 || !digits.iter().all(u8::is_ascii_digit) {
            return Ok(NONE);
        }
        let year = digits.iter().fold(0, |year, digit| year * 10 + i64::from(digit - b'0'));
        let fits = match self {
            Self::Window(window) => (window.first..=window.last).contains(&year),
            _ => true,
        };
        Ok(if fits { lengths(4, 0) } else { NONE })
    }
}

/// A character beyond ASCII: a digit of another script, or one that is a letter's other case, is not decided here.
fn unsure(line: &[u8], at: usize) -> Result<Lengths, Unsure> {
    let char = line.get(at..).and_then(|rest| rest.utf8_chunks().next()?.valid().chars().next());
    match char {
        Some(char)
            if !char.is_numeric() && !matches!(char, '\u{17f}' | '\u{212a}' | '\u{130}' | '\u{131}') =>
        {
            Ok(NONE)
        }
        _ => Err(Unsure),
    }
}

/// Up to six digits of ASCII, the most first.
fn fraction(line: &[u8], at: usize) -> Lengths {
    let digits =
        line.get(at..).unwrap_or_default().iter().take(6).take_while(|byte| byte.is_ascii_digit()).count();
    let mut lengths = NONE;
    for (place, length) in lengths.iter_mut().zip((1..=digits).rev()) {
        *place = length as u8;
    }
    lengths
}

fn offset(line: &[u8], at: usize, fold: bool) -> Result<Lengths, Unsure> {
    let rest = line.get(at..).unwrap_or_default();
    let begins = |name: &[u8]| {
        let text = rest.get(..name.len()).unwrap_or_default();
        if fold { text.eq_ignore_ascii_case(name) } else { text == name }
    };
    if begins(b"Z") {
        return Ok(lengths(1, 0));
    }
    if begins(b"UTC") || begins(b"GMT") {
        return Ok(lengths(3, 0));
    }
    if !matches!(rest.first(), Some(b'+' | b'-')) {
        return Ok(NONE);
    }
    let rest = &rest[1..rest.len().min(6)];
    if rest.iter().any(|byte| *byte >= 0x80) {
        return Err(Unsure);
    }
    if !matches!(rest.first(), Some(b'0' | b'1')) || !rest.get(1).is_some_and(u8::is_ascii_digit) {
        return Ok(NONE);
    }
    let colon = usize::from(rest.get(2) == Some(&b':'));
    let minutes = rest.get(2 + colon..4 + colon).is_some_and(|digits| digits.iter().all(u8::is_ascii_digit));
    Ok(if minutes { lengths(5 + colon as u8, 3) } else { lengths(3, 0) })
}

fn name(line: &[u8], at: usize, names: &[&[u8]]) -> Result<Lengths, Unsure> {
    let Some(text) = line.get(at..at + 3) else {
        let rest = line.get(at..).unwrap_or_default();
        return if rest.is_ascii() { Ok(NONE) } else { Err(Unsure) };
    };
    if names.iter().any(|name| name.eq_ignore_ascii_case(text)) {
        return Ok(lengths(3, 0));
    }
    if text.is_ascii() { Ok(NONE) } else { Err(Unsure) }
}
