//! A configuration on trial (`reload --confirm`): it stays when it is confirmed in time, else what was before returns.
//!
//! Pure. Time is counted from any fixed moment on a clock that nobody sets. In: what was before, the word of an operator,
//! the time. Out: what was before, when it is to return. The shell is [`crate::actor::supervisor`].

use std::time::Duration;

/// Whether anything waits to be confirmed.
#[derive(Debug)]
pub struct Probation<T> {
    state: State<T>,
    /// What happened last was that it was not confirmed.
    lapsed: bool,
}

#[derive(Debug)]
enum State<T> {
    /// All that is in force may stay.
    Quiet,
    /// What was before, and until when it may return; none: the new one is being put in force for the first time.
    Waiting(T, Option<Duration>),
}

impl<T> Default for Probation<T> {
    fn default() -> Self {
        Self { state: State::Quiet, lapsed: false }
    }
}

/// Nothing waits to be confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Nothing {
    /// Nothing was ever on trial, or it was confirmed.
    #[error("there is nothing to confirm: `stockade reload --confirm 60s` begins that")]
    Quiet,
    /// It is too late.
    #[error("it is too late: not confirmed in time, the configuration before runs again")]
    Lapsed,
}

impl<T> Probation<T> {
    /// Something new is going to be put in force. What is on trial already goes on being so: what was before that, and was
    /// confirmed, is what returns.
    pub fn begin(&mut self, before: impl FnOnce() -> T) {
        if matches!(self.state, State::Quiet) {
            self.state = State::Waiting(before(), None);
        }
    }

    /// It is in force: it waits until then, also what was on trial before it.
    pub fn wait(&mut self, until: Duration) {
        if let State::Waiting(_, deadline) = &mut self.state {
            *deadline = Some(until);
            self.lapsed = false;
        }
    }

    /// It could not be put in force at all: what was on trial before it goes on being so.
    pub fn give_up(&mut self) {
        if matches!(self.state, State::Waiting(_, None)) {
            self.state = State::Quiet;
        }
    }

    /// What was before, while something is on trial.
    pub fn before(&self) -> Option<&T> {
        match &self.state {
            State::Quiet => None,
            State::Waiting(before, _) => Some(before),
        }
    }

    /// The same, to note more.
    pub fn before_mut(&mut self) -> Option<&mut T> {
        match &mut self.state {
            State::Quiet => None,
            State::Waiting(before, _) => Some(before),
        }
    }

    /// It may stay; what was before.
    ///
    /// # Errors
    /// Nothing is on trial.
    pub fn confirm(&mut self) -> Result<T, Nothing> {
        self.take().ok_or(if self.lapsed { Nothing::Lapsed } else { Nothing::Quiet })
    }

    /// Whether the time to confirm is over.
    pub fn is_over(&self, now: Duration) -> bool {
        matches!(self.state, State::Waiting(_, Some(until)) if until <= now)
    }

    /// What has to return now: its time is over.
    pub fn lapse(&mut self, now: Duration) -> Option<T> {
        if !self.is_over(now) {
            return None;
        }
        self.lapsed = true;
        self.take()
    }

    fn take(&mut self) -> Option<T> {
        match std::mem::replace(&mut self.state, State::Quiet) {
            State::Waiting(before, Some(_)) => Some(before),
            other => {
                self.state = other;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(second: u64) -> Duration {
        Duration::from_secs(second)
    }

    fn waiting(until: u64) -> Probation<&'static str> {
        let mut probation = Probation::default();
        probation.begin(|| "old");
        probation.wait(at(until));
        probation
    }

    #[test]
    fn what_is_not_confirmed_in_time_returns_once() {
        let mut probation = waiting(60);
        assert_eq!(probation.lapse(at(59)), None);
        assert_eq!(probation.before(), Some(&"old"));
        assert_eq!(probation.lapse(at(60)), Some("old"));
        assert_eq!(probation.lapse(at(61)), None);
        assert_eq!(probation.confirm(), Err(Nothing::Lapsed));
        probation.begin(|| "older");
        probation.wait(at(90));
        assert_eq!(probation.confirm(), Ok("older"));
        assert_eq!(probation.confirm(), Err(Nothing::Quiet));
    }

    #[test]
    fn what_is_confirmed_stays() {
        let mut probation = waiting(60);
        assert_eq!(probation.confirm(), Ok("old"));
        assert_eq!((probation.lapse(at(99)), probation.before()), (None, None));
        assert_eq!(probation.confirm(), Err(Nothing::Quiet));
    }

    #[test]
    fn a_second_trial_goes_on_from_the_first() {
        let mut probation = waiting(60);
        probation.begin(|| unreachable!("what was confirmed last returns"));
        assert!(!probation.is_over(at(59)));
        probation.wait(at(100));
        assert_eq!(probation.lapse(at(60)), None, "its time is the second's");
        assert_eq!(probation.lapse(at(100)), Some("old"));
    }

    #[test]
    fn a_trial_that_cannot_begin_leaves_all_as_it_was() {
        let mut probation = Probation::default();
        probation.begin(|| "old");
        assert!(!probation.is_over(at(1_000)) && probation.before().is_some());
        assert_eq!(probation.confirm(), Err(Nothing::Quiet), "it is not in force yet");
        probation.give_up();
        assert_eq!(probation.before(), None);

        let mut probation = waiting(60);
        probation.begin(|| unreachable!());
        probation.give_up();
        assert_eq!(probation.lapse(at(60)), Some("old"), "the first goes on");
    }
}
