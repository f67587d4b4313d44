//! Stopped, killed, started again: nothing is lost, nothing is counted twice.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use stockade::id::Id;
use stockade::jail::Ban;
use stockade::store::{Entry, Store};
use stockade::time::UnixTime;

use crate::lab::{Lab, ssh_failure, until};

const ATTACKER: &str = "192.0.2.66";
const SLOW: &str = "192.0.2.77";
const NETWORK: &str = "203.0.113.0/24";

#[test]
fn counters_bans_and_cursors_survive_a_stop() {
    let mut lab = Lab::new(&[ATTACKER, SLOW]);
    lab.ssh_jail("ssh", "");
    lab.start(&[]);
    lab.append("logs/ssh.log", &ssh_failure(ATTACKER).repeat(3));
    lab.append("logs/ssh.log", &ssh_failure(SLOW).repeat(2));
    lab.until_banned("ssh", ATTACKER);
    lab.until_lines("ssh", 5);
    assert_eq!(lab.end(libc::SIGTERM).code(), Some(0));
    lab.append("logs/ssh.log", &ssh_failure(SLOW));
    lab.start(&[]);
    lab.until_banned("ssh", SLOW);
    assert_eq!(lab.banned("ssh"), [format!("{ATTACKER} enforced"), format!("{SLOW} enforced")]);
    lab.until_lines("ssh", 1);
    let log = lab.log();
    assert!(log.contains(&format!("[ssh] Restore Ban {ATTACKER}\n")), "{log}");
    assert_eq!(log.matches(&format!("[ssh] Ban {ATTACKER}\n")).count(), 1, "{log}");
}

/// Bans of both jails, as many as go to the kernel in several pieces.
const MANY: usize = 5000;

/// Jails `ssh` and `web` with [`MANY`] bans each in the store, and nothing in the kernel.
fn many() -> Lab {
    let mut lab = Lab::new(&[]);
    lab.ssh_jail("ssh", "ports = [22]");
    lab.ssh_jail("web", "ports = [80]");
    lab.start(&[]);
    assert_eq!(lab.end(libc::SIGTERM).code(), Some(0));
    let now = UnixTime::from_secs(jiff::Timestamp::now().as_second());
    let mut store = Store::open(&lab.path("stockade.sqlite3"), now).unwrap().store;
    let ban = |n: usize| Ban {
        id: Id::Net(IpAddr::from(Ipv4Addr::from(0x0b00_0000 + n as u32)).into()),
        time: now,
        sentence: Duration::from_secs(3600).into(),
        count: 1,
        failures: 3,
        lines: Vec::new(),
        data: Vec::new(),
        restored: false,
    };
    let jail = |n: usize| if n.is_multiple_of(2) { "ssh" } else { "web" };
    let entries: Vec<_> = (0..2 * MANY).map(|n| Entry::Banned(jail(n).into(), ban(n))).collect();
    store.commit(&entries).unwrap();
    lab.nft("flush ruleset");
    lab
}

/// Whether all of them are in force, and in the kernel.
fn all_are_back(lab: &Lab) {
    for jail in ["ssh", "web"] {
        let is_back = || lab.banned(jail).iter().filter(|one| one.ends_with(" enforced")).count() == MANY;
        until("all are in force", is_back);
        assert_eq!(lab.banned(jail).len(), MANY, "{jail}");
        let set = lab.nft(&format!("list set inet stockade {jail}4"));
        assert_eq!(set.matches("expires").count(), MANY, "{jail}");
    }
}

#[test]
fn many_bans_of_two_jails_come_back_while_they_are_read_and_once_each() {
    let mut lab = many();
    let said = |lab: &Lab| lab.log().matches("Restore Ban ").count();
    // Into an empty firewall, by the parts in which they are read.
    lab.start(&[]);
    all_are_back(&lab);
    assert_eq!(said(&lab), 2 * MANY);
    lab.stockade(&["unban", "11.0.0.0"]);
    assert_eq!(lab.banned("ssh").len(), MANY - 1);
    lab.stockade(&["ban", "11.0.0.0", "--jail", "ssh"]);
    lab.end(libc::SIGKILL);
    // Into one where all stands.
    lab.start(&[]);
    all_are_back(&lab);
    assert_eq!(said(&lab), 4 * MANY);
}

#[test]
fn what_was_changed_in_the_firewall_meanwhile_is_exact_again_after_the_start() {
    let mut lab = many();
    lab.start(&[]);
    all_are_back(&lab);
    let mut said = 2 * MANY;
    for (command, what) in [
        ("add element inet stockade ssh4 { 192.0.2.1 }", "one is there that nobody banned"),
        ("delete element inet stockade ssh4 { 11.0.0.0 }", "one is missing"),
        ("flush set inet stockade web4", "all are missing"),
        ("add element inet stockade ssh4-net { 192.0.2.0/24 }", "a network is there"),
        ("add element inet stockade ssh6 { 2001:db8::1 }", "one of IPv6 is there"),
        ("delete table inet stockade", "nothing is there"),
    ] {
        assert_eq!(lab.end(libc::SIGTERM).code(), Some(0));
        lab.nft(command);
        lab.start(&[]);
        all_are_back(&lab);
        let table = lab.nft("list table inet stockade");
        assert!(!table.contains("192.0.2.") && !table.contains("2001:db8"), "{what}");
        said += 2 * MANY;
        assert_eq!(lab.log().matches("Restore Ban ").count(), said, "{what}: each is said once");
    }
}

#[test]
fn a_ban_that_ends_meanwhile_leaves_the_firewall_at_the_start() {
    let mut lab = Lab::new(&[ATTACKER]);
    lab.ssh_jail("ssh", "");
    lab.start(&[]);
    assert_eq!(lab.end(libc::SIGTERM).code(), Some(0));
    let now = UnixTime::from_secs(jiff::Timestamp::now().as_second());
    let ban = |address: &str, ago: i64| Ban {
        id: Id::parse(address),
        time: UnixTime::from_secs(now.secs() - ago),
        sentence: Duration::from_secs(600).into(),
        count: 1,
        failures: 3,
        lines: Vec::new(),
        data: Vec::new(),
        restored: false,
    };
    let mut store = Store::open(&lab.path("stockade.sqlite3"), now).unwrap().store;
    let bans = [ban(ATTACKER, 601), ban(SLOW, 30), ban(NETWORK, 20), ban("203.0.0.0/16", 601)];
    let bans = bans.map(|ban| Entry::Banned("ssh".into(), ban));
    store.commit(&bans).unwrap();
    drop(store);
    lab.nft(&format!("add element inet stockade ssh4 {{ {ATTACKER} timeout 59s, {SLOW} timeout 700s }}"));
    lab.nft("add element inet stockade ssh4-net { 203.0.0.0/16 timeout 59s }");
    lab.start(&[]);
    assert_eq!(lab.banned("ssh"), [SLOW, NETWORK].map(|who| format!("{who} enforced")));
    let set = lab.nft("list set inet stockade ssh4");
    assert!(set.contains(SLOW) && !set.contains(ATTACKER), "{set}");
    let set = lab.nft("list set inet stockade ssh4-net");
    assert!(set.contains(NETWORK) && !set.contains("203.0.0.0"), "{set}");
}

#[test]
fn a_firewall_that_dies_while_it_is_filled_loses_no_ban() {
    let mut lab = many();
    lab.launch(&["--fault", "firewall.fill=kill@3"]);
    assert_eq!(lab.ended().code(), None, "it was killed");
    lab.start(&[]);
    all_are_back(&lab);
    lab.end(libc::SIGTERM);
    lab.nft("flush ruleset");
    lab.start(&["--fault", "firewall.fill=panic@3"]);
    all_are_back(&lab);
    assert!(lab.log().contains("the firewall is back"), "{}", lab.log());
}

#[test]
fn a_file_rotated_meanwhile_is_read_to_its_end_and_the_new_one_from_its_beginning() {
    let mut lab = Lab::new(&[ATTACKER]);
    lab.ssh_jail("ssh", "");
    lab.start(&[]);
    lab.append("logs/ssh.log", &ssh_failure(ATTACKER));
    lab.until_lines("ssh", 1);
    lab.end(libc::SIGTERM);
    lab.append("logs/ssh.log", &ssh_failure(ATTACKER));
    fs::rename(lab.path("logs/ssh.log"), lab.path("logs/ssh.log.1")).unwrap();
    lab.append("logs/ssh.log", &ssh_failure(ATTACKER));
    lab.start(&[]);
    lab.until_banned("ssh", ATTACKER);
    lab.until_lines("ssh", 2);
}

/// Kills the daemon in the middle of a storm and compares with what an undisturbed one must come to.
fn storm(faults: &[&str]) {
    let mut lab = Lab::new(&[]);
    lab.ssh_jail("ssh", "");
    lab.append("logs/ssh.log", "");
    let attackers: Vec<String> = (0..200).map(|n| format!("198.51.100.{n}")).collect();
    let almost: Vec<String> = (0..200).map(|n| format!("203.0.113.{n}")).collect();
    let mut rounds = vec![String::new(); 3];
    for (index, round) in rounds.iter_mut().enumerate() {
        round.extend(attackers.iter().map(|address| ssh_failure(address)));
        if index < 2 {
            round.extend(almost.iter().map(|address| ssh_failure(address)));
        }
    }
    let mut lives = 0;
    let mut faults = faults.iter();
    for round in rounds {
        let fault = faults.next();
        let arguments = fault.map_or(vec![], |fault| vec!["--fault", fault]);
        lab.launch(&arguments);
        lives += 1;
        lab.append("logs/ssh.log", &round);
        if fault.is_some() {
            assert_eq!(lab.ended().code(), None, "it was killed");
        }
    }
    if lab.is_down() {
        lab.start(&[]);
    }
    assert!(lives == 3);
    let is_enforced = |ban: &String| ban.ends_with(" enforced");
    until("all attackers are banned", || {
        lab.banned("ssh").iter().filter(|ban| is_enforced(ban)).count() >= attackers.len()
    });
    let mut banned = lab.banned("ssh");
    banned.sort();
    let mut want: Vec<String> = attackers.iter().map(|address| format!("{address} enforced")).collect();
    want.sort();
    assert_eq!(banned, want, "exactly the attackers: nobody lost, nobody counted twice");
    let status = lab.status("ssh");
    assert_eq!(status["failed_now"], 200, "those with two failures are still counted: {status}");
    lab.append("logs/ssh.log", &ssh_failure(&almost[0]));
    lab.until_banned("ssh", &almost[0]);
}

#[test]
fn killed_before_the_disk_has_it() {
    storm(&["store.before_commit=kill@1", "store.before_commit=kill@1", "store.before_commit=kill@1"]);
}

#[test]
fn killed_after_the_disk_has_it() {
    storm(&["store.after_commit=kill@1", "store.after_commit=kill@1", "store.after_commit=kill@1"]);
}

#[test]
fn killed_before_the_kernel_has_it_and_in_the_middle_of_a_block() {
    storm(&["jail.line=kill@150", "jail.line=kill@333", "firewall.apply=kill@1"]);
}

#[test]
fn a_damaged_store_is_set_aside_and_bans_are_taken_over_from_the_kernel() {
    let mut lab = Lab::new(&[ATTACKER]);
    lab.ssh_jail("ssh", "ports = [22]");
    lab.start(&[]);
    lab.append("logs/ssh.log", &ssh_failure(ATTACKER).repeat(3));
    lab.until_banned("ssh", ATTACKER);
    lab.end(libc::SIGKILL);
    for name in ["stockade.sqlite3-wal", "stockade.sqlite3-shm"] {
        let _ = fs::remove_file(lab.path(name));
    }
    fs::write(lab.path("stockade.sqlite3"), "this is no database ".repeat(1000)).unwrap();
    fs::remove_file(lab.path("logs/ssh.log")).unwrap();
    lab.start(&[]);
    assert_eq!(lab.banned("ssh"), [format!("{ATTACKER} enforced")]);
    let aside =
        fs::read_dir(lab.dir.path()).unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    assert_eq!(aside.filter(|name| name.starts_with("stockade.sqlite3.corrupt-")).count(), 1);
    lab.end(libc::SIGTERM);
    lab.start(&[]);
    assert_eq!(lab.banned("ssh"), [format!("{ATTACKER} enforced")], "the new store has it");
}

#[test]
fn an_unwritable_store_is_said_and_the_daemon_runs_without() {
    let mut lab = Lab::new(&[ATTACKER]);
    lab.ssh_jail("ssh", "");
    // A directory where the file should be: nobody can write that, not even root.
    fs::create_dir(lab.path("stockade.sqlite3")).unwrap();
    lab.start(&[]);
    lab.append("logs/ssh.log", &ssh_failure(ATTACKER).repeat(3));
    lab.until_banned("ssh", ATTACKER);
    let status = lab.json(&["status"]);
    assert!(status["store"].as_str().unwrap().starts_with("off: "), "{status}");
    assert_eq!(status["warnings"].as_array().unwrap().len(), 1, "{status}");
}

/// The log has a ban before the disk does; the recidive jail counts what the log says.
#[test]
fn a_ban_that_was_said_and_is_not_on_disk_is_not_said_again() {
    for date in ["", "dated"] {
        let mut lab = Lab::new(&[]);
        let log = lab.path("stockade.log");
        lab.write("etc/stockade.toml", &format!("[daemon]\nlog_target = \"{}\"\n", log.display()));
        lab.ssh_jail("ssh", "");
        // The first line is on disk, and with it that the file is watched.
        lab.append("logs/ssh.log", "nothing\n");
        lab.start(&[]);
        lab.until_lines("ssh", 1);
        lab.end(libc::SIGTERM);
        lab.start(&["--fault", "store.before_commit=kill@1"]);
        let failure = ssh_failure(ATTACKER);
        let from = if date.is_empty() { failure.find("victim").unwrap() } else { 0 };
        lab.append("logs/ssh.log", &failure[from..].repeat(3));
        assert_eq!(lab.ended().code(), None, "it was killed");
        lab.start(&[]);
        lab.until_banned("ssh", ATTACKER);
        let said = crate::lab::read(&log);
        assert_eq!(said.matches(&format!("[ssh] Ban {ATTACKER}\n")).count(), 1, "{date}: {said}");
        assert_eq!(said.matches(&format!("[ssh] Restore Ban {ATTACKER}\n")).count(), 1, "{date}: {said}");
    }
}
