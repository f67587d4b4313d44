//! A jail of a Fail2Ban tree as the daemon takes it: its options by name and type, times as they are written.
//!
//! Pure but for [`super::logs`], which lists its files.

mod seen;

use std::path::PathBuf;
use std::sync::Arc;

use super::brackets::{self, Names};
use super::definition::value_of;
use super::filter::Resolved;
use super::jail::{self, Jail};
use super::logs::{self, Log};
use super::problem::Place;
use crate::config::Mistake;
use crate::python::{Raised, Value, lower};

/// A jail that is enabled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JailSpec {
    /// Its name: any text without a line end.
    pub name: Arc<str>,
    /// `auto`, `polling`, `pyinotify` or `systemd`, with the options of its brackets.
    pub backend: brackets::Definition,
    /// What its filter and the jail itself say of lines.
    pub filter: Resolved,
    /// `filter = stockade:NAME[options]`: the filter of a TOML jail in the place of one of the tree.
    pub native_filter: Option<brackets::Definition>,
    /// `supplement`: whether a stock filter that is known to be deaf is helped out.
    pub supplement: bool,
    /// `spare_logins`: whether hosts of those who are logged in are not banned.
    pub spare_logins: Option<bool>,
    /// `layout`: `exact` or `fast`, how sets with `flags interval` are laid out.
    pub layout: Option<String>,
    /// `cut`: whether a ban ends the connections that it shuts out.
    pub cut: Option<bool>,
    /// `logpath`, with the files that are there now.
    pub logs: Vec<Log>,
    /// `maxretry`.
    pub max_retry: Option<i64>,
    /// `maxmatches`.
    pub max_matches: Option<i64>,
    /// `findtime`, a time expression.
    pub find_time: Option<String>,
    /// `bantime`, a time expression; -1: for ever.
    pub ban_time: Option<String>,
    /// `bantime.increment` and what belongs to it.
    pub increment: Increment,
    /// `ignoreself`.
    pub ignore_self: Option<bool>,
    /// `ignoreip`, taken apart.
    pub ignore_ip: Vec<String>,
    /// `ignorecommand`; an empty one is none.
    pub ignore_command: Option<String>,
    /// `ignorecache`, if it is not empty.
    pub ignore_cache: Option<String>,
    /// `logencoding`.
    pub log_encoding: Option<String>,
    /// `skip_if_nologs` (upstream's head).
    pub skip_if_no_logs: bool,
    /// `systemd_if_nologs` (upstream's head).
    pub systemd_if_no_logs: bool,
    /// `action`, in its order.
    pub actions: Vec<crate::action::Definition>,
    places: Vec<(String, Place)>,
    /// The tree's folder: where what has no other place stands.
    base: PathBuf,
}

/// How bans grow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Increment {
    /// `bantime.increment`.
    pub enabled: Option<bool>,
    /// `bantime.factor`.
    pub factor: Option<String>,
    /// `bantime.formula`.
    pub formula: Option<String>,
    /// `bantime.multipliers`.
    pub multipliers: Option<String>,
    /// `bantime.maxtime`, a time expression.
    pub max_time: Option<String>,
    /// `bantime.rndtime`, a time expression.
    pub random_time: Option<String>,
    /// `bantime.overalljails`, as it is written.
    pub overall_jails: Option<String>,
    /// Words behind `bantime.` that mean nothing: who sets one may ask for it.
    pub others: Vec<(String, String)>,
}

impl JailSpec {
    /// Takes over a jail; the second is what Fail2Ban's server would refuse of it.
    pub(super) fn of(jail: Jail, base: PathBuf) -> (Self, Vec<Mistake>) {
        let options = &jail.options;
        let text = |key: &str| value_of(options, key).and_then(Value::as_text);
        let filled = |key: &str| text(key).filter(|text| !text.is_empty());
        let number = |key: &str| text(key).and_then(|text| text.parse().ok());
        let bool = |key: &str| match value_of(options, key) {
            Some(Value::Bool(value)) => Some(*value),
            _ => None,
        };
        let backend = text("backend").unwrap_or_default();
        let parsed = brackets::parse(&backend, Names::Plain);
        let spec = Self {
            name: jail.name.as_str().into(),
            backend: parsed.clone().unwrap_or_default(),
            native_filter: jail.native,
            supplement: bool("supplement").unwrap_or(true),
            spare_logins: bool("spare_logins"),
            layout: filled("layout"),
            cut: bool("cut"),
            logs: text("logpath").map(|text| logs::find(&text)).unwrap_or_default(),
            max_retry: number("maxretry"),
            max_matches: number("maxmatches"),
            find_time: text("findtime"),
            ban_time: text("bantime"),
            increment: Increment {
                enabled: bool("bantime.increment"),
                factor: filled("bantime.factor"),
                formula: filled("bantime.formula"),
                multipliers: filled("bantime.multipliers"),
                max_time: filled("bantime.maxtime"),
                random_time: filled("bantime.rndtime"),
                overall_jails: text("bantime.overalljails"),
                others: Vec::new(),
            },
            ignore_self: bool("ignoreself"),
            ignore_ip: jail::addresses(jail::text(options, "ignoreip"), jail.resolved.dialect)
                .into_iter()
                .map(str::to_owned)
                .collect(),
            ignore_command: text("ignorecommand"),
            ignore_cache: filled("ignorecache"),
            log_encoding: filled("logencoding"),
            skip_if_no_logs: bool("skip_if_nologs").unwrap_or(false),
            systemd_if_no_logs: bool("systemd_if_nologs").unwrap_or(true),
            actions: jail.actions.iter().map(super::action::Action::definition).collect(),
            filter: jail.resolved,
            places: jail.places,
            base,
        };
        let known = ["auto", "polling", "pyinotify", "gamin", "systemd"];
        let wrong = match parsed {
            Err(why) => Some(format!("`{backend}` is no backend: {why}")),
            Ok(parsed) if !known.contains(&&*lower(&parsed.name)) => {
                Some(format!("`{backend}` is no backend: auto, polling, pyinotify or systemd"))
            }
            Ok(_) => None,
        };
        let mistakes = wrong.into_iter().map(|what| spec.mistake("backend", what)).collect();
        (spec, mistakes)
    }

    /// A jail of which nothing is said yet.
    pub fn new(name: &str, backend: brackets::Definition) -> Self {
        Self {
            name: name.into(),
            backend,
            filter: Resolved::default(),
            native_filter: None,
            supplement: true,
            spare_logins: None,
            layout: None,
            cut: None,
            logs: Vec::new(),
            max_retry: None,
            max_matches: None,
            find_time: None,
            ban_time: None,
            increment: Increment::default(),
            ignore_self: None,
            ignore_ip: Vec::new(),
            ignore_command: None,
            ignore_cache: None,
            log_encoding: None,
            skip_if_no_logs: false,
            systemd_if_no_logs: true,
            actions: Vec::new(),
            places: Vec::new(),
            base: PathBuf::new(),
        }
    }

    /// A jail as the command `add` makes it.
    ///
    /// # Errors
    /// There is no such backend.
    pub fn added(name: &str, backend: &str) -> Result<Self, Raised> {
        Ok(Self::new(name, super::desk::backend(backend)?))
    }

    /// Whether the journal is what it reads, and not files.
    pub fn is_systemd(&self) -> bool {
        lower(&self.backend.name) == "systemd"
    }

    /// Where an option of the jail or of its filter stands; none: it is not set.
    pub fn place(&self, key: &str) -> Option<&Place> {
        let own = || self.places.iter().find(|(known, _)| known == key).map(|(_, place)| place);
        self.filter.place(key).or_else(own)
    }

    /// A mistake in an option of this jail, with its file and line.
    pub fn mistake(&self, key: &str, what: String) -> Mistake {
        let place = self.place(key).cloned().unwrap_or_default();
        place.mistake(Some(&self.name), &self.base, what)
    }

    /// The files that say something of it.
    pub fn files(&self) -> Vec<PathBuf> {
        let own = self.places.iter().filter_map(|(_, place)| place.file.clone());
        let mut files: Vec<PathBuf> = self.filter.files().into_iter().chain(own).collect();
        files.sort();
        files.dedup();
        files
    }
}
