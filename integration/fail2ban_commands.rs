//! The operator changes a running daemon by Fail2Ban's commands, and it does what they say.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use crate::lab::{Lab, skip, until};

const JAILS: &str = "[DEFAULT]
backend = polling
maxretry = 3
findtime = 10m
bantime = 10m
usedns = no
ignoreself = false
[one]
enabled = true
filter = simple
logpath = @ROOT@/logs/one.log
action = rec[name=one]
[two]
enabled = true
filter = simple
logpath = @ROOT@/logs/two.log
action = rec[name=two]
";

const FILTER: &str = "[Definition]
failregex = ^\\s*bad <HOST> user <F-USER>\\S+</F-USER>$
datepattern = {^LN-BEG}
";

const ACTION: &str = "[Definition]
actionstart = echo \"start <name>\" >> @ROOT@/acts
actionstop = echo \"stop <name>\" >> @ROOT@/acts
actionban = echo \"ban <name> <ip> <matches>\" >> @ROOT@/acts
actionunban = echo \"unban <name> <ip>\" >> @ROOT@/acts
[Init]
name = default
";

const SERVER: &str = "[Definition]
loglevel = INFO
logtarget = STDOUT
socket = @ROOT@/stockade.sock
pidfile = @ROOT@/stockade.pid
dbfile = @ROOT@/stockade.sqlite3
";

/// The daemon on a tree, and a client of Fail2Ban's.
struct Desk {
    lab: Lab,
    /// Debian's own client in the place of ours.
    python: bool,
}

impl Desk {
    fn new() -> Self {
        let lab = Lab::alone();
        fs::create_dir_all(lab.path("etc/filter.d")).unwrap();
        fs::create_dir_all(lab.path("etc/action.d")).unwrap();
        fs::create_dir(lab.path("bin")).unwrap();
        for name in ["fail2ban-client", "fail2ban-server"] {
            symlink(env!("CARGO_BIN_EXE_stockade"), lab.path("bin").join(name)).unwrap();
        }
        let desk = Self { lab, python: false };
        for (name, text) in [
            ("jail.conf", JAILS),
            ("filter.d/simple.conf", FILTER),
            ("action.d/rec.conf", ACTION),
            ("fail2ban.conf", SERVER),
        ] {
            desk.file(name, text);
        }
        for log in ["one", "two", "three"] {
            desk.lab.write(&format!("logs/{log}.log"), "");
        }
        desk
    }

    fn running() -> Self {
        let mut desk = Self::new();
        desk.lab.start(&[]);
        desk
    }

    /// A server that was started for a stream and has no jails.
    fn empty() -> Self {
        let mut desk = Self::new();
        let server = desk.lab.path("bin/fail2ban-server");
        let mut command = desk.lab.program(&server);
        command.args(["--async", "-b", "-s"]).arg(desk.lab.path("stockade.sock"));
        command.arg("-p").arg(desk.lab.path("stockade.pid"));
        command.args(["--loglevel", "INFO", "--logtarget"]).arg(desk.lab.path("daemon.log"));
        command.args(["--syslogsocket", "auto", "start"]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        desk.python = true;
        until("the server answers", || desk.client(&["ping"]).status.success());
        desk
    }

    /// Writes a file of the tree.
    fn file(&self, name: &str, text: &str) {
        let root = self.lab.path("").display().to_string();
        self.lab.write(&format!("etc/{name}"), &text.replace("@ROOT@", root.trim_end_matches('/')));
    }

    fn client(&self, words: &[&str]) -> Output {
        let ours = self.lab.path("bin/fail2ban-client");
        let program = if self.python { Path::new("/usr/bin/fail2ban-client") } else { &ours };
        let mut command: Command = self.lab.program(program);
        command.arg("-c").arg(self.lab.path("etc")).arg("-s").arg(self.lab.path("stockade.sock"));
        command.arg("-p").arg(self.lab.path("stockade.pid")).args(words);
        command.output().unwrap()
    }

    /// What the client prints; it must succeed.
    fn say(&self, words: &str) -> String {
        self.words(&words.split(' ').collect::<Vec<_>>())
    }

    fn words(&self, words: &[&str]) -> String {
        let output = self.client(words);
        assert!(output.status.success(), "{words:?}: {output:?}\n{}", self.lab.log());
        String::from_utf8(output.stdout).unwrap().trim_end_matches('\n').to_owned()
    }

    /// What the client prints on both streams; it must fail.
    fn refused(&self, words: &str) -> (String, String) {
        let output = self.client(&words.split(' ').collect::<Vec<_>>());
        assert_eq!(output.status.code(), Some(255), "{words}: {output:?}");
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(output.stdout), text(output.stderr))
    }

    /// Lines in a jail's log.
    fn fail(&self, log: &str, lines: &[&str]) {
        for line in lines {
            let time = jiff::Zoned::now().strftime("%F %T").to_string();
            self.lab.append(&format!("logs/{log}.log"), &format!("{time} {line}\n"));
        }
    }

    fn banned(&self, jail: &str) -> String {
        self.say(&format!("get {jail} banip"))
    }

    /// A number of the status.
    fn number(&self, jail: &str, what: &str) -> u64 {
        let status = self.say(&format!("status {jail}"));
        let line = status.lines().find_map(|line| line.split_once(&format!("{what}:\t")));
        line.unwrap_or_else(|| panic!("{what} in {status}")).1.parse().unwrap()
    }

    fn until_banned(&self, jail: &str, ids: &str) {
        until(&format!("{ids} banned in {jail}"), || self.banned(jail) == ids);
    }

    fn until_failed(&self, jail: &str, times: u64) {
        until(&format!("{times} failures in {jail}"), || self.number(jail, "Total failed") == times);
    }

    fn acts(&self) -> String {
        fs::read_to_string(self.lab.path("acts")).unwrap_or_default()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.client(&["stop"]);
    }
}

#[test]
fn what_is_changed_at_run_time_holds_from_then_on() {
    let desk = Desk::running();
    desk.fail("one", &["bad 203.0.113.1 user a"; 3]);
    desk.until_banned("one", "203.0.113.1");

    let ignored = desk.say("set one addignoreip 203.0.113.2 198.51.100.0/24");
    assert!(ignored.contains("- 203.0.113.2") && ignored.contains("- 198.51.100.0/24"), "{ignored}");
    desk.fail("one", &["bad 203.0.113.2 user a"; 3]);
    desk.say("set one maxretry 2");
    desk.words(&["set", "one", "addfailregex", "^\\s*worse <HOST>$"]);
    desk.say(&format!("set one addlogpath {}", desk.lab.path("logs/three.log").display()));
    desk.fail("three", &["worse 203.0.113.3", "worse 203.0.113.3"]);
    desk.until_banned("one", "203.0.113.1 203.0.113.3");
    assert!(
        desk.say("status one").contains("logs/one.log ") && desk.say("get one logpath").contains("three.log")
    );

    let echo = format!("echo \"new <ip>\" >> {}", desk.lab.path("acts").display());
    desk.say("set one addaction new");
    assert_eq!(desk.words(&["set", "one", "action", "new", "actionban", &echo]), echo);
    desk.fail("one", &["bad 203.0.113.4 user a"; 2]);
    desk.until_banned("one", "203.0.113.1 203.0.113.3 203.0.113.4");
    until("the new action has run", || desk.acts().contains("new 203.0.113.4\n"));
    desk.say("set one delaction new");
    desk.say(&format!("set one dellogpath {}", desk.lab.path("logs/three.log").display()));
    desk.say("set one delfailregex 1");
    desk.fail("three", &["worse 203.0.113.5"; 3]);
    desk.fail("one", &["bad 203.0.113.6 user a"; 2]);
    desk.until_banned("one", "203.0.113.1 203.0.113.3 203.0.113.4 203.0.113.6");
    assert!(!desk.acts().contains("unban") && !desk.acts().contains("new 203.0.113.6"), "{}", desk.acts());
    assert_eq!(desk.acts().matches("start one").count(), 1, "{}", desk.acts());
}

#[test]
fn a_change_that_is_wrong_leaves_everything_as_it_was() {
    let desk = Desk::running();
    for words in [
        "set one maxretry x",
        "set one addfailregex nobody",
        "set one addfailregex ((<HOST>",
        "set one bantime xx",
        "set one addlogpath /nowhere/at/all.log",
        "set one delaction nope",
        "set one logtimezone Mars",
    ] {
        desk.refused(words);
    }
    assert_eq!(desk.say("get one maxretry"), "3");
    assert_eq!(desk.say("get one failregex").lines().count(), 2);
    desk.fail("one", &["bad 203.0.113.1 user a"; 3]);
    desk.until_banned("one", "203.0.113.1");
}

#[test]
fn an_idle_jail_reads_nothing_until_it_goes_on() {
    let desk = Desk::running();
    assert_eq!(desk.say("set one idle on"), "True");
    desk.fail("one", &["bad 203.0.113.1 user a"; 3]);
    // The other jail is read meanwhile.
    desk.fail("two", &["bad 203.0.113.1 user a"; 3]);
    desk.until_banned("two", "203.0.113.1");
    assert_eq!((desk.number("one", "Total failed"), desk.banned("one").as_str()), (0, ""));
    assert_eq!(desk.say("set one idle off"), "False");
    desk.until_banned("one", "203.0.113.1");
    assert_eq!(desk.number("one", "Total failed"), 3);
}

#[test]
fn failures_by_hand_count_as_those_of_lines() {
    let desk = Desk::running();
    assert_eq!(desk.say("set one attempt 203.0.113.1"), "1");
    assert_eq!(desk.say("set one attempt 203.0.113.1 first second"), "1");
    desk.until_banned("one", "203.0.113.1");
    until("the lines are its matches", || desk.acts().contains("ban one 203.0.113.1 first\nsecond"));
    desk.say("set one addignoreip 203.0.113.2");
    desk.say("set one attempt 203.0.113.2 a b c");
    assert_eq!(desk.banned("one"), "203.0.113.1");
}

#[test]
fn a_ban_counts_when_it_is_in_force_and_else_says_why_not() {
    let desk = Desk::new();
    desk.file(
        "action.d/wall.conf",
        "[Definition]\nactionban = echo no room >&2; exit 1\nactionunban = true\n",
    );
    desk.file("jail.local", "[two]\naction = wall\n");
    let mut desk = desk;
    desk.lab.start(&[]);
    assert_eq!(desk.say("set one banip 203.0.113.1 203.0.113.0/30 203.0.113.1"), "2");
    assert_eq!(desk.say("set one banip 203.0.113.1"), "0");
    assert_eq!(desk.say("set one banip name"), "1", "an action that is no firewall may ban a name");
    assert_eq!(desk.say("get one banned 203.0.113.1 203.0.113.2 203.0.113.9"), "[1, 1, 0]");
    desk.say("set one addignoreip 203.0.113.7");
    assert_eq!(desk.say("set one banip 203.0.113.7"), "1", "the operator's word counts more than his list");
    assert!(
        desk.lab.log().contains("WARNING [one] 203.0.113.7 is banned by hand although"),
        "{}",
        desk.lab.log()
    );

    let (stdout, stderr) = desk.refused("set two banip 203.0.113.1");
    assert_eq!(stdout, "");
    assert!(
        stderr.contains("203.0.113.1 is not banned: not enforced: ") && stderr.contains("no room"),
        "{stderr}"
    );
    assert!(desk.say("status two").contains("Not enforced:\t203.0.113.1 ("), "{}", desk.say("status two"));
    assert_eq!((desk.number("two", "Currently banned"), desk.banned("two").as_str()), (0, ""));
    let (stdout, stderr) = desk.refused("set one banip 127.0.0.1");
    assert!(stdout.is_empty() && stderr.contains("is an address of this host"), "{stderr}");

    assert_eq!(desk.say("set one unbanip 203.0.113.0/24"), "3");
    assert_eq!(desk.say("unban name 203.0.113.1"), "2");
}

#[test]
fn a_reload_keeps_a_restart_brings_back_and_an_unban_lets_go() {
    let desk = Desk::running();
    desk.fail("one", &["bad 203.0.113.1 user a"; 4]);
    desk.until_failed("one", 4);
    desk.until_banned("one", "203.0.113.1");
    desk.say("set one banip 203.0.113.9");
    desk.say("set one maxretry 9");

    assert_eq!(desk.say("reload one"), "OK");
    assert_eq!(desk.say("get one maxretry"), "3", "the files count again");
    assert_eq!(
        (desk.number("one", "Total failed"), desk.banned("one").as_str()),
        (4, "203.0.113.1 203.0.113.9")
    );
    assert!(!desk.acts().contains("stop one") && !desk.acts().contains("unban"), "{}", desk.acts());

    assert_eq!(desk.say("reload --restart one"), "OK");
    desk.until_banned("one", "203.0.113.1 203.0.113.9");
    assert_eq!((desk.number("one", "Total failed"), desk.number("one", "Currently failed")), (0, 0));
    assert!(desk.acts().contains("stop one") && !desk.acts().contains("stop two"), "{}", desk.acts());

    assert_eq!(desk.say("reload --unban one"), "OK");
    assert_eq!(desk.banned("one"), "");
    assert!(desk.refused("reload nope").1.contains("nope"));
}

#[test]
fn a_jail_that_is_wrong_at_a_reload_keeps_running_and_the_others_move() {
    let desk = Desk::running();
    desk.file("jail.local", "[one]\nmaxretry = 5\n[two]\nfailregex = ^((<HOST>\n");
    let (_, stderr) = desk.refused("reload");
    assert!(stderr.contains("two"), "{stderr}");
    assert_eq!(
        (desk.say("get one maxretry"), desk.say("get two maxretry")),
        ("5".to_owned(), "3".to_owned())
    );
    desk.fail("two", &["bad 203.0.113.1 user a"; 3]);
    desk.until_banned("two", "203.0.113.1");
}

#[test]
fn jails_come_and_go_by_hand() {
    let desk = Desk::running();
    assert_eq!(desk.say("add three polling"), "Added jail three");
    assert!(desk.refused("add three polling").0.contains("The jail 'three' already exists"));
    desk.words(&["set", "three", "addfailregex", "^\\s*<HOST> fails$"]);
    desk.say(&format!("set three addlogpath {}", desk.lab.path("logs/three.log").display()));
    assert!(desk.say("status").ends_with("one, three, two"));
    assert!(desk.refused("set three banip 203.0.113.1").1.contains("not started"));
    assert_eq!(desk.say("start three"), "Jail started");
    desk.fail("three", &["203.0.113.1 fails"; 3]);
    desk.until_banned("three", "203.0.113.1");
    assert_eq!(desk.say("stop three"), "Jail stopped");
    assert!(desk.refused("status three").0.contains("Sorry but the jail 'three' does not exist"));
    assert_eq!(desk.say("stop --all"), "Jail stopped");
    assert!(desk.say("status").contains("Number of jail:\t0"));
    assert_eq!(desk.say("reload"), "OK");
    assert!(desk.say("status").ends_with("one, two"));
}

#[test]
fn debians_client_starts_reloads_and_stops_the_jails_of_a_server_of_ours() {
    if !Path::new("/usr/bin/fail2ban-client").exists() {
        return skip("Debian's fail2ban-client: it is not installed");
    }
    let desk = Desk::empty();
    assert!(desk.say("status").contains("Number of jail:\t0"));
    assert_eq!(desk.say("reload"), "OK");
    assert!(desk.say("status").ends_with("one, two"));
    assert!(desk.say("get dbfile").ends_with("/stockade.sqlite3"));
    desk.fail("one", &["bad 203.0.113.1 user a"; 3]);
    desk.until_banned("one", "203.0.113.1");
    assert_eq!(desk.say("set two banip 203.0.113.2"), "1");

    desk.file("jail.local", "[one]\nmaxretry = 5\n[two]\nenabled = false\n");
    assert_eq!(desk.say("reload"), "OK");
    assert!(desk.say("status").ends_with("Jail list:\tone"));
    assert_eq!(
        (desk.say("get one maxretry"), desk.banned("one")),
        ("5".to_owned(), "203.0.113.1".to_owned())
    );
    desk.file("jail.local", "");
    assert_eq!(desk.say("reload --restart one"), "OK");
    desk.until_banned("one", "203.0.113.1");
    assert_eq!(desk.say("reload"), "OK");
    desk.until_banned("two", "203.0.113.2");

    desk.file("jail.local", "[one]\nmaxretry = 4\n[two]\nfailregex = ^((<HOST>\n");
    let (stdout, _) = desk.refused("reload");
    assert!(stdout.contains("jail two: "), "{stdout}");
    assert_eq!(
        (desk.say("get one maxretry"), desk.banned("two")),
        ("4".to_owned(), "203.0.113.2".to_owned())
    );
    assert_eq!(desk.say("stop"), "Shutdown successful");
}

#[test]
fn options_of_the_server_hold() {
    let desk = Desk::running();
    assert_eq!(desk.say("set loglevel debug"), "Current logging level is 'DEBUG'");
    assert_eq!(desk.say("set loglevel 20"), "Current logging level is '20'");
    assert!(desk.refused("set loglevel loud").0.contains("Invalid log level 'LOUD'"));
    let target = desk.lab.path("other.log").display().to_string();
    assert_eq!(desk.say(&format!("set logtarget {target}")), format!("Current logging target is:\n`- {target}"));
    fs::rename(&target, desk.lab.path("other.log.1")).unwrap();
    assert_eq!(desk.say("flushlogs"), "logs: rolled over");
    desk.say("set one banip 203.0.113.1");
    let log = || fs::read_to_string(&target).unwrap_or_default();
    until("the new file has the ban", || log().contains("[one] Ban 203.0.113.1"));
    assert_eq!(desk.refused("set logtarget /nowhere/at/all.log").0, "Failed to change log target\n");
    assert!(desk.say("get logtarget").ends_with("/other.log"));
    assert_eq!(desk.say("set logtarget STDOUT"), "Current logging target is:\n`- STDOUT");
    assert_eq!(desk.say("flushlogs"), "logs: flushed");

    assert_eq!(desk.say("set dbpurgeage 2d"), "Current database purge age is:\n`- 172800seconds");
    assert_eq!(desk.say("set dbmaxmatches 3"), "3");
    assert!(desk.refused("set dbfile None").0.contains("when there are jails present"));
    desk.say("stop --all");
    let other = desk.lab.path("other.sqlite3").display().to_string();
    assert!(desk.say(&format!("set dbfile {other}")).ends_with(&other));
    assert_eq!(desk.say("reload"), "OK");
    assert_eq!(desk.banned("one"), "", "the other file knows nothing of it");
    desk.say("stop --all");
    assert!(desk.say("set dbfile None").contains("disabled"));
    assert!(desk.say("get dbpurgeage").contains("disabled"));
    let first = desk.lab.path("stockade.sqlite3").display().to_string();
    desk.say(&format!("set dbfile {first}"));
    assert_eq!(desk.say("reload"), "OK");
    desk.until_banned("one", "203.0.113.1");
}
