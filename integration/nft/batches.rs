//! Batches: overlaps, refusals, repetitions, many at once.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use stockade::firewall::memory::Memory;
use stockade::firewall::nftables::Nftables;
use stockade::firewall::{Change, Element, Firewall, Refusal, Ruleset, Wanted};
use stockade::subnet::Subnet;

use super::namespace::{in_namespace, nft};
use super::{WEEK, apply, ban, listed, net, on_ports, open, unban};

#[test]
fn prefixes_within_prefixes_come_and_go() {
    in_namespace(|| {
        let mut firewall = Nftables::open().unwrap();
        apply(&mut firewall, &[open("j", on_ports(&[]))]);
        for (change, kernel, list) in [
            (ban("j", "10.1.1.0/24"), "10.1.1.0/24", "10.1.1.0/24"),
            (ban("j", "10.0.0.0/8"), "10.0.0.0/8", "10.0.0.0/8 10.1.1.0/24"),
            (ban("j", "10.1.0.0/16"), "10.0.0.0/8", "10.0.0.0/8 10.1.0.0/16 10.1.1.0/24"),
            (ban("j", "0.0.0.0/0"), "0.0.0.0/0", "0.0.0.0/0 10.0.0.0/8 10.1.0.0/16 10.1.1.0/24"),
            (unban("j", "10.0.0.0/8"), "0.0.0.0/0", "0.0.0.0/0 10.1.0.0/16 10.1.1.0/24"),
            (unban("j", "0.0.0.0/0"), "10.1.0.0/16", "10.1.0.0/16 10.1.1.0/24"),
            (ban("j", "10.0.0.0/16"), "10.0.0.0/16 10.1.0.0/16", "10.0.0.0/16 10.1.0.0/16 10.1.1.0/24"),
            (unban("j", "10.1.0.0/16"), "10.0.0.0/16 10.1.1.0/24", "10.0.0.0/16 10.1.1.0/24"),
            (
                ban("j", "240.0.0.0/4"),
                "10.0.0.0/16 10.1.1.0/24 240.0.0.0/4",
                "10.0.0.0/16 10.1.1.0/24 240.0.0.0/4",
            ),
            (
                unban("j", "9.9.0.0/16"),
                "10.0.0.0/16 10.1.1.0/24 240.0.0.0/4",
                "10.0.0.0/16 10.1.1.0/24 240.0.0.0/4",
            ),
        ] {
            apply(&mut firewall, std::slice::from_ref(&change));
            assert_eq!(listed(&mut firewall), format!("j: {list}"), "after {change:?}");
            // Another process sees what is in force.
            assert_eq!(listed(&mut Nftables::open().unwrap()), format!("j: {kernel}"), "after {change:?}");
        }
    });
}

#[test]
fn a_longer_ban_gets_its_time() {
    in_namespace(|| {
        let mut firewall = Nftables::open().unwrap();
        apply(&mut firewall, &[open("j", on_ports(&[]))]);
        for net in [net("192.0.2.1"), net("10.0.0.0/8"), net("2001:db8::1"), net("2001:db8::/32")] {
            for seconds in [Some(100), Some(100_000), None, Some(50)] {
                let timeout = seconds.map(Duration::from_secs);
                let element = Element { net, timeout };
                // A neighbour that is new, in the same message.
                let (neighbour, jail) = (Subnet::from(IpAddr::from([10, 9, 9, 9])), Arc::<str>::from("j"));
                let new = Element { net: neighbour, timeout };
                let changes =
                    [Change::Ban { jail: jail.clone(), element }, Change::Ban { jail, element: new }];
                apply(&mut firewall, &changes);
                let list = firewall.list().unwrap().remove(0).1;
                let got = list.iter().find(|element| element.net == net).unwrap().timeout;
                let left = got.map(|got| timeout.unwrap().saturating_sub(got).as_secs() < 50);
                assert_eq!(left, timeout.map(|_| true), "{net} for {timeout:?}: {got:?}");
            }
        }
    });
}

#[test]
fn refused_changes_cost_themselves_alone() {
    in_namespace(|| {
        // Prefix n is 10.n.2.0/24; where it is bad, someone else has put something into the set that overlaps it.
        let spread = |n: u8| format!("10.{n}.2.0/24");
        let foreign = |n: u8| match n % 4 {
            0 => format!("10.{n}.2.128/25"),
            1 => format!("10.{n}.2.0/25"),
            2 => format!("10.{n}.0.0/22"),
            _ => format!("10.{n}.2.7-10.{n}.3.7"),
        };
        let bans = prop::collection::btree_map(any::<u8>(), prop::bool::weighted(0.8), 1..80);
        let mut runner =
            TestRunner::new(Config { cases: 12, failure_persistence: None, ..Config::default() });
        runner
            .run(&bans, |bans| {
                let mut firewall = Nftables::open().unwrap();
                firewall.remove().unwrap();
                let mut firewall = Nftables::open().unwrap();
                apply(&mut firewall, &[open("j", on_ports(&[(22, 22)]))]);
                let foreign: Vec<_> =
                    bans.iter().filter(|(_, good)| !**good).map(|(n, _)| foreign(*n)).collect();
                if !foreign.is_empty() {
                    nft(&format!("add element inet stockade j4-net {{ {} }}", foreign.join(", ")));
                }
                let mut changes: Vec<_> = bans.keys().map(|n| ban("j", &spread(*n))).collect();
                changes.extend([ban("j", "192.0.2.1"), ban("nobody", "192.0.2.1"), open("", on_ports(&[]))]);
                let overlap = "it overlaps something that another program put into the set";
                let refusal = |text: &str| Err(Refusal(text.to_owned()));
                let mut want: Vec<_> =
                    bans.values().map(|good| if *good { Ok(()) } else { refusal(overlap) }).collect();
                want.extend([Ok(()), refusal("the jail `nobody` has no rules in the firewall"), Ok(())]);
                prop_assert_eq!(firewall.apply(&changes).unwrap(), want);
                let list = nft("list set inet stockade j4-net");
                for foreign in foreign {
                    prop_assert!(list.contains(&foreign), "{} is no longer in {}", foreign, list);
                }
                for (n, good) in &bans {
                    prop_assert_eq!(list.contains(&spread(*n)), *good, "10.{}.2.0/24 in {}", n, list);
                }
                Ok(())
            })
            .unwrap();
        let mut firewall = Nftables::open().unwrap();
        firewall.remove().unwrap();
        let long = "x".repeat(300);
        let no_hook = Ruleset { hooks: vec![], ..on_ports(&[]) };
        let mut firewall = Nftables::open().unwrap();
        let answers =
            firewall.apply(&[open(&long, on_ports(&[])), open("no hook", no_hook), open("j", on_ports(&[]))]);
        let refusal = |text: &str| Err(Refusal(text.to_owned()));
        let want = [
            refusal("the jail's name is too long for nftables"),
            refusal("the jail's `hooks` are empty"),
            Ok(()),
        ];
        assert_eq!(answers.unwrap(), want);
    });
}

/// Few addresses, so that overlaps are the rule.
fn any_net() -> impl Strategy<Value = Subnet> {
    let four = (0_u8..4, 28_u8..=32).prop_map(|(host, length)| {
        Subnet::new(IpAddr::from([255, 255, 255, 240 + host * 5]), length).unwrap()
    });
    let six = (0_u16..4, 124_u8..=128).prop_map(|(host, length)| {
        Subnet::new(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, host * 5]), length).unwrap()
    });
    prop_oneof![four, six]
}

fn any_change() -> impl Strategy<Value = Change> {
    let jail = prop_oneof![Just(Arc::<str>::from("a")), Just(Arc::<str>::from("b"))];
    (jail, any_net(), 0_u16..20).prop_map(|(jail, net, what)| match what {
        0 => Change::Close { jail },
        1..4 => Change::Open {
            jail,
            rules: on_ports(&[(what, what * 2), (70, 70)][..usize::from(what) - 1]).into(),
        },
        4..14 => Change::Ban { jail, element: Element { net, timeout: WEEK } },
        _ => Change::Unban { jail, net },
    })
}

#[test]
fn the_kernel_ends_where_the_memory_firewall_does() {
    in_namespace(|| {
        let batches = prop::collection::vec(prop::collection::vec(any_change(), 0..12), 1..8);
        let mut runner =
            TestRunner::new(Config { cases: 60, failure_persistence: None, ..Config::default() });
        runner
            .run(&(batches, any::<bool>()), |(batches, is_small)| {
                Nftables::open().unwrap().remove().unwrap();
                let (mut kernel, mut memory) = (Nftables::open().unwrap(), Memory::new());
                if is_small {
                    kernel.limit(8000);
                }
                for batch in batches {
                    prop_assert_eq!(
                        kernel.apply(&batch).unwrap(),
                        memory.apply(&batch).unwrap(),
                        "{:?}",
                        batch
                    );
                    prop_assert_eq!(listed(&mut kernel), listed(&mut memory), "{:?}", batch);
                }
                Ok(())
            })
            .unwrap();
    });
}

#[test]
fn many_bans_come_go_and_come_back() {
    in_namespace(|| {
        let element =
            |n: u32| Element { net: IpAddr::from((0x0a00_0000 + n).to_be_bytes()).into(), timeout: WEEK };
        let elements: Vec<_> = (0..20_000).map(element).collect();
        let ban = |&element: &Element| Change::Ban { jail: "j".into(), element };
        let bans: Vec<_> = elements.iter().map(ban).collect();
        let mut firewall = Nftables::open().unwrap();
        apply(&mut firewall, &[open("j", on_ports(&[]))]);
        // Half of them are there already when all come.
        apply(&mut firewall, &bans[..10_000]);
        apply(&mut firewall, &bans);
        assert_eq!(firewall.list().unwrap()[0].1.len(), 20_000);
        let unbans: Vec<_> =
            elements.iter().map(|element| Change::Unban { jail: "j".into(), net: element.net }).collect();
        apply(&mut firewall, &unbans[5000..]);
        apply(&mut firewall, &unbans);
        assert_eq!(firewall.list().unwrap()[0].1.len(), 0);
        // A kernel that takes no large transactions gets several.
        firewall.limit(100_000);
        let all = Wanted { jail: "j".into(), rules: on_ports(&[]).into(), elements };
        assert_eq!(firewall.replace(&[all]).unwrap(), [vec![]]);
        assert_eq!(firewall.list().unwrap()[0].1.len(), 20_000);
    });
}
