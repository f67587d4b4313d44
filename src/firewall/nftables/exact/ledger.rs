//! Which jail wants what in which set, where sets belong to actions and not to jails.
//!
//! Pure. In: [`Change`]s about jails. Out: changes about sets, for [`plan`](crate::firewall::plan), whose jails they
//! are. An action's set appears with its jail, or with the first ban of its family; several actions, and even several
//! jails, may share one, and an element stays while any of them wants it.

mod nets;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::action::template::Family;
use crate::firewall::nftables::spelled::{Face, Layout, Set, Share, Spelled};
use crate::firewall::plan::{Shape, State};
use crate::firewall::{Change, Element, Refusal, Rules};
use crate::subnet::Subnet;
use nets::Nets;

impl Shape for Layout {
    fn is_in_tree(&self, _: Subnet) -> bool {
        self.set.is_interval
    }
}

/// A set, as nft names it: `inet f2b-table addr-set-sshd`.
pub(super) type Key = Arc<str>;

/// What all jails want.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    jails: BTreeMap<Arc<str>, Account>,
    /// The jails that have made a set appear.
    users: BTreeMap<Key, BTreeSet<Arc<str>>>,
}

/// One jail.
#[derive(Debug)]
struct Account {
    actions: Arc<[Spelled]>,
    /// The sets of its actions, each once.
    sets: Vec<Target>,
    /// Whom it has banned.
    nets: Nets,
    /// The sets that it has made appear.
    started: BTreeSet<Key>,
}

/// A set that a jail's bans go to.
#[derive(Debug, Clone)]
struct Target {
    key: Key,
    /// Whose bans; none: everybody's.
    family: Option<Family>,
    is_ipv6: bool,
    is_interval: bool,
    share: Share,
    /// Whether it appears with the jail itself.
    at_once: bool,
}

impl Account {
    fn new(actions: &Arc<[Spelled]>, nets: Nets) -> Self {
        let mut sets: Vec<Target> = Vec::new();
        for action in actions.iter() {
            for Face { family, layout } in &action.faces {
                let key: Key = layout.set.name.to_string().into();
                let at_once = !action.on_demand;
                if let Some(target) = sets.iter_mut().find(|target| target.key == key) {
                    target.at_once |= at_once;
                    target.family = target.family.filter(|own| Some(*own) == *family);
                } else {
                    let Set { is_ipv6, is_interval, share, .. } = layout.set;
                    sets.push(Target { key, family: *family, is_ipv6, is_interval, share, at_once });
                }
            }
        }
        Self { actions: actions.clone(), sets, nets, started: BTreeSet::new() }
    }

    /// Each set of the jail, with all that its actions want of it.
    fn layouts(&self) -> BTreeMap<Key, Layout> {
        let mut layouts: BTreeMap<Key, Layout> = BTreeMap::new();
        for face in self.actions.iter().flat_map(|action| &action.faces) {
            let key = face.layout.set.name.to_string().into();
            layouts
                .entry(key)
                .and_modify(|own| own.join(&face.layout))
                .or_insert_with(|| face.layout.clone());
        }
        layouts
    }

    /// The sets that a ban goes to.
    fn targets(&self, net: &Subnet) -> Vec<Target> {
        let own = if net.is_ipv6() { Family::Inet6 } else { Family::Inet4 };
        let takes = |set: &&Target| set.family.is_none_or(|family| family == own) && set.share.has(net);
        self.sets.iter().filter(takes).cloned().collect()
    }
}

/// All sets of both.
pub(super) fn join(mut all: BTreeMap<Key, Layout>, more: BTreeMap<Key, Layout>) -> BTreeMap<Key, Layout> {
    for (key, layout) in more {
        all.entry(key).and_modify(|own| own.join(&layout)).or_insert(layout);
    }
    all
}

/// Changes about sets, and what they serve.
#[derive(Debug, Default)]
pub(super) struct Translation {
    /// What is to change.
    pub(super) changes: Vec<Change<Layout>>,
    /// With each the index of the change about a jail that it comes from.
    owners: Vec<usize>,
    /// What cannot be done at all.
    refused: BTreeMap<usize, Refusal>,
}

impl Translation {
    fn push(&mut self, owner: usize, change: Change<Layout>) {
        self.changes.push(change);
        self.owners.push(owner);
    }

    /// The answers to the changes about jails.
    fn answers(&self, count: usize, answers: Vec<Result<(), Refusal>>) -> Vec<Result<(), Refusal>> {
        let mut all = vec![Ok(()); count];
        for (owner, refusal) in &self.refused {
            all[*owner] = Err(refusal.clone());
        }
        for (owner, answer) in self.owners.iter().zip(answers) {
            if all[*owner].is_ok() {
                all[*owner] = answer;
            }
        }
        all
    }
}

impl Ledger {
    /// What the changes mean for the sets, of which `state` tells what stands.
    pub(super) fn translate(&mut self, changes: &[Change], state: &State<Layout>) -> Translation {
        let mut desk =
            Desk { ledger: self, state, fresh: BTreeMap::new(), last: None, out: Translation::default() };
        for (index, change) in changes.iter().enumerate() {
            match change {
                Change::Open { jail, rules: Rules::Spelled(actions) } => desk.open(index, jail, actions),
                Change::Open { rules: Rules::Own(_), .. } => {
                    desk.refuse(index, "the jail's rules are not those of Fail2Ban's actions");
                }
                Change::Close { jail } => desk.close(index, jail),
                Change::Ban { jail, element } => desk.ban(index, jail, element.net),
                Change::Unban { jail, net } => desk.unban(index, jail, *net),
            }
        }
        desk.out
    }

    /// Turns the answers about sets into answers about jails, and forgets what was refused.
    pub(super) fn conclude(
        &mut self,
        changes: &[Change],
        translation: &Translation,
        answers: Vec<Result<(), Refusal>>,
    ) -> Vec<Result<(), Refusal>> {
        let answers = translation.answers(changes.len(), answers);
        if answers.iter().all(Result::is_ok) {
            return answers;
        }
        // Of several changes about one element the last one tells.
        let mut told: BTreeSet<(&Arc<str>, Subnet)> = BTreeSet::new();
        for (change, answer) in changes.iter().zip(&answers).rev() {
            let (jail, net, is_ban) = match change {
                Change::Ban { jail, element } => (jail, element.net, true),
                Change::Unban { jail, net } => (jail, *net, false),
                Change::Open { .. } | Change::Close { .. } => continue,
            };
            if told.insert((jail, net))
                && is_ban
                && answer.is_err()
                && let Some(account) = self.jails.get_mut(jail)
            {
                account.nets.remove(&net);
            }
        }
        answers
    }

    /// Every set that a jail may make appear, with its layout.
    pub(super) fn all(&self) -> BTreeMap<Key, Layout> {
        self.jails.values().map(Account::layouts).fold(BTreeMap::new(), join)
    }

    /// The jails, each with the sets it has made appear; with `is_shared` if it is not alone there.
    pub(super) fn jails(&self) -> impl Iterator<Item = (&Arc<str>, Vec<(&Key, bool)>)> {
        self.jails.iter().map(|(jail, account)| {
            let is_shared = |key: &Key| self.users.get(key).is_some_and(|users| users.len() > 1);
            (jail, account.started.iter().map(|key| (key, is_shared(key))).collect())
        })
    }

    /// The jails that have made a set appear.
    pub(super) fn users(&self, key: &Key) -> impl Iterator<Item = &Arc<str>> {
        self.users.get(key).into_iter().flatten()
    }

    /// Whether a jail has banned this.
    pub(super) fn has_banned(&self, jail: &str, net: &Subnet) -> bool {
        self.jails.get(jail).is_some_and(|account| account.nets.contains(net))
    }

    /// What all jails together want of a set; none: nobody has made it appear.
    fn wanted(&self, key: &Key) -> Option<Layout> {
        let accounts = self.users.get(key)?.iter().filter_map(|jail| self.jails.get(jail));
        let layouts = accounts.filter_map(|account| account.layouts().remove(key));
        layouts.reduce(|mut all, layout| {
            all.join(&layout);
            all
        })
    }

    /// Whether another jail wants this in a set.
    fn is_wanted_by_others(&self, jail: &str, key: &Key, net: &Subnet) -> bool {
        let others = self.users.get(key).into_iter().flatten().filter(|other| ***other != *jail);
        others.filter_map(|other| self.jails.get(other)).any(|account| account.nets.contains(net))
    }
}

/// A ledger while changes are translated.
struct Desk<'a> {
    ledger: &'a mut Ledger,
    state: &'a State<Layout>,
    /// The sets as the changes so far leave them; none: it goes.
    fresh: BTreeMap<Key, Option<Layout>>,
    /// The jail of the last ban of a single address and the one set that this went to: others like it go there, too.
    last: Option<(Arc<str>, Target)>,
    out: Translation,
}

impl Desk<'_> {
    fn refuse(&mut self, index: usize, why: &str) {
        self.out.refused.insert(index, Refusal(why.to_owned()));
    }

    /// The set as it stands at this point.
    fn standing(&self, key: &Key) -> Option<&Layout> {
        self.fresh.get(key).map_or_else(|| self.state.rules(key), Option::as_ref)
    }

    fn open(&mut self, index: usize, jail: &Arc<str>, actions: &Arc<[Spelled]>) {
        self.last = None;
        let old = self.ledger.jails.remove(jail);
        if old.as_ref().is_some_and(|old| old.actions == *actions) {
            self.ledger.jails.extend(old.map(|old| (jail.clone(), old)));
        } else {
            let (nets, started) = old.map_or_else(Default::default, |old| (old.nets, old.started));
            let account = Account::new(actions, nets);
            let wanted: BTreeSet<Key> = account
                .nets
                .to_vec()
                .iter()
                .flat_map(|net| account.targets(net))
                .map(|target| target.key)
                .collect();
            self.ledger.jails.insert(jail.clone(), account);
            for key in wanted {
                self.start(index, jail, &key);
            }
            for key in started {
                self.leave(index, jail, &key);
            }
        }
        let sets = self.ledger.jails[jail].sets.clone();
        for target in sets.iter().filter(|target| target.at_once) {
            self.start(index, jail, &target.key);
        }
    }

    fn close(&mut self, index: usize, jail: &Arc<str>) {
        self.last = None;
        let Some(account) = self.ledger.jails.get_mut(jail) else { return };
        for key in std::mem::take(&mut account.started) {
            self.leave(index, jail, &key);
        }
        self.ledger.jails.remove(jail);
    }

    /// Where one set does not take it, the others do, as when each action's command is run.
    fn ban(&mut self, index: usize, jail: &Arc<str>, net: Subnet) {
        let Some(account) = self.ledger.jails.get(jail) else {
            return self.refuse(index, &format!("the jail `{jail}` has no rules in the firewall"));
        };
        let same = |(last, target): &&(Arc<str>, Target)| {
            Arc::ptr_eq(last, jail) && net.is_single() && net.is_ipv6() == target.is_ipv6
        };
        if let Some((_, target)) = self.last.as_ref().filter(same) {
            let element = Element { net, timeout: None };
            self.out.push(index, Change::Ban { jail: target.key.clone(), element });
        } else {
            let targets = account.targets(&net);
            if targets.is_empty() {
                return self.refuse(index, "none of the jail's actions is for such addresses");
            }
            self.last = None;
            for target in &targets {
                let is_in = self.ban_in(index, jail, target, net);
                if is_in && targets.len() == 1 && net.is_single() {
                    self.last = Some((jail.clone(), target.clone()));
                }
            }
        }
        if let Some(account) = self.ledger.jails.get_mut(jail) {
            account.nets.insert(net);
        }
    }

    /// Whether the set takes such addresses.
    fn ban_in(&mut self, index: usize, jail: &Arc<str>, target: &Target, net: Subnet) -> bool {
        let Target { key, is_ipv6, is_interval, .. } = target;
        if *is_ipv6 != net.is_ipv6() {
            let kind = if *is_ipv6 { "IPv6" } else { "IPv4" };
            self.refuse(index, &format!("the set `{key}` is for {kind} only"));
            return false;
        }
        if !net.is_single() && !is_interval {
            let why = "has no `flags interval`, without which it takes no prefix";
            self.refuse(index, &format!("the set `{key}` {why}"));
            return false;
        }
        self.start(index, jail, key);
        let element = Element { net, timeout: None };
        self.out.push(index, Change::Ban { jail: key.clone(), element });
        true
    }

    fn unban(&mut self, index: usize, jail: &Arc<str>, net: Subnet) {
        let Some(account) = self.ledger.jails.get_mut(jail) else { return };
        account.nets.remove(&net);
        for Target { key, .. } in account.targets(&net) {
            if !self.ledger.is_wanted_by_others(jail, &key, &net) {
                self.out.push(index, Change::Unban { jail: key, net });
            }
        }
    }

    /// Makes a set appear, if it is not there.
    fn start(&mut self, index: usize, jail: &Arc<str>, key: &Key) {
        let Some(account) = self.ledger.jails.get_mut(jail) else { return };
        let is_new = account.started.insert(key.clone());
        let joins = is_new && self.ledger.users.entry(key.clone()).or_default().insert(jail.clone());
        let stands = self.standing(key).is_some();
        if is_new || !stands {
            self.refresh(index, key);
        }
        if joins || !stands {
            self.fill(index, jail, key);
        }
    }

    /// Takes a jail's wishes from a set, which goes with the last.
    fn leave(&mut self, index: usize, jail: &Arc<str>, key: &Key) {
        let Some(account) = self.ledger.jails.get(jail) else { return };
        if account.started.contains(key) {
            return self.refresh(index, key);
        }
        let users = self.ledger.users.entry(key.clone()).or_default();
        users.remove(jail);
        if users.is_empty() {
            self.ledger.users.remove(key);
            return self.refresh(index, key);
        }
        let nets = self.ledger.jails[jail].nets.to_vec().into_iter();
        let alone: Vec<_> = nets.filter(|net| !self.ledger.is_wanted_by_others(jail, key, net)).collect();
        for net in alone {
            self.out.push(index, Change::Unban { jail: key.clone(), net });
        }
        self.refresh(index, key);
    }

    /// Makes a set what its jails want.
    fn refresh(&mut self, index: usize, key: &Key) {
        let wanted = self.ledger.wanted(key);
        let standing = self.standing(key);
        if wanted.as_ref() == standing {
            return;
        }
        let is_other = standing.zip(wanted.as_ref()).is_some_and(|(old, new)| old.set != new.set);
        if is_other || wanted.is_none() {
            self.out.push(index, Change::Close { jail: key.clone() });
        }
        self.fresh.insert(key.clone(), wanted.clone());
        let Some(rules) = wanted else { return };
        self.out.push(index, Change::Open { jail: key.clone(), rules });
        if is_other {
            let users: Vec<_> = self.ledger.users.get(key).into_iter().flatten().cloned().collect();
            for jail in users {
                self.fill(index, &jail, key);
            }
        }
    }

    /// Puts everything that a jail has banned into a set.
    fn fill(&mut self, index: usize, jail: &Arc<str>, key: &Key) {
        let Some((account, layout)) = self.ledger.jails.get(jail).zip(self.standing(key)) else { return };
        let takes = |net: &Subnet| {
            let fits = net.is_single() || layout.set.is_interval;
            net.is_ipv6() == layout.set.is_ipv6 && fits && layout.set.share.has(net)
        };
        let nets: Vec<_> = account.nets.to_vec().into_iter().filter(takes).collect();
        for net in nets {
            let element = Element { net, timeout: None };
            self.out.push(index, Change::Ban { jail: key.clone(), element });
        }
    }
}

#[cfg(test)]
mod tests;
