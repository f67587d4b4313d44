//! Attackers in a log are shut out, and let in again.

use crate::lab::{Lab, ssh_failure, until};

const ATTACKER: &str = "192.0.2.66";
const CLIENT: &str = "192.0.2.10";
const SIX: &str = "2001:db8::bad";

#[test]
fn an_attacker_is_shut_out_and_nobody_else() {
    let mut lab = Lab::new(&[ATTACKER, CLIENT, SIX]);
    lab.ssh_jail("ssh", "ports = [22]");
    let _ssh = lab.serve(22);
    let _web = lab.serve(80);
    lab.start(&[]);
    for address in [ATTACKER, CLIENT, SIX] {
        assert!(lab.reaches(address, 22), "{address} reached the victim before");
    }
    for address in [ATTACKER, SIX] {
        lab.append("logs/ssh.log", &ssh_failure(address).repeat(3));
    }
    lab.append("logs/ssh.log", &ssh_failure(CLIENT).repeat(2));
    lab.until_banned("ssh", ATTACKER);
    lab.until_banned("ssh", SIX);
    assert!(!lab.reaches(ATTACKER, 22));
    assert!(!lab.reaches(SIX, 22));
    assert!(lab.reaches(ATTACKER, 80), "other ports stay open");
    assert!(lab.reaches(CLIENT, 22), "two failures are not three");
    let log = lab.log();
    assert!(log.contains(&format!("[ssh] Found {ATTACKER} - ")), "{log}");
    assert!(log.contains(&format!("NOTICE  [ssh] Ban {ATTACKER}\n")), "{log}");
    assert_eq!(lab.end(libc::SIGTERM).code(), Some(0));
    assert!(!lab.reaches(ATTACKER, 22), "bans stay in the kernel");
}

#[test]
fn bans_by_hand_end_by_hand_and_by_their_time() {
    let mut lab = Lab::new(&[ATTACKER, CLIENT, SIX]);
    lab.ssh_jail("ssh", "ports = [22]\nblock = \"reject\"");
    let _ssh = lab.serve(22);
    lab.start(&[]);
    let output = lab.stockade(&["ban", "192.0.2.64/27", SIX, "--for", "1h"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(!lab.reaches(ATTACKER, 22), "a prefix covers its members");
    assert!(!lab.reaches(SIX, 22));
    assert!(lab.reaches(CLIENT, 22));
    assert_eq!(lab.banned("ssh"), ["192.0.2.64/27 enforced", "2001:db8::bad enforced"]);
    assert_eq!(lab.stockade(&["banned", ATTACKER]).status.code(), Some(0), "its prefix is banned");
    assert_eq!(lab.stockade(&["banned", CLIENT]).status.code(), Some(1));
    let output = lab.stockade(&["unban", "192.0.2.64/27"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(lab.reaches(ATTACKER, 22));
    assert_eq!(lab.stockade(&["unban", ATTACKER]).status.code(), Some(1), "it was not banned");
    lab.stockade(&["ban", ATTACKER, "--for", "1s"]);
    until("the short ban is over", || lab.banned("ssh") == ["2001:db8::bad enforced"]);
    until("it gets in again", || lab.reaches(ATTACKER, 22));
    lab.stockade(&["unban", "--all"]);
    assert_eq!(lab.banned("ssh"), Vec::<String>::new());
    assert!(lab.reaches(SIX, 22));
    let log = lab.log();
    assert!(log.contains(&format!("[ssh] Unban {ATTACKER}\n")), "{log}");
    assert_eq!(lab.end(libc::SIGTERM).code(), Some(0));
}

#[test]
fn who_must_not_be_banned_is_refused_with_the_reason() {
    let mut lab = Lab::new(&[ATTACKER]);
    lab.write("ignored", "# friends\n198.51.100.0/24\n");
    let file = lab.path("ignored");
    lab.ssh_jail("ssh", &format!("ignore = [\"203.0.113.7\", \"file:{}\"]", file.display()));
    lab.start(&[]);
    for (address, why) in [
        ("not-an-ip", "neither an IP address nor a prefix"),
        ("192.0.2.1", "is an address of this host"),
        ("127.0.0.1", "127.0.0.0/8"),
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.0/24", "203.0.113.7"),
        ("198.51.100.9", "file:"),
    ] {
        let output = lab.stockade(&["ban", address]);
        let said = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(1), "{address}: {said}");
        assert!(said.contains(why), "{address}: {said}");
    }
    lab.append("logs/ssh.log", &ssh_failure("203.0.113.7").repeat(5));
    until("the ignored address was seen", || lab.status("ssh")["ignored_total"] == 5);
    assert_eq!(lab.banned("ssh"), Vec::<String>::new());
    assert_eq!(lab.stockade(&["ban", "203.0.113.7", "--force"]).status.code(), Some(0));
    assert_eq!(lab.banned("ssh"), ["203.0.113.7 enforced"]);
}
