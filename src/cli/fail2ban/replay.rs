//! `stockade fail2ban replay`: failures, or lines, through counting, banning and letting in: JSON in, JSON out.
//!
//! The jail and the store are those of the daemon, by Fail2Ban's rules; only the clock, the resolver and chance are
//! played ([`world`], [`lines`]). The format is that of a collection of Fail2Ban's own verdicts.

mod lines;
mod settings;
mod world;

use std::io::{Read, Write};

use anyhow::Context;
use clap::Args;
use serde::{Deserialize, Serialize};

use self::settings::{JailSettings, Settings};
use self::world::World;
use crate::cli::Exit;
use crate::time::UnixTime;

/// No larger case is read.
const INPUT_CAP: u64 = 256 << 20;

/// The arguments.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The case has log lines with their filter, not failures
    #[arg(long)]
    lines: bool,
}

/// Timed failures and an operator's wishes.
#[derive(Debug, Deserialize)]
struct Case {
    settings: Settings,
    events: Vec<Event>,
    /// Unix seconds of moment 0.
    epoch: i64,
    /// When the play is over.
    end: f64,
}

/// Something that happens, in seconds after the epoch.
#[derive(Debug, Deserialize)]
struct Event {
    t: f64,
    #[serde(flatten)]
    what: What,
    /// In which jail, when there are several.
    jail: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "ev", rename_all = "kebab-case")]
enum What {
    /// A failure, at `time` if that is not now.
    Fail { ip: String, time: Option<f64> },
    /// An operator charges somebody.
    Attempt {
        ip: String,
        #[serde(default)]
        matches: Vec<String>,
    },
    /// An operator bans.
    Banip {
        ip: Option<String>,
        #[serde(default)]
        ips: Vec<String>,
    },
    /// An operator lets somebody in.
    Unbanip {
        ip: Option<String>,
        #[serde(default)]
        ips: Vec<String>,
    },
    /// An operator lets everybody in.
    UnbanAll {},
    /// An option changes.
    Set { opt: String, val: serde_json::Value },
    /// The program stops and starts, with other options perhaps.
    Restart {
        #[serde(default)]
        new: JailSettings,
    },
}

/// What was done.
#[derive(Debug, Serialize)]
struct Action {
    t: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    jail: Option<String>,
    op: &'static str,
    #[serde(flatten)]
    ban: Option<Told>,
}

/// What an action was told of a ban.
#[derive(Debug, Clone, Serialize)]
struct Told {
    ip: String,
    bantime: i64,
    bancount: u32,
    failures: u32,
    matches: usize,
    restored: u8,
}

#[derive(Debug, Serialize)]
struct Actions {
    actions: Vec<Action>,
}

pub(super) fn run(args: &ReplayArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let mut text = String::new();
    std::io::stdin().lock().take(INPUT_CAP).read_to_string(&mut text).context("the case cannot be read")?;
    if args.lines {
        let case: lines::Case = serde_json::from_str(&text).context("this is no case with lines")?;
        serde_json::to_writer(&mut *out, &lines::play(&case)?)?;
    } else {
        let case: Case = serde_json::from_str(&text).context("this is no case")?;
        serde_json::to_writer(&mut *out, &Actions { actions: play(case)? })?;
    }
    writeln!(out)?;
    Ok(Exit::Done)
}

fn play(case: Case) -> anyhow::Result<Vec<Action>> {
    let mut world = World::new(case.settings, case.epoch)?;
    for event in case.events.into_iter().take_while(|event| event.t <= case.end) {
        world.run_to(event.t);
        world.happen(&event)?;
    }
    world.run_to(case.end);
    Ok(world.into_actions())
}

/// A moment of the play.
fn at(epoch: i64, t: f64) -> UnixTime {
    UnixTime::from_micros(epoch.saturating_mul(1_000_000).saturating_add((t * 1e6).round() as i64))
}

#[cfg(test)]
mod tests;
