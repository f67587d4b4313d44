//! What a line means: the steps of SPEC §2.2, cheapest first.

use std::borrow::Cow;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::date::Dated;
use super::pattern::{Budget, Effort, Pattern, Places, Role, Verdict};
use super::prefilter::Candidates;
use super::session::{Event, Groups, Merged};
use super::{Failure, Filter, Outcome, Reading};
use crate::id::Id;
use crate::subnet::Subnet;
use crate::time::UnixTime;

/// How far a date may be from the moment of its reading, and for how long the last date serves undated lines.
const TOLERANCE: Duration = Duration::from_secs(60);
/// Bytes of a line that are reported.
const SHOWN: usize = 2_000;
/// Bytes of a group's text that are kept.
const VALUE: usize = 512;
/// Patterns that may reach their limit on one line before the rest is given up.
const EXHAUSTED: usize = 2;

/// What the patterns say about a text.
enum Matched {
    No,
    Undecided,
    Ignored(usize),
    By(usize),
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

impl Filter {
    /// Judges one line (without its end).
    pub fn line(&mut self, line: &[u8], at: &Reading) -> Outcome {
        let dated = self.dates.find(line, at.now);
        let outcome = if self.literals.as_ref().is_some_and(|literals| literals.find(line).is_none()) {
            Outcome::Nothing
        } else {
            self.judge(line, dated, at)
        };
        self.saw(dated.and_then(|dated| dated.time));
        outcome
    }

    /// Judges the lines of a block, each ended by `\n` or `\r\n`, and reports those that mean something.
    ///
    /// The same as [`Filter::line`] for each of them, but lines without any literal of the patterns are passed over
    /// at once. Of their dates only the last is read: no other can matter.
    pub fn block(&mut self, text: &[u8], at: &Reading, each: &mut dyn FnMut(&[u8], Outcome)) {
        let (mut next, mut undated) = (0, 0);
        while next < text.len() {
            let hit = match &self.literals {
                None => 0,
                Some(literals) => match literals.find(&text[next..]) {
                    Some(hit) => hit,
                    None => break,
                },
            };
            let start = next + memchr::memrchr(b'\n', &text[next..next + hit]).map_or(0, |end| end + 1);
            let end = memchr::memchr(b'\n', &text[start..]).map_or(text.len(), |end| start + end);
            let line = without_return(&text[start..end]);
            let dated = self.dates.find(line, at.now);
            let time = dated.and_then(|dated| dated.time);
            if time.is_none() {
                self.catch_up(&text[undated..start], at.now);
            }
            let outcome = self.judge(line, dated, at);
            self.saw(time);
            if outcome != Outcome::Nothing {
                each(line, outcome);
            }
            next = end + 1;
            undated = next;
        }
        self.catch_up(text.get(undated..).unwrap_or_default(), at.now);
    }

    /// Takes the last date from lines that were passed over.
    fn catch_up(&mut self, mut lines: &[u8], now: UnixTime) {
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
        let mut joined = std::mem::take(&mut self.buffers.text);
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
        let (matched, content) = self.matched(text);
        let when = self.when(dated.and_then(|dated| dated.time), at);
        let outcome = match (matched, when) {
            (Matched::No, _) => Outcome::Nothing,
            (_, None) => Outcome::TooOld,
            (Matched::Undecided, _) => Outcome::Undecided,
            (Matched::Ignored(ignore), _) => Outcome::Ignored(ignore),
            (Matched::By(pattern), Some(time)) => self.failure(line, text, &content, pattern, time, at.now),
        };
        self.buffers.text = joined;
        outcome
    }

    /// The rules of time; none: too old, or not known.
    fn when(&self, dated: Option<UnixTime>, at: &Reading) -> Option<UnixTime> {
        let since = at.since.min(at.now);
        let recent = if at.live { since } else { at.now } - TOLERANCE;
        let time = dated.or(self.memory.last.filter(|last| *last > recent));
        let Some(time) = time else { return at.live.then_some(at.now) };
        if !at.live {
            return (time >= at.now - at.find_time).then(|| time.min(at.now));
        }
        let effective = time.clamp(since, at.now);
        let far = time.since(effective).max(effective.since(time)).as_secs() > TOLERANCE.as_secs();
        Some(if far { effective } else { time.min(at.now) })
    }

    /// Which pattern matches, and the part of the text that it looked at.
    fn matched(&mut self, text: &[u8]) -> (Matched, Content) {
        match self.content(text) {
            Ok(content) => (self.by_pattern(&text[content.place.clone()]), content),
            Err(matched) => (matched, Content { place: 0..0, by_head: false }),
        }
    }

    /// What the prefix leaves to the patterns.
    fn content(&mut self, text: &[u8]) -> Result<Content, Matched> {
        let all = Content { place: 0..text.len(), by_head: false };
        let Some(prefix) = &mut self.prefix else { return Ok(all) };
        if let Some((_, head)) = &mut prefix.head {
            match head.end(text) {
                Ok(None) => return Err(Matched::No),
                Ok(Some(end)) => return Ok(Content { place: end..text.len(), by_head: true }),
                Err(()) => {}
            }
        }
        let mut may_match = MayMatch { candidates: prefix.gate.as_mut(), text, asked: false };
        let mut budget = Budget::new(Effort::Bounded);
        match prefix.pattern.find(text, &mut self.buffers.prefix, &mut budget, || may_match.pattern(0)) {
            Verdict::No => Err(Matched::No),
            Verdict::Exhausted => Err(Matched::Undecided),
            Verdict::Yes => {
                let groups = prefix.pattern.groups.iter().zip(&self.buffers.prefix.found);
                let mut contents = groups.filter(|(group, _)| group.role == Role::Content);
                let place = contents.find_map(|(_, place)| place.filter(|(start, end)| start < end));
                Ok(place.map_or(all, |(start, end)| Content { place: start..end, by_head: false }))
            }
        }
    }

    fn by_pattern(&mut self, text: &[u8]) -> Matched {
        let mut may_match = MayMatch { candidates: self.candidates.as_mut(), text, asked: false };
        let mut exhausted = 0;
        let mut budget = Budget::new(Effort::Bounded);
        for (index, pattern) in self.patterns.iter().enumerate() {
            match pattern.find(text, &mut self.buffers.pattern, &mut budget, || may_match.pattern(index)) {
                Verdict::No => {}
                Verdict::Yes => return self.unless_ignored(index, text),
                Verdict::Exhausted => exhausted += 1,
            }
            if exhausted >= EXHAUSTED {
                break;
            }
        }
        if exhausted > 0 { Matched::Undecided } else { Matched::No }
    }

    fn unless_ignored(&mut self, pattern: usize, text: &[u8]) -> Matched {
        let mut may_match = MayMatch { candidates: self.may_ignore.as_mut(), text, asked: false };
        let mut undecided = false;
        let mut budget = Budget::new(Effort::Bounded);
        for (index, ignore) in self.ignore.iter().enumerate() {
            match ignore.find(text, &mut self.buffers.ignore, &mut budget, || may_match.pattern(index)) {
                Verdict::No => {}
                Verdict::Yes => return Matched::Ignored(index),
                Verdict::Exhausted => undecided = true,
            }
        }
        if undecided { Matched::Undecided } else { Matched::By(pattern) }
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
        let mut found = Found::default();
        if let Some(prefix) = &self.prefix {
            let by = match &prefix.head {
                Some((head, _)) if content.by_head => {
                    if !head.groups.is_empty() {
                        let mut budget = Budget::new(Effort::Bounded);
                        head.find(text, &mut self.buffers.prefix, &mut budget, || true);
                    }
                    head
                }
                _ => &prefix.pattern,
            };
            found.add(by, &self.buffers.prefix, text);
        }
        found.add(&self.patterns[pattern], &self.buffers.pattern, &text[content.place.clone()]);

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
        let line: Arc<str> = lossy(line, SHOWN).into();
        let event = found.event(line);
        let merged = match key {
            Some(key) => {
                self.changed = true;
                sessions.merge(&key, event, now, |groups| !matches!(who(groups), Who::Nobody))
            }
            None => (!held).then(|| Merged { groups: event.groups, lines: vec![event.line] }),
        };
        let Some(Merged { groups, lines }) = merged else { return Outcome::Pending(pattern) };
        let Who::Id(id, address) = who(&groups) else { return Outcome::Nothing };
        let data = address.map(|address| (Arc::from("ip"), address));
        let others = groups.into_iter().filter(|(name, _)| !IDENTITY.contains(&&**name));
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

/// The over-approximations of some patterns, asked about a text once, if at all.
struct MayMatch<'m> {
    candidates: Option<&'m mut Candidates>,
    text: &'m [u8],
    asked: bool,
}

impl MayMatch<'_> {
    fn pattern(&mut self, index: usize) -> bool {
        let Some(candidates) = &mut self.candidates else { return true };
        if !std::mem::replace(&mut self.asked, true) {
            candidates.find(self.text);
        }
        candidates.contains(index)
    }
}

/// Groups that say who it was; the rest is data.
const IDENTITY: [&str; 4] = ["ip4", "ip6", "cidr", "fid"];

/// The part of a text that the patterns look at.
struct Content {
    place: Range<usize>,
    /// Told by [`super::prefilter::Head`], without the groups of the prefix.
    by_head: bool,
}

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
    fn add(&mut self, pattern: &'t Pattern, places: &Places, text: &'t [u8]) {
        for (group, place) in pattern.groups.iter().zip(&places.found) {
            let Some(value) = place.and_then(|(start, end)| text.get(start..end)) else { continue };
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
            self.data.into_iter().map(|(name, value)| (Arc::clone(name), lossy(value, VALUE).into_owned()));
        Event {
            groups: groups.collect(),
            line,
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

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// As text of at most `limit` bytes, cut between characters.
fn lossy(bytes: &[u8], limit: usize) -> Cow<'_, str> {
    let mut end = bytes.len().min(limit);
    // Not inside a character: at most three of its bytes follow its first.
    while end < bytes.len() && end + 3 > limit && end > 0 && bytes[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    let shown = &bytes[..end];
    if let Ok(text) = std::str::from_utf8(shown) {
        return text.into();
    }
    let mut text = String::from_utf8_lossy(shown).into_owned();
    // U+FFFD is longer than what it stands for.
    let end = (0..=limit.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or(0));
    text.into()
}
