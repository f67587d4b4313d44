//! The table as an operator and other programs see it, and what they do to it.

use stockade::firewall::nftables::Nftables;
use stockade::firewall::{Block, Change, Element, Firewall, FirewallError, Hook, Ruleset};

use super::namespace::{Reach, connect, drop_capabilities, in_namespace, nft, packets};
use super::{apply, ban, listed, listen, net, on_ports, open, server, unban, wanted};

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
            "elements = { 192.0.66.7 timeout 7d expires ",
            "elements = { 192.0.66.0/24 }",
            "set ipv4-hits {",
            "size 16384",
            "flags dynamic,timeout",
            "timeout 1d",
            "update @ipv4-hits { ip saddr counter ",
            "update @ipv6-hits { ip6 saddr counter ",
            "type filter hook input priority filter; policy accept;",
            "type filter hook forward priority mangle; policy accept;",
            "type filter hook prerouting priority mangle; policy accept;",
            "tcp dport 22 jump jail-sshd",
            "tcp dport { 25, 465, 1000-2000 } jump jail-mail",
            "udp dport { 25, 465, 1000-2000 } jump jail-mail",
            "\t\tjump jail-_3/20/c3/a9\n",
            "ip saddr @sshd4 goto count-drop",
            "ip6 saddr @sshd6-net goto count-drop",
            "ip saddr @mail4-net goto count-reject",
            "\t\tdrop\n",
            "\t\treject\n",
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
        assert!(packets("192.0.2.1") > 0);
        let table = nft("list table inet stockade");
        assert!(!table.contains("prerouting") && !table.contains("jail-b"), "{table}");
    });
}

#[test]
fn a_table_of_another_shape_is_made_anew() {
    in_namespace(|| {
        let mut firewall = Nftables::open().unwrap();
        for foreign in [
            // As an earlier version made it.
            "add set inet stockade sshd4 { type ipv4_addr; flags timeout; counter; }",
            "add set inet stockade sshd4 { type ipv4_addr; flags timeout; size 9; }",
            "add set inet stockade ipv4-hits { type ipv4_addr; flags timeout; }",
            "add set inet stockade ipv4-hits { type ipv4_addr; flags dynamic,timeout; timeout 1d; size 9; }",
            "add set inet stockade ipv6-hits { type ipv6_addr; flags dynamic,timeout; timeout 1d; size 16384; counter; }",
            "add set inet stockade ipv6-hits { type ipv6_addr; flags dynamic,timeout; timeout 1h; size 16384; }",
            "add chain inet stockade count-drop { type filter hook input priority 0; }",
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
        // Of the right shape, but with something else in it.
        let all = [wanted("sshd", on_ports(&[(22, 22)]), &["192.0.66.7", "10.0.0.0/8"])];
        nft("add element inet stockade sshd4-net { 11.0.0.1-11.0.0.6 }");
        nft("add element inet stockade sshd6 { ::ffff:192.0.2.1 }");
        nft("add rule inet stockade jail-sshd meta mark 7 accept");
        assert_eq!(listed(&mut firewall), "sshd: 10.0.0.0/8 192.0.2.1 192.0.66.7", "a range is no ban");
        assert_eq!(firewall.replace(&all).unwrap(), [vec![]]);
        assert_eq!(listed(&mut firewall), "sshd: 10.0.0.0/8 192.0.66.7");
        let table = nft("list table inet stockade");
        for odd in ["11.0.0", "ffff", "mark"] {
            assert!(!table.contains(odd), "{odd} is left in\n{table}");
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
fn without_net_admin_it_says_so() {
    in_namespace(|| {
        drop_capabilities();
        let error = Nftables::open().unwrap_err();
        assert!(matches!(error, FirewallError::Permission), "{error:?}");
        assert_eq!(
            error.to_string(),
            "no permission to change nftables: CAP_NET_ADMIN is missing (run as root, or in a container with --cap-add=NET_ADMIN)"
        );
    });
}
