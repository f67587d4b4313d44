//! Follows one path through rotations, truncations, deletions and restarts: one reader, one place.
//!
//! Clones share descriptors but not the place: they go on by themselves from where they were cloned.
//! Nothing here reads a clock: `now` is an argument.

mod trail;

use std::collections::VecDeque;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::docker::{self, Docker};
pub use super::log::Trouble;
use super::log::{FileId, Log, Piece, Seen};
use super::spare::Spare;
use super::tail::Step;
use super::{Block, Cursor, Format, Start, search};
use crate::time::UnixTime;

/// How long a file that was rotated away is kept open for late lines.
pub const LINGER: Duration = Duration::from_secs(5);

/// So many rotated files are held open before they are read; the next ones are found by their names then.
const CHAIN_CAP: usize = 4;

/// Reads the date of a line, given the present moment (for years and zones that are not written).
pub type Dates = Arc<dyn Fn(&[u8], UnixTime) -> Option<UnixTime> + Send + Sync>;

/// Where reading begins.
#[derive(Clone)]
pub enum Origin {
    /// At a saved place, wherever the file is now.
    Saved(Cursor),
    /// In a file that is seen for the first time; one that is not there yet is read whole.
    First {
        /// By which rule.
        start: Start,
        /// For [`Start::FindTime`]: how far back.
        find_time: Duration,
        /// For [`Start::FindTime`]: how a line is dated.
        dates: Dates,
    },
    /// In a file that has just appeared: at its first line, which was written while it was watched.
    New,
}

/// A file rotated away and read to its end, in which late lines may still turn up.
#[derive(Debug, Clone)]
struct Late {
    log: Log,
    until: UnixTime,
}

/// One reader of one path.
#[derive(Clone)]
pub struct Follow {
    path: Arc<Path>,
    /// Where to begin, until a file could be opened.
    origin: Option<Origin>,
    /// The file that was closed for want of descriptors, all of it read.
    closed: Option<Seen>,
    /// To be read in this order. The last is the path's own, the others were rotated away.
    chain: VecDeque<Log>,
    late: Vec<Late>,
    trouble: Option<Trouble>,
    /// Since when the path leads nowhere.
    missing: Option<UnixTime>,
    live: bool,
    /// While there is something unread: the last moment at which there was not, as far as known.
    behind: Option<UnixTime>,
    reached_end: bool,
    last_read: UnixTime,
    cut: u64,
    /// Decodes a container's log.
    docker: Option<Docker>,
}

impl Follow {
    /// Begins to follow a path, whether or not there is a file.
    pub fn open(path: Arc<Path>, origin: Origin, format: Format, now: UnixTime) -> Self {
        let docker = (format == Format::Docker).then(|| match &origin {
            Origin::Saved(cursor) => Docker::new(cursor.unfinished.clone()),
            Origin::First { .. } | Origin::New => Docker::default(),
        });
        let mut this = Self {
            path,
            origin: Some(origin),
            closed: None,
            chain: VecDeque::new(),
            late: Vec::new(),
            trouble: None,
            missing: None,
            live: false,
            behind: None,
            reached_end: false,
            last_read: now,
            cut: 0,
            docker,
        };
        this.look(now);
        this
    }

    /// Looks whether the path leads to another file now, and whether there may be something to read.
    pub fn look(&mut self, now: UnixTime) -> bool {
        let meta = fs::metadata(&self.path).map_err(Trouble::from);
        self.trouble = match &meta {
            Ok(meta) => self.arrive(meta, now).err(),
            Err(trouble) => Some(*trouble),
        };
        if self.trouble == Some(Trouble::Missing) {
            self.miss(now);
        } else {
            self.missing = None;
        }
        self.late.retain_mut(|late| {
            late.until = late.until.min(now + LINGER); // a clock that was put back
            now < late.until || !late.log.at_end()
        });
        let changed = |log: &Log| match &meta {
            Ok(meta) if log.id == FileId::of(meta) => log.changed(meta),
            _ => log.meta().is_ok_and(|meta| log.changed(&meta)),
        };
        self.chain.len() > 1 || self.chain.iter().chain(self.late.iter().map(|late| &late.log)).any(changed)
    }

    /// The path leads to something.
    fn arrive(&mut self, meta: &Metadata, now: UnixTime) -> Result<(), Trouble> {
        if self.chain.len() >= CHAIN_CAP || self.chain.back().is_some_and(|log| log.id == FileId::of(meta)) {
            return Ok(());
        }
        if self.closed.is_some_and(|seen| seen.is(meta)) {
            return Ok(());
        }
        let log = Log::open(&self.path)?;
        match self.origin.clone() {
            Some(Origin::Saved(cursor)) => self.resume(log, &cursor, now)?,
            Some(Origin::First { start, find_time, dates }) => {
                let is_docker = self.docker.is_some();
                let date = |line: &[u8]| if is_docker { docker::time_of(line) } else { dates(line, now) };
                self.chain.push_back(first(log, start, now - find_time, &date)?);
                self.live = start == Start::End;
                self.reached_end = self.live;
            }
            Some(Origin::New) => {
                self.live = true;
                self.chain.push_back(log);
            }
            None => self.replaced(log),
        }
        (self.origin, self.closed) = (None, None);
        Ok(())
    }

    /// Gives the descriptor back until the path changes, if nothing is lost by that.
    pub fn close(&mut self, now: UnixTime) {
        if self.origin.is_none()
            && self.trouble.is_none()
            && self.chain.len() == 1
            && self.late.is_empty()
            && let Some(log) = self.chain.front()
        {
            let closed = log.seen();
            self.origin = Some(Origin::Saved(self.cursor(now)));
            self.closed = closed;
            self.chain.clear();
        }
    }

    /// The path leads nowhere. What was open is kept, but no file is kept from being deleted for long.
    fn miss(&mut self, now: UnixTime) {
        let first = self.missing.is_none();
        let since = self.missing.map_or(now, |since| since.min(now));
        self.missing = Some(since);
        match self.origin.clone() {
            Some(Origin::Saved(cursor)) if first => self.resume_missing(&cursor, now),
            Some(Origin::First { .. } | Origin::New) => (self.origin, self.live) = (None, true),
            Some(Origin::Saved(_)) | None => {}
        }
        let deleted = |log: &Log| log.meta().map_or(true, |meta| meta.nlink() == 0);
        if self.chain.len() == 1 && now >= since + LINGER && self.chain[0].at_end() && deleted(&self.chain[0])
        {
            self.ended();
            self.chain.clear();
        }
        self.reached_end |= self.chain.is_empty();
    }

    /// Reads the next block. A read is bounded; it may bring nothing and still ask for another one.
    pub(super) fn read(&mut self, now: UnixTime, spare: &mut Spare) -> Step {
        for at in 0..self.late.len() {
            match self.late[at].log.next(spare) {
                Ok(Piece::Lines { text, cut, .. }) => return self.block(text, cut, false, now),
                Ok(Piece::Inside) => return Step::Inside,
                Ok(Piece::End) => {}
                Ok(Piece::Truncated) | Err(_) => {
                    self.late.remove(at);
                    return Step::Inside;
                }
            }
        }
        let last = self.chain.len() <= 1;
        let before = std::mem::replace(&mut self.last_read, now);
        let Some(log) = self.chain.front_mut() else { return Step::End };
        match log.next(spare) {
            Ok(Piece::Lines { text, cut, end }) => self.block(text, cut, end && last, now),
            Ok(Piece::Inside) => Step::Inside,
            Ok(Piece::End) if last => {
                self.ended();
                Step::End
            }
            Ok(Piece::End) => {
                let late = self.chain.pop_front().map(|log| Late { log, until: now + LINGER });
                self.late.extend(late);
                if self.chain.len() == 1 {
                    self.look(now); // there may be more than was held open
                }
                Step::Inside
            }
            Ok(Piece::Truncated) => {
                self.last_read = before;
                self.truncated();
                Step::Inside
            }
            Err(error) => self.failed(error, now),
        }
    }

    fn ended(&mut self) {
        (self.live, self.reached_end, self.behind) = (true, true, None);
    }

    fn block(&mut self, text: Vec<u8>, cut: u32, end: bool, now: UnixTime) -> Step {
        let live = self.live;
        let since = self.behind.filter(|_| live).map_or(now, |since| since.min(now));
        if end {
            self.ended();
        } else {
            self.behind.get_or_insert(now);
        }
        let mut times = Vec::new();
        let (mut text, mut cut) = (text, cut);
        if let Some(docker) = &mut self.docker {
            let decoded = docker.decode(&text, now);
            (text, times) = (decoded.text, decoded.times);
            cut = cut.max(decoded.cut);
        }
        self.cut += u64::from(cut);
        let end_of_block = self.cursor(now);
        let path = self.path.clone();
        Step::Lines(
            Box::new(Block {
                path,
                ends: super::ends_of(&text),
                text,
                end: end_of_block,
                read_at: now,
                since,
                live,
                cut,
                times,
            }),
            end,
        )
    }

    /// The file system fails: open the file anew on the next look.
    fn failed(&mut self, error: io::Error, now: UnixTime) -> Step {
        self.origin = Some(Origin::Saved(self.cursor(now)));
        self.trouble = Some(error.into());
        self.chain.clear();
        self.late.clear();
        Step::End
    }

    /// The place behind what was read.
    pub fn cursor(&self, now: UnixTime) -> Cursor {
        let late = self.late.last().map(|late| self.place(&late.log));
        let (place, before) = match (&self.origin, self.chain.front()) {
            (Some(Origin::Saved(cursor)), _) => return cursor.clone(),
            // A file of which nothing was read could not be told from another one with its inode.
            (_, Some(log)) => (self.place(log), late.filter(|late| late.offset > 0).map(Box::new)),
            (_, None) => (late.unwrap_or_default(), None),
        };
        let unfinished = self.docker.as_ref().map(|docker| docker.unfinished.clone()).unwrap_or_default();
        Cursor { live: self.live, read_at: self.behind.unwrap_or(now), before, unfinished, ..place }
    }

    fn place(&self, log: &Log) -> Cursor {
        Cursor {
            dev: log.id.dev,
            inode: log.id.inode,
            offset: log.offset,
            head_len: log.head.len,
            head_hash: log.head.hash,
            live: self.live,
            read_at: self.last_read,
            before: None,
            unfinished: Vec::new(),
            journal: None,
        }
    }

    /// Whether both will read the same from now on.
    pub fn same_place(&self, other: &Self) -> bool {
        let alike = |a: &Log, b: &Log| a.id == b.id && a.offset == b.offset;
        let begun = match (&self.origin, &other.origin) {
            (None, None) => true,
            (Some(Origin::Saved(a)), Some(Origin::Saved(b))) => a == b,
            _ => false,
        };
        begun
            && self.docker == other.docker
            && (self.live, self.behind) == (other.live, other.behind)
            && self.chain.len() == other.chain.len()
            && self.chain.iter().zip(&other.chain).all(|(a, b)| alike(a, b))
            && self.late.len() == other.late.len()
            && self.late.iter().zip(&other.late).all(|(a, b)| a.until == b.until && alike(&a.log, &b.log))
    }

    /// Bytes read of the file that is being read.
    pub fn offset(&self) -> u64 {
        match (&self.origin, self.chain.front()) {
            (Some(Origin::Saved(cursor)), _) => cursor.offset,
            (_, log) => log.map_or(0, |log| log.offset),
        }
    }

    /// Lines cut since it is followed.
    pub fn cut(&self) -> u64 {
        self.cut
    }

    /// What is wrong with the path.
    pub fn trouble(&self) -> Option<Trouble> {
        self.trouble
    }

    /// Since when the path leads nowhere.
    pub fn missing(&self) -> Option<UnixTime> {
        self.missing
    }

    /// Whether it was once read to its end, or there was nothing to read.
    pub fn reached_end(&self) -> bool {
        self.reached_end || (self.chain.is_empty() && self.trouble.is_some())
    }

    /// Descriptors held (shared ones counted once for each clone).
    pub fn open_files(&self) -> usize {
        self.chain.len() + self.late.len()
    }
}

/// Puts a file that is seen for the first time to where reading begins.
fn first(mut log: Log, start: Start, oldest: UnixTime, date: search::DateOf) -> io::Result<Log> {
    let size = log.meta()?.len();
    let offset = match start {
        Start::Beginning => 0,
        Start::End => search::last_line(log.file(), size)?,
        Start::FindTime => search::first_young(log.file(), size, oldest, date)?,
    };
    log.skip_to(offset)?;
    Ok(log)
}

#[cfg(test)]
mod tests;
