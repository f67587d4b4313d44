//! `setup fail2ban …`, as docker-mailserver's users type it.

use std::process::Output;

use super::Names;

/// Exit code, standard output, and standard error without its times and colours.
fn said(output: &Output) -> (i32, String, String) {
    let error = String::from_utf8(output.stderr.clone()).unwrap();
    let lines = error.lines().map(|line| {
        // `2026-11-22 13:09:44+00:00 ERROR fail2ban: …`
        let (time, rest) = line.split_at(26);
        assert!(time.as_bytes()[10] == b' ' && time.ends_with("+00:00 "), "{line:?}");
        let rest = rest.strip_prefix("\x1b[").unwrap();
        let (colour, rest) = rest.split_once('m').unwrap();
        let (level, rest) = rest.split_once("\x1b[0m ").unwrap();
        assert_eq!(level.len(), 5, "{line:?}");
        format!("{colour} {level}|{rest}\n")
    });
    (output.status.code().unwrap(), String::from_utf8(output.stdout.clone()).unwrap(), lines.collect())
}

const USAGE: &str = "Usage: ./setup.sh fail2ban [<ban|unban> <IP>]\n       ./setup.sh fail2ban log\n       ./setup.sh fail2ban status\n";

#[test]
fn it_bans_unbans_lists_and_explains_itself() {
    let names = Names::new();
    names.jails("", &["custom", "one"]);
    let setup = |words: &[&str]| said(&names.run("setup", &[&["fail2ban"], words].concat()));
    let told = |code, out: &str, error: &str| (code, out.to_owned(), error.to_owned());
    let down = told(1, "", "1;31 ERROR|fail2ban: Fail2ban not running\n1;31 ERROR|fail2ban: Aborting\n");
    assert_eq!(setup(&[]), down);
    assert_eq!(names.client(&["start"]).0, 0);
    let nobody = told(0, "", "0;34 INFO |fail2ban: No IPs have been banned\n");
    assert_eq!(setup(&[]), nobody);
    assert_eq!(setup(&["help"]), told(0, USAGE, ""));
    let which = "1;33 WARN |fail2ban: You need to specify an IP address: Run './setup.sh fail2ban";
    assert_eq!(setup(&["ban"]), told(0, "", &format!("{which} ban <IP>'\n")));
    assert_eq!(setup(&["unban"]), told(0, "", &format!("{which}' to get a list of banned IP addresses\n")));
    assert_eq!(setup(&["ban", "192.0.66.7"]), told(0, "Banned custom IP: 1\n", ""));
    let again = "1;31 ERROR|fail2ban: Banning '192.0.66.7' failed. Already banned?\n";
    assert_eq!(setup(&["ban", "192.0.66.7"]), told(0, "", again));
    assert_eq!(setup(&["ban", "192.0.66.8", "2001:db8::99"]), told(0, "Banned custom IP: 2\n", ""));
    assert_eq!(setup(&["ban", "192.0.67.0/24"]), told(0, "Banned custom IP: 1\n", ""));
    let all = "Banned in custom: 192.0.66.7 192.0.66.8 2001:db8::99 192.0.67.0/24\n";
    assert_eq!(setup(&[]), told(0, all, ""));
    let (code, status, error) = setup(&["status"]);
    assert_eq!((code, &*error), (0, ""));
    assert!(status.starts_with("Status for the jail: custom\n|- Filter\n"), "{status}");
    assert!(status.contains("2001:db8::99 192.0.67.0/24\n\nStatus for the jail: one\n"), "{status}");
    assert!(status.ends_with("   `- Banned IP list:\t\n\n"), "{status}");
    let unbanned = "Unbanned IP from custom: 2\nUnbanned IP from one: 0\n";
    assert_eq!(setup(&["unban", "192.0.66.7", "192.0.67.0/24"]), told(0, unbanned, ""));
    assert_eq!(setup(&["log"]), told(0, &names.log(), ""));
    let unknown = "1;31 ERROR|fail2ban: Unknown command 'bogus'\n1;31 ERROR|fail2ban: Aborting\n";
    assert_eq!(setup(&["bogus"]), told(1, USAGE, unknown));
    assert_eq!(names.client(&["unban", "--all"]).1, "2\n");
    assert_eq!(setup(&[]), nobody);
}
