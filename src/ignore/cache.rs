//! Decisions about who is ignored, remembered for a while (`ignorecache`, SPEC §1.9).
//!
//! Pure. The whole decision is remembered, so a list that changes tells only when it is forgotten.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use smol_str::SmolStr;

use crate::id::Id;
use crate::time::UnixTime;

/// Longer keys are cut: a log chooses what is in them.
const KEY_CAP: usize = 512;

/// How decisions are remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheOptions {
    /// What makes two failures alike: a text with `<ip>`, `<family>`, `<F-USER>` and so on.
    pub key: Arc<str>,
    /// Decisions remembered at once.
    pub max_count: usize,
    /// How long one holds.
    pub max_time: Duration,
}

/// The rule by which somebody is ignored; none: by none.
pub type Decision = Option<Arc<str>>;

/// The decisions of one jail.
#[derive(Debug)]
pub struct Cache {
    options: CacheOptions,
    known: HashMap<Arc<str>, (Decision, u64, UnixTime)>,
    /// Keys in the order of learning.
    order: BTreeMap<u64, Arc<str>>,
    next: u64,
}

impl Cache {
    /// Nothing is decided yet.
    pub fn new(options: CacheOptions) -> Self {
        Self { options, known: HashMap::new(), order: BTreeMap::new(), next: 0 }
    }

    /// What makes this failure like others.
    pub fn key(&self, id: &Id, data: &[(Arc<str>, SmolStr)]) -> String {
        let mut key = fill(&self.options.key, id, data);
        let end = (0..=KEY_CAP.min(key.len())).rev().find(|end| key.is_char_boundary(*end));
        key.truncate(end.unwrap_or(0));
        key
    }

    /// What was decided, if that still holds.
    pub fn get(&self, key: &str, now: UnixTime) -> Option<&Decision> {
        let (decision, _, at) = self.known.get(key)?;
        // A clock that was set back makes nothing hold longer.
        (*at <= now && now.since(*at) < self.options.max_time).then_some(decision)
    }

    /// Remembers a decision; the oldest goes when there are too many.
    pub fn put(&mut self, key: String, decision: Decision, now: UnixTime) {
        let key: Arc<str> = key.into();
        let number = self.next;
        self.next += 1;
        if let Some((_, old, _)) = self.known.insert(Arc::clone(&key), (decision, number, now)) {
            self.order.remove(&old);
        }
        self.order.insert(number, key);
        while self.known.len() > self.options.max_count {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            self.known.remove(&oldest);
        }
    }
}

/// Puts what is known of a failure in the place of its tags; unknown tags stay, a `<F-NAME>` that nobody named is
/// empty.
fn fill(text: &str, id: &Id, data: &[(Arc<str>, SmolStr)]) -> String {
    let mut filled = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        filled.push_str(&rest[..start]);
        rest = &rest[start..];
        let tag = rest.find('>').map(|end| &rest[1..end]);
        let value = tag.and_then(|tag| value(tag, id, data));
        if let (Some(value), Some(tag)) = (value, tag) {
            filled.push_str(&value);
            rest = &rest[tag.len() + 2..];
        } else {
            filled.push('<');
            rest = &rest[1..];
        }
    }
    filled + rest
}

fn value(tag: &str, id: &Id, data: &[(Arc<str>, SmolStr)]) -> Option<String> {
    let named =
        |name: &str| data.iter().find(|(known, _)| **known == *name).map(|(_, value)| value.to_string());
    match tag {
        "fid" => Some(id.to_string()),
        "ip" => Some(named("ip").unwrap_or_else(|| id.to_string())),
        "family" => id.net().map(|net| if net.is_ipv6() { "inet6" } else { "inet4" }.to_owned()),
        _ => {
            let name = tag.strip_prefix("F-")?;
            let name = name.to_ascii_lowercase().replace('-', "_");
            Some(named(&name).unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> UnixTime {
        UnixTime::from_secs(1_700_000_000 + second)
    }

    fn cache(max_count: usize) -> Cache {
        let max_time = Duration::from_secs(300);
        Cache::new(CacheOptions { key: "<ip>".into(), max_count, max_time })
    }

    #[test]
    fn a_key_is_filled_with_what_is_known() {
        let data = [("user".into(), "mallory".into()), ("ip".into(), "192.0.2.7".into())];
        let fill = |text: &str, id: &str, data: &[_]| fill(text, &Id::parse(id), data);
        for (text, id, want) in [
            ("<ip>", "192.0.2.7", "192.0.2.7"),
            ("<F-USER>@<ip>", "session 9", "mallory@192.0.2.7"),
            ("<fid>", "session 9", "session 9"),
            ("<family>|<F-PORT>|<unknown>|<", "2001:db8::1", "inet6||<unknown>|<"),
            ("a<<ip>>b", "192.0.2.7", "a<192.0.2.7>b"),
            ("plain", "192.0.2.7", "plain"),
        ] {
            assert_eq!(fill(text, id, &data), want, "{text}");
        }
        assert_eq!(fill("<ip>", "192.0.2.9", &[]), "192.0.2.9");
        let long = cache(1).key(&Id::parse(&"ü".repeat(1000)), &[]);
        assert_eq!(long, "ü".repeat(KEY_CAP / 2));
    }

    #[test]
    fn a_decision_holds_for_its_time_and_while_there_is_room() {
        let mut cache = cache(2);
        let rule: Decision = Some("dns".into());
        cache.put("a".into(), rule.clone(), at(0));
        for (now, want) in [(0, true), (299, true), (300, false), (-1, false)] {
            assert_eq!(cache.get("a", at(now)).is_some(), want, "at {now}");
        }
        cache.put("b".into(), None, at(1));
        assert_eq!((cache.get("a", at(1)), cache.get("b", at(1))), (Some(&rule), Some(&None)));
        cache.put("a".into(), None, at(2));
        cache.put("c".into(), None, at(3));
        assert_eq!(cache.get("b", at(3)), None, "the oldest went");
        assert_eq!((cache.get("a", at(3)), cache.get("c", at(3))), (Some(&None), Some(&None)));
        assert_eq!((cache.known.len(), cache.order.len()), (2, 2));
    }
}
