//! The daemon on Debian's own `/etc/fail2ban`, as its package installs it: nothing of it is changed, a `jail.local`
//! enables jails. Where the package is not there, that is said and nothing is tried.

use std::path::Path;
use std::process::Command;

use crate::lab::{Lab, skip, ssh_failure, syslog, until};

/// Copies the tree to where the daemon of this lab reads its configuration; false: there is none.
pub(crate) fn tree(lab: &Lab, local: &str) -> bool {
    let debian = Path::new("/etc/fail2ban");
    if !debian.join("filter.d/sshd.conf").exists() {
        skip("Debian's fail2ban package is not installed: its configuration was not tried");
        return false;
    }
    let copy = Command::new("cp").arg("-a").arg(debian.join(".")).arg(lab.path("etc")).status().unwrap();
    assert!(copy.success());
    lab.write("etc/jail.local", local);
    lab.write("etc/fail2ban.local", "[Definition]\nlogtarget = STDOUT\n");
    true
}

/// A jail with a log of this lab.
pub(crate) fn jail(lab: &Lab, name: &str, more: &str) -> String {
    let log = lab.path(&format!("logs/{name}.log"));
    lab.append(&format!("logs/{name}.log"), "");
    format!("[{name}]\nenabled = true\nbackend = auto\nlogpath = {}\n{more}\n", log.display())
}

/// The program as Fail2Ban's iptables actions call it writes its lock there.
const DEFAULTS: &str = "[DEFAULT]\nmaxretry = 3\nbantime = 1h\n";

const FAILURES: [(&str, &str, &str); 2] = [
    (
        "postfix",
        "192.0.2.77",
        "mail postfix/smtpd[411]: warning: unknown[192.0.2.77]: SASL LOGIN authentication failed: UGFzc3dvcmQ6",
    ),
    (
        "dovecot",
        "192.0.2.88",
        "mail dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<bob>, method=PLAIN, \
         rip=192.0.2.88, lip=192.0.2.1, TLS, session=<NUMBER>",
    ),
];

fn stories(action: &str) {
    let mut lab = Lab::new(&["192.0.2.66", "192.0.2.77", "192.0.2.88", "192.0.2.99", "192.0.2.10"]);
    let local = [
        format!("{DEFAULTS}{action}\n"),
        jail(&lab, "sshd", ""),
        jail(&lab, "postfix", "mode = extra"),
        jail(&lab, "dovecot", ""),
        jail(&lab, "recidive", "maxretry = 2"),
    ]
    .concat();
    if !tree(&lab, &local) {
        return;
    }
    let ports = [22, 25, 143].map(|port| lab.serve(port));
    lab.start(&[]);
    lab.append("logs/sshd.log", &ssh_failure("192.0.2.66").repeat(3));
    lab.until_banned("sshd", "192.0.2.66");
    assert!(!lab.reaches("192.0.2.66", 22), "{}", lab.nft("list ruleset"));
    assert!(lab.reaches("192.0.2.10", 22));
    for ((name, address, line), port) in FAILURES.into_iter().zip([25, 143]) {
        for number in ["one", "two", "three"] {
            let line = format!("{} {}\n", syslog(0), line.replace("NUMBER", number));
            lab.append(&format!("logs/{name}.log"), &line);
        }
        lab.until_banned(name, address);
        assert!(!lab.reaches(address, port) && lab.reaches("192.0.2.10", port), "{name}");
    }
    let again = format!(
        "{},123 fail2ban.actions        [7]: NOTICE  [sshd] Ban 192.0.2.99\n",
        jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S")
    );
    lab.append("logs/recidive.log", &again.repeat(2));
    lab.until_banned("recidive", "192.0.2.99");
    until("everything is shut to the recidivist", || !lab.reaches("192.0.2.99", 25));
    drop(ports);
    assert_eq!(lab.end(libc::SIGTERM).code(), Some(0), "{}", lab.log());
    let left = lab.nft("list ruleset");
    assert!(!left.contains("192.0.2.66") && !left.contains("addr-set"), "{left}");
}

#[test]
fn debians_tree_bans_from_real_lines_through_its_iptables() {
    stories("");
}

#[test]
fn debians_tree_bans_from_real_lines_through_its_nftables() {
    stories("banaction = nftables\nbanaction_allports = nftables[type=allports]");
}

/// One sshd jail with this action: who fails is shut out, and let in again.
fn shuts_out(action: &str, defaults: &str) {
    let mut lab = Lab::new(&["192.0.2.66", "192.0.2.10", "2001:db8::66"]);
    let local =
        [format!("{DEFAULTS}{defaults}\n"), jail(&lab, "sshd", &format!("action = {action}"))].concat();
    if !tree(&lab, &local) {
        return;
    }
    let _port = lab.serve(22);
    lab.start(&[]);
    for (address, process) in [("192.0.2.66", "4711"), ("2001:db8::66", "4712")] {
        // Lines of one process are one connection.
        let line = ssh_failure(address).replace("4711", process);
        lab.append("logs/sshd.log", &line.repeat(3));
        lab.until_banned("sshd", address);
        assert!(!lab.reaches(address, 22), "{action}: {address} gets in");
    }
    assert!(lab.reaches("192.0.2.10", 22), "{action}");
    assert!(lab.stockade(&["unban", "--all"]).status.success());
    assert!(lab.reaches("192.0.2.66", 22) && lab.reaches("2001:db8::66", 22), "{action}");
}

/// Whether this works here at all.
fn works(command: &str) -> bool {
    let lab = Lab::new(&[]);
    let works = lab.run_inside(command);
    if !works {
        skip(&format!("`{command}` does not work here: Fail2Ban's actions that need it were not tried"));
    }
    works
}

#[test]
fn bans_hold_by_both_kinds_of_iptables_as_the_stock_actions_write_them() {
    for kind in ["nft", "legacy"] {
        if works(&format!("iptables-{kind} -n -L && ip6tables-{kind} -n -L")) {
            let [four, six] =
                ["iptables", "ip6tables"].map(|program| format!("{program}-{kind} <lockingopt>"));
            shuts_out(
                &format!(
                    "iptables-multiport[port=ssh, iptables=\"{four}\", iptables?family=inet6=\"{six}\"]"
                ),
                "",
            );
        }
    }
}

#[test]
fn bans_hold_by_ipset_as_the_stock_action_writes_it() {
    if works("ipset create probe hash:ip && ipset destroy probe && iptables -n -L") {
        shuts_out("iptables-ipset-proto6[port=ssh]", "");
    }
}

/// Starts a service that greets everyone whom TCP wrappers let in, with a folder of the test as its `/etc`.
fn wrapped(lab: &Lab, port: u16) -> Option<impl Drop + use<>> {
    if !Path::new("/usr/sbin/tcpd").exists() {
        skip("tcpd is not installed: hosts.deny was not tried with a service behind TCP wrappers");
        return None;
    }
    std::fs::create_dir_all(lab.path("wrapped")).unwrap();
    lab.write("wrapped/hosts.deny", "# somebody's own\n");
    lab.write("wrapped/greet", "exec -a /bin/hostname /usr/sbin/tcpd\n");
    let script = format!(
        "mount --make-rprivate / && mount --bind {} /etc && exec socat \
         TCP4-LISTEN:{port},reuseaddr,fork 'EXEC:bash /etc/greet,nofork'",
        lab.path("wrapped").display()
    );
    Some(lab.serve_by(port, &["unshare", "-m", "sh", "-c", &script]))
}

#[test]
fn bans_hold_in_hosts_deny_as_the_stock_action_writes_it() {
    let mut lab = Lab::new(&["192.0.2.66", "192.0.2.10"]);
    let file = lab.path("wrapped/hosts.deny");
    let action = format!("action = hostsdeny[file=\"{}\", daemon_list=ALL]", file.display());
    if !tree(&lab, &[DEFAULTS.to_owned(), jail(&lab, "sshd", &action)].concat()) {
        return;
    }
    let Some(_service) = wrapped(&lab, 79) else { return };
    assert!(lab.is_greeted("192.0.2.66", 79));
    lab.start(&[]);
    lab.append("logs/sshd.log", &ssh_failure("192.0.2.66").repeat(3));
    lab.until_banned("sshd", "192.0.2.66");
    assert!(!lab.is_greeted("192.0.2.66", 79), "{}", crate::lab::read(&file));
    assert!(lab.is_greeted("192.0.2.10", 79));
    assert!(lab.stockade(&["unban", "192.0.2.66"]).status.success());
    assert!(lab.is_greeted("192.0.2.66", 79), "{}", crate::lab::read(&file));
    assert!(crate::lab::read(&file).contains("somebody's own"));
}

#[test]
fn a_fail2ban_that_runs_is_not_pushed_aside() {
    let lab = Lab::new(&[]);
    if !tree(&lab, &[DEFAULTS.to_owned(), jail(&lab, "sshd", "action =")].concat()) {
        return;
    }
    let file = |name: &str| lab.path(name).display().to_string();
    let server = format!(
        "[Definition]\nsocket = {}\npidfile = {}\ndbfile = None\nlogtarget = {}\n",
        file("stockade.sock"),
        file("theirs.pid"),
        file("theirs.log")
    );
    lab.write("etc/fail2ban.local", &server);
    let client = format!("fail2ban-client -c {} ", file("etc"));
    assert!(lab.run_inside(&(client.clone() + "start")), "{}", crate::lab::read(&lab.path("theirs.log")));
    let output = lab.stockade(&["run"]);
    assert!(lab.run_inside(&(client + "stop")));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("a Fail2Ban server (pid ") && said.contains("stop it first"), "{said}");
}

/// Fail2Ban's filter finds nothing in what Dovecot 2.4 writes; ours, which help it out, find every failed login.
#[test]
fn a_stock_dovecot_filter_is_helped_out() {
    let lab = Lab::new(&[]);
    if !tree(&lab, &[DEFAULTS.to_owned(), jail(&lab, "dovecot", "")].concat()) {
        return;
    }
    let log = crate::shipped::path("integration/mail/mail-debian13.log");
    let failures = |more: &str| {
        let jail = jail(&lab, "dovecot", more);
        let jail = if more.starts_with("enabled") { jail.replacen("enabled = true\n", "", 1) } else { jail };
        lab.write("etc/jail.local", &[DEFAULTS.to_owned(), jail].concat());
        let report = lab.stockade(&["test", "dovecot", log.to_str().unwrap(), "--json"]);
        let text = String::from_utf8_lossy(&report.stdout).into_owned();
        let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        last["failures"].as_u64().unwrap_or_else(|| panic!("{last}"))
    };
    assert_eq!(failures("supplement = false"), 0);
    assert_eq!(failures("ignoreregex = ^nothing of this"), 0, "whom it spares, ours might find");
    assert_eq!(failures(""), 80);
    // What is not enabled can be tried, too; by the tree's filter, not by a shipped one of that name.
    assert_eq!(failures("enabled = false\nsupplement = false"), 0);
}

#[test]
fn debians_tree_has_no_mistake_that_check_would_not_name() {
    let lab = Lab::new(&[]);
    let local = [DEFAULTS.to_owned(), jail(&lab, "sshd", "")].concat();
    if tree(&lab, &local) {
        let check = lab.stockade(&["check"]);
        assert_eq!(check.status.code(), Some(0), "{check:?}");
    }
}
