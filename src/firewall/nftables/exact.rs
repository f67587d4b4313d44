//! Bans in nftables exactly as Fail2Ban's actions spell them, over netlink; no process is started.
//!
//! What stands afterwards is what the actions' own commands would have made: see [`spelled`](super::spelled). `ledger`
//! turns what jails want into what their sets hold, `survey` looks at what is there, `structure` writes what is to
//! change. Other people's chains, sets and rules in the same tables stay.

mod ledger;
mod mend;
mod structure;
mod survey;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::elements;
use super::events::Lost;
use super::send::{self, Outcome};
use super::socket::Socket;
use super::spelled::{Layout, Place, Set};
use super::transaction::{Care, Target, Transaction};
use super::wire::{self, Kind, Writer};
use crate::firewall::heal::Damage;
use crate::firewall::plan::{self, Plan, State};
use crate::firewall::{Change, Element, Enforced, Firewall, FirewallError, Refusal, Wanted};
use crate::subnet::Subnet;
use ledger::{Key, Ledger};
use structure::{Work, home};
use survey::Survey;

/// How often everything is set up anew if somebody else changes it meanwhile.
const TRIES: usize = 3;

/// The nftables of the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct Exact {
    socket: Socket,
    ledger: Ledger,
    /// What the kernel holds of it; none: not known.
    state: Option<State<Layout>>,
}

impl Exact {
    /// Opens nftables; nothing in it changes yet.
    ///
    /// # Errors
    /// [`FirewallError::Permission`] and [`FirewallError::NoKernel`] are told apart.
    pub fn open() -> Result<Self, FirewallError> {
        Ok(Self { socket: Socket::open()?, ledger: Ledger::default(), state: Some(State::default()) })
    }

    /// Sends no transaction larger than this many bytes, as a kernel demands that grants no larger socket buffer.
    pub fn limit(&mut self, bytes: usize) {
        self.socket.limit(bytes);
    }

    /// Applies changes to what stands. With `left`, what an earlier run left of these sets and of the jails' own goes
    /// with the first of them.
    fn settle(
        &mut self,
        state: &mut State<Layout>,
        wishes: &[Change],
        left: Option<BTreeMap<Key, Layout>>,
    ) -> Result<Vec<Result<(), Refusal>>, FirewallError> {
        let translation = self.ledger.translate(wishes, state);
        let mut left = left.map_or_else(BTreeMap::new, |left| ledger::join(self.ledger.all(), left));
        let socket = &mut self.socket;
        let changes = &translation.changes;
        let is_clean = left.is_empty() && changes.len() > send::PIECE && !stands(socket, changes)?;
        let answers = send::settle(state, changes, is_clean, &mut |state, plan| {
            let outcome = carry_out(socket, state, plan, &left)?;
            if matches!(outcome, Outcome::Done) {
                left.clear();
            }
            Ok(outcome)
        })?;
        Ok(self.ledger.conclude(wishes, &translation, answers))
    }
}

/// Whether any of the sets that are to be made is there already.
fn stands(socket: &mut Socket, changes: &[Change<Layout>]) -> Result<bool, FirewallError> {
    let names = || {
        changes.iter().filter_map(|change| match change {
            Change::Open { rules, .. } => Some(&rules.set.name),
            _ => None,
        })
    };
    let survey = Survey::of(socket, &names().map(|name| name.place.clone()).collect())?;
    Ok(names().any(|name| survey.set(name).is_some()))
}

/// Sends a plan; where sets or rules change, after a look at what is there.
fn carry_out(
    socket: &mut Socket,
    state: &State<Layout>,
    plan: &Plan<Layout>,
    left: &BTreeMap<Key, Layout>,
) -> Result<Outcome, FirewallError> {
    let rules = state.rules_after(plan);
    let survey = if plan.is_structural() || !left.is_empty() {
        let all = rules.values().map(|(layout, _)| *layout);
        let closed = plan.close.keys().filter_map(|key| state.rules(key));
        let places: BTreeSet<Place> =
            all.chain(closed).chain(left.values()).map(|layout| layout.set.name.place.clone()).collect();
        Some(Survey::of(socket, &places)?)
    } else {
        None
    };
    let work = survey.as_ref().map(|survey| Work::of(plan, state, left, survey));
    if work.as_ref().is_some_and(Work::is_adrift) {
        return Err(FirewallError::Drift);
    }
    send::carry_out(socket, plan, false, |care: &[Care], first| {
        let mut transaction = Transaction::new(first);
        if let Some(work) = &work {
            work.write(&mut transaction);
        }
        transaction.ops(&plan.ops, care, |op| {
            let name = &rules.get(&op.jail)?.0.set.name;
            Some(Target { home: home(&name.place), set: (&*name.name).into(), expires: false })
        });
        transaction.close()
    })
}

impl Firewall for Exact {
    /// Sets of an earlier run are emptied and filled anew, in the same transaction.
    fn replace(&mut self, all: &[Wanted]) -> Result<Vec<Vec<(Subnet, Refusal)>>, FirewallError> {
        let left = self.ledger.all();
        let (changes, owners) = plan::from_nothing(all);
        let mut tries = 0;
        loop {
            tries += 1;
            self.ledger = Ledger::default();
            self.state = None;
            let mut state = State::default();
            match self.settle(&mut state, &changes, Some(left.clone())) {
                // Something went between the look at it and the change.
                Err(FirewallError::Drift) if tries < TRIES => {}
                Err(error) => return Err(error),
                Ok(answers) => {
                    self.state = Some(state);
                    return Ok(plan::refusals(all, &changes, &owners, answers));
                }
            }
        }
    }

    fn is_blank(&mut self, all: &[Wanted]) -> bool {
        let opens: Vec<Change> = all.iter().map(plan::open).collect();
        let mut ledger = Ledger::default();
        ledger.translate(&opens, &State::default());
        let names: Vec<_> = ledger::join(self.ledger.all(), ledger.all())
            .into_values()
            .map(|layout| layout.set.name)
            .collect();
        let survey = Survey::of(&mut self.socket, &names.iter().map(|name| name.place.clone()).collect());
        survey.is_ok_and(|survey| names.iter().all(|name| survey.set(name).is_none()))
    }

    fn apply(&mut self, changes: &[Change]) -> Result<Vec<Result<(), Refusal>>, FirewallError> {
        let mut state = self.state.take().ok_or(FirewallError::Drift)?;
        let answers = self.settle(&mut state, changes, None);
        self.state = (!matches!(answers, Err(FirewallError::Drift))).then_some(state);
        answers
    }

    fn damage(&self, lost: &Lost) -> Damage {
        self.state.as_ref().map(|state| mend::damage(&self.ledger, state, lost)).unwrap_or_default()
    }

    fn mend(&mut self, damage: &Damage) -> Result<BTreeSet<Arc<str>>, FirewallError> {
        let state = self.state.as_ref().ok_or(FirewallError::Drift)?;
        mend::mend(&mut self.socket, &self.ledger, state, damage)
    }

    fn port(&self) -> Option<u32> {
        Some(self.socket.port())
    }

    fn generation(&mut self) -> Option<u32> {
        self.socket.generation().ok().flatten()
    }

    fn list(&mut self) -> Result<Enforced, FirewallError> {
        let Some(state) = &self.state else { return Err(FirewallError::Drift) };
        let mut enforced = Enforced::new();
        for (jail, sets) in self.ledger.jails() {
            let mut elements: Vec<Element> = Vec::new();
            for (key, is_shared) in sets {
                let Some(layout) = state.rules(key) else { continue };
                let mut found = read_set(&mut self.socket, &layout.set)?;
                let covered: Vec<_> = state.covered(key, found.iter().map(|element| element.net)).collect();
                found.extend(covered);
                found.retain(|element| !is_shared || self.ledger.has_banned(jail, &element.net));
                elements.extend(found);
            }
            elements.sort_unstable_by_key(|element| element.net);
            elements.dedup_by_key(|element| element.net);
            enforced.push((Arc::clone(jail), elements));
        }
        Ok(enforced)
    }

    fn remove(&mut self) -> Result<(), FirewallError> {
        let left = self.ledger.all();
        self.ledger = Ledger::default();
        self.state = None;
        let mut state = State::default();
        self.settle(&mut state, &[], Some(left))?;
        self.state = Some(state);
        Ok(())
    }
}

/// What is in a set.
fn read_set(socket: &mut Socket, set: &Set) -> Result<Vec<Element>, FirewallError> {
    let home = home(&set.name.place);
    let request = |writer: &mut Writer| {
        writer.message_to(home.family, Kind::GetElement, wire::NLM_F_DUMP, |message| {
            elements::write_set(message, home.table, &set.name.name);
        });
    };
    let found = socket.dump(request, |found: &mut elements::Found, message| {
        found.read(message, set.is_ipv6, set.is_interval);
    })?;
    Ok(found.finish())
}
