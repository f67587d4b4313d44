//! Many addresses in little room.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use crate::firewall::fours::{Fours, four};
use crate::subnet::Subnet;

/// A set of addresses and prefixes; a single IPv4 address takes 4 to 6 bytes.
#[derive(Debug, Default)]
pub(super) struct Nets {
    /// Seldom asked for, as long as jails do not share sets.
    four: RefCell<Fours<()>>,
    other: BTreeSet<Subnet>,
}

impl Nets {
    pub(super) fn insert(&mut self, net: Subnet) {
        match four(&net) {
            Some(four) => self.four.get_mut().note(four, Some(())),
            None => drop(self.other.insert(net)),
        }
    }

    pub(super) fn remove(&mut self, net: &Subnet) {
        match four(net) {
            Some(four) => self.four.get_mut().note(four, None),
            None => drop(self.other.remove(net)),
        }
    }

    pub(super) fn contains(&self, net: &Subnet) -> bool {
        match four(net) {
            Some(four) => self.four.borrow_mut().get(four).is_some(),
            None => self.other.contains(net),
        }
    }

    /// All of them, in their order within their kind.
    pub(super) fn to_vec(&self) -> Vec<Subnet> {
        let mut four = self.four.borrow_mut();
        let four = four.sorted().iter().map(|(four, ())| Ipv4Addr::from_bits(*four).into());
        four.chain(self.other.iter().copied()).collect()
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
        assert!(nets.four.borrow().capacity() < 100);
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
