//! A jail's rules, expression by expression.
//!
//! Pure. A rule loads something of the packet into a register, compares it or looks it up, and goes on to the next
//! expression only if it fits; the last one decides.

use super::elements;
use super::ruleset::{self, BaseChain, IN_TABLE, SetKind, TABLE, set};
use super::transaction::{Owner, Transaction};
use super::wire::{Attributes, Kind, NLM_F_APPEND, NLM_F_CREATE};
use crate::firewall::{Block, Protocol, Rules};

/// Writes a jail's rules.
pub(super) fn write(transaction: &mut Transaction, owner: &Owner, jail: &str, rules: &Rules) {
    let (Some(chain), Some(own)) = (ruleset::jail_chain(jail), rules.own()) else { return };
    for base in BaseChain::of(rules) {
        let base = base.to_string();
        if own.ports.is_empty() {
            rule(transaction, owner, &base, |list| jump(list, &chain));
            continue;
        }
        let both = [Protocol::Tcp, Protocol::Udp];
        let protocols = both.iter().filter(|p| own.protocols.is_empty() || own.protocols.contains(p));
        for &protocol in protocols {
            let ports = Ports::of(transaction, owner, &own.ports);
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
        let Some(set) = ruleset::set_name(jail, kind) else { return };
        rule(transaction, owner, &chain, |list| {
            meta(list, META_NFPROTO);
            compare(list, EQUAL, &[if kind.is_ipv6 { 10 } else { 2 }]);
            let offset = if kind.is_ipv6 { 8 } else { 12 };
            payload(list, NETWORK_HEADER, offset, kind.key_length());
            lookup(list, &set, None);
            match own.block {
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
            ruleset::new_set(set, ANONYMOUS_SET, flags, (INET_SERVICE, 2), id);
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

fn rule(transaction: &mut Transaction, owner: &Owner, chain: &str, body: impl FnOnce(&mut Attributes)) {
    transaction.message(owner.clone(), Kind::NewRule, NLM_F_CREATE | NLM_F_APPEND, |rule| {
        rule.text(IN_TABLE, TABLE);
        rule.text(RULE_CHAIN, chain);
        rule.nest(RULE_EXPRESSIONS, body);
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

/// Answers port-unreachable, in ICMP or `ICMPv6`.
fn reject(list: &mut Attributes) {
    const ICMPX: u32 = 2;
    const PORT_UNREACHABLE: u8 = 1;
    expression(list, "reject", |data| {
        data.u32(1, ICMPX);
        data.u8(2, PORT_UNREACHABLE);
    });
}

const RULE_CHAIN: u16 = 2;
const RULE_EXPRESSIONS: u16 = 4;
const EXPRESSION_NAME: u16 = 1;
/// The kernel puts a number for `%d`.
const ANONYMOUS_SET: &str = "__set%d";
/// How nft calls the type of a port.
const INET_SERVICE: u32 = 13;
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
