//! One reader: of a file, or of the journal.

use std::path::Path;

use super::Block;
use super::follow::Follow;
use super::journal::JournalReader;
use super::spare::Spare;
use crate::time::UnixTime;

/// What one read brought.
#[derive(Debug)]
pub(super) enum Step {
    /// Lines, and whether the end was reached with them.
    Lines(Box<Block>, bool),
    /// No whole line yet: read on.
    Inside,
    /// Nothing more until the next look.
    End,
}

/// Reads lines from a place that it remembers.
pub(super) enum Tail {
    File(Box<Follow>),
    /// For one jail alone: each wants other entries.
    Journal(Box<JournalReader>),
}

impl Tail {
    /// Looks for changes, and whether there may be something to read.
    pub(super) fn look(&mut self, now: UnixTime) -> bool {
        match self {
            Self::File(follow) => follow.look(now),
            Self::Journal(reader) => reader.look(now),
        }
    }

    /// For a reader that has to wait.
    pub(super) fn look_for_truncation(&mut self) {
        if let Self::File(follow) = self {
            follow.look_for_truncation();
        }
    }

    pub(super) fn read(&mut self, now: UnixTime, spare: &mut Spare) -> Step {
        match self {
            Self::File(follow) => follow.read(now, spare),
            Self::Journal(reader) => reader.read(now),
        }
    }

    /// One that stays here while this one goes on for others.
    pub(super) fn detached(&self) -> Option<Self> {
        match self {
            Self::File(follow) => Some(Self::File(follow.clone())),
            Self::Journal(_) => None,
        }
    }

    /// Whether both will read the same from now on.
    pub(super) fn same_place(&self, other: &Self) -> bool {
        matches!((self, other), (Self::File(a), Self::File(b)) if a.same_place(b))
    }

    /// Gives descriptors back that are not needed now.
    pub(super) fn close(&mut self, now: UnixTime) {
        if let Self::File(follow) = self {
            follow.close(now);
        }
    }

    /// Descriptors that it can give back.
    pub(super) fn open_files(&self) -> usize {
        match self {
            Self::File(follow) => follow.open_files(),
            Self::Journal(_) => 0,
        }
    }

    /// Files to watch that are not named by its path.
    pub(super) fn watched(&self) -> Box<dyn Iterator<Item = &Path> + '_> {
        match self {
            Self::File(_) => Box::new(std::iter::empty()),
            Self::Journal(reader) => Box::new(reader.watched()),
        }
    }

    /// What is wrong.
    pub(super) fn trouble(&self) -> Option<String> {
        match self {
            Self::File(follow) => follow.trouble().map(|trouble| trouble.to_string()),
            Self::Journal(reader) => reader.trouble(),
        }
    }

    /// Since when its path leads nowhere.
    pub(super) fn missing(&self) -> Option<UnixTime> {
        match self {
            Self::File(follow) => follow.missing(),
            Self::Journal(_) => None,
        }
    }

    /// Whether it was once read to its end, or there was nothing to read.
    pub(super) fn reached_end(&self) -> bool {
        match self {
            Self::File(follow) => follow.reached_end(),
            Self::Journal(reader) => reader.reached_end(),
        }
    }

    /// What it reads, for people.
    pub(super) fn name(&self, path: &Path) -> String {
        match self {
            Self::File(_) => path.display().to_string(),
            Self::Journal(reader) => reader.name(),
        }
    }

    /// Bytes read of a file.
    pub(super) fn offset(&self) -> u64 {
        match self {
            Self::File(follow) => follow.offset(),
            Self::Journal(_) => 0,
        }
    }

    /// Lines cut.
    pub(super) fn cut(&self) -> u64 {
        match self {
            Self::File(follow) => follow.cut(),
            Self::Journal(reader) => reader.cut(),
        }
    }
}
