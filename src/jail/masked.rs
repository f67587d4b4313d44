//! Notices when the clients' own addresses do not arrive: nearly all failures come from this host or its gateway.
//!
//! So it is behind rootless containers' port forwarding, behind a router that replaces source addresses, and behind a
//! proxy. Nobody can then be banned without everybody.
//! Pure: the time of a failure is passed in. In: one failure at a time. Out: a [`Masked`], once for each [`Cause`].
//! A restart begins anew.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ignore::Rule;
use crate::subnet::Subnet;
use crate::time::UnixTime;

/// So far back failures are looked at.
const WINDOW: Duration = Duration::from_secs(600);
/// So many failures of own addresses and gateways are no accident, …
const LEAST: u32 = 3;
/// … when they are so many of a hundred.
const PERCENT: u64 = 90;

/// Whose address hides the clients'.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The default gateway's, as with Docker's builtin port driver.
    Gateway,
    /// One of this host's, as with Podman's.
    Own,
    /// Loopback: a program of this host speaks for others.
    Loopback,
}

impl Cause {
    /// What the rule that spares an address says of it; none: it is an operator's.
    pub(super) fn of(rule: &Rule) -> Option<Self> {
        match rule {
            Rule::Gateway(_) => Some(Self::Gateway),
            Rule::Own(net) if net.address().is_loopback() => Some(Self::Loopback),
            Rule::Own(_) => Some(Self::Own),
            Rule::Listed(_) | Rule::Login(_) => None,
        }
    }
}

/// The finding: who the clients seem to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Masked {
    /// Whose address it is.
    pub cause: Cause,
    /// The address.
    pub address: Subnet,
    /// Failures within ten minutes that came from there, or from another address of that cause.
    pub failures: u32,
    /// All failures of the jail within these minutes.
    pub of: u32,
}

impl fmt::Display for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cause, address, failures, of } = self;
        let whose = match cause {
            Cause::Gateway => "the default gateway",
            Cause::Own => "an address of this host",
            Cause::Loopback => "this host itself",
        };
        write!(
            f,
            "{failures} of {of} failures within 10 minutes came from {address}, {whose}: the clients' own addresses do \
             not arrive here, and nobody is banned, since that would lock everybody out. "
        )?;
        f.write_str(match cause {
            Cause::Gateway | Cause::Own => {
                "Rootless Docker: set DOCKERD_ROOTLESS_ROOTLESSKIT_PORT_DRIVER=slirp4netns. Rootless Podman: run with \
                 --network slirp4netns:port_handler=slirp4netns and NETWORK_INTERFACE=tap0. Behind a router or proxy: \
                 let it keep the source address, or pass it on"
            }
            Cause::Loopback => {
                "A proxy, webmail or port forwarder in front has to pass them on; a rootless container needs a port \
                 driver that keeps them (Docker: DOCKERD_ROOTLESS_ROOTLESSKIT_PORT_DRIVER=slirp4netns, Podman: \
                 --network slirp4netns:port_handler=slirp4netns and NETWORK_INTERFACE=tap0)"
            }
        })
    }
}

/// Failures of one second, or of a window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    gateway: u32,
    own: u32,
    loopback: u32,
    others: u32,
}

impl Count {
    fn of(&mut self, cause: Option<Cause>) -> &mut u32 {
        match cause {
            Some(Cause::Gateway) => &mut self.gateway,
            Some(Cause::Own) => &mut self.own,
            Some(Cause::Loopback) => &mut self.loopback,
            None => &mut self.others,
        }
    }

    fn subtract(&mut self, gone: Self) {
        self.gateway -= gone.gateway;
        self.own -= gone.own;
        self.loopback -= gone.loopback;
        self.others -= gone.others;
    }

    fn masked(self) -> u32 {
        self.gateway.saturating_add(self.own).saturating_add(self.loopback)
    }

    fn all(self) -> u32 {
        self.masked().saturating_add(self.others)
    }

    /// The cause of most of them.
    fn foremost(self) -> Cause {
        let most = self.gateway.max(self.own).max(self.loopback);
        match most {
            _ if most == self.gateway => Cause::Gateway,
            _ if most == self.own => Cause::Own,
            _ => Cause::Loopback,
        }
    }
}

/// What one jail has seen.
#[derive(Debug, Default)]
pub(super) struct Masks {
    /// Seconds in which somebody failed, oldest first, all of them within the window.
    seconds: VecDeque<(i64, Count)>,
    sum: Count,
    /// Where each cause was seen last.
    addresses: BTreeMap<Cause, Subnet>,
    /// What was said; it is said once.
    said: Vec<Cause>,
    /// What holds, until failures of other addresses show the contrary.
    holds: Vec<Masked>,
}

impl Masks {
    /// Counts a failure; the finding, when it is to be said.
    pub(super) fn fail(&mut self, from: Option<(Cause, Subnet)>, time: UnixTime) -> Option<Masked> {
        let cause = from.map(|(cause, _)| cause);
        self.addresses.extend(from);
        if !self.count(cause, time.secs()) {
            return None;
        }
        let (masked, all) = (self.sum.masked(), self.sum.all());
        if u64::from(masked) * 100 < u64::from(all) * PERCENT {
            if all >= LEAST {
                self.holds.clear();
            }
            return None;
        }
        if masked < LEAST {
            return None;
        }
        let cause = cause?;
        let is_enough = *self.sum.of(Some(cause)) >= LEAST;
        let found = [Some(self.sum.foremost()), is_enough.then_some(cause)];
        for cause in found.into_iter().flatten() {
            self.hold(cause);
        }
        let new = found.into_iter().flatten().find(|cause| !self.said.contains(cause))?;
        self.said.push(new);
        self.holds.iter().find(|masked| masked.cause == new).cloned()
    }

    /// What holds now.
    pub(super) fn holds(&self) -> &[Masked] {
        &self.holds
    }

    fn hold(&mut self, cause: Cause) {
        let Some(address) = self.addresses.get(&cause).copied() else { return };
        let masked = Masked { cause, address, failures: *self.sum.of(Some(cause)), of: self.sum.all() };
        match self.holds.iter_mut().find(|known| known.cause == cause) {
            Some(known) => *known = masked,
            None => self.holds.push(masked),
        }
    }

    /// Puts a failure into its second; false: it is older than the window.
    fn count(&mut self, cause: Option<Cause>, second: i64) -> bool {
        let newest = self.seconds.back().map_or(second, |(last, _)| second.max(*last));
        let oldest = newest.saturating_sub(WINDOW.as_secs() as i64);
        if second <= oldest {
            return false;
        }
        while let Some((_, gone)) = self.seconds.front().copied().filter(|(second, _)| *second <= oldest) {
            self.sum.subtract(gone);
            self.seconds.pop_front();
        }
        let at = self.seconds.partition_point(|(known, _)| *known < second);
        if self.seconds.get(at).is_none_or(|(known, _)| *known != second) {
            self.seconds.insert(at, (second, Count::default()));
        }
        // A sum that is full counts no more, nor do its seconds.
        let (total, part) = (self.sum.of(cause), self.seconds[at].1.of(cause));
        if *total < u32::MAX {
            *total += 1;
            *part += 1;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_700_000_000;

    fn from(who: char) -> Option<(Cause, Subnet)> {
        let (cause, address) = match who {
            'g' => (Cause::Gateway, "172.17.0.1"),
            'o' => (Cause::Own, "10.0.2.100"),
            'l' => (Cause::Loopback, "127.0.0.1"),
            _ => return None,
        };
        Some((cause, address.parse().unwrap()))
    }

    /// What is said of failures, each `who` at a second.
    fn said(failures: &[(char, i64)]) -> (Vec<String>, Vec<String>) {
        let mut masks = Masks::default();
        let short = |masked: &Masked| format!("{:?} {}/{}", masked.cause, masked.failures, masked.of);
        let said = failures
            .iter()
            .filter_map(|(who, second)| masks.fail(from(*who), UnixTime::from_secs(START + second)));
        let said = said.map(|masked| short(&masked)).collect();
        (said, masks.holds().iter().map(short).collect())
    }

    fn each(text: &str, step: i64) -> Vec<(char, i64)> {
        text.chars().zip(0..).map(|(who, index)| (who, index * step)).collect()
    }

    #[test]
    fn three_within_ten_minutes_and_nine_of_ten() {
        for (failures, want_said, want_holds) in [
            (each("gg", 1), &[][..], &[][..]),
            (each("ggg", 1), &["Gateway 3/3"], &["Gateway 3/3"]),
            (each("ggg", 299), &["Gateway 3/3"], &["Gateway 3/3"]),
            (each("ggg", 300), &[], &[]),
            (each("ooooo", 0), &["Own 3/3"], &["Own 5/5"]),
            (each("lll", 1), &["Loopback 3/3"], &["Loopback 3/3"]),
            // One of ten may be somebody else, two of eleven not.
            (each("xggggggggg", 1), &["Gateway 9/10"], &["Gateway 9/10"]),
            (each("xgggggggg", 1), &[], &[]),
            (each("xxggggggggg", 1), &[], &[]),
            // Others show that addresses do arrive.
            (each("gggx", 1), &["Gateway 3/3"], &[]),
            (each("gggxggggggg", 1), &["Gateway 3/3"], &["Gateway 10/11"]),
            // Each cause once; together they count.
            (each("googg", 1), &["Own 2/3", "Gateway 2/4"], &["Own 2/3", "Gateway 3/5"]),
            (each("ggglll", 1), &["Gateway 3/3", "Loopback 3/6"], &["Gateway 3/6", "Loopback 3/6"]),
            // In any order; what is older than the window does not count.
            (vec![('g', 9), ('g', 0), ('g', 5)], &["Gateway 3/3"], &["Gateway 3/3"]),
            (vec![('g', 700), ('g', 0), ('g', 100), ('g', 101)], &[], &[]),
            (vec![('x', 0), ('g', 600), ('g', 601), ('g', 602)], &["Gateway 3/3"], &["Gateway 3/3"]),
        ] {
            let (said, holds) = said(&failures);
            assert_eq!((&*said, &*holds), (&*strings(want_said), &*strings(want_holds)), "{failures:?}");
        }
    }

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn memory_is_bounded_by_the_window() {
        let mut masks = Masks::default();
        for failure in 0..100_000 {
            masks.fail(from('g'), UnixTime::from_secs(START + failure / 10));
        }
        assert_eq!((masks.seconds.len(), masks.sum.gateway), (600, 6000));
    }
}
