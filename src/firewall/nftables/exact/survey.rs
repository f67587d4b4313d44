//! What already stands in the tables that actions name: the jails' own, an earlier run's, and other people's.

use std::collections::{BTreeMap, BTreeSet};

use crate::firewall::FirewallError;
use crate::firewall::nftables::expression::{self, FoundRule};
use crate::firewall::nftables::ruleset::{self, IN_TABLE, chain, set};
use crate::firewall::nftables::socket::Socket;
use crate::firewall::nftables::spelled::{Place, SetName};
use crate::firewall::nftables::wire::{self, FAMILY_ANY, Kind, Message, Value, Writer};

use super::structure::home;

/// The tables that were asked for, as far as they are there.
#[derive(Debug, Default)]
pub(super) struct Survey {
    tables: BTreeMap<Place, Found>,
}

/// One table.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The chains; with each its hook and priority, if it hangs in a hook.
    pub(super) chains: BTreeMap<String, Option<(u32, i32)>>,
    /// The sets with a name.
    pub(super) sets: BTreeMap<String, FoundSet>,
    /// All rules.
    pub(super) rules: Vec<FoundRule>,
}

/// What a set is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FoundSet {
    /// One of addresses, without timeouts, counters or a size, as an action makes it.
    Plain { is_ipv6: bool, is_interval: bool },
    /// Another.
    Odd,
}

impl Survey {
    /// Looks at these tables.
    pub(super) fn of(socket: &mut Socket, places: &BTreeSet<Place>) -> Result<Self, FirewallError> {
        let mut tables = BTreeMap::new();
        for table in read_all(socket, Kind::GetTable, |message| owned(message, IN_TABLE))? {
            if let Some(place) = places.iter().find(|place| is_in(&table, place)) {
                tables.insert(place.clone(), Found::default());
            }
        }
        let mut survey = Self { tables };
        for (table, name, hook) in read_all(socket, Kind::GetChain, read_chain)? {
            survey.table(&table).map(|found| found.chains.insert(name, hook));
        }
        for (table, name, plain) in read_all(socket, Kind::GetSet, read_set)? {
            survey.table(&table).map(|found| found.sets.insert(name, plain));
        }
        for (place, found) in &mut survey.tables {
            let home = home(place);
            let request = |writer: &mut Writer| {
                writer.message_to(home.family, Kind::GetRule, wire::NLM_F_DUMP, |rules| {
                    rules.text(IN_TABLE, home.table);
                });
            };
            found.rules = socket.dump(request, |rules: &mut Vec<FoundRule>, message| {
                let read = expression::read_rule(message.attributes());
                rules.extend(read.filter(|(table, _)| *table == home.table).map(|(_, rule)| rule));
            })?;
        }
        Ok(survey)
    }

    /// A table, if it is there.
    pub(super) fn get(&self, place: &Place) -> Option<&Found> {
        self.tables.get(place)
    }

    /// What a set is, if it is there.
    pub(super) fn set(&self, name: &SetName) -> Option<FoundSet> {
        self.get(&name.place)?.sets.get(&*name.name).copied()
    }

    /// The rules of one chain, or of all others, that mention a set.
    pub(super) fn rules<'a>(
        &'a self,
        name: &'a SetName,
        is_in_chain: impl Fn(&str) -> bool + 'a,
    ) -> impl Iterator<Item = &'a FoundRule> {
        let rules = self.get(&name.place).into_iter().flat_map(|found| &found.rules);
        let mentions = |rule: &&FoundRule| rule.sets.iter().any(|set| **set == *name.name);
        rules.filter(mentions).filter(move |rule| is_in_chain(&rule.chain))
    }

    fn table(&mut self, table: &(u8, String)) -> Option<&mut Found> {
        self.tables.iter_mut().find(|(place, _)| is_in(table, place)).map(|(_, found)| found)
    }
}

/// The table that a message is about, by the number of its family and its name.
fn owned(message: Message, attribute: u16) -> Option<(u8, String)> {
    Some((message.family(), message.attributes().find(attribute)?.text()?.to_owned()))
}

fn is_in((family, table): &(u8, String), place: &Place) -> bool {
    let home = home(place);
    home.family == *family && home.table == table
}

fn read_all<T>(
    socket: &mut Socket,
    kind: Kind,
    read: fn(Message) -> Option<T>,
) -> Result<Vec<T>, FirewallError> {
    let everything = |writer: &mut Writer| writer.message_to(FAMILY_ANY, kind, wire::NLM_F_DUMP, |_| {});
    socket.dump(everything, |found: &mut Vec<T>, message| found.extend(read(message)))
}

type Chain = ((u8, String), String, Option<(u32, i32)>);

fn read_chain(message: Message) -> Option<Chain> {
    let found = message.attributes();
    let hook = found.find(chain::HOOK).and_then(|hook| {
        let number = |kind| hook.nested().find(kind).and_then(Value::u32);
        Some((number(chain::HOOK_NUMBER)?, number(chain::HOOK_PRIORITY)?.cast_signed()))
    });
    Some((owned(message, chain::TABLE)?, found.find(chain::NAME)?.text()?.to_owned(), hook))
}

/// Sets without a name and maps are none of an action's; `nft list` calls neither a set.
fn read_set(message: Message) -> Option<((u8, String), String, FoundSet)> {
    let found = message.attributes();
    let number = |kind| found.find(kind).and_then(Value::u32);
    let flags = number(set::FLAGS).unwrap_or(0);
    if flags & (set::ANONYMOUS | set::MAP | set::OBJECT) != 0 {
        return None;
    }
    let key = (number(set::KEY_TYPE)?, number(set::KEY_LENGTH)?);
    let is_plain = flags & !set::INTERVAL == 0
        && found.find(set::DEFAULT_TIMEOUT).is_none()
        && ruleset::read_size(found).is_none()
        && ruleset::is_bare(found);
    let is_ipv6 = [false, true].into_iter().find(|is_ipv6| ruleset::key_type(*is_ipv6) == key);
    let plain = is_ipv6.filter(|_| is_plain).map_or(FoundSet::Odd, |is_ipv6| FoundSet::Plain {
        is_ipv6,
        is_interval: flags & set::INTERVAL != 0,
    });
    Some((owned(message, set::TABLE)?, found.find(set::NAME)?.text()?.to_owned(), plain))
}
