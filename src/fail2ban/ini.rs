//! The text of one file → its sections and options, each with its line.
//!
//! Pure. The dialect is that of Python's configparser as Fail2Ban sets it up (SPEC §1.1). Reading goes on after a
//! mistake, so that all of them can be named.

use std::collections::HashSet;

use crate::python::{is_space, lower, strip, strip_end};

/// The section whose options every other section has too.
pub(super) const DEFAULT: &str = "DEFAULT";

/// What a file says, and what is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Ini {
    /// In the order of the file; `[DEFAULT]` may come more than once.
    pub(super) sections: Vec<Section>,
    /// In the order of the file.
    pub(super) mistakes: Vec<(usize, Slip)>,
}

/// A section's own options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) options: Vec<Setting>,
}

/// One option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    /// In small letters.
    pub(super) key: String,
    /// Its lines, stripped and joined by `\n`.
    pub(super) value: String,
    /// The line of its key, from 1.
    pub(super) line: usize,
}

/// What may be wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Slip {
    /// The line as it stands, with its end.
    #[error("{}", outside(.0))]
    NoSection(String),
    /// The name of the section.
    #[error("[{0}] is there twice in this file: join the two")]
    SectionTwice(String),
    /// An option's second value.
    #[error("[{section}] {key} is there twice in this file: delete one")]
    OptionTwice {
        /// Its section.
        section: String,
        /// Its name.
        key: String,
    },
    /// The line as it stands, with its end.
    #[error("is no option, for want of a `=`; a line that continues a value is indented")]
    NoSeparator(String),
}

/// Why a line belongs to no section, which is hard to see where an editor shows no byte-order mark.
fn outside(line: &str) -> &'static str {
    match line.chars().next() {
        Some('\u{feff}') => {
            "begins with a byte-order mark, which Fail2Ban does not know: save the file without one"
        }
        Some('[') => "is no [section], for want of a `]`",
        _ => "stands before the first [section]",
    }
}

/// Reads a whole file.
pub(super) fn parse(text: &str) -> Ini {
    let mut reader = Reader::default();
    for (index, line) in lines(text).enumerate() {
        reader.line(index + 1, line);
    }
    for section in &mut reader.ini.sections {
        for option in &mut section.options {
            option.value.truncate(strip_end(&option.value).len());
        }
    }
    reader.ini
}

/// The lines with their ends, which may be `\n`, `\r\n` or `\r`.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = match rest.find(['\n', '\r']) {
            Some(at) if rest[at..].starts_with("\r\n") => at + 2,
            Some(at) => at + 1,
            None => rest.len(),
        };
        let (line, after) = rest.split_at(end);
        rest = after;
        Some(line)
    })
}

/// A line as Python quotes it: with one kind of end.
fn as_read(line: &str) -> String {
    let body = line.trim_end_matches(['\r', '\n']);
    if body.len() == line.len() { line.to_owned() } else { format!("{body}\n") }
}

#[derive(Default)]
struct Reader {
    ini: Ini,
    /// How far the last option's or section's line is indented, in characters.
    indent: usize,
    /// Whether an option is open, so that an indented line continues it.
    open: bool,
    sections: HashSet<String>,
    options: HashSet<(String, String)>,
}

impl Reader {
    fn line(&mut self, number: usize, line: &str) {
        let code = without_comment(line);
        let value = strip(code.unwrap_or(line));
        if value.is_empty() {
            // A line that holds a comment vanishes; an empty one is part of the value.
            if let (None, Some(option)) = (code, self.open_option()) {
                option.value.push('\n');
            }
            return;
        }
        let indent = line.chars().take_while(|c| is_space(*c)).count();
        if indent > self.indent
            && let Some(option) = self.open_option()
        {
            option.value.push('\n');
            option.value.push_str(value);
            return;
        }
        self.indent = indent;
        if let Some(name) = header(value) {
            self.section(number, name);
        } else if self.ini.sections.is_empty() {
            // One is enough to know.
            if self.ini.mistakes.is_empty() {
                self.slip(number, Slip::NoSection(as_read(line)));
            }
        } else {
            match value.split_once(['=', ':']) {
                Some((key, text)) if !strip(key).is_empty() => {
                    self.option(number, lower(strip_end(key)), strip(text));
                }
                _ => self.slip(number, Slip::NoSeparator(as_read(line))),
            }
        }
    }

    fn open_option(&mut self) -> Option<&mut Setting> {
        self.ini.sections.last_mut().filter(|_| self.open)?.options.last_mut()
    }

    fn section(&mut self, number: usize, name: &str) {
        if name != DEFAULT && !self.sections.insert(name.to_owned()) {
            self.slip(number, Slip::SectionTwice(name.to_owned()));
        }
        self.open = false;
        self.ini.sections.push(Section { name: name.to_owned(), line: number, options: Vec::new() });
    }

    fn option(&mut self, number: usize, key: String, value: &str) {
        let Some(section) = self.ini.sections.last_mut() else { return };
        let section_name = section.name.clone();
        section.options.push(Setting { key: key.clone(), value: value.to_owned(), line: number });
        self.open = true;
        if !self.options.insert((section_name.clone(), key.clone())) {
            self.slip(number, Slip::OptionTwice { section: section_name, key });
        }
    }

    fn slip(&mut self, number: usize, slip: Slip) {
        self.ini.mistakes.push((number, slip));
    }
}

/// The line before its comment; none: it has no comment.
fn without_comment(line: &str) -> Option<&str> {
    if strip(line).starts_with(['#', ';']) {
        return Some("");
    }
    let starts = |(at, _): &(usize, &str)| line[..*at].chars().next_back().is_none_or(is_space);
    let (at, _) = line.match_indices(';').find(starts)?;
    Some(&line[..at])
}

/// The name in `[…]`; what follows it is passed over.
fn header(value: &str) -> Option<&str> {
    let inside = value.strip_prefix('[')?;
    let end = inside.rfind(']')?;
    (end > 0).then(|| &inside[..end])
}

#[cfg(test)]
mod tests;
