use super::*;
use crate::firewall::Change;
use crate::firewall::plan::{State, settle};

fn ruleset(ports: &[(u16, u16)]) -> Ruleset {
    Ruleset {
        ports: ports.to_vec(),
        protocols: vec![Protocol::Tcp],
        block: Block::Drop,
        hooks: vec![Hook::Input],
        priority: 0,
    }
}

#[test]
fn names_fit_and_differ() {
    let long = "x".repeat(22);
    for (jail, is_ipv6, want) in [
        ("sshd", false, "stockade4-sshd"),
        ("sshd", true, "stockade6-sshd"),
        (&long[1..], false, "stockade4-xxxxxxxxxxxxxxxxxxxxx"),
    ] {
        assert_eq!(set_name(jail, is_ipv6), want, "{jail:?}");
        assert_eq!(jail_of(want), Some(jail));
    }
    // Numbers stand for what is too long or has odd letters.
    assert_eq!(set_name("foo bar", false).len(), 26);
    assert_eq!(set_name("", true), "stockade6-");
    for jail in [&*long, "a b", "a\nadd x 1.1.1.1", "é"] {
        let name = set_name(jail, true);
        assert!(name.len() <= LONGEST_NAME && name.is_ascii() && !name.contains([' ', '\n']), "{name}");
        assert!(is_ours(&name) && jail_of(&name).is_none(), "{jail:?}");
    }
    assert_ne!(set_name("a b", false), set_name("a c", false));
    assert!(!is_ours("f2b-sshd"));
}

#[test]
fn rules_compare_at_most_fifteen_ports() {
    let many: Vec<_> = (1..=16).map(|port| (port * 10, port * 10)).collect();
    let set = "-m set --match-set stockade4-j src -j";
    for (ruleset, want) in [
        (ruleset(&[]), format!("{set} DROP")),
        (ruleset(&[(22, 22)]), format!("-p tcp -m multiport --dports 22 {set} DROP")),
        (
            Ruleset { protocols: vec![], block: Block::Reject, ..ruleset(&[(22, 22), (80, 90)]) },
            format!(
                "-p tcp -m multiport --dports 22,80:90 {set} REJECT|-p udp -m multiport --dports 22,80:90 {set} REJECT"
            ),
        ),
        (
            ruleset(&many),
            format!(
                "-p tcp -m multiport --dports 10,20,30,40,50,60,70,80,90,100,110,120,130,140,150 {set} DROP|\
                 -p tcp -m multiport --dports 160 {set} DROP"
            ),
        ),
    ] {
        let jail: Arc<str> = "j".into();
        let rules = rules([(&jail, &ruleset, Some(3))], false);
        let lines = &rules[&Hook::Input];
        let got: Vec<_> =
            lines.iter().map(|line| line.text.strip_prefix("-A stockade-input ").unwrap()).collect();
        assert_eq!(got.join("|"), want, "{ruleset:?}");
        assert!(lines.iter().all(|line| line.change == Some(3)));
    }
}

#[test]
fn chains_are_written_as_a_whole() {
    let jail: Arc<str> = "j".into();
    let hooks = vec![Hook::Input, Hook::Prerouting];
    let rules = rules([(&jail, &Ruleset { hooks, ..ruleset(&[]) }, None)], true);
    let lines = restore(&rules, &HOOKS.into(), &[Hook::Prerouting].into());
    assert_eq!(
        text(&lines),
        "*filter\n:stockade-input - [0:0]\n:stockade-forward - [0:0]\n\
         -A stockade-input -m set --match-set stockade6-j src -j DROP\nCOMMIT\n\
         *raw\n:stockade-prerouting - [0:0]\n\
         -A stockade-prerouting -m set --match-set stockade6-j src -j DROP\n\
         -I PREROUTING 1 -j stockade-prerouting\nCOMMIT\n"
    );
    assert_eq!(
        remove(Hook::Input, 2),
        "*filter\n-D INPUT -j stockade-input\n-D INPUT -j stockade-input\n\
         -F stockade-input\n-X stockade-input\nCOMMIT\n"
    );
    let printed = "-P INPUT ACCEPT\n-A INPUT -j stockade-input\n-A INPUT -j stockade-input-2\n";
    assert_eq!(jumps(Hook::Input, printed), 1);
}

#[test]
fn sets_are_filled_before_they_take_their_place() {
    let open = Change::Open { jail: "j".into(), rules: Flat(ruleset(&[])) };
    let ban = |net: &str, secs: Option<u64>| {
        let element = Element { net: net.parse().unwrap(), timeout: secs.map(Duration::from_secs) };
        Change::Ban { jail: "j".into(), element }
    };
    let unban = |net: &str| Change::Unban { jail: "j".into(), net: net.parse().unwrap() };
    let mut state = State::default();
    let mut lines = |changes: &[Change<Flat>]| {
        let mut got = Vec::new();
        settle(&mut state, changes, |_, plan| {
            got = sets(plan, true);
            Ok(vec![])
        })
        .unwrap();
        let short = |line: &Line| line.text.replace(" hash:net", "").replace(" maxelem 1000000", "");
        got.iter().map(short).collect::<Vec<_>>()
    };
    assert_eq!(
        lines(&[open, ban("192.0.2.1", Some(60)), ban("2001:db8::/32", None)]),
        [
            "create stockade-fresh4 family inet timeout 0",
            "flush stockade-fresh4",
            "add stockade-fresh4 192.0.2.1 timeout 60",
            "create stockade4-j family inet timeout 0",
            "swap stockade-fresh4 stockade4-j",
            "destroy stockade-fresh4",
            "create stockade-fresh6 family inet6 timeout 0",
            "flush stockade-fresh6",
            "add stockade-fresh6 2001:db8::/32 timeout 0",
            "create stockade6-j family inet6 timeout 0",
            "swap stockade-fresh6 stockade6-j",
            "destroy stockade-fresh6",
        ]
    );
    // No timeout is too long for the kernel, and no prefix too short.
    let changes = [
        ban("192.0.2.2", Some(LONGEST)),
        ban("192.0.2.3", Some(LONGEST + 1)),
        ban("0.0.0.0/0", Some(0)),
        unban("192.0.2.1"),
        ban("::/0", None),
    ];
    let mut got = lines(&changes);
    got.sort();
    assert_eq!(
        got,
        [
            "add stockade4-j 0.0.0.0/1 timeout 1",
            "add stockade4-j 128.0.0.0/1 timeout 1",
            "add stockade4-j 192.0.2.2 timeout 2147483",
            "add stockade4-j 192.0.2.3 timeout 0",
            "add stockade6-j 8000::/1 timeout 0",
            "add stockade6-j ::/1 timeout 0",
            "del stockade4-j 192.0.2.1",
        ]
    );
}

#[test]
fn what_ipset_saves_is_read() {
    let printed = "create stockade4-j hash:net family inet hashsize 1024 maxelem 65536 timeout 0\n\
                   add stockade4-j 192.0.2.1 timeout 59\nadd stockade4-j 10.0.0.0/8 timeout 0\nadd stockade4-j what\n";
    let found = elements(printed);
    let got: Vec<_> = found.iter().map(|e| (e.net.to_string(), e.timeout.map(|t| t.as_secs()))).collect();
    assert_eq!(got, [("192.0.2.1".to_owned(), Some(59)), ("10.0.0.0/8".to_owned(), None)]);
}
