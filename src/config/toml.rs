//! The text of a configuration file → its values, and the line of each key.
//!
//! Pure. A file that is no TOML still says which jails it speaks of, so that they can be named.

use std::collections::{BTreeSet, HashMap};

use figment::value::{Dict, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A file's values, with the line of each key and list item, such as `jail.sshd.logs[1]`.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    pub(super) dict: Dict,
    pub(super) lines: HashMap<String, usize>,
}

/// What can be said of a file that is no TOML.
#[derive(Debug)]
pub(super) struct Broken {
    /// Line and message of each mistake.
    pub(super) mistakes: Vec<(usize, String)>,
    /// The jails it speaks of.
    pub(super) jails: BTreeSet<String>,
    /// Whether it has a table that concerns more than one jail (`[default]`, `[daemon]`).
    pub(super) shared: bool,
}

/// Reads a whole file.
pub(super) fn parse(text: &str) -> Result<Parsed, Broken> {
    let lines = Lines::of(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        let mut parsed = Parsed::default();
        parsed.dict = walk(table.get_ref(), "", &lines, &mut parsed.lines);
        return Ok(parsed);
    }
    let mut mistakes: Vec<(usize, String)> = Vec::new();
    for error in errors {
        let line = error.span().map_or(1, |span| lines.number(span.start));
        // One slip of the pen often gives several errors on its line.
        if mistakes.iter().all(|(known, _)| *known != line) {
            mistakes.push((line, message(&error)));
        }
    }
    mistakes.sort();
    let headers = || text.lines().filter_map(header);
    Err(Broken {
        mistakes,
        jails: headers().filter(|(table, _)| *table == "jail").filter_map(|(_, jail)| jail).collect(),
        shared: headers().any(|(table, _)| matches!(table, "default" | "daemon")),
    })
}

/// The parser's words on one line, with a hint for the most likely slip in a file of patterns.
fn message(error: &toml::de::Error) -> String {
    let words = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
    if words.contains("escaped value") {
        return "a backslash in \"…\" is TOML's own: write patterns in '…' or '''…'''".to_owned();
    }
    words
}

/// Reads one value, such as `["a", "b"]`; none: it is no TOML.
pub(super) fn parse_value(text: &str) -> Option<Value> {
    let value = DeValue::parse(text).ok()?;
    Some(convert(&value, "", &Lines::of(""), &mut HashMap::new()))
}

/// Splits a dotted key, such as `jail."my.site".max_retry`; none: it is no TOML key.
pub(super) fn parse_key(text: &str) -> Option<Vec<String>> {
    if text.contains(['=', '\n', '\r', '#']) {
        return None;
    }
    let document = format!("{text} = 0");
    let table = DeTable::parse(&document).ok()?;
    let mut path = Vec::new();
    let mut table = table.get_ref();
    loop {
        let (key, value) = table.iter().next()?;
        path.push(key.get_ref().to_string());
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            _ => return Some(path),
        }
    }
}

/// The key of `name` within `path`, quoted where TOML needs it.
pub(super) fn join(path: &str, name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let dot = if path.is_empty() { "" } else { "." };
    if bare { format!("{path}{dot}{name}") } else { format!("{path}{dot}{name:?}") }
}

/// Where the lines of a text begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(memchr::memchr_iter(b'\n', text.as_bytes()).collect())
    }

    /// The number, from 1, of the line that holds this byte.
    fn number(&self, byte: usize) -> usize {
        self.0.partition_point(|end| *end < byte) + 1
    }
}

fn walk(table: &DeTable<'_>, path: &str, lines: &Lines, found: &mut HashMap<String, usize>) -> Dict {
    table
        .iter()
        .map(|(name, value)| {
            let key = join(path, name.get_ref());
            found.insert(key.clone(), lines.number(name.span().start));
            (name.get_ref().to_string(), convert(value, &key, lines, found))
        })
        .collect()
}

fn convert(
    value: &Spanned<DeValue<'_>>,
    key: &str,
    lines: &Lines,
    found: &mut HashMap<String, usize>,
) -> Value {
    match value.get_ref() {
        DeValue::String(text) => Value::from(text.as_ref()),
        // Past i128 it is out of every range anyway.
        DeValue::Integer(number) => {
            Value::from(i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(i128::MAX))
        }
        DeValue::Float(number) => Value::from(number.as_str().parse::<f64>().unwrap_or(f64::NAN)),
        DeValue::Boolean(flag) => Value::from(*flag),
        DeValue::Datetime(date) => Value::from(date.to_string()),
        DeValue::Table(table) => Value::from(walk(table, key, lines, found)),
        DeValue::Array(items) => {
            let items = items.iter().enumerate().map(|(index, item)| {
                let key = format!("{key}[{index}]");
                found.insert(key.clone(), lines.number(item.span().start));
                convert(item, &key, lines, found)
            });
            Value::from(items.collect::<Vec<_>>())
        }
    }
}

/// The first two names of a table's header, as far as they can be read: `("jail", Some("sshd"))`.
fn header(line: &str) -> Option<(&str, Option<String>)> {
    let inner = line.trim_start().strip_prefix('[')?.trim_start_matches('[');
    let inner = inner.split([']', '#']).next()?;
    let mut names = inner.splitn(2, '.').map(str::trim);
    let table = names.next()?.trim_matches(['"', '\'']);
    let jail = names.next().map(|rest| match rest.chars().next() {
        Some(quote @ ('"' | '\'')) => rest[1..].split(quote).next().unwrap_or_default().to_owned(),
        _ => rest.split('.').next().unwrap_or_default().trim().to_owned(),
    });
    Some((table, jail.filter(|jail| super::is_name(jail))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_and_item_knows_its_line() {
        let text = "# head\n[jail.sshd]\nmax_retry = 6\nlogs = [\n  'a',\n  'b',\n]\n\n\
                    [jail.\"my.site\".filter]\ngroups.x = ['''\np''']\n";
        let lines = parse(text).unwrap().lines;
        for (key, line) in [
            ("jail.sshd", 2),
            ("jail.sshd.max_retry", 3),
            ("jail.sshd.logs", 4),
            ("jail.sshd.logs[1]", 6),
            ("jail.\"my.site\".filter", 9),
            ("jail.\"my.site\".filter.groups.x[0]", 10),
        ] {
            assert_eq!(lines.get(key), Some(&line), "{key}");
        }
    }

    #[test]
    fn a_broken_file_says_whom_it_concerns() {
        for (text, jails, shared) in [
            ("[jail.sshd]\nenabled = yes\n", &["sshd"][..], false),
            ("[jail.sshd\nenabled = true\n[ jail . 'my.site' . filter ]", &["my.site", "sshd"], false),
            ("[default]\nignore = [\n", &[], true),
            ("[[daemon]\n", &[], true),
            ("\u{0}[jail.a b]", &[], false),
            ("[", &[], false),
        ] {
            let broken = parse(text).unwrap_err();
            assert_eq!(broken.jails.iter().collect::<Vec<_>>(), jails, "{text:?}");
            assert_eq!(broken.shared, shared, "{text:?}");
            assert!(!broken.mistakes.is_empty(), "{text:?}");
        }
    }

    #[test]
    fn a_pattern_in_the_wrong_quotes_is_told_the_right_ones() {
        let broken = parse("# head\na = \"\\d\"\n").unwrap_err();
        let want = "a backslash in \"…\" is TOML's own: write patterns in '…' or '''…'''";
        assert_eq!(broken.mistakes, [(2, want.to_owned())]);
    }

    #[test]
    fn dotted_keys() {
        for (text, want) in [
            ("jail.sshd.max_retry", Some(&["jail", "sshd", "max_retry"][..])),
            ("jail.\"my.site\".mode", Some(&["jail", "my.site", "mode"])),
            ("daemon", Some(&["daemon"])),
            ("", None),
            ("a..b", None),
            ("a = 1\nb", None),
        ] {
            let want = want.map(|names| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
            assert_eq!(parse_key(text), want, "{text:?}");
        }
    }
}
