//! One ban in 36 bytes, and what only some bans have.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
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

/// One ban. Packed, as two numbers of 64 bits would leave room behind the last field.
#[derive(Debug, Clone, Copy)]
#[repr(Rust, packed(4))]
pub(super) struct Entry {
    time: i64,
    pub(super) until: i64,
    pub(super) count: u32,
    pub(super) failures: u32,
    /// Where its deadline stands in the queue.
    pub(super) queued: u32,
    /// The IPv4 address, or which of [`Beside::wide`] its IPv6 address is.
    address: u32,
    length: u8,
    flags: u8,
}

const _: () = assert!(size_of::<Entry>() == 36, "a million bans shall fit into 50 MiB");

/// What entries have beside them.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// IPv6 addresses.
    wide: Vec<Ipv6Addr>,
    /// Texts, reasons and evidence, by the place of the entry.
    pub(super) extras: HashMap<u32, Extra>,
}

impl Beside {
    /// The entries have moved to new places; those that are gone, to none.
    pub(super) fn renumber(&mut self, moved: &[u32], entries: &mut [Entry]) {
        self.extras = self.extras.drain().map(|(place, extra)| (moved[place as usize], extra)).collect();
        let old = std::mem::take(&mut self.wide);
        for entry in entries.iter_mut().filter(|entry| entry.flags & (FOUR | TEXT) == 0) {
            self.wide.push(old[entry.address as usize]);
            entry.address = self.wide.len() as u32 - 1;
        }
    }
}

/// The hash of an address or text, as [`Entry::hash`] has it.
pub(super) fn hash(hasher: &RandomState, id: &Id) -> u64 {
    match id {
        Id::Net(net) => match net.address() {
            IpAddr::V4(four) => hash_four(hasher, four.to_bits(), net.length()),
            IpAddr::V6(six) => hasher.hash_one((six, net.length())),
        },
        Id::Text(text) => hasher.hash_one(text),
    }
}

fn hash_four(hasher: &RandomState, address: u32, length: u8) -> u64 {
    hasher.hash_one(u64::from(address) << 8 | u64::from(length))
}

impl Entry {
    pub(super) fn new(ban: &Ban, until: Option<UnixTime>, beside: &mut Beside) -> Self {
        let mut entry = Self {
            time: ban.time.micros(),
            until: until.map_or(NEVER, UnixTime::micros),
            count: ban.count,
            failures: ban.failures,
            queued: NOT_QUEUED,
            address: 0,
            length: 0,
            flags: if ban.restored { RESTORED } else { 0 },
        };
        match ban.id.net() {
            Some(net) => {
                entry.length = net.length();
                match net.address() {
                    IpAddr::V4(four) => {
                        entry.flags |= FOUR;
                        entry.address = four.to_bits();
                    }
                    IpAddr::V6(six) => {
                        entry.address = beside.wide.len() as u32;
                        beside.wide.push(six);
                    }
                }
            }
            None => entry.flags |= TEXT,
        }
        entry
    }

    pub(super) fn net(&self, beside: &Beside) -> Option<Subnet> {
        match self.flags & (FOUR | TEXT) {
            FOUR if self.length == 32 => Some(Ipv4Addr::from_bits(self.address).into()),
            FOUR => Subnet::new(Ipv4Addr::from_bits(self.address).into(), self.length),
            TEXT => None,
            _ => Subnet::new(beside.wide[self.address as usize].into(), self.length),
        }
    }

    pub(super) fn id(&self, beside: &Beside, place: u32) -> Id {
        match self.net(beside) {
            Some(net) => Id::Net(net),
            None => {
                Id::Text(beside.extras.get(&place).and_then(|extra| extra.text.clone()).unwrap_or_default())
            }
        }
    }

    pub(super) fn is(&self, id: &Id, beside: &Beside, place: u32) -> bool {
        match (id, self.flags & (FOUR | TEXT)) {
            (Id::Net(net), FOUR) => {
                net.address() == Ipv4Addr::from_bits(self.address) && net.length() == self.length
            }
            (Id::Net(net), 0) => {
                net.address() == beside.wide[self.address as usize] && net.length() == self.length
            }
            (Id::Text(text), TEXT) => {
                beside.extras.get(&place).is_some_and(|extra| extra.text.as_ref() == Some(text))
            }
            _ => false,
        }
    }

    /// The same as [`hash`] of its id.
    pub(super) fn hash(&self, hasher: &RandomState, beside: &Beside, place: u32) -> u64 {
        if self.flags & FOUR != 0 {
            return hash_four(hasher, self.address, self.length);
        }
        hash(hasher, &self.id(beside, place))
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
