//! A configuration that is wrong in part, and a host on which nothing can be enforced.

use std::process::Stdio;

use super::server::Foreground;
use super::{Names, none, one, said};
use crate::lab::{read, until};

#[test]
fn a_bad_jail_costs_itself_at_start_and_at_a_reload() {
    let names = Names::new();
    names.lab.write("f2b/jail.d/bad.conf", "[bad]\nenabled = true\nfilter = nowhere\nlogpath = /dev/null\n");
    let (code, out, log) = names.client(&["start"]);
    assert_eq!((code, &*out), (0, "Server ready\n"), "{log:?}");
    let mistake = log.iter().find(|line| line.contains("nowhere")).unwrap();
    assert!(mistake.contains("jail.d/bad.conf:3: "), "{log:?}");
    assert!(names.log().contains("jail.d/bad.conf:3: "), "{}", names.log());
    let two = "Status\n|- Number of jail:\t2\n`- Jail list:\tone, two\n";
    assert_eq!(names.client(&["status"]).1, two);
    let (code, out, log) = names.client(&["reload"]);
    assert_eq!((code, &*out), (255, ""), "{log:?}");
    assert!(log.iter().any(|line| line.contains("jail.d/bad.conf:3: ")), "{log:?}");
    assert_eq!(names.client(&["status"]).1, two);

    names.lab.write("f2b/jail.d/bad.conf", "");
    for words in [&["reload"][..], &["reload", "one"], &["reload", "--restart", "--all"], &["restart", "one"]]
    {
        assert_eq!(names.client(words), (0, "OK\n".to_owned(), none()), "{words:?}");
    }
    for words in [&["reload", "nope"][..], &["reload", "--if-exists", "nope"], &["restart", "nope"]] {
        let missing = one("ERROR   Failed during configuration: No section: 'nope'");
        assert_eq!(names.client(words), (255, String::new(), missing), "{words:?}");
    }
    let unexpected = one("ERROR   Unexpected argument(s) for reload: ['one', '--restart']");
    assert_eq!(names.client(&["reload", "one", "--restart"]), (255, String::new(), unexpected));
}

#[test]
fn without_any_jail_it_runs_and_takes_one_at_a_reload() {
    let names = Names::new();
    names.jails("", &[]);
    assert_eq!(names.client(&["start"]), (0, "Server ready\n".to_owned(), none()));
    assert_eq!(names.client(&["status"]).1, "Status\n|- Number of jail:\t0\n`- Jail list:\t\n");
    names.jails("", &["one"]);
    assert_eq!(names.client(&["reload"]), (0, "OK\n".to_owned(), none()));
    assert_eq!(names.client(&["status"]).1, "Status\n|- Number of jail:\t1\n`- Jail list:\tone\n");
}

#[test]
fn a_broken_tree_starts_nothing_and_says_where() {
    let names = Names::new();
    names.lab.write("f2b/jail.conf", "[one]\nenabled true\n");
    let (code, out, log) = names.client(&["start"]);
    assert_eq!((code, &*out), (255, ""), "{log:?}");
    assert!(log[0].contains("jail.conf:2: "), "{log:?}");
    assert!(!names.answers());
    let nowhere =
        names.lab.tool(&names.at("bin/fail2ban-client")).args(["-c", "/nowhere", "ping"]).output().unwrap();
    let (code, out, log) = said(&nowhere);
    assert_eq!((code, &*out), (255, "ERROR: Base configuration directory /nowhere does not exist \n"));
    assert_eq!(log, ["ERROR   Init of command line failed"]);
}

#[test]
fn a_log_in_a_folder_that_is_not_there_is_said_and_goes_to_standard_error() {
    let names = Names::new();
    names.configure("no/such/folder.log");
    let (code, out, log) = names.client(&["start"]);
    assert_eq!((code, &*out), (0, "Server ready\n"), "{log:?}");
    let sentence = log.iter().find(|line| line.contains("no/such/folder.log")).unwrap();
    assert!(sentence.ends_with(": the log goes to standard error"), "{sentence}");
    assert_eq!(names.client(&["stop"]).0, 0);
    let server = Foreground::start(&names, &["-xf", "start"]);
    until("it logs there", || read(&names.lab.path("out")).contains(": INFO    Starting Fail2ban v1.1.0"));
    assert_eq!(server.end(), 0);
}

/// Whoever supervises it would start it again and again; `stockade run` ends.
#[test]
fn without_net_admin_it_stays_and_no_ban_is_claimed() {
    let names = Names::new();
    names.lab.write("f2b/action.d/wall.conf", "[Definition]\nactionban = echo\nactionunban = echo\n");
    let toml = "[jail.custom]\nenabled = true\nlogs = []\n";
    std::fs::create_dir(names.lab.path("f2b/jails.d")).unwrap();
    names.lab.write("f2b/jails.d/custom.toml", toml);
    let out = std::fs::File::create(names.lab.path("out")).unwrap();
    let mut command = names.lab.tool("setpriv");
    command.args(["--bounding-set", "-net_admin", "--inh-caps", "-net_admin", "--"]);
    command.arg(names.at("bin/fail2ban-server")).args(["-c", &names.at("f2b"), "-xf", "start"]);
    command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out);
    let mut server = command.spawn().unwrap();
    until("it is ready", || {
        assert!(server.try_wait().unwrap().is_none(), "it ended: {}", read(&names.lab.path("out")));
        read(&names.lab.path("out")).contains("Server ready\n")
    });
    let (code, out, log) = names.client(&["set", "custom", "banip", "192.0.2.66"]);
    assert_eq!((code, &*out), (255, ""), "{log:?}");
    assert!(log.iter().any(|line| line.contains("192.0.2.66") && line.contains("NET_ADMIN")), "{log:?}");
    assert_eq!(names.client(&["set", "one", "banip", "192.0.2.66"]), (0, "1\n".to_owned(), none()));
    let status = names.client(&["status", "custom"]).1;
    assert!(
        status.contains("Currently banned:\t0\n") && status.contains("`- Banned IP list:\t\n"),
        "{status}"
    );
    assert_eq!(names.client(&["stop"]).0, 0);
    assert_eq!(server.wait().unwrap().code(), Some(0));
}
