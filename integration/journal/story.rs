//! A jail of the real program reads a journal that grows, rotates and is vacuumed; and what it does without one.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Entry, can_write, write};
use crate::lab::{Lab, ssh_failure, until};

const ATTACKER: &str = "192.0.2.66";
const SLOW: &str = "192.0.2.77";
const MACHINE: &str = "0123456789abcdef0123456789abcdef";

fn now() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

/// A failed login as sshd tells the journal; no two are alike.
fn failure(address: &str) -> Entry {
    failure_at(now(), address)
}

fn failure_at(micros: i64, address: &str) -> Entry {
    static PORT: AtomicU32 = AtomicU32::new(1024);
    let port = PORT.fetch_add(1, Ordering::Relaxed);
    let message = format!("Failed password for root from {address} port {port} ssh2");
    let fields = [
        ("_HOSTNAME", "victim"),
        ("SYSLOG_IDENTIFIER", "sshd"),
        ("_PID", "4711"),
        ("_SYSTEMD_UNIT", "ssh.service"),
        ("MESSAGE", &*message),
    ];
    Entry::new(7, micros, &fields)
}

/// The same from a service that the jail does not read.
fn elsewhere(address: &str) -> Entry {
    Entry(failure(address).0.replace("ssh.service", "web.service"))
}

fn jail(lab: &Lab, more: &str) {
    let text = format!(
        "[jail.ssh]\nenabled = true\njournal = [\"_SYSTEMD_UNIT=ssh.service\"]\njournal_path = \"{}\"\n\
         max_retry = 3\n{more}\n[jail.ssh.filter]\n\
         patterns = ['''^victim sshd\\[\\d+\\]: Failed password for \\S+ from <HOST> port \\d+ ssh2$''']\n",
        lab.path("journal").display()
    );
    lab.write("etc/jails.d/ssh.toml", &text);
}

fn folder(lab: &Lab) -> PathBuf {
    let folder = lab.path("journal").join(MACHINE);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn file_states(lab: &Lab) -> Vec<String> {
    let files = lab.status("ssh")["files"].as_array().cloned().unwrap_or_default();
    files
        .iter()
        .map(|file| format!("{}: {}", file["path"].as_str().unwrap(), file["state"].as_str().unwrap()))
        .collect()
}

#[test]
fn a_journal_is_followed_across_rotation_vacuum_and_restarts() {
    if !can_write() {
        return;
    }
    let mut lab = Lab::new(&[ATTACKER, SLOW]);
    jail(&lab, "");
    let online = folder(&lab).join("system.journal");
    write(&online, &[failure(ATTACKER), elsewhere(ATTACKER), elsewhere(ATTACKER)], &[]);
    lab.start(&[]);
    lab.until_lines("ssh", 1);
    write(&online, &[failure(SLOW), failure(ATTACKER), elsewhere(SLOW)], &[]);
    lab.until_lines("ssh", 3);
    // journald rotates: the file gets another name, a new one begins.
    fs::rename(&online, folder(&lab).join("system@1.journal")).unwrap();
    write(&online, &[failure(ATTACKER), failure(SLOW)], &[]);
    lab.until_banned("ssh", ATTACKER);
    lab.until_lines("ssh", 5);
    assert_eq!(file_states(&lab), ["systemd-journal _SYSTEMD_UNIT=ssh.service: reading"]);
    assert_eq!(lab.end(libc::SIGTERM).code(), Some(0));

    // While nobody reads: more entries, a rotation, more, and what was read is vacuumed.
    write(&online, &[elsewhere(SLOW)], &[]);
    fs::rename(&online, folder(&lab).join("system@2.journal")).unwrap();
    write(&online, &[failure("192.0.2.78"), elsewhere(SLOW)], &[]);
    fs::remove_file(folder(&lab).join("system@1.journal")).unwrap();
    lab.start(&[]);
    lab.until_lines("ssh", 1);
    assert_eq!(
        lab.banned("ssh"),
        [format!("{ATTACKER} enforced")],
        "two failures of the other, counted once"
    );
    write(&online, &[failure(SLOW)], &[]);
    lab.until_banned("ssh", SLOW);
    lab.until_lines("ssh", 2);
    let log = lab.log();
    assert_eq!(log.matches(&format!("[ssh] Ban {ATTACKER}\n")).count(), 1, "{log}");
}

#[test]
fn a_journald_that_is_killed_and_started_again_costs_no_entry() {
    if !can_write() {
        return;
    }
    let mut lab = Lab::new(&[ATTACKER, SLOW]);
    jail(&lab, "");
    let online = folder(&lab).join("system.journal");
    write(&online, &[failure(ATTACKER)], &[]);
    lab.start(&[]);
    lab.until_lines("ssh", 1);
    write(&online, &[failure(ATTACKER), failure(SLOW)], &[]);
    lab.until_lines("ssh", 3);
    // It had no time to say that the file is whole; the next one puts it aside, unseen.
    let state = fs::File::options().write(true).open(&online).unwrap();
    state.write_all_at(&[1], 16).unwrap();
    fs::rename(&online, folder(&lab).join("system@0006-0007.journal~")).unwrap();
    write(&online, &[failure(SLOW), failure(ATTACKER)], &[]);
    lab.until_banned("ssh", ATTACKER);
    lab.until_lines("ssh", 5);
    // An orderly restart goes on in the same file.
    write(&online, &[failure(SLOW)], &[]);
    lab.until_banned("ssh", SLOW);
    lab.until_lines("ssh", 6);
}

#[test]
fn kills_in_a_storm_lose_nothing_and_count_nothing_twice() {
    if !can_write() {
        return;
    }
    let mut lab = Lab::new(&[]);
    jail(&lab, "");
    let online = folder(&lab).join("system.journal");
    let many = |net: &str| (0..200).map(|n| format!("{net}.{n}")).collect::<Vec<_>>();
    let (attackers, almost) = (many("198.51.100"), many("203.0.113"));
    for round in 0..3 {
        let mut entries: Vec<_> = attackers.iter().map(|address| failure(address)).collect();
        if round < 2 {
            entries.extend(almost.iter().map(|address| failure(address)));
        }
        lab.start(&[]);
        write(&online, &entries, &[]);
        if round == 1 {
            fs::rename(&online, folder(&lab).join("system@1.journal")).unwrap();
        }
        until("something was read", || lab.status("ssh")["lines"].as_u64() > Some(0));
        lab.end(libc::SIGKILL);
    }
    lab.start(&[]);
    until("all attackers are banned", || lab.banned("ssh").len() >= attackers.len());
    write(&online, &[failure(ATTACKER), failure(ATTACKER), failure(ATTACKER)], &[]);
    lab.until_banned("ssh", ATTACKER);
    let banned = lab.banned("ssh");
    assert_eq!(banned.len(), attackers.len() + 1, "nobody of two failures: {banned:?}");
}

#[test]
fn without_a_journal_the_files_are_read_and_it_is_said() {
    let mut lab = Lab::new(&[ATTACKER]);
    let log = lab.path("logs/ssh.log");
    jail(&lab, &format!("logs = [\"{}\"]", log.display()));
    let text = fs::read_to_string(lab.path("etc/jails.d/ssh.toml")).unwrap();
    lab.write("etc/jails.d/ssh.toml", &text.replace("'''^victim ", "'''^\\s*victim "));
    lab.append("logs/ssh.log", &ssh_failure(ATTACKER).repeat(3));
    lab.start(&[]);
    lab.until_banned("ssh", ATTACKER);
    let place = lab.path("journal").display().to_string();
    let note = format!("systemd-journal: no journal in {place}: the log files are read instead");
    assert_eq!(file_states(&lab), [format!("{}: reading", log.display()), note.clone()]);
    assert!(lab.log().contains(&format!("[ssh] {note}\n")), "{}", lab.log());

    if !can_write() {
        return;
    }
    // Once there is one, a reload turns to it, and what it tells of the time before is known from the file.
    let online = folder(&lab).join("system.journal");
    let before = now() - 60_000_000;
    write(&online, &[failure_at(before, SLOW), failure_at(before, SLOW), failure_at(before, SLOW)], &[]);
    lab.write("etc/jails.d/zz.toml", "[jail.ssh]\nfind_time = '6d'\n");
    assert!(lab.stockade(&["reload"]).status.success());
    until("the journal is read", || {
        file_states(&lab) == ["systemd-journal _SYSTEMD_UNIT=ssh.service: reading"]
    });
    write(&online, &[failure(SLOW), failure(SLOW)], &[]);
    lab.until_lines("ssh", 3 + 2);
    assert_eq!(lab.banned("ssh"), [format!("{ATTACKER} enforced")]);
    write(&online, &[failure(SLOW)], &[]);
    lab.until_banned("ssh", SLOW);
}

#[test]
fn a_journal_is_waited_for_and_may_stand_in_for_files_that_are_not_there() {
    if !can_write() {
        return;
    }
    let mut lab = Lab::new(&[ATTACKER]);
    jail(&lab, "");
    lab.start(&[]);
    let place = lab.path("journal").display().to_string();
    let waiting = format!("systemd-journal _SYSTEMD_UNIT=ssh.service: waiting for a journal in {place}");
    assert_eq!(file_states(&lab), [waiting]);
    let online = folder(&lab).join("system.journal");
    write(&online, &[failure(ATTACKER), failure(ATTACKER), failure(ATTACKER)], &[]);
    lab.until_banned("ssh", ATTACKER);
    lab.end(libc::SIGTERM);

    jail(&lab, &format!("prefer = \"logs\"\nlogs = [\"{}\"]", lab.path("logs/ssh.log").display()));
    lab.start(&[]);
    let note = "log files: none is there: the journal is read instead".to_owned();
    assert_eq!(file_states(&lab), ["systemd-journal _SYSTEMD_UNIT=ssh.service: reading".to_owned(), note]);
}

#[test]
fn the_shipped_sshd_jail_reads_the_journal_of_a_host_without_log_files() {
    if !can_write() {
        return;
    }
    let mut lab = Lab::new(&[ATTACKER]);
    let online = folder(&lab).join("system.journal");
    write(&online, &[failure(ATTACKER), elsewhere(SLOW)], &[]);
    let journal = format!("jail.sshd.journal_path={}", lab.path("journal").display());
    let logs = format!("jail.sshd.logs=[\"{}\"]", lab.path("logs/auth.log").display());
    let flags = [&*journal, &*logs, "jail.sshd.max_retry=3", "jail.sshd.enabled=true"];
    lab.start(&flags.map(|flag| ["--set", flag]).concat());
    write(&online, &[elsewhere(SLOW), failure(ATTACKER), elsewhere(SLOW), failure(ATTACKER)], &[]);
    lab.until_banned("sshd", ATTACKER);
    assert_eq!(lab.banned("sshd"), [format!("{ATTACKER} enforced")]);
}

#[test]
fn a_file_in_an_unknown_form_is_read_by_journalctl_and_it_is_said() {
    if !can_write() {
        return;
    }
    let mut lab = Lab::new(&[ATTACKER, SLOW]);
    jail(&lab, "");
    let online = folder(&lab).join("system.journal");
    write(&online, &[failure(ATTACKER), failure(ATTACKER), failure(SLOW), elsewhere(SLOW)], &[]);
    // "Has values packed by XZ": none has, but who knows.
    let file = fs::OpenOptions::new().read(true).write(true).open(&online).unwrap();
    let mut flags = [0];
    file.read_exact_at(&mut flags, 12).unwrap();
    file.write_all_at(&[flags[0] | 1], 12).unwrap();
    lab.start(&[]);
    lab.until_lines("ssh", 3);
    let why = format!("{}: needs what is not built in (XZ); read by journalctl", online.display());
    let state = format!("systemd-journal _SYSTEMD_UNIT=ssh.service: {why}");
    assert_eq!(file_states(&lab), [&*state]);
    write(&online, &[failure(ATTACKER)], &[]);
    lab.until_banned("ssh", ATTACKER);
    lab.end(libc::SIGTERM);
    write(&online, &[failure(SLOW)], &[]);
    lab.start(&[]);
    lab.until_lines("ssh", 1);
    write(&online, &[failure(SLOW)], &[]);
    lab.until_banned("ssh", SLOW);
    lab.until_lines("ssh", 2);
    assert!(lab.log().contains(&format!("[ssh] {state}\n")), "{}", lab.log());
}

#[test]
fn logs_of_containers_are_read() {
    let mut lab = Lab::new(&[ATTACKER]);
    let log = lab.path("logs/0123abcd-json.log");
    let text = format!(
        "[jail.shop]\nenabled = true\nlogs = [\"{}\"]\nmax_retry = 3\n[jail.shop.filter]\n\
         patterns = ['''^login failed for \"\\S+\" from <HOST>$''']\n",
        log.display()
    );
    lab.write("etc/jails.d/shop.toml", &text);
    lab.start(&[]);
    let entry = |text: &str| {
        let log = serde_json::to_string(text).unwrap();
        format!("{{\"log\":{log},\"stream\":\"stderr\",\"time\":\"{}\"}}\n", jiff::Timestamp::now())
    };
    let line = format!("login failed for \"x\" from {ATTACKER}\n");
    lab.append("logs/0123abcd-json.log", &entry(&line).repeat(2));
    lab.append("logs/0123abcd-json.log", &entry("login failed "));
    lab.until_lines("shop", 2);
    assert_eq!(lab.end(libc::SIGTERM).code(), Some(0));
    lab.append("logs/0123abcd-json.log", &entry(&line["login failed ".len()..]));
    lab.start(&[]);
    lab.until_banned("shop", ATTACKER);
}
