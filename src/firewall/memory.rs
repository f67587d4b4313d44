//! A firewall that only remembers: for `--dry-run`, for jails that only notify, and for tests.
//!
//! It plans like nftables and keeps what nftables would hold. Clones look at the same firewall.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::plan::{self, Plan, State, Step};
use super::{Change, Element, Enforced, Firewall, FirewallError, Refusal, Rules, Wanted};
use crate::subnet::Subnet;

/// The firewall, and the handle to look inside.
#[derive(Debug, Clone, Default)]
pub struct Memory(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    state: State,
    /// What is in force, by jail.
    sets: BTreeMap<Arc<str>, BTreeMap<Subnet, Option<Duration>>>,
    refused: BTreeSet<Subnet>,
}

/// While this lives, every call to the firewall waits.
#[derive(Debug)]
pub struct Pause<'a>(#[expect(dead_code, reason = "holding it is the point")] MutexGuard<'a, Held>);

impl Memory {
    /// An empty firewall.
    pub fn new() -> Self {
        Self::default()
    }

    /// For tests: from now on refuses to enforce `net`, as a kernel refuses a bad element.
    pub fn refuse(&self, net: Subnet) {
        self.held().refused.insert(net);
    }

    /// For tests: stops the firewall until the answer is dropped.
    pub fn pause(&self) -> Pause<'_> {
        Pause(self.held())
    }

    /// The rules of a jail, if it is open.
    pub fn rules(&self, jail: &str) -> Option<Rules> {
        self.held().state.rules(jail).cloned()
    }

    /// What a kernel would hold for a jail: a prefix within another one is not in it.
    pub fn enforced(&self, jail: &str) -> Vec<Element> {
        let held = self.held();
        held.sets.get(jail).into_iter().flatten().map(|(&net, &timeout)| Element { net, timeout }).collect()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn apply(&mut self, changes: &[Change]) -> Result<Vec<Result<(), Refusal>>, FirewallError> {
        let Self { state, sets, refused } = self;
        plan::settle(state, changes, |_, plan| {
            let bad = plan.ops.iter().filter(|op| op.step != Step::Take && refused.contains(&op.net));
            let bad: Vec<_> = bad.map(|op| (op.change, Refusal("refused by a test".to_owned()))).collect();
            if bad.is_empty() {
                carry_out(plan, sets);
            }
            Ok(bad)
        })
    }

    fn clear(&mut self) {
        self.state = State::default();
        self.sets.clear();
    }

    fn list(&self) -> Enforced {
        let list = self.sets.iter().map(|(jail, set)| {
            let covered = self.state.covered(jail, set.keys().copied());
            let set = set.iter().map(|(&net, &timeout)| Element { net, timeout });
            (jail.clone(), set.chain(covered).collect())
        });
        list.collect()
    }
}

fn carry_out(plan: &Plan, sets: &mut BTreeMap<Arc<str>, BTreeMap<Subnet, Option<Duration>>>) {
    for jail in plan.close.keys() {
        sets.remove(jail);
    }
    for jail in plan.open.keys() {
        sets.insert(jail.clone(), BTreeMap::new());
    }
    for op in &plan.ops {
        let set = sets.entry(op.jail.clone()).or_default();
        match op.step {
            Step::Take => set.remove(&op.net),
            Step::Put(timeout) | Step::Renew(timeout) => set.insert(op.net, timeout),
        };
    }
}

impl Firewall for Memory {
    fn replace(&mut self, all: &[Wanted]) -> Result<Vec<Vec<(Subnet, Refusal)>>, FirewallError> {
        let mut held = self.held();
        held.clear();
        let (changes, owners) = plan::from_nothing(all);
        let answers = held.apply(&changes)?;
        Ok(plan::refusals(all, &changes, &owners, answers))
    }

    fn is_blank(&mut self, _: &[Wanted]) -> bool {
        self.held().state.is_empty()
    }

    fn apply(&mut self, changes: &[Change]) -> Result<Vec<Result<(), Refusal>>, FirewallError> {
        self.held().apply(changes)
    }

    fn list(&mut self) -> Result<Enforced, FirewallError> {
        Ok(self.held().list())
    }

    fn remove(&mut self) -> Result<(), FirewallError> {
        let mut held = self.held();
        held.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firewall::{Block, Hook, Ruleset};

    #[test]
    fn a_clone_sees_the_same_firewall_and_a_pause_holds_it() {
        let mut firewall = Memory::new();
        let look = firewall.clone();
        let ruleset = Ruleset {
            ports: vec![(22, 22)],
            protocols: vec![],
            block: Block::Drop,
            hooks: vec![Hook::Input],
            priority: 0,
        };
        let element = Element { net: "192.0.2.1".parse().unwrap(), timeout: None };
        let wanted = Wanted { jail: "sshd".into(), rules: ruleset.clone().into(), elements: vec![element] };
        let pause = look.pause();
        let worker = std::thread::spawn(move || firewall.replace(&[wanted]).map(|_| firewall));
        assert!(!worker.is_finished(), "it cannot, while the lock is held");
        drop(pause);
        let mut firewall = worker.join().unwrap().unwrap();
        assert_eq!(look.enforced("sshd"), [element]);
        assert_eq!(look.rules("sshd"), Some(ruleset.into()));
        firewall.remove().unwrap();
        assert_eq!(look.enforced("sshd"), []);
    }
}
