//! Where lines come from: files that are rotated, truncated, replaced and not there yet.
//!
//! Edge: file I/O behind plain types, no actors. The shell is [`crate::actor::tailer`].
//!
//! From the outside in: [`files`] (all files of all jails) → [`readers`] (one path, who reads it together)
//! → [`follow`] (one reader: rotations, truncations) → `log` (one open file) with `head`, `rotated`, `search`.

pub mod docker;
pub mod files;
pub mod first_line;
pub mod follow;
mod head;
pub mod journal;
mod log;
mod paths;
pub mod readers;
mod rotated;
mod search;
mod spare;
mod tail;

#[cfg(test)]
mod model;

pub use paths::log_files;

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::time::UnixTime;

/// A place in a file that can be found again after a restart and a rotation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Device number of the file.
    pub dev: u64,
    /// Inode number of the file.
    pub inode: u64,
    /// Bytes read: the start of the next line.
    pub offset: u64,
    /// How many bytes of the file's head the hash is of (≤ 4096).
    pub head_len: u32,
    /// A hash of the head, stable between runs.
    pub head_hash: u64,
    /// Whether the file has once been read to its end.
    pub live: bool,
    /// When the block before this place was read; if that block did not reach the file's end, an earlier moment:
    /// nothing behind this place was written before it.
    pub read_at: UnixTime,
    /// The file that was rotated away just before, while writers may still hold it.
    #[serde(default)]
    pub before: Option<Box<Cursor>>,
    /// Lines of a container that were begun before this place and are not ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unfinished: Vec<docker::Unfinished>,
    /// How far the journal was handled, where this is no file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<Box<journal::Place>>,
}

/// Where reading begins in a file that is seen for the first time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// At the first line younger than `find_time`, found by its date.
    #[default]
    FindTime,
    /// At the first line.
    Beginning,
    /// At the end.
    End,
}

/// How the lines of a file are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// As they are.
    #[default]
    Plain,
    /// As Docker's `json-file` driver writes them.
    Docker,
}

impl Format {
    /// What a name says: Docker calls its files `ID-json.log`.
    pub fn by_name(path: &str) -> Self {
        if path.ends_with("-json.log") { Self::Docker } else { Self::Plain }
    }
}

/// How a file is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Manner {
    /// Where reading begins when it is seen for the first time.
    pub start: Start,
    /// How its lines are written.
    pub format: Format,
}

impl From<Start> for Manner {
    fn from(start: Start) -> Self {
        Self { start, format: Format::Plain }
    }
}

/// Whole lines of one file, read at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The file as the jail names it.
    pub path: Arc<Path>,
    /// The lines, each ended by `\n`; longer ones are cut to [`LINE_CAP`].
    pub text: Vec<u8>,
    /// Where each line ends; of a small block that is not looked for.
    pub ends: Vec<u32>,
    /// The place behind the last line.
    pub end: Cursor,
    /// When it was read.
    pub read_at: UnixTime,
    /// The earliest moment at which its lines can have been written, as far as known: see `Reading::since`.
    pub since: UnixTime,
    /// Whether the lines were written while this file was watched (SPEC "in operation").
    pub live: bool,
    /// How many lines were cut.
    pub cut: u32,
    /// The moment of each line, where the source knows it better than a date in the text (the journal, containers'
    /// logs); empty: it does not.
    pub times: Vec<UnixTime>,
}

/// Of smaller blocks it is not looked for where their lines end.
const LARGE: usize = 64 * 1024;

fn ends_of(text: &[u8]) -> Vec<u32> {
    let mut ends = Vec::new();
    if text.len() >= LARGE {
        crate::filter::line_ends(text, &mut ends);
    }
    ends
}

/// A line is cut behind this many bytes; the rest is thrown away up to its end.
pub const LINE_CAP: usize = 64 * 1024;

impl Block {
    /// The lines without their ends (`\n`, `\r\n`).
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.text[..];
        std::iter::from_fn(move || {
            let end = memchr::memchr(b'\n', rest)?;
            let line = &rest[..end];
            rest = &rest[end + 1..];
            Some(line.strip_suffix(b"\r").unwrap_or(line))
        })
    }
}
