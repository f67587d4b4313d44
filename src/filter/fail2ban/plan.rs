//! Where a match has what matters to counting, known before any line: what a failing line means is looked up by place, and
//! no names are compared.

use std::cell::Cell;
use std::sync::Arc;

use smallvec::SmallVec;

use super::groups::{self, PATIENT_VALUE, VALUE, Who, part_of, who_of};
use super::taken::Taken;
use super::{Judge, Outcome};
use crate::filter::pattern::{Effort, Group, Role};
use crate::filter::patterns::{Content, Patterns};
use crate::filter::session::{Event, Merged};
use crate::filter::{Failure, Wanted};
use crate::time::UnixTime;

/// Names that matches have besides those of their groups.
const OWN: [&str; 5] = ["matches", "nofail-matches", "mlfpending", "users", "ip"];

/// A group: of the prefix or of the pattern, and which one; or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot(u8);

/// Where a match has what matters to counting; only of patterns whose groups stand for themselves.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) key: Slot,
    pub(super) nofail: Slot,
    pub(super) gained: Slot,
    pub(super) forget: Slot,
    ip4: Slot,
    ip6: Slot,
    cidr: Slot,
    dns: Slot,
    fid: Slot,
}

/// For each pattern, behind the prefix or its head; none where a group has a name that is not its own.
#[derive(Debug, Default)]
pub(super) struct Plans(Box<[[Option<Plan>; 2]]>);

impl Slot {
    const NONE: Self = Self(u8::MAX);
    const OF_PREFIX: u8 = 0x80;

    /// None: there are too many groups.
    fn new(of_prefix: bool, at: usize) -> Option<Self> {
        let at = u8::try_from(at).ok().filter(|at| *at < Self::OF_PREFIX - 1)?;
        Some(Self(if of_prefix { Self::OF_PREFIX | at } else { at }))
    }

    /// Of the prefix (true) or of the pattern, and which one.
    pub(super) fn place(self) -> Option<(bool, usize)> {
        let of_prefix = self.0 & Self::OF_PREFIX != 0;
        (self != Self::NONE).then_some((of_prefix, usize::from(self.0 & !Self::OF_PREFIX)))
    }
}

impl Plan {
    fn new(prefix: &[Group], own: &[Group]) -> Option<Self> {
        let strange = |group: &Group| part_of(&group.written).is_some() || OWN.contains(&&*group.written);
        let all = || prefix.iter().chain(own);
        let twice = all().enumerate().any(|(at, group)| {
            let mut before = all().take(at);
            before.any(|other| other.written == group.written)
        });
        if twice || all().any(strange) {
            return None;
        }
        let slot = |name: &str| {
            let at = |groups: &[Group]| groups.iter().position(|group| &*group.written == name);
            match (at(prefix), at(own)) {
                (Some(at), _) => Slot::new(true, at),
                (None, Some(at)) => Slot::new(false, at),
                (None, None) => Some(Slot::NONE),
            }
        };
        Some(Self {
            key: slot("mlfid")?,
            nofail: slot("nofail")?,
            gained: slot("mlfgained")?,
            forget: slot("mlfforget")?,
            ip4: slot("ip4")?,
            ip6: slot("ip6")?,
            cidr: slot("cidr")?,
            dns: slot("dns")?,
            fid: slot("fid")?,
        })
    }

    /// Where the group of a name stands that tells who failed.
    pub(super) fn who(&self, name: &str) -> Slot {
        match name {
            "ip4" => self.ip4,
            "ip6" => self.ip6,
            "cidr" => self.cidr,
            "dns" => self.dns,
            "fid" => self.fid,
            _ => Slot::NONE,
        }
    }
}

impl Plans {
    pub(super) fn new(patterns: &Patterns) -> Self {
        let prefix = patterns.groups_of_prefix();
        let plans = patterns.groups_of_patterns().map(|own| [0, 1].map(|head| Plan::new(prefix[head], own)));
        Self(plans.collect())
    }

    pub(super) fn of(&self, pattern: usize, by_head: bool) -> Option<&Plan> {
        self.0.get(pattern)?[usize::from(by_head)].as_ref()
    }
}

/// What was captured, as far as it stands in the line as it is.
struct Capture<'t> {
    line: &'t str,
    /// Where the texts begin that the places are about: of the prefix, of the pattern.
    starts: [usize; 2],
    places: [&'t [Option<(usize, usize)>]; 2],
    /// How long the content is, without the `\n` that ends it where the line goes on.
    content: usize,
    most: usize,
}

impl<'t> Capture<'t> {
    /// What the group of this place captured, if it did; `Err`: it has to be cut, or there is more of it than the line has.
    fn at(&self, of_prefix: bool, at: usize) -> Result<Option<&'t str>, ()> {
        let which = usize::from(!of_prefix);
        let Some((start, end)) = self.places[which].get(at).copied().flatten() else { return Ok(None) };
        let from = self.starts[which];
        let value = self.line.get(from + start..from + end);
        let value = value.filter(|value| value.len() <= self.most && (of_prefix || end <= self.content));
        value.map(Some).ok_or(())
    }

    fn get(&self, slot: Slot) -> Result<Option<&'t str>, ()> {
        slot.place().map_or(Ok(None), |(of_prefix, at)| self.at(of_prefix, at))
    }

    fn says(&self, slot: Slot) -> Result<bool, ()> {
        Ok(self.get(slot)?.is_some_and(|value| !value.is_empty()))
    }
}

impl Judge {
    /// What the last match means, of this pattern, its prefix located, in a text that is one line; none: that is not told
    /// so simply.
    pub(super) fn planned(
        &mut self,
        taken: &Taken<'_>,
        content: &Content,
        pattern: usize,
        time: UnixTime,
        now: UnixTime,
    ) -> Option<Outcome> {
        let plan = self.plans.of(pattern, content.by_head).filter(|_| taken.date.start == 0)?;
        let capture = Capture {
            line: taken.line,
            starts: [taken.date.end, taken.date.end + content.place.start],
            places: [self.patterns.places_of_prefix(), self.patterns.places_of_pattern()],
            content: content.place.len(),
            most: if self.patterns.effort == Effort::Patient { PATIENT_VALUE } else { VALUE },
        };
        let key = capture.get(plan.key).ok()?;
        let [nofail, gained, forget] = [plan.nofail, plan.gained, plan.forget].map(|slot| capture.says(slot));
        let (nofail, gained, forget) = (nofail.ok()?, gained.ok()?, forget.ok()?);
        let sessions = &mut self.memory.sessions;
        if let Some(key) = key
            && (nofail || gained)
            && forget
            && self.passing.wanted == Wanted::Failures
            && !sessions.knows(key, now)
        {
            return Some(Outcome::Pending(pattern));
        }
        let is_odd = Cell::new(false);
        let who = who_of(
            |name| {
                let found = capture.get(plan.who(name));
                is_odd.set(is_odd.get() || found.is_err());
                found.ok().flatten()
            },
            self.use_dns,
        );
        let groups = self.patterns.groups(pattern, content.by_head);
        let mut all: SmallVec<[(&Arc<str>, &str); 12]> = SmallVec::new();
        for (of_prefix, groups) in [(true, groups[0]), (false, groups[1])] {
            for (at, group) in groups.iter().enumerate() {
                let left_out = match group.role {
                    Role::Content => of_prefix,
                    Role::NoFail | Role::Gained | Role::Forget => key.is_some(),
                    _ => false,
                };
                if let (false, Some(value)) = (left_out, capture.at(of_prefix, at).ok()?) {
                    all.push((&group.written, value));
                }
            }
        }
        if is_odd.get() {
            return None;
        }
        let groups = sessions.groups(&all);
        let lines = vec![taken.shown(&self.zone)];
        let Some(key) = key else {
            let merged = Merged { groups, lines, is_first: true };
            return Some(failed(who, merged, pattern, time).unwrap_or(Outcome::Nothing));
        };
        let event =
            Event { groups, is_native: false, lines, nofail, gained, forget, once: false, repeat: false };
        self.changed = true;
        let merged = sessions.merge(key.into(), event, now, groups::is_told);
        let Some(merged) = merged else { return Some(Outcome::Pending(pattern)) };
        let who = if merged.is_first { who } else { groups::who(&merged.groups, self.use_dns) };
        Some(failed(who, merged, pattern, time).unwrap_or(Outcome::Nothing))
    }
}

/// The failure of somebody; none: nobody is named.
pub(super) fn failed(who: Who, merged: Merged, pattern: usize, time: UnixTime) -> Option<Outcome> {
    let Merged { groups, lines, .. } = merged;
    let (id, is_name, data) = match who {
        Who::Nobody => return None,
        Who::Unusable => return Some(Outcome::Nothing),
        Who::Known { id, is_name, address: None } => (id, is_name, groups),
        Who::Known { id, is_name, address: Some(address) } => {
            let address = (Arc::from("ip"), address.into());
            (id, is_name, std::iter::once(address).chain(groups.iter().cloned()).collect())
        }
    };
    Some(Outcome::Failure(Box::new(Failure { id, is_name, time, lines, data, pattern })))
}
