//! What a jail says: bans, effects, verdicts, refusals.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::futile::Futile;
use super::masked::Masked;
use super::spared::Spared;
use crate::id::Id;
use crate::ignore::Rule;
use crate::sentence::Sentence;
use crate::time::UnixTime;
use crate::tracker::Dirty;

/// Why somebody is let in again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Release {
    /// The ban's time is over.
    Expired,
    /// An operator said so.
    Operator,
}

/// A ban as decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ban {
    /// Who.
    pub id: Id,
    /// The last failure (or the operator's moment): the ban counts from here.
    pub time: UnixTime,
    /// How long.
    pub sentence: Sentence,
    /// How often this address has been banned in this jail, this time included.
    pub count: u32,
    /// Failures that led to it; 0 for a manual ban.
    pub failures: u32,
    /// The lines that led to it.
    pub lines: Vec<Arc<str>>,
    /// What the first failure's pattern named.
    pub data: Vec<(Arc<str>, String)>,
    /// Whether it was read from the store and not newly decided.
    pub restored: bool,
}

impl Ban {
    /// When it ends; none: never.
    pub fn until(&self) -> Option<UnixTime> {
        self.sentence.0.map(|span| self.time + span)
    }
}

/// What a jail wants done or said.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Say: this address failed at this time.
    Found(Id, UnixTime),
    /// Say: it failed and is ignored by this rule.
    Ignored(Id, Arc<str>),
    /// Say: it deserved a ban and is not banned.
    Spared(Spared),
    /// Say: it is banned, and somebody is logged in from there by now, as this tells.
    Shut(Id, Arc<str>),
    /// Say: the clients' own addresses do not arrive.
    Masked(Masked),
    /// Say: a ban that holds does not keep its address out.
    Futile(Futile),
    /// Say: it failed at this time, was banned so often before, and so the failure counts as so many.
    FoundBad(Id, UnixTime, u32, u32),
    /// Helper: answer this (`Jail::answer`).
    Consult(Question),
    /// Firewall: block. Timer: wake at the end.
    Ban(Ban),
    /// Store: a ban that is new to it, and whose time is known.
    Remember(Ban),
    /// Store: how often was this address banned before (`Jail::recalled`)? Asked once the store has all that was
    /// [`Effect::Remember`]ed before.
    Recall(Id),
    /// Firewall, timer: an active ban lasts longer, since its address was banned before (`Ban::count`). Say it.
    Increase(Ban),
    /// Say: the time of this ban cannot be reckoned, for this reason; it keeps the jail's.
    Unreckoned(Id, Arc<str>),
    /// Firewall, store, timer: an active ban has another end now (`Ban::until`).
    Prolong(Ban),
    /// Say: banned already since this moment, and still failing; the end did not move.
    Already(Id, UnixTime),
    /// Say: the ban would be over already.
    Expired(Id),
    /// Say: the firewall has confirmed; the flag tells a restored ban.
    Enforced(Id, bool),
    /// Say: the firewall refused, with its reason.
    NotEnforced(Id, Arc<str>),
    /// Firewall: unblock. Store: forget, if an operator said so. Say it.
    Unban(Id, Release),
    /// Store: forget whatever is remembered of this address; none: of any.
    Forget(Option<Id>),
}

/// What the jail has to ask the world.
#[derive(Debug, Clone, PartialEq)]
pub enum Question {
    /// The addresses of this host name.
    Name(Arc<str>),
    /// Whether the operator's command wants this address to be ignored.
    Command(Box<Inquiry>),
}

/// A failure that the operator's command decides about.
#[derive(Debug, Clone, PartialEq)]
pub struct Inquiry {
    /// Marks the answer.
    pub number: u64,
    /// The command, its tags as written.
    pub command: Arc<str>,
    /// Who failed.
    pub id: Id,
    /// When.
    pub time: UnixTime,
    /// The lines that led to it.
    pub lines: Vec<Arc<str>>,
    /// What the pattern named.
    pub data: Vec<(Arc<str>, String)>,
}

/// What the world says.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// To [`Question::Name`]: its addresses; empty when there are none or nobody knows.
    Addresses(Arc<str>, Vec<IpAddr>),
    /// To the [`Inquiry`] of this number: whether to ignore. A command that fails wants nothing.
    Ignore(u64, bool),
}

/// What is remembered of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past {
    /// How often this jail banned it; 0: it never did.
    pub count: u32,
    /// The last time.
    pub last: UnixTime,
    /// How often it was banned by all jails, this one included.
    pub everywhere: u32,
}

/// What a line was.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// No pattern matched.
    Nothing,
    /// A pattern matched, and so did this ignore pattern (from 0).
    Excluded(usize),
    /// This pattern (from 0) matched, but it alone is no failure.
    Pending(usize),
    /// It matched, but is too old or has no usable date.
    TooOld,
    /// Neither engine could decide.
    Undecided,
    /// A failure; the effects tell what follows from it.
    Failed {
        /// Which pattern matched, from 0.
        pattern: usize,
        /// Who failed.
        id: Id,
        /// When.
        time: UnixTime,
    },
}

/// What happened since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Lines read.
    pub lines: u64,
    /// Failures counted.
    pub failed: u64,
    /// Failures of ignored addresses.
    pub ignored: u64,
    /// Bans that were deserved and not made.
    pub spared: u64,
    /// Lines that neither engine could decide.
    pub undecided: u64,
    /// Counters given up for lack of room.
    pub evicted: u64,
    /// Bans, restored ones included.
    pub banned: u64,
}

/// What the store has to learn beyond the effects.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// Counters as they are now; none: it counts no more.
    pub counters: Dirty,
    /// The filter's state, if it has changed.
    pub state: Option<Vec<u8>>,
    /// What waits for an answer, if it has changed (opaque).
    pub waiting: Option<Vec<u8>>,
}

/// Why an operator's ban is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BanRefusal {
    /// It would hit an address that is ignored.
    Ignored(Id, Rule),
    /// A firewall cannot ban it.
    NotAnAddress(Id),
}

impl fmt::Display for BanRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ignored(id, Rule::Listed(rule)) => write!(f, "{id} is ignored by `{rule}`"),
            Self::Ignored(Id::Net(net), rule) if !net.is_single() => write!(f, "{net} is too wide: {rule}"),
            Self::Ignored(_, rule) => rule.fmt(f),
            Self::NotAnAddress(id) => write!(f, "`{id}` is no address, and the jail has a firewall"),
        }
    }
}

impl std::error::Error for BanRefusal {}
