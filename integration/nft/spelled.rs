//! Actions as Fail2Ban spells them: what stands afterwards is, text for text, what their own commands make.

#[path = "../../src/firewall/nftables/spelled/tests/grammar.rs"]
pub(super) mod grammar;

use std::process::{Command, Output};
use std::sync::Arc;

use stockade::action::Definition;
use stockade::action::template::{self, Family};
use stockade::firewall::nftables::exact::Exact;
use stockade::firewall::nftables::spelled::{self, Spelled};
use stockade::firewall::{Change, Firewall, Rules};

use super::namespace::{in_namespace, nft};
use super::{ban, unban};
use grammar::Action;

const SERVICES: &str = "ssh 22/tcp\nsmtp 25/tcp mail\nhttp 80/tcp\nhttps 443/tcp\n";

pub(super) fn recognise(definition: &Definition) -> Spelled {
    spelled::recognise(definition, true, SERVICES)
        .unwrap_or_else(|reason| panic!("{}: {reason}", definition.name))
}

/// Runs one of an action's commands as Fail2Ban does.
fn shell(definition: &Definition, command: &str, family: Option<Family>, address: &str) -> Output {
    let text = template::expand(definition, command, family).unwrap().replace("<ip>", address);
    Command::new("/bin/sh").args(["-c", &text]).output().unwrap()
}

/// What stands, and what the rules are made of.
fn standing() -> String {
    let code = nft("--debug=netlink list ruleset");
    let code = code.lines().filter(|line| line.starts_with("  ["));
    nft("list ruleset") + &code.map(|line| unnumbered(line) + "\n").collect::<String>()
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

/// What stands after each step, if the actions' commands are run.
fn by_the_shell(definitions: &[Definition]) -> Vec<String> {
    let mut started: Vec<(usize, Family)> = Vec::new();
    let mut listings = Vec::new();
    for (step, address) in STORY {
        let family = if address.contains(':') { Family::Inet6 } else { Family::Inet4 };
        for (index, definition) in definitions.iter().enumerate() {
            let mine = started.iter().filter(|(other, _)| *other == index).map(|(_, family)| *family);
            let mine: Vec<_> = mine.collect();
            match step {
                "ban" => {
                    if !mine.contains(&family) {
                        shell(definition, "actionstart", Some(family), "");
                        started.push((index, family));
                    }
                    shell(definition, "actionban", Some(family), address);
                }
                "unban" => drop(shell(definition, "actionunban", Some(family), address)),
                "flush" => mine.iter().for_each(|f| drop(shell(definition, "actionflush", Some(*f), ""))),
                "stop" => mine.iter().for_each(|f| drop(shell(definition, "actionstop", Some(*f), ""))),
                _ => {}
            }
        }
        listings.push(standing());
    }
    listings
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
        listings.push(standing());
    }
    listings
}

/// The shell's and ours are the same, step by step, and something happens at all.
pub(super) fn compare(definitions: &[Definition], what: &str) {
    let (want, got) = (by_the_shell(definitions), natively(definitions));
    for (((step, address), want), got) in STORY.iter().zip(&want).zip(&got) {
        assert_eq!(got, want, "{what}: after {step} {address}\n--- ours\n{got}\n--- the shell's\n{want}");
    }
    assert!(want[4].contains("192.0.66.9"), "{what}: the shell's own commands do not work: {}", want[4]);
    assert_eq!(want[9], "", "{what}");
}

#[test]
fn every_kind_of_action_stands_as_its_commands_make_it() {
    in_namespace(|| {
        let mut turn = 0;
        for modern in [false, true] {
            for kind in ["multiport", "allports", "", "udp dport 53"] {
                for protocol in ["tcp", "udp", "tcp,udp", "all"] {
                    if protocol == "all" && !modern {
                        continue;
                    }
                    // Each with each of its neighbours in turn.
                    turn += 1;
                    let block = ["drop", "reject"][turn % 2];
                    let set_options = ["", r" flags interval\;"][turn / 2 % 2];
                    let action = Action { kind, protocol, block, set_options, modern, ..Action::default() };
                    compare(&[action.definition()], &format!("{action:?}"));
                }
            }
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
        compare(&[tcp.definition(), shared.definition()], "the same set");
    });
}
