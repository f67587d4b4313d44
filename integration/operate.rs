//! What an operator meets at the command line: sentences, exit codes, the control socket.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::lab::{Lab, by, ssh_failure, until};

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

#[test]
fn without_an_enabled_jail_run_says_which_fit_and_how_to_enable_them() {
    let lab = Lab::new(&[]);
    lab.append("logs/auth.log", "");
    let set = format!("jail.sshd.logs=[\"{}\"]", lab.path("logs/auth.log").display());
    let output = lab.stockade(&["run", "--set", &set]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("no jail is enabled"), "{}", said(&output));
    assert!(said(&output).contains("[jail.sshd]\\nenabled = true"), "{}", said(&output));
}

#[test]
fn without_net_admin_run_says_so_and_touches_nothing() {
    let lab = Lab::new(&[]);
    lab.ssh_jail("ssh", "");
    let wrapper = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"];
    let output = by(&wrapper, &lab.command(&["run"])).output().expect("setpriv (util-linux) is needed");
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("CAP_NET_ADMIN is missing"), "{}", said(&output));
    assert!(!lab.path("stockade.sqlite3").exists() && !lab.path("stockade.sock").exists());
}

#[test]
fn a_dry_run_blocks_nobody_and_needs_no_permission() {
    let mut lab = Lab::new(&[]);
    lab.ssh_jail("ssh", "");
    lab.start(&["--dry-run"]);
    lab.append("logs/ssh.log", &ssh_failure("198.51.100.1").repeat(3));
    lab.until_banned("ssh", "198.51.100.1");
    assert_eq!(lab.nft("list ruleset"), "");
}

#[test]
fn a_bad_jail_is_refused_with_file_line_and_key_and_the_others_run() {
    let mut lab = Lab::new(&[]);
    lab.ssh_jail("good", "");
    lab.ssh_jail("bad", "max_rety = 3");
    lab.write(
        "etc/jails.d/nohost.toml",
        "[jail.nohost]\nenabled = true\nlogs = [\"x\"]\n[jail.nohost.filter]\npatterns = ['a', '(']\n",
    );
    lab.write("etc/jails.d/mode.toml", "[jail.sshd]\nenabled = true\nmode = \"bogus\"\n");
    let check = lab.stockade(&["check"]);
    assert_eq!(check.status.code(), Some(1));
    let text = said(&check);
    for want in [
        "bad.toml:5: jail.bad.max_rety",
        "nohost.toml:5: jail.nohost.filter.patterns",
        "mode.toml:3: jail.sshd.mode",
    ] {
        assert!(text.contains(want), "{want} is not in\n{text}");
    }
    lab.start(&[]);
    let status = lab.json(&["status"]);
    assert_eq!(status["jails"].as_array().unwrap().len(), 1, "{status}");
    assert!(status["warnings"].to_string().contains("bad.toml:5"), "{status}");
}

#[test]
fn a_second_daemon_is_refused_and_a_stale_socket_is_replaced() {
    let mut lab = Lab::new(&[]);
    lab.ssh_jail("ssh", "");
    lab.start(&[]);
    let second = lab.stockade(&["run"]);
    assert_ne!(second.status.code(), Some(0), "{}", said(&second));
    assert!(said(&second).contains(&lab.pid().as_raw_nonzero().to_string()), "{}", said(&second));
    // Another socket, the same store.
    let socket = lab.path("other.sock").display().to_string();
    let pid = format!("daemon.pid_file={}", lab.path("other.pid").display());
    let mut other = lab.command(&["run", "--set", &pid]);
    let output = other.env("STOCKADE_DAEMON__SOCKET", socket).output().unwrap();
    assert_ne!(output.status.code(), Some(0), "{}", said(&output));
    lab.end(libc::SIGKILL);
    assert!(lab.path("stockade.sock").exists(), "a killed daemon leaves its socket");
    lab.start(&[]);
}

#[test]
fn the_socket_is_for_its_owner_and_survives_hostile_bytes() {
    let mut lab = Lab::new(&[]);
    lab.ssh_jail("ssh", "");
    lab.start(&[]);
    let path = lab.path("stockade.sock");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let long = vec![b'['; 1 << 20];
    for bytes in [&b"\0\xff\xfe\n"[..], b"{\"ban\":{}}\n", b"\n", &long] {
        let mut stream = UnixStream::connect(&path).unwrap();
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(
            answer.is_empty() || answer.starts_with(b"{\"error\""),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
    assert_eq!(lab.json(&["status"])["ready"], true);
}

#[test]
fn status_answers_while_a_jail_works_through_a_million_lines() {
    let mut lab = Lab::new(&[]);
    lab.ssh_jail("ssh", "");
    let noise = format!(
        "{} victim sshd[1]: Accepted publickey for alice from 192.0.2.10 port 1 ssh2\n",
        crate::lab::syslog(0)
    );
    let block = noise.repeat(10_000);
    lab.append("logs/ssh.log", "");
    lab.start(&[]);
    let log = lab.path("logs/ssh.log");
    // More than a million, until it has answered in the middle of them.
    let has_answered = Arc::new(AtomicBool::new(false));
    let heard = has_answered.clone();
    let writer = std::thread::spawn(move || {
        let mut file = std::fs::OpenOptions::new().append(true).open(log).unwrap();
        let mut blocks = 0;
        while blocks < 100 || !heard.load(Ordering::Relaxed) {
            file.write_all(block.as_bytes()).unwrap();
            blocks += 1;
        }
        blocks * 10_000_u64
    });
    until("it answers while it reads", || {
        let status = lab.status("ssh");
        assert_eq!(status["state"], "running", "{status}");
        status["lines"].as_u64().unwrap() > 0
    });
    has_answered.store(true, Ordering::Relaxed);
    lab.until_lines("ssh", writer.join().unwrap());
}

#[test]
fn it_ends_in_time_and_with_remove_leaves_nothing() {
    let mut lab = Lab::new(&[]);
    lab.ssh_jail("ssh", "");
    lab.start(&["--remove"]);
    lab.append("logs/ssh.log", &ssh_failure("198.51.100.1").repeat(3));
    lab.until_banned("ssh", "198.51.100.1");
    assert!(lab.nft("list ruleset").contains("198.51.100.1"));
    assert_eq!(lab.end(libc::SIGTERM).code(), Some(0), "{}", lab.log());
    assert_eq!(lab.nft("list ruleset"), "");
    assert!(!lab.path("stockade.sock").exists() && !lab.path("stockade.pid").exists());
}

#[test]
fn the_log_is_reopened_and_its_level_changes_while_running() {
    let mut lab = Lab::new(&[]);
    lab.ssh_jail("ssh", "");
    let log = lab.path("stockade.log");
    lab.start(&["--set", &format!("daemon.log_target={}", log.display())]);
    std::fs::rename(&log, lab.path("stockade.log.1")).unwrap();
    lab.signal(libc::SIGUSR1);
    until("the log is there again", || log.exists());
    let answer = lab.json(&["log", "--level", "NOTICE"]);
    assert_eq!(answer["level"], "NOTICE", "{answer}");
    lab.append("logs/ssh.log", &ssh_failure("198.51.100.1").repeat(3));
    lab.until_banned("ssh", "198.51.100.1");
    let text = crate::lab::read(&log);
    assert!(text.contains("] Ban 198.51.100.1") && !text.contains("Found 198.51.100.1"), "{text}");
}

#[test]
fn recidive_bans_who_is_banned_again_and_again_and_never_reads_its_own_lines() {
    let mut lab = Lab::new(&[]);
    lab.ssh_jail("ssh", "ban_time = \"4s\"");
    let log = lab.path("stockade.log");
    lab.write(
        "etc/jails.d/recidive.toml",
        &format!("[jail.recidive]\nenabled = true\nlogs = [\"{}\"]\nmax_retry = 2\n", log.display()),
    );
    lab.start(&["--set", &format!("daemon.log_target={}", log.display())]);
    for _ in 0..2 {
        lab.append("logs/ssh.log", &ssh_failure("198.51.100.1").repeat(3));
        lab.until_banned("ssh", "198.51.100.1");
        until("its first ban is over", || lab.banned("ssh").is_empty());
    }
    lab.until_banned("recidive", "198.51.100.1");
    assert_eq!(lab.status("recidive")["failed_total"], 2, "{}", crate::lab::read(&log));
}
