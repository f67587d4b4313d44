//! Whose end is news, how soon a dead child is started again, and when it is given up: pure.

use std::collections::HashMap;
use std::time::Duration;

use crate::actor::guard::Child;
use crate::time::UnixTime;

/// Deaths within this span count.
const MEMORY: Duration = Duration::from_secs(600);
/// After this many of them a jail is parked.
const PATIENCE: usize = 5;
/// All others are needed by all jails: they are tried again and again, this far apart.
const AT_WORST: Duration = Duration::from_secs(60);
/// Before the first revival.
const FIRST: Duration = Duration::from_millis(50);

/// The recent deaths of one child.
#[derive(Debug, Clone, Default)]
pub(super) struct Restarts {
    deaths: Vec<UnixTime>,
}

impl Restarts {
    /// Notes a death: after which delay to revive, or none to park it, if it `may_be_parked`.
    pub(super) fn died(&mut self, now: UnixTime, may_be_parked: bool) -> Option<Duration> {
        self.deaths.retain(|death| now.since(*death) <= MEMORY);
        self.deaths.push(now);
        let count = self.deaths.len();
        if count > PATIENCE {
            return (!may_be_parked).then_some(AT_WORST);
        }
        Some(FIRST * 4_u32.pow(count as u32 - 1))
    }
}

/// The lives of all children.
#[derive(Debug, Default)]
pub(super) struct Lives {
    /// Lives so far, of all children together: the end of one may come late, when another has begun.
    begun: u64,
    now: HashMap<Child, (u64, Restarts)>,
}

impl Lives {
    /// The number of a new life.
    pub(super) fn begin(&mut self, child: &Child) -> u64 {
        self.begun += 1;
        self.now.entry(child.clone()).or_default().0 = self.begun;
        self.begun
    }

    /// The coming end of this child is wanted: no news.
    pub(super) fn dismiss(&mut self, child: &Child) {
        self.now.remove(child);
    }

    /// The deaths of a child, if it is this life of it that has ended and that is news.
    pub(super) fn ended(&mut self, child: &Child, life: u64) -> Option<&mut Restarts> {
        self.now.get_mut(child).filter(|(current, _)| *current == life).map(|(_, restarts)| restarts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_late_end_of_a_life_that_was_dismissed_is_no_news_of_the_next() {
        let (mut lives, child) = (Lives::default(), Child::Jail("sshd".into()));
        let first = lives.begin(&child);
        lives.dismiss(&child);
        assert!(lives.ended(&child, first).is_none());
        let second = lives.begin(&child);
        assert!(lives.ended(&child, first).is_none(), "the second has not ended");
        assert!(lives.ended(&child, second).is_some());
        let third = lives.begin(&child);
        assert!(lives.ended(&child, second).is_none() && lives.ended(&child, third).is_some());
    }

    #[test]
    fn the_delay_grows_until_the_child_is_parked_and_an_old_death_is_forgotten() {
        let mut restarts = Restarts::default();
        let at = UnixTime::from_secs;
        let mut died = |n| restarts.died(at(n), true).map(|delay| delay.as_millis());
        let delays: Vec<_> = (0..6).map(&mut died).collect();
        let want = [50, 200, 800, 3200, 12_800].map(Some);
        assert_eq!(delays, [want.as_slice(), &[None]].concat());
        assert_eq!(died(10_000), Some(FIRST.as_millis()));
    }

    #[test]
    fn what_all_jails_need_is_tried_for_ever() {
        let mut restarts = Restarts::default();
        let last = (0..100).map(|n| restarts.died(UnixTime::from_secs(n * 60), false)).last().unwrap();
        assert_eq!(last, Some(AT_WORST));
    }
}
