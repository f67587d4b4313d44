//! Who reads one path together with whom.
//!
//! Jails at the same place share one reader, so a file is read once however many jails watch it.
//! A reader reads when any of its jails has room; those without room stay where they are, in a reader of their
//! own (*detached*), and catch up alone. Readers that come to the same place become one again (*attached*).

use std::path::Path;
use std::sync::Arc;

use super::Block;
use super::follow::{Follow, Origin, Step};
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
    /// Someone has something to read but no room for it.
    Blocked,
    /// Everything was read.
    Idle,
}

struct Reader {
    follow: Follow,
    jails: Vec<Arc<str>>,
    /// Whether there may be something to read.
    hungry: bool,
}

/// All readers of one path.
pub struct FileReaders {
    path: Arc<Path>,
    readers: Vec<Reader>,
    /// Which reader has the next turn.
    turn: usize,
}

impl FileReaders {
    /// Of a path that nobody reads yet.
    pub fn new(path: Arc<Path>) -> Self {
        Self { path, readers: Vec::new(), turn: 0 }
    }

    /// Lets a jail read from there on.
    pub fn add(&mut self, jail: Arc<str>, origin: Origin, now: UnixTime) {
        let follow = Follow::open(self.path.clone(), origin, now);
        self.readers.push(Reader { follow, jails: vec![jail], hungry: true });
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
            reader.hungry = reader.follow.look(now);
        }
        self.attach();
    }

    /// Reads one block at most, for jails that have room for it.
    pub fn turn(&mut self, room: impl Fn(&str) -> bool, now: UnixTime) -> Turn {
        let mut blocked = false;
        for _ in 0..self.readers.len() {
            self.turn = (self.turn + 1) % self.readers.len();
            let reader = &mut self.readers[self.turn];
            if !reader.hungry {
                continue;
            }
            let waiting: Vec<_> = reader.jails.iter().filter(|jail| !room(jail)).cloned().collect();
            blocked |= !waiting.is_empty();
            if waiting.len() == reader.jails.len() {
                continue;
            }
            let stay = (!waiting.is_empty()).then(|| reader.follow.clone());
            let turn = match reader.follow.read(now) {
                Step::Lines(block, end) => {
                    reader.hungry = !end;
                    reader.jails.retain(|jail| !waiting.contains(jail));
                    let delivery = Delivery { jails: reader.jails.clone(), block: Arc::from(block) };
                    let detached = stay.map(|follow| Reader { follow, jails: waiting, hungry: true });
                    self.readers.extend(detached);
                    Turn::Deliver(delivery)
                }
                Step::Inside => Turn::Again,
                Step::End => {
                    reader.hungry = false;
                    continue;
                }
            };
            self.attach();
            return turn;
        }
        self.attach();
        if blocked && self.readers.iter().any(|reader| reader.hungry) { Turn::Blocked } else { Turn::Idle }
    }

    /// Makes readers at the same place one.
    fn attach(&mut self) {
        let mut at = 1;
        while at < self.readers.len() {
            let follow = &self.readers[at].follow;
            let Some(same) = self.readers[..at].iter().position(|other| other.follow.same_place(follow))
            else {
                at += 1;
                continue;
            };
            let reader = self.readers.remove(at);
            self.readers[same].jails.extend(reader.jails);
            self.readers[same].hungry |= reader.hungry;
        }
    }

    /// How far a jail is, and whether there may be something for it to read.
    pub fn of(&self, jail: &str) -> Option<(&Follow, bool)> {
        let reads = |reader: &&Reader| reader.jails.iter().any(|other| **other == *jail);
        self.readers.iter().find(reads).map(|reader| (&reader.follow, reader.hungry))
    }
}
