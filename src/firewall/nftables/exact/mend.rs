//! What others took out of the tables that actions name, and how it is put back: all but elements.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::ledger::{Key, Ledger};
use super::structure::{Work, home};
use super::survey::Survey;
use crate::firewall::FirewallError;
use crate::firewall::heal::Damage;
use crate::firewall::nftables::elements::Found as Elements;
use crate::firewall::nftables::events::Lost;
use crate::firewall::nftables::socket::Socket;
use crate::firewall::nftables::spelled::{Layout, Place};
use crate::firewall::nftables::transaction::Transaction;
use crate::firewall::plan::{Plan, State};

/// What of a transaction's losses was the jails'.
pub(super) fn damage(ledger: &Ledger, state: &State<Layout>, lost: &Lost) -> Damage {
    let mut damage = Damage { unclear: lost.is_more, ..Damage::default() };
    let plan = Plan::default();
    for (key, (layout, _)) in state.rules_after(&plan) {
        let (name, home) = (&layout.set.name, home(&layout.set.name.place));
        let Some(losses) = lost.tables.get(&(home.family, home.table.to_owned())) else { continue };
        let is_torn = |chain: &str| {
            losses.chains.contains(chain)
                || losses.rules.get(chain).is_some_and(|sets| sets.contains(&*name.name))
        };
        damage.structure |= losses.whole || layout.branches.iter().any(|(chain, _)| is_torn(&chain.name));
        if losses.whole || losses.sets.contains(&*name.name) {
            damage.sets.extend(ledger.users(key).cloned());
        } else if losses.emptied.contains(&*name.name) {
            damage.emptied.extend(ledger.users(key).cloned());
        } else if let Some(bounds) = losses.elements.get(&*name.name) {
            let nets: Vec<_> =
                Elements::of(bounds, layout.set.is_interval).iter().map(|one| one.net).collect();
            for jail in ledger.users(key) {
                let own: Vec<_> = nets.iter().filter(|net| ledger.has_banned(jail, net)).copied().collect();
                if !own.is_empty() {
                    damage.bans.entry(jail.clone()).or_default().extend(own);
                }
            }
        }
    }
    damage
}

/// Puts tables, chains, sets and rules back. Answers with the jails whose bans are missing.
pub(super) fn mend(
    socket: &mut Socket,
    ledger: &Ledger,
    state: &State<Layout>,
    damage: &Damage,
) -> Result<BTreeSet<Arc<str>>, FirewallError> {
    let nothing = Plan::default();
    let all = state.rules_after(&nothing);
    let places: BTreeSet<Place> = all.values().map(|(layout, _)| layout.set.name.place.clone()).collect();
    let survey = Survey::of(socket, &places)?;
    let went = |key: &Key| ledger.users(key).any(|jail| damage.sets.contains(jail));
    let torn = |key: &Key, layout: &Layout| survey.set(&layout.set.name).is_none() || went(key);
    let torn: BTreeSet<Key> =
        all.iter().filter(|(key, (layout, _))| torn(key, layout)).map(|(key, _)| (*key).clone()).collect();
    let jails = torn.iter().flat_map(|key| ledger.users(key)).cloned().collect();
    let plan = state.again(torn);
    let left = BTreeMap::<Key, Layout>::new();
    let work = Work::of(&plan, state, &left, &survey);
    if work.is_adrift() {
        return Err(FirewallError::Drift);
    }
    let mut transaction = Transaction::new(socket.number());
    work.write(&mut transaction);
    let transaction = transaction.close();
    let is_large = !socket.reserve(transaction.writer().bytes().len())?;
    if is_large || (!transaction.is_empty() && !socket.commit(transaction.writer())?.is_empty()) {
        return Err(FirewallError::Drift);
    }
    Ok(jails)
}
