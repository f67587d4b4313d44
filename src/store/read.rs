//! Everything that is read back.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::str;

use rusqlite::types::ValueRef;
use rusqlite::{Row, TransactionBehavior, params};

use super::row::{Read, seconds, sentence};
use super::{Saved, Store, StoreError};
use crate::id::Id;
use crate::jail::{Ban, Past};
use crate::time::UnixTime;
use crate::tracker::Record;

/// So many bytes of ban data are read with their lines; the bans behind them come without, however many there are.
const LINES_BUDGET: usize = 4 << 20;

impl Store {
    /// What is remembered of a jail: its bans that are not over, its counters, its state and its cursors.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn load(&mut self, jail: &str, now: UnixTime) -> Result<Saved, StoreError> {
        Ok(self.load_all(&[jail], now)?.pop().unwrap_or_default())
    }

    /// As [`Store::load`] for many jails, in their order, at the cost of one: all bans are looked through once.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn load_all(&mut self, jails: &[&str], now: UnixTime) -> Result<Vec<Saved>, StoreError> {
        let mut all: Vec<Saved> = jails.iter().map(|_| Saved::default()).collect();
        self.load_bans(jails, &mut all, now)?;
        for (jail, saved) in jails.iter().zip(&mut all) {
            // In the order they were written, nearly: this costs a fraction of an ORDER BY.
            saved.bans.sort_by_key(|ban| ban.time);
            self.load_counters(jail, saved)?;
            self.load_cursors(jail, saved)?;
            self.load_untold(jail, saved)?;
            saved.state = self.load_blob("SELECT data FROM stockade_state WHERE jail = ?1", jail, saved)?;
            saved.waiting =
                self.load_blob("SELECT data FROM stockade_waiting WHERE jail = ?1", jail, saved)?;
        }
        Ok(all)
    }

    fn load_bans(&mut self, jails: &[&str], all: &mut [Saved], now: UnixTime) -> Result<(), StoreError> {
        let places: HashMap<&str, usize> = jails.iter().zip(0..).map(|(jail, n)| (*jail, n)).collect();
        let mut budget = LINES_BUDGET;
        let mut respell: Vec<(String, Id, usize)> = Vec::new();
        {
            let mut statement = self
                .sqlite
                .prepare_cached("SELECT jail, ip, timeofban, bantime, bancount, data FROM bips")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let Some(&place) = text(row, 0)?.and_then(|jail| places.get(jail)) else { continue };
                let saved = &mut all[place];
                match ban(row, now, &mut budget)? {
                    Reading::Running(ban, written) => {
                        respell.extend(written.map(|written| (written, ban.id.clone(), place)));
                        saved.bans.push(ban);
                    }
                    Reading::Over => {}
                    Reading::Nonsense => saved.skipped += 1,
                }
            }
        }
        self.respell(jails, &respell)
    }

    /// Writes addresses in our one spelling, or a pardon would miss the row.
    fn respell(&mut self, jails: &[&str], rows: &[(String, Id, usize)]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let transaction = self.sqlite.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (written, id, place) in rows {
            for sql in [
                "UPDATE OR REPLACE bips SET ip = ?3 WHERE jail = ?1 AND ip = ?2",
                "UPDATE bans SET ip = ?3 WHERE jail = ?1 AND ip = ?2",
            ] {
                transaction.prepare_cached(sql)?.execute(params![jails[*place], written, id.to_string()])?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn load_blob(&self, sql: &str, jail: &str, saved: &mut Saved) -> Result<Option<Vec<u8>>, StoreError> {
        let mut statement = self.sqlite.prepare_cached(sql)?;
        let mut rows = statement.query([jail])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        if let ValueRef::Blob(blob) = row.get_ref(0)? {
            return Ok(Some(blob.to_vec()));
        }
        saved.skipped += 1;
        Ok(None)
    }

    fn load_counters(&mut self, jail: &str, saved: &mut Saved) -> Result<(), StoreError> {
        let mut statement = self.sqlite.prepare_cached(
            "SELECT id, first, last, retry, failures, data FROM stockade_counters WHERE jail = ?1",
        )?;
        let mut rows = statement.query([jail])?;
        while let Some(row) = rows.next()? {
            match counter(row)? {
                Some(counter) => saved.counters.push(counter),
                None => saved.skipped += 1,
            }
        }
        Ok(())
    }

    fn load_cursors(&mut self, jail: &str, saved: &mut Saved) -> Result<(), StoreError> {
        let sql = "SELECT path, data FROM stockade_cursors WHERE jail = ?1";
        let mut statement = self.sqlite.prepare_cached(sql)?;
        let mut rows = statement.query([jail])?;
        while let Some(row) = rows.next()? {
            let (ValueRef::Blob(path), ValueRef::Blob(json)) = (row.get_ref(0)?, row.get_ref(1)?) else {
                saved.skipped += 1;
                continue;
            };
            match serde_json::from_slice(json) {
                Ok(cursor) => saved.cursors.push((Path::new(OsStr::from_bytes(path)).into(), cursor)),
                Err(_) => saved.skipped += 1,
            }
        }
        Ok(())
    }

    /// How often this jail and all together banned an address: by their last bans of it, which are kept three times as
    /// long as they lasted. None: none did.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn past(&mut self, jail: &str, id: &Id) -> Result<Option<Past>, StoreError> {
        let sql = "SELECT jail = ?2, bancount, timeofban FROM bips WHERE ip = ?1";
        let mut statement = self.sqlite.prepare_cached(sql)?;
        let mut rows = statement.query(params![id.to_string(), jail])?;
        let mut past: Option<Past> = None;
        while let Some(row) = rows.next()? {
            let (Some(own), Some(count), Some(last)) = (whole(row, 0)?, whole(row, 1)?, whole(row, 2)?)
            else {
                continue;
            };
            let count = u32::try_from(count.max(0)).unwrap_or(u32::MAX);
            let past =
                past.get_or_insert(Past { count: 0, last: UnixTime::from_micros(i64::MIN), everywhere: 0 });
            past.everywhere = past.everywhere.saturating_add(count);
            if own == 1 {
                (past.count, past.last) = (count, UnixTime::from_secs(last));
            }
        }
        Ok(past)
    }
}

enum Reading {
    /// A ban in force, and how its address was written if not in our spelling.
    Running(Ban, Option<String>),
    Over,
    Nonsense,
}

fn ban(row: &Row<'_>, now: UnixTime, budget: &mut usize) -> rusqlite::Result<Reading> {
    let (Some(written), Some(time), Some(bantime), Some(count)) =
        (text(row, 1)?, whole(row, 2)?, whole(row, 3)?, whole(row, 4)?)
    else {
        return Ok(Reading::Nonsense);
    };
    let (Some(sentence), false) = (sentence(bantime), written.is_empty()) else {
        return Ok(Reading::Nonsense);
    };
    if bantime >= 0 && time.saturating_add(bantime) <= seconds(now) {
        return Ok(Reading::Over);
    }
    let json = match row.get_ref(5)? {
        ValueRef::Blob(json) | ValueRef::Text(json) => json,
        _ => &[],
    };
    let read = if json.len() <= *budget { Read::full(json) } else { Read::brief(json) };
    *budget = budget.saturating_sub(json.len());
    let id = Id::parse(written);
    let respell = (id.to_string() != written).then(|| written.to_owned());
    let ban = Ban {
        id,
        time: UnixTime::from_secs(time),
        sentence,
        count: u32::try_from(count.max(1)).unwrap_or(u32::MAX),
        failures: read.failures,
        lines: read.lines,
        data: read.data,
        restored: true,
    };
    Ok(Reading::Running(ban, respell))
}

fn counter(row: &Row<'_>) -> rusqlite::Result<Option<(Id, Record)>> {
    let (Some(id), Some(first), Some(last)) = (text(row, 0)?, whole(row, 1)?, whole(row, 2)?) else {
        return Ok(None);
    };
    let (Some(retry), Some(failures)) = (small(row, 3)?, small(row, 4)?) else { return Ok(None) };
    let ValueRef::Blob(data) = row.get_ref(5)? else { return Ok(None) };
    let Ok((lines, data)) = serde_json::from_slice(data) else { return Ok(None) };
    let (first, last) = (UnixTime::from_micros(first), UnixTime::from_micros(last));
    Ok(Some((Id::parse(id), Record { first, last, retry, failures, lines, data })))
}

/// A text column; none for anything else.
fn text<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<Option<&'a str>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Text(bytes) => str::from_utf8(bytes).ok(),
        _ => None,
    })
}

/// An integer column; none for anything else.
fn whole(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<i64>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Integer(number) => Some(number),
        _ => None,
    })
}

fn small(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u32>> {
    Ok(whole(row, column)?.and_then(|number| u32::try_from(number).ok()))
}
