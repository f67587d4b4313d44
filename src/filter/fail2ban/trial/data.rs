//! What is known of a failure, by names and in the order in which it came, as Fail2Ban keeps it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::groups::{Captured, part_of};
use super::super::window::Entry;
use crate::filter::session::Groups;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Datum {
    /// What a group captured.
    Text(String),
    /// Several groups put together, as Python writes a tuple.
    Tuple(String),
    /// It is so.
    Flag,
    /// The users of a connection.
    Users(BTreeSet<String>),
    /// The lines that led to it.
    Lines(Vec<Entry>),
}

/// The values by their names.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Data(Vec<(Arc<str>, Datum)>);

impl Data {
    /// The groups that took part.
    pub(super) fn of(groups: &Captured) -> Self {
        let put_together = |name: &str| {
            groups.iter().any(|(part, _)| matches!(part_of(part), Some((true, whole)) if whole == name))
        };
        let data = groups.iter().filter_map(|(name, value)| {
            let value = value.clone()?;
            let value = if put_together(name) { Datum::Tuple(value) } else { Datum::Text(value) };
            Some((Arc::clone(name), value))
        });
        Self(data.collect())
    }

    /// All of it, in its order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Datum)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&Datum> {
        self.0.iter().find(|(known, _)| &**known == name).map(|(_, value)| value)
    }

    /// What a group captured.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Datum::Text(text) | Datum::Tuple(text) => Some(text),
            _ => None,
        }
    }

    /// The lines that led to it.
    pub fn lines(&self) -> &[Entry] {
        match self.get("matches") {
            Some(Datum::Lines(lines)) => lines,
            _ => &[],
        }
    }

    /// Whether a group captured anything.
    pub(super) fn says(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| !matches!(value, Datum::Text(text) if text.is_empty()))
    }

    /// All that was captured.
    pub(super) fn texts(&self) -> Groups {
        let texts = self.0.iter().filter_map(|(name, value)| match value {
            Datum::Text(text) | Datum::Tuple(text) => Some((Arc::clone(name), text.into())),
            _ => None,
        });
        texts.collect()
    }

    /// Gives a name a value, at its old place if it has one.
    pub(super) fn set(&mut self, name: &str, value: Datum) {
        match self.0.iter_mut().find(|(known, _)| &**known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.into(), value)),
        }
    }

    /// Takes a value away.
    pub(super) fn take(&mut self, name: &str) -> Option<Datum> {
        let at = self.0.iter().position(|(known, _)| &**known == name)?;
        Some(self.0.remove(at).1)
    }

    pub(super) fn take_lines(&mut self, name: &str) -> Vec<Entry> {
        match self.take(name) {
            Some(Datum::Lines(lines)) => lines,
            _ => Vec::new(),
        }
    }

    /// Puts others on top.
    pub(super) fn overlay(&mut self, others: Self) {
        for (name, value) in others.0 {
            self.set(&name, value);
        }
    }
}
