//! Lines of one connection judged together, with all that is known of it: SPEC §2.3, step by step.
//!
//! The daemon's [`super::super::super::session`] does the same with what counting needs, and keeps no more than that.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::super::groups::Captured;
use super::super::window::Entry;
use super::data::{Data, Datum};
use super::look::Place;
use super::plan::View;
use crate::filter::patterns::Content;
use crate::time::UnixTime;

/// Connections remembered; the oldest goes first.
const CONNECTIONS: usize = 100;
/// How long one is remembered, from its first line on.
const LIFE: Duration = Duration::from_secs(300);

/// The connections, in the order of their first lines.
#[derive(Debug, Default)]
pub(super) struct Connections {
    all: VecDeque<Connection>,
    shades: Shades,
}

#[derive(Debug, Default)]
struct Connection {
    key: Vec<u8>,
    hash: u64,
    since: UnixTime,
    data: Data,
    first: First,
}

/// The only line of a connection so far, kept as it was found: mostly nobody asks what it captured.
#[derive(Debug, Default)]
struct First {
    /// `data` is still to be made of it.
    is_there: bool,
    pattern: usize,
    text: Vec<u8>,
    content: Content,
    places: Vec<Place>,
    of_prefix: usize,
    is_pending: bool,
}

impl First {
    /// Keeps a match; what was used for another one is used again.
    fn keep(&mut self, view: &View<'_>, is_pending: bool) {
        self.is_there = true;
        self.pattern = view.pattern;
        self.text.clear();
        self.text.extend_from_slice(view.text);
        self.content.clone_from(view.content);
        self.places.clear();
        self.places.extend_from_slice(view.prefix);
        self.places.extend_from_slice(view.own);
        self.of_prefix = view.prefix.len();
        self.is_pending = is_pending;
    }
}

/// How many connections share a part of their hash: mostly tells that one is not known.
#[derive(Debug, Default)]
struct Shades(Vec<u8>);

impl Shades {
    const COUNT: usize = 4096;

    /// As many connections as there are may share one.
    fn of(&mut self, hash: u64) -> &mut u8 {
        self.0.resize(Self::COUNT, 0);
        &mut self.0[hash as usize % Self::COUNT]
    }

    fn has(&self, hash: u64) -> bool {
        self.0.get(hash as usize % Self::COUNT).is_some_and(|count| *count > 0)
    }
}

/// Of a key, for [`Connections`]: eight bytes at a time.
pub(super) fn hash(key: &[u8]) -> u64 {
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let (words, rest) = key.as_chunks::<8>();
    let hash = words.iter().fold(key.len() as u64, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    rest.iter().fold(hash, |hash, byte| mix(hash, u64::from(*byte)))
}

/// A connection that is remembered.
pub(super) struct Kept<'c>(&'c mut Data);

impl Kept<'_> {
    /// Who failed is not known yet.
    pub(super) fn pending(self) {
        self.0.set("mlfpending", Datum::Flag);
    }
}

impl Connections {
    /// Whether one is remembered; `hash` is that of its key.
    pub(super) fn knows(&self, key: &[u8], hash: u64, now: UnixTime) -> bool {
        self.position(key, hash, now).is_some()
    }

    fn position(&self, key: &[u8], hash: u64, now: UnixTime) -> Option<usize> {
        if !self.shades.has(hash) {
            return None;
        }
        let is_it =
            |known: &Connection| known.hash == hash && known.key == key && now.since(known.since) <= LIFE;
        self.all.iter().position(is_it)
    }

    /// Remembers the first line of a connection that is not known, and does not end with it.
    pub(super) fn note(&mut self, key: &[u8], hash: u64, view: &View<'_>, is_pending: bool, now: UnixTime) {
        self.push(key, hash, now).first.keep(view, is_pending);
    }

    /// Makes the data of a connection of which only the first line is known; `captured` reads that.
    pub(super) fn thaw(&mut self, key: &str, captured: impl FnOnce(&View<'_>) -> Captured) {
        let known = self.all.iter_mut().find(|known| known.key == key.as_bytes());
        let Some(Connection { first, data, .. }) = known else { return };
        if !std::mem::take(&mut first.is_there) {
            return;
        }
        let inner = first.content.ended(&first.text);
        let (prefix, own) = first.places.split_at(first.of_prefix);
        let view = View {
            pattern: first.pattern,
            text: &first.text,
            inner: &inner,
            content: &first.content,
            prefix,
            own,
            is_plain: false,
        };
        *data = Merging::of(Data::of(&captured(&view))).into(Data::default(), Vec::new());
        if first.is_pending {
            Kept(data).pending();
        }
    }

    /// Puts a match to its connection: what is known then, and the connection if it is remembered.
    pub(super) fn merge(
        &mut self,
        key: &str,
        found: Data,
        lines: Vec<Entry>,
        now: UnixTime,
    ) -> (Data, Option<Kept<'_>>) {
        let merging = Merging::of(found);
        let forget = merging.forget;
        let at = self.position(key.as_bytes(), hash(key.as_bytes()), now);
        let (data, at) = match at {
            Some(at) if forget => (self.remove(at), None),
            Some(at) => (std::mem::take(&mut self.all[at].data), Some(at)),
            None => (Data::default(), None),
        };
        let known = !data.is_empty();
        let data = merging.into(data, lines);
        (data.clone(), self.keep(key, data, at, known, forget, now))
    }

    fn keep(
        &mut self,
        key: &str,
        data: Data,
        at: Option<usize>,
        known: bool,
        forget: bool,
        now: UnixTime,
    ) -> Option<Kept<'_>> {
        if forget {
            return None;
        }
        match at {
            Some(at) => {
                self.all[at].data = data;
                Some(Kept(&mut self.all[at].data))
            }
            None if known => None,
            None => {
                let new = self.push(key.as_bytes(), hash(key.as_bytes()), now);
                new.data = data;
                Some(Kept(&mut new.data))
            }
        }
    }

    /// A new one, of which nothing is known yet; one that has to go for it leaves its memory.
    fn push(&mut self, key: &[u8], hash: u64, now: UnixTime) -> &mut Connection {
        while self.shades.has(hash)
            && let Some(old) = self.all.iter().position(|old| old.key == key)
        {
            self.remove(old);
        }
        let oldest = if self.all.len() >= CONNECTIONS { self.take_oldest() } else { None };
        let mut new = oldest.unwrap_or_default();
        *self.shades.of(hash) += 1;
        (new.hash, new.since, new.data, new.first.is_there) = (hash, now, Data::default(), false);
        new.key.clear();
        new.key.extend_from_slice(key);
        self.all.push_back(new);
        let last = self.all.len() - 1;
        &mut self.all[last]
    }

    fn take_oldest(&mut self) -> Option<Connection> {
        let oldest = self.all.pop_front()?;
        *self.shades.of(oldest.hash) -= 1;
        Some(oldest)
    }

    fn remove(&mut self, at: usize) -> Data {
        let Some(known) = self.all.remove(at) else { return Data::default() };
        *self.shades.of(known.hash) -= 1;
        known.data
    }
}

/// A match that is put to its connection.
struct Merging {
    found: Data,
    gained: bool,
    forget: bool,
}

impl Merging {
    fn of(mut found: Data) -> Self {
        let gained = found.says("mlfgained");
        let forget = found.says("mlfforget");
        found.take("mlfforget");
        if gained
            && !found.says("nofail")
            && let Some(value) = found.get("mlfgained").cloned()
        {
            found.set("nofail", value);
        }
        Self { found, gained, forget }
    }

    /// With what is known of the connection, if anything is.
    fn into(self, mut data: Data, lines: Vec<Entry>) -> Data {
        let Self { found, gained, forget } = self;
        let mut is_held = found.says("nofail");
        let user = found.text("user").filter(|user| !user.is_empty()).map(str::to_owned);
        if data.is_empty() {
            data = found;
            if !forget {
                data.add_user(user);
            }
        } else {
            data.follow(found, user, gained);
        }
        let was_pending = data.take("mlfpending").is_some();
        if was_pending || data.users() > 1 {
            data.take("nofail");
            data.take("mlfgained");
            is_held = false;
        }
        if !is_held {
            let mut all = data.take_lines("nofail-matches");
            all.extend(data.lines().iter().cloned());
            all.extend(lines);
            data.set("matches", Datum::Lines(all));
        } else if !forget {
            let mut held = data.take_lines("nofail-matches");
            held.extend(lines);
            data.set("nofail-matches", Datum::Lines(held));
        }
        data
    }
}

impl Data {
    fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    fn users(&self) -> usize {
        match self.get("users") {
            Some(Datum::Users(users)) => users.len(),
            _ => 0,
        }
    }

    fn add_user(&mut self, user: Option<String>) {
        let Some(user) = user else { return };
        let mut users = match self.get("users") {
            Some(Datum::Users(users)) => users.clone(),
            _ => BTreeSet::new(),
        };
        users.insert(user);
        self.set("users", Datum::Users(users));
    }

    /// A further match of a known connection.
    fn follow(&mut self, found: Self, user: Option<String>, gained: bool) {
        self.add_user(user);
        let was_held = self.says("nofail") | self.says("mlfgained");
        self.take("nofail");
        self.take("mlfgained");
        if gained {
            self.take("mlfpending");
        }
        if !was_held && self.get("mlfpending").is_none() {
            self.take("matches");
        }
        self.overlay(found);
    }
}
