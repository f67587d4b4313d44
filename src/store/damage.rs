//! A damaged database: it is set aside, and what can still be read of it is kept.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, Row, TransactionBehavior, params};

use super::upgrade::UNKNOWN;
use super::{StoreError, beside, schema, words};
use crate::time::UnixTime;

/// Where bans are looked for, the best place first: each with what its rows say of time and count.
const SOURCES: [(&str, &str, &str); 3] =
    [("bips", "bantime", "bancount"), ("bans", "bantime", "bancount"), ("bans", "?1", "1")];

/// An address or a jail has no longer name, and a ban no larger data.
const LONGEST_NAME: usize = 1000;
const LARGEST_DATA: usize = 1 << 20;

/// Renames the database, with its journals: a new database must not find the old one's.
pub(super) fn rename(path: &Path, now: UnixTime) -> Result<PathBuf, StoreError> {
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

/// Carries over the bans that can be read in a database that was set aside, and tells how many.
pub(super) fn salvage(aside: &Path, sqlite: &mut Connection) -> Result<String, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let Ok(damaged) = Connection::open_with_flags(aside, flags) else { return Ok(told(0)) };
    if schema::settings(&damaged).is_err() {
        return Ok(told(0));
    }
    for (table, bantime, bancount) in SOURCES {
        let saved = carry_over(&damaged, sqlite, table, bantime, bancount)?;
        if saved > 0 {
            return Ok(told(saved));
        }
    }
    Ok(told(0))
}

fn told(saved: i64) -> String {
    match saved {
        0 => "no ban in it can be read".to_owned(),
        saved => format!("{saved} last bans in it can be read and are kept"),
    }
}

/// Reads the rows from both ends up to what is damaged.
fn carry_over(
    damaged: &Connection,
    sqlite: &mut Connection,
    table: &str,
    bantime: &str,
    bancount: &str,
) -> Result<i64, StoreError> {
    let transaction = sqlite.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for order in ["", "DESC"] {
        let sql = format!(
            "SELECT rowid, jail, ip, timeofban, {bantime}, {bancount},
               CASE WHEN octet_length(data) <= {LARGEST_DATA} THEN data END, ?1
             FROM {table} NOT INDEXED WHERE octet_length(ip) <= {LONGEST_NAME} ORDER BY rowid {order}"
        );
        let Ok(mut statement) = damaged.prepare(&sql) else { return Ok(0) };
        let Ok(mut rows) = statement.query([UNKNOWN]) else { return Ok(0) };
        // What is read of a damaged file ends where SQLite finds the damage.
        let whole = loop {
            match rows.next() {
                Ok(Some(row)) => keep(&transaction, row)?,
                Ok(None) => break true,
                Err(error) => {
                    tracing::debug!(target: "fail2ban.database", "{table} is damaged: {}", words(&error));
                    break false;
                }
            }
        };
        if whole {
            break;
        }
    }
    let saved = transaction.query_row("SELECT count(*) FROM bips", [], |row| row.get(0))?;
    transaction.commit()?;
    Ok(saved)
}

/// Keeps a row that makes sense.
fn keep(sqlite: &Connection, row: &Row<'_>) -> rusqlite::Result<()> {
    let text = |column| match row.get_ref(column) {
        Ok(ValueRef::Text(bytes)) => std::str::from_utf8(bytes).ok().filter(|text| !text.is_empty()),
        _ => None,
    };
    let number = |column| matches!(row.get_ref(column), Ok(ValueRef::Integer(_) | ValueRef::Real(_)));
    let value = |column| row.get_ref(column).map(ToSqlOutput::Borrowed);
    let (Some(jail), Some(ip)) = (text(1).filter(|jail| jail.len() <= LONGEST_NAME), text(2)) else {
        return Ok(());
    };
    if !(number(3) && number(4) && number(5)) {
        return Ok(());
    }
    sqlite.prepare_cached("INSERT OR IGNORE INTO jails(name, enabled) VALUES (?1, 0)")?.execute([jail])?;
    sqlite
        .prepare_cached(
            "INSERT INTO bips(ip, jail, timeofban, bantime, bancount, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT(ip, jail) DO UPDATE SET timeofban = excluded.timeofban, bantime = excluded.bantime,
               bancount = excluded.bancount, data = excluded.data WHERE excluded.timeofban >= timeofban",
        )?
        .execute(params![ip, jail, value(3)?, value(4)?, value(5)?, value(6)?])
        .map(drop)
}
