//! One queue for each action file, over all jails, and the threads that work them off.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use crossbeam_channel::Sender;

use super::Perform;
use super::work::Work;
use crate::actor::store;

/// Commands that run at the same time at most, each of another action file.
const PARALLEL: usize = 16;

/// The queues. They outlive the broker's thread.
pub struct Lanes {
    state: Mutex<State>,
    /// Told when a worker ends.
    ended: Condvar,
    work: Work,
}

#[derive(Default)]
struct State {
    /// What waits, by action file. A lane that is empty and idle is not here.
    lanes: HashMap<Arc<str>, Lane>,
    /// Files with something to do that nobody works on, in the order they became so.
    ready: VecDeque<Arc<str>>,
    workers: usize,
    stopping: bool,
}

#[derive(Default)]
struct Lane {
    waiting: VecDeque<Box<Perform>>,
    busy: bool,
}

impl Lanes {
    /// Nothing waits. What history says of an address is asked of the store.
    pub fn new(store: Option<Sender<store::Job>>) -> Self {
        Self { state: Mutex::default(), ended: Condvar::new(), work: Work::new(store) }
    }

    /// Another store is asked from now on, or none.
    pub fn set_store(&self, store: Option<Sender<store::Job>>) {
        self.work.set_store(store);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a task; a thread is started for it if none is free and there are not too many.
    pub(super) fn push(self: &Arc<Self>, perform: Box<Perform>) {
        let mut state = self.state();
        if state.stopping {
            return perform.answer.refuse("the program stops");
        }
        let file = perform.definition.file.clone();
        let lane = state.lanes.entry(file.clone()).or_default();
        lane.waiting.push_back(perform);
        if !lane.busy && lane.waiting.len() == 1 {
            state.ready.push_back(file);
        }
        if state.workers < PARALLEL && !state.ready.is_empty() {
            state.workers += 1;
            drop(state);
            self.hire();
        }
    }

    fn hire(self: &Arc<Self>) {
        let worker = Worker { lanes: self.clone(), counted: true };
        let spawned = thread::Builder::new().name("action".into()).stack_size(512 * 1024);
        // When the system has no thread to give, the worker is dropped with the closure and counts as gone; what waits
        // is done by the next one.
        if let Err(error) = spawned.spawn(move || worker.run()) {
            tracing::error!(target: "fail2ban.actions", "no thread for a command: {error}");
        }
    }

    /// The next task, whose lane is busy from here on. None: the worker that asked counts no more.
    fn next(&self) -> Option<(Arc<str>, Box<Perform>)> {
        let mut state = self.state();
        while let Some(file) = state.ready.pop_front() {
            if let Some(lane) = state.lanes.get_mut(&file)
                && let Some(perform) = lane.waiting.pop_front()
            {
                lane.busy = true;
                return Some((file, perform));
            }
        }
        state.workers -= 1;
        None
    }

    /// The lane goes to the end of those that are ready, or away.
    fn done(&self, file: &Arc<str>) {
        let mut state = self.state();
        let Some(lane) = state.lanes.get_mut(file) else { return };
        lane.busy = false;
        if lane.waiting.is_empty() {
            state.lanes.remove(file);
        } else {
            state.ready.push_back(file.clone());
        }
    }

    /// Takes nothing any more and cuts off what runs; whether all of it ended in time.
    pub(super) fn stop(&self, deadline: Instant) -> bool {
        let mut state = self.state();
        state.stopping = true;
        state.ready.clear();
        let lanes = std::mem::take(&mut state.lanes);
        drop(state);
        for perform in lanes.into_values().flat_map(|lane| lane.waiting) {
            perform.answer.refuse("the program stops");
        }
        self.work.cancel();
        let mut state = self.state();
        while state.workers > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.ended.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

/// A thread that works off what is ready. Its end makes room for another.
struct Worker {
    lanes: Arc<Lanes>,
    /// It is one of [`State::workers`].
    counted: bool,
}

impl Worker {
    fn run(mut self) {
        while let Some((file, perform)) = self.lanes.next() {
            let _busy = Busy(&self.lanes, file);
            self.lanes.work.perform(*perform);
        }
        self.counted = false;
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.counted {
            // A panic, or the thread was never started.
            let mut state = self.lanes.state();
            let again = thread::panicking() && !state.ready.is_empty();
            state.workers -= usize::from(!again);
            drop(state);
            if again {
                self.lanes.hire();
            }
        }
        self.lanes.ended.notify_all();
    }
}

/// A lane that is worked on.
struct Busy<'a>(&'a Lanes, Arc<str>);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.done(&self.1);
    }
}

#[cfg(test)]
mod tests;
