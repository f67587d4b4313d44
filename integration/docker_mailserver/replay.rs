//! What docker-mailserver's commands print with Fail2Ban, recorded, and with ours: every line equal, except where its
//! users deserve better. The recordings are no part of this project.

use std::fs;
use std::path::Path;

use crate::lab::{Container, skip};

/// A command of a recording, with all that it printed.
#[derive(Debug, Default, Clone, PartialEq)]
struct Call {
    command: String,
    out: String,
    err: String,
    code: i32,
}

/// Where ours must differ from the recording: command, how often it came before, why, and what it prints instead.
struct Better {
    command: &'static str,
    turn: usize,
    why: &'static str,
    change: fn(&mut Call),
}

/// The recording, if it lies beside the project.
fn recording(name: &str) -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/docker-mailserver").join(name);
    let text = fs::read_to_string(path).ok();
    if text.is_none() {
        skip(&format!("{name}: no recording of docker-mailserver lies beside the project"));
    }
    text
}

/// A recording's calls; `part` is what stands behind `#####` before them.
fn calls(text: &str, part: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    let mut inside = part.is_empty();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("##### ") {
            inside = name.starts_with(part) && !part.is_empty();
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| inside) {
            calls.push(Call { command: command.to_owned(), ..Call::default() });
        } else if let Some(call) = calls.last_mut().filter(|_| inside) {
            let line = line.replace("^I", "\t") + "\n";
            if let Some(out) = line.strip_prefix("out| ") {
                call.out += out;
            } else if let Some(err) = line.strip_prefix("err| ") {
                call.err += err;
            } else if let Some(code) = line.strip_prefix("rc=") {
                call.code = code.trim().parse().unwrap();
            }
        }
    }
    calls
}

/// Without the moments that lines begin with, and without the process ids behind them.
fn plain(text: &str) -> String {
    text.lines().map(|line| undated(line).unwrap_or_else(|| line.to_owned()) + "\n").collect()
}

/// `2026-11-22 13:10:01,186 fail2ban [2034]: ERROR …` → `fail2ban [PID]: ERROR …`; none: it has no date.
fn undated(line: &str) -> Option<String> {
    let (date, rest) = line.split_once(' ')?;
    date.parse::<jiff::civil::Date>().ok()?;
    let (_, said) = rest.split_once(' ')?;
    let id = said.split_once('[').and_then(|(_, tail)| tail.split_once("]: ")).map(|(id, _)| id);
    match id.filter(|id| id.parse::<u32>().is_ok()) {
        Some(id) => Some(said.replacen(&format!("[{id}]"), "[PID]", 1)),
        None => Some(said.to_owned()),
    }
}

/// What cannot run here, or is not about Fail2Ban.
fn is_elsewhere(command: &str) -> bool {
    ["ls ", "cat ", "supervisorctl ", "pgrep ", "bash ", "which ", "dms-"]
        .iter()
        .any(|word| command.starts_with(word))
        || command == "setup fail2ban log"
}

/// Runs the calls one after the other; the differences, each with both texts.
fn replay(container: &Container, calls: Vec<Call>, better: &[Better]) -> Vec<String> {
    let mut turns: Vec<String> = Vec::new();
    let mut differences = Vec::new();
    for mut want in calls.into_iter().filter(|call| !is_elsewhere(&call.command)) {
        let turn = turns.iter().filter(|command| **command == want.command).count();
        turns.push(want.command.clone());
        let mut why = "";
        let is_here = |better: &&Better| better.command == turns[turns.len() - 1] && better.turn == turn;
        for better in better.iter().filter(is_here) {
            (better.change)(&mut want);
            why = better.why;
        }
        let words: Vec<&str> = want.command.split(' ').collect();
        let output = container.run(&words);
        let got = Call {
            command: want.command.clone(),
            out: plain(&String::from_utf8_lossy(&output.stdout)),
            err: plain(&String::from_utf8_lossy(&output.stderr)),
            code: output.status.code().unwrap(),
        };
        let want = Call { out: plain(&want.out), err: plain(&want.err), ..want };
        if got != want {
            differences
                .push(format!("{} (turn {turn}; {why})\n  want {want:#?}\n  got {got:#?}", want.command));
        }
    }
    differences
}

/// A container whose host has no address that the recording bans.
fn container() -> Option<Container> {
    let mut container = Container::new(&[])?;
    assert!(container.lab.run_inside("ip address del 2001:db8::1/64 dev victim"));
    container.start();
    Some(container)
}

fn without_the_name(call: &mut Call) {
    call.out = call.out.replace(" not-an-ip", "").replace("banned:\t6", "banned:\t5");
}

const NAME: &str = "what is no address cannot be banned by a firewall, and is not said to be";

const BETTER: &[Better] = &[
    Better {
        command: "setup fail2ban ban not-an-ip",
        turn: 0,
        why: NAME,
        change: |call| {
            call.out.clear();
            call.err += "\u{1b}[1;31mERROR\u{1b}[0m fail2ban: Banning 'not-an-ip' failed: not-an-ip is not banned: \
                         `not-an-ip` is no address, and the jail has a firewall\n";
        },
    },
    Better { command: "setup fail2ban", turn: 1, why: NAME, change: without_the_name },
    Better { command: "setup fail2ban status", turn: 0, why: NAME, change: without_the_name },
    Better {
        command: "setup fail2ban unban not-an-ip",
        turn: 0,
        why: NAME,
        change: |call| call.out = call.out.replace("custom: 1", "custom: 0"),
    },
    Better {
        command: "fail2ban-client status custom",
        turn: 0,
        why: NAME,
        change: |call| call.out = call.out.replace("Total banned:\t7", "Total banned:\t6"),
    },
    Better {
        command: "nft list ruleset",
        turn: 0,
        why: "each set has one rule",
        change: |call| {
            let rule = "\t\tmeta l4proto tcp ip saddr @addr-set-custom drop\n";
            let last = call.out.rfind(rule).unwrap();
            call.out.replace_range(last..last + rule.len(), "");
        },
    },
];

#[test]
fn its_commands_print_what_they_print_with_fail2ban() {
    let Some(text) = recording("client-outputs.txt") else { return };
    let Some(container) = container() else { return };
    let differences = replay(&container, calls(&text, ""), BETTER);
    assert!(differences.is_empty(), "{}\n{}", differences.join("\n"), container.log());
}

#[test]
fn its_commands_after_a_start_print_what_they_print_with_fail2ban() {
    let Some(text) = recording("client-outputs-restart.txt") else { return };
    let Some(mut container) = container() else { return };
    let survive = calls(&text, "container restart");
    // A container that starts again has what was banned before.
    let (first, rest) = survive.split_at(1);
    let differences = replay(&container, first.to_vec(), &[]);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    container.lab.end(libc::SIGKILL);
    container.start();
    let differences = replay(&container, rest.to_vec(), &[]);
    assert!(differences.is_empty(), "{}\n{}", differences.join("\n"), container.log());
}

/// The stream of the whole tree: all that the server is told, but for the texts of filters and actions, which are those
/// of the files at hand and not those of the recording.
#[test]
fn its_configuration_comes_to_the_same_stream() {
    let Some(text) = recording("client-dump.txt") else { return };
    let Some(container) = Container::new(&[]) else { return };
    let output = container.run(&["fail2ban-client", "-d"]);
    let got = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!((output.status.code(), &*output.stderr), (Some(0), &b""[..]), "{output:?}");
    let is_text = |line: &&str| {
        ["'prefregex'", "'addfailregex'", "'datepattern'", "'addjournalmatch'", "'multi-set'"]
            .iter()
            .any(|word| line.contains(word))
    };
    let told = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !is_text(line)).map(str::to_owned).collect()
    };
    assert_eq!(told(&got), told(&text));
    // Each of the actions is told with the same options.
    let options = |text: &str| -> Vec<String> {
        let actions = text.lines().filter(|line| line.contains("'action', 'nftables"));
        actions.map(|line| line.split("[['actionstart'").next().unwrap().to_owned()).collect()
    };
    assert_eq!(options(&got), options(&text));
}
