//! What a line means in the dialect of TOML jails: the steps of SPEC §2.2, cheapest first.

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::date::{Dated, Dates};
use super::odd::{Oddities, Oddity};
use super::pattern::{Group, Role};
use super::patterns::{Content, Matched, Patterns};
use super::session::{Event, Groups, Merged, Sessions};
use super::text::{SHOWN, lossy, without_return};
use super::when::{self, Rules};
use super::{Failure, Outcome, Reading};
use crate::id::Id;
use crate::subnet::Subnet;
use crate::time::UnixTime;

/// Bytes of a group's text that are kept.
const VALUE: usize = 512;

/// A filter of a TOML jail, with what it remembers of the lines before.
#[derive(Debug)]
pub(super) struct Native {
    pub(super) patterns: Patterns,
    pub(super) dates: Dates,
    pub(super) memory: Memory,
    pub(super) changed: bool,
    pub(super) odd: Oddities,
    /// Used again for each line.
    text: Vec<u8>,
}

/// Everything that the next verdict depends on.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Memory {
    /// The date of the last line that had one.
    last: Option<UnixTime>,
    #[serde(default)]
    sessions: Sessions,
}

/// What the patterns say about a text.
enum Meaning {
    Nothing,
    Undecided,
    Ignored(usize),
    Failed(usize, Content),
}

/// Who failed, as far as the groups tell.
enum Who {
    Nobody,
    /// An address that is none (999.1.1.1), or an id that would be read as a prefix: as a user name,
    /// `0.0.0.0/0` must not ban everybody.
    Invalid,
    /// With the address as text, where the id is another one.
    Id(Id, Option<String>),
}

impl Native {
    pub(super) fn new(patterns: Patterns, dates: Dates) -> Self {
        Self {
            patterns,
            dates,
            memory: Memory::default(),
            changed: false,
            odd: Oddities::default(),
            text: Vec::new(),
        }
    }

    /// Judges one line (without its end); its date is looked for where its time is not `known`.
    pub(super) fn line(&mut self, line: &[u8], known: Option<UnixTime>, at: &Reading) -> Outcome {
        let dated = match known {
            Some(time) => Some(Dated { start: 0, end: 0, time: Some(time), whole: false }),
            None => self.dates.find(line, at.now),
        };
        let outcome = if self.patterns.literals.as_ref().is_some_and(|literals| literals.find(line).is_none())
        {
            Outcome::Nothing
        } else {
            self.judge(line, dated, at)
        };
        self.saw(dated.and_then(|dated| dated.time));
        outcome
    }

    /// Judges a line behind others that were passed over; `is_hit`: it has one of the texts of the patterns.
    pub(super) fn after(&mut self, passed: &[u8], line: &[u8], is_hit: bool, at: &Reading) -> Outcome {
        let dated = self.dates.find(line, at.now);
        let time = dated.and_then(|dated| dated.time);
        if time.is_none() {
            self.catch_up(passed, at.now);
        }
        let is_hit =
            is_hit || self.patterns.literals.as_ref().is_none_or(|literals| literals.find(line).is_some());
        let outcome = if is_hit { self.judge(line, dated, at) } else { Outcome::Nothing };
        self.saw(time);
        outcome
    }

    /// Takes the last date from lines that were passed over.
    pub(super) fn catch_up(&mut self, mut lines: &[u8], now: UnixTime) {
        while !lines.is_empty() {
            let ended = lines.strip_suffix(b"\n").unwrap_or(lines);
            let start = memchr::memrchr(b'\n', ended).map_or(0, |end| end + 1);
            let time = self.dates.time(without_return(&ended[start..]), now);
            if time.is_some() {
                return self.saw(time);
            }
            lines = &lines[..start];
        }
    }

    fn saw(&mut self, time: Option<UnixTime>) {
        if time.is_some() && time != self.memory.last {
            self.memory.last = time;
            self.changed = true;
        }
    }

    fn judge(&mut self, line: &[u8], dated: Option<Dated>, at: &Reading) -> Outcome {
        let mut joined = std::mem::take(&mut self.text);
        let text = match dated {
            None => line,
            Some(Dated { start: 0, end, .. }) => &line[end..],
            Some(Dated { start, end, .. }) => {
                joined.clear();
                joined.extend_from_slice(&line[..start]);
                joined.extend_from_slice(&line[end..]);
                &joined
            }
        };
        let meaning = self.meaning(text);
        let time = dated.and_then(|dated| dated.time);
        let when = when::judge(time.or_else(|| when::still(self.memory.last, at)), at);
        let outcome = match (meaning, when) {
            (Meaning::Nothing, _) => Outcome::Nothing,
            (_, Rules::TooOld) => Outcome::TooOld,
            (_, Rules::Unknown) => {
                self.odd.note(Oddity::Undated, line, at.now);
                Outcome::TooOld
            }
            (Meaning::Undecided, _) => Outcome::Undecided,
            (Meaning::Ignored(ignore), _) => Outcome::Ignored(ignore),
            (Meaning::Failed(pattern, content), Rules::At { time, odd }) => {
                if let Some(odd) = odd {
                    self.odd.note(odd, line, at.now);
                }
                self.failure(line, text, &content, pattern, time.min(at.now), at.now)
            }
        };
        self.text = joined;
        outcome
    }

    fn meaning(&mut self, text: &[u8]) -> Meaning {
        self.patterns.begin();
        let first = self.patterns.content(text, false).map(|content| {
            let inner = &text[content.place.clone()];
            (self.patterns.first(inner, 0), content)
        });
        match first {
            Ok((Matched::By(pattern), content)) => {
                match self.patterns.ignored(&text[content.place.clone()]) {
                    Matched::No => Meaning::Failed(pattern, content),
                    Matched::By(ignore) => Meaning::Ignored(ignore),
                    Matched::Undecided => Meaning::Undecided,
                }
            }
            Ok((Matched::Undecided, _)) | Err(Matched::Undecided) => Meaning::Undecided,
            Ok((Matched::No, _)) | Err(_) => Meaning::Nothing,
        }
    }

    /// The failure that a match means, by itself or with the lines before of its connection.
    fn failure(
        &mut self,
        line: &[u8],
        text: &[u8],
        content: &Content,
        pattern: usize,
        time: UnixTime,
        now: UnixTime,
    ) -> Outcome {
        self.patterns.locate_prefix(text, content, None);
        let mut found = Found::default();
        found.add(self.patterns.of_prefix(text, content));
        found.add(self.patterns.of_pattern(pattern, &text[content.place.clone()]));

        let held = found.nofail || found.gained;
        let key = found.session.map(|key| lossy(key, VALUE));
        let sessions = &mut self.memory.sessions;
        if let Some(key) = &key
            && held
            && found.forget
            && !sessions.knows(key, now)
        {
            return Outcome::Pending(pattern);
        }
        let event = found.event(lossy(line, SHOWN).into());
        let merged = match key {
            Some(key) => {
                self.changed = true;
                sessions.merge(key.into(), event, now, |groups| !matches!(who(groups), Who::Nobody))
            }
            None => (!held).then_some(Merged { groups: event.groups, lines: event.lines, is_first: true }),
        };
        let Some(Merged { groups, lines, .. }) = merged else { return Outcome::Pending(pattern) };
        let Who::Id(id, address) = who(&groups) else { return Outcome::Nothing };
        let data = address.map(|address| (Arc::from("ip"), address.into()));
        let others = groups.iter().filter(|(name, _)| !IDENTITY.contains(&&**name)).cloned();
        Outcome::Failure(Box::new(Failure {
            id,
            is_name: false,
            time,
            lines,
            data: data.into_iter().chain(others).collect(),
            pattern,
        }))
    }
}

/// Groups that say who it was; the rest is data.
const IDENTITY: [&str; 4] = ["ip4", "ip6", "cidr", "fid"];

/// What the groups of prefix and pattern captured.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "one for each tag")]
struct Found<'t> {
    data: Vec<(&'t Arc<str>, &'t [u8])>,
    alternatives: Vec<(&'t Arc<str>, &'t [u8])>,
    session: Option<&'t [u8]>,
    nofail: bool,
    gained: bool,
    forget: bool,
    once: bool,
    repeat: bool,
}

impl<'t> Found<'t> {
    /// Groups that took part in the match; later ones replace earlier ones of the same name.
    fn add(&mut self, groups: impl Iterator<Item = (&'t Group, Option<&'t [u8]>)>) {
        for (group, value) in groups {
            let Some(value) = value else { continue };
            match group.role {
                Role::Content => {}
                Role::Session => self.session = Some(value),
                Role::NoFail => self.nofail = !value.is_empty(),
                Role::Gained => self.gained = !value.is_empty(),
                Role::Forget => self.forget = !value.is_empty(),
                Role::Once => self.once = !value.is_empty(),
                Role::Repeat => self.repeat = !value.is_empty(),
                Role::Alternative => self.alternatives.push((&group.name, value)),
                Role::Data => match self.data.iter_mut().find(|(name, _)| **name == group.name) {
                    Some((_, known)) => *known = value,
                    None => self.data.push((&group.name, value)),
                },
            }
        }
    }

    fn event(mut self, line: Arc<str>) -> Event {
        for (name, value) in self.alternatives {
            match self.data.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) if known.is_empty() => *known = value,
                Some(_) => {}
                None => self.data.push((name, value)),
            }
        }
        let groups =
            self.data.into_iter().map(|(name, value)| (Arc::clone(name), lossy(value, VALUE).into()));
        Event {
            groups: groups.collect(),
            is_native: true,
            lines: vec![line],
            nofail: self.nofail,
            gained: self.gained,
            forget: self.forget,
            once: self.once,
            repeat: self.repeat,
        }
    }
}

/// Who the groups say it was: an id of its own, else the address.
fn who(groups: &Groups) -> Who {
    let text = |name: &str| {
        let mut named = groups.iter().filter(|(known, text)| &**known == name && !text.is_empty());
        named.next().map(|(_, text)| &**text)
    };
    let address = text("ip4").or_else(|| text("ip6"));
    if let Some(id) = text("fid")
        && address != Some(id)
    {
        let is_prefix = id.parse::<Subnet>().is_ok_and(|net| !net.is_single());
        return if is_prefix { Who::Invalid } else { Who::Id(Id::parse(id), address.map(str::to_owned)) };
    }
    let Some(address) = address else { return Who::Nobody };
    let Ok(single) = address.parse::<IpAddr>() else { return Who::Invalid };
    match text("cidr").map(str::parse) {
        None => Who::Id(Subnet::from(single).into(), None),
        Some(Ok(length)) => Subnet::new(single, length).map_or(Who::Invalid, |net| Who::Id(net.into(), None)),
        Some(Err(_)) => Who::Invalid,
    }
}
