//! What a jail reads: `logs`, and the keys of the journal.

use glob::Pattern;

use super::layer::At;
use super::value::{self, Notes, Shape, Slot, Table};
use super::{JournalOptions, LogPath, Start};
use crate::source::Format;
use crate::source::journal::Matches;
use figment::value::Value;

pub(super) const STARTS: &[(&str, Start)] =
    &[("find-time", Start::FindTime), ("beginning", Start::Beginning), ("end", Start::End)];

const FORMATS: &[(&str, Format)] = &[("plain", Format::Plain), ("docker", Format::Docker)];

/// Which of both is read, where a jail has both.
const PREFERRED: &[(&str, bool)] = &[("journal", false), ("logs", true)];

/// The keys that say what is read; they have no default.
pub(super) const KEYS: &[&str] =
    &["logs", "journal", "journal_path", "journal_files", "journal_namespace", "prefer"];

/// What a jail reads.
#[derive(Default)]
pub(super) struct Reads {
    pub(super) logs: Vec<LogPath>,
    pub(super) journal: Option<JournalOptions>,
}

impl Reads {
    pub(super) fn anything(&self) -> bool {
        !self.logs.is_empty() || self.journal.is_some()
    }
}

/// Where the first of these keys stands.
pub(super) fn at(table: &Table) -> Option<At> {
    KEYS.iter().find_map(|key| table.peek(key))
}

pub(super) fn read(table: &mut Table, start: Start, notes: &mut Notes<'_>) -> Reads {
    let logs = table.list(notes, "logs", Shape::Words, |slot| log(slot, start)).unwrap_or_default();
    let logs: Vec<_> = logs.into_iter().map(|(log, _)| log).collect();
    let matches = table.list(notes, "journal", Shape::WordsOrOne, |slot| {
        let line = value::text(slot)?;
        Matches::parse(std::slice::from_ref(&line)).map_err(|error| error.to_string())
    });
    let further = KEYS[2..].iter().find_map(|key| table.peek(key));
    let path = table.get(notes, "journal_path", value::path);
    let files = table.list(notes, "journal_files", Shape::Words, |slot| {
        let pattern = value::text(slot)?;
        glob(value::absolute(&pattern)?)?;
        Ok(pattern)
    });
    let namespace = table.get(notes, "journal_namespace", value::text);
    let instead_of_files = table.get(notes, "prefer", |slot| value::word(slot, PREFERRED));
    if let (None, Some(at), false) = (&matches, further, notes.wrong()) {
        notes.note(
            &at,
            "says more about a journal that is not read: `journal = [\"FIELD=value\"]` is missing",
        );
    }
    let matches = matches.unwrap_or_default();
    let journal = (!matches.is_empty()).then(|| JournalOptions {
        matches: Matches::any_of(matches.into_iter().map(|(matches, _)| matches)),
        path,
        files: files.unwrap_or_default().into_iter().map(|(pattern, _)| pattern).collect(),
        namespace,
        flags: 0,
        start,
        instead_of_files: instead_of_files.unwrap_or_default(),
    });
    Reads { logs, journal }
}

/// A path or glob, alone or as `{ path = "…", start = "…", format = "…" }`.
fn log(slot: &Slot, start: Start) -> Result<LogPath, String> {
    const NAMES: [&str; 3] = ["path", "start", "format"];
    let (pattern, start, format) = match &slot.value {
        Value::String(_, path) => (path.clone(), start, None),
        Value::Dict(_, dict) => {
            if let Some(name) = dict.keys().find(|name| !NAMES.contains(&name.as_str())) {
                return Err(format!("unknown key {name:?}: known are path, start and format"));
            }
            let path = dict.get("path").ok_or("has no path")?;
            let own = dict.get("start").map(|value| value::word(&slot.with(value), STARTS)).transpose()?;
            let format = dict.get("format").map(|value| value::word(&slot.with(value), FORMATS));
            (value::text(&slot.with(path))?, own.unwrap_or(start), format.transpose()?)
        }
        other => return Err(value::wrong_type(other, "a path or { path = \"…\", start = \"…\" }")),
    };
    glob(value::absolute(&pattern)?)?;
    let format = format.unwrap_or_else(|| Format::by_name(&pattern));
    Ok(LogPath { pattern, start, format })
}

fn glob(pattern: &str) -> Result<(), String> {
    Pattern::new(pattern).map(|_| ()).map_err(|error| format!("{pattern:?} is no glob: {}", error.msg))
}
