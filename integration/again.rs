//! Those who come again: their bans grow, over restarts too, until an operator lets them in.

use crate::lab::{Lab, ssh_failure, until};

const ATTACKER: &str = "192.0.2.66";

#[test]
fn a_second_ban_is_longer_and_an_unban_forgives() {
    let mut lab = Lab::new(&[ATTACKER]);
    lab.ssh_jail("ssh", "ban_time = '2s'\nban_increment = { factor = 100 }");
    lab.start(&[]);
    lab.append("logs/ssh.log", &ssh_failure(ATTACKER).repeat(3));
    until("the first ban is over", || lab.log().contains(&format!("[ssh] Unban {ATTACKER}\n")));
    assert_eq!(lab.end(libc::SIGTERM).code(), Some(0));
    lab.start(&[]);
    // Two failures of somebody who was banned once before count as four.
    lab.append("logs/ssh.log", &ssh_failure(ATTACKER).repeat(2));
    until("the second ban has grown", || {
        lab.log().contains(&format!("[ssh] Increase Ban {ATTACKER} (2 # 6m 40s -> "))
    });
    assert!(lab.log().contains(&format!("[ssh] Found {ATTACKER}, bad - ")), "{}", lab.log());
    lab.until_banned("ssh", ATTACKER);
    let ban = &lab.json(&["status", "ssh"])["jails"][0]["bans"][0];
    assert_eq!(ban["count"], 2, "{ban}");

    // As long over a restart.
    assert_eq!(lab.end(libc::SIGTERM).code(), Some(0));
    lab.start(&[]);
    lab.until_banned("ssh", ATTACKER);

    assert!(lab.stockade(&["unban", ATTACKER]).status.success());
    lab.append("logs/ssh.log", &ssh_failure(ATTACKER).repeat(3));
    until("the third ban is a first one", || {
        lab.log().matches(&format!("[ssh] Unban {ATTACKER}\n")).count() == 3
    });
    assert_eq!(lab.log().matches("Increase Ban").count(), 1, "{}", lab.log());
}
