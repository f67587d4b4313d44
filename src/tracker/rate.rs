//! Fail2Ban's rate rule.

use std::time::Duration;

use super::packed::Head;
use crate::time::UnixTime;

impl Head {
    pub(super) fn new(time: UnixTime, weight: u32) -> Self {
        Self { first: time, last: time, retry: weight, failures: 1, saved: false }
    }

    /// Fail2Ban's rate rule (SPEC §4.1): failures spread over more than `find_time` count for their share of it.
    pub(super) fn fail(&mut self, time: UnixTime, find_time: Duration, weight: u32) {
        if time > self.last {
            let start = time - find_time;
            if self.first < start {
                let spread = time.since(self.first).as_secs_f64();
                let share = f64::from(self.retry) / spread * find_time.as_secs_f64();
                self.retry = share.round_ties_even() as u32;
                self.first = start;
            }
            self.last = time;
        }
        self.retry = self.retry.saturating_add(weight);
        self.failures = self.failures.saturating_add(1);
    }
}
