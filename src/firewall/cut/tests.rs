use proptest::prelude::*;

use super::*;
use crate::firewall::{Block, Ruleset};

fn scope(ports: &[(u16, u16)], protocols: &[Protocol], hooks: &[Hook]) -> Arc<Scope> {
    let rules = Ruleset {
        ports: ports.to_vec(),
        protocols: protocols.to_vec(),
        block: Block::Drop,
        hooks: hooks.to_vec(),
        priority: -1,
    };
    Arc::new(Scope::of(&rules.into()))
}

fn flow(protocol: u8, peer: &str, port: u16) -> Flow {
    Flow { protocol, peer: peer.parse().unwrap(), peer_port: 4711, port }
}

fn wanted(bans: &[(&str, &Arc<Scope>, &[&str])]) -> Wanted {
    let mut wanted = Wanted::default();
    for (jail, scope, nets) in bans {
        let nets: Vec<Subnet> = nets.iter().map(|net| net.parse().unwrap()).collect();
        wanted.add(&(*jail).into(), scope, &nets);
    }
    wanted.sort();
    wanted
}

#[test]
fn what_a_ban_keeps_out_is_cut_and_nothing_else() {
    let ssh = scope(&[(22, 22)], &[Protocol::Tcp], &[Hook::Input]);
    let web = scope(&[(80, 80), (8000, 8100)], &[], &[Hook::Forward]);
    let all = scope(&[], &[Protocol::Tcp], &[Hook::Prerouting]);
    let wanted = wanted(&[
        ("sshd", &ssh, &["192.0.2.1", "2001:db8::1"]),
        ("web", &web, &["192.0.2.1", "198.51.100.0/24", "2001:db8:1::/48"]),
        ("all", &all, &["203.0.113.9"]),
    ]);
    for (protocol, peer, port, way, jail) in [
        (TCP, "192.0.2.1", 22, Way::Here, Some(("192.0.2.1", "sshd"))),
        (TCP, "::ffff:192.0.2.1", 22, Way::Here, Some(("192.0.2.1", "sshd"))),
        (TCP, "2001:db8::1", 22, Way::Here, Some(("2001:db8::1", "sshd"))),
        (TCP, "192.0.2.2", 22, Way::Here, None),
        (TCP, "192.0.2.1", 23, Way::Here, None),
        (UDP, "192.0.2.1", 22, Way::Here, None),
        (TCP, "192.0.2.1", 22, Way::Through, None),
        (TCP, "192.0.2.1", 80, Way::Here, None),
        (TCP, "192.0.2.1", 80, Way::Through, Some(("192.0.2.1", "web"))),
        (UDP, "198.51.100.77", 8050, Way::Through, Some(("198.51.100.0/24", "web"))),
        (132, "198.51.100.77", 8050, Way::Through, None),
        (UDP, "198.51.101.77", 8050, Way::Through, None),
        (TCP, "2001:db8:1:2::3", 8100, Way::Through, Some(("2001:db8:1::/48", "web"))),
        (132, "203.0.113.9", 1, Way::Here, Some(("203.0.113.9", "all"))),
        (TCP, "203.0.113.9", 65535, Way::Through, Some(("203.0.113.9", "all"))),
    ] {
        let found = wanted.find(&flow(protocol, peer, port), way);
        let found = found.map(|(net, jail)| (net.to_string(), jail.to_string()));
        let jail = jail.map(|(net, jail)| (net.to_owned(), jail.to_owned()));
        assert_eq!(found, jail, "{protocol} {peer} {port} {way:?}");
    }
}

#[test]
fn a_ban_of_everybody_is_no_ban_of_who_listens() {
    let all = scope(&[], &[], &[Hook::Input]);
    let wanted = wanted(&[("all", &all, &["0.0.0.0/0", "::/0"])]);
    assert!(wanted.find(&flow(TCP, "192.0.2.1", 22), Way::Here).is_some());
    assert!(wanted.find(&flow(TCP, "2001:db8::1", 22), Way::Here).is_some());
    for nobody in ["0.0.0.0", "::", "::ffff:0.0.0.0"] {
        assert!(wanted.find(&flow(TCP, nobody, 22), Way::Here).is_none(), "{nobody}");
    }
}

#[test]
fn only_what_may_be_there_is_looked_through() {
    let tcp = scope(&[(22, 22)], &[Protocol::Tcp], &[Hook::Input]);
    let udp = scope(&[(53, 53)], &[Protocol::Udp], &[Hook::Input, Hook::Forward]);
    let all = scope(&[], &[], &[Hook::Forward]);
    for (bans, kinds, families) in [
        (vec![("a", &tcp, &["192.0.2.1"][..])], vec![(false, TCP), (true, TCP)], vec![]),
        (vec![("a", &tcp, &["2001:db8::1"])], vec![(true, TCP)], vec![]),
        (vec![("a", &udp, &["192.0.2.1"])], vec![(false, UDP), (true, UDP)], vec![false]),
        (vec![("a", &all, &["192.0.2.1", "2001:db8::1"])], vec![], vec![false, true]),
        (vec![], vec![], vec![]),
    ] {
        let wanted = wanted(&bans);
        assert_eq!((wanted.kinds(), wanted.families()), (kinds, families), "{bans:?}");
    }
}

#[test]
fn fail2bans_rules_say_which_ports() {
    let file = |name: &str, more: &[(&str, &str)]| {
        let mut options = vec![
            ("actionstart".to_owned(), "nft add table inet t\nnft -- add chain inet t c \\{ type filter hook <hook> priority -1 \\; \\}\nnft add set inet t s \\{ type ipv4_addr\\; \\}\nnft add rule inet t c <match> ip saddr @s drop".to_owned()),
            ("actionstop".to_owned(), "{ nft -a list chain inet t c | grep -oP '@s\\s+.*\\s+\\Khandle\\s+(\\d+)$'; } | while read -r hdl; do nft delete rule inet t c $hdl; done\nnft delete set inet t s".to_owned()),
            ("actionban".to_owned(), "nft add element inet t s \\{ <ip> \\}".to_owned()),
            ("actionunban".to_owned(), "nft delete element inet t s \\{ <ip> \\}".to_owned()),
        ];
        options.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let definition = crate::action::Definition { name: name.into(), file: name.into(), options };
        let spelled = super::super::nftables::spelled::recognise(&definition, false, "").unwrap();
        Scope::of(&Rules::Spelled(Arc::from([spelled])))
    };
    let some = file("a", &[("hook", "input"), ("match", "tcp dport \\{ 22,80-90 \\}")]);
    let (ssh, udp) = (flow(TCP, "192.0.2.1", 22), flow(UDP, "192.0.2.1", 22));
    assert!(some.has(&ssh, Way::Here) && some.has(&flow(TCP, "192.0.2.1", 85), Way::Here));
    assert!(!some.has(&ssh, Way::Through) && !some.has(&udp, Way::Here));
    let all = file("b", &[("hook", "forward"), ("match", "")]);
    assert!(all.has(&udp, Way::Through) && !all.has(&udp, Way::Here));
}

proptest! {
    /// Whoever is found is within a ban whose jail shuts that port, and whoever is within one is found.
    #[test]
    fn as_by_looking_at_each_ban(
        bans in prop::collection::vec((any::<[u8; 2]>(), 20_u8..=32, 0_usize..3), 0..20),
        flows in prop::collection::vec((any::<[u8; 2]>(), 0_u16..4), 0..20),
    ) {
        let scopes = [1, 2, 3].map(|port| scope(&[(port, port)], &[], &[Hook::Input]));
        let net = |[a, b]: [u8; 2], length| Subnet::new([192, 0, a & 3, b].into(), length).unwrap();
        let mut wanted = Wanted::default();
        for (bytes, length, jail) in &bans {
            wanted.add(&format!("j{jail}").into(), &scopes[*jail], &[net(*bytes, *length)]);
        }
        wanted.sort();
        for ([a, b], port) in flows {
            let peer = IpAddr::from([192, 0, a & 3, b]);
            let flow = Flow { protocol: TCP, peer, peer_port: 1, port };
            let plain = bans.iter().any(|(bytes, length, jail)| {
                net(*bytes, *length).contains(&peer.into()) && scopes[*jail].has(&flow, Way::Here)
            });
            prop_assert_eq!(wanted.find(&flow, Way::Here).is_some(), plain);
        }
    }
}
