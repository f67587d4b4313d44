//! The operator changes a running daemon by Fail2Ban's commands, and it does what they say.

mod desk;

use std::fs;
use std::path::Path;

use crate::lab::{skip, until};
use desk::{DEBIANS, Desk};

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

    let status = desk.say("status one cymru");
    assert!(status.contains("Banned ASN list:\terror"), "no resolver is in reach: {status}");
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
fn a_jail_of_toml_is_told_of_and_banned_in_but_changed_in_its_file() {
    let desk = Desk::new();
    fs::create_dir(desk.lab.path("etc/jails.d")).unwrap();
    let toml =
        "[jail.web]\nenabled = true\nlogs = []\nmax_retry = 4\nban_time = \"1h\"\nfirewall = \"none\"\n";
    desk.file("jails.d/web.toml", toml);
    let mut desk = desk;
    desk.lab.start(&[]);
    assert!(desk.say("status").ends_with("one, two, web"));
    assert_eq!((desk.say("get web maxretry"), desk.say("get web bantime")), ("4".into(), "3600".into()));
    assert_eq!(desk.say("set web banip 203.0.113.1"), "1");
    assert_eq!(desk.banned("web"), "203.0.113.1");
    assert!(desk.refused("set web maxretry 9").1.contains("jails.d/web.toml"));
    assert_eq!(desk.say("reload"), "OK");
    assert_eq!((desk.say("get web maxretry"), desk.banned("web")), ("4".into(), "203.0.113.1".into()));
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
    if !Path::new(DEBIANS).exists() {
        return skip("Debian's fail2ban-client: it is not installed");
    }
    let desk = Desk::debians();
    assert_eq!(desk.say("start"), "Server ready");
    assert_eq!(desk.say("version"), "1.1.0");
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

    // At a start, too, one wrong jail does not keep the others from running.
    let (_, stderr) = desk.refused("start");
    assert!(stderr.contains("jail two: "), "{stderr}");
    assert!(desk.say("status").ends_with("Jail list:\tone"));
    assert_eq!(desk.banned("one"), "203.0.113.1");
    assert_eq!(desk.say("stop"), "Shutdown successful");
}

#[test]
fn options_of_the_server_hold() {
    let desk = Desk::running();
    assert_eq!(desk.say("set loglevel debug"), "Current logging level is 'DEBUG'");
    assert_eq!(desk.say("set loglevel 20"), "Current logging level is '20'");
    assert!(desk.refused("set loglevel loud").0.contains("Invalid log level 'LOUD'"));
    let target = desk.lab.path("other.log").display().to_string();
    assert_eq!(
        desk.say(&format!("set logtarget {target}")),
        format!("Current logging target is:\n`- {target}")
    );
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
