//! When which jail has something due: one queue for all of them, and what jail and timer owe each other.
//!
//! Pure: no clock. The shells are [`crate::actor::timer`] and [`crate::actor::jail`].
//!
//! The roster of a jail knows its bans and their ends; the queue only knows when to ask. So nothing is lost for good:
//!
//! | lost | made good |
//! |---|---|
//! | `Schedule` (the timer has no room) | the jail calls [`Alarm::lost`] and keeps a flag up: within a tick it says it again ([`Alarm::update`]) |
//! | `Expired` (the jail has no room) | the timer calls [`Schedule::again`]: it rings one tick later |
//! | `Cancel`, or none was sent | the jail is asked too early, finds nothing due and says when to ask next |
//! | the timer itself | the new one pulls from every jail |
//! | the course of time (the clock is set, the host sleeps) | the timer calls [`Schedule::clock_set`] |
//!
//! A ban ends at the first tick (a whole second) after its end, never before; each loss costs one tick more.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::time::UnixTime;

/// The timer's queue of deadlines.
#[derive(Debug, Default)]
pub struct Schedule {
    /// Ticks and the numbers of the jails to ask then.
    queue: BTreeSet<(UnixTime, u32)>,
    numbers: HashMap<Arc<str>, u32>,
    /// By number; one that is forgotten keeps its number to itself.
    names: Vec<Arc<str>>,
}

impl Schedule {
    /// Something in `jail` ends at `at`: it is to be asked at the first tick after that.
    pub fn push(&mut self, jail: &Arc<str>, at: UnixTime) {
        let number = self.number(jail);
        self.queue.insert((tick_after(at), number));
    }

    /// `jail` could not be asked at `now`: it is asked at the next tick.
    pub fn again(&mut self, jail: &Arc<str>, now: UnixTime) {
        self.push(jail, now);
    }

    /// The clock was set, or the host slept: every jail is asked at once, for what was put off until a later tick may
    /// be due before it now.
    pub fn clock_set(&mut self, now: UnixTime) {
        let tick = UnixTime::from_secs(now.secs());
        self.queue.extend(self.numbers.values().map(|&number| (tick, number)));
    }

    /// `jail` has ended, or what it said before is void.
    pub fn forget(&mut self, jail: &str) {
        if let Some(number) = self.numbers.remove(jail) {
            self.queue.retain(|&(_, other)| other != number);
        }
    }

    /// The next tick at which a jail is to be asked.
    pub fn next(&self) -> Option<UnixTime> {
        self.queue.first().map(|&(tick, _)| tick)
    }

    /// The jails to ask now, each once, those due longest first.
    pub fn pop_due(&mut self, now: UnixTime) -> Vec<Arc<str>> {
        let mut due = Vec::new();
        while let Some(&(tick, number)) = self.queue.first() {
            if tick > now {
                break;
            }
            self.queue.pop_first();
            let name = &self.names[number as usize];
            if !due.contains(name) {
                due.push(Arc::clone(name));
            }
        }
        due
    }

    fn number(&mut self, jail: &Arc<str>) -> u32 {
        *self.numbers.entry(Arc::clone(jail)).or_insert_with(|| {
            self.names.push(Arc::clone(jail));
            self.names.len() as u32 - 1
        })
    }
}

/// The first whole second after `at`: a ban is over strictly after its end.
fn tick_after(at: UnixTime) -> UnixTime {
    UnixTime::from_secs(at.secs().saturating_add(1))
}

/// A jail's side: what it has told the timer.
///
/// The jail tells its first deadline only, so a million bans cost the queue one entry.
#[derive(Debug, Default)]
pub struct Alarm {
    told: Option<UnixTime>,
}

impl Alarm {
    /// Nothing is told yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// To be called after everything that moves the jail's first deadline: what to tell the timer now, if anything.
    pub fn update(&mut self, next: Option<UnixTime>) -> Option<UnixTime> {
        let next = next.filter(|next| self.told.is_none_or(|told| *next < told))?;
        self.told = Some(next);
        Some(next)
    }

    /// What was told did not arrive or is forgotten, or the timer has rung: the next update tells again.
    pub fn lost(&mut self) {
        self.told = None;
    }
}

#[cfg(test)]
mod tests;
