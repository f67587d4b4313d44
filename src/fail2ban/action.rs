//! `action = name[options]` → the properties of one action (SPEC §1.4, §5.1).

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use super::brackets;
use super::definition::{Definition, set, value_of};
use super::problem::{Place, Problem, Trouble};
use super::shelf::Shelf;
use super::tags::Options;
use crate::python::{Command, Value, is_true, words};

/// What an action may say, in the order in which Fail2Ban sends it; the rest are its parameters and its `[Init]`.
const KEYS: &[&str] = &[
    "actionstart",
    "actionstart_on_demand",
    "actionstop",
    "actionflush",
    "actionreload",
    "actioncheck",
    "actionrepair",
    "actionrepair_on_unban",
    "actionban",
    "actionprolong",
    "actionreban",
    "actionunban",
    "norestored",
];

const BOOLS: &[&str] = &["norestored", "actionstart_on_demand", "actionrepair_on_unban"];

/// Tags that are known at a ban only.
const LATE: &[&str] = &["matches", "ipmatches", "ipjailmatches", "timeout", "bantime"];

/// An action of a jail.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Action {
    /// The name of this instance.
    pub(super) name: String,
    /// The name of its file.
    file: String,
    /// Whether it is a file of Python, which is handed its parameters.
    python: bool,
    /// In the order in which they are sent.
    properties: Options,
}

/// An action whose files are read.
#[derive(Debug)]
pub(super) enum Opened {
    /// Of Python: nothing of it is resolved.
    Python(Action),
    /// Of commands.
    Commands { name: String, file: String, definition: Box<Definition> },
}

/// Reads the files of one action of a jail.
pub(super) fn open(
    shelf: &mut Shelf,
    jail: &str,
    definition: brackets::Definition,
    options: &[(String, Value)],
) -> Result<Opened, Trouble> {
    let file = definition.name;
    let mut parameters: Options =
        definition.options.into_iter().map(|(key, value)| (key, value.into())).collect();
    let given = value_of(&parameters, "actname").and_then(Value::as_text);
    if let Some(stem) = file.strip_suffix(".py") {
        parameters.retain(|(key, _)| key != "actname");
        let name = given.unwrap_or_else(|| stem.to_owned());
        return Ok(Opened::Python(Action { name, file, python: true, properties: parameters }));
    }
    let name = name(&file, jail, &mut parameters, given);
    let Some(files) = shelf.set_in("action.d", &file)? else {
        return Err(Trouble::new(Place::default(), Problem::NoAction(file)));
    };
    let mut definition = Definition::new(files, KEYS, parameters, shelf.dialect());
    definition.read(options, false, &mut shelf.said)?;
    Ok(Opened::Commands { name, file, definition: Box::new(definition) })
}

impl Opened {
    /// Puts its properties into each other.
    pub(super) fn finish(self) -> Result<Action, Trouble> {
        let (name, file, definition) = match self {
            Self::Python(action) => return Ok(action),
            Self::Commands { name, file, definition } => (name, file, definition),
        };
        let combined = definition.combined(LATE)?;
        let known = |key: &str| KEYS.contains(&key);
        let mut properties: Options = combined
            .into_iter()
            .filter(|(key, _)| known(key))
            .map(|(key, value)| typed(key, value))
            .collect();
        let more = definition.init.iter().filter(|(key, _)| !known(key) && !key.starts_with("known/"));
        properties.extend(more.cloned());
        Ok(Action { name, file, python: false, properties })
    }
}

/// The name of an instance: several of one file in a jail are told apart by their `name`.
fn name(file: &str, jail: &str, parameters: &mut Options, given: Option<String>) -> String {
    let own = value_of(parameters, "name").and_then(Value::as_text);
    let own = own.unwrap_or_else(|| {
        set(parameters, "name", jail.into());
        jail.to_owned()
    });
    given.unwrap_or_else(|| {
        let name = match own.strip_prefix(jail) {
            Some(rest) => format!("{file}{rest}"),
            None => format!("{file}-{own}"),
        };
        set(parameters, "actname", name.clone().into());
        name
    })
}

fn typed(key: String, value: Value) -> (String, Value) {
    match value.as_text().filter(|_| BOOLS.contains(&key.as_str())) {
        Some(text) => (key, Value::Bool(is_true(&text))),
        None => (key, value),
    }
}

impl Action {
    /// The commands that add it to its jail.
    pub(super) fn commands(&self, jail: &str, base: &Path) -> Vec<Command> {
        let mut add = words(["set", jail, "addaction", &self.name]);
        if self.python {
            let file = base.join("action.d").join(&self.file);
            add.extend([file.display().to_string().into(), Value::from(json(&self.properties))]);
            return vec![add];
        }
        let pairs = self.properties.iter();
        let mut pairs: Vec<Value> =
            pairs.map(|(key, value)| Value::List(vec![key.as_str().into(), value.clone()])).collect();
        if pairs.len() > 1 {
            let mut all = words(["multi-set", jail, "action", &self.name]);
            all.push(Value::List(pairs));
            return vec![add, all];
        }
        let mut one = words(["set", jail, "action", &self.name]);
        if let Some(Value::List(pair)) = pairs.pop() {
            one.extend(pair);
        }
        vec![add, one]
    }

    /// What the daemon does of it.
    pub(super) fn definition(&self) -> crate::action::Definition {
        let options = self.properties.iter();
        crate::action::Definition {
            name: Arc::from(self.name.as_str()),
            file: Arc::from(self.file.as_str()),
            options: options.filter_map(|(key, value)| Some((key.clone(), value.as_text()?))).collect(),
        }
    }
}

/// Parameters as Python's `json.dumps` writes them: ASCII only.
fn json(parameters: &[(String, Value)]) -> String {
    let quote = |text: &str| {
        let mut quoted = String::new();
        for c in serde_json::Value::from(text).to_string().chars() {
            match c {
                ' '..='\x7f' => quoted.push(c),
                c => {
                    let mut units = [0; 2];
                    for unit in c.encode_utf16(&mut units) {
                        let _ = write!(quoted, "\\u{unit:04x}");
                    }
                }
            }
        }
        quoted
    };
    let pairs = parameters
        .iter()
        .map(|(key, value)| format!("{}: {}", quote(key), quote(&value.as_text().unwrap_or_default())));
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
}
