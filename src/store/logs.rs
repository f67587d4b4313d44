//! How far each log was read: our cursors, and Fail2Ban's table `logs` beside them, so that either program goes on
//! where the other stopped.
//!
//! With each cursor is written the row of `logs` that went with it. A row that differs later was written by a
//! Fail2Ban that ran in between: then it counts, and what our own tables say about the lines before it does not.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::read::{real, text};
use super::{Saved, Store, StoreError};
use crate::digest::Digest;
use crate::source::{Cursor, first_line, journal};
use crate::time::UnixTime;

/// So many logs of a jail are known to Fail2Ban, and so many digests are kept.
const KNOWN: usize = 4096;

/// A row of `logs`: what the file begins with, and how many bytes of it were read. Of the journal: two spellings of a
/// moment.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Position(String, f64);

impl PartialEq for Position {
    /// A moment loses its last digit on its way through JSON.
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 && (self.1 - other.1).abs() < 1e-4
    }
}

impl Position {
    fn of(row: &Row<'_>, column: usize) -> rusqlite::Result<Self> {
        let begin = text(row, column)?.unwrap_or_default().to_owned();
        Ok(Self(begin, real(row, column + 1)?.unwrap_or(0.0)))
    }
}

/// What is saved of a cursor: it, and the row of `logs` as it was left with it (an empty one: there was none).
#[derive(Serialize)]
struct Kept<'a> {
    #[serde(flatten)]
    cursor: &'a Cursor,
    theirs: Position,
}

/// The second part, when it is read back.
#[derive(Default, Deserialize)]
struct Left {
    theirs: Option<Position>,
}

/// Digests of the first lines of files, each as long as the file begins as it did.
#[derive(Debug, Default)]
pub(super) struct FirstLines(HashMap<Arc<Path>, (FileBegin, Digest, String)>);

#[derive(Debug, Clone, Copy, PartialEq)]
struct FileBegin {
    dev: u64,
    inode: u64,
    head_len: u32,
    head_hash: u64,
}

impl FirstLines {
    fn digest(&mut self, path: &Arc<Path>, cursor: &Cursor, kind: Digest) -> Option<String> {
        let Cursor { dev, inode, head_len, head_hash, .. } = *cursor;
        let begin = FileBegin { dev, inode, head_len, head_hash };
        if let Some((_, _, digest)) = self.0.get(path).filter(|(at, of, _)| (*at, *of) == (begin, kind)) {
            return Some(digest.clone());
        }
        let digest = first_line::digest(path, cursor, kind)?;
        if self.0.len() >= KNOWN {
            self.0.clear();
        }
        self.0.insert(Arc::clone(path), (begin, kind, digest.clone()));
        Some(digest)
    }
}

/// Saves a cursor, and tells Fail2Ban of it.
pub(super) fn place(
    sqlite: &Connection,
    first_lines: &mut FirstLines,
    jail: &str,
    path: &Arc<Path>,
    cursor: &Cursor,
) -> rusqlite::Result<()> {
    let theirs = tell(sqlite, first_lines, jail, path, cursor)?;
    // Numbers and flags cannot fail; were it empty, the file would be searched by date as one never seen.
    let data = serde_json::to_vec(&Kept { cursor, theirs }).unwrap_or_default();
    sqlite
        .prepare_cached(
            "INSERT OR REPLACE INTO stockade_cursors(jail, path, read_at, data) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![jail, path.as_os_str().as_bytes(), cursor.read_at.micros(), data])
        .map(drop)
}

/// Brings the row of `logs` up to date where it can be said what the file begins with; answers the row as it is then.
fn tell(
    sqlite: &Connection,
    first_lines: &mut FirstLines,
    jail: &str,
    path: &Arc<Path>,
    cursor: &Cursor,
) -> rusqlite::Result<Position> {
    let Some(name) = path.to_str() else { return Ok(Position::default()) };
    let old = sqlite
        .prepare_cached("SELECT firstlinemd5, lastfilepos FROM logs WHERE jail = ?1 AND path = ?2")?
        .query_row([jail, name], |row| Position::of(row, 0))
        .optional()?;
    let new = if let Some(place) = &cursor.journal {
        place.time().map(|time| Position(stamp(time), time.micros() as f64 / 1e6))
    } else {
        let kind = old.as_ref().map_or(Digest::Sha1, |old| Digest::spelled(&old.0));
        first_lines.digest(path, cursor, kind).map(|digest| Position(digest, cursor.offset as f64))
    };
    let Some(new) = new.filter(|new| old.as_ref() != Some(new)) else { return Ok(old.unwrap_or_default()) };
    let sql = match old {
        Some(_) => "UPDATE logs SET firstlinemd5 = ?3, lastfilepos = ?4 WHERE jail = ?1 AND path = ?2",
        None => "INSERT INTO logs(jail, path, firstlinemd5, lastfilepos) VALUES (?1, ?2, ?3, ?4)",
    };
    // A whole number becomes an integer by the column's affinity.
    sqlite.prepare_cached(sql)?.execute(params![jail, name, new.0, new.1])?;
    Ok(new)
}

fn stamp(time: UnixTime) -> String {
    jiff::Timestamp::from_microsecond(time.micros()).map_or_else(|_| String::new(), |time| time.to_string())
}

impl Store {
    /// How far each log of a jail was read, by whoever read it last; true: by Fail2Ban, after us.
    pub(super) fn load_cursors(
        &mut self,
        jail: &str,
        saved: &mut Saved,
        now: UnixTime,
    ) -> Result<bool, StoreError> {
        let mut theirs = self.their_positions(jail)?;
        let mut outdated = false;
        let mut statement =
            self.sqlite.prepare_cached("SELECT path, data FROM stockade_cursors WHERE jail = ?1")?;
        let mut rows = statement.query([jail])?;
        while let Some(row) = rows.next()? {
            let (ValueRef::Blob(path), ValueRef::Blob(json)) = (row.get_ref(0)?, row.get_ref(1)?) else {
                saved.skipped += 1;
                continue;
            };
            let path = Path::new(OsStr::from_bytes(path));
            let Ok(cursor) = serde_json::from_slice(json) else {
                saved.skipped += 1;
                continue;
            };
            let left: Left = serde_json::from_slice(json).unwrap_or_default();
            let position = theirs.remove(path);
            match (position, left.theirs) {
                (Some(position), Some(left)) if position != left => {
                    outdated = true;
                    theirs.insert(path.to_owned(), position);
                }
                _ => saved.cursors.push((path.into(), cursor)),
            }
        }
        let found = theirs.into_iter().filter_map(|(path, position)| {
            let cursor = found(&path, &position, now)?;
            Some((path.into(), cursor))
        });
        saved.cursors.extend(found);
        Ok(outdated)
    }

    fn their_positions(&self, jail: &str) -> Result<BTreeMap<PathBuf, Position>, StoreError> {
        let mut statement = self.sqlite.prepare_cached(
            "SELECT path, firstlinemd5, lastfilepos FROM logs
               WHERE jail = ?1 AND octet_length(path) <= 4096 AND octet_length(firstlinemd5) <= 128 LIMIT ?2",
        )?;
        let mut rows = statement.query(params![jail, KNOWN as i64])?;
        let mut positions = BTreeMap::new();
        while let Some(row) = rows.next()? {
            if let Some(path) = text(row, 0)? {
                positions.insert(PathBuf::from(path), Position::of(row, 1)?);
            }
        }
        Ok(positions)
    }
}

/// Where Fail2Ban stopped; none: nothing is there that begins as it did, and the log is read as one never seen.
fn found(path: &Path, Position(begin, position): &Position, now: UnixTime) -> Option<Cursor> {
    if path.as_os_str() == journal::PATH {
        let time = UnixTime::from_micros((position * 1e6) as i64);
        let place = (*position > 0.0).then(|| Box::new(journal::Place::after(time)))?;
        return Some(Cursor { read_at: now, journal: Some(place), ..Cursor::default() });
    }
    first_line::find(path, begin, *position as u64, now)
}
