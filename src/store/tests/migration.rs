//! Databases that Fail2Ban made, of all its versions: taken over, and given back.

use rusqlite::types::Value;

use super::*;

const OLD: &str = "
CREATE TABLE fail2banDb(version INTEGER);
CREATE TABLE jails(name TEXT NOT NULL UNIQUE, enabled INTEGER NOT NULL DEFAULT 1);
INSERT INTO jails VALUES ('sshd', 1);
CREATE INDEX jails_name ON jails(name);";
const LOGS_1: &str = "
CREATE TABLE logs(jail TEXT NOT NULL, path TEXT, firstlinemd5 TEXT, lastfilepos INTEGER DEFAULT 0,
  FOREIGN KEY(jail) REFERENCES jails(name) ON DELETE CASCADE, UNIQUE(jail, path));";
const LOGS_2: &str = "
CREATE TABLE logs(jail TEXT NOT NULL, path TEXT, firstlinemd5 TEXT, lastfilepos INTEGER DEFAULT 0,
  FOREIGN KEY(jail) REFERENCES jails(name) ON DELETE CASCADE, UNIQUE(jail, path), UNIQUE(jail, path, firstlinemd5));";
const LOGS: &str = "
CREATE INDEX logs_path ON logs(path); CREATE INDEX logs_jail_path ON logs(jail, path);
INSERT INTO logs VALUES ('sshd', '/nowhere/auth.log', '6c187bc8cb287130973fd01e9a2433e7', 46771);
INSERT INTO logs VALUES ('sshd', '/nowhere/empty.log', 'd41d8cd98f00b204e9800998ecf8427e', 0);";
const BANS_1: &str = "
CREATE TABLE bans(jail TEXT NOT NULL, ip TEXT, timeofban INTEGER NOT NULL, data JSON,
  FOREIGN KEY(jail) REFERENCES jails(name));
INSERT INTO bans VALUES ('sshd', '192.0.2.1', NOW - 500.25, '{\"matches\": [\"abc\\n\"], \"failures\": 3}');
INSERT INTO bans VALUES ('sshd', '192.0.2.2', NOW - 90000, '{\"matches\": [], \"failures\": 4}');
INSERT INTO bans VALUES ('sshd', '192.0.2.1', NOW - 9000, '{\"matches\": [], \"failures\": 1}');
INSERT INTO bans VALUES ('sshd', NULL, NOW, NULL);";
const BANS_3: &str = "
CREATE TABLE bans(jail TEXT NOT NULL, ip TEXT, timeofban INTEGER NOT NULL, bantime INTEGER NOT NULL,
  bancount INTEGER NOT NULL default 1, data JSON, FOREIGN KEY(jail) REFERENCES jails(name));
INSERT INTO bans VALUES ('sshd', '192.0.2.1', NOW - 500, 15552000, 7, '{\"matches\": [], \"failures\": 3}');
INSERT INTO bans VALUES ('sshd', '192.0.2.1', NOW - 9000, 600, 6, NULL);
INSERT INTO bans VALUES ('sshd', '192.0.2.1', NOW - 500, 15552000, 8, '{\"matches\": [[\"a\", \"b\", \"c\"]], \"failures\": 5}');
INSERT INTO bans VALUES ('sshd', '192.0.2.2', NOW - 90000, -1, 1, NULL);
INSERT INTO bans VALUES ('sshd', '192.0.2.3', NOW - 90000, 600, 1, NULL);";
const BIPS: &str = "
CREATE TABLE bips(ip TEXT NOT NULL, jail TEXT NOT NULL, timeofban INTEGER NOT NULL, bantime INTEGER NOT NULL,
  bancount INTEGER NOT NULL default 1, data JSON, PRIMARY KEY(ip, jail), FOREIGN KEY(jail) REFERENCES jails(name));";
const BANS: &str = "
CREATE INDEX bans_jail_timeofban_ip ON bans(jail, timeofban);
CREATE INDEX bans_jail_ip ON bans(jail, ip); CREATE INDEX bans_ip ON bans(ip);";

/// A file as a Fail2Ban of that version of the schema left it.
fn made(version: i64) -> Place {
    let place = place();
    let mut sql = OLD.to_owned() + if version < 2 { LOGS_1 } else { LOGS_2 } + LOGS;
    sql += if version < 3 { BANS_1 } else { BANS_3 };
    sql += BANS;
    if version > 3 {
        sql += BIPS;
        sql += "INSERT INTO bips SELECT ip, jail, timeofban, bantime, bancount, data FROM bans WHERE bancount <> 7 AND bancount <> 6;";
    }
    let sqlite = place.foreign();
    sqlite.execute_batch(&sql.replace("NOW", &NOW.secs().to_string())).unwrap();
    sqlite.execute("INSERT INTO fail2banDb VALUES (?1)", [version]).unwrap();
    place
}

fn beside(place: &Place) -> Vec<String> {
    let names = fs::read_dir(place.path.parent().unwrap()).unwrap();
    let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

fn dump(sqlite: &rusqlite::Connection, sql: &str) -> Vec<Vec<Value>> {
    let mut statement = sqlite.prepare(sql).unwrap();
    let columns = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| (0..columns).map(|column| row.get(column)).collect();
    statement.query_map([], row).unwrap().map(Result::unwrap).collect()
}

/// The sentences of the present schema, as SQLite keeps them, but for spaces and the names' quotes.
fn schema(sqlite: &rusqlite::Connection, table: &str) -> Vec<String> {
    let sql = "SELECT sql FROM sqlite_schema WHERE tbl_name = ?1 AND sql IS NOT NULL ORDER BY name";
    let mut statement = sqlite.prepare(sql).unwrap();
    let plain = |sql: String| sql.replace('"', "").split_whitespace().collect::<String>().to_lowercase();
    statement.query_map([table], |row| row.get(0)).unwrap().map(|sql| plain(sql.unwrap())).collect()
}

#[test]
fn every_version_is_taken_over_in_place_with_a_copy_beside_it() {
    for version in 1..=4 {
        let place = made(version);
        let before = dump(&place.foreign(), "SELECT * FROM bans ORDER BY rowid");
        let Opened { mut store, set_aside, taken_over } = Store::open(&place.path, NOW).unwrap();
        assert_eq!(set_aside, None, "{version}");
        let taken = taken_over.unwrap_or_else(|| panic!("{version}: nothing was taken over"));
        let (in_force, unknown, history) = if version < 3 { (0, 2, 4) } else { (2, 0, 5) };
        let got = (taken.version, taken.in_force, taken.unknown, taken.history, taken.positions);
        assert_eq!(got, (version, in_force, unknown, history, 1));
        let copy = rusqlite::Connection::open(&taken.backup).unwrap();
        assert_eq!(copy.query_row("SELECT version FROM fail2banDb", [], |row| row.get(0)), Ok(version));
        assert_eq!(dump(&copy, "SELECT * FROM bans ORDER BY rowid"), before, "{version}");
        let name = taken.backup.file_name().unwrap().to_str().unwrap();
        let stamp = name.strip_prefix("stockade.sqlite3.").unwrap();
        assert!(jiff::civil::DateTime::strptime("%Y%m%d-%H%M%S", stamp).is_ok(), "{name}");
        assert_eq!(fs::metadata(&taken.backup).unwrap().permissions().mode() & 0o777, 0o600);

        let sqlite = place.foreign();
        assert_eq!(sqlite.query_row("SELECT version FROM fail2banDb", [], |row| row.get(0)), Ok(4));
        assert_eq!(sqlite.query_row("PRAGMA integrity_check", [], |row| row.get(0)), Ok("ok".to_owned()));
        assert_eq!(dump(&sqlite, "PRAGMA foreign_key_check"), Vec::<Vec<Value>>::new());
        let fresh = Store::in_memory().unwrap();
        for table in ["fail2banDb", "jails", "logs", "bips"] {
            assert_eq!(schema(&sqlite, table), schema(&fresh.sqlite, table), "{version}: {table}");
        }
        let bans = store.load("sshd", NOW).unwrap();
        let found: Vec<_> = bans
            .bans
            .iter()
            .map(|ban| {
                (
                    ban.id.to_string(),
                    ban.until().map(|until| until.secs() - NOW.secs()),
                    ban.count,
                    ban.failures,
                    ban.lines.concat(),
                )
            })
            .collect();
        let [one, two] = ["192.0.2.1", "192.0.2.2"].map(str::to_owned);
        if version < 3 {
            assert_eq!(found, [(two, None, 1, 4, String::new()), (one, None, 1, 3, "abc\n".into())]);
            assert_eq!((bans.timeless.len(), bans.inherited.len()), (2, 0), "the jail says how long");
        } else {
            let long = 15_552_000 - 500;
            assert_eq!(found, [(two, None, 1, 0, String::new()), (one, Some(long), 8, 5, "abc".into())]);
            assert_eq!((bans.timeless.len(), bans.inherited.len()), (0, 2));
            let past = store.past("sshd", &Id::parse("192.0.2.3")).unwrap();
            assert_eq!(past.map(|past| past.count), Some(1), "{version}");
        }
        drop(store);
        let Opened { taken_over, .. } = Store::open(&place.path, NOW).unwrap();
        assert_eq!(taken_over, None, "{version}: once is enough");
    }
}

#[test]
fn what_was_taken_over_is_one_sentence() {
    let place = made(3);
    let taken = Store::open(&place.path, NOW).unwrap().taken_over.unwrap();
    let sentence = format!(
        "Fail2Ban's database (version 3) was taken over: 2 bans in force, 5 in the history, 1 log positions; \
         as it was it lies in {}",
        taken.backup.display()
    );
    assert_eq!(taken.to_string(), sentence);
}

#[test]
fn a_copy_never_overwrites_another() {
    let place = made(4);
    let first = Store::open(&place.path, NOW).unwrap().taken_over.unwrap().backup;
    let kept = fs::read(&first).unwrap();
    // An operator goes back by hand, and comes again within the second.
    fs::copy(&first, &place.path).unwrap();
    let second = Store::open(&place.path, NOW).unwrap().taken_over.unwrap().backup;
    assert_eq!(second, PathBuf::from(format!("{}-1", first.display())));
    assert_eq!(fs::read(&first).unwrap(), kept);
}

#[test]
fn without_a_copy_nothing_is_changed() {
    let place = made(2);
    let before = fs::read(&place.path).unwrap();
    let part = super::super::beside(&place.path, ".part");
    fs::create_dir(&part).unwrap();
    let error = Store::open(&place.path, NOW).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`store` is Fail2Ban's database and was left untouched, for it cannot be backed up: Is a directory (os error 21)"
    );
    assert_eq!(fs::read(&place.path).unwrap(), before);
    // What an interrupted attempt left is no hindrance.
    fs::remove_dir(&part).unwrap();
    fs::write(&part, "half").unwrap();
    assert!(Store::open(&place.path, NOW).unwrap().taken_over.is_some());
    assert!(!part.exists(), "{:?}", beside(&place));
}

#[test]
fn a_newer_version_is_refused_and_left_alone() {
    let place = made(4);
    place.foreign().execute_batch("UPDATE fail2banDb SET version = 5").unwrap();
    let before = fs::read(&place.path).unwrap();
    let error = Store::open(&place.path, NOW).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`store` is a Fail2Ban database of version 5, newer than any known here: name another file"
    );
    assert_eq!(fs::read(&place.path).unwrap(), before);
}

/// Between two steps of Fail2Ban's own upgrade the tables may be there and empty.
#[test]
fn an_upgrade_that_fail2ban_did_not_finish_is_finished() {
    let place = made(3);
    place.foreign().execute_batch(&format!("{BIPS} UPDATE fail2banDb SET version = 4")).unwrap();
    assert_eq!(place.open().load("sshd", NOW).unwrap().bans.len(), 2);
}

#[test]
fn a_transaction_that_a_crash_interrupted_is_undone_first() {
    let (place, crashed) = (made(4), super::place());
    let sqlite = place.foreign();
    sqlite.execute_batch("PRAGMA cache_size = 1; PRAGMA journal_mode = DELETE").unwrap();
    sqlite.execute_batch("BEGIN; UPDATE bips SET ip = ip || 'x', data = zeroblob(100000)").unwrap();
    for end in ["", "-journal"] {
        let of = |place: &Place| super::super::beside(&place.path, end);
        fs::copy(of(&place), of(&crashed)).unwrap();
    }
    let Opened { mut store, taken_over, .. } = Store::open(&crashed.path, NOW).unwrap();
    let ids = |store: &mut Store| -> Vec<String> {
        store.load("sshd", NOW).unwrap().bans.iter().map(|ban| ban.id.to_string()).collect()
    };
    assert_eq!(ids(&mut store), ["192.0.2.2", "192.0.2.1"]);
    let copy = rusqlite::Connection::open(taken_over.unwrap().backup).unwrap();
    assert_eq!(copy.query_row("SELECT count(*) FROM bips WHERE ip LIKE '%x'", [], |row| row.get(0)), Ok(0));
}

#[test]
fn nothing_in_the_file_runs_and_nothing_in_it_fills_the_memory() {
    let place = made(3);
    let hostile = "
      CREATE TABLE marks(what TEXT);
      CREATE TRIGGER t1 AFTER INSERT ON bans BEGIN INSERT INTO marks VALUES ('ran'); END;
      CREATE TRIGGER t2 AFTER UPDATE ON fail2banDb BEGIN DELETE FROM bans; END;
      CREATE TRIGGER t3 AFTER DELETE ON bans BEGIN INSERT INTO marks VALUES ('ran'); END;
      CREATE VIEW harmless AS SELECT * FROM bans;
      PRAGMA foreign_keys = OFF;
      INSERT INTO bans VALUES ('sshd', '192.0.2.20', NOW, 600, 1, zeroblob(30000000));
      INSERT INTO bans VALUES ('sshd', CAST(x'3139322e302e322e323100ff' AS TEXT), NOW, 600, 1, NULL);
      INSERT INTO bans VALUES ('sshd', CAST(zeroblob(5000) AS TEXT), NOW, 600, 1, NULL);
      INSERT INTO bans VALUES ('sshd', x'00ff', NOW, 600, 1, 17);
      INSERT INTO bans VALUES ('sshd', '192.0.2.22', 'soon', 600, 1, NULL);
      INSERT INTO bans VALUES ('gone', '192.0.2.23', NOW, 1e300, 1e300, 'x');
      DELETE FROM marks;";
    place.foreign().execute_batch(&hostile.replace("NOW", &NOW.secs().to_string())).unwrap();
    let Opened { mut store, set_aside, taken_over } = Store::open(&place.path, NOW).unwrap();
    assert_eq!(set_aside, None);
    assert_eq!(taken_over.unwrap().history, 5 + 6);
    store.commit(&[Entry::Banned(jail("sshd"), ban("192.0.2.30", 0))]).unwrap();
    store.commit(&[Entry::Forgotten(jail("sshd"), Some(Id::parse("192.0.2.3")))]).unwrap();
    let ids: Vec<String> =
        store.load("sshd", NOW).unwrap().bans.iter().map(|ban| ban.id.to_string()).collect();
    assert_eq!(ids, ["192.0.2.2", "192.0.2.1", "192.0.2.20", "192.0.2.30"]);
    assert_eq!(store.load("gone", NOW).unwrap().bans, []);
    let marks = place.foreign().query_row("SELECT count(*) FROM marks", [], |row| row.get::<_, i64>(0));
    assert_eq!(marks, Ok(0));
}

/// A ban that gets another end keeps what was written of it; one with more failures keeps what it does not know.
#[test]
fn what_did_not_change_stays_as_fail2ban_wrote_it() {
    let place = made(4);
    let theirs = r#"{"matches": [["", "Nov 26 10:31:49", " sshd: x"], "line"], "failures": 3, "n": 1.50, "l": [1, {"a": null}], "users": "['u']", "user": "u", "b": true}"#;
    place.foreign().execute("UPDATE bips SET data = CAST(?1 AS BLOB)", [theirs]).unwrap();
    let mut store = place.open();
    let data = |ip: &str| -> String {
        let sql = "SELECT CAST(data AS TEXT) FROM bips WHERE ip = ?1 AND typeof(data) = 'blob'";
        place.foreign().query_row(sql, [ip], |row| row.get(0)).unwrap()
    };
    let longer = |ban: &Ban| Ban { sentence: Sentence(Some(WEEK * 99)), ..ban.clone() };
    let bans = store.load("sshd", NOW).unwrap().bans;
    assert_eq!(bans[0].lines.concat(), "Nov 26 10:31:49 sshd: xline");
    let without_lines = Ban { lines: Vec::new(), data: Vec::new(), ..longer(&bans[0]) };
    for ban in [longer(&bans[0]), without_lines] {
        store.commit(&[Entry::Prolonged(jail("sshd"), ban)]).unwrap();
        assert_eq!(data("192.0.2.2"), theirs);
    }
    // Python writes what is no JSON; that is left alone as well.
    place
        .foreign()
        .execute("UPDATE bips SET data = CAST('{\"n\": NaN}' AS BLOB) WHERE ip = '192.0.2.1'", [])
        .unwrap();
    let unread = store.load("sshd", NOW).unwrap().bans.remove(1);
    store.commit(&[Entry::Prolonged(jail("sshd"), longer(&unread))]).unwrap();
    assert_eq!(data("192.0.2.1"), "{\"n\": NaN}");
    let mut worse = longer(&bans[0]);
    worse.failures = 4;
    worse.lines.push("new".into());
    worse.data.retain(|(name, _)| &**name != "user");
    worse.data.push(("user".into(), "v".into()));
    store.commit(&[Entry::Prolonged(jail("sshd"), worse)]).unwrap();
    let want = r#"{"matches": [["", "Nov 26 10:31:49", " sshd: x"], "line", "new"], "failures": 4, "n": 1.50, "l": [1, {"a": null}], "users": "['u']", "user": "v", "b": true}"#;
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(json(&data("192.0.2.2")), json(want));
}

#[test]
fn as_many_lines_are_kept_as_dbmaxmatches_says() {
    let place = place();
    let mut store = place.open();
    let lines = |n: u32| (0..n).map(|n| n.to_string().as_str().into()).collect::<Vec<Arc<str>>>();
    for (matches, want) in [(MATCHES, 10), (2, 2), (0, 0)] {
        store.keep_matches(matches);
        store.commit(&[Entry::Banned(jail("j"), Ban { lines: lines(12), ..ban("192.0.2.1", 0) })]).unwrap();
        let kept = store.load("j", NOW).unwrap().bans.remove(0).lines;
        assert_eq!(kept, lines(12)[12 - want..]);
        let sql = "SELECT json_type(data, '$.matches') FROM bips";
        let kind = place.foreign().query_row(sql, [], |row| row.get::<_, Option<String>>(0)).unwrap();
        assert_eq!(kind.is_some(), matches > 0, "Fail2Ban writes none of them, not an empty list");
        let evidence = store.evidence(&Id::parse("192.0.2.1"), None).unwrap();
        assert_eq!(evidence.lines.len(), matches);
    }
}

#[test]
fn at_the_end_the_file_is_whole_and_no_jail_runs() {
    let place = place();
    let mut store = place.open();
    store.jails(&[jail("a")]).unwrap();
    store.commit(&[Entry::Banned(jail("b"), ban("192.0.2.1", 0))]).unwrap();
    let mode =
        || -> String { place.foreign().query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap() };
    assert_eq!(mode(), "wal");
    store.close().unwrap();
    drop(store);
    assert_eq!(mode(), "delete");
    assert_eq!(beside(&place), ["stockade.sqlite3", "stockade.sqlite3.lock"]);
    let enabled = place.foreign().query_row("SELECT sum(enabled) FROM jails", [], |row| row.get(0));
    assert_eq!(enabled, Ok(0));
    assert_eq!(place.open().load("b", NOW).unwrap().bans.len(), 1);
}

#[test]
fn somebody_who_reads_does_not_keep_it_from_ending() {
    let place = place();
    let mut store = place.open();
    store.commit(&[Entry::Banned(jail("b"), ban("192.0.2.1", 0))]).unwrap();
    let reader = place.foreign();
    reader.execute_batch("BEGIN; SELECT * FROM bips").unwrap();
    assert!(store.close().is_err());
    drop(store);
    reader.execute_batch("COMMIT").unwrap();
    drop(reader);
    assert_eq!(place.open().load("b", NOW).unwrap().bans.len(), 1);
}
