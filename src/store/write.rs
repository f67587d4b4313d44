//! Everything that changes the database.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::evidence::tell;
use super::logs::place;
use super::packed::Changed;
use super::row::{Data, bantime, seconds};
use super::runs;
use super::{Entry, Store, StoreError};
use crate::id::Id;
use crate::jail::Ban;
use crate::time::UnixTime;

/// A commit of more entries than this gets a larger page cache while it lasts: bans go into indices. Counters are written
/// one behind the other, and need none.
const LARGE: usize = 1000;

/// A flood of counters becomes several runs of so many bytes, rather than one in memory as a whole.
const RUN: usize = 1024 * 1024;

/// How long the place in a file that nobody writes any more is kept.
const CURSOR_AGE: Duration = Duration::from_secs(400 * 86_400);

/// At most this many rows of a table go in one [`Store::purge`], so that no commit waits long behind it.
pub(super) const PURGED_AT_ONCE: u32 = 20_000;

const HISTORY: &str = "INSERT INTO bans(jail, ip, timeofban, bantime, bancount, data)
 VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
/// An upsert leaves alone the indices of columns that stay; REPLACE would not.
const LAST: &str = "INSERT INTO bips(jail, ip, timeofban, bantime, bancount, data)
 VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT(ip, jail) DO UPDATE SET
 timeofban = excluded.timeofban, bantime = excluded.bantime, bancount = excluded.bancount, data = excluded.data";

impl Store {
    /// So many lines of a ban are kept from now on, the newest; none with 0.
    pub fn keep_matches(&mut self, matches: usize) {
        self.matches = matches;
    }

    /// Remembers all entries in one transaction, in their order.
    ///
    /// A commit with a ban or a pardon is on the disk when this returns. One of cursors and counters alone is safe
    /// from a kill; after a power cut it may be missing as a whole, and the lines behind its cursor are read again.
    ///
    /// # Errors
    /// Nothing of it is remembered: the database is locked or damaged, or the disk is full.
    pub fn commit<'a>(&mut self, entries: impl IntoIterator<Item = &'a Entry>) -> Result<(), StoreError> {
        let entries: Vec<&Entry> = entries.into_iter().collect();
        if entries.is_empty() {
            return Ok(());
        }
        self.set_durable(
            entries.iter().any(|entry| {
                matches!(entry, Entry::Banned(..) | Entry::Prolonged(..) | Entry::Forgotten(..))
            }),
        )?;
        if entries.len() <= LARGE {
            return self.try_to(&entries);
        }
        self.sqlite.execute_batch("PRAGMA cache_size = -2048")?;
        let committed = self.try_to(&entries);
        self.sqlite.execute_batch("PRAGMA cache_size = -512; PRAGMA shrink_memory")?;
        committed
    }

    pub(super) fn set_durable(&mut self, durable: bool) -> Result<(), StoreError> {
        if self.durable != durable {
            self.sqlite.pragma_update(None, "synchronous", if durable { "FULL" } else { "NORMAL" })?;
            self.durable = durable;
        }
        Ok(())
    }

    fn try_to(&mut self, entries: &[&Entry]) -> Result<(), StoreError> {
        self.transact(entries).inspect_err(|_| self.runs.clear())
    }

    fn transact(&mut self, entries: &[&Entry]) -> Result<(), StoreError> {
        let transaction = self.sqlite.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut new: Vec<Arc<str>> = Vec::new();
        let mut bans = Bans::new(&transaction, self.matches);
        let mut counters: Vec<(&Arc<str>, Changed)> = Vec::new();
        for entry in entries {
            if let Entry::Banned(jail, _) | Entry::Prolonged(jail, _) | Entry::Cursor(jail, ..) = entry
                && !self.known.contains(jail)
                && !new.contains(jail)
            {
                transaction
                    .prepare_cached("INSERT OR IGNORE INTO jails(name, enabled) VALUES (?1, 1)")?
                    .execute([jail])?;
                new.push(Arc::clone(jail));
            }
            match entry {
                Entry::Banned(_, ban) if ban.restored => {}
                Entry::Banned(jail, ban) => bans.push(jail, ban, true)?,
                Entry::Prolonged(jail, ban) => bans.push(jail, ban, false)?,
                Entry::Forgotten(jail, id) => {
                    bans.flush()?;
                    forget(&transaction, jail, id.as_ref())?;
                }
                Entry::Untold(jail, id) => tell(&transaction, jail, id, true)?,
                Entry::Told(jail, id) => tell(&transaction, jail, id, false)?,
                Entry::Counter(jail, id, record) => of(&mut counters, jail).push(id, record.as_ref()),
                Entry::Counters(jail, dirty) => {
                    let changed = of(&mut counters, jail);
                    for (id, record) in dirty.iter() {
                        changed.push(&id, record.as_ref());
                        if changed.size() > RUN {
                            runs::add(&transaction, &mut self.runs, jail, std::mem::take(changed))?;
                        }
                    }
                }
                Entry::State(jail, state) => {
                    transaction
                        .prepare_cached("INSERT OR REPLACE INTO stockade_state(jail, data) VALUES (?1, ?2)")?
                        .execute(params![jail, state])?;
                }
                Entry::Waiting(jail, waiting) => {
                    transaction
                        .prepare_cached(
                            "INSERT OR REPLACE INTO stockade_waiting(jail, data) VALUES (?1, ?2)",
                        )?
                        .execute(params![jail, waiting])?;
                }
                Entry::Cursor(jail, path, cursor) => {
                    place(&transaction, &mut self.first_lines, jail, path, cursor)?;
                }
            }
        }
        bans.flush()?;
        drop(bans);
        for (jail, changed) in counters.into_iter().filter(|(_, changed)| changed.size() > 0) {
            runs::add(&transaction, &mut self.runs, jail, changed)?;
        }
        transaction.commit()?;
        self.known.extend(new);
        Ok(())
    }

    /// Writes down which jails run: the given ones are enabled, all others are not.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn jails(&mut self, names: &[Arc<str>]) -> Result<(), StoreError> {
        let transaction = self.sqlite.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute("UPDATE jails SET enabled = 0 WHERE enabled <> 0", [])?;
        for name in names {
            transaction
                .prepare_cached(
                    "INSERT INTO jails(name, enabled) VALUES (?1, 1) ON CONFLICT(name) DO UPDATE SET enabled = 1",
                )?
                .execute([name])?;
        }
        transaction.commit()?;
        self.known.extend(names.iter().cloned());
        Ok(())
    }

    /// Removes history older than `age`, last bans that are long over, and disabled jails of which nothing is left.
    /// Answers how many rows went; at 20 000 or more there may be others, for the next call.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn purge(&mut self, now: UnixTime, age: Duration) -> Result<u64, StoreError> {
        self.set_durable(false)?;
        let transaction = self.sqlite.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let before = seconds(now - age);
        // The list of names lets the index (jail, timeofban, ip) be used.
        let mut gone = transaction.execute(
            "DELETE FROM bans WHERE rowid IN (SELECT rowid FROM bans
               WHERE jail IN (SELECT name FROM jails) AND timeofban < ?1 LIMIT ?2)",
            params![before, PURGED_AT_ONCE],
        )?;
        // Thrice the time of a ban is kept for those who come again.
        gone += transaction.execute(
            "DELETE FROM bips WHERE rowid IN (SELECT rowid FROM bips
               WHERE timeofban < ?1 AND bantime <> -1 AND timeofban + 3 * bantime < ?1 LIMIT ?2)",
            params![before, PURGED_AT_ONCE],
        )?;
        gone += purge_jails(&transaction, (now - age).micros())?;
        transaction.execute(
            "DELETE FROM stockade_inherited WHERE NOT EXISTS
               (SELECT 1 FROM bips WHERE bips.ip = id AND bips.jail = stockade_inherited.jail
                  AND bips.timeofban = stockade_inherited.timeofban)",
            [],
        )?;
        gone += transaction
            .execute("DELETE FROM stockade_cursors WHERE read_at < ?1", [(now - CURSOR_AGE).micros()])?;
        transaction.commit()?;
        self.known.clear();
        self.runs.clear();
        if gone > 0 {
            // Each step gives one page back; a file that Fail2Ban made gives none, and uses them again.
            let mut vacuum = self.sqlite.prepare_cached("PRAGMA incremental_vacuum(2000)")?;
            let mut pages = vacuum.query([])?;
            while pages.next()?.is_some() {}
        }
        Ok(gone as u64)
    }
}

/// A jail that is disabled and was last read before `before` keeps neither cursors nor counters: the one without the
/// other would count lines twice. Without bans it goes itself.
fn purge_jails(sqlite: &Connection, before: i64) -> rusqlite::Result<usize> {
    let mut gone = 0;
    for table in
        ["stockade_runs", "stockade_untold", "stockade_state", "stockade_waiting", "stockade_cursors"]
    {
        gone += sqlite.execute(
            &format!(
                "DELETE FROM {table} WHERE jail NOT IN (SELECT name FROM jails WHERE enabled <> 0)
                   AND jail NOT IN (SELECT jail FROM stockade_cursors WHERE read_at >= ?1)"
            ),
            [before],
        )?;
    }
    Ok(gone
        + sqlite.execute(
            "DELETE FROM jails WHERE enabled = 0
               AND NOT EXISTS (SELECT 1 FROM bans WHERE bans.jail = name)
               AND name NOT IN (SELECT jail FROM bips)",
            [],
        )?)
}

/// Bans on their way into the tables.
struct Bans<'a> {
    sqlite: &'a Connection,
    rows: Vec<(&'a str, &'a Ban)>,
    /// Whether these are bans (history too) or prolongations (last ban only).
    history: bool,
    /// So many lines of each are kept.
    matches: usize,
}

impl<'a> Bans<'a> {
    fn new(sqlite: &'a Connection, matches: usize) -> Self {
        Self { sqlite, rows: Vec::new(), history: true, matches }
    }

    fn push(&mut self, jail: &'a str, ban: &'a Ban, history: bool) -> rusqlite::Result<()> {
        if self.history != history {
            self.flush()?;
            self.history = history;
        }
        self.rows.push((jail, ban));
        Ok(())
    }

    /// Writes in the order of the addresses and one table after the other: neighbours share the pages of the four
    /// indices, which takes a quarter off a large commit. (Many rows to a statement gained nothing.)
    fn flush(&mut self) -> rusqlite::Result<()> {
        self.rows.sort_by(|(_, one), (_, other)| one.id.cmp(&other.id));
        for sql in [self.history.then_some(HISTORY), Some(LAST)].into_iter().flatten() {
            let mut statement = self.sqlite.prepare_cached(sql)?;
            for (jail, ban) in &self.rows {
                statement.execute(params![
                    jail,
                    ban.id.to_string(),
                    seconds(ban.time),
                    bantime(ban.sentence),
                    ban.count,
                    if self.history {
                        Data { ban, matches: self.matches }.json()
                    } else {
                        self.prolonged(jail, ban)?
                    }
                ])?;
            }
        }
        self.rows.clear();
        Ok(())
    }

    /// The data of a ban whose row is there already: what did not change stays as it was written.
    fn prolonged(&self, jail: &str, ban: &Ban) -> rusqlite::Result<Vec<u8>> {
        let data = Data { ban, matches: self.matches };
        let old = self
            .sqlite
            .prepare_cached("SELECT data FROM bips WHERE ip = ?1 AND jail = ?2")?
            .query_row(params![ban.id.to_string(), jail], |row| {
                Ok(row.get_ref(0)?.as_bytes_or_null().ok().flatten().map(<[u8]>::to_vec))
            })
            .optional()?
            .flatten();
        Ok(match old {
            Some(old) => data.changed(&old).unwrap_or(old),
            None => data.json(),
        })
    }
}

/// Whatever is remembered of one address in a jail, or of all.
fn forget(sqlite: &Connection, jail: &str, id: Option<&Id>) -> rusqlite::Result<()> {
    for table in ["bans", "bips"] {
        match id {
            Some(id) => sqlite
                .prepare_cached(&format!("DELETE FROM {table} WHERE jail = ?1 AND ip = ?2"))?
                .execute(params![jail, id.to_string()])?,
            None => {
                sqlite.prepare_cached(&format!("DELETE FROM {table} WHERE jail = ?1"))?.execute([jail])?
            }
        };
    }
    Ok(())
}

/// What changed of this jail's counters.
fn of<'c, 'j>(counters: &'c mut Vec<(&'j Arc<str>, Changed)>, jail: &'j Arc<str>) -> &'c mut Changed {
    let known = counters.iter().position(|(name, _)| *name == jail);
    let at = known.unwrap_or_else(|| {
        counters.push((jail, Changed::default()));
        counters.len() - 1
    });
    &mut counters[at].1
}
