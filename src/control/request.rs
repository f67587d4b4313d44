//! What can be asked of a running daemon, and its answers: one JSON object a line each way.
//!
//! Pure types. The socket is [`crate::control`], the words an operator sees are [`crate::control::text`].

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize};

use crate::id::Id;
use crate::jail::{Futile, Masked, Spared};
use crate::sandbox::Closed;
use crate::time::UnixTime;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Are you there?
    Ping,
    /// How are the jails (all, or one with its bans)?
    Status {
        /// Only this one.
        jail: Option<String>,
    },
    /// Who is banned where (all, or this address or prefix)?
    Banned {
        /// Only this one.
        id: Option<String>,
    },
    /// Ban by hand.
    Ban {
        /// Addresses or prefixes.
        ids: Vec<String>,
        /// The jail; without one `custom`, or the only one there is.
        jail: Option<String>,
        /// How long (`2w`, `forever`); without it the jail's own time.
        span: Option<String>,
        /// Even own, gateway and ignored addresses.
        force: bool,
    },
    /// Let in again.
    Unban {
        /// Addresses or prefixes; empty with `all`.
        ids: Vec<String>,
        /// Everybody.
        all: bool,
        /// Only in this jail.
        jail: Option<String>,
    },
    /// Read the configuration again and move what differs.
    Reload {
        /// Only this jail.
        jail: Option<String>,
        /// How long the new configuration may run without [`Request::Confirm`] (`60s`); without it for good.
        #[serde(default)]
        confirm: Option<String>,
    },
    /// The configuration on trial stays.
    Confirm {
        /// It does not: the one before returns now.
        undo: bool,
    },
    /// Change what is logged, where; without either: tell.
    Log {
        /// `CRITICAL` … `TRACE`.
        level: Option<String>,
        /// A file, `STDOUT`, `STDERR` or `JOURNAL`.
        target: Option<String>,
    },
    /// End the daemon.
    Stop {
        /// Also take the bans out of the firewall.
        remove: bool,
    },
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Response {
    /// To `Ping`: the daemon's version and process id.
    Pong {
        /// The program's version.
        version: String,
        /// Its process id.
        pid: u32,
        /// Whether saved bans are in force and logs are open.
        ready: bool,
    },
    /// To `Status`.
    Status(Box<Status>),
    /// To `Banned`: one entry per jail with anything to tell.
    Banned(Vec<JailBans>),
    /// To `Ban` and `Unban`: one verdict per address and jail.
    Verdicts(Vec<Verdict>),
    /// To `Reload`, and to `Confirm` with `undo`.
    Reloaded(Reloaded),
    /// To `Confirm`.
    Confirmed {
        /// The jails that had moved.
        jails: Vec<String>,
    },
    /// To `Log`.
    Log {
        /// The level in force.
        level: String,
        /// The target in force.
        target: String,
    },
    /// To `Stop`.
    Stopping,
    /// The request could not be carried out: why.
    Error(String),
}

/// The daemon and its jails.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The program's version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// When it started.
    pub started: UnixTime,
    /// Whether saved bans are in force and logs are open.
    pub ready: bool,
    /// Where bans are remembered, or why they are not.
    pub store: String,
    /// What is wrong now: refused jails, revived actors, missing inotify; each a sentence.
    pub warnings: Vec<String>,
    /// What it has given up; none: nothing.
    #[serde(default)]
    pub sandbox: Option<Closed>,
    /// What other programs did to the firewall since the start.
    #[serde(default)]
    pub drifts: Drifts,
    /// The configuration that waits to be confirmed.
    #[serde(default)]
    pub on_trial: Option<OnTrial>,
    /// Connections of banned hosts that were ended.
    #[serde(default)]
    pub cuts: Cuts,
    /// Panics since the start; each cost a line, a block of lines or one try.
    #[serde(default)]
    pub panics: u64,
    /// The jails, by name.
    pub jails: Vec<JailStatus>,
}

/// A configuration that was reloaded and is not confirmed yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnTrial {
    /// Since when.
    pub since: UnixTime,
    /// When the one before returns.
    pub until: UnixTime,
    /// The jails that moved.
    pub jails: Vec<String>,
}

/// What other programs did to the firewall.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drifts {
    /// So many of their transactions took something of ours away.
    pub seen: u64,
    /// So often it was put back.
    pub healed: u64,
    /// Who did it last, as `nft (pid 4711)`.
    pub by: Option<String>,
    /// When that was.
    pub at: Option<UnixTime>,
    /// Until then nothing is put back, because it is taken away again and again.
    pub waits_until: Option<UnixTime>,
    /// Why changes by others are noticed only when something is changed, if that is so.
    pub deaf: Option<String>,
}

/// Connections of banned hosts that were ended since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cuts {
    /// So many connections.
    pub connections: u64,
    /// Of so many bans.
    pub hosts: u64,
    /// Bans whose connections were not looked for, as there were too many at once.
    pub missed: u64,
    /// Why connections go on until they end by themselves, if that is so.
    pub cannot: Option<String>,
}

/// The state of a jail that tells of itself.
pub const RUNNING: &str = "running";

/// One jail.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct JailStatus {
    /// Its name.
    pub name: String,
    /// `SIGRTMIN+number` reloads it alone.
    pub number: u32,
    /// `running`; or `reviving`, `parked`, `busy: …`: then only what it is called and how it enforces is known of it.
    pub state: String,
    /// How bans are enforced, such as `nftables: drop tcp 22 in input`, or `notify only`.
    pub enforcement: String,
    /// Failures until a ban.
    pub max_retry: u32,
    /// The span of the rate rule, seconds.
    pub find_time: u64,
    /// Seconds of a ban; none: for ever.
    pub ban_time: Option<u64>,
    /// Its log files.
    pub files: Vec<FileStatus>,
    /// Lines read since the start.
    pub lines: u64,
    /// Addresses that are being counted.
    pub failed_now: u64,
    /// Failures since the start.
    pub failed_total: u64,
    /// Failures of ignored addresses since the start.
    pub ignored_total: u64,
    /// Bans since the start that were deserved and not made: own addresses, gateways, hosts of those who are logged in.
    #[serde(default)]
    pub spared_total: u64,
    /// Lines that neither engine could decide.
    pub undecided_total: u64,
    /// Counters given up for lack of room.
    pub evicted_total: u64,
    /// Bans in force.
    pub banned_now: u64,
    /// Bans since the start, restored ones included.
    pub banned_total: u64,
    /// A ban that does not keep its address out.
    #[serde(default)]
    pub futile: Option<Futile>,
    /// Whose address hides those of the clients, so that nobody can be banned.
    #[serde(default)]
    pub masked: Vec<Masked>,
    /// Who deserved a ban and is not banned, for a reason that holds still.
    #[serde(default)]
    pub spared: Vec<Spared>,
    /// Hosts that are banned although somebody is logged in from there; each a sentence.
    #[serde(default)]
    pub shut: Vec<String>,
    /// Bans that the firewall refused, each with its reason.
    pub not_enforced: Vec<(Id, String)>,
    /// The bans, oldest first; only when one jail was asked for.
    pub bans: Vec<BanStatus>,
}

/// One log file of a jail.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FileStatus {
    /// Its path, or the pattern that matches nothing yet.
    pub path: String,
    /// `reading`, `catching up`, `waiting for it to appear`, or what is wrong.
    pub state: String,
    /// Bytes read.
    pub offset: u64,
    /// Lines cut at the cap.
    pub cut: u64,
}

/// One ban.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BanStatus {
    /// Who.
    pub id: Id,
    /// From when.
    pub since: UnixTime,
    /// Until when; none: for ever.
    pub until: Option<UnixTime>,
    /// How often banned in this jail.
    pub count: u32,
    /// Failures that led to it; 0: by hand.
    pub failures: u32,
    /// [`ENFORCED`], `wanted`, or `not enforced: reason`.
    #[serde(deserialize_with = "state")]
    pub state: Cow<'static, str>,
    /// The last lines that led to it.
    pub lines: Vec<Arc<str>>,
}

/// The state of nearly all bans.
pub const ENFORCED: &str = "enforced";

/// A state that needs no memory of its own where it is that of nearly all.
fn state<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'static, str>, D::Error> {
    struct State;
    impl Visitor<'_> for State {
        type Value = Cow<'static, str>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a state")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(if text == ENFORCED { ENFORCED.into() } else { text.to_owned().into() })
        }
    }
    deserializer.deserialize_str(State)
}

/// Who is banned in one jail.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct JailBans {
    /// The jail.
    pub jail: String,
    /// Its bans, oldest first.
    pub bans: Vec<BanStatus>,
    /// Why the jail does not tell who is banned in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

/// What became of one wish.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// As the operator wrote it.
    pub id: String,
    /// In which jail; empty when no jail could be found.
    pub jail: String,
    /// Whether it is as wished now (kernel and disk included).
    pub done: bool,
    /// `banned until …`, `unbanned`, `already banned until …`, `not banned`, or why not.
    pub what: String,
    /// How many bans began or ended by it.
    #[serde(skip)]
    pub moved: usize,
    /// The jail did not say what came of it.
    #[serde(skip)]
    pub lost: bool,
}

/// What a reload did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Reloaded {
    /// One line for each jail that moved: `sshd: max_retry, ports`, `nginx: started`, `old: stopped`.
    pub moved: Vec<String>,
    /// Jails that did not differ.
    pub same: Vec<String>,
    /// What is wrong, each with file, line and key; these jails keep their running version.
    pub mistakes: Vec<String>,
    /// Unless it is confirmed before, the configuration before returns then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_until: Option<UnixTime>,
}
