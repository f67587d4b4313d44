//! Actions of Fail2Ban's world enforced natively: what else stands there, what was left, who gets through.

use std::net::UdpSocket;
use std::sync::Arc;

use stockade::firewall::nftables::exact::Exact;
use stockade::firewall::nftables::spelled::Spelled;
use stockade::firewall::{Change, Element, Firewall, FirewallError, Refusal, Rules, Wanted};

use super::namespace::{Reach, connect, in_namespace, nft, send};
use super::spelled::grammar::Action;
use super::spelled::recognise;
use super::{ban, listed, listen, net, server, unban};

const PLAIN: Action = Action {
    name: "sshd",
    table: "t",
    kind: "multiport",
    port: "ssh",
    protocol: "tcp",
    block: "drop",
    set_options: "",
    hook: "input",
    priority: "-1",
    modern: true,
};
const TREE: Action = Action { set_options: r" flags interval\;", ..PLAIN };

fn rules(actions: &[Action]) -> Rules {
    Rules::Spelled(actions.iter().map(|action| recognise(&action.definition())).collect::<Arc<[Spelled]>>())
}

fn open(jail: &str, actions: &[Action]) -> Change {
    Change::Open { jail: jail.into(), rules: rules(actions) }
}

fn wanted(jail: &str, action: Action, nets: &[&str]) -> Wanted {
    let elements = nets.iter().map(|text| Element { net: net(text), timeout: None }).collect();
    Wanted { jail: jail.into(), rules: rules(&[action]), elements }
}

/// Applies changes of which none may be refused.
fn apply(firewall: &mut Exact, changes: &[Change]) {
    for (change, answer) in changes.iter().zip(firewall.apply(changes).unwrap()) {
        assert_eq!(answer, Ok(()), "{change:?}");
    }
}

/// The table without blank lines and indentation, each line ended by ` | `.
fn table() -> String {
    nft("list table inet t")
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" | ")
}

#[test]
fn other_peoples_parts_of_the_table_stay() {
    in_namespace(|| {
        for command in [
            "add table inet t",
            "add set inet t theirs { type ipv4_addr; }",
            "add chain inet t c { type filter hook input priority -1; policy accept; }",
            "add rule inet t c ip saddr @theirs accept",
            "add chain inet t other",
            "add map inet t m { type ipv4_addr : verdict; }",
        ] {
            nft(command);
        }
        let before = nft("list ruleset");
        let mut firewall = Exact::open().unwrap();
        apply(&mut firewall, &[open("j", &[PLAIN]), ban("j", "192.0.66.7"), ban("j", "2001:db8::7")]);
        let during = table();
        assert!(
            during.contains("ip saddr @theirs accept | tcp dport 22 ip saddr @four-sshd drop"),
            "{during}"
        );
        assert_eq!(listed(&mut firewall), "j: 192.0.66.7 2001:db8::7");
        apply(&mut firewall, &[Change::Close { jail: "j".into() }]);
        assert_eq!(nft("list ruleset"), before);
        // A rule of theirs that looks at our set keeps the set, empty, and with it the table.
        apply(&mut firewall, &[open("j", &[PLAIN]), ban("j", "192.0.66.7")]);
        nft("add rule inet t other ip saddr @four-sshd accept");
        firewall.remove().unwrap();
        let after = table();
        assert!(after.contains("ip saddr @four-sshd accept") && !after.contains("192.0.66"), "{after}");
        assert!(!after.contains("dport"), "{after}");
        // Without a set in it the table goes, as the action's command has it.
        nft("flush chain inet t other");
        nft("flush chain inet t c");
        nft("delete set inet t four-sshd");
        nft("delete set inet t theirs");
        apply(&mut firewall, &[open("j", &[PLAIN]), ban("j", "192.0.66.7")]);
        apply(&mut firewall, &[Change::Close { jail: "j".into() }]);
        assert_eq!(nft("list ruleset"), "");
    });
}

#[test]
fn what_an_earlier_run_left_is_taken_over_or_replaced() {
    in_namespace(|| {
        let set = |kind: &str| format!("add set inet t four-sshd {{ {kind} }}");
        let chain = "add chain inet t c { type filter hook input priority -1; }";
        let rule = "add rule inet t c tcp dport 22 ip saddr @four-sshd drop";
        let reject = "add rule inet t c tcp dport 99 ip saddr @four-sshd reject";
        for (left, what) in [
            (vec![set("type ipv4_addr;"), chain.into(), rule.into()], "the same"),
            (
                vec![set("type ipv4_addr;"), chain.into(), rule.into(), rule.into(), reject.into()],
                "more rules",
            ),
            (vec![set("type ipv4_addr;"), chain.into()], "no rule"),
            (vec![set("type ipv4_addr;")], "no chain"),
            (vec![set("type ipv4_addr; flags interval;"), chain.into(), rule.into()], "a tree"),
            (vec![set("type ipv4_addr; flags timeout; timeout 1h;"), chain.into(), rule.into()], "timeouts"),
            (vec![set("type ipv4_addr; size 3;"), chain.into(), rule.into()], "a size"),
            (vec![set("type ipv4_addr; counter;"), chain.into(), rule.into()], "counters"),
            (vec![set("type ipv6_addr;")], "another type"),
            (
                vec![
                    set("type ipv4_addr;"),
                    "add chain inet t c { type filter hook forward priority 7; }".into(),
                    rule.into(),
                ],
                "another hook",
            ),
            (
                vec![
                    set("type ipv4_addr;"),
                    "add set inet t six-sshd { type ipv6_addr; }".into(),
                    chain.into(),
                    "add rule inet t c tcp dport 22 ip6 saddr @six-sshd drop".into(),
                    "add element inet t six-sshd { 2001:db8::1 }".into(),
                ],
                "a set that is not needed yet",
            ),
        ] {
            nft("add table inet t");
            for command in &left {
                nft(command);
            }
            if !what.contains("type") {
                nft("add element inet t four-sshd { 192.0.66.7, 192.0.66.99 }");
            }
            let mut firewall = Exact::open().unwrap();
            let refused = firewall.replace(&[wanted("j", PLAIN, &["192.0.66.7", "192.0.66.8"])]).unwrap();
            assert_eq!(refused, [vec![]], "{what}");
            let want = "table inet t { | set four-sshd { | type ipv4_addr | \
                elements = { 192.0.66.7, 192.0.66.8 } | } | chain c { | \
                type filter hook input priority filter - 1; policy accept; | \
                tcp dport 22 ip saddr @four-sshd drop | } | }";
            assert_eq!(table(), want, "{what}");
            firewall.remove().unwrap();
            assert_eq!(nft("list ruleset"), "", "{what}");
        }
        // A chain that others use too is left where it hangs, as nft leaves it.
        nft("add table inet t");
        nft("add chain inet t c { type filter hook forward priority 7; }");
        nft("add rule inet t c meta mark 7 accept");
        let mut firewall = Exact::open().unwrap();
        assert_eq!(firewall.replace(&[wanted("j", PLAIN, &["192.0.66.7"])]).unwrap(), [vec![]]);
        let got = table();
        assert!(
            got.contains("hook forward") && got.contains("accept | tcp dport 22 ip saddr @four-sshd"),
            "{got}"
        );
    });
}

#[test]
fn what_someone_else_takes_away_is_noticed_and_set_up_again() {
    in_namespace(|| {
        let mut firewall = Exact::open().unwrap();
        let all =
            [wanted("j", PLAIN, &["192.0.66.7"]), wanted("k", Action { name: "k", ..TREE }, &["10.0.0.0/8"])];
        let bans = [
            ban("j", "192.0.66.8"),
            unban("j", "192.0.66.7"),
            ban("k", "11.0.0.0/8"),
            ban("j", "2001:db8::1"),
        ];
        for foreign in ["flush ruleset", "delete table inet t"] {
            for change in &bans {
                assert_eq!(firewall.replace(&all).unwrap(), vec![vec![]; 2]);
                nft(foreign);
                let answer = firewall.apply(std::slice::from_ref(change));
                assert!(matches!(answer, Err(FirewallError::Drift)), "{foreign}, {change:?}: {answer:?}");
                let answer = firewall.apply(std::slice::from_ref(change));
                assert!(matches!(answer, Err(FirewallError::Drift)), "still, until all is replaced");
            }
        }
        assert_eq!(firewall.replace(&all).unwrap(), vec![vec![]; 2]);
        assert_eq!(listed(&mut firewall), "j: 192.0.66.7, k: 10.0.0.0/8");
        // An element taken away is no mistake, nor is one that is there already.
        nft("delete element inet t four-sshd { 192.0.66.7 }");
        nft("add element inet t four-sshd { 192.0.66.8 }");
        nft("delete element inet t four-k { 10.0.0.0/8 }");
        apply(&mut firewall, &[unban("j", "192.0.66.7"), ban("j", "192.0.66.8"), unban("k", "10.0.0.0/8")]);
        assert_eq!(listed(&mut firewall), "j: 192.0.66.8, k: ");
        let jail_gone = [wanted("k", Action { name: "k", ..TREE }, &[])];
        assert_eq!(firewall.replace(&jail_gone).unwrap(), [vec![]]);
        assert_eq!(
            nft("list ruleset"),
            "",
            "neither the jail that is gone nor one without bans leaves anything"
        );
    });
}

#[test]
fn prefixes_cover_and_give_back_what_is_within_them() {
    in_namespace(|| {
        let mut firewall = Exact::open().unwrap();
        apply(&mut firewall, &[open("j", &[TREE])]);
        for (changes, elements) in [
            (vec![ban("j", "192.0.66.7"), ban("j", "192.0.66.6")], "192.0.66.6, 192.0.66.7"),
            (vec![ban("j", "192.0.66.0/24")], "192.0.66.0/24"),
            (vec![ban("j", "192.0.66.9"), ban("j", "192.0.66.0/24")], "192.0.66.0/24"),
            (vec![unban("j", "192.0.66.6"), ban("j", "192.0.67.0/24")], "192.0.66.0-192.0.67.255"),
            (vec![unban("j", "192.0.66.0/24")], "192.0.66.7, 192.0.66.9, 192.0.67.0/24"),
        ] {
            apply(&mut firewall, &changes);
            let set = nft("list set inet t four-sshd").split_whitespace().collect::<Vec<_>>().join(" ");
            let want = format!("elements = {{ {elements} }}");
            let parts = want.replace("192.0.66.0-192.0.67.255", "192.0.66.0/24, 192.0.67.0/24");
            assert!(set.contains(&want) || set.contains(&parts), "{changes:?}: {set}");
        }
        assert_eq!(listed(&mut firewall), "j: 192.0.66.7 192.0.66.9 192.0.67.0/24");
        // Somebody else's range is in the way of one ban, and of no other.
        nft("add element inet t four-sshd { 10.0.0.5-10.0.0.9 }");
        let answers = firewall.apply(&[ban("j", "10.0.0.0/24"), ban("j", "10.0.1.0/24")]).unwrap();
        let refusal = Refusal("it overlaps something that another program put into the set".to_owned());
        assert_eq!(answers, [Err(refusal), Ok(())]);
    });
}

#[test]
fn a_storm_of_bans_fits_however_little_the_kernel_takes_at_once() {
    in_namespace(|| {
        let nets: Vec<String> =
            (0..20_000).map(|n| format!("10.{}.{}.{}", n >> 14, n >> 6 & 255, n << 2 & 255)).collect();
        for action in [PLAIN, TREE] {
            for limit in [usize::MAX, 100_000] {
                let mut firewall = Exact::open().unwrap();
                firewall.limit(limit);
                let mut changes = vec![open("j", &[action])];
                changes.extend(nets.iter().map(|net| ban("j", net)));
                apply(&mut firewall, &changes);
                let count = |firewall: &mut Exact| firewall.list().unwrap()[0].1.len();
                assert_eq!(count(&mut firewall), nets.len());
                // Twice is no mistake.
                apply(&mut firewall, &changes);
                let gone: Vec<_> = nets.iter().skip(1).map(|net| unban("j", net)).collect();
                apply(&mut firewall, &gone);
                assert_eq!(count(&mut firewall), 1);
                firewall.remove().unwrap();
            }
        }
    });
}

#[test]
fn banned_hosts_are_cut_off_and_nobody_else() {
    in_namespace(|| {
        let (_listener, port) = listen();
        let port_text: &'static str = port.to_string().leak();
        let udp = UdpSocket::bind(("192.0.2.6", port)).unwrap();
        let mut firewall = Exact::open().unwrap();
        for (kind, block, reach) in [
            ("multiport", "counter drop", Reach::Silent),
            ("allports", "reject with tcp reset", Reach::Refused),
            ("tcp dport 1-65535", "reject", Reach::Refused),
        ] {
            let action = Action { kind, block, port: port_text, ..TREE };
            apply(&mut firewall, &[open("j", &[action]), ban("j", "192.0.2.1"), ban("j", "192.0.2.4/31")]);
            for client in ["192.0.2.1", "192.0.2.5"] {
                assert_eq!(connect(client, server(client, port)), reach, "{client} {action:?}");
                assert_eq!(send(client, &udp), Reach::Open, "{client}: UDP is not meant");
            }
            assert_eq!(connect("192.0.2.2", server("192.0.2.2", port)), Reach::Open);
            apply(&mut firewall, &[unban("j", "192.0.2.1")]);
            assert_eq!(connect("192.0.2.1", server("192.0.2.1", port)), Reach::Open);
            assert_eq!(connect("192.0.2.4", server("192.0.2.4", port)), reach);
        }
        let six = Action { block: "counter drop", port: port_text, ..PLAIN };
        apply(&mut firewall, &[open("j", &[six]), ban("j", "2001:db8::1")]);
        assert_eq!(connect("2001:db8::1", server("2001:db8::1", port)), Reach::Silent);
        assert_eq!(connect("2001:db8::2", server("2001:db8::2", port)), Reach::Open);
    });
}

/// `layout = fast`: what is asked of the kernel is another set, who is kept out is the same.
#[test]
fn a_fast_layout_keeps_out_the_same() {
    in_namespace(|| {
        let fast = |action: &Action| recognise(&action.definition()).fast();
        let rules = Rules::Spelled([fast(&TREE)].into());
        let open_fast = Change::Open { jail: "j".into(), rules };
        let mut firewall = Exact::open().unwrap();
        apply(&mut firewall, &[open("j", &[TREE]), ban("j", "192.0.66.7"), ban("j", "192.0.67.0/24")]);
        let exact = nft("list ruleset");
        apply(&mut firewall, &[open_fast, ban("j", "192.0.67.1")]);
        let during = table();
        for part in [
            "set four-sshd { | type ipv4_addr | elements = {",
            "set four-sshd-net { | type ipv4_addr | flags interval | elements = { 192.0.67.0/24 }",
            "tcp dport 22 ip saddr @four-sshd drop",
            "tcp dport 22 ip saddr @four-sshd-net drop",
        ] {
            assert!(during.contains(part), "{part} in {during}");
        }
        assert_eq!(listed(&mut firewall), "j: 192.0.66.7 192.0.67.0/24 192.0.67.1");
        apply(&mut firewall, &[unban("j", "192.0.67.1"), open("j", &[TREE])]);
        assert_eq!(nft("list ruleset"), exact);
    });
}

/// A large start goes in pieces where nothing stands, and at once where somebody would get in meanwhile.
#[test]
fn many_bans_are_all_in_force() {
    in_namespace(|| {
        let nets: Vec<String> =
            (0..20_000_u32).map(|n| std::net::Ipv4Addr::from(0x0a00_0000 + n * 2).to_string()).collect();
        let nets: Vec<&str> = nets.iter().map(String::as_str).collect();
        for _ in 0..2 {
            let mut firewall = Exact::open().unwrap();
            let refused = firewall.replace(&[wanted("j", TREE, &nets)]).unwrap();
            assert_eq!(refused, [vec![]]);
            assert_eq!(listed(&mut firewall).matches("10.0.").count(), nets.len());
        }
    });
}
