//! Bans through iptables and ipset, both kinds of iptables, each story in a network namespace of its own.

use std::process::Command;
use std::time::Duration;

use stockade::firewall::iptables::{Iptables, Variant};
use stockade::firewall::{Block, Change, Element, Firewall, FirewallError, Hook, Refusal, Ruleset};

use crate::lab::skip;
use crate::nft::namespace::{Reach, connect_watching, in_namespace, run};
use crate::nft::{ban, listed, listen, net, on_ports, open, server, unban, wanted};

/// The iptables that are there and work; what is not is said aloud.
fn variants() -> Vec<(Variant, &'static str, Iptables)> {
    let all = [(Variant::Nft, "-nft"), (Variant::Legacy, "-legacy")];
    let open = |(variant, suffix)| match Iptables::open(variant) {
        Ok(firewall) => Some((variant, suffix, firewall)),
        Err(error) => {
            let error = error.to_string();
            assert!(!error.contains("temporarily unavailable"), "somebody else holds its lock: {error}");
            skip(&format!("{variant:?}: {error}"));
            None
        }
    };
    all.into_iter().filter_map(open).collect()
}

/// Applies changes of which none may be refused.
fn apply(firewall: &mut Iptables, changes: &[Change]) {
    for (change, answer) in changes.iter().zip(firewall.apply(changes).unwrap()) {
        assert_eq!(answer, Ok(()), "{change:?}");
    }
}

/// How many packets our rules have dropped.
fn dropped(suffix: &str) -> u64 {
    let mut packets = 0;
    for (program, table, chain) in [
        ("iptables", "filter", "stockade-input"),
        ("ip6tables", "filter", "stockade-input"),
        ("iptables", "raw", "stockade-prerouting"),
    ] {
        let output =
            Command::new(format!("{program}{suffix}")).args(["-t", table, "-nvxL", chain]).output().unwrap();
        let listing = String::from_utf8(output.stdout).unwrap();
        let rules = listing.lines().skip(2);
        packets += rules.filter_map(|line| line.split_whitespace().next()?.parse::<u64>().ok()).sum::<u64>();
    }
    packets
}

/// Everything of ours, in both families.
fn left(suffix: &str) -> String {
    let mut all = run("ipset list -n");
    for program in ["iptables", "ip6tables"] {
        let saved = run(&format!("{program}{suffix}-save"));
        all.extend(saved.lines().filter(|line| line.contains("stockade")).map(|line| format!("{line}\n")));
    }
    all
}

#[test]
fn banned_hosts_are_cut_off_and_nobody_else() {
    in_namespace(|| {
        let (_listener, port) = listen();
        for (variant, suffix, mut firewall) in variants() {
            let reach = |client: &str| connect_watching(client, server(client, port), || dropped(suffix));
            for (block, hook, told) in [
                (Block::Drop, Hook::Input, Reach::Silent),
                (Block::Reject, Hook::Input, Reach::Refused),
                (Block::Drop, Hook::Prerouting, Reach::Silent),
            ] {
                let rules = Ruleset { block, hooks: vec![hook], ..on_ports(&[(port, port)]) };
                apply(&mut firewall, &[open("j", rules), open("other", on_ports(&[(9, 9)]))]);
                for (banned, client, bystander) in [
                    ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
                    ("192.0.2.4/31", "192.0.2.5", "192.0.2.3"),
                    ("2001:db8::1", "2001:db8::1", "2001:db8::2"),
                ] {
                    // Over `lo` TCP misses the ICMPv6 answer, and the raw table's IPv6 packets are not counted here.
                    if client.contains(':') && (told == Reach::Refused || hook == Hook::Prerouting) {
                        continue;
                    }
                    assert_eq!(reach(client), Reach::Open, "{variant:?}: {client} before");
                    apply(&mut firewall, &[ban("j", banned), ban("other", bystander)]);
                    assert_eq!(reach(client), told, "{variant:?}: {client} banned as {banned} in {hook:?}");
                    assert_eq!(reach(bystander), Reach::Open, "{variant:?}: {bystander}");
                    apply(&mut firewall, &[unban("j", banned)]);
                    assert_eq!(reach(client), Reach::Open, "{variant:?}: {client} after");
                }
            }
            firewall.remove().unwrap();
            assert_eq!(left(suffix), "", "{variant:?}");
        }
    });
}

#[test]
fn what_an_earlier_run_left_is_taken_over() {
    in_namespace(|| {
        for (variant, suffix, mut before) in variants() {
            let rules = on_ports(&[(22, 22)]);
            let all = [
                wanted("a", rules.clone(), &["192.0.2.1", "10.0.0.0/8"]),
                wanted("gone", rules.clone(), &["192.0.2.9"]),
            ];
            assert_eq!(before.replace(&all).unwrap(), vec![vec![]; 2]);
            drop(before);
            let mut firewall = Iptables::open(variant).unwrap();
            let found = listed(&mut firewall);
            assert_eq!(found, "a: 10.0.0.0/8 192.0.2.1, gone: 192.0.2.9", "{variant:?}");
            let answer = firewall.apply(&[unban("a", "192.0.2.1")]);
            assert!(matches!(answer, Err(FirewallError::Drift)), "replace comes first");
            let forward = Ruleset { hooks: vec![Hook::Forward], ..rules };
            assert_eq!(
                firewall.replace(&[wanted("a", forward, &["192.0.2.2", "2001:db8::/32"])]).unwrap(),
                [vec![]]
            );
            assert_eq!(listed(&mut firewall), "a: 192.0.2.2 2001:db8::/32", "{variant:?}");
            let left = left(suffix);
            assert!(!left.contains("gone") && left.contains("-A FORWARD -j stockade-forward"), "{left}");
            assert!(!left.contains("-A stockade-input"), "{left}");
            assert_eq!(firewall.replace(&[]).unwrap(), Vec::<Vec<_>>::new());
            assert_eq!(self::left(suffix), "", "{variant:?}");
        }
    });
}

#[test]
fn what_someone_else_takes_away_is_noticed() {
    in_namespace(|| {
        for (variant, suffix, mut firewall) in variants() {
            let all = [wanted("a", on_ports(&[(22, 22)]), &["192.0.2.1"])];
            for foreign in [
                format!("iptables{suffix} -F"),
                format!("iptables{suffix} -F INPUT"),
                format!("ip6tables{suffix} -F stockade-input"),
            ] {
                firewall.replace(&all).unwrap();
                run(&foreign);
                let answer = firewall.apply(&[ban("a", "192.0.2.2")]);
                assert!(matches!(answer, Err(FirewallError::Drift)), "{variant:?} {foreign}: {answer:?}");
            }
            firewall.replace(&all).unwrap();
            run(&format!("iptables{suffix} -F stockade-input"));
            run(&format!("ip6tables{suffix} -F stockade-input"));
            run("ipset destroy stockade4-a");
            assert!(matches!(firewall.apply(&[ban("a", "192.0.2.2")]), Err(FirewallError::Drift)));
            firewall.replace(&all).unwrap();
            assert_eq!(listed(&mut firewall), "a: 192.0.2.1", "{variant:?}");
            firewall.remove().unwrap();
        }
    });
}

#[test]
fn a_storm_is_one_batch_and_a_refused_ban_costs_itself_alone() {
    in_namespace(|| {
        for (variant, suffix, mut firewall) in variants() {
            let nets: Vec<String> = (0..20_000).map(|n| format!("10.{}.{}.1", n >> 8, n & 255)).collect();
            let mut changes = vec![open("a", on_ports(&[(22, 22)]))];
            changes.extend(nets.iter().map(|net| ban("a", net)));
            apply(&mut firewall, &changes);
            assert_eq!(firewall.list().unwrap()[0].1.len(), nets.len(), "{variant:?}");
            let forever = Element { net: net("0.0.0.0/0"), timeout: None };
            let long = Element { net: net("192.0.2.1"), timeout: Some(Duration::from_secs(9_999_999)) };
            let [forever, long] = [forever, long].map(|element| Change::Ban { jail: "a".into(), element });
            apply(&mut firewall, &[forever, long]);
            let answers = firewall.apply(&[ban("nobody", "192.0.2.1"), ban("a", "192.0.2.2")]).unwrap();
            let refusal = Refusal("the jail `nobody` has no rules in the firewall".to_owned());
            assert_eq!(answers, [Err(refusal), Ok(())]);
            let rejecting = Ruleset { block: Block::Reject, hooks: vec![Hook::Prerouting], ..on_ports(&[]) };
            let answers = firewall.apply(&[open("b", rejecting), ban("a", "192.0.2.3")]).unwrap();
            let refusal = Refusal("iptables cannot reject before routing: `block = \"drop\"`".to_owned());
            assert_eq!(answers, [Err(refusal), Ok(())]);
            firewall.remove().unwrap();
            assert_eq!(left(suffix), "", "{variant:?}");
        }
    });
}
