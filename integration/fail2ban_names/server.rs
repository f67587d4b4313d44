//! `fail2ban-server`: in the foreground, after others, by signals.

use std::fs;
use std::os::unix::net::UnixListener;
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::{Names, none, one, said};
use crate::lab::{read, until};

/// A server in the foreground.
pub(super) struct Foreground(Child);

impl Foreground {
    pub(super) fn start(names: &Names, words: &[&str]) -> Self {
        let out = fs::File::create(names.lab.path("out")).unwrap();
        let mut command = names.command("fail2ban-server", words);
        let foreground = Self(command.stdout(out.try_clone().unwrap()).stderr(out).spawn().unwrap());
        until("it is ready", || read(&names.lab.path("out")).contains("Server ready\n"));
        foreground
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    pub(super) fn end(mut self) -> i32 {
        self.signal(Signal::TERM);
        self.0.wait().unwrap().code().unwrap()
    }
}

impl Drop for Foreground {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

#[test]
fn in_the_foreground_a_hangup_means_nothing_usr1_a_new_log_and_term_the_end() {
    let names = Names::new();
    let server = Foreground::start(&names, &["-xf", "start"]);
    assert_eq!(read(&names.lab.path("out")), "Server ready\n");
    assert!(names.log().contains(": INFO    Starting Fail2ban v1.1.0"), "{}", names.log());
    server.signal(Signal::HUP);
    fs::rename(names.lab.path("f2b.log"), names.lab.path("f2b.log.1")).unwrap();
    server.signal(Signal::USR1);
    until("the log is a new one", || names.lab.path("f2b.log").exists());
    fs::rename(names.lab.path("f2b.log"), names.lab.path("f2b.log.2")).unwrap();
    assert_eq!(names.client(&["flushlogs"]), (0, "logs: rolled over\n".to_owned(), none()));
    until("the log is a new one", || names.lab.path("f2b.log").exists());
    let log = [1, 2].map(|n| read(&names.lab.path(&format!("f2b.log.{n}")))).concat();
    assert!(!log.contains("reload"), "{log}");
    assert_eq!(server.end(), 0);
    assert!(!names.lab.path("run/f2b.pid").exists() && !names.lab.path("run/f2b.sock").exists());
}

#[test]
fn what_a_dead_server_left_is_in_the_way_unless_x_says_otherwise() {
    let names = Names::new();
    fs::create_dir(names.lab.path("run")).unwrap();
    drop(UnixListener::bind(names.lab.path("run/f2b.sock")).unwrap());
    names.lab.write("run/f2b.pid", "2147483647\n");
    let sentence = "ERROR   Fail2ban seems to be in unexpected state (not running but the socket exists)";
    assert_eq!(names.client(&["start"]), (255, String::new(), one(sentence)));
    for mode in ["-b", "-f"] {
        assert_eq!(
            said(&names.run("fail2ban-server", &[mode, "start"])),
            (255, String::new(), one(sentence))
        );
    }
    assert_eq!(names.client(&["-x", "start"]), (0, "Server ready\n".to_owned(), none()));
    assert!(names.answers());
}

#[test]
fn a_killed_server_leaves_nothing_that_stops_the_next_one() {
    let names = Names::new();
    let server = Foreground::start(&names, &["-xf", "start"]);
    drop(server); // by SIGKILL
    assert!(names.lab.path("run/f2b.sock").exists() && names.lab.path("run/f2b.pid").exists());
    let server = Foreground::start(&names, &["-xf", "start"]);
    assert_eq!(server.end(), 0);
}

#[test]
fn a_server_without_jails_waits_for_them() {
    let names = Names::new();
    let server = Foreground::start(&names, &["--async", "-f", "start"]);
    let none_yet = "Status\n|- Number of jail:\t0\n`- Jail list:\t\n";
    assert_eq!(names.client(&["status"]), (0, none_yet.to_owned(), none()));
    assert_eq!(names.client(&["add", "three", "polling"]), (0, "Added jail three\n".to_owned(), none()));
    assert_eq!(server.end(), 0);
}

#[test]
fn a_limit_of_a_thousand_million_descriptors_costs_no_time() {
    let names = Names::new();
    let words = ["-c", &*names.at("f2b"), "-xf", "start"];
    let out = fs::File::create(names.lab.path("out")).unwrap();
    let mut command = names.lab.tool("sh");
    command.args(["-c", "ulimit -Hn 1000000000 2>/dev/null; ulimit -Sn $(ulimit -Hn); exec \"$0\" \"$@\""]);
    command.arg(names.at("bin/fail2ban-server")).args(words).stdin(Stdio::null());
    let server = Foreground(command.stdout(out.try_clone().unwrap()).stderr(out).spawn().unwrap());
    until("it is ready", || read(&names.lab.path("out")).contains("Server ready\n"));
    assert_eq!(server.end(), 0);
}
