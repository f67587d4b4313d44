//! Killed at any moment of a storm, and started again; rotated under load: nothing is lost, nothing is counted twice.
//!
//! `STOCKADE_SOAK=minutes` (`make soak`) goes on for so long, each round with another seed; `STOCKADE_SEED=seed` begins
//! with that one.

mod chance;
mod court;
mod input;
mod kills;
mod rotations;

use std::io::Write as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rotations::How;

/// How long to go on; none: the short form of `make test`.
fn minutes() -> Option<Duration> {
    let minutes = std::env::var("STOCKADE_SOAK").ok()?;
    let minutes: u64 = minutes.parse().expect("STOCKADE_SOAK is a number of minutes");
    Some(Duration::from_secs(60 * minutes))
}

fn seed() -> u64 {
    match std::env::var("STOCKADE_SEED") {
        Ok(seed) => seed.parse().expect("STOCKADE_SEED is a number"),
        Err(_) => SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64,
    }
}

/// Says something aloud, past the test harness.
fn say(what: &str) {
    let _ = writeln!(std::io::stderr(), "soak: {what}");
}

#[test]
fn killed_in_a_storm() {
    let (begun, first) = (Instant::now(), seed());
    let (mut kills, mut lines) = (kills::Kills::default(), 0);
    let mut rounds = 0;
    while rounds == 0 || minutes().is_some_and(|minutes| begun.elapsed() < minutes * 4 / 5) {
        let seed = first.wrapping_add(rounds);
        say(&format!("round {rounds}, seed {seed}: {kills} so far, {lines} lines"));
        let round = kills::round(seed, 20);
        kills.add(&round.kills);
        lines += round.lines;
        rounds += 1;
    }
    say(&format!("{kills}, {lines} lines, {rounds} rounds, seeds {first} to {}", first + rounds - 1));
}

/// A few rotations in `make test`; a tenth of the time each in the long form.
fn rotated(how: How) -> rotations::Figures {
    let figures =
        rotations::under_load(how, minutes().map_or(Duration::from_secs(4), |minutes| minutes / 10));
    say(&figures.to_string());
    assert_eq!(figures.doubled, [""; 0], "{figures}");
    figures
}

#[test]
fn renamed_every_second() {
    let figures = rotated(How::Rename);
    assert!(figures.missed.is_empty(), "{figures}");
}

/// What is written and emptied before anybody can have read it is lost; nothing else is. How soon a daemon reads depends
/// on how busy the machine is: the bound is held in the long form.
#[test]
fn copied_and_emptied_every_second() {
    let figures = rotated(How::CopyTruncate);
    let bound = Duration::from_millis(if minutes().is_some() { 5 } else { 500 });
    let is_lost = |gap: &Option<Duration>| gap.is_some_and(|gap| gap <= bound);
    assert!(figures.missed.iter().all(is_lost), "{figures}: {:?}", figures.missed);
}
