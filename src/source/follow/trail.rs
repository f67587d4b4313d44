//! What became of a file that was being read: renamed, copied, emptied or replaced, while we looked or while we did not run.

use super::{Follow, LINGER, Late};
use crate::source::log::{FileId, Log, Trouble};
use crate::source::{Cursor, rotated};
use crate::time::UnixTime;

impl Follow {
    /// The path's file is another one than before: that one, those rotated since, then this one.
    pub(super) fn replaced(&mut self, log: Log) {
        self.look_for_truncation(); // first: it is not found by its head any more
        let trail = self.chain.back().map(|last| rotated::find_renamed(&self.path, &self.place(last)));
        self.follow_trail(trail.unwrap_or_default(), log);
    }

    /// For a reader that has to wait: what it has not read may be in a copy that can still be found.
    pub fn look_for_truncation(&mut self) {
        if self.chain.len() == 1 && self.chain[0].truncated() {
            self.truncated();
        }
    }

    /// Its content is gone. What was not read of it may be in a copy ("copytruncate"); then from the start.
    pub(super) fn truncated(&mut self) {
        let Some(mut log) = self.chain.pop_front() else { return };
        let copies = rotated::find_copied(&self.path, &self.place(&log));
        log.rewind();
        let later = std::mem::take(&mut self.chain);
        let whole = copies.len() < rotated::TRAIL;
        let done = usize::from(copies.first().is_some_and(Log::at_end));
        let new = copies.into_iter().skip(done).chain(whole.then_some(log));
        new.filter(|log| later.iter().all(|other| other.id != log.id)).for_each(|log| self.push(log));
        self.chain.extend(later);
    }

    /// To be read in turn: a trail and the path's own file, unless there is more between them.
    fn follow_trail(&mut self, trail: Vec<Log>, own: Log) {
        let whole = trail.len() < rotated::TRAIL;
        trail.into_iter().chain(whole.then_some(own)).for_each(|log| self.push(log));
    }

    /// To be read next, but only once; a file that comes back from rotation goes on where it was.
    fn push(&mut self, log: Log) {
        if let Some(at) = self.late.iter().position(|late| late.log.id == log.id) {
            self.chain.push_back(self.late.swap_remove(at).log);
        } else if self.chain.iter().all(|other| other.id != log.id) {
            self.chain.push_back(log);
        }
    }

    /// Goes on from a saved place: in the path's file, or in the one it has become, or in its copy.
    pub(super) fn resume(&mut self, mut log: Log, cursor: &Cursor, now: UnixTime) -> Result<(), Trouble> {
        let fits = log.resume(cursor)?;
        self.resume_late(cursor, now);
        if fits && log.id == id(cursor) {
            self.push(log);
            return Ok(());
        }
        let mut trail = rotated::find_renamed(&self.path, cursor);
        // A file that was copied here (a restored disk, a container made anew) begins alike too.
        if !trail.is_empty() || !fits || cursor.head_len == 0 {
            log.rewind();
            if trail.is_empty() {
                trail = rotated::find_copied(&self.path, cursor);
            }
        }
        self.follow_trail(trail, log);
        Ok(())
    }

    /// The same while the path leads nowhere; what is not found now may come back.
    pub(super) fn resume_missing(&mut self, cursor: &Cursor, now: UnixTime) {
        self.resume_late(cursor, now);
        let trail = rotated::find_renamed(&self.path, cursor);
        if !trail.is_empty() {
            (self.origin, self.closed) = (None, None);
        }
        for log in trail {
            self.push(log);
        }
    }

    fn resume_late(&mut self, cursor: &Cursor, now: UnixTime) {
        self.live = cursor.live;
        self.behind = cursor.live.then_some(cursor.read_at);
        let known = |log: &Log| self.late.iter().any(|late| late.log.id == log.id);
        let before = cursor.before.as_ref().map(|before| rotated::find_renamed(&self.path, before));
        let found = before.and_then(|trail| trail.into_iter().next()).filter(|log| !known(log));
        self.late.extend(found.map(|log| Late { log, until: now + LINGER }));
    }
}

fn id(cursor: &Cursor) -> FileId {
    FileId { dev: cursor.dev, inode: cursor.inode }
}
