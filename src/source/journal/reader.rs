//! One reader of one journal: its files merged into the order of writing, a place in them, blocks of lines.
//!
//! Order: within a stream (a writer's numbering) by number, else within a boot by its clock, else by the wall clock, as
//! journald itself does. A file that turns up and continues no known stream is read like one seen for the first time.

mod source;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use super::JournalOptions;
use super::child::Child;
use super::file::{Entry, Id128};
use super::folders::{self, Found, Roots};
use super::line::{Fields, NAME_CAP};
use super::place::{Copied, Place, spelled};
use crate::source::log::FileId;
use crate::source::tail::Step;
use crate::source::{Block, Cursor, LINE_CAP, Start};
use crate::time::UnixTime;
use source::{Failure, Source};

/// Bytes and lines that a block holds, about.
const TEXT: usize = 128 * 1024;
const LINES: usize = 2_000;
/// Files that are read at the same time.
const OPEN_CAP: usize = 512;
/// A file that could not be read is tried again after this, and spoken of when that has not helped.
const RETRY: Duration = Duration::from_secs(2);

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

/// A file that cannot be read.
#[derive(Debug)]
struct Bad {
    path: PathBuf,
    why: String,
    since: UnixTime,
    tried: UnixTime,
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
    live: bool,
    /// While there is something unread: the last moment at which there was not.
    behind: Option<UnixTime>,
    reached_end: bool,
    /// Whether there may be more than was seen at the last look.
    again: bool,
    crowded: bool,
    cut: u64,
    fields: Fields,
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
            live: false,
            behind: None,
            reached_end: false,
            again: false,
            crowded: false,
            cut: 0,
            fields: Fields::default(),
        };
        match begin {
            Begin::Saved(cursor) => {
                this.live = cursor.live;
                this.behind = cursor.live.then_some(cursor.read_at);
                this.place = cursor.journal.map(|place| *place).unwrap_or_default();
            }
            Begin::First => {
                this.start = this.options.start;
                this.live = this.start == Start::End;
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
            self.ended();
        }
        more && self.child.is_none()
    }

    /// Which files there are now.
    fn scan(&mut self, now: UnixTime) {
        let found = folders::find(&self.options, &self.roots);
        let there: HashMap<FileId, &Found> = found.iter().map(|found| (found.id, found)).collect();
        self.done.retain(|id, path| there.get(id).is_some_and(|found| found.path == *path));
        self.bad.retain(|id, _| there.contains_key(id));
        for source in &mut self.sources {
            source.named(there.get(&source.id).copied());
        }
        let known = |found: &&Found| {
            self.done.contains_key(&found.id)
                || self.sources.iter().any(|source| source.id == found.id)
                || self.bad.get(&found.id).is_some_and(|bad| now < bad.tried + RETRY && bad.tried <= now)
        };
        let mut new: Vec<_> = found.iter().filter(|found| !known(found)).collect();
        // What is written to first, then the oldest (archived names sort so).
        new.sort_by_key(|found| found.archived);
        self.crowded = false;
        for found in new {
            if self.sources.len() >= OPEN_CAP {
                self.crowded = true;
                break;
            }
            self.add(found, now);
        }
    }

    fn add(&mut self, found: &Found, now: UnixTime) {
        let oldest = u64::try_from((now - self.find_time).micros()).unwrap_or(0).max(self.place.floor);
        let start = match self.start {
            Start::FindTime => source::Start::Young(oldest),
            Start::Beginning => source::Start::Young(self.place.floor),
            Start::End => source::Start::End,
        };
        let opened = Source::open(found, &self.shelf, &self.options.matches, &self.place, &start, self.live);
        match opened {
            Ok(Some(source)) => {
                self.bad.remove(&found.id);
                self.sources.push(source);
            }
            Ok(None) => {
                self.bad.remove(&found.id);
                self.done.insert(found.id, found.path.clone());
            }
            Err(failure) => self.failed(found.id, found.path.clone(), &failure, now),
        }
    }

    fn failed(&mut self, id: FileId, path: PathBuf, failure: &Failure, now: UnixTime) {
        let why = failure.to_string();
        let since = self.bad.get(&id).map_or(now, |bad| bad.since.min(now));
        if failure.is_for_a_child() && self.child.is_none() {
            let why = format!("{}: {why}", path.display());
            self.child = Some(Child::new(why, &self.options, self.live, now - self.find_time));
        }
        self.bad.insert(id, Bad { path, why, since, tried: now });
    }

    /// Sees how far each file is written.
    fn snapshot(&mut self, now: UnixTime) {
        self.again = false;
        self.refresh(now);
        self.ceilings.clear();
        let mut writers: HashMap<Id128, u32> = HashMap::new();
        for source in &self.sources {
            let ceiling = self.ceilings.entry(source.stream()).or_default();
            *ceiling = (*ceiling).max(source.visible());
            *writers.entry(source.stream()).or_default() += u32::from(!source.archived);
        }
        // One writer's files are not seen at one moment: what a later one shows may lie behind what an earlier one
        // did not show yet. All entries up to the highest number seen are visible now.
        if writers.values().any(|writers| *writers > 1) {
            self.refresh(now);
            self.again = self.sources.iter().any(|source| source.visible() > self.ceiling(source.stream()));
        }
    }

    fn refresh(&mut self, now: UnixTime) {
        self.try_each(now, Source::refresh);
    }

    /// Does something with each file; those that fail are put aside.
    fn try_each(&mut self, now: UnixTime, mut step: impl FnMut(&mut Source) -> Result<(), Failure>) {
        let mut at = 0;
        while at < self.sources.len() {
            match step(&mut self.sources[at]) {
                Ok(()) => at += 1,
                Err(failure) => {
                    let source = self.sources.remove(at);
                    self.failed(source.id, source.path, &failure, now);
                }
            }
        }
    }

    fn ceiling(&self, stream: Id128) -> u64 {
        self.ceilings.get(&stream).copied().unwrap_or(0)
    }

    /// Files that were read to their end and are not written to any more.
    fn drop_finished(&mut self) {
        let mut kept = Vec::new();
        for source in std::mem::take(&mut self.sources) {
            if source.finished() {
                if !source.gone {
                    self.done.insert(source.id, source.path);
                }
            } else {
                kept.push(source);
            }
        }
        self.sources = kept;
    }

    /// Reads the next block.
    pub(in crate::source) fn read(&mut self, now: UnixTime) -> Step {
        let mut draft = Draft::default();
        if let Some(child) = &mut self.child {
            let ended = child.read(&mut draft, &mut self.place, now);
            if draft.times.is_empty() {
                if ended {
                    self.ended();
                }
                return Step::End;
            }
            return self.block(draft, ended, now);
        }
        let end = loop {
            self.try_each(now, Source::search);
            if self.child.is_some() || self.sources.iter().any(Source::is_searching) {
                break false;
            }
            let Some(at) = self.first() else { break true };
            let source = &self.sources[at];
            if draft.is_full() || (!draft.times.is_empty() && draft.live != (self.live && source.live)) {
                break false;
            }
            draft.live = self.live && source.live;
            self.take(at, &mut draft, now);
        };
        self.mark();
        if end {
            self.sources.iter_mut().for_each(Source::rest);
        }
        let end_seen = end;
        let end = end && !self.again && !self.crowded;
        match (draft.times.is_empty(), end) {
            (false, _) => self.block(draft, end, now),
            (true, true) => {
                self.ended();
                Step::End
            }
            // Its search is not done yet.
            (true, false) if !end_seen => Step::Inside,
            (true, false) if self.look(now) => Step::Inside,
            (true, false) => {
                self.ended();
                Step::End
            }
        }
    }

    /// The file whose next entry comes first.
    fn first(&self) -> Option<usize> {
        let mut heads: HashMap<Id128, (usize, &Entry)> = HashMap::new();
        for (at, source) in self.sources.iter().enumerate() {
            let Some(entry) = source.next().filter(|entry| entry.seqnum <= self.ceiling(source.stream()))
            else {
                continue;
            };
            let head = heads.entry(source.stream()).or_insert((at, entry));
            if entry.seqnum < head.1.seqnum {
                *head = (at, entry);
            }
        }
        let key = |entry: &Entry| (entry.realtime, entry.xor);
        let first = heads.into_values().reduce(|a, b| {
            let a_first = if a.1.boot == b.1.boot && a.1.monotonic != b.1.monotonic {
                a.1.monotonic < b.1.monotonic
            } else {
                (key(a.1), a.0) < (key(b.1), b.0)
            };
            if a_first { a } else { b }
        });
        first.map(|(at, _)| at)
    }

    /// Makes a line of a file's next entry.
    fn take(&mut self, at: usize, draft: &mut Draft, now: UnixTime) {
        let source = &mut self.sources[at];
        let Some(entry) = source.take_next() else { return };
        if !source.volatile && self.place.is_copy(&source.folder, &entry) {
            return;
        }
        self.fields.clear();
        let fields = &mut self.fields;
        if let Err(failure) = source.values(&entry, LINE_CAP + NAME_CAP, &mut |value| fields.take(value)) {
            let source = self.sources.remove(at);
            return self.failed(source.id, source.path, &failure, now);
        }
        draft.push(&self.fields, &entry);
        let stream = source.stream();
        let copied = source.volatile.then(|| Copied {
            folder: source.folder.clone(),
            boot: entry.boot,
            monotonic: entry.monotonic,
        });
        self.place.handed_out(spelled(stream, &entry));
        let mark = self.place.mark(stream);
        mark.realtime = entry.realtime;
        mark.seqnum = entry.seqnum;
        mark.copied = copied.or(mark.copied.take());
    }

    /// Notes how far each stream is handled, what nobody wanted included.
    fn mark(&mut self) {
        for at in 0..self.sources.len() {
            let stream = self.sources[at].stream();
            let of_stream = self.sources.iter().filter(|source| source.stream() == stream);
            let waiting = of_stream.filter_map(Source::not_before).min();
            let handled = waiting.map_or(u64::MAX, |next| next.saturating_sub(1)).min(self.ceiling(stream));
            if handled == 0 {
                continue;
            }
            let mark = self.place.mark(stream);
            mark.seqnum = mark.seqnum.max(handled);
        }
    }

    fn ended(&mut self) {
        (self.live, self.reached_end, self.behind) = (true, true, None);
    }

    fn block(&mut self, draft: Draft, end: bool, now: UnixTime) -> Step {
        let since = self.behind.filter(|_| draft.live).map_or(now, |since| since.min(now));
        self.cut += u64::from(draft.cut);
        if end {
            self.ended();
        } else {
            self.behind.get_or_insert(now);
        }
        let block = Block {
            path: PathBuf::from(super::PATH).into(),
            text: draft.text,
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
            live: self.live,
            read_at: self.behind.unwrap_or(now),
            journal: Some(Box::new(self.place.clone())),
            ..Cursor::default()
        }
    }

    /// The files to watch.
    pub fn watched(&self) -> impl Iterator<Item = &Path> {
        self.sources.iter().filter(|source| !source.archived).map(|source| &*source.path)
    }

    /// What keeps it from reading all of the journal.
    pub fn trouble(&self) -> Option<String> {
        if let Some(child) = &self.child {
            return Some(child.state());
        }
        let lasting = self.bad.values().filter(|bad| bad.tried > bad.since);
        let mut text = String::new();
        for bad in lasting.take(3) {
            let _ = write!(
                text,
                "{}{}: {}",
                if text.is_empty() { "" } else { "; " },
                bad.path.display(),
                bad.why
            );
        }
        if text.is_empty() && self.bad.is_empty() && self.sources.is_empty() && self.done.is_empty() {
            text = format!("waiting for a journal in {}", self.options.place());
        }
        (!text.is_empty()).then_some(text)
    }

    /// What it reads, for people.
    pub fn name(&self) -> String {
        let words = self.options.matches.words().join(" ");
        if words.is_empty() { super::PATH.to_owned() } else { format!("{} {words}", super::PATH) }
    }

    /// Whether it was once read to its end.
    pub fn reached_end(&self) -> bool {
        self.reached_end
    }

    /// Lines cut.
    pub fn cut(&self) -> u64 {
        self.cut
    }
}

/// A block that is being filled.
#[derive(Debug, Default)]
pub(super) struct Draft {
    text: Vec<u8>,
    pub(super) times: Vec<UnixTime>,
    cut: u32,
    pub(super) live: bool,
}

impl Draft {
    pub(super) fn push(&mut self, fields: &Fields, entry: &Entry) {
        self.cut += u32::from(fields.write(entry.monotonic, &mut self.text));
        self.times.push(fields.time(entry.realtime));
    }

    pub(super) fn is_full(&self) -> bool {
        self.text.len() >= TEXT || self.times.len() >= LINES
    }
}
