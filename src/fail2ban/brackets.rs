//! `name[option=value, …]`, as jails write filters, actions and backends (SPEC §1.5).
//!
//! Pure. [`parse`] reads one definition, [`split`] tells several on one line apart.

use std::sync::LazyLock;

use regex_automata::meta::Regex;

use crate::python::{is_space, repr, strip};

/// A name with the options in its brackets, in their order; a later value of a name replaces an earlier one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Definition {
    /// What stands before the brackets.
    pub name: String,
    /// The options, each name once.
    pub options: Vec<(String, String)>,
}

/// Why a text is no definition; Fail2Ban's own words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BracketError {
    /// No name, a bracket that is not closed, or something behind it.
    #[error("unexpected option syntax")]
    Outside,
    /// Something else where `name=` should be, at this character of what the brackets hold.
    #[error("expected option, wrong syntax at {at}: {rest}")]
    NoOption {
        /// Counted in characters, from 0.
        at: usize,
        /// What stands there.
        rest: String,
    },
    /// Something behind a value.
    #[error("unexpected syntax at {at} after option {name}: {rest}", name = repr(.name))]
    AfterValue {
        /// Counted in characters, from 0.
        at: usize,
        /// The option whose value it is.
        name: String,
        /// What stands there.
        rest: String,
    },
}

/// How much of a wrong text an error shows, in characters.
const SHOWN: usize = 25;

/// Which names an option may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// Words with `_`, `-` and `.`.
    Plain,
    /// The same with a condition: `blocktype?family=inet6`.
    Conditional,
}

impl Definition {
    fn set(&mut self, name: &str, value: &str) {
        match self.options.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.options.push((name.to_owned(), value.to_owned())),
        }
    }
}

/// Reads one definition.
///
/// # Errors
/// What is not written as above.
pub(super) fn parse(text: &str, names: Names) -> Result<Definition, BracketError> {
    let (name, inside) = match text.split_once('[') {
        None => (text, None),
        Some((name, rest)) => {
            let closed = rest.trim_end_matches(is_space).strip_suffix(']');
            (name, Some(closed.ok_or(BracketError::Outside)?))
        }
    };
    if name.is_empty() {
        return Err(BracketError::Outside);
    }
    let mut definition = Definition { name: name.to_owned(), options: Vec::new() };
    let inside = inside.unwrap_or_default();
    let mut at = 0;
    while at < inside.len() {
        at = option(inside, at, names, &mut definition)?;
    }
    Ok(definition)
}

/// Reads the option at a byte; answers where the next one begins.
fn option(inside: &str, at: usize, names: Names, definition: &mut Definition) -> Result<usize, BracketError> {
    let place = |at: usize| (inside[..at].chars().count(), inside[at..].chars().take(SHOWN).collect());
    let rest = &inside[at..];
    let start = at + (rest.len() - rest.trim_start_matches(is_space).len());
    let Some((name, value_at)) = name(inside, start, names) else {
        let tail = rest.strip_prefix(',').unwrap_or(rest);
        if tail.chars().all(is_space) {
            return Ok(inside.len());
        }
        let (at, rest) = place(at);
        return Err(BracketError::NoOption { at, rest });
    };
    let (value, end) = value(inside, value_at);
    let next = match inside[end..].chars().next() {
        None => end,
        Some(',') => end + 1,
        Some('\n') if inside[end..].len() == 1 => inside.len(),
        _ => {
            let after = inside[end..].strip_prefix(']').map(|rest| rest.trim_start_matches(is_space));
            if let Some(rest) = after.and_then(|rest| rest.strip_prefix('[')) {
                inside.len() - rest.len()
            } else {
                let (at, rest) = place(end);
                return Err(BracketError::AfterValue { at, name: name.to_owned(), rest });
            }
        }
    };
    definition.set(name, strip(value));
    Ok(next)
}

/// The name at a byte, and where its value begins.
fn name(inside: &str, at: usize, names: Names) -> Option<(&str, usize)> {
    let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let length = |text: &str| text.find(|c| !word(c)).unwrap_or(text.len());
    let mut end = at + length(&inside[at..]);
    if end == at {
        return None;
    }
    if let (Names::Conditional, Some(condition)) = (names, inside[end..].strip_prefix('?')) {
        let (key, value) = condition.split_once('=')?;
        let value = length(value);
        if key.is_empty() || key.len() != length(key) || value == 0 {
            return None;
        }
        end += 1 + key.len() + 1 + value;
    }
    inside[end..].starts_with('=').then(|| (&inside[at..end], end + 1))
}

/// The value at a byte, without its quotes, and where it ends.
fn value(inside: &str, at: usize) -> (&str, usize) {
    let rest = &inside[at..];
    for quote in ['"', '\''] {
        if let Some(end) = rest.strip_prefix(quote).and_then(|rest| rest.find(quote)) {
            return (&rest[1..=end], at + end + 2);
        }
    }
    let end = rest.find([',', ']']).unwrap_or(rest.len());
    (&rest[..end], at + end)
}

/// The definitions in a text: divided by blanks outside of well-formed brackets, by any blank otherwise.
pub(super) fn split(text: &str, names: Names) -> Vec<&str> {
    static PLAIN: LazyLock<Regex> = LazyLock::new(|| token(""));
    static CONDITIONAL: LazyLock<Regex> = LazyLock::new(|| token(r"(?:\?[\w\-.]+=[\w\-.]+)?"));
    let token = if names == Names::Plain { &PLAIN } else { &CONDITIONAL };
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(is_space);
        if rest.is_empty() {
            return found;
        }
        let mut groups = token.create_captures();
        token.captures(rest, &mut groups);
        let word = rest.find(is_space).unwrap_or(rest.len());
        let end = groups.get_group(1).map_or(word, |group| group.end);
        found.push(strip(&rest[..end]));
        rest = &rest[end..];
    }
}

/// A name with brackets that hold nothing but options, up to a blank or the end; the value of an option may hold blanks.
fn token(condition: &str) -> Regex {
    const VALUE: &str = r#"(?:"[^"]*"|'[^']*'|[^,\]]*)"#;
    let option = format!(r"[\w\-.]+{condition}={VALUE}\s*(?:,|\]\s*\[)?\s*");
    let pattern = format!(r"\A([^\[\s]+(?:\s*\[\s*(?:{option})*\])?)(?:\s|\z)");
    Regex::new(&pattern).expect("a constant pattern")
}

#[cfg(test)]
mod tests;
