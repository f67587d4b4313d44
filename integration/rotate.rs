//! Logs are rotated under the running daemon: no failure is lost, none counted twice.

use std::fs;
use std::os::unix::fs::symlink;

use crate::lab::{Lab, ssh_failure, until};

const ATTACKER: &str = "198.51.100.66";
/// Fails once less than it takes: banned, a line was counted twice.
const ALMOST: &str = "198.51.100.77";

/// One failure before and two after `rotate`; all of the attacker's, two of the other's.
fn survives(prepare: impl FnOnce(&Lab), rotate: impl FnOnce(&Lab)) {
    let mut lab = Lab::new(&[]);
    lab.ssh_jail("ssh", "");
    prepare(&lab);
    lab.start(&[]);
    lab.append("logs/ssh.log", &(ssh_failure(ATTACKER) + &ssh_failure(ALMOST)));
    lab.until_lines("ssh", 2);
    rotate(&lab);
    lab.append("logs/ssh.log", &(ssh_failure(ATTACKER) + &ssh_failure(ALMOST)));
    lab.append("logs/ssh.log", &ssh_failure(ATTACKER));
    lab.until_banned("ssh", ATTACKER);
    lab.until_lines("ssh", 5);
    assert_eq!(lab.banned("ssh"), [format!("{ATTACKER} enforced")]);
}

fn nothing(_: &Lab) {}

#[test]
fn renamed_and_created() {
    survives(nothing, |lab| {
        fs::rename(lab.path("logs/ssh.log"), lab.path("logs/ssh.log.1")).unwrap();
    });
}

#[test]
fn copied_and_truncated() {
    survives(nothing, |lab| {
        fs::copy(lab.path("logs/ssh.log"), lab.path("logs/ssh.log.1")).unwrap();
        fs::OpenOptions::new().write(true).truncate(true).open(lab.path("logs/ssh.log")).unwrap();
    });
}

#[test]
fn deleted_and_created() {
    survives(nothing, |lab| fs::remove_file(lab.path("logs/ssh.log")).unwrap());
}

#[test]
fn another_file_moved_over_it() {
    survives(nothing, |lab| {
        lab.append("logs/new", "");
        fs::rename(lab.path("logs/new"), lab.path("logs/ssh.log")).unwrap();
    });
}

#[test]
fn the_directory_removed_and_made_again() {
    survives(nothing, |lab| {
        fs::remove_dir_all(lab.path("logs")).unwrap();
        until("the file is missed", || lab.status("ssh")["files"][0]["state"] != "reading");
        fs::create_dir(lab.path("logs")).unwrap();
    });
}

#[test]
fn a_symbolic_link_switched() {
    survives(
        |lab| {
            lab.append("logs/one", "");
            symlink(lab.path("logs/one"), lab.path("logs/ssh.log")).unwrap();
        },
        |lab| {
            lab.append("logs/two", "");
            symlink(lab.path("logs/two"), lab.path("logs/link")).unwrap();
            fs::rename(lab.path("logs/link"), lab.path("logs/ssh.log")).unwrap();
        },
    );
}

#[test]
fn a_missing_log_is_waited_for_and_said_once() {
    let mut lab = Lab::new(&[]);
    lab.ssh_jail("ssh", "");
    fs::remove_dir(lab.path("logs")).unwrap();
    lab.start(&[]);
    let state = lab.status("ssh")["files"][0]["state"].as_str().unwrap().to_owned();
    assert!(state.contains("waiting"), "{state}");
    let said = format!("[ssh] {}: {state}", lab.path("logs/ssh.log").display());
    until("it was said", || lab.log().contains(&said));
    fs::create_dir(lab.path("logs")).unwrap();
    lab.append("logs/ssh.log", &ssh_failure(ATTACKER).repeat(3));
    lab.until_banned("ssh", ATTACKER);
    assert_eq!(lab.log().matches(&said).count(), 1, "{}", lab.log());
}

#[test]
fn a_glob_finds_files_that_appear_later() {
    let mut lab = Lab::new(&[]);
    lab.ssh_jail("ssh", "");
    let text = crate::lab::read(&lab.path("etc/jails.d/ssh.toml"));
    lab.write("etc/jails.d/ssh.toml", &text.replace("ssh.log", "host-*.log"));
    lab.start(&[]);
    for host in ["a", "b", "c"] {
        lab.append(&format!("logs/host-{host}.log"), &ssh_failure(ATTACKER));
    }
    lab.until_banned("ssh", ATTACKER);
    assert_eq!(lab.status("ssh")["files"].as_array().unwrap().len(), 3);
}

#[test]
fn without_inotify_the_tick_alone_finds_growth_and_rotation_and_it_is_said() {
    let mut lab = Lab::new(&[]);
    lab.ssh_jail("ssh", "");
    lab.append("logs/ssh.log", "");
    // A user namespace of its own may have no inotify; it may not change the firewall either.
    let none = "echo 0 > /proc/sys/user/max_inotify_instances && exec \"$0\" \"$@\"";
    lab.launch_by(&["unshare", "--user", "--map-root-user", "sh", "-c", none], &["--dry-run"]);
    until("the daemon is ready", || lab.is_ready());
    lab.append("logs/ssh.log", &ssh_failure(ATTACKER));
    lab.until_lines("ssh", 1);
    fs::rename(lab.path("logs/ssh.log"), lab.path("logs/ssh.log.1")).unwrap();
    lab.append("logs/ssh.log", &ssh_failure(ATTACKER).repeat(2));
    lab.until_banned("ssh", ATTACKER);
    assert!(lab.log().contains("new lines are found every 500ms only: inotify: "), "{}", lab.log());
    let warnings = lab.json(&["status"])["warnings"].to_string();
    assert!(warnings.contains("inotify"), "{warnings}");
}

#[test]
fn a_line_of_100_megabytes_is_cut_and_counted_and_memory_stays_flat() {
    let mut lab = Lab::new(&[]);
    lab.ssh_jail("ssh", "");
    lab.append("logs/ssh.log", "");
    lab.start(&[]);
    let before = resident(&lab);
    let megabyte = "x".repeat(1 << 20);
    for _ in 0..100 {
        lab.append("logs/ssh.log", &megabyte);
    }
    lab.append("logs/ssh.log", "\n");
    lab.append("logs/ssh.log", &ssh_failure(ATTACKER).repeat(3));
    lab.until_banned("ssh", ATTACKER);
    assert_eq!(lab.status("ssh")["files"][0]["cut"], 1);
    let grown = resident(&lab).saturating_sub(before);
    assert!(grown < 16 << 20, "resident memory grew by {grown} bytes");
}

fn resident(lab: &Lab) -> u64 {
    let status = crate::lab::read(format!("/proc/{}/status", lab.pid().as_raw_nonzero()).as_ref());
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
