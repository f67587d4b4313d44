//! Which files a jail's `logpath` names now (SPEC §1.9).
//!
//! Edge: lists folders. The rules are those of Python's `glob`: `*`, `?` and `[…]` within one part of a path; files
//! whose name begins with a dot only if the pattern says so.

use std::fs;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};

/// The most files that one pattern may name.
const MAX_FILES: usize = 10_000;

const DOTS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// One line of `logpath`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// A path or a glob.
    pub pattern: String,
    /// Where to begin: `head`, `tail`, or any word that stands there.
    pub start: String,
    /// The files that are there now, by name.
    pub found: Vec<PathBuf>,
    /// Links that lead nowhere.
    pub dangling: Vec<PathBuf>,
}

impl Log {
    /// One file, whatever characters its path has.
    pub(super) fn exact(path: PathBuf, start: String) -> Self {
        let text = path.display().to_string();
        let pattern = if text.contains(['*', '?', '[']) { Pattern::escape(&text) } else { text };
        Self { pattern, start, found: vec![path], dangling: Vec::new() }
    }
}

/// Whether a file can be read.
pub(super) fn readable(path: &Path) -> std::io::Result<()> {
    if fs::metadata(path)?.is_dir() {
        return Err(std::io::ErrorKind::IsADirectory.into());
    }
    fs::File::open(path).map(drop)
}

/// Reads `logpath`.
pub(super) fn find(logpath: &str) -> Vec<Log> {
    logpath.split('\n').map(line).collect()
}

fn line(line: &str) -> Log {
    let (pattern, start) = line.rsplit_once(' ').unwrap_or((line, "head"));
    let (found, dangling) = expand(pattern).into_iter().partition(|path| path.exists());
    Log { pattern: pattern.to_owned(), start: start.to_owned(), found, dangling }
}

/// The paths that a pattern matches, links that lead nowhere among them.
fn expand(pattern: &str) -> Vec<PathBuf> {
    if pattern.is_empty() {
        return Vec::new();
    }
    let (root, rest) = pattern.strip_prefix('/').map_or(("", pattern), |rest| ("/", rest));
    let mut paths = vec![root.to_owned()];
    let mut parts = rest.split('/').peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        let mut next = Vec::new();
        for path in paths {
            grow(&path, part, &mut next);
        }
        if !last {
            next.retain(|path| Path::new(path).is_dir());
            for path in &mut next {
                path.push('/');
            }
        }
        paths = next;
    }
    paths.into_iter().map(PathBuf::from).filter(|path| fs::symlink_metadata(path).is_ok()).collect()
}

/// What one part of a pattern makes of a path.
fn grow(path: &str, part: &str, next: &mut Vec<String>) {
    let folder = if path.is_empty() { "." } else { path };
    let Some(pattern) = compiled(part) else {
        next.push(format!("{path}{part}"));
        return;
    };
    let Ok(entries) = fs::read_dir(folder) else { return };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| pattern.matches_with(name, DOTS)).collect();
    names.sort();
    names.truncate(MAX_FILES.saturating_sub(next.len()));
    next.extend(names.into_iter().map(|name| format!("{path}{name}")));
}

/// A part that is a pattern; a bracket that is not closed is a bracket.
fn compiled(part: &str) -> Option<Pattern> {
    if !part.contains(['*', '?', '[']) {
        return None;
    }
    let mut plain = String::new();
    for c in part.chars() {
        // Several stars are one.
        if !(c == '*' && plain.ends_with('*')) {
            plain.push(c);
        }
    }
    Pattern::new(&plain).ok().or_else(|| Pattern::new(&plain.replace('[', "[[]")).ok())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::find;

    #[test]
    fn what_patterns_name() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_str().unwrap();
        for name in ["a.log", "b.log", ".h.log", "[x"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        std::fs::create_dir(dir.path().join("d")).unwrap();
        std::fs::write(dir.path().join("d/c.log"), "").unwrap();
        symlink("/nowhere", dir.path().join("z.lnk")).unwrap();
        for (pattern, start, found) in [
            ("a.log", "head", vec!["a.log"]),
            ("*.log tail", "tail", vec!["a.log", "b.log"]),
            (".*.log", "head", vec![".h.log"]),
            ("[!a].log", "head", vec!["b.log"]),
            ("**/c.log", "head", vec!["d/c.log"]),
            ("[x", "head", vec!["[x"]),
            ("*.lnk", "head", vec![]),
            ("none/*", "head", vec![]),
        ] {
            let [log] = &find(&format!("{root}/{pattern}"))[..] else { panic!("{pattern}") };
            let names: Vec<&str> =
                log.found.iter().map(|path| path.strip_prefix(root).unwrap().to_str().unwrap()).collect();
            assert_eq!((log.start.as_str(), names), (start, found), "{pattern}");
            assert_eq!(log.dangling.len(), usize::from(pattern == "*.lnk"), "{pattern}");
        }
        assert!(find("")[0].found.is_empty());
    }
}
