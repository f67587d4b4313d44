//! How far logs were read, by us and by a Fail2Ban in between.

use super::*;
use crate::digest::Digest;
use crate::source::{first_line, journal};

/// A log of two lines in the place's folder, and its path.
fn log(place: &Place, name: &str) -> Arc<Path> {
    let path = place.path.with_file_name(name);
    fs::write(&path, format!("{name} begins\nsecond\nthird\n")).unwrap();
    path.into()
}

fn at(path: &Path, offset: u64) -> Cursor {
    let first = fs::read_to_string(path).unwrap().lines().next().unwrap().to_owned() + "\n";
    first_line::find(path, &Digest::Sha1.hex(first.as_bytes()), offset, NOW).unwrap()
}

fn rows(place: &Place) -> Vec<(String, String, String, String)> {
    let sqlite = place.foreign();
    let sql = "SELECT jail, path, firstlinemd5, CAST(lastfilepos AS TEXT) FROM logs ORDER BY jail, path";
    let mut statement = sqlite.prepare(sql).unwrap();
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    statement.query_map([], row).unwrap().map(Result::unwrap).collect()
}

#[test]
fn fail2ban_finds_where_we_stopped() {
    let place = place();
    let mut store = place.open();
    let (one, two) = (log(&place, "one.log"), log(&place, "two.log"));
    let [first, second] =
        [&one, &two].map(|path| Digest::Sha1.hex(format!("{} begins\n", name(path)).as_bytes()));
    let cursor = |jail_name: &str, path: &Arc<Path>, offset| {
        Entry::Cursor(jail(jail_name), path.clone(), at(path, offset))
    };
    store.commit(&[cursor("a", &one, 15), cursor("a", &two, 15), cursor("b", &one, 22)]).unwrap();
    let row = |jail: &str, path: &Path, digest: &str, offset: &str| {
        (jail.to_owned(), path.to_str().unwrap().to_owned(), digest.to_owned(), offset.to_owned())
    };
    assert_eq!(
        rows(&place),
        [row("a", &one, &first, "15"), row("a", &two, &second, "15"), row("b", &one, &first, "22")]
    );
    let kind = place.foreign().query_row("SELECT typeof(lastfilepos) FROM logs", [], |row| row.get(0));
    assert_eq!(kind, Ok("integer".to_owned()));
    // A new file at the path, of which nothing was read yet; and late lines of the old one.
    let old = at(&one, 28);
    fs::rename(&one, one.with_file_name("one.log.1")).unwrap();
    fs::write(&*one, "anew\nnext\n").unwrap();
    store.commit(&[Entry::Cursor(jail("a"), one.clone(), old)]).unwrap();
    assert_eq!(rows(&place)[0], row("a", &one, &first, "15"), "its place is not in this file");
    store.commit(&[cursor("a", &one, 5)]).unwrap();
    assert_eq!(rows(&place)[0], row("a", &one, &Digest::Sha1.hex(b"anew\n"), "5"));
    // Emptied and filled again.
    let stale = at(&one, 5);
    fs::write(&*one, "once more\nnext\n").unwrap();
    store.commit(&[Entry::Cursor(jail("b"), one.clone(), stale)]).unwrap();
    assert_eq!(
        rows(&place)[2],
        row("b", &one, &Digest::Sha1.hex(b"anew\n"), "5"),
        "which is not there any more"
    );
    store.commit(&[cursor("b", &one, 10)]).unwrap();
    assert_eq!(rows(&place)[2], row("b", &one, &Digest::Sha1.hex(b"once more\n"), "10"));
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

#[test]
fn a_row_keeps_the_digest_that_its_fail2ban_writes() {
    let place = place();
    let mut store = place.open();
    let one = log(&place, "one.log");
    store.jails(&[jail("a")]).unwrap();
    let digest = Digest::Md5.hex(b"one.log begins\n");
    let sql = "INSERT INTO logs VALUES ('a', ?1, ?2, 15)";
    place.foreign().execute(sql, [one.to_str().unwrap(), &digest]).unwrap();
    assert_eq!(store.load("a", NOW).unwrap().cursors, [(one.clone(), at(&one, 15))]);
    store.commit(&[Entry::Cursor(jail("a"), one.clone(), at(&one, 22))]).unwrap();
    assert_eq!((&*rows(&place)[0].2, &*rows(&place)[0].3), (&*digest, "22"));
}

#[test]
fn what_fail2ban_read_in_between_counts() {
    let place = place();
    let mut store = place.open();
    let (one, two) = (log(&place, "one.log"), log(&place, "two.log"));
    let (seven, eight) = (Id::parse("192.0.2.7"), Id::parse("192.0.2.8"));
    let own = Cursor { live: true, ..at(&one, 15) };
    let counter = |id: &Id, ago| {
        let last = NOW - Duration::from_secs(ago);
        Entry::Counter(jail("a"), id.clone(), Some(Record { last, ..record(2) }))
    };
    let entries = [
        Entry::Cursor(jail("a"), one.clone(), own.clone()),
        Entry::Cursor(jail("a"), two.clone(), at(&two, 15)),
        Entry::State(jail("a"), vec![1]),
        Entry::Waiting(jail("a"), vec![2]),
        counter(&seven, 60),
        counter(&eight, 60),
    ];
    store.commit(&entries).unwrap();
    store.close().unwrap();
    drop(store);
    // It ran and found nothing new.
    place.foreign().execute_batch("UPDATE jails SET enabled = 0").unwrap();
    let saved = place.open().load("a", NOW).unwrap();
    assert_eq!(saved.cursors, [(one.clone(), own), (two.clone(), at(&two, 15))]);
    assert_eq!((saved.state, saved.waiting, saved.counters.len()), (Some(vec![1]), Some(vec![2]), 2));
    // It read one of the files, banned one of those who were about to be, and pardoned another.
    let sqlite = place.foreign();
    let now = NOW.secs();
    sqlite
        .execute_batch(&format!(
            "UPDATE logs SET lastfilepos = 22 WHERE path LIKE '%/one.log';
             INSERT INTO bips VALUES ('192.0.2.7', 'a', {now} - 10, 600, 1, NULL)"
        ))
        .unwrap();
    let saved = place.open().load("a", NOW).unwrap();
    let sorted = |mut cursors: Vec<(Arc<Path>, Cursor)>| {
        cursors.sort_by(|(one, _), (two, _)| one.cmp(two));
        cursors
    };
    assert_eq!(sorted(saved.cursors), [(one.clone(), at(&one, 22)), (two.clone(), at(&two, 15))]);
    assert_eq!(saved.bans.len(), 1);
    assert_eq!((saved.state, saved.waiting), (None, None), "of lines long past");
    assert_eq!(saved.counters.into_iter().map(|(id, _)| id).collect::<Vec<_>>(), [eight]);
    // It read on after a rotation that we did not see, and we find the file.
    fs::rename(&*one, one.with_file_name("one.log.1")).unwrap();
    fs::write(&*one, "anew\n").unwrap();
    let rotated = at(&one.with_file_name("one.log.1"), 22);
    assert_eq!(sorted(place.open().load("a", NOW).unwrap().cursors)[0], (one.clone(), rotated));
    // Nothing is left that begins so: the file is one that was never seen.
    fs::remove_file(one.with_file_name("one.log.1")).unwrap();
    assert_eq!(place.open().load("a", NOW).unwrap().cursors, [(two.clone(), at(&two, 15))]);
    // It forgot the jail: then it read nothing for it.
    sqlite.execute_batch("DELETE FROM logs").unwrap();
    assert_eq!(place.open().load("a", NOW).unwrap().cursors.len(), 2);
}

#[test]
fn a_cursor_from_before_rows_were_compared_counts() {
    let place = place();
    let mut store = place.open();
    let one = log(&place, "one.log");
    store.commit(&[Entry::Cursor(jail("a"), one.clone(), at(&one, 22))]).unwrap();
    let json = serde_json::to_vec(&at(&one, 22)).unwrap();
    let sqlite = place.foreign();
    sqlite.execute("UPDATE stockade_cursors SET data = ?1", [json]).unwrap();
    sqlite.execute_batch("UPDATE logs SET lastfilepos = 15").unwrap();
    assert_eq!(store.load("a", NOW).unwrap().cursors, [(one.clone(), at(&one, 22))]);
}

#[test]
fn the_journal_is_read_on_from_its_moment() {
    let place = place();
    let mut store = place.open();
    let path: Arc<Path> = Path::new(journal::PATH).into();
    store.jails(&[jail("a")]).unwrap();
    let sql = "INSERT INTO logs VALUES ('a', 'systemd-journal', '2026-01-02 03:00:00', 1767322800.123457)";
    place.foreign().execute_batch(sql).unwrap();
    let saved = store.load("a", NOW).unwrap();
    let moment = UnixTime::from_micros(1_767_322_800_123_457);
    let cursor =
        Cursor { read_at: NOW, journal: Some(Box::new(journal::Place::after(moment))), ..Cursor::default() };
    assert_eq!(saved.cursors, [(path.clone(), cursor.clone())]);
    // Nothing was handed out yet: its word stands, and ours with it.
    store.commit(&[Entry::Cursor(jail("a"), path.clone(), cursor.clone())]).unwrap();
    assert_eq!(rows(&place)[0].3, "1767322800.123457");
    assert_eq!(store.load("a", NOW).unwrap().cursors, [(path.clone(), cursor)]);
    let handed_out = r#"{"last":"s=1f;i=2a;b=b0;m=1;t=6475ee7b28c00;x=1","streams":[]}"#;
    let cursor = Cursor { journal: Some(serde_json::from_str(handed_out).unwrap()), ..Cursor::default() };
    store.commit(&[Entry::Cursor(jail("a"), path.clone(), cursor.clone())]).unwrap();
    let written = rows(&place).remove(0);
    assert_eq!((&*written.2, &*written.3), ("2026-01-02T03:00:00Z", "1767322800"));
    assert_eq!(store.load("a", NOW).unwrap().cursors, [(path, cursor)]);
}
