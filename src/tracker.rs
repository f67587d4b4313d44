//! Decides when an address has failed too often.
//!
//! Pure: no clock, no I/O, no actors; the caller passes the time of each failure.
//! In: one failure at a time. Out: an offence when Fail2Ban's rate rule (SPEC §4.1) reaches `max_retry`.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::UnixTime;

/// When failures become an offence, and how much is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackerOptions {
    /// Failures until a ban; 0 bans at the first.
    pub max_retry: u32,
    /// The span of the rate rule.
    pub find_time: Duration,
    /// Lines kept per address (the last ones).
    pub max_matches: usize,
    /// Addresses tracked at once; past it the lowest retry, then the oldest, is evicted.
    pub max_tracked: usize,
}

/// What is remembered of one address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The first failure, moved forward by the rate rule.
    pub first: UnixTime,
    /// The latest failure.
    pub last: UnixTime,
    /// The count that the rate rule works on.
    pub retry: u32,
    /// All failures since the record began.
    pub failures: u32,
    /// The last lines.
    pub lines: Vec<Arc<str>>,
    /// What the first failure's pattern named (`user`, …).
    pub data: Vec<(Arc<str>, String)>,
}
