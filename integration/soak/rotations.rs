//! Logs rotated every second while they are written: each line has an address of its own, and is counted once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use crate::lab::{Lab, syslog};

/// How a log is rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// Renamed; the writer goes on with the old file for a moment.
    Rename,
    /// Copied, then emptied.
    CopyTruncate,
}

/// Between two rotations.
const EVERY: Duration = Duration::from_secs(1);
/// Between two lines.
const PACE: Duration = Duration::from_millis(1);
/// So long the writer does not know of a rename.
const UNAWARE: Duration = Duration::from_millis(20);
/// Whoever fails three times ends the test.
const LAST: &str = "203.0.113.1";

/// What came of it.
#[derive(Debug)]
pub(super) struct Figures {
    how: How,
    rotations: usize,
    lines: usize,
    pub(super) doubled: Vec<String>,
    /// For each line that was missed, how soon after it was written the log was emptied; none: it was not.
    pub(super) missed: Vec<Option<Duration>>,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { how, rotations, lines, doubled, missed } = self;
        write!(
            f,
            "{how:?}: {rotations} rotations, {lines} lines, {} doubled, {} missed",
            doubled.len(),
            missed.len()
        )?;
        match missed.iter().flatten().max() {
            Some(longest) => write!(f, " (each emptied at most {longest:?} after it was written)"),
            None => Ok(()),
        }
    }
}

/// What the writer and whoever rotates have done, and when.
#[derive(Default)]
struct Deeds {
    written: Mutex<Vec<Instant>>,
    emptied: Mutex<Vec<Instant>>,
}

/// Rotates for so long.
pub(super) fn under_load(how: How, span: Duration) -> Figures {
    let mut lab = Lab::new(&[]);
    lab.ssh_jail("ssh", "");
    lab.append("logs/ssh.log", "");
    lab.start(&[]);
    let path = lab.path("logs/ssh.log");
    let (deeds, log, over) = (Deeds::default(), Mutex::new(appending(&path)), AtomicBool::new(false));
    let rotations = scope(|threads| {
        threads.spawn(|| write(&log, &over, &deeds.written));
        let begun = Instant::now();
        let mut rotations = 0;
        while begun.elapsed() < span {
            sleep(EVERY);
            rotations += 1;
            rotate(how, &path, rotations, &log, &deeds.emptied);
        }
        over.store(true, Ordering::Relaxed);
        rotations
    });
    for _ in 0..3 {
        lab.append("logs/ssh.log", &line(LAST));
    }
    lab.until_banned("ssh", LAST);
    figures(how, rotations, &lab, deeds)
}

fn appending(path: &Path) -> File {
    let file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.set_permissions(fs::Permissions::from_mode(0o640)).unwrap();
    file
}

fn line(address: &str) -> String {
    format!("{} victim sshd[4711]: Failed password for root from {address} port 1024 ssh2\n", syslog(0))
}

/// Of the line with this number.
fn address(number: usize) -> String {
    format!("10.{}.{}.{}", number >> 16, number >> 8 & 255, number & 255)
}

fn write(log: &Mutex<File>, over: &AtomicBool, written: &Mutex<Vec<Instant>>) {
    let mut number = 0;
    while !over.load(Ordering::Relaxed) {
        let line = line(&address(number));
        // Under the lock only as long as it takes to know the file: whoever rotates does not wait for a line.
        let mut file = log.lock().unwrap().try_clone().unwrap();
        file.write_all(line.as_bytes()).unwrap();
        written.lock().unwrap().push(Instant::now());
        number += 1;
        sleep(PACE);
    }
}

fn rotate(how: How, path: &Path, number: usize, log: &Mutex<File>, emptied: &Mutex<Vec<Instant>>) {
    let old = PathBuf::from(format!("{}.{number}", path.display()));
    match how {
        How::Rename => {
            fs::rename(path, old).unwrap();
            let new = appending(path);
            sleep(UNAWARE);
            *log.lock().unwrap() = new;
        }
        How::CopyTruncate => {
            fs::copy(path, old).unwrap();
            OpenOptions::new().write(true).truncate(true).open(path).unwrap();
            emptied.lock().unwrap().push(Instant::now());
        }
    }
}

/// How often each address was found, once nothing more is found for two seconds.
fn found(lab: &Lab) -> BTreeMap<String, usize> {
    let mut before = 0;
    loop {
        let mut found = BTreeMap::new();
        let log = lab.log();
        for line in log.lines() {
            if let Some((_, rest)) = line.split_once("[ssh] Found ") {
                *found.entry(rest.split(' ').next().unwrap().to_owned()).or_default() += 1;
            }
        }
        let all = found.values().sum();
        if all == before {
            return found;
        }
        before = all;
        sleep(Duration::from_secs(2));
    }
}

fn figures(how: How, rotations: usize, lab: &Lab, deeds: Deeds) -> Figures {
    let (written, emptied) = (deeds.written.into_inner().unwrap(), deeds.emptied.into_inner().unwrap());
    let emptied: BTreeSet<Instant> = emptied.into_iter().collect();
    let found = found(lab);
    let doubled = found.iter().filter(|(who, times)| **times > 1 && *who != LAST).map(|(who, _)| who.clone());
    let missed = written.iter().enumerate().filter(|(number, _)| !found.contains_key(&address(*number)));
    let gap = |(_, at): (usize, &Instant)| emptied.range(*at..).next().map(|emptied| *emptied - *at);
    Figures {
        how,
        rotations,
        lines: written.len(),
        doubled: doubled.collect(),
        missed: missed.map(gap).collect(),
    }
}
