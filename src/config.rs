//! Text → options, valid by construction: shipped defaults, `/etc/stockade`, environment, flags.
//!
//! Nothing stops at the first mistake: each is noted with file, line and key, and costs the jail it is in.
//! The keys are described in `docs/configuration.md`.

mod action;
mod daemon;
mod diff;
mod files;
mod filter;
mod fitting;
mod jail;
mod justice;
pub(crate) mod layer;
mod reads;
mod suggest;
#[cfg(test)]
mod tests;
mod toml;
mod tree;
mod value;
mod words;

pub use diff::diff;
pub use fitting::fitting;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use figment::value::{Dict, Tag, Value};
use serde::{Deserialize, Serialize};

use crate::fail2ban;
use crate::filter::FilterOptions;
use crate::firewall::Rules;
use crate::jail::JailOptions;
use crate::source::Manner;
use jail::Read;
use layer::{At, Stack};
use value::{Notes, Slot, Table};

pub use crate::log::LogFormat;
pub use crate::source::journal::JournalOptions;
pub use crate::source::{Format, Start};

/// Where filters of Fail2Ban's are looked for when no tree is named.
const FAIL2BAN: &str = "/etc/fail2ban";

/// Everything the program runs by.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The program as a whole.
    pub daemon: Daemon,
    /// The enabled jails that are right, in the order of their names.
    pub jails: Vec<JailConfig>,
    /// Known jails that are not enabled, with the logs they would read.
    pub disabled: Vec<(Arc<str>, Vec<LogPath>)>,
    /// What is wrong, all of it, in the order of the layers.
    pub mistakes: Vec<Mistake>,
    /// What the mistakes cost.
    pub refused: Refused,
    /// The folder of the operator's files.
    pub etc: PathBuf,
}

/// What the mistakes cost: at start these do not run, at a reload they keep their running version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refused {
    /// Nothing may start or move: a file that concerns everything, or the folder, cannot be read.
    pub everything: bool,
    /// An option of `[daemon]` is wrong, or may be: its default stands in at start, at a reload none of them moves.
    pub daemon: bool,
    /// Files that are not used.
    pub files: Vec<PathBuf>,
    /// Enabled jails that are wrong, and those that a refused file speaks of.
    pub jails: BTreeSet<Arc<str>>,
}

/// Where the configuration is read from, the weakest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// Whether the shipped jails are known.
    pub shipped: bool,
    /// The folder with `stockade.toml` and `jails.d/*.toml`; it need not be there.
    pub etc: PathBuf,
    /// Further files, which must be there.
    pub extra: Vec<PathBuf>,
    /// The environment; what is not `STOCKADE_*__*` is passed over.
    pub env: Vec<(String, String)>,
    /// Flags: `--set KEY=VALUE`.
    pub flags: Vec<(String, String)>,
    /// The names of ports; it need not be there.
    pub services: PathBuf,
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            shipped: true,
            etc: "/etc/stockade".into(),
            extra: Vec::new(),
            env: Vec::new(),
            flags: Vec::new(),
            services: "/etc/services".into(),
        }
    }
}

impl Sources {
    /// What to watch for changes: folders, where files may appear, and files.
    pub fn watched(&self) -> Vec<PathBuf> {
        files::watched(self)
    }
}

/// The options of the program as a whole (`[daemon]`).
#[derive(Debug, Clone, PartialEq)]
pub struct Daemon {
    /// The control socket.
    pub socket: PathBuf,
    /// The process id's file.
    pub pid_file: PathBuf,
    /// The database; none: nothing is remembered.
    pub store: Option<PathBuf>,
    /// `CRITICAL` … `TRACE`, Fail2Ban's names.
    pub log_level: String,
    /// A file, `STDOUT`, `STDERR` or `JOURNAL`.
    pub log_target: String,
    /// `text` or `json`.
    pub log_format: LogFormat,
    /// Whether a changed drop-in is loaded at once.
    pub watch: bool,
    /// How long the history of bans is kept.
    pub purge_age: Duration,
    /// Whether failure counters survive a restart.
    pub keep_counters: bool,
    /// How long actions have to undo their bans and to stop when the program ends.
    pub stop_timeout: Duration,
    /// Network interfaces whose addresses are our own; empty: all.
    pub interfaces: Vec<String>,
    /// A Fail2Ban tree whose jails run too.
    pub fail2ban: Option<PathBuf>,
}

/// Which firewall enforces a jail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FirewallKind {
    /// Netlink, table `inet stockade`.
    #[default]
    Nftables,
    /// Netlink, the tables and sets that Fail2Ban's actions spell out.
    Exact,
    /// For kernels without `nf_tables`.
    Iptables,
    /// TCP wrappers.
    HostsDeny,
    /// Nothing is blocked; for dry runs and tests.
    Memory,
    /// Nothing is blocked; bans are reported only.
    None,
}

/// A path or glob that a jail reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPath {
    /// A path, or a glob (`*`, `?`, `[…]`).
    pub pattern: String,
    /// Where to begin.
    pub start: Start,
    /// How its lines are written.
    pub format: Format,
}

impl LogPath {
    /// The pattern, and how its files are read.
    pub fn pattern(&self) -> (String, Manner) {
        (self.pattern.clone(), Manner { start: self.start, format: self.format })
    }
}

/// One enabled jail.
#[derive(Debug, Clone, PartialEq)]
pub struct JailConfig {
    /// One line for the operator.
    pub description: String,
    /// What the pure core needs.
    pub options: JailOptions,
    /// What it reads.
    pub logs: Vec<LogPath>,
    /// The journal, in place of the logs where there is one (or they in its place).
    pub journal: Option<JournalOptions>,
    /// Files with addresses to ignore (`file:`), re-read when they change.
    pub ignore_files: Vec<PathBuf>,
    /// Which firewall.
    pub firewall: FirewallKind,
    /// How bans are enforced there.
    pub rules: Rules,
    /// The files that shaped it, the weakest first; shipped ones are `shipped/NAME.toml`.
    pub sources: Vec<PathBuf>,
    /// What is done about a ban by commands, in this order.
    pub actions: Vec<crate::action::Definition>,
    /// What the operator should know of how it is carried out, a sentence each.
    pub remarks: Vec<String>,
}

/// Something wrong in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mistake {
    /// The jail it is about; none: several, or the program as a whole.
    pub jail: Option<Arc<str>>,
    /// The file, environment variable or flag.
    pub place: String,
    /// Line in that file, from 1.
    pub line: Option<usize>,
    /// The key, such as `jail.sshd.max_retry`.
    pub key: Option<String>,
    /// What is wrong and what to do.
    pub what: String,
}

/// What a reload does to one jail.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// It is new.
    Start(Box<JailConfig>),
    /// It is gone: its bans are lifted.
    Stop(Arc<str>),
    /// These options differ (their names), the rest moves not.
    Retune(Box<JailConfig>, Vec<&'static str>),
    /// It is wrong and keeps its running version.
    Keep(Arc<str>),
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(key) = &self.key {
            write!(f, ": {key}")?;
        }
        write!(f, ": {}", self.what)
    }
}

/// All mistakes, one line each.
pub fn explain(config: &Config) -> String {
    let mut text = String::new();
    for mistake in &config.mistakes {
        let _ = writeln!(text, "{mistake}");
    }
    text
}

/// Whether a jail may be called so.
pub fn is_name(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    (1..=64).contains(&text.len()) && text.bytes().all(fits)
}

/// Reads all layers and checks everything.
pub fn load(sources: &Sources) -> Config {
    let services = fs::read(&sources.services).unwrap_or_default();
    let services = String::from_utf8_lossy(&services);
    let gathered = files::gather(sources);
    let (stack, gathered_tree) = (gathered.stack, gathered.tree);
    let (mut mistakes, mut refused) = (gathered.mistakes, gathered.refused);
    let mut notes = Notes::new(&stack);
    let mut top = Table::new("", Tag::Default, stack.values());

    notes.begin(None);
    let daemon = top.table(&mut notes, "daemon").unwrap_or_default();
    let daemon = daemon::read(daemon, &mut notes);
    refused.daemon = notes.wrong() || refused.everything;
    let defaults = top.table(&mut notes, "default").unwrap_or_default();
    let inherited = defaults.values().clone();
    let misfit = jail::check_default(defaults, &services, &mut notes);
    let jails = top.table(&mut notes, "jail").map(|mut jails| jails.rest(&notes)).unwrap_or_default();
    unknown_tables(&mut top, &jails, &mut notes);

    let tree_at = daemon.fail2ban.clone().unwrap_or_else(|| sources.etc.clone());
    let tree = match gathered_tree {
        Some(tree) if daemon.fail2ban.as_ref().is_none_or(|named| *named == sources.etc) => Some(tree),
        _ => daemon.fail2ban.as_ref().map(|base| fail2ban::load(base, &Vec::new())),
    };
    let filters_at = if tree.is_some() { tree_at.as_path() } else { Path::new(FAIL2BAN) };
    let filters: BTreeMap<String, Dict> =
        jails.iter().filter_map(|(name, slot)| Some((name.clone(), slot.value.as_dict()?.clone()))).collect();

    let mut read = Vec::new();
    for (name, slot) in jails {
        let name: Arc<str> = name.into();
        notes.begin(Some(&name));
        if !is_name(&name) {
            notes.note(&slot.at, "a jail's name is made of A-Z, a-z, 0-9, _, . and -, 64 at most");
            continue;
        }
        let sources = stack.files(inherited.values().chain([&slot.value]));
        let Some(table) = value::table(&mut notes, slot) else {
            refused.jails.insert(name);
            continue;
        };
        let mut jail = jail::read(&name, table.inheriting(&inherited), &services, filters_at, &mut notes);
        jail.config.sources = sources;
        if let (true, Some(filter)) = (jail.enabled, &jail.filter) {
            filter.check(&mut notes);
        }
        read.push((jail, notes.wrong() || misfit));
    }
    doubt_names(&mut read, &mut notes);
    doubt_recidive(&read, &daemon, &mut notes);

    mistakes.extend(notes.into_found());
    mistakes.sort_by(|(layer, a), (other, b)| (layer, a.line, &a.key).cmp(&(other, b.line, &b.key)));
    let mut config = Config {
        daemon,
        jails: Vec::new(),
        disabled: Vec::new(),
        mistakes: mistakes.into_iter().map(|(_, mistake)| mistake).collect(),
        refused,
        etc: sources.etc.clone(),
    };
    for (jail, wrong) in read {
        config.add(jail, wrong);
    }
    if let Some(tree) = tree {
        let filter = |name: &str, mode: Option<&str>| filter_of(&stack, &filters, name, mode, filters_at);
        let around = tree::Around { services: &services, filter: &filter };
        config.join(tree::jails(&tree, &around), tree.everything);
    }
    config
}

/// The filter of a TOML jail, enabled or not.
fn filter_of(
    stack: &Stack,
    jails: &BTreeMap<String, Dict>,
    name: &str,
    mode: Option<&str>,
    tree: &Path,
) -> Result<FilterOptions, String> {
    let jail = jails.get(name).ok_or_else(|| format!("there is no jail {name} in TOML"))?;
    let filter = jail.get("filter").and_then(Value::as_dict).cloned();
    let filter = filter.ok_or_else(|| format!("the TOML jail {name} has no filter"))?;
    let mut notes = Notes::new(stack);
    let table = Table::new(&format!("jail.{name}.filter"), Tag::Default, filter);
    let mode = mode.map(|mode| (mode.to_owned(), At::default()));
    let chosen = filter::read(table, &mut notes).choose(mode.as_ref(), tree, &mut notes);
    match (chosen, notes.into_found().into_iter().next()) {
        (Some(chosen), None) => Ok(chosen.options),
        (_, Some((_, mistake))) => Err(format!("the filter of the TOML jail {name}: {}", mistake.what)),
        (None, None) => Err(format!("the TOML jail {name} has no such filter")),
    }
}

impl Config {
    /// Takes the jails of a Fail2Ban tree in. A name that is enabled in both worlds is the tree's.
    fn join(&mut self, tree: tree::Jails, everything: bool) {
        self.mistakes.extend(tree.mistakes);
        self.refused.everything |= everything;
        let theirs: BTreeSet<Arc<str>> = tree
            .jails
            .iter()
            .map(|jail| jail.options.name.clone())
            .chain(tree.refused.iter().cloned())
            .collect();
        let (both, ours) = std::mem::take(&mut self.jails)
            .into_iter()
            .partition::<Vec<_>, _>(|jail| theirs.contains(&jail.options.name));
        self.jails = ours;
        for jail in both {
            let name = &jail.options.name;
            let file = |config: &JailConfig| config.sources.last().map(|file| file.display().to_string());
            let other = tree.jails.iter().find(|other| other.options.name == *name);
            let other = other.and_then(file).unwrap_or_else(|| "the Fail2Ban tree".to_owned());
            self.mistakes.push(Mistake {
                jail: Some(name.clone()),
                place: file(&jail).unwrap_or_else(|| "the environment".to_owned()),
                line: None,
                key: Some(format!("jail.{name}.enabled")),
                what: format!("is enabled in {other} too: that one runs, this one does not"),
            });
        }
        if !self.refused.everything {
            self.jails.extend(tree.jails);
            self.jails.sort_by(|one, other| one.options.name.cmp(&other.options.name));
        }
        self.refused.jails.extend(tree.refused);
        let known = |name: &Arc<str>| theirs.contains(name);
        self.disabled.retain(|(name, _)| !known(name));
        let more: Vec<_> = tree
            .disabled
            .into_iter()
            .filter(|(name, _)| !self.jails.iter().any(|jail| jail.options.name == *name))
            .filter(|(name, _)| !self.disabled.iter().any(|(other, _)| other == name))
            .collect();
        self.disabled.extend(more);
    }

    fn add(&mut self, jail: Read, wrong: bool) {
        let name = jail.name();
        match (jail.enabled, wrong) {
            (false, _) => self.disabled.push((name, jail.config.logs)),
            (true, true) => _ = self.refused.jails.insert(name),
            (true, false) if self.refused.everything => {}
            (true, false) => self.jails.push(jail.config),
        }
    }
}

/// Notes what is no table of ours at the top of a file.
fn unknown_tables(top: &mut Table, jails: &[(String, Slot)], notes: &mut Notes<'_>) {
    let jails: BTreeSet<String> = jails.iter().map(|(name, _)| name.clone()).collect();
    for (name, slot) in top.rest(notes) {
        notes.note(&slot.at, layer::top_level(&name, &jails, jail::KEYS));
    }
}

/// A jail without logs and filter serves bans by hand, if it says so; else its name is a slip of the pen.
fn doubt_names(jails: &mut [(Read, bool)], notes: &mut Notes<'_>) {
    let known: Vec<Arc<str>> =
        jails.iter().filter(|(jail, _)| jail.known()).map(|(jail, _)| jail.name()).collect();
    for (jail, wrong) in jails.iter_mut().filter(|(jail, _)| jail.enabled && !jail.known()) {
        let name = jail.name();
        let known = || known.iter().map(|name| &**name);
        let hint = match (suggest::nearest(&name, known()), known().next()) {
            (Some(meant), _) => format!("did you mean {meant}?"),
            (None, Some(_)) => format!("known are {}", known().collect::<Vec<_>>().join(", ")),
            (None, None) => "there are none yet".to_owned(),
        };
        notes.begin(Some(&name));
        let what = "unknown jail, with neither logs nor a filter";
        notes.note(&jail.at, format!("{what}: {hint} (`logs = []` makes one of bans by hand)"));
        *wrong = true;
    }
}

/// Recidive reads our own log: without one it finds nothing.
fn doubt_recidive(read: &[(Read, bool)], daemon: &Daemon, notes: &mut Notes<'_>) {
    let Some((jail, _)) =
        read.iter().find(|(jail, wrong)| jail.enabled && !wrong && &*jail.config.options.name == "recidive")
    else {
        return;
    };
    notes.begin(Some(&jail.name()));
    let target = &daemon.log_target;
    let reads = |log: &LogPath| glob::Pattern::new(&log.pattern).is_ok_and(|glob| glob.matches(target));
    match jail.config.logs.first() {
        Some(LogPath { pattern, .. }) if !jail.config.logs.iter().any(reads) => notes.warn(
            &jail.enabled_at,
            format!(
                "it reads {pattern}, but this program logs to {target}: set daemon.log_target = {pattern:?}"
            ),
        ),
        Some(_) if daemon.log_format != LogFormat::Text => {
            notes.warn(&jail.enabled_at, "it reads the log as text: set daemon.log_format = \"text\"");
        }
        _ => {}
    }
}
