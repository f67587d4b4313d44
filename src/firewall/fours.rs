//! Many single IPv4 addresses in little room.

use std::net::IpAddr;

use crate::subnet::Subnet;

/// So many late ones are waited for at least.
const LATE: usize = 1024;

/// Single IPv4 addresses with a value each: seldom asked for, so what comes and goes is only noted. A table would cost a
/// wait for memory each.
#[derive(Debug)]
pub(super) struct Fours<V> {
    sorted: Vec<(u32, V)>,
    /// What has changed since, the last word counting: the value, none where it is out.
    late: Vec<(u32, Option<V>)>,
}

impl<V> Default for Fours<V> {
    fn default() -> Self {
        Self { sorted: Vec::new(), late: Vec::new() }
    }
}

impl<V: Copy> Fours<V> {
    /// From now on this is its value, or it is out.
    pub(super) fn note(&mut self, four: u32, value: Option<V>) {
        self.late.push((four, value));
        if self.late.len() >= LATE.max(self.sorted.len() / 4) {
            self.sorted();
        }
    }

    /// The value of one.
    pub(super) fn get(&mut self, four: u32) -> Option<V> {
        let sorted = self.sorted();
        sorted.binary_search_by_key(&four, |(four, _)| *four).ok().map(|at| sorted[at].1)
    }

    /// All of them, sorted.
    pub(super) fn sorted(&mut self) -> &[(u32, V)] {
        if self.late.is_empty() {
            return &self.sorted;
        }
        let mut late = std::mem::take(&mut self.late);
        late.sort_by_key(|(four, _)| *four);
        let mut merged = Vec::with_capacity(self.sorted.len() + late.len());
        let mut old = self.sorted.iter().copied().peekable();
        for run in late.chunk_by(|(one, _), (other, _)| one == other) {
            let (four, value) = run[run.len() - 1];
            while let Some(before) = old.next_if(|(old, _)| *old < four) {
                merged.push(before);
            }
            old.next_if(|(old, _)| *old == four);
            merged.extend(value.map(|value| (four, value)));
        }
        merged.extend(old);
        merged.shrink_to_fit();
        self.sorted = merged;
        &self.sorted
    }

    /// Room for so many is held.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.sorted.capacity() + self.late.capacity()
    }
}

/// A single IPv4 address as a number.
pub(super) fn four(net: &Subnet) -> Option<u32> {
    match net.address() {
        IpAddr::V4(four) if net.is_single() => Some(four.to_bits()),
        _ => None,
    }
}
