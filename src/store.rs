//! What outlives the program: bans, history, cursors, failure counters.
//!
//! Edge: SQLite behind plain types, no actix. The shell is [`crate::actor::store`].

use std::path::Path;
use std::sync::Arc;

use crate::id::Id;
use crate::jail::Ban;
use crate::source::Cursor;
use crate::tracker::Record;

/// One thing to remember; those of one [`Store::commit`](self) are remembered together or not at all.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// A ban: a row of history (`bans`) and the last ban of this address (`bips`).
    Banned(Arc<str>, Ban),
    /// An active ban ends later: only `bips`.
    Prolonged(Arc<str>, Ban),
    /// An operator let the address in: it leaves `bans` and `bips`.
    Forgotten(Arc<str>, Id),
    /// The failure counter of an address; none: it counts no more.
    Counter(Arc<str>, Id, Option<Record>),
    /// The jail's filter state (opaque).
    State(Arc<str>, Vec<u8>),
    /// How far a jail has read a file.
    Cursor(Arc<str>, Arc<Path>, Cursor),
}

/// What is remembered of one jail.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Saved {
    /// Bans still running, `restored` set.
    pub bans: Vec<Ban>,
    /// Failure counters.
    pub counters: Vec<(Id, Record)>,
    /// The filter's state.
    pub state: Option<Vec<u8>>,
    /// How far each file was read.
    pub cursors: Vec<(Arc<Path>, Cursor)>,
}
