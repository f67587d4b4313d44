//! What a jail asks of a firewall, and the firewalls that can do it.
//!
//! Edge: [`Firewall`] implementations talk to a kernel; `plan` and `services` are pure. No actors.
//! The shell is [`crate::actor::firewall`].

pub mod copy;
pub mod course;
pub mod cut;
mod fours;
pub mod heal;
pub mod hosts_deny;
pub mod iptables;
pub mod memory;
pub mod nftables;
pub mod plan;
pub mod quota;
pub mod services;
mod tool;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::subnet::Subnet;
use heal::Damage;
use nftables::events::Lost;
use nftables::spelled::Spelled;

/// What to do with a packet of a banned address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Block {
    /// Say nothing.
    #[default]
    Drop,
    /// Answer port-unreachable.
    Reject,
}

/// Which transport a jail's ports belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// Where packets are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hook {
    /// Packets to this host.
    Input,
    /// Packets through this host, such as to published container ports.
    Forward,
    /// All packets, before routing.
    Prerouting,
}

/// How one jail's bans are enforced.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ruleset {
    /// Inclusive ranges of ports; empty means every port and protocol.
    pub ports: Vec<(u16, u16)>,
    /// The protocols of those ports; empty means TCP and UDP alike.
    pub protocols: Vec<Protocol>,
    /// What happens to a banned packet.
    pub block: Block,
    /// In which hooks the rules stand; never empty.
    pub hooks: Vec<Hook>,
    /// The priority of the hook's chain (filter is 0; lower is earlier).
    pub priority: i32,
}

/// How one jail's bans are enforced: by this program's own layout, or as somebody's configuration spells it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rules {
    /// In the table `inet stockade`, or what stands for it in another firewall.
    Own(Ruleset),
    /// The tables, chains and sets that Fail2Ban's actions name; one for each action.
    Spelled(Arc<[Spelled]>),
}

impl Rules {
    /// The rules of this program's own layout.
    pub fn own(&self) -> Option<&Ruleset> {
        match self {
            Self::Own(ruleset) => Some(ruleset),
            Self::Spelled(_) => None,
        }
    }
}

impl From<Ruleset> for Rules {
    fn from(ruleset: Ruleset) -> Self {
        Self::Own(ruleset)
    }
}

/// A ban as the firewall needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element {
    /// Whom to block.
    pub net: Subnet,
    /// How long the kernel keeps it at most, a safety net: the remaining time plus a minute. None: for ever.
    pub timeout: Option<Duration>,
}

/// One jail with everything it wants enforced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The jail.
    pub jail: Arc<str>,
    /// Its rules.
    pub rules: Rules,
    /// Its bans.
    pub elements: Vec<Element>,
}

/// How many single addresses of a jail are banned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Singles {
    /// Of IPv4.
    pub four: usize,
    /// Of IPv6.
    pub six: usize,
}

/// One change to what is enforced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<R = Rules> {
    /// A jail's sets and rules appear, or are changed while its elements stay.
    Open {
        /// The jail.
        jail: Arc<str>,
        /// Its rules.
        rules: R,
    },
    /// A jail's rules and sets go, with all elements.
    Close {
        /// The jail.
        jail: Arc<str>,
    },
    /// An element appears, or its timeout changes.
    Ban {
        /// The jail.
        jail: Arc<str>,
        /// The element.
        element: Element,
    },
    /// An element goes; that it was not there is no mistake.
    Unban {
        /// The jail.
        jail: Arc<str>,
        /// Whom.
        net: Subnet,
    },
}

impl<R> Change<R> {
    /// Whether rules or sets change, not elements alone.
    pub fn is_structural(&self) -> bool {
        matches!(self, Self::Open { .. } | Self::Close { .. })
    }
}

/// Why a change was refused, in the operator's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

/// How the firewall is changed, in the words of both worlds.
const SWITCH: &str = "use iptables: `banaction = iptables-multiport` and `banaction_allports = iptables-allports` in a \
                      Fail2Ban tree, `firewall = \"iptables\"` in a TOML jail";

/// Why a firewall cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum FirewallError {
    /// The process may not change the firewall.
    #[error(
        "no permission to change nftables: CAP_NET_ADMIN is missing (run as root, or in a container with --cap-add=NET_ADMIN)"
    )]
    Permission,
    /// The kernel has no nftables.
    #[error("this kernel has no nf_tables: `modprobe nf_tables`, or {SWITCH}")]
    NoKernel,
    /// The kernel's nftables is too old, or was built without a part.
    #[error("this kernel's nf_tables cannot do it ({0}), as interval sets or the family inet: {SWITCH}")]
    TooOld(std::io::Error),
    /// The table is not as the last call left it, and nothing was changed: only [`Firewall::replace`] helps.
    #[error(
        "nftables: what this program set up was left by an earlier run or changed by another program, and must be set up again"
    )]
    Drift,
    /// A program or a file that this firewall needs is missing or does not do it.
    #[error("{0}: {1}")]
    Tool(&'static str, String),
    /// Something else went wrong with the kernel.
    #[error("nftables: {0}")]
    Io(#[from] std::io::Error),
    /// The kernel's answer was not understood.
    #[error("nftables: {0}")]
    Protocol(String),
}

/// Jails with their elements, as read back.
pub type Enforced = Vec<(Arc<str>, Vec<Element>)>;

/// Enforces bans. Owned by one thread; every call blocks until the kernel has answered.
pub trait Firewall: Send {
    /// Makes what is enforced exactly `all`, in one transaction where possible: what is the same stays, so that no
    /// banned host gets in meanwhile. Answers in the order of `all`, each with its refused elements.
    ///
    /// # Errors
    /// Nothing could be changed at all.
    fn replace(&mut self, all: &[Wanted]) -> Result<Vec<Vec<(Subnet, Refusal)>>, FirewallError>;

    /// Whether nothing stands of what these jails want, so that [`Firewall::replace`] without elements and then one
    /// [`Firewall::apply`] after the other let nobody in who was banned before.
    fn is_blank(&mut self, _: &[Wanted]) -> bool {
        false
    }

    /// Goes on with what an earlier run left: makes the rules of these jails, and leaves their bans in force, of which
    /// nothing is known. [`Firewall::restore`] then puts in single addresses, [`Firewall::replace_prefixes`] the others,
    /// and [`Firewall::holds`] tells whether that is all. False: that is impossible, and only [`Firewall::replace`] helps.
    ///
    /// # Errors
    /// As of [`Firewall::replace`].
    fn take_up(&mut self, _: &[Wanted]) -> Result<bool, FirewallError> {
        Ok(false)
    }

    /// Puts prefixes in, in one transaction: of all jails no others are banned then.
    ///
    /// # Errors
    /// As of [`Firewall::replace`].
    fn replace_prefixes(&mut self, _: &[Change]) -> Result<Vec<Result<(), Refusal>>, FirewallError> {
        Err(FirewallError::Drift)
    }

    /// Whether so many single addresses, no more and no fewer, are banned in these jails.
    fn holds(&mut self, _: &[(Arc<str>, Singles)]) -> bool {
        false
    }

    /// Applies the changes as one transaction; a refused change costs itself alone. One answer per change, in order.
    ///
    /// # Errors
    /// Nothing could be changed at all; asking again later may help.
    fn apply(&mut self, changes: &[Change]) -> Result<Vec<Result<(), Refusal>>, FirewallError>;

    /// Puts bans in that may be there, and stay as they are then, but that a kernel which can gives them the new timeout.
    ///
    /// # Errors
    /// As of [`Firewall::apply`].
    fn restore(&mut self, changes: &[Change]) -> Result<Vec<Result<(), Refusal>>, FirewallError> {
        self.apply(changes)
    }

    /// What of this was this firewall's.
    fn damage(&self, _: &Lost) -> Damage {
        Damage::default()
    }

    /// Puts back everything but bans, without touching what stands. Answers with the jails whose bans are missing.
    ///
    /// # Errors
    /// [`FirewallError::Drift`]: only [`Firewall::replace`] helps.
    fn mend(&mut self, _: &Damage) -> Result<BTreeSet<Arc<str>>, FirewallError> {
        Err(FirewallError::Drift)
    }

    /// By which number the kernel knows who sends its changes; none: it does not tell of changes.
    fn port(&self) -> Option<u32> {
        None
    }

    /// The generation of what the kernel holds: every change of anybody makes a new one.
    fn generation(&mut self) -> Option<u32> {
        None
    }

    /// What is enforced now, read back: jails with their elements and remaining timeouts.
    ///
    /// # Errors
    /// It cannot be read.
    fn list(&mut self) -> Result<Enforced, FirewallError>;

    /// Takes everything away that this program put there.
    ///
    /// # Errors
    /// It cannot be removed.
    fn remove(&mut self) -> Result<(), FirewallError>;
}
