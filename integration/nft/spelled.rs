//! Actions as Fail2Ban spells them: what stands afterwards is, text for text, what their own commands make.

#[path = "../../src/firewall/nftables/spelled/tests/grammar.rs"]
pub(crate) mod grammar;

use std::fmt::Write as _;
use std::process::Command;
use std::sync::{Arc, Mutex};

use stockade::action::Definition;
use stockade::action::template::{self, Family};
use stockade::firewall::nftables::exact::Exact;
use stockade::firewall::nftables::spelled::{self, Spelled};
use stockade::firewall::{Change, Firewall, Rules};

use super::namespace::{in_namespace, run, unshare_network};
use super::{ban, unban};
use grammar::Action;

const SERVICES: &str = "ssh 22/tcp\nsmtp 25/tcp mail\nhttp 80/tcp\nhttps 443/tcp\n";

pub(super) fn recognise(definition: &Definition) -> Spelled {
    spelled::recognise(definition, true, SERVICES)
        .unwrap_or_else(|reason| panic!("{}: {reason}", definition.name))
}

/// What stands, and what the rules are made of, without handles and the order in which the kernel keeps a set.
const LIST: &str = "nft --debug=netlink list ruleset";
const END: &str = "-- end --\n";

fn standing(listing: &str) -> String {
    let is_numbered = |line: &&str| line.starts_with("inet ") || line.starts_with("\telement ");
    listing.lines().filter(|line| !is_numbered(line)).map(|line| unnumbered(line) + "\n").collect()
}

/// Without the numbers that the kernel gives sets without a name.
fn unnumbered(line: &str) -> String {
    line.split(' ')
        .map(|word| if word.starts_with("__set") { "__set" } else { word })
        .collect::<Vec<_>>()
        .join(" ")
}

/// What happens to a jail, one step after another.
const STORY: [(&str, &str); 10] = [
    ("start", ""),
    ("ban", "192.0.66.7"),
    ("ban", "192.0.66.7"),
    ("ban", "2001:db8::7"),
    ("ban", "192.0.66.9"),
    ("ban", "192.0.67.0/24"),
    ("unban", "192.0.66.7"),
    ("flush", ""),
    ("ban", "192.0.66.8"),
    ("stop", ""),
];

/// What stands after each step, if the actions' commands are run as Fail2Ban does; and what they complain of.
fn by_the_shell(definitions: &[Definition]) -> (Vec<String>, String) {
    let mut started: Vec<(usize, Family)> = Vec::new();
    let mut script = String::new();
    for (step, address) in STORY {
        let family = if address.contains(':') { Family::Inet6 } else { Family::Inet4 };
        for (index, definition) in definitions.iter().enumerate() {
            let mut run = |command: &str, family: Family| {
                let text = template::expand(definition, command, Some(family)).unwrap();
                // One shell runs them all, each as if in a shell of its own.
                let _ = writeln!(script, "(\n{}\n) > /dev/null", text.replace("<ip>", address));
            };
            let mine = started.iter().filter(|(other, _)| *other == index).map(|(_, family)| *family);
            let mine: Vec<_> = mine.collect();
            match step {
                "ban" => {
                    if !mine.contains(&family) {
                        run("actionstart", family);
                        started.push((index, family));
                    }
                    run("actionban", family);
                }
                "unban" => run("actionunban", family),
                "flush" => mine.iter().for_each(|family| run("actionflush", *family)),
                "stop" => mine.iter().for_each(|family| run("actionstop", *family)),
                _ => {}
            }
        }
        let _ = write!(script, "{LIST}\nprintf '%s\\n' '{}'\n", END.trim_end());
    }
    let output = Command::new("/bin/sh").args(["-c", &script]).output().unwrap();
    let listings = String::from_utf8(output.stdout).unwrap();
    let listings = listings.split_terminator(END).map(standing).collect();
    (listings, String::from_utf8(output.stderr).unwrap())
}

/// The same natively.
fn natively(definitions: &[Definition]) -> Vec<String> {
    let actions: Arc<[Spelled]> = definitions.iter().map(recognise).collect();
    let mut firewall = Exact::open().unwrap();
    let mut banned: Vec<&str> = Vec::new();
    let mut listings = Vec::new();
    for (step, address) in STORY {
        let changes = match step {
            "start" => vec![Change::Open { jail: "j".into(), rules: Rules::Spelled(actions.clone()) }],
            "ban" => {
                banned.push(address);
                vec![ban("j", address)]
            }
            "unban" => vec![unban("j", address)],
            "flush" => banned.iter().map(|address| unban("j", address)).collect(),
            _ => Vec::new(),
        };
        firewall.apply(&changes).unwrap();
        if step == "stop" {
            firewall.remove().unwrap();
        }
        listings.push(standing(&run(LIST)));
    }
    listings
}

/// The shell's and ours are the same, step by step, and each of them bans in this many sets.
fn compare_sets(definitions: &[Definition], sets: usize, what: &str) {
    let ((want, complaints), got) = (by_the_shell(definitions), natively(definitions));
    assert_eq!((want.len(), got.len()), (STORY.len(), STORY.len()), "{what}: {complaints}");
    for (((step, address), want), got) in STORY.iter().zip(&want).zip(&got) {
        assert_eq!(got, want, "{what}: after {step} {address}\n--- ours\n{got}\n--- the shell's\n{want}");
    }
    let banned = want[4].matches("192.0.66.9").count();
    assert_eq!(banned, sets, "{what}: the shell's own commands do not work: {complaints}{}", want[4]);
    assert_eq!(want[9], "", "{what}");
}

/// The same for actions with a set each.
pub(super) fn compare(definitions: &[Definition], what: &str) {
    compare_sets(definitions, definitions.len(), what);
}

pub(super) const PROTOCOLS: [&str; 3] = ["tcp", "udp", "tcp,udp"];
pub(super) const BLOCKS: [&str; 2] = ["drop", "reject"];
/// With the numbers and names that priorities have.
pub(super) const HOOKS: [(&str, &str); 3] =
    [("input", "-1"), ("prerouting", "-300"), ("forward", "filter + 10")];

/// How many namespaces are worked in at once: the kernel lets each wait most of the time.
const WORKERS: usize = 4;

/// Compares these actions, each group of them at once, spread over some namespaces.
pub(super) fn compare_each(groups: Vec<(Vec<Definition>, String)>) {
    let groups = Mutex::new(groups.into_iter());
    let next = || groups.lock().unwrap().next();
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                unshare_network().unwrap();
                while let Some((definitions, what)) = next() {
                    compare(&definitions, &what);
                }
            });
        }
    });
}

/// Every protocol, verdict, hook and priority with every other, IPv4 and IPv6, for a set with and without intervals,
/// each in a table of its own.
fn cross(modern: bool) {
    let mut groups = Vec::new();
    for kind in ["multiport", "allports", "udp dport 53"] {
        for protocol in PROTOCOLS {
            let mut definitions = Vec::new();
            for set_options in ["", r" flags interval\;"] {
                for block in BLOCKS {
                    for ((hook, priority), name) in HOOKS.into_iter().zip(["a", "b", "c"]) {
                        let table = [
                            "t00", "t01", "t02", "t03", "t04", "t05", "t06", "t07", "t08", "t09", "t10",
                            "t11",
                        ][definitions.len()];
                        let plain = Action::default();
                        let action = Action {
                            name,
                            table,
                            kind,
                            protocol,
                            block,
                            set_options,
                            hook,
                            priority,
                            modern,
                            ..plain
                        };
                        definitions.push(action.definition());
                    }
                }
            }
            groups.push((definitions, format!("{kind} {protocol} {modern}")));
        }
    }
    compare_each(groups);
}

#[test]
fn every_kind_of_action_of_version_1_0_stands_as_its_commands_make_it() {
    in_namespace(|| cross(false));
}

#[test]
fn every_kind_of_action_of_version_1_1_stands_as_its_commands_make_it() {
    in_namespace(|| {
        cross(true);
        for kind in ["multiport", "allports", "", "udp dport 53"] {
            let action = Action { kind, protocol: "all", modern: true, ..Action::default() };
            compare(&[action.definition()], &format!("{action:?}"));
        }
    });
}

#[test]
fn ports_verdicts_hooks_and_priorities_are_as_nft_reads_them() {
    in_namespace(|| {
        let plain = Action::default();
        for port in
            ["22", "ssh,http,https", "0:65535", "8000:8100,443,22", "22,23,24:30", "22, 22", "10:20,15:30,31"]
        {
            let action = Action { port, ..plain };
            compare(&[action.definition()], &format!("{action:?}"));
        }
        for block in [
            "counter drop",
            "reject with icmpx host-unreachable",
            "reject with icmpx type admin-prohibited",
            "reject with tcp reset",
        ] {
            let action = Action { block, ..plain };
            compare(&[action.definition()], &format!("{action:?}"));
        }
        for (hook, priority) in [
            ("prerouting", "-300"),
            ("prerouting", "dstnat"),
            ("forward", "0"),
            ("input", "filter - 1"),
            ("input", "security + 3"),
            ("output", "-5"),
            ("postrouting", "srcnat"),
        ] {
            let action = Action { hook, priority, block: "drop", ..plain };
            compare(&[action.definition()], &format!("{action:?}"));
        }
    });
}

/// Where nft refuses what an action says, the action is not read natively: its commands fail as they always have.
#[test]
fn what_nft_refuses_is_left_to_the_shell() {
    in_namespace(|| {
        for (action, complaint) in [
            (Action { hook: "postrouting", ..Action::default() }, "Operation not supported"),
            (
                Action { protocol: "tcp,udp", block: "reject with tcp reset", ..Action::default() },
                "cannot use tcp reset",
            ),
            (
                Action {
                    kind: "allports",
                    protocol: "udp",
                    block: "reject with tcp reset",
                    ..Action::default()
                },
                "cannot use tcp reset",
            ),
            (Action { kind: "allports", protocol: "all", ..Action::default() }, "syntax error"),
            (Action { table: "all", ..Action::default() }, "syntax error"),
            (Action { priority: "dstnat", ..Action::default() }, "priority"),
            (Action { block: "reject with icmp no-route", ..Action::default() }, "no-route"),
        ] {
            let definition = action.definition();
            let (_, complaints) = by_the_shell(std::slice::from_ref(&definition));
            assert!(complaints.contains(complaint), "{action:?}: {complaints}");
            let native = spelled::recognise(&definition, true, SERVICES);
            assert!(native.is_err(), "{action:?}");
        }
    });
}

#[test]
fn several_actions_of_a_jail_stand_as_their_commands_make_them() {
    in_namespace(|| {
        let tcp = Action { name: "a-tcp", ..Action::default() };
        let udp = Action {
            name: "a-udp",
            protocol: "udp",
            block: "drop",
            set_options: r" flags interval\;",
            ..tcp
        };
        compare(&[tcp.definition(), udp.definition()], "a set each");
        let shared = Action { name: "a-tcp", protocol: "udp", ..tcp };
        compare_sets(&[tcp.definition(), shared.definition()], 1, "the same set");
    });
}
