//! What comes back.

use super::*;

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
        counters: vec![(Id::parse("192.0.2.9"), record(2))],
        state: Some(vec![0, 255, 10]),
        waiting: Some(vec![10, 0, 255]),
        cursors: vec![(odd, cursor(u64::MAX))],
        ..Saved::default()
    };
    assert_eq!(store.load("sshd", NOW).unwrap(), sshd);
    let all = store.load_all(&["none", "sshd", "other"], NOW).unwrap();
    assert_eq!(all[0], Saved::default());
    assert_eq!(all[1], sshd);
    assert_eq!(all[2].bans, [restored(ban("203.0.113.1", 1))]);
    assert_eq!(all[2].cursors, [(Path::new("/x").into(), cursor(1))]);
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
    row(&"192.0.2.3", &NOW.secs(), &b"1".to_vec(), b"{}");
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
            "INSERT INTO stockade_runs VALUES ('j', 1, 0, 'text');
             INSERT INTO stockade_runs VALUES ('j', 1, 1, x'0500c000020201ff');
             INSERT INTO stockade_runs VALUES ('j', 2, 0, x'0500c000020314000000000000000000000000000000000000000099');
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
    assert_eq!(saved.over, [Id::parse("192.0.2.6")], "the other is over for ages");
    assert_eq!((saved.cursors, saved.state, saved.skipped), (vec![], None, 5 + 3 + 2 + 1));
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
fn many_bans_come_in_parts_the_oldest_first() {
    let place = place();
    let mut store = place.open();
    let entries: Vec<Entry> = (0..4500_u32)
        .map(|n| {
            let id = Id::Net(std::net::IpAddr::from(Ipv4Addr::from(n)).into());
            let jail = jail(if n < 4498 { "j" } else { "k" });
            Entry::Banned(jail, Ban { id, ..ban("::1", u64::from(n % 100)) })
        })
        .collect();
    store.commit(&entries).unwrap();
    let whole = store.load("j", NOW).unwrap();
    let mut parts = Vec::new();
    let mut each = |place, part: Saved| parts.push((place, part.bans));
    let last = store.load_in_parts(&["none", "j", "k"], NOW, &mut each).unwrap();
    let mut last = last.into_iter().map(Result::unwrap);
    assert_eq!(last.next(), Some(Saved::default()));
    parts.push((1, last.next().unwrap().bans));
    assert_eq!(last.next(), store.load("k", NOW).ok());
    assert!(parts.iter().all(|(place, _)| *place == 1));
    let parts: Vec<_> = parts.into_iter().map(|(_, bans)| bans).collect();
    assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [2000, 2000, 498]);
    let bans = parts.concat();
    assert!(bans.is_sorted_by_key(|ban| ban.time));
    assert_eq!(bans, whole.bans);
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

/// Version 1 of our tables had a row for each counter.
#[test]
fn counters_of_an_older_version_go_on() {
    let place = place();
    let mut store = place.open();
    store.commit(&[Entry::Counter(jail("j"), Id::parse("192.0.2.1"), Some(record(7)))]).unwrap();
    drop(store);
    let data = "[[\"one\",\"two\"],[[\"user\",\"x\"]]]";
    let sqlite = place.foreign();
    sqlite
        .execute_batch(
            "PRAGMA user_version = 1;
             CREATE TABLE stockade_counters(
                 jail TEXT NOT NULL, id TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
                 retry INTEGER NOT NULL, failures INTEGER NOT NULL, data BLOB, PRIMARY KEY(jail, id)) WITHOUT ROWID;",
        )
        .unwrap();
    for (id, retry) in [("192.0.2.3", 2), ("2001:db8::/64", 3), ("user", -1)] {
        let record = record(3);
        sqlite
            .execute(
                "INSERT INTO stockade_counters VALUES ('j', ?1, ?2, ?3, ?4, ?4 + 1, CAST(?5 AS BLOB))",
                params![id, record.first.micros(), record.last.micros(), retry, data],
            )
            .unwrap();
    }
    drop(sqlite);
    for _ in 0..2 {
        let saved = place.open().load("j", NOW).unwrap();
        let want = [("192.0.2.3", 2), ("2001:db8::/64", 3)].map(|(id, retry)| (Id::parse(id), record(retry)));
        assert_eq!((saved.counters, saved.skipped), (want.to_vec(), 0));
    }
    let left = "SELECT count(*) FROM sqlite_schema WHERE name = 'stockade_counters'";
    assert_eq!(place.foreign().query_row(left, [], |row| row.get::<_, i64>(0)), Ok(0));
}
