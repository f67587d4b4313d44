//! What the kernel tells of changes by whomever: transactions, each with what it took away and who sent it.
//!
//! Pure. In: datagrams of the group `NFNLGRP_NFTABLES`. A transaction is told message by message, and ends with one that
//! has the number of the tables' new generation and its author's process. Whatever is read may be cut short or
//! senseless; what is remembered of a transaction is bounded.

use std::collections::{BTreeMap, BTreeSet};

use super::elements::{self, Bound};
use super::expression;
use super::ruleset::{IN_TABLE, chain, set};
use super::wire::{self, Kind, Message, Value};
use crate::firewall::heal::Author;

/// Names and elements of one transaction that are remembered at most.
const MOST: usize = 20_000;
/// A name is no longer in the kernel.
const LONGEST: usize = 256;
/// A process's name is no longer in the kernel.
const AUTHOR: usize = 16;

/// A table, by the number of its family and its name.
pub(super) type TableKey = (u8, String);

/// A transaction of somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// The socket that it was sent by.
    pub port: u32,
    /// The generation of the tables that it made.
    pub generation: u32,
    /// Who sent it.
    pub author: Author,
    /// What it took away.
    pub lost: Lost,
}

/// What a transaction took away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lost {
    /// It was so much that not all of it is here.
    pub(super) is_more: bool,
    pub(super) tables: BTreeMap<TableKey, Losses>,
}

impl Lost {
    /// Whether it took nothing, from anybody.
    pub fn is_nothing(&self) -> bool {
        !self.is_more && self.tables.is_empty()
    }
}

/// What a transaction took out of one table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Losses {
    /// The table itself, or it was switched off or on.
    pub(super) whole: bool,
    pub(super) chains: BTreeSet<String>,
    /// Rules: their chains, with the sets that they looked at.
    pub(super) rules: BTreeMap<String, BTreeSet<String>>,
    pub(super) sets: BTreeSet<String>,
    /// Elements, by set.
    pub(super) elements: BTreeMap<String, Vec<Bound>>,
    /// Sets that lost more elements than are here.
    pub(super) emptied: BTreeSet<String>,
}

/// Gathers what is told of a transaction until it is told whole.
#[derive(Debug, Default)]
pub struct Gatherer {
    lost: Lost,
    size: usize,
}

impl Gatherer {
    /// Reads a datagram, and hands over each transaction that ends in it.
    pub fn read(&mut self, datagram: &[u8], mut each: impl FnMut(Foreign)) {
        for message in wire::messages(datagram) {
            if message.kind == Kind::NewGeneration.message_type() {
                let lost = std::mem::take(&mut self.lost);
                self.size = 0;
                each(Foreign {
                    port: message.port,
                    generation: generation(message).unwrap_or(0),
                    author: author(message),
                    lost,
                });
            } else if self.size >= MOST {
                self.more(message);
            } else {
                self.take(message);
            }
        }
    }

    /// Datagrams were lost: what is told from here on is of a transaction whose start is not known.
    pub fn overrun(&mut self) {
        *self = Self::default();
    }

    /// What is too much to be remembered one by one.
    fn more(&mut self, message: Message) {
        let text = |kind| message.attributes().find(kind).and_then(Value::text).unwrap_or_default();
        let losses = self.lost.tables.get_mut(&(message.family(), text(IN_TABLE).to_owned()));
        let set = text(elements::LIST_SET);
        match losses.filter(|losses| losses.elements.contains_key(set)) {
            Some(losses) if message.kind == Kind::DelElement.message_type() => {
                losses.emptied.insert(set.to_owned());
            }
            _ => self.lost.is_more |= is_loss(message.kind),
        }
    }

    fn take(&mut self, message: Message) -> Option<()> {
        let attributes = message.attributes();
        let text = |kind| attributes.find(kind).and_then(Value::text).map(|text| cut(text, LONGEST));
        let is = |kind: Kind| message.kind == kind.message_type();
        if !is_loss(message.kind) {
            return None;
        }
        // All kinds name their table alike.
        let key = (message.family(), text(IN_TABLE)?);
        let losses = self.lost.tables.entry(key).or_default();
        self.size += 1;
        if is(Kind::DelTable) || is(Kind::NewTable) {
            losses.whole = true;
        } else if is(Kind::DelChain) {
            losses.chains.insert(text(chain::NAME)?);
        } else if is(Kind::DelSet) {
            losses.sets.insert(text(set::NAME)?);
        } else if is(Kind::DelRule) {
            let (_, rule) = expression::read_rule(attributes)?;
            self.size += rule.sets.len();
            losses.rules.entry(cut(&rule.chain, LONGEST)).or_default().extend(rule.sets);
        } else {
            let bounds = losses.elements.entry(text(elements::LIST_SET)?).or_default();
            let before = bounds.len();
            bounds.extend(elements::bounds(message));
            self.size += bounds.len() - before;
        }
        Some(())
    }
}

/// Whether messages of this kind tell of something that is gone.
fn is_loss(kind: u16) -> bool {
    let kinds =
        [Kind::DelTable, Kind::NewTable, Kind::DelChain, Kind::DelSet, Kind::DelRule, Kind::DelElement];
    kinds.iter().any(|one| one.message_type() == kind)
}

/// The generation that a message tells of.
pub(super) fn generation(message: Message) -> Option<u32> {
    message.attributes().find(GENERATION).and_then(Value::u32)
}

fn author(message: Message) -> Author {
    let attributes = message.attributes();
    let name = attributes.find(PROCESS_NAME).map_or(&[][..], Value::bytes);
    let name = name.iter().take_while(|byte| **byte != 0).take(AUTHOR);
    let name: String =
        name.map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '?' }).collect();
    Author {
        pid: attributes.find(PROCESS).and_then(Value::u32).unwrap_or(0),
        name: if name.is_empty() { "?".into() } else { name.into() },
    }
}

/// No more letters than that.
fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

/// `NFTA_GEN_*`.
const GENERATION: u16 = 1;
const PROCESS: u16 = 2;
const PROCESS_NAME: u16 = 3;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::firewall::nftables::wire::Writer;

    fn generation_message(writer: &mut Writer, name: &str) {
        writer.message(Kind::NewGeneration, 0, |end| {
            end.u32(GENERATION, 7);
            end.u32(PROCESS, 4711);
            end.text(PROCESS_NAME, name);
        });
    }

    fn read(gatherer: &mut Gatherer, writer: &Writer) -> Vec<Foreign> {
        let mut all = Vec::new();
        gatherer.read(writer.bytes(), |foreign| all.push(foreign));
        all
    }

    #[test]
    fn a_transaction_is_told_whole() {
        let mut writer = Writer::new(1);
        for kind in [Kind::DelRule, Kind::DelChain, Kind::NewChain] {
            writer.message(kind, 0, |body| {
                body.text(IN_TABLE, "t");
                body.text(2, "in-rule");
                body.text(chain::NAME, "c");
            });
        }
        writer.message(Kind::DelElement, 0, |list| {
            elements::write_set(list, "t", "s");
            let element = crate::firewall::Element { net: "192.0.2.1".parse().unwrap(), timeout: None };
            elements::write(list, [element], false);
        });
        let mut gatherer = Gatherer::default();
        assert_eq!(read(&mut gatherer, &writer), [], "it has not ended");
        let mut end = Writer::new(9);
        generation_message(&mut end, "nft\n\x1b[31m");
        let all = read(&mut gatherer, &end);
        let [Foreign { generation: 7, author, lost, .. }] = &all[..] else { panic!("{all:?}") };
        assert_eq!(author.to_string(), "nft??[31m (pid 4711)");
        let losses = &lost.tables[&(wire::FAMILY_INET, "t".to_owned())];
        assert_eq!((losses.whole, losses.chains.len(), losses.sets.len()), (false, 1, 0));
        assert_eq!(losses.elements["s"].len(), 1);
        assert!(read(&mut gatherer, &end)[0].lost.is_nothing(), "the next one starts anew");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut writer = Writer::new(1);
        for n in 0..MOST + 10 {
            writer.message(Kind::DelChain, 0, |body| {
                body.text(IN_TABLE, "t");
                body.text(chain::NAME, &n.to_string());
            });
        }
        generation_message(&mut writer, "x");
        let all = read(&mut Gatherer::default(), &writer);
        assert!(all[0].lost.is_more);
        assert_eq!(all[0].lost.tables.values().next().unwrap().chains.len(), MOST);
        let mut writer = Writer::new(1);
        for n in 0..MOST as u32 + 10 {
            writer.message(Kind::DelElement, 0, |list| {
                elements::write_set(list, "t", "s");
                let net = std::net::Ipv4Addr::from_bits(n).into();
                elements::write(list, [crate::firewall::Element { net, timeout: None }], false);
            });
        }
        generation_message(&mut writer, "x");
        let lost = &read(&mut Gatherer::default(), &writer)[0].lost;
        let losses = lost.tables.values().next().unwrap();
        assert!(!lost.is_more && losses.emptied.contains("s") && losses.elements["s"].len() <= MOST);
    }

    proptest! {
        /// Whatever comes, nothing panics, and what is kept is bounded.
        #[test]
        fn any_bytes(
            chunks in prop::collection::vec((0_u8..20, prop::collection::vec(any::<u8>(), 0..80)), 0..20),
            cut in 0_usize..2000,
            flips in prop::collection::vec((0_usize..2000, any::<u8>()), 0..8),
        ) {
            let mut writer = Writer::new(1);
            for (kind, bytes) in &chunks {
                let kind = [Kind::NewGeneration, Kind::DelRule, Kind::DelElement, Kind::DelSet, Kind::DelTable]
                    [usize::from(*kind) % 5];
                writer.message(kind, 0, |body| {
                    if bytes.len() % 2 == 0 {
                        body.text(IN_TABLE, "t");
                        body.text(2, "s");
                        body.nest(3, |list| list.nest(1, |item| item.nest(1, |key| key.bytes(1, bytes))));
                        body.nest(4, |list| list.nest(1, |item| item.bytes(2, bytes)));
                    }
                    for (n, attribute) in bytes.chunks(9).enumerate() {
                        body.bytes(n as u16, attribute);
                    }
                });
            }
            let mut bytes = writer.bytes().to_vec();
            bytes.truncate(cut);
            for (at, byte) in flips {
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
            }
            let mut gatherer = Gatherer::default();
            gatherer.read(&bytes, |foreign| {
                assert!(foreign.author.name.bytes().all(|byte| byte.is_ascii_graphic()));
            });
            prop_assert!(gatherer.size <= MOST + bytes.len());
        }
    }
}
