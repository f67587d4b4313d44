//! One reader of one journal: its files merged into the order of writing, a place in them, blocks of lines.
//!
//! Order: within a stream (a writer's numbering) by number, else within a boot by its clock, else by the wall clock, as
//! journald itself does. A file that turns up and continues no known stream is read like one seen for the first time.

mod merge;
mod scan;
mod source;

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use super::JournalOptions;
use super::child::Child;
use super::file::Id128;
use super::folders::Roots;
use super::line::Fields;
use super::place::Place;
use super::select;
use crate::source::log::FileId;
use crate::source::tail::Step;
use crate::source::{Block, Cursor, Start};
use crate::time::UnixTime;
pub(super) use merge::Draft;
use scan::Bad;
use source::Source;

/// Open files, shared by the readers of all jails.
pub(in crate::source) type Shelf = Arc<Mutex<HashMap<FileId, Weak<File>>>>;

/// Where reading begins.
#[derive(Debug, Clone)]
pub(in crate::source) enum Begin {
    /// Behind a saved place.
    Saved(Cursor),
    /// In a journal that is read for the first time.
    First,
}

/// Reads a journal for one jail.
#[derive(Debug)]
pub struct JournalReader {
    options: JournalOptions,
    roots: Roots,
    find_time: Duration,
    /// For files of unknown streams: where to begin; changes once there was a look.
    start: Start,
    place: Place,
    sources: Vec<Source>,
    /// Files that were read to their end, and are not written to any more, by the names that they had.
    done: HashMap<FileId, PathBuf>,
    bad: HashMap<FileId, Bad>,
    /// How far each stream was visible in all its files.
    ceilings: HashMap<Id128, u64>,
    pub(super) child: Option<Child>,
    shelf: Shelf,
    progress: Progress,
    /// Whether there may be more than was seen at the last look.
    again: bool,
    /// Whether there are more files than are read at the same time.
    crowded: bool,
    cut: u64,
    fields: Fields,
}

/// How far reading has come, in time.
#[derive(Debug, Default)]
struct Progress {
    /// Whether everything was once read, so that what comes now was written since.
    live: bool,
    /// While there is something unread: the last moment at which there was not.
    behind: Option<UnixTime>,
    reached_end: bool,
}

impl Progress {
    fn ended(&mut self) {
        *self = Self { live: true, behind: None, reached_end: true };
    }
}

impl JournalReader {
    /// Begins to read.
    pub(in crate::source) fn open(
        options: JournalOptions,
        begin: Begin,
        find_time: Duration,
        shelf: Shelf,
        now: UnixTime,
    ) -> Self {
        Self::below(Roots::default(), options, begin, find_time, shelf, now)
    }

    /// The same where the system's journal lies elsewhere.
    pub(super) fn below(
        roots: Roots,
        options: JournalOptions,
        begin: Begin,
        find_time: Duration,
        shelf: Shelf,
        now: UnixTime,
    ) -> Self {
        let mut this = Self {
            options,
            roots,
            find_time,
            start: Start::FindTime,
            place: Place::default(),
            sources: Vec::new(),
            done: HashMap::new(),
            bad: HashMap::new(),
            ceilings: HashMap::new(),
            child: None,
            shelf,
            progress: Progress::default(),
            again: false,
            crowded: false,
            cut: 0,
            fields: Fields::default(),
        };
        match begin {
            Begin::Saved(cursor) => {
                this.progress.live = cursor.live;
                this.progress.behind = cursor.live.then_some(cursor.read_at);
                this.place = cursor.journal.map(|place| *place).unwrap_or_default();
            }
            Begin::First => {
                this.start = this.options.start;
                this.progress.live = this.start == Start::End;
            }
        }
        this.look(now);
        this.start = Start::FindTime;
        this
    }

    /// Looks for other files and for new entries; whether there may be something to read.
    pub fn look(&mut self, now: UnixTime) -> bool {
        if let Some(child) = &mut self.child {
            return child.look(&self.place, now);
        }
        self.scan(now);
        self.snapshot(now);
        self.mark();
        self.drop_finished(); // only now: something may have been written just before its rotation
        let more = self.sources.iter().any(Source::may_have_more);
        if !more {
            self.progress.ended();
        }
        more && self.child.is_none()
    }

    /// Reads the next block.
    pub(in crate::source) fn read(&mut self, now: UnixTime) -> Step {
        let mut draft = Draft::default();
        if let Some(child) = &mut self.child {
            let ended = child.read(&mut draft, &mut self.place, now);
            if draft.times.is_empty() {
                if ended {
                    self.progress.ended();
                }
                return Step::End;
            }
            return self.block(draft, ended, now);
        }
        let (mut steps, mut end) = (select::STEPS, false);
        while !draft.is_full() {
            self.try_each(now, |source| source.search(&mut steps));
            if self.child.is_some() || self.sources.iter().any(Source::is_searching) {
                break;
            }
            let Some(at) = self.first() else {
                end = true;
                break;
            };
            let live = self.progress.live && self.sources[at].live;
            if !draft.times.is_empty() && draft.live != live {
                break;
            }
            draft.live = live;
            self.take(at, &mut draft, now);
        }
        self.mark();
        if !draft.times.is_empty() {
            return self.block(draft, end && !self.again && !self.crowded, now);
        }
        if !end {
            return Step::Inside;
        }
        self.sources.iter_mut().for_each(Source::rest);
        if (self.again || self.crowded) && self.look(now) {
            return Step::Inside;
        }
        self.progress.ended();
        Step::End
    }

    fn block(&mut self, draft: Draft, end: bool, now: UnixTime) -> Step {
        let since = self.progress.behind.filter(|_| draft.live).map_or(now, |since| since.min(now));
        self.cut += u64::from(draft.cut);
        if end {
            self.progress.ended();
        } else {
            self.progress.behind.get_or_insert(now);
        }
        let block = Block {
            path: PathBuf::from(super::PATH).into(),
            text: draft.text,
            ends: Vec::new(),
            end: self.cursor(now),
            read_at: now,
            since,
            live: draft.live,
            cut: draft.cut,
            times: draft.times,
        };
        Step::Lines(Box::new(block), end)
    }

    /// The place behind what was read.
    pub fn cursor(&self, now: UnixTime) -> Cursor {
        Cursor {
            live: self.progress.live,
            read_at: self.progress.behind.unwrap_or(now),
            journal: Some(Box::new(self.place.clone())),
            ..Cursor::default()
        }
    }

    /// The files to watch.
    pub fn watched(&self) -> impl Iterator<Item = &Path> {
        self.sources.iter().filter(|source| source.is_written()).map(|source| &*source.path)
    }

    /// What it reads, for people.
    pub fn name(&self) -> String {
        let words = self.options.matches.words().join(" ");
        if words.is_empty() { super::PATH.to_owned() } else { format!("{} {words}", super::PATH) }
    }

    /// Whether it was once read to its end.
    pub fn reached_end(&self) -> bool {
        self.progress.reached_end
    }

    /// Lines cut.
    pub fn cut(&self) -> u64 {
        self.cut
    }
}
