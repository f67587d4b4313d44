//! Files that are damaged, foreign, taken or empty.

use super::*;

type Harm = fn(&Path);

fn sql(path: &Path, sql: &str) {
    rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn a_damaged_file_is_set_aside_and_the_bans_in_it_that_can_be_read_are_kept() {
    let page = |sqlite: &rusqlite::Connection| sqlite.query_row("PRAGMA page_size", [], |row| row.get(0));
    let cases: [(&str, Harm, &str, usize); 6] = [
        (
            "garbage",
            |path| fs::write(path, b"no database\n".repeat(1000)).unwrap(),
            "file is not a database",
            0,
        ),
        (
            "damaged pages",
            |path| {
                let mut bytes = fs::read(path).unwrap();
                bytes[4096..].fill(0x5a);
                fs::write(path, bytes).unwrap();
            },
            "",
            0,
        ),
        (
            "cut short",
            |path| fs::OpenOptions::new().write(true).open(path).unwrap().set_len(5000).unwrap(),
            "",
            0,
        ),
        ("no version", |path| sql(path, "DELETE FROM fail2banDb"), "its schema has no version", 1),
        (
            "another shape",
            |path| sql(path, "DROP TABLE bips; CREATE TABLE bips(ip TEXT)"),
            "its tables are not as expected: no such column: timeofban",
            1,
        ),
        (
            "another shape, and rows without a sense",
            |path| {
                sql(
                    path,
                    "DROP TABLE bips; CREATE TABLE bips(ip TEXT); UPDATE bans SET timeofban = 'yesterday'",
                );
            },
            "its tables are not as expected: no such column: timeofban",
            0,
        ),
    ];
    for (what, harm, reason, kept) in cases {
        let place = place();
        place.open().commit(&[Entry::Banned(jail("sshd"), ban("192.0.2.7", 1))]).unwrap();
        assert_eq!(page(&place.foreign()), Ok(4096));
        harm(&place.path);
        let Opened { mut store, set_aside, .. } = Store::open(&place.path, NOW).unwrap();
        let (aside, found) = set_aside.unwrap_or_else(|| panic!("{what}: taken as healthy"));
        assert_eq!(
            aside.file_name().unwrap().to_str(),
            Some("stockade.sqlite3.corrupt-20260102-030405"),
            "{what}"
        );
        assert!(aside.exists(), "{what}");
        assert!(found.starts_with(reason), "{what}: {found}");
        let told = ["; no ban in it can be read", "; 1 last bans in it can be read and are kept"][kept];
        assert!(found.ends_with(told), "{what}: {found}");
        let bans = store.load("sshd", NOW).unwrap().bans;
        assert_eq!(bans, vec![restored(ban("192.0.2.7", 1)); kept], "{what}");
        store.commit(&[Entry::Banned(jail("sshd"), ban("192.0.2.8", 1))]).unwrap();
        // A second one in the same second gets a name of its own.
        let Opened { mut store, set_aside, .. } = store.set_aside(NOW, "again").unwrap();
        let (aside, _) = set_aside.unwrap();
        assert!(aside.to_str().unwrap().ends_with(".corrupt-20260102-030405-1"), "{aside:?}");
        assert_eq!(store.load("sshd", NOW).unwrap().bans.len(), kept + 1, "{what}");
    }
}

/// Damage in the middle: what lies before and behind it is read.
#[test]
fn rows_around_the_damage_are_kept() {
    let place = place();
    let address = |n: u32| Id::Net(Ipv4Addr::from(0xc000_0200 + n).into());
    let entries: Vec<Entry> =
        (0..5000).map(|n| Entry::Prolonged(jail("j"), Ban { id: address(n), ..ban("::1", 0) })).collect();
    let mut store = place.open();
    store.commit(&entries).unwrap();
    store.close().unwrap();
    drop(store);
    let mut bytes = fs::read(&place.path).unwrap();
    let needle = b"192.0.11.184\0"; // in the middle, behind it the jail
    let needle = &needle[..needle.len() - 1];
    let at: Vec<usize> = memchr::memmem::find_iter(&bytes, needle).collect();
    assert!(!at.is_empty());
    for at in at {
        bytes[at / 4096 * 4096..][..4096].fill(0x5a);
    }
    fs::write(&place.path, bytes).unwrap();
    let Opened { mut store, set_aside, .. } = Store::open(&place.path, NOW).unwrap();
    let (_, told) = set_aside.unwrap();
    let bans = store.load("j", NOW).unwrap().bans;
    assert!(told.ends_with(&format!("{} last bans in it can be read and are kept", bans.len())), "{told}");
    assert!((4900..5000).contains(&bans.len()), "{}", bans.len());
    assert!(bans.iter().all(|ban| (ban.failures, ban.lines.len()) == (6, 2)));
}

/// A new database beside the old one's journal would take it for its own.
#[test]
fn nothing_of_a_damaged_store_is_left() {
    let place = place();
    let mut store = place.open();
    store.commit(&[Entry::State(jail("sshd"), vec![1])]).unwrap();
    let journal = fs::read(wal(&place.path)).unwrap();
    drop(store);
    // As a kill leaves them, with a database that the journal cannot heal.
    fs::write(&place.path, b"x".repeat(1 << 20)).unwrap();
    fs::write(wal(&place.path), &journal[..journal.len() / 2]).unwrap();
    let Opened { mut store, set_aside, .. } = Store::open(&place.path, NOW).unwrap();
    assert!(set_aside.is_some());
    assert_eq!(store.load("sshd", NOW).unwrap(), Saved::default());
}

#[test]
fn a_second_daemon_is_refused_and_a_reader_is_not() {
    let place = place();
    let mut store = place.open();
    store.commit(&[Entry::Banned(jail("j"), ban("192.0.2.1", 0))]).unwrap();
    let error = Store::open(&place.path, NOW).unwrap_err();
    let sentence = format!("`store` is in use by another daemon (process {})", std::process::id());
    assert_eq!(error.to_string(), sentence);
    let count = place.foreign().query_row("SELECT count(*) FROM bips", [], |row| row.get(0));
    assert_eq!(count, Ok(1));
    drop(store);
    place.open();
}

#[test]
fn what_cannot_be_a_store_is_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let other = dir.path().join("other.sqlite3");
    rusqlite::Connection::open(&other).unwrap().execute_batch("CREATE TABLE mine(x)").unwrap();
    let (missing, null) = (dir.path().join("a/b"), dir.path().join("null"));
    std::os::unix::fs::symlink("/dev/null", &null).unwrap();
    for (path, sentence) in [
        (file.join("x"), "`store` cannot be written: Not a directory (os error 20)".to_owned()),
        (
            missing.join("x"),
            format!(
                "`store` cannot be written: directory {}: No such file or directory (os error 2)",
                missing.display()
            ),
        ),
        (dir.path().to_owned(), "`store` cannot be written: Is a directory (os error 21)".to_owned()),
        (null, "`store` cannot be written: it is no regular file".to_owned()),
        (other.clone(), "`store` is the database of another program: name another file".to_owned()),
    ] {
        let error = Store::open(&path, NOW).unwrap_err();
        assert_eq!(error.to_string(), sentence, "{path:?}");
    }
    // Nothing happened to the other program's file.
    assert!(rusqlite::Connection::open(&other).unwrap().prepare("SELECT x FROM mine").is_ok());
}

#[test]
fn only_its_owner_reads_it_and_its_directory_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lib/stockade.sqlite3");
    Store::open(&path, NOW).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
}

#[test]
fn an_empty_file_becomes_a_store() {
    let place = place();
    fs::write(&place.path, "").unwrap();
    place.open();
}
