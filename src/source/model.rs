//! A small model of a program that writes and rotates its log, against [`Files`].
//!
//! What is guaranteed, and checked here over thousands of operations in any order, with jails that handle their
//! blocks at any time and restarts at any moment from the cursors of the last handled blocks:
//! no jail has more than its window unhandled, a jail with room gets something at each tick, whatever others do, and
//! **every jail gets every whole line exactly once, and in the order in which they were written** (late lines, those
//! written to a file after it was rotated, in the order of their file), for
//! - rename and create, any number of times between two looks and across restarts;
//! - copy and truncate, if some of the file was read before and, for a restart, handled (else its copy is not known);
//! - deleting, renaming over and switching links, if the file was looked at once before and is held open,
//!   at most once between two looks, and if all of it, and a line of its
//!   successor, was handled before a restart (then it is no longer held);
//! - late lines up to [`LINGER`] after the rotation and until the next one, for a restart if the file was not empty.

use std::collections::{BTreeSet, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::files::{Files, Subscription, WINDOW};
use super::follow::LINGER;
use super::{Block, Cursor, LINE_CAP, Start};
use crate::time::UnixTime;

#[derive(Debug, Clone)]
enum Op {
    /// Write lines, padded to a length.
    Append(u8, u16),
    /// Write the start of a line; the next line written ends it.
    Partial,
    /// Write a line longer than the cap.
    Long,
    /// Write to the file that was rotated last.
    Late,
    Rename {
        seen_missing: bool,
    },
    CopyTruncate,
    DeleteCreate,
    RenameOver,
    /// Let the link lead to a new file.
    Switch,
    /// Tick and read all there is room for.
    Tick(u8),
    /// A hint and a little reading.
    Touch,
    /// A jail handles some blocks.
    Handle(usize, u8),
    Restart,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (1..6_u8, prop_oneof![Just(0), 0..100_u16, 1000..30_000_u16]).prop_map(|(n, pad)| Op::Append(n, pad)),
        3 => Just(Op::Partial),
        1 => Just(Op::Long),
        4 => Just(Op::Late),
        4 => any::<bool>().prop_map(|seen_missing| Op::Rename { seen_missing }),
        2 => Just(Op::CopyTruncate),
        1 => Just(Op::DeleteCreate),
        1 => Just(Op::RenameOver),
        2 => Just(Op::Switch),
        8 => (0..3_u8).prop_map(Op::Tick),
        3 => Just(Op::Touch),
        6 => (0..3_usize, 1..8_u8).prop_map(|(jail, blocks)| Op::Handle(jail.min(1), blocks)),
        2 => Just(Op::Restart),
    ]
}

#[derive(Default)]
struct Jail {
    queue: VecDeque<Arc<Block>>,
    /// Lines in order that were given to it, and that it has handled.
    delivered: usize,
    handled: usize,
    late: BTreeSet<usize>,
    cursor: Option<(Arc<Path>, Cursor)>,
}

/// The file that was rotated last.
struct Previous {
    file: File,
    at: UnixTime,
    /// Whether a restart finds it: by its name and by what was in it.
    found: bool,
}

#[expect(clippy::struct_excessive_bools, reason = "each is one fact about the world")]
struct World {
    dir: tempfile::TempDir,
    /// What the jails read; a link or the file itself.
    path: PathBuf,
    /// The file that is written.
    real: PathBuf,
    rotations: usize,
    targets: usize,
    partial: bool,
    previous: Option<Previous>,
    /// Lines written in order, late lines, and where the present file's lines begin.
    lines: usize,
    late: usize,
    first_of_file: usize,
    /// Something unhandled cannot be found any more after a restart.
    fragile: bool,
    /// A file was replaced without a trace since the last look.
    traceless: bool,
    /// The file that a cursor is in may be gone.
    gone: bool,
    /// Rotations since everything was read.
    unsettled: usize,
    /// No descriptor may be held for a file with nothing to read.
    closing: bool,
    files: Files,
    now: UnixTime,
    jails: [Jail; 2],
}

const NAMES: [&str; 2] = ["a", "b"];

impl World {
    fn new(link: bool, closing: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let real = if link { dir.path().join("0.target") } else { path.clone() };
        File::create(&real).unwrap();
        if link {
            std::os::unix::fs::symlink(&real, &path).unwrap();
        }
        let mut this = Self {
            dir,
            path,
            real,
            rotations: 0,
            targets: 0,
            partial: false,
            previous: None,
            lines: 0,
            late: 0,
            first_of_file: 0,
            fragile: false,
            traceless: false,
            gone: false,
            unsettled: 0,
            closing,
            files: Files::new(),
            now: UnixTime::from_secs(1000),
            jails: Default::default(),
        };
        this.subscribe();
        this.append(1, 0);
        this.settle();
        this
    }

    /// One jail names the path, the other has a glob that matches its rotated files, too.
    fn subscribe(&mut self) {
        if self.closing {
            self.files.limit_open(0);
        }
        for (name, (jail, pattern)) in NAMES.into_iter().zip(self.jails.iter().zip(["log", "l*"])) {
            let wants = Subscription {
                patterns: vec![(
                    self.dir.path().join(pattern).to_str().unwrap().to_owned(),
                    Start::Beginning.into(),
                )],
                find_time: Duration::ZERO,
                cursors: jail.cursor.iter().cloned().collect(),
                dates: Arc::new(|_, _| None),
                journal: None,
            };
            self.files.subscribe(&name.into(), wants, self.now);
        }
    }

    fn write(&mut self, text: &str) {
        let mut file = OpenOptions::new().append(true).open(&self.real).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn append(&mut self, lines: usize, padding: usize) {
        for _ in 0..lines {
            let padding = "x".repeat(padding);
            let text =
                if self.partial { format!("{padding}\n") } else { format!("{} {padding}\n", self.lines) };
            self.write(&text);
            self.partial = false;
            self.lines += 1;
        }
    }

    fn finish_line(&mut self) {
        if self.partial {
            self.append(1, 0);
        }
    }

    fn poll(&mut self) {
        for _ in 0..10_000 {
            for delivery in self.files.poll(self.now, 1 << 20) {
                let lines = delivery.block.lines().filter(|line| !line.starts_with(b"late")).count();
                for jail in &delivery.jails {
                    let jail = &mut self.jails[usize::from(&**jail == NAMES[1])];
                    jail.delivered += lines;
                    jail.queue.push_back(delivery.block.clone());
                }
            }
            assert!(self.jails.iter().all(|jail| jail.queue.len() <= WINDOW));
            if !self.files.more() {
                return;
            }
        }
        panic!("there is always more");
    }

    fn tick(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
        self.files.tick(self.now);
        let before = self.jails.each_ref().map(|jail| jail.queue.len());
        self.poll();
        self.traceless = false;
        for ((jail, name), before) in self.jails.iter().zip(NAMES).zip(before) {
            let waits = jail.queue.len() < WINDOW && self.path.exists();
            let given = jail.queue.len() > before || jail.delivered == self.lines;
            assert!(!waits || given, "{name} has room and was given nothing");
        }
    }

    fn handle(&mut self, at: usize) -> bool {
        let jail = &mut self.jails[at];
        let Some(block) = jail.queue.pop_front() else { return false };
        for line in block.lines() {
            let text = String::from_utf8_lossy(line);
            let mut words = text.split(' ');
            if text.starts_with("late") {
                let number = words.nth(1).unwrap().parse().unwrap();
                assert!(jail.late.insert(number), "{}: late line {number} twice", NAMES[at]);
            } else {
                let number: usize = words.next().unwrap().parse().unwrap();
                assert_eq!(number, jail.handled, "{}: the next line", NAMES[at]);
                assert!(line.len() <= LINE_CAP);
                jail.handled += 1;
            }
        }
        jail.cursor = Some((block.path.clone(), block.end.clone()));
        self.files.handled(NAMES[at]);
        self.poll();
        true
    }

    /// Everything written is read and handled.
    fn settle(&mut self) {
        for _ in 0..20 {
            self.tick(0);
            while self.handle(0) | self.handle(1) {}
        }
        for (jail, name) in self.jails.iter().zip(NAMES) {
            let late: BTreeSet<_> = (0..self.late).collect();
            assert_eq!(jail.handled, self.lines, "{name}: lines");
            assert_eq!(jail.late, late, "{name}: late lines");
            assert_eq!(jail.delivered, jail.handled);
        }
        self.fragile = false;
        self.unsettled = 0;
    }

    /// Before the file is replaced by another one.
    fn before_rotation(&mut self, traceless: bool) {
        if traceless && self.unsettled >= 2 {
            self.settle();
        }
        if traceless || self.traceless {
            self.tick(0);
        }
        self.unsettled += 1;
        self.traceless = traceless;
        self.fragile |= traceless;
        self.gone |= traceless;
        self.previous = None;
        if self.partial {
            // It will never be ended.
            self.partial = false;
        } else {
            let file = OpenOptions::new().append(true).open(&self.real).unwrap();
            self.previous =
                Some(Previous { file, at: self.now, found: !traceless && self.lines > self.first_of_file });
        }
        self.first_of_file = self.lines;
    }

    /// `log.1` becomes `log.2`, and so on.
    fn shift(&mut self) {
        let numbered = |number: usize| PathBuf::from(format!("{}.{number}", self.real.display()));
        let highest = (1..1000).take_while(|number| numbered(*number).exists()).count();
        for number in (1..=highest).rev() {
            fs::rename(numbered(number), numbered(number + 1)).unwrap();
        }
        self.rotations += 1;
    }

    fn first_rotated(&self) -> PathBuf {
        PathBuf::from(format!("{}.1", self.real.display()))
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Append(lines, padding) => self.append(lines.into(), padding.into()),
            Op::Partial => {
                let text = if self.partial { "part".to_owned() } else { format!("{} part", self.lines) };
                self.write(&text);
                self.partial = true;
            }
            Op::Long => self.append(1, LINE_CAP + 1000),
            Op::Late => self.write_late(),
            Op::Rename { seen_missing } => {
                self.before_rotation(false);
                self.shift();
                fs::rename(&self.real, self.first_rotated()).unwrap();
                if seen_missing {
                    self.tick(0);
                }
                File::create_new(&self.real).unwrap();
            }
            Op::CopyTruncate => self.copy_truncate(),
            Op::DeleteCreate | Op::RenameOver | Op::Switch if self.closing => {}
            Op::DeleteCreate => {
                self.before_rotation(true);
                fs::remove_file(&self.real).unwrap();
                File::create_new(&self.real).unwrap();
            }
            Op::RenameOver => {
                self.before_rotation(true);
                let new = self.dir.path().join("new");
                File::create_new(&new).unwrap();
                fs::rename(new, &self.real).unwrap();
            }
            Op::Switch if self.real != self.path => {
                self.before_rotation(true);
                self.targets += 1;
                self.real = self.dir.path().join(format!("{}.target", self.targets));
                File::create_new(&self.real).unwrap();
                let link = self.dir.path().join("new");
                std::os::unix::fs::symlink(&self.real, &link).unwrap();
                fs::rename(link, &self.path).unwrap();
            }
            Op::Switch => {}
            Op::Tick(seconds) => self.tick(seconds.into()),
            Op::Touch => {
                self.files.touched(&self.path);
                self.poll();
            }
            Op::Handle(jail, blocks) => {
                for _ in 0..blocks {
                    self.handle(jail);
                }
            }
            Op::Restart => self.restart(),
        }
    }

    fn write_late(&mut self) {
        let Some(previous) = &mut self.previous else { return };
        if self.now < previous.at + LINGER {
            previous.file.write_all(format!("late {}\n", self.late).as_bytes()).unwrap();
            self.late += 1;
            self.fragile |= !previous.found;
        }
    }

    fn copy_truncate(&mut self) {
        self.finish_line();
        if self.traceless {
            self.tick(0);
        }
        let empty = self.lines == self.first_of_file;
        if !empty && self.jails.iter().any(|jail| jail.delivered <= self.first_of_file) {
            self.settle();
        }
        self.fragile |= !empty && self.jails.iter().any(|jail| jail.handled <= self.first_of_file);
        self.previous = None;
        self.shift();
        fs::copy(&self.real, self.first_rotated()).unwrap();
        OpenOptions::new().write(true).truncate(true).open(&self.real).unwrap();
        self.first_of_file = self.lines;
    }

    fn restart(&mut self) {
        if self.fragile || self.gone {
            self.append(usize::from(self.gone), 0);
            self.settle();
            self.gone = false;
        }
        self.previous.take_if(|previous| !previous.found);
        self.now = self.now + Duration::from_secs(1);
        for jail in &mut self.jails {
            jail.queue.clear();
            jail.delivered = jail.handled;
        }
        self.files = Files::new();
        self.subscribe();
    }
}

/// Some thousand operations, or `PROPTEST_CASES` times 150.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(48);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_line_reaches_every_jail_once_and_in_order(
        link in any::<bool>(),
        closing in proptest::bool::weighted(0.25),
        ops in proptest::collection::vec(op(), 100..200),
    ) {
        let mut world = World::new(link, closing);
        for op in &ops {
            world.apply(op);
        }
        world.finish_line();
        world.settle();
    }
}
