//! Everything that shapes a jail's verdicts.

use std::sync::Arc;

use crate::filter::FilterOptions;
use crate::ignore::{CacheOptions, SpareLogins};
use crate::sentence::{Increment, Sentence};
use crate::subnet::Subnet;
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
    /// Every ban would be over before it begins: a negative `bantime` other than -1.
    pub bans_nobody: bool,
    /// How the ban time grows for those who come again; it needs a store.
    pub increment: Option<Increment>,
    /// Who is never counted, and never banned automatically.
    pub ignore: IgnoreOptions,
    /// Whether a firewall must confirm each ban; without one a ban is only reported ("notify only").
    pub enforced: bool,
    /// Whose rules hold where Fail2Ban's differ.
    pub rules: Rules,
    /// What becomes of failure counters.
    pub counters: Counters,
}

/// Who is never counted, and never banned automatically.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IgnoreOptions {
    /// Addresses and prefixes, each with the rule as the operator wrote it.
    pub nets: Vec<(Subnet, Arc<str>)>,
    /// Host names, whose addresses are asked for when somebody fails.
    pub names: Vec<Arc<str>>,
    /// The host's own addresses and its gateway.
    pub own: bool,
    /// Whose hosts are counted, and not banned automatically, while they are logged in.
    pub logins: SpareLogins,
    /// Whoever this command exits with 0 for.
    pub command: Option<Arc<str>>,
    /// How long a decision about somebody holds.
    pub cache: Option<CacheOptions>,
}

/// Whose rules hold where Fail2Ban's differ from ours.
///
/// | | `Stockade` | `Fail2Ban` |
/// |---|---|---|
/// | the ban time is changed | bans keep their ends | those without a time of their own follow it; a shorter one tells only when the first ban would have ended |
/// | a saved ban would end later than a new one | it is cut to a new one's time from now on | it is cut to the ban time from its beginning, and dropped when that is over |
/// | an operator's ban that was saved | keeps its time | is cut as any other |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rules {
    /// Ours.
    #[default]
    Stockade,
    /// Fail2Ban's.
    Fail2Ban,
}

/// What becomes of failure counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Counters {
    /// They are kept over a restart, and what is older than `find_time` never counts: no verdict depends on when the
    /// program looks.
    #[default]
    Keep,
    /// As Fail2Ban does: a restart forgets them, and one that is older than `find_time` goes when it is looked for (at
    /// a ban, at most every 5 s); before that the rate rule still counts a part of it.
    Forget,
}
