//! How healing went: when what stood again, counted from the moment at which the damage was heard.
//!
//! Pure: the caller passes the moments.

use std::fmt;
use std::time::{Duration, Instant};

/// So many bans are told of apart.
const FIRST: usize = 10_000;

/// The course of one piece of work.
#[derive(Debug, Clone, Copy)]
pub struct Course {
    /// When the damage was heard.
    pub heard: Instant,
    bans: usize,
    stood: Option<Duration>,
    first: Option<Duration>,
    done: Duration,
}

impl Course {
    /// Nothing stands yet of what was heard missing then.
    pub fn new(heard: Instant) -> Self {
        Self { heard, bans: 0, stood: None, first: None, done: Duration::ZERO }
    }

    /// The kernel has confirmed tables, chains, sets and rules.
    pub fn stands(&mut self, now: Instant) {
        self.done = now.saturating_duration_since(self.heard);
        self.stood = Some(self.done);
    }

    /// The kernel has confirmed so many more bans.
    pub fn filled(&mut self, bans: usize, now: Instant) {
        self.bans += bans;
        self.done = now.saturating_duration_since(self.heard);
        if self.bans >= FIRST {
            self.first.get_or_insert(self.done);
        }
    }
}

impl fmt::Display for Course {
    /// Such as `20000 bans, 180.2ms after it was heard (rules after 2.1ms, the first 10000 bans after 90.3ms)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bans = if self.bans == 1 { "ban" } else { "bans" };
        write!(f, "{} {bans}, {:.1?} after it was heard", self.bans, self.done)?;
        let stood = self.stood.map(|stood| format!("rules after {stood:.1?}"));
        let first = self.first.filter(|_| self.bans > FIRST);
        let first = first.map(|first| format!("the first {FIRST} bans after {first:.1?}"));
        match [stood, first].into_iter().flatten().collect::<Vec<_>>().join(", ") {
            parts if parts.is_empty() => Ok(()),
            parts => write!(f, " ({parts})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_course_in_words() {
        let heard = Instant::now();
        let at = |millis| heard + Duration::from_millis(millis);
        let mut course = Course::new(heard);
        course.filled(1, at(3));
        assert_eq!(course.to_string(), "1 ban, 3.0ms after it was heard");
        let mut course = Course::new(heard);
        course.stands(at(2));
        assert_eq!(course.to_string(), "0 bans, 2.0ms after it was heard (rules after 2.0ms)");
        for (bans, millis) in [(6000, 30), (5000, 90), (9000, 1500)] {
            course.filled(bans, at(millis));
        }
        let words =
            "20000 bans, 1.5s after it was heard (rules after 2.0ms, the first 10000 bans after 90.0ms)";
        assert_eq!(course.to_string(), words);
    }
}
