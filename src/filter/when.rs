//! The rules of time: which moment a line counts for (SPEC §2.2(3)).
//!
//! Pure. In: the date of a line, if it has one, and how it was read. Out: a [`Rules`] verdict.

use std::time::Duration;

use super::Reading;
use crate::time::UnixTime;

/// How far a date may be from the moment of its reading, and for how long the last date serves undated lines.
const TOLERANCE: Duration = Duration::from_secs(60);

/// What the rules say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rules {
    /// The line counts for this moment; `simulated` when its own date was too far away.
    At { time: UnixTime, simulated: bool },
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
        return if at.live { Rules::At { time: at.now, simulated: false } } else { Rules::Unknown };
    };
    if !at.live {
        let is_old = time < at.now - at.find_time;
        return if is_old { Rules::TooOld } else { Rules::At { time, simulated: false } };
    }
    let effective = time.clamp(since(at), at.now);
    let far = time.since(effective).max(effective.since(time)).as_secs() > TOLERANCE.as_secs();
    Rules::At { time: if far { effective } else { time }, simulated: far }
}

fn since(at: &Reading) -> UnixTime {
    at.since.min(at.now)
}
