//! Where a file went when it was rotated: names of rotated files, and the search for a saved place among them.

use std::cmp::Ordering;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::Cursor;
use super::log::{FileId, Log};
use crate::time::UnixTime;

/// How many names of a directory are looked at, and how many files of those.
const NAMES: usize = 10_000;
const FILES: usize = 256;

/// So many files of a trail are opened at once; a longer one is followed from its last file on.
pub(super) const TRAIL: usize = 4;

/// What the name of a rotated file says about its age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Age {
    /// `mail.log.3`: the higher, the older.
    Number(u64),
    /// `mail.log-20261123`: the higher, the younger.
    Date(String),
}

impl Age {
    /// Less: this was rotated before the other; none: the names do not tell.
    fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Number(this), Self::Number(other)) => Some(other.cmp(this)),
            (Self::Date(this), Self::Date(other)) => Some(this.cmp(other)),
            _ => None,
        }
    }
}

/// The files that this one may be a rotated version of, each with what the name says about its age:
/// `mail.log.1`, `mail.log-20261123`, `mail-20261123.log` and (packed) `mail.log.2.gz` are of `mail.log`.
pub(super) fn originals(name: &str) -> Vec<(String, Age)> {
    let name = unpacked(name);
    let mut found = Vec::new();
    splits(name, |base, age| found.push((base.to_owned(), age)));
    if let Some((inner, extension)) = name.rsplit_once('.')
        && extension.starts_with(|c: char| c.is_ascii_alphabetic())
    {
        splits(inner, |base, age| found.push((format!("{base}.{extension}"), age)));
    }
    found
}

/// Each way to split off an end of digits (`.1`, `-20261123`, `-2026-11-23_14`). Only a dot makes a number:
/// `web-1.log` is the log of the first `web`.
fn splits(name: &str, mut found: impl FnMut(&str, Age)) {
    for (at, _) in name.rmatch_indices(['.', '-', '_']) {
        let tail = &name[at + 1..];
        let digits = tail.bytes().filter(u8::is_ascii_digit).count();
        if !tail.starts_with(|c: char| c.is_ascii_digit()) {
            if tail.is_empty() {
                continue;
            }
            break;
        }
        if !tail.bytes().all(|c| c.is_ascii_digit() || b"-._:T".contains(&c)) {
            break;
        }
        if at == 0 {
            continue;
        }
        match tail.parse() {
            Ok(number) if digits < 6 && name[at..].starts_with('.') => {
                found(&name[..at], Age::Number(number));
            }
            _ if digits >= 6 => found(&name[..at], Age::Date(tail.to_owned())),
            _ => {}
        }
    }
}

const PACKED: [&str; 7] = [".gz", ".bz2", ".xz", ".zst", ".lz4", ".Z", ".zip"];

fn unpacked(name: &str) -> &str {
    PACKED.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
}

/// A file that once had the path's name.
struct Sibling {
    path: PathBuf,
    age: Option<Age>,
    id: FileId,
    size: u64,
    modified: UnixTime,
    /// Where the file system knows.
    created: Option<SystemTime>,
}

/// The files beside `path` whose names begin as a rotation of it would; where it is a link, those beside
/// the file it leads to as well.
fn siblings(path: &Path) -> Vec<Sibling> {
    let mut found = Vec::new();
    beside(path, &mut found);
    // In the middle of a rotation the link leads nowhere.
    let next = || fs::read_link(path).map(|link| path.with_file_name("").join(link));
    if let Ok(target) = path.canonicalize().or_else(|_| next())
        && target != path
    {
        beside(&target, &mut found);
    }
    found
}

fn beside(path: &Path, found: &mut Vec<Sibling>) {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str()))
    else {
        return;
    };
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.take(NAMES).flatten() {
        let other = entry.file_name();
        let Some(other) = other.to_str() else { continue };
        if other == name
            || found.len() >= FILES
            || unpacked(other).len() < other.len()
            || !other.starts_with(stem)
        {
            continue;
        }
        let age = originals(other).into_iter().find_map(|(base, age)| (base == name).then_some(age));
        let any_end = other.strip_prefix(name).is_some_and(|end| end.starts_with(['.', '-', '_', '~']));
        if age.is_none() && !any_end {
            continue;
        }
        let path = directory.join(other);
        if let Ok(meta) = fs::symlink_metadata(&path)
            && meta.is_file()
        {
            let modified = UnixTime::from_micros(meta.mtime() * 1_000_000 + meta.mtime_nsec() / 1000);
            let (id, size, created) = (FileId::of(&meta), meta.len(), meta.created().ok());
            found.push(Sibling { path, age, id, size, modified, created });
        }
    }
}

/// The files that were rotated from this path and are not packed, the youngest first.
pub(super) fn youngest_first(path: &Path) -> Vec<PathBuf> {
    let mut found = siblings(path);
    found.sort_by_key(|sibling| std::cmp::Reverse(sibling.modified));
    found.into_iter().map(|sibling| sibling.path).collect()
}

/// The renamed file that the cursor is in, at that place, and behind it those rotated later, oldest first.
pub(super) fn find_renamed(path: &Path, cursor: &Cursor) -> Vec<Log> {
    let siblings = siblings(path);
    let id = FileId { dev: cursor.dev, inode: cursor.inode };
    // A late line makes a file seem young, and a copy is younger than what goes on under the name.
    let since = |one: &Sibling, other: &Sibling| {
        let created = one.created.zip(other.created).is_none_or(|(one, other)| one >= other);
        created || one.modified >= other.modified
    };
    trail(&siblings, siblings.iter().filter(|sibling| sibling.id == id), cursor, since)
}

/// The same for a file that was copied and then truncated: the copy begins alike and is younger than the cursor.
pub(super) fn find_copied(path: &Path, cursor: &Cursor) -> Vec<Log> {
    if cursor.head_len == 0 {
        return Vec::new();
    }
    let siblings = siblings(path);
    // A second of slack: file systems keep coarser times than clocks.
    let oldest = UnixTime::from_micros(cursor.read_at.micros().saturating_sub(1_000_000));
    let mut young: Vec<_> = siblings
        .iter()
        .filter(|sibling| sibling.modified >= oldest && sibling.size >= cursor.offset)
        .collect();
    young.sort_by_key(|sibling| std::cmp::Reverse(sibling.modified));
    trail(&siblings, young.into_iter(), cursor, |one, other| one.modified >= other.modified)
}

/// The first candidate that the cursor fits, and what was rotated after it: by its name, and by its time (`since`), for
/// there are programs whose numbers count up.
fn trail<'a>(
    siblings: &[Sibling],
    candidates: impl Iterator<Item = &'a Sibling>,
    cursor: &Cursor,
    since: impl Fn(&Sibling, &Sibling) -> bool,
) -> Vec<Log> {
    for candidate in candidates {
        let Ok(mut log) = Log::open(&candidate.path) else { continue };
        if log.id != candidate.id || !log.resume(cursor).unwrap_or(false) {
            continue;
        }
        let mut later: Vec<_> = siblings
            .iter()
            .filter(|sibling| since(sibling, candidate))
            .filter_map(|sibling| sibling.age.as_ref().zip(Some(sibling)))
            .filter(|(age, _)| {
                candidate.age.as_ref().and_then(|found| age.order(found)) == Some(Ordering::Greater)
            })
            .collect();
        later.sort_by(|(a, _), (b, _)| a.order(b).unwrap_or(Ordering::Equal));
        let opened = later.into_iter().filter_map(|(_, sibling)| Log::open(&sibling.path).ok());
        return std::iter::once(log).chain(opened).take(TRAIL).collect();
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found for a cursor in the middle of the file `copied`, when `.1` and `.2` end at these moments.
    fn found(copied: &str, ends: [u64; 2]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mail.log");
        for (number, end) in (1..).zip(ends) {
            let name = dir.path().join(format!("mail.log.{number}"));
            fs::write(&name, format!("first of {number}\nsecond\n")).unwrap();
            let end = std::time::UNIX_EPOCH + std::time::Duration::from_secs(end);
            fs::File::options().write(true).open(&name).unwrap().set_modified(end).unwrap();
        }
        let mut log = Log::open(&dir.path().join(copied)).unwrap();
        log.skip_to(11).unwrap();
        let cursor = Cursor {
            offset: log.offset,
            head_len: log.head.len,
            head_hash: log.head.hash,
            read_at: UnixTime::from_secs(1000),
            ..Cursor::default()
        };
        let name = |id: FileId| {
            let mut siblings = siblings(&path).into_iter();
            siblings.find(|sibling| sibling.id == id).unwrap().path.file_name().unwrap().display().to_string()
        };
        find_copied(&path, &cursor).iter().map(|log| name(log.id)).collect()
    }

    #[test]
    fn a_copy_is_followed_by_what_was_rotated_later_also_where_numbers_count_up() {
        assert_eq!(found("mail.log.1", [1001, 1000]), ["mail.log.1"]);
        assert_eq!(found("mail.log.2", [1001, 1000]), ["mail.log.2", "mail.log.1"]);
        assert_eq!(found("mail.log.2", [1000, 1001]), ["mail.log.2"], "the numbers count up");
    }

    #[test]
    fn names_of_rotated_files() {
        for (name, expected) in [
            ("mail.log", ""),
            ("mail.log.1", "mail.log Number(1)"),
            ("mail.log.12.gz", "mail.log Number(12)"),
            ("mail.log-20261123", "mail.log Date(\"20261123\")"),
            ("mail.log-2026-11-23.xz", "mail.log Date(\"2026-11-23\")"),
            ("mail.log.2026-11-23.4", "mail.log.2026-11-23 Number(4), mail.log Date(\"2026-11-23.4\")"),
            ("web-1.log", ""),
            ("log-1", ""),
            ("mail-20261123.log", "mail.log Date(\"20261123\")"),
            ("mail.1.log", "mail.log Number(1)"),
            ("mail.log.1763856000", "mail.log Date(\"1763856000\")"),
            ("mail.log.old", ""),
            ("mail.log.", ""),
            (".1", ""),
            ("1", ""),
            ("mail.log.99999999999999999999999", "mail.log Date(\"99999999999999999999999\")"),
        ] {
            let got = originals(name).into_iter().map(|(base, age)| format!("{base} {age:?}"));
            assert_eq!(got.collect::<Vec<_>>().join(", "), expected, "{name}");
        }
    }
}
