//! A database of Debian's own Fail2Ban: taken over where it lies, given back, and taken over again. Without the package
//! that part is not tried, and said so.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use crate::debian::{jail, tree};
use crate::lab::{Lab, read, ssh_failure, until};

const BANNED: &str = "192.0.2.66";
const BY_HAND: &str = "2001:db8::66";
const LATER: &str = "192.0.2.99";
const SLOW: &str = "192.0.2.77";

/// A failed login; each address is one process.
fn failure(address: &str) -> String {
    let process = address.rsplit(['.', ':']).next().unwrap_or_default();
    ssh_failure(address).replace("4711", process)
}

/// A lab with Debian's tree whose server and ours share one database; false: there is no such tree.
fn shared(lab: &Lab, action: &str) -> bool {
    let local = format!("[DEFAULT]\nmaxretry = 3\nbantime = 1h\n{action}\n") + &jail(lab, "sshd", "");
    let there = tree(lab, &local);
    if there {
        let server = format!("[Definition]\nlogtarget = STDOUT\ndbfile = {}\n", database(lab).display());
        lab.write("etc/fail2ban.local", &server);
    }
    there
}

fn database(lab: &Lab) -> std::path::PathBuf {
    lab.path("stockade.sqlite3")
}

/// What Fail2Ban's own client answers; its server logs to `theirs.log`.
fn theirs(lab: &Lab, words: &str) -> String {
    let path = |name: &str| lab.path(name).display().to_string();
    let script = format!(
        "fail2ban-client -c {} -s {} -p {} --logtarget {} {words} > {} 2>&1",
        path("etc"),
        path("theirs.sock"),
        path("theirs.pid"),
        path("theirs.log"),
        path("answer")
    );
    let done = lab.run_inside(&script);
    let answer = read(&lab.path("answer"));
    assert!(done, "{words}: {answer}\n{}", read(&lab.path("theirs.log")));
    answer
}

fn their_bans(lab: &Lab) -> Vec<String> {
    let mut bans: Vec<_> = theirs(lab, "get sshd banip").split_whitespace().map(str::to_owned).collect();
    bans.sort_unstable();
    bans
}

fn until_theirs(lab: &Lab, bans: &[&str]) {
    until(&format!("Fail2Ban bans {bans:?}"), || their_bans(lab) == bans);
}

fn until_they_found(lab: &Lab, failures: u32) {
    let want = format!("Total failed:\t{failures}\n");
    until(&format!("Fail2Ban found {failures}"), || theirs(lab, "status sshd").contains(&want));
}

/// Stops it; the answer is what it logged since it was started.
fn end_theirs(lab: &Lab) -> String {
    theirs(lab, "stop");
    until("Fail2Ban has ended", || !lab.path("theirs.pid").exists() && !lab.path("theirs.sock").exists());
    let log = read(&lab.path("theirs.log"));
    fs::remove_file(lab.path("theirs.log")).unwrap();
    log
}

fn ours(lab: &Lab) -> Vec<String> {
    let mut bans = lab.banned("sshd");
    bans.sort_unstable();
    bans
}

fn enforced(bans: &[&str]) -> Vec<String> {
    bans.iter().map(|ban| format!("{ban} enforced")).collect()
}

/// Files beside the database: `.lock` is ours, the others are backups.
fn backups(lab: &Lab) -> Vec<String> {
    let names = fs::read_dir(lab.dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.filter_map(|name| name.into_string().ok());
    names.filter(|name| name.strip_prefix("stockade.sqlite3.").is_some_and(|end| end != "lock")).collect()
}

#[test]
fn fail2bans_bans_go_on_with_us_and_ours_with_it() {
    let mut lab = Lab::new(&[BANNED, LATER, SLOW, "192.0.2.10", BY_HAND]);
    if !shared(&lab, "banaction = nftables") {
        return;
    }
    let _port = lab.serve(22);
    let log = |lab: &Lab, failures: &[&str]| {
        lab.append("logs/sshd.log", &failures.iter().map(|address| failure(address)).collect::<String>());
    };
    theirs(&lab, "start");
    log(&lab, &[BANNED, BANNED, BANNED, SLOW, SLOW]);
    until_they_found(&lab, 5);
    theirs(&lab, &format!("set sshd banip {BY_HAND} 192.0.2.88"));
    until_theirs(&lab, &["192.0.2.66", "192.0.2.88", "2001:db8::66"]);
    theirs(&lab, "set sshd unbanip 192.0.2.88");
    end_theirs(&lab);
    assert!(lab.reaches(BANNED, 22), "it takes its table with it");
    log(&lab, &[SLOW, LATER]);

    lab.start(&[]);
    let told = lab.log();
    let sentence =
        "Fail2Ban's database (version 4) was taken over: 2 bans in force, 2 in the history, 1 log positions";
    assert!(told.contains(sentence), "{told}");
    let [backup] = &backups(&lab)[..] else { panic!("{:?}", backups(&lab)) };
    assert!(told.contains(&*lab.path(backup).to_string_lossy()), "{told}");
    until("both bans are in force", || ours(&lab) == enforced(&[BANNED, BY_HAND]));
    assert!(!lab.reaches(BANNED, 22) && !lab.reaches(BY_HAND, 22), "{}", lab.nft("list ruleset"));
    lab.until_lines("sshd", 2);
    log(&lab, &[LATER, LATER]);
    lab.until_banned("sshd", LATER);
    assert_eq!(ours(&lab), enforced(&[BANNED, LATER, BY_HAND]));
    assert!(lab.stockade(&["unban", BY_HAND]).status.success());
    assert!(lab.reaches(SLOW, 22) && lab.reaches(BY_HAND, 22));
    assert_eq!(lab.end(libc::SIGTERM).code(), Some(0), "{}", lab.log());
    assert!(!lab.path("stockade.sqlite3-wal").exists());

    theirs(&lab, "start");
    until_theirs(&lab, &[BANNED, LATER]);
    assert!(!lab.reaches(BANNED, 22) && !lab.reaches(LATER, 22), "{}", lab.nft("list ruleset"));
    log(&lab, &[SLOW]);
    until_they_found(&lab, 1);
    theirs(&lab, "set sshd banip 192.0.2.55");
    theirs(&lab, &format!("set sshd unbanip {BANNED}"));
    until_theirs(&lab, &["192.0.2.55", LATER]);
    let said = end_theirs(&lab);
    let size = fs::metadata(lab.path("logs/sshd.log")).unwrap().len() - failure(SLOW).len() as u64;
    assert!(said.contains(&format!("(pos = {size}, ")), "it begins where we stopped:\n{said}");
    assert!(said.contains(&format!("Restore Ban {BANNED}")) && !said.contains(BY_HAND), "{said}");

    log(&lab, &[SLOW]);
    lab.start(&[]);
    until("its bans are ours", || ours(&lab) == enforced(&["192.0.2.55", LATER]));
    lab.until_lines("sshd", 1);
    assert!(lab.reaches(BANNED, 22) && !lab.reaches(LATER, 22), "{}", lab.nft("list ruleset"));
    assert_eq!(backups(&lab).len(), 1, "it is ours by now");
}

#[test]
fn fail2ban_copes_with_what_a_kill_leaves() {
    let mut lab = Lab::new(&[BANNED, LATER]);
    if !shared(&lab, "banaction = nftables") {
        return;
    }
    lab.start(&[]);
    lab.append("logs/sshd.log", &failure(BANNED).repeat(3));
    lab.until_banned("sshd", BANNED);
    lab.append("logs/sshd.log", &failure(LATER));
    lab.until_lines("sshd", 4);
    let position = "SELECT lastfilepos FROM logs";
    let size = fs::metadata(lab.path("logs/sshd.log")).unwrap().len();
    until("all of it is on disk", || {
        let sqlite = Connection::open(database(&lab)).unwrap();
        sqlite.query_row(position, [], |row| row.get::<_, u32>(0)).is_ok_and(|at| u64::from(at) == size)
    });
    lab.end(libc::SIGKILL);
    assert!(lab.path("stockade.sqlite3-wal").exists());
    assert!(lab.run_inside("nft delete table inet f2b-table"));
    theirs(&lab, "start");
    until_theirs(&lab, &[BANNED]);
    let said = end_theirs(&lab);
    assert!(said.contains(&format!("(pos = {size}, ")), "{said}");
    assert!(!said.contains(" ERROR "), "{said}");
    lab.start(&[]);
    until("its bans are ours", || ours(&lab) == enforced(&[BANNED]));
    lab.append("logs/sshd.log", &failure(LATER).repeat(2));
    lab.until_banned("sshd", LATER);
}

/// A database as a Fail2Ban of some years ago left it, with one ban of 180 days.
fn old_database(path: &Path) {
    let now = jiff::Timestamp::now().as_second();
    let sqlite = Connection::open(path).unwrap();
    sqlite
        .execute_batch(&format!(
            "CREATE TABLE fail2banDb(version INTEGER); INSERT INTO fail2banDb VALUES (3);
             CREATE TABLE jails(name TEXT NOT NULL UNIQUE, enabled INTEGER NOT NULL DEFAULT 1);
             CREATE TABLE logs(jail TEXT NOT NULL, path TEXT, firstlinemd5 TEXT, lastfilepos INTEGER DEFAULT 0,
               FOREIGN KEY(jail) REFERENCES jails(name) ON DELETE CASCADE, UNIQUE(jail, path), UNIQUE(jail, path, firstlinemd5));
             CREATE TABLE bans(jail TEXT NOT NULL, ip TEXT, timeofban INTEGER NOT NULL, bantime INTEGER NOT NULL,
               bancount INTEGER NOT NULL default 1, data JSON, FOREIGN KEY(jail) REFERENCES jails(name));
             INSERT INTO jails VALUES ('ssh', 1);
             INSERT INTO bans VALUES ('ssh', '{BANNED}', {now} - 8640000, 15552000, 1, '{{\"failures\": 3}}');"
        ))
        .unwrap();
}

#[test]
fn a_crash_while_it_is_taken_over_leaves_the_old_or_the_new() {
    let mut lab = Lab::new(&[BANNED]);
    lab.ssh_jail("ssh", "");
    lab.append("logs/ssh.log", "");
    old_database(&database(&lab));
    let version = |lab: &Lab| {
        let sqlite = Connection::open(database(lab)).unwrap();
        sqlite.query_row("SELECT version FROM fail2banDb", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    for (crashes, point) in [(1, "store.backed_up"), (2, "store.upgraded")] {
        lab.launch(&["--fault", &format!("{point}=kill")]);
        lab.ended();
        assert_eq!((version(&lab), backups(&lab).len()), (3, crashes), "{point}");
    }
    lab.start(&[]);
    lab.until_banned("ssh", BANNED);
    assert_eq!(version(&lab), 4);
    assert_eq!(backups(&lab).len(), 3);
    let ends = lab.status("ssh")["bans"][0]["until"].clone();
    assert!(!ends.is_null(), "{}", lab.status("ssh"));
    // A second start has nothing left to take over, and cuts nothing.
    lab.end(libc::SIGTERM);
    lab.start(&[]);
    lab.until_banned("ssh", BANNED);
    assert_eq!(lab.status("ssh")["bans"][0]["until"], ends);
    assert_eq!(lab.log().matches("was taken over").count(), 1, "{}", lab.log());
}

#[test]
fn without_room_for_a_copy_the_file_is_left_alone() {
    let mut lab = Lab::new(&[BANNED]);
    lab.ssh_jail("ssh", "");
    lab.append("logs/ssh.log", "");
    fs::create_dir(lab.path("small")).unwrap();
    old_database(&lab.path("old.sqlite3"));
    std::os::unix::fs::symlink(lab.path("small/f.sqlite3"), database(&lab)).unwrap();
    let (small, old) = (lab.path("small"), lab.path("old.sqlite3"));
    // Room for it and for the lock, not for another one.
    let script = format!(
        "mount -t tmpfs -o size=56k none {0} && cp {1} {0}/f.sqlite3 && exec \"$@\"",
        small.display(),
        old.display()
    );
    lab.launch_by(&["unshare", "-m", "sh", "-c", &script, "sh"], &[]);
    until("the daemon is ready", || lab.is_ready());
    let sentence = "`store` is Fail2Ban's database and was left untouched, for it cannot be backed up: database or disk is full";
    let told = lab.log();
    assert!(
        told.contains(&format!("nothing is remembered, a restart forgets everything: {sentence}")),
        "{told}"
    );
    lab.append("logs/ssh.log", &failure(BANNED).repeat(3));
    lab.until_banned("ssh", BANNED);
    let inside = format!("/proc/{}/root{}/f.sqlite3", lab.pid().as_raw_nonzero(), small.display());
    assert!(fs::read(inside).unwrap() == fs::read(old).unwrap());
}
