//! Local time → moment, without a look into the zone's table for every line.

use std::cell::Cell;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::civil;
use crate::time::UnixTime;

/// A time zone that remembers the offset of the season it was last asked for.
#[derive(Debug, Clone)]
pub struct Zone {
    table: TimeZone,
    season: Cell<Season>,
    /// A moment and its local time.
    present: Cell<(i64, i64)>,
}

/// The local seconds from `first` to before `end` are all this far east of Greenwich.
#[derive(Debug, Clone, Copy)]
struct Season {
    first: i64,
    end: i64,
    offset: i64,
}

/// Clocks are put forward and back by less than this; so near to it, the table is asked.
const NEAR: i64 = 86_400;

impl Zone {
    /// A zone of `jiff`.
    pub fn new(zone: TimeZone) -> Self {
        Self {
            table: zone,
            season: Cell::new(Season { first: 0, end: 0, offset: 0 }),
            present: Cell::new((i64::MIN, 0)),
        }
    }

    /// The zone of this host.
    pub fn system() -> Self {
        Self::new(TimeZone::system())
    }

    /// A zone as `TZ` names it: `Europe/Zurich`, `CET-1CEST,M3.5.0,M10.5.0/3`; empty: UTC. None: there is none.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.strip_prefix(':').unwrap_or(name);
        if name.is_empty() {
            return Some(Self::utc());
        }
        TimeZone::get(name).or_else(|_| TimeZone::posix(name)).ok().map(Self::new)
    }

    /// Coordinated Universal Time.
    pub fn utc() -> Self {
        Self::new(TimeZone::UTC)
    }

    /// The moment of a local time (seconds as if in UTC). An hour that happens twice is its first, one that does not
    /// happen is the next.
    pub(super) fn moment(&self, local: i64, micros: u32, offset: Option<i64>) -> Option<UnixTime> {
        let offset = match offset {
            Some(offset) => offset,
            None => self.offset(local)?,
        };
        Some(UnixTime::from_micros((local - offset).checked_mul(1_000_000)?.checked_add(i64::from(micros))?))
    }

    /// The moment of a local time; an hour that happens twice is the one with the offset of `now`, if that is one of
    /// them, else its first. Which of them Fail2Ban takes depends on what it converted before; mostly it is this one.
    pub(super) fn moment_like(&self, local: i64, now: UnixTime) -> Option<UnixTime> {
        let season = self.season.get();
        if !(season.first..season.end).contains(&local)
            && let Some(civil) = civil_of(local)
            && let AmbiguousOffset::Fold { after, .. } = self.table.to_ambiguous_timestamp(civil).offset()
            && self.local(now)? - now.secs() == i64::from(after.seconds())
        {
            return Some(UnixTime::from_secs(local - i64::from(after.seconds())));
        }
        self.moment(local, 0, None)
    }

    /// The local time of a moment, in seconds as if in UTC; none: beyond what calendars know.
    pub(super) fn local(&self, now: UnixTime) -> Option<i64> {
        let now = now.secs();
        let (known, local) = self.present.get();
        if known == now {
            return Some(local);
        }
        let local = now + i64::from(self.table.to_offset(Timestamp::from_second(now).ok()?).seconds());
        self.present.set((now, local));
        Some(local)
    }

    /// The local time of a moment in ISO 8601: `2026-01-02T03:04:05`, behind it microseconds where there are any.
    pub fn iso(&self, time: UnixTime) -> String {
        let Some(civil) = self.local(time).and_then(civil_of) else { return time.secs().to_string() };
        match time.micros().rem_euclid(1_000_000) {
            0 => civil.to_string(),
            micros => format!("{civil}.{micros:06}"),
        }
    }

    /// The local time of a moment as C's `ctime` writes it, the day with two digits: `Fri Jan 02 03:04:05 2026`.
    pub fn ctime(&self, time: UnixTime) -> String {
        let civil = self.local(time).and_then(civil_of);
        let text = civil.and_then(|civil| jiff::fmt::strtime::format("%a %b %d %H:%M:%S %Y", civil).ok());
        text.unwrap_or_else(|| time.secs().to_string())
    }

    /// The local year of a moment.
    pub fn year(&self, now: UnixTime) -> i64 {
        self.local(now).map_or(1970, |local| civil::date(local).0)
    }

    fn offset(&self, local: i64) -> Option<i64> {
        let season = self.season.get();
        if (season.first..season.end).contains(&local) {
            return Some(season.offset);
        }
        self.look_up(civil_of(local)?, local)
    }

    fn look_up(&self, civil: DateTime, local: i64) -> Option<i64> {
        let moment = self.table.to_ambiguous_timestamp(civil).compatible().ok()?;
        let offset = local - moment.as_second();
        // A change at this very second counts as before it.
        let next = moment.checked_add(jiff::SignedDuration::from_secs(1)).ok()?;
        let first = self.table.preceding(next).next().map(|change| change.timestamp().as_second());
        let end = self.table.following(moment).next().map(|change| change.timestamp().as_second());
        let season = Season {
            first: first.map_or(i64::MIN / 2, |first| first + NEAR + offset),
            end: end.map_or(i64::MAX / 2, |end| end - NEAR + offset),
            offset,
        };
        if (season.first..season.end).contains(&local) {
            self.season.set(season);
        }
        Some(offset)
    }
}

fn civil_of(local: i64) -> Option<DateTime> {
    Some(Timestamp::from_second(local).ok()?.to_zoned(TimeZone::UTC).datetime())
}
