//! Who reads one path together with whom.
//!
//! Jails at the same place share one reader, so a file is read once however many jails watch it.
//! A reader reads when all of its jails have room; else it waits for them, until the next tick at most. Then those
//! without room stay where they are, in a reader of their own (*detached*), and catch up alone. Readers that come to the
//! same place become one again (*attached*).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::follow::{Follow, Origin};
use super::journal::{Begin, JournalOptions, JournalReader, Shelf};
use super::spare::Spare;
use super::tail::{Step, Tail};
use super::{Block, Format};
use crate::time::UnixTime;

/// A block and the jails that it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Those that are at this place.
    pub jails: Vec<Arc<str>>,
    /// What was read.
    pub block: Arc<Block>,
}

/// What one turn of a path brought.
#[derive(Debug)]
pub enum Turn {
    /// Lines; the path wants another turn.
    Deliver(Delivery),
    /// No line yet; the path wants another turn.
    Again,
    /// There is something to read, but these have no room.
    Blocked(Vec<Arc<str>>),
    /// Everything was read.
    Idle,
}

/// What a jail wants of a path.
pub(super) enum Wish {
    /// A file's lines.
    File(Origin, Format),
    /// The journal's, if the path is the one that stands for it.
    Journal(Box<JournalOptions>, Begin, Duration),
}

struct Reader {
    tail: Tail,
    jails: Vec<Arc<str>>,
    /// Whether there may be something to read.
    hungry: bool,
    /// Whether jails with room wait for those without.
    patient: bool,
}

/// All readers of one path.
pub struct FileReaders {
    path: Arc<Path>,
    readers: Vec<Reader>,
    /// Which reader has the next turn.
    turn: usize,
    /// The journal's files, open once for all readers.
    shelf: Shelf,
}

impl FileReaders {
    /// Of a path that nobody reads yet.
    pub fn new(path: Arc<Path>) -> Self {
        Self { path, readers: Vec::new(), turn: 0, shelf: Shelf::default() }
    }

    /// Lets a jail read from there on.
    pub(super) fn add(&mut self, jail: Arc<str>, wish: Wish, now: UnixTime) {
        let tail = match wish {
            Wish::File(origin, format) => {
                Tail::File(Box::new(Follow::open(self.path.clone(), origin, format, now)))
            }
            Wish::Journal(options, begin, find_time) => {
                let files = self.shelf.clone();
                Tail::Journal(Box::new(JournalReader::open(*options, begin, find_time, files, now)))
            }
        };
        self.readers.push(Reader { tail, jails: vec![jail], hungry: true, patient: true });
        self.attach();
    }

    /// Stops reading for a jail; false: nobody is left.
    pub fn remove(&mut self, jail: &str) -> bool {
        for reader in &mut self.readers {
            reader.jails.retain(|other| **other != *jail);
        }
        self.readers.retain(|reader| !reader.jails.is_empty());
        !self.readers.is_empty()
    }

    /// Looks for rotations and for something to read.
    pub fn look(&mut self, now: UnixTime) {
        for reader in &mut self.readers {
            if reader.hungry {
                reader.tail.look_for_truncation();
            }
            reader.hungry = reader.tail.look(now);
        }
        self.attach();
    }

    /// Jails with room have waited long enough for those without.
    pub fn lose_patience(&mut self) {
        self.readers.iter_mut().for_each(|reader| reader.patient = false);
    }

    /// Reads one block at most, for jails that have room for it.
    pub(super) fn turn(&mut self, room: impl Fn(&str) -> usize, spare: &mut Spare, now: UnixTime) -> Turn {
        let mut blocked = Vec::new();
        for _ in 0..self.readers.len() {
            self.turn = (self.turn + 1) % self.readers.len();
            let reader = &mut self.readers[self.turn];
            if !reader.hungry {
                continue;
            }
            let waiting: Vec<_> = reader.jails.iter().filter(|jail| room(jail) == 0).cloned().collect();
            let patient = reader.patient || waiting.len() == reader.jails.len();
            if !waiting.is_empty() && patient {
                blocked.extend(waiting);
                continue;
            }
            let stay = if waiting.is_empty() { None } else { reader.tail.detached() };
            let turn = match reader.tail.read(now, spare) {
                Step::Lines(block, end) => {
                    reader.hungry = !end;
                    reader.patient = true;
                    reader.jails.retain(|jail| !waiting.contains(jail));
                    let delivery = Delivery { jails: reader.jails.clone(), block: Arc::new(*block) };
                    let detached =
                        stay.map(|tail| Reader { tail, jails: waiting, hungry: true, patient: true });
                    self.readers.extend(detached);
                    Turn::Deliver(delivery)
                }
                Step::Inside => Turn::Again,
                Step::End => {
                    reader.hungry = false;
                    reader.patient = true;
                    continue; // nobody was waiting for anything
                }
            };
            self.attach();
            return turn;
        }
        self.attach();
        if blocked.is_empty() { Turn::Idle } else { Turn::Blocked(blocked) }
    }

    /// Makes readers at the same place one.
    fn attach(&mut self) {
        let mut at = 1;
        while at < self.readers.len() {
            let tail = &self.readers[at].tail;
            let Some(same) = self.readers[..at].iter().position(|other| other.tail.same_place(tail)) else {
                at += 1;
                continue;
            };
            let reader = self.readers.remove(at);
            self.readers[same].jails.extend(reader.jails);
            self.readers[same].hungry |= reader.hungry;
        }
    }

    /// Gives descriptors back that are not needed now; a look opens the files again.
    pub fn close(&mut self, now: UnixTime) {
        self.readers.iter_mut().for_each(|reader| reader.tail.close(now));
    }

    /// Descriptors held.
    pub fn open_files(&self) -> usize {
        self.readers.iter().map(|reader| reader.tail.open_files()).sum()
    }

    /// How far a jail is, and whether there may be something for it to read.
    pub(super) fn of(&self, jail: &str) -> Option<(&Tail, bool)> {
        let reads = |reader: &&Reader| reader.jails.iter().any(|other| **other == *jail);
        self.readers.iter().find(reads).map(|reader| (&reader.tail, reader.hungry))
    }

    /// Files beside the path to watch.
    pub(super) fn watched(&self) -> impl Iterator<Item = &Path> {
        self.readers.iter().flat_map(|reader| reader.tail.watched())
    }
}
