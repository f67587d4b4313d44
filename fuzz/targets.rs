//! What each fuzz target does with its bytes: called by `fuzz_targets/`, and for the kept corpora by the tests.
//!
//! Apart from panics, laws are looked after: a block means what its lines mean, a repeated date is the same date, what
//! is written can be read.

#![allow(dead_code, reason = "each target uses its own function")]

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use stockade::config::{self, Sources};
use stockade::control::request::{Request, Response};
use stockade::control::{pickle, talk, text};
use stockade::filter::date::{DateOptions, Dates, Zone};
use stockade::filter::{
    Fail2Ban, Filter, FilterOptions, Lines, Outcome, Reading, Scanner, Union, Wanted, line_ends,
};
use stockade::id::Id;
use stockade::logins;
use stockade::python::{Raised, Value};
use stockade::store::Store;
use stockade::time::UnixTime;

type Target = fn(&[u8]);

/// All of them, by the names of their corpora.
pub(crate) const ALL: [(&str, Target); 9] = [
    ("line", line),
    ("date", date),
    ("ini", ini),
    ("toml", toml),
    ("pickle", pickle),
    ("control", control),
    ("netlink", netlink),
    ("database", database),
    ("logins", logins),
];

/// 2026-01-02 03:04:05 UTC.
const NOW: UnixTime = UnixTime::from_secs(1_767_323_045);

/// The shipped filters, and one that knows connections and one that knows windows, as Fail2Ban has them.
fn filters() -> Vec<FilterOptions> {
    let nowhere = PathBuf::from("/nonexistent");
    let enabled = |jail: &str| (format!("jail.{jail}.enabled"), "true".to_owned());
    let flags = ["sshd", "postfix", "dovecot", "recidive"].map(enabled).to_vec();
    let sources = Sources { etc: nowhere.clone(), services: nowhere, flags, ..Sources::default() };
    let shipped = config::load(&sources);
    let mut options: Vec<_> = shipped.jails.into_iter().filter_map(|jail| jail.options.filter).collect();
    assert!(options.len() >= 4, "the shipped filters: {:?}", shipped.mistakes);
    let fail2ban = |prefix: Option<&str>, patterns: &[&str], ignore: &[&str], max_lines| FilterOptions {
        prefix: prefix.map(str::to_owned),
        patterns: patterns.iter().map(|&text| text.to_owned()).collect(),
        ignore: ignore.iter().map(|&text| text.to_owned()).collect(),
        define: Vec::new(),
        fail2ban: Some(Fail2Ban { max_lines, ..Fail2Ban::default() }),
        supplement: None,
    };
    options.push(fail2ban(
        Some(r"^\s*\S+ (?:sshd|door)\[<F-MLFID>\d+</F-MLFID>\]: <F-CONTENT>.+</F-CONTENT>$"),
        &[
            r"^Failed \S+ for (?P<cond_inv>invalid user )?<F-USER>(?P<cond_user>\S+)|(?:(?! from ).)*?</F-USER> from <HOST>(?: port \d+)?(?: ssh2?)?\s*$",
            r"^<F-NOFAIL>Connection from</F-NOFAIL> <HOST>",
            r"^<F-MLFGAINED>Accepted \w+</F-MLFGAINED> for <F-USER>\S+</F-USER> from <HOST>\s*$",
            r"^<F-MLFFORGET><F-NOFAIL>Connection closed</F-NOFAIL></F-MLFFORGET> by <HOST>$",
        ],
        &["from 192\\.0\\.2\\.9 "],
        1,
    ));
    options.push(fail2ban(
        None,
        &[r"start (?P<x>\w+)\s*<SKIPLINES>.*end (?P=x) <HOST>", "fail <HOST>$"],
        &["b"],
        4,
    ));
    options
}

fn compiled(options: &[FilterOptions]) -> Vec<Filter> {
    options.iter().map(|options| Filter::with_zone(options, Zone::utc()).unwrap()).collect()
}

/// Lines through each filter, one by one, as a block, and as two that another thread has looked through: all must say the
/// same.
pub(crate) fn line(bytes: &[u8]) {
    thread_local! {
        static PAIRS: RefCell<Vec<(Filter, Filter, Option<Scanner>)>> = RefCell::new({
            let options = filters();
            let with_scanner = |(patient, quick): (_, Filter)| {
                let scanner = quick.scanner();
                (patient, quick, scanner)
            };
            compiled(&options).into_iter().zip(compiled(&options)).map(with_scanner).collect()
        });
        static UNION: RefCell<Union> = RefCell::default();
    }
    let Some((flags, text)) = bytes.split_first() else { return };
    let now = NOW + Duration::from_secs(u64::from(flags >> 4) * 3600);
    let at = Reading { now, since: now, live: flags & 1 == 1, find_time: Duration::from_secs(600) };
    PAIRS.with_borrow_mut(|pairs| {
        for (patient, quick, scanner) in pairs {
            patient.restore(b"");
            quick.restore(b"");
            let mut got = Vec::new();
            quick.block(text.into(), &at, Wanted::Everything, &mut |_, outcome| got.push(outcome));
            let lines = text.split_inclusive(|byte| *byte == b'\n').map(|line| {
                let line = line.strip_suffix(b"\n").unwrap_or(line);
                line.strip_suffix(b"\r").unwrap_or(line)
            });
            let want: Vec<_> =
                lines.map(|line| patient.line(line, &at)).filter(|it| *it != Outcome::Nothing).collect();
            assert_eq!(got, want);
            assert_eq!(patient.state(), quick.state());
            let mut counted = Vec::new();
            quick.restore(b"");
            // What another thread tells of the second part depends on what the first has taught.
            let middle =
                text[..text.len() / 2].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            for part in [&text[..middle], &text[middle..]] {
                let mut ends = Vec::new();
                line_ends(part, &mut ends);
                let hits = scanner.as_mut().filter(|_| flags & 4 == 0 && !ends.is_empty());
                let hits = hits.and_then(|scanner| match flags & 2 {
                    0 => Some(scanner.scan(part, &ends)),
                    _ => UNION.with_borrow_mut(|union| union.scan(&[scanner], part, &ends)).pop(),
                });
                let lines = Lines { ends: &ends, hits: hits.as_ref(), ..part.into() };
                quick.block(lines, &at, Wanted::Failures, &mut |_, outcome| counted.push(outcome));
            }
            assert_eq!(patient.state(), quick.state());
            let counts = |it: &&Outcome| matches!(it, Outcome::Failure(_) | Outcome::Undecided);
            assert!(want.iter().filter(counts).eq(counted.iter().filter(counts)));
        }
    });
}

/// Lines through the dates of either dialect; one that repeats the date before must have the same.
pub(crate) fn date(bytes: &[u8]) {
    const PATTERNS: [Option<&str>; 5] = [
        None,
        Some("{^LN-BEG}%b %d %H:%M:%S"),
        Some("%Y-%m-%dT%H:%M:%S(?:\\.%f)?%z\n{^LN-BEG}EPOCH"),
        Some("^%a %b %d %H:%M:%S\\.%f %Y"),
        Some("\\[%d/%b/%Y:%H:%M:%S %z\\]\n%I:%M %p"),
    ];
    thread_local! {
        static DATES: RefCell<Vec<[Dates; 2]>> = RefCell::new({
            let made = || {
                let of = |(pattern, newer): (Option<&str>, bool)| {
                    let pattern = pattern.map(str::to_owned);
                    let options = DateOptions {
                        pattern, zone: None, system: Zone::utc(), year: None, old_years: newer, newer,
                    };
                    Dates::fail2ban(&options).unwrap()
                };
                let all = PATTERNS.into_iter().flat_map(|pattern| [(pattern, false), (pattern, true)]);
                all.map(of).chain([Dates::new(Zone::utc())]).collect::<Vec<_>>()
            };
            made().into_iter().zip(made()).map(|(one, other)| [one, other]).collect()
        });
    }
    DATES.with_borrow_mut(|all| {
        for [patient, quick] in all {
            patient.forget();
            quick.forget();
            let mut last = None;
            for line in bytes.split(|byte| *byte == b'\n') {
                let want = patient.find(line, NOW);
                let got = if quick.repeats(line, NOW) { last } else { quick.find(line, NOW) };
                assert_eq!(
                    got.map(|it| (it.start, it.end, it.time)),
                    want.map(|it| (it.start, it.end, it.time))
                );
                if let Some(it) = got {
                    assert!(it.start <= it.end && it.end <= line.len());
                }
                last = got;
            }
        }
    });
}

/// A file of Fail2Ban's.
pub(crate) fn ini(bytes: &[u8]) {
    stockade::fail2ban::fuzz::ini(&String::from_utf8_lossy(bytes));
}

/// A folder of one's own, in memory where that can be had, gone with the process's last input.
fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// A file of our own, and all that follows from it short of running it.
pub(crate) fn toml(bytes: &[u8]) {
    let dir = scratch();
    std::fs::write(dir.path().join("stockade.toml"), bytes).unwrap();
    let services = dir.path().join("services");
    let sources = Sources { shipped: false, etc: dir.path().into(), services, ..Sources::default() };
    // A file may name another tree, whose size is not this input's affair.
    if !bytes.windows(8).any(|word| word == b"fail2ban") {
        let config = config::load(&sources);
        for mistake in &config.mistakes {
            _ = mistake.to_string();
        }
        for jail in &config.jails {
            if let Some(filter) = &jail.options.filter {
                _ = Filter::with_zone(filter, Zone::utc());
            }
        }
    }
}

/// Both directions of Fail2Ban's conversation; what was read can be written and read again.
pub(crate) fn pickle(bytes: &[u8]) {
    if let Ok((Value::List(words) | Value::Tuple(words), protocol)) = pickle::command(bytes) {
        let again = pickle::command(&pickle::write_command(&words, protocol));
        // As text, in which a NaN is the same as another.
        assert_eq!(format!("{again:?}"), format!("{:?}", Ok::<_, ()>((Value::List(words), protocol))));
    }
    if let Ok(reply) = pickle::reply(bytes) {
        let again = pickle::reply(&pickle::write_reply(&reply, 4));
        assert_eq!(again.map(|it| it.is_ok()), Ok(reply.is_ok()));
    }
}

/// The socket's two languages, as the server hears them, and an answer as the client does.
pub(crate) fn control(bytes: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (idle, pause) = (Duration::from_secs(5), Duration::from_secs(5));
    let stream = || tokio::io::join(bytes, tokio::io::sink());
    runtime.block_on(async {
        let own = async |request: Request| Response::Error(format!("{request:?}"));
        _ = stockade::control::serve(stream(), idle, &own).await;
        let limits = talk::Limits { idle, pause, message: 1 << 20 };
        let theirs = async |words: Vec<Value>| match words.into_iter().next() {
            Some(word) => Ok(word),
            None => Err(Raised::builtin("IndexError", "none")),
        };
        _ = talk::serve(stream(), limits, &theirs).await;
    });
    if let Ok(response) = serde_json::from_slice::<Response>(bytes) {
        let view = text::View {
            now: NOW,
            zone: jiff::tz::TimeZone::UTC,
            width: Some(80),
            colour: true,
            detail: true,
        };
        let mut out = Vec::new();
        text::write(&mut out, &response, &view).unwrap();
    }
}

/// What the kernel answers and tells.
pub(crate) fn netlink(bytes: &[u8]) {
    stockade::firewall::nftables::fuzz::netlink(bytes);
}

/// A whole file that is opened as a store; or a sound one, in whose rows these bytes are.
pub(crate) fn database(bytes: &[u8]) {
    thread_local! {
        static EMPTY: Vec<u8> = {
            let dir = scratch();
            let path = dir.path().join("db");
            Store::open(&path, NOW).unwrap().store.close().unwrap();
            std::fs::read(&path).unwrap()
        };
    }
    let Some((kind, rest)) = bytes.split_first() else { return };
    let dir = scratch();
    let path = dir.path().join("db");
    if kind % 2 == 0 {
        std::fs::write(&path, rest).unwrap();
    } else {
        EMPTY.with(|empty| std::fs::write(&path, empty)).unwrap();
        fill(&path, rest);
    }
    let Ok(opened) = Store::open(&path, NOW) else { return };
    let mut store = opened.store;
    let loaded = store.load_all(&["a", "b"], NOW);
    if let Ok(jails) = loaded {
        for saved in jails {
            for (id, _) in &saved.counters {
                _ = store.past("a", id);
            }
        }
    }
    let id = Id::parse("192.0.2.1");
    _ = store.evidence(&id, None);
    _ = store.past("a", &id);
    _ = store.purge(NOW, Duration::from_secs(86400));
}

/// Puts rows into the tables: a byte says which, then a byte for the kind of each value.
fn fill(path: &Path, mut bytes: &[u8]) {
    const TABLES: [(&str, usize); 9] = [
        ("bans", 6),
        ("bips", 6),
        ("logs", 4),
        ("jails", 2),
        ("stockade_runs", 4),
        ("stockade_state", 2),
        ("stockade_cursors", 4),
        ("stockade_untold", 2),
        ("stockade_inherited", 3),
    ];
    let sqlite = rusqlite::Connection::open(path).unwrap();
    sqlite
        .execute_batch("PRAGMA foreign_keys = off; PRAGMA synchronous = off; PRAGMA journal_mode = off")
        .unwrap();
    while let Some((table, rest)) = bytes.split_first() {
        bytes = rest;
        let (table, columns) = TABLES[usize::from(*table) % TABLES.len()];
        let values: Vec<_> = (0..columns).map(|_| value(&mut bytes)).collect();
        let marks = vec!["?"; columns].join(",");
        _ = sqlite.execute(
            &format!("INSERT OR IGNORE INTO {table} VALUES ({marks})"),
            rusqlite::params_from_iter(values),
        );
    }
}

/// Who is logged in: what is told of him steers no terminal, and begins no line.
pub(crate) fn logins(bytes: &[u8]) {
    for login in logins::fuzz::logins(bytes) {
        let told = login.to_string();
        assert!(!login.host.is_unspecified() && told.len() < 250, "{told}");
        assert!(told.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '), "{told:?}");
    }
}

fn value(bytes: &mut &[u8]) -> rusqlite::types::Value {
    use rusqlite::types::Value;
    let mut take = |count: usize| {
        let (taken, rest) = bytes.split_at(count.min(bytes.len()));
        *bytes = rest;
        taken
    };
    let kind = take(1).first().copied().unwrap_or(0);
    let number = |bytes: &[u8]| bytes.iter().fold(0_i64, |number, byte| (number << 8) | i64::from(*byte));
    match kind % 8 {
        0 => Value::Null,
        1 => Value::Integer(number(take(8))),
        2 => Value::Integer(NOW.micros() / 1_000_000 - number(take(2))),
        3 => Value::Real(f64::from_bits(number(take(8)).cast_unsigned())),
        4 => Value::Text("a".to_owned()),
        5 => Value::Text(String::from_utf8_lossy(take(usize::from(kind >> 3))).into_owned()),
        6 => Value::Blob(take(usize::from(kind >> 3)).to_vec()),
        _ => {
            let length = number(take(2)) as usize;
            Value::Blob(take(length).to_vec())
        }
    }
}
