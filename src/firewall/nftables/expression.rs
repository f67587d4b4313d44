//! The expressions that rules are made of, and the anonymous sets in them.
//!
//! Pure. A rule loads something of the packet into a register, compares it or looks it up, and goes on to the next
//! expression only if it fits; the last one decides.

use super::elements;
use super::ruleset::{self, IN_TABLE, set};
use super::transaction::{Home, Owner, Transaction};
use super::wire::{Attributes, FAMILY_IPV4, FAMILY_IPV6, Kind, NLM_F_APPEND, NLM_F_CREATE, Reader, Value};

/// Appends a rule to a chain.
pub(super) fn rule(
    transaction: &mut Transaction,
    home: Home,
    owner: &Owner,
    chain: &str,
    body: impl FnOnce(&mut Attributes),
) {
    transaction.message(home, owner.clone(), Kind::NewRule, NLM_F_CREATE | NLM_F_APPEND, |rule| {
        rule.text(IN_TABLE, home.table);
        rule.text(RULE_CHAIN, chain);
        rule.nest(RULE_EXPRESSIONS, body);
    });
}

/// A rule as read: its chain, its handle, and the named sets that it mentions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FoundRule {
    pub(super) chain: String,
    pub(super) handle: u64,
    pub(super) sets: Vec<String>,
}

/// Reads a rule, and the table that it is in.
pub(super) fn read_rule(rule: Reader<'_>) -> Option<(&str, FoundRule)> {
    let text = |kind| rule.find(kind).and_then(Value::text);
    let list = rule.find(RULE_EXPRESSIONS).map(Value::nested);
    let sets = list.into_iter().flat_map(Reader::iter).filter_map(|(_, item)| {
        let item = item.nested();
        let data = item.find(EXPRESSION_DATA)?.nested();
        let set = match item.find(EXPRESSION_NAME)?.text()? {
            "lookup" | "dynset" => data.find(1)?,
            "objref" => data.find(OBJREF_SET)?,
            _ => return None,
        };
        set.text().map(str::to_owned)
    });
    let found = FoundRule {
        chain: text(RULE_CHAIN)?.to_owned(),
        handle: rule.find(RULE_HANDLE).and_then(Value::u64)?,
        sets: sets.collect(),
    };
    Some((text(IN_TABLE)?, found))
}

/// Removes a rule.
pub(super) fn delete_rule(transaction: &mut Transaction, home: Home, owner: Owner, rule: &FoundRule) {
    transaction.message(home, owner, Kind::DelRule, 0, |message| {
        message.text(IN_TABLE, home.table);
        message.text(RULE_CHAIN, &rule.chain);
        message.u64(RULE_HANDLE, rule.handle);
    });
}

/// How a rule compares ports.
pub(super) enum Ports {
    One(u16),
    Range(u16, u16),
    /// The number of an anonymous set.
    Set(u32),
}

impl Ports {
    /// A set is written here, before the rule; it goes with the rule. One range alone needs none.
    pub(super) fn of(
        transaction: &mut Transaction,
        home: Home,
        owner: &Owner,
        ports: &[(u16, u16)],
        is_set: bool,
    ) -> Self {
        match *ports {
            [(low, high)] if !is_set && low == high => return Self::One(low),
            [(low, high)] if !is_set => return Self::Range(low, high),
            _ => {}
        }
        let ranges = ports.iter().any(|(low, high)| low != high);
        let id = anonymous_set(transaction, home, owner, INET_SERVICE, ranges);
        for ports in ports.chunks(elements::PER_MESSAGE) {
            transaction.message(home, owner.clone(), Kind::NewElement, NLM_F_CREATE, |list| {
                elements::write_set(list, home.table, ANONYMOUS_SET);
                elements::write_ports(list, ports, ranges, id);
            });
        }
        Self::Set(id)
    }

    /// Goes on if the packet's port fits.
    pub(super) fn matches(&self, list: &mut Attributes) {
        payload(list, TRANSPORT_HEADER, 2, 2);
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

/// How a rule compares protocols.
pub(super) enum Protocols {
    All,
    One(u8),
    /// The number of an anonymous set.
    Set(u32),
}

impl Protocols {
    /// A set is written here, before the rule; it goes with the rule.
    pub(super) fn set(transaction: &mut Transaction, home: Home, owner: &Owner, protocols: &[u8]) -> Self {
        let id = anonymous_set(transaction, home, owner, INET_PROTOCOL, false);
        transaction.message(home, owner.clone(), Kind::NewElement, NLM_F_CREATE, |list| {
            elements::write_set(list, home.table, ANONYMOUS_SET);
            elements::write_protocols(list, protocols, id);
        });
        Self::Set(id)
    }

    /// Goes on if the packet's protocol fits.
    pub(super) fn matches(&self, list: &mut Attributes) {
        match *self {
            Self::All => {}
            Self::One(protocol) => {
                meta(list, META_L4PROTO);
                compare(list, EQUAL, &[protocol]);
            }
            Self::Set(id) => {
                meta(list, META_L4PROTO);
                lookup(list, ANONYMOUS_SET, Some(id));
            }
        }
    }
}

/// Writes a set without a name; answers with its number.
fn anonymous_set(
    transaction: &mut Transaction,
    home: Home,
    owner: &Owner,
    (key_type, key_length): (u32, u32),
    is_interval: bool,
) -> u32 {
    let id = transaction.set_id();
    let flags = set::ANONYMOUS | set::CONSTANT | if is_interval { set::INTERVAL } else { 0 };
    transaction.message(home, owner.clone(), Kind::NewSet, NLM_F_CREATE, |set| {
        ruleset::new_set(set, (home.table, ANONYMOUS_SET), flags, (key_type, key_length), id);
    });
    id
}

/// Goes on if the packet is of this family; not to be asked where only such packets come by.
pub(super) fn is_family(list: &mut Attributes, is_ipv6: bool) {
    meta(list, META_NFPROTO);
    compare(list, EQUAL, &[if is_ipv6 { FAMILY_IPV6 } else { FAMILY_IPV4 }]);
}

/// Goes on if the packet's sender is in a set.
pub(super) fn sender_in(list: &mut Attributes, is_ipv6: bool, set: &str) {
    sender(list, is_ipv6);
    lookup(list, set, None);
}

/// Counts the packet with its sender in a set that packets fill; goes on if there is room.
pub(super) fn count_sender(list: &mut Attributes, is_ipv6: bool, set: &str) {
    sender(list, is_ipv6);
    expression(list, "dynset", |data| {
        data.text(1, set);
        data.u32(3, DYNSET_UPDATE);
        data.u32(4, REGISTER);
        data.nest(7, |counter| {
            counter.text(EXPRESSION_NAME, "counter");
            counter.nest(EXPRESSION_DATA, |_| {});
        });
    });
}

/// Loads the packet's sender.
fn sender(list: &mut Attributes, is_ipv6: bool) {
    let (offset, length) = if is_ipv6 { (8, 16) } else { (12, 4) };
    payload(list, NETWORK_HEADER, offset, length);
}

fn expression(list: &mut Attributes, name: &str, data: impl FnOnce(&mut Attributes)) {
    list.nest(1, |item| {
        item.text(EXPRESSION_NAME, name);
        item.nest(EXPRESSION_DATA, data);
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

/// Goes on in another chain.
pub(super) fn jump(list: &mut Attributes, chain: &str) {
    verdict(list, JUMP, Some(chain));
}

/// Goes on in another chain, and from there to where this one was jumped to from.
pub(super) fn go_to(list: &mut Attributes, chain: &str) {
    verdict(list, GO_TO, Some(chain));
}

/// Nothing comes of the packet.
pub(super) fn drop_packet(list: &mut Attributes) {
    verdict(list, DROP, None);
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

/// Answers with an error of this `NFT_REJECT_*` type and code.
pub(super) fn reject(list: &mut Attributes, kind: u32, code: u8) {
    expression(list, "reject", |data| {
        data.u32(1, kind);
        data.u8(2, code);
    });
}

/// Counts.
pub(super) fn counter(list: &mut Attributes) {
    expression(list, "counter", |_| {});
}

const RULE_CHAIN: u16 = 2;
const RULE_HANDLE: u16 = 3;
const RULE_EXPRESSIONS: u16 = 4;
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;
const OBJREF_SET: u16 = 4;
/// The kernel puts a number for `%d`.
const ANONYMOUS_SET: &str = "__set%d";
/// How nft calls the types of a port and of a protocol, and their lengths.
const INET_SERVICE: (u32, u32) = (13, 2);
const INET_PROTOCOL: (u32, u32) = (12, 1);
const DROP: u32 = 0;
const JUMP: u32 = (-3_i32).cast_unsigned();
const GO_TO: u32 = (-4_i32).cast_unsigned();
/// Puts the element, and renews it if it is there.
const DYNSET_UPDATE: u32 = 1;
const VERDICT_REGISTER: u32 = 0;
const REGISTER: u32 = 1;
const META_NFPROTO: u32 = 15;
const META_L4PROTO: u32 = 16;
const EQUAL: u32 = 0;
const AT_MOST: u32 = 3;
const AT_LEAST: u32 = 5;
const NETWORK_HEADER: u32 = 1;
const TRANSPORT_HEADER: u32 = 2;
