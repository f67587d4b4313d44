//! The tables, and the settings of the connection.

use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, OptionalExtension};

use super::{StoreError, runs, words};

/// Fail2Ban's schema that we write.
pub(super) const VERSION: i64 = 4;

/// The version of our own tables, kept in `PRAGMA user_version`, which Fail2Ban does not use: 0 is a file of Fail2Ban's.
///
/// | version | what was otherwise |
/// |---|---|
/// | 1 | `stockade_counters`: a row for each counter |
const OWN_VERSION: i64 = 2;

/// Databases up to this size are looked through whenever they are opened (about 1 ms a MiB), others when they are
/// taken over. Damage in a larger one shows when it is met.
const CHECKED_SIZE: i64 = 16 << 20;

/// No value is larger: what is, was not written by us and cannot fill the memory.
const LARGEST_VALUE: i32 = 64 << 20;

/// Fail2Ban's tables and indices; a column declared JSON holds a blob.
pub(super) const FAIL2BAN: &str = "
CREATE TABLE IF NOT EXISTS fail2banDb(version INTEGER);
CREATE TABLE IF NOT EXISTS jails(name TEXT NOT NULL UNIQUE, enabled INTEGER NOT NULL DEFAULT 1);
CREATE INDEX IF NOT EXISTS jails_name ON jails(name);
CREATE TABLE IF NOT EXISTS logs(
    jail TEXT NOT NULL, path TEXT, firstlinemd5 TEXT, lastfilepos INTEGER DEFAULT 0,
    FOREIGN KEY(jail) REFERENCES jails(name) ON DELETE CASCADE,
    UNIQUE(jail, path), UNIQUE(jail, path, firstlinemd5));
CREATE INDEX IF NOT EXISTS logs_path ON logs(path);
CREATE INDEX IF NOT EXISTS logs_jail_path ON logs(jail, path);
CREATE TABLE IF NOT EXISTS bans(
    jail TEXT NOT NULL, ip TEXT, timeofban INTEGER NOT NULL, bantime INTEGER NOT NULL,
    bancount INTEGER NOT NULL DEFAULT 1, data JSON, FOREIGN KEY(jail) REFERENCES jails(name));
CREATE INDEX IF NOT EXISTS bans_jail_timeofban_ip ON bans(jail, timeofban, ip);
CREATE INDEX IF NOT EXISTS bans_ip ON bans(ip);
CREATE TABLE IF NOT EXISTS bips(
    ip TEXT NOT NULL, jail TEXT NOT NULL, timeofban INTEGER NOT NULL, bantime INTEGER NOT NULL,
    bancount INTEGER NOT NULL DEFAULT 1, data JSON, PRIMARY KEY(ip, jail), FOREIGN KEY(jail) REFERENCES jails(name));
CREATE INDEX IF NOT EXISTS bips_timeofban ON bips(timeofban);
";

/// Fail2Ban's indices that nobody misses: others find the same rows as fast, and each costs every ban a tenth of its
/// time. Fail2Ban itself names no index when it asks.
const IDLE: &str = "DROP INDEX IF EXISTS bans_jail_ip; DROP INDEX IF EXISTS bips_ip;";

/// Our own tables. Paths are blobs, since a path need not be UTF-8; moments are microseconds, but for those that are
/// compared with Fail2Ban's. Not STRICT: the SQLite of an older system could then not read the file at all.
const OWN: &str = "
CREATE TABLE IF NOT EXISTS stockade_runs(
    jail TEXT NOT NULL, run INTEGER NOT NULL, part INTEGER NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY(jail, run, part)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stockade_state(jail TEXT NOT NULL PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stockade_waiting(jail TEXT NOT NULL PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stockade_cursors(
    jail TEXT NOT NULL, path BLOB NOT NULL, read_at INTEGER NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY(jail, path)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stockade_untold(
    jail TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY(jail, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stockade_inherited(
    jail TEXT NOT NULL, id TEXT NOT NULL, timeofban INTEGER NOT NULL, PRIMARY KEY(jail, id)) WITHOUT ROWID;
";

const DROP_OWN: &str = "
DROP TABLE IF EXISTS stockade_counters;
DROP TABLE IF EXISTS stockade_runs;
DROP TABLE IF EXISTS stockade_state;
DROP TABLE IF EXISTS stockade_waiting;
DROP TABLE IF EXISTS stockade_cursors;
DROP TABLE IF EXISTS stockade_untold;
DROP TABLE IF EXISTS stockade_inherited;
";

/// Every column we use; preparing these shows at once whether a table has another shape.
const SHAPE: [&str; 10] = [
    "SELECT name, enabled FROM jails",
    "SELECT jail, path, firstlinemd5, lastfilepos FROM logs",
    "SELECT jail, ip, timeofban, bantime, bancount, data FROM bans",
    "SELECT ip, jail, timeofban, bantime, bancount, data FROM bips",
    "SELECT jail, run, part, data FROM stockade_runs",
    "SELECT jail, data FROM stockade_state",
    "SELECT jail, data FROM stockade_waiting",
    "SELECT jail, path, read_at, data FROM stockade_cursors",
    "SELECT jail, id FROM stockade_untold",
    "SELECT jail, id, timeofban FROM stockade_inherited",
];

/// What a file is, before anything of it is changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing is in it.
    Nothing,
    /// Our own tables are in it.
    Own,
    /// Fail2Ban made it, with this version of its schema.
    Fail2Bans(i64),
}

/// Tells what is in the file. Changes nothing.
pub(super) fn look(sqlite: &Connection) -> Result<Found, StoreError> {
    let count = |sql| sqlite.query_row(sql, [], |row| row.get::<_, i64>(0));
    if count("SELECT count(*) FROM sqlite_schema")? == 0 {
        return Ok(Found::Nothing);
    }
    if count("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'fail2banDb'")? == 0 {
        return Err(StoreError::Foreign);
    }
    let own = count("PRAGMA user_version")? != 0;
    if !own || count("PRAGMA page_count")?.saturating_mul(count("PRAGMA page_size")?) <= CHECKED_SIZE {
        let found: String = sqlite.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if found != "ok" {
            return Err(StoreError::Corrupt(found.replace('\n', " ")));
        }
    }
    let version = sqlite.query_row("SELECT max(version) FROM fail2banDb", [], |row| row.get(0)).optional()?;
    match version.flatten() {
        Some(VERSION) if own => Ok(Found::Own),
        Some(version @ 1..=VERSION) => Ok(Found::Fail2Bans(version)),
        Some(newer) if newer > VERSION => Err(StoreError::Newer(newer)),
        Some(other) => Err(StoreError::Corrupt(format!("its schema has version {other}"))),
        None => Err(StoreError::Corrupt("its schema has no version".to_owned())),
    }
}

/// A small page cache, no memory map, no value that fills the memory, nothing in the file that runs by itself.
pub(super) fn settings(sqlite: &Connection) -> rusqlite::Result<()> {
    sqlite.busy_timeout(Duration::from_secs(2))?;
    sqlite.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    sqlite.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    sqlite.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    sqlite.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    sqlite.set_limit(Limit::SQLITE_LIMIT_LENGTH, LARGEST_VALUE)?;
    sqlite.set_prepared_statement_cache_capacity(48);
    sqlite.execute_batch(
        "PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;
         PRAGMA cache_size = -512; PRAGMA mmap_size = 0; PRAGMA cell_size_check = ON;",
    )
}

/// For a file that is yet to be filled: room that is given up can be given back.
pub(super) fn layout(sqlite: &Connection) -> rusqlite::Result<()> {
    sqlite.execute_batch("PRAGMA auto_vacuum = INCREMENTAL")
}

/// A journal that readers need not wait for and that stays small.
pub(super) fn journal(sqlite: &Connection) -> rusqlite::Result<()> {
    // Where a write-ahead log cannot be (no shared memory), SQLite keeps its rollback journal: slower, as safe.
    sqlite.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    sqlite.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 500; PRAGMA journal_size_limit = 2097152;",
    )
}

/// Does something in one transaction. A mistake in the SQL can here only come from tables of another shape.
pub(super) fn at_once<T>(
    sqlite: &Connection,
    work: impl FnOnce() -> rusqlite::Result<T>,
) -> Result<T, StoreError> {
    sqlite.execute_batch("BEGIN IMMEDIATE")?;
    let done = work().and_then(|done| sqlite.execute_batch("COMMIT").map(|()| done));
    done.map_err(|error| {
        // The first error is the one to tell.
        let _ = sqlite.execute_batch("ROLLBACK");
        let mistake = matches!(error, rusqlite::Error::SqlInputError { .. })
            || matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::Unknown | ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch)
            );
        if mistake {
            StoreError::Corrupt(format!("its tables are not as expected: {}", words(&error)))
        } else {
            error.into()
        }
    })
}

/// Makes what is missing.
pub(super) fn tables(sqlite: &Connection) -> rusqlite::Result<()> {
    sqlite.execute_batch(FAIL2BAN)?;
    sqlite.execute_batch(IDLE)?;
    sqlite.execute(
        "INSERT INTO fail2banDb(version) SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM fail2banDb)",
        [VERSION],
    )?;
    let own: i64 = sqlite.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match own {
        OWN_VERSION => sqlite.execute_batch(OWN)?,
        1 => {
            // Where an older program went on with a younger one's file, these are not what it knew.
            sqlite.execute_batch("DROP TABLE IF EXISTS stockade_runs")?;
            sqlite.execute_batch(OWN)?;
            runs::take_over(sqlite)?;
        }
        _ => sqlite.execute_batch(DROP_OWN).and_then(|()| sqlite.execute_batch(OWN))?,
    }
    sqlite.pragma_update(None, "user_version", OWN_VERSION)?;
    SHAPE.iter().try_for_each(|sql| sqlite.prepare(sql).map(drop))
}
