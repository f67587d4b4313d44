//! `%(name)s`, `%(section/name)s` and `%(known/name)s` in a value (SPEC §1.3).
//!
//! Pure. Ends: each level goes one deeper, ten at most, and the number of names that are put in is bounded.

use std::cell::{Cell, OnceCell};

use super::ini::DEFAULT;
use super::problem::{Problem, Trouble};
use super::set::{KNOWN, Set};
use crate::python::Value;
use crate::python::lower;

/// How deep values may name values.
const MAX_DEPTH: usize = 10;
/// The most names that are put into one value: ten levels of a few names each could go on for ever.
const MAX_NAMES: usize = 10_000;
/// The longest value, in bytes.
const MAX_LENGTH: usize = 1 << 20;

/// Where a name is looked up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) set: &'a Set,
    pub(super) section: &'a str,
    /// These come first.
    pub(super) vars: &'a [(String, Value)],
}

/// The value of an option, with everything put in; none: there is no such option.
///
/// # Errors
/// A `%` that is wrong, a name that is unknown, more than ten levels.
pub(super) fn get(scope: &Scope<'_>, key: &str) -> Result<Option<String>, Trouble> {
    let key = lower(key);
    let Some(raw) = scope.look_up(&key) else { return Ok(None) };
    let mut out = String::new();
    let walk = Walk { scope, key: &key, names: Cell::new(0), wrong: OnceCell::new() };
    walk.put(&raw, 1, &mut out).map_err(|problem| {
        let wrong = walk.wrong.get().unwrap_or(&key);
        Trouble::new(scope.set.place(scope.section, wrong), problem)
    })?;
    Ok(Some(out))
}

impl Scope<'_> {
    fn look_up(&self, key: &str) -> Option<String> {
        if let Some((_, item)) = self.vars.iter().find(|(name, _)| lower(name) == key) {
            return item.as_text();
        }
        if key == "__name__" {
            return Some(self.section.to_owned());
        }
        self.set.raw(self.section, key).map(str::to_owned)
    }

    /// `section/name`, which must be written in small letters.
    fn elsewhere(&self, text: &str) -> Option<String> {
        let (section, name) = text.split_once('/')?;
        if section.is_empty() || !section.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-')) {
            return None;
        }
        let default = || self.set.own(DEFAULT, name);
        let found = match &*lower(section) {
            "known" => self.set.own(&format!("{KNOWN}{}", self.section), name).or_else(default),
            "default" => default(),
            _ if self.set.has_section(section) => self.set.own(section, name).or_else(default),
            _ => None,
        };
        found.map(str::to_owned)
    }
}

struct Walk<'a> {
    scope: &'a Scope<'a>,
    key: &'a str,
    /// How many names were put in.
    names: Cell<usize>,
    /// The option whose own text is wrong; none: that which is read.
    wrong: OnceCell<String>,
}

impl Walk<'_> {
    fn put(&self, text: &str, depth: usize, out: &mut String) -> Result<(), Problem> {
        let names = self.names.replace(self.names.get() + 1);
        if depth > MAX_DEPTH + 1 || names > MAX_NAMES || out.len() + text.len() > MAX_LENGTH {
            return Err(self.too_deep());
        }
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(after) = rest.strip_prefix("%%") {
                out.push('%');
                rest = after;
            } else if let Some(inside) = rest.strip_prefix("%(") {
                let close = inside.find(')').filter(|end| *end > 0 && inside[end + 1..].starts_with('s'));
                let end = close.ok_or_else(|| Problem::BadReference(rest.to_owned()))?;
                let name = &inside[..end];
                rest = &inside[end + 2..];
                self.put(&self.named(name)?, depth + 1, out)
                    .inspect_err(|problem| self.blame(name, problem))?;
            } else {
                return Err(Problem::BadPercent(rest.to_owned()));
            }
        }
        out.push_str(rest);
        Ok(())
    }

    /// Notes in whose text a problem is, as the innermost knows; too deep are all of them together.
    fn blame(&self, name: &str, problem: &Problem) {
        if matches!(problem, Problem::TooDeep { .. }) {
            return;
        }
        let key = lower(name);
        let is_here = self.scope.set.raw(self.scope.section, &key).is_some();
        self.wrong.get_or_init(|| if is_here { key } else { self.key.to_owned() });
    }

    /// The text of what `%(name)s` names.
    fn named(&self, name: &str) -> Result<String, Problem> {
        let key = lower(name);
        let elsewhere = || self.scope.elsewhere(name).filter(|_| key == name);
        let found = self.scope.look_up(&key).or_else(elsewhere);
        found.ok_or_else(|| Problem::NoName {
            option: self.key.to_owned(),
            section: self.scope.section.to_owned(),
            name: key,
            raw: self.raw(),
        })
    }

    fn too_deep(&self) -> Problem {
        Problem::TooDeep {
            option: self.key.to_owned(),
            section: self.scope.section.to_owned(),
            raw: self.raw(),
        }
    }

    fn raw(&self) -> String {
        self.scope.look_up(self.key).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
