use proptest::prelude::*;

use super::*;
use crate::action::Definition;
use crate::firewall::nftables::spelled;
use crate::firewall::nftables::spelled::tests::grammar::Action;
use crate::firewall::plan::{self, Step};

fn net(text: &str) -> Subnet {
    text.parse().unwrap()
}

fn ban(jail: &str, text: &str) -> Change {
    Change::Ban { jail: jail.into(), element: Element { net: net(text), timeout: None } }
}

fn unban(jail: &str, text: &str) -> Change {
    Change::Unban { jail: jail.into(), net: net(text) }
}

fn close(jail: &str) -> Change {
    Change::Close { jail: jail.into() }
}

fn open(jail: &str, actions: &[Action]) -> Change {
    let read = |action: &Action| spelled::recognise(&action.definition(), true, "ssh 22/tcp\n").unwrap();
    Change::Open { jail: jail.into(), rules: Rules::Spelled(actions.iter().map(read).collect()) }
}

fn open_fast(jail: &str, action: &Action) -> Change {
    let Change::Open { rules: Rules::Spelled(actions), .. } = open(jail, &[*action]) else { unreachable!() };
    let rules = Rules::Spelled(actions.iter().map(|action| action.clone().fast()).collect());
    Change::Open { jail: jail.into(), rules }
}

/// A kernel that takes everything.
#[derive(Default)]
struct Kernel {
    ledger: Ledger,
    state: State<Layout>,
    sets: BTreeMap<Key, BTreeSet<Subnet>>,
}

impl Kernel {
    fn apply(&mut self, changes: &[Change]) -> Vec<String> {
        let translation = self.ledger.translate(changes, &self.state);
        let sets = &mut self.sets;
        let answers = plan::settle(&mut self.state, &translation.changes, |_, plan| {
            sets.retain(|key, _| !plan.close.contains_key(key));
            for key in plan.open.keys() {
                assert_eq!(sets.insert(key.clone(), BTreeSet::new()), None, "{key} is there already");
            }
            for op in &plan.ops {
                let set = sets.get_mut(&op.jail).unwrap();
                match op.step {
                    Step::Take => set.remove(&op.net),
                    Step::Put(_) | Step::Renew(_) => set.insert(op.net),
                };
            }
            Ok(Vec::new())
        });
        let answers = self.ledger.conclude(changes, &translation, answers.unwrap());
        answers.into_iter().map(|answer| answer.map_or_else(|Refusal(why)| why, |()| String::new())).collect()
    }

    /// As in `inet t four-a: 192.0.2.1; …`.
    fn sets(&self) -> String {
        let sets = self.sets.iter().map(|(key, set)| {
            let nets: Vec<_> = set.iter().map(Subnet::to_string).collect();
            format!("{}: {}", key.strip_prefix("inet t ").unwrap(), nets.join(" "))
        });
        sets.collect::<Vec<_>>().join("; ")
    }
}

const TREE: &str = r" flags interval\;";

#[test]
fn sets_appear_with_the_first_ban_of_their_family() {
    let mut kernel = Kernel::default();
    let a = Action { name: "a", ..Action::default() };
    let a_tree = Action { set_options: TREE, ..a };
    let b = Action { name: "b", port: "80", ..a };
    for (changes, sets) in [
        (vec![open("a", &[a])], ""),
        (vec![unban("a", "192.0.2.1")], ""),
        (vec![ban("a", "192.0.2.1"), ban("a", "192.0.2.2")], "four-a: 192.0.2.1 192.0.2.2"),
        (vec![ban("a", "2001:db8::1")], "four-a: 192.0.2.1 192.0.2.2; six-a: 2001:db8::1"),
        (vec![unban("a", "192.0.2.1"), unban("a", "192.0.2.2")], "four-a: ; six-a: 2001:db8::1"),
        // Other rules, another kind of set, another set: what is banned goes with it.
        (vec![open("a", &[Action { port: "25", ..a }])], "six-a: 2001:db8::1"),
        (vec![open("a", &[a_tree])], "six-a: 2001:db8::1"),
        (vec![ban("a", "2001:db8::/64"), ban("a", "10.0.0.0/8")], "four-a: 10.0.0.0/8; six-a: 2001:db8::/64"),
        (vec![open("a", &[b])], "four-b: ; six-b: 2001:db8::1"),
        (vec![close("a")], ""),
        (vec![close("a"), unban("a", "192.0.2.1")], ""),
    ] {
        kernel.apply(&changes);
        assert_eq!(kernel.sets(), sets, "{changes:?}");
    }
}

#[test]
fn a_fast_layout_has_a_set_for_prefixes_beside_the_one_that_was_spelled() {
    let mut kernel = Kernel::default();
    let plain = Action { name: "a", ..Action::default() };
    let tree = Action { set_options: TREE, ..plain };
    for (changes, sets) in [
        (vec![open_fast("a", &tree)], ""),
        (vec![ban("a", "192.0.2.1"), ban("a", "192.0.2.2")], "four-a: 192.0.2.1 192.0.2.2"),
        (vec![ban("a", "192.0.2.0/24")], "four-a: 192.0.2.1 192.0.2.2; four-a-net: 192.0.2.0/24"),
        (vec![ban("a", "192.0.0.0/16")], "four-a: 192.0.2.1 192.0.2.2; four-a-net: 192.0.0.0/16"),
        (vec![unban("a", "192.0.0.0/16")], "four-a: 192.0.2.1 192.0.2.2; four-a-net: 192.0.2.0/24"),
        (
            vec![ban("a", "2001:db8::/64"), unban("a", "192.0.2.1")],
            "four-a: 192.0.2.2; four-a-net: 192.0.2.0/24; six-a-net: 2001:db8::/64",
        ),
        (vec![open("a", &[tree])], "four-a: 192.0.2.0/24; six-a: 2001:db8::/64"),
        (
            vec![open_fast("a", &tree)],
            "four-a: 192.0.2.2; four-a-net: 192.0.2.0/24; six-a-net: 2001:db8::/64",
        ),
        (vec![close("a")], ""),
        // Where no flag is spelled there is nothing to make faster, and no place for prefixes.
        (vec![open_fast("a", &plain), ban("a", "192.0.2.1"), ban("a", "192.0.2.0/24")], "four-a: 192.0.2.1"),
    ] {
        kernel.apply(&changes);
        assert_eq!(kernel.sets(), sets, "{changes:?}");
    }
}

#[test]
fn several_may_share_a_set() {
    let mut kernel = Kernel::default();
    let tcp = Action { name: "s", ..Action::default() };
    let udp = Action { protocol: "udp", ..tcp };
    for (changes, sets, rules) in [
        (vec![open("a", &[tcp, udp]), open("b", &[tcp]), ban("a", "192.0.2.1")], "four-s: 192.0.2.1", 2),
        (vec![ban("b", "192.0.2.1"), ban("b", "192.0.2.2")], "four-s: 192.0.2.1 192.0.2.2", 2),
        (vec![unban("b", "192.0.2.1")], "four-s: 192.0.2.1 192.0.2.2", 2),
        (vec![ban("b", "192.0.2.1"), ban("a", "192.0.2.3"), close("a")], "four-s: 192.0.2.1 192.0.2.2", 1),
        (vec![close("b")], "", 0),
    ] {
        kernel.apply(&changes);
        assert_eq!(kernel.sets(), sets, "{changes:?}");
        let layout = kernel.state.rules("inet t four-s");
        let got = layout.map_or(0, |layout| layout.branches.iter().map(|(_, rules)| rules.len()).sum());
        assert_eq!(got, rules, "{changes:?}");
    }
}

#[test]
fn what_no_set_takes_is_refused() {
    let mut kernel = Kernel::default();
    let action = Action { name: "a", ..Action::default() };
    let mut plain: Definition = action.definition();
    plain.options.retain(|(key, _)| !key.contains('?'));
    let everybody = Rules::Spelled([spelled::recognise(&plain, true, "ssh 22/tcp\n").unwrap()].into());
    let four =
        Rules::Spelled([spelled::recognise(&action.definition(), false, "ssh 22/tcp\n").unwrap()].into());
    kernel.apply(&[
        open("a", &[action]),
        Change::Open { jail: "all".into(), rules: everybody },
        Change::Open { jail: "four".into(), rules: four },
    ]);
    assert_eq!(kernel.sets(), "four-a: ", "an action that does not tell families apart starts with its jail");
    for (change, why) in [
        (ban("nobody", "192.0.2.1"), "the jail `nobody` has no rules in the firewall"),
        (
            ban("a", "192.0.2.0/24"),
            "the set `inet t four-a` has no `flags interval`, without which it takes no prefix",
        ),
        (ban("all", "2001:db8::1"), "the set `inet t four-a` is for IPv4 only"),
        (ban("four", "2001:db8::1"), "none of the jail's actions is for such addresses"),
        (ban("all", "192.0.2.1"), ""),
    ] {
        assert_eq!(kernel.apply(std::slice::from_ref(&change)), [why], "{change:?}");
    }
}

const NETS: [&str; 8] = [
    "192.0.2.1",
    "192.0.2.2",
    "192.0.2.0/24",
    "192.0.0.0/16",
    "2001:db8::1",
    "2001:db8::/64",
    "2001:db8::/32",
    "198.51.100.1",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever jails do, each set holds the outermost of what its jails have banned.
    #[test]
    fn sets_hold_what_their_jails_want(steps in prop::collection::vec(prop::collection::vec((0_u8..3, 0_u8..12, 0_usize..8), 1..6), 1..12)) {
        let mut kernel = Kernel::default();
        let mut wanted: BTreeMap<&str, BTreeSet<Subnet>> = BTreeMap::new();
        for batch in steps {
            let changes: Vec<_> = batch.iter().map(|&(jail, what, which)| {
                let jail = ["a", "b", "c"][usize::from(jail)];
                let action = |name, port| Action { name, port, set_options: TREE, ..Action::default() };
                match what {
                    0 => close(jail),
                    1 => open(jail, &[action("s", "22")]),
                    2 => open(jail, &[action("s", "80"), action("t", "80")]),
                    3 => open(jail, &[action("u", "22")]),
                    4..9 => ban(jail, NETS[which]),
                    _ => unban(jail, NETS[which]),
                }
            }).collect();
            let answers = kernel.apply(&changes);
            for (change, answer) in changes.iter().zip(answers) {
                let jail: &Arc<str> = match change {
                    Change::Open { jail, .. } | Change::Close { jail } | Change::Ban { jail, .. } | Change::Unban { jail, .. } => jail,
                };
                let jail = ["a", "b", "c"].into_iter().find(|name| **name == **jail).unwrap();
                match change {
                    Change::Open { .. } => drop(wanted.entry(jail).or_default()),
                    Change::Close { .. } => drop(wanted.remove(jail)),
                    Change::Ban { element, .. } => {
                        let set = wanted.get_mut(jail);
                        prop_assert_eq!(set.is_some(), answer.is_empty());
                        set.map(|set| set.insert(element.net));
                    }
                    Change::Unban { net, .. } => { wanted.get_mut(jail).map(|set| set.remove(net)); }
                }
            }
            let mut want: BTreeMap<Key, BTreeSet<Subnet>> = BTreeMap::new();
            for (jail, keys) in kernel.ledger.jails() {
                for (key, _) in keys {
                    let is_ipv6 = key.contains("six");
                    let nets = wanted[&**jail].iter().filter(|net| net.is_ipv6() == is_ipv6);
                    want.entry(key.clone()).or_default().extend(nets);
                }
            }
            for set in want.values_mut() {
                let all = set.clone();
                set.retain(|net| !all.iter().any(|other| other != net && other.contains(net)));
            }
            prop_assert_eq!(&kernel.sets, &want);
        }
    }
}
