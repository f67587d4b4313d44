//! Lines of one connection judged together, with all that is known of it: SPEC §2.3, step by step.
//!
//! The daemon's [`super::super::super::session`] does the same with what counting needs, and keeps no more than that.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::super::window::Entry;
use super::data::{Data, Datum};
use crate::time::UnixTime;

/// Connections remembered; the oldest goes first.
const CONNECTIONS: usize = 100;
/// How long one is remembered, from its first line on.
const LIFE: Duration = Duration::from_secs(300);

/// The connections, in the order of their first lines.
#[derive(Debug, Default)]
pub(super) struct Connections(VecDeque<Connection>);

#[derive(Debug)]
struct Connection {
    key: String,
    since: UnixTime,
    data: Data,
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
    /// Puts a match to its connection: what is known then, and the connection if it is remembered.
    pub(super) fn merge(
        &mut self,
        key: &str,
        mut found: Data,
        lines: Vec<Entry>,
        now: UnixTime,
    ) -> (Data, Option<Kept<'_>>) {
        let gained = found.says("mlfgained");
        let forget = found.says("mlfforget");
        found.take("mlfforget");
        if gained
            && !found.says("nofail")
            && let Some(value) = found.get("mlfgained").cloned()
        {
            found.set("nofail", value);
        }
        let mut is_held = found.says("nofail");
        let user = found.text("user").filter(|user| !user.is_empty()).map(str::to_owned);
        let at = self.0.iter().position(|known| known.key == key && now.since(known.since) <= LIFE);
        let (mut data, at) = match at {
            Some(at) if forget => (self.0.remove(at).map(|known| known.data).unwrap_or_default(), None),
            Some(at) => (std::mem::take(&mut self.0[at].data), Some(at)),
            None => (Data::default(), None),
        };
        let known = !data.is_empty();
        if known {
            data.follow(found, user, gained);
        } else {
            data = found;
            if !forget {
                data.add_user(user);
            }
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
        let at = match at {
            Some(at) => {
                self.0[at].data = data;
                at
            }
            None if known => return None,
            None => {
                self.0.retain(|old| old.key != key);
                while self.0.len() >= CONNECTIONS {
                    self.0.pop_front();
                }
                self.0.push_back(Connection { key: key.to_owned(), since: now, data });
                self.0.len() - 1
            }
        };
        Some(Kept(&mut self.0[at].data))
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
