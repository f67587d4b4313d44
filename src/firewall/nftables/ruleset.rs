//! The layout of the table: its names, sets, chains and rules, written and recognised.
//!
//! Pure. A packet meets one rule a jail and protocol, which looks at its port; only if that is the jail's does it meet
//! the jail's four sets. What comes of a banned host's packet is in `hits`:
//!
//! ```text
//! table inet stockade {
//!     set sshd4 { type ipv4_addr; flags timeout }          single addresses: a hash
//!     set sshd6 { type ipv6_addr; flags timeout }
//!     set sshd4-net { type ipv4_addr; flags interval,timeout }          prefixes: a tree
//!     set sshd6-net { type ipv6_addr; flags interval,timeout }
//!     chain input.0 { type filter hook input priority 0; policy accept; tcp dport 22 jump jail-sshd }
//!     chain jail-sshd { ip saddr @sshd4 goto count-drop; ip saddr @sshd4-net goto count-drop; … }
//! }
//! ```

use std::fmt::{self, Write as _};
use std::sync::Arc;

use super::elements;
use super::hits;
use super::transaction::{Home, Owner, Transaction};
use super::wire::{Attributes, FAMILY_INET, Kind, Message, NLM_F_CREATE, Reader, Value};
use crate::firewall::{Hook, Rules};

/// The table, in the family inet.
pub(super) const TABLE: &str = "stockade";

/// The same, for messages.
pub(super) const HOME: Home<'static> = Home { family: FAMILY_INET, table: TABLE };

/// The attribute that names the table, of tables, rules and elements.
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
}

/// How nft calls the type of an address, and its length.
pub(super) fn key_type(is_ipv6: bool) -> (u32, u32) {
    if is_ipv6 { (8, 16) } else { (7, 4) }
}

/// The name of one of a jail's sets; none when the jail's name is too long for the kernel.
pub(super) fn set_name(jail: &str, kind: SetKind) -> Option<String> {
    encode(jail).map(|name| name + kind.suffix())
}

/// The name of a jail's chain.
pub(super) fn jail_chain(jail: &str) -> Option<String> {
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
            let _ = write!(name, "/{byte:02x}");
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
    pub(super) fn of(rules: &Rules) -> impl Iterator<Item = Self> {
        let hooks =
            rules.own().into_iter().flat_map(|own| own.hooks.iter().map(|hook| (*hook, own.priority)));
        hooks.map(|(hook, priority)| Self { hook, priority })
    }

    fn hook_number(self) -> u32 {
        match self.hook {
            Hook::Prerouting => 0,
            Hook::Input => 1,
            Hook::Forward => 2,
        }
    }
}

/// What stands in the table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Found {
    /// One of a jail's sets, and how many elements it holds, where the kernel says so.
    Set(Arc<str>, SetKind, Option<u32>),
    /// A jail's chain.
    Jail(Arc<str>),
    /// A chain in a hook.
    Base(BaseChain),
    /// What counts packets.
    Hits,
    /// Something that this version does not make so.
    Odd,
}

/// Whether a message of a dump of all tables is about ours; if so, whether it has no flags.
pub(super) fn read_table(message: Message) -> Option<bool> {
    let table = message.attributes();
    let is_ours = table.find(IN_TABLE).and_then(Value::text) == Some(TABLE);
    is_ours.then(|| table.find(TABLE_FLAGS).and_then(Value::u32).unwrap_or(0) == 0)
}

/// What a message of a dump of all sets is about; none when it is in another table, or part of a rule.
pub(super) fn read_set(message: Message) -> Option<Found> {
    let set = message.attributes();
    let number = |kind| set.find(kind).and_then(Value::u32);
    let flags = number(set::FLAGS).unwrap_or(0);
    if set.find(set::TABLE)?.text()? != TABLE || flags & set::ANONYMOUS != 0 {
        return None;
    }
    if hits::is_set(message) {
        return Some(Found::Hits);
    }
    let known = set.find(set::NAME).and_then(Value::text).and_then(|name| {
        let kind = SetKind::ALL.into_iter().find(|kind| name.ends_with(kind.suffix()))?;
        Some((decode(name.strip_suffix(kind.suffix())?)?, kind))
    });
    let is_same = |kind: SetKind| {
        flags == kind.flags()
            && number(set::KEY_LENGTH) == Some(key_type(kind.is_ipv6).1)
            && set.find(set::DEFAULT_TIMEOUT).is_none()
            && read_size(set).is_none()
            && is_bare(set)
    };
    Some(
        known
            .filter(|(_, kind)| is_same(*kind))
            .map_or(Found::Odd, |(jail, kind)| Found::Set(jail, kind, number(set::COUNT))),
    )
}

/// How many elements a set holds at most, if it says so.
pub(super) fn read_size(set: Reader) -> Option<u32> {
    set.find(set::DESCRIPTION)?.nested().find(set::SIZE)?.u32()
}

/// Whether a set adds nothing to its elements, such as counters.
pub(super) fn is_bare(set: Reader) -> bool {
    set.find(set::EXPRESSION).is_none() && set.find(set::EXPRESSIONS).is_none()
}

/// What a message of a dump of all chains is about; none when it is in another table.
pub(super) fn read_chain(message: Message) -> Option<Found> {
    let chain = message.attributes();
    if chain.find(chain::TABLE)?.text()? != TABLE {
        return None;
    }
    let Some(name) = chain.find(chain::NAME).and_then(Value::text) else { return Some(Found::Odd) };
    let Some(hook) = chain.find(chain::HOOK) else {
        if hits::is_chain(name) {
            return Some(Found::Hits);
        }
        return Some(name.strip_prefix(JAIL_CHAIN).and_then(decode).map_or(Found::Odd, Found::Jail));
    };
    let number = |kind| hook.nested().find(kind).and_then(Value::u32);
    let priority = number(chain::HOOK_PRIORITY).unwrap_or(0).cast_signed();
    let is_same = |base: &BaseChain| {
        number(chain::HOOK_NUMBER) == Some(base.hook_number())
            && base.to_string() == name
            && chain.find(chain::TYPE).and_then(Value::text) == Some("filter")
            && chain.find(chain::POLICY).and_then(Value::u32) == Some(ACCEPT)
    };
    let bases = [Hook::Input, Hook::Forward, Hook::Prerouting].map(|hook| BaseChain { hook, priority });
    Some(bases.into_iter().find(is_same).map_or(Found::Odd, Found::Base))
}

/// Writes the table itself.
pub(super) fn new_table(transaction: &mut Transaction) {
    transaction
        .message(HOME, Owner::Everyone, Kind::NewTable, NLM_F_CREATE, |table| table.text(IN_TABLE, TABLE));
}

/// Removes the table with everything in it.
pub(super) fn delete_table(transaction: &mut Transaction) {
    transaction.message(HOME, Owner::Everyone, Kind::DelTable, 0, |table| table.text(IN_TABLE, TABLE));
}

/// Removes all rules of all chains.
pub(super) fn delete_rules(transaction: &mut Transaction) {
    transaction.message(HOME, Owner::Everyone, Kind::DelRule, 0, |rule| rule.text(IN_TABLE, TABLE));
}

/// Writes a chain in a hook.
pub(super) fn new_base_chain(transaction: &mut Transaction, owner: Owner, base: BaseChain) {
    transaction.message(HOME, owner, Kind::NewChain, NLM_F_CREATE, |chain| {
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
    transaction.message(HOME, Owner::Everyone, Kind::DelChain, 0, |chain| {
        chain.text(chain::TABLE, TABLE);
        chain.text(chain::NAME, &base.to_string());
    });
}

/// Writes or removes a jail's chain.
pub(super) fn jail_chain_message(transaction: &mut Transaction, owner: Owner, jail: &str, exists: bool) {
    if let Some(name) = jail_chain(jail) {
        chain_message(transaction, owner, &name, exists);
    }
}

/// Writes or removes a chain that hangs in no hook.
pub(super) fn chain_message(transaction: &mut Transaction, owner: Owner, name: &str, exists: bool) {
    let (kind, flags) = if exists { (Kind::NewChain, NLM_F_CREATE) } else { (Kind::DelChain, 0) };
    transaction.message(HOME, owner, kind, flags, |chain| {
        chain.text(chain::TABLE, TABLE);
        chain.text(chain::NAME, name);
    });
}

/// Writes a jail's sets, empty.
pub(super) fn new_sets(transaction: &mut Transaction, owner: &Owner, jail: &str) {
    for kind in SetKind::ALL {
        let Some(name) = set_name(jail, kind) else { return };
        let id = transaction.set_id();
        transaction.message(HOME, owner.clone(), Kind::NewSet, NLM_F_CREATE, |set| {
            new_set(set, (TABLE, &name), kind.flags(), key_type(kind.is_ipv6), id);
        });
    }
}

/// Empties a jail's sets of these kinds.
pub(super) fn flush_sets(transaction: &mut Transaction, jail: &str, kinds: impl Fn(SetKind) -> bool) {
    let kinds = SetKind::ALL.into_iter().filter(|kind| kinds(*kind));
    for name in kinds.filter_map(|kind| set_name(jail, kind)) {
        transaction.message(HOME, Owner::Everyone, Kind::DelElement, 0, |set| {
            elements::write_set(set, TABLE, &name);
        });
    }
}

/// Removes a jail's sets with their elements; the rules that look at them must have gone.
pub(super) fn delete_sets(transaction: &mut Transaction, owner: &Owner, jail: &str) {
    for name in SetKind::ALL.into_iter().filter_map(|kind| set_name(jail, kind)) {
        transaction.message(HOME, owner.clone(), Kind::DelSet, 0, |set| {
            set.text(set::TABLE, TABLE);
            set.text(set::NAME, &name);
        });
    }
}

/// Writes what every set has.
pub(super) fn new_set(
    set: &mut Attributes,
    (table, name): (&str, &str),
    flags: u32,
    (key_type, key_length): (u32, u32),
    id: u32,
) {
    set.text(set::TABLE, table);
    set.text(set::NAME, name);
    set.u32(set::FLAGS, flags);
    set.u32(set::KEY_TYPE, key_type);
    set.u32(set::KEY_LENGTH, key_length);
    set.u32(set::ID, id);
}

/// `NFTA_SET_*`, `NFT_SET_*`.
pub(super) mod set {
    pub(in crate::firewall::nftables) const TABLE: u16 = 1;
    pub(in crate::firewall::nftables) const NAME: u16 = 2;
    pub(in crate::firewall::nftables) const FLAGS: u16 = 3;
    pub(in crate::firewall::nftables) const KEY_TYPE: u16 = 4;
    pub(in crate::firewall::nftables) const KEY_LENGTH: u16 = 5;
    pub(in crate::firewall::nftables) const DESCRIPTION: u16 = 9;
    pub(in crate::firewall::nftables) const ID: u16 = 10;
    pub(in crate::firewall::nftables) const DEFAULT_TIMEOUT: u16 = 11;
    pub(in crate::firewall::nftables) const EXPRESSION: u16 = 17;
    pub(in crate::firewall::nftables) const EXPRESSIONS: u16 = 18;
    /// From Linux 6.16 on.
    pub(in crate::firewall::nftables) const COUNT: u16 = 20;
    /// In a description.
    pub(in crate::firewall::nftables) const SIZE: u16 = 1;
    pub(in crate::firewall::nftables) const ANONYMOUS: u32 = 0x1;
    pub(in crate::firewall::nftables) const CONSTANT: u32 = 0x2;
    pub(in crate::firewall::nftables) const INTERVAL: u32 = 0x4;
    pub(in crate::firewall::nftables) const MAP: u32 = 0x8;
    pub(in crate::firewall::nftables) const OBJECT: u32 = 0x40;
    pub(in crate::firewall::nftables) const TIMEOUT: u32 = 0x10;
    pub(in crate::firewall::nftables) const DYNAMIC: u32 = 0x20;
}

/// `NFTA_CHAIN_*`, `NFTA_HOOK_*`.
pub(super) mod chain {
    pub(in crate::firewall::nftables) const TABLE: u16 = 1;
    pub(in crate::firewall::nftables) const NAME: u16 = 3;
    pub(in crate::firewall::nftables) const HOOK: u16 = 4;
    pub(in crate::firewall::nftables) const POLICY: u16 = 5;
    pub(in crate::firewall::nftables) const TYPE: u16 = 7;
    pub(in crate::firewall::nftables) const HOOK_NUMBER: u16 = 1;
    pub(in crate::firewall::nftables) const HOOK_PRIORITY: u16 = 2;
}

const TABLE_FLAGS: u16 = 2;
const ACCEPT: u32 = 1;

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
