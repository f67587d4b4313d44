//! Turns what jails ask for into the few steps a firewall must take, all of which can be taken at once.
//!
//! Pure. In: [`Change`]s and the [`State`] they meet. Out: a [`Plan`], in which each element stands at most once and
//! no two prefixes overlap: an interval set refuses overlaps, so only the outermost prefix is in force, the ones within
//! it are remembered, and come back when it goes. Single addresses live in sets of their own and are not remembered.
//!
//! A firewall takes all steps of a plan or none. [`settle`] drops the changes it refuses and plans anew without them.

mod prefixes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::{Change, Element, FirewallError, Refusal, Ruleset, Wanted};
use crate::subnet::Subnet;
use prefixes::{PrefixStep, Prefixes, cover};

/// What stands in a firewall, as far as the next plan depends on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// The jails whose sets exist.
    jails: BTreeMap<Arc<str>, Standing>,
    /// The jails whose sets were refused, and why.
    failed: BTreeMap<Arc<str>, Refusal>,
}

/// One jail of a [`State`].
#[derive(Debug, Clone, PartialEq, Eq)]
struct Standing {
    ruleset: Ruleset,
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
        (!self.net.is_single(), self.net.is_ipv6(), step)
    }

    /// Whether the two are for the same set, and the same step but for the timeout.
    pub fn is_like(&self, other: &Self) -> bool {
        self.kind() == other.kind() && self.jail == other.jail
    }
}

/// The steps that carry out a list of changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Jails whose sets go with all elements, and the index of the change.
    pub close: BTreeMap<Arc<str>, usize>,
    /// Jails whose sets are made after that, empty, and the index of the change.
    pub open: BTreeMap<Arc<str>, usize>,
    /// The rules that are new, and the index of the change.
    pub rules: BTreeMap<Arc<str>, (Ruleset, usize)>,
    /// Steps for single elements: by jail, by set, first what to take, then what to put.
    pub ops: Vec<Op>,
    /// What is remembered of prefixes afterwards.
    prefixes: Vec<(Arc<str>, Subnet, Step)>,
}

impl Plan {
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
pub fn settle(
    state: &mut State,
    changes: &[Change],
    mut attempt: impl FnMut(&State, &Plan) -> Result<Vec<(usize, Refusal)>, FirewallError>,
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

/// The changes that make an empty firewall enforce `all`; with each the index of its jail in `all`. All rules come
/// first, in case the list must be cut in two.
pub fn from_nothing(all: &[Wanted]) -> (Vec<Change>, Vec<usize>) {
    let open = |wanted: &Wanted| Change::Open { jail: wanted.jail.clone(), ruleset: wanted.ruleset.clone() };
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
#[derive(Default)]
struct Draft<'a> {
    close: Option<usize>,
    open: Option<usize>,
    ruleset: Option<(&'a Ruleset, usize)>,
    steps: BTreeMap<Subnet, (Step, usize)>,
    failed: Option<Refusal>,
}

impl Draft<'_> {
    /// Whether the jail's sets exist at this point, given that they did before.
    fn is_open(&self, before: bool) -> bool {
        self.open.is_some() || (before && self.close.is_none())
    }
}

impl State {
    /// The rules of a jail, if its sets exist.
    pub fn ruleset(&self, jail: &str) -> Option<&Ruleset> {
        self.jails.get(jail).map(|standing| &standing.ruleset)
    }

    /// The rules of all jails once `plan` is carried out, and the index of the change that brought new ones.
    pub fn rulesets_after<'a>(
        &'a self,
        plan: &'a Plan,
    ) -> BTreeMap<&'a Arc<str>, (&'a Ruleset, Option<usize>)> {
        let stay = self.jails.iter().filter(|(jail, _)| !plan.close.contains_key(*jail));
        let stay = stay.map(|(jail, standing)| (jail, (&standing.ruleset, None)));
        let new = plan.rules.iter().map(|(jail, (ruleset, change))| (jail, (ruleset, Some(*change))));
        stay.chain(new).collect()
    }

    /// The banned prefixes of a jail that are not `in_force` themselves, each within one that is.
    pub fn covered(
        &self,
        jail: &str,
        in_force: impl Iterator<Item = Subnet>,
    ) -> impl Iterator<Item = Element> {
        let in_force: BTreeSet<Subnet> = in_force.filter(|net| !net.is_single()).collect();
        let banned = self.jails.get(jail).into_iter().flat_map(|standing| standing.prefixes.banned());
        let covered = banned.filter(move |(net, _)| cover(&in_force, net).is_some_and(|cover| cover != net));
        covered.map(|(net, timeout)| Element { net, timeout })
    }

    /// Plans the changes that are not refused yet; those that cannot be, such as a ban for no jail, are refused here.
    fn plan(&self, changes: &[Change], answers: &mut [Result<(), Refusal>]) -> Plan {
        let mut drafts: BTreeMap<&Arc<str>, Draft> = BTreeMap::new();
        for (index, (change, answer)) in changes.iter().zip(answers).enumerate() {
            let (Change::Open { jail, .. }
            | Change::Close { jail }
            | Change::Ban { jail, .. }
            | Change::Unban { jail, .. }) = change;
            let standing = self.jails.get(jail);
            let draft = drafts.entry(jail).or_default();
            let is_open = draft.is_open(standing.is_some());
            match (change, &*answer) {
                (Change::Open { .. }, Err(refusal)) => draft.failed = Some(refusal.clone()),
                (Change::Open { ruleset, .. }, Ok(())) => {
                    let same = standing.is_some_and(|standing| standing.ruleset == *ruleset);
                    draft.ruleset = (!same || draft.close.is_some()).then_some((ruleset, index));
                    draft.open = if is_open { draft.open } else { Some(index) };
                }
                (Change::Close { .. }, Ok(())) => {
                    let close = draft.close.or(standing.map(|_| index));
                    *draft = Draft { close, ..Draft::default() };
                }
                (Change::Ban { element, .. }, Ok(())) if is_open => {
                    draft.steps.insert(element.net, (Step::Put(element.timeout), index));
                }
                (Change::Ban { .. }, Ok(())) => {
                    let failed = draft.failed.as_ref().or_else(|| self.failed.get(jail));
                    *answer = Err(failed.cloned().unwrap_or_else(|| {
                        Refusal(format!("the jail `{jail}` has no rules in the firewall"))
                    }));
                }
                (Change::Unban { net, .. }, Ok(())) if is_open => {
                    draft.steps.insert(*net, (Step::Take, index));
                }
                (Change::Unban { .. }, Ok(())) | (_, Err(_)) => {}
            }
        }
        let mut plan = Plan::default();
        for (jail, draft) in drafts {
            self.lay_out(jail, &draft, &mut plan);
        }
        plan
    }

    /// Adds one jail's steps to the plan.
    fn lay_out(&self, jail: &Arc<str>, draft: &Draft, plan: &mut Plan) {
        plan.close.extend(draft.close.map(|index| (jail.clone(), index)));
        plan.open.extend(draft.open.map(|index| (jail.clone(), index)));
        plan.rules.extend(draft.ruleset.map(|(rules, index)| (jail.clone(), (rules.clone(), index))));
        let op = |(net, (step, change))| Op { jail: jail.clone(), net, step, change };
        let start = plan.ops.len();
        let (singles, prefixes): (Vec<PrefixStep>, Vec<_>) =
            draft.steps.iter().map(|(&net, &step)| (net, step)).partition(|(net, _)| net.is_single());
        plan.ops.extend(singles.into_iter().map(op));
        let kept = self.jails.get(jail).filter(|_| draft.close.is_none());
        let resolved = match kept {
            Some(standing) => standing.prefixes.resolve(&prefixes),
            None => Prefixes::default().resolve(&prefixes),
        };
        plan.ops.extend(resolved.into_iter().map(op));
        plan.ops[start..].sort_by_key(Op::kind);
        plan.prefixes.extend(prefixes.into_iter().map(|(net, (step, _))| (jail.clone(), net, step)));
    }

    /// Makes the plan, now carried out, the state.
    fn take_over(&mut self, plan: Plan, changes: &[Change], answers: &[Result<(), Refusal>]) {
        for jail in plan.close.keys() {
            self.jails.remove(jail);
        }
        for (jail, (ruleset, _)) in plan.rules {
            match self.jails.get_mut(&jail) {
                Some(standing) => standing.ruleset = ruleset,
                None => drop(self.jails.insert(jail, Standing { ruleset, prefixes: Prefixes::default() })),
            }
        }
        for op in plan.ops.iter().filter(|op| !op.net.is_single()) {
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
