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

mod damage;
mod migration;
mod positions;
mod reading;
mod writing;

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

fn wal(path: &Path) -> PathBuf {
    path.with_file_name(format!("{}-wal", path.file_name().unwrap().to_str().unwrap()))
}
