//! Decides how long a ban lasts: a fixed time, or one that grows with each ban ([`Increment`]).
//!
//! Pure: what is remembered of an address and the random number are passed in.

pub mod expression;
mod formula;
mod increment;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::formula::{Formula, FormulaError, Value};
pub use self::increment::{Increment, IncrementError, LONGEST, Scale};
use crate::span::{self, SpanError};

/// How long a ban lasts; none means for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sentence(pub Option<Duration>);

impl Sentence {
    /// A ban that never ends.
    pub const FOREVER: Self = Self(None);

    /// The shorter of the two.
    #[must_use]
    pub fn at_most(self, limit: Self) -> Self {
        match (self.0, limit.0) {
            (Some(span), Some(limit)) => Self(Some(span.min(limit))),
            (span, limit) => Self(span.or(limit)),
        }
    }
}

impl From<Duration> for Sentence {
    fn from(span: Duration) -> Self {
        Self(Some(span))
    }
}

/// Reads `forever` or a span such as `2w`.
impl FromStr for Sentence {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        if text.trim().eq_ignore_ascii_case("forever") {
            return Ok(Self::FOREVER);
        }
        span::parse(text).map(Self::from)
    }
}

impl fmt::Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(span) => f.write_str(&span::format(span)),
            None => f.write_str("forever"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_read_and_written() {
        for (text, want) in [
            ("2w", Ok("2w")),
            (" Forever ", Ok("forever")),
            ("3600", Ok("1h")),
            ("0", Ok("0s")),
            ("ever", Err("`ever` is not a number with a unit (s, m, h, d, w, mo, y)")),
            ("", Err("the span is empty")),
        ] {
            let got = text
                .parse::<Sentence>()
                .map(|sentence| sentence.to_string())
                .map_err(|error| error.to_string());
            assert_eq!(got, want.map(str::to_owned).map_err(str::to_owned), "{text:?}");
        }
    }

    #[test]
    fn for_ever_is_the_longest() {
        for (one, other, shorter) in [
            ("1h", "2h", "1h"),
            ("forever", "2h", "2h"),
            ("2h", "forever", "2h"),
            ("forever", "forever", "forever"),
        ] {
            let [one, other]: [Sentence; 2] = [one, other].map(|text| text.parse().unwrap());
            assert_eq!(one.at_most(other).to_string(), shorter, "{one} and {other}");
        }
    }
}
