//! The options that Fail2Ban looks for in a section, with their types and defaults (SPEC §1.6).

use super::dialect::Dialect;
use super::interpolate::{self, Scope};
use super::notes::Notes;
use super::problem::{Problem, Trouble};
use super::said::Level;
use super::set::Set;
use super::shelf::Shelf;
use super::tags::Options;
use crate::python::Value;
use crate::python::repr;

/// What an option holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Bool,
    Int,
}

/// A name, a type, and what stands in where it is missing.
pub(super) type Known = (&'static str, Kind, Option<&'static str>);

/// Reads what a section says of the options that are looked for.
pub(super) fn read(
    set: &Set,
    section: &str,
    known: &[Known],
    dialect: Dialect,
    shelf: &mut Shelf,
    notes: &mut Notes,
) -> Result<Options, Trouble> {
    let present = set.has_section(section);
    let mut options = Options::new();
    for (key, kind, default) in known {
        let standard = || default.map_or(Value::None, |text| typed(*kind, text).unwrap_or(Value::None));
        if !present {
            shelf.say("configreader", Level::Error, format!("No section: {}", repr(section)));
            options.push(((*key).to_owned(), standard()));
            continue;
        }
        let found = match interpolate::get(&Scope { set, section, vars: &[] }, key) {
            Ok(found) => found,
            Err(trouble) => {
                notes.note(trouble)?;
                continue;
            }
        };
        let Some(text) = found else {
            if default.is_some() {
                if dialect == Dialect::Stable {
                    let standard = standard();
                    let text = format!("'{key}' not defined in '{section}'. Using default one: {standard}");
                    shelf.say("configreader", Level::Warning, text);
                }
                options.push(((*key).to_owned(), standard()));
            }
            continue;
        };
        let value = typed(*kind, &text).unwrap_or_else(|| {
            let standard = standard().as_text().unwrap_or_else(|| "None".to_owned());
            let said = format!("Wrong value for '{key}' in '{section}'. Using default one: '{standard}'");
            shelf.say("configreader", Level::Warning, said);
            notes.doubt(Trouble::new(
                set.place(section, key),
                Problem::Value(format!("`{text}` is no whole number")),
            ));
            Value::None
        });
        options.push(((*key).to_owned(), value));
    }
    Ok(options)
}

fn typed(kind: Kind, text: &str) -> Option<Value> {
    match kind {
        Kind::Text => Some(text.into()),
        Kind::Bool => Some(Value::bool(text)),
        Kind::Int => Value::int(text),
    }
}
