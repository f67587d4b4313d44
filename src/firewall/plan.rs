//! Turns what jails ask for into the few steps a firewall must take, all of which can be taken at once.
//!
//! Pure. In: [`Change`]s and the [`State`] they meet. Out: a [`Plan`], in which each element stands at most once and
//! no two prefixes overlap: an interval set refuses overlaps, so only the outermost prefix is in force, the ones within
//! it are remembered, and come back when it goes. Single addresses live in sets of their own and are not remembered.
//!
//! A firewall takes all steps of a plan or none. [`settle`] drops the changes it refuses and plans anew without them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::{Change, Element, FirewallError, Refusal, Ruleset, Wanted};
use crate::subnet::Subnet;

/// What stands in a firewall, as far as the next plan depends on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// The jails whose sets exist.
    jails: BTreeMap<Arc<str>, Standing>,
    /// The jails whose sets were refused, and why.
    failed: BTreeMap<Arc<str>, Refusal>,
}

/// One jail of a [`State`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Standing {
    /// None: found in the firewall; its rules are not known.
    ruleset: Option<Ruleset>,
    /// Every banned prefix.
    prefixes: BTreeMap<Subnet, Option<Duration>>,
    /// The prefixes that no other covers: those in force.
    outermost: BTreeSet<Subnet>,
}

/// What to do with an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Take it out, if it is there.
    Take,
    /// Put it in with this timeout, whether or not it is there.
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
    /// Which of a jail's four sets: single addresses before prefixes, IPv4 before IPv6.
    fn set(&self) -> (bool, bool) {
        (!self.net.is_single(), self.net.is_ipv6())
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
    /// What is remembered of prefixes afterwards; none: no longer banned.
    prefixes: Vec<(Arc<str>, Subnet, Option<Element>)>,
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

/// The changes that turn `standing` into `all`; with each the index in `all` of the jail it is for.
///
/// An element whose timeout is nearly right stays untouched. Rules come first, then bans, then what goes, so that nobody
/// gets in meanwhile if the list must be cut in two.
pub fn differences(
    standing: BTreeMap<Arc<str>, Vec<Element>>,
    all: &[Wanted],
) -> (Vec<Change>, Vec<Option<usize>>) {
    let mut changes = Vec::new();
    for Wanted { jail, ruleset, .. } in all {
        changes.push(Change::Open { jail: jail.clone(), ruleset: ruleset.clone() });
    }
    let mut owners: Vec<_> = (0..all.len()).map(Some).collect();
    let mut surplus = BTreeMap::new();
    for (jail, elements) in standing {
        if all.iter().any(|wanted| wanted.jail == jail) {
            let elements = elements.into_iter().map(|element| (element.net, element.timeout));
            surplus.insert(jail, elements.collect::<HashMap<_, _>>());
        } else {
            changes.push(Change::Close { jail });
        }
    }
    owners.resize(changes.len(), None);
    for (index, Wanted { jail, elements, .. }) in all.iter().enumerate() {
        let mut there = surplus.get_mut(jail);
        for &element in elements {
            let found = there.as_mut().and_then(|there| there.remove(&element.net));
            if !found.is_some_and(|timeout| about_equal(timeout, element.timeout)) {
                changes.push(Change::Ban { jail: jail.clone(), element });
            }
        }
        owners.resize(changes.len(), Some(index));
    }
    for (jail, elements) in surplus {
        changes.extend(elements.into_keys().map(|net| Change::Unban { jail: jail.clone(), net }));
    }
    owners.resize(changes.len(), None);
    (changes, owners)
}

/// The answers to [`differences`] in the shape of [`super::Firewall::replace`]: a jail that could not be opened has all
/// its elements refused.
pub fn refusals(
    all: &[Wanted],
    changes: &[Change],
    owners: &[Option<usize>],
    answers: Vec<Result<(), Refusal>>,
) -> Vec<Vec<(Subnet, Refusal)>> {
    let mut refused = vec![Vec::new(); all.len()];
    let mut is_open = vec![true; all.len()];
    for ((change, owner), answer) in changes.iter().zip(owners).zip(answers) {
        let (Some(index), Err(refusal)) = (*owner, answer) else { continue };
        match change {
            Change::Open { .. } => {
                is_open[index] = false;
                refused[index] = all[index].elements.iter().map(|e| (e.net, refusal.clone())).collect();
            }
            Change::Ban { element, .. } if is_open[index] => refused[index].push((element.net, refusal)),
            _ => {}
        }
    }
    refused
}

/// How far a timeout may be off before an element is written anew. It is a safety net and does not end bans.
const TOLERANCE: Duration = Duration::from_secs(10);

fn about_equal(one: Option<Duration>, other: Option<Duration>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.abs_diff(other) <= TOLERANCE,
        (one, other) => one == other,
    }
}

/// One jail while its changes are gathered.
#[derive(Default)]
struct Draft<'a> {
    close: Option<usize>,
    open: Option<usize>,
    ruleset: Option<(&'a Ruleset, usize)>,
    steps: BTreeMap<Subnet, (Step, usize)>,
    failed: Option<&'a Refusal>,
}

impl Draft<'_> {
    /// Whether the jail's sets exist at this point, given that they did before.
    fn is_open(&self, before: bool) -> bool {
        self.open.is_some() || (before && self.close.is_none())
    }
}

impl State {
    /// A state read back from a firewall: the jails whose sets exist, with the prefixes in them.
    pub fn found(jails: &BTreeMap<Arc<str>, Vec<Element>>) -> Self {
        let standing = |elements: &Vec<Element>| {
            let prefixes: BTreeMap<_, _> =
                elements.iter().filter(|e| !e.net.is_single()).map(|e| (e.net, e.timeout)).collect();
            let outermost = outermost(prefixes.keys().copied()).collect();
            Standing { ruleset: None, prefixes, outermost }
        };
        let jails = jails.iter().map(|(jail, elements)| (jail.clone(), standing(elements))).collect();
        Self { jails, failed: BTreeMap::new() }
    }

    /// The jails whose sets exist, with their rules where known.
    pub fn jails(&self) -> impl Iterator<Item = (&Arc<str>, Option<&Ruleset>)> {
        self.jails.iter().map(|(jail, standing)| (jail, standing.ruleset.as_ref()))
    }

    /// The rules of all jails once `plan` is carried out, and the index of the change that brought new ones.
    pub fn rulesets_after<'a>(
        &'a self,
        plan: &'a Plan,
    ) -> BTreeMap<&'a Arc<str>, (Option<&'a Ruleset>, Option<usize>)> {
        let stay = self.jails().filter(|(jail, _)| !plan.close.contains_key(*jail));
        let stay = stay.map(|(jail, ruleset)| (jail, (ruleset, None)));
        let new = plan.rules.iter().map(|(jail, (ruleset, change))| (jail, (Some(ruleset), Some(*change))));
        stay.chain(new).collect()
    }

    /// The banned prefixes of a jail that are not `in_force` themselves, each within one that is.
    pub fn covered(
        &self,
        jail: &str,
        in_force: impl Iterator<Item = Subnet>,
    ) -> impl Iterator<Item = Element> {
        let in_force: BTreeSet<Subnet> = in_force.filter(|net| !net.is_single()).collect();
        let prefixes = self.jails.get(jail).into_iter().flat_map(|standing| &standing.prefixes);
        let covered =
            prefixes.filter(move |(net, _)| cover(&in_force, net).is_some_and(|cover| cover != *net));
        covered.map(|(&net, &timeout)| Element { net, timeout })
    }

    /// Plans the changes that are not refused yet; those that cannot be, such as a ban for no jail, are refused here.
    fn plan(&self, changes: &[Change], answers: &mut [Result<(), Refusal>]) -> Plan {
        let known = answers.to_vec();
        let mut drafts: BTreeMap<&Arc<str>, Draft> = BTreeMap::new();
        for (index, (change, answer)) in changes.iter().zip(&known).enumerate() {
            let (Change::Open { jail, .. }
            | Change::Close { jail }
            | Change::Ban { jail, .. }
            | Change::Unban { jail, .. }) = change;
            let standing = self.jails.get(jail);
            let draft = drafts.entry(jail).or_default();
            let is_open = draft.is_open(standing.is_some());
            match (change, answer) {
                (Change::Open { .. }, Err(refusal)) => draft.failed = Some(refusal),
                (_, Err(_)) => {}
                (Change::Open { ruleset, .. }, Ok(())) => {
                    let same = standing.is_some_and(|standing| standing.ruleset.as_ref() == Some(ruleset));
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
                    let failed = draft.failed.or_else(|| self.failed.get(jail));
                    answers[index] = Err(failed.cloned().unwrap_or_else(|| {
                        Refusal(format!("the jail `{jail}` has no rules in the firewall"))
                    }));
                }
                (Change::Unban { net, .. }, Ok(())) if is_open => {
                    draft.steps.insert(*net, (Step::Take, index));
                }
                (Change::Unban { .. }, Ok(())) => {}
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
        let nothing = Standing::default();
        let kept = self.jails.get(jail).filter(|_| draft.close.is_none()).unwrap_or(&nothing);
        let op = |net, (step, change)| Op { jail: jail.clone(), net, step, change };
        let start = plan.ops.len();
        let (singles, prefixes): (Vec<_>, Vec<_>) =
            draft.steps.iter().map(|(&net, &step)| (net, step)).partition(|(net, _)| net.is_single());
        plan.ops.extend(singles.into_iter().map(|(net, step)| op(net, step)));
        for (root, steps) in kept.regions(&prefixes) {
            plan.ops.extend(kept.resolve(root, steps).into_iter().map(|(net, step)| op(net, step)));
        }
        plan.ops[start..].sort_by_key(|op| (op.set(), op.step != Step::Take));
        plan.prefixes.extend(prefixes.into_iter().map(|(net, (step, _))| match step {
            Step::Take => (jail.clone(), net, None),
            Step::Put(timeout) => (jail.clone(), net, Some(Element { net, timeout })),
        }));
    }

    /// Makes the plan, now carried out, the state.
    fn take_over(&mut self, plan: Plan, changes: &[Change], answers: &[Result<(), Refusal>]) {
        for jail in plan.close.keys() {
            self.jails.remove(jail);
        }
        for jail in plan.open.keys() {
            self.jails.insert(jail.clone(), Standing::default());
        }
        for (jail, (ruleset, _)) in plan.rules {
            self.jails.entry(jail).or_default().ruleset = Some(ruleset);
        }
        for op in plan.ops.iter().filter(|op| !op.net.is_single()) {
            let outermost = &mut self.jails.entry(op.jail.clone()).or_default().outermost;
            let _ = if op.step == Step::Take { outermost.remove(&op.net) } else { outermost.insert(op.net) };
        }
        for (jail, net, element) in plan.prefixes {
            let prefixes = &mut self.jails.entry(jail).or_default().prefixes;
            match element {
                Some(element) => prefixes.insert(net, element.timeout),
                None => prefixes.remove(&net),
            };
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

/// A step for a prefix, with its change.
type PrefixStep = (Subnet, (Step, usize));

impl Standing {
    /// Cuts sorted steps into regions: runs that lie within one prefix, itself within no other old or new.
    fn regions<'a>(&self, steps: &'a [PrefixStep]) -> Vec<(Subnet, &'a [PrefixStep])> {
        let mut regions: Vec<(Subnet, &[PrefixStep])> = Vec::new();
        let mut start = 0;
        for (at, &(net, _)) in steps.iter().enumerate() {
            if let Some((_, run)) = regions.last_mut().filter(|(root, _)| root.contains(&net)) {
                *run = &steps[start..=at];
                continue;
            }
            start = at;
            regions.push((cover(&self.outermost, &net).copied().unwrap_or(net), &steps[at..=at]));
        }
        regions
    }

    /// What must happen within `root`, so that afterwards the outermost of its prefixes are in force.
    fn resolve(&self, root: Subnet, steps: &[PrefixStep]) -> Vec<PrefixStep> {
        let before = self.outermost.range(root..).take_while(|net| root.contains(net));
        let before: BTreeSet<Subnet> = before.copied().collect();
        let banned = self.prefixes.range(root..).take_while(|(net, _)| root.contains(net));
        let mut banned: BTreeMap<Subnet, Option<Duration>> = banned.map(|(&net, &t)| (net, t)).collect();
        for &(net, (step, _)) in steps {
            match step {
                Step::Put(timeout) => banned.insert(net, timeout),
                Step::Take => banned.remove(&net),
            };
        }
        let after: BTreeSet<Subnet> = outermost(banned.keys().copied()).collect();
        let own = |net: &Subnet| steps.binary_search_by_key(net, |&(other, _)| other).ok();
        // What goes because of a wider prefix, or comes back because of one, fails at that one's cost.
        let change = |net: &Subnet, wider: Option<&Subnet>| {
            let at = wider.and_then(own).or_else(|| own(net)).unwrap_or(0);
            steps[at].1.1
        };
        let take = before.difference(&after);
        let take = take.map(|net| (*net, (Step::Take, change(net, cover(&after, net)))));
        let put = after.iter().filter(|net| !before.contains(net) || own(net).is_some());
        let put = put.map(|net| {
            let wider = cover(&before, net).filter(|_| own(net).is_none());
            (*net, (Step::Put(banned[net]), change(net, wider)))
        });
        take.chain(put).collect()
    }
}

/// The one of disjoint prefixes that covers `net`: only the last one up to `net` can.
fn cover<'a>(disjoint: &'a BTreeSet<Subnet>, net: &Subnet) -> Option<&'a Subnet> {
    disjoint.range(..=net).next_back().filter(|cover| cover.contains(net))
}

/// Of sorted prefixes, those that no other covers.
fn outermost(sorted: impl Iterator<Item = Subnet>) -> impl Iterator<Item = Subnet> {
    let mut last: Option<Subnet> = None;
    sorted.filter(move |net| {
        let covered = last.is_some_and(|last| last.contains(net));
        if !covered {
            last = Some(*net);
        }
        !covered
    })
}

#[cfg(test)]
mod tests;
