//! Opening and closing: the lock, the database file, and what to do with a damaged one.

use std::collections::HashSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use rustix::fs::FlockOperation;

use super::logs::FirstLines;
use super::runs::Runs;
use super::schema::Found;
use super::takeover::{self, TakenOver};
use super::{MATCHES, Opened, Store, StoreError, beside, damage, schema};
use crate::time::UnixTime;

impl Store {
    /// Opens the store, makes it when it is not there, takes over one that Fail2Ban made, and sets a damaged one aside
    /// as `<path>.corrupt-<now>`, with what can be read of it kept.
    ///
    /// # Errors
    /// It cannot be written, another daemon has it, it belongs to another program, or it cannot be backed up before it
    /// is taken over. Then it was not changed.
    pub fn open(path: &Path, now: UnixTime) -> Result<Opened, StoreError> {
        let path = std::path::absolute(path)?;
        // Where it is a link, what belongs to it lies beside the file.
        let path = path.canonicalize().ok().filter(|real| real.is_file()).unwrap_or(path);
        if let Some(parent) = path.parent().filter(|parent| !parent.exists()) {
            DirBuilder::new().mode(0o700).create(parent).map_err(|error| {
                StoreError::Unwritable(format!("directory {}: {error}", parent.display()))
            })?;
        }
        let lock = lock(&path)?;
        match connect(&path, now) {
            Ok((sqlite, taken_over)) => {
                Ok(Opened { store: Self::new(sqlite, path, Some(lock)), set_aside: None, taken_over })
            }
            Err(StoreError::Corrupt(reason)) => renew(path, lock, now, &reason),
            Err(error) => Err(error),
        }
    }

    /// A store in memory, gone with the value; for playing through what was.
    ///
    /// # Errors
    /// There is no memory.
    pub fn in_memory() -> Result<Self, StoreError> {
        let sqlite = Connection::open_in_memory()?;
        schema::settings(&sqlite)?;
        schema::layout(&sqlite)?;
        schema::at_once(&sqlite, || schema::tables(&sqlite))?;
        Ok(Self::new(sqlite, ":memory:".into(), None))
    }

    /// Puts a store that turned out damaged ([`StoreError::Corrupt`]) aside and begins a new one.
    ///
    /// # Errors
    /// It cannot be renamed, or no new one can be made.
    pub fn set_aside(self, now: UnixTime, reason: &str) -> Result<Opened, StoreError> {
        let Self { sqlite, path, lock, .. } = self;
        drop(sqlite);
        match lock {
            Some(lock) => renew(path, lock, now, reason),
            None => Ok(Opened { store: Self::in_memory()?, set_aside: None, taken_over: None }),
        }
    }

    /// Leaves the file as Fail2Ban leaves one: whole, without a write-ahead log, and no jail running.
    ///
    /// # Errors
    /// Somebody else reads it at the moment: the next to open it finds its journal beside it, which does no harm.
    pub fn close(&mut self) -> Result<(), StoreError> {
        self.set_durable(true)?;
        self.sqlite.execute("UPDATE jails SET enabled = 0 WHERE enabled <> 0", [])?;
        self.sqlite.flush_prepared_statement_cache();
        self.sqlite.busy_timeout(Duration::from_millis(300))?;
        Ok(self.sqlite.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))?)
    }

    fn new(sqlite: Connection, path: PathBuf, lock: Option<File>) -> Self {
        let (known, runs, first_lines) = (HashSet::new(), Runs::new(), FirstLines::default());
        Self { sqlite, path, known, durable: true, matches: MATCHES, runs, first_lines, lock }
    }
}

fn renew(path: PathBuf, lock: File, now: UnixTime, reason: &str) -> Result<Opened, StoreError> {
    let aside = damage::rename(&path, now)?;
    let (mut sqlite, _) = connect(&path, now)?;
    let reason = format!("{reason}; {}", damage::salvage(&aside, &mut sqlite)?);
    Ok(Opened {
        store: Store::new(sqlite, path, Some(lock)),
        set_aside: Some((aside, reason)),
        taken_over: None,
    })
}

/// Takes the lock on `<path>.lock`. Not on the database itself: closing any descriptor of that would drop SQLite's
/// own locks. Readers such as the `sqlite3` program are not kept out.
fn lock(path: &Path) -> Result<File, StoreError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut file = options.open(beside(path, ".lock"))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut text = String::new();
            // The pid is a courtesy: without it the sentence is shorter.
            let _ = (&file).take(16).read_to_string(&mut text);
            return Err(StoreError::Taken(text.trim().parse().ok()));
        }
        Err(error) => return Err(io::Error::from(error).into()),
    }
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(format!("{}\n", std::process::id()).as_bytes())?;
    Ok(file)
}

fn connect(path: &Path, now: UnixTime) -> Result<(Connection, Option<TakenOver>), StoreError> {
    make(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sqlite = Connection::open_with_flags(path, flags)?;
    schema::settings(&sqlite)?;
    let taken_over = match schema::look(&sqlite)? {
        Found::Fail2Bans(version) => {
            let taken_over = takeover::take_over(&sqlite, path, version, now)?;
            tracing::warn!(target: "fail2ban.database", "{taken_over}");
            Some(taken_over)
        }
        found @ (Found::Nothing | Found::Own) => {
            if found == Found::Nothing {
                schema::layout(&sqlite)?;
            }
            schema::at_once(&sqlite, || schema::tables(&sqlite))?;
            None
        }
    };
    schema::journal(&sqlite)?;
    Ok((sqlite, taken_over))
}

/// Makes the file where there is none: by us, so that only its owner can read it (log lines are in there), and to have
/// the kernel's own words.
pub(super) fn make(path: &Path) -> Result<(), StoreError> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(StoreError::Unwritable("it is no regular file".to_owned()));
    }
    Ok(())
}
