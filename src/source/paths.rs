//! From patterns to paths: what a jail's globs match now, without the rotated versions of what it reads.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Manner, rotated};

/// No jail reads more files than this: who can make files may not make us run out of memory.
pub(super) const PATHS_CAP: usize = 10_000;

/// `*` and `?` do not match `/`; dot files are matched only by a pattern with the dot.
const OPTIONS: glob::MatchOptions = glob::MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// The glob that a pattern is; none if it is a path (a glob that is not well-formed is a path, too).
pub(super) fn as_glob(pattern: &str) -> Option<glob::Pattern> {
    if pattern.contains(['*', '?', '[']) { glob::Pattern::new(pattern).ok() } else { None }
}

/// Whether one of the globs matches the path, be it there or not.
pub(super) fn matched<'a>(patterns: &'a [(String, Manner)], path: &Path) -> Option<&'a (String, Manner)> {
    patterns.iter().find(|(pattern, _)| as_glob(pattern).is_some_and(|glob| matches(&glob, path)))
}

pub(super) fn matches(glob: &glob::Pattern, path: &Path) -> bool {
    glob.matches_path_with(path, OPTIONS)
}

/// The paths to read: those named, and the files that globs match. `known` are read already.
///
/// A file that a glob matches is left out if its name says that it is a rotated version of another path that is
/// read: that one's reader has seen its lines before they were rotated.
pub(super) fn expand(
    patterns: &[(String, Manner)],
    known: &BTreeSet<Arc<Path>>,
) -> BTreeMap<Arc<Path>, Manner> {
    let mut named = BTreeMap::new();
    let mut globbed: BTreeMap<PathBuf, Manner> = BTreeMap::new();
    for (pattern, manner) in patterns {
        if as_glob(pattern).is_none() {
            named.entry(Arc::from(Path::new(pattern))).or_insert(*manner);
        } else if let Ok(found) = glob::glob_with(pattern, OPTIONS) {
            let room = PATHS_CAP.saturating_sub(globbed.len());
            let is_file = |path: &PathBuf| known.contains(&**path) || path.is_file();
            let files = found.flatten().take(2 * PATHS_CAP).filter(is_file).take(room);
            for path in files {
                globbed.entry(path).or_insert(*manner);
            }
        }
    }
    let original = |path: &Path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        rotated::originals(name).into_iter().any(|(name, _)| {
            let base = path.with_file_name(name);
            named.contains_key(&*base) || globbed.contains_key(&*base) || known.contains(&*base)
        })
    };
    let kept: Vec<_> = globbed.iter().filter(|(path, _)| !original(path)).collect();
    let kept: Vec<_> = kept.into_iter().map(|(path, manner)| (Arc::from(&**path), *manner)).collect();
    for (path, manner) in kept {
        named.entry(path).or_insert(manner);
    }
    named
}

/// The files that patterns name and that are there, in the order of the patterns.
pub fn log_files<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let patterns: Vec<_> =
        patterns.into_iter().map(|pattern| (pattern.to_owned(), Manner::default())).collect();
    let mut left: Vec<Arc<Path>> =
        expand(&patterns, &BTreeSet::new()).into_keys().filter(|path| path.exists()).collect();
    let mut files = Vec::new();
    for (pattern, _) in &patterns {
        let glob = as_glob(pattern);
        let named = |path: &mut Arc<Path>| {
            glob.as_ref().map_or(**path == *Path::new(pattern), |glob| matches(glob, path))
        };
        files.extend(left.extract_if(.., named).map(|path| path.display().to_string()));
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Start;

    #[test]
    fn globs_match_files_but_not_their_rotated_versions() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "mail.log",
            "mail.log.1",
            "mail.log.2.gz",
            "mail-20261123.log",
            "mail2.log",
            "app-1.log",
            ".hidden.log",
        ] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        std::fs::create_dir(dir.path().join("sub.log")).unwrap();
        for (patterns, expected) in [
            (&["*.log"][..], "app-1.log mail.log mail2.log"),
            (&["mail*"], "mail.log mail2.log"),
            (&["mail.log.*"], "mail.log.1 mail.log.2.gz"),
            (&["mail.log.*", "mail.log"], "mail.log"),
            (&["mail.log", "mail.log.1"], "mail.log mail.log.1"),
            (&["none.log", "none*"], "none.log"),
            (&["mail?.log", "sub.log"], "mail2.log sub.log"),
            (&["[m"], "[m"),
        ] {
            let patterns: Vec<_> = patterns
                .iter()
                .map(|name| (dir.path().join(name).to_str().unwrap().to_owned(), Start::End.into()))
                .collect();
            let paths = expand(&patterns, &BTreeSet::new());
            let names: Vec<_> =
                paths.keys().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
            assert_eq!(names.join(" "), expected, "{patterns:?}");
        }
    }

    #[test]
    fn files_in_the_order_of_their_patterns() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["z.log", "z.log.1", "a.log", "b.log"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let patterns = ["z.log", "none.log", "*.log", "a.log"].map(|name| dir.path().join(name));
        let files = log_files(patterns.iter().map(|path| path.to_str().unwrap()));
        let names: Vec<_> = files.iter().map(|file| file.rsplit('/').next().unwrap()).collect();
        assert_eq!(names, ["z.log", "a.log", "b.log"]);
    }

    #[test]
    fn what_is_read_keeps_its_rotated_versions_out_even_while_it_is_away() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.log.1"), "").unwrap();
        let patterns = [(dir.path().join("a.*").to_str().unwrap().to_owned(), Start::End.into())];
        let known = BTreeSet::from([Arc::from(dir.path().join("a.log"))]);
        assert!(expand(&patterns, &known).is_empty());
        assert_eq!(expand(&patterns, &BTreeSet::new()).len(), 1);
    }
}
