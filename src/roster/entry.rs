//! One ban in 48 bytes, and what only some bans have.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::id::Id;
use crate::jail::Ban;
use crate::subnet::Subnet;
use crate::time::UnixTime;

/// The end of a ban that never ends.
pub(super) const NEVER: i64 = i64::MAX;
/// The place in the queue of deadlines of an entry that is not there.
pub(super) const NOT_QUEUED: u32 = u32::MAX;

const FOUR: u8 = 1;
const TEXT: u8 = 2;
const GONE: u8 = 4;
const ACKNOWLEDGED: u8 = 8;
const RESTORED: u8 = 16;
const FOLLOWS: u8 = 32;

/// One ban.
#[derive(Debug)]
pub(super) struct Entry {
    time: i64,
    pub(super) until: i64,
    pub(super) count: u32,
    pub(super) failures: u32,
    /// Where its deadline stands in the queue.
    pub(super) queued: u32,
    address: [u8; 16],
    length: u8,
    flags: u8,
}

const _: () = assert!(size_of::<Entry>() == 48, "a million bans shall fit into 60 MiB");

impl Entry {
    pub(super) fn new(ban: &Ban, until: Option<UnixTime>) -> Self {
        let mut entry = Self {
            time: ban.time.micros(),
            until: until.map_or(NEVER, UnixTime::micros),
            count: ban.count,
            failures: ban.failures,
            queued: NOT_QUEUED,
            address: [0; 16],
            length: 0,
            flags: if ban.restored { RESTORED } else { 0 },
        };
        match ban.id.net() {
            Some(net) => {
                entry.length = net.length();
                match net.address() {
                    IpAddr::V4(four) => {
                        entry.flags |= FOUR;
                        entry.address[..4].copy_from_slice(&four.octets());
                    }
                    IpAddr::V6(six) => entry.address = six.octets(),
                }
            }
            None => entry.flags |= TEXT,
        }
        entry
    }

    pub(super) fn net(&self) -> Option<Subnet> {
        let [a, b, c, d, ..] = self.address;
        match self.flags & (FOUR | TEXT) {
            FOUR => Subnet::new(Ipv4Addr::new(a, b, c, d).into(), self.length),
            TEXT => None,
            _ => Subnet::new(Ipv6Addr::from(self.address).into(), self.length),
        }
    }

    pub(super) fn id(&self, extras: &HashMap<u32, Extra>, place: u32) -> Id {
        match self.net() {
            Some(net) => Id::Net(net),
            None => Id::Text(extras.get(&place).and_then(|extra| extra.text.clone()).unwrap_or_default()),
        }
    }

    pub(super) fn is(&self, id: &Id, extras: &HashMap<u32, Extra>, place: u32) -> bool {
        match id {
            Id::Net(net) => self.net() == Some(*net),
            Id::Text(text) => extras.get(&place).is_some_and(|extra| extra.text.as_ref() == Some(text)),
        }
    }

    pub(super) fn time(&self) -> UnixTime {
        UnixTime::from_micros(self.time)
    }

    pub(super) fn until(&self) -> Option<UnixTime> {
        (self.until != NEVER).then(|| UnixTime::from_micros(self.until))
    }

    pub(super) fn gone(&self) -> bool {
        self.flags & GONE != 0
    }

    pub(super) fn set_gone(&mut self) {
        self.flags |= GONE;
    }

    pub(super) fn restored(&self) -> bool {
        self.flags & RESTORED != 0
    }

    pub(super) fn set_restored(&mut self) {
        self.flags |= RESTORED;
    }

    /// Whether its time is the jail's and not its own.
    pub(super) fn follows(&self) -> bool {
        self.flags & FOLLOWS != 0
    }

    pub(super) fn set_follows(&mut self, follows: bool) {
        self.flags = (self.flags & !FOLLOWS) | if follows { FOLLOWS } else { 0 };
    }

    pub(super) fn acknowledged(&self) -> bool {
        self.flags & ACKNOWLEDGED != 0
    }

    pub(super) fn set_acknowledged(&mut self, acknowledged: bool) {
        self.flags = (self.flags & !ACKNOWLEDGED) | if acknowledged { ACKNOWLEDGED } else { 0 };
    }
}

/// What only some bans have.
#[derive(Debug, Default)]
pub(super) struct Extra {
    /// The id, when it is no address.
    pub(super) text: Option<Arc<str>>,
    /// Why the firewall refused.
    pub(super) reason: Option<Arc<str>>,
    evidence: Option<Box<Evidence>>,
}

type Lines = Vec<Arc<str>>;
type Data = Vec<(Arc<str>, String)>;

#[derive(Debug)]
struct Evidence {
    lines: Lines,
    data: Data,
    size: usize,
}

impl Extra {
    pub(super) fn new(ban: Ban) -> Self {
        let text = match ban.id {
            Id::Text(text) => Some(text),
            Id::Net(_) => None,
        };
        let (lines, data) = (ban.lines, ban.data);
        let evidence = (!lines.is_empty() || !data.is_empty()).then(|| {
            let words = lines.iter().map(|line| line.len()).chain(data.iter().map(|(_, value)| value.len()));
            let size = words.map(|length| length + 48).sum::<usize>() + 96;
            Box::new(Evidence { lines, data, size })
        });
        Self { text, reason: None, evidence }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_none() && self.reason.is_none() && self.evidence.is_none()
    }

    pub(super) fn evidence(&self) -> (Lines, Data) {
        self.evidence.as_ref().map(|kept| (kept.lines.clone(), kept.data.clone())).unwrap_or_default()
    }

    pub(super) fn evidence_size(&self) -> usize {
        self.evidence.as_ref().map_or(0, |kept| kept.size)
    }

    pub(super) fn drop_evidence(&mut self) {
        self.evidence = None;
    }
}
