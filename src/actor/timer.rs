//! The timer actor: one queue of deadlines for all jails, one sleep.
//!
//! The sleep is a timerfd on the wall clock: a suspended host wakes it late but at once, and a stepped clock
//! cancels it, so that it is armed again. What is due when is decided by [`crate::schedule`].

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use actix::prelude::*;
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;

use crate::actor::guard::Alive;
use crate::actor::message::{Expired, Register, Schedule};
use crate::actor::now;
use crate::fault;
use crate::schedule::Schedule as Queue;
use crate::time::UnixTime;

/// Wakes each jail at its next deadline.
pub struct TimerActor {
    queue: Queue,
    jails: HashMap<Arc<str>, Recipient<Expired>>,
    clock: Arc<AsyncFd<OwnedFd>>,
    armed: Option<UnixTime>,
    _alive: Alive,
}

impl TimerActor {
    /// A timer that knows no jail. To be called on the arbiter it lives on.
    ///
    /// # Errors
    /// The kernel has no timer to give.
    pub fn new(alive: Alive) -> io::Result<Self> {
        let clock = timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        Ok(Self {
            queue: Queue::default(),
            jails: HashMap::new(),
            clock: Arc::new(register(clock)?),
            armed: None,
            _alive: alive,
        })
    }

    /// Wakes every jail that has something due, and sleeps until the next deadline.
    fn ring(&mut self) {
        fault::point("timer.ring");
        let now = now();
        for jail in self.queue.pop_due(now) {
            let Some(to) = self.jails.get(&jail) else { continue };
            if to.try_send(Expired).is_err() {
                self.queue.again(&jail, now);
            }
        }
        self.armed = None;
        self.arm();
    }

    fn arm(&mut self) {
        let next = self.queue.next();
        if next == self.armed {
            return;
        }
        self.armed = next;
        // All zero disarms; a moment in the past rings at once.
        let at = next.map_or(0, |next| next.micros().max(1));
        let spec = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec { tv_sec: at / 1_000_000, tv_nsec: at % 1_000_000 * 1000 },
        };
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        if let Err(error) = timerfd_settime(self.clock.get_ref(), flags, &spec) {
            tracing::error!(target: "fail2ban.server", "the timer cannot be armed: {error}");
        }
    }
}

impl Actor for TimerActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(1024);
        ctx.add_stream(rings(self.clock.clone()));
    }
}

/// Puts the clock on the arbiter's reactor.
fn register(clock: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd is open, always answers with the same descriptor, and is closed by the AsyncFd alone.
    #[expect(unsafe_code, reason = "tokio has no safe way to register a descriptor")]
    Ok(unsafe { AsyncFd::register(clock) }?)
}

/// One item each time the clock rings; true when it was stepped.
fn rings(clock: Arc<AsyncFd<OwnedFd>>) -> impl futures_util::Stream<Item = bool> {
    futures_util::stream::unfold(clock, |clock| async move {
        let mut ready = clock.readable().await.ok()?;
        let mut count = [0_u8; 8];
        let read = rustix::io::read(clock.get_ref(), &mut count);
        if read == Err(Errno::AGAIN) {
            ready.clear_ready();
        }
        drop(ready);
        Some((read == Err(Errno::CANCELED), clock))
    })
}

impl StreamHandler<bool> for TimerActor {
    fn handle(&mut self, stepped: bool, _: &mut Self::Context) {
        if stepped {
            tracing::info!(target: "fail2ban.server", "the system clock was set: deadlines are looked at again");
            self.queue.clock_set(now());
        }
        self.ring();
    }
}

impl Handler<Register> for TimerActor {
    type Result = ();

    fn handle(&mut self, Register { jail, to }: Register, _: &mut Self::Context) {
        if let Some(to) = to {
            self.jails.insert(jail, to);
        } else {
            self.jails.remove(&jail);
            self.queue.forget(&jail);
            self.arm();
        }
    }
}

impl Handler<Schedule> for TimerActor {
    type Result = ();

    fn handle(&mut self, Schedule { jail, at }: Schedule, _: &mut Self::Context) {
        self.queue.push(&jail, at);
        self.arm();
    }
}
