//! How far a journal was handled: a place that is found again after rotation, vacuum, a restart of journald or of the host.
//!
//! Pure. Entries of one stream (a writer's numbering, which it keeps through rotations) have numbers, so one number says
//! how far a stream was handled, in whatever files it lies.

use serde::{Deserialize, Serialize};

use super::file::{Entry, Id128};
use crate::time::UnixTime;

/// Streams that are told apart; what was handled of others is known by the clock only.
const STREAMS_CAP: usize = 256;

/// How far a journal was handled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The last entry that was handed out, as journald spells a cursor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last: Option<String>,
    pub(super) streams: Vec<Mark>,
    /// Streams that are not named have nothing to hand out before this (µs since the epoch).
    #[serde(default)]
    pub(super) floor: u64,
}

/// How far one stream was handled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    #[serde(with = "hex")]
    pub(super) stream: Id128,
    /// All entries up to this number.
    pub(super) seqnum: u64,
    /// The moment of the last that was handed out, µs since the epoch.
    #[serde(default)]
    pub(super) realtime: u64,
    /// Of a stream in memory only: entries up to here are handled, when journald copies them to the disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) copied: Option<Copied>,
}

/// A moment of one boot, in the folder of one machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Copied {
    pub(super) folder: String,
    #[serde(with = "hex")]
    pub(super) boot: Id128,
    pub(super) monotonic: u64,
}

impl Place {
    /// Behind everything that was written up to this moment, whoever wrote it.
    pub fn after(time: UnixTime) -> Self {
        let floor = u64::try_from(time.micros()).unwrap_or(0).saturating_add(1);
        Self { floor, ..Self::default() }
    }

    /// The moment of the last entry that was handed out.
    pub fn time(&self) -> Option<UnixTime> {
        let (_, entry) = read(self.last()?)?;
        Some(UnixTime::from_micros(i64::try_from(entry.realtime).ok()?))
    }

    pub(super) fn of(&self, stream: Id128) -> Option<&Mark> {
        self.streams.iter().find(|mark| mark.stream == stream)
    }

    /// The last entry that was handed out.
    pub(super) fn last(&self) -> Option<&str> {
        self.last.as_deref()
    }

    pub(super) fn handed_out(&mut self, cursor: String) {
        self.last = Some(cursor);
    }

    /// The mark of a stream, the most recent one from now on.
    pub(super) fn mark(&mut self, stream: Id128) -> &mut Mark {
        if let Some(at) = self.streams.iter().position(|mark| mark.stream == stream) {
            self.streams[at..].rotate_left(1);
        } else {
            if self.streams.len() >= STREAMS_CAP {
                let dropped = self.streams.remove(0);
                self.floor = self.floor.max(dropped.realtime.saturating_add(1));
            }
            self.streams.push(Mark { stream, seqnum: 0, realtime: 0, copied: None });
        }
        let last = self.streams.len() - 1;
        &mut self.streams[last]
    }

    /// Whether an entry on disk is a copy of one in memory that was handled.
    pub(super) fn is_copy(&self, folder: &str, entry: &Entry) -> bool {
        let copied = |copied: &Copied| {
            copied.boot == entry.boot && entry.monotonic <= copied.monotonic && copied.folder == folder
        };
        self.streams.iter().filter_map(|mark| mark.copied.as_ref()).any(copied)
    }
}

/// An entry's cursor as journald spells it.
pub(super) fn spelled(stream: Id128, entry: &Entry) -> String {
    let Entry { seqnum, realtime, monotonic, boot, xor, .. } = entry;
    format!("s={stream:032x};i={seqnum:x};b={boot:032x};m={monotonic:x};t={realtime:x};x={xor:x}")
}

/// Reads a cursor as journald spells it: the stream and the entry.
pub(super) fn read(cursor: &str) -> Option<(Id128, Entry)> {
    let part = |name: char| {
        let mut parts = cursor.trim().split(';').filter_map(|part| part.split_once('='));
        parts.find(|(key, _)| key.chars().eq([name])).map(|(_, value)| value)
    };
    let number = |name| u64::from_str_radix(part(name)?, 16).ok();
    let id = |name| u128::from_str_radix(part(name)?, 16).ok();
    Some((
        id('s')?,
        Entry {
            offset: 0,
            seqnum: number('i')?,
            realtime: number('t')?,
            monotonic: number('m')?,
            boot: id('b')?,
            xor: number('x')?,
            items: 0,
        },
    ))
}

/// Ids as text: not every reader of JSON knows numbers that large.
mod hex {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(id: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{id:032x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CURSOR: &str = "s=0000000000000000000000000000001f;i=2a;b=000000000000000000000000000000b0;m=1e8099;t=6608b017db098;x=f9483bd064391d22";

    #[test]
    fn cursors_are_spelled_as_journald_does() {
        let (stream, entry) = read(CURSOR).unwrap();
        assert_eq!((stream, entry.seqnum, entry.boot, entry.monotonic), (0x1f, 42, 0xb0, 1_999_001));
        assert_eq!(spelled(stream, &entry), CURSOR);
        for wrong in
            ["", "s=1;i=2", "s=x;i=1;b=1;m=1;t=1;x=1", "i=1;b=1;m=1;t=1;x=1", "ss=1;i=1;b=1;m=1;t=1;x=1"]
        {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_place_is_saved_and_found_again() {
        let mut place = Place::default();
        place.handed_out(CURSOR.to_owned());
        let mark = place.mark(u128::MAX);
        (mark.seqnum, mark.realtime) = (u64::MAX, 7);
        mark.copied = Some(Copied { folder: "machine".to_owned(), boot: 3, monotonic: 4 });
        let saved = serde_json::to_string(&place).unwrap();
        assert_eq!(serde_json::from_str::<Place>(&saved).unwrap(), place);
        assert_eq!(serde_json::from_str::<Place>("{\"streams\":[]}").unwrap(), Place::default());
    }

    #[test]
    fn streams_that_are_too_many_are_known_by_the_clock() {
        let mut place = Place::default();
        for stream in 0..STREAMS_CAP as u128 {
            place.mark(stream).realtime = 100 + stream as u64;
        }
        place.mark(0);
        place.mark(1000);
        assert_eq!(place.streams.len(), STREAMS_CAP);
        assert!(
            place.of(0).is_some() && place.of(1).is_none(),
            "the one that was idle for the longest time is gone"
        );
        assert_eq!(place.floor, 102);
    }
}
