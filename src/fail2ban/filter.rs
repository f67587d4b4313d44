//! `filter = name[options]` → what the filter is made of, its mode and its log type chosen (SPEC §1.4, §1.9).
//!
//! In: a tree, a name with options, the options of the jail. Out: [`Resolved`], whose [`Resolved::options`] is what
//! [`crate::filter::Filter`] compiles.

use std::path::{Path, PathBuf};

use super::definition::{self, Definition, set, value_of};
use super::dialect::Dialect;
use super::problem::{Place, Problem, Trouble};
use super::said::{Level, Said};
use super::shelf::Shelf;
use super::tags::Options;
use super::{brackets, probe, stock};
use crate::filter::{Fail2Ban, FilterOptions, UseDns};
use crate::python::Value;
use crate::python::repr;
use crate::source::journal::words;

/// What a filter may say, in the order in which Fail2Ban sends it; a jail may say each of it instead.
pub(super) const KEYS: &[&str] =
    &["usedns", "prefregex", "ignoreregex", "failregex", "maxlines", "datepattern", "journalmatch"];

/// A filter whose tags are all resolved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolved {
    /// The file's name without its suffix; none: the jail has no filter.
    pub name: Option<String>,
    /// `prefregex`.
    pub prefregex: Option<String>,
    /// `failregex`, one a line.
    pub failregex: Vec<String>,
    /// `ignoreregex`, one a line.
    pub ignoreregex: Vec<String>,
    /// `datepattern`.
    pub datepattern: Option<String>,
    /// `maxlines`.
    pub maxlines: Option<usize>,
    /// `journalmatch`: alternatives, each a list of words.
    pub journalmatch: Vec<Vec<String>>,
    /// `usedns`.
    pub usedns: Option<String>,
    /// `logtimezone`, an option of the jail.
    pub logtimezone: Option<String>,
    /// Which Fail2Ban the tree was made for.
    pub dialect: Dialect,
    /// Where each option stands that is set.
    pub places: Vec<(&'static str, Place)>,
}

impl Resolved {
    /// What a filter is compiled from.
    pub fn options(&self) -> FilterOptions {
        let usedns = |text: &String| match &*crate::python::lower(text) {
            "yes" => UseDns::Yes,
            "warn" => UseDns::Warn,
            "raw" => UseDns::Raw,
            // So does Fail2Ban with a word that it does not know.
            _ => UseDns::No,
        };
        let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        FilterOptions {
            prefix: filled(&self.prefregex),
            patterns: self.failregex.clone(),
            ignore: self.ignoreregex.clone(),
            define: Vec::new(),
            supplement: None,
            fail2ban: Some(Fail2Ban {
                use_dns: self.usedns.as_ref().map(usedns).unwrap_or_default(),
                max_lines: self.maxlines.unwrap_or(1).max(1),
                date_pattern: filled(&self.datepattern),
                zone: filled(&self.logtimezone),
                overwrite_with_nothing: self.dialect == Dialect::Stable,
            }),
        }
    }

    /// Where an option stands; none: it is not set.
    pub fn place(&self, key: &str) -> Option<&Place> {
        self.places.iter().find(|(known, _)| *known == key).map(|(_, place)| place)
    }

    /// The files that say something of it.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> =
            self.places.iter().filter_map(|(_, place)| place.file.clone()).collect();
        files.sort();
        files.dedup();
        files
    }

    /// The mode, if these are the regular expressions of a stock `dovecot` filter, which know nothing of Dovecot 2.4.
    pub fn stock_dovecot(&self) -> Option<&'static str> {
        stock::dovecot(self)
    }
}

/// Which filter, and for whom.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The tree, such as `/etc/fail2ban`.
    pub base: &'a Path,
    /// The filter's name, without brackets.
    pub name: &'a str,
    /// What stands in its brackets.
    pub options: &'a [(String, String)],
    /// Options of the jail: `backend`, `logtimezone`, and those that come before the filter's own.
    pub jail: &'a [(String, String)],
}

/// Reads `name[option=value, …]`.
///
/// # Errors
/// It is not written so.
pub fn parse(text: &str) -> Result<brackets::Definition, brackets::BracketError> {
    brackets::parse(text, brackets::Names::Conditional)
}

/// Reads and resolves a filter that no jail of the tree need know.
///
/// # Errors
/// There is no such filter, a file of it is broken, or one of its options can not be resolved.
pub fn resolve(wanted: &Wanted<'_>) -> Result<Resolved, Trouble> {
    resolve_shown(wanted).map(|(resolved, _)| resolved)
}

/// The same, with the parameters of its brackets and its `[Init]` as they came out.
pub(super) fn resolve_shown(wanted: &Wanted<'_>) -> probe::Found {
    let mut shelf = Shelf::new(wanted.base);
    // Only to learn which Fail2Ban the tree was made for: what is wrong with its jails is not the filter's.
    let _ = shelf.set("jail");
    let mut jail = Options::new();
    for (key, text) in wanted.jail {
        let item =
            if key == "maxlines" { Value::int(text).unwrap_or(Value::None) } else { text.as_str().into() };
        set(&mut jail, key, item);
    }
    let parameters = wanted.options.iter().map(|(key, text)| (key.clone(), text.as_str().into())).collect();
    let mut filter = open(&mut shelf, wanted.name, parameters, jail_text(&jail, "backend"))?;
    filter.first(&[], &mut shelf.said)?;
    let own = filter.second(&jail, &mut shelf.said, &mut Vec::new())?;
    let mut resolved =
        Resolved { name: Some(wanted.name.to_owned()), dialect: shelf.dialect(), ..Resolved::default() };
    resolved.take(&own, |key| filter.place(key))?;
    resolved.take(&jail, |_| Place::default())?;
    Ok((resolved, shown(&filter, &own)))
}

/// What `fail2ban-regex -vv` tells of a filter: its log type, its date pattern, then what else its parameters are.
fn shown(filter: &Filter, own: &[(String, Value)]) -> Options {
    let init = &filter.definition.init;
    let mut shown = Options::new();
    for (key, value) in value_of(init, "logtype")
        .or_else(|| value_of(own, "logtype"))
        .map(|value| ("logtype", value))
        .into_iter()
        .chain(value_of(own, "datepattern").map(|value| ("datepattern", value)))
        .chain(init.iter().map(|(key, value)| (key.as_str(), value)))
    {
        if value_of(&shown, key).is_none() {
            set(&mut shown, key, value.clone());
        }
    }
    shown
}

fn jail_text<'a>(jail: &'a [(String, Value)], key: &str) -> &'a str {
    match value_of(jail, key) {
        Some(Value::Text(text)) => text,
        _ => "",
    }
}

/// A filter's files, with the parameters of its brackets.
#[derive(Debug)]
pub(super) struct Filter {
    name: String,
    definition: Definition,
}

/// Opens the files of a filter.
pub(super) fn open(
    shelf: &mut Shelf,
    name: &str,
    mut parameters: Options,
    backend: &str,
) -> Result<Filter, Trouble> {
    let Some(files) = shelf.set_in("filter.d", name)? else {
        return Err(Trouble::new(Place::default(), Problem::NoFilter(name.to_owned())));
    };
    let given =
        value_of(&parameters, "logtype").and_then(Value::as_text).is_some_and(|text| !text.is_empty());
    let kind = if backend.starts_with("systemd") { "journal" } else { "file" };
    let logtype = (!given).then(|| Value::from(kind));
    let mut definition = Definition::new(files, KEYS, Vec::new(), shelf.dialect());
    if let Some(logtype) = logtype.filter(|_| !definition.defines("logtype")) {
        set(&mut parameters, "logtype", logtype);
    }
    definition.init = parameters;
    Ok(Filter { name: name.to_owned(), definition })
}

impl Filter {
    /// All its options, for the jail to name as `known/…`.
    pub(super) fn first(
        &mut self,
        jail: &[(String, Value)],
        said: &mut Vec<Said>,
    ) -> Result<Options, Trouble> {
        self.definition.read(jail, true, said)?;
        self.combined(said)
    }

    /// The options that Fail2Ban looks for, but for those that the jail says itself; `late` gets what Fail2Ban says
    /// only when all jails are read.
    pub(super) fn second(
        &mut self,
        jail: &[(String, Value)],
        said: &mut Vec<Said>,
        late: &mut Vec<Said>,
    ) -> Result<Options, Trouble> {
        self.definition.read(jail, false, said)?;
        self.combined(late)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn place(&self, key: &str) -> Place {
        self.definition.place(key)
    }

    /// What `fail2ban-regex -vv` tells of it.
    pub(super) fn shown(&self, own: &[(String, Value)], given: &[(String, String)]) -> Options {
        let mut shown = shown(self, own);
        shown.retain(|(key, _)| {
            matches!(key.as_str(), "logtype" | "datepattern") || given.iter().any(|(known, _)| known == key)
        });
        shown
    }

    fn combined(&self, said: &mut Vec<Said>) -> Result<Options, Trouble> {
        let mut options = self.definition.combined(&[])?;
        if let Some(text) = value_of(&options, "maxlines").and_then(Value::as_text) {
            let lines = Value::int(&text);
            if lines.is_none() {
                let text = format!("Wrong int value {} for 'maxlines'. Using default one: None", repr(&text));
                said.push(Said { logger: "configreader", level: Level::Warning, text });
            }
            definition::set(&mut options, "maxlines", lines.unwrap_or(Value::None));
        }
        Ok(options)
    }
}

impl Resolved {
    /// Takes over what these options say; each replaces what was there before.
    pub(super) fn take(
        &mut self,
        options: &[(String, Value)],
        place: impl Fn(&str) -> Place,
    ) -> Result<(), Trouble> {
        for (key, item) in options {
            let Some(text) = item.as_text() else { continue };
            let lines = || text.split('\n').filter(|line| !line.is_empty()).map(str::to_owned).collect();
            match key.as_str() {
                "usedns" => self.usedns = Some(text),
                "prefregex" => self.prefregex = Some(text),
                "ignoreregex" => self.ignoreregex = lines(),
                "failregex" => self.failregex = lines(),
                "maxlines" => self.maxlines = text.parse().ok(),
                "datepattern" => self.datepattern = Some(text),
                "logtimezone" => self.logtimezone = Some(text),
                "journalmatch" => self.journalmatch = matches(&text, || place(key))?,
                _ => continue,
            }
            if let Some(known) = KEYS.iter().copied().chain(["logtimezone"]).find(|known| known == key) {
                self.places.retain(|(other, _)| *other != known);
                self.places.push((known, place(key)));
            }
        }
        Ok(())
    }
}

/// The journal matches of an option, one a line.
fn matches(text: &str, place: impl Fn() -> Place) -> Result<Vec<Vec<String>>, Trouble> {
    let lines = text.split('\n').filter(|line| !line.is_empty());
    let words = |line: &str| {
        words::split(line).ok_or_else(|| Trouble::new(place(), Problem::JournalMatch(line.to_owned())))
    };
    lines.map(words).collect()
}

#[cfg(test)]
mod tests;
