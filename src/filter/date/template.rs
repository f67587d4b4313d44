//! One form of dates, ready to match: line → where a date of this form stands, and what it says.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::DateError;
use super::expression::{Expression, Place, Scratch};
use super::field::Window;
use super::language::{Form, Kind};
use super::moment::Said;
use super::program::Known;
use super::zone::Zone;
use crate::time::UnixTime;

/// A form of dates, compiled for the years that are accepted.
#[derive(Debug)]
pub(super) struct Template {
    pub(super) kind: Kind,
    /// It can match at the beginning or the end of a line only.
    pub(super) is_tied: bool,
    pub(super) weight: f64,
    text: String,
    known: Arc<Known>,
    /// Compiled when it is first tried: most of the default forms never are. None: it does not compile.
    expression: OnceLock<Option<Expression>>,
}

/// A match, and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) place: Place,
    pub(super) says: Says,
}

/// What a date says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Says {
    Fields(Said),
    Moment(UnixTime),
    /// The same of a TAI64N label.
    Label(UnixTime),
    /// Nothing that makes a moment.
    Nothing,
}

impl Template {
    /// Compiles a form.
    ///
    /// # Errors
    /// Its expression is none.
    pub(super) fn new(form: &Form, window: Window, known: &Arc<Known>) -> Result<Self, DateError> {
        let regex = form.regex(window)?;
        let expression = if form.is_default {
            OnceLock::new()
        } else {
            OnceLock::from(Some(Expression::new(&regex.text, known)?))
        };
        Ok(Self {
            kind: form.kind,
            is_tied: regex.is_tied,
            weight: form.weight,
            text: regex.text,
            known: Arc::clone(known),
            expression,
        })
    }

    fn expression(&self) -> Option<&Expression> {
        self.expression.get_or_init(|| Expression::new(&self.text, &self.known).ok()).as_ref()
    }

    #[cfg(test)]
    pub(super) fn without_program(&mut self) {
        self.expression();
        self.expression.get_mut().and_then(Option::as_mut).unwrap().without_program();
    }

    /// The leftmost match.
    pub(super) fn find(&self, line: &[u8], scratch: &mut Scratch) -> Option<Match> {
        self.find_in(line, 0..line.len(), scratch)
    }

    /// The leftmost match that begins and ends in a part of the line.
    pub(super) fn find_in(&self, line: &[u8], part: Range<usize>, scratch: &mut Scratch) -> Option<Match> {
        let place = self.expression()?.find(line, part.start, part.end, scratch)?;
        let says = self.read(line, &place.date, scratch);
        Some(Match { place, says })
    }

    fn read(&self, line: &[u8], date: &Range<usize>, scratch: &Scratch) -> Says {
        match self.kind {
            Kind::Nothing => Says::Nothing,
            Kind::Fields => Said::read(line, &scratch.fields).map_or(Says::Nothing, Says::Fields),
            Kind::Epoch { group, long } => {
                let digits = if group == 1 { Some(date) } else { scratch.second.as_ref() };
                let moment = digits.and_then(|digits| epoch(&line[digits.clone()], long));
                moment.map_or(Says::Nothing, Says::Moment)
            }
            Kind::Tai64N => tai64n(&line[date.clone()]).map_or(Says::Nothing, Says::Label),
        }
    }
}

impl Says {
    /// Whether Fail2Ban makes a whole number of it; `offset` is that of dates without one.
    pub(super) fn is_whole(&self, offset: Option<i64>) -> bool {
        match self {
            Self::Fields(said) => said.offset.or(offset).is_some(),
            Self::Label(_) => true,
            Self::Moment(_) | Self::Nothing => false,
        }
    }

    /// The moment that it means.
    pub(super) fn moment(&self, now: UnixTime, zone: &Zone, offset: Option<i64>) -> Option<UnixTime> {
        match self {
            Self::Fields(said) => said.moment(now, zone, offset),
            Self::Moment(moment) | Self::Label(moment) => Some(*moment),
            Self::Nothing => None,
        }
    }
}

/// Seconds since 1970, with a fraction; long: from 13 digits on milliseconds, from 16 on microseconds.
fn epoch(text: &[u8], long: bool) -> Option<UnixTime> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut digits = String::new();
    for char in whole.chars().chain(fraction.chars()) {
        digits.push(char::from(b'0' + super::moment::digit(char)?));
    }
    let length = whole.chars().count();
    let scale = match length {
        16.. if long && !text.contains('.') => 6,
        13.. if long => 3,
        _ => 0,
    };
    // Digits of a second, six of them.
    let seconds = length.checked_sub(scale)?;
    let digits = format!("{digits:0<width$}", width = seconds + 6);
    Some(UnixTime::from_micros(digits.get(..seconds + 6)?.parse().ok()?))
}

/// `@`, a digit that says which side of 1970, and 15 digits of seconds; leap seconds are not taken off.
fn tai64n(text: &[u8]) -> Option<UnixTime> {
    let digits = std::str::from_utf8(text.get(2..17)?).ok()?;
    Some(UnixTime::from_secs(i64::from_str_radix(digits, 16).ok()?))
}
