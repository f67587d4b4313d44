//! Whether the process that a record of `utmp` names bears it out.
//!
//! It has to live, and to be no younger than the record: else it took the number of one that is gone. A host that is
//! given as a text alone is believed only of root's processes: by utempter the program of any terminal may write such
//! records, with whatever text.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::utmp::{Entry, Word};
use crate::time::UnixTime;

/// A clock that was set a little meanwhile makes no process younger.
const SLACK: Duration = Duration::from_secs(10);
/// Ticks of `/proc`'s times in a second (`USER_HZ`): the same on all of Linux.
const HZ: u64 = 100;

/// The processes, as `/proc` shows them.
pub(super) struct Processes {
    proc: PathBuf,
    booted: Option<UnixTime>,
}

impl Processes {
    pub(super) fn of(proc: &Path) -> Self {
        let booted = fs::read_to_string(proc.join("stat")).ok().as_deref().and_then(booted);
        Self { proc: proc.to_owned(), booted }
    }

    pub(super) fn bear_out(&self, entry: &Entry) -> bool {
        let read = |name| fs::read_to_string(self.proc.join(entry.process.to_string()).join(name)).ok();
        let began = || Some(self.booted? + Duration::from_secs(begun(&read("stat")?)? / HZ));
        let believed = entry.word == Word::Writer || read("status").is_some_and(|status| is_roots(&status));
        believed && began().is_some_and(|began| began <= entry.since + SLACK)
    }
}

/// When the host was booted, by `/proc/stat`.
fn booted(stat: &str) -> Option<UnixTime> {
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok().map(UnixTime::from_secs)
}

/// Ticks from the boot to the beginning of a process, by its `stat`; none: it is dead already, and not buried.
/// Its name stands in brackets and may hold some.
fn begun(stat: &str) -> Option<u64> {
    let mut words = stat.rsplit_once(") ")?.1.split_ascii_whitespace();
    let state = words.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    words.nth(18)?.parse().ok()
}

/// Whether root started it: a program with the setuid bit is its caller's still.
fn is_roots(status: &str) -> bool {
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    users.is_some_and(|users| {
        let mut users = users.split_ascii_whitespace().peekable();
        users.peek().is_some() && users.all(|user| user == "0")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_proc_says() {
        let stat = "4711 (sshd) S 1 4711 4711 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456 17 18";
        for (stat, want) in [
            (stat, Some(123_456)),
            (&stat.replace("sshd", "a) R (b"), Some(123_456)),
            (&stat.replace(" S ", " Z "), None),
            (&stat[..60], None),
            ("", None),
            ("4711 sshd S", None),
        ] {
            assert_eq!(begun(stat), want, "{stat}");
        }
        assert_eq!(booted("cpu 1\nbtime 1700000000\nx 1\n"), Some(UnixTime::from_secs(1_700_000_000)));
        assert_eq!(booted("cpu 1\nbtime soon\n"), None);
        for (users, want) in
            [("0\t0\t0\t0", true), ("1000\t0\t0\t0", false), ("0\t1000\t0\t1000", false), ("", false)]
        {
            assert_eq!(is_roots(&format!("Name:\tUid:\nUid:\t{users}\nGid:\t0\n")), want, "{users:?}");
        }
    }
}
