//! What a storm writes: who fails how often where, and the lines that tell of it.

use std::collections::BTreeSet;

use super::chance::Chance;

/// Failures until a ban, in each jail.
const NEED: usize = 3;

/// Everything that is written, and what must come of it.
pub(super) struct Input {
    /// The text of each log.
    pub(super) logs: Vec<(&'static str, Vec<u8>)>,
    /// Who must be banned where, each as `jail address`.
    pub(super) banned: BTreeSet<String>,
    /// Lines in all.
    pub(super) lines: usize,
}

/// The logs, each read by a jail of its name.
pub(super) const LOGS: [&str; 2] = ["sshd", "web"];

/// So many addresses fail so often in `sshd` and in `web`.
const STORM: [(usize, [usize; 2]); 6] = [
    (40, [NEED, 0]),
    (40, [NEED - 1, 0]),
    (30, [NEED, NEED]),
    (30, [0, NEED]),
    (30, [1, NEED - 1]),
    (20, [NEED - 2, 0]),
];

impl Input {
    pub(super) fn new(chance: &mut Chance) -> Self {
        let mut stories: [Vec<Vec<String>>; 2] = Default::default();
        let mut banned = BTreeSet::new();
        let mut number = 0;
        for (count, failures) in STORM {
            for _ in 0..count {
                number += 1;
                let address = address(number);
                for (log, &times) in failures.iter().enumerate() {
                    let story =
                        |chance: &mut Chance| if log == 0 { ssh(&address, chance) } else { web(&address) };
                    stories[log].extend((0..times).map(|_| story(chance)));
                    if times == NEED {
                        banned.insert(format!("{} {address}", LOGS[log]));
                    }
                }
                if failures == [NEED; 2] {
                    banned.insert(format!("recidive {address}"));
                }
            }
        }
        let lines: Vec<_> = stories.into_iter().map(|stories| mix(stories, chance)).collect();
        Self {
            lines: lines.iter().map(Vec::len).sum(),
            logs: LOGS.into_iter().zip(lines.iter().map(|lines| lines.concat().into_bytes())).collect(),
            banned,
        }
    }

    /// Both logs, cut anywhere into so many pieces.
    pub(super) fn pieces(&self, count: usize, chance: &mut Chance) -> Vec<Vec<(&'static str, Vec<u8>)>> {
        let mut pieces = vec![Vec::new(); count];
        for (log, text) in &self.logs {
            let mut cuts: Vec<_> = (1..count).map(|_| chance.below(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            for (piece, ends) in pieces.iter_mut().zip(cuts.windows(2)) {
                piece.push((*log, text[ends[0]..ends[1]].to_vec()));
            }
        }
        pieces
    }
}

fn address(number: usize) -> String {
    if number.is_multiple_of(7) { format!("2001:db8:66::{number:x}") } else { format!("198.51.100.{number}") }
}

fn date(ago: i64) -> String {
    let time = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(ago);
    time.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string()
}

/// One failure in sshd's log: a line with its date, one without, one of two hours ago, or a connection of three lines
/// that count as one.
fn ssh(address: &str, chance: &mut Chance) -> Vec<String> {
    let (process, port) = (10_000 + chance.below(1 << 22), 1024 + chance.below(60_000));
    let line = |date: &str, said: &str| format!("{date}victim sshd[{process}]: {said}\n");
    let now = date(0) + " ";
    let failed = format!("Failed password for root from {address} port {port} ssh2");
    match chance.below(4) {
        0 => vec![line(&now, &failed)],
        1 => vec![line("", &failed)],
        2 => vec![line(&(date(7200) + " "), &failed)],
        _ => vec![
            line(&now, &format!("Invalid user oracle from {address} port {port}")),
            line(&now, "pam_unix(sshd:auth): check pass; user unknown"),
            line(&now, &format!("Failed password for invalid user oracle from {address} port {port} ssh2")),
        ],
    }
}

fn web(address: &str) -> Vec<String> {
    vec![format!("{} web: login failed from {address}\n", date(0))]
}

/// So many connections may begin between two lines of one: fewer than a filter remembers.
const APART: usize = 20;

/// The lines of all stories in one log, those of each in their order, with others between them that mean nothing.
fn mix(mut stories: Vec<Vec<String>>, chance: &mut Chance) -> Vec<String> {
    chance.shuffle(&mut stories);
    let mut placed = Vec::new();
    for (begin, story) in stories.into_iter().enumerate() {
        let mut place = begin;
        for line in story {
            placed.push((place, line));
            place += 1 + chance.below(APART);
        }
    }
    placed.sort_by_key(|(place, _)| *place);
    let mut lines = Vec::new();
    for (_, line) in placed {
        for _ in 0..chance.below(5) {
            lines.push(format!("{} victim CRON[{}]: session opened\n", date(0), chance.below(1 << 16)));
        }
        lines.push(line);
    }
    lines
}
