//! Many addresses in little room.

use std::collections::{BTreeSet, HashSet};
use std::net::{IpAddr, Ipv4Addr};

use crate::subnet::Subnet;

/// A set of addresses and prefixes; a single IPv4 address takes 5 to 10 bytes.
#[derive(Debug, Default)]
pub(super) struct Nets {
    four: HashSet<u32>,
    other: BTreeSet<Subnet>,
}

impl Nets {
    pub(super) fn insert(&mut self, net: Subnet) {
        match four(&net) {
            Some(four) => self.four.insert(four),
            None => self.other.insert(net),
        };
    }

    pub(super) fn remove(&mut self, net: &Subnet) {
        match four(net) {
            Some(four) => self.four.remove(&four),
            None => self.other.remove(net),
        };
        if self.four.len() < self.four.capacity() / 8 {
            self.four.shrink_to(self.four.len() * 2);
        }
    }

    pub(super) fn contains(&self, net: &Subnet) -> bool {
        match four(net) {
            Some(four) => self.four.contains(&four),
            None => self.other.contains(net),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Subnet> {
        let four = self.four.iter().map(|four| Ipv4Addr::from_bits(*four).into());
        four.chain(self.other.iter().copied())
    }
}

fn four(net: &Subnet) -> Option<u32> {
    match net.address() {
        IpAddr::V4(four) if net.is_single() => Some(four.to_bits()),
        _ => None,
    }
}
