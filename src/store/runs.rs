//! Failure counters on disk: each commit writes those that changed as one run of sorted bytes (`packed`), and runs are
//! merged now and then, so that each counter is written anew a few times and not with each failure, whatever else counts.
//!
//! A run is at least twice as large as all that came after it together, but for the newest ones: so a merge seldom
//! touches the large ones, and there are few. Of several runs the newest word about a counter holds.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, params};

use super::packed::{self, Changed, Parts};
use super::read::counter;
use super::{Saved, Store, StoreError};

/// More runs of a jail than this are merged, …
const MANY: usize = 32;
/// … at least so many of them, the newest.
const FEW: usize = 8;

/// What there is on disk of each jail, as far as it was looked for; oldest first.
pub(super) type Runs = HashMap<Arc<str>, Vec<Run>>;

/// One run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    number: i64,
    size: u64,
}

/// Remembers what changed.
pub(super) fn add(
    sqlite: &Connection,
    known: &mut Runs,
    jail: &Arc<str>,
    changed: Changed,
) -> rusqlite::Result<()> {
    if !known.contains_key(jail) {
        known.insert(Arc::clone(jail), find(sqlite, jail)?);
    }
    let Some(runs) = known.get_mut(jail) else { return Ok(()) };
    let number = next(runs);
    let mut writer = Writing { sqlite, jail, run: Run { number, size: 0 }, part: 0 };
    changed.pack(|part| writer.put(&part))?;
    runs.push(writer.run);
    if runs.len() > MANY {
        merge(sqlite, jail, runs)?;
    }
    Ok(())
}

fn next(runs: &[Run]) -> i64 {
    runs.last().map_or(0, |run| run.number + 1)
}

/// The runs of a jail.
fn find(sqlite: &Connection, jail: &str) -> rusqlite::Result<Vec<Run>> {
    let sql =
        "SELECT run, sum(octet_length(data)) FROM stockade_runs WHERE jail = ?1 GROUP BY run ORDER BY run";
    let run = |row: &rusqlite::Row<'_>| {
        Ok(Run { number: row.get(0)?, size: row.get::<_, Option<i64>>(1)?.unwrap_or(0).unsigned_abs() })
    };
    sqlite.prepare_cached(sql)?.query_map([jail], run)?.collect()
}

/// One run while it is written.
struct Writing<'a> {
    sqlite: &'a Connection,
    jail: &'a str,
    run: Run,
    part: i64,
}

impl Writing<'_> {
    fn put(&mut self, data: &[u8]) -> rusqlite::Result<()> {
        let sql = "INSERT INTO stockade_runs(jail, run, part, data) VALUES (?1, ?2, ?3, ?4)";
        self.sqlite.prepare_cached(sql)?.execute(params![self.jail, self.run.number, self.part, data])?;
        self.run.size += data.len() as u64;
        self.part += 1;
        Ok(())
    }
}

/// Makes one run of the newest. Once it is the oldest, too, it need not tell who counts no more.
fn merge(sqlite: &Connection, jail: &str, runs: &mut Vec<Run>) -> rusqlite::Result<()> {
    let mut from = runs.len() - FEW;
    let mut size: u64 = runs[from..].iter().map(|run| run.size).sum();
    while from > 0 && runs[from - 1].size < size.saturating_mul(2) {
        from -= 1;
        size += runs[from].size;
    }
    let mut writer = Writing { sqlite, jail, run: Run { number: next(runs), size: 0 }, part: 0 };
    let mut parts = Parts::default();
    let old = &runs[from..];
    packed::merge(
        old.len(),
        |run, number| part(sqlite, jail, old[run].number, number),
        |key, value| {
            if from > 0 || !value.is_empty() {
                parts.push(key, value);
            }
            parts.full().try_for_each(|part| writer.put(&part))
        },
    )?;
    parts.0.iter().try_for_each(|part| writer.put(part))?;
    sqlite
        .prepare_cached("DELETE FROM stockade_runs WHERE jail = ?1 AND run BETWEEN ?2 AND ?3")?
        .execute(params![jail, old[0].number, writer.run.number - 1])?;
    runs.truncate(from);
    runs.push(writer.run);
    Ok(())
}

/// A part of a run; one that is no blob makes no sense.
fn part(sqlite: &Connection, jail: &str, run: i64, part: i64) -> rusqlite::Result<Option<Vec<u8>>> {
    sqlite
        .prepare_cached("SELECT data FROM stockade_runs WHERE jail = ?1 AND run = ?2 AND part = ?3")?
        .query_row(params![jail, run, part], |row| {
            Ok(match row.get_ref(0)? {
                ValueRef::Blob(data) => data.to_vec(),
                _ => packed::NONSENSE.to_vec(),
            })
        })
        .optional()
}

impl Store {
    pub(super) fn load_counters(&mut self, jail: &str, saved: &mut Saved) -> Result<(), StoreError> {
        let runs = find(&self.sqlite, jail)?;
        let (counters, mut senseless) = (&mut saved.counters, 0);
        let odd = packed::merge(
            runs.len(),
            |run, number| part(&self.sqlite, jail, runs[run].number, number),
            |key, value| {
                if !value.is_empty() {
                    match packed::id(key).zip(packed::record(value)) {
                        Some(counter) => counters.push(counter),
                        None => senseless += 1,
                    }
                }
                Ok::<_, rusqlite::Error>(())
            },
        )?;
        saved.skipped += odd + senseless;
        Ok(())
    }
}

/// Carries over what version 1 of our tables kept in a row for each counter.
pub(super) fn take_over(sqlite: &Connection) -> rusqlite::Result<()> {
    let jails: Vec<String> = sqlite
        .prepare("SELECT DISTINCT jail FROM stockade_counters")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut statement = sqlite
        .prepare("SELECT id, first, last, retry, failures, data FROM stockade_counters WHERE jail = ?1")?;
    for jail in jails {
        let mut rows = statement.query([&jail])?;
        let mut counters = Changed::default();
        while let Some(row) = rows.next()? {
            if let Some((id, record)) = counter(row)? {
                counters.push(&id, Some(&record));
            }
        }
        add(sqlite, &mut Runs::new(), &jail.into(), counters)?;
    }
    drop(statement);
    sqlite.execute_batch("DROP TABLE stockade_counters")
}
