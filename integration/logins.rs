//! Nobody who is logged in is locked out: as logind and utmp tell it, while it lasts, and not longer.

use std::fs;
use std::process::{Child, Output};

use crate::lab::{Lab, ssh_failure, until};

const ADMIN: &str = "198.51.100.7";
const ATTACKER: &str = "198.51.100.66";
const WHO: &str = "root is logged in from 198.51.100.7 (session 5, pts/0)";

/// A daemon whose folder of sessions and whose utmp are the test's.
fn lab(jail: &str) -> Lab {
    let mut lab = Lab::new(&[]);
    fs::create_dir(lab.path("sessions")).unwrap();
    let (sessions, utmp) = (lab.path("sessions"), lab.path("utmp"));
    let places = format!("[daemon]\nlogins = [\"{}\", \"{}\"]\n", sessions.display(), utmp.display());
    lab.write("etc/stockade.toml", &places);
    lab.ssh_jail("sshd", jail);
    lab.append("logs/sshd.log", "");
    lab.start(&[]);
    lab
}

/// Writes a session as logind does: a new file in the place of the old one.
fn session(lab: &Lab, number: &str, state: &str, host: &str) {
    let text = format!(
        "# This is private data. Do not parse.\nUID=0\nUSER=root\nACTIVE=1\nSTATE={state}\nREMOTE=1\nTYPE=tty\n\
         CLASS=user\nTTY=pts/0\nREMOTE_HOST={host}\nSERVICE=sshd\nLEADER=4711\n"
    );
    lab.write("sessions/.#new", &text);
    fs::rename(lab.path("sessions/.#new"), lab.path(&format!("sessions/{number}"))).unwrap();
    if lab.path("stockade.sock").exists() {
        // Whoever is asked looks first.
        lab.json(&["status"]);
    }
}

/// A record of a login at pts/0: as sshd writes it, with the address as bytes, or with a text alone.
fn record(process: u32, host: &str, address: Option<[u8; 4]>, since: u64) -> Vec<u8> {
    let large = cfg!(any(target_arch = "aarch64", target_arch = "loongarch64"));
    let mut record = vec![0; if large { 400 } else { 384 }];
    let mut put = |at: usize, bytes: &[u8]| record[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &7_i16.to_ne_bytes());
    put(4, &process.to_ne_bytes());
    put(8, b"pts/0");
    put(44, b"root");
    put(76, host.as_bytes());
    put(if large { 360 } else { 348 }, &address.unwrap_or_default());
    if large {
        put(344, &since.to_ne_bytes());
    } else {
        put(340, &u32::try_from(since).unwrap().to_ne_bytes());
    }
    record
}

fn fails(lab: &Lab, host: &str) {
    lab.append("logs/sshd.log", &ssh_failure(host).repeat(3));
}

fn spared(lab: &Lab) -> u64 {
    lab.status("sshd")["spared_total"].as_u64().unwrap()
}

fn text(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
}

#[test]
fn the_host_of_a_session_is_not_banned_while_it_lasts() {
    let lab = lab("");
    session(&lab, "5", "active", ADMIN);
    fails(&lab, ADMIN);
    fails(&lab, ADMIN);
    fails(&lab, ATTACKER);
    lab.until_banned("sshd", ATTACKER);
    assert_eq!(lab.banned("sshd"), [format!("{ATTACKER} enforced")]);

    let said = format!("[sshd] {ADMIN} is not banned: {WHO}");
    assert_eq!(lab.log().matches(&said).count(), 1, "{}", lab.log());
    let status = lab.status("sshd");
    assert_eq!((&status["spared_total"], &status["failed_total"]), (&2.into(), &9.into()), "{status}");
    let one = &status["spared"][0];
    assert_eq!((&one["id"], &one["why"], &one["times"]), (&ADMIN.into(), &WHO.into(), &2.into()));
    let shown = text(&lab.stockade(&["status"]));
    assert!(shown.contains(&format!("spared: sshd: {ADMIN} is not banned: {WHO} (2 times)")), "{shown}");
    assert!(text(&lab.stockade(&["status", "sshd"])).contains(&format!("spared       {ADMIN} is not")));

    // By hand only by force; a prefix with it is no way around.
    for whom in [ADMIN, "198.51.100.0/24"] {
        let refused = lab.stockade(&["ban", whom]);
        assert_eq!(refused.status.code(), Some(1));
        assert!(text(&refused).contains(WHO), "{}", text(&refused));
    }
    assert_eq!(lab.banned("sshd").len(), 1);
    assert_eq!(lab.stockade(&["ban", ADMIN, "--force"]).status.code(), Some(0));
    assert_eq!(lab.stockade(&["unban", ADMIN]).status.code(), Some(0));

    // He goes, and so does what protects his host.
    session(&lab, "5", "closing", ADMIN);
    until("nothing is spared any more", || lab.status("sshd")["spared"] == serde_json::json!([]));
    fails(&lab, ADMIN);
    lab.until_banned("sshd", ADMIN);
    assert_eq!(spared(&lab), 2);
}

#[test]
fn the_host_of_a_login_in_utmp_is_not_banned_while_its_process_lives() {
    let lab = lab("");
    let mut monitor: Child = lab.tool("sleep").arg("1000").spawn().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    // The first is no address, the second has the number of a process that is younger.
    let records = [
        record(monitor.id(), "198.51.100.8 or so", None, now),
        record(monitor.id(), "198.51.100.9", Some([198, 51, 100, 9]), now - 86_400),
        record(monitor.id(), "host.example.org", Some([198, 51, 100, 7]), now),
    ];
    fs::write(lab.path("utmp"), records.concat()).unwrap();
    lab.json(&["status"]);
    for host in [ADMIN, "198.51.100.8", "198.51.100.9"] {
        fails(&lab, host);
    }
    lab.until_banned("sshd", "198.51.100.9");
    assert_eq!(lab.banned("sshd"), ["198.51.100.8 enforced", "198.51.100.9 enforced"]);
    assert!(lab.log().contains(&format!("{ADMIN} is not banned: root is logged in from {ADMIN} (pts/0)")));
    monitor.kill().unwrap();
    monitor.wait().unwrap();
    until("nothing is spared any more", || lab.status("sshd")["spared"] == serde_json::json!([]));
    fails(&lab, ADMIN);
    lab.until_banned("sshd", ADMIN);
}

#[test]
fn a_session_lifts_no_ban_and_log_and_status_say_how_to() {
    let lab = lab("");
    fails(&lab, ADMIN);
    lab.until_banned("sshd", ADMIN);
    session(&lab, "5", "active", ADMIN);
    let said = format!("{ADMIN} is banned, and {WHO}: the ban stays until `stockade unban {ADMIN}`");
    until("it is said", || lab.log().contains(&format!("[sshd] {said}")));
    assert!(text(&lab.stockade(&["status"])).contains(&format!("warning: sshd: {said}")));
    assert_eq!(lab.banned("sshd"), [format!("{ADMIN} enforced")]);
    assert_eq!(lab.stockade(&["unban", ADMIN]).status.code(), Some(0));
    fails(&lab, ADMIN);
    until("it is spared", || spared(&lab) == 1);
    assert_eq!(lab.banned("sshd"), [] as [&str; 0]);
}

#[test]
fn it_can_be_turned_off_and_counts_for_the_users_that_are_named() {
    let lab = lab("spare_logins = [\"anna\"]");
    session(&lab, "5", "active", ADMIN);
    fails(&lab, ADMIN);
    lab.until_banned("sshd", ADMIN);
    session(&lab, "6", "active", "198.51.100.8");
    let path = lab.path("etc/jails.d/sshd.toml");
    let jail = crate::lab::read(&path);
    fs::write(&path, jail.replace("[\"anna\"]", "[\"anna\", \"root\"]")).unwrap();
    assert_eq!(lab.json(&["reload"])["moved"], serde_json::json!(["sshd: spare_logins"]));
    fails(&lab, "198.51.100.8");
    until("it is spared", || spared(&lab) == 1);
    fs::write(&path, jail.replace("[\"anna\"]", "false")).unwrap();
    lab.json(&["reload"]);
    fails(&lab, "198.51.100.8");
    lab.until_banned("sshd", "198.51.100.8");
}

/// Fail2Ban knows nothing of logins: a tree's jail bans, unless it asks for more.
#[test]
fn a_jail_of_fail2bans_bans_unless_it_asks() {
    let mut lab = Lab::new(&[]);
    fs::create_dir(lab.path("sessions")).unwrap();
    lab.write("etc/stockade.toml", &format!("[daemon]\nlogins = [\"{}\"]\n", lab.path("sessions").display()));
    session(&lab, "5", "active", ADMIN);
    lab.append("logs/sshd.log", "");
    let jail = |name: &str, more: &str| {
        let log = lab.path("logs/sshd.log");
        format!(
            "[{name}]\nenabled = true\nbackend = auto\nfilter = some\nlogpath = {}\n{more}\n",
            log.display()
        )
    };
    let jails = jail("plain", "") + &jail("asks", "spare_logins = true");
    lab.write("etc/jail.conf", &format!("[DEFAULT]\nmaxretry = 3\n{jails}"));
    lab.write("etc/fail2ban.conf", "[Definition]\nlogtarget = STDOUT\n");
    fs::create_dir_all(lab.path("etc/filter.d")).unwrap();
    let filter = "[Definition]\nfailregex = Failed password for root from <HOST> port \\d+\n";
    lab.write("etc/filter.d/some.conf", filter);
    lab.start(&[]);
    fails(&lab, ADMIN);
    lab.until_banned("plain", ADMIN);
    until("it is spared", || lab.status("asks")["spared_total"] == 1);
    assert_eq!(lab.banned("asks"), [] as [&str; 0]);
}
