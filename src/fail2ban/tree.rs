//! A whole tree as the daemon takes it: every mistake of every jail is listed, and the other jails go on.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use super::daemon::{self, Overrides, Server};
use super::dialect::Dialect;
use super::ini::DEFAULT;
use super::interpolate::{self, Scope};
use super::jail;
use super::logs::{self, Log};
use super::notes::Notes;
use super::problem::Trouble;
use super::set::Set;
use super::shelf::Shelf;
use super::spec::JailSpec;
use crate::config::Mistake;

/// What a tree says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tree {
    /// Which Fail2Ban it was made for.
    pub dialect: Dialect,
    /// The server as a whole; defaults stand in for what is wrong.
    pub server: Server,
    /// The enabled jails that are right, in the order of the files.
    pub jails: Vec<JailSpec>,
    /// Jails that are not enabled, with the logs they would read.
    pub disabled: Vec<(Arc<str>, Vec<Log>)>,
    /// What is wrong, all of it.
    pub mistakes: Vec<Mistake>,
    /// Enabled jails that are wrong.
    pub refused: BTreeSet<Arc<str>>,
    /// The jails' files are broken: nothing is known.
    pub everything: bool,
    /// What to watch for changes: folders, and every file that was read.
    pub watched: Vec<PathBuf>,
}

/// Reads a tree; the jail `tried` is taken as enabled, whatever its files say.
pub fn load(base: &Path, tried: Option<&str>) -> Tree {
    let mut reader =
        Reader { shelf: Shelf::new(base), notes: Notes::Kind(Vec::new()), tree: Tree::default() };
    if let Err(trouble) = daemon::folder(&reader.shelf) {
        reader.note(None, trouble);
        reader.tree.everything = true;
        return reader.tree;
    }
    // Kind notes keep everything, so that nothing comes back as an error.
    let client = daemon::client(&mut reader.shelf, &Overrides::new(), &mut reader.notes);
    let found = jails(&mut reader.shelf);
    if let Ok((files, client)) = client {
        let server = daemon::server(&files, client, &mut reader.shelf, &mut reader.notes);
        reader.tree.server = server.unwrap_or_default();
    }
    reader.drain(None);
    reader.passed_over();
    match found {
        Ok(Some(mut set)) => {
            if let Some(tried) = tried.filter(|tried| set.has_section(tried)) {
                set.inject(tried, "enabled", "true".to_owned());
            }
            reader.jails(set);
        }
        Ok(None) => {}
        Err(_) => {
            let broken = reader.shelf.broken("jail");
            for trouble in broken {
                reader.note(None, trouble);
            }
            reader.tree.everything = true;
        }
    }
    reader.finish()
}

/// The files of the jails, with what Fail2Ban adds to their defaults; none: there are no such files.
pub(super) fn jails(shelf: &mut Shelf) -> Result<Option<Set>, Trouble> {
    let Some(set) = shelf.set("jail")? else { return Ok(None) };
    let mut set = Rc::unwrap_or_clone(set);
    let (version, base) = (shelf.dialect().version().to_owned(), shelf.base.display().to_string());
    for (key, value) in [("fail2ban_version", version), ("fail2ban_confpath", base)] {
        if set.own(DEFAULT, key).is_none() {
            set.inject(DEFAULT, key, value);
        }
    }
    Ok(Some(set))
}

struct Reader {
    shelf: Shelf,
    notes: Notes,
    tree: Tree,
}

impl Reader {
    fn note(&mut self, jail: Option<&Arc<str>>, trouble: Trouble) {
        let mistakes = trouble.mistakes(jail, &self.shelf.base);
        self.tree.mistakes.extend(mistakes);
    }

    /// Takes over what was noted since; whether that was anything.
    fn drain(&mut self, jail: Option<&Arc<str>>) -> bool {
        let found = self.notes.drain();
        let any = !found.is_empty();
        for trouble in found {
            self.note(jail, trouble);
        }
        any
    }

    /// Files that Fail2Ban passes over; those of the jails may hold what keeps somebody from being banned.
    fn passed_over(&mut self) {
        let jails = self.shelf.files("jail");
        for trouble in std::mem::take(&mut self.shelf.skipped) {
            self.tree.everything |= trouble.place.file.as_ref().is_some_and(|file| jails.contains(file));
            self.note(None, trouble);
        }
    }

    fn jails(&mut self, mut set: Set) {
        let names: Vec<String> =
            set.sections().filter(|name| jail::is_jail(name)).map(str::to_owned).collect();
        for name in names {
            self.jail(&mut set, &name);
        }
    }

    fn jail(&mut self, set: &mut Set, section: &str) {
        let name: Arc<str> = section.into();
        let read = jail::read(&mut self.shelf, set, section, &mut self.notes);
        if let Some(jail) = read.ok().flatten() {
            let wrong = self.drain(Some(&name));
            let (spec, mistakes) = JailSpec::of(jail, self.shelf.base.clone());
            if wrong || !mistakes.is_empty() {
                self.tree.refused.insert(name);
                self.tree.mistakes.extend(mistakes);
            } else {
                self.tree.jails.push(spec);
            }
        } else {
            // What is wrong with a jail that is not enabled costs nothing.
            self.notes.drain();
            self.not_enabled(name, set, section);
        }
        self.passed_over();
    }

    fn not_enabled(&mut self, name: Arc<str>, set: &Set, section: &str) {
        let scope = Scope { set, section, vars: &[] };
        match interpolate::get(&scope, "enabled") {
            Ok(_) => {
                let logpath = interpolate::get(&scope, "logpath").ok().flatten();
                let logs = logpath.map(|text| logs::find(&text)).unwrap_or_default();
                self.tree.disabled.push((name, logs));
            }
            Err(trouble) => {
                self.note(Some(&name), trouble);
                self.tree.refused.insert(name);
            }
        }
    }

    fn finish(mut self) -> Tree {
        self.tree.dialect = self.shelf.dialect();
        self.tree.watched = self.shelf.watched();
        merge(&mut self.tree.mistakes);
        self.tree
    }
}

/// A mistake that several jails have in common is one mistake, and none's in particular.
fn merge(mistakes: &mut Vec<Mistake>) {
    let mut merged: Vec<Mistake> = Vec::new();
    for mistake in mistakes.drain(..) {
        let same = |known: &&mut Mistake| {
            (&known.place, known.line, &known.key, &known.what)
                == (&mistake.place, mistake.line, &mistake.key, &mistake.what)
        };
        match merged.iter_mut().find(same) {
            Some(known) if known.jail != mistake.jail => known.jail = None,
            Some(_) => {}
            None => merged.push(mistake),
        }
    }
    *mistakes = merged;
}

#[cfg(test)]
mod tests;
