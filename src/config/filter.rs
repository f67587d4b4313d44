//! `[jail.NAME.filter]`: which patterns are on in the chosen mode, and where each was written.

use std::collections::BTreeMap;
use std::path::Path;

use super::layer::At;
use super::suggest;
use super::value::{self, Notes, Shape, Table};
use crate::fail2ban;
use crate::filter::{Filter, FilterOptions};

/// A pattern and its place.
type Piece = (String, At);

/// The table as written.
#[derive(Debug)]
pub(super) struct Written {
    at: At,
    prefix: Option<Piece>,
    patterns: Vec<Piece>,
    ignore: Vec<Piece>,
    define: BTreeMap<String, Piece>,
    groups: BTreeMap<String, Vec<Piece>>,
    /// Mode → its groups; none: each group is a mode.
    modes: Option<BTreeMap<String, Vec<Piece>>>,
    /// A filter of a Fail2Ban tree, `name[option=value]`, in the place of all this.
    fail2ban: Option<Piece>,
}

/// Reads the table; mistakes are noted.
pub(super) fn read(mut table: Table, notes: &mut Notes<'_>) -> Written {
    let at = table.at().clone();
    let prefix = table.get(notes, "prefix", |slot| Ok((value::text(slot)?, slot.at.clone())));
    let patterns = table.list(notes, "patterns", Shape::Patterns, value::text).unwrap_or_default();
    let ignore = table.list(notes, "ignore", Shape::Patterns, value::text).unwrap_or_default();
    let define = fragments(table.table(notes, "define"), notes);
    let groups = lists(table.table(notes, "groups"), notes, Shape::Patterns).unwrap_or_default();
    let modes = lists(table.table(notes, "modes"), notes, Shape::Words);
    let fail2ban = table.get(notes, "fail2ban", |slot| Ok((value::text(slot)?, slot.at.clone())));
    table.finish(notes);
    let written = Written { at, prefix, patterns, ignore, define, groups, modes, fail2ban };
    written.check_modes(notes);
    written
}

fn fragments(table: Option<Table>, notes: &mut Notes<'_>) -> BTreeMap<String, Piece> {
    let mut found = BTreeMap::new();
    for (name, slot) in table.map(|mut table| table.rest(notes)).unwrap_or_default() {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
        if name.is_empty() || !name.bytes().all(fits) {
            notes.note(&slot.at, "a fragment's name is made of a-z, 0-9, _ and -");
            continue;
        }
        match value::text(&slot) {
            Ok(text) => _ = found.insert(name, (text, slot.at)),
            Err(what) => notes.note(&slot.at, what),
        }
    }
    found
}

fn lists(table: Option<Table>, notes: &mut Notes<'_>, shape: Shape) -> Option<BTreeMap<String, Vec<Piece>>> {
    let mut found = BTreeMap::new();
    for (name, slot) in table?.rest(notes) {
        let mut pieces = Vec::new();
        for item in value::items(notes, slot, shape).unwrap_or_default() {
            match value::text(&item) {
                Ok(text) => pieces.push((text, item.at)),
                Err(what) => notes.note(&item.at, what),
            }
        }
        found.insert(name, pieces);
    }
    Some(found)
}

impl Written {
    /// Each group that a mode names must be there.
    fn check_modes(&self, notes: &mut Notes<'_>) {
        for (group, at) in self.modes.iter().flatten().flat_map(|(_, groups)| groups) {
            if !self.groups.contains_key(group) {
                let known = self.groups.keys().map(String::as_str);
                let hint = match suggest::nearest(group, known.clone()) {
                    Some(known) => format!("did you mean {known}?"),
                    None => format!("known are {}", value::choice(known)),
                };
                notes.note(at, format!("unknown group {group:?}: {hint}"));
            }
        }
    }

    /// What is on in this mode; none: there is no such mode, which is noted. Without a mode it is `normal`.
    /// A filter of Fail2Ban's is looked for in `tree`.
    pub(super) fn choose(self, mode: Option<&Piece>, tree: &Path, notes: &mut Notes<'_>) -> Option<Chosen> {
        if let Some(named) = &self.fail2ban {
            return self.of_fail2ban(named, mode, tree, notes);
        }
        let modes: Vec<&str> = match &self.modes {
            Some(modes) => modes.keys().map(String::as_str).collect(),
            None => self.groups.keys().map(String::as_str).collect(),
        };
        let wanted = mode.map_or("normal", |(mode, _)| mode);
        let known = modes.contains(&wanted) || (modes.is_empty() && wanted == "normal");
        if !known {
            let what = match (mode, modes.is_empty()) {
                (_, true) => format!("unknown mode {wanted:?}: this filter has no modes"),
                (Some(_), _) => format!("unknown mode {wanted:?}: use {}", value::choice(modes)),
                (None, _) => format!("has no mode \"normal\": set `mode` to {}", value::choice(modes)),
            };
            notes.note(mode.map_or(&self.at, |(_, at)| at), what);
            return None;
        }
        let groups: Vec<&str> = match &self.modes {
            Some(modes) => modes.get(wanted).into_iter().flatten().map(|(group, _)| group.as_str()).collect(),
            None => vec![wanted],
        };
        let grouped = groups.iter().filter_map(|&group| self.groups.get(group)).flatten().cloned();
        let patterns: Vec<Piece> = self.patterns.iter().cloned().chain(grouped).collect();
        if patterns.is_empty() {
            // Unless they are there and wrong, which is noted already.
            if !notes.wrong() {
                notes.note(&self.at, format!("has no patterns in mode {wanted:?}"));
            }
            return None;
        }
        Some(Chosen::new(self, patterns))
    }

    /// The filter of a tree.
    fn of_fail2ban(
        &self,
        (text, at): &Piece,
        mode: Option<&Piece>,
        tree: &Path,
        notes: &mut Notes<'_>,
    ) -> Option<Chosen> {
        if self.prefix.is_some() || !self.patterns.is_empty() || !self.groups.is_empty() {
            notes.note(at, "stands beside patterns: a filter of Fail2Ban has its own");
            return None;
        }
        let resolved = fail2ban::filter::parse(text).map_err(|error| error.to_string()).and_then(|named| {
            let mut options = named.options;
            if let Some((mode, _)) = mode.filter(|_| options.iter().all(|(key, _)| key != "mode")) {
                options.push(("mode".to_owned(), mode.clone()));
            }
            let wanted =
                fail2ban::filter::Wanted { base: tree, name: &named.name, options: &options, jail: &[] };
            fail2ban::filter::resolve(&wanted).map_err(|trouble| format!("in {}: {trouble}", tree.display()))
        });
        match resolved {
            Ok(resolved) => Some(Chosen::whole(resolved.options(), at.clone())),
            Err(what) => {
                notes.note(at, what);
                None
            }
        }
    }
}

/// A filter's options, and where each was written.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) options: FilterOptions,
    at: At,
    prefix: Option<At>,
    patterns: Vec<At>,
    ignore: Vec<At>,
    define: Vec<At>,
}

impl Chosen {
    /// A filter that was written in one place.
    fn whole(options: FilterOptions, at: At) -> Self {
        Self { options, at, prefix: None, patterns: Vec::new(), ignore: Vec::new(), define: Vec::new() }
    }

    fn new(written: Written, patterns: Vec<Piece>) -> Self {
        let (prefix, prefix_at) = written.prefix.unzip();
        let (patterns, patterns_at) = patterns.into_iter().unzip();
        let (ignore, ignore_at) = written.ignore.into_iter().unzip();
        let (define, define_at) =
            written.define.into_iter().map(|(name, (text, at))| ((name, text), at)).unzip();
        Self {
            options: FilterOptions { prefix, patterns, ignore, define, fail2ban: None, supplement: None },
            at: written.at,
            prefix: prefix_at,
            patterns: patterns_at,
            ignore: ignore_at,
            define: define_at,
        }
    }

    /// Builds the filter once, to find what is wrong with its patterns.
    pub(super) fn check(&self, notes: &mut Notes<'_>) {
        let Err(errors) = Filter::new(&self.options) else { return };
        for error in errors {
            let (option, index) = error.option();
            // The mistake names the key where it was written, which is not where it stands in the chosen list.
            notes.note(self.place(option, index), error.what());
        }
    }

    fn place(&self, option: &str, index: Option<usize>) -> &At {
        let list = match option {
            "prefix" => return self.prefix.as_ref().unwrap_or(&self.at),
            "patterns" => &self.patterns,
            "ignore" => &self.ignore,
            "define" => &self.define,
            _ => return &self.at,
        };
        index.and_then(|index| list.get(index)).unwrap_or(&self.at)
    }
}
