//! What is written.

use super::*;

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

/// But for two indices of Fail2Ban's that only cost.
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
            "bans_ip(ip), bans_jail_timeofban_ip(jail,timeofban,ip)",
        ),
        (
            "bips",
            "ip TEXT key1, jail TEXT key2, timeofban INTEGER, bantime INTEGER, bancount INTEGER =1, data JSON",
            "bips_timeofban(timeofban)",
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
    assert_eq!(rows("SELECT jail FROM stockade_runs"), "");
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

/// Many small commits of counters: runs are merged, across restarts, and the last word about each holds.
#[test]
fn counters_are_as_they_were_written_last() {
    let place = place();
    let mut want = std::collections::BTreeMap::new();
    let mut store = place.open();
    for n in 0..300_u32 {
        let id = |step: u32| Id::parse(&format!("192.0.2.{}", (n * step) % 97));
        let many = if n % 50 == 0 { 0..40 } else { 0..2 };
        let mut entries = Vec::new();
        for step in many {
            let counter = (step % 3 != 1).then(|| record(n));
            entries.push(Entry::Counter(jail("j"), id(step + 1), counter.clone()));
            entries.push(Entry::Counter(
                jail(if n % 2 == 0 { "even" } else { "odd" }),
                id(1),
                Some(record(n)),
            ));
            want.insert(id(step + 1), counter);
        }
        store.commit(&entries).unwrap();
        if n % 70 == 69 {
            drop(store);
            store = place.open();
        }
    }
    let mut saved = store.load_all(&["j", "even"], NOW).unwrap();
    let sorted = |saved: &mut Saved| {
        saved.counters.sort_by(|(one, _), (other, _)| one.cmp(other));
        std::mem::take(&mut saved.counters)
    };
    let want: Vec<_> = want.into_iter().filter_map(|(id, record)| Some((id, record?))).collect();
    assert_eq!(sorted(&mut saved[0]), want);
    assert_eq!(saved[1].counters.len(), 97);
    let runs = "SELECT count(DISTINCT run) FROM stockade_runs WHERE jail = 'j'";
    let runs: i64 = place.foreign().query_row(runs, [], |row| row.get(0)).unwrap();
    assert!(runs <= 40, "{runs} runs");
}
