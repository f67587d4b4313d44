//! Notices when bans do not keep anybody out: who is banned, by the word of all that enforce it, goes on failing.
//!
//! So it is behind a proxy, whose packets arrive in place of the client's, and where a service listens on other ports
//! than the jail shuts.
//! Pure. In: an offence of somebody who is banned already. Out: a [`Futile`], once.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::Id;
use crate::time::UnixTime;

/// What fails so long after its ban was in force was not written before it.
const SETTLED: Duration = Duration::from_secs(60);

/// The finding: a ban that holds and does not help.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Futile {
    /// Who is banned and offended again, the last one.
    pub id: Id,
    /// How often anybody did so since the start.
    pub offences: u32,
}

impl fmt::Display for Futile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is banned, and fails all the same: its packets do not meet the ban. They may come from a proxy in front \
             (ban there, or let it keep the source address), to other ports than the jail's, or not by its hooks \
             (published ports of containers: forward, prerouting)",
            self.id
        )
    }
}

/// What one jail has seen.
#[derive(Debug, Default)]
pub(super) struct Futility {
    last: Option<Futile>,
    /// When the bans that were remembered were put in force.
    began: Option<UnixTime>,
}

impl Futility {
    /// Bans from before are in force from this moment on.
    pub(super) fn begin(&mut self, now: UnixTime) {
        self.began = Some(now);
    }

    /// Somebody who has been banned since this moment, and is kept out as far as is known, has offended at `time`. The
    /// finding, when it is to be said.
    pub(super) fn offend(&mut self, id: &Id, banned: UnixTime, time: UnixTime) -> Option<Futile> {
        let since = self.began.map_or(banned, |began| banned.max(began));
        if time <= since + SETTLED {
            return None;
        }
        let before = self.last.as_ref().map_or(0, |last| last.offences);
        let found = Futile { id: id.clone(), offences: before.saturating_add(1) };
        self.last = Some(found.clone());
        (before == 0).then_some(found)
    }

    /// What was found last.
    pub(super) fn last(&self) -> Option<&Futile> {
        self.last.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_after_the_ban_was_in_force_and_once() {
        let at = UnixTime::from_secs;
        let mut futility = Futility::default();
        futility.begin(at(1000));
        for (banned, time, said, offences) in [
            (1100, 1160, false, 0),
            (1100, 1161, true, 1),
            (1100, 1162, false, 2),
            // Banned before the start: in force since then.
            (10, 1060, false, 2),
            (10, 1061, false, 3),
        ] {
            let found = futility.offend(&Id::parse("192.0.2.7"), at(banned), at(time));
            assert_eq!(found.is_some(), said, "{banned} {time}");
            assert_eq!(futility.last().map_or(0, |last| last.offences), offences, "{banned} {time}");
        }
    }
}
