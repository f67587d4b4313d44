//! Commands of the operator's own: what a log says never becomes code, what fails is repaired, what hangs hangs alone.

use std::fmt::Write as _;
use std::fs;

use crate::lab::{Lab, read, ssh_failure, until};

const FIRST: &str = "198.51.100.1";
const SECOND: &str = "198.51.100.2";
const SIX: &str = "2001:db8::66";

/// An action in TOML: `name`, then `key = command` each.
fn action(jail: &str, name: &str, keys: &[(&str, &str)]) -> String {
    let mut text = format!("[[jail.{jail}.actions]]\nname = \"{name}\"\n");
    for (key, value) in keys {
        let value = if *key == "restored" { (*value).to_owned() } else { format!("'''{value}'''") };
        writeln!(text, "{key} = {value}").unwrap();
    }
    text
}

/// A jail for sshd lines without a firewall, with actions.
fn jail(lab: &Lab, name: &str, actions: &str) {
    lab.ssh_jail(name, &format!("firewall = \"none\"\n{actions}"));
    lab.append(&format!("logs/{name}.log"), "");
}

fn ban(lab: &Lab, jail: &str, address: &str) {
    for _ in 0..3 {
        lab.append(&format!("logs/{jail}.log"), &ssh_failure(address));
    }
}

/// What an attacker would like a shell to read.
const HOSTILE: &[&str] = &[
    "$(touch pwned)",
    "`touch pwned`",
    "'; touch pwned; '",
    "\"; touch pwned; \"",
    "x && touch pwned || touch pwned",
    "| tee pwned",
    "> pwned",
    "${IFS}touch${IFS}pwned",
    "\\$(touch pwned)\\",
    "\r touch pwned",
    "<ip> <matches> <F-USER>",
    "$f2bV_matches $0 $1 \"$@\"",
    "%s %n \\n \\0",
    "-n",
    "~ * ? [a-z] {a,b} ! # ^",
    "ä€𝄞 \u{202e}",
];

/// Every tag of a ban but those of which the test cannot know the value.
const TAGS: &[&str] = &[
    "ip",
    "fid",
    "family",
    "ip-rev",
    "failures",
    "bantime",
    "bancount",
    "restored",
    "ipfailures",
    "ipjailfailures",
    "jail.name",
    "F-USER",
    "F-NONE",
    "matches",
    "ipmatches",
    "ipjailmatches",
];

#[test]
fn nothing_that_a_log_says_is_executed_and_values_arrive_byte_for_byte() {
    let mut lab = Lab::new(&[]);
    let tags: Vec<String> = TAGS.iter().map(|tag| format!("\"<{tag}>\"")).collect();
    let others = ["time", "ip-host", "raw-ticket", "jail.banned", "jail.found", "fq-hostname", "sh-hostname"];
    let bare: Vec<String> = TAGS.iter().chain(&others).map(|tag| format!("<{tag}>")).collect();
    // In quotes, as an author should; and bare, as a careless one would.
    let command =
        format!("printf '%s\\0' {} > out.<ip>; echo {} > /dev/null", tags.join(" "), bare.join(" "));
    let text = format!(
        "[jail.web]\nenabled = true\nlogs = [\"{}\"]\nmax_retry = 1\nban_time = 600\nfirewall = \"none\"\n{}\n\
         [jail.web.filter]\npatterns = ['''^\\s*web: user (?<F-USER>.*) failed from <HOST>$''']\n",
        lab.path("logs/web.log").display(),
        action("web", "out", &[("ban", &command), ("unban", "rm -f out.<ip>")])
    );
    let text = text.replace("(?<F-USER>.*)", "<F-USER>.*</F-USER>");
    lab.write("etc/jails.d/web.toml", &text);
    lab.append("logs/web.log", "");
    lab.start(&[]);
    let address = |number: usize| format!("198.51.100.{}", number + 1);
    let line = |user: &str, address: &str| format!("web: user {user} failed from {address}");
    for (number, user) in HOSTILE.iter().enumerate() {
        lab.append(
            "logs/web.log",
            &format!("{}{}\n", crate::lab::syslog(0) + " ", line(user, &address(number))),
        );
    }
    for (number, user) in HOSTILE.iter().enumerate() {
        let ip = address(number);
        lab.until_banned("web", &ip);
        let reversed: String = ip.rsplit('.').flat_map(|part| [part, "."]).collect();
        let got = fs::read(lab.path(&format!("out.{ip}"))).unwrap();
        let got: Vec<&[u8]> = got.split(|byte| *byte == 0).collect();
        let text = |index: usize| String::from_utf8_lossy(got[index]).into_owned();
        let fixed = [&*ip, &ip, "inet4", &reversed, "1", "600", "1", "0", "1", "1", "web", user, ""]
            .map(str::to_owned);
        assert_eq!((0..fixed.len()).map(text).collect::<Vec<_>>(), fixed);
        for (index, tag) in TAGS.iter().enumerate().skip(fixed.len()) {
            assert!(text(index).ends_with(&line(user, &ip)), "{tag}: {:?}", text(index));
        }
    }
    assert!(!lab.path("pwned").exists());
    assert_eq!(lab.end(libc::SIGTERM).code(), Some(0), "{}", lab.log());
    assert!(!lab.path(&format!("out.{}", address(0))).exists(), "unbans run at the stop");
    assert!(!lab.path("pwned").exists());
}

#[test]
fn what_fails_is_not_enforced_and_repaired_when_it_can_be() {
    let mut lab = Lab::new(&[]);
    let gate = action(
        "ssh",
        "gate",
        &[
            ("start", "[ -e ready ] && touch env"),
            ("stop", "rm -f env; echo stop >> calls"),
            ("check", "[ -e env ]"),
            ("ban", "[ -e env ] || { echo 'no env' >&2; exit 3; }; echo ban <ip> <family> >> calls"),
            ("unban", "echo unban <ip> >> calls"),
        ],
    );
    let mail = action("ssh", "mail", &[("ban", "echo mail <ip> >> mails")]);
    jail(&lab, "ssh", &(gate + &mail));
    lab.start(&[]);
    ban(&lab, "ssh", FIRST);
    let refused =
        format!("{FIRST} not enforced: gate: its environment cannot be restored: actioncheck returned 1");
    until("the ban is refused", || lab.banned("ssh") == [refused.clone()]);
    assert_eq!(lab.status("ssh")["enforcement"], "action gate");
    let log = lab.log();
    assert!(!log.contains(&format!("Ban {FIRST}")) && !lab.path("mails").exists(), "{log}");
    assert!(
        log.contains("actionban -- stderr: 'no env'") && log.contains("actionban -- returned 3"),
        "{log}"
    );
    // It can be repaired: it is asked again.
    lab.write("ready", "");
    lab.until_banned("ssh", FIRST);
    until("it is told of", || read(&lab.path("mails")) == format!("mail {FIRST}\n"));
    // Somebody takes the environment away: the next ban restores it, and the first one is made again.
    fs::remove_file(lab.path("env")).unwrap();
    lab.write("calls", "");
    ban(&lab, "ssh", SIX);
    lab.until_banned("ssh", SIX);
    until("both are made", || {
        let calls = read(&lab.path("calls"));
        [format!("ban {FIRST} inet4\n"), format!("ban {SIX} inet6\n"), "stop\n".to_owned()]
            .iter()
            .all(|call| calls.contains(call))
    });
    assert_eq!(lab.log().matches(&format!(" Ban {FIRST}")).count(), 1, "{}", lab.log());
}

#[test]
fn what_hangs_delays_itself_alone() {
    let mut lab = Lab::new(&[]);
    lab.write("etc/stockade.toml", "[daemon]\nstop_timeout = \"1s\"\n");
    let slow = [("ban", "echo $$ >> slow; exec sleep 1000"), ("unban", "true"), ("timeout", "1h")];
    let quick = [("ban", "echo <jail.name> <ip> >> quick"), ("unban", "true")];
    jail(&lab, "one", &(action("one", "slow", &slow) + &action("one", "quick", &quick)));
    jail(&lab, "two", &action("two", "quick", &quick));
    lab.start(&[]);
    ban(&lab, "one", FIRST);
    ban(&lab, "two", FIRST);
    lab.until_banned("two", FIRST);
    ban(&lab, "one", SECOND);
    let quick = || read(&lab.path("quick"));
    until("the other action works", || quick().contains(&format!("one {SECOND}\n")));
    assert_eq!(lab.banned("one"), [format!("{FIRST} wanted"), format!("{SECOND} wanted")]);
    assert_eq!(lab.stockade(&["unban", FIRST, "--jail", "two"]).status.code(), Some(0));
    // The end does not wait for it for ever, and leaves nothing behind.
    assert_eq!(lab.end(libc::SIGTERM).code(), Some(1), "{}", lab.log());
    let pid = read(&lab.path("slow"));
    assert!(!lab.path(&format!("/proc/{}", pid.trim())).exists(), "{pid}");
}

#[test]
fn beside_a_firewall_both_have_to_confirm() {
    let mut lab = Lab::new(&[]);
    let slow = [("ban", "[ -e go ] || exit 1; echo <ip> >> list"), ("unban", "echo -<ip> >> list")];
    let mail = [("ban", "echo mail <ip> >> list")];
    lab.ssh_jail("ssh", &(action("ssh", "gate", &slow) + &action("ssh", "mail", &mail)));
    lab.append("logs/ssh.log", "");
    lab.start(&[]);
    ban(&lab, "ssh", FIRST);
    let refused = format!("{FIRST} not enforced: gate: actionban returned 1");
    until("the ban is refused", || lab.banned("ssh") == [refused.clone()]);
    until("it is in the kernel", || lab.nft("list set inet stockade ssh4").contains(FIRST));
    lab.write("go", "");
    until("it is told of", || read(&lab.path("list")) == format!("{FIRST}\nmail {FIRST}\n"));
    assert_eq!(lab.banned("ssh"), [format!("{FIRST} enforced")]);
    let answer = lab.stockade(&["ban", SECOND]);
    assert_eq!(answer.status.code(), Some(0), "{answer:?}");
    assert!(read(&lab.path("list")).contains(SECOND), "the answer comes when all have confirmed");
    assert_eq!(lab.stockade(&["unban", FIRST]).status.code(), Some(0));
    assert!(read(&lab.path("list")).contains(&format!("-{FIRST}\n")));
    assert_eq!(lab.end(libc::SIGTERM).code(), Some(0), "{}", lab.log());
    assert!(read(&lab.path("list")).contains(&format!("-{SECOND}\n")));
    assert!(lab.nft("list set inet stockade ssh4").contains(SECOND), "the kernel keeps its bans");
}

#[test]
fn a_limit_ends_a_command_and_all_it_started() {
    let mut lab = Lab::new(&[]);
    let slow = [("ban", "sleep 1000 & echo $! > child; wait"), ("unban", "true"), ("timeout", "5s")];
    jail(&lab, "ssh", &action("ssh", "slow", &slow));
    lab.start(&[]);
    ban(&lab, "ssh", FIRST);
    let refused = format!("{FIRST} not enforced: slow: actionban timed out after 5 seconds");
    until("the ban is refused", || lab.banned("ssh") == [refused.clone()]);
    let child = read(&lab.path("child"));
    assert_ne!(child, "", "it was started");
    let stat = || read(&lab.path(&format!("/proc/{}/stat", child.trim())));
    until("its child is gone", || stat().is_empty() || stat().contains(") Z "));
}

#[test]
fn a_stop_undoes_and_a_start_restores() {
    let mut lab = Lab::new(&[]);
    let calls = |words: &str| format!("echo {words} >> calls");
    let one = action(
        "ssh",
        "one",
        &[
            ("start", &calls("start one")),
            ("stop", &calls("stop one")),
            ("ban", &calls("ban <ip> <restored>")),
            ("unban", &calls("unban <ip>")),
        ],
    );
    let two = action(
        "ssh",
        "two",
        &[
            ("start", &calls("start two")),
            ("stop", &calls("stop two")),
            ("flush", &calls("flush")),
            ("ban", "true"),
            ("unban", &calls("never")),
        ],
    );
    let mail = action("ssh", "mail", &[("ban", "echo <ip> >> mails"), ("restored", "false")]);
    jail(&lab, "ssh", &(one + &two + &mail));
    lab.start(&[]);
    ban(&lab, "ssh", FIRST);
    lab.until_banned("ssh", FIRST);
    until("it is told of", || lab.path("mails").exists());
    assert_eq!(lab.end(libc::SIGTERM).code(), Some(0), "{}", lab.log());
    let mut first: Vec<String> = read(&lab.path("calls")).lines().map(str::to_owned).collect();
    // The last action is stopped first; before that the order is that of the files, which work side by side.
    assert_eq!(first.split_off(first.len() - 2), ["stop two", "stop one"]);
    first.sort();
    let want = [&*format!("ban {FIRST} 0"), "flush", "start one", "start two", &format!("unban {FIRST}")];
    assert_eq!(first, want);
    lab.write("calls", "");
    lab.start(&[]);
    lab.until_banned("ssh", FIRST);
    assert!(lab.log().contains(&format!("[ssh] Restore Ban {FIRST}")), "{}", lab.log());
    until("it is made again", || read(&lab.path("calls")).contains(&format!("ban {FIRST} 1\n")));
    assert_eq!(lab.stockade(&["unban", "--all"]).status.code(), Some(0));
    assert_eq!(lab.end(libc::SIGTERM).code(), Some(0), "{}", lab.log());
    let calls = read(&lab.path("calls"));
    assert!(calls.contains("flush\n") && !calls.contains("never"), "{calls}");
    assert_eq!(read(&lab.path("mails")), format!("{FIRST}\n"), "old bans are no news");
}

#[test]
fn who_was_not_told_before_a_crash_is_told_after_it() {
    let mut lab = Lab::new(&[]);
    let mail = [
        ("ban", "[ -e go ] || { touch begun; exec sleep 20; }; echo <ip> <restored> >> mails"),
        ("restored", "false"),
    ];
    jail(&lab, "ssh", &action("ssh", "mail", &mail));
    lab.start(&[]);
    ban(&lab, "ssh", FIRST);
    lab.until_banned("ssh", FIRST);
    until("the mail is begun", || lab.path("begun").exists());
    lab.end(libc::SIGKILL);
    lab.write("go", "");
    lab.start(&[]);
    until("the mail is sent", || read(&lab.path("mails")) == format!("{FIRST} 1\n"));
    assert!(lab.log().contains(&format!("[ssh] Restore Ban {FIRST}")), "{}", lab.log());
    assert_eq!(lab.end(libc::SIGTERM).code(), Some(0), "{}", lab.log());
    lab.start(&[]);
    lab.until_banned("ssh", FIRST);
    assert_eq!(lab.end(libc::SIGTERM).code(), Some(0), "{}", lab.log());
    assert_eq!(read(&lab.path("mails")), format!("{FIRST} 1\n"), "once is enough");
}

#[test]
fn commands_of_one_name_never_overlap() {
    let mut lab = Lab::new(&[]);
    let edit = [
        ("ban", "mkdir lock || echo clash >> clashes; sleep 0.02; rmdir lock; echo <ip> >> list"),
        ("unban", "true"),
    ];
    for name in ["one", "two", "three"] {
        jail(&lab, name, &action(name, "edit", &edit));
    }
    lab.start(&[]);
    for name in ["one", "two", "three"] {
        for last in 1..=5 {
            ban(&lab, name, &format!("198.51.100.{last}"));
        }
    }
    until("all are banned", || read(&lab.path("list")).lines().count() == 15);
    assert!(!lab.path("clashes").exists());
}

#[test]
fn a_reload_moves_only_the_actions_that_differ() {
    let mut lab = Lab::new(&[]);
    let of = |name: &str, more: &str| {
        let word = |word: &str| format!("echo {name} {word} >> calls");
        let keys = [
            ("start", word("start")),
            ("stop", word("stop")),
            ("ban", word(&format!("ban <ip> <restored>{more}"))),
            ("unban", word("unban <ip>")),
        ];
        action("ssh", name, &keys.each_ref().map(|(key, value)| (*key, &**value)))
    };
    jail(&lab, "ssh", &(of("stays", "") + &of("goes", "") + &of("moves", "")));
    lab.start(&[]);
    ban(&lab, "ssh", FIRST);
    lab.until_banned("ssh", FIRST);
    lab.write("calls", "");
    lab.ssh_jail(
        "ssh",
        &format!("firewall = \"none\"\n{}", of("stays", "") + &of("moves", " new") + &of("comes", "")),
    );
    assert_eq!(lab.stockade(&["reload"]).status.code(), Some(0), "{}", lab.log());
    let want = [
        format!("comes ban {FIRST} 1"),
        "comes start".to_owned(),
        "goes stop".to_owned(),
        format!("goes unban {FIRST}"),
        format!("moves ban {FIRST} 1 new"),
        "moves start".to_owned(),
        "moves stop".to_owned(),
        format!("moves unban {FIRST}"),
    ];
    let calls = || {
        let mut calls: Vec<String> = read(&lab.path("calls")).lines().map(str::to_owned).collect();
        calls.sort();
        calls
    };
    until("the actions have moved", || calls().len() >= want.len());
    assert_eq!(calls(), want);
    lab.until_banned("ssh", FIRST);
}

/// Bans one over a thread that panics once.
fn panics(fault: &str, said: &str) {
    let mut lab = Lab::new(&[]);
    jail(&lab, "ssh", &action("ssh", "list", &[("ban", "echo <ip> >> list"), ("unban", "true")]));
    lab.start(&["--fault", fault]);
    ban(&lab, "ssh", FIRST);
    until("it is asked again", || lab.banned("ssh") == [format!("{FIRST} enforced")]);
    assert!(lab.log().contains(said), "{}", lab.log());
    assert_eq!(read(&lab.path("list")), format!("{FIRST}\n"));
    assert_eq!(lab.end(libc::SIGTERM).code(), Some(0), "{}", lab.log());
}

#[test]
fn a_worker_that_panics_costs_one_try() {
    panics("action.task=panic@2", "list: it was lost when a thread ended");
}

#[test]
fn a_broker_that_panics_is_revived() {
    panics("actions.job=panic@2", "the action broker panicked: it is revived");
}
