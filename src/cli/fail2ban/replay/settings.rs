//! A case's settings, Fail2Ban's names → the options of a jail.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde::Deserialize;
use serde_json::Value;

use crate::jail::{Counters, IgnoreOptions, JailOptions, Rules};
use crate::sentence::{Formula, Increment, Scale, Sentence, expression};
use crate::tracker::TrackerOptions;

/// More than any case tracks.
const TRACKED: usize = 1_000_000;

/// All of a case.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Settings {
    pub(super) jails: BTreeMap<String, JailSettings>,
    /// Whether there is a database.
    #[serde(default = "yes")]
    pub(super) db: bool,
    #[serde(default)]
    pub(super) cleanup: Cleanup,
}

fn yes() -> bool {
    true
}

/// When stale failures go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Cleanup {
    /// Before every event.
    Eager,
    /// After bans alone.
    #[default]
    None,
}

/// Options of a jail, as they would be set.
pub(super) type JailSettings = BTreeMap<String, Value>;

/// The options of a jail; what is not said is as in the stock configuration.
pub(super) fn options(name: &str, settings: &JailSettings) -> anyhow::Result<JailOptions> {
    let text = |key: &str| settings.get(key).map(plain).filter(|text| !text.is_empty());
    let seconds = |key: &str, default: f64| {
        text(key).map_or(Ok(default), |text| self::seconds(&text).context(key.to_owned()))
    };
    let number = |key: &str, default: i64| {
        text(key).map_or(Ok(default), |text| text.parse::<i64>().with_context(|| format!("{key} {text:?}")))
    };
    let span = |key: &str| text(key).map(|text| self::seconds(&text).context(key.to_owned())).transpose();
    let max_retry = number("maxretry", 3)?;
    let ban_time = seconds("bantime", 600.0)? as i64;
    let increment = Increment {
        scale: scale(text("bantime.formula").as_deref(), text("bantime.multipliers").as_deref())?,
        factor: text("bantime.factor").map_or(Ok(Increment::default().factor), |text| {
            Increment::factor(&text).context("bantime.factor")
        })?,
        max_time: span("bantime.maxtime")?.map(positive),
        random_time: span("bantime.rndtime")?.map_or(Duration::ZERO, positive),
        all_jails: text("bantime.overalljails").is_some_and(|text| truth(&text)),
    };
    Ok(JailOptions {
        name: name.into(),
        filter: None,
        tracker: TrackerOptions {
            max_retry: u32::try_from(max_retry.max(0)).unwrap_or(u32::MAX),
            find_time: positive(seconds("findtime", 600.0)?),
            // As Fail2Ban's server has it when nobody says it.
            max_matches: usize::try_from(number("maxmatches", 50)?).unwrap_or(0),
            max_tracked: TRACKED,
        },
        ban_time: match ban_time {
            -1 => Sentence::FOREVER,
            time => Duration::from_secs(u64::try_from(time).unwrap_or(0)).into(),
        },
        bans_nobody: ban_time < -1,
        increment: text("bantime.increment").is_some_and(|text| truth(&text)).then_some(increment),
        ignore: IgnoreOptions { nets: ignored(settings.get("ignoreip")), ..IgnoreOptions::default() },
        enforced: false,
        rules: Rules::Fail2Ban,
        counters: Counters::Forget,
    })
}

fn scale(formula: Option<&str>, multipliers: Option<&str>) -> anyhow::Result<Scale> {
    if let Some(scale) = Scale::multipliers(multipliers.unwrap_or_default()).context("bantime.multipliers")? {
        return Ok(scale);
    }
    Ok(match formula {
        Some(formula) => Scale::Formula(formula.parse::<Formula>().context("bantime.formula")?),
        None => Scale::Doubling,
    })
}

fn ignored(list: Option<&Value>) -> Vec<(crate::subnet::Subnet, Arc<str>)> {
    let words: Vec<String> = match list {
        Some(Value::Array(words)) => words.iter().map(plain).collect(),
        Some(other) => plain(other).split([' ', ',', '\n']).map(str::to_owned).collect(),
        None => Vec::new(),
    };
    words.into_iter().filter_map(|word| Some((word.parse().ok()?, word.into()))).collect()
}

pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn truth(text: &str) -> bool {
    matches!(&*text.to_lowercase(), "1" | "on" | "true" | "yes")
}

/// Seconds, perhaps less than none.
fn seconds(text: &str) -> anyhow::Result<f64> {
    Ok(expression::seconds(text)?.float())
}

fn positive(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::ZERO)
}
