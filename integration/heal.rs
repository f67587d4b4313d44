//! What others take out of the firewall comes back by itself, and the log and `status` say who took it.

mod engine;
mod firewalld;
mod hearing;

use std::time::Instant;

use serde_json::Value;

use crate::lab::{Lab, ssh_failure, until};
use crate::nft::spelled::grammar::Action;

const ADDRESS: &str = "198.51.100.7";
const PREFIX: &str = "203.0.113.0/24";
const SIX: &str = "2001:db8:66::7";

/// A jail of our own layout with three bans, and more of the configuration.
fn own(more: &str) -> Lab {
    own_with(more, &[])
}

fn own_with(more: &str, arguments: &[&str]) -> Lab {
    let mut lab = Lab::new(&[]);
    lab.ssh_jail("ssh", "");
    lab.append("logs/ssh.log", "");
    lab.write("etc/stockade.toml", more);
    lab.start(arguments);
    ban(&lab);
    lab
}

/// The same as Fail2Ban's actions spell it, in the table `f2b-table`.
pub(crate) fn exact(world: &[&str]) -> Lab {
    let mut lab = Lab::new(world);
    for folder in ["filter.d", "action.d"] {
        std::fs::create_dir_all(lab.path("etc").join(folder)).unwrap();
    }
    let action = Action {
        name: "ssh",
        table: "f2b-table",
        port: "22",
        set_options: r" flags interval\;",
        ..Action::default()
    };
    let options = action.definition().options;
    let section = |suffix: &str, is_command: bool| {
        let own = options.iter().filter_map(|(key, value)| {
            let (name, family) = key.split_once('?').unwrap_or((key, ""));
            let value = value.replace('\n', "\n    ").replace('%', "%%");
            (family == suffix && name.starts_with("action") == is_command)
                .then(|| format!("{name} = {value}\n"))
        });
        own.collect::<String>()
    };
    let (commands, four, six) = (section("", true), section("", false), section("family=inet6", false));
    let text = format!("[Definition]\n{commands}\n[Init]\n{four}\n[Init?family=inet6]\n{six}");
    lab.write("etc/action.d/sets.conf", &text);
    lab.write(
        "etc/filter.d/ssh.conf",
        "[Definition]\nfailregex = Failed password for .* from <HOST> port \\d+ ssh2$\n",
    );
    lab.append("logs/ssh.log", "");
    let log = lab.path("logs/ssh.log");
    let jail = "[DEFAULT]\nbackend = auto\nmaxretry = 3\nbantime = 1h\nfindtime = 10m\n[ssh]\nenabled = true\nfilter = ssh\n";
    lab.write("etc/jail.conf", &format!("{jail}action = sets[name=ssh]\nlogpath = {}\n", log.display()));
    lab.write("etc/fail2ban.conf", "[Definition]\nallowipv6 = yes\nlogtarget = STDOUT\n");
    lab.start(&[]);
    ban(&lab);
    lab
}

fn ban(lab: &Lab) {
    let output = lab.stockade(&["ban", ADDRESS, PREFIX, SIX, "--jail", "ssh"]);
    assert!(output.status.success(), "{output:?}\n{}", lab.log());
}

/// The tables as nft shows them, without what changes by itself: who was counted, times, order of making.
fn ruleset(lab: &Lab) -> Vec<String> {
    let all = lab.nft("list ruleset");
    let words = |line: &str| {
        let mut words = line.split_whitespace().peekable();
        let mut kept = Vec::new();
        while let Some(word) = words.next() {
            match word {
                "timeout" | "expires" | "packets" | "bytes" if words.peek().is_some() => drop(words.next()),
                _ => kept.push(word),
            }
        }
        kept.join(" ")
    };
    let is_count = |line: &str| line.contains(" counter ") && !line.contains("update @");
    let shown = all.lines().filter(|line| !is_count(line));
    let mut lines: Vec<_> = shown.map(words).filter(|line| !line.is_empty()).collect();
    lines.sort();
    lines
}

fn drifts(lab: &Lab) -> Value {
    lab.json(&["status"])["drifts"].clone()
}

/// Runs a command of nft in the victim, and wants everything back, with its author in log and status.
fn heals(lab: &Lab, foreign: &str, kept: &[String]) {
    let before = drifts(lab);
    assert!(lab.run_inside(&format!("nft {foreign}")), "{foreign}\n{}", lab.nft("-a list ruleset"));
    until(&format!("`{foreign}` is put back"), || {
        let now = drifts(lab);
        now["healed"].as_u64() > before["healed"].as_u64() && ruleset(lab) == kept
    });
    let now = drifts(lab);
    assert!(now["seen"].as_u64() > before["seen"].as_u64(), "{now}");
    let by = now["by"].as_str().unwrap().to_owned();
    assert!(by.starts_with("nft (pid "), "{foreign}: {now}");
    assert!(lab.log().contains(&format!("{by} t")), "{foreign}: {}", lab.log());
    let shown = String::from_utf8(lab.stockade(&["status"]).stdout).unwrap();
    assert!(shown.contains("firewall: changed by others") && shown.contains(&by), "{shown}");
}

/// The handle of a rule that says this.
fn handle(lab: &Lab, chain: &str, says: &str) -> String {
    let listed = lab.nft(&format!("-a list chain {chain}"));
    let rule = listed.lines().find(|line| line.contains(says)).unwrap_or_else(|| panic!("{listed}"));
    rule.rsplit(' ').next().unwrap().to_owned()
}

#[test]
fn whatever_is_taken_from_our_own_table_comes_back() {
    let lab = own("");
    let kept = ruleset(&lab);
    let rule = handle(&lab, "inet stockade jail-ssh", "@ssh4 goto count-drop");
    heals(&lab, "flush ruleset", &kept);
    heals(&lab, "delete table inet stockade", &kept);
    heals(&lab, "'flush chain inet stockade input.-1; delete chain inet stockade input.-1'", &kept);
    let _ = rule;
    let rule = handle(&lab, "inet stockade jail-ssh", "@ssh4 goto count-drop");
    heals(&lab, &format!("delete rule inet stockade jail-ssh handle {rule}"), &kept);
    let rule = handle(&lab, "inet stockade jail-ssh", "@ssh4 goto count-drop");
    heals(
        &lab,
        &format!("'delete rule inet stockade jail-ssh handle {rule}; delete set inet stockade ssh4'"),
        &kept,
    );
    heals(&lab, "flush chain inet stockade count-drop", &kept);
    heals(
        &lab,
        "'flush chain inet stockade count-drop; flush chain inet stockade count-reject; delete set inet stockade ipv4-hits'",
        &kept,
    );
    heals(&lab, "flush set inet stockade ssh4-net", &kept);
    heals(
        &lab,
        &format!("delete element inet stockade ssh4 {{ {ADDRESS} }}").replace('{', "'{").replace('}', "}'"),
        &kept,
    );
    assert!(
        lab.log().contains(&format!("took the ban of {ADDRESS} in ssh out of the firewall")),
        "{}",
        lab.log()
    );
    assert!(lab.log().contains("to let somebody in use `stockade unban`"));
    assert_eq!(lab.banned("ssh").len(), 3);
}

#[test]
fn whatever_is_taken_from_fail2bans_sets_comes_back() {
    let lab = exact(&[]);
    let kept = ruleset(&lab);
    assert!(kept.iter().any(|line| line.contains(ADDRESS)), "{kept:?}\n{}", lab.log());
    heals(&lab, "flush ruleset", &kept);
    heals(&lab, "delete table inet f2b-table", &kept);
    heals(&lab, "'flush chain inet f2b-table c; delete chain inet f2b-table c'", &kept);
    let rule = handle(&lab, "inet f2b-table c", "@four-ssh ");
    heals(&lab, &format!("delete rule inet f2b-table c handle {rule}"), &kept);
    let rule = handle(&lab, "inet f2b-table c", "@four-ssh ");
    heals(
        &lab,
        &format!("'delete rule inet f2b-table c handle {rule}; delete set inet f2b-table four-ssh'"),
        &kept,
    );
    heals(&lab, "flush set inet f2b-table six-ssh", &kept);
    heals(&lab, &format!("delete element inet f2b-table four-ssh '{{ {ADDRESS} }}'"), &kept);
    assert!(lab.log().contains("to let somebody in use `stockade unban`"), "{}", lab.log());
}

/// What is somebody else's is none of our business, nor is what we do ourselves.
#[test]
fn our_own_changes_and_other_peoples_tables_are_no_damage() {
    let lab = exact(&[]);
    for command in [
        "add table inet theirs",
        "add set inet theirs s '{ type ipv4_addr; }'",
        "add element inet theirs s '{ 192.0.2.9 }'",
        "delete element inet theirs s '{ 192.0.2.9 }'",
        "add rule inet f2b-table c meta mark 7 accept",
    ] {
        assert!(lab.run_inside(&format!("nft {command}")), "{command}");
    }
    let theirs = handle(&lab, "inet f2b-table c", "accept # ");
    assert!(lab.run_inside(&format!("nft delete rule inet f2b-table c handle {theirs}")));
    assert!(lab.run_inside("nft delete table inet theirs"));
    lab.append("logs/ssh.log", &ssh_failure("192.0.2.66").repeat(3));
    lab.until_banned("ssh", "192.0.2.66");
    assert!(lab.stockade(&["unban", "192.0.2.66", ADDRESS]).status.success());
    assert_eq!(
        (drifts(&lab)["seen"].clone(), drifts(&lab)["healed"].clone()),
        (0.into(), 0.into()),
        "{}",
        lab.log()
    );
    // They are heard: the next one is.
    heals(&lab, "flush set inet f2b-table six-ssh", &ruleset(&lab));
}

#[test]
fn with_structure_alone_a_ban_that_is_taken_out_stays_out() {
    let lab = own("[daemon]\nheal = \"structure\"\n");
    let kept = ruleset(&lab);
    assert!(lab.run_inside(&format!("nft delete element inet stockade ssh4 '{{ {ADDRESS} }}'")));
    until("it is said", || lab.log().contains("it stays out, as `heal` in [daemon] says"));
    assert!(!lab.nft("list set inet stockade ssh4").contains(ADDRESS));
    assert_eq!((drifts(&lab)["seen"].clone(), drifts(&lab)["healed"].clone()), (1.into(), 0.into()));
    heals(&lab, "delete table inet stockade", &kept);
}

#[test]
fn without_healing_the_next_ban_sets_everything_up() {
    let lab = own("[daemon]\nheal = \"off\"\n");
    assert!(lab.run_inside("nft flush ruleset"));
    lab.append("logs/ssh.log", &ssh_failure("192.0.2.66").repeat(2));
    lab.until_lines("ssh", 2);
    assert_eq!(lab.nft("list ruleset"), "");
    assert_eq!(drifts(&lab)["healed"], 0);
    lab.append("logs/ssh.log", &ssh_failure("192.0.2.66"));
    lab.until_banned("ssh", "192.0.2.66");
    let set = lab.nft("list set inet stockade ssh4");
    assert!(set.contains(ADDRESS) && set.contains("192.0.2.66"), "{set}");
    // It can be turned on while running.
    lab.write("etc/stockade.toml", "");
    assert!(lab.stockade(&["reload"]).status.success());
    heals(&lab, "flush ruleset", &ruleset(&lab));
}

/// A tool that flushes as soon as it finds anything: it is heard, waited for, and costs no processor.
#[test]
fn a_fight_slows_down_and_is_said_aloud() {
    let lab = own("");
    let kept = ruleset(&lab);
    let foe = "for i in $(seq 2000); do nft delete table inet stockade 2>/dev/null; sleep 0.01; \
               test -e enough && exit; done";
    let mut foe = lab.tool("sh").args(["-c", foe]).spawn().unwrap();
    until("the fourth pause", || drifts(&lab)["healed"].as_u64() >= Some(8));
    let log = lab.log();
    assert!(log.contains("again and again: it is put back in"), "{log}");
    let (before, seen) = (cpu(&lab), drifts(&lab)["healed"].as_u64().unwrap());
    let waits = || !drifts(&lab)["waits_until"].is_null();
    until("it waits", waits);
    let shown = String::from_utf8(lab.stockade(&["status"]).stdout).unwrap();
    assert!(shown.contains("banned hosts get in until they are put back"), "{shown}");
    // A new ban has to wait, who is let in need not.
    assert!(!lab.stockade(&["ban", "192.0.2.99", "--jail", "ssh"]).status.success());
    assert!(lab.stockade(&["unban", ADDRESS]).status.success());
    lab.write("enough", "");
    foe.wait().unwrap();
    let now = drifts(&lab)["healed"].as_u64().unwrap();
    assert!(now - seen <= 3, "{now} after {seen}");
    eprintln!("clock ticks of the processor over two pauses of a fight: {}", cpu(&lab) - before);
    let kept: Vec<_> = kept.into_iter().filter(|line| !line.contains(ADDRESS)).collect();
    until("peace", || {
        let now: Vec<_> = ruleset(&lab).into_iter().filter(|line| !line.contains("192.0.2.99")).collect();
        drifts(&lab)["waits_until"].is_null() && now == kept
    });
}

/// Clock ticks that the daemon has used.
fn cpu(lab: &Lab) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", lab.pid().as_raw_nonzero())).unwrap();
    let words: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    words[11].parse::<u64>().unwrap() + words[12].parse::<u64>().unwrap()
}

#[test]
fn ten_thousand_bans_come_back() {
    let lab = own("");
    let nets: Vec<String> =
        (0..10_000_u32).map(|n| std::net::Ipv4Addr::from(0x0a00_0000 + n).to_string()).collect();
    for chunk in nets.chunks(1000) {
        let words: Vec<&str> =
            ["ban", "--jail", "ssh"].into_iter().chain(chunk.iter().map(String::as_str)).collect();
        assert!(lab.stockade(&words).status.success());
    }
    for foreign in ["flush ruleset", "flush set inet stockade ssh4"] {
        let healed = drifts(&lab)["healed"].as_u64();
        let start = Instant::now();
        assert!(lab.run_inside(&format!("nft {foreign}")));
        until("all are back", || drifts(&lab)["healed"].as_u64() > healed);
        let took = start.elapsed();
        let listed = lab.nft("list set inet stockade ssh4");
        assert_eq!(nets.iter().filter(|net| listed.contains(&format!("{net} "))).count(), nets.len());
        let log = lab.log();
        let said = log.lines().rfind(|line| line.contains("put back, with")).unwrap();
        eprintln!("10 000 bans after `{foreign}`: {took:?} as seen by a client; {said}");
    }
}

/// As firewalld 1.3's reload, which touches its own tables alone, all in one transaction (written by hand; the real one: `firewalld`); and `nft -f` with a
/// saved ruleset, as Debian's nftables.service reloads it.
#[test]
fn the_reloads_of_firewalld_and_of_nftables_service() {
    let lab = own("");
    let firewalld = "table inet firewalld\ndelete table inet firewalld\ntable inet firewalld {\n\
        \tchain filter_INPUT {\n\t\ttype filter hook input priority filter + 10; policy accept;\n\
        \t\tct state { established, related } accept\n\t\tiifname \"lo\" accept\n\t\treject with icmpx admin-prohibited\n\
        \t}\n}\n";
    lab.write("firewalld.nft", firewalld);
    for _ in 0..2 {
        assert!(lab.run_inside("nft -f firewalld.nft"));
    }
    assert_eq!(drifts(&lab)["seen"], 0, "it touches nobody else's table: {}", lab.log());
    let kept = ruleset(&lab);
    lab.write("flush.nft", &format!("flush ruleset\n{firewalld}"));
    heals(&lab, "-f flush.nft", &kept);
    // A ruleset that was saved while others were banned: who is in force is who is banned now.
    let saved = lab.nft("list ruleset");
    lab.write("saved.nft", &format!("flush ruleset\n{saved}"));
    assert!(lab.stockade(&["unban", ADDRESS]).status.success());
    assert!(lab.stockade(&["ban", "192.0.2.99", "--jail", "ssh"]).status.success());
    let kept = ruleset(&lab);
    heals(&lab, "-f saved.nft", &kept);
}
