//! Text → options, valid by construction: shipped defaults, `/etc/stockade`, environment, flags.
//!
//! Nothing stops at the first mistake: each is noted with file, line and key, and costs the jail it is in.
//! The keys are described in `docs/configuration.md`.

mod action;
mod confine;
mod daemon;
mod diff;
mod files;
mod filter;
mod fitting;
mod jail;
mod join;
mod justice;
pub(crate) mod layer;
mod load;
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
pub use load::{adopt, load};
pub(crate) use tree::flags as server_flags;
pub use tree::{log_level, log_target};

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fail2ban::{JailSpec, Server};
use crate::firewall::Rules;
use crate::firewall::cut::Scope;
use crate::firewall::heal::Heal;
use crate::jail::JailOptions;
use crate::sandbox;
use crate::source::Manner;

pub use crate::log::LogFormat;
pub use crate::source::journal::JournalOptions;
pub use crate::source::{Format, Start};

/// Everything the program runs by.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The program as a whole.
    pub daemon: Daemon,
    /// The enabled jails that are right: those of TOML in the order of their names, then the tree's in that of its files.
    pub jails: Vec<JailConfig>,
    /// Known jails that are not enabled, with the logs they would read.
    pub disabled: Vec<(Arc<str>, Vec<LogPath>)>,
    /// What is wrong, all of it, in the order of the layers.
    pub mistakes: Vec<Mistake>,
    /// What the mistakes cost.
    pub refused: Refused,
    /// The folder of the operator's files.
    pub etc: PathBuf,
    /// The folders and files of the Fail2Ban tree, to watch for changes.
    pub watched: Vec<PathBuf>,
    /// What the Fail2Ban tree says of the server, as written there.
    pub server: Option<Server>,
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
    /// A jail of a Fail2Ban tree that is to be tried: it counts as enabled.
    pub tried: Option<String>,
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
            tried: None,
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
    /// So many lines of a ban are remembered.
    pub store_matches: usize,
    /// Whether failure counters survive a restart.
    pub keep_counters: bool,
    /// How long actions have to undo their bans and to stop when the program ends.
    pub stop_timeout: Duration,
    /// What is put back when others take it out of the firewall.
    pub heal: Heal,
    /// Where it is told who is logged in; empty: nobody looks.
    pub logins: Vec<PathBuf>,
    /// Network interfaces whose addresses are our own; empty: all.
    pub interfaces: Vec<String>,
    /// How much the daemon gives up once it runs.
    pub sandbox: sandbox::Mode,
    /// Who besides root may ask, by the socket, how things are.
    pub socket_group: Option<String>,
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
    /// Which connections end with a ban; none: they end by themselves.
    pub cut: Option<Arc<Scope>>,
    /// The files that shaped it, the weakest first; shipped ones are `shipped/NAME.toml`.
    pub sources: Vec<PathBuf>,
    /// What is done about a ban by commands, in this order.
    pub actions: Vec<crate::action::Definition>,
    /// What the operator should know of how it is carried out, a sentence each.
    pub remarks: Vec<String>,
    /// What Fail2Ban's world says of it, as written there; none: it is a jail of TOML.
    pub spec: Option<Arc<JailSpec>>,
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

/// Whether a jail may be called so.
pub fn is_name(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    (1..=64).contains(&text.len()) && text.bytes().all(fits)
}
