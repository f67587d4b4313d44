//! Who gets through, shown with real packets.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};

use stockade::firewall::nftables::Nftables;
use stockade::firewall::{Block, Change, Firewall, Hook, Protocol, Ruleset, Wanted};

use super::namespace::{Reach, connect, in_namespace, nft, packets, run, send};
use super::{apply, ban, listen, on_ports, open, server, unban, wanted};

#[test]
fn banned_addresses_and_prefixes_are_cut_off_and_nobody_else() {
    in_namespace(|| {
        let (_listener, port) = listen();
        let other_port = TcpListener::bind("192.0.2.6:0").unwrap();
        let mut firewall = Nftables::open().unwrap();
        apply(&mut firewall, &[open("mail", on_ports(&[(port, port)]))]);
        for (banned, client, bystander) in [
            ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
            ("2001:db8::1", "2001:db8::1", "2001:db8::2"),
            ("192.0.2.4/31", "192.0.2.5", "192.0.2.3"),
            ("2001:db8::4/127", "2001:db8::5", "2001:db8::3"),
        ] {
            let server = server(client, port);
            assert_eq!(connect(client, server), Reach::Open, "{client} before the ban");
            apply(&mut firewall, &[ban("mail", banned)]);
            assert_eq!(connect(client, server), Reach::Silent, "{client} banned as {banned}");
            assert!(packets(client) > 0, "{client} is counted");
            assert_eq!(connect(bystander, server), Reach::Open, "{bystander} is not banned");
            assert_eq!(packets(bystander), 0, "{bystander}");
            apply(&mut firewall, &[unban("mail", banned)]);
            assert_eq!(connect(client, server), Reach::Open, "{client} after the ban");
        }
        apply(&mut firewall, &[ban("mail", "192.0.2.1")]);
        let other = other_port.local_addr().unwrap();
        assert_eq!(connect("192.0.2.1", other), Reach::Open, "another port");
    });
}

/// Whoever chooses the addresses of packets can fill what counts them.
#[test]
fn who_is_not_counted_for_want_of_room_is_cut_off_all_the_same() {
    in_namespace(|| {
        let (_listener, port) = listen();
        let mut firewall = Nftables::open().unwrap();
        apply(&mut firewall, &[open("mail", on_ports(&[(port, port)])), ban("mail", "192.0.2.1")]);
        let others: Vec<_> = (0..16_384).map(|n| format!("100.64.{}.{}", n / 256, n % 256)).collect();
        let folder = tempfile::tempdir().unwrap();
        let full = folder.path().join("full.nft");
        let elements = others.join(",");
        fs::write(&full, format!("add element inet stockade ipv4-hits {{ {elements} }}")).unwrap();
        nft(&format!("-f {}", full.display()));
        let sent = UdpSocket::bind(("192.0.2.6", port)).unwrap();
        apply(&mut firewall, &[open("mail", Ruleset { protocols: vec![], ..on_ports(&[(port, port)]) })]);
        assert_eq!(send("192.0.2.1", &sent), Reach::Silent);
        assert_eq!(send("192.0.2.2", &sent), Reach::Open);
        assert_eq!(packets("192.0.2.1"), 0, "there was room");
        nft("delete element inet stockade ipv4-hits { 100.64.0.7 }");
        assert_eq!(send("192.0.2.1", &sent), Reach::Silent);
        assert_eq!(packets("192.0.2.1"), 1, "there is room");
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
                assert_eq!(send(client, server), reach, "{client} in {hook:?}");
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
            let udp = send("192.0.2.1", &receiver);
            assert_eq!((&*got, udp == Reach::Silent), (cut, udp_cut), "{ports:?} {protocols:?}");
        }
    });
}

#[test]
fn no_packet_slips_through_while_rules_change() {
    in_namespace(|| {
        let (_listener, _) = listen();
        let server = UdpSocket::bind("192.0.2.6:0").unwrap();
        server.set_nonblocking(true).unwrap();
        let port = server.local_addr().unwrap().port();
        let protocols = vec![Protocol::Udp];
        let rules = [[(port, port)], [(port, 65535)]]
            .map(|ports| Ruleset { protocols: protocols.clone(), ..on_ports(&ports) });
        let mut firewall = Nftables::open().unwrap();
        let all = rules.clone().map(|ruleset| [wanted("j", ruleset, &["192.0.2.1"])]);
        firewall.replace(&all[0]).unwrap();
        let is_over = AtomicBool::new(false);
        let sent = std::thread::scope(|scope| {
            let attacker = scope.spawn(|| {
                let client = UdpSocket::bind("192.0.2.1:0").unwrap();
                client.connect(server.local_addr().unwrap()).unwrap();
                let mut sent = 0;
                while !is_over.load(Ordering::Relaxed) {
                    client.send(b"x").unwrap();
                    sent += 1;
                }
                sent
            });
            for turn in 0..500 {
                let Wanted { jail, rules, elements } = all[turn % 2][0].clone();
                apply(&mut firewall, &[Change::Open { jail: jail.clone(), rules }]);
                apply(&mut firewall, &[Change::Ban { jail, element: elements[0] }]);
                firewall.replace(&all[turn % 2]).unwrap();
            }
            is_over.store(true, Ordering::Relaxed);
            attacker.join().unwrap()
        });
        let slipped = std::iter::from_fn(|| server.recv(&mut [0]).ok()).count();
        assert_eq!(slipped, 0, "of {sent} packets");
    });
}
