//! Killed at any moment of a storm, and started again: nothing is lost, nothing is counted twice.
//!
//! `STOCKADE_SOAK=minutes` (`make soak`) goes on for so long, each round with another seed; `STOCKADE_SEED=seed` begins
//! with that one.

mod chance;
mod court;
mod input;
mod kills;

use std::io::Write as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

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
    while rounds == 0 || minutes().is_some_and(|minutes| begun.elapsed() < minutes) {
        let seed = first.wrapping_add(rounds);
        say(&format!("round {rounds}, seed {seed}: {kills} so far, {lines} lines"));
        let round = kills::round(seed, 20);
        kills.add(&round.kills);
        lines += round.lines;
        rounds += 1;
    }
    say(&format!("{kills}, {lines} lines, {rounds} rounds, seeds {first} to {}", first + rounds - 1));
}
