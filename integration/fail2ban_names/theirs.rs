//! Our client and Debian's, side by side, asked by the same words.

use std::path::Path;
use std::process::{Child, Stdio};

use super::{Names, none, said};
use crate::lab::{skip, until};

const SERVER: &str = "/usr/bin/fail2ban-server";
const CLIENT: &str = "/usr/bin/fail2ban-client";

struct Theirs(Child);

impl Drop for Theirs {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// Debian's server on the tree; none: it is not installed.
fn server(names: &Names) -> Option<Theirs> {
    if !Path::new(SERVER).exists() {
        skip("Debian's fail2ban package is not installed: our client did not ask its server");
        return None;
    }
    let mut command = names.lab.tool(SERVER);
    command.args(["-c", &names.at("f2b"), "-xf", "start"]).stdin(Stdio::null()).stdout(Stdio::null());
    let theirs = Theirs(command.spawn().unwrap());
    until("Debian's server answers", || names.client(&["status", "two"]).0 == 0);
    Some(theirs)
}

#[test]
fn our_client_prints_what_debians_client_prints_of_debians_server() {
    let names = Names::new();
    let Some(_server) = server(&names) else { return };
    let log = names.at("logs/door.log");
    for line in [
        "ping",
        "version",
        "status",
        "status one",
        "status nope",
        "status one short",
        "banned",
        "echo a b",
        "echo",
        "set one banip 192.0.2.1 192.0.2.2",
        "set one banip 192.0.2.1",
        "banned 192.0.2.1 192.0.2.3",
        "get one banned",
        "get one banned 192.0.2.1",
        "get one banip",
        "get one banip --with-time",
        "status one",
        "set one unbanip --report-absent 192.0.2.9",
        "unban 192.0.2.1",
        "unban",
        "unban --all",
        "get loglevel",
        "get logtarget",
        "get syslogsocket",
        "get dbfile",
        "get dbpurgeage",
        "get dbmaxmatches",
        "get thread",
        "set loglevel NOISY",
        "get one logpath",
        "get one ignoreip",
        "set one addignoreip 192.0.2.0/24 ::1",
        "get one failregex",
        "get one ignoreregex",
        "get one ignoreregex",
        "get one datepattern",
        "set one datepattern %Y",
        "get one journalmatch",
        "get one actions",
        "get one actionproperties book",
        "get one actionmethods book",
        "get one action book timeout",
        "get one action none timeout",
        "set one ignorecache key=\"<ip>\",max-count=1,max-time=1m",
        "set one addlogpath /no/such/file",
        "set one logencoding latin-1",
        "get one prefregex",
        "get nope bantime",
        "get one",
        "get",
        "set",
        "bogus",
        "set one bantime.increment true",
        "sleep 0",
        "flushlogs",
        "server-status",
        "sleep",
        "sleep x",
        &format!("set one dellogpath {log}"),
        "reload",
        "reload one",
        "reload nope",
        "reload --restart --unban two",
        "reload one two",
        "restart one",
        "restart --bogus",
        "add three polling",
        "add three polling",
        "start three",
        "stop three",
        "stop three",
        "start three",
        "status",
        "-t",
        "--str2sec 1h",
        "-d",
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let theirs = names
            .lab
            .tool(CLIENT)
            .args(["-c", &names.at("f2b")])
            .args(&words)
            .env("TZ", "UTC")
            .output()
            .unwrap();
        let ours = names.client(&words);
        // What changes something was changed by theirs already.
        if line.starts_with("set one banip") || line.starts_with("unban") || line.starts_with("add three") {
            assert_eq!(ours.0 == 0, !line.ends_with("polling") && line != "unban", "{line}: {ours:?}");
        } else if matches!(line, "stop three" | "start three") {
        } else {
            assert_eq!(ours, said(&theirs), "{line}");
        }
    }
    assert_eq!(names.client(&["stop"]), (0, "Shutdown successful\n".to_owned(), none()));
}

/// Two servers would undo each other's bans.
#[test]
fn a_server_of_debians_is_not_pushed_aside() {
    let names = Names::new();
    let Some(_server) = server(&names) else { return };
    for words in [&["-xf", "start"][..], &["-x", "-s", &names.at("other.sock"), "start"]] {
        let (code, out, log) = said(&names.run("fail2ban-server", words));
        assert_eq!((code, &*out, log[0].as_str()), (255, "", "ERROR   Server already running"), "{words:?}");
    }
    assert!(names.answers());
}
