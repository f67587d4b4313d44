//! The same sentence at most five times a minute, then its number.
//!
//! Pure: the caller passes the moment. Memory is bounded: past [`CAP`] different sentences in a minute the oldest is
//! given up before its minute is over, and told.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::time::Duration;

use super::Level;
use crate::time::UnixTime;

/// So often a sentence is told in a [`MINUTE`].
const OFTEN: u32 = 5;
const MINUTE: Duration = Duration::from_secs(60);
/// Sentences looked after at once.
const CAP: usize = 512;
/// So many bytes of a sentence are kept for the line that tells its number.
const KEPT: usize = 200;

/// How often a sentence was held back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Repeats {
    pub(super) level: Level,
    pub(super) logger: String,
    /// The sentence, cut.
    pub(super) sentence: String,
    pub(super) times: u64,
}

#[derive(Debug, Default)]
struct Seen {
    told: u32,
    held: Option<Repeats>,
}

/// Judges sentences. They are known by a keyed hash, so that nobody can choose two that count as one.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    hasher: RandomState,
    seen: HashMap<u64, Seen>,
    /// The sentences in `seen` with the moment of their first time, oldest first.
    order: VecDeque<(UnixTime, u64)>,
}

impl Limiter {
    /// Whether the sentence may be told. Ask [`Limiter::due`] first, until it has nothing more.
    pub(super) fn may(&mut self, now: UnixTime, level: Level, logger: &str, sentence: &str) -> bool {
        let key = self.hasher.hash_one((level, logger, sentence));
        let seen = self.seen.entry(key).or_insert_with(|| {
            self.order.push_back((now, key));
            Seen::default()
        });
        if seen.told < OFTEN {
            seen.told += 1;
            return true;
        }
        let held = seen.held.get_or_insert_with(|| Repeats {
            level,
            logger: logger.to_owned(),
            sentence: cut(sentence).to_owned(),
            times: 0,
        });
        held.times += 1;
        false
    }

    /// A sentence whose minute is over (or which must make room), if it was held back.
    pub(super) fn due(&mut self, now: UnixTime) -> Option<Repeats> {
        while let Some((since, key)) = self.order.front().copied() {
            // A clock set back ends all minutes.
            let over = now < since || now.since(since) >= MINUTE;
            if !over && self.order.len() < CAP {
                return None;
            }
            self.order.pop_front();
            if let Some(held) = self.seen.remove(&key).and_then(|seen| seen.held) {
                return Some(held);
            }
        }
        None
    }

    /// A sentence that was held back, its minute over or not.
    pub(super) fn rest(&mut self) -> Option<Repeats> {
        while let Some((_, key)) = self.order.pop_front() {
            if let Some(held) = self.seen.remove(&key).and_then(|seen| seen.held) {
                return Some(held);
            }
        }
        None
    }
}

fn cut(sentence: &str) -> &str {
    let end = (0..=KEPT.min(sentence.len())).rev().find(|end| sentence.is_char_boundary(*end));
    &sentence[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> UnixTime {
        UnixTime::from_secs(secs)
    }

    #[test]
    fn five_a_minute_then_the_number() {
        let mut limiter = Limiter::default();
        // At this second the sentence comes so often; so many are told; so many were held back of the minute before.
        for (second, comes, told, held) in [
            (0, 3, 3, None),
            (30, 40, 2, None),
            (59, 1, 0, None),
            (60, 7, 5, Some(39)),
            (119, 0, 0, None),
            (120, 1, 1, Some(2)),
            (500, 5, 5, None),
            (501, 1, 0, None),
            // The clock is set back.
            (100, 6, 5, Some(1)),
        ] {
            let due = limiter.due(at(second)).map(|repeats| repeats.times);
            assert_eq!(due, held, "second {second}");
            assert_eq!(limiter.due(at(second)), None, "second {second}");
            let count =
                (0..comes).filter(|_| limiter.may(at(second), Level::Error, "l", "it failed")).count();
            assert_eq!(count, told, "second {second}");
        }
        let rest =
            Repeats { level: Level::Error, logger: "l".into(), sentence: "it failed".into(), times: 1 };
        assert_eq!(limiter.rest(), Some(rest));
        assert_eq!(limiter.rest(), None);
    }

    #[test]
    fn different_sentences_levels_and_loggers_are_different() {
        let mut limiter = Limiter::default();
        for _ in 0..5 {
            for (level, logger, sentence) in [
                (Level::Error, "l", "s"),
                (Level::Warning, "l", "s"),
                (Level::Error, "m", "s"),
                (Level::Error, "l", "t"),
            ] {
                assert!(limiter.may(at(0), level, logger, sentence), "{level} {logger} {sentence}");
            }
        }
        assert!(!limiter.may(at(0), Level::Error, "l", "s"));
    }

    #[test]
    fn memory_is_bounded_and_nothing_held_back_is_forgotten() {
        let mut limiter = Limiter::default();
        let long = "ä".repeat(1000);
        let mut told = 0;
        for n in 0..5000 {
            while let Some(repeats) = limiter.due(at(0)) {
                assert!(repeats.sentence.len() <= KEPT);
                told += repeats.times;
            }
            for _ in 0..6 {
                limiter.may(at(0), Level::Error, "l", &format!("{long}{n}"));
            }
            assert!(limiter.seen.len() <= CAP && limiter.seen.len() == limiter.order.len(), "{n}");
        }
        while let Some(repeats) = limiter.rest() {
            told += repeats.times;
        }
        assert_eq!(told, 5000);
    }
}
