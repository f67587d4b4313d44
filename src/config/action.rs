//! `[[jail.NAME.actions]]`: commands of the operator's own.
//!
//! They become what an action file of Fail2Ban is, and get a ban's values by the same way: as arguments.

use std::time::Duration;

use super::is_name;
use super::value::{self, Notes, Shape, Slot, Table};
use crate::action::grant::Grant;
use crate::action::{Definition, is_python};

/// No command takes longer.
const LONGEST: Duration = Duration::from_secs(3600);

/// Our keys, and what Fail2Ban calls them.
const COMMANDS: &[(&str, &str)] = &[
    ("start", "actionstart"),
    ("stop", "actionstop"),
    ("check", "actioncheck"),
    ("flush", "actionflush"),
    ("ban", "actionban"),
    ("unban", "actionunban"),
];

/// Reads the actions of a jail; mistakes are noted.
pub(super) fn read(table: &mut Table, notes: &mut Notes<'_>) -> Vec<Definition> {
    let slots = table.list(notes, "actions", Shape::Words, |slot| Ok(slot.clone())).unwrap_or_default();
    let mut actions: Vec<Definition> = Vec::new();
    for (slot, at) in slots {
        let Some(table) = value::table(notes, slot) else { continue };
        let Some(action) = one(table, notes) else { continue };
        if actions.iter().any(|other| other.name == action.name) {
            notes.note(&at, format!("there is another action {:?} in this jail", &*action.name));
        }
        actions.push(action);
    }
    actions
}

fn one(mut table: Table, notes: &mut Notes<'_>) -> Option<Definition> {
    let at = table.at().clone();
    let name = table.get(notes, "name", name);
    let mut options = Vec::new();
    for &(key, option) in COMMANDS {
        let text = table.get(notes, key, command);
        options.extend(text.map(|text| (option.to_owned(), text)));
    }
    let timeout = table.get(notes, "timeout", timeout);
    options.extend(timeout.map(|span| ("timeout".to_owned(), span.as_secs().max(1).to_string())));
    if table.get(notes, "restored", value::boolean) == Some(false) {
        options.push(("norestored".to_owned(), "true".to_owned()));
    }
    let grant = table.get(notes, "capabilities", capabilities);
    options.extend(grant.map(|words| ("capabilities".to_owned(), words)));
    table.finish(notes);
    let Some(name) = name else {
        notes.note(&at, "an action needs a name and a command `ban`");
        return None;
    };
    if !options.iter().any(|(option, _)| option == "actionban") {
        notes.note(&at, format!("the action {name:?} has no command `ban`"));
        return None;
    }
    // Actions of one name share a lane over all jails: they may well edit the same file.
    Some(Definition { file: name.as_str().into(), name: name.into(), options })
}

fn name(slot: &Slot) -> Result<String, String> {
    let text = value::text(slot)?;
    let fits = is_name(&text) && !is_python(&text);
    if fits { Ok(text) } else { Err("a name is made of A-Z, a-z, 0-9, _, . and -, 64 at most".to_owned()) }
}

fn command(slot: &Slot) -> Result<String, String> {
    let text = value::text(slot)?;
    if text.contains('\0') { Err("a command holds no NUL".to_owned()) } else { Ok(text) }
}

fn capabilities(slot: &Slot) -> Result<String, String> {
    let words = value::text(slot)?;
    Grant::parse(&words).map(|_| words).map_err(|error| error.to_string())
}

fn timeout(slot: &Slot) -> Result<Duration, String> {
    let span = value::span(slot)?;
    if span > LONGEST { Err("is too long: the most is 1h".to_owned()) } else { Ok(span) }
}
