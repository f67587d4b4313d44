//! How soon a dead child is started again, and when it is given up: pure.

use std::time::Duration;

use crate::time::UnixTime;

/// Deaths within this span count.
const MEMORY: Duration = Duration::from_secs(600);
/// After this many of them the child is parked.
const PATIENCE: usize = 5;
/// Before the first revival.
const FIRST: Duration = Duration::from_millis(50);

/// The recent deaths of one child.
#[derive(Debug, Clone, Default)]
pub(super) struct Restarts {
    deaths: Vec<UnixTime>,
}

impl Restarts {
    /// Notes a death: after which delay to revive, or none to park it.
    pub(super) fn died(&mut self, now: UnixTime) -> Option<Duration> {
        self.deaths.retain(|death| now.since(*death) <= MEMORY);
        self.deaths.push(now);
        let count = self.deaths.len();
        if count > PATIENCE {
            return None;
        }
        Some(FIRST * 4_u32.pow(count as u32 - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_grows_until_the_child_is_parked_and_an_old_death_is_forgotten() {
        let mut restarts = Restarts::default();
        let at = UnixTime::from_secs;
        let delays: Vec<_> = (0..6).map(|n| restarts.died(at(n)).map(|delay| delay.as_millis())).collect();
        let want = [50, 200, 800, 3200, 12_800].map(Some);
        assert_eq!(delays, [want.as_slice(), &[None]].concat());
        assert_eq!(restarts.died(at(10_000)), Some(FIRST));
    }
}
