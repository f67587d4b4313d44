//! Opening: the lock, the database file, and what to do with a damaged one.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use rustix::fs::FlockOperation;

use super::{Opened, Store, StoreError, schema};
use crate::time::UnixTime;

impl Store {
    /// Opens the store, makes it when it is not there, and sets a damaged one aside as `<path>.corrupt-<now>`.
    ///
    /// # Errors
    /// It cannot be written, another daemon has it, or it belongs to another program.
    pub fn open(path: &Path, now: UnixTime) -> Result<Opened, StoreError> {
        let path = std::path::absolute(path)?;
        if let Some(parent) = path.parent().filter(|parent| !parent.exists()) {
            DirBuilder::new().mode(0o700).create(parent).map_err(|error| {
                StoreError::Unwritable(format!("directory {}: {error}", parent.display()))
            })?;
        }
        let lock = lock(&path)?;
        match connect(&path) {
            Ok(sqlite) => Ok(Opened { store: Self::new(sqlite, path, Some(lock)), set_aside: None }),
            Err(StoreError::Corrupt(reason)) => renew(path, lock, now, reason),
            Err(error) => Err(error),
        }
    }

    /// A store in memory, gone with the value; for playing through what was.
    ///
    /// # Errors
    /// There is no memory.
    pub fn in_memory() -> Result<Self, StoreError> {
        let sqlite = Connection::open_in_memory()?;
        schema::prepare(&sqlite)?;
        Ok(Self::new(sqlite, ":memory:".into(), None))
    }

    /// Puts a store that turned out damaged ([`StoreError::Corrupt`]) aside and begins a new one.
    ///
    /// # Errors
    /// It cannot be renamed, or no new one can be made.
    pub fn set_aside(self, now: UnixTime, reason: String) -> Result<Opened, StoreError> {
        let Self { sqlite, path, lock, .. } = self;
        drop(sqlite);
        match lock {
            Some(lock) => renew(path, lock, now, reason),
            None => Ok(Opened { store: Self::in_memory()?, set_aside: None }),
        }
    }

    fn new(sqlite: Connection, path: PathBuf, lock: Option<File>) -> Self {
        Self { sqlite, path, known: HashSet::new(), durable: true, lock }
    }
}

fn renew(path: PathBuf, lock: File, now: UnixTime, reason: String) -> Result<Opened, StoreError> {
    let aside = rename(&path, now)?;
    let sqlite = connect(&path)?;
    Ok(Opened { store: Store::new(sqlite, path, Some(lock)), set_aside: Some((aside, reason)) })
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

fn connect(path: &Path) -> Result<Connection, StoreError> {
    // Made by us so that only its owner can read it (log lines are in there), and to have the kernel's own words.
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(StoreError::Unwritable("it is no regular file".to_owned()));
    }
    drop(file);
    let sqlite = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    schema::prepare(&sqlite)?;
    Ok(sqlite)
}

/// Renames the database, with its journals: a new database must not find the old one's.
fn rename(path: &Path, now: UnixTime) -> Result<PathBuf, StoreError> {
    let stamp = jiff::Timestamp::from_second(now.secs())
        .map_or_else(|_| now.secs().to_string(), |time| time.strftime("%Y%m%d-%H%M%S").to_string());
    let aside = (0..100)
        .map(|n| if n == 0 { format!(".corrupt-{stamp}") } else { format!(".corrupt-{stamp}-{n}") })
        .map(|suffix| beside(path, &suffix))
        .find(|aside| !aside.exists())
        .ok_or_else(|| StoreError::Unwritable("too many damaged copies beside it".to_owned()))?;
    for journal in ["-wal", "-journal"] {
        match fs::rename(beside(path, journal), beside(&aside, journal)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    match fs::remove_file(beside(path, "-shm")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    fs::rename(path, &aside)?;
    Ok(aside)
}

/// `path` with something behind its last name.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
