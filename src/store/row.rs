//! Between a [`Ban`] and the columns of `bans` and `bips`.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::jail::Ban;
use crate::sentence::Sentence;
use crate::time::UnixTime;

/// Ban data larger than this was not written by us and is not read.
pub(super) const DATA_CAP: usize = 1 << 20;

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

/// The column `data`: `{"matches": ["line", …], "failures": 3, "user": "x", …}`, with at most `matches` lines.
pub(super) struct Data<'a> {
    pub(super) ban: &'a Ban,
    pub(super) matches: usize,
}

impl Data<'_> {
    pub(super) fn json(&self) -> Vec<u8> {
        // Strings and a number in a map cannot fail; without data a ban is still a ban.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The lines that are kept.
    fn newest(&self) -> &[Arc<str>] {
        &self.ban.lines[self.ban.lines.len().saturating_sub(self.matches)..]
    }

    /// The same for a row that is there already: what the ban says anew, and else what the row says, as it is written
    /// there. None: the row says it all.
    pub(super) fn changed(&self, old: &[u8]) -> Option<Vec<u8>> {
        if old.len() > DATA_CAP {
            return None;
        }
        let Ban { failures, lines, data, .. } = self.ban;
        let Ok(map) = serde_json::from_slice::<Map<String, Value>>(old) else {
            let nothing = *failures == 0 && lines.is_empty() && data.is_empty();
            return (!nothing).then(|| self.json());
        };
        let read = Read::of(&map);
        // A ban may have been read with fewer lines than there are, or with none.
        let same = read.failures == *failures
            && read.lines.ends_with(lines)
            && data.iter().all(|entry| read.data.contains(entry));
        (!same).then(|| self.over(&map))
    }

    fn over(&self, old: &Map<String, Value>) -> Vec<u8> {
        let mut map = old.clone();
        let spelled = |text: &Arc<str>| {
            let old = old.get("matches").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let same = old.iter().find(|old| line(old).as_ref() == Some(text));
            same.cloned().unwrap_or_else(|| Value::from(&**text))
        };
        if self.matches == 0 {
            map.remove("matches");
        } else {
            map.insert("matches".to_owned(), self.newest().iter().map(spelled).collect());
        }
        map.insert("failures".to_owned(), Value::from(self.ban.failures));
        for (name, value) in self.ban.data.iter().filter(|(name, _)| !reserved(name)) {
            if old.get(&**name).and_then(word).as_ref() != Some(value) {
                map.insert((**name).to_owned(), Value::from(&**value));
            }
        }
        serde_json::to_vec(&map).unwrap_or_default()
    }
}

impl Serialize for Data<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if self.matches > 0 {
            map.serialize_entry("matches", self.newest())?;
        }
        map.serialize_entry("failures", &self.ban.failures)?;
        for (name, value) in self.ban.data.iter().filter(|(name, _)| !reserved(name)) {
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
        serde_json::from_slice(capped(json)).unwrap_or_default()
    }

    fn of(map: &Map<String, Value>) -> Self {
        let mut reading = Reading::default();
        map.iter().for_each(|(name, value)| reading.take(name, value));
        reading.finish()
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

/// A [`Read`] that is not complete yet.
#[derive(Default)]
struct Reading {
    read: Read,
    /// None: what stands there is no word.
    data: Vec<(Arc<str>, Option<String>)>,
}

impl Reading {
    /// One entry of the map.
    fn take(&mut self, name: &str, value: &Value) {
        match name {
            "matches" => {
                self.read.lines = value.as_array().into_iter().flatten().filter_map(line).collect();
            }
            "failures" => {
                self.read.failures = value.as_u64().map_or(0, |n| u32::try_from(n).unwrap_or(u32::MAX));
            }
            _ => self.data.push((name.into(), word(value))),
        }
    }

    /// Of several with the same name the last counts.
    fn finish(mut self) -> Read {
        self.data.reverse();
        self.data.sort_by(|(one, _), (other, _)| one.cmp(other));
        self.data.dedup_by(|later, first| later.0 == first.0);
        self.read.data = self.data.into_iter().filter_map(|(name, word)| Some((name, word?))).collect();
        self.read
    }
}

/// Straight from the text: a map in between would cost as much as all the rest.
impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Read;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Read, A::Error> {
                let mut reading = Reading::default();
                while let Some(Name(name)) = map.next_key()? {
                    reading.take(&name, &map.next_value()?);
                }
                Ok(reading.finish())
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// Borrowed where nothing in it is escaped.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

fn capped(json: &[u8]) -> &[u8] {
    if json.len() > DATA_CAP { &[] } else { json }
}

/// What a ban can hold of a value.
fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn line(value: &Value) -> Option<Arc<str>> {
    match value {
        Value::String(line) => Some(line.as_str().into()),
        Value::Array(parts) => Some(parts.iter().filter_map(Value::as_str).collect::<String>().into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_read_as_the_map_is() {
        for json in [
            "{}",
            r#"{"matches": ["a", ["b", "c", 7, "d"], 5, null], "failures": 3}"#,
            r#"{"failures": 3, "failures": "x", "matches": "no", "matches": ["a"]}"#,
            r#"{"z": "last", "user": "root", "a\u0062": 5, "user": "x", "n": 1.5, "l": [1], "m": {}}"#,
            r#"{"user": "root", "user": [], "failures": 99999999999, "failures ": 1}"#,
            r#"{"failures": -1}"#,
        ] {
            let map: Map<String, Value> = serde_json::from_str(json).unwrap();
            assert_eq!(Read::full(json.as_bytes()), Read::of(&map), "{json}");
        }
        for json in ["", "[]", "null", "{", r#"{"failures": 3} x"#] {
            assert_eq!(Read::full(json.as_bytes()), Read::default(), "{json}");
        }
    }
}
