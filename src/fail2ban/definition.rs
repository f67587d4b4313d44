//! A filter or an action: `[Definition]`, `[Init]` and the parameters of its brackets, put into each other (SPEC §1.4).
//!
//! Pure. It is read twice, as Fail2Ban does: once with every option, so that the jail can name them as `known/…`, and
//! once more with the jail's options, which come before the file's own.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::dialect::Dialect;
use super::ini::DEFAULT;
use super::interpolate::{self, Scope};
use super::problem::{Place, Problem, Trouble};
use super::said::{Level, Said};
use super::set::{KNOWN, Set};
use super::tags::{self, Options};
use crate::python::Value;
use crate::python::lower;

const DEFINITION: &str = "Definition";
const INIT: &str = "Init";

/// A definition on its way to being resolved.
#[derive(Debug)]
pub(super) struct Definition {
    set: Rc<Set>,
    /// The options that Fail2Ban itself looks for, in its order.
    keys: &'static [&'static str],
    dialect: Dialect,
    /// The options of the file.
    options: Options,
    /// The parameters, then what `[Init]` adds to them, each of that as `known/…` too.
    pub(super) init: Options,
    /// What `%(…)s` and tags find first: the jail's options and the parameters.
    vars: Options,
    /// What tags named that are no option and no parameter: the first answer stays, also when the jail's options come.
    named: RefCell<HashMap<String, Option<String>>>,
}

impl Definition {
    pub(super) fn new(
        set: Rc<Set>,
        keys: &'static [&'static str],
        parameters: Options,
        dialect: Dialect,
    ) -> Self {
        let (options, vars, named) = (Vec::new(), Vec::new(), RefCell::default());
        Self { set, keys, dialect, options, init: parameters, vars, named }
    }

    /// Whether the file's own `[Definition]` has an option.
    pub(super) fn defines(&self, key: &str) -> bool {
        self.set.own(DEFINITION, key).is_some()
    }

    /// Where an option stands.
    pub(super) fn place(&self, key: &str) -> Place {
        let own = self.set.own(INIT, key).is_some() && self.set.own(DEFINITION, key).is_none();
        self.set.place(if own { INIT } else { DEFINITION }, key)
    }

    /// Reads the options that the jail does not overwrite; `all`: those too that Fail2Ban does not look for.
    pub(super) fn read(
        &mut self,
        jail: &[(String, Value)],
        all: bool,
        said: &mut Vec<Said>,
    ) -> Result<(), Trouble> {
        self.vars = merge(jail.to_vec(), &self.init);
        self.options.clear();
        let present = self.set.has_section(DEFINITION);
        for key in self.keys.iter().filter(|key| !has(&self.vars, key)) {
            if !present {
                let text = format!("No section: '{DEFINITION}'");
                said.push(Said { logger: "configreader", level: Level::Error, text });
                self.options.push(((*key).to_owned(), Value::None));
                continue;
            }
            if let Some(value) = self.get(DEFINITION, key, &self.vars)? {
                self.options.push(((*key).to_owned(), value.into()));
            }
        }
        self.read_init()?;
        if all && present {
            for key in self.set.options(DEFINITION) {
                if !has(&self.options, key)
                    && let Some(value) = self.get(DEFINITION, key, &[])?
                {
                    self.options.push((key.clone(), value.into()));
                }
            }
        }
        Ok(())
    }

    /// `[Init]` gives the parameters that the brackets do not.
    fn read_init(&mut self) -> Result<(), Trouble> {
        for key in self.set.options(INIT).to_vec() {
            let Some(value) = self.get(INIT, &key, &[])? else { continue };
            let known = format!("known/{key}");
            if !key.starts_with("known/") {
                set(&mut self.init, &known, value.clone().into());
            }
            if !has(&self.init, &key) {
                let given = key.split_once('?').filter(|_| self.dialect == Dialect::Head);
                let given = given.and_then(|(plain, _)| value_of(&self.vars, plain).cloned());
                self.init.push((key, given.unwrap_or_else(|| value.into())));
            }
        }
        Ok(())
    }

    /// Everything put into each other; tags that are ignored stay, as do those of which there is one a family.
    pub(super) fn combined(&self, ignored: &[&str]) -> Result<Options, Trouble> {
        let options = merge(self.options.clone(), &self.init);
        let mut ignored: HashSet<String> = ignored.iter().map(|tag| (*tag).to_owned()).collect();
        ignored
            .extend(options.iter().filter_map(|(key, _)| key.split_once('?')).map(|(key, _)| key.to_owned()));
        tags::resolve(options, &ignored, |tag| self.other(tag)).map_err(|found| match found {
            Found::Tag(problem) => {
                let key = match &problem {
                    Problem::Recursion { tag, .. } => tag.as_str(),
                    _ => "",
                };
                Trouble::new(self.place(key.strip_prefix("known/").unwrap_or(key)), problem)
            }
            Found::Elsewhere(trouble) => *trouble,
        })
    }

    /// What a tag names that is no option that Fail2Ban looks for, and no parameter.
    fn other(&self, tag: &str) -> Result<Option<String>, Found> {
        if let Some(known) = self.named.borrow().get(tag) {
            return Ok(known.clone());
        }
        let mut found = self.get(DEFINITION, tag, &self.vars).map_err(Found::elsewhere)?;
        if let (None, Some((section, key))) = (&found, tag.split_once('/')) {
            found = self.elsewhere(section, key).map_err(Found::elsewhere)?;
        }
        self.named.borrow_mut().insert(tag.to_owned(), found.clone());
        Ok(found)
    }

    /// `<section/option>`.
    fn elsewhere(&self, section: &str, key: &str) -> Result<Option<String>, Trouble> {
        let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        let plain = !key.is_empty() && !key.contains(char::is_whitespace);
        if section.is_empty() || !section.chars().all(word) || !plain {
            return Ok(None);
        }
        let section = match &*lower(section) {
            "default" => DEFAULT.to_owned(),
            "known" => {
                let before = format!("{KNOWN}{DEFINITION}");
                if self.set.has_known(DEFINITION)
                    && let Some(text) = self.get(&before, key, &[])?
                {
                    return Ok(Some(text));
                }
                DEFINITION.to_owned()
            }
            _ if self.set.has_section(section) => section.to_owned(),
            _ => return Ok(None),
        };
        self.get(&section, key, &[])
    }

    fn get(&self, section: &str, key: &str, vars: &[(String, Value)]) -> Result<Option<String>, Trouble> {
        // The section's name is there for `%(…)s` only.
        if lower(key) == "__name__" {
            return Ok(None);
        }
        interpolate::get(&Scope { set: &self.set, section, vars }, key)
    }
}

/// What may go wrong with a tag.
enum Found {
    Tag(Problem),
    Elsewhere(Box<Trouble>),
}

impl Found {
    fn elsewhere(trouble: Trouble) -> Self {
        Self::Elsewhere(Box::new(trouble))
    }
}

impl From<Problem> for Found {
    fn from(problem: Problem) -> Self {
        Self::Tag(problem)
    }
}

/// The options with others on top, the new ones last.
pub(super) fn merge(mut options: Options, others: &[(String, Value)]) -> Options {
    for (key, value) in others {
        set(&mut options, key, value.clone());
    }
    options
}

/// Gives an option a value, at its old place if it has one.
pub(super) fn set(options: &mut Options, key: &str, value: Value) {
    match options.iter_mut().find(|(known, _)| known == key) {
        Some((_, old)) => *old = value,
        None => options.push((key.to_owned(), value)),
    }
}

/// The value of an option.
pub(super) fn value_of<'a>(options: &'a [(String, Value)], key: &str) -> Option<&'a Value> {
    options.iter().find(|(known, _)| known == key).map(|(_, value)| value)
}

fn has(options: &[(String, Value)], key: &str) -> bool {
    value_of(options, key).is_some()
}
