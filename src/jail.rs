//! One jail: ignore list, filter, tracker and roster: the same code for the daemon and for `stockade test`.
//!
//! Pure: no clock, no I/O. In: lines, expiries, an operator's wishes, the firewall's word.
//! Out: [`Effect`]s, which [`crate::actor::jail`] turns into messages and log lines.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::filter::FilterOptions;
use crate::id::Id;
use crate::sentence::Sentence;
use crate::subnet::Subnet;
use crate::time::UnixTime;
use crate::tracker::TrackerOptions;

/// Everything that shapes a jail's verdicts.
#[derive(Debug, Clone, PartialEq)]
pub struct JailOptions {
    /// Its name.
    pub name: Arc<str>,
    /// What is a failure; none for a jail of manual bans.
    pub filter: Option<FilterOptions>,
    /// When failures become an offence.
    pub tracker: TrackerOptions,
    /// How long a ban lasts.
    pub ban_time: Sentence,
    /// Never counted, never banned automatically: with the rule as the operator wrote it.
    pub ignore: Vec<(Subnet, Arc<str>)>,
    /// Whether the host's own addresses and its gateway are ignored too.
    pub ignore_own: bool,
    /// Whether a firewall must confirm each ban; without one a ban is only reported ("notify only").
    pub enforced: bool,
}

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
#[derive(Debug, Clone, PartialEq)]
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
    /// Firewall: block. Store: remember. Timer: wake at the end.
    Ban(Ban),
    /// Firewall, store, timer: an active ban ends later now (`Ban::until`).
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
}
