//! Trees of a few lines each.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::fail2ban::{Request, dump};
use crate::python::{self, Value};

/// A tree with these files.
fn tree(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

const FILTER: (&str, &str) = (
    "filter.d/f.conf",
    "[Definition]\nfailregex = ^<mode> <HOST>$\n            ^b <HOST>\nmode = a\nmaxlines = 2\n",
);
const ACTION: (&str, &str) = (
    "action.d/a.conf",
    "[Definition]\nactionban = ban <ip> <port>\nnorestored = yes\n[Init]\nport = 22\n[Init?family=inet6]\nport = 23\n",
);
const SERVER: (&str, &str) = ("fail2ban.conf", "[Definition]\nloglevel = NOTICE\ndbfile = None\n");

/// Every mistake as `file:line: key: what`, the file within the tree.
fn mistakes(dir: &TempDir) -> Vec<String> {
    let prefix = format!("{}/", dir.path().display());
    load(dir.path(), None).mistakes.iter().map(|mistake| mistake.to_string().replace(&prefix, "")).collect()
}

#[test]
fn a_jail_by_name_and_type() {
    let jail = "[DEFAULT]\nbantime = 1h\nignoreip = 192.0.2.1, ::1\n[j]\nenabled = true\nfilter = f[mode=x]\nmaxretry = 3\n\
                usedns = raw\nlogtimezone = UTC\nbackend = systemd[journalflags=1]\nlogpath = /none tail\n\
                action = a[name=j-x]\n[off]\nlogpath = /off\n";
    let dir = tree(&[FILTER, ACTION, SERVER, ("jail.conf", jail)]);
    let tree = load(dir.path(), None);
    assert_eq!(tree.mistakes, []);
    assert_eq!(tree.server.text("loglevel").as_deref(), Some("NOTICE"));
    assert_eq!(tree.disabled.len(), 1);
    let [jail] = &tree.jails[..] else { panic!("{:?}", tree.jails) };
    assert_eq!((&*jail.name, jail.max_retry, jail.ban_time.as_deref()), ("j", Some(3), Some("1h")));
    assert_eq!(jail.backend.name, "systemd");
    assert_eq!(jail.backend.options, [("journalflags".to_owned(), "1".to_owned())]);
    assert_eq!(jail.ignore_ip, ["192.0.2.1", "::1"]);
    assert_eq!((jail.logs[0].pattern.as_str(), jail.logs[0].start.as_str()), ("/none", "tail"));
    let options = jail.filter.options();
    assert_eq!(options.patterns, ["^x <HOST>$", "^b <HOST>"]);
    let fail2ban = options.fail2ban.unwrap();
    assert_eq!((fail2ban.max_lines, fail2ban.zone.as_deref()), (2, Some("UTC")));
    let place = jail.place("failregex").unwrap();
    assert_eq!((place.file.as_ref(), place.line), (Some(&dir.path().join("filter.d/f.conf")), Some(2)));
    assert_eq!(jail.place("bantime").unwrap().key.as_deref(), Some("[DEFAULT] bantime"));
    let action = &jail.actions[0];
    assert_eq!((&*action.name, &*action.file), ("a-x", "a"));
    let expected = [
        ("actionban", "ban <ip> <port>"),
        ("norestored", "True"),
        ("name", "j-x"),
        ("actname", "a-x"),
        ("port", "22"),
        ("port?family=inet6", "23"),
    ];
    let options: Vec<(&str, &str)> =
        action.options.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(options, expected);
}

#[test]
fn every_mistake_is_listed_and_costs_its_own_jail() {
    let jails = "\
[a]
enabled = true
filter = none
action = a[x
  none

[b]
enabled = true
filter = f
maxretry = three
findtime = %(nope)s
backend = gopher

[c]
enabled = true
filter = f
action = a a

[d]
enabled = %(nope)s

[e]
enabled = true
action = %(act)s
act = x[port=%(port)s]
port = 5%
filter = f

[f]
enabled = true

[DEFAULT]
filter = %(__name__)s-none

[good]
enabled = true
filter = f
action = a
";
    let dir = tree(&[FILTER, ACTION, SERVER, ("jail.conf", jails)]);
    assert_eq!(
        mistakes(&dir),
        [
            "jail.conf:3: [a] filter: there is no filter.d/none.conf nor .local",
            "jail.conf:4: [a] action: `a[x` is no action: unexpected option syntax",
            "jail.conf:4: [a] action: there is no action.d/none.conf nor .local",
            "jail.conf:10: [b] maxretry: `three` is no whole number",
            "jail.conf:11: [b] findtime: %(nope)s is no option of this section nor of [DEFAULT]",
            "jail.conf:12: [b] backend: `gopher` is no backend: auto, polling, pyinotify or systemd",
            "jail.conf:17: [c] action: two actions are called a: give one of them another `name` or `actname`",
            "jail.conf:20: [d] enabled: %(nope)s is no option of this section nor of [DEFAULT]",
            "jail.conf:26: [e] port: a % is written %%; `%` starts with neither %% nor %(name)s",
            "jail.conf:33: [DEFAULT] filter: there is no filter.d/f-none.conf nor .local, which [f] would use: \
             give it a `filter`",
        ]
    );
    let tree = load(dir.path(), None);
    assert_eq!(tree.jails.iter().map(|jail| &*jail.name).collect::<Vec<_>>(), ["good"]);
    assert_eq!(tree.refused.iter().map(|name| &**name).collect::<Vec<_>>(), ["a", "b", "c", "d", "e", "f"]);
    assert!(!tree.everything);
}

#[test]
fn a_broken_filter_costs_the_jails_that_use_it() {
    let broken = ("filter.d/broken.conf", "[Definition]\nfailregex = <a>\na = <b>\nb = <a>\n");
    let torn = ("filter.d/torn.conf", "[Definition]\nfailregex\nk = 1\nk = 2\n");
    let jails = "[a]\nenabled=1\nfilter=broken\n[b]\nenabled=1\nfilter=torn\n[c]\nenabled=1\nfilter=torn\n\
                 [good]\nenabled=1\nfilter=f\n";
    let dir = tree(&[FILTER, SERVER, broken, torn, ("jail.conf", jails)]);
    assert_eq!(
        mistakes(&dir),
        [
            "filter.d/broken.conf:2: [Definition] failregex: <a> contains itself, or is used more than 25 times",
            "filter.d/torn.conf:2: is no option, for want of a `=`; a line that continues a value is indented",
            "filter.d/torn.conf:4: [Definition] k is there twice in this file: delete one",
        ]
    );
    let tree = load(dir.path(), None);
    assert_eq!(tree.mistakes[0].jail.as_deref(), Some("a"));
    assert_eq!(tree.mistakes[1].jail, None);
    assert_eq!(tree.jails.len(), 1);
}

#[test]
fn broken_files_of_the_jails_leave_nothing_known() {
    let dir = tree(&[SERVER, ("jail.conf", "[a]\nx\n"), ("jail.d/b.conf", "y = 1\n")]);
    assert_eq!(
        mistakes(&dir),
        [
            "jail.conf:2: is no option, for want of a `=`; a line that continues a value is indented",
            "jail.d/b.conf:1: stands before the first [section]",
        ]
    );
    assert!(load(dir.path(), None).everything);
    let dir = tree(&[SERVER, ("jail.conf", "[a]\n")]);
    fs::write(dir.path().join("jail.local"), b"[a]\n\xff\n").unwrap();
    assert_eq!(
        mistakes(&dir),
        ["jail.local:2: is no text in UTF-8 (byte 4): Fail2Ban passes over the whole file"]
    );
    assert!(load(dir.path(), None).everything);
    let gone = load(&dir.path().join("none"), None);
    assert!(gone.everything && gone.mistakes[0].to_string().ends_with("none: does not exist"), "{gone:?}");
}

#[test]
fn the_stream_of_a_jail() {
    let jail = "[j]\nenabled = yes\nfilter = f\nmaxretry = 3\nusedns = no\nbantime.increment = on\nignoreip = 192.0.2.1\n\
                journalmatch = _A=b + \"_C=d e\"\naction = a\n  b.py[x=\"ü\"]\n";
    let dir = tree(&[FILTER, ACTION, SERVER, ("jail.conf", jail)]);
    let request = Request { dump: true, ..Request::default() };
    let dumped = dump(dir.path(), &request);
    assert!(dumped.right);
    let stream: Vec<String> = dumped.stream.unwrap().iter().map(|command| python::command(command)).collect();
    let python_file = Value::from(dir.path().join("action.d/b.py").display().to_string()).to_string();
    assert_eq!(
        stream,
        [
            "['set', 'syslogsocket', 'auto']",
            "['set', 'loglevel', 'NOTICE']",
            "['set', 'logtarget', '/var/log/fail2ban.log']",
            "['set', 'allowipv6', 'auto']",
            "['set', 'dbfile', 'None']",
            "['set', 'dbpurgeage', '1d']",
            "['add', 'j', 'auto']",
            "['set', 'j', 'usedns', 'no']",
            "['set', 'j', 'maxlines', 2]",
            "['multi-set', 'j', 'addfailregex', ['^a <HOST>$', '^b <HOST>']]",
            "['set', 'j', 'addjournalmatch', '_A=b', '+', '_C=d e']",
            "['set', 'j', 'maxretry', 3]",
            "['set', 'j', 'bantime.increment', True]",
            "['set', 'j', 'addignoreip', '192.0.2.1']",
            "['set', 'j', 'addaction', 'a']",
            "['multi-set', 'j', 'action', 'a', [['actionban', 'ban <ip> <port>'], ['norestored', True], ['name', 'j'], ['actname', 'a'], ['port', '22'], ['port?family=inet6', '23']]]",
            &format!("['set', 'j', 'addaction', 'b', {python_file}, '{{\"x\": \"\\\\u00fc\"}}']"),
            "['start', 'j']",
        ]
    );
}

#[test]
fn where_fail2ban_gives_up_so_does_its_stream() {
    let bad = "[j]\nenabled = yes\nfilter = none\n";
    let good = "[k]\nenabled = yes\n";
    let fatal = "[l]\nenabled = yes\nfilter = %(x)s\n";
    for (jails, right, commands) in [
        (bad.to_owned(), false, Some(1)),
        (format!("{bad}{good}"), true, Some(3)),
        (format!("{good}{fatal}"), false, None),
    ] {
        let dir = tree(&[SERVER, ("jail.conf", &jails)]);
        let dumped = dump(dir.path(), &Request { dump: true, ..Request::default() });
        assert_eq!(dumped.right, right, "{jails}");
        let after_server = |stream: Vec<_>| stream.len() - 6;
        assert_eq!(dumped.stream.map(after_server), commands, "{jails}");
    }
    let dir = tree(&[SERVER, ("jail.conf", &format!("{good}logpath = /none\n"))]);
    let test = dump(dir.path(), &Request { test: true, ..Request::default() });
    assert!(!test.right);
    let said: Vec<&str> = test.said.iter().map(|said| said.text.as_str()).collect();
    assert!(
        said.contains(&"Failed during configuration: Have not found any log file for k jail"),
        "{said:?}"
    );
}
