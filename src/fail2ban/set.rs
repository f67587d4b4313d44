//! The files of one name, merged option by option: one figment provider each, the later wins (SPEC §1.2).
//!
//! Pure. Knows of each value its file and line, of each section the order of its options, and of each option that a
//! later file overwrote the value before.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use figment::value::{Dict, Tag, Value};

use super::ini::{DEFAULT, Ini};
use super::problem::Place;
use crate::config::layer::{Layer, Stack};

/// What the names of the sections with earlier values begin with.
pub(super) const KNOWN: &str = "KNOWN/";

/// The options of all sections.
#[derive(Debug, Clone, Default)]
pub(super) struct Set {
    stack: Stack,
    values: Dict,
    /// The sections, and the options of each, in the order in which they first appear.
    order: Vec<(String, Vec<String>)>,
    /// What an option was before the last file that overwrote it.
    known: HashMap<(String, String), Value>,
    /// The sections that came more than once.
    again: HashSet<String>,
}

impl Set {
    /// Puts a file on top.
    pub(super) fn push(&mut self, path: &Path, ini: &Ini) {
        let mut dict = Dict::new();
        let mut lines = HashMap::new();
        for section in &ini.sections {
            let (name, condition) = condition(&section.name);
            if self.has_section(name) {
                self.again.insert(name.to_owned());
            }
            self.order_of(name);
            let mut options = Dict::new();
            for option in &section.options {
                let key = format!("{}{condition}", option.key);
                lines.insert(label(name, &key), option.line);
                if let Some(before) = self.value(name, &key).filter(|_| name != DEFAULT) {
                    let before = before.clone();
                    self.known.insert((name.to_owned(), key.clone()), before);
                }
                let order = self.order_of(name);
                if !order.contains(&key) {
                    order.push(key.clone());
                }
                options.insert(key, Value::from(option.value.as_str()));
            }
            match dict.get_mut(name) {
                Some(Value::Dict(_, earlier)) => earlier.extend(options),
                _ => _ = dict.insert(name.to_owned(), Value::from(options)),
            }
        }
        self.stack.push(Layer::options(path.to_owned(), dict, lines));
        self.values = self.stack.values();
    }

    /// Adds an option that stands in no file.
    pub(super) fn inject(&mut self, section: &str, key: &str, value: String) {
        let order = self.order_of(section);
        if !order.iter().any(|known| known == key) {
            order.push(key.to_owned());
        }
        let options = self.values.entry(section.to_owned()).or_insert_with(|| Value::from(Dict::new()));
        if let Value::Dict(_, options) = options {
            options.insert(key.to_owned(), Value::from(value));
        }
    }

    fn order_of(&mut self, section: &str) -> &mut Vec<String> {
        let index = self.order.iter().position(|(name, _)| name == section).unwrap_or_else(|| {
            self.order.push((section.to_owned(), Vec::new()));
            self.order.len() - 1
        });
        &mut self.order[index].1
    }

    fn value(&self, section: &str, key: &str) -> Option<&Value> {
        self.values.get(section)?.as_dict()?.get(key)
    }

    /// The sections but `[DEFAULT]`.
    pub(super) fn sections(&self) -> impl Iterator<Item = &str> {
        self.order.iter().map(|(name, _)| name.as_str()).filter(|name| *name != DEFAULT)
    }

    pub(super) fn has_section(&self, section: &str) -> bool {
        self.sections().any(|name| name == section)
    }

    /// A section's own options.
    pub(super) fn options(&self, section: &str) -> &[String] {
        self.order.iter().find(|(name, _)| name == section).map_or(&[], |(_, options)| options)
    }

    /// A section's own text of an option, as it stands in the file; the section [`KNOWN`]`…` holds what the options of
    /// `…` were before the last file that overwrote them.
    pub(super) fn own(&self, section: &str, key: &str) -> Option<&str> {
        let value = match section.strip_prefix(KNOWN) {
            Some(section) => self.known.get(&(section.to_owned(), key.to_owned())),
            None => self.value(section, key),
        };
        value.and_then(Value::as_str)
    }

    /// Whether a section came more than once: then it has earlier values, if only for want of any.
    pub(super) fn has_known(&self, section: &str) -> bool {
        self.again.contains(section)
    }

    /// The text of an option, the section's own or that of `[DEFAULT]`.
    pub(super) fn raw(&self, section: &str, key: &str) -> Option<&str> {
        self.own(section, key).or_else(|| self.own(DEFAULT, key))
    }

    /// Where an option stands: the section's own, else that of `[DEFAULT]`, else the section as such.
    pub(super) fn place(&self, section: &str, key: &str) -> Place {
        let section = section.strip_prefix(KNOWN).unwrap_or(section);
        let (owner, value) = match (self.value(section, key), self.value(DEFAULT, key)) {
            (Some(value), _) => (section, value),
            (None, Some(value)) => (DEFAULT, value),
            (None, None) => return Place { key: Some(format!("[{section}]")), ..Place::default() },
        };
        let label = label(owner, key);
        let layer = self.layer(value.tag());
        Place {
            file: layer.and_then(|layer| layer.file.clone()),
            line: layer.and_then(|layer| layer.lines.get(&label).copied()),
            key: Some(label),
        }
    }

    fn layer(&self, tag: Tag) -> Option<&Layer> {
        self.stack.layer_of(tag)
    }
}

/// The name of an option as messages write it.
fn label(section: &str, key: &str) -> String {
    format!("[{section}] {key}")
}

/// `Init?family=inet6` → `Init` and `?family=inet6`, which becomes a part of each option's name.
fn condition(section: &str) -> (&str, &str) {
    match section.find('?') {
        Some(at) if at > 0 && at + 1 < section.len() && section[..at].chars().all(is_word) => {
            section.split_at(at)
        }
        _ => (section, ""),
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
