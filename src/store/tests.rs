use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use rusqlite::params;
use tempfile::TempDir;

use super::*;
use crate::action::template::Evidence;
use crate::jail::Past;
use crate::sentence::Sentence;
use crate::time::UnixTime;

const NOW: UnixTime = UnixTime::from_secs(1_767_323_045);
const WEEK: Duration = Duration::from_secs(604_800);
const DAY: Duration = Duration::from_secs(86_400);

struct Place {
    _dir: TempDir,
    path: PathBuf,
}

fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stockade.sqlite3");
    Place { _dir: dir, path }
}

impl Place {
    fn open(&self) -> Store {
        let opened = Store::open(&self.path, NOW).unwrap();
        assert_eq!(opened.set_aside, None);
        opened.store
    }

    /// As an operator with the `sqlite3` program, or another program, meets the file.
    fn foreign(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(&self.path).unwrap()
    }
}

fn jail(name: &str) -> Arc<str> {
    name.into()
}

fn ban(id: &str, ago: u64) -> Ban {
    Ban {
        id: Id::parse(id),
        time: NOW - Duration::from_secs(ago),
        sentence: Sentence(Some(WEEK)),
        count: 2,
        failures: 6,
        lines: vec!["a \"line\"\t\u{fffd}".into(), "another".into()],
        data: vec![("port".into(), "22".into()), ("user".into(), "röot".into())],
        restored: false,
    }
}

fn restored(ban: Ban) -> Ban {
    Ban { restored: true, ..ban }
}

fn record(retry: u32) -> Record {
    Record {
        first: NOW - Duration::from_micros(1_500_001),
        last: NOW,
        retry,
        failures: retry + 1,
        lines: vec!["one".into(), "two".into()],
        data: vec![("user".into(), "x".into())],
    }
}

fn cursor(offset: u64) -> Cursor {
    Cursor {
        dev: u64::MAX,
        inode: 1 << 63,
        offset,
        head_len: 4096,
        head_hash: u64::MAX - 1,
        live: true,
        read_at: NOW,
        before: Some(Box::new(Cursor { offset: 7, ..Cursor::default() })),
        unfinished: Vec::new(),
        journal: None,
    }
}

#[test]
fn everything_comes_back() {
    let place = place();
    let odd: Arc<Path> = Path::new(std::ffi::OsStr::from_bytes(b"/var/log/\xff.log")).into();
    let forever = Ban { sentence: Sentence(None), ..ban("2001:db8::1", 9_999_999) };
    let bans = [ban("192.0.2.7", 300), ban("198.51.100.0/24", 200), ban("a user's name", 100), forever];
    let mut entries: Vec<Entry> = bans.iter().map(|ban| Entry::Banned(jail("sshd"), ban.clone())).collect();
    entries.extend([
        Entry::Counter(jail("sshd"), Id::parse("192.0.2.9"), Some(record(2))),
        Entry::State(jail("sshd"), vec![0, 255, 10]),
        Entry::Waiting(jail("sshd"), vec![10, 0, 255]),
        Entry::Cursor(jail("sshd"), Arc::clone(&odd), cursor(u64::MAX)),
        Entry::Banned(jail("other"), ban("203.0.113.1", 1)),
        Entry::Cursor(jail("other"), Path::new("/x").into(), cursor(1)),
    ]);
    place.open().commit(&entries).unwrap();
    let mut store = place.open();
    let [first, second, third, forever] = bans.map(restored);
    let sshd = Saved {
        bans: vec![forever, first, second, third],
        untold: Vec::new(),
        counters: vec![(Id::parse("192.0.2.9"), record(2))],
        state: Some(vec![0, 255, 10]),
        waiting: Some(vec![10, 0, 255]),
        cursors: vec![(odd, cursor(u64::MAX))],
        skipped: 0,
    };
    assert_eq!(store.load("sshd", NOW).unwrap(), sshd);
    let all = store.load_all(&["none", "sshd", "other"], NOW).unwrap();
    assert_eq!(all[0], Saved::default());
    assert_eq!(all[1], sshd);
    assert_eq!(all[2].bans, [restored(ban("203.0.113.1", 1))]);
    assert_eq!(all[2].cursors, [(Path::new("/x").into(), cursor(1))]);
}

#[test]
fn entries_count_in_their_order() {
    let place = place();
    let mut store = place.open();
    let address = Id::parse("192.0.2.7");
    let again = Ban { count: 3, ..ban("192.0.2.7", 5) };
    let longer = Ban { sentence: Sentence(Some(2 * WEEK)), ..again.clone() };
    for (entries, want, rows) in [
        (vec![Entry::Banned(jail("j"), ban("192.0.2.7", 10))], Some(ban("192.0.2.7", 10)), 1),
        (vec![Entry::Banned(jail("j"), restored(ban("192.0.2.7", 1)))], Some(ban("192.0.2.7", 10)), 1),
        (vec![Entry::Banned(jail("j"), again)], Some(Ban { count: 3, ..ban("192.0.2.7", 5) }), 2),
        (vec![Entry::Prolonged(jail("j"), longer.clone())], Some(longer), 2),
        (vec![Entry::Forgotten(jail("other"), Some(address.clone()))], None, 2),
        (vec![Entry::Forgotten(jail("j"), Some(address.clone()))], None, 0),
        (
            vec![
                Entry::Banned(jail("j"), ban("192.0.2.7", 4)),
                Entry::Forgotten(jail("j"), Some(address.clone())),
                Entry::Banned(jail("j"), ban("192.0.2.7", 3)),
                Entry::Banned(jail("j"), ban("192.0.2.6", 3)),
                Entry::Banned(jail("j"), ban("192.0.2.7", 2)),
                Entry::Forgotten(jail("j"), Some(Id::parse("192.0.2.6"))),
            ],
            Some(ban("192.0.2.7", 2)),
            2,
        ),
    ] {
        let unchanged = matches!(&entries[..], [Entry::Forgotten(jail, _)] if &**jail == "other");
        store.commit(&entries).unwrap();
        let saved = store.load("j", NOW).unwrap().bans;
        if !unchanged {
            assert_eq!(saved, Vec::from_iter(want.map(restored)), "{entries:?}");
        }
        let history =
            place.foreign().query_row("SELECT count(*) FROM bans WHERE ip = '192.0.2.7'", [], |row| {
                row.get::<_, i64>(0)
            });
        assert_eq!(history, Ok(rows), "{entries:?}");
    }
    let counter = |record| Entry::Counter(jail("j"), address.clone(), record);
    store.commit(&[counter(Some(record(1))), counter(None), counter(Some(record(5)))]).unwrap();
    assert_eq!(store.load("j", NOW).unwrap().counters, [(address.clone(), record(5))]);
    store.commit(&[counter(None)]).unwrap();
    assert_eq!(store.load("j", NOW).unwrap().counters, []);
}

#[test]
fn a_commit_is_whole_or_nothing() {
    let place = place();
    let mut store = place.open();
    place.foreign().execute_batch("DROP TABLE stockade_state").unwrap();
    let entries = [
        Entry::Banned(jail("sshd"), ban("192.0.2.7", 1)),
        Entry::Cursor(jail("sshd"), Path::new("/x").into(), cursor(1)),
        Entry::State(jail("sshd"), vec![1]),
    ];
    assert!(store.commit(&entries).is_err());
    let count = |sql| place.foreign().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT (SELECT count(*) FROM bans) + (SELECT count(*) FROM bips)"), 0);
    assert_eq!(count("SELECT count(*) FROM stockade_cursors"), 0);
    assert_eq!(count("SELECT count(*) FROM jails"), 0);
    // The jail's row went with the rest, and comes again.
    store.commit(&entries[..2]).unwrap();
    assert_eq!(count("SELECT count(*) FROM jails"), 1);
    assert_eq!(count("SELECT count(*) FROM stockade_cursors"), 1);
}

#[test]
fn a_ban_in_the_tables_is_as_fail2ban_writes_it() {
    let place = place();
    let mut store = place.open();
    let rounded = Ban { time: UnixTime::from_micros(1_767_323_045_500_000), ..ban("192.0.2.7", 0) };
    let forever = Ban { sentence: Sentence(None), lines: vec![], data: vec![], ..ban("::1", 0) };
    store.commit(&[Entry::Banned(jail("sshd"), rounded), Entry::Banned(jail("sshd"), forever)]).unwrap();
    for table in ["bans", "bips"] {
        let sql = format!(
            "SELECT jail || ' ' || ip || ' ' || timeofban || ' ' || bantime || ' ' || bancount || ' '
               || typeof(data) || ' ' || CAST(data AS TEXT) FROM {table} ORDER BY ip"
        );
        let foreign = place.foreign();
        let mut statement = foreign.prepare(&sql).unwrap();
        let rows: Vec<String> =
            statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        assert_eq!(
            rows,
            [
                "sshd 192.0.2.7 1767323046 604800 2 blob {\"matches\":[\"a \\\"line\\\"\\t\u{fffd}\",\"another\"],\
                 \"failures\":6,\"port\":\"22\",\"user\":\"röot\"}",
                "sshd ::1 1767323045 -1 2 blob {\"matches\":[],\"failures\":6}",
            ]
            .map(str::to_owned)[..],
            "{table}"
        );
    }
}

#[test]
fn the_schema_is_version_4() {
    let place = place();
    place.open();
    let sqlite = place.foreign();
    assert_eq!(sqlite.query_row("SELECT version FROM fail2banDb", [], |row| row.get(0)), Ok(4));
    let list = |sql: &str| -> String {
        let mut statement = sqlite.prepare(sql).unwrap();
        let rows: Vec<String> =
            statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        rows.join(", ")
    };
    for (table, columns, indices) in [
        ("fail2banDb", "version INTEGER", ""),
        ("jails", "name TEXT, enabled INTEGER =1", "jails_name(name)"),
        (
            "logs",
            "jail TEXT, path TEXT, firstlinemd5 TEXT, lastfilepos INTEGER =0",
            "logs_jail_path(jail,path), logs_path(path)",
        ),
        (
            "bans",
            "jail TEXT, ip TEXT, timeofban INTEGER, bantime INTEGER, bancount INTEGER =1, data JSON",
            "bans_ip(ip), bans_jail_ip(jail,ip), bans_jail_timeofban_ip(jail,timeofban,ip)",
        ),
        (
            "bips",
            "ip TEXT key1, jail TEXT key2, timeofban INTEGER, bantime INTEGER, bancount INTEGER =1, data JSON",
            "bips_ip(ip), bips_timeofban(timeofban)",
        ),
    ] {
        let found = list(&format!(
            "SELECT name || ' ' || type || iif(pk, ' key' || pk, '') || ifnull(' =' || dflt_value, '')
             FROM pragma_table_info('{table}')"
        ));
        assert_eq!(found, columns, "{table}");
        let found = list(&format!(
            "SELECT name || '(' || (SELECT group_concat(name) FROM pragma_index_info(list.name)) || ')'
             FROM pragma_index_list('{table}') AS list WHERE origin = 'c' ORDER BY name"
        ));
        assert_eq!(found, indices, "{table}");
    }
}

type Harm = fn(&Path);

#[test]
fn a_damaged_file_is_set_aside() {
    let page = |sqlite: &rusqlite::Connection| sqlite.query_row("PRAGMA page_size", [], |row| row.get(0));
    let cases: [(&str, Harm, &str); 5] = [
        ("garbage", |path| fs::write(path, b"no database\n".repeat(1000)).unwrap(), "file is not a database"),
        (
            "a damaged page",
            |path| {
                let mut bytes = fs::read(path).unwrap();
                bytes[4096..].fill(0x5a);
                fs::write(path, bytes).unwrap();
            },
            "",
        ),
        (
            "cut short",
            |path| fs::OpenOptions::new().write(true).open(path).unwrap().set_len(5000).unwrap(),
            "",
        ),
        (
            "an old version",
            |path| {
                let sqlite = rusqlite::Connection::open(path).unwrap();
                sqlite.execute("UPDATE fail2banDb SET version = 2", []).unwrap();
            },
            "its schema has version 2, not 4",
        ),
        (
            "another shape",
            |path| {
                let sqlite = rusqlite::Connection::open(path).unwrap();
                sqlite.execute_batch("DROP TABLE bips; CREATE TABLE bips(ip TEXT)").unwrap();
            },
            "its tables are not as expected: no such column: timeofban",
        ),
    ];
    for (what, harm, reason) in cases {
        let place = place();
        place.open().commit(&[Entry::Banned(jail("sshd"), ban("192.0.2.7", 1))]).unwrap();
        assert_eq!(page(&place.foreign()), Ok(4096));
        harm(&place.path);
        let Opened { mut store, set_aside } = Store::open(&place.path, NOW).unwrap();
        let (aside, found) = set_aside.unwrap_or_else(|| panic!("{what}: taken as healthy"));
        assert_eq!(
            aside.file_name().unwrap().to_str(),
            Some("stockade.sqlite3.corrupt-20260102-030405"),
            "{what}"
        );
        assert!(aside.exists(), "{what}");
        assert!(found.starts_with(reason), "{what}: {found}");
        assert_eq!(store.load("sshd", NOW).unwrap(), Saved::default(), "{what}");
        store.commit(&[Entry::Banned(jail("sshd"), ban("192.0.2.8", 1))]).unwrap();
        // A second one in the same second gets a name of its own.
        let Opened { mut store, set_aside } = store.set_aside(NOW, "again".to_owned()).unwrap();
        let (aside, _) = set_aside.unwrap();
        assert!(aside.to_str().unwrap().ends_with(".corrupt-20260102-030405-1"), "{aside:?}");
        assert_eq!(store.load("sshd", NOW).unwrap(), Saved::default(), "{what}");
    }
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
    let Opened { mut store, set_aside } = Store::open(&place.path, NOW).unwrap();
    assert!(set_aside.is_some());
    assert_eq!(store.load("sshd", NOW).unwrap(), Saved::default());
}

fn wal(path: &Path) -> PathBuf {
    path.with_file_name(format!("{}-wal", path.file_name().unwrap().to_str().unwrap()))
}

/// What a kill leaves is the file and its journal as they are: a copy taken while the store is open.
#[test]
fn a_kill_loses_nothing() {
    let (place, killed) = (place(), self::place());
    let mut store = place.open();
    for n in 0..50_u8 {
        let address = Id::Net(Ipv4Addr::new(192, 0, 2, n).into());
        store
            .commit(&[
                Entry::Counter(jail("sshd"), address, Some(record(1))),
                Entry::Cursor(jail("sshd"), Path::new("/x").into(), cursor(u64::from(n))),
            ])
            .unwrap();
        fs::copy(&place.path, &killed.path).unwrap();
        fs::copy(wal(&place.path), wal(&killed.path)).unwrap();
        let saved = killed.open().load("sshd", NOW).unwrap();
        assert_eq!(saved.counters.len(), usize::from(n) + 1);
        assert_eq!(saved.cursors[0].1.offset, u64::from(n));
        let _ = fs::remove_file(&killed.path);
    }
}

#[test]
fn rows_that_make_no_sense_cost_themselves_alone() {
    let place = place();
    let mut store = place.open();
    store.commit(&[Entry::Banned(jail("j"), ban("192.0.2.1", 1))]).unwrap();
    let sqlite = place.foreign();
    let row = |ip: &dyn rusqlite::ToSql,
               time: &dyn rusqlite::ToSql,
               span: &dyn rusqlite::ToSql,
               data: &[u8]| {
        let sql =
            "INSERT INTO bips(jail, ip, timeofban, bantime, bancount, data) VALUES ('j', ?1, ?2, ?3, -5, ?4)";
        sqlite.execute(sql, params![ip, time, span, data]).unwrap();
    };
    // Nonsense.
    row(&"", &NOW.secs(), &600, b"{}");
    row(&b"\xff\xfe".to_vec(), &NOW.secs(), &600, b"{}");
    row(&"192.0.2.2", &"yesterday", &600, b"{}");
    row(&"192.0.2.3", &NOW.secs(), &1.5, b"{}");
    row(&"192.0.2.4", &NOW.secs(), &-7, b"{}");
    // Over.
    row(&"192.0.2.5", &i64::MIN, &600, b"{}");
    row(&"192.0.2.6", &(NOW.secs() - 600), &600, b"{}");
    // Odd, but a ban: what cannot be read of the data is left out.
    row(&"192.0.2.7", &i64::MAX, &i64::MAX, b"{\"failures\":99999999999,\"matches\":7,\"users\":\"['u']\"}");
    row(&"192.0.2.8", &NOW.secs(), &-1, b"not json");
    row(&"192.0.2.9", &NOW.secs(), &1, &b"[".repeat(100_000));
    row(
        &"192.0.2.10",
        &NOW.secs(),
        &600,
        b"{\"matches\":[[\"before \",\"date\",\" after\"],null,\"line\"],\"ip4\":{},\"n\":3,\"failures\":4}",
    );
    sqlite
        .execute_batch(
            "INSERT INTO stockade_counters VALUES ('j', '192.0.2.1', 1, 2, -1, 1, x'5b5b5d2c5b5d5d');
             INSERT INTO stockade_counters VALUES ('j', '192.0.2.2', 1, 2, 1, 1, 'text');
             INSERT INTO stockade_counters VALUES ('j', '192.0.2.3', 1, 2, 1, 1, x'5b5b5d2c5b5d5d');
             INSERT INTO stockade_cursors VALUES ('j', 'text', 1, x'7b7d');
             INSERT INTO stockade_cursors VALUES ('j', x'2f78', 1, x'7b7d');
             INSERT INTO stockade_state VALUES ('j', 'text');",
        )
        .unwrap();
    let saved = store.load("j", NOW).unwrap();
    let found: Vec<_> = saved
        .bans
        .iter()
        .map(|ban| (ban.id.to_string(), ban.count, ban.failures, ban.lines.join("|"), ban.data.len()))
        .collect();
    let want = [
        ("192.0.2.1", 2, 6, "a \"line\"\t\u{fffd}|another", 2),
        ("192.0.2.8", 1, 0, "", 0),
        ("192.0.2.9", 1, 0, "", 0),
        ("192.0.2.10", 1, 4, "before date after|line", 1),
        ("192.0.2.7", 1, u32::MAX, "", 1),
    ];
    let want: Vec<_> = want
        .map(|(id, count, failures, lines, data)| (id.to_owned(), count, failures, lines.to_owned(), data))
        .into();
    assert_eq!(found, want);
    assert!(saved.bans.last().unwrap().until().is_some());
    assert_eq!(saved.counters.iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>(), ["192.0.2.3"]);
    assert_eq!((saved.cursors, saved.state, saved.skipped), (vec![], None, 5 + 2 + 2 + 1));
}

#[test]
fn an_address_written_otherwise_can_be_pardoned() {
    let place = place();
    let mut store = place.open();
    store.jails(&[jail("j")]).unwrap();
    for (written, id) in [("192.0.2.77/24", "192.0.2.0/24"), ("2001:DB8::0:1", "2001:db8::1")] {
        for table in ["bans", "bips"] {
            let sql = format!(
                "INSERT INTO {table}(jail, ip, timeofban, bantime) VALUES ('j', ?1, {}, -1)",
                NOW.secs()
            );
            place.foreign().execute(&sql, [written]).unwrap();
        }
        assert_eq!(store.load("j", NOW).unwrap().bans[0].id, Id::parse(id), "{written}");
        assert_eq!(
            store.past("j", &Id::parse(id)).unwrap().map(|past| past.everywhere),
            Some(1),
            "{written}"
        );
        store.commit(&[Entry::Forgotten(jail("j"), Some(Id::parse(id)))]).unwrap();
        assert_eq!(store.load("j", NOW).unwrap().bans, [], "{written}");
        assert_eq!(store.past("j", &Id::parse(id)).unwrap(), None, "{written}");
    }
}

#[test]
fn past_the_budget_bans_come_without_their_lines() {
    let place = place();
    let mut store = place.open();
    let line: Arc<str> = "x".repeat(60_000).into();
    let entries: Vec<Entry> = (0..100_u8)
        .map(|n| {
            let id = Id::Net(Ipv4Addr::new(192, 0, 2, n).into());
            Entry::Banned(jail("j"), Ban { id, lines: vec![Arc::clone(&line)], ..ban("::1", 1) })
        })
        .collect();
    store.commit(&entries).unwrap();
    let bans = store.load("j", NOW).unwrap().bans;
    assert_eq!(bans.len(), 100);
    assert_eq!(bans.iter().filter(|ban| ban.lines.len() == 1).count(), (4 << 20) / 60_080);
    assert!(bans.iter().all(|ban| ban.failures == 6));
}

#[test]
fn the_past_of_an_address_is_what_its_last_bans_say() {
    let place = place();
    let mut store = place.open();
    let id = Id::parse("192.0.2.7");
    assert_eq!(store.past("a", &id).unwrap(), None);
    store
        .commit(&[
            Entry::Banned(jail("a"), Ban { count: 2, ..ban("192.0.2.7", 900) }),
            Entry::Banned(jail("a"), Ban { count: 3, ..ban("192.0.2.7", 600) }),
            Entry::Banned(jail("b"), Ban { count: 4, ..ban("192.0.2.7", 300) }),
            Entry::Banned(jail("a"), ban("192.0.2.8", 5)),
        ])
        .unwrap();
    let at = |ago| NOW - Duration::from_secs(ago);
    assert_eq!(store.past("a", &id).unwrap(), Some(Past { count: 3, last: at(600), everywhere: 7 }));
    assert_eq!(store.past("b", &id).unwrap(), Some(Past { count: 4, last: at(300), everywhere: 7 }));
    let elsewhere = store.past("c", &id).unwrap().unwrap();
    assert_eq!((elsewhere.count, elsewhere.everywhere), (0, 7));
    store.commit(&[Entry::Forgotten(jail("a"), None)]).unwrap();
    assert_eq!(store.past("b", &id).unwrap(), Some(Past { count: 4, last: at(300), everywhere: 4 }));
}

#[test]
fn a_store_in_memory_is_a_store() {
    let mut store = Store::in_memory().unwrap();
    store.commit(&[Entry::Banned(jail("a"), ban("192.0.2.7", 5))]).unwrap();
    assert_eq!(store.load("a", NOW).unwrap().bans, [restored(ban("192.0.2.7", 5))]);
}

#[test]
fn purging_keeps_what_may_still_matter() {
    let place = place();
    let mut store = place.open();
    store.jails(&[jail("on"), jail("off"), jail("empty"), jail("lately")]).unwrap();
    let span = |days: u32| Sentence(Some(DAY * days));
    let old = |jail_name: &str, id: &str, days: u32, sentence| {
        Entry::Banned(jail(jail_name), Ban { time: NOW - DAY * days, sentence, ..ban(id, 0) })
    };
    let read = |jail_name: &str, days: u32| {
        let cursor = Cursor { read_at: NOW - DAY * days, ..cursor(1) };
        Entry::Cursor(jail(jail_name), Path::new("/x").into(), cursor)
    };
    store
        .commit(&[
            old("on", "192.0.2.1", 3, span(1)),
            old("on", "192.0.2.2", 10, span(1)),
            old("on", "192.0.2.3", 10, span(9)),
            old("on", "192.0.2.4", 10, Sentence(None)),
            old("off", "192.0.2.5", 10, Sentence(None)),
            read("on", 30),
            read("off", 30),
            read("lately", 0),
            Entry::Counter(jail("off"), Id::parse("192.0.2.9"), Some(record(1))),
            Entry::State(jail("lately"), vec![1]),
        ])
        .unwrap();
    store.jails(&[jail("on")]).unwrap();
    let rows = |sql: &str| -> String {
        let sqlite = place.foreign();
        let mut statement = sqlite.prepare(sql).unwrap();
        let rows: Vec<String> =
            statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        rows.join(" ")
    };
    let enabled = "SELECT name || '=' || enabled FROM jails ORDER BY name";
    assert_eq!(rows(enabled), "empty=0 lately=0 off=0 on=1");
    // History: four rows of ten days ago. Last bans: 192.0.2.2 (over since nine days, more than three times its span).
    // Of `off`: a cursor and a counter; `empty` and `lately` have no bans and leave the list.
    assert_eq!(store.purge(NOW, DAY * 5).unwrap(), 4 + 1 + 2 + 2);
    assert_eq!(rows("SELECT ip FROM bans"), "192.0.2.1");
    assert_eq!(rows("SELECT ip FROM bips ORDER BY ip"), "192.0.2.1 192.0.2.3 192.0.2.4 192.0.2.5");
    assert_eq!(rows("SELECT jail FROM stockade_cursors ORDER BY jail"), "lately on");
    assert_eq!(rows("SELECT jail FROM stockade_counters"), "");
    assert_eq!(rows("SELECT jail FROM stockade_state"), "lately");
    assert_eq!(rows(enabled), "off=0 on=1");
    assert_eq!(store.purge(NOW, DAY * 5).unwrap(), 0);
    // A jail that left the list may ban again.
    store.commit(&[Entry::Banned(jail("lately"), ban("192.0.2.6", 0))]).unwrap();
    assert_eq!(rows(enabled), "lately=1 off=0 on=1");
}

#[test]
fn purging_gives_the_room_back() {
    let place = place();
    let mut store = place.open();
    let entries: Vec<Entry> = (0..5000_u32)
        .map(|n| Entry::Banned(jail("j"), Ban { id: Id::Net(Ipv4Addr::from(n).into()), ..ban("::1", 0) }))
        .collect();
    store.commit(&entries).unwrap();
    let pages = || place.foreign().query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0)).unwrap();
    let full = pages();
    assert_eq!(store.purge(NOW + WEEK * 10, DAY).unwrap(), 10_000);
    assert!(pages() < full / 10, "{} of {full} pages", pages());
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

#[test]
fn what_commands_are_told() {
    let place = place();
    let mut store = place.open();
    let lines = |text: &str| Ban {
        lines: vec![format!("{text} 1").into(), format!("{text} 2").into()],
        ..ban("192.0.2.7", 5)
    };
    let banned = |jail: &str, ban: Ban| Entry::Banned(jail.into(), ban);
    let (seven, eight) = (Id::parse("192.0.2.7"), Id::parse("192.0.2.8"));
    let entries = [
        banned("sshd", Ban { failures: 3, ..lines("old") }),
        banned("web", Ban { failures: 4, ..lines("web") }),
        banned("sshd", Ban { failures: 5, ..lines("new") }),
        Entry::Untold("sshd".into(), seven.clone()),
        Entry::Untold("sshd".into(), eight.clone()),
        Entry::Untold("web".into(), seven.clone()),
        Entry::Told("sshd".into(), eight),
    ];
    store.commit(&entries).unwrap();
    assert_eq!(store.load("sshd", NOW).unwrap().untold, std::slice::from_ref(&seven));
    let evidence = store.evidence(&seven, Some("sshd")).unwrap();
    assert_eq!((&*evidence.lines.concat(), evidence.failures), ("old 1old 2new 1new 2", 8));
    assert_eq!(store.evidence(&seven, None).unwrap().failures, 12);
    assert_eq!(store.evidence(&Id::parse("192.0.2.9"), None).unwrap(), Evidence::default());
    store.commit(&[Entry::Told("sshd".into(), seven)]).unwrap();
    assert_eq!(store.load("sshd", NOW).unwrap().untold, []);
}
