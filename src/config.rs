//! Text → options, valid by construction: shipped defaults, `/etc/stockade`, environment, flags.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::firewall::Ruleset;
use crate::jail::JailOptions;
pub use crate::source::Start;

/// Everything the program runs by.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The program as a whole.
    pub daemon: Daemon,
    /// The enabled jails that are right, in the order of their names.
    pub jails: Vec<JailConfig>,
    /// Known jails that are not enabled, with the logs they would read.
    pub disabled: Vec<(Arc<str>, Vec<LogPath>)>,
    /// What is wrong: each costs one jail, or (without a jail) everything.
    pub mistakes: Vec<Mistake>,
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
    /// Network interfaces whose addresses are our own; empty: all.
    pub interfaces: Vec<String>,
}

/// How a log line is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Fail2Ban's line format.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Which firewall enforces a jail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FirewallKind {
    /// Netlink, table `inet stockade`.
    #[default]
    Nftables,
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
}

/// One enabled jail.
#[derive(Debug, Clone, PartialEq)]
pub struct JailConfig {
    /// What the pure core needs.
    pub options: JailOptions,
    /// What it reads.
    pub logs: Vec<LogPath>,
    /// Files with addresses to ignore (`file:`), re-read when they change.
    pub ignore_files: Vec<PathBuf>,
    /// Which firewall.
    pub firewall: FirewallKind,
    /// How bans are enforced there.
    pub ruleset: Ruleset,
    /// The files that shaped it, for messages.
    pub sources: Vec<PathBuf>,
}

/// Something wrong in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mistake {
    /// The jail it costs; none: the configuration as a whole.
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
