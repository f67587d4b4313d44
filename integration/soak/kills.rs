//! One storm, told twice: to a daemon that nobody disturbs, and to one that is killed again and again.

use std::fmt;
use std::fs;
use std::thread::sleep;
use std::time::Duration;

use super::chance::Chance;
use super::court;
use super::input::{Input, LOGS};
use crate::lab::Lab;

/// Where the program can kill itself: before, between and behind what kernel and disk are told.
const POINTS: [&str; 7] = [
    "firewall.apply",
    "firewall.applied",
    "store.before_commit",
    "store.after_commit",
    "jail.line",
    "jail.block",
    "tailer.pump",
];

/// Rotated logs that are kept.
const KEPT: usize = 20;

/// How the daemon died.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Kills {
    pub(super) random: usize,
    pub(super) points: usize,
    pub(super) flushes: usize,
    pub(super) rotations: usize,
}

impl Kills {
    pub(super) fn add(&mut self, more: &Self) {
        self.random += more.random;
        self.points += more.points;
        self.flushes += more.flushes;
        self.rotations += more.rotations;
    }
}

impl fmt::Display for Kills {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { random, points, flushes, rotations } = self;
        write!(
            f,
            "{} kills survived ({points} at fault points, {random} at random, {flushes} with the firewall flushed, \
             {rotations} rotations)",
            random + points
        )
    }
}

/// What a round was.
pub(super) struct Round {
    pub(super) kills: Kills,
    pub(super) lines: usize,
}

/// One round with so many kills.
pub(super) fn round(seed: u64, kills: usize) -> Round {
    let mut chance = Chance::new(seed);
    let input = Input::new(&mut chance);
    let pieces = input.pieces(3 * kills, &mut chance);

    let mut calm = court::victim();
    calm.launch(&[]);
    for (log, text) in &input.logs {
        calm.append_bytes(&format!("logs/{log}.log"), text);
    }
    let undisturbed = court::settled(&mut calm, &input.banned);

    let mut storm =
        Storm { lab: court::victim(), chance, pieces: pieces.into_iter(), kills: Kills::default() };
    for _ in 0..kills {
        storm.life();
    }
    let Storm { mut lab, pieces, kills, .. } = storm;
    lab.launch(&[]);
    for piece in pieces {
        write(&lab, &piece);
    }
    let disturbed = court::settled(&mut lab, &input.banned);
    let differences = disturbed.differs_from(&undisturbed);
    assert!(
        differences.is_empty(),
        "seed {seed} ({kills}): {} differences:\n{}\n{}",
        differences.len(),
        differences.join("\n"),
        court::log(&lab)
    );
    Round { kills, lines: input.lines }
}

struct Storm {
    lab: Lab,
    chance: Chance,
    pieces: std::vec::IntoIter<Vec<(&'static str, Vec<u8>)>>,
    kills: Kills,
}

impl Storm {
    /// Starts the daemon, writes while it starts and while it runs, kills it, writes while it is down.
    fn life(&mut self) {
        let fault = self.chance.once_in(2).then(|| {
            let point = POINTS[self.chance.below(POINTS.len())];
            let most = if point == "jail.line" { 200 } else { 2 };
            format!("{point}=kill@{}", 1 + self.chance.below(most))
        });
        match &fault {
            Some(fault) => self.lab.launch(&["--fault", fault]),
            None => self.lab.launch(&[]),
        }
        self.pause(250);
        self.write();
        self.pause(400);
        self.kill(fault.is_some());
        if self.chance.once_in(3) {
            self.write();
        }
        if self.chance.once_in(4) {
            assert_eq!(self.lab.nft("flush ruleset"), "");
            self.kills.flushes += 1;
        }
        if self.chance.once_in(6) {
            self.rotate();
        }
    }

    fn pause(&mut self, most: usize) {
        sleep(Duration::from_millis(self.chance.below(most) as u64));
    }

    /// The next piece of both logs.
    fn write(&mut self) {
        if let Some(piece) = self.pieces.next() {
            write(&self.lab, &piece);
        }
    }

    /// A fault point that is not met in time is as good as none.
    fn kill(&mut self, at_point: bool) {
        for _ in 0..if at_point { 40 } else { 0 } {
            if self.lab.is_down() {
                break;
            }
            sleep(Duration::from_millis(25));
        }
        if self.lab.is_down() {
            assert!(at_point, "it ended by itself:\n{}", court::log(&self.lab));
            assert_eq!(self.lab.ended().code(), None, "it was killed:\n{}", court::log(&self.lab));
            self.kills.points += 1;
        } else {
            self.lab.end(libc::SIGKILL);
            self.kills.random += 1;
        }
    }

    /// As logrotate does it; the writer ends its line in the old file.
    fn rotate(&mut self) {
        for log in LOGS {
            self.end_line(log);
            let path = |number: usize| self.lab.path(&format!("logs/{log}.log.{number}"));
            for number in (1..KEPT).rev() {
                let _ = fs::rename(path(number), path(number + 1));
            }
            fs::rename(self.lab.path(&format!("logs/{log}.log")), path(1)).unwrap();
            self.lab.append(&format!("logs/{log}.log"), "");
        }
        self.kills.rotations += 1;
    }

    /// Writes what is missing of the log's last line.
    fn end_line(&mut self, log: &str) {
        let name = format!("logs/{log}.log");
        for piece in self.pieces.as_mut_slice() {
            if fs::read(self.lab.path(&name)).unwrap().last() == Some(&b'\n') {
                return;
            }
            for (_, text) in piece.iter_mut().filter(|(other, _)| *other == log) {
                let end = text.iter().position(|byte| *byte == b'\n').map_or(text.len(), |end| end + 1);
                let rest = text.split_off(end);
                self.lab.append_bytes(&name, &std::mem::replace(text, rest));
            }
        }
    }
}

fn write(lab: &Lab, piece: &[(&'static str, Vec<u8>)]) {
    for (log, text) in piece {
        lab.append_bytes(&format!("logs/{log}.log"), text);
    }
}
