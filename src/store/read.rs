//! Everything that is read back.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::str;

use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension, Row, TransactionBehavior, params};

use super::row::{DATA_CAP, Read, seconds, sentence};
use super::upgrade::UNKNOWN;
use super::{Saved, Store, StoreError};
use crate::id::Id;
use crate::jail::{Ban, Past};
use crate::sentence::Sentence;
use crate::time::UnixTime;
use crate::tracker::Record;

/// So many bytes of a jail's ban data are read with their lines; the bans behind them come without, however many there
/// are.
const LINES_BUDGET: usize = 4 << 20;

/// So many bans are handed over at once.
const PART: usize = 2000;

/// For so many seconds after its end a ban may still be in a firewall.
const LINGERS: i64 = 90;

/// Whether a ban keeps its own end.
const INHERITED: &str = "EXISTS (SELECT 1 FROM stockade_inherited AS old
    WHERE old.jail = bips.jail AND old.id = bips.ip AND old.timeofban = bips.timeofban)";

/// No address and no jail has a longer name.
const LONGEST_NAME: i64 = 1000;

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
        self.load_into(jails, now, usize::MAX, &mut |_, _| {})?.into_iter().collect()
    }

    /// As [`Store::load_all`], but most bans are handed over while the others are read: in parts that have nothing else,
    /// each with the place of its jail. What is wrong with one jail's rest costs that jail alone.
    ///
    /// # Errors
    /// Bans cannot be read.
    pub fn load_in_parts(
        &mut self,
        jails: &[&str],
        now: UnixTime,
        each: &mut dyn FnMut(usize, Saved),
    ) -> Result<Vec<Result<Saved, StoreError>>, StoreError> {
        self.load_into(jails, now, PART, each)
    }

    fn load_into(
        &mut self,
        jails: &[&str],
        now: UnixTime,
        size: usize,
        each: &mut dyn FnMut(usize, Saved),
    ) -> Result<Vec<Result<Saved, StoreError>>, StoreError> {
        let mut all: Vec<Saved> = jails.iter().map(|_| Saved::default()).collect();
        self.load_bans(jails, &mut all, now, size, each)?;
        let rest = |(jail, saved): (&&str, Saved)| self.load_rest(jail, saved, now);
        Ok(jails.iter().zip(all).map(rest).collect())
    }

    /// All but the bans.
    fn load_rest(&mut self, jail: &str, mut saved: Saved, now: UnixTime) -> Result<Saved, StoreError> {
        self.load_counters(jail, &mut saved)?;
        self.load_untold(jail, &mut saved)?;
        saved.state = self.load_blob("SELECT data FROM stockade_state WHERE jail = ?1", jail, &mut saved)?;
        saved.waiting =
            self.load_blob("SELECT data FROM stockade_waiting WHERE jail = ?1", jail, &mut saved)?;
        if self.load_cursors(jail, &mut saved, now)? {
            self.drop_outdated(jail, &mut saved)?;
        }
        Ok(saved)
    }

    /// Bans in the order of their time, which is that of an index and of the rows, nearly.
    fn load_bans(
        &mut self,
        jails: &[&str],
        all: &mut [Saved],
        now: UnixTime,
        size: usize,
        each: &mut dyn FnMut(usize, Saved),
    ) -> Result<(), StoreError> {
        let places: HashMap<&str, usize> = jails.iter().zip(0..).map(|(jail, n)| (*jail, n)).collect();
        // One jail's name needs no hash.
        let place = |jail: &str| match jails {
            [only] => (jail == *only).then_some(0),
            _ => places.get(jail).copied(),
        };
        let mut budgets = vec![LINES_BUDGET; jails.len()];
        let mut respell: Vec<(String, Id, usize)> = Vec::new();
        {
            let any_inherited: bool =
                self.sqlite
                    .query_row("SELECT EXISTS (SELECT 1 FROM stockade_inherited)", [], |row| row.get(0))?;
            let inherited = if any_inherited { INHERITED } else { "0" };
            let mut statement = self.sqlite.prepare_cached(&format!(
                "SELECT CASE WHEN octet_length(jail) <= ?2 THEN jail END, CASE WHEN octet_length(ip) <= ?2 THEN ip END,
                   timeofban, bantime, bancount, CASE WHEN octet_length(data) <= ?1 THEN data END, {inherited}
                 FROM bips ORDER BY timeofban"
            ))?;
            let mut rows = statement.query(params![DATA_CAP as i64, LONGEST_NAME])?;
            while let Some(row) = rows.next()? {
                let Some(place) = text(row, 0)?.and_then(place) else { continue };
                let saved = &mut all[place];
                match ban(row, now, &mut budgets[place])? {
                    Reading::Running(ban, term, written) => {
                        match term {
                            Term::Usual => {}
                            Term::Inherited => saved.inherited.push(ban.id.clone()),
                            Term::Unknown => saved.timeless.push(ban.id.clone()),
                        }
                        respell.extend(written.map(|written| (written, ban.id.clone(), place)));
                        saved.bans.push(ban);
                        if saved.bans.len() >= size {
                            let bans = std::mem::replace(&mut saved.bans, Vec::with_capacity(size));
                            let inherited = std::mem::take(&mut saved.inherited);
                            let timeless = std::mem::take(&mut saved.timeless);
                            each(place, Saved { bans, inherited, timeless, ..Saved::default() });
                        }
                    }
                    Reading::Over(id) => saved.over.extend(id),
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
                "UPDATE OR REPLACE stockade_inherited SET id = ?3 WHERE jail = ?1 AND id = ?2",
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

    /// Fail2Ban ran in between: the filter's state belongs to other lines, who was banned meanwhile is no longer about to
    /// be, and a ban that waited for its time may have been lifted since.
    fn drop_outdated(&mut self, jail: &str, saved: &mut Saved) -> Result<(), StoreError> {
        (saved.state, saved.waiting) = (None, None);
        let sql = "SELECT timeofban FROM bips WHERE jail = ?1 AND ip = ?2";
        let mut statement = self.sqlite.prepare_cached(sql)?;
        let mut counters = Vec::new();
        for (id, record) in std::mem::take(&mut saved.counters) {
            let banned =
                statement.query_row(params![jail, id.to_string()], |row| real(row, 0)).optional()?.flatten();
            if banned.is_none_or(|banned| banned < seconds(record.last) as f64) {
                counters.push((id, record));
            }
        }
        saved.counters = counters;
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
    /// A ban in force, what its time is worth, and how its address was written if not in our spelling.
    Running(Ban, Term, Option<String>),
    /// A ban that is over, and whose if that is so since a moment ago.
    Over(Option<Id>),
    Nonsense,
}

/// What the time of a ban is worth.
enum Term {
    /// It is written down.
    Usual,
    /// It is written down, and counts whatever the jail says.
    Inherited,
    /// It is the jail's.
    Unknown,
}

fn ban(row: &Row<'_>, now: UnixTime, budget: &mut usize) -> rusqlite::Result<Reading> {
    let (Some(written), Some(time), Some(bantime), Some(count)) =
        (text(row, 1)?, moment(row, 2)?, real(row, 3)?, whole(row, 4)?)
    else {
        return Ok(Reading::Nonsense);
    };
    let bantime = bantime as i64;
    let (term, sentence) = match sentence(bantime) {
        Some(sentence) if whole(row, 6)? == Some(1) => (Term::Inherited, sentence),
        Some(sentence) => (Term::Usual, sentence),
        None if bantime == UNKNOWN => (Term::Unknown, Sentence(None)),
        None => return Ok(Reading::Nonsense),
    };
    if written.is_empty() {
        return Ok(Reading::Nonsense);
    }
    let since = seconds(now).saturating_sub(seconds(time).saturating_add(bantime));
    if bantime >= 0 && since >= 0 {
        return Ok(Reading::Over((since <= LINGERS).then(|| spelled(written).0)));
    }
    let json = match row.get_ref(5)? {
        ValueRef::Blob(json) | ValueRef::Text(json) => json,
        _ => &[],
    };
    let read = if json.len() <= *budget { Read::full(json) } else { Read::brief(json) };
    *budget = budget.saturating_sub(json.len());
    let (id, respell) = spelled(written);
    let ban = Ban {
        id,
        time,
        sentence,
        count: u32::try_from(count.max(1)).unwrap_or(u32::MAX),
        failures: read.failures,
        lines: read.lines,
        data: read.data,
        restored: true,
    };
    Ok(Reading::Running(ban, term, respell))
}

/// Who is meant, and what is written where that is not our spelling.
fn spelled(written: &str) -> (Id, Option<String>) {
    if let Ok(four) = written.parse::<Ipv4Addr>() {
        // There is one way only, and most are this.
        return (Id::Net(IpAddr::V4(four).into()), None);
    }
    let id = Id::parse(written);
    let respell = (id.to_string() != written).then(|| written.to_owned());
    (id, respell)
}

/// A counter as version 1 of our tables kept it.
pub(super) fn counter(row: &Row<'_>) -> rusqlite::Result<Option<(Id, Record)>> {
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
pub(super) fn text<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<Option<&'a str>> {
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

/// A number column; none for anything else. Older versions of Fail2Ban wrote fractions.
pub(super) fn real(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<f64>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Integer(number) => Some(number as f64),
        ValueRef::Real(number) => Some(number),
        _ => None,
    })
}

/// A column of seconds since the epoch; none for anything else.
fn moment(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<UnixTime>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Integer(secs) => Some(UnixTime::from_secs(secs)),
        ValueRef::Real(secs) => Some(UnixTime::from_micros((secs * 1e6) as i64)),
        _ => None,
    })
}

fn small(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u32>> {
    Ok(whole(row, column)?.and_then(|number| u32::try_from(number).ok()))
}
