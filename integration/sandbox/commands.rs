//! Commands, by the broker: what each may do, what Fail2Ban's own do, and what becomes of them when it dies.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use super::{ATTACKER, children, sandbox};
use crate::debian::{jail, tree};
use crate::lab::{Lab, read, skip, ssh_failure, until};

/// An own group of the test's.
const GROUP: u32 = 47_110;
/// Whose the folder is into which mail goes.
const OWNER: u32 = 47_111;

fn action(name: &str, more: &str) -> String {
    format!("[[jail.ssh.actions]]\nname = \"{name}\"\n{more}\n")
}

/// Says what it may do, into a file of its name.
fn rights(name: &str, more: &str) -> String {
    let what = "grep -E '^(Cap|NoNew|Seccomp:)' /proc/self/status";
    action(name, &format!("ban = '''{what} > {name}.new && mv {name}.new {name}; {more}'''"))
}

/// What a command has said there.
fn said(lab: &Lab, name: &str, field: &str) -> String {
    until(&format!("{name} has run"), || lab.path(name).exists());
    let text = read(&lab.path(name));
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{field}:")));
    line.unwrap_or_else(|| panic!("{field} in {text}")).trim().to_owned()
}

fn ban(lab: &Lab, name: &str, address: &str) {
    lab.append(&format!("logs/{name}.log"), &ssh_failure(address).repeat(3));
}

#[test]
fn each_command_may_do_what_its_action_needs() {
    let mut lab = Lab::new(&[]);
    let actions = [
        rights("plain", ""),
        rights("firewall", "iptables -w -I INPUT -s <ip> -j DROP"),
        rights("more", "") + "capabilities = \"chown, net_bind_service\"\n",
        rights("less", "iptables --version") + "capabilities = \"none\"\n",
    ];
    lab.ssh_jail("ssh", &format!("firewall = \"none\"\n{}", actions.concat()));
    lab.append("logs/ssh.log", "");
    lab.start(&[]);
    ban(&lab, "ssh", ATTACKER);
    for (name, capabilities) in [
        ("plain", "0000000000000000"),
        ("firewall", "0000000000003000"),
        ("more", "0000000000000401"),
        ("less", "0000000000000000"),
    ] {
        for field in ["CapPrm", "CapEff", "CapBnd"] {
            assert_eq!(said(&lab, name, field), capabilities, "{name}: {field}");
        }
        // Mail is handed over by programs with a group of their own.
        assert_eq!((said(&lab, name, "NoNewPrivs"), said(&lab, name, "Seccomp")), ("0".into(), "0".into()));
    }
    until("the rule stands", || lab.run_inside(&format!("iptables -w -C INPUT -s {ATTACKER} -j DROP")));
    let broker = i32::try_from(sandbox(&lab)["broker"].as_i64().unwrap()).unwrap();
    assert_eq!(children(lab.pid().as_raw_nonzero().get()), [broker]);
    assert_eq!(lab.end(libc::SIGTERM).code(), Some(0), "{}", lab.log());
    until("the broker has ended, too", || !Path::new(&format!("/proc/{broker}")).exists());
}

/// Whether files can be given to others, as root can.
fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skip("mail handed over by a group's program: to make one takes root");
    }
    root
}

/// A program that hands mail over as Postfix's `postdrop` does: by the group of its file alone.
fn mailer(lab: &Lab) -> String {
    let (program, spool) = (lab.path("sendmail"), lab.path("spool"));
    fs::copy("/usr/bin/tee", &program).unwrap();
    chown(&program, None, Some(GROUP)).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o2755)).unwrap();
    fs::create_dir(&spool).unwrap();
    chown(&spool, Some(OWNER), Some(GROUP)).unwrap();
    fs::set_permissions(&spool, fs::Permissions::from_mode(0o730)).unwrap();
    format!("{} {}", program.display(), spool.join("mail").display())
}

#[test]
fn iptables_hosts_deny_and_mail_work_as_fail2ban_spells_them() {
    if !is_root() {
        return;
    }
    let mut lab = Lab::new(&["192.0.2.66", "192.0.2.10"]);
    let (deny, mailer) = (lab.path("hosts.deny"), mailer(&lab));
    let actions = format!(
        "action = iptables-multiport[port=ssh]\n\
         \x20        hostsdeny[file={}, capabilities=none]\n\
         \x20        sendmail[mailcmd=\"{mailer}\", sender=f2b, dest=root]",
        deny.display()
    );
    fs::write(&deny, "").unwrap();
    let local = format!("[DEFAULT]\nmaxretry = 3\nbantime = 1h\n{}", jail(&lab, "sshd", &actions));
    if !tree(&lab, &local) {
        return;
    }
    let _port = lab.serve(22);
    lab.start(&[]);
    ban(&lab, "sshd", "192.0.2.66");
    lab.until_banned("sshd", "192.0.2.66");
    assert_eq!(sandbox(&lab)["seccomp"], true);
    assert!(!lab.reaches("192.0.2.66", 22) && lab.reaches("192.0.2.10", 22));
    until("it stands in hosts.deny", || read(&deny).contains("192.0.2.66"));
    until("a mail is handed over", || read(&lab.path("spool/mail")).contains("192.0.2.66"));
    assert!(lab.stockade(&["unban", "192.0.2.66"]).status.success());
    until("it is let in again", || lab.reaches("192.0.2.66", 22) && !read(&deny).contains("192.0.2.66"));
}

#[test]
fn the_same_in_own_words() {
    if !is_root() {
        return;
    }
    let mut lab = Lab::new(&["192.0.2.66", "192.0.2.10"]);
    let (deny, mailer) = (lab.path("hosts.deny"), mailer(&lab));
    let rule = "INPUT -p tcp --dport 22 -s <ip> -j DROP";
    let actions = [
        action("rule", &format!("ban = \"iptables -w -I {rule}\"\nunban = \"iptables -w -D {rule}\"")),
        action("deny", &format!("ban = \"printf 'ALL: <ip>\\\\n' >> {}\"", deny.display())),
        action("mail", &format!("ban = \"printf 'banned <ip>' | {mailer} >/dev/null\"")),
    ];
    lab.ssh_jail("ssh", &format!("firewall = \"none\"\n{}", actions.concat()));
    lab.append("logs/ssh.log", "");
    let _port = lab.serve(22);
    lab.start(&[]);
    ban(&lab, "ssh", "192.0.2.66");
    lab.until_banned("ssh", "192.0.2.66");
    assert!(!lab.reaches("192.0.2.66", 22) && lab.reaches("192.0.2.10", 22));
    until("it stands in hosts.deny", || read(&deny) == "ALL: 192.0.2.66\n");
    until("a mail is handed over", || read(&lab.path("spool/mail")) == "banned 192.0.2.66");
}

#[test]
fn firewalls_that_are_programs_and_files_work() {
    let mut lab = Lab::new(&["192.0.2.66", "192.0.2.10"]);
    lab.ssh_jail("ssh", "firewall = \"iptables\"\nports = [22]");
    lab.ssh_jail("deny", "firewall = \"hosts-deny\"");
    for log in ["logs/ssh.log", "logs/deny.log"] {
        lab.append(log, "");
    }
    // An `/etc` of its own.
    let etc = lab.path("system");
    assert!(Command::new("cp").args(["-a", "/etc"]).arg(&etc).status().unwrap().success());
    let bind =
        format!("mount --make-rprivate / && mount --bind {} /etc && exec \"$0\" \"$@\"", etc.display());
    let _port = lab.serve(22);
    lab.launch_by(&["unshare", "--mount", "sh", "-c", &bind], &[]);
    until("the daemon is ready", || lab.is_ready());
    for jail in ["ssh", "deny"] {
        ban(&lab, jail, "192.0.2.66");
        lab.until_banned(jail, "192.0.2.66");
    }
    assert!(!lab.reaches("192.0.2.66", 22) && lab.reaches("192.0.2.10", 22));
    assert!(read(&etc.join("hosts.deny")).contains("192.0.2.66"));
}

#[test]
fn a_broker_that_is_killed_is_started_again_and_one_that_is_gone_is_missed_aloud() {
    let mut lab = Lab::new(&[]);
    let more =
        format!("firewall = \"none\"\n{}", action("note", "ban = \"echo <ip> >> notes\"\nunban = \"true\""));
    lab.ssh_jail("ssh", &more);
    lab.append("logs/ssh.log", "");
    lab.start(&[]);
    ban(&lab, "ssh", ATTACKER);
    lab.until_banned("ssh", ATTACKER);
    let [keeper] = children(lab.pid().as_raw_nonzero().get())[..] else { panic!("one child") };
    let kill = |pid: i32| Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
    let worker = children(keeper)[0];
    kill(worker);
    until("it is gone", || children(keeper).is_empty());
    ban(&lab, "ssh", "198.51.100.2");
    lab.until_banned("ssh", "198.51.100.2");
    until("that is said", || {
        lab.log().contains("the command broker had ended and was started again (1 so far)")
    });
    assert_eq!(lab.json(&["status"])["warnings"].to_string(), "[]");
    let last = children(keeper)[0];
    assert_ne!(last, worker);
    kill(keeper);
    let gone = "the command broker has ended: actions do not run until the daemon is restarted";
    until("it is missed", || lab.json(&["status"])["warnings"].to_string().contains(gone));
    until("its worker is gone, too", || read(Path::new(&format!("/proc/{last}/cmdline"))).is_empty());
    ban(&lab, "ssh", "198.51.100.3");
    until("the ban waits", || {
        let state =
            "198.51.100.3 not enforced: note: actionban could not be started: the command broker has ended";
        lab.banned("ssh").iter().any(|ban| ban.starts_with(state))
    });
    assert_eq!(lab.end(libc::SIGTERM).code(), Some(0), "{}", lab.log());
}
