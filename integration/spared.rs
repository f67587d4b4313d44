//! Who is spared by a command or a name: the daemon asks, and waits for nobody.

use crate::lab::{Lab, ssh_failure, until};

const ATTACKER: &str = "192.0.2.66";
const FRIEND: &str = "192.0.2.77";
const SLOW: &str = "192.0.2.88";

/// A command that spares the friend and hangs over one address until a file is there.
fn command(lab: &Lab) -> String {
    let go = lab.path("go").display().to_string();
    format!(
        "ignore_command = '''case <ip> in {FRIEND}) exit 0;; {SLOW}) test -e {go} || exec sleep 50;; esac; exit 1'''"
    )
}

#[test]
fn a_command_that_hangs_holds_up_nobody_and_is_asked_again_after_a_kill() {
    let mut lab = Lab::new(&[ATTACKER, FRIEND, SLOW]);
    lab.ssh_jail("ssh", &command(&lab));
    lab.ssh_jail("other", "");
    lab.start(&[]);
    lab.append("logs/ssh.log", &ssh_failure(SLOW).repeat(3));
    lab.until_lines("ssh", 3);
    lab.append("logs/ssh.log", &(ssh_failure(FRIEND).repeat(3) + &ssh_failure(ATTACKER).repeat(3)));
    lab.append("logs/other.log", &ssh_failure(SLOW).repeat(3));
    lab.until_banned("ssh", ATTACKER);
    lab.until_banned("other", SLOW);
    until("the friend is ignored", || {
        lab.log().matches(&format!("[ssh] Ignore {FRIEND} by command\n")).count() == 3
    });
    assert_eq!(lab.banned("ssh"), [format!("{ATTACKER} enforced")]);
    assert!(!lab.log().contains(&format!("[ssh] Found {SLOW}")), "it waits: {}", lab.log());

    // Killed while it waits: what is behind the cursor is asked about again.
    assert!(
        lab.stockade(&["ban", "--jail", "ssh", "203.0.113.99"]).status.success(),
        "all is on the disk now"
    );
    lab.end(libc::SIGKILL);
    lab.write("go", "");
    lab.start(&[]);
    lab.until_banned("ssh", SLOW);
    assert_eq!(lab.log().matches(&format!("[ssh] Found {SLOW}")).count(), 3, "{}", lab.log());
}

#[test]
fn a_name_that_nobody_knows_spares_nobody() {
    let mut lab = Lab::new(&[ATTACKER]);
    lab.ssh_jail("ssh", "ignore = ['127.0.0.1', 'friend.invalid']");
    lab.ssh_jail("other", "");
    lab.start(&[]);
    lab.append("logs/ssh.log", &ssh_failure(ATTACKER).repeat(3));
    lab.append("logs/other.log", &ssh_failure(ATTACKER).repeat(3));
    lab.until_banned("other", ATTACKER);
    lab.until_banned("ssh", ATTACKER);
}
