//! Lines of one connection judged together: `<F-MLFID>` and what belongs to it (SPEC §2.3).
//!
//! Two tags of our own let one attempt count once where several lines tell of it. `<F-ONCE>` marks a line that sums
//! up: it is no failure where one of the same connection and address has counted. `<F-REPEAT>` marks a line that may
//! say again what the line that counted last has said: it is no failure then, but the next such line is one.
//!
//! Pure; the caller passes the time of its reading. Bounded: 100 connections, 5 minutes, 20 lines each.

#[cfg(test)]
mod once;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::time::UnixTime;

/// What the groups of a pattern captured: name and text.
pub(super) type Groups = Arc<[(Arc<str>, SmolStr)]>;

/// Connections remembered; the oldest goes first.
const SESSIONS: usize = 100;
/// How long one is remembered, from its first line on.
const LIFE: Duration = Duration::from_secs(300);
/// Lines kept of one connection.
const LINES: usize = 20;
/// So many of those that went lend their memory to others.
const SPARE: usize = 8;
/// How many ways marks end.
const ENDINGS: usize = 4096;

/// A line that matched, as far as its connection matters.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "one for each tag")]
pub(super) struct Event {
    pub(super) groups: Groups,
    /// By the rules of a TOML jail: an address replaces one of whichever family, and our own tags have a meaning.
    pub(super) is_native: bool,
    /// The line, or the lines that a pattern spans.
    pub(super) lines: Vec<Arc<str>>,
    /// `<F-NOFAIL>`: no failure by itself.
    pub(super) nofail: bool,
    /// `<F-MLFGAINED>`: somebody logged in.
    pub(super) gained: bool,
    /// `<F-MLFFORGET>`: the connection ends.
    pub(super) forget: bool,
    /// `<F-ONCE>`: no failure where the connection had one.
    pub(super) once: bool,
    /// `<F-REPEAT>`: no failure where it repeats the last one.
    pub(super) repeat: bool,
}

/// A failure, perhaps put together from several lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Merged {
    pub(super) groups: Groups,
    pub(super) lines: Vec<Arc<str>>,
    /// Nothing was known of its connection.
    pub(super) is_first: bool,
}

/// The connections of a filter, in the order of their first lines.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(from = "VecDeque<Session>", into = "VecDeque<Session>")]
pub(super) struct Sessions {
    known: VecDeque<Session>,
    /// A hash of each one's key, to look at before the keys themselves.
    marks: VecDeque<Mark>,
    /// How many of the marks end alike, to look at before the marks; empty until there is one.
    endings: Vec<u8>,
    /// Of connections that went: memory for others.
    spare: Vec<Groups>,
}

impl PartialEq for Sessions {
    fn eq(&self, other: &Self) -> bool {
        self.known == other.known
    }
}

impl From<VecDeque<Session>> for Sessions {
    /// What no bound would have let in is thrown away.
    fn from(mut known: VecDeque<Session>) -> Self {
        known.truncate(SESSIONS);
        for session in &mut known {
            session.users.truncate(2);
            session.lines.truncate(LINES);
            session.held.truncate(LINES);
        }
        let mut sessions = Self::default();
        for session in known {
            let mark = Mark::of(session.key.as_bytes());
            sessions.push(session, mark);
        }
        sessions
    }
}

impl From<Sessions> for VecDeque<Session> {
    fn from(sessions: Sessions) -> Self {
        sessions.known
    }
}

/// A key's mark, short, so that most keys need no look at their sessions. Who chooses keys of one mark makes it useless.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark(u32);

impl Mark {
    pub(super) fn of(key: &[u8]) -> Self {
        let (words, rest) = key.as_chunks::<8>();
        let add = |mark: u64, word: u64| {
            let mark = (mark ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            mark ^ (mark >> 32)
        };
        let mark = words.iter().fold(rest.len() as u64, |mark, word| add(mark, u64::from_le_bytes(*word)));
        let rest = rest.iter().fold(0, |rest, byte| rest << 8 | u64::from(*byte));
        Self(add(mark, rest) as u32)
    }

    /// What it ends with.
    fn ending(self) -> usize {
        self.0 as usize % ENDINGS
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Session {
    key: SmolStr,
    since: UnixTime,
    groups: Groups,
    /// The first two users, from the second line on; more than one is all that matters.
    users: Vec<SmolStr>,
    /// What the last line was.
    nofail: bool,
    gained: bool,
    /// Failed, but the address is not known yet.
    pending: bool,
    /// The last failure.
    #[serde(default)]
    counted: Option<Counted>,
    /// Of failures that are not reported yet.
    lines: Vec<Arc<str>>,
    /// That were none by themselves.
    held: Vec<Arc<str>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Counted {
    address: SmolStr,
    /// Whether a `<F-REPEAT>` may still repeat it.
    repeatable: bool,
}

impl Sessions {
    /// Whether there is something to know about this connection.
    pub(super) fn knows(&self, key: &str, now: UnixTime) -> bool {
        self.position(key, Mark::of(key.as_bytes()), now).is_some()
    }

    /// Whether there may be something to know about a connection of this mark.
    pub(super) fn may_know(&self, mark: Mark) -> bool {
        self.endings.get(mark.ending()).is_some_and(|count| *count > 0)
    }

    fn position(&self, key: &str, wanted: Mark, now: UnixTime) -> Option<usize> {
        // Mostly there is none, which is seen fastest so.
        if !self.may_know(wanted) {
            return None;
        }
        let marked = self.marks.iter().enumerate().rev().filter(|(_, mark)| **mark == wanted);
        marked.map(|(at, _)| at).find(|at| self.known[*at].key == key && self.known[*at].lives(now))
    }

    /// Puts a line to its connection; a failure comes back when it, with the lines before, is one.
    /// `has_id` tells whether groups say who it was.
    pub(super) fn merge(
        &mut self,
        key: SmolStr,
        event: Event,
        now: UnixTime,
        has_id: impl Fn(&Groups) -> bool,
    ) -> Option<Merged> {
        let (forget, mark) = (event.forget, Mark::of(key.as_bytes()));
        if let Some(at) = self.position(&key, mark, now) {
            let session = &mut self.known[at];
            session.overlay(&event);
            let merged = session.judge(event, has_id);
            if forget {
                self.remove(at);
            }
            return merged;
        }
        let mut session = Session::new(key, &event, now);
        let merged = session.judge(event, has_id);
        if !forget {
            while self.known.len() >= SESSIONS || self.known.front().is_some_and(|oldest| !oldest.lives(now))
            {
                self.remove(0);
            }
            self.push(session, mark);
        }
        merged.map(|merged| Merged { is_first: true, ..merged })
    }

    /// Groups with these names and texts.
    pub(super) fn groups(&mut self, all: &[(&Arc<str>, &str)]) -> Groups {
        let known = self.spare.iter().rposition(|spare| spare.len() == all.len());
        let mut spare = known.map(|at| self.spare.swap_remove(at));
        let Some(slots) = spare.as_mut().and_then(Arc::get_mut) else {
            return all.iter().map(|(name, text)| (Arc::clone(name), SmolStr::new(text))).collect();
        };
        for ((known, value), (name, text)) in slots.iter_mut().zip(all) {
            // Counting who holds a name takes longer than to look.
            if !Arc::ptr_eq(known, name) {
                *known = Arc::clone(name);
            }
            *value = SmolStr::new(text);
        }
        spare.unwrap_or_default()
    }

    fn push(&mut self, session: Session, mark: Mark) {
        self.endings.resize(ENDINGS, 0);
        self.endings[mark.ending()] += 1;
        self.marks.push_back(mark);
        self.known.push_back(session);
    }

    fn remove(&mut self, at: usize) {
        let mark = if at == 0 {
            // Mostly it is the oldest.
            let gone = self.known.pop_front().map(|session| session.groups);
            self.spare.truncate(SPARE - 1);
            self.spare.extend(gone);
            self.marks.pop_front()
        } else {
            self.known.remove(at);
            self.marks.remove(at)
        };
        if let Some(mark) = mark {
            self.endings[mark.ending()] -= 1;
        }
    }
}

impl Session {
    /// From its first line.
    fn new(key: SmolStr, event: &Event, now: UnixTime) -> Self {
        Self {
            key,
            since: now,
            groups: Arc::clone(&event.groups),
            users: Vec::new(),
            nofail: event.nofail,
            gained: event.gained,
            pending: false,
            counted: None,
            lines: Vec::new(),
            held: Vec::new(),
        }
    }

    /// A clock set back must not keep a connection for ever.
    fn lives(&self, now: UnixTime) -> bool {
        now.since(self.since) <= LIFE && self.since.since(now) <= LIFE
    }

    /// A further line of a known connection.
    fn overlay(&mut self, event: &Event) {
        if self.users.is_empty() {
            add_user(&mut self.users, &self.groups);
        }
        add_user(&mut self.users, &event.groups);
        let was_held = self.nofail || self.gained;
        if event.gained {
            self.pending = false;
        }
        if !was_held && !self.pending {
            self.lines.clear();
        }
        (self.nofail, self.gained) = (event.nofail, event.gained);
        let is_replaced = |name: &Arc<str>| event.is_native && matches!(&**name, "ip4" | "ip6" | "cidr");
        let mut groups = self.groups.to_vec();
        if event.groups.iter().any(|(name, _)| is_replaced(name)) {
            groups.retain(|(name, _)| !is_replaced(name));
        }
        for (name, text) in event.groups.iter() {
            match groups.iter_mut().find(|(known, _)| known == name) {
                Some((_, known)) => known.clone_from(text),
                None => groups.push((Arc::clone(name), text.clone())),
            }
        }
        self.groups = groups.into();
    }

    /// Whether a line before has told of this failure.
    fn knows_of(&mut self, event: &Event) -> bool {
        let Some(counted) =
            self.counted.as_mut().filter(|counted| address(&event.groups) == Some(&*counted.address))
        else {
            return false;
        };
        event.once || (event.repeat && std::mem::take(&mut counted.repeatable))
    }

    fn judge(&mut self, event: Event, has_id: impl Fn(&Groups) -> bool) -> Option<Merged> {
        if self.knows_of(&event) {
            self.nofail = true;
            push(&mut self.held, event.lines);
            return None;
        }
        if std::mem::take(&mut self.pending) || self.users.len() > 1 {
            (self.nofail, self.gained) = (false, false);
        }
        if self.nofail || self.gained {
            if !event.forget {
                push(&mut self.held, event.lines);
            }
            return None;
        }
        if self.held.is_empty() && self.lines.is_empty() {
            self.lines = event.lines;
        } else {
            let mut lines = std::mem::take(&mut self.held);
            lines.append(&mut self.lines);
            push(&mut lines, event.lines);
            self.lines = lines;
        }
        if has_id(&self.groups) {
            let address = address(&self.groups).filter(|_| event.is_native);
            self.counted =
                address.map(|address| Counted { address: address.into(), repeatable: !event.repeat });
            let (groups, lines) = (Arc::clone(&self.groups), std::mem::take(&mut self.lines));
            return Some(Merged { groups, lines, is_first: false });
        }
        self.pending = true;
        None
    }
}

fn address(groups: &Groups) -> Option<&str> {
    groups.iter().find(|(name, _)| matches!(&**name, "ip4" | "ip6")).map(|(_, text)| &**text)
}

fn add_user(users: &mut Vec<SmolStr>, groups: &Groups) {
    let user = groups.iter().find(|(name, user)| &**name == "user" && !user.is_empty());
    if let Some((_, user)) = user
        && users.len() < 2
        && !users.contains(user)
    {
        users.push(user.clone());
    }
}

/// The last [`LINES`] are kept.
fn push(lines: &mut Vec<Arc<str>>, more: Vec<Arc<str>>) {
    lines.extend(more);
    lines.drain(..lines.len().saturating_sub(LINES));
}
