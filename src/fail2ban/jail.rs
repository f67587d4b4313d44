//! One jail's section → its options, its filter and its actions (SPEC §1.9).

use super::action::{self, Action};
use super::brackets::{self, Names};
use super::definition::value_of;
use super::dialect::Dialect;
use super::filter::{self, Resolved};
use super::notes::Notes;
use super::options::{self, Kind, Known};
use super::problem::{Place, Problem, Trouble};
use super::said::{Level, Said};
use super::set::Set;
use super::shelf::Shelf;
use super::tags::Options;
use crate::python::Value;
use crate::python::strip;

/// What is read first: it decides whether the rest is read, and the filter needs it.
const FIRST: &[Known] = &[
    ("enabled", Kind::Bool, Some("false")),
    ("backend", Kind::Text, Some("auto")),
    ("filter", Kind::Text, Some("")),
];

/// Everything that Fail2Ban looks for, in the order in which it is sent.
const ALL: &[Known] = &[
    ("enabled", Kind::Bool, Some("false")),
    ("backend", Kind::Text, Some("auto")),
    ("maxretry", Kind::Int, None),
    ("maxmatches", Kind::Int, None),
    ("findtime", Kind::Text, None),
    ("bantime", Kind::Text, None),
    ("bantime.increment", Kind::Bool, None),
    ("bantime.factor", Kind::Text, None),
    ("bantime.formula", Kind::Text, None),
    ("bantime.multipliers", Kind::Text, None),
    ("bantime.maxtime", Kind::Text, None),
    ("bantime.rndtime", Kind::Text, None),
    ("bantime.overalljails", Kind::Bool, None),
    ("ignorecommand", Kind::Text, None),
    ("ignoreself", Kind::Bool, None),
    ("ignoreip", Kind::Text, None),
    ("ignorecache", Kind::Text, None),
    ("filter", Kind::Text, Some("")),
    ("logtimezone", Kind::Text, None),
    ("logencoding", Kind::Text, None),
    ("logpath", Kind::Text, None),
    ("action", Kind::Text, Some("")),
    ("usedns", Kind::Text, None),
    ("prefregex", Kind::Text, None),
    ("ignoreregex", Kind::Text, None),
    ("failregex", Kind::Text, None),
    ("maxlines", Kind::Int, None),
    ("datepattern", Kind::Text, None),
    ("journalmatch", Kind::Text, None),
];

/// What only upstream's head looks for.
const HEAD: &[Known] =
    &[("skip_if_nologs", Kind::Bool, Some("false")), ("systemd_if_nologs", Kind::Bool, Some("true"))];

/// What only this program looks for.
const OURS: &[Known] = &[
    ("supplement", Kind::Bool, Some("true")),
    ("layout", Kind::Text, Some("exact")),
    ("spare_logins", Kind::Bool, Some("false")),
    ("cut", Kind::Bool, Some("false")),
];

/// `filter = stockade:sshd[mode=aggressive]` names the filter of a TOML jail.
const NATIVE: &str = "stockade:";

/// A jail that is enabled.
#[derive(Debug)]
pub(super) struct Jail {
    pub(super) name: String,
    /// Its own options.
    pub(super) options: Options,
    /// What its filter says besides.
    pub(super) filter: Options,
    /// What both say together.
    pub(super) resolved: Resolved,
    pub(super) actions: Vec<Action>,
    /// The filter of a TOML jail, in the place of one of the tree.
    pub(super) native: Option<brackets::Definition>,
    /// What Fail2Ban says of it when all jails are read.
    pub(super) late: Vec<Said>,
    /// Where each option stands.
    pub(super) places: Vec<(String, Place)>,
}

/// Whether a section is a jail.
pub(super) fn is_jail(section: &str) -> bool {
    section != "INCLUDES"
}

/// Reads a jail; none: it is not enabled.
pub(super) fn read(
    shelf: &mut Shelf,
    set: &mut Set,
    name: &str,
    notes: &mut Notes,
) -> Result<Option<Jail>, Trouble> {
    let dialect = shelf.dialect();
    let first = options::read(set, name, FIRST, dialect, shelf, notes)?;
    if value_of(&first, "enabled") != Some(&Value::Bool(true)) {
        return Ok(None);
    }
    let strict = matches!(notes, Notes::Strict);
    let names = if dialect == Dialect::Stable && strict { Names::Plain } else { Names::Conditional };
    let native = if strict { None } else { native_filter(&first, names) };
    let mut filter = match native {
        Some(_) => None,
        None => open_filter(shelf, set, name, &first, (names, &[]), notes)?,
    };
    if let Some(open) = &mut filter {
        let known = open.first(&first, &mut shelf.said);
        inject_known(set, name, &notes.take(known)?.unwrap_or_default());
    }
    let mut known = ALL.to_vec();
    if dialect == Dialect::Head {
        known.extend(HEAD);
    }
    if !strict {
        known.extend(OURS);
    }
    let options = options::read(set, name, &known, dialect, shelf, notes)?;
    let (mut own, mut late) = (Options::new(), Vec::new());
    if let Some(open) = &mut filter {
        let read = open.second(&options, &mut shelf.said, &mut late);
        own = notes.take(read)?.unwrap_or_default();
    }
    let actions = read_actions(shelf, set, name, &options, names, notes)?;
    let mut resolved = Resolved { dialect, name: None, ..Resolved::default() };
    if let Some(open) = &filter {
        resolved.name = Some(open.name().to_owned());
        let taken = resolved.take(&own, |key| open.place(key));
        notes.take(taken)?;
    }
    let taken = resolved.take(&options, |key| set.place(name, key));
    notes.take(taken)?;
    let places = options.iter().map(|(key, _)| (key.clone(), set.place(name, key))).collect();
    Ok(Some(Jail { name: name.to_owned(), options, filter: own, resolved, actions, native, late, places }))
}

/// What a jail and its filter say of lines, whether it is enabled or not; `extra` replaces options in the filter's
/// brackets. Besides, the options of the filter as they came out.
pub(super) fn rules(
    shelf: &mut Shelf,
    mut set: Set,
    name: &str,
    extra: &[(String, String)],
) -> super::probe::Found {
    let (dialect, mut notes) = (shelf.dialect(), Notes::Strict);
    let first = options::read(&set, name, FIRST, dialect, shelf, &mut notes)?;
    let names = Names::Conditional;
    let mut filter = open_filter(shelf, &set, name, &first, (names, extra), &mut notes)?;
    if let Some(open) = &mut filter {
        let known = open.first(&first, &mut shelf.said)?;
        inject_known(&mut set, name, &known);
    }
    let known: Vec<Known> =
        ALL.iter().filter(|(key, ..)| filter::KEYS.contains(key) || *key == "backend").copied().collect();
    let options = options::read(&set, name, &known, dialect, shelf, &mut notes)?;
    let mut resolved = Resolved { dialect, ..Resolved::default() };
    let mut shown = Options::new();
    if let Some(open) = &mut filter {
        let own = open.second(&options, &mut shelf.said, &mut Vec::new())?;
        resolved.name = Some(open.name().to_owned());
        resolved.take(&own, |key| open.place(key))?;
        shown = open.shown(&super::definition::merge(own, &options), extra);
    }
    resolved.take(&options, |key| set.place(name, key))?;
    if let Some(backend) = value_of(&options, "backend") {
        shown.push(("backend".to_owned(), backend.clone()));
    }
    Ok((resolved, shown))
}

/// The jail can name what its filter says.
fn inject_known(set: &mut Set, name: &str, options: &[(String, Value)]) {
    for (key, value) in options {
        if let (false, Some(text)) = (key.starts_with("known/"), value.as_text()) {
            set.inject(name, &format!("known/{key}"), text);
        }
    }
}

/// The name and options behind `stockade:`.
fn native_filter(first: &[(String, Value)], names: Names) -> Option<brackets::Definition> {
    brackets::parse(text(first, "filter").strip_prefix(NATIVE)?, names).ok()
}

fn open_filter(
    shelf: &mut Shelf,
    set: &Set,
    name: &str,
    first: &[(String, Value)],
    (names, extra): (Names, &[(String, String)]),
    notes: &mut Notes,
) -> Result<Option<filter::Filter>, Trouble> {
    let text = text(first, "filter");
    if text.is_empty() {
        shelf.say("jailreader", Level::Warning, format!("No filter set for jail {name}"));
        return Ok(None);
    }
    let place = || set.place(name, "filter");
    let definition = brackets::parse(text, names).map_err(|why| {
        Trouble::new(place(), Problem::Brackets { kind: "filter", text: text.to_owned(), why })
    });
    let Some(definition) = notes.take(definition)? else { return Ok(None) };
    let mut parameters: Options =
        definition.options.into_iter().map(|(key, value)| (key, value.into())).collect();
    for (key, value) in extra {
        super::definition::set(&mut parameters, key, value.as_str().into());
    }
    let filter = filter::open(shelf, &definition.name, parameters, self::text(first, "backend"));
    notes.take(filter.map_err(|trouble| trouble.at(place)))
}

fn read_actions(
    shelf: &mut Shelf,
    set: &Set,
    name: &str,
    options: &[(String, Value)],
    names: Names,
    notes: &mut Notes,
) -> Result<Vec<Action>, Trouble> {
    let place = || set.place(name, "action");
    let mut opened = Vec::new();
    for text in brackets::split(text(options, "action"), names) {
        let definition = brackets::parse(text, names).map_err(|why| {
            Trouble::new(place(), Problem::Brackets { kind: "action", text: text.to_owned(), why })
        });
        let action = definition.and_then(|definition| action::open(shelf, name, definition, options));
        let action = action.map_err(|trouble| Trouble { action: Some(text.into()), ..trouble.at(place) });
        opened.extend(notes.take(action)?);
    }
    if opened.is_empty() {
        shelf.say("jailreader", Level::Warning, format!("No actions were defined for {name}"));
    }
    let mut actions: Vec<Action> = Vec::new();
    for open in opened {
        let Some(action) = notes.take(open.finish().map_err(|trouble| trouble.at(place)))? else { continue };
        if actions.iter().any(|known| known.name == action.name) {
            notes.doubt(Trouble::new(place(), Problem::ActionTwice(action.name.clone())));
        }
        actions.push(action);
    }
    Ok(actions)
}

/// The text of an option; a text without any for what is not set.
pub(super) fn text<'a>(options: &'a [(String, Value)], key: &str) -> &'a str {
    match value_of(options, key) {
        Some(Value::Text(text)) => text,
        _ => "",
    }
}

/// The addresses and names of `ignoreip`.
pub(super) fn addresses(text: &str, dialect: Dialect) -> Vec<&str> {
    let separates = |c: char| match dialect {
        Dialect::Stable => matches!(c, ' ' | ',' | '\n'),
        Dialect::Head => c == ',' || crate::python::is_space(c),
    };
    text.split(separates).map(strip).filter(|word| !word.is_empty()).collect()
}
