//! `replay --lines`: timed log lines through a filter of Fail2Ban and the jail behind it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::at;
use super::settings::{self, JailSettings};
use crate::fail2ban::Place;
use crate::fail2ban::filter::{Wanted, resolve};
use crate::filter::date::Zone;
use crate::filter::{Filter, FilterError, Reading};
use crate::id::Id;
use crate::jail::{Answer, Effect, Jail, Question};

/// Lines and the filter that they meet.
#[derive(Debug, Deserialize)]
pub(super) struct Case {
    /// Fail2Ban's configuration directory.
    base: PathBuf,
    filter: String,
    /// What stands in the filter's brackets, and `logtimezone`.
    #[serde(default)]
    options: BTreeMap<String, Value>,
    /// Options of the jail.
    jail: JailSettings,
    /// The zone of dates without one.
    tz: String,
    /// Unix seconds of moment 0.
    epoch: i64,
    lines: Vec<Line>,
}

#[derive(Debug, Deserialize)]
struct Line {
    /// When it is read, in seconds after the epoch.
    now: f64,
    /// Whether its file was once read to its end.
    in_operation: bool,
    #[serde(rename = "line")]
    text: String,
}

/// Who was banned, and by which line.
#[derive(Debug, Serialize)]
pub(super) struct Bans {
    bans: Vec<Banned>,
}

#[derive(Debug, Serialize)]
struct Banned {
    line: usize,
    id: Id,
    failures: u32,
}

pub(super) fn play(case: &Case) -> anyhow::Result<Bans> {
    let mut jail = jail(case)?;
    let mut bans = Vec::new();
    for (number, line) in (1..).zip(&case.lines) {
        let now = at(case.epoch, line.now);
        let find_time = jail.options().tracker.find_time;
        let mut effects = Vec::new();
        jail.expire(now, &mut effects);
        jail.on_line(
            line.text.as_bytes(),
            &Reading { now, since: now, live: line.in_operation, find_time },
            &mut effects,
        );
        let mut effects = std::collections::VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Ban(ban) => bans.push(Banned { line: number, id: ban.id, failures: ban.failures }),
                // Nobody here knows any name.
                Effect::Consult(Question::Name(name)) => {
                    let mut more = Vec::new();
                    jail.answer(Answer::Addresses(name, Vec::new()), now, &mut more);
                    effects.extend(more);
                }
                _ => {}
            }
        }
    }
    Ok(Bans { bans })
}

fn jail(case: &Case) -> anyhow::Result<Jail> {
    let (mut options, mut of_jail) = (Vec::new(), Vec::new());
    for (name, value) in &case.options {
        let list = if name == "logtimezone" { &mut of_jail } else { &mut options };
        list.push((name.clone(), settings::plain(value)));
    }
    of_jail.extend(case.jail.get("usedns").map(|value| ("usedns".to_owned(), settings::plain(value))));
    let wanted = Wanted { base: &case.base, name: &case.filter, options: &options, jail: &of_jail };
    let resolved = resolve(&wanted).map_err(|trouble| {
        let Place { file, line, .. } = &trouble.place;
        let file = file.as_ref().map(|file| format!("{}: ", file.display())).unwrap_or_default();
        let line = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        anyhow::anyhow!("{file}{line}{trouble}")
    })?;
    let zone = Zone::named(&case.tz).ok_or_else(|| anyhow::anyhow!("tz {:?} is no zone", case.tz))?;
    let year = zone.year(crate::cli::ask::now());
    let filter = Filter::for_replay(&resolved.options(), zone, year).map_err(|errors| {
        let errors: Vec<_> = errors.iter().map(FilterError::to_string).collect();
        anyhow::anyhow!("filter {}: {}", case.filter, errors.join("; "))
    })?;
    Ok(Jail::with_filter(&settings::options(&case.filter, &case.jail)?, Some(filter)))
}
