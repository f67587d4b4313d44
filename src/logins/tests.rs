use std::os::unix::fs::symlink;

use super::utmp::tests::record;
use super::*;

const SESSION: &str = "USER=anna\nSTATE=active\nREMOTE=1\nCLASS=user\nTTY=pts/3\nREMOTE_HOST=";

fn told(places: &[PathBuf], proc: &Path) -> Vec<String> {
    read(places, proc).iter().map(ToString::to_string).collect()
}

/// A process of this user, with the seconds after the boot at which it began.
fn process(proc: &Path, number: u32, user: u32, began: u64) {
    fs::create_dir_all(proc.join(number.to_string())).unwrap();
    let stat = format!("{number} (sshd: root) S 1 1 1 0 -1 1 1 2 3 4 5 6 7 8 20 0 1 0 {} 1 1", began * 100);
    fs::write(proc.join(format!("{number}/stat")), stat).unwrap();
    let status = format!("Name:\tsshd\nUid:\t{user}\t0\t0\t0\n");
    fs::write(proc.join(format!("{number}/status")), status).unwrap();
}

#[test]
fn folders_of_sessions_and_files_of_records() {
    let dir = tempfile::tempdir().unwrap();
    let (sessions, utmp, proc) =
        (dir.path().join("sessions"), dir.path().join("utmp"), dir.path().join("proc"));
    let places = [sessions.clone(), utmp.clone(), dir.path().join("nowhere")];
    assert_eq!(told(&places, &proc), [] as [&str; 0], "nothing is there");
    let before = Looks::at(&places);

    fs::create_dir_all(&sessions).unwrap();
    fs::write(sessions.join("5"), format!("{SESSION}198.51.100.7\n")).unwrap();
    fs::write(sessions.join("c6"), format!("{SESSION}2001:db8::7\n")).unwrap();
    fs::write(sessions.join(".#7"), format!("{SESSION}198.51.100.9\n")).unwrap();
    fs::write(sessions.join("8"), vec![b'\n'; 20_000]).unwrap();
    fs::create_dir(sessions.join("9")).unwrap();
    symlink(sessions.join("5"), sessions.join("10")).unwrap();
    // Nobody writes into it: whoever opened it to read would wait.
    rustix::fs::mkfifoat(rustix::fs::CWD, sessions.join("11"), Mode::RWXU).unwrap();
    let anna = [
        "anna is logged in from 198.51.100.7 (session 5, pts/3)",
        "anna is logged in from 2001:db8::7 (session c6, pts/3)",
    ];
    assert_eq!(told(&places, &proc), anna);
    assert_ne!(Looks::at(&places), before);
    assert!(before.newest().is_none() && Looks::at(&places).newest().is_some());

    let boot = 1_700_000_000;
    fs::create_dir(&proc).unwrap();
    fs::write(proc.join("stat"), format!("btime {boot}\n")).unwrap();
    let bytes = [198, 51, 100, 23];
    let records = [
        record(7, 100, "198.51.100.20", &[], boot + 50),
        record(7, 101, "198.51.100.21", &[], boot + 50),
        record(7, 102, "198.51.100.22", &[], boot + 50),
        record(7, 103, "host.example.org", &bytes, boot + 50),
        record(7, 104, "198.51.100.24", &[], boot + 50),
    ];
    fs::write(&utmp, records.concat()).unwrap();
    assert_eq!(told(&places, &proc), anna, "none of these processes lives");
    process(&proc, 100, 0, 49);
    process(&proc, 102, 0, 500);
    process(&proc, 103, 1000, 49);
    process(&proc, 104, 1000, 49);
    let (text, bytes) =
        ("root is logged in from 198.51.100.20 (pts/0)", "root is logged in from 198.51.100.23 (pts/0)");
    let want = [text, bytes];
    assert_eq!(told(&places[1..], &proc), want, "102 is younger than its record, 104 some user's terminal");
}

#[test]
fn addresses_as_such() {
    for (text, want) in [
        ("198.51.100.7", Some("198.51.100.7")),
        ("2001:db8::7", Some("2001:db8::7")),
        ("fe80::1%eth0", Some("fe80::1")),
        ("[2001:db8::7]", None),
        ("198.51.100.7:22", None),
        ("198.51.100.07", None),
        ("localhost", None),
        ("::", None),
        ("", None),
    ] {
        assert_eq!(literal(text).map(|address| address.to_string()).as_deref(), want, "{text}");
    }
}
