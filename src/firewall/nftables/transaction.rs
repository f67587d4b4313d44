//! A plan as one netlink transaction, with the owner of every message.
//!
//! Pure. An element that the kernel does not take makes the whole transaction fail, and the error names a message, not
//! an element. So elements travel in groups first, and those of a group that failed alone.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use super::elements;
use super::hits;
use super::rules;
use super::ruleset::{self, BaseChain, HOME, SetKind};
use super::wire::{Attributes, Kind, NLM_F_CREATE, NLM_F_EXCL, Writer};
use crate::firewall::Element;
use crate::firewall::plan::{Op, Plan, State, Step};

/// Whom the failure of a message concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Owner {
    /// The transaction as a whole.
    Everyone,
    /// One change.
    Change(usize),
    /// Steps of the plan.
    Ops(Range<usize>),
}

/// A table, by the number of its family and its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Home<'a> {
    pub(super) family: u8,
    pub(super) table: &'a str,
}

/// A set, for its elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target<'a> {
    pub(super) home: Home<'a>,
    pub(super) set: Cow<'a, str>,
    /// Whether an element has a time to live, so that putting it again is not enough.
    pub(super) expires: bool,
}

/// How an element is sent; each way costs more and fails less.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Care {
    /// With its like; what is there stays as it is.
    Gentle,
    /// With its like; what is put must not be there yet.
    #[default]
    New,
    /// With its like; what is there is taken out first.
    Anew,
    /// The same, in messages of its own.
    Alone,
}

/// What the table holds besides a plan's [`State`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Table {
    /// Whether something in it is not as this version makes it, so that it must be made anew.
    pub(super) is_odd: bool,
    /// The jails that someone else left in it, with chain and sets; the state does not have them.
    pub(super) left: BTreeSet<Arc<str>>,
    /// Whether what they hold stays as it is.
    pub(super) keeps: bool,
    /// The chains that hang in hooks.
    pub(super) bases: BTreeSet<BaseChain>,
}

impl Table {
    /// Whether there is anything in it that the state does not have.
    pub(super) fn is_foreign(&self) -> bool {
        self.is_odd || !self.left.is_empty()
    }
}

#[derive(Debug)]
pub(super) struct Transaction {
    writer: Writer,
    first: u32,
    owners: Vec<Owner>,
    sets: u32,
}

impl Transaction {
    /// An open transaction whose first message gets the number `first`.
    pub(super) fn new(first: u32) -> Self {
        let mut writer = Writer::new(first);
        writer.begin();
        Self { writer, first, owners: vec![Owner::Everyone], sets: 0 }
    }

    /// All of a plan, closed; `care` says for each step of the plan how it is sent.
    pub(super) fn of(plan: &Plan, state: &State, table: &Table, care: &[Care], first: u32) -> Self {
        let mut transaction = Self::new(first);
        if plan.is_structural() || table.is_foreign() {
            transaction.structure(plan, state, table);
        }
        transaction.ops(&plan.ops, care, own_target);
        transaction.close()
    }

    /// All of a plan for prefixes, closed, where others stand that go.
    pub(super) fn of_prefixes(plan: &Plan, state: &State, care: &[Care], first: u32) -> Self {
        let mut transaction = Self::new(first);
        for jail in state.rules_after(plan).into_keys() {
            ruleset::flush_sets(&mut transaction, jail, |kind| kind.is_net);
        }
        transaction.ops(&plan.ops, care, own_target);
        transaction.close()
    }

    /// Adds a message.
    pub(super) fn message(
        &mut self,
        home: Home,
        owner: Owner,
        kind: Kind,
        flags: u16,
        body: impl FnOnce(&mut Attributes),
    ) {
        self.owners.push(owner);
        self.writer.message_to(home.family, kind, flags, body);
    }

    /// A number for a new set, unique in the transaction.
    pub(super) fn set_id(&mut self) -> u32 {
        self.sets += 1;
        self.sets
    }

    /// Whether there is anything in it.
    pub(super) fn is_empty(&self) -> bool {
        self.owners.len() == 1
    }

    pub(super) fn close(mut self) -> Self {
        if !self.is_empty() {
            self.writer.end();
        }
        self
    }

    pub(super) fn writer(&self) -> &Writer {
        &self.writer
    }

    /// Whom the failure of message `number` concerns.
    pub(super) fn owner(&self, number: u32) -> Owner {
        let index = number.wrapping_sub(self.first) as usize;
        self.owners.get(index).cloned().unwrap_or(Owner::Everyone)
    }

    /// Sets and chains as far as they change, and all rules anew: one message a rule is little, and no packet meets the
    /// chains without them.
    fn structure(&mut self, plan: &Plan, state: &State, table: &Table) {
        let all = state.rules_after(plan);
        let owner = |change: Option<usize>| change.map_or(Owner::Everyone, Owner::Change);
        let mut bases: BTreeMap<BaseChain, Option<usize>> = BTreeMap::new();
        for (rules, change) in all.values() {
            for base in BaseChain::of(rules) {
                let owner = bases.entry(base).or_default();
                *owner = owner.or(*change);
            }
        }
        ruleset::new_table(self);
        if table.is_odd {
            ruleset::delete_table(self);
            ruleset::new_table(self);
        } else {
            ruleset::delete_rules(self);
        }
        if !all.is_empty() {
            hits::write(self);
        }
        for jail in &table.left {
            if all.contains_key(jail) {
                if !table.keeps {
                    ruleset::flush_sets(self, jail, |_| true);
                }
            } else {
                ruleset::delete_sets(self, &Owner::Everyone, jail);
                ruleset::jail_chain_message(self, Owner::Everyone, jail, false);
            }
        }
        for (jail, &change) in &plan.close {
            ruleset::delete_sets(self, &Owner::Change(change), jail);
            if !all.contains_key(jail) {
                ruleset::jail_chain_message(self, Owner::Change(change), jail, false);
            }
        }
        for base in table.bases.iter().filter(|base| !bases.contains_key(base)) {
            ruleset::delete_base_chain(self, *base);
        }
        for (&base, &change) in bases.iter().filter(|(base, _)| !table.bases.contains(base)) {
            ruleset::new_base_chain(self, owner(change), base);
        }
        for (jail, &change) in plan.open.iter().filter(|(jail, _)| !table.left.contains(*jail)) {
            if state.rules(jail).is_none() {
                ruleset::jail_chain_message(self, Owner::Change(change), jail, true);
            }
            ruleset::new_sets(self, &Owner::Change(change), jail);
        }
        for (jail, (rules, change)) in all {
            rules::write(self, &owner(change), jail, rules);
        }
    }

    /// Tables, chains and sets as far as they are not there, all rules anew, and some jails' sets empty.
    pub(super) fn mend(&mut self, state: &State, bases: &BTreeSet<BaseChain>, emptied: &BTreeSet<Arc<str>>) {
        let plan = Plan::default();
        let all = state.rules_after(&plan);
        let wanted: BTreeSet<BaseChain> = all.values().flat_map(|(rules, _)| BaseChain::of(rules)).collect();
        ruleset::new_table(self);
        ruleset::delete_rules(self);
        if !all.is_empty() {
            hits::write(self);
        }
        for base in bases.difference(&wanted) {
            ruleset::delete_base_chain(self, *base);
        }
        for base in wanted.difference(bases) {
            ruleset::new_base_chain(self, Owner::Everyone, *base);
        }
        for jail in all.keys() {
            ruleset::jail_chain_message(self, Owner::Everyone, jail, true);
            ruleset::new_sets(self, &Owner::Everyone, jail);
        }
        for jail in emptied.iter().filter(|jail| all.contains_key(*jail)) {
            ruleset::flush_sets(self, jail, |_| true);
        }
        for (jail, (rules, _)) in all {
            rules::write(self, &Owner::Everyone, jail, rules);
        }
    }

    /// Steps in groups of the same jail, set, kind and care; `target` says in which set a step is taken.
    pub(super) fn ops<'a>(&mut self, ops: &[Op], care: &[Care], target: impl Fn(&Op) -> Option<Target<'a>>) {
        let mut start = 0;
        while start < ops.len() {
            let alike = |at: &usize| {
                ops[start].is_like(&ops[*at])
                    && care[start] == care[*at]
                    && care[start] != Care::Alone
                    && at - start < elements::PER_MESSAGE
            };
            let end = (start + 1..ops.len()).find(|at| !alike(at)).unwrap_or(ops.len());
            if let Some(target) = target(&ops[start]) {
                self.group(&ops[start..end], start..end, care[start], &target);
            }
            start = end;
        }
    }

    /// Linux before 6.3 has no message that removes only what is there, and before 6.12 none that changes a timeout. So
    /// what is taken is put first, and what is there is taken before it is put.
    fn group(&mut self, ops: &[Op], range: Range<usize>, care: Care, target: &Target) {
        let elements = ops.iter().map(|op| match op.step {
            Step::Take => Element { net: op.net, timeout: None },
            Step::Put(timeout) | Step::Renew(timeout) => Element { net: op.net, timeout },
        });
        let messages: &[(Kind, u16)] = match (ops[0].step, care) {
            (Step::Take, _) => &[(Kind::NewElement, NLM_F_CREATE), (Kind::DelElement, 0)],
            _ if !target.expires || care == Care::Gentle => &[(Kind::NewElement, NLM_F_CREATE)],
            (Step::Put(_), Care::New) => &[(Kind::NewElement, NLM_F_CREATE | NLM_F_EXCL)],
            (Step::Put(_) | Step::Renew(_), _) => {
                &[(Kind::NewElement, NLM_F_CREATE), (Kind::DelElement, 0), (Kind::NewElement, NLM_F_CREATE)]
            }
        };
        for &(kind, flags) in messages {
            self.message(target.home, Owner::Ops(range.clone()), kind, flags, |list| {
                elements::write_set(list, target.home.table, &target.set);
                elements::write(list, elements.clone(), ops[0].is_in_tree);
            });
        }
    }
}

/// Where this program's own layout has an element.
fn own_target(op: &Op) -> Option<Target<'static>> {
    let kind = SetKind { is_net: op.is_in_tree, is_ipv6: op.net.is_ipv6() };
    Some(Target { home: HOME, set: ruleset::set_name(&op.jail, kind)?.into(), expires: true })
}

#[cfg(test)]
mod tests;
