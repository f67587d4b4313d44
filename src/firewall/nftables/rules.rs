//! A jail's rules, expression by expression.
//!
//! Pure.

use super::expression::{self, Ports, Protocols, rule};
use super::hits;
use super::ruleset::{self, BaseChain, HOME, SetKind};
use super::transaction::{Owner, Transaction};
use crate::firewall::{Protocol, Rules};

/// Writes a jail's rules.
pub(super) fn write(transaction: &mut Transaction, owner: &Owner, jail: &str, rules: &Rules) {
    let (Some(chain), Some(own)) = (ruleset::jail_chain(jail), rules.own()) else { return };
    for base in BaseChain::of(rules) {
        let base = base.to_string();
        if own.ports.is_empty() {
            rule(transaction, HOME, owner, &base, |list| expression::jump(list, &chain));
            continue;
        }
        let both = [Protocol::Tcp, Protocol::Udp];
        let protocols = both.iter().filter(|p| own.protocols.is_empty() || own.protocols.contains(p));
        for &protocol in protocols {
            let ports = Ports::of(transaction, HOME, owner, &own.ports, own.ports.len() > 1);
            rule(transaction, HOME, owner, &base, |list| {
                Protocols::One(if protocol == Protocol::Tcp { 6 } else { 17 }).matches(list);
                ports.matches(list);
                expression::jump(list, &chain);
            });
        }
    }
    for kind in SetKind::ALL {
        let Some(set) = ruleset::set_name(jail, kind) else { return };
        rule(transaction, HOME, owner, &chain, |list| {
            expression::is_family(list, kind.is_ipv6);
            expression::sender_in(list, kind.is_ipv6, &set);
            expression::go_to(list, hits::chain(own.block));
        });
    }
}
