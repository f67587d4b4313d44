//! A Fail2Ban tree as it stands, read by the daemon: what it bans, and what a mistake in it costs.
//!
//! The trees are written here, for these tests. Those of Debian's package are in `debian.rs`.

use std::process::Output;

use crate::lab::{Lab, ssh_failure, syslog, until};

const FILTER: &str = "[INCLUDES]\nbefore = shared.conf\n\n[Definition]\n\
    prefregex = ^<prefix><F-CONTENT>.+</F-CONTENT>$\n\
    failregex = ^Failed password for <F-USER>.*</F-USER> from <HOST> port \\d+ ssh2$\n\
    \x20           ^<mdre-<mode>>\n\
    mdre-normal = nothing more from <HOST>$\n\
    mdre-strict = Connection closed by <HOST> port \\d+$\n\n[Init]\nmode = normal\n";

const SHARED: &str = "[DEFAULT]\nprefix = \\s*\\S+ <_daemon>\\[\\d+\\]:\\s+\n_daemon = sshd\n";

/// Drops packets by commands of its own, which no program recognises.
const BLOCK: &str = "[Definition]\n\
    actionstart = nft add table inet <table>\n\
    \x20             nft add set inet <table> <name> '{ type ipv4_addr; }'\n\
    \x20             nft add chain inet <table> in '{ type filter hook input priority -3; }'\n\
    \x20             nft insert rule inet <table> in ip saddr @<name> drop comment '\"as written\"'\n\
    actionban = nft add element inet <table> <name> '{ <ip> }'\n\
    actionunban = nft delete element inet <table> <name> '{ <ip> }'\n\
    actionstop = nft delete table inet <table>\n\n[Init]\ntable = mine\nname = default\n";

/// A tree with a filter `door`, an action `block`, and these jails besides the defaults.
fn tree(lab: &Lab, jails: &str) {
    for folder in ["filter.d", "action.d", "jail.d"] {
        std::fs::create_dir_all(lab.path("etc").join(folder)).unwrap();
    }
    lab.write("etc/fail2ban.conf", "[DEFAULT]\nlogtarget = STDOUT\n");
    lab.write("etc/filter.d/door.conf", FILTER);
    lab.write("etc/filter.d/shared.conf", SHARED);
    lab.write("etc/action.d/block.conf", BLOCK);
    lab.write(
        "etc/jail.conf",
        "[DEFAULT]\nbantime = 1h\nfindtime = 10m\nmaxretry = 3\nbackend = auto\nmode = normal\n\
         filter = %(__name__)s[mode=%(mode)s]\naction = block[name=%(__name__)s]\n",
    );
    lab.write("etc/jail.local", jails);
}

/// `[name]`, enabled, with a log of its own and more options.
fn jail(lab: &Lab, name: &str, more: &str) -> String {
    let log = lab.path(&format!("logs/{name}.log"));
    format!("[{name}]\nenabled = true\nlogpath = {}\n{more}\n", log.display())
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

#[test]
fn an_attacker_is_shut_out_as_the_tree_says_and_let_in_again() {
    let mut lab = Lab::new(&["192.0.2.66", "192.0.2.77"]);
    let _port = lab.serve(22);
    tree(&lab, &jail(&lab, "door", "mode = strict\nmaxretry = 2"));
    lab.append("logs/door.log", "");
    lab.start(&[]);
    lab.append("logs/door.log", &ssh_failure("192.0.2.66"));
    let closed = format!("{} victim sshd[9]: Connection closed by 192.0.2.66 port 5\n", syslog(0));
    lab.append("logs/door.log", &closed);
    lab.until_banned("door", "192.0.2.66");
    assert!(!lab.reaches("192.0.2.66", 22) && lab.reaches("192.0.2.77", 22));
    assert!(lab.nft("list set inet mine door").contains("192.0.2.66"), "{}", lab.nft("list ruleset"));
    assert!(lab.stockade(&["unban", "192.0.2.66"]).status.success());
    assert!(lab.reaches("192.0.2.66", 22));
    lab.end(libc::SIGTERM);
    assert!(!lab.nft("list tables").contains("mine"), "actionstop was not run");
}

#[test]
fn every_mistake_is_listed_at_once_and_costs_its_jail_alone() {
    let mut lab = Lab::new(&[]);
    let good = jail(&lab, "door", "");
    let regex = jail(&lab, "regex", "filter =\nfailregex = ^(<HOST>$");
    let host = jail(&lab, "host", "filter =\nfailregex = ^nobody$");
    let filter = jail(&lab, "filter", "filter = no-such-filter");
    let action = jail(&lab, "action", "filter = door\naction = no-such-action");
    let time = jail(&lab, "time", "filter = door\nbantime = soon");
    let percent = jail(&lab, "percent", "filter = door\nusedns = 50%");
    let unknown = jail(&lab, "unknown", "filter = door\nusedns = %(nowhere)s");
    let missing = jail(&lab, "missing", "filter = door");
    tree(&lab, &[good, regex, host, filter, action, time, percent, unknown, missing].concat());
    for log in ["door", "regex", "host", "filter", "action", "time", "percent", "unknown"] {
        lab.append(&format!("logs/{log}.log"), "");
    }
    let check = lab.stockade(&["check"]);
    let text = said(&check);
    assert_eq!(check.status.code(), Some(1), "{text}");
    for (line, key) in [
        (9, "[regex] failregex"),
        (14, "[host] failregex"),
        (18, "[filter] filter"),
        (23, "[action] action"),
        (28, "[time] bantime"),
        (33, "[percent] usedns"),
        (38, "[unknown] usedns"),
    ] {
        let want = format!("jail.local:{line}: {key}: ");
        assert!(text.contains(&want), "{want} is not in\n{text}");
    }
    lab.start(&[]);
    let status = lab.json(&["status"]);
    let names: Vec<_> =
        status["jails"].as_array().unwrap().iter().map(|jail| jail["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["door", "missing"], "{status:#}");
    // The log that was missing appears later.
    lab.append("logs/missing.log", &ssh_failure("198.51.100.7").repeat(3));
    until("the late log is read", || lab.status("missing")["failed_total"] == 3);
}

#[test]
fn two_worlds_live_in_one_daemon_and_the_tree_has_the_name() {
    let mut lab = Lab::new(&["192.0.2.66"]);
    tree(&lab, &jail(&lab, "door", ""));
    lab.ssh_jail("ssh", "");
    lab.ssh_jail("door", "");
    for log in ["door", "ssh"] {
        lab.append(&format!("logs/{log}.log"), "");
    }
    let check = said(&lab.stockade(&["check"]));
    assert!(check.contains("door.toml") && check.contains("jail.local"), "{check}");
    lab.start(&[]);
    for jail in ["door", "ssh"] {
        lab.append(&format!("logs/{jail}.log"), &ssh_failure("192.0.2.66").repeat(3));
        lab.until_banned(jail, "192.0.2.66");
    }
    let rules = lab.nft("list ruleset");
    assert!(rules.contains("table inet mine") && rules.contains("table inet stockade"), "{rules}");
}

#[test]
fn a_filter_of_either_world_serves_a_jail_of_the_other() {
    let mut lab = Lab::new(&[]);
    tree(&lab, &jail(&lab, "old", "filter = stockade:sshd"));
    let log = lab.path("logs/new.log").display().to_string();
    lab.write(
        "etc/jails.d/new.toml",
        &format!(
            "[jail.new]\nenabled = true\nlogs = [\"{log}\"]\nmax_retry = 2\nfirewall = \"none\"\n\
             [jail.new.filter]\nfail2ban = \"door[mode=strict]\"\n"
        ),
    );
    for log in ["old", "new"] {
        lab.append(&format!("logs/{log}.log"), "");
    }
    lab.start(&[]);
    let closed = format!("{} victim sshd[9]: Connection closed by 198.51.100.1 port 5\n", syslog(0));
    lab.append("logs/new.log", &closed.repeat(2));
    lab.until_banned("new", "198.51.100.1");
    lab.append("logs/old.log", &ssh_failure("198.51.100.2").repeat(3));
    lab.until_banned("old", "198.51.100.2");
}

#[test]
fn a_reload_moves_only_what_differs_in_the_tree() {
    let mut lab = Lab::new(&[]);
    let one = jail(&lab, "one", "filter = door");
    tree(&lab, &[one.clone(), jail(&lab, "two", "filter = door")].concat());
    for log in ["one", "two"] {
        lab.append(&format!("logs/{log}.log"), "");
    }
    lab.start(&[]);
    tree(&lab, &[one.clone(), jail(&lab, "two", "filter = door\nmaxretry = 5")].concat());
    let reload = said(&lab.stockade(&["reload"]));
    assert!(reload.contains("two: max_retry") && !reload.contains("one:"), "{reload}");
    // A tree that is watched is loaded when it changes.
    lab.end(libc::SIGTERM);
    lab.start(&["--set", "daemon.watch=true"]);
    tree(&lab, &[one, jail(&lab, "two", "filter = door\nmaxretry = 7")].concat());
    until("the changed tree is loaded", || lab.status("two")["max_retry"] == 7);
}

/// A log that is seen for the first time is searched by date: by the jail's own idea of one.
#[test]
fn a_log_in_another_zone_and_form_is_read_from_where_it_matters() {
    let mut lab = Lab::new(&[]);
    let more = "filter =\nfailregex = ^ \\| refused <HOST>$\naction =\nlogtimezone = UTC-0500\n\
        datepattern = ^%%d\\.%%m\\.%%Y %%H-%%M-%%S";
    tree(&lab, &jail(&lab, "far", more));
    let there = |ago: i64| {
        let time = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(ago + 5 * 3600);
        time.strftime("%d.%m.%Y %H-%M-%S").to_string()
    };
    let lines = |address: &str, ago: i64| format!("{} | refused {address}\n", there(ago)).repeat(3);
    let noise = format!("{} | nothing\n", there(5000)).repeat(40_000);
    lab.append("logs/far.log", &(noise + &lines("198.51.100.1", 4000) + &lines("198.51.100.2", 60)));
    lab.start(&[]);
    lab.until_banned("far", "198.51.100.2");
    let status = lab.status("far");
    assert_eq!(status["failed_total"], 3, "{status:#}");
    assert!(status["lines"].as_u64().unwrap() < 10_000, "all of it was read: {status:#}");
}

/// What an attacker would like a shell to read, one user name each.
const HOSTILE: [&str; 8] = [
    "$(touch pwned)",
    "`touch pwned`",
    "'; touch pwned; '",
    "\"; touch pwned; #",
    "x && touch pwned | tee pwned > pwned",
    "\\$(touch pwned)\\ %s <ip> <F-USER>",
    "$f2bV_F_USER ${IFS}touch${IFS}pwned",
    "* ? ~ [a] {b} ! ^ ä€",
];

/// Every dynamic tag, in quotes and bare.
const TAGS: [&str; 24] = [
    "F-USER",
    "matches",
    "ipmatches",
    "ipjailmatches",
    "ip",
    "fid",
    "family",
    "ip-rev",
    "ip-host",
    "failures",
    "time",
    "bantime",
    "bancount",
    "restored",
    "ipfailures",
    "ipjailfailures",
    "jail.banned",
    "jail.banned_total",
    "jail.found",
    "jail.found_total",
    "jail.name",
    "raw-ticket",
    "fq-hostname",
    "F-NOTHING",
];

#[test]
fn no_tag_of_a_custom_action_becomes_code() {
    let mut lab = Lab::new(&[]);
    let web = jail(
        &lab,
        "web",
        "maxretry = 1\nfilter =\naction = out\n\
        failregex = ^ web: user <F-USER>.*</F-USER> failed from <HOST>$",
    );
    tree(&lab, &web);
    let quoted = TAGS.map(|tag| format!(" \"<{tag}>\"")).concat();
    let bare = TAGS.map(|tag| format!(" <{tag}>")).concat();
    lab.write(
        "etc/action.d/out.conf",
        &format!(
            "[Definition]\nactionban = printf '%%s\\0'{quoted} > out.<ip>\n            echo{bare} > /dev/null\n\
             actionunban = rm -f out.<ip>\n"
        ),
    );
    lab.append("logs/web.log", "");
    lab.start(&[]);
    for (number, user) in (1..).zip(HOSTILE) {
        let line = format!("web: user {user} failed from 198.51.100.{number}");
        lab.append("logs/web.log", &format!("{} {line}\n", syslog(0)));
    }
    for (number, user) in (1..).zip(HOSTILE) {
        let address = format!("198.51.100.{number}");
        lab.until_banned("web", &address);
        let out = std::fs::read(lab.path(&format!("out.{address}"))).unwrap();
        let values: Vec<_> = out.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
        let line = format!("web: user {user} failed from {address}");
        assert_eq!(values[0], user);
        assert!(values[1].ends_with(&line), "{:?}", values[1]);
        assert_eq!(&values[4..7], [&*address, &*address, "inet4"]);
        assert_eq!(values.len(), TAGS.len() + 1, "{values:?}");
    }
    assert!(!lab.path("pwned").exists(), "something was executed");
}
