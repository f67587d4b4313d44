//! What stands in the table `inet stockade` before this program changes it, as an earlier run left it.
//!
//! What its sets hold is not read, for a dump of a large set costs the kernel the square of its size. But a kernel that
//! says how many elements a set has makes that needless: where nothing but what is wanted was put to what was there, and
//! there are no more than that, all of it is what is wanted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::read_all;
use super::ruleset::{self, BaseChain, Found, SetKind};
use super::socket::Socket;
use super::transaction::Table;
use super::wire::Kind;
use crate::firewall::{FirewallError, Singles};

/// What is in the table.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Something in it is not as this version makes it.
    pub(super) is_odd: bool,
    pub(super) bases: BTreeSet<BaseChain>,
    pub(super) chains: BTreeSet<Arc<str>>,
    /// How many elements each set has, where the kernel says so.
    pub(super) sets: BTreeMap<(Arc<str>, SetKind), Option<u32>>,
}

/// Looks at what is in the table, but for elements and rules.
pub(super) fn look(socket: &mut Socket) -> Result<Seen, FirewallError> {
    let Some(is_plain) = read_all(socket, Kind::GetTable, ruleset::read_table)?.pop() else {
        return Ok(Seen::default());
    };
    let mut seen = Seen { is_odd: !is_plain, ..Seen::default() };
    let mut found = read_all(socket, Kind::GetChain, ruleset::read_chain)?;
    found.extend(read_all(socket, Kind::GetSet, ruleset::read_set)?);
    for found in found {
        match found {
            Found::Base(base) => drop(seen.bases.insert(base)),
            Found::Jail(jail) => drop(seen.chains.insert(jail)),
            Found::Set(jail, kind, count) => drop(seen.sets.insert((jail, kind), count)),
            Found::Hits => {}
            Found::Odd => seen.is_odd = true,
        }
    }
    Ok(seen)
}

impl Seen {
    /// The table, as far as an earlier run could have left it.
    pub(super) fn table(self) -> Table {
        let Self { is_odd, bases, chains, sets } = self;
        // A jail has its chain and all its sets.
        let whole = chains.iter().flat_map(|jail| SetKind::ALL.map(|kind| (jail.clone(), kind)));
        if is_odd || whole.collect::<BTreeSet<_>>() != sets.into_keys().collect() {
            return Table { is_odd: true, ..Table::default() };
        }
        Table { left: chains, bases, ..Table::default() }
    }

    /// Whether the kernel says how many elements each set has.
    pub(super) fn is_counted(&self) -> bool {
        self.sets.values().all(Option::is_some)
    }

    /// Whether the sets of these jails hold so many single addresses.
    pub(super) fn holds(&self, wanted: &[(Arc<str>, Singles)]) -> bool {
        wanted.iter().all(|(jail, singles)| {
            SetKind::ALL.into_iter().filter(|kind| !kind.is_net).all(|kind| {
                let wanted = if kind.is_ipv6 { singles.six } else { singles.four };
                let count = self.sets.get(&(jail.clone(), kind)).copied().flatten();
                count.is_some_and(|count| u64::from(count) == wanted as u64)
            })
        })
    }
}
