//! `reload --confirm`: a configuration that locks its operator out does so for a while only.

use std::fs;

use serde_json::json;

use crate::lab::{Lab, ssh_failure, until};

/// The operator, who mistypes his password now and then.
const ADMIN: &str = "198.51.100.7";
const ATTACKER: &str = "198.51.100.66";

/// Jails `a`, `b` and `c`, five failures each; in each of them the attacker is banned, and the operator has failed once.
fn three() -> Lab {
    let mut lab = Lab::new(&[]);
    for jail in ["a", "b", "c"] {
        lab.ssh_jail(jail, "ports = [22]");
        limit(&lab, jail, 3, 5);
        lab.append(&format!("logs/{jail}.log"), "");
    }
    lab.start(&[]);
    for jail in ["a", "b", "c"] {
        fails(&lab, jail, ATTACKER, 5);
        fails(&lab, jail, ADMIN, 1);
        lab.until_banned(jail, ATTACKER);
        lab.until_lines(jail, 6);
    }
    lab
}

fn fails(lab: &Lab, jail: &str, host: &str, times: usize) {
    lab.append(&format!("logs/{jail}.log"), &ssh_failure(host).repeat(times));
}

fn limit(lab: &Lab, jail: &str, old: u32, new: u32) {
    let path = lab.path(&format!("etc/jails.d/{jail}.toml"));
    let text = crate::lab::read(&path);
    let changed = text.replace(&format!("max_retry = {old}\n"), &format!("max_retry = {new}\n"));
    assert_ne!(text, changed);
    fs::write(path, changed).unwrap();
}

fn on_trial(lab: &Lab) -> serde_json::Value {
    lab.json(&["status"])["on_trial"].clone()
}

/// What a command answers where it has nothing to do.
fn refusal(lab: &Lab, arguments: &[&str]) -> String {
    let output = lab.stockade(arguments);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn in_kernel(lab: &Lab, jail: &str, host: &str) -> bool {
    lab.nft(&format!("list set inet stockade {jail}4")).contains(host)
}

#[test]
fn not_confirmed_in_time_the_configuration_before_returns_and_whom_the_new_one_banned_is_let_in() {
    let lab = three();
    // In `a` the first failure bans; `c` is no more; `d` is new, and bans at once what its log has.
    limit(&lab, "a", 5, 1);
    let c = crate::lab::read(&lab.path("etc/jails.d/c.toml"));
    fs::remove_file(lab.path("etc/jails.d/c.toml")).unwrap();
    lab.ssh_jail("d", "ports = [22]");
    fails(&lab, "d", ADMIN, 3);

    let answer = lab.json(&["reload", "--confirm", "20s"]);
    let moved = json!(["a: max_retry", "c: stopped, its bans are lifted", "d: started"]);
    assert_eq!(answer["moved"], moved, "{answer}");
    let trial = on_trial(&lab);
    assert_eq!((&trial["jails"], &trial["until"]), (&json!(["a", "c", "d"]), &answer["confirm_until"]));
    fails(&lab, "a", ADMIN, 1);
    fails(&lab, "b", "198.51.100.67", 5);
    lab.until_banned("a", ADMIN);
    lab.until_banned("b", "198.51.100.67");
    lab.until_banned("d", ADMIN);
    assert!(in_kernel(&lab, "a", ADMIN) && in_kernel(&lab, "d", ADMIN) && !in_kernel(&lab, "c", ATTACKER));

    // The operator is locked out, so nobody confirms. The files are as they were written.
    until("the configuration before has returned", || on_trial(&lab).is_null());
    until("the operator is let in", || lab.banned("a") == [format!("{ATTACKER} enforced")]);
    lab.until_banned("c", ATTACKER);
    until("the kernel has heard of it", || !in_kernel(&lab, "a", ADMIN) && in_kernel(&lab, "c", ATTACKER));
    assert!(!lab.nft("list ruleset").contains(ADMIN), "{}", lab.nft("list ruleset"));
    let status = lab.json(&["status"]);
    let names: Vec<_> = status["jails"].as_array().unwrap().iter().map(|jail| &jail["name"]).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(lab.status("a")["max_retry"], 5);
    assert!(crate::lab::read(&lab.path("etc/jails.d/a.toml")).contains("max_retry = 1\n"));
    // What did not differ banned rightly.
    let both = [format!("{ATTACKER} enforced"), "198.51.100.67 enforced".to_owned()];
    assert_eq!(lab.banned("b"), both);
    // Counters from before count on: with the one in `c` it takes four more.
    fails(&lab, "c", ADMIN, 4);
    lab.until_banned("c", ADMIN);

    let log = lab.log();
    for said in [
        "reload: on trial: unless `stockade confirm` comes before ",
        "reload: not confirmed in time: the configuration before returns",
        "reload: a: max_retry",
        "[a] 1 address was banned only by the configuration that was not confirmed: let in",
        &format!("[a] Unban {ADMIN}"),
    ] {
        assert!(log.contains(said), "{said}: {log}");
    }
    assert!(refusal(&lab, &["confirm"]).contains("too late: not confirmed in time"), "{log}");
    // It is another reload's turn to try what the files say.
    fs::write(lab.path("etc/jails.d/c.toml"), c).unwrap();
    assert_eq!(lab.json(&["reload"])["moved"], json!(["a: max_retry", "d: started"]));
}

#[test]
fn confirmed_it_stays() {
    let lab = three();
    assert!(refusal(&lab, &["confirm"]).contains("there is nothing to confirm"));
    limit(&lab, "a", 5, 1);
    lab.json(&["reload", "a", "--confirm", "1h"]);
    let shown = String::from_utf8(lab.stockade(&["status"]).stdout).unwrap();
    assert!(shown.contains("(a) awaits `stockade confirm`, or the one before returns in 59m"), "{shown}");
    fails(&lab, "a", ADMIN, 1);
    lab.until_banned("a", ADMIN);
    assert_eq!(lab.json(&["confirm"]), json!({ "jails": ["a"] }));
    assert!(on_trial(&lab).is_null());
    assert!(lab.log().contains("reload: confirmed: the configuration stays"));
    assert!(refusal(&lab, &["confirm"]).contains("there is nothing to confirm"));
    assert!(refusal(&lab, &["confirm", "--undo"]).contains("there is nothing to confirm"));
    assert_eq!((lab.banned("a").len(), lab.status("a")["max_retry"].as_u64()), (2, Some(1)));
}

#[test]
fn what_is_reloaded_meanwhile_is_on_trial_too_and_what_was_confirmed_last_returns() {
    let lab = three();
    limit(&lab, "a", 5, 4);
    let first = lab.json(&["reload", "--confirm", "1h"]);
    // Without a word about it: neither confirmed nor prolonged.
    limit(&lab, "b", 5, 1);
    let plain = lab.json(&["reload"]);
    assert_eq!(
        (&plain["moved"], &plain["confirm_until"]),
        (&json!(["b: max_retry"]), &first["confirm_until"])
    );
    // Nothing but the whole is wrong: the trial goes on.
    fs::write(lab.path("etc/stockade.toml"), "[daemon\n").unwrap();
    assert!(refusal(&lab, &["reload", "--confirm", "5s"]).contains("nothing was moved"));
    fs::remove_file(lab.path("etc/stockade.toml")).unwrap();
    assert_eq!(on_trial(&lab)["until"], first["confirm_until"]);
    // With one: more time.
    limit(&lab, "a", 4, 1);
    let second = lab.json(&["reload", "--confirm", "2h"]);
    assert_eq!(on_trial(&lab)["until"], second["confirm_until"]);
    assert!(second["confirm_until"].as_i64() > first["confirm_until"].as_i64(), "{second}");
    for jail in ["a", "b"] {
        fails(&lab, jail, ADMIN, 1);
        lab.until_banned(jail, ADMIN);
    }
    lab.json(&["ban", "198.51.100.99", "--jail", "a"]);
    let undone = lab.json(&["confirm", "--undo"]);
    assert_eq!(undone["moved"], json!(["a: max_retry", "b: max_retry"]));
    until("the operator is let in", || lab.banned("a").len() == 2 && lab.banned("b").len() == 1);
    assert_eq!(lab.banned("a"), [format!("{ATTACKER} enforced"), "198.51.100.99 enforced".to_owned()]);
    assert_eq!(
        (lab.status("a")["max_retry"].as_u64(), lab.status("b")["max_retry"].as_u64()),
        (Some(5), Some(5))
    );
}

#[test]
fn a_stop_meanwhile_leaves_the_firewall_as_before_and_the_next_start_reads_the_files() {
    let mut lab = three();
    limit(&lab, "a", 5, 1);
    lab.json(&["reload", "--confirm", "1h"]);
    fails(&lab, "a", ADMIN, 1);
    lab.until_banned("a", ADMIN);
    assert_eq!(lab.end(libc::SIGTERM).code(), Some(0), "{}", lab.log());
    assert!(lab.log().contains("stopping before `stockade confirm`"), "{}", lab.log());
    assert!(!in_kernel(&lab, "a", ADMIN) && in_kernel(&lab, "a", ATTACKER));
    lab.start(&[]);
    assert_eq!(lab.banned("a"), [format!("{ATTACKER} enforced")]);
    assert_eq!(lab.status("a")["max_retry"], 1);
    assert!(on_trial(&lab).is_null());
}

/// The jail's actor starts anew and knows of the ban by the store alone.
#[test]
fn a_jail_that_panics_meanwhile_lets_in_whom_it_banned_on_trial_all_the_same() {
    let mut lab = Lab::new(&[]);
    lab.ssh_jail("a", "");
    lab.append("logs/a.log", "");
    lab.start(&["--fault", "jail.a=panic@3"]);
    fails(&lab, "a", ATTACKER, 3);
    lab.until_banned("a", ATTACKER);
    // Bans are dated by their lines, to the second.
    let second = crate::lab::syslog(0);
    until("it is another second", || crate::lab::syslog(0) != second);
    limit(&lab, "a", 3, 1);
    lab.json(&["reload", "--confirm", "1h"]);
    fails(&lab, "a", ADMIN, 1);
    lab.until_banned("a", ADMIN);
    fails(&lab, "a", "198.51.100.8", 1);
    until("it is back", || lab.log().contains("jail a is back"));
    lab.until_banned("a", "198.51.100.8");
    assert_eq!(lab.banned("a").len(), 3);
    lab.json(&["confirm", "--undo"]);
    until("both are let in", || lab.banned("a") == [format!("{ATTACKER} enforced")]);
    until("the kernel has heard of it", || !in_kernel(&lab, "a", ADMIN));
}
