//! Which connections end with a ban: those of the banned host whose packets the ban keeps out.
//!
//! Pure but for `kernel` and `socket`. A ban drops the packets of connections that stand, but the service does not know:
//! it keeps its process and its place for minutes. So once a ban is in force, sockets of this host are ended. What only
//! goes through this host has no socket here: there conntrack forgets it, so that neither a flow table nor a rule for new
//! connections alone lets it pass. One look at everything serves all bans that wait (`Wanted`), not one look a ban.
//! `sockets` and `tracked` are the kernel's words for both.
//! The shell is [`crate::actor::cutter`].

#[cfg(feature = "faults")]
pub(super) mod fuzz;
mod kernel;
mod socket;
mod sockets;
mod tracked;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::nftables::spelled::{Ports, Protocols, Rule, SetHook};
use super::{Hook, Protocol, Rules};
use crate::subnet::Subnet;
pub use kernel::{Knife, Lack, Outcome};

const TCP: u8 = 6;
const UDP: u8 = 17;
/// For so many bans the kernel is asked for the sockets of their peers alone.
const FEW: usize = 16;

/// The ports that bans of a jail shut.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope(Vec<Part>);

/// Some of them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    /// Inclusive ranges; empty: all.
    ports: Vec<(u16, u16)>,
    /// By their numbers; empty: all.
    protocols: Vec<u8>,
    ways: Ways,
}

/// Which packets are kept out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ways {
    /// Those to this host.
    pub here: bool,
    /// Those through this host, such as to published ports of containers.
    pub through: bool,
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To a socket of this host.
    Here,
    /// As conntrack knows it.
    Through,
}

impl Ways {
    /// Both.
    pub const ALL: Self = Self { here: true, through: true };

    fn of(hooks: &[Hook]) -> Self {
        let has = |hook| hooks.contains(&hook) || hooks.contains(&Hook::Prerouting);
        Self { here: has(Hook::Input), through: has(Hook::Forward) }
    }

    fn has(self, way: Way) -> bool {
        match way {
            Way::Here => self.here,
            Way::Through => self.through,
        }
    }
}

impl Scope {
    /// What these rules look at.
    pub fn of(rules: &Rules) -> Self {
        match rules {
            Rules::Own(own) => Self::ports(own.ports.clone(), &own.protocols, Ways::of(&own.hooks)),
            Rules::Spelled(actions) => {
                let branches = actions.iter().flat_map(|action| &action.faces);
                let branches = branches.flat_map(|face| &face.layout.branches);
                let parts =
                    branches.flat_map(|(chain, rules)| rules.iter().map(|rule| Part::of(chain.hook, rule)));
                let mut scope = Self::default();
                parts.for_each(|part| scope.add(part));
                scope
            }
        }
    }

    /// These ports of these protocols; of no port: all of everything, of no protocol: of TCP and UDP.
    pub fn ports(ports: Vec<(u16, u16)>, protocols: &[Protocol], ways: Ways) -> Self {
        let number = |protocol: &Protocol| match protocol {
            Protocol::Tcp => TCP,
            Protocol::Udp => UDP,
        };
        let protocols = match (ports.is_empty(), protocols) {
            (true, _) => Vec::new(),
            (false, []) => vec![TCP, UDP],
            (false, some) => some.iter().map(number).collect(),
        };
        Self(vec![Part { ports, protocols, ways }])
    }

    /// What both shut.
    pub fn join(&mut self, other: Self) {
        other.0.into_iter().for_each(|part| self.add(part));
    }

    fn add(&mut self, part: Part) {
        if !self.0.contains(&part) {
            self.0.push(part);
        }
    }

    /// Whether there is nothing that it shuts.
    pub fn is_nothing(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether packets of this connection are kept out.
    fn has(&self, flow: &Flow, way: Way) -> bool {
        let within = |port: u16, ranges: &[(u16, u16)]| {
            ranges.is_empty() || ranges.iter().any(|(low, high)| (*low..=*high).contains(&port))
        };
        self.0.iter().any(|part| part.knows(flow.protocol, way) && within(flow.port, &part.ports))
    }
}

impl Part {
    fn of(hook: SetHook, rule: &Rule) -> Self {
        let ports = rule.ports.as_ref().map_or(Vec::new(), |Ports { ranges, .. }| ranges.clone());
        let protocols = match &rule.protocols {
            Protocols::All => Vec::new(),
            Protocols::One(one) => vec![*one],
            Protocols::Set(some) => some.clone(),
        };
        let ways = match hook {
            SetHook::Input => Ways { here: true, through: false },
            SetHook::Forward => Ways { here: false, through: true },
            SetHook::Prerouting => Ways::ALL,
            // What goes out is of nobody who is banned.
            SetHook::Output | SetHook::Postrouting => Ways::default(),
        };
        Self { ports, protocols, ways }
    }

    fn knows(&self, protocol: u8, way: Way) -> bool {
        self.ways.has(way) && (self.protocols.is_empty() || self.protocols.contains(&protocol))
    }
}

/// A connection, as seen from here: a packet of it comes from `peer` to our `port`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flow {
    /// By its number.
    pub protocol: u8,
    /// Who is at the other end.
    pub peer: IpAddr,
    /// Their port.
    pub peer_port: u16,
    /// Ours.
    pub port: u16,
}

/// The bans whose connections are to be looked for.
#[derive(Debug, Default)]
pub struct Wanted {
    /// Each with the place of its jail.
    bans: Vec<(Subnet, u16)>,
    jails: Vec<(Arc<str>, Arc<Scope>)>,
    /// Lengths of prefixes that occur, by family.
    lengths: BTreeSet<(bool, u8)>,
    sorted: bool,
}

impl Wanted {
    /// Adds bans of a jail.
    pub fn add(&mut self, jail: &Arc<str>, scope: &Arc<Scope>, nets: &[Subnet]) {
        let known = self.jails.iter().position(|(name, known)| name == jail && known == scope);
        let place = known.unwrap_or_else(|| {
            self.jails.push((jail.clone(), scope.clone()));
            self.jails.len() - 1
        });
        let Ok(place) = u16::try_from(place) else { return };
        self.bans.extend(nets.iter().map(|net| (*net, place)));
        self.lengths.extend(nets.iter().map(|net| (net.is_ipv6(), net.length())));
        self.sorted = false;
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.bans.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.bans.is_empty()
    }

    /// To be called before anything is looked for.
    pub fn sort(&mut self) {
        self.bans.sort_unstable();
        self.bans.dedup();
        self.sorted = true;
    }

    /// The ban that keeps the packets of this connection out, and its jail.
    pub fn find(&self, flow: &Flow, way: Way) -> Option<(Subnet, &Arc<str>)> {
        debug_assert!(self.sorted, "sort() comes before");
        let peer = flow.peer.to_canonical();
        // Nobody: a socket that listens.
        if peer.is_unspecified() {
            return None;
        }
        let lengths = self.lengths.iter().filter(|(is_ipv6, _)| *is_ipv6 == peer.is_ipv6());
        lengths.filter_map(|(_, length)| Subnet::new(peer, *length)).find_map(|net| {
            let from = self.bans.partition_point(|(other, _)| *other < net);
            let mine = self.bans[from..].iter().take_while(|(other, _)| *other == net);
            mine.map(|(_, place)| &self.jails[usize::from(*place)])
                .find(|(_, scope)| scope.has(flow, way))
                .map(|(jail, _)| (net, jail))
        })
    }

    /// Whether any of them could be about a connection that is so.
    fn knows(&self, is_right: impl Fn(&Ways, &[u8]) -> bool) -> bool {
        let parts = self.jails.iter().flat_map(|(_, scope)| &scope.0);
        parts.into_iter().any(|part| is_right(&part.ways, &part.protocols))
    }

    /// The kinds of sockets that have to be looked through: whether of IPv6, and of which protocol.
    fn kinds(&self) -> Vec<(bool, u8)> {
        // A peer of IPv4 may be that of a socket of IPv6.
        let families = [(false, self.has(false)), (true, self.has(false) || self.has(true))];
        let families = families.into_iter().filter_map(|(is_ipv6, wanted)| wanted.then_some(is_ipv6));
        let all = families.flat_map(|is_ipv6| [TCP, UDP].map(|protocol| (is_ipv6, protocol)));
        let is_wanted =
            |protocol| self.knows(|ways, some| ways.here && (some.is_empty() || some.contains(&protocol)));
        all.filter(|(_, protocol)| is_wanted(*protocol)).collect()
    }

    /// Whose sockets of a family to ask for; nobody: there are so many bans that all sockets are looked at.
    fn peers(&self, is_ipv6: bool) -> Vec<Subnet> {
        if self.bans.len() > FEW {
            return Vec::new();
        }
        let mut peers: Vec<Subnet> = self.bans.iter().map(|(net, _)| *net).collect();
        peers.retain(|net| is_ipv6 || !net.is_ipv6());
        peers.dedup();
        peers
    }

    /// The families of which conntrack has to be asked: whether IPv6.
    fn families(&self) -> Vec<bool> {
        let through = self.knows(|ways, _| ways.through);
        [false, true].into_iter().filter(|is_ipv6| through && self.has(*is_ipv6)).collect()
    }

    /// Whether any of them is about IPv6, or about IPv4.
    fn has(&self, ipv6: bool) -> bool {
        self.lengths.iter().any(|(is_ipv6, _)| *is_ipv6 == ipv6)
    }
}

#[cfg(test)]
mod tests;
