//! All files of all jails: which paths, who reads them together, who has room.
//!
//! Plain and without a clock; [`crate::actor::tailer`] calls [`Files::touched`] when linemux wakes it,
//! [`Files::tick`] at least once a second, and then [`Files::poll`] until there is no [more](Files::more).

mod choice;
mod status;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use super::follow::Dates;
use super::follow::Origin;
use super::journal::{self, Begin, JournalOptions};
pub use super::readers::Delivery;
use super::readers::{FileReaders, Turn, Wish};
use super::spare::Spare;
use super::{Cursor, Manner, paths};
use crate::time::UnixTime;

/// So many blocks may be on their way to a jail: past that it is detached.
pub const WINDOW: usize = 4;

/// A file that a glob found is forgotten when it has been away for so long.
const FORGET: Duration = Duration::from_secs(600);

/// What a turn costs at least of the budget of [`Files::poll`], in bytes: system calls are not free.
const TURN_COST: usize = 4096;

/// So many descriptors are held for files with nothing to read, unless [told otherwise](Files::limit_open).
const OPEN_CAP: usize = 512;

/// What a jail wants to read.
#[derive(Clone)]
pub struct Subscription {
    /// Paths and globs, each with how its files are read.
    pub patterns: Vec<(String, Manner)>,
    /// For [`Start::FindTime`](super::Start::FindTime): how far back.
    pub find_time: Duration,
    /// Where to go on. A path that is read already for this jail and not named here goes on where it is.
    pub cursors: Vec<(Arc<Path>, Cursor)>,
    /// For the same: how a line is dated.
    pub dates: Dates,
    /// The journal, in place of the files or they in its place: see [`JournalOptions::instead_of_files`].
    pub journal: Option<JournalOptions>,
}

struct Jail {
    wants: Subscription,
    /// Why it reads something else than it asked for in the first place.
    note: Option<(String, String)>,
    paths: BTreeSet<Arc<Path>>,
    in_flight: usize,
    /// Paths with something to read for which there was no room, first come first served.
    blocked: VecDeque<Arc<Path>>,
}

impl Jail {
    fn room(&self) -> usize {
        WINDOW.saturating_sub(self.in_flight)
    }

    /// Whether there is room for something that waits for it.
    fn can_go_on(&self) -> bool {
        !self.blocked.is_empty() && self.room() > 0
    }

    /// The first paths that there is room for.
    fn unblocked(&mut self) -> Vec<Arc<Path>> {
        let paths = self.room().min(self.blocked.len());
        self.blocked.drain(..paths).collect()
    }
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
    /// In whose `blocked` it is.
    waiting: Vec<Arc<str>>,
}

impl File {
    /// How many descriptors were given back.
    fn close(&mut self, now: UnixTime) -> usize {
        let before = self.readers.open_files();
        self.readers.close(now);
        before - self.readers.open_files()
    }
}

/// The files of all jails.
pub struct Files {
    jails: BTreeMap<Arc<str>, Jail>,
    paths: BTreeMap<Arc<Path>, File>,
    ready: VecDeque<Arc<Path>>,
    reads: u64,
    open: usize,
    open_cap: usize,
    spare: Spare,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            jails: BTreeMap::new(),
            paths: BTreeMap::new(),
            ready: VecDeque::new(),
            reads: 0,
            open: 0,
            open_cap: OPEN_CAP,
            spare: Spare::default(),
        }
    }
}

impl Files {
    /// Of no jail yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Past this many open files, others are open only while they are read.
    #[cfg(test)]
    pub(super) fn limit_open(&mut self, files: usize) {
        self.open_cap = files;
    }

    /// Lets a jail read, or read something else: what it goes on reading moves only if a cursor says so.
    /// Blocks on their way to it are no longer waited for.
    pub fn subscribe(&mut self, jail: &Arc<str>, mut wants: Subscription, now: UnixTime) {
        let old = self.jails.remove(jail);
        let before = old.as_ref().map(|old| old.paths.clone()).unwrap_or_default();
        let note = choice::choose(&mut wants, now);
        let mut cursors: BTreeMap<_, _> = std::mem::take(&mut wants.cursors).into_iter().collect();
        let mut wanted = paths::expand(&wants.patterns, &before);
        for path in before.iter().chain(cursors.keys()) {
            // Away at the moment, perhaps being rotated.
            if !path.exists()
                && let Some((_, manner)) = paths::matched(&wants.patterns, path)
            {
                wanted.entry(path.clone()).or_insert(*manner);
            }
        }
        if let Some(options) = &wants.journal {
            wanted.insert(Path::new(journal::PATH).into(), options.start.into());
        }
        for path in before.iter().filter(|path| !wanted.contains_key(*path)) {
            self.leave(jail, path);
        }
        for (path, Manner { start, format }) in &wanted {
            let saved = cursors.remove(path);
            let wish = match (saved, &wants.journal) {
                (saved, Some(options)) if journal::is_journal(path) => {
                    let begin = saved.filter(|cursor| cursor.journal.is_some());
                    let begin = begin.map_or(Begin::First, Begin::Saved);
                    if before.contains(path) && matches!(begin, Begin::First) {
                        continue;
                    }
                    Wish::Journal(Box::new(options.clone()), begin, wants.find_time)
                }
                (Some(cursor), _) => Wish::File(Origin::Saved(cursor), *format),
                (None, _) if before.contains(path) => continue,
                (None, _) => {
                    let (find_time, dates) = (wants.find_time, wants.dates.clone());
                    Wish::File(Origin::First { start: *start, find_time, dates }, *format)
                }
            };
            if before.contains(path) {
                self.leave(jail, path);
            }
            self.join(jail, path, wish, now);
        }
        let paths = wanted.into_keys().collect();
        self.jails.insert(jail.clone(), Jail { wants, note, paths, in_flight: 0, blocked: VecDeque::new() });
        for path in old.map(|old| old.blocked).unwrap_or_default() {
            self.unblock(jail, &path);
        }
    }

    /// Stops reading for a jail.
    pub fn unsubscribe(&mut self, jail: &str) {
        let Some(old) = self.jails.remove(jail) else { return };
        for path in &old.blocked {
            self.unblock(jail, path);
        }
        for path in &old.paths {
            self.leave(jail, path);
        }
    }

    fn join(&mut self, jail: &Arc<str>, path: &Arc<Path>, wish: Wish, now: UnixTime) {
        let new = || File {
            readers: FileReaders::new(path.clone()),
            look: false,
            queue: Queue::None,
            waiting: Vec::new(),
        };
        let file = self.paths.entry(path.clone()).or_insert_with(new);
        let before = file.readers.open_files();
        file.readers.add(jail.clone(), wish, now);
        self.open = self.open + file.readers.open_files() - before;
        if self.open > self.open_cap {
            self.open -= file.close(now);
        }
        self.enqueue(path, true);
    }

    fn leave(&mut self, jail: &str, path: &Arc<Path>) {
        let Some(file) = self.paths.get_mut(path) else { return };
        let before = file.readers.open_files();
        let left = file.readers.remove(jail);
        self.open = self.open + file.readers.open_files() - before;
        if !left {
            self.paths.remove(path);
        }
    }

    /// Gives a path a turn.
    fn enqueue(&mut self, path: &Arc<Path>, look: bool) {
        let Some(file) = self.paths.get_mut(path) else { return };
        file.look |= look;
        if file.queue != Queue::Ready {
            file.queue = Queue::Ready;
            self.ready.push_back(path.clone());
        }
    }

    /// A path need not wait for this jail any more.
    fn unblock(&mut self, jail: &str, path: &Arc<Path>) {
        if let Some(file) = self.paths.get_mut(path) {
            file.waiting.retain(|other| **other != *jail);
            self.enqueue(path, false);
        }
    }

    /// The path whose turn it is: one that is ready, else those that waited for room that nobody took.
    fn next(&mut self) -> Option<Arc<Path>> {
        if self.ready.is_empty() {
            let mut freed = Vec::new();
            for (name, jail) in &mut self.jails {
                freed.extend(jail.unblocked().into_iter().map(|path| (name.clone(), path)));
            }
            for (jail, path) in freed {
                self.unblock(&jail, &path);
            }
        }
        self.ready.pop_front()
    }

    /// Something happened to a path, as a watcher names it: perhaps with links resolved.
    pub fn touched(&mut self, path: &Path) {
        if let Some((path, _)) = self.paths.get_key_value(path) {
            let path = path.clone();
            return self.enqueue(&path, true);
        }
        let alike = |(other, file): &(&Arc<Path>, &File)| {
            other.file_name() == path.file_name() || file.readers.watched().any(|watched| watched == path)
        };
        let found: Vec<_> = self.paths.iter().filter(alike).map(|(path, _)| path.clone()).collect();
        for path in &found {
            self.enqueue(path, true);
        }
    }

    /// Looks at everything again: new files, rotations, growth that nobody reported.
    pub fn tick(&mut self, now: UnixTime) {
        let jails: Vec<_> = self.jails.keys().cloned().collect();
        for jail in jails {
            self.expand(&jail, now);
        }
        self.paths.values_mut().for_each(|file| file.readers.lose_patience());
        let paths: Vec<_> = self.paths.keys().cloned().collect();
        for path in &paths {
            self.enqueue(path, true);
        }
        self.spare.rest();
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
            let tail = self.paths.get(path).and_then(|file| file.readers.of(jail));
            tail.and_then(|(tail, _)| tail.missing())
                .map_or_else(|| !path.exists(), |since| now < since + FORGET)
        };
        let gone =
            |path: &&Arc<Path>| !wanted.contains_key(*path) && !journal::is_journal(path) && !away(path);
        let gone: BTreeSet<_> = subscriber.paths.iter().filter(gone).cloned().collect();
        subscriber.paths.retain(|path| !gone.contains(path));
        let new: Vec<_> =
            wanted.into_iter().filter(|(path, _)| subscriber.paths.insert(path.clone())).collect();
        for path in &gone {
            self.leave(jail, path);
        }
        for (path, Manner { format, .. }) in &new {
            self.join(jail, path, Wish::File(Origin::New, *format), now);
        }
    }

    /// Reads what may be read, about `budget` bytes: blocks, in order for each jail and path.
    pub fn poll(&mut self, now: UnixTime, budget: usize) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        let mut spent = 0;
        while spent < budget
            && let Some(path) = self.next()
        {
            spent += TURN_COST;
            match self.turn(&path, now) {
                Turn::Deliver(delivery) => {
                    spent += delivery.block.text.len();
                    self.reads += 1;
                    self.spare.lend(&delivery.block);
                    for jail in &delivery.jails {
                        self.jails.entry(jail.clone()).and_modify(|jail| jail.in_flight += 1);
                    }
                    deliveries.push(delivery);
                }
                Turn::Again => spent += super::log::BLOCK,
                Turn::Blocked(jails) => self.block(&path, jails),
                Turn::Idle => {}
            }
        }
        deliveries
    }

    fn turn(&mut self, path: &Arc<Path>, now: UnixTime) -> Turn {
        let Some(file) = self.paths.get_mut(path).filter(|file| file.queue == Queue::Ready) else {
            return Turn::Idle; // nobody reads it any more
        };
        let before = file.readers.open_files();
        if std::mem::take(&mut file.look) {
            file.readers.look(now);
        }
        let jails = &self.jails;
        let room = |jail: &str| jails.get(jail).map_or(0, Jail::room);
        let turn = file.readers.turn(room, &mut self.spare, now);
        self.open = self.open + file.readers.open_files() - before;
        file.queue = match &turn {
            Turn::Deliver(_) | Turn::Again => Queue::Ready,
            Turn::Blocked(_) => Queue::Blocked,
            Turn::Idle => Queue::None,
        };
        if file.queue == Queue::Ready {
            self.ready.push_back(path.clone());
        } else if file.queue == Queue::None && self.open > self.open_cap {
            self.open -= file.close(now);
        }
        turn
    }

    /// The path waits until one of these jails has room.
    fn block(&mut self, path: &Arc<Path>, jails: Vec<Arc<str>>) {
        let Some(file) = self.paths.get_mut(path) else { return };
        for name in jails {
            if let Some(jail) = self.jails.get_mut(&name)
                && !file.waiting.contains(&name)
            {
                jail.blocked.push_back(path.clone());
                file.waiting.push(name);
            }
        }
    }

    /// Whether another poll may bring more at once.
    pub fn more(&self) -> bool {
        !self.ready.is_empty() || self.jails.values().any(Jail::can_go_on)
    }

    /// Whether something is left unread until a jail is done with a block.
    pub fn waits(&self) -> bool {
        self.jails.values().any(|jail| !jail.blocked.is_empty())
    }

    /// A jail is done with one block: it has room for another.
    pub fn handled(&mut self, jail: &str) {
        let Some(subscriber) = self.jails.get_mut(jail) else { return };
        subscriber.in_flight = subscriber.in_flight.saturating_sub(1);
        for path in subscriber.unblocked() {
            self.unblock(jail, &path);
        }
    }

    /// The paths to watch, there or not; what a watcher misses, the next tick finds.
    pub fn watch(&self) -> BTreeSet<Arc<Path>> {
        let inside = self.paths.values().flat_map(|file| file.readers.watched().map(Arc::from));
        self.paths.keys().cloned().chain(inside).collect()
    }

    /// Blocks read so far; one that several jails got counts once.
    pub fn reads(&self) -> u64 {
        self.reads
    }
}

#[cfg(test)]
mod tests;
