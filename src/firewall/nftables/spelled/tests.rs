pub(in crate::firewall::nftables) mod grammar;

use proptest::prelude::*;

use super::*;
use grammar::Action;

const SERVICES: &str = "ssh 22/tcp\nsmtp 25/tcp mail\n";

fn recognised(definition: &Definition) -> Result<Spelled, String> {
    recognise(definition, true, SERVICES).map_err(|reason| reason.to_string())
}

/// The rules as nft would list them.
fn rules(layout: &Layout) -> String {
    let rule = |rule: &Rule| {
        let range =
            |(low, high): &(u16, u16)| if low == high { low.to_string() } else { format!("{low}-{high}") };
        let ports = rule.ports.as_ref().map(|ports| {
            let ranges = ports.ranges.iter().map(range).collect::<Vec<_>>().join(", ");
            format!("dport {}", if ports.is_set { format!("{{ {ranges} }}") } else { ranges })
        });
        let verdict = match rule.verdict {
            Verdict::Drop => "drop".to_owned(),
            Verdict::Reject(kind, code) => format!("reject {kind} {code}"),
        };
        format!("{:?} {} {verdict}", rule.protocols, ports.unwrap_or_default())
    };
    layout.branches.iter().flat_map(|(_, rules)| rules.iter().map(rule)).collect::<Vec<_>>().join("; ")
}

#[test]
fn rules_become_what_nft_makes_of_them() {
    let action = Action::default();
    for (action, want) in [
        (action, "One(6) dport { 22, 2222 } reject 0 3"),
        (Action { port: "ssh", block: "drop", ..action }, "One(6) dport 22 drop"),
        (Action { port: "mail,8000:8100,8101", ..action }, "One(6) dport { 25, 8000-8101 } reject 0 3"),
        (Action { port: "0:65535", modern: true, ..action }, "One(6) dport 0-65535 reject 0 3"),
        (Action { port: "22, 22", ..action }, "One(6) dport { 22 } reject 0 3"),
        (
            Action { protocol: "tcp,udp", ..action },
            "One(6) dport { 22, 2222 } reject 0 3; One(17) dport { 22, 2222 } reject 0 3",
        ),
        (Action { protocol: "all", modern: true, ..action }, "All dport { 22, 2222 } reject 0 3"),
        (Action { kind: "allports", ..action }, "One(6)  reject 0 3"),
        (Action { kind: "allports", protocol: "udp,tcp", ..action }, "Set([6, 17])  reject 0 3"),
        (Action { kind: "allports", protocol: "all", modern: true, ..action }, "All  reject 0 3"),
        (Action { kind: "", block: "drop", ..action }, "All  drop"),
        (Action { kind: "udp dport 53", block: "counter drop", ..action }, "One(17) dport 53 drop"),
        (Action { block: "reject with icmp type host-prohibited", ..action }, ""),
        (
            Action { block: "reject with icmpx admin-prohibited", ..action },
            "One(6) dport { 22, 2222 } reject 2 3",
        ),
        (Action { block: "reject with tcp reset", ..action }, "One(6) dport { 22, 2222 } reject 1 0"),
    ] {
        let got = recognised(&action.definition()).map(|spelled| rules(&spelled.faces[0].layout));
        assert_eq!(got.unwrap_or_default(), want, "{action:?}");
    }
}

#[test]
fn sets_and_chains_are_as_they_are_spelled() {
    let action = Action {
        set_options: r" flags interval\;",
        hook: "prerouting",
        priority: "raw - 7",
        ..Action::default()
    };
    let spelled = recognised(&action.definition()).unwrap();
    assert!(spelled.on_demand);
    let names: Vec<_> = spelled.faces.iter().map(|face| face.layout.set.name.to_string()).collect();
    assert_eq!(names, ["inet t four-sshd", "inet t six-sshd"]);
    let Face { family, layout } = &spelled.faces[1];
    assert_eq!(*family, Some(Family::Inet6));
    assert!(layout.set.is_ipv6 && layout.set.is_interval && layout.removes_table);
    let chain = &layout.branches[0].0;
    assert_eq!((chain.hook, chain.kind, chain.priority), (SetHook::Prerouting, ChainKind::Filter, -307));
    // Without IPv6 there is one face, and without families there is one for all, made with the jail.
    assert_eq!(recognise(&action.definition(), false, "").map(|spelled| spelled.faces.len()), Ok(1));
    let mut plain = action.definition();
    plain.options.retain(|(key, _)| !key.contains('?'));
    let plain = recognised(&plain).unwrap();
    assert_eq!((plain.on_demand, plain.faces.len(), plain.faces[0].family), (false, 1, None));
}

const NO_CHAIN: &str = "actionstart: the kernel knows no such type of chain in this hook with this priority";

/// What is changed in which option of an action, and why it is then left to the shell.
const MUTATIONS: &[(&str, &str, &str, &str)] = &[
    ("actionban", "add", "create", "actionban: `nft create element` is not understood"),
    ("actionban", "nft", "nice nft", "actionban: `nice` is not nft"),
    ("actionban", "nft", "nft -c", "actionban: the option `-c` of nft is not understood"),
    ("actionban", "<set>", "other", "actionban: `inet t other` is not the set of actionstart"),
    ("actionban", "inet t", "inet u", "actionban: `inet u four-sshd` is not the set of actionstart"),
    ("actionban", "<ip>", "<ip> timeout 1h", "actionban: `timeout` stands where `}` is expected"),
    ("actionban", "<ip>", "<ip>, <ip>", "actionban: `,` stands where `}` is expected"),
    ("actionban", "<ip>", "<ip>/24", "actionban: `<ip>/24` stands where `<ip>` is expected"),
    ("actionban", "<ip>", "<fid>", "actionban: `<` is not understood in `<fid>`"),
    ("actionban", "<ip>", "$IP", "actionban: `$IP` is not known"),
    ("actionban", "<ip>", "$(hostname)", "actionban: `hostname` is not understood in `$(…)`"),
    ("actionban", r"\}", r"\}; id", "actionban: `id` is not nft"),
    ("actionban", r"\}", r"\}; nft flush set inet t x", "actionban: is not the addition of one element"),
    ("actionban", r"\}", r"\} && id", "actionban: `&` is not understood in `&&`"),
    ("actionban", r"\}", r"\} > /tmp/x", "actionban: `>` is not understood in `>`"),
    ("actionban", r"\}", r"\} 2> /tmp/x", "actionban: `2>/tmp/x` is not understood"),
    ("actionban", r"\}", r"\} | logger", "actionban: `|` is not understood here"),
    ("actionban", r"\}", r"\} || logger", "actionban: `logger` is not nft"),
    ("actionban", r"\}", r"\} # why", "actionban: `#` is not understood in `#`"),
    ("actionban", r"\}", r"\} `id`", "actionban: ``` is not understood in ``id``"),
    ("actionban", "nft", "X=1 nft", "actionban: `X=1` is not nft"),
    ("actionban", "nft", "! nft", "actionban: `!` is not nft"),
    ("actionban", "nft", "\"n$ft\"", "actionban: `$` is not understood in quotes"),
    ("actionunban", "delete", "add", "actionunban: is not the deletion of one element"),
    ("actionunban", "<set>", "six-sshd", "actionunban: `inet t six-sshd` is not the set of actionstart"),
    ("actionstart", "reject", "jump elsewhere", "actionstart: `jump` is not understood in a rule"),
    ("actionstart", "reject", "log prefix f2b drop", "actionstart: `log` is not understood in a rule"),
    ("actionstart", "reject", "drop comment x", "actionstart: `comment` is not understood here"),
    ("actionstart", "reject", "accept", "actionstart: `accept` is not understood in a rule"),
    (
        "actionstart",
        "reject",
        "reject with icmpx what",
        "actionstart: `reject with icmpx what` is not understood",
    ),
    (
        "actionstart",
        "reject",
        "reject with tcp reset",
        "actionstart: `reject with tcp reset` is not about TCP alone",
    ),
    ("actionstart", " saddr", " daddr", "actionstart: `daddr` stands where `saddr` is expected"),
    ("actionstart", "@<set>", "@other", "actionstart: has a rule that looks at `@other` and not at its set"),
    ("actionstart", "$proto dport", "iif lo $proto dport", "actionstart: `iif` is not understood in a rule"),
    ("actionstart", "$proto", "$other", "actionstart: `$other` is not known"),
    ("actionstart", "for proto", "for PATH", "actionstart: `PATH` is not understood here"),
    ("actionstart", "s/:/-/g", "s/2/3/", "actionstart: `sed s/2/3/` is not understood"),
    ("actionstart", "s/:/-/g", "s/./-/g", "actionstart: `sed s/./-/g` is not understood"),
    ("actionstart", "ssh", "sssh", "actionstart: the port `sssh` is not understood"),
    ("actionstart", "ssh", "022", "actionstart: the port `022` is not understood"),
    ("actionstart", "ssh", "9-8", "actionstart: the port `9-8` is not understood"),
    ("actionstart", "'ssh", "'-n ssh", "actionstart: `echo -n ssh,2222` is not understood in `$(…)`"),
    ("actionstart", "ssh", "*", "actionstart: `*,2222` would be taken for the names of files"),
    ("actionstart", "tcp,udp", "tcp,tcp", "actionstart: adds the same rule twice"),
    ("actionstart", "tcp,udp", "", "actionstart: adds no rule"),
    ("actionstart", "-- add", "add", "actionstart: `-1` comes before no `--`"),
    ("actionstart", "-1", "-01", "actionstart: the priority `-01` is not understood"),
    ("actionstart", "-1", "dstnat", "actionstart: the priority `dstnat` is not understood"),
    (
        "actionstart",
        "hook input",
        "hook postrouting",
        "actionstart: rejects packets in the hook `postrouting`, where the kernel can not",
    ),
    ("actionstart", "type filter", "type route", NO_CHAIN),
    ("actionstart", "type filter hook input", "type nat hook forward", NO_CHAIN),
    ("actionstart", "type filter hook input priority -1", "type nat hook input priority -200", NO_CHAIN),
    ("actionstart", "hook input", "hook ingress", "actionstart: the hook `ingress` is not understood"),
    ("actionstart", "inet", "bridge", "actionstart: the family `bridge` is not understood"),
    ("actionstart", "set inet t", "set inet u", "actionstart: is about more than the table `inet t`"),
    (
        "actionstart",
        "rule inet t c",
        "rule inet t d",
        "actionstart: adds a rule to `d` of `inet t`, not to its chain",
    ),
    (
        "actionstart",
        "<type>",
        "inet_service",
        "actionstart: the type `inet_service` of a set is not understood",
    ),
    (
        "actionstart",
        r"<type>\;",
        r"<type>\; timeout 1d\;",
        "actionstart: `timeout` stands where `}` is expected",
    ),
    (
        "actionstart",
        r"<type>\;",
        r"<type>\; flags timeout\;",
        "actionstart: `timeout` stands where `interval` is expected",
    ),
    ("actionstart", "add set", "add map", "actionstart: `nft add map` is not understood"),
    ("actionstop", "delete set", "flush set", "actionstop: does not undo exactly what actionstart does"),
    (
        "actionstop",
        "rule inet t c",
        "rule inet t d",
        "actionstop: `while` does not read one handle after another and delete its rule",
    ),
    ("actionstop", "$h", "handle 5", "actionstop: `handle` is not understood here"),
    (
        "actionstop",
        "read -r",
        "read",
        "actionstop: `while` does not read one handle after another and delete its rule",
    ),
    (
        "actionstop",
        "-oP",
        "-o",
        r"actionstop: `grep -o @four-sshd\s+.*\s+\Khandle\s+(\d+)$` is not understood",
    ),
    ("actionstop", r"\s+set", r"\s+chain", r"actionstop: `grep -qP ^\s+chain\s+` is not understood"),
    (
        "actionstop",
        "delete table inet t",
        "delete table inet u",
        "actionstop: `||` is not followed by the deletion of the table",
    ),
    ("actioncheck", "<set>", "other", "actioncheck: does not look for the rule of actionstart"),
    ("actioncheck", "-q", "-vq", r"actioncheck: `grep -vq @four-sshd[ \t]` is not understood"),
    ("actionflush", "flush set", "delete set", "actionflush: does not empty the set of actionstart"),
    ("actionflush", "reject", "drop", "actionflush: does not empty the set of actionstart"),
    ("set", "four-<name>", "drop", "actionstart: the name `drop` is not understood"),
    ("name", "sshd", "a.b", "actionstart: the name `four-a.b` is not understood"),
    ("name", "sshd", "a\u{f8ff}", "actionstart: `\u{f8ff}` is not understood"),
    ("set", "four-<name>", "six-<name>", "actionstart: makes the same set in two ways for IPv4 and IPv6"),
    ("family_word", "ip", "ip6", "actionstart: has a rule that looks at `@four-sshd` and not at its set"),
    ("type", "ipv4_addr", "<type>", "actionstart: <type> holds itself"),
];

/// Whatever is not exactly what the sets and rules can do goes to the shell, and the reason names it.
#[test]
fn anything_else_is_left_to_the_shell() {
    let action = Action { protocol: "tcp,udp", ..Action::default() };
    let change = |option: &str, from: &str, to: &str| {
        let mut definition = action.definition();
        let (_, value) = definition.options.iter_mut().find(|(key, _)| key == option).unwrap();
        assert!(value.contains(from), "{option} has no {from}");
        *value = value.replace(from, to);
        definition
    };
    for (option, from, to, reason) in MUTATIONS {
        let got = recognised(&change(option, from, to));
        assert_eq!(got, Err((*reason).to_owned()), "{option}: {from} → {to}");
    }
    for (option, value, reason) in [
        ("actionprolong", "id", "actionprolong: the native firewall has nothing like it"),
        ("actionreban", "id", "actionreban: the native firewall has nothing like it"),
        ("norestored", "1", "norestored: the native firewall has nothing like it"),
    ] {
        let mut definition = action.definition();
        definition.options.push((option.to_owned(), value.to_owned()));
        assert_eq!(recognised(&definition), Err(reason.to_owned()), "{option}");
    }
}

#[test]
fn long_and_deep_commands_are_refused() {
    for (text, reason) in [
        ("if ".repeat(5000), "actionban: is nested too deeply"),
        ("{ ".repeat(5000), "actionban: is nested too deeply"),
        ("$(".repeat(5000), "actionban: `$(` is not closed, or holds a parenthesis"),
        ("nft ".repeat(5000), "actionban: is longer than 16 KiB"),
        ("nft add table inet t\n".repeat(500), "actionban: does too much"),
        (
            "for a in $(echo 'x x x x x x x x x'); do\n".repeat(4)
                + "nft add table inet t\n"
                + &"done\n".repeat(4),
            "actionban: does too much",
        ),
        ("for a in x; do done".to_owned(), "actionban: `done` is not understood here"),
        ("nft add table inet t; ; nft".to_owned(), "actionban: `;` is not understood here"),
        ("nft add table inet t ||; nft".to_owned(), "actionban: `;` is not understood here"),
    ] {
        let mut definition = Action::default().definition();
        definition.options.iter_mut().find(|(key, _)| key == "actionban").unwrap().1 = text.clone();
        assert_eq!(recognised(&definition), Err(reason.to_owned()), "{}", text.get(..40).unwrap_or(&text));
    }
}

proptest! {
    #[test]
    fn no_text_does_harm(text in "[-a-z0-9 \\\\'\"$(){}\\[\\];|<>@!=/\n.&é]{0,80}", start in 0_usize..400, length in 0_usize..40) {
        let mut definition = Action { modern: true, ..Action::default() }.definition();
        let script = &mut definition.options[0].1;
        let (start, end) = (start.min(script.len()), (start + length).min(script.len()));
        if script.is_char_boundary(start) && script.is_char_boundary(end) {
            script.replace_range(start..end, &text);
        }
        let _ = recognised(&definition);
    }
}
