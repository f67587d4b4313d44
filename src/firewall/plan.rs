//! Turns what jails ask for into the few steps a firewall must take, all of which can be taken at once.
//!
//! Pure. In: [`Change`]s and the [`State`] they meet. Out: a [`Plan`], in which each element stands at most once and
//! no two prefixes overlap: an interval set refuses overlaps, so only the outermost prefix is in force, the ones within
//! it are remembered, and come back when it goes. What lives in other sets, as single addresses do, is not remembered.
//!
//! What a jail's rules look like is its [`Shape`]'s own matter.
//!
//! A firewall takes all steps of a plan or none. [`settle`] drops the changes it refuses and plans anew without them.

mod prefixes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::{Change, Element, FirewallError, Refusal, Rules, Wanted};
use crate::subnet::Subnet;
use prefixes::{PrefixStep, Prefixes, cover};

/// What a plan must know of a jail's rules.
pub trait Shape: Clone + PartialEq {
    /// Whether this one lives in an interval set.
    fn is_in_tree(&self, net: Subnet) -> bool;
}

impl Shape for Rules {
    fn is_in_tree(&self, net: Subnet) -> bool {
        !net.is_single()
    }
}

/// What stands in a firewall, as far as the next plan depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State<R = Rules> {
    /// The jails whose sets exist.
    jails: BTreeMap<Arc<str>, Standing<R>>,
    /// The jails whose sets were refused, and why.
    failed: BTreeMap<Arc<str>, Refusal>,
}

impl<R> Default for State<R> {
    fn default() -> Self {
        Self { jails: BTreeMap::new(), failed: BTreeMap::new() }
    }
}

/// One jail of a [`State`].
#[derive(Debug, Clone, PartialEq, Eq)]
struct Standing<R> {
    rules: R,
    prefixes: Prefixes,
}

/// What to do with an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Take it out, if it is there.
    Take,
    /// Give what is there, as far as the plan knows, another timeout.
    Renew(Option<Duration>),
    /// Put it in with this timeout: a prefix that is not there, or a single address, which may be.
    Put(Option<Duration>),
}

/// A step, and the change that it serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op {
    /// The jail.
    pub jail: Arc<str>,
    /// The element.
    pub net: Subnet,
    /// Whether it lives in an interval set.
    pub is_in_tree: bool,
    /// What to do with it.
    pub step: Step,
    /// The index of the change that is refused when this fails.
    pub change: usize,
}

impl Op {
    /// Ops with the same are of one kind for one set. Single addresses come before prefixes, IPv4 before IPv6, and what
    /// is taken before what is put.
    fn kind(&self) -> (bool, bool, u8) {
        let step = match self.step {
            Step::Take => 0,
            Step::Renew(_) => 1,
            Step::Put(_) => 2,
        };
        (self.is_in_tree, self.net.is_ipv6(), step)
    }

    /// Whether the two are for the same set, and the same step but for the timeout.
    pub fn is_like(&self, other: &Self) -> bool {
        self.kind() == other.kind() && self.jail == other.jail
    }
}

/// The steps that carry out a list of changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan<R = Rules> {
    /// Jails whose sets go with all elements, and the index of the change.
    pub close: BTreeMap<Arc<str>, usize>,
    /// Jails whose sets are made after that, empty, and the index of the change.
    pub open: BTreeMap<Arc<str>, usize>,
    /// The rules that are new, and the index of the change.
    pub rules: BTreeMap<Arc<str>, (R, usize)>,
    /// Steps for single elements: by jail, by set, first what to take, then what to put.
    pub ops: Vec<Op>,
    /// What is remembered of prefixes afterwards.
    prefixes: Vec<(Arc<str>, Subnet, Step)>,
}

impl<R> Default for Plan<R> {
    fn default() -> Self {
        Self {
            close: BTreeMap::new(),
            open: BTreeMap::new(),
            rules: BTreeMap::new(),
            ops: Vec::new(),
            prefixes: Vec::new(),
        }
    }
}

impl<R> Plan<R> {
    /// Whether sets or rules change, not elements alone.
    pub fn is_structural(&self) -> bool {
        !(self.close.is_empty() && self.open.is_empty() && self.rules.is_empty())
    }
}

/// Plans `changes` and lets `attempt` carry the plan out, without the changes it refuses, until it refuses none.
///
/// `attempt` gets the state before the plan and answers with the refused changes by index; if it answers with any,
/// nothing of the plan may stand.
///
/// # Errors
/// What `attempt` fails with; the state is then as before.
pub fn settle<R: Shape>(
    state: &mut State<R>,
    changes: &[Change<R>],
    mut attempt: impl FnMut(&State<R>, &Plan<R>) -> Result<Vec<(usize, Refusal)>, FirewallError>,
) -> Result<Vec<Result<(), Refusal>>, FirewallError> {
    let mut answers = vec![Ok(()); changes.len()];
    loop {
        let plan = state.plan(changes, &mut answers);
        let refused = attempt(state, &plan)?;
        if refused.is_empty() {
            state.take_over(plan, changes, &answers);
            return Ok(answers);
        }
        for (change, refusal) in refused {
            answers[change] = Err(refusal);
        }
    }
}

/// The change that makes a jail's rules appear.
pub fn open(wanted: &Wanted) -> Change {
    Change::Open { jail: wanted.jail.clone(), rules: wanted.rules.clone() }
}

/// The changes that make an empty firewall enforce `all`; with each the index of its jail in `all`. All rules come
/// first, in case the list must be cut in two.
pub fn from_nothing(all: &[Wanted]) -> (Vec<Change>, Vec<usize>) {
    let mut changes: Vec<_> = all.iter().map(open).collect();
    let mut owners: Vec<_> = (0..all.len()).collect();
    for (index, Wanted { jail, elements, .. }) in all.iter().enumerate() {
        changes.extend(elements.iter().map(|&element| Change::Ban { jail: jail.clone(), element }));
        owners.resize(changes.len(), index);
    }
    (changes, owners)
}

/// The answers to [`from_nothing`] in the shape of [`super::Firewall::replace`].
pub fn refusals(
    all: &[Wanted],
    changes: &[Change],
    owners: &[usize],
    answers: Vec<Result<(), Refusal>>,
) -> Vec<Vec<(Subnet, Refusal)>> {
    let mut refused = vec![Vec::new(); all.len()];
    for ((change, owner), answer) in changes.iter().zip(owners).zip(answers) {
        if let (Change::Ban { element, .. }, Err(refusal)) = (change, answer) {
            refused[*owner].push((element.net, refusal));
        }
    }
    refused
}

/// One jail while its changes are gathered.
struct Draft<'a, R> {
    close: Option<usize>,
    open: Option<usize>,
    rules: Option<(&'a R, usize)>,
    /// Of several for one element the last counts.
    steps: Vec<PrefixStep>,
    failed: Option<Refusal>,
}

impl<R> Draft<'_, R> {
    /// Nothing but, perhaps, that it is closed.
    fn closed(close: Option<usize>) -> Self {
        Self { close, open: None, rules: None, steps: Vec::new(), failed: None }
    }

    /// Whether the jail's sets exist at this point, given that they did before.
    fn is_open(&self, before: bool) -> bool {
        self.open.is_some() || (before && self.close.is_none())
    }
}

impl<R: Shape> State<R> {
    /// Whether no jail has sets.
    pub fn is_empty(&self) -> bool {
        self.jails.is_empty()
    }

    /// The rules of a jail, if its sets exist.
    pub fn rules(&self, jail: &str) -> Option<&R> {
        self.jails.get(jail).map(|standing| &standing.rules)
    }

    /// The rules of all jails once `plan` is carried out, and the index of the change that brought new ones.
    pub fn rules_after<'a>(&'a self, plan: &'a Plan<R>) -> BTreeMap<&'a Arc<str>, (&'a R, Option<usize>)> {
        let stay = self.jails.iter().filter(|(jail, _)| !plan.close.contains_key(*jail));
        let stay = stay.map(|(jail, standing)| (jail, (&standing.rules, None)));
        let new = plan.rules.iter().map(|(jail, (rules, change))| (jail, (rules, Some(*change))));
        stay.chain(new).collect()
    }

    /// The plan that makes everybody's rules anew, and these jails' sets, empty; what it does serves no change.
    pub fn again(&self, torn: impl IntoIterator<Item = Arc<str>>) -> Plan<R> {
        let rules = self.jails.iter().map(|(jail, standing)| (jail.clone(), (standing.rules.clone(), 0)));
        let open = torn.into_iter().map(|jail| (jail, 0));
        Plan { open: open.collect(), rules: rules.collect(), ..Plan::default() }
    }

    /// The banned prefixes of a jail that are not `in_force` themselves, each within one that is.
    pub fn covered(
        &self,
        jail: &str,
        in_force: impl Iterator<Item = Subnet>,
    ) -> impl Iterator<Item = Element> {
        let standing = self.jails.get(jail);
        let is_in_tree = |net: &Subnet| standing.is_some_and(|standing| standing.rules.is_in_tree(*net));
        let in_force: BTreeSet<Subnet> = in_force.filter(is_in_tree).collect();
        let banned = standing.into_iter().flat_map(|standing| standing.prefixes.banned());
        let covered = banned.filter(move |(net, _)| cover(&in_force, net).is_some_and(|cover| cover != net));
        covered.map(|(net, timeout)| Element { net, timeout })
    }

    /// Plans the changes that are not refused yet; those that cannot be, such as a ban for no jail, are refused here.
    fn plan(&self, changes: &[Change<R>], answers: &mut [Result<(), Refusal>]) -> Plan<R> {
        let mut drafts: BTreeMap<&Arc<str>, Draft<R>> = BTreeMap::new();
        for (index, (change, answer)) in changes.iter().zip(answers).enumerate() {
            let (Change::Open { jail, .. }
            | Change::Close { jail }
            | Change::Ban { jail, .. }
            | Change::Unban { jail, .. }) = change;
            let standing = self.jails.get(jail);
            let draft = drafts.entry(jail).or_insert_with(|| Draft::closed(None));
            let is_open = draft.is_open(standing.is_some());
            match (change, &*answer) {
                (Change::Open { .. }, Err(refusal)) => draft.failed = Some(refusal.clone()),
                (Change::Open { rules, .. }, Ok(())) => {
                    let same = standing.is_some_and(|standing| standing.rules == *rules);
                    draft.rules = (!same || draft.close.is_some()).then_some((rules, index));
                    draft.open = if is_open { draft.open } else { Some(index) };
                }
                (Change::Close { .. }, Ok(())) => {
                    let close = draft.close.or(standing.map(|_| index));
                    *draft = Draft::closed(close);
                }
                (Change::Ban { element, .. }, Ok(())) if is_open => {
                    draft.steps.push((element.net, (Step::Put(element.timeout), index)));
                }
                (Change::Ban { .. }, Ok(())) => {
                    let failed = draft.failed.as_ref().or_else(|| self.failed.get(jail));
                    *answer = Err(failed.cloned().unwrap_or_else(|| {
                        Refusal(format!("the jail `{jail}` has no rules in the firewall"))
                    }));
                }
                (Change::Unban { net, .. }, Ok(())) if is_open => {
                    draft.steps.push((*net, (Step::Take, index)));
                }
                (Change::Unban { .. }, Ok(())) | (_, Err(_)) => {}
            }
        }
        let mut plan = Plan::default();
        for (jail, draft) in drafts {
            self.lay_out(jail, draft, &mut plan);
        }
        plan
    }

    /// Adds one jail's steps to the plan.
    fn lay_out(&self, jail: &Arc<str>, draft: Draft<R>, plan: &mut Plan<R>) {
        plan.close.extend(draft.close.map(|index| (jail.clone(), index)));
        plan.open.extend(draft.open.map(|index| (jail.clone(), index)));
        plan.rules.extend(draft.rules.map(|(rules, index)| (jail.clone(), (rules.clone(), index))));
        let kept = self.jails.get(jail).filter(|_| draft.close.is_none());
        let Some(rules) = draft.rules.map(|(rules, _)| rules).or(kept.map(|standing| &standing.rules)) else {
            return;
        };
        let op = |is_in_tree| {
            move |(net, (step, change))| Op { jail: jail.clone(), net, is_in_tree, step, change }
        };
        let start = plan.ops.len();
        let mut steps = draft.steps;
        steps.sort_by_key(|(net, _)| *net);
        steps.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                *kept = *later;
            }
            same
        });
        let (prefixes, singles): (Vec<PrefixStep>, Vec<_>) =
            steps.into_iter().partition(|(net, _)| rules.is_in_tree(*net));
        plan.ops.extend(singles.into_iter().map(op(false)));
        let resolved = match kept {
            Some(standing) => standing.prefixes.resolve(&prefixes),
            None => Prefixes::default().resolve(&prefixes),
        };
        plan.ops.extend(resolved.into_iter().map(op(true)));
        plan.ops[start..].sort_by_key(Op::kind);
        plan.prefixes.extend(prefixes.into_iter().map(|(net, (step, _))| (jail.clone(), net, step)));
    }

    /// Makes the plan, now carried out, the state.
    fn take_over(&mut self, plan: Plan<R>, changes: &[Change<R>], answers: &[Result<(), Refusal>]) {
        for jail in plan.close.keys() {
            self.jails.remove(jail);
        }
        for (jail, (rules, _)) in plan.rules {
            match self.jails.get_mut(&jail) {
                Some(standing) => standing.rules = rules,
                None => drop(self.jails.insert(jail, Standing { rules, prefixes: Prefixes::default() })),
            }
        }
        for op in plan.ops.iter().filter(|op| op.is_in_tree) {
            if let Some(standing) = self.jails.get_mut(&op.jail) {
                standing.prefixes.happened(op.net, op.step);
            }
        }
        for (jail, net, step) in plan.prefixes {
            if let Some(standing) = self.jails.get_mut(&jail) {
                standing.prefixes.remember(net, step);
            }
        }
        for (change, answer) in changes.iter().zip(answers) {
            match (change, answer) {
                (Change::Open { jail, .. }, Err(refusal)) if !self.jails.contains_key(jail) => {
                    self.failed.insert(jail.clone(), refusal.clone());
                }
                (Change::Open { jail, .. } | Change::Close { jail }, _) => {
                    self.failed.remove(jail);
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
