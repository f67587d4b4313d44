//! The tables, and the settings of the connection.

use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OptionalExtension};

use super::{StoreError, words};

/// Fail2Ban's schema that we read and write.
const VERSION: i64 = 4;

/// The version of our own tables, kept in `PRAGMA user_version`, which Fail2Ban does not use.
const OWN_VERSION: i64 = 1;

/// Databases up to this size are looked through when they are opened (about 1 ms a MiB). Damage in a larger one
/// shows when it is met.
const CHECKED_SIZE: i64 = 16 << 20;

/// Fail2Ban's tables and indices; a column declared JSON holds a blob.
const FAIL2BAN: &str = "
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
    bancount INTEGER NOT NULL DEFAULT 1, data JSON);
CREATE INDEX IF NOT EXISTS bans_jail_timeofban_ip ON bans(jail, timeofban, ip);
CREATE INDEX IF NOT EXISTS bans_jail_ip ON bans(jail, ip);
CREATE INDEX IF NOT EXISTS bans_ip ON bans(ip);
CREATE TABLE IF NOT EXISTS bips(
    ip TEXT NOT NULL, jail TEXT NOT NULL, timeofban INTEGER NOT NULL, bantime INTEGER NOT NULL,
    bancount INTEGER NOT NULL DEFAULT 1, data JSON, PRIMARY KEY(ip, jail));
CREATE INDEX IF NOT EXISTS bips_timeofban ON bips(timeofban);
CREATE INDEX IF NOT EXISTS bips_ip ON bips(ip);
";

/// Our own tables. Paths are blobs, since a path need not be UTF-8; moments are microseconds. Not STRICT: the SQLite
/// of an older system could then not read the file at all.
const OWN: &str = "
CREATE TABLE IF NOT EXISTS stockade_counters(
    jail TEXT NOT NULL, id TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    retry INTEGER NOT NULL, failures INTEGER NOT NULL, data BLOB, PRIMARY KEY(jail, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stockade_state(jail TEXT NOT NULL PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stockade_waiting(jail TEXT NOT NULL PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stockade_cursors(
    jail TEXT NOT NULL, path BLOB NOT NULL, read_at INTEGER NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY(jail, path)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stockade_untold(
    jail TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY(jail, id)) WITHOUT ROWID;
";

const DROP_OWN: &str = "
DROP TABLE IF EXISTS stockade_counters;
DROP TABLE IF EXISTS stockade_state;
DROP TABLE IF EXISTS stockade_waiting;
DROP TABLE IF EXISTS stockade_cursors;
DROP TABLE IF EXISTS stockade_untold;
";

/// Every column we use; preparing these shows at once whether a table has another shape.
const SHAPE: [&str; 9] = [
    "SELECT name, enabled FROM jails",
    "SELECT jail, path, firstlinemd5, lastfilepos FROM logs",
    "SELECT jail, ip, timeofban, bantime, bancount, data FROM bans",
    "SELECT ip, jail, timeofban, bantime, bancount, data FROM bips",
    "SELECT jail, id, first, last, retry, failures, data FROM stockade_counters",
    "SELECT jail, data FROM stockade_state",
    "SELECT jail, data FROM stockade_waiting",
    "SELECT jail, path, read_at, data FROM stockade_cursors",
    "SELECT jail, id FROM stockade_untold",
];

/// Settles the connection, makes what tables are missing and refuses what is not ours.
pub(super) fn prepare(sqlite: &Connection) -> Result<(), StoreError> {
    settings(sqlite)?;
    let count = |sql| sqlite.query_row(sql, [], |row| row.get::<_, i64>(0));
    let fresh = count("SELECT count(*) FROM sqlite_schema")? == 0;
    if !fresh {
        if count("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'fail2banDb'")? == 0 {
            return Err(StoreError::Foreign);
        }
        if count("PRAGMA page_count")?.saturating_mul(count("PRAGMA page_size")?) <= CHECKED_SIZE {
            let found: String = sqlite.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
            if found != "ok" {
                return Err(StoreError::Corrupt(found.replace('\n', " ")));
            }
        }
        let version =
            sqlite.query_row("SELECT max(version) FROM fail2banDb", [], |row| row.get(0)).optional()?;
        match version.flatten() {
            Some(VERSION) => {}
            Some(other) => {
                return Err(StoreError::Corrupt(format!("its schema has version {other}, not {VERSION}")));
            }
            None => return Err(StoreError::Corrupt("its schema has no version".to_owned())),
        }
    }
    sqlite.execute_batch("BEGIN IMMEDIATE")?;
    tables(sqlite, fresh).map_err(|error| {
        // The first error is the one to tell.
        let _ = sqlite.execute_batch("ROLLBACK");
        let mistake = matches!(error, rusqlite::Error::SqlInputError { .. })
            || error.sqlite_error_code() == Some(ErrorCode::Unknown);
        if mistake {
            StoreError::Corrupt(format!("its tables are not as expected: {}", words(&error)))
        } else {
            error.into()
        }
    })
}

/// A small page cache, no memory map, nothing in the file that runs by itself, and a journal that stays small.
fn settings(sqlite: &Connection) -> Result<(), StoreError> {
    sqlite.busy_timeout(Duration::from_secs(2))?;
    sqlite.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    sqlite.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    sqlite.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    sqlite.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    sqlite.set_prepared_statement_cache_capacity(32);
    sqlite.execute_batch(
        "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;
         PRAGMA cache_size = -512; PRAGMA mmap_size = 0; PRAGMA cell_size_check = ON;",
    )?;
    // Where a write-ahead log cannot be (no shared memory), SQLite keeps its rollback journal: slower, as safe.
    sqlite.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    sqlite.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 500; PRAGMA journal_size_limit = 2097152;",
    )?;
    Ok(())
}

/// Makes what is missing. A mistake in the SQL can here only come from tables of another shape.
fn tables(sqlite: &Connection, fresh: bool) -> rusqlite::Result<()> {
    sqlite.execute_batch(FAIL2BAN)?;
    if fresh {
        sqlite.execute("INSERT INTO fail2banDb(version) VALUES (?1)", [VERSION])?;
    }
    let own: i64 = sqlite.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if own != OWN_VERSION {
        sqlite.execute_batch(DROP_OWN)?;
        sqlite.pragma_update(None, "user_version", OWN_VERSION)?;
    }
    sqlite.execute_batch(OWN)?;
    SHAPE.iter().try_for_each(|sql| sqlite.prepare(sql).map(drop))?;
    sqlite.execute_batch("COMMIT")
}
