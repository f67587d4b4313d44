//! Where problems go: Fail2Ban's client stops at the first, the daemon wants to know all of them.
//!
//! Pure.

use super::problem::Trouble;

/// What becomes of a problem.
#[derive(Debug)]
pub(super) enum Notes {
    /// It ends the reading.
    Strict,
    /// It is kept, and the reading goes on as well as it can.
    Kind(Vec<Trouble>),
}

impl Notes {
    /// Something that Fail2Ban stops at.
    pub(super) fn note(&mut self, trouble: Trouble) -> Result<(), Trouble> {
        match self {
            Self::Strict => return Err(trouble),
            Self::Kind(found) => found.push(trouble),
        }
        Ok(())
    }

    /// Something that only Fail2Ban's server would stop at.
    pub(super) fn doubt(&mut self, trouble: Trouble) {
        if let Self::Kind(found) = self {
            found.push(trouble);
        }
    }

    /// The value of a result; none: it was noted.
    pub(super) fn take<T>(&mut self, result: Result<T, Trouble>) -> Result<Option<T>, Trouble> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(trouble) => self.note(trouble).map(|()| None),
        }
    }

    /// What was noted since the last time.
    pub(super) fn drain(&mut self) -> Vec<Trouble> {
        match self {
            Self::Strict => Vec::new(),
            Self::Kind(found) => std::mem::take(found),
        }
    }
}
