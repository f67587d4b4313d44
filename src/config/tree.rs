//! Jails of a Fail2Ban tree → jails of the daemon: the second of the two worlds.
//!
//! In: a tree as [`crate::fail2ban`] read it. Out: what runs, and every mistake with its file, line and key. A mistake
//! costs its jail; a doubt costs nothing.

mod enforce;
mod jail;
mod server;
mod times;

use std::path::Path;
use std::sync::Arc;

use super::{JailConfig, LogPath, Mistake};
use crate::fail2ban::{JailSpec, Tree};
use crate::filter::FilterOptions;
use crate::source::{Format, Start};

pub(crate) use server::flags;
pub(super) use server::{allows_ipv6, layer};
pub use server::{log_level, log_target};

/// The filter of a TOML jail, by the jail's name and a mode; or why there is none.
pub(super) type FilterOf<'a> = &'a dyn Fn(&str, Option<&str>) -> Result<FilterOptions, String>;

/// What is known besides the tree.
pub(super) struct Around<'a> {
    /// The text of `/etc/services`.
    pub(super) services: &'a str,
    /// The filters of TOML jails.
    pub(super) filter: FilterOf<'a>,
}

/// The jails of a tree.
#[derive(Default)]
pub(super) struct Jails {
    /// Those that are right.
    pub(super) right: Vec<JailConfig>,
    /// Those that are not.
    pub(super) refused: Vec<Arc<str>>,
    /// Those that are not enabled, with the logs they would read.
    pub(super) disabled: Vec<(Arc<str>, Vec<LogPath>)>,
    /// What is wrong, and what is doubted.
    pub(super) mistakes: Vec<Mistake>,
}

/// Whether a folder holds a Fail2Ban tree.
pub(super) fn is_tree(folder: &Path) -> bool {
    ["jail.conf", "jail.local", "fail2ban.conf"].iter().any(|name| folder.join(name).is_file())
}

/// Takes over the jails of a tree.
pub(super) fn jails(tree: &Tree, around: &Around<'_>) -> Jails {
    let ipv6 = server::allows_ipv6(tree.server.text("allowipv6").as_deref());
    let mut jails = Jails {
        refused: tree.refused.iter().cloned().collect(),
        mistakes: tree.mistakes.clone(),
        ..Jails::default()
    };
    for spec in &tree.jails {
        let (config, mut mistakes) = one(&Arc::new(spec.clone()), around, ipv6);
        jails.mistakes.append(&mut mistakes);
        match config {
            Some(config) => jails.right.push(config),
            None => jails.refused.push(spec.name.clone()),
        }
    }
    let log = |log: &crate::fail2ban::Log| LogPath {
        pattern: log.pattern.clone(),
        start: Start::FindTime,
        format: Format::Plain,
    };
    let disabled = tree.disabled.iter();
    jails.disabled = disabled.map(|(name, logs)| (name.clone(), logs.iter().map(log).collect())).collect();
    jails
}

/// Takes over one jail; none: it is wrong.
pub(super) fn one(
    spec: &Arc<JailSpec>,
    around: &Around<'_>,
    ipv6: bool,
) -> (Option<JailConfig>, Vec<Mistake>) {
    let mut notes = Notes { spec, mistakes: Vec::new(), wrong: false };
    let config = jail::read(spec, around, ipv6, &mut notes);
    (config.filter(|_| !notes.wrong), notes.mistakes)
}

/// What was found wrong with one jail.
struct Notes<'n> {
    spec: &'n JailSpec,
    mistakes: Vec<Mistake>,
    wrong: bool,
}

impl Notes<'_> {
    /// A mistake that costs the jail.
    fn note(&mut self, key: &str, what: impl Into<String>) {
        self.wrong = true;
        self.doubt(key, what);
    }

    /// Something that is said and costs nothing.
    fn doubt(&mut self, key: &str, what: impl Into<String>) {
        self.mistakes.push(self.spec.mistake(key, what.into()));
    }

    /// The value of a result; none: the mistake is noted.
    fn take<T, E: ToString>(&mut self, key: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.note(key, error.to_string())).ok()
    }
}
