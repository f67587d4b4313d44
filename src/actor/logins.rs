//! Who is logged in, read anew when a jail is about to judge and something has changed.
//!
//! Jails read it themselves, each on its thread: nobody is asked and nobody waits. Reading is a look at two or three
//! files' times, at most once in 2 ms; what changes nothing there (a process that ended without a word) is seen after
//! a second. Where there are very many sessions, reading them takes a twentieth of a core at most.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::ignore::Login;
use crate::logins::{self, Looks};

/// So old what is known may be when lines are judged.
const FRESH: Duration = Duration::from_millis(2);
/// A file that was changed so short a time ago may change again without another time: the kernel's clock for them is coarse.
const COARSE: Duration = Duration::from_millis(20);
/// So long what changes no file, the end of a process, may not be seen.
const SETTLED: Duration = Duration::from_secs(1);
/// Nobody looks for so many times as long as reading took.
const SHARE: u32 = 20;

/// What is known.
#[derive(Default)]
pub struct Logins {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    places: Vec<PathBuf>,
    looks: Looks,
    looked: Option<Instant>,
    /// How long nobody looks again.
    rest: Duration,
    read: Option<Instant>,
    logins: Arc<[Login]>,
}

impl Logins {
    /// Read from these places.
    pub fn new(places: Vec<PathBuf>) -> Self {
        let logins = Self::default();
        logins.move_to(places);
        logins
    }

    /// Read from these places from now on.
    pub fn move_to(&self, places: Vec<PathBuf>) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Known { places, ..Known::default() };
    }

    /// Who is logged in, as of the last 2 ms. It is the same `Arc` as long as nothing has changed.
    pub fn fresh(&self) -> Arc<[Login]> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.places.is_empty() {
            known.look(Instant::now());
        }
        known.logins.clone()
    }
}

impl Known {
    fn look(&mut self, now: Instant) {
        let due = |at: Option<Instant>, span| at.is_none_or(|at| now.duration_since(at) >= span);
        if !due(self.looked, self.rest) {
            return;
        }
        (self.looked, self.rest) = (Some(now), FRESH);
        let looks = Looks::at(&self.places);
        if looks == self.looks && !is_young(&looks) && !due(self.read, SETTLED) {
            return;
        }
        (self.looks, self.read) = (looks, Some(now));
        let logins = logins::read(&self.places, Path::new("/proc"));
        if *logins != *self.logins {
            self.logins = logins.into();
        }
        self.rest = FRESH.max(now.elapsed() * SHARE);
    }
}

/// Whether something may have changed since without another time.
fn is_young(looks: &Looks) -> bool {
    let now = super::now();
    looks.newest().is_some_and(|newest| newest <= now + COARSE && now <= newest + COARSE)
}
