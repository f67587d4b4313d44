//! Typed reading of values, each mistake noted with its place: nothing stops at the first.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use figment::value::{Dict, Num, Tag, Value};

use super::layer::{At, Stack};
use super::{Mistake, suggest, toml};
use crate::span;

/// Where mistakes are noted.
#[derive(Debug)]
pub(super) struct Notes<'a> {
    stack: &'a Stack,
    /// The jail that is being read.
    jail: Option<Arc<str>>,
    /// Whether that jail, or something it inherits, is wrong.
    wrong: bool,
    /// Keys of `[default]` that are wrong already.
    wrong_defaults: BTreeSet<String>,
    found: Vec<(usize, Mistake)>,
}

impl<'a> Notes<'a> {
    pub(super) fn new(stack: &'a Stack) -> Self {
        Self { stack, jail: None, wrong: false, wrong_defaults: BTreeSet::new(), found: Vec::new() }
    }

    /// From here on mistakes are this jail's.
    pub(super) fn begin(&mut self, jail: Option<&Arc<str>>) {
        self.jail = jail.cloned();
        self.wrong = false;
    }

    /// Whether anything was wrong since [`Notes::begin`].
    pub(super) fn wrong(&self) -> bool {
        self.wrong
    }

    /// Notes a mistake, which costs the jail that is being read.
    pub(super) fn note(&mut self, at: &At, what: impl Into<String>) {
        self.wrong = true;
        if let (None, Some(key)) = (&self.jail, at.key.strip_prefix("default.")) {
            self.wrong_defaults.insert(key.split('[').next().unwrap_or(key).to_owned());
        }
        self.warn(at, what);
    }

    /// Notes a mistake that costs nothing.
    pub(super) fn warn(&mut self, at: &At, what: impl Into<String>) {
        let number = self.stack.number(at.tag);
        let mistake = Mistake {
            jail: self.jail.clone(),
            place: number.map_or_else(String::new, |number| self.stack.layer(number).place.clone()),
            line: self.stack.line(at),
            key: Some(at.key.clone()),
            what: what.into(),
        };
        self.found.push((number.unwrap_or(0), mistake));
    }

    /// All mistakes with the number of their layer.
    pub(super) fn into_found(self) -> Vec<(usize, Mistake)> {
        self.found
    }
}

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) at: At,
    pub(super) value: Value,
    /// It is a word of a shell.
    loose: bool,
}

impl Slot {
    /// A part of this value.
    pub(super) fn with(&self, value: &Value) -> Self {
        Self { at: self.at.clone(), value: value.clone(), loose: self.loose }
    }
}

/// A table that is being read: each key is asked for once, what is left over is unknown.
#[derive(Debug, Default)]
pub(super) struct Table {
    at: At,
    own: Dict,
    inherited: Dict,
    asked: Vec<&'static str>,
}

impl Table {
    pub(super) fn new(key: &str, tag: Tag, own: Dict) -> Self {
        Self { at: At { tag, key: key.to_owned() }, own, inherited: Dict::new(), asked: Vec::new() }
    }

    /// What is not in this table is looked up in `[default]`.
    pub(super) fn inheriting(mut self, defaults: &Dict) -> Self {
        self.inherited.clone_from(defaults);
        self
    }

    /// What is left in it.
    pub(super) fn values(&self) -> &Dict {
        &self.own
    }

    /// Its place.
    pub(super) fn at(&self) -> &At {
        &self.at
    }

    /// Where a key stands that was not taken out yet.
    pub(super) fn peek(&self, key: &str) -> Option<At> {
        let own = self.own.get(key).map(|value| (value.tag(), toml::join(&self.at.key, key)));
        let inherited = || self.inherited.get(key).map(|value| (value.tag(), format!("default.{key}")));
        own.or_else(inherited).map(|(tag, key)| At { tag, key })
    }

    /// Takes a key out.
    pub(super) fn slot(&mut self, notes: &mut Notes<'_>, key: &'static str) -> Option<Slot> {
        self.asked.push(key);
        let (value, key) = match self.own.remove(key) {
            Some(value) => (value, toml::join(&self.at.key, key)),
            None if notes.wrong_defaults.contains(key) && self.inherited.contains_key(key) => {
                notes.wrong = true;
                return None;
            }
            None => (self.inherited.remove(key)?, format!("default.{key}")),
        };
        Some(slot(notes, key, value))
    }

    /// Reads a key; none: it is absent, or wrong and noted.
    pub(super) fn get<T>(
        &mut self,
        notes: &mut Notes<'_>,
        key: &'static str,
        read: impl FnOnce(&Slot) -> Result<T, String>,
    ) -> Option<T> {
        let slot = self.slot(notes, key)?;
        read(&slot).map_err(|what| notes.note(&slot.at, what)).ok()
    }

    /// Reads a list, item by item; none: it is absent, or an item is wrong and noted.
    pub(super) fn list<T>(
        &mut self,
        notes: &mut Notes<'_>,
        key: &'static str,
        shape: Shape,
        read: impl Fn(&Slot) -> Result<T, String>,
    ) -> Option<Vec<(T, At)>> {
        let slot = self.slot(notes, key)?;
        let items = items(notes, slot, shape)?;
        // All items are read before any verdict, so that every wrong one is noted.
        let read: Vec<_> = items
            .into_iter()
            .map(|item| match read(&item) {
                Ok(value) => Some((value, item.at)),
                Err(what) => {
                    notes.note(&item.at, what);
                    None
                }
            })
            .collect();
        read.into_iter().collect()
    }

    /// Takes a table out.
    pub(super) fn table(&mut self, notes: &mut Notes<'_>, key: &'static str) -> Option<Table> {
        let slot = self.slot(notes, key)?;
        table(notes, slot)
    }

    /// Takes everything out that is left, by name.
    pub(super) fn rest(&mut self, notes: &Notes<'_>) -> Vec<(String, Slot)> {
        let own = std::mem::take(&mut self.own);
        let named = |(name, value): (String, Value)| {
            let slot = slot(notes, toml::join(&self.at.key, &name), value);
            (name, slot)
        };
        own.into_iter().map(named).collect()
    }

    /// Notes each key that nobody asked for; whether there was one.
    pub(super) fn finish(mut self, notes: &mut Notes<'_>) -> bool {
        let rest = self.rest(notes);
        let any = !rest.is_empty();
        for (name, slot) in rest {
            let what = match suggest::nearest_key(&name, &self.asked) {
                Some(known) => format!("unknown key: did you mean {known}?"),
                None => format!("unknown key: known are {}", self.asked.join(", ")),
            };
            notes.note(&slot.at, what);
        }
        any
    }
}

fn slot(notes: &Notes<'_>, key: String, value: Value) -> Slot {
    let tag = value.tag();
    let loose = notes.stack.layer_of(tag).is_some_and(|layer| layer.loose);
    Slot { at: At { tag, key }, value, loose }
}

/// A slot that must be a table.
pub(super) fn table(notes: &mut Notes<'_>, slot: Slot) -> Option<Table> {
    match slot.value {
        Value::Dict(_, dict) => {
            Some(Table { at: slot.at, own: dict, inherited: Dict::new(), asked: Vec::new() })
        }
        other => {
            notes.note(&slot.at, wrong_type(&other, "a table"));
            None
        }
    }
}

/// How a list may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// As a list; in a shell's word with commas.
    Words,
    /// As above; a single word will do too.
    WordsOrOne,
    /// As a list; a shell's word is one item, for it may hold commas.
    Patterns,
}

/// The items of a slot that must be a list.
pub(super) fn items(notes: &mut Notes<'_>, slot: Slot, shape: Shape) -> Option<Vec<Slot>> {
    let Slot { at, value, loose } = slot;
    let values = match value {
        Value::Array(_, values) => values,
        Value::String(tag, text) if loose && shape != Shape::Patterns => {
            let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
            words.map(|word| Value::String(tag, word.to_owned())).collect()
        }
        Value::String(..) if loose || shape == Shape::WordsOrOne => vec![value],
        other => {
            let example = match &other {
                Value::String(_, text) => format!("a list such as [{text:?}]"),
                Value::Num(..) => format!("a list such as [{}]", scalar(&other)),
                _ => "a list".to_owned(),
            };
            notes.note(&at, wrong_type(&other, &example));
            return None;
        }
    };
    let item = |(index, value): (usize, Value)| Slot {
        at: At { tag: at.tag, key: format!("{}[{index}]", at.key) },
        value,
        loose,
    };
    Some(values.into_iter().enumerate().map(item).collect())
}

/// `found string "five", expected a number`.
pub(super) fn wrong_type(value: &Value, expected: &str) -> String {
    let mut found = match value {
        Value::String(..) | Value::Char(..) => "string ",
        Value::Num(..) => "number ",
        Value::Bool(..) => "boolean ",
        Value::Dict(..) => "a table",
        Value::Array(..) => "a list",
        Value::Empty(..) => "nothing",
    }
    .to_owned();
    found.push_str(&scalar(value));
    format!("found {found}, expected {expected}")
}

/// A scalar as the operator wrote it, cut to what fits a line.
fn scalar(value: &Value) -> String {
    let mut text = String::new();
    let _ = match value {
        Value::String(_, word) => write!(text, "{:?}", word.chars().take(60).collect::<String>()),
        Value::Char(_, letter) => write!(text, "{letter:?}"),
        Value::Bool(_, flag) => write!(text, "{flag}"),
        Value::Num(_, number) => match integer(*number) {
            Some(number) => write!(text, "{number}"),
            None => write!(text, "{}", number.to_f64().unwrap_or(f64::NAN)),
        },
        _ => Ok(()),
    };
    text
}

fn integer(number: Num) -> Option<i128> {
    number.to_i128().or_else(|| number.to_u128().and_then(|number| i128::try_from(number).ok()))
}

/// `true` or `false`.
pub(super) fn boolean(slot: &Slot) -> Result<bool, String> {
    match &slot.value {
        Value::Bool(_, flag) => Ok(*flag),
        Value::String(_, text) if slot.loose && text == "true" => Ok(true),
        Value::String(_, text) if slot.loose && text == "false" => Ok(false),
        other => Err(wrong_type(other, "true or false")),
    }
}

/// A string.
pub(super) fn text(slot: &Slot) -> Result<String, String> {
    match &slot.value {
        Value::String(_, text) => Ok(text.clone()),
        other => Err(wrong_type(other, "a string")),
    }
}

/// A whole number within the bounds.
pub(super) fn number<T: TryFrom<i128>>(slot: &Slot, least: i128, most: i128) -> Result<T, String> {
    let number = match &slot.value {
        Value::Num(_, number) => integer(*number).ok_or_else(|| wrong_type(&slot.value, "a whole number"))?,
        Value::String(_, text) if slot.loose => {
            text.trim().parse().map_err(|_| wrong_type(&slot.value, "a number"))?
        }
        other => return Err(wrong_type(other, "a number")),
    };
    let fits = T::try_from(number).ok().filter(|_| (least..=most).contains(&number));
    fits.ok_or_else(|| {
        if number < least {
            format!("{number} is too small: the least is {least}")
        } else {
            format!("{number} is too large: the most is {most}")
        }
    })
}

/// A number or a string, as text: what may be written either way, such as a port.
pub(super) fn word_or_number(slot: &Slot) -> Result<String, String> {
    match &slot.value {
        Value::String(_, text) => Ok(text.clone()),
        Value::Num(_, number) => {
            let number = integer(*number).ok_or_else(|| wrong_type(&slot.value, "a whole number"))?;
            Ok(number.to_string())
        }
        other => Err(wrong_type(other, "a number or a string")),
    }
}

/// A span longer than nothing.
pub(super) fn span(slot: &Slot) -> Result<Duration, String> {
    let expected = "a span such as \"10m\" or a number of seconds";
    let text = match &slot.value {
        Value::String(_, text) => text.clone(),
        Value::Num(_, number) => {
            integer(*number).ok_or_else(|| wrong_type(&slot.value, expected))?.to_string()
        }
        other => return Err(wrong_type(other, expected)),
    };
    let span = span::parse(&text).map_err(|error| error.to_string())?;
    if span.is_zero() { Err("must be longer than nothing".to_owned()) } else { Ok(span) }
}

/// One word of a few.
pub(super) fn word<T: Copy>(slot: &Slot, words: &[(&str, T)]) -> Result<T, String> {
    let found = match &slot.value {
        Value::String(_, text) => words.iter().find(|(name, _)| name == text),
        _ => None,
    };
    found.map(|(_, value)| *value).ok_or_else(|| wrong_word(slot, words.iter().map(|(name, _)| *name)))
}

/// `found "x", expected a or b`.
pub(super) fn wrong_word<'a>(slot: &Slot, words: impl IntoIterator<Item = &'a str>) -> String {
    match &slot.value {
        Value::String(..) => format!("found {}, expected {}", scalar(&slot.value), choice(words)),
        other => wrong_type(other, &choice(words)),
    }
}

/// An absolute path.
pub(super) fn path(slot: &Slot) -> Result<std::path::PathBuf, String> {
    let text = text(slot)?;
    absolute(&text).map(Into::into)
}

/// The path, if it is absolute.
pub(super) fn absolute(text: &str) -> Result<&str, String> {
    match text {
        _ if text.contains('\0') => Err("a path holds no NUL".to_owned()),
        _ if text.starts_with('/') => Ok(text),
        _ => Err(format!("{text:?} is no absolute path: begin it with /")),
    }
}

/// `a, b or c`.
pub(super) fn choice<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some((last, _)) => (*last).to_owned(),
        None => "nothing".to_owned(),
    }
}
