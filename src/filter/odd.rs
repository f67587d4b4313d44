//! Dates that look wrong: what is worth a word to the operator, of each kind once a day (SPEC §2.2(3)).
//!
//! Pure. Nothing depends on what is remembered here, so it is not saved. The shell that says it is
//! [`crate::actor::jail`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::text::{SHOWN, lossy};
use crate::span;
use crate::time::UnixTime;

/// Nothing is said twice within it.
const QUIET: Duration = Duration::from_secs(86_400);

/// What is wrong with a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oddity {
    /// It lies so far before (or, `ahead`, behind) the moment of the reading of a line that was just written.
    Far {
        /// How far.
        by: Duration,
        /// In the future.
        ahead: bool,
    },
    /// There is none that can be read, on a line that matched.
    Undated,
}

/// What was found odd, with the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Odd {
    /// What.
    pub what: Oddity,
    /// The line.
    pub line: Arc<str>,
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            Oddity::Far { by, ahead } => {
                let side = if ahead { "after" } else { "before" };
                let by = span::readable(by);
                write!(f, "a line that was just written is dated {by} {side} now and counts as of now: ")?;
                f.write_str("is the time zone right (logtimezone)?")?;
            }
            Oddity::Undated => {
                f.write_str("a line matches but has no date that can be read: is the datepattern right?")?;
            }
        }
        write!(f, " {}", self.line)
    }
}

/// What waits to be said.
#[derive(Debug, Default)]
pub(super) struct Oddities {
    said: [Option<UnixTime>; 2],
    waiting: [Option<Odd>; 2],
}

impl Oddities {
    pub(super) fn note(&mut self, what: Oddity, line: &[u8], now: UnixTime) {
        let kind = usize::from(what == Oddity::Undated);
        if self.said[kind].is_none_or(|said| now.since(said) >= QUIET) {
            self.said[kind] = Some(now);
            self.waiting[kind] = Some(Odd { what, line: lossy(line, SHOWN).into() });
        }
    }

    pub(super) fn take(&mut self) -> Option<Odd> {
        self.waiting.iter_mut().find_map(Option::take)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_767_323_045);

    #[test]
    fn each_kind_is_said_once_a_day() {
        let mut odd = Oddities::default();
        let mut said = Vec::new();
        let far = Oddity::Far { by: Duration::from_secs(7_200), ahead: false };
        for (hours, what) in
            [(0, far), (1, far), (1, Oddity::Undated), (23, far), (24, far), (25, Oddity::Undated)]
        {
            odd.note(what, format!("line {hours}").as_bytes(), NOW + Duration::from_secs(3_600 * hours));
            said.extend(std::iter::from_fn(|| odd.take()).map(|odd| odd.line.to_string()));
        }
        assert_eq!(said, ["line 0", "line 1", "line 24", "line 25"]);
    }

    #[test]
    fn sentences() {
        let odd = |what| Odd { what, line: "bad".into() }.to_string();
        assert_eq!(
            odd(Oddity::Far { by: Duration::from_secs(7_200), ahead: true }),
            "a line that was just written is dated 2h after now and counts as of now: is the time zone right \
             (logtimezone)? bad"
        );
        assert_eq!(
            odd(Oddity::Undated),
            "a line matches but has no date that can be read: is the datepattern right? bad"
        );
    }
}
