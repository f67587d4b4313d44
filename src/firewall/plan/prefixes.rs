//! One jail's banned prefixes, of which only those that no other covers are in force.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Step;
use crate::subnet::Subnet;

/// A step for a prefix, with its change.
pub(super) type PrefixStep = (Subnet, (Step, usize));

/// What is banned, and what of it is in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Prefixes {
    banned: BTreeMap<Subnet, Option<Duration>>,
    /// Those that no other covers; what stands in the firewall.
    outermost: BTreeSet<Subnet>,
}

impl Prefixes {
    /// What must happen in the firewall to carry out the sorted steps.
    pub(super) fn resolve(&self, steps: &[PrefixStep]) -> Vec<PrefixStep> {
        self.regions(steps).into_iter().flat_map(|(root, steps)| self.resolve_within(root, steps)).collect()
    }

    /// Remembers a step that was carried out.
    pub(super) fn remember(&mut self, net: Subnet, step: Step) {
        match step {
            Step::Put(timeout) | Step::Renew(timeout) => self.banned.insert(net, timeout),
            Step::Take => self.banned.remove(&net),
        };
    }

    /// Remembers what happened in the firewall.
    pub(super) fn happened(&mut self, net: Subnet, step: Step) {
        match step {
            Step::Put(_) | Step::Renew(_) => self.outermost.insert(net),
            Step::Take => self.outermost.remove(&net),
        };
    }

    /// Everything that is banned.
    pub(super) fn banned(&self) -> impl Iterator<Item = (Subnet, Option<Duration>)> {
        self.banned.iter().map(|(&net, &timeout)| (net, timeout))
    }

    /// Cuts sorted steps into regions: runs that lie within one prefix, itself within no other old or new.
    fn regions<'a>(&self, steps: &'a [PrefixStep]) -> Vec<(Subnet, &'a [PrefixStep])> {
        let mut regions: Vec<(Subnet, &[PrefixStep])> = Vec::new();
        let mut start = 0;
        for (at, &(net, _)) in steps.iter().enumerate() {
            if let Some((_, run)) = regions.last_mut().filter(|(root, _)| root.contains(&net)) {
                *run = &steps[start..=at];
                continue;
            }
            start = at;
            regions.push((cover(&self.outermost, &net).copied().unwrap_or(net), &steps[at..=at]));
        }
        regions
    }

    /// What must happen within `root`, so that afterwards the outermost of its prefixes are in force.
    fn resolve_within(&self, root: Subnet, steps: &[PrefixStep]) -> Vec<PrefixStep> {
        let before = self.outermost.range(root..).take_while(|net| root.contains(net));
        let before: BTreeSet<Subnet> = before.copied().collect();
        let banned = self.banned.range(root..).take_while(|(net, _)| root.contains(net));
        let mut banned: BTreeMap<Subnet, Option<Duration>> = banned.map(|(&net, &t)| (net, t)).collect();
        for &(net, (step, _)) in steps {
            match step {
                Step::Put(timeout) | Step::Renew(timeout) => banned.insert(net, timeout),
                Step::Take => banned.remove(&net),
            };
        }
        let after: BTreeSet<Subnet> = outermost(banned.keys().copied()).collect();
        let own = |net: &Subnet| steps.binary_search_by_key(net, |&(other, _)| other).ok();
        // What goes because of a wider prefix, or comes back because of one, fails at that one's cost.
        let change = |net: &Subnet, wider: Option<&Subnet>| {
            let at = wider.and_then(own).or_else(|| own(net)).unwrap_or(0);
            steps[at].1.1
        };
        let take = before.difference(&after);
        let take = take.map(|net| (*net, (Step::Take, change(net, cover(&after, net)))));
        let put = after.iter().filter_map(|net| {
            let timeout = banned[net];
            match (before.contains(net), own(net)) {
                (false, Some(_)) => Some((*net, (Step::Put(timeout), change(net, None)))),
                (false, None) => Some((*net, (Step::Put(timeout), change(net, cover(&before, net))))),
                (true, Some(_)) => Some((*net, (Step::Renew(timeout), change(net, None)))),
                (true, None) => None,
            }
        });
        take.chain(put).collect()
    }
}

/// The one of disjoint prefixes that covers `net`: only the last one up to `net` can.
pub(super) fn cover<'a>(disjoint: &'a BTreeSet<Subnet>, net: &Subnet) -> Option<&'a Subnet> {
    disjoint.range(..=net).next_back().filter(|cover| cover.contains(net))
}

/// Of sorted prefixes, those that no other covers.
fn outermost(sorted: impl Iterator<Item = Subnet>) -> impl Iterator<Item = Subnet> {
    let mut last: Option<Subnet> = None;
    sorted.filter(move |net| {
        let covered = last.is_some_and(|last| last.contains(net));
        if !covered {
            last = Some(*net);
        }
        !covered
    })
}
