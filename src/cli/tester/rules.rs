//! REGEX → rules to try: a regular expression, a jail, or a filter by its name or its file.
//!
//! Edge: reads the tree. What is taken is told by `say`, in Fail2Ban's words.

use std::path::{Path, PathBuf};

use super::Refusal;
use crate::fail2ban::filter::{Resolved, Wanted, parse};
use crate::fail2ban::probe;
use crate::python::{Value, repr};

/// Where jails and filters are.
pub(super) const CONFIG: &str = "/etc/fail2ban";

/// The rules.
#[derive(Debug, Default)]
pub(super) struct Rules {
    pub(super) prefix: Option<String>,
    pub(super) patterns: Vec<String>,
    pub(super) ignore: Vec<String>,
    pub(super) max_lines: Option<usize>,
    pub(super) date_pattern: Option<String>,
    pub(super) journal_match: Vec<Vec<String>>,
}

/// Where rules are looked for.
pub(super) struct Place<'p> {
    pub(super) config: &'p str,
    /// The log is the journal.
    pub(super) is_journal: bool,
    /// Everything is to be told.
    pub(super) verbose: bool,
}

/// Finds the rules that a word stands for.
///
/// # Errors
/// The word is a jail or a filter that cannot be used.
pub(super) fn find(word: &str, place: &Place<'_>, say: &mut dyn FnMut(&str)) -> Result<Rules, Refusal> {
    if is_name(word) {
        let definition = parse(word).map_err(|why| unparsed(&why, word))?;
        let (name, options) = (definition.name.as_str(), &definition.options[..]);
        if let Some(rules) = jail(name, options, word, place, say)? {
            return Ok(rules);
        }
        if let Some(file) = File::of(name, place.config)
            && let Some(rules) = filter(name, options, word, place, &file, say)?
        {
            return Ok(rules);
        }
    }
    say(&format!("Use   failregex line : {}", super::shortened(word)));
    Ok(Rules { patterns: vec![word.to_owned()], ..Rules::default() })
}

fn unparsed(why: &dyn std::fmt::Display, word: &str) -> Refusal {
    Refusal(format!("ERROR: Wrong filter name or options: {why}\n       while parsing: {word}"))
}

/// Whether a word may be a name: letters, digits and `/_-.`, and options in brackets behind them.
fn is_name(word: &str) -> bool {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '/' | '_' | '-' | '.');
    let name = word.find(|c| !fits(c)).unwrap_or(word.len());
    let rest = &word[name..];
    name > 0 && (rest.is_empty() || (rest.starts_with('[') && rest.ends_with(']')))
}

fn jail(
    name: &str,
    options: &[(String, String)],
    word: &str,
    place: &Place<'_>,
    say: &mut dyn FnMut(&str),
) -> Result<Option<Rules>, Refusal> {
    let suffix = Path::new(name).extension().unwrap_or_default();
    if name.contains('/') || suffix == "conf" || suffix == "local" {
        return Ok(None);
    }
    if !Path::new(place.config).is_dir() {
        let why = format!("Base configuration directory {} does not exist ", place.config);
        return Err(unparsed(&why, word));
    }
    let backend = if place.is_journal { "systemd" } else { "auto" };
    let Some(found) = probe::jail(Path::new(place.config), name, options, backend) else { return Ok(None) };
    say(&format!("Use {:>11} jail : {name}", ""));
    if !options.is_empty() {
        say(&format!("Use jail/flt options : {}", dictionary(options)));
    }
    let (resolved, shown) =
        found.map_err(|_| Refusal(format!("ERROR: Failed to get jail for {}", repr(word))))?;
    tell(&shown, place, say);
    Ok(Some(resolved.into()))
}

fn filter(
    name: &str,
    options: &[(String, String)],
    word: &str,
    place: &Place<'_>,
    file: &File,
    say: &mut dyn FnMut(&str),
) -> Result<Option<Rules>, Refusal> {
    let base = if let Some(base) = &file.base {
        say(&format!("Use {:>11} file : {}, basedir: {}", "filter", file.name, base.display()));
        if base.as_os_str().is_empty() { Path::new(".") } else { base }
    } else {
        say(&format!("Use {:>11} file : {name}", "filter"));
        Path::new("/")
    };
    if !options.is_empty() {
        say(&format!("Use   filter options : {}", dictionary(options)));
    }
    let jail = if place.is_journal { vec![("backend".to_owned(), "systemd".to_owned())] } else { Vec::new() };
    let found = probe::filter(&Wanted { base, name: &file.name, options, jail: &jail });
    let (resolved, shown) = found.map_err(|trouble| {
        Refusal(format!("Wrong config file: {}\nERROR: failed to load filter {word}", trouble.as_fail2ban()))
    })?;
    tell(&shown, place, say);
    let rules = Rules::from(resolved);
    Ok((!rules.is_empty()).then_some(rules))
}

/// A file of a filter that is there.
#[derive(Debug, PartialEq, Eq)]
struct File {
    /// What the tree's own code is asked for: the file's name without its suffix, or its whole path.
    name: String,
    /// The tree; none: the file is in none.
    base: Option<PathBuf>,
}

impl File {
    /// None: there is no such file.
    fn of(name: &str, config: &str) -> Option<Self> {
        let within = |name: &str| {
            let folder = Path::new(config);
            let is_folder = folder.file_name().is_some_and(|last| last == "filter.d");
            if is_folder { folder.join(name) } else { folder.join("filter.d").join(name) }
        };
        let has_suffix = name.char_indices().rev().take(6).any(|(_, c)| c == '.');
        let mut names = vec![name.to_owned()];
        if !has_suffix {
            names.extend([format!("{name}.conf"), format!("{name}.local")]);
        }
        let is_path = name.contains('/');
        let path = |name: &String| if is_path { PathBuf::from(name) } else { within(name) };
        let mut file = names.iter().map(path).find(|path| path.is_file());
        if is_path && file.is_none() {
            file = names.iter().map(|name| Path::new(config).join(name)).find(|path| path.is_file());
        }
        let file = file?;
        let folder = if is_path { file.parent()? } else { Path::new(config) };
        let in_tree = folder.file_name().is_some_and(|last| last == "filter.d");
        if !in_tree && folder != Path::new(config) {
            let whole = std::path::absolute(&file).ok()?.with_extension("");
            return Some(Self { name: whole.display().to_string(), base: None });
        }
        let base = if in_tree { folder.parent()? } else { folder };
        let stem = Path::new(name).file_name()?;
        let stem = Path::new(stem).with_extension("").display().to_string();
        Some(Self { name: stem, base: Some(base.to_owned()) })
    }
}

impl Rules {
    fn is_empty(&self) -> bool {
        self.prefix.is_none()
            && self.patterns.is_empty()
            && self.ignore.is_empty()
            && self.max_lines.is_none()
            && self.date_pattern.is_none()
            && self.journal_match.is_empty()
    }
}

impl From<Resolved> for Rules {
    fn from(resolved: Resolved) -> Self {
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        Self {
            prefix: filled(resolved.prefregex),
            patterns: resolved.failregex,
            ignore: resolved.ignoreregex,
            max_lines: resolved.maxlines,
            date_pattern: filled(resolved.datepattern),
            journal_match: resolved.journalmatch,
        }
    }
}

fn tell(shown: &[(String, Value)], place: &Place<'_>, say: &mut dyn FnMut(&str)) {
    if place.verbose {
        let shown = shown.iter().map(|(key, value)| (Value::from(key.as_str()), value.clone())).collect();
        say(&format!("Real  filter options : {}", Value::Map(shown)));
    }
}

/// As Python prints it.
fn dictionary(options: &[(String, String)]) -> String {
    let text = |text: &String| Value::from(text.as_str());
    Value::Map(options.iter().map(|(key, value)| (text(key), text(value))).collect()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_may_be_names() {
        for (word, want) in [
            ("sshd", true),
            ("sshd[mode=x]", true),
            ("/a/b-c.conf[x=\"y z\"]", true),
            ("sshd[a", false),
            ("a <HOST>", false),
            ("^x$", false),
            ("", false),
            ("[x]", false),
        ] {
            assert_eq!(is_name(word), want, "{word}");
        }
    }

    #[test]
    fn files_of_filters() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("filter.d");
        std::fs::create_dir(&folder).unwrap();
        for file in ["filter.d/a.conf", "filter.d/b.local", "c.conf"] {
            std::fs::write(dir.path().join(file), "").unwrap();
        }
        let (tree, config) = (Some(dir.path().to_owned()), dir.path().display().to_string());
        let found = |name: &str| File::of(name, &config);
        let file = |name: &str| Some(File { name: name.to_owned(), base: tree.clone() });
        assert_eq!(found("a"), file("a"));
        assert_eq!(found("a.conf"), file("a"));
        assert_eq!(found("b"), file("b"));
        assert_eq!(found("b.conf"), None);
        assert_eq!(found("c"), None);
        assert_eq!(found("filter.d/a.conf"), file("a"));
        assert_eq!(found(&format!("{config}/filter.d/a.conf")), file("a"));
        assert_eq!(File::of("a", &format!("{config}/filter.d")).map(|file| file.name), Some("a".to_owned()));
        let foreign = dir.path().join("d");
        std::fs::create_dir(&foreign).unwrap();
        std::fs::write(foreign.join("e.conf"), "").unwrap();
        let name = foreign.join("e.conf").display().to_string();
        assert_eq!(found(&name), Some(File { name: foreign.join("e").display().to_string(), base: None }));
    }
}
