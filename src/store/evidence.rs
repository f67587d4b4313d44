//! What action commands need of the history: what led to earlier bans, and which bans they have not been told of.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};

use super::row::{DATA_CAP, Read};
use super::{Saved, Store, StoreError};
use crate::action::template::Evidence;
use crate::id::Id;

/// Earlier bans that are looked at, the newest.
const BANS: u32 = 1000;

impl Store {
    /// What led to the bans of an address, in all jails or in one: the newest lines in their order, as many as are kept
    /// of one ban, and all failures.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn evidence(&mut self, id: &Id, jail: Option<&str>) -> Result<Evidence, StoreError> {
        let mut statement = self.sqlite.prepare_cached(
            "SELECT CASE WHEN octet_length(data) <= ?4 THEN data END FROM bans WHERE ip = ?1 AND (?2 IS NULL OR jail = ?2)
               ORDER BY timeofban DESC, rowid DESC LIMIT ?3",
        )?;
        let mut rows = statement.query(params![id.to_string(), jail, BANS, DATA_CAP as i64])?;
        let mut evidence = Evidence::default();
        while let Some(row) = rows.next()? {
            let json = match row.get_ref(0)? {
                ValueRef::Blob(json) | ValueRef::Text(json) => json,
                _ => &[],
            };
            let read = if evidence.lines.len() < self.matches { Read::full(json) } else { Read::brief(json) };
            evidence.failures += u64::from(read.failures);
            let room = self.matches - evidence.lines.len();
            evidence.lines.extend(read.lines.into_iter().rev().take(room));
        }
        evidence.lines.reverse();
        Ok(evidence)
    }

    /// Which of the bans that were loaded the jail's commands have not all been run for. Others are forgotten.
    pub(super) fn load_untold(&self, jail: &str, saved: &mut Saved) -> Result<(), StoreError> {
        let mut statement = self.sqlite.prepare_cached("SELECT id FROM stockade_untold WHERE jail = ?1")?;
        let untold = statement.query_map([jail], |row| row.get::<_, String>(0))?;
        for id in untold {
            saved.untold.push(Id::parse(&id?));
        }
        Ok(())
    }
}

/// Commands are to be run for this ban, or have been.
pub(super) fn tell(sqlite: &Connection, jail: &str, id: &Id, untold: bool) -> rusqlite::Result<()> {
    let sql = if untold {
        "INSERT OR IGNORE INTO stockade_untold(jail, id) VALUES (?1, ?2)"
    } else {
        "DELETE FROM stockade_untold WHERE jail = ?1 AND id = ?2"
    };
    sqlite.prepare_cached(sql)?.execute(params![jail, id.to_string()]).map(drop)
}
