use proptest::prelude::*;

use super::*;
use crate::firewall::memory::Memory;
use crate::firewall::{Block, Firewall, Hook, Protocol, Ruleset};

fn net(text: &str) -> Subnet {
    text.parse().unwrap()
}

fn ruleset(port: u16) -> Ruleset {
    Ruleset {
        ports: vec![(port, port)],
        protocols: vec![Protocol::Tcp],
        block: Block::Drop,
        hooks: vec![Hook::Input],
        priority: 0,
    }
}

fn open(jail: &str, port: u16) -> Change {
    Change::Open { jail: jail.into(), rules: ruleset(port).into() }
}

fn close(jail: &str) -> Change {
    Change::Close { jail: jail.into() }
}

fn ban(jail: &str, text: &str, secs: u64) -> Change {
    let element = Element { net: net(text), timeout: Some(Duration::from_secs(secs)) };
    Change::Ban { jail: jail.into(), element }
}

fn unban(jail: &str, text: &str) -> Change {
    Change::Unban { jail: jail.into(), net: net(text) }
}

/// The steps as a firewall sees them: `+net=seconds`, `~net=seconds` and `-net`, each with the index of its change.
fn steps(plan: &Plan) -> String {
    let word = |op: &Op| match op.step {
        Step::Take => format!("-{}@{}", op.net, op.change),
        Step::Renew(timeout) => {
            format!("~{}={}@{}", op.net, timeout.unwrap_or_default().as_secs(), op.change)
        }
        Step::Put(timeout) => format!("+{}={}@{}", op.net, timeout.unwrap_or_default().as_secs(), op.change),
    };
    plan.ops.iter().map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn each_element_stands_once_and_no_prefix_overlaps_another() {
    for (before, changes, want) in [
        (vec![], vec![ban("j", "192.0.2.1", 5), ban("j", "192.0.2.1", 9)], "+192.0.2.1=9@1"),
        (vec![], vec![ban("j", "192.0.2.1", 5), unban("j", "192.0.2.1")], "-192.0.2.1@1"),
        // Singles are in a set of their own; takes come before puts, singles before prefixes.
        (
            vec![],
            vec![
                ban("j", "2001:db8::/32", 1),
                ban("j", "10.0.0.0/8", 2),
                ban("j", "10.1.2.3", 3),
                unban("j", "1.1.1.1"),
            ],
            "-1.1.1.1@3 +10.1.2.3=3@2 +10.0.0.0/8=2@1 +2001:db8::/32=1@0",
        ),
        // The outer prefix takes the place of the inner one and gives it back, at its own cost.
        (vec![], vec![ban("j", "10.1.0.0/16", 1), ban("j", "10.0.0.0/8", 2)], "+10.0.0.0/8=2@1"),
        (vec![ban("j", "10.1.0.0/16", 1)], vec![ban("j", "10.0.0.0/8", 2)], "-10.1.0.0/16@0 +10.0.0.0/8=2@0"),
        (
            vec![
                ban("j", "10.1.0.0/16", 1),
                ban("j", "10.1.1.0/24", 2),
                ban("j", "10.2.0.0/16", 3),
                ban("j", "10.0.0.0/8", 4),
            ],
            vec![unban("j", "10.0.0.0/8")],
            "-10.0.0.0/8@0 +10.1.0.0/16=1@0 +10.2.0.0/16=3@0",
        ),
        // An inner prefix comes and goes unseen, and its new timeout is what comes back.
        (vec![ban("j", "10.0.0.0/8", 1)], vec![ban("j", "10.1.0.0/16", 2)], ""),
        (vec![ban("j", "10.0.0.0/8", 1), ban("j", "10.1.0.0/16", 2)], vec![unban("j", "10.1.0.0/16")], ""),
        (
            vec![ban("j", "10.0.0.0/8", 1), ban("j", "10.1.0.0/16", 2)],
            vec![ban("j", "10.1.0.0/16", 7), unban("j", "10.0.0.0/8")],
            "-10.0.0.0/8@1 +10.1.0.0/16=7@0",
        ),
        // A longer ban of what stands; a prefix that was never there.
        (vec![ban("j", "10.0.0.0/8", 1)], vec![ban("j", "10.0.0.0/8", 9)], "~10.0.0.0/8=9@0"),
        (vec![], vec![unban("j", "10.0.0.0/8")], ""),
        // Neighbours and the whole address space.
        (
            vec![],
            vec![ban("j", "10.0.0.0/9", 1), ban("j", "10.128.0.0/9", 2)],
            "+10.0.0.0/9=1@0 +10.128.0.0/9=2@1",
        ),
        (vec![ban("j", "10.0.0.0/9", 1)], vec![ban("j", "0.0.0.0/0", 2)], "-10.0.0.0/9@0 +0.0.0.0/0=2@0"),
        // Closing forgets what came before it.
        (
            vec![ban("j", "10.0.0.0/8", 1)],
            vec![ban("j", "10.1.1.1", 1), close("j"), open("j", 1), ban("j", "10.0.0.0/9", 2)],
            "+10.0.0.0/9=2@3",
        ),
    ] {
        let mut state = State::default();
        settle(&mut state, &[open("j", 1)], |_, _| Ok(vec![])).unwrap();
        settle(&mut state, &before, |_, _| Ok(vec![])).unwrap();
        let mut got = String::new();
        settle(&mut state, &changes, |_, plan| {
            got = steps(plan);
            Ok(vec![])
        })
        .unwrap();
        assert_eq!(got, want, "{before:?} then {changes:?}");
    }
}

#[test]
fn sets_and_rules_are_touched_only_when_they_differ() {
    for (changes, close_, open_, rules) in [
        (vec![open("j", 1)], None, None, None),
        (vec![open("j", 2)], None, None, Some(0)),
        (vec![open("j", 2), open("j", 1)], None, None, None),
        (vec![close("j")], Some(0), None, None),
        (vec![close("j"), open("j", 1)], Some(0), Some(1), Some(1)),
        (vec![close("j"), open("j", 1), close("j")], Some(0), None, None),
        (vec![open("k", 1), close("k")], None, None, None),
        (vec![close("k")], None, None, None),
    ] {
        let mut state = State::default();
        settle(&mut state, &[open("j", 1)], |_, _| Ok(vec![])).unwrap();
        let mut got = Plan::default();
        settle(&mut state, &changes, |_, plan| {
            got = plan.clone();
            Ok(vec![])
        })
        .unwrap();
        let got = (
            got.close.values().next().copied(),
            got.open.values().next().copied(),
            got.rules.values().next().map(|(_, change)| *change),
        );
        assert_eq!(got, (close_, open_, rules), "{changes:?}");
    }
}

#[test]
fn a_refused_change_costs_itself_and_names_its_reason() {
    let mut state = State::default();
    let no = || Refusal("no".to_owned());
    let changes = [open("j", 1), ban("j", "10.0.0.1", 1), ban("k", "10.0.0.1", 1), ban("j", "10.0.0.2", 1)];
    let answers = settle(&mut state, &changes, |_, plan| {
        let bad = plan.ops.iter().filter(|op| op.net == net("10.0.0.1"));
        Ok(bad.map(|op| (op.change, no())).collect())
    });
    let missing = Refusal("the jail `k` has no rules in the firewall".to_owned());
    assert_eq!(answers.unwrap(), [Ok(()), Err(no()), Err(missing), Ok(())]);

    let changes = [open("l", 1), ban("l", "10.0.0.1", 1)];
    let refuse_open = |_: &State, plan: &Plan| Ok(plan.open.values().map(|&index| (index, no())).collect());
    let answers = settle(&mut state, &changes, refuse_open).unwrap();
    assert_eq!(answers, [Err(no()), Err(no())], "a ban for a jail that could not be opened says why");
    let answers = settle(&mut state, &[ban("l", "10.0.0.2", 1)], |_, _| Ok(vec![])).unwrap();
    assert_eq!(answers, [Err(no())], "later as well");
}

#[test]
fn a_refused_later_change_leaves_the_earlier_one() {
    let mut state = State::default();
    settle(&mut state, &[open("j", 1)], |_, _| Ok(vec![])).unwrap();
    let mut sent = Vec::new();
    let changes = [ban("j", "10.0.0.1", 5), ban("j", "10.0.0.1", 9)];
    let answers = settle(&mut state, &changes, |_, plan| {
        sent.push(steps(plan));
        Ok(if sent.len() == 1 { vec![(1, Refusal("no".to_owned()))] } else { vec![] })
    });
    assert_eq!(sent, ["+10.0.0.1=9@1", "+10.0.0.1=5@0"]);
    assert_eq!(answers.unwrap(), [Ok(()), Err(Refusal("no".to_owned()))]);
}

/// A small world, so that overlaps are the rule.
fn any_net() -> impl Strategy<Value = Subnet> {
    let four = (0_u8..4, 28_u8..=32).prop_map(|(host, length)| {
        Subnet::new(std::net::Ipv4Addr::new(192, 0, 2, host * 5).into(), length).unwrap()
    });
    let six = (0_u16..4, 124_u8..=128).prop_map(|(host, length)| {
        Subnet::new(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host * 5).into(), length).unwrap()
    });
    prop_oneof![four, six]
}

fn any_change() -> impl Strategy<Value = Change> {
    let jail = prop_oneof![Just(Arc::<str>::from("a")), Just(Arc::<str>::from("b"))];
    (jail, any_net(), 0_u8..20, 1_u64..9).prop_map(|(jail, net, what, secs)| match what {
        0 => Change::Close { jail },
        1..3 => Change::Open { jail, rules: ruleset(u16::from(what)).into() },
        3..13 => Change::Ban { jail, element: Element { net, timeout: Some(Duration::from_secs(secs)) } },
        _ => Change::Unban { jail, net },
    })
}

/// What each jail must enforce, worked out one change at a time; `refused` holds at bans only.
#[derive(Default)]
struct Model(BTreeMap<Arc<str>, BTreeMap<Subnet, Option<Duration>>>);

impl Model {
    fn change(&mut self, change: &Change) {
        match change {
            Change::Open { jail, .. } => {
                self.0.entry(jail.clone()).or_default();
            }
            Change::Close { jail } => {
                self.0.remove(jail);
            }
            Change::Ban { jail, element } => {
                if let Some(bans) = self.0.get_mut(jail) {
                    bans.insert(element.net, element.timeout);
                }
            }
            Change::Unban { jail, net } => {
                if let Some(bans) = self.0.get_mut(jail) {
                    bans.remove(net);
                }
            }
        }
    }

    fn enforced(&self, jail: &str) -> Vec<Element> {
        let Some(bans) = self.0.get(jail) else { return Vec::new() };
        let within =
            |net: &Subnet| bans.keys().any(|other| other != net && other.contains(net) && !net.is_single());
        let bans = bans.iter().filter(|(net, _)| !within(net));
        bans.map(|(&net, &timeout)| Element { net, timeout }).collect()
    }
}

proptest! {
    /// However the changes are cut into batches, what is enforced is what one change at a time would give, and a
    /// refused ban costs itself alone.
    #[test]
    fn batches_enforce_what_single_changes_would(
        batches in prop::collection::vec(prop::collection::vec(any_change(), 0..12), 1..6),
        bad in prop::collection::btree_set(any_net(), 0..3),
    ) {
        // A refused prefix must not be in force, so its covered state must not matter: only singles are refused.
        let bad: BTreeSet<Subnet> = bad.into_iter().filter(Subnet::is_single).collect();
        let mut firewall = Memory::new();
        for &net in &bad {
            firewall.refuse(net);
        }
        let mut model = Model::default();
        for batch in batches {
            let answers = firewall.apply(&batch).unwrap();
            for (change, answer) in batch.iter().zip(&answers) {
                if answer.is_ok() {
                    model.change(change);
                }
            }
            for jail in ["a", "b"] {
                prop_assert_eq!(firewall.enforced(jail), model.enforced(jail));
            }
        }
    }

    /// A batch of N bans with k refused ones enforces N − k, prefixes too.
    #[test]
    fn a_batch_with_invalid_changes_enforces_the_others(
        bans in prop::collection::btree_map(0_u32..5000, any::<bool>(), 1..200),
    ) {
        let spread = |n: u32| Subnet::new(std::net::Ipv4Addr::from(n * 512).into(), 24 + (n % 2 * 8) as u8).unwrap();
        let mut firewall = Memory::new();
        let mut changes = vec![open("j", 22)];
        for (&n, &valid) in &bans {
            changes.push(Change::Ban { jail: "j".into(), element: Element { net: spread(n), timeout: None } });
            if !valid {
                firewall.refuse(spread(n));
            }
        }
        let answers = firewall.apply(&changes).unwrap();
        let refused: Vec<bool> = answers[1..].iter().map(Result::is_ok).collect();
        prop_assert_eq!(refused, bans.values().copied().collect::<Vec<_>>());
        prop_assert_eq!(firewall.enforced("j").len(), bans.values().filter(|valid| **valid).count());
    }

    /// Replacing ends at exactly what is wanted, from wherever it starts.
    #[test]
    fn replacing_ends_at_what_is_wanted(
        before in prop::collection::vec(any_change(), 0..30),
        wanted in prop::collection::btree_map(any_net(), 1_u64..9, 0..12),
    ) {
        let mut firewall = Memory::new();
        firewall.apply(&before).unwrap();
        let elements: Vec<_> = wanted.iter()
            .map(|(&net, &days)| Element { net, timeout: Some(Duration::from_secs(days * 86_400)) }).collect();
        let all = [Wanted { jail: "a".into(), rules: ruleset(7).into(), elements: elements.clone() }];
        prop_assert_eq!(firewall.replace(&all).unwrap(), vec![vec![]]);
        let model = Model([("a".into(), elements.iter().map(|e| (e.net, e.timeout)).collect())].into());
        prop_assert_eq!(firewall.enforced("a"), model.enforced("a"));
        prop_assert_eq!(firewall.enforced("b"), vec![]);
        let mut listed = firewall.list().unwrap();
        for (_, elements) in &mut listed {
            elements.sort_by_key(|e| e.net);
        }
        prop_assert_eq!(listed, vec![("a".into(), elements)]);
    }
}
