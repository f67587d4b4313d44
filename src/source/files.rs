//! All files of all jails: which paths, who reads them together, who has room.
//!
//! Plain and without a clock; [`crate::actor::tailer`] calls [`Files::touched`] when linemux wakes it,
//! [`Files::tick`] at least once a second, and then [`Files::poll`] until there is no [more](Files::more).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use super::follow::Dates;
use super::follow::{Follow, Origin};
pub use super::readers::Delivery;
use super::readers::{FileReaders, Turn};
use super::{Cursor, Start, paths};
use crate::control::request::FileStatus;
use crate::time::UnixTime;

/// So many blocks may be on their way to a jail: past that it is detached.
pub const WINDOW: usize = 4;

/// A file that a glob found is forgotten when it has been away for so long.
const FORGET: Duration = Duration::from_secs(600);

/// What a turn costs at least of the budget of [`Files::poll`], in bytes: system calls are not free.
const TURN_COST: usize = 4096;

/// What a jail wants to read.
#[derive(Clone)]
pub struct Subscription {
    /// Paths and globs, each with where to begin in a file seen for the first time.
    pub patterns: Vec<(String, Start)>,
    /// For [`Start::FindTime`]: how far back.
    pub find_time: Duration,
    /// Where to go on. A path that is read already for this jail and not named here goes on where it is.
    pub cursors: Vec<(Arc<Path>, Cursor)>,
    /// For [`Start::FindTime`]: how a line is dated.
    pub dates: Dates,
}

struct Jail {
    wants: Subscription,
    paths: BTreeSet<Arc<Path>>,
    in_flight: usize,
}

/// Where a path waits for its next turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Queue {
    /// For the next look.
    None,
    /// For its turn.
    Ready,
    /// For a jail to have room.
    Blocked,
}

struct File {
    readers: FileReaders,
    /// Whether to look for rotations and growth on the next turn.
    look: bool,
    queue: Queue,
}

/// The files of all jails.
#[derive(Default)]
pub struct Files {
    jails: BTreeMap<Arc<str>, Jail>,
    files: BTreeMap<Arc<Path>, File>,
    ready: VecDeque<Arc<Path>>,
    blocked: BTreeSet<Arc<Path>>,
    reads: u64,
}

impl Files {
    /// Of no jail yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets a jail read, or read something else: what it goes on reading moves only if a cursor says so.
    /// Blocks on their way to it are no longer waited for.
    pub fn subscribe(&mut self, jail: &Arc<str>, mut wants: Subscription, now: UnixTime) {
        let before = self.jails.remove(jail).map(|jail| jail.paths).unwrap_or_default();
        let cursors = std::mem::take(&mut wants.cursors);
        let mut wanted = paths::expand(&wants.patterns, &before);
        for path in before.iter().chain(cursors.iter().map(|(path, _)| path)) {
            // Away at the moment, perhaps being rotated.
            if !path.exists()
                && let Some((_, start)) = paths::matched(&wants.patterns, path)
            {
                wanted.entry(path.clone()).or_insert(*start);
            }
        }
        for path in before.iter().filter(|path| !wanted.contains_key(*path)) {
            self.leave(jail, path);
        }
        for (path, start) in &wanted {
            let origin = match cursors.iter().find(|(other, _)| other == path) {
                Some((_, cursor)) => Origin::Saved(cursor.clone()),
                None if before.contains(path) => continue,
                None => {
                    Origin::First { start: *start, find_time: wants.find_time, dates: wants.dates.clone() }
                }
            };
            if before.contains(path) {
                self.leave(jail, path);
            }
            self.join(jail, path, origin, now);
        }
        let paths = wanted.into_keys().collect();
        self.jails.insert(jail.clone(), Jail { wants, paths, in_flight: 0 });
        self.unblock();
    }

    /// Stops reading for a jail.
    pub fn unsubscribe(&mut self, jail: &str) {
        let paths = self.jails.remove(jail).map(|jail| jail.paths).unwrap_or_default();
        paths.iter().for_each(|path| self.leave(jail, path));
    }

    fn join(&mut self, jail: &Arc<str>, path: &Arc<Path>, origin: Origin, now: UnixTime) {
        let new = || File { readers: FileReaders::new(path.clone()), look: false, queue: Queue::None };
        let file = self.files.entry(path.clone()).or_insert_with(new);
        file.readers.add(jail.clone(), origin, now);
        self.enqueue(path, false);
    }

    fn leave(&mut self, jail: &str, path: &Arc<Path>) {
        if let Some(file) = self.files.get_mut(path)
            && !file.readers.remove(jail)
        {
            self.files.remove(path);
        }
    }

    /// Gives a path a turn.
    fn enqueue(&mut self, path: &Arc<Path>, look: bool) {
        let Some(file) = self.files.get_mut(path) else { return };
        file.look |= look;
        if file.queue != Queue::Ready {
            file.queue = Queue::Ready;
            self.ready.push_back(path.clone());
        }
    }

    fn unblock(&mut self) {
        for path in std::mem::take(&mut self.blocked) {
            self.enqueue(&path, false);
        }
    }

    /// Something happened to a path, as a watcher names it: perhaps with links resolved.
    pub fn touched(&mut self, path: &Path) {
        if let Some((path, _)) = self.files.get_key_value(path) {
            let path = path.clone();
            return self.enqueue(&path, true);
        }
        let alike = |other: &&Arc<Path>| other.file_name() == path.file_name();
        let found: Vec<_> = self.files.keys().filter(alike).cloned().collect();
        found.iter().for_each(|path| self.enqueue(path, true));
    }

    /// Looks at everything again: new files, rotations, growth that nobody reported.
    pub fn tick(&mut self, now: UnixTime) {
        let jails: Vec<_> = self.jails.keys().cloned().collect();
        for jail in jails {
            self.expand(&jail, now);
        }
        let paths: Vec<_> = self.files.keys().cloned().collect();
        paths.iter().for_each(|path| self.enqueue(path, true));
    }

    /// Lets a jail read what its globs match by now, and forget what has long been away.
    fn expand(&mut self, jail: &Arc<str>, now: UnixTime) {
        let Some(subscriber) = self.jails.get_mut(jail) else { return };
        let patterns = &subscriber.wants.patterns;
        if patterns.iter().all(|(pattern, _)| paths::as_glob(pattern).is_none()) {
            return;
        }
        let wanted = paths::expand(patterns, &subscriber.paths);
        let away = |path: &Arc<Path>| {
            let follow = self.files.get(path).and_then(|file| file.readers.of(jail));
            follow
                .and_then(|(follow, _)| follow.missing())
                .map_or_else(|| !path.exists(), |since| now < since + FORGET)
        };
        let gone = |path: &&Arc<Path>| !wanted.contains_key(*path) && !away(path);
        let gone: Vec<_> = subscriber.paths.iter().filter(gone).cloned().collect();
        subscriber.paths.retain(|path| !gone.contains(path));
        let new: Vec<_> = wanted.into_keys().filter(|path| subscriber.paths.insert(path.clone())).collect();
        gone.iter().for_each(|path| self.leave(jail, path));
        new.iter().for_each(|path| self.join(jail, path, Origin::New, now));
    }

    /// Reads what may be read, about `budget` bytes: blocks, in order for each jail and path.
    pub fn poll(&mut self, now: UnixTime, budget: usize) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        let mut spent = 0;
        while spent < budget
            && let Some(path) = self.ready.pop_front()
        {
            spent += TURN_COST;
            let Some(file) = self.files.get_mut(&path).filter(|file| file.queue == Queue::Ready) else {
                continue;
            };
            if std::mem::take(&mut file.look) {
                file.readers.look(now);
            }
            let jails = &self.jails;
            let turn =
                file.readers.turn(|jail| jails.get(jail).is_some_and(|jail| jail.in_flight < WINDOW), now);
            file.queue = match &turn {
                Turn::Deliver(_) | Turn::Again => Queue::Ready,
                Turn::Blocked => Queue::Blocked,
                Turn::Idle => Queue::None,
            };
            match file.queue {
                Queue::Ready => self.ready.push_back(path),
                Queue::Blocked => drop(self.blocked.insert(path)),
                Queue::None => {}
            }
            match turn {
                Turn::Deliver(delivery) => {
                    spent += delivery.block.text.len();
                    self.reads += 1;
                    for jail in &delivery.jails {
                        self.jails.entry(jail.clone()).and_modify(|jail| jail.in_flight += 1);
                    }
                    deliveries.push(delivery);
                }
                Turn::Again => spent += super::log::BLOCK,
                Turn::Blocked | Turn::Idle => {}
            }
        }
        deliveries
    }

    /// Whether another poll may bring more at once.
    pub fn more(&self) -> bool {
        !self.ready.is_empty()
    }

    /// A jail is done with one block: it has room for another.
    pub fn handled(&mut self, jail: &str) {
        if let Some(jail) = self.jails.get_mut(jail) {
            jail.in_flight = jail.in_flight.saturating_sub(1);
            self.unblock();
        }
    }

    /// The paths to watch, there or not; what a watcher misses, the next tick finds.
    pub fn watch(&self) -> BTreeSet<Arc<Path>> {
        self.files.keys().cloned().collect()
    }

    /// The files of a jail, and its globs that match nothing.
    pub fn status(&self, jail: &str) -> Vec<FileStatus> {
        let Some(subscriber) = self.jails.get(jail) else { return Vec::new() };
        let follows = self.follows(jail).map(|(path, (follow, hungry))| FileStatus {
            path: path.display().to_string(),
            state: match follow.trouble() {
                Some(trouble) => trouble.to_string(),
                None if follow.reached_end() && !hungry => "reading".to_owned(),
                None => "catching up".to_owned(),
            },
            offset: follow.offset(),
            cut: follow.cut(),
        });
        let idle = subscriber.wants.patterns.iter().filter(|(pattern, _)| {
            paths::as_glob(pattern)
                .is_some_and(|glob| !subscriber.paths.iter().any(|path| paths::matches(&glob, path)))
        });
        let idle = idle.map(|(pattern, _)| FileStatus {
            path: pattern.clone(),
            state: super::follow::Trouble::Missing.to_string(),
            ..FileStatus::default()
        });
        follows.chain(idle).collect()
    }

    /// Whether every file of a jail was once read to its end, or is not there.
    pub fn caught_up(&self, jail: &str) -> bool {
        self.follows(jail).all(|(_, (follow, _))| follow.reached_end())
    }

    /// Blocks read so far; one that several jails got counts once.
    pub fn reads(&self) -> u64 {
        self.reads
    }

    fn follows<'a>(&'a self, jail: &'a str) -> impl Iterator<Item = (&'a Arc<Path>, (&'a Follow, bool))> {
        let paths = self.jails.get(jail).map(|jail| jail.paths.iter()).into_iter().flatten();
        paths.filter_map(move |path| Some((path, self.files.get(path)?.readers.of(jail)?)))
    }
}

#[cfg(test)]
mod tests;
