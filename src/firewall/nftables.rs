//! Bans in the kernel's nftables, over netlink; no process is started.
//!
//! Everything lives in the table `inet stockade`, laid out in `ruleset`. Works from Linux 5.10 on.
//! `ruleset`, `rules`, `hits`, `transaction`, `elements` and `wire` are pure; `socket` talks to the kernel.

mod elements;
pub mod events;
pub mod exact;
mod expression;
#[cfg(feature = "faults")]
pub mod fuzz;
mod hits;
mod left;
mod mend;
pub mod monitor;
mod rules;
mod ruleset;
mod send;
mod socket;
pub mod spelled;
mod transaction;
pub(super) mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use super::heal::Damage;
use super::plan::{self, Plan, State};
use super::{Change, Element, Enforced, Firewall, FirewallError, Refusal, Rules, Singles, Wanted};
use crate::subnet::Subnet;
use events::Lost;
use left::look;
use ruleset::{BaseChain, Found, SetKind};
use send::Outcome;
use socket::Socket;
use transaction::{Care, Table, Transaction};
use wire::{Kind, Writer};

/// The nftables of the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct Nftables {
    socket: Socket,
    /// What the kernel holds; none: not known, because an earlier run left it.
    standing: Option<Standing>,
    /// A change did not find it so.
    adrift: bool,
}

#[derive(Debug, Default)]
struct Standing {
    state: State,
    table: Table,
}

impl Nftables {
    /// Opens nftables; nothing in it changes yet.
    ///
    /// # Errors
    /// [`FirewallError::Permission`] and [`FirewallError::NoKernel`] are told apart.
    pub fn open() -> Result<Self, FirewallError> {
        let mut socket = Socket::open()?;
        let table = look(&mut socket)?.table();
        let standing = (!table.is_foreign()).then(|| Standing { state: State::default(), table });
        Ok(Self { socket, standing, adrift: false })
    }

    /// Sends no transaction larger than this many bytes, as a kernel demands that grants no larger socket buffer.
    pub fn limit(&mut self, bytes: usize) {
        self.socket.limit(bytes);
    }

    fn change(
        &mut self,
        changes: &[Change],
        gentle: bool,
    ) -> Result<Vec<Result<(), Refusal>>, FirewallError> {
        if self.adrift {
            return Err(FirewallError::Drift);
        }
        let mut standing = self.standing.take().ok_or(FirewallError::Drift)?;
        let answers = self.settle(&mut standing, changes, gentle);
        self.adrift = matches!(answers, Err(FirewallError::Drift));
        self.standing = Some(standing);
        answers
    }

    /// Applies changes to what stands.
    fn settle(
        &mut self,
        standing: &mut Standing,
        changes: &[Change],
        gentle: bool,
    ) -> Result<Vec<Result<(), Refusal>>, FirewallError> {
        let Standing { state, table } = standing;
        let is_clean = !table.is_foreign();
        send::settle(state, changes, is_clean, &mut |state, plan| {
            let refused = impossible(plan);
            if !refused.is_empty() {
                return Ok(Outcome::Refused(refused));
            }
            let build = |care: &[Care], first| Transaction::of(plan, state, table, care, first);
            let outcome = send::carry_out(&mut self.socket, plan, gentle, build)?;
            if let (Outcome::Done, Some(after)) = (&outcome, table_after(plan, state, table)) {
                *table = after;
            }
            Ok(outcome)
        })
    }
}

/// The transaction that enforces all of this where nothing stands, as the kernel would get it.
///
/// # Errors
/// A jail's rules cannot be written.
pub fn in_bytes(all: &[Wanted]) -> Result<Vec<u8>, FirewallError> {
    let (changes, _) = plan::from_nothing(all);
    let mut bytes = Vec::new();
    plan::settle(&mut State::default(), &changes, |state, plan| {
        let refused = impossible(plan);
        if refused.is_empty() {
            let care = vec![Care::default(); plan.ops.len()];
            let transaction = Transaction::of(plan, state, &Table::default(), &care, 1);
            bytes = transaction.writer().bytes().to_vec();
        }
        Ok(refused)
    })?;
    Ok(bytes)
}

/// The rules that cannot be written at all.
fn impossible(plan: &Plan) -> Vec<(usize, Refusal)> {
    let reason = |jail: &str, rules: &Rules| match (ruleset::set_name(jail, SetKind::ALL[0]), rules.own()) {
        (None, _) => Some("the jail's name is too long for nftables"),
        (_, None) => Some("the jail's rules are those of Fail2Ban's actions"),
        (_, Some(ruleset)) if ruleset.hooks.is_empty() => Some("the jail's `hooks` are empty"),
        _ => None,
    };
    let rules = plan.rules.iter();
    rules.filter_map(|(jail, (r, change))| Some((*change, Refusal(reason(jail, r)?.to_owned())))).collect()
}

/// The table once a plan stands; none when it only changed elements.
fn table_after(plan: &Plan, state: &State, table: &Table) -> Option<Table> {
    if !plan.is_structural() && !table.is_foreign() {
        return None;
    }
    let rules = state.rules_after(plan);
    let bases = rules.values().flat_map(|(rules, _)| BaseChain::of(rules)).collect();
    Some(Table { bases, ..Table::default() })
}

/// Reads what a dump of everything of one kind finds in our table.
fn read_all<T>(
    socket: &mut Socket,
    kind: Kind,
    read: fn(wire::Message) -> Option<T>,
) -> Result<Vec<T>, FirewallError> {
    let everything = |writer: &mut Writer| writer.message(kind, wire::NLM_F_DUMP, |_| {});
    socket.dump(everything, |found: &mut Vec<T>, message| found.extend(read(message)))
}

impl Firewall for Nftables {
    /// Sets that are already there are emptied and filled anew: comparing what is in them would take longer, for a
    /// dump of a large set costs the kernel the square of its size.
    fn replace(&mut self, all: &[Wanted]) -> Result<Vec<Vec<(Subnet, Refusal)>>, FirewallError> {
        self.standing = None;
        self.adrift = false;
        let mut standing = Standing { state: State::default(), table: look(&mut self.socket)?.table() };
        let (changes, owners) = plan::from_nothing(all);
        let answers = self.settle(&mut standing, &changes, false)?;
        self.standing = Some(standing);
        Ok(plan::refusals(all, &changes, &owners, answers))
    }

    fn is_blank(&mut self, _: &[Wanted]) -> bool {
        look(&mut self.socket).is_ok_and(|seen| !seen.table().is_foreign())
    }

    fn take_up(&mut self, bare: &[Wanted]) -> Result<bool, FirewallError> {
        let seen = look(&mut self.socket)?;
        let is_counted = seen.is_counted();
        let table = Table { keeps: true, ..seen.table() };
        if !is_counted || table.is_odd || table.left.is_empty() {
            return Ok(false);
        }
        self.standing = None;
        self.adrift = false;
        let mut standing = Standing { state: State::default(), table };
        let (changes, _) = plan::from_nothing(bare);
        let is_whole = self.settle(&mut standing, &changes, false)?.iter().all(Result::is_ok);
        self.standing = Some(standing);
        Ok(is_whole)
    }

    fn replace_prefixes(&mut self, changes: &[Change]) -> Result<Vec<Result<(), Refusal>>, FirewallError> {
        let mut standing = self.standing.take().ok_or(FirewallError::Drift)?;
        let answers = plan::settle(&mut standing.state, changes, |state, plan| {
            let build = |care: &[Care], first| Transaction::of_prefixes(plan, state, care, first);
            match send::carry_out(&mut self.socket, plan, false, build)? {
                Outcome::Done => Ok(Vec::new()),
                Outcome::Refused(refused) => Ok(refused),
                Outcome::TooLarge => Err(send::too_large()),
            }
        });
        self.standing = Some(standing);
        answers
    }

    fn holds(&mut self, wanted: &[(Arc<str>, Singles)]) -> bool {
        look(&mut self.socket).is_ok_and(|seen| seen.holds(wanted))
    }

    fn apply(&mut self, changes: &[Change]) -> Result<Vec<Result<(), Refusal>>, FirewallError> {
        self.change(changes, false)
    }

    fn restore(&mut self, changes: &[Change]) -> Result<Vec<Result<(), Refusal>>, FirewallError> {
        self.change(changes, true)
    }

    fn damage(&self, lost: &Lost) -> Damage {
        self.standing.as_ref().map(|standing| mend::damage(&standing.state, lost)).unwrap_or_default()
    }

    fn mend(&mut self, damage: &Damage) -> Result<BTreeSet<Arc<str>>, FirewallError> {
        let standing = self.standing.as_mut().ok_or(FirewallError::Drift)?;
        let jails = mend::mend(&mut self.socket, standing, damage)?;
        self.adrift = false;
        Ok(jails)
    }

    fn port(&self) -> Option<u32> {
        Some(self.socket.port())
    }

    fn generation(&mut self) -> Option<u32> {
        self.socket.generation().ok().flatten()
    }

    fn list(&mut self) -> Result<Enforced, FirewallError> {
        let mut jails: BTreeMap<Arc<str>, Vec<Element>> = BTreeMap::new();
        for found in read_all(&mut self.socket, Kind::GetSet, ruleset::read_set)? {
            let Found::Set(jail, kind, _) = found else { continue };
            let Some(name) = ruleset::set_name(&jail, kind) else { continue };
            let request = |writer: &mut Writer| {
                writer.message(Kind::GetElement, wire::NLM_F_DUMP, |set| {
                    elements::write_set(set, ruleset::TABLE, &name);
                });
            };
            let found = self.socket.dump(request, |found: &mut elements::Found, message| {
                found.read(message, kind.is_ipv6, kind.is_net);
            })?;
            jails.entry(jail).or_default().append(&mut found.finish());
        }
        if let Some(standing) = &self.standing {
            for (jail, elements) in &mut jails {
                let covered = standing.state.covered(jail, elements.iter().map(|element| element.net));
                elements.extend(covered.collect::<Vec<_>>());
            }
        }
        Ok(jails.into_iter().collect())
    }

    fn remove(&mut self) -> Result<(), FirewallError> {
        self.standing = None;
        let mut transaction = Transaction::new(self.socket.number());
        // Made first, for removing what is not there would fail.
        ruleset::new_table(&mut transaction);
        ruleset::delete_table(&mut transaction);
        let failed = self.socket.commit(transaction.close().writer())?;
        if let Some(&(_, errno)) = failed.first() {
            return Err(io::Error::from_raw_os_error(errno).into());
        }
        self.standing = Some(Standing::default());
        Ok(())
    }
}
