//! A database that Fail2Ban made becomes ours: a copy of it first, then all changes at once.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::row::seconds;
use super::upgrade::{UNKNOWN, upgrade};
use super::{StoreError, beside, schema};
use crate::fault;
use crate::time::UnixTime;

/// What was taken over from Fail2Ban.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenOver {
    /// The version that its schema had.
    pub version: i64,
    /// Bans in force.
    pub in_force: i64,
    /// Bans from before their length was written down; they last as long as the jail's do.
    pub unknown: i64,
    /// Bans in the history.
    pub history: i64,
    /// Logs of which it is known how far they were read.
    pub positions: i64,
    /// Where the database lies as it was.
    pub backup: PathBuf,
}

impl fmt::Display for TakenOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, in_force, unknown, history, positions, backup } = self;
        write!(f, "Fail2Ban's database (version {version}) was taken over: {in_force} bans in force, ")?;
        if *unknown > 0 {
            write!(f, "{unknown} whose end the jail's ban time tells, ")?;
        }
        write!(
            f,
            "{history} in the history, {positions} log positions; as it was it lies in {}",
            backup.display()
        )
    }
}

/// Copies the database and makes it ours. Fails before anything is changed, or changes nothing.
pub(super) fn take_over(
    sqlite: &Connection,
    path: &Path,
    version: i64,
    now: UnixTime,
) -> Result<TakenOver, StoreError> {
    let backup = back_up(sqlite, path, now).map_err(StoreError::NotBackedUp)?;
    fault::point("store.backed_up");
    schema::at_once(sqlite, || {
        upgrade(sqlite, version)?;
        schema::tables(sqlite)?;
        inherit(sqlite, now)?;
        let count = |sql: &str| sqlite.query_row(sql, [], |row| row.get::<_, i64>(0));
        let taken = TakenOver {
            version,
            in_force: count("SELECT count(*) FROM stockade_inherited")?,
            unknown: count(&format!("SELECT count(*) FROM bips WHERE bantime = {UNKNOWN}"))?,
            history: count("SELECT count(*) FROM bans")?,
            positions: count("SELECT count(*) FROM logs WHERE lastfilepos > 0")?,
            backup,
        };
        fault::point("store.upgraded");
        Ok(taken)
    })
}

/// Bans that are in force now end as they were meant to, whatever the jail's ban time is today.
fn inherit(sqlite: &Connection, now: UnixTime) -> rusqlite::Result<()> {
    sqlite
        .execute(
            "INSERT OR REPLACE INTO stockade_inherited(jail, id, timeofban) SELECT jail, ip, timeofban FROM bips
               WHERE bantime = -1 OR (bantime >= 0 AND timeofban + bantime > ?1)",
            [seconds(now)],
        )
        .map(drop)
}

/// Copies the database beside itself, under the name that Fail2Ban gives its backups. Nothing is overwritten.
fn back_up(sqlite: &Connection, path: &Path, now: UnixTime) -> Result<PathBuf, String> {
    let part = beside(path, ".part");
    let copied = copy(sqlite, &part).and_then(|()| {
        File::open(&part).and_then(|file| file.sync_all()).map_err(|error| error.to_string())?;
        let backup = name(&part, path, now).map_err(|error| error.to_string())?;
        if let Some(directory) = path.parent() {
            File::open(directory).and_then(|file| file.sync_all()).map_err(|error| error.to_string())?;
        }
        Ok(backup)
    });
    if copied.is_err() {
        // Half a copy is of no use, and where there is no room it takes some.
        let _ = fs::remove_file(&part);
    }
    copied
}

fn copy(sqlite: &Connection, part: &Path) -> Result<(), String> {
    match fs::remove_file(part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.to_string()),
        _ => {}
    }
    super::open::make(part).map_err(|error| error.to_string())?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let copied = Connection::open_with_flags(part, flags).and_then(|mut copy| {
        copy.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -512")?;
        Backup::new(sqlite, &mut copy)?.run_to_completion(256, Duration::ZERO, None)
    });
    copied.map_err(|error| super::words(&error))
}

/// Gives the copy its name: `<path>.YYYYmmdd-HHMMSS`, and a number where there is such a file.
fn name(part: &Path, path: &Path, now: UnixTime) -> io::Result<PathBuf> {
    let stamp = jiff::Timestamp::from_second(now.secs()).map_or_else(
        |_| now.secs().to_string(),
        |time| time.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y%m%d-%H%M%S").to_string(),
    );
    for number in 0..100 {
        let suffix = if number == 0 { format!(".{stamp}") } else { format!(".{stamp}-{number}") };
        let backup = beside(path, &suffix);
        match renameat_with(CWD, part, CWD, &backup, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(backup),
            // Not every file system knows how not to overwrite.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) if !backup.exists() => {
                return fs::rename(part, &backup).map(|()| backup);
            }
            Err(rustix::io::Errno::EXIST | rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(io::Error::other("too many copies of this second beside it"))
}
