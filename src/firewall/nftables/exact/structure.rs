//! The messages that make tables, chains, sets and rules as actions spell them, and take them away again.
//!
//! Pure. In: a [`Plan`] about sets and the [`Survey`] of what is there. Nothing is touched that no action names, and of
//! a chain only the rules that mention an action's set, as the action's own commands find them.

use std::collections::{BTreeMap, BTreeSet};

use super::ledger::Key;
use super::survey::{FoundSet, Survey};
use crate::firewall::nftables::elements;
use crate::firewall::nftables::expression::{self, FoundRule, Ports, Protocols};
use crate::firewall::nftables::ruleset::{self, IN_TABLE, chain, set};
use crate::firewall::nftables::spelled::{
    self, Chain, ChainKind, Layout, Place, Rule, SetHook, TableFamily, Verdict,
};
use crate::firewall::nftables::transaction::{Home, Owner, Transaction};
use crate::firewall::nftables::wire::{FAMILY_INET, FAMILY_IPV4, FAMILY_IPV6, Kind, NLM_F_CREATE};
use crate::firewall::plan::{Plan, State};

/// A table as messages name it.
pub(super) fn home(place: &Place) -> Home<'_> {
    let family = match place.family {
        TableFamily::Ip => FAMILY_IPV4,
        TableFamily::Ip6 => FAMILY_IPV6,
        TableFamily::Inet => FAMILY_INET,
    };
    Home { family, table: &place.table }
}

/// What is to be done, one field a kind; sets are known by their keys.
pub(super) struct Work<'a> {
    /// What is there.
    pub(super) survey: &'a Survey,
    /// Sets that go, with the index of the change.
    gone: BTreeMap<&'a Key, (&'a Layout, Option<usize>)>,
    /// Sets that appear, empty.
    opened: BTreeMap<&'a Key, (&'a Layout, Option<usize>)>,
    /// Sets whose rules are new, be they opened or not.
    ruled: BTreeMap<&'a Key, (&'a Layout, Option<usize>)>,
    /// All sets that stand afterwards.
    after: BTreeMap<&'a Key, &'a Layout>,
}

impl<'a> Work<'a> {
    /// `left`: sets of an earlier run that no plan may leave as they are.
    pub(super) fn of(
        plan: &'a Plan<Layout>,
        state: &'a State<Layout>,
        left: &'a BTreeMap<Key, Layout>,
        survey: &'a Survey,
    ) -> Self {
        let rules = state.rules_after(plan);
        let closed =
            plan.close.iter().filter_map(|(key, change)| Some((key, (state.rules(key)?, Some(*change)))));
        let left = left.iter().filter(|(key, _)| !rules.contains_key(key));
        let left = left.map(|(key, layout)| (key, (layout, None)));
        Self {
            survey,
            gone: closed.chain(left).collect(),
            opened: plan.open.keys().filter_map(|key| Some((key, *rules.get(key)?))).collect(),
            ruled: plan.rules.keys().filter_map(|key| Some((key, *rules.get(key)?))).collect(),
            after: rules.into_iter().map(|(key, (layout, _))| (key, layout)).collect(),
        }
    }

    /// Whether a set that should stand does not, so that all must be set up again.
    pub(super) fn is_adrift(&self) -> bool {
        let stand = self.after.iter().filter(|(key, _)| !self.opened.contains_key(*key));
        stand.into_iter().any(|(_, layout)| self.survey.set(&layout.set.name) != Some(plain(&layout.set)))
    }

    /// Writes it all.
    pub(super) fn write(&self, transaction: &mut Transaction) {
        self.rules_that_go(transaction);
        for (layout, change) in self.gone.values() {
            self.delete_set(transaction, layout, *change);
        }
        let emptied = self.tables_that_go();
        for place in &emptied {
            transaction.message(home(place), Owner::Everyone, Kind::DelTable, 0, |table| {
                table.text(IN_TABLE, &place.table);
            });
        }
        let mut made = BTreeSet::new();
        for (layout, change) in self.ruled.values() {
            let owner = owner(*change);
            for (chain, _) in &layout.branches {
                self.new_chain(transaction, &owner, chain, &emptied, &mut made);
            }
        }
        for (key, (layout, change)) in &self.opened {
            self.new_set(transaction, &owner(*change), layout, self.gone.contains_key(key));
        }
        for (layout, change) in self.ruled.values() {
            for (chain, rules) in &layout.branches {
                for rule in rules {
                    new_rule(transaction, &owner(*change), chain, layout, rule);
                }
            }
        }
    }

    /// The rules of sets that go, and of those that get new ones; no rule is removed twice.
    fn rules_that_go(&self, transaction: &mut Transaction) {
        let mut removed: BTreeSet<(&Place, u64)> = BTreeSet::new();
        for (layout, change) in self.gone.values().chain(self.ruled.values()) {
            let place = &layout.set.name.place;
            for rule in self.own_rules(layout) {
                if removed.insert((place, rule.handle)) {
                    expression::delete_rule(transaction, home(place), owner(*change), rule);
                }
            }
        }
    }

    /// The rules that an action's own commands would find: those of its chains that mention its set.
    fn own_rules<'b>(&'b self, layout: &'b Layout) -> impl Iterator<Item = &'b FoundRule> {
        self.survey.rules(&layout.set.name, |chain| is_branch(layout, chain))
    }

    /// A set that somebody else's rule looks at cannot go; it is emptied.
    fn delete_set(&self, transaction: &mut Transaction, layout: &Layout, change: Option<usize>) {
        let name = &layout.set.name;
        if self.survey.set(name).is_none() {
            return;
        }
        if self.survey.rules(name, |chain| !is_branch(layout, chain)).next().is_some() {
            return flush_set(transaction, owner(change), layout);
        }
        transaction.message(home(&name.place), owner(change), Kind::DelSet, 0, |message| {
            message.text(set::TABLE, &name.place.table);
            message.text(set::NAME, &name.name);
        });
    }

    /// The tables without any set afterwards, if an action says that they go then.
    fn tables_that_go(&self) -> BTreeSet<&Place> {
        let closed = self.gone.values().filter(|(layout, _)| layout.removes_table);
        let places = closed.map(|(layout, _)| &layout.set.name.place);
        let is_bare = |place: &&Place| {
            let Some(found) = self.survey.get(place) else { return false };
            let goes = |set: &String| {
                self.gone.values().any(|(layout, _)| {
                    let name = &layout.set.name;
                    let others = || self.survey.rules(name, |chain| !is_branch(layout, chain)).next();
                    name.place == **place && *name.name == **set && others().is_none()
                })
            };
            found.sets.keys().all(goes) && !self.after.values().any(|layout| layout.set.name.place == **place)
        };
        places.filter(is_bare).collect()
    }

    /// A chain that is there already is left as it is, as nft leaves it, unless it is of an earlier run and hangs
    /// elsewhere: then all its rules are the jails'.
    fn new_chain<'b>(
        &self,
        transaction: &mut Transaction,
        owner: &Owner,
        chain: &'b Chain,
        emptied: &BTreeSet<&Place>,
        made: &mut BTreeSet<(&'b Place, &'b str)>,
    ) {
        let home = home(&chain.place);
        if !made.insert((&chain.place, &chain.name)) {
            return;
        }
        let found = self.survey.get(&chain.place).filter(|_| !emptied.contains(&chain.place));
        let hook = hook_number(chain.hook);
        match found.and_then(|found| found.chains.get(&*chain.name)) {
            None => {}
            Some(Some(place)) if *place != (hook, chain.priority) && self.is_own(chain) => {
                transaction.message(home, owner.clone(), Kind::DelChain, 0, |message| {
                    message.text(chain::TABLE, home.table);
                    message.text(chain::NAME, &chain.name);
                });
            }
            Some(_) => return,
        }
        transaction.message(home, owner.clone(), Kind::NewTable, NLM_F_CREATE, |table| {
            table.text(IN_TABLE, home.table);
        });
        transaction.message(home, owner.clone(), Kind::NewChain, NLM_F_CREATE, |message| {
            message.text(chain::TABLE, home.table);
            message.text(chain::NAME, &chain.name);
            message.nest(chain::HOOK, |place| {
                place.u32(chain::HOOK_NUMBER, hook);
                place.u32(chain::HOOK_PRIORITY, chain.priority.cast_unsigned());
            });
            let kind = match chain.kind {
                ChainKind::Filter => "filter",
                ChainKind::Route => "route",
                ChainKind::Nat => "nat",
            };
            message.text(chain::TYPE, kind);
        });
    }

    /// Whether all rules of a chain are removed in this work.
    fn is_own(&self, chain: &Chain) -> bool {
        let Some(found) = self.survey.get(&chain.place) else { return false };
        let going: BTreeSet<u64> = self
            .gone
            .values()
            .chain(self.ruled.values())
            .filter(|(layout, _)| layout.set.name.place == chain.place)
            .flat_map(|(layout, _)| self.own_rules(layout).map(|rule| rule.handle))
            .collect();
        let mut rules = found.rules.iter().filter(|rule| *rule.chain == *chain.name).peekable();
        rules.peek().is_some() && rules.all(|rule| going.contains(&rule.handle))
    }

    /// What is there of an earlier run is emptied if it is of the same kind, and otherwise made anew.
    fn new_set(&self, transaction: &mut Transaction, owner: &Owner, layout: &Layout, is_gone: bool) {
        let spelled::Set { name, is_ipv6, is_interval, .. } = &layout.set;
        let found = self.survey.set(name).filter(|_| !is_gone);
        match found {
            Some(found) if found == plain(&layout.set) => {
                return flush_set(transaction, owner.clone(), layout);
            }
            Some(_) => transaction.message(home(&name.place), owner.clone(), Kind::DelSet, 0, |message| {
                message.text(set::TABLE, &name.place.table);
                message.text(set::NAME, &name.name);
            }),
            None => {}
        }
        let id = transaction.set_id();
        transaction.message(home(&name.place), owner.clone(), Kind::NewSet, NLM_F_CREATE, |message| {
            let flags = if *is_interval { set::INTERVAL } else { 0 };
            let names = (&*name.place.table, &*name.name);
            ruleset::new_set(message, names, flags, ruleset::key_type(*is_ipv6), id);
        });
    }
}

fn owner(change: Option<usize>) -> Owner {
    change.map_or(Owner::Everyone, Owner::Change)
}

fn plain(set: &spelled::Set) -> FoundSet {
    FoundSet::Plain { is_ipv6: set.is_ipv6, is_interval: set.is_interval }
}

/// Whether a set's rules are in this chain.
fn is_branch(layout: &Layout, chain: &str) -> bool {
    layout.branches.iter().any(|(branch, _)| *branch.name == *chain)
}

fn hook_number(hook: SetHook) -> u32 {
    match hook {
        SetHook::Prerouting => 0,
        SetHook::Input => 1,
        SetHook::Forward => 2,
        SetHook::Output => 3,
        SetHook::Postrouting => 4,
    }
}

fn flush_set(transaction: &mut Transaction, owner: Owner, layout: &Layout) {
    let name = &layout.set.name;
    transaction.message(home(&name.place), owner, Kind::DelElement, 0, |message| {
        elements::write_set(message, &name.place.table, &name.name);
    });
}

fn new_rule(transaction: &mut Transaction, owner: &Owner, chain: &Chain, layout: &Layout, rule: &Rule) {
    let home = home(&chain.place);
    let protocols = match &rule.protocols {
        spelled::Protocols::All => Protocols::All,
        spelled::Protocols::One(protocol) => Protocols::One(*protocol),
        spelled::Protocols::Set(all) => Protocols::set(transaction, home, owner, all),
    };
    let ports = rule.ports.as_ref();
    let ports = ports.map(|ports| Ports::of(transaction, home, owner, &ports.ranges, ports.is_set));
    expression::rule(transaction, home, owner, &chain.name, |list| {
        protocols.matches(list);
        if let Some(ports) = ports {
            ports.matches(list);
        }
        if chain.place.family == TableFamily::Inet {
            expression::is_family(list, rule.is_ipv6);
        }
        expression::sender_in(list, rule.is_ipv6, &layout.set.name.name);
        if rule.counts {
            expression::counter(list);
        }
        match rule.verdict {
            Verdict::Drop => expression::drop_packet(list),
            Verdict::Reject(kind, code) => expression::reject(list, kind, code),
        }
    });
}
