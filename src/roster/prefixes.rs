//! How many banned prefixes there are of each length: which of them can hold an address.

use crate::id::Id;
use crate::subnet::Subnet;

/// The counts, by length.
#[derive(Debug)]
pub(super) struct Prefixes {
    four: [u32; 33],
    six: [u32; 129],
}

impl Default for Prefixes {
    fn default() -> Self {
        Self { four: [0; 33], six: [0; 129] }
    }
}

impl Prefixes {
    pub(super) fn count(&mut self, id: &Id, change: i32) {
        let Some(net) = id.net().filter(|net| !net.is_single()) else { return };
        let counts = if net.is_ipv6() { &mut self.six[..] } else { &mut self.four[..] };
        let count = &mut counts[usize::from(net.length())];
        *count = count.saturating_add_signed(change);
    }

    /// The prefixes around `net` that can be banned, longest first.
    pub(super) fn around(&self, net: Subnet) -> impl Iterator<Item = Subnet> {
        let counts = if net.is_ipv6() { &self.six[..] } else { &self.four[..] };
        let lengths = (0..net.length()).rev().filter(|&length| counts[usize::from(length)] > 0);
        lengths.filter_map(move |length| Subnet::new(net.address(), length))
    }
}
