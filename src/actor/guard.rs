//! Tells the supervisor when an actor or a thread is gone, however it went.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix::Recipient;

use crate::actor::message::Died;

/// What the supervisor looks after.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Child {
    /// The shared tailer.
    Tailer,
    /// The firewall's thread.
    Firewall,
    /// The store's thread.
    Store,
    /// The action broker's thread.
    Actions,
    /// The timer.
    Timer,
    /// A jail.
    Jail(Arc<str>),
}

impl std::fmt::Display for Child {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tailer => f.write_str("the tailer"),
            Self::Firewall => f.write_str("the firewall"),
            Self::Store => f.write_str("the store"),
            Self::Actions => f.write_str("the action broker"),
            Self::Timer => f.write_str("the timer"),
            Self::Jail(name) => write!(f, "jail {name}"),
        }
    }
}

static PANICS: AtomicU64 = AtomicU64::new(0);

/// Counts every panic from now on, of whichever thread, and says what it said before.
pub fn count_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        before(panic);
    }));
}

/// Panics so far.
pub fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

/// Lives in an actor or on a thread's stack; its drop sends [`Died`].
pub struct Alive {
    /// Whose life it is.
    pub child: Child,
    /// Which of its lives.
    pub life: u64,
    /// The supervisor.
    pub tell: Recipient<Died>,
}

impl Drop for Alive {
    fn drop(&mut self) {
        let child = self.child.clone();
        self.tell.do_send(Died { child, life: self.life, panicked: std::thread::panicking() });
    }
}
