//! What is read of journal files equals what `journalctl` shows of them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use stockade::source::files::{Files, Subscription};
use stockade::source::journal::{JournalOptions, Matches, PATH};
use stockade::source::{Cursor, Start};
use stockade::time::UnixTime;

use super::{Entry, can_write, write};

const BEGIN: i64 = 1_795_000_000_000_000;

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len() as u64) as usize]
    }
}

/// Entries as services write them: some with line ends, some long enough to be compressed.
fn entries(dice: &mut Dice, boot: u128, from: i64, count: i64) -> Vec<Entry> {
    (0..count)
        .map(|number| {
            let unit = dice.pick(&["sshd.service", "cron.service", "postfix.service"]);
            let command = dice.pick(&["sshd", "cron", "smtpd"]);
            let pid = dice.below(300).to_string();
            let length = if dice.below(10) == 0 { 2000 } else { dice.below(100) };
            let filler = dice.pick(&["x", "attack ", "0123456789"]).repeat(length as usize);
            let end = dice.pick(&["", "", "", "\nsecond line"]);
            let message = format!("number {number} {}{end}", if end.is_empty() { &*filler } else { "" });
            let at = from + number * 1000 + dice.below(900) as i64;
            let mut fields = vec![
                ("_HOSTNAME", "victim"),
                ("_SYSTEMD_UNIT", unit),
                ("_COMM", command),
                ("_PID", &*pid),
                ("MESSAGE", &*message),
            ];
            if dice.below(2) == 0 {
                fields.push(("SYSLOG_IDENTIFIER", dice.pick(&["sshd", "kernel", "postfix/smtpd"])));
            }
            Entry::new(boot, at, &fields)
        })
        .collect()
}

/// What journalctl shows, as lines.
fn shown(files: &[PathBuf], matches: &str) -> Vec<String> {
    let mut command = Command::new("journalctl");
    command.args(["-q", "--all", "-o", "json"]);
    command.args(files.iter().map(|file| format!("--file={}", file.display())));
    let output = command.args(matches.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let json = String::from_utf8(output.stdout).unwrap();
    json.lines()
        .map(|line| {
            let entry: Value = serde_json::from_str(line).unwrap();
            let field = |name: &str| entry[name].as_str();
            let name = field("SYSLOG_IDENTIFIER").or(field("_COMM")).unwrap();
            let micros: u64 = field("__MONOTONIC_TIMESTAMP").unwrap().parse().unwrap();
            let boot =
                if name == "kernel" { format!("[{:12.6}] ", micros as f64 / 1e6) } else { String::new() };
            let message = field("MESSAGE").unwrap().replace('\n', "\\n");
            let at = field("__REALTIME_TIMESTAMP").unwrap();
            format!("{at} victim {name}[{}]: {boot}{message}", field("_PID").unwrap())
        })
        .collect()
}

/// A jail that reads a journal, by hand.
struct Reader {
    files: Files,
    now: UnixTime,
    cursor: Option<Cursor>,
    options: JournalOptions,
}

impl Reader {
    fn new(path: &Path, matches: &str) -> Self {
        let matches = Matches::parse(&[matches.to_owned()]).unwrap();
        let options = JournalOptions {
            matches,
            path: Some(path.into()),
            start: Start::Beginning,
            ..Default::default()
        };
        let mut reader =
            Self { files: Files::new(), now: UnixTime::from_micros(BEGIN), cursor: None, options };
        reader.begin();
        reader
    }

    /// As after a restart of the daemon.
    fn begin(&mut self) {
        self.files = Files::new();
        let cursor = self.cursor.clone().map(|cursor| {
            let saved = serde_json::to_string(&cursor).unwrap();
            (Arc::from(Path::new(PATH)), serde_json::from_str(&saved).unwrap())
        });
        let wants = Subscription {
            patterns: Vec::new(),
            // Longer than any test's looks, each of which takes 3 s of its clock.
            find_time: Duration::from_secs(365 * 86_400),
            cursors: cursor.into_iter().collect(),
            dates: Arc::new(|_, _| None),
            journal: Some(self.options.clone()),
        };
        self.files.subscribe(&"jail".into(), wants, self.now);
    }

    /// Everything that is there by now, at most so many blocks: `µs line`.
    fn read(&mut self, most: usize) -> Vec<String> {
        self.now = self.now + Duration::from_secs(3);
        self.files.tick(self.now);
        let mut lines = Vec::new();
        for _ in 0..most {
            let deliveries = self.files.poll(self.now, 1);
            for delivery in deliveries {
                let block = &delivery.block;
                assert_eq!(block.times.len(), block.lines().count());
                for (line, time) in block.lines().zip(&block.times) {
                    lines.push(format!("{} {}", time.micros(), String::from_utf8_lossy(line)));
                }
                self.cursor = Some(block.end.clone());
                self.files.handled("jail");
            }
            if !self.files.more() {
                break;
            }
        }
        lines
    }
}

fn assert_same(got: &[String], expected: &[String], what: &str) {
    let differs = got.iter().zip(expected).position(|(a, b)| a != b);
    let place = differs.unwrap_or(got.len().min(expected.len()));
    let line = |of: &[String]| of.get(place).map(|line| line.chars().take(80).collect::<String>());
    assert!(
        got == expected,
        "{what}: {} lines, not {}; line {place}: {:?}, not {:?}",
        got.len(),
        expected.len(),
        line(got),
        line(expected)
    );
}

const MATCHES: [&str; 7] = [
    "",
    "_SYSTEMD_UNIT=sshd.service",
    "_SYSTEMD_UNIT=sshd.service _COMM=sshd",
    "_SYSTEMD_UNIT=sshd.service + _COMM=sshd",
    "_COMM=sshd _COMM=cron _SYSTEMD_UNIT=postfix.service + _PID=7 + SYSLOG_IDENTIFIER=kernel _PID=3",
    "_COMM=nobody",
    "_COMM=nobody + _PID=299",
];

#[test]
fn files_of_every_form_read_as_journalctl_shows_them() {
    if !can_write() {
        return;
    }
    let mut dice = Dice(1);
    for options in [
        &[][..],
        &[("SYSTEMD_JOURNAL_COMPACT", "0")],
        &[("SYSTEMD_JOURNAL_KEYED_HASH", "0")],
        &[("SYSTEMD_JOURNAL_KEYED_HASH", "0"), ("SYSTEMD_JOURNAL_COMPACT", "0")],
    ] {
        let dir = tempfile::tempdir().unwrap();
        // The boots follow each other; a file was rotated in the middle of one, users have files of their own.
        let mut files = Vec::new();
        for (name, boot, from, count) in [
            ("system@1.journal", 0xa, 0, 3000),
            ("system@2.journal", 0xa, 3_000_000, 700),
            ("user-1000.journal", 0xa, 1_000_500, 900),
            ("system.journal", 0xb, 9_000_000, 1),
        ] {
            let file = dir.path().join(name);
            write(&file, &entries(&mut dice, boot, BEGIN + from, count), options);
            files.push(file);
        }
        for matches in MATCHES {
            let expected = shown(&files, matches);
            let got = Reader::new(dir.path(), matches).read(1000);
            assert_same(&got, &expected, &format!("{options:?} {matches:?}"));
        }
    }
}

#[test]
fn a_journal_that_grows_and_rotates_is_read_once_through_restarts_and_vacuum() {
    if !can_write() {
        return;
    }
    let mut dice = Dice(2);
    for matches in MATCHES {
        let dir = tempfile::tempdir().unwrap();
        let (online, mut all, mut got) = (dir.path().join("system.journal"), Vec::new(), Vec::new());
        let mut reader = Reader::new(dir.path(), matches);
        let mut rotated = Vec::new();
        for round in 0..24 {
            let count = dice.below(200) as i64;
            let new = entries(&mut dice, 0xa, BEGIN + round * 1_000_000, count);
            write(&online, &new, &[]);
            all.extend(new);
            match dice.below(4) {
                // A jail that gets only a part of it before the next thing happens.
                0 => got.extend(reader.read(1)),
                1 => reader.begin(),
                _ => got.extend(reader.read(1000)),
            }
            if dice.below(3) == 0 {
                let archive = dir.path().join(format!("system@{round}.journal"));
                std::fs::rename(&online, &archive).unwrap();
                rotated.push(archive);
            }
            if dice.below(5) == 0 {
                got.extend(reader.read(1000));
                // Vacuum: what was read may go.
                rotated.drain(..).for_each(|file| std::fs::remove_file(file).unwrap());
            }
            if dice.below(3) == 0 {
                reader.begin();
            }
        }
        got.extend(reader.read(1000));
        let beside = tempfile::tempdir().unwrap();
        let whole = beside.path().join("whole.journal");
        write(&whole, &all, &[]);
        assert_same(&got, &shown(&[whole], matches), &format!("{matches:?}"));
        assert_eq!(reader.files.status("jail")[0].state, "reading");
    }
}

#[test]
fn a_journal_is_read_while_it_is_being_written() {
    if !can_write() {
        return;
    }
    let mut dice = Dice(3);
    for matches in ["", "_SYSTEMD_UNIT=sshd.service _COMM=sshd + _PID=7"] {
        let dir = tempfile::tempdir().unwrap();
        let online = dir.path().join("system.journal");
        let all = entries(&mut dice, 0xa, BEGIN, 20_000);
        let mut reader = Reader::new(dir.path(), matches);
        let (file, text) = (online.clone(), all.clone());
        let writer = std::thread::spawn(move || write(&file, &text, &[]));
        let (mut got, mut looks) = (Vec::new(), 0);
        while !writer.is_finished() {
            got.extend(reader.read(1000));
            looks += 1;
        }
        writer.join().unwrap();
        got.extend(reader.read(1000));
        assert_same(&got, &shown(&[online], matches), &format!("{matches:?}, {looks} looks"));
        eprintln!("{matches:?}: {} entries in {looks} looks", got.len());
    }
}
