//! A few sentences of a kind in a minute, and of the others their number.
//!
//! Pure: the caller passes the moment. For sentences that differ, so that the log's own limit, which is for the same
//! sentence again and again, does not hold them back.

use std::time::{Duration, Instant};

/// So many in a [`MINUTE`].
const OFTEN: u32 = 5;
const MINUTE: Duration = Duration::from_secs(60);

/// What was said of late.
#[derive(Debug, Default)]
pub struct Quota {
    since: Option<Instant>,
    said: u32,
    held: u64,
}

impl Quota {
    /// Whether one more may be said; if so, how many were held back since the last that was.
    pub fn may(&mut self, now: Instant) -> Option<u64> {
        if self.since.is_none_or(|since| now.saturating_duration_since(since) >= MINUTE) {
            (self.since, self.said) = (Some(now), 0);
        }
        if self.said == OFTEN {
            self.held += 1;
            return None;
        }
        self.said += 1;
        Some(std::mem::take(&mut self.held))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_a_minute_and_the_number_of_the_others() {
        let start = Instant::now();
        let mut quota = Quota::default();
        for (second, comes, said, held) in
            [(0, 3, 3, 0), (30, 1000, 2, 0), (59, 1, 0, 0), (60, 2, 2, 999), (200, 1, 1, 0)]
        {
            let answers: Vec<_> =
                (0..comes).filter_map(|_| quota.may(start + Duration::from_secs(second))).collect();
            assert_eq!((answers.len(), answers.iter().sum::<u64>()), (said, held), "second {second}");
        }
    }
}
