//! What others took out of the table `inet stockade`, and how it is put back: all but elements.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Standing;
use super::elements::Found as Elements;
use super::events::Lost;
use super::left::look;
use super::ruleset::{self, HOME, SetKind};
use super::socket::Socket;
use super::transaction::{Table, Transaction};
use crate::firewall::FirewallError;
use crate::firewall::heal::Damage;
use crate::firewall::plan::{Plan, State};

/// What of a transaction's losses was this program's.
pub(super) fn damage(state: &State, lost: &Lost) -> Damage {
    let mut damage = Damage { unclear: lost.is_more, ..Damage::default() };
    let Some(losses) = lost.tables.get(&(HOME.family, HOME.table.to_owned())) else { return damage };
    damage.structure = losses.whole || !(losses.chains.is_empty() && losses.rules.is_empty());
    let plan = Plan::default();
    for jail in state.rules_after(&plan).into_keys() {
        for kind in SetKind::ALL {
            let Some(name) = ruleset::set_name(jail, kind) else { continue };
            if losses.whole || losses.sets.contains(&name) {
                damage.sets.insert(jail.clone());
            } else if losses.emptied.contains(&name) {
                damage.emptied.insert(jail.clone());
            } else if let Some(bounds) = losses.elements.get(&name) {
                let nets = Elements::of(bounds, kind.is_net).into_iter().map(|element| element.net);
                damage.bans.entry(jail.clone()).or_default().extend(nets);
            }
        }
    }
    damage
}

/// Puts tables, chains, sets and rules back. Answers with the jails whose bans are missing.
pub(super) fn mend(
    socket: &mut Socket,
    standing: &mut Standing,
    damage: &Damage,
) -> Result<BTreeSet<Arc<str>>, FirewallError> {
    let seen = look(socket)?;
    let plan = Plan::default();
    let all = standing.state.rules_after(&plan);
    let is_ours = |jail: &Arc<str>| all.contains_key(jail);
    if seen.is_odd || !seen.chains.iter().chain(seen.sets.keys().map(|(jail, _)| jail)).all(is_ours) {
        return Err(FirewallError::Drift);
    }
    let is_torn =
        |jail: &Arc<str>| SetKind::ALL.iter().any(|kind| !seen.sets.contains_key(&(jail.clone(), *kind)));
    let mut jails: BTreeSet<Arc<str>> =
        all.keys().filter(|jail| is_torn(jail)).map(|jail| (*jail).clone()).collect();
    jails.extend(damage.sets.iter().filter(|jail| is_ours(jail)).cloned());
    let mut transaction = Transaction::new(socket.number());
    transaction.mend(&standing.state, &seen.bases, &damage.sets);
    let transaction = transaction.close();
    if !socket.reserve(transaction.writer().bytes().len())?
        || !socket.commit(transaction.writer())?.is_empty()
    {
        return Err(FirewallError::Drift);
    }
    let bases = all.values().flat_map(|(rules, _)| ruleset::BaseChain::of(rules)).collect();
    standing.table = Table { bases, ..Table::default() };
    Ok(jails)
}
