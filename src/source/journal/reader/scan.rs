//! Which files a journal is read from, how far each is written, and which of them fail.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::JournalReader;
use super::source::{Failure, Origin, Source, State};
use crate::source::Start;
use crate::source::journal::child::Child;
use crate::source::journal::file::Id128;
use crate::source::journal::folders::{self, Found};
use crate::source::log::FileId;
use crate::time::UnixTime;

/// Files that are read at the same time.
const OPEN_CAP: usize = 512;
/// A file that could not be read is tried again after this, and spoken of when that has not helped.
const RETRY: Duration = Duration::from_secs(2);

/// A file that cannot be read.
#[derive(Debug)]
pub(super) struct Bad {
    path: PathBuf,
    why: String,
    since: UnixTime,
    tried: UnixTime,
}

impl JournalReader {
    /// Which files there are now.
    pub(super) fn scan(&mut self, now: UnixTime) {
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
            Start::FindTime => Origin::Young(oldest),
            Start::Beginning => Origin::Young(self.place.floor),
            Start::End => Origin::End,
        };
        let opened =
            Source::open(found, &self.shelf, &self.options.matches, &self.place, &start, self.progress.live);
        match opened {
            Ok(Some(source)) => {
                self.bad.remove(&found.id);
                self.sources.push(source);
            }
            Ok(None) => {
                self.bad.remove(&found.id);
                self.done.insert(found.id, found.path.clone());
            }
            // Nothing in it is young enough: whatever it needs, it is not needed.
            Err(failure) if failure.is_for_a_child() && found.archived && is_older(&found.path, oldest) => {
                self.done.insert(found.id, found.path.clone());
            }
            Err(failure) => self.failed(found.id, found.path.clone(), &failure, now),
        }
    }

    pub(super) fn failed(&mut self, id: FileId, path: PathBuf, failure: &Failure, now: UnixTime) {
        let why = failure.to_string();
        let since = self.bad.get(&id).map_or(now, |bad| bad.since.min(now));
        if failure.is_for_a_child() && self.child.is_none() {
            let why = format!("{}: {why}", path.display());
            self.child = Some(Child::new(why, &self.options, self.progress.live, now - self.find_time));
        }
        self.bad.insert(id, Bad { path, why, since, tried: now });
    }

    /// Sees how far each file is written.
    pub(super) fn snapshot(&mut self, now: UnixTime) {
        self.again = false;
        self.refresh(now);
        self.ceilings.clear();
        let mut writers: HashMap<Id128, u32> = HashMap::new();
        for source in &self.sources {
            let ceiling = self.ceilings.entry(source.stream()).or_default();
            *ceiling = (*ceiling).max(source.visible());
            *writers.entry(source.stream()).or_default() += u32::from(source.is_written());
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
    pub(super) fn try_each(
        &mut self,
        now: UnixTime,
        mut step: impl FnMut(&mut Source) -> Result<(), Failure>,
    ) {
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

    pub(super) fn ceiling(&self, stream: Id128) -> u64 {
        self.ceilings.get(&stream).copied().unwrap_or(0)
    }

    /// Files that were read to their end and are not written to any more.
    pub(super) fn drop_finished(&mut self) {
        let mut kept = Vec::new();
        for source in std::mem::take(&mut self.sources) {
            if !source.finished() {
                kept.push(source);
            } else if source.state == State::Archived {
                self.done.insert(source.id, source.path);
            }
        }
        self.sources = kept;
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
}

/// Whether a file was last written to before that moment (µs since the epoch).
fn is_older(path: &Path, moment: u64) -> bool {
    let written = fs::metadata(path).map(|meta| u64::try_from(meta.mtime()).unwrap_or(0));
    written.is_ok_and(|seconds| (seconds + 1).saturating_mul(1_000_000) < moment)
}
