//! The layout of the table: its names, sets, chains and rules, written and recognised.
//!
//! Pure. A packet meets one rule a jail and protocol, which looks at its port; only if that is the jail's does it meet
//! the jail's four sets:
//!
//! ```text
//! table inet stockade {
//!     set sshd4 { type ipv4_addr; counter; flags timeout }          single addresses: a hash
//!     set sshd6 { type ipv6_addr; counter; flags timeout }
//!     set sshd4-net { type ipv4_addr; counter; flags interval,timeout }          prefixes: a tree
//!     set sshd6-net { type ipv6_addr; counter; flags interval,timeout }
//!     chain input.0 { type filter hook input priority 0; policy accept; tcp dport 22 jump jail-sshd }
//!     chain jail-sshd { ip saddr @sshd4 drop; ip saddr @sshd4-net drop; ip6 saddr @sshd6 drop; … }
//! }
//! ```

use std::fmt;
use std::sync::Arc;

use super::elements;
use super::transaction::{Owner, Transaction};
use super::wire::{Attributes, Kind, Message, NLM_F_APPEND, NLM_F_CREATE};
use crate::firewall::{Block, Hook, Protocol, Ruleset};

/// The table, in the family inet.
pub(super) const TABLE: &str = "stockade";

/// The attribute that names the table, of tables and elements.
pub(super) const IN_TABLE: u16 = 1;

/// A jail's sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SetKind {
    pub(super) is_net: bool,
    pub(super) is_ipv6: bool,
}

impl SetKind {
    /// All four, in the order of the rules.
    pub(super) const ALL: [Self; 4] = [
        Self { is_net: false, is_ipv6: false },
        Self { is_net: true, is_ipv6: false },
        Self { is_net: false, is_ipv6: true },
        Self { is_net: true, is_ipv6: true },
    ];

    fn suffix(self) -> &'static str {
        match (self.is_net, self.is_ipv6) {
            (false, false) => "4",
            (true, false) => "4-net",
            (false, true) => "6",
            (true, true) => "6-net",
        }
    }

    fn flags(self) -> u32 {
        if self.is_net { set::INTERVAL | set::TIMEOUT } else { set::TIMEOUT }
    }

    fn key_length(self) -> u32 {
        if self.is_ipv6 { 16 } else { 4 }
    }

    /// How nft calls the type: `ipv4_addr`, `ipv6_addr`.
    fn key_type(self) -> u32 {
        if self.is_ipv6 { 8 } else { 7 }
    }
}

/// The name of one of a jail's sets; none when the jail's name is too long for the kernel.
pub(super) fn set_name(jail: &str, kind: SetKind) -> Option<String> {
    encode(jail).map(|name| name + kind.suffix())
}

fn jail_chain(jail: &str) -> Option<String> {
    encode(jail).map(|name| format!("{JAIL_CHAIN}{name}"))
}

/// No hook is called so.
const JAIL_CHAIN: &str = "jail-";

/// The kernel's limit for a name is 255 bytes (4.14); this leaves room for prefix and suffix.
const LONGEST_NAME: usize = 240;

/// A jail's name in letters that nft reads without quotes; different names stay different.
fn encode(jail: &str) -> Option<String> {
    let mut name = String::with_capacity(jail.len() + 8);
    if !jail.starts_with(|first: char| first.is_ascii_alphabetic()) {
        name.push('_');
    }
    for byte in jail.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("/{byte:02x}"));
        }
    }
    (name.len() <= LONGEST_NAME).then_some(name)
}

/// The jail behind an encoded name; none when no jail's name is written so.
fn decode(name: &str) -> Option<Arc<str>> {
    let mut rest = name.strip_prefix('_').unwrap_or(name);
    let mut bytes = Vec::with_capacity(rest.len());
    while let Some((plain, escaped)) = rest.split_once('/') {
        bytes.extend(plain.bytes());
        bytes.push(u8::from_str_radix(escaped.get(..2)?, 16).ok()?);
        rest = &escaped[2..];
    }
    bytes.extend(rest.bytes());
    let jail = String::from_utf8(bytes).ok()?;
    (encode(&jail)? == name).then(|| jail.into())
}

/// A chain that hangs in a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct BaseChain {
    pub(super) hook: Hook,
    pub(super) priority: i32,
}

impl fmt::Display for BaseChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hook = match self.hook {
            Hook::Prerouting => "prerouting",
            Hook::Input => "input",
            Hook::Forward => "forward",
        };
        write!(f, "{hook}.{}", self.priority)
    }
}

impl BaseChain {
    /// The chains that a jail's rules hang in.
    pub(super) fn of(ruleset: &Ruleset) -> impl Iterator<Item = Self> {
        ruleset.hooks.iter().map(|&hook| Self { hook, priority: ruleset.priority })
    }

    fn hook_number(self) -> u32 {
        match self.hook {
            Hook::Prerouting => 0,
            Hook::Input => 1,
            Hook::Forward => 2,
        }
    }
}

/// What a chain or set found in the table is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// One of a jail's sets.
    Set(Arc<str>, SetKind),
    /// A jail's chain.
    Jail(Arc<str>),
    /// A chain in a hook.
    Base(BaseChain),
    /// Not as this version makes it.
    Odd,
}

/// Whether a message of a dump of all tables is about ours; if so, whether it has no flags.
pub(super) fn read_table(message: Message) -> Option<bool> {
    let table = message.attributes();
    let ours = table.find(IN_TABLE).and_then(|name| name.text()) == Some(TABLE);
    ours.then(|| table.find(2).and_then(|flags| flags.u32()).unwrap_or(0) == 0)
}

/// Recognises a set; none when it is in another table, or part of a rule.
pub(super) fn read_set(message: Message) -> Option<Found> {
    let set = message.attributes();
    let number = |kind| set.find(kind).and_then(|value| value.u32());
    if set.find(set::TABLE).and_then(|table| table.text()) != Some(TABLE) {
        return None;
    }
    let flags = number(set::FLAGS).unwrap_or(0);
    if flags & set::ANONYMOUS != 0 {
        return None;
    }
    let known = set.find(set::NAME).and_then(|name| name.text()).and_then(|name| {
        // `-net` first: `4` is no ending of it.
        let kinds =
            SetKind::ALL.into_iter().filter_map(|kind| Some((name.strip_suffix(kind.suffix())?, kind)));
        kinds.filter_map(|(name, kind)| Some((decode(name)?, kind))).next()
    });
    let counts = set.find(set::EXPRESSION).is_some() || set.find(set::EXPRESSIONS).is_some();
    let same = |kind: SetKind| {
        flags & !set::EXPR == kind.flags()
            && number(set::KEY_LENGTH) == Some(kind.key_length())
            && set.find(set::DEFAULT_TIMEOUT).is_none()
            && counts
    };
    Some(known.filter(|(_, kind)| same(*kind)).map_or(Found::Odd, |(jail, kind)| Found::Set(jail, kind)))
}

/// Recognises a chain; none when it is in another table.
pub(super) fn read_chain(message: Message) -> Option<Found> {
    let chain = message.attributes();
    if chain.find(chain::TABLE).and_then(|table| table.text()) != Some(TABLE) {
        return None;
    }
    let Some(name) = chain.find(chain::NAME).and_then(|name| name.text()) else { return Some(Found::Odd) };
    let Some(hook) = chain.find(chain::HOOK) else {
        return Some(name.strip_prefix(JAIL_CHAIN).and_then(decode).map_or(Found::Odd, Found::Jail));
    };
    let number = |kind| hook.nested().find(kind).and_then(|value| value.u32());
    let priority = number(chain::HOOK_PRIORITY).unwrap_or(0).cast_signed();
    let same = |base: &BaseChain| {
        number(chain::HOOK_NUMBER) == Some(base.hook_number())
            && base.to_string() == name
            && chain.find(chain::TYPE).and_then(|kind| kind.text()) == Some("filter")
            && chain.find(chain::POLICY).and_then(|policy| policy.u32()) == Some(ACCEPT)
    };
    let bases = [Hook::Input, Hook::Forward, Hook::Prerouting].map(|hook| BaseChain { hook, priority });
    Some(bases.into_iter().find(same).map_or(Found::Odd, Found::Base))
}

/// Writes the table itself.
pub(super) fn new_table(transaction: &mut Transaction) {
    transaction.message(Owner::Everyone, Kind::NewTable, NLM_F_CREATE, |table| table.text(IN_TABLE, TABLE));
}

/// Removes the table with everything in it.
pub(super) fn delete_table(transaction: &mut Transaction) {
    transaction.message(Owner::Everyone, Kind::DelTable, 0, |table| table.text(IN_TABLE, TABLE));
}

/// Removes all rules of all chains.
pub(super) fn delete_rules(transaction: &mut Transaction) {
    transaction.message(Owner::Everyone, Kind::DelRule, 0, |rule| rule.text(rule::TABLE, TABLE));
}

/// Writes a chain in a hook.
pub(super) fn new_base_chain(transaction: &mut Transaction, owner: Owner, base: BaseChain) {
    transaction.message(owner, Kind::NewChain, NLM_F_CREATE, |chain| {
        chain.text(chain::TABLE, TABLE);
        chain.text(chain::NAME, &base.to_string());
        chain.nest(chain::HOOK, |hook| {
            hook.u32(chain::HOOK_NUMBER, base.hook_number());
            hook.u32(chain::HOOK_PRIORITY, base.priority.cast_unsigned());
        });
        chain.u32(chain::POLICY, ACCEPT);
        chain.text(chain::TYPE, "filter");
    });
}

/// Removes a chain from its hook; its rules must have gone.
pub(super) fn delete_base_chain(transaction: &mut Transaction, base: BaseChain) {
    transaction.message(Owner::Everyone, Kind::DelChain, 0, |chain| {
        chain.text(chain::TABLE, TABLE);
        chain.text(chain::NAME, &base.to_string());
    });
}

/// Writes or removes a jail's chain.
pub(super) fn jail_chain_message(transaction: &mut Transaction, owner: Owner, jail: &str, exists: bool) {
    let Some(name) = jail_chain(jail) else { return };
    let (kind, flags) = if exists { (Kind::NewChain, NLM_F_CREATE) } else { (Kind::DelChain, 0) };
    transaction.message(owner, kind, flags, |chain| {
        chain.text(chain::TABLE, TABLE);
        chain.text(chain::NAME, &name);
    });
}

/// Writes a jail's sets, empty.
pub(super) fn new_sets(transaction: &mut Transaction, owner: Owner, jail: &str) {
    for kind in SetKind::ALL {
        let Some(name) = set_name(jail, kind) else { return };
        let id = transaction.set_id();
        transaction.message(owner.clone(), Kind::NewSet, NLM_F_CREATE, |set| {
            new_set(set, &name, kind.flags(), (kind.key_type(), kind.key_length()), id);
            set.nest(set::EXPRESSION, |counter| counter.text(EXPRESSION_NAME, "counter"));
        });
    }
}

/// Removes a jail's sets with their elements; the rules that look at them must have gone.
pub(super) fn delete_sets(transaction: &mut Transaction, owner: &Owner, jail: &str) {
    for name in SetKind::ALL.into_iter().filter_map(|kind| set_name(jail, kind)) {
        transaction.message(owner.clone(), Kind::DelSet, 0, |set| {
            set.text(set::TABLE, TABLE);
            set.text(set::NAME, &name);
        });
    }
}

/// Writes a jail's rules.
pub(super) fn new_rules(transaction: &mut Transaction, owner: &Owner, jail: &str, ruleset: &Ruleset) {
    let Some(chain) = jail_chain(jail) else { return };
    for base in BaseChain::of(ruleset) {
        let base = base.to_string();
        if ruleset.ports.is_empty() {
            rule(transaction, owner, &base, |list| jump(list, &chain));
            continue;
        }
        let both = [Protocol::Tcp, Protocol::Udp];
        let protocols = both.iter().filter(|p| ruleset.protocols.is_empty() || ruleset.protocols.contains(p));
        for &protocol in protocols {
            let ports = Ports::of(transaction, owner, &ruleset.ports);
            rule(transaction, owner, &base, |list| {
                meta(list, META_L4PROTO);
                compare(list, EQUAL, &[if protocol == Protocol::Tcp { 6 } else { 17 }]);
                payload(list, TRANSPORT_HEADER, 2, 2);
                ports.matches(list);
                jump(list, &chain);
            });
        }
    }
    for kind in SetKind::ALL {
        let Some(set) = set_name(jail, kind) else { return };
        rule(transaction, owner, &chain, |list| {
            meta(list, META_NFPROTO);
            compare(list, EQUAL, &[if kind.is_ipv6 { 10 } else { 2 }]);
            let offset = if kind.is_ipv6 { 8 } else { 12 };
            payload(list, NETWORK_HEADER, offset, kind.key_length());
            lookup(list, &set, None);
            match ruleset.block {
                Block::Drop => verdict(list, DROP, None),
                Block::Reject => reject(list),
            }
        });
    }
}

/// How a rule knows a jail's ports.
enum Ports {
    One(u16),
    Range(u16, u16),
    /// The number of an anonymous set.
    Set(u32),
}

impl Ports {
    /// Several ports need a set, which is written here, before the rule; it goes with the rule.
    fn of(transaction: &mut Transaction, owner: &Owner, ports: &[(u16, u16)]) -> Self {
        match *ports {
            [(low, high)] if low == high => return Self::One(low),
            [(low, high)] => return Self::Range(low, high),
            _ => {}
        }
        let id = transaction.set_id();
        let ranges = ports.iter().any(|(low, high)| low != high);
        let flags = set::ANONYMOUS | set::CONSTANT | if ranges { set::INTERVAL } else { 0 };
        transaction.message(owner.clone(), Kind::NewSet, NLM_F_CREATE, |set| {
            new_set(set, ANONYMOUS_SET, flags, (INET_SERVICE, 2), id);
        });
        for ports in ports.chunks(elements::PER_MESSAGE) {
            transaction.message(owner.clone(), Kind::NewElement, NLM_F_CREATE, |list| {
                elements::write_set(list, ANONYMOUS_SET);
                elements::write_ports(list, ports, ranges, id);
            });
        }
        Self::Set(id)
    }

    fn matches(&self, list: &mut Attributes) {
        match *self {
            Self::One(port) => compare(list, EQUAL, &port.to_be_bytes()),
            Self::Range(low, high) => {
                compare(list, AT_LEAST, &low.to_be_bytes());
                compare(list, AT_MOST, &high.to_be_bytes());
            }
            Self::Set(id) => lookup(list, ANONYMOUS_SET, Some(id)),
        }
    }
}

fn new_set(set: &mut Attributes, name: &str, flags: u32, (key_type, key_length): (u32, u32), id: u32) {
    set.text(set::TABLE, TABLE);
    set.text(set::NAME, name);
    set.u32(set::FLAGS, flags);
    set.u32(set::KEY_TYPE, key_type);
    set.u32(set::KEY_LENGTH, key_length);
    set.u32(set::ID, id);
}

fn rule(transaction: &mut Transaction, owner: &Owner, chain: &str, body: impl FnOnce(&mut Attributes)) {
    transaction.message(owner.clone(), Kind::NewRule, NLM_F_CREATE | NLM_F_APPEND, |rule| {
        rule.text(rule::TABLE, TABLE);
        rule.text(rule::CHAIN, chain);
        rule.nest(rule::EXPRESSIONS, body);
    });
}

fn expression(list: &mut Attributes, name: &str, data: impl FnOnce(&mut Attributes)) {
    list.nest(1, |item| {
        item.text(EXPRESSION_NAME, name);
        item.nest(2, data);
    });
}

/// Loads a property of the packet.
fn meta(list: &mut Attributes, key: u32) {
    expression(list, "meta", |data| {
        data.u32(1, REGISTER);
        data.u32(2, key);
    });
}

/// Loads bytes of a header.
fn payload(list: &mut Attributes, header: u32, offset: u32, length: u32) {
    expression(list, "payload", |data| {
        data.u32(1, REGISTER);
        data.u32(2, header);
        data.u32(3, offset);
        data.u32(4, length);
    });
}

/// Goes on if what was loaded compares so.
fn compare(list: &mut Attributes, operator: u32, value: &[u8]) {
    expression(list, "cmp", |data| {
        data.u32(1, REGISTER);
        data.u32(2, operator);
        data.nest(3, |data| data.bytes(1, value));
    });
}

/// Goes on if what was loaded is in the set.
fn lookup(list: &mut Attributes, set: &str, id: Option<u32>) {
    expression(list, "lookup", |data| {
        data.text(1, set);
        data.u32(2, REGISTER);
        if let Some(id) = id {
            data.u32(4, id);
        }
    });
}

fn jump(list: &mut Attributes, chain: &str) {
    verdict(list, JUMP, Some(chain));
}

fn verdict(list: &mut Attributes, code: u32, chain: Option<&str>) {
    expression(list, "immediate", |data| {
        data.u32(1, VERDICT_REGISTER);
        data.nest(2, |data| {
            data.nest(2, |verdict| {
                verdict.u32(1, code);
                if let Some(chain) = chain {
                    verdict.text(2, chain);
                }
            });
        });
    });
}

/// Answers port-unreachable, in ICMP or ICMPv6.
fn reject(list: &mut Attributes) {
    const ICMPX: u32 = 2;
    const PORT_UNREACHABLE: u8 = 1;
    expression(list, "reject", |data| {
        data.u32(1, ICMPX);
        data.u8(2, PORT_UNREACHABLE);
    });
}

/// NFTA_SET_*, NFT_SET_*.
mod set {
    pub(super) const TABLE: u16 = 1;
    pub(super) const NAME: u16 = 2;
    pub(super) const FLAGS: u16 = 3;
    pub(super) const KEY_TYPE: u16 = 4;
    pub(super) const KEY_LENGTH: u16 = 5;
    pub(super) const ID: u16 = 10;
    pub(super) const DEFAULT_TIMEOUT: u16 = 11;
    pub(super) const EXPRESSION: u16 = 17;
    pub(super) const EXPRESSIONS: u16 = 18;
    pub(super) const ANONYMOUS: u32 = 0x1;
    pub(super) const CONSTANT: u32 = 0x2;
    pub(super) const INTERVAL: u32 = 0x4;
    pub(super) const TIMEOUT: u32 = 0x10;
    pub(super) const EXPR: u32 = 0x100;
}

/// NFTA_CHAIN_*, NFTA_HOOK_*.
mod chain {
    pub(super) const TABLE: u16 = 1;
    pub(super) const NAME: u16 = 3;
    pub(super) const HOOK: u16 = 4;
    pub(super) const POLICY: u16 = 5;
    pub(super) const TYPE: u16 = 7;
    pub(super) const HOOK_NUMBER: u16 = 1;
    pub(super) const HOOK_PRIORITY: u16 = 2;
}

/// NFTA_RULE_*.
mod rule {
    pub(super) const TABLE: u16 = 1;
    pub(super) const CHAIN: u16 = 2;
    pub(super) const EXPRESSIONS: u16 = 4;
}

const EXPRESSION_NAME: u16 = 1;
/// The kernel puts a number for `%d`.
const ANONYMOUS_SET: &str = "__set%d";
/// How nft calls the type of a port.
const INET_SERVICE: u32 = 13;
const ACCEPT: u32 = 1;
const DROP: u32 = 0;
const JUMP: u32 = (-3_i32).cast_unsigned();
const VERDICT_REGISTER: u32 = 0;
const REGISTER: u32 = 1;
const META_NFPROTO: u32 = 15;
const META_L4PROTO: u32 = 16;
const EQUAL: u32 = 0;
const AT_MOST: u32 = 3;
const AT_LEAST: u32 = 5;
const NETWORK_HEADER: u32 = 1;
const TRANSPORT_HEADER: u32 = 2;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn names_are_readable_and_differ() {
        let long = "x".repeat(LONGEST_NAME);
        let names = [
            ("sshd", "sshd"),
            ("docker-mailserver_2.x", "docker-mailserver_2.x"),
            ("3proxy", "_3proxy"),
            ("_3proxy", "__3proxy"),
            ("", "_"),
            ("-", "_-"),
            ("a b", "a/20b"),
            ("a/20b", "a/2f20b"),
            ("é", "_/c3/a9"),
            ("\0", "_/00"),
            (&long, &long),
        ];
        for (jail, name) in names {
            assert_eq!(encode(jail).as_deref(), Some(name), "{jail:?}");
            assert_eq!(decode(name).as_deref(), Some(jail), "{name:?}");
        }
        assert_eq!(encode(&"é".repeat(100)), None, "too long");
        for name in ["", "3proxy", "a/2", "a/2é", "a/zz", "a/+1", "_sshd", "a/61", "_/c3"] {
            assert_eq!(decode(name), None, "{name:?} is nobody's");
        }
        let mut sets = BTreeMap::new();
        for jail in ["a", "a4", "a4-net", "a-net", "a6"] {
            for kind in SetKind::ALL {
                assert_eq!(sets.insert(set_name(jail, kind), (jail, kind)), None, "{jail} {kind:?}");
            }
        }
    }
}
