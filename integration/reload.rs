//! Three jails, one changes: only that one moves.

use serde_json::Value;

use crate::lab::{Lab, ssh_failure, until, without_times};

const ATTACKER: &str = "198.51.100.66";

/// Three jails, each with a ban, and in `b` an address that has failed twice.
fn three() -> Lab {
    three_with("")
}

fn three_with(daemon: &str) -> Lab {
    let mut lab = Lab::new(&[]);
    for jail in ["a", "b", "c"] {
        lab.ssh_jail(jail, "ports = [22]");
        lab.append(&format!("logs/{jail}.log"), "");
    }
    lab.write("etc/stockade.toml", &format!("[daemon]\n{daemon}\n"));
    lab.start(&[]);
    for jail in ["a", "b", "c"] {
        lab.append(&format!("logs/{jail}.log"), &ssh_failure(ATTACKER).repeat(3));
        lab.append(&format!("logs/{jail}.log"), &ssh_failure("203.0.113.9").repeat(2));
        lab.until_banned(jail, ATTACKER);
        lab.until_lines(jail, 5);
    }
    lab
}

/// What must not move: everything of these jails, counters and sets with their elements.
fn picture(lab: &Lab, jails: &[&str]) -> Vec<(Value, String)> {
    let one = |jail: &&str| {
        let set = lab.nft(&format!("list set inet stockade {jail}4"));
        (lab.status(jail), without_times(&set).join(" "))
    };
    jails.iter().map(one).collect()
}

fn set_max_retry(lab: &Lab, jail: &str, max_retry: u32) {
    let name = format!("etc/jails.d/{jail}.toml");
    let text = crate::lab::read(&lab.path(&name));
    lab.write(&name, &text.replace("max_retry = 3", &format!("max_retry = {max_retry}")));
}

/// After `b` was reloaded with 9 instead of 3 allowed failures, by whatever way.
fn check(lab: &Lab, before: &[(Value, String)]) {
    assert_eq!(picture(lab, &["a", "c"]), before, "the others did not move");
    let b = lab.status("b");
    assert_eq!(
        (&b["max_retry"], &b["failed_now"], &b["banned_now"]),
        (&9.into(), &1.into(), &1.into()),
        "{b}"
    );
    lab.append("logs/b.log", &ssh_failure("203.0.113.9").repeat(6));
    lab.until_lines("b", 11);
    assert_eq!(lab.status("b")["failed_now"], 1, "eight failures are not nine");
    lab.append("logs/b.log", &ssh_failure("203.0.113.9"));
    lab.until_banned("b", "203.0.113.9");
}

#[test]
fn by_command() {
    let lab = three();
    let before = picture(&lab, &["a", "c"]);
    set_max_retry(&lab, "b", 9);
    // Others changed too, but only b is named.
    let answer = lab.json(&["reload", "b"]);
    assert_eq!(answer["moved"], serde_json::json!(["b: max_retry"]), "{answer}");
    check(&lab, &before);
}

#[test]
fn by_signal() {
    let lab = three();
    let before = picture(&lab, &["a", "c"]);
    set_max_retry(&lab, "b", 9);
    let number = lab.status("b")["number"].as_i64().unwrap();
    lab.signal(libc::SIGRTMIN() + i32::try_from(number).unwrap());
    until("b has moved", || lab.status("b")["max_retry"] == 9);
    check(&lab, &before);
}

#[test]
fn by_a_hangup() {
    let lab = three();
    let before = picture(&lab, &["a", "c"]);
    set_max_retry(&lab, "b", 9);
    lab.signal(libc::SIGHUP);
    until("b has moved", || lab.status("b")["max_retry"] == 9);
    check(&lab, &before);
}

#[test]
fn by_a_changed_drop_in() {
    let lab = three_with("watch = true");
    let before = picture(&lab, &["a", "c"]);
    set_max_retry(&lab, "b", 9);
    until("b has moved by itself", || lab.status("b")["max_retry"] == 9);
    check(&lab, &before);
}

#[test]
fn a_jail_that_is_wrong_keeps_its_running_version_and_the_others_move() {
    let lab = three();
    lab.write("etc/jails.d/b.toml", "[jail.b]\nenabled = true\nmax_rety = 2\n");
    set_max_retry(&lab, "a", 4);
    let output = lab.stockade(&["reload", "--json"]);
    let answer = crate::lab::answer(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{answer}");
    assert_eq!(answer["moved"], serde_json::json!(["a: max_retry"]), "{answer}");
    let mistakes = answer["mistakes"].to_string();
    assert!(mistakes.contains("b.toml:3: jail.b.max_rety"), "{mistakes}");
    assert_eq!(lab.status("b")["max_retry"], 3);
    assert_eq!(lab.status("b")["banned_now"], 1);
}

#[test]
fn a_jail_comes_and_goes_and_comes_back_with_its_bans() {
    let lab = three();
    let text = crate::lab::read(&lab.path("etc/jails.d/b.toml"));
    std::fs::remove_file(lab.path("etc/jails.d/b.toml")).unwrap();
    let answer = lab.json(&["reload"]);
    assert_eq!(answer["moved"], serde_json::json!(["b: stopped, its bans are lifted"]), "{answer}");
    assert!(!lab.nft("list ruleset").contains("b4"), "{}", lab.nft("list ruleset"));
    lab.write("etc/jails.d/b.toml", &text);
    let answer = lab.json(&["reload"]);
    assert_eq!(answer["moved"], serde_json::json!(["b: started"]), "{answer}");
    lab.until_banned("b", ATTACKER);
    assert!(lab.nft("list set inet stockade b4").contains(ATTACKER));
}

#[test]
fn rules_change_while_bans_stay() {
    let lab = three();
    let text = crate::lab::read(&lab.path("etc/jails.d/b.toml"));
    lab.write("etc/jails.d/b.toml", &text.replace("ports = [22]", "ports = [25]\nblock = \"reject\""));
    let answer = lab.json(&["reload", "b"]);
    assert_eq!(answer["moved"], serde_json::json!(["b: ports, block"]), "{answer}");
    let ruleset = lab.nft("list ruleset");
    assert!(ruleset.contains("dport 25"), "{ruleset}");
    assert!(lab.nft("list set inet stockade b4").contains(ATTACKER), "{ruleset}");
}
