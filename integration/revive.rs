//! Actors that panic are revived, hang alone, or are parked; no ban is lifted.

use std::time::Duration;

use stockade::control::talk::Client;
use stockade::python::words;

use crate::lab::{Lab, ssh_failure, until};

const FIRST: &str = "198.51.100.1";
const SECOND: &str = "198.51.100.2";

/// Bans one, lets an actor panic over the next thing it does, bans another, and wants both in the kernel.
fn panics(fault: &str, said: &str) {
    let mut lab = Lab::new(&[]);
    for jail in ["ssh", "other"] {
        lab.ssh_jail(jail, "");
        lab.append(&format!("logs/{jail}.log"), "");
    }
    lab.start(&["--fault", fault]);
    lab.append("logs/ssh.log", &ssh_failure(FIRST).repeat(3));
    lab.until_banned("ssh", FIRST);
    lab.append("logs/ssh.log", &ssh_failure(SECOND).repeat(2));
    lab.append("logs/other.log", &ssh_failure(SECOND).repeat(3));
    lab.until_banned("other", SECOND);
    until("the panic was said", || lab.log().contains(said));
    lab.append("logs/ssh.log", &ssh_failure(SECOND));
    lab.until_banned("ssh", SECOND);
    assert_eq!(lab.banned("ssh"), [format!("{FIRST} enforced"), format!("{SECOND} enforced")]);
    let status = lab.json(&["status"]);
    assert!(
        status["panics"] == 1 && status["warnings"].to_string().contains("1 panic since the start"),
        "{status}"
    );
    let set = lab.nft("list set inet stockade ssh4");
    assert!(set.contains(FIRST) && set.contains(SECOND), "{set}");
    assert!(!lab.log().contains("Unban"), "{}", lab.log());
    // What was decided is on disk too.
    assert_eq!(lab.end(libc::SIGTERM).code(), Some(0), "{}", lab.log());
    lab.start(&[]);
    assert_eq!(lab.banned("ssh"), [format!("{FIRST} enforced"), format!("{SECOND} enforced")]);
}

#[test]
fn the_tailer() {
    panics("tailer.pump=panic@3", "the tailer panicked: it is revived");
}

#[test]
fn a_jail() {
    panics("jail.ssh=panic@2", "jail ssh panicked: it is revived");
}

#[test]
fn the_firewall() {
    panics("firewall.apply=panic@2", "the firewall panicked: it is revived");
}

#[test]
fn the_store() {
    panics("store.before_commit=panic@2", "the store panicked: it is revived");
}

#[test]
fn a_line_that_panics_costs_that_line() {
    panics("jail.line=panic@4", "are judged one by one");
}

#[test]
fn lines_that_panic_each_time_cost_themselves_alone() {
    let mut lab = Lab::new(&[]);
    lab.ssh_jail("ssh", "");
    lab.append("logs/ssh.log", "");
    lab.start(&["--fault", "jail.line=panic@4+"]);
    lab.append("logs/ssh.log", &ssh_failure(FIRST).repeat(3));
    lab.until_banned("ssh", FIRST);
    lab.append("logs/ssh.log", &ssh_failure(SECOND).repeat(3));
    until("the lines were given up", || {
        lab.log().matches("made the jail panic and is not counted").count() == 3
    });
    assert_eq!(lab.status("ssh")["state"], "running");
    assert_eq!(lab.stockade(&["ban", SECOND]).status.code(), Some(0));
    assert_eq!(lab.banned("ssh"), [format!("{FIRST} enforced"), format!("{SECOND} enforced")]);
}

#[test]
fn the_timer() {
    let mut lab = Lab::new(&[]);
    lab.ssh_jail("ssh", "ban_time = \"5s\"");
    lab.append("logs/ssh.log", "");
    lab.start(&["--fault", "timer.ring=panic@1"]);
    lab.append("logs/ssh.log", &ssh_failure(FIRST).repeat(3));
    lab.until_banned("ssh", FIRST);
    until("the panic was said", || lab.log().contains("the timer panicked: it is revived"));
    until("the ban is over", || lab.banned("ssh").is_empty());
    until("the kernel has heard of it", || !lab.nft("list set inet stockade ssh4").contains(FIRST));
}

#[test]
fn what_panics_again_and_again_is_parked_and_the_others_go_on() {
    let mut lab = Lab::new(&[]);
    for jail in ["ssh", "other"] {
        lab.ssh_jail(jail, "");
        lab.append(&format!("logs/{jail}.log"), "");
    }
    lab.start(&["--fault", "jail.ssh=panic@2+"]);
    lab.append("logs/ssh.log", &ssh_failure(FIRST).repeat(3));
    lab.until_banned("ssh", FIRST);
    lab.append("logs/ssh.log", &ssh_failure(SECOND).repeat(3));
    until("the jail is parked", || lab.status("ssh")["state"] == "parked");
    lab.append("logs/other.log", &ssh_failure(SECOND).repeat(3));
    lab.until_banned("other", SECOND);
    let set = lab.nft("list set inet stockade ssh4");
    assert!(set.contains(FIRST), "its bans stay: {set}");
    let parked = "jail ssh panicked again and again: it is parked until it is reloaded or restarted";
    let status = lab.json(&["status"]);
    assert!(status["warnings"].to_string().contains(parked) && status["panics"] == 6, "{status}");
    // The lines that it never got over are gone with what made it panic.
    lab.end(libc::SIGKILL);
    lab.start(&[]);
    lab.until_banned("ssh", SECOND);
    assert_eq!(lab.json(&["status"])["panics"], 0);
}

#[test]
fn a_parked_jail_is_revived_by_a_reload() {
    let mut lab = Lab::new(&[]);
    lab.ssh_jail("ssh", "");
    lab.append("logs/ssh.log", "");
    // As often as it takes, and not once more.
    lab.start(&["--fault", "jail.ssh=panic@2-7"]);
    lab.append("logs/ssh.log", &ssh_failure(FIRST).repeat(3));
    lab.until_banned("ssh", FIRST);
    lab.append("logs/ssh.log", &ssh_failure(SECOND).repeat(3));
    until("the jail is parked", || lab.status("ssh")["state"] == "parked");
    assert_eq!(lab.stockade(&["reload"]).status.code(), Some(0));
    lab.until_banned("ssh", SECOND);
    let status = lab.json(&["status"]);
    assert!(!status["warnings"].to_string().contains("parked") && status["panics"] == 6, "{status}");
}

#[test]
fn a_jail_that_blocks_for_ever_keeps_no_firewall_from_being_filled() {
    let mut lab = Lab::new(&[]);
    for jail in ["stuck", "other"] {
        lab.ssh_jail(jail, "");
        lab.append(&format!("logs/{jail}.log"), "");
    }
    lab.start(&["--fault", "jail.stuck=hang@1", "--fault", "firewall.apply=panic@1"]);
    lab.append("logs/stuck.log", &ssh_failure(FIRST).repeat(3));
    until("it hangs", || lab.status("stuck")["state"].as_str().unwrap().starts_with("busy"));
    lab.append("logs/other.log", &ssh_failure(FIRST).repeat(3));
    until("the firewall is back", || lab.log().contains("the firewall is back"));
    assert!(
        lab.log().contains("[stuck] the firewall is filled without its bans: it has not answered for 30s")
    );
    lab.until_banned("other", FIRST);
    assert!(lab.nft("list set inet stockade other4").contains(FIRST));
    lab.signal(libc::SIGTERM);
    let _ = lab.ended();
}

#[test]
fn a_jail_that_blocks_for_ever_delays_nobody() {
    let mut lab = Lab::new(&[]);
    for jail in ["stuck", "other"] {
        lab.ssh_jail(jail, "");
    }
    // Both read the same file.
    let text = crate::lab::read(&lab.path("etc/jails.d/stuck.toml"));
    lab.write("etc/jails.d/stuck.toml", &text.replace("stuck.log", "other.log"));
    lab.append("logs/other.log", "");
    lab.start(&["--fault", "jail.stuck=hang@1"]);
    for _ in 0..20 {
        lab.append("logs/other.log", &ssh_failure("203.0.113.1").repeat(100));
    }
    lab.append("logs/other.log", &ssh_failure(FIRST).repeat(3));
    lab.until_banned("other", FIRST);
    assert_eq!(lab.status("other")["lines"], 2003);
    let stuck = lab.status("stuck");
    assert!(stuck["state"].as_str().unwrap().starts_with("busy"), "{stuck}");
    assert_eq!(lab.stockade(&["ban", SECOND, "--jail", "other"]).status.code(), Some(0));
    // Who is banned in it nobody can tell, and nobody says that nobody is.
    for (arguments, code) in
        [(vec!["banned"], 2), (vec!["banned", FIRST], 0), (vec!["banned", "192.0.2.9"], 2)]
    {
        let output = lab.stockade(&arguments);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains("stuck: who is banned is not known, for it is busy"), "{arguments:?}: {said}");
        assert!(!said.contains("is not banned"), "{arguments:?}: {said}");
    }
    for order in [words(["banned"]), words(["banned", FIRST]), words(["statistics"])] {
        let mut client = Client::connect(&lab.path("stockade.sock"), Duration::from_secs(30)).unwrap();
        let why = client.ask(&order).unwrap().unwrap_err();
        let why = format!("{why:?}");
        assert!(why.contains("the jail stuck") && why.contains("has not answered"), "{order:?}: {why}");
    }
    lab.signal(libc::SIGTERM);
    let _ = lab.ended();
}
