//! What comes of a banned host's packet: it is counted, and dropped or refused.
//!
//! Pure. A counter in every ban costs the kernel a few words for each processor, allocated twice: more than a third of
//! what a million restored bans take, and most of the banned never come again. So those who do are counted, for all
//! jails together, in sets of their own, which the packets fill. Such a set has an end; whom it has no room for is
//! dropped or refused all the same, by the rule after:
//!
//! ```text
//! set ipv4-hits { type ipv4_addr; size 16384; flags dynamic,timeout; timeout 1d }
//! chain count-drop { update @ipv4-hits { ip saddr counter }; update @ipv6-hits { ip6 saddr counter }; drop }
//! chain count-reject { …; reject with icmpx port-unreachable }
//! ```

use super::expression::{self, rule};
use super::ruleset::{self, HOME, TABLE, set};
use super::transaction::{Owner, Transaction};
use super::wire::{Kind, Message, NLM_F_CREATE, Value};
use crate::firewall::Block;

/// So many hosts are counted at once; the kernel's memory is bounded so, whoever's addresses packets bear.
const MOST: u32 = 16_384;
/// After so many milliseconds without a packet a host's count is dropped.
const KEPT: u64 = 24 * 3600 * 1000;
/// An answer that is ICMP or `ICMPv6` as the packet is, and its code.
const ICMPX: u32 = 2;
const PORT_UNREACHABLE: u8 = 1;

/// No jail's set ends so.
fn set_name(is_ipv6: bool) -> &'static str {
    if is_ipv6 { "ipv6-hits" } else { "ipv4-hits" }
}

/// The chain that counts a packet and then blocks it so; no jail's and no hook's chain begins so.
pub(super) fn chain(block: Block) -> &'static str {
    match block {
        Block::Drop => "count-drop",
        Block::Reject => "count-reject",
    }
}

/// Whether a set of our table is one of these; the kernel takes no other in its place.
pub(super) fn is_set(message: Message) -> bool {
    let found = message.attributes();
    let number = |kind| found.find(kind).and_then(Value::u32);
    [false, true].into_iter().any(|is_ipv6| {
        found.find(set::NAME).and_then(Value::text) == Some(set_name(is_ipv6))
            && number(set::FLAGS) == Some(set::TIMEOUT | set::DYNAMIC)
            && number(set::KEY_LENGTH) == Some(ruleset::key_type(is_ipv6).1)
            && found.find(set::DEFAULT_TIMEOUT).and_then(Value::u64) == Some(KEPT)
            && ruleset::read_size(found) == Some(MOST)
            && ruleset::is_bare(found)
    })
}

/// Whether a chain that hangs in no hook is called as one of these.
pub(super) fn is_chain(name: &str) -> bool {
    [Block::Drop, Block::Reject].into_iter().any(|block| chain(block) == name)
}

/// Writes sets and chains as far as they are not there; the chains' rules must not be.
pub(super) fn write(transaction: &mut Transaction) {
    for is_ipv6 in [false, true] {
        let id = transaction.set_id();
        transaction.message(HOME, Owner::Everyone, Kind::NewSet, NLM_F_CREATE, |message| {
            let flags = set::TIMEOUT | set::DYNAMIC;
            ruleset::new_set(message, (TABLE, set_name(is_ipv6)), flags, ruleset::key_type(is_ipv6), id);
            message.nest(set::DESCRIPTION, |description| description.u32(set::SIZE, MOST));
            message.u64(set::DEFAULT_TIMEOUT, KEPT);
        });
    }
    for block in [Block::Drop, Block::Reject] {
        ruleset::chain_message(transaction, Owner::Everyone, chain(block), true);
        for is_ipv6 in [false, true] {
            rule(transaction, HOME, &Owner::Everyone, chain(block), |list| {
                expression::is_family(list, is_ipv6);
                expression::count_sender(list, is_ipv6, set_name(is_ipv6));
            });
        }
        rule(transaction, HOME, &Owner::Everyone, chain(block), |list| match block {
            Block::Drop => expression::drop_packet(list),
            Block::Reject => expression::reject(list, ICMPX, PORT_UNREACHABLE),
        });
    }
}
