//! Many addresses in little room.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use crate::subnet::Subnet;

/// So many late ones are waited for at least.
const LATE: usize = 1024;

/// A set of addresses and prefixes; a single IPv4 address takes 4 to 6 bytes.
#[derive(Debug, Default)]
pub(super) struct Nets {
    four: RefCell<Fours>,
    other: BTreeSet<Subnet>,
}

/// Single IPv4 addresses: seldom asked for, as long as jails do not share sets, so what comes and goes is only noted.
/// A table would cost a wait for memory each.
#[derive(Debug, Default)]
struct Fours {
    sorted: Vec<u32>,
    /// What has changed since, the last word counting: whether it is in.
    late: Vec<(u32, bool)>,
}

impl Nets {
    pub(super) fn insert(&mut self, net: Subnet) {
        match four(&net) {
            Some(four) => self.four.get_mut().note(four, true),
            None => drop(self.other.insert(net)),
        }
    }

    pub(super) fn remove(&mut self, net: &Subnet) {
        match four(net) {
            Some(four) => self.four.get_mut().note(four, false),
            None => drop(self.other.remove(net)),
        }
    }

    pub(super) fn contains(&self, net: &Subnet) -> bool {
        match four(net) {
            Some(four) => self.four.borrow_mut().sorted().binary_search(&four).is_ok(),
            None => self.other.contains(net),
        }
    }

    /// All of them, in their order within their kind.
    pub(super) fn to_vec(&self) -> Vec<Subnet> {
        let mut four = self.four.borrow_mut();
        let four = four.sorted().iter().map(|four| Ipv4Addr::from_bits(*four).into());
        four.chain(self.other.iter().copied()).collect()
    }
}

impl Fours {
    fn note(&mut self, four: u32, is_in: bool) {
        self.late.push((four, is_in));
        if self.late.len() >= LATE.max(self.sorted.len() / 4) {
            self.sorted();
        }
    }

    /// All of them, sorted.
    fn sorted(&mut self) -> &[u32] {
        if self.late.is_empty() {
            return &self.sorted;
        }
        let mut late = std::mem::take(&mut self.late);
        late.sort_by_key(|(four, _)| *four);
        let mut merged = Vec::with_capacity(self.sorted.len() + late.len());
        let mut old = self.sorted.iter().copied().peekable();
        for run in late.chunk_by(|(one, _), (other, _)| one == other) {
            let (four, is_in) = run[run.len() - 1];
            while let Some(before) = old.next_if(|old| *old < four) {
                merged.push(before);
            }
            old.next_if_eq(&four);
            merged.extend(is_in.then_some(four));
        }
        merged.extend(old);
        merged.shrink_to_fit();
        self.sorted = merged;
        &self.sorted
    }
}

fn four(net: &Subnet) -> Option<u32> {
    match net.address() {
        IpAddr::V4(four) if net.is_single() => Some(four.to_bits()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn many_come_and_go() {
        let mut nets = Nets::default();
        let net = |n: u32| Subnet::from(Ipv4Addr::from_bits(n.wrapping_mul(2_654_435_761)));
        (0..10_000).for_each(|n| nets.insert(net(n)));
        (0..9_990).for_each(|n| nets.remove(&net(n)));
        let want: BTreeSet<_> = (9_990..10_000).map(net).collect();
        assert_eq!(nets.to_vec(), want.into_iter().collect::<Vec<_>>());
        assert!(nets.four.borrow().late.capacity() == 0 && nets.four.borrow().sorted.capacity() < 100);
    }

    proptest! {
        #[test]
        fn as_a_plain_set(steps in prop::collection::vec((0_u8..40, any::<bool>(), any::<bool>()), 0..200)) {
            let (mut nets, mut set) = (Nets::default(), BTreeSet::new());
            for (n, is_in, ask) in steps {
                let net: Subnet = match n % 3 {
                    0 => Ipv4Addr::new(192, 0, 2, n).into(),
                    1 => format!("10.{n}.0.0/16").parse().unwrap(),
                    _ => format!("2001:db8::{n}").parse().unwrap(),
                };
                if is_in {
                    nets.insert(net);
                    set.insert(net);
                } else {
                    nets.remove(&net);
                    set.remove(&net);
                }
                prop_assert!(!ask || nets.contains(&net) == is_in);
            }
            let mut all = nets.to_vec();
            all.sort_unstable();
            prop_assert_eq!(all, set.into_iter().collect::<Vec<_>>());
        }
    }
}
