//! Which files a journal is made of now.
//!
//! Edge: reads folders, opens nothing. Source: `sd_journal_open(3)`, `journalctl(1)` about `--namespace`.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::{DirEntryExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::JournalOptions;
use crate::source::log::FileId;

/// Where journald keeps journals on disk, and in memory.
pub(super) const PERSISTENT: &str = "/var/log/journal";
pub(super) const VOLATILE: &str = "/run/log/journal";
/// Files that a journal has at most; journald keeps a hundred of each kind.
const FILES_CAP: usize = 4096;
/// Folders that a journal has at most: one for each machine and namespace.
const FOLDERS_CAP: usize = 1024;

/// The folders of the system's journal.
#[derive(Debug, Clone)]
pub(super) struct Roots {
    pub(super) persistent: PathBuf,
    pub(super) volatile: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self { persistent: PERSISTENT.into(), volatile: VOLATILE.into() }
    }
}

/// Bits of `sd_journal_open`.
const LOCAL_ONLY: u32 = 1;
const RUNTIME_ONLY: u32 = 2;
const SYSTEM: u32 = 4;
const CURRENT_USER: u32 = 8;

/// A journal file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) id: FileId,
    /// The folder's name: that of the machine, and of the namespace.
    pub(super) folder: String,
    /// In memory: journald copies it to the disk once it can.
    pub(super) volatile: bool,
    /// Nothing is written to it any more, as its name says.
    pub(super) archived: bool,
    /// It is read only as the rest of what was begun.
    pub(super) rest_only: bool,
}

/// The files there are now.
pub(super) fn find(options: &JournalOptions, roots: &Roots) -> Vec<Found> {
    let mut found = Vec::new();
    if options.files.is_empty() {
        for (folder, volatile) in folders(options, roots) {
            in_folder(&folder, volatile, &mut |found_here| {
                if wanted_kind(options.flags, name(&found_here.path)) {
                    found.push(found_here);
                }
                found.len() < FILES_CAP
            });
        }
    } else {
        for pattern in &options.files {
            by_pattern(pattern, &mut found);
        }
    }
    let mut seen = HashSet::new();
    found.retain(|file| seen.insert(file.id));
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// The folders that files are looked for in.
fn folders(options: &JournalOptions, system: &Roots) -> Vec<(PathBuf, bool)> {
    let volatile = options.flags & RUNTIME_ONLY != 0;
    let roots = match &options.path {
        Some(path) => vec![(path.clone(), path.starts_with("/run"))],
        None if volatile => vec![(system.volatile.clone(), true)],
        None => vec![(system.persistent.clone(), false), (system.volatile.clone(), true)],
    };
    let machine = (options.flags & LOCAL_ONLY != 0).then(|| fs::read_to_string("/etc/machine-id"));
    let machine = machine.map(|id| id.unwrap_or_default().trim().to_owned());
    let mut folders = Vec::new();
    for (root, volatile) in roots {
        let inside = fs::read_dir(&root).into_iter().flatten().flatten().map(|entry| entry.path());
        let wanted =
            |path: &PathBuf| wanted_folder(name(path), options.namespace.as_deref(), machine.as_deref());
        let inside: Vec<_> = inside.filter(wanted).take(FOLDERS_CAP).map(|path| (path, volatile)).collect();
        folders.push((root, volatile));
        folders.extend(inside);
    }
    folders
}

/// Whether a folder is of a machine, and of a namespace that is wanted.
fn wanted_folder(name: &str, namespace: Option<&str>, machine: Option<&str>) -> bool {
    let (id, own) = name.split_once('.').map_or((name, None), |(id, own)| (id, Some(own)));
    let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id
        && machine.is_none_or(|machine| machine == id)
        && match namespace.unwrap_or_default() {
            "" => own.is_none(),
            "*" => true,
            both if both.starts_with('+') => own.is_none_or(|own| own == &both[1..]),
            only => own == Some(only),
        }
}

fn wanted_kind(flags: u32, name: &str) -> bool {
    let of = |kind: &str| {
        name.strip_prefix(kind).is_some_and(|rest| rest.starts_with('.') || rest.starts_with('@'))
    };
    let own = || of(&format!("user-{}", rustix::process::getuid().as_raw()));
    (flags & (SYSTEM | CURRENT_USER) == 0)
        || (flags & SYSTEM != 0 && of("system"))
        || (flags & CURRENT_USER != 0 && own())
}

fn in_folder(folder: &Path, volatile: bool, each: &mut dyn FnMut(Found) -> bool) {
    let Ok(dev) = fs::metadata(folder).map(|meta| meta.dev()) else { return };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if !is_journal(name(&path)) {
            continue;
        }
        let (archived, folder) = (is_archived(name(&path)), name(folder).to_owned());
        let id = FileId { dev, inode: entry.ino() };
        if !each(Found { path, id, folder, volatile, archived, rest_only: false }) {
            return;
        }
    }
}

/// The files that a pattern names, and what they were rotated to.
fn by_pattern(pattern: &str, found: &mut Vec<Found>) {
    let paths: Vec<PathBuf> = match glob::glob(pattern) {
        Ok(paths) => paths.flatten().take(FILES_CAP).collect(),
        Err(_) => vec![pattern.into()],
    };
    // A file that is away for a moment, being rotated, has left its name here.
    let named = glob::Pattern::escape(pattern) == pattern;
    let named = named.then(|| PathBuf::from(pattern)).filter(|path| !paths.contains(path));
    for path in paths.iter().chain(&named) {
        let folder = path.parent().unwrap_or(Path::new("/"));
        let Some(stem) = name(path).strip_suffix(".journal") else {
            found.extend(as_found(path));
            continue;
        };
        found.extend(as_found(path));
        in_folder(folder, path.starts_with("/run"), &mut |sibling| {
            let rest = name(&sibling.path).strip_prefix(stem);
            if rest.is_some_and(|rest| rest.starts_with('@')) && !paths.contains(&sibling.path) {
                found.push(Found { rest_only: true, ..sibling });
            }
            found.len() < FILES_CAP
        });
    }
}

fn as_found(path: &Path) -> Option<Found> {
    let meta = fs::metadata(path).ok()?;
    Some(Found {
        path: path.to_owned(),
        id: FileId::of(&meta),
        folder: path.parent().map(name).unwrap_or_default().to_owned(),
        volatile: path.starts_with("/run"),
        archived: is_archived(name(path)),
        rest_only: false,
    })
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

fn is_journal(name: &str) -> bool {
    name.ends_with(".journal") || name.ends_with(".journal~")
}

fn is_archived(name: &str) -> bool {
    name.contains('@') || name.ends_with('~')
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn the_files_that_are_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let other = format!("{MACHINE}.web");
        for file in [
            "remote.journal",
            &format!("{MACHINE}/system.journal"),
            &format!("{MACHINE}/system@1-2-3.journal"),
            &format!("{MACHINE}/system@4-5.journal~"),
            &format!("{MACHINE}/user-1000.journal"),
            &format!("{MACHINE}/notes.txt"),
            &format!("{other}/system.journal"),
            "elsewhere/system.journal",
        ] {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let names = |options: &JournalOptions| {
            let shown = |found: Found| {
                let path = found.path.strip_prefix(root).unwrap().display().to_string().replace(MACHINE, "M");
                format!("{path}{}", if found.rest_only { " (rest)" } else { "" })
            };
            find(options, &Roots::default()).into_iter().map(shown).collect::<Vec<_>>().join(" ")
        };
        let all = "M/system.journal M/system@1-2-3.journal M/system@4-5.journal~ M/user-1000.journal";
        let web = "M.web/system.journal";
        for (namespace, flags, expected) in [
            (None, 0, format!("{all} remote.journal")),
            (None, 4, "M/system.journal M/system@1-2-3.journal M/system@4-5.journal~".to_owned()),
            (Some("web"), 4, web.to_owned()),
            (Some("+web"), 0, format!("{all} {web} remote.journal")),
            (Some("*"), 4, format!("M/system.journal M/system@1-2-3.journal M/system@4-5.journal~ {web}")),
        ] {
            let namespace = namespace.map(str::to_owned);
            let options = JournalOptions { path: Some(root.into()), namespace, flags, ..Default::default() };
            assert_eq!(names(&options), expected, "{options:?}");
        }
        let pattern = |file: &str| root.join(MACHINE).join(file).display().to_string();
        for (file, expected) in [
            ("system.journal", "M/system.journal M/system@1-2-3.journal (rest) M/system@4-5.journal~ (rest)"),
            (
                "*.journal",
                "M/system.journal M/system@1-2-3.journal M/system@4-5.journal~ (rest) M/user-1000.journal",
            ),
            ("user*", "M/user-1000.journal"),
            ("none.journal", ""),
        ] {
            let options = JournalOptions { files: vec![pattern(file)], ..Default::default() };
            assert_eq!(names(&options), expected, "{file}");
        }
    }
}
