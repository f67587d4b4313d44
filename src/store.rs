//! What outlives the program: bans, history, cursors, failure counters.
//!
//! Edge: SQLite behind plain types, no actors. The shell is [`crate::actor::store`].
//!
//! The tables `fail2banDb`, `jails`, `logs`, `bans` and `bips` are Fail2Ban's schema version 4, so that either
//! program can go on with the other's file; what only we need is in tables called `stockade_…`. A file that Fail2Ban
//! made, of any version, is copied and taken over (`takeover`, `upgrade`). Where Fail2Ban ran in between, its word
//! counts: its bans are the bans, and a log is read on from where it stopped (`logs`).
//! While it is open the journal is a write-ahead log: a kill loses nothing that was committed, readers never wait.

mod damage;
mod evidence;
mod logs;
mod open;
mod packed;
mod read;
mod row;
mod runs;
mod schema;
mod takeover;
#[cfg(test)]
mod tests;
mod upgrade;
mod write;

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::id::Id;
use crate::jail::Ban;
use crate::source::Cursor;
use crate::tracker::{Dirty, Record};
pub use takeover::TakenOver;

/// So many lines of a ban are kept unless told otherwise: Fail2Ban's default (`dbmaxmatches`).
pub const MATCHES: usize = 10;

/// One thing to remember; those of one [`Store::commit`] are remembered together or not at all.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// A ban: a row of history (`bans`) and the last ban of this address (`bips`). A restored one is there already.
    Banned(Arc<str>, Ban),
    /// An active ban ends later: only `bips`.
    Prolonged(Arc<str>, Ban),
    /// An operator let the address in: it leaves `bans` and `bips`. None: every address does.
    Forgotten(Arc<str>, Option<Id>),
    /// Commands are to be run for this ban: until [`Entry::Told`], a restart runs them again.
    Untold(Arc<str>, Id),
    /// They have been, or the ban is over.
    Told(Arc<str>, Id),
    /// The failure counter of an address; none: it counts no more.
    Counter(Arc<str>, Id, Option<Record>),
    /// Many of them.
    Counters(Arc<str>, Box<Dirty>),
    /// The jail's filter state (opaque).
    State(Arc<str>, Vec<u8>),
    /// What of the jail waits for an answer (opaque).
    Waiting(Arc<str>, Vec<u8>),
    /// How far a jail has read a file.
    Cursor(Arc<str>, Arc<Path>, Cursor),
}

impl Entry {
    /// How many rows it makes, about.
    pub fn size(&self) -> usize {
        match self {
            Self::Counters(_, counters) => counters.len(),
            _ => 1,
        }
    }
}

/// What is remembered of one jail.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Saved {
    /// Bans still running, `restored` set, oldest first. Past 4 MiB of text they come without their lines.
    pub bans: Vec<Ban>,
    /// Who was banned until a moment ago: a firewall's safety net may hold them still.
    pub over: Vec<Id>,
    /// Of these bans, those that keep their own end, whatever the jail's ban time is: Fail2Ban made them.
    pub inherited: Vec<Id>,
    /// Of these bans, those that last as long as the jail's do: nobody wrote down how long.
    pub timeless: Vec<Id>,
    /// Bans for which not all commands have been run.
    pub untold: Vec<Id>,
    /// Failure counters.
    pub counters: Vec<(Id, Record)>,
    /// The filter's state.
    pub state: Option<Vec<u8>>,
    /// What waited for an answer.
    pub waiting: Option<Vec<u8>>,
    /// How far each file was read.
    pub cursors: Vec<(Arc<Path>, Cursor)>,
    /// Rows that make no sense and were left out.
    pub skipped: u64,
}

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Its file or directory cannot be made or written.
    #[error("`store` cannot be written: {0}")]
    Unwritable(String),
    /// Another daemon has it.
    #[error("`store` is in use by another daemon{}", process(*.0))]
    Taken(Option<u32>),
    /// It is a healthy database of some other program.
    #[error("`store` is the database of another program: name another file")]
    Foreign,
    /// It is of a Fail2Ban that is younger than we are.
    #[error("`store` is a Fail2Ban database of version {0}, newer than any known here: name another file")]
    Newer(i64),
    /// It is Fail2Ban's, and cannot be copied before it is changed.
    #[error("`store` is Fail2Ban's database and was left untouched, for it cannot be backed up: {0}")]
    NotBackedUp(String),
    /// It is damaged: [`Store::set_aside`] makes a new one.
    #[error("`store` is damaged: {0}")]
    Corrupt(String),
    /// Another program keeps it locked; asking again may help.
    #[error("`store` is locked by another program")]
    Busy,
    /// There is no room; asking again later may help.
    #[error("`store` cannot grow: the disk is full")]
    Full,
    /// Anything else.
    #[error("`store`: {0}")]
    Sqlite(String),
}

fn process(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
}

/// `path` with something behind its last name.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// SQLite's words for it, on one line.
fn words(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(words)) => words.clone(),
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        let words = words(&error);
        match error.sqlite_error_code() {
            Some(Code::DatabaseCorrupt | Code::NotADatabase) => Self::Corrupt(words),
            Some(Code::DatabaseBusy | Code::DatabaseLocked | Code::FileLockingProtocolFailed) => Self::Busy,
            Some(Code::DiskFull) => Self::Full,
            Some(Code::ReadOnly | Code::CannotOpen | Code::PermissionDenied) => Self::Unwritable(words),
            _ => Self::Sqlite(words),
        }
    }
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        Self::Unwritable(error.to_string())
    }
}

/// A store that was opened.
#[derive(Debug)]
pub struct Opened {
    /// It.
    pub store: Store,
    /// Where a damaged predecessor lies now, and what was wrong with it.
    pub set_aside: Option<(PathBuf, String)>,
    /// What was taken over, if Fail2Ban made it.
    pub taken_over: Option<TakenOver>,
}

/// The open database, and the lock that keeps a second daemon away from it.
#[derive(Debug)]
pub struct Store {
    sqlite: rusqlite::Connection,
    path: PathBuf,
    /// Jails known to have a row in `jails`.
    known: HashSet<Arc<str>>,
    /// Whether a commit now reaches the disk before it returns.
    durable: bool,
    /// So many lines of a ban are kept.
    matches: usize,
    /// The runs of counters.
    runs: runs::Runs,
    /// Digests of first lines, for Fail2Ban.
    first_lines: logs::FirstLines,
    /// Held as long as the store is open; after `sqlite`, so that it is released last. None: it is in memory.
    lock: Option<File>,
}
