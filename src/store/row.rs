//! Between a [`Ban`] and the columns of `bans` and `bips`.

use std::sync::Arc;
use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize};

use crate::jail::Ban;
use crate::sentence::Sentence;
use crate::time::UnixTime;

/// Ban data larger than this was not written by us and is not read.
const DATA_CAP: usize = 1 << 20;

/// The seconds nearest to a moment.
pub(super) fn seconds(time: UnixTime) -> i64 {
    time.micros().saturating_add(500_000).div_euclid(1_000_000)
}

/// The column `bantime`: whole seconds, -1 for ever.
pub(super) fn bantime(sentence: Sentence) -> i64 {
    sentence.0.map_or(-1, |span| i64::try_from(span.as_secs()).unwrap_or(i64::MAX))
}

/// The way back; none for what is neither a span nor for ever.
pub(super) fn sentence(bantime: i64) -> Option<Sentence> {
    match u64::try_from(bantime) {
        Ok(secs) => Some(Sentence(Some(Duration::from_secs(secs)))),
        Err(_) if bantime == -1 => Some(Sentence(None)),
        Err(_) => None,
    }
}

/// The column `data`: `{"matches": ["line", …], "failures": 3, "user": "x", …}`.
pub(super) struct Data<'a>(pub(super) &'a Ban);

impl Data<'_> {
    pub(super) fn json(&self) -> Vec<u8> {
        // Strings and a number in a map cannot fail; without data a ban is still a ban.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl Serialize for Data<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("matches", &self.0.lines)?;
        map.serialize_entry("failures", &self.0.failures)?;
        for (name, value) in self.0.data.iter().filter(|(name, _)| !reserved(name)) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

fn reserved(name: &str) -> bool {
    matches!(name, "matches" | "failures")
}

/// What the column `data` says, as far as it makes sense.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Read {
    pub(super) failures: u32,
    pub(super) lines: Vec<Arc<str>>,
    pub(super) data: Vec<(Arc<str>, String)>,
}

impl Read {
    /// Reads the column. Fail2Ban's own rows have a line as `[before, date, after]` too.
    pub(super) fn full(json: &[u8]) -> Self {
        let Ok(map) = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(capped(json))
        else {
            return Self::default();
        };
        let mut read = Self::default();
        for (name, value) in map {
            match (&*name, value) {
                ("matches", serde_json::Value::Array(lines)) => {
                    read.lines = lines.iter().filter_map(line).collect();
                }
                ("failures", value) => {
                    read.failures = value.as_u64().map_or(0, |n| u32::try_from(n).unwrap_or(u32::MAX));
                }
                (_, serde_json::Value::String(value)) if !reserved(&name) => {
                    read.data.push((name.into(), value));
                }
                (_, serde_json::Value::Number(value)) if !reserved(&name) => {
                    read.data.push((name.into(), value.to_string()));
                }
                _ => {}
            }
        }
        read
    }

    /// Reads only the number of failures.
    pub(super) fn brief(json: &[u8]) -> Self {
        #[derive(Default, Deserialize)]
        struct Brief {
            #[serde(default)]
            failures: u32,
        }
        let brief: Brief = serde_json::from_slice(capped(json)).unwrap_or_default();
        Self { failures: brief.failures, ..Self::default() }
    }
}

fn capped(json: &[u8]) -> &[u8] {
    if json.len() > DATA_CAP { &[] } else { json }
}

fn line(value: &serde_json::Value) -> Option<Arc<str>> {
    match value {
        serde_json::Value::String(line) => Some(line.as_str().into()),
        serde_json::Value::Array(parts) => {
            Some(parts.iter().filter_map(serde_json::Value::as_str).collect::<String>().into())
        }
        _ => None,
    }
}
