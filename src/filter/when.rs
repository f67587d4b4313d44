//! The rules of time: which moment a line counts for (SPEC §2.2(3)).
//!
//! Pure. In: the date of a line, if it has one, and how it was read. Out: a [`Rules`] verdict.

use std::time::Duration;

use super::{Oddity, Reading};
use crate::time::UnixTime;

/// How far a date may be from the moment of its reading, and for how long the last date serves undated lines.
const TOLERANCE: Duration = Duration::from_secs(60);

/// What the rules say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rules {
    /// The line counts for this moment; `odd` when its own date was too far away.
    At { time: UnixTime, odd: Option<Oddity> },
    /// It happened before `now - find_time`, while catching up.
    TooOld,
    /// No date, and while catching up the moment of the reading means nothing.
    Unknown,
}

/// The last date seen, if it still serves a line without one.
pub(super) fn still(last: Option<UnixTime>, at: &Reading) -> Option<UnixTime> {
    let recent = if at.live { since(at) } else { at.now } - TOLERANCE;
    last.filter(|last| *last > recent)
}

/// The moment of a line with this date, its own or the last one.
pub(super) fn judge(dated: Option<UnixTime>, at: &Reading) -> Rules {
    let Some(time) = dated else {
        return if at.live { Rules::At { time: at.now, odd: None } } else { Rules::Unknown };
    };
    if !at.live {
        let is_old = time < at.now - at.find_time;
        return if is_old { Rules::TooOld } else { Rules::At { time, odd: None } };
    }
    let effective = time.clamp(since(at), at.now);
    let by = time.since(effective).max(effective.since(time));
    if by.as_secs() > TOLERANCE.as_secs() {
        return Rules::At { time: effective, odd: Some(Oddity::Far { by, ahead: time > effective }) };
    }
    Rules::At { time, odd: None }
}

fn since(at: &Reading) -> UnixTime {
    at.since.min(at.now)
}
