//! Debian's Fail2Ban server, asked by us.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use stockade::control::talk::Client;
use stockade::python::{Raised, Value, words};

use crate::lab::{Lab, read, skip, until};

const SERVER: &str = "/usr/bin/fail2ban-server";

/// A server of Debian's with files of its own, in the lab's victim.
pub(super) struct Theirs(Child);

impl Theirs {
    /// None: the package is not installed, and that was said.
    pub(super) fn start(lab: &Lab) -> Option<Self> {
        if !Path::new(SERVER).exists() {
            skip("Debian's fail2ban package is not installed: its server was not asked");
            return None;
        }
        tree(lab);
        let child =
            options(lab.tool(SERVER), lab).args(["-f", "start"]).stdout(Stdio::null()).spawn().unwrap();
        let mut theirs = Self(child);
        until("Debian's server answers", || {
            assert!(theirs.0.try_wait().unwrap().is_none(), "it ended: {}", read(&lab.path("theirs.log")));
            let client = Client::connect(&lab.path("f2b.sock"), Duration::from_secs(5));
            client.is_ok_and(|mut client| {
                client.ask(&words(["status", "two"])).is_ok_and(|reply| reply.is_ok())
            })
        });
        Some(theirs)
    }

    pub(super) fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// The options that keep a program of Fail2Ban's within the lab.
pub(super) fn options(mut command: Command, lab: &Lab) -> Command {
    for (option, name) in [("-c", "f2b"), ("-s", "f2b.sock"), ("-p", "f2b.pid")] {
        command.arg(option).arg(lab.path(name));
    }
    command.env("PYTHONIOENCODING", "utf-8").env("TZ", "UTC").stdin(Stdio::null());
    command
}

/// A tree with two jails whose actions write down what they are asked to do.
pub(super) fn tree(lab: &Lab) {
    for folder in ["filter.d", "action.d", "jail.d"] {
        std::fs::create_dir_all(lab.path("f2b").join(folder)).unwrap();
    }
    let at = |name: &str| lab.path(name).display().to_string();
    lab.write(
        "f2b/fail2ban.conf",
        &format!(
            "[Definition]\nloglevel = INFO\nlogtarget = {}\nsyslogsocket = auto\nsocket = {}\npidfile = {}\n\
             dbfile = {}\ndbpurgeage = 1d\ndbmaxmatches = 10\nallowipv6 = auto\n",
            at("theirs.log"),
            at("f2b.sock"),
            at("f2b.pid"),
            at("f2b.sqlite3")
        ),
    );
    lab.write("f2b/filter.d/door.conf", "[Definition]\nfailregex = ^ door: failed from <HOST>$\n");
    lab.write(
        "f2b/action.d/book.conf",
        &format!(
            "[Definition]\nactionban = echo \"ban <name> <ip>\" >> {0}\nactionunban = echo \"unban <name> <ip>\" >> {0}\n\
             [Init]\nname = default\n",
            at("book")
        ),
    );
    lab.append("logs/door.log", "");
    let jails = ["one", "two"].map(|jail| {
        format!(
            "[{jail}]\nenabled = true\nfilter = door\naction = book[name=\"{jail}\"]\nlogpath = {}\n",
            at("logs/door.log")
        )
    });
    lab.write(
        "f2b/jail.conf",
        &format!(
            "[DEFAULT]\nbantime = 600\nfindtime = 600\nmaxretry = 3\nbackend = polling\n{}",
            jails.concat()
        ),
    );
}

#[test]
fn debians_server_answers_our_end_of_the_protocol() {
    let lab = Lab::new(&[]);
    let Some(mut server) = Theirs::start(&lab) else { return };
    let mut client = Client::connect(&lab.path("f2b.sock"), Duration::from_secs(30)).unwrap();
    let mut ask = |command: &[Value]| match client.ask(command).unwrap() {
        Ok(value) => value.to_string(),
        Err(Raised { module, class, arguments }) => format!("{module}.{class}{}", Value::Tuple(arguments)),
    };
    let log = lab.path("logs/door.log").display().to_string();
    for (command, want) in [
        (&["ping"][..], "'pong'"),
        (&["status"], "[('Number of jail', 2), ('Jail list', 'one, two')]"),
        (&["set", "one", "banip", "192.0.2.66", "2001:db8::66"], "2"),
        (&["get", "one", "banned"], "['192.0.2.66', '2001:db8::66']"),
        (&["banned"], "[{'one': ['192.0.2.66', '2001:db8::66']}, {'two': []}]"),
        (&["banned", "192.0.2.66", "192.0.2.1"], "[['one'], []]"),
        (
            &["status", "one"],
            &format!(
                "[('Filter', [('Currently failed', 0), ('Total failed', 0), ('File list', ['{log}'])]), \
                 ('Actions', [('Currently banned', 2), ('Total banned', 2), \
                 ('Banned IP list', ['192.0.2.66', '2001:db8::66'])])]"
            ),
        ),
        (&["get", "thread"], "{'stacksize': 0}"),
        (&["get", "one", "datepattern"], "(None, 'Default Detectors')"),
        (&["set", "one", "maxretry", "7"], "7"),
        (&["get", "one", "maxretry"], "7"),
        (&["get", "one", "ignoreself"], "True"),
        (&["status", "nope"], "fail2ban.exceptions.UnknownJailException('nope',)"),
        (
            &["set", "one", "maxretry", "x"],
            "builtins.ValueError(\"invalid literal for int() with base 10: 'x'\",)",
        ),
        (
            &["set", "one", "addfailregex", "("],
            "fail2ban.server.failregex.RegexException(\"Unable to compile regular expression '(':\\nmissing ), \
             unterminated subpattern at position 0\",)",
        ),
        (
            &["set", "one", "addlogpath", "/nope"],
            "builtins.FileNotFoundError(2, 'No such file or directory', '/nope')",
        ),
        (&["unban", "--all"], "2"),
    ] {
        let words: Vec<Value> = command.iter().map(|word| (*word).into()).collect();
        assert_eq!(ask(&words), want, "{command:?}");
    }
    // A stream, as a start or reload sends it; a large one.
    let filler = (0..20_000).map(|line| {
        Value::List(words(["set", "two", "addignoreip", &format!("10.0.{}.{}", line / 250, line % 250)]))
    });
    let stream = filler.chain([Value::List(words(["set", "two", "maxretry", "9"]))]).collect();
    assert_eq!(ask(&["server-stream".into(), Value::List(stream)]), "None");
    assert_eq!(ask(&words(["get", "two", "maxretry"])), "9");
    assert_eq!(read(&lab.path("book")).matches("\nunban one").count(), 2, "{}", read(&lab.path("book")));
    assert_eq!(ask(&words(["stop"])), "None");
    drop(client);
    until("Debian's server has ended", || server.has_ended());
}
