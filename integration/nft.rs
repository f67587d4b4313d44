//! Bans in the real nftables, each story in a network namespace of its own: no rule of this host is touched.

mod namespace;

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use stockade::firewall::memory::Memory;
use stockade::firewall::nftables::Nftables;
use stockade::firewall::{
    Block, Change, Element, Firewall, FirewallError, Hook, Protocol, Refusal, Ruleset, Wanted,
};
use stockade::subnet::Subnet;

use namespace::{Reach, connect, in_namespace, nft, packets, run};

const WEEK: Option<Duration> = Some(Duration::from_secs(604_800));

fn net(text: &str) -> Subnet {
    text.parse().unwrap()
}

fn on_ports(ports: &[(u16, u16)]) -> Ruleset {
    Ruleset {
        ports: ports.to_vec(),
        protocols: vec![Protocol::Tcp],
        block: Block::Drop,
        hooks: vec![Hook::Input],
        priority: 0,
    }
}

fn open(jail: &str, ruleset: Ruleset) -> Change {
    Change::Open { jail: jail.into(), ruleset }
}

fn ban(jail: &str, text: &str) -> Change {
    Change::Ban { jail: jail.into(), element: Element { net: net(text), timeout: WEEK } }
}

fn unban(jail: &str, text: &str) -> Change {
    Change::Unban { jail: jail.into(), net: net(text) }
}

fn wanted(jail: &str, ruleset: Ruleset, nets: &[&str]) -> Wanted {
    let elements = nets.iter().map(|text| Element { net: net(text), timeout: WEEK }).collect();
    Wanted { jail: jail.into(), ruleset, elements }
}

/// Applies changes of which none may be refused.
fn apply(firewall: &mut Nftables, changes: &[Change]) {
    for (change, answer) in changes.iter().zip(firewall.apply(changes).unwrap()) {
        assert_eq!(answer, Ok(()), "{change:?}");
    }
}

/// What is enforced, as `jail: net net, jail: …`.
fn listed(firewall: &mut dyn Firewall) -> String {
    let list = firewall.list().unwrap().into_iter().map(|(jail, mut elements)| {
        elements.sort_by_key(|element| element.net);
        let nets: Vec<_> = elements.iter().map(|element| element.net.to_string()).collect();
        format!("{jail}: {}", nets.join(" "))
    });
    list.collect::<Vec<_>>().join(", ")
}

/// A listener on every address, IPv4 and IPv6, in a namespace with some clients' addresses.
fn listen() -> (TcpListener, u16) {
    run("ip link set lo up");
    for host in 1..=6 {
        run(&format!("ip addr add 192.0.2.{host}/32 dev lo"));
        run(&format!("ip addr add 2001:db8::{host}/128 dev lo nodad"));
    }
    // The kernel adds the routes a moment later.
    let is_routed =
        || UdpSocket::bind("[2001:db8::6]:0").and_then(|socket| socket.connect("[2001:db8::6]:9")).is_ok();
    while !is_routed() {
        std::thread::yield_now();
    }
    let listener = TcpListener::bind("[::]:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn server(client: &str, port: u16) -> SocketAddr {
    let host: IpAddr = if client.contains(':') { "2001:db8::6" } else { "192.0.2.6" }.parse().unwrap();
    (host, port).into()
}

#[test]
fn banned_addresses_and_prefixes_are_cut_off_and_nobody_else() {
    in_namespace(|| {
        let (_listener, port) = listen();
        let other_port = TcpListener::bind("192.0.2.6:0").unwrap();
        let mut firewall = Nftables::open().unwrap();
        apply(&mut firewall, &[open("mail", on_ports(&[(port, port)]))]);
        for (banned, client, set, bystander) in [
            ("192.0.2.1", "192.0.2.1", "mail4", "192.0.2.2"),
            ("2001:db8::1", "2001:db8::1", "mail6", "2001:db8::2"),
            ("192.0.2.4/31", "192.0.2.5", "mail4-net", "192.0.2.3"),
            ("2001:db8::4/127", "2001:db8::5", "mail6-net", "2001:db8::3"),
        ] {
            let server = server(client, port);
            assert_eq!(connect(client, server), Reach::Open, "{client} before the ban");
            apply(&mut firewall, &[ban("mail", banned)]);
            assert_eq!(connect(client, server), Reach::Silent, "{client} banned as {banned}");
            assert!(packets(set) > 0, "{banned} is counted in {set}");
            assert_eq!(connect(bystander, server), Reach::Open, "{bystander} is not banned");
            apply(&mut firewall, &[unban("mail", banned)]);
            assert_eq!(connect(client, server), Reach::Open, "{client} after the ban");
        }
        apply(&mut firewall, &[ban("mail", "192.0.2.1")]);
        let other = other_port.local_addr().unwrap();
        assert_eq!(connect("192.0.2.1", other), Reach::Open, "another port");
    });
}

#[test]
fn rejected_addresses_are_told_so() {
    in_namespace(|| {
        let (_listener, port) = listen();
        let four = UdpSocket::bind(("192.0.2.6", port)).unwrap();
        let six = UdpSocket::bind(("2001:db8::6", port)).unwrap();
        let mut firewall = Nftables::open().unwrap();
        for hook in [Hook::Input, Hook::Prerouting] {
            let ports = on_ports(&[(port, port)]);
            let ruleset = Ruleset { block: Block::Reject, hooks: vec![hook], protocols: vec![], ..ports };
            let all = wanted("mail", ruleset, &["192.0.2.1", "2001:db8::1"]);
            assert_eq!(firewall.replace(&[all]).unwrap(), [vec![]]);
            assert_eq!(connect("192.0.2.1", server("192.0.2.1", port)), Reach::Refused, "{hook:?}");
            assert_eq!(connect("192.0.2.2", server("192.0.2.2", port)), Reach::Open, "{hook:?}");
            // Over `lo` TCP misses the ICMPv6 answer to its first packet, for it still holds the socket then.
            for (client, server, reach) in [
                ("192.0.2.1", &four, Reach::Refused),
                ("2001:db8::1", &six, Reach::Refused),
                ("192.0.2.2", &four, Reach::Open),
                ("2001:db8::2", &six, Reach::Open),
            ] {
                assert_eq!(namespace::send(client, server), reach, "{client} in {hook:?}");
            }
        }
    });
}

#[test]
fn ports_and_protocols_are_told_apart() {
    in_namespace(|| {
        run("ip link set lo up");
        run("ip addr add 192.0.2.1/32 dev lo");
        let listeners: Vec<TcpListener> = [1000, 1001, 1005, 1010, 1020]
            .iter()
            .map(|port| TcpListener::bind(("127.0.0.1", *port)).unwrap())
            .collect();
        let receiver = UdpSocket::bind("127.0.0.1:1010").unwrap();
        let mut firewall = Nftables::open().unwrap();
        let (tcp, udp) = (Protocol::Tcp, Protocol::Udp);
        // Which of the five TCP ports are cut off, and whether UDP port 1010 is.
        for (ports, protocols, cut, udp_cut) in [
            (&[(1000, 1000)][..], &[tcp][..], "x....", false),
            (&[(1000, 1005)], &[tcp], "xxx..", false),
            (&[(1000, 1000), (1010, 1010)], &[tcp, udp], "x..x.", true),
            (&[(1000, 1000), (1005, 1010), (1020, 65535)], &[tcp], "x.xxx", false),
            (&[(1010, 1010)], &[udp], ".....", true),
            (&[(0, 65535)], &[], "xxxxx", true),
            (&[], &[], "xxxxx", true),
        ] {
            let ruleset = Ruleset { protocols: protocols.to_vec(), ..on_ports(ports) };
            apply(&mut firewall, &[open("j", ruleset), ban("j", "192.0.2.1")]);
            let reach = listeners.iter().map(|listener| connect("192.0.2.1", listener.local_addr().unwrap()));
            let got: String = reach.map(|reach| if reach == Reach::Open { '.' } else { 'x' }).collect();
            let udp = namespace::send("192.0.2.1", &receiver);
            assert_eq!((&*got, udp == Reach::Silent), (cut, udp_cut), "{ports:?} {protocols:?}");
        }
    });
}

#[test]
fn nft_shows_what_an_operator_expects() {
    in_namespace(|| {
        let mut firewall = Nftables::open().unwrap();
        let mail = Ruleset {
            protocols: vec![],
            block: Block::Reject,
            hooks: vec![Hook::Forward, Hook::Prerouting],
            priority: -150,
            ..on_ports(&[(25, 25), (465, 465), (1000, 2000)])
        };
        let everything = Ruleset { ports: vec![], ..on_ports(&[]) };
        apply(
            &mut firewall,
            &[open("sshd", on_ports(&[(22, 22)])), open("mail", mail), open("3 é", everything)],
        );
        let forever = Element { net: net("192.0.66.0/24"), timeout: None };
        apply(
            &mut firewall,
            &[ban("sshd", "192.0.66.7"), Change::Ban { jail: "mail".into(), element: forever }],
        );
        let table = nft("list table inet stockade");
        for line in [
            "set sshd4 {",
            "type ipv4_addr",
            "flags timeout",
            "flags interval,timeout",
            "counter",
            "elements = { 192.0.66.7 counter packets 0 bytes 0 timeout 7d expires ",
            "elements = { 192.0.66.0/24 counter packets 0 bytes 0 }",
            "type filter hook input priority filter; policy accept;",
            "type filter hook forward priority mangle; policy accept;",
            "type filter hook prerouting priority mangle; policy accept;",
            "tcp dport 22 jump jail-sshd",
            "tcp dport { 25, 465, 1000-2000 } jump jail-mail",
            "udp dport { 25, 465, 1000-2000 } jump jail-mail",
            "\t\tjump jail-_3/20/c3/a9\n",
            "ip saddr @sshd4 drop",
            "ip6 saddr @sshd6-net drop",
            "ip saddr @mail4-net reject",
        ] {
            assert!(table.contains(line), "`{line}` is not in\n{table}");
        }
        assert_eq!(listed(&mut firewall), "3 é: , mail: 192.0.66.0/24, sshd: 192.0.66.7");
        firewall.remove().unwrap();
        assert_eq!(nft("list ruleset"), "");
        firewall.remove().unwrap();
    });
}

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
fn a_restart_or_reload_leaves_what_stays_the_same() {
    in_namespace(|| {
        let (_listener, port) = listen();
        let mut before = Nftables::open().unwrap();
        let a = wanted("a", on_ports(&[(port, port)]), &["192.0.2.1", "192.0.2.4/31", "192.0.2.99"]);
        let b = wanted("b", on_ports(&[(9, 9)]), &["192.0.2.2"]);
        let gone = wanted("gone", on_ports(&[(9, 9)]), &["192.0.2.2"]);
        assert_eq!(before.replace(&[a, b, gone]).unwrap(), vec![vec![]; 3]);
        assert_eq!(connect("192.0.2.1", server("192.0.2.1", port)), Reach::Silent);
        assert_eq!(connect("192.0.2.5", server("192.0.2.1", port)), Reach::Silent);
        drop(before);

        let mut firewall = Nftables::open().unwrap();
        assert!(
            matches!(firewall.apply(&[unban("a", "192.0.2.1")]), Err(FirewallError::Drift)),
            "replace comes first"
        );
        let rules =
            Ruleset { block: Block::Reject, hooks: vec![Hook::Prerouting], ..on_ports(&[(port, port)]) };
        let a = wanted("a", rules, &["192.0.2.1", "192.0.2.4/31", "192.0.2.3"]);
        let b = wanted("b", on_ports(&[(9, 9)]), &["192.0.2.2"]);
        assert_eq!(firewall.replace(&[a, b]).unwrap(), vec![vec![]; 2]);
        assert_eq!(listed(&mut firewall), "a: 192.0.2.1 192.0.2.3 192.0.2.4/31, b: 192.0.2.2");
        assert_eq!(connect("192.0.2.1", server("192.0.2.1", port)), Reach::Refused, "by the new rules");
        let table = nft("list table inet stockade");
        assert!(!table.contains("gone"), "{table}");
        // One jail is changed, another closed; the elements of the first stay.
        apply(&mut firewall, &[open("a", on_ports(&[(port, port)])), Change::Close { jail: "b".into() }]);
        assert_eq!(listed(&mut firewall), "a: 192.0.2.1 192.0.2.3 192.0.2.4/31");
        assert!(packets("a4") > 0);
        let table = nft("list table inet stockade");
        assert!(!table.contains("prerouting") && !table.contains("jail-b"), "{table}");
    });
}

#[test]
fn a_table_of_another_shape_is_made_anew() {
    in_namespace(|| {
        let mut firewall = Nftables::open().unwrap();
        for foreign in [
            "add set inet stockade sshd4 { type inet_service; }",
            "add set inet stockade sshd4 { type ipv4_addr; flags interval; }",
            "add set inet stockade other { type ipv4_addr; }",
            "add map inet stockade sshd4 { type ipv4_addr : verdict; }",
            "add chain inet stockade input.0 { type filter hook forward priority 0; policy drop; }",
            "add chain inet stockade input.0 { type filter hook input priority 0; policy drop; }",
            "add chain inet stockade jail-sshd { type nat hook input priority 5; }",
            "add chain inet stockade somebody",
            "add chain inet stockade jail-sshd",
            "add table inet stockade { flags dormant; }",
        ] {
            firewall.remove().unwrap();
            nft("add table inet stockade");
            nft(foreign);
            let all = [wanted("sshd", on_ports(&[(22, 22)]), &["192.0.66.7", "10.0.0.0/8"])];
            let refused = Nftables::open().unwrap().replace(&all).unwrap();
            assert_eq!(refused, [vec![]], "{foreign}");
            let mut again = Nftables::open().unwrap();
            assert_eq!(listed(&mut again), "sshd: 10.0.0.0/8 192.0.66.7", "{foreign}");
            let table = nft("list table inet stockade");
            for odd in ["inet_service", "other", "map", "policy drop", "nat", "somebody", "dormant"] {
                assert!(!table.contains(odd), "{odd} is left of {foreign}\n{table}");
            }
        }
    });
}

#[test]
fn changes_by_someone_else_are_noticed() {
    in_namespace(|| {
        let mut firewall = Nftables::open().unwrap();
        let all = [wanted("sshd", on_ports(&[(22, 22)]), &["192.0.66.7"])];
        for foreign in ["flush ruleset", "delete table inet stockade"] {
            firewall.replace(&all).unwrap();
            nft(foreign);
            for change in [ban("sshd", "192.0.66.8"), unban("sshd", "192.0.66.7"), ban("sshd", "10.0.0.0/8")]
            {
                let answer = firewall.apply(&[change]);
                assert!(matches!(answer, Err(FirewallError::Drift)), "{foreign}: {answer:?}");
            }
            assert_eq!(listed(&mut firewall), "");
        }
        firewall.replace(&all).unwrap();
        assert_eq!(listed(&mut firewall), "sshd: 192.0.66.7");
        // An element taken away is no mistake, one put there is overwritten.
        nft("delete element inet stockade sshd4 { 192.0.66.7 }");
        nft("add element inet stockade sshd4 { 192.0.66.8 }");
        apply(
            &mut firewall,
            &[unban("sshd", "192.0.66.7"), ban("sshd", "192.0.66.8"), ban("sshd", "192.0.66.9")],
        );
        assert_eq!(listed(&mut firewall), "sshd: 192.0.66.8 192.0.66.9");
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
        1..4 => {
            Change::Open { jail, ruleset: on_ports(&[(what, what * 2), (70, 70)][..usize::from(what) - 1]) }
        }
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
        let all = Wanted { jail: "j".into(), ruleset: on_ports(&[]), elements };
        assert_eq!(firewall.replace(&[all]).unwrap(), [vec![]]);
        assert_eq!(firewall.list().unwrap()[0].1.len(), 20_000);
    });
}

#[test]
fn without_net_admin_it_says_so() {
    in_namespace(|| {
        namespace::drop_capabilities();
        let error = Nftables::open().unwrap_err();
        assert!(matches!(error, FirewallError::Permission), "{error:?}");
        assert_eq!(
            error.to_string(),
            "no permission to change nftables: CAP_NET_ADMIN is missing (run as root, or in a container with --cap-add=NET_ADMIN)"
        );
    });
}
