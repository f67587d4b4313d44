//! The systemd journal as a source of lines, read from its files: no child process, nothing mapped.
//!
//! From the outside in: `reader` (all files of a journal, merged, a place in them) → `folders` (which files) and
//! `select` (one file: the entries that are wanted) → `file` (its objects) with `chain`, `hash`, `payload`, `bytes`.
//! `line` makes a line of an entry, `place` says how far all was handled. `matches` (of `words`) and `backend` read what is wanted.
//!
//! The `sdjournal` crate (0.1.22) was looked at and passed over: it needs Rust 1.96, maps files unless told otherwise, and
//! follows by an engine with watches of its own, where we read blocks when a jail has room for them.

mod backend;
mod bytes;
mod chain;
mod child;
mod export;
mod file;
mod folders;
mod hash;
mod line;
mod matches;
mod payload;
mod place;
mod reader;
mod select;
mod whole;
pub mod words;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::{Path, PathBuf};

use super::Start;
pub use backend::BackendError;
pub use matches::{MatchError, Matches};
pub use place::Place;
pub use reader::JournalReader;
pub(super) use reader::{Begin, Shelf};
pub use whole::Whole;

/// The path under which a jail's place in the journal is remembered, as Fail2Ban calls it.
pub const PATH: &str = "systemd-journal";

/// What a jail reads of which journal (`backend = systemd[…]`, `journalmatch`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JournalOptions {
    /// What is wanted.
    pub matches: Matches,
    /// A folder with journal files, or with folders of machines, in place of the system's.
    pub path: Option<PathBuf>,
    /// Files and globs, in place of a folder.
    pub files: Vec<String>,
    /// `NAME`, `+NAME` (and the default one) or `*` (all); none: the default one.
    pub namespace: Option<String>,
    /// Bits of `sd_journal_open`: 1 this machine's, 2 in memory only, 4 the system's, 8 the user's own; 0: all.
    pub flags: u32,
    /// Where to begin in a journal that is read for the first time.
    pub start: Start,
    /// Whether it is read only where none of the jail's log files is there; else the files are, where there is no journal.
    pub instead_of_files: bool,
}

impl JournalOptions {
    /// Whether there is a journal, and it may be read.
    pub fn is_there(&self) -> bool {
        let found = folders::find(self, &folders::Roots::default());
        found.iter().any(|found| File::open(&found.path).is_ok())
    }

    /// Whether one of its files is in a form that only `journalctl` reads.
    pub fn needs_journalctl(&self) -> bool {
        let found = folders::find(self, &folders::Roots::default());
        found.iter().filter_map(|found| File::open(&found.path).ok()).any(file::is_foreign)
    }

    /// Where it is looked for, for people.
    pub fn place(&self) -> String {
        match &self.path {
            _ if !self.files.is_empty() => self.files.join(", "),
            Some(path) => path.display().to_string(),
            None => format!("{}, {}", folders::PERSISTENT, folders::VOLATILE),
        }
    }

    /// Whether a jail that may read both reads the journal and not its files.
    pub fn chosen(&self, has_files: bool, files_are_there: bool) -> bool {
        match (has_files, self.instead_of_files) {
            (false, _) => true,
            (true, true) => !files_are_there && self.is_there(),
            (true, false) => self.is_there(),
        }
    }
}

/// Whether a path is the one that stands for the journal.
pub fn is_journal(path: &Path) -> bool {
    path.as_os_str() == PATH
}
