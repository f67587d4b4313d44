//! One command of nft, as far as actions use them.
//!
//! Pure. In: the words after `nft`, as one text. Out: a [`Statement`], or the word that is not understood.
//! Source: nft(8); what nft makes of each was measured with `nft --debug=netlink`, version 1.0.6.

mod rule;
mod words;

use std::fmt;
use std::sync::Arc;

use crate::subnet::Subnet;
pub use rule::{Ports, Protocols, Rule, Verdict};
use words::Words;
pub(super) use words::decimal;
pub(super) use words::is_plain;

/// What kind of packets a table sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TableFamily {
    /// IPv4.
    Ip,
    /// IPv6.
    Ip6,
    /// Both.
    Inet,
}

impl TableFamily {
    /// Whether packets of IPv6, or of IPv4, come by.
    pub fn has(self, ipv6: bool) -> bool {
        match self {
            Self::Ip => !ipv6,
            Self::Ip6 => ipv6,
            Self::Inet => true,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Inet => "inet",
        }
    }
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Its family.
    pub family: TableFamily,
    /// Its name.
    pub table: Arc<str>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.family.name(), self.table)
    }
}

/// A set's table and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SetName {
    /// Where it is.
    pub place: Place,
    /// How it is called.
    pub name: Arc<str>,
}

impl fmt::Display for SetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.place, self.name)
    }
}

/// A set of addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// Its name.
    pub name: SetName,
    /// `ipv6_addr`, else `ipv4_addr`.
    pub is_ipv6: bool,
    /// `flags interval`: it holds prefixes too, of which no two may overlap.
    pub is_interval: bool,
    /// Which bans go there.
    pub share: Share,
}

/// Which bans go to a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// Everybody's, as the action says.
    All,
    /// Those of single addresses: prefixes have a set of their own.
    Singles,
    /// Those of prefixes: single addresses have a set of their own.
    Prefixes,
}

impl Share {
    /// Whether this one goes there.
    pub fn has(self, net: &Subnet) -> bool {
        match self {
            Self::All => true,
            Self::Singles => net.is_single(),
            Self::Prefixes => !net.is_single(),
        }
    }
}

/// What a chain in a hook is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainKind {
    /// To filter.
    Filter,
    /// To route anew.
    Route,
    /// To translate addresses.
    Nat,
}

/// Where a chain hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetHook {
    /// All packets, before routing.
    Prerouting,
    /// Packets to this host.
    Input,
    /// Packets through this host.
    Forward,
    /// Packets of this host.
    Output,
    /// All packets that leave.
    Postrouting,
}

/// A chain in a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Its table.
    pub place: Place,
    /// Its name.
    pub name: Arc<str>,
    /// What it is for.
    pub kind: ChainKind,
    /// Where it hangs.
    pub hook: SetHook,
    /// Its turn there.
    pub priority: i32,
}

/// A command of nft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Statement {
    AddTable(Place),
    AddChain(Chain),
    AddSet(Set),
    AddRule {
        place: Place,
        chain: Arc<str>,
        rule: Rule,
        set: Arc<str>,
    },
    AddElement(SetName),
    DeleteElement(SetName),
    FlushSet(SetName),
    DeleteSet(SetName),
    DeleteTable(Place),
    /// Without a handle: half a command.
    DeleteRule {
        place: Place,
        chain: Arc<str>,
    },
    ListTable(Place),
    ListChain {
        place: Place,
        chain: Arc<str>,
        handles: bool,
    },
}

impl Statement {
    /// Whether it changes nothing by itself.
    pub(super) fn asks(&self) -> bool {
        matches!(self, Self::DeleteRule { .. } | Self::ListTable(_) | Self::ListChain { .. })
    }

    pub(super) fn verb(&self) -> &'static str {
        match self {
            Self::DeleteRule { .. } => "delete rule",
            Self::ListTable(_) => "list table",
            Self::ListChain { .. } => "list chain",
            _ => "nft",
        }
    }
}

/// Reads a command; `handles`: lists show them.
pub(super) fn parse(text: &str, handles: bool, services: &str) -> Result<Statement, String> {
    let mut words = Words::of(text)?;
    let verb = words.word()?;
    let object = words.word()?;
    let family = match words.word()? {
        "ip" => TableFamily::Ip,
        "ip6" => TableFamily::Ip6,
        "inet" => TableFamily::Inet,
        other => return Err(format!("the family `{other}` is not understood")),
    };
    let place = Place { family, table: words.name()?.into() };
    let statement = match (verb, object) {
        ("add", "table") => Statement::AddTable(place),
        ("add", "chain") => Statement::AddChain(chain(place, &mut words)?),
        ("add", "set") => Statement::AddSet(set(place, &mut words)?),
        ("add", "rule") => {
            let chain = words.name()?.into();
            let (rule, set) = rule::read(&mut words, family, services)?;
            Statement::AddRule { place, chain, rule, set }
        }
        ("add", "element") => Statement::AddElement(element(place, &mut words)?),
        ("delete", "element") => Statement::DeleteElement(element(place, &mut words)?),
        ("flush", "set") => Statement::FlushSet(set_name(place, &mut words)?),
        ("delete", "set") => Statement::DeleteSet(set_name(place, &mut words)?),
        ("delete", "table") => Statement::DeleteTable(place),
        ("delete", "rule") => Statement::DeleteRule { place, chain: words.name()?.into() },
        ("list", "table") => Statement::ListTable(place),
        ("list", "chain") => Statement::ListChain { place, chain: words.name()?.into(), handles },
        _ => return Err(format!("`nft {verb} {object}` is not understood")),
    };
    words.end()?;
    Ok(statement)
}

fn set_name(place: Place, words: &mut Words) -> Result<SetName, String> {
    Ok(SetName { place, name: words.name()?.into() })
}

/// `SET { <ip> }`
fn element(place: Place, words: &mut Words) -> Result<SetName, String> {
    let name = set_name(place, words)?;
    words.take("{")?;
    words.address()?;
    words.take("}")?;
    Ok(name)
}

/// `SET { type ipv4_addr; flags interval; }`
fn set(place: Place, words: &mut Words) -> Result<Set, String> {
    let name = set_name(place, words)?;
    words.take("{")?;
    words.take("type")?;
    let is_ipv6 = match words.word()? {
        "ipv4_addr" => false,
        "ipv6_addr" => true,
        other => return Err(format!("the type `{other}` of a set is not understood")),
    };
    words.take(";")?;
    let mut is_interval = false;
    if words.next_is("flags") {
        words.take("flags")?;
        words.take("interval")?;
        words.take(";")?;
        is_interval = true;
    }
    words.take("}")?;
    Ok(Set { name, is_ipv6, is_interval, share: Share::All })
}

/// Where the kernel looks up connections; it translates no address before.
const LAST_BEFORE_NAT: i32 = -200;

/// `CHAIN { type filter hook input priority -1; policy accept; }`
fn chain(place: Place, words: &mut Words) -> Result<Chain, String> {
    let name = words.name()?.into();
    words.take("{")?;
    words.take("type")?;
    let kind = match words.word()? {
        "filter" => ChainKind::Filter,
        "route" => ChainKind::Route,
        "nat" => ChainKind::Nat,
        other => return Err(format!("the type `{other}` of a chain is not understood")),
    };
    words.take("hook")?;
    let hook = match words.word()? {
        "prerouting" => SetHook::Prerouting,
        "input" => SetHook::Input,
        "forward" => SetHook::Forward,
        "output" => SetHook::Output,
        "postrouting" => SetHook::Postrouting,
        other => return Err(format!("the hook `{other}` is not understood")),
    };
    words.take("priority")?;
    let priority = priority(words, hook)?;
    let is_known = match kind {
        ChainKind::Filter => true,
        ChainKind::Route => hook == SetHook::Output,
        ChainKind::Nat => hook != SetHook::Forward && priority > LAST_BEFORE_NAT,
    };
    if !is_known {
        return Err("the kernel knows no such type of chain in this hook with this priority".to_owned());
    }
    words.take(";")?;
    words.take("}")?;
    Ok(Chain { place, name, kind, hook, priority })
}

/// A number, or a name with a number more or less: `filter - 1`.
fn priority(words: &mut Words, hook: SetHook) -> Result<i32, String> {
    let word = words.word()?;
    let (sign, digits) = word.strip_prefix('-').map_or((1, word), |digits| (-1, digits));
    if let Some(number) = decimal::<i32>(digits) {
        return Ok(sign * number);
    }
    let base = match (word, hook) {
        ("raw", _) => -300,
        ("mangle", _) => -150,
        ("dstnat", SetHook::Prerouting) => -100,
        ("filter", _) => 0,
        ("security", _) => 50,
        ("srcnat", SetHook::Postrouting) => 100,
        _ => return Err(format!("the priority `{word}` is not understood")),
    };
    let sign = match () {
        () if words.next_is("+") => 1,
        () if words.next_is("-") => -1,
        () => return Ok(base),
    };
    words.word()?;
    let number: i32 = words.number()?.into();
    Ok(base + sign * number)
}
