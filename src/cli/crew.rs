//! Work in three stages on one piece after the other, on as many threads as there are cores.
//!
//! Pieces are made one after the other, in their order; then they are worked on, several at once; then they are finished,
//! one after the other, in the same order. Whoever has nothing to do takes what is next, so the stages need not be
//! alike. What comes out does not depend on the number of threads.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Pieces that are made before others begin to help: what is read faster than they could begin needs nobody.
const ALONE: usize = 4;
/// Pieces at hand for each thread.
const EACH: usize = 3;
/// Most threads: more would wait for those of the first and the last stage.
const MOST: usize = 4;

/// How many more than one can work at once here.
pub(super) fn others() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(MOST) - 1
}

/// Makes the next piece out of one that is used up; none: there are no more.
pub(super) trait Make<P, E>: FnMut(P) -> Result<Option<P>, E> + Send {}
impl<P, E, F: FnMut(P) -> Result<Option<P>, E> + Send> Make<P, E> for F {}

/// Makes, works on, and finishes all pieces. Each of the workers has a thread of its own, but for the first, who works on
/// this one; here pieces are finished, too.
///
/// # Errors
/// The first, which ends everything.
pub(super) fn run<P, E, W>(
    make: impl Make<P, E>,
    mut own: W,
    others: Vec<W>,
    mut finish: impl FnMut(&mut P) -> Result<(), E>,
) -> Result<(), E>
where
    P: Default + Send,
    E: Send,
    W: FnMut(&mut P) + Send,
{
    let crew = Crew {
        table: Mutex::new(Table::default()),
        make: Mutex::new(make),
        most: if others.is_empty() { 1 } else { (1 + others.len()) * EACH },
        changed: Condvar::new(),
    };
    std::thread::scope(|scope| {
        let mut others = others.into_iter();
        let _leaving = Leaving(&crew.table, &crew.changed);
        loop {
            let mut table = crew.lock();
            let are_many = table.made >= ALONE;
            let task = loop {
                if let Some(piece) = table.finishable() {
                    break Task::Finish(piece);
                }
                match table.task(crew.most) {
                    Some(task) => break task,
                    None => table = crew.wait(table),
                }
            };
            match task {
                Task::Finish(_) => crew.tell(table), // there is room for another one
                _ => drop(table),
            }
            match task {
                Task::Finish(mut piece) => {
                    finish(&mut piece)?;
                    crew.lock().spare.push(piece);
                }
                Task::Over => break,
                task => crew.perform(task, &mut own),
            }
            if are_many && let Some(worker) = others.next() {
                let crew = &crew;
                scope.spawn(move || crew.help(worker));
            }
        }
        match crew.lock().error.take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    })
}

/// What is done for one piece after the other, in their order, while they are worked on.
pub(super) struct Turns<T> {
    next: Mutex<Next<T>>,
    changed: Condvar,
}

struct Next<T> {
    with: T,
    number: usize,
    /// Somebody left before his turn: nobody is waited for.
    is_broken: bool,
    /// How many wait.
    waiting: usize,
}

/// The turn of one piece, which others wait for.
pub(super) struct Turn<'t, T> {
    turns: &'t Turns<T>,
    number: usize,
    is_over: bool,
}

impl<T> Turns<T> {
    pub(super) fn new(with: T) -> Self {
        let next = Next { with, number: 0, is_broken: false, waiting: 0 };
        Self { next: Mutex::new(next), changed: Condvar::new() }
    }

    /// That of the piece of a number, from 0: to be asked for before anything can go wrong.
    pub(super) fn of(&self, number: usize) -> Turn<'_, T> {
        Turn { turns: self, number, is_over: false }
    }

    pub(super) fn into_inner(self) -> T {
        self.next.into_inner().unwrap_or_else(PoisonError::into_inner).with
    }

    fn lock(&self) -> MutexGuard<'_, Next<T>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Turn<'_, T> {
    /// Waits for those before.
    pub(super) fn take(mut self, act: impl FnOnce(&mut T)) {
        let mut next = self.turns.lock();
        while next.number != self.number && !next.is_broken {
            next.waiting += 1;
            next = self.turns.changed.wait(next).unwrap_or_else(PoisonError::into_inner);
            next.waiting -= 1;
        }
        if !next.is_broken {
            act(&mut next.with);
            next.number += 1;
            self.is_over = true;
        }
        if next.waiting > 0 {
            self.turns.changed.notify_all();
        }
    }
}

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        if !self.is_over {
            self.turns.lock().is_broken = true;
            self.turns.changed.notify_all();
        }
    }
}

struct Crew<P, E, M> {
    table: Mutex<Table<P, E>>,
    make: Mutex<M>,
    /// Pieces at hand.
    most: usize,
    changed: Condvar,
}

/// What lies there.
struct Table<P, E> {
    spare: Vec<P>,
    /// How many were made.
    made: usize,
    /// Those to be worked on.
    open: VecDeque<(usize, P)>,
    /// Those that were worked on, from the next to be finished on.
    ready: VecDeque<Option<P>>,
    finished: usize,
    is_making: bool,
    /// How many wait for a change.
    waiting: usize,
    /// No more are made.
    is_last: bool,
    /// Everybody leaves.
    is_over: bool,
    error: Option<E>,
}

enum Task<P> {
    Make(P),
    Work(usize, P),
    Finish(P),
    Over,
}

impl<P, E> Default for Table<P, E> {
    fn default() -> Self {
        Self {
            spare: Vec::new(),
            made: 0,
            open: VecDeque::new(),
            ready: VecDeque::new(),
            finished: 0,
            is_making: false,
            waiting: 0,
            is_last: false,
            is_over: false,
            error: None,
        }
    }
}

impl<P: Default, E> Table<P, E> {
    fn finishable(&mut self) -> Option<P> {
        let piece = self.ready.front_mut()?.take()?;
        self.ready.pop_front();
        self.finished += 1;
        Some(piece)
    }

    /// What is next but for finishing.
    fn task(&mut self, most: usize) -> Option<Task<P>> {
        if self.is_over || self.is_last && self.finished == self.made {
            return Some(Task::Over);
        }
        // Who makes one works on it: it is in his core's memory.
        let are_few = self.open.is_empty() || self.made < ALONE;
        if are_few && !self.is_last && !self.is_making && self.made - self.finished < most {
            self.is_making = true;
            return Some(Task::Make(self.spare.pop().unwrap_or_default()));
        }
        self.open.pop_front().map(|(number, piece)| Task::Work(number, piece))
    }
}

impl<P: Default, E, M: Make<P, E>> Crew<P, E, M> {
    fn lock(&self) -> MutexGuard<'_, Table<P, E>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'t>(&self, mut table: MutexGuard<'t, Table<P, E>>) -> MutexGuard<'t, Table<P, E>> {
        table.waiting += 1;
        let mut table = self.changed.wait(table).unwrap_or_else(PoisonError::into_inner);
        table.waiting -= 1;
        table
    }

    /// Tells those who wait of a change.
    fn tell(&self, table: MutexGuard<'_, Table<P, E>>) {
        let is_heard = table.waiting > 0;
        drop(table);
        if is_heard {
            self.changed.notify_all();
        }
    }

    fn help(&self, mut worker: impl FnMut(&mut P)) {
        let _leaving = Leaving(&self.table, &self.changed);
        loop {
            let mut table = self.lock();
            let task = loop {
                match table.task(self.most) {
                    Some(task) => break task,
                    None => table = self.wait(table),
                }
            };
            drop(table);
            if matches!(task, Task::Over) {
                return;
            }
            self.perform(task, &mut worker);
        }
    }

    fn perform(&self, task: Task<P>, worker: &mut impl FnMut(&mut P)) {
        let table = match task {
            Task::Make(piece) => {
                let made = self.make.lock().unwrap_or_else(PoisonError::into_inner)(piece);
                let mut table = self.lock();
                table.is_making = false;
                match made {
                    Ok(Some(piece)) => {
                        let number = table.made;
                        table.made += 1;
                        table.open.push_back((number, piece));
                    }
                    Ok(None) => table.is_last = true,
                    Err(error) => {
                        table.error = Some(error);
                        table.is_last = true;
                    }
                }
                table
            }
            Task::Work(number, mut piece) => {
                worker(&mut piece);
                let mut table = self.lock();
                let place = number - table.finished;
                while table.ready.len() <= place {
                    table.ready.push_back(None);
                }
                table.ready[place] = Some(piece);
                table
            }
            Task::Finish(_) | Task::Over => return,
        };
        self.tell(table);
    }
}

/// Whoever leaves, in a panic too, takes all with him.
struct Leaving<'c, P, E>(&'c Mutex<Table<P, E>>, &'c Condvar);

impl<P, E> Drop for Leaving<'_, P, E> {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_over = true;
        self.1.notify_all();
    }
}
