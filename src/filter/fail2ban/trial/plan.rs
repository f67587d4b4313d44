//! The groups of a filter's patterns: what was captured, by their names or by what they are for.

use super::super::groups::{self, Captured, PATIENT_VALUE, part_of};
use super::look::Place;
use crate::filter::pattern::Group;
use crate::filter::patterns::{Content, Patterns};

/// Names that matches have besides those of their groups.
const OWN: [&str; 5] = ["matches", "nofail-matches", "mlfpending", "users", "ip"];

/// The groups of all patterns.
#[derive(Debug)]
pub(super) struct Names {
    /// Of the prefix, and of its head.
    prefix: [Vec<Group>; 2],
    patterns: Vec<Vec<Group>>,
    /// For each pattern, behind the prefix or its head.
    plans: Vec<[Option<Plan>; 2]>,
}

/// Where a match has what matters to counting; only of patterns whose groups stand for themselves.
#[derive(Debug, Clone, Default)]
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

/// A group with what it captured.
type Taken<'t> = (&'t Group, Option<&'t [u8]>);

/// A group: of the prefix (true) or of the pattern, and which one.
pub(super) type Slot = Option<(bool, usize)>;

/// A match, with the texts that its places are about.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'t> {
    pub(super) pattern: usize,
    /// Of the line.
    pub(super) text: &'t [u8],
    /// Of its content.
    pub(super) inner: &'t [u8],
    pub(super) content: &'t Content,
    pub(super) prefix: &'t [Place],
    pub(super) own: &'t [Place],
    /// All of it is known to be ASCII.
    pub(super) is_plain: bool,
}

impl<'t> View<'t> {
    /// What a group captured, if it did; `Err` where that is not told so simply.
    pub(super) fn get(&self, slot: Slot) -> Result<Option<&'t str>, ()> {
        let value = self.value(slot)?;
        value.map(|value| std::str::from_utf8(value).map_err(drop)).transpose()
    }

    /// The same as bytes.
    pub(super) fn bytes(&self, slot: Slot) -> Result<Option<&'t [u8]>, ()> {
        if self.is_plain { self.value(slot) } else { Ok(self.get(slot)?.map(str::as_bytes)) }
    }

    fn value(&self, slot: Slot) -> Result<Option<&'t [u8]>, ()> {
        let Some((of_prefix, at)) = slot else { return Ok(None) };
        let (text, places) = if of_prefix { (self.text, self.prefix) } else { (self.inner, self.own) };
        let Some((start, end)) = places.get(at).copied().flatten() else { return Ok(None) };
        text.get(start..end).filter(|value| value.len() <= PATIENT_VALUE).map(Some).ok_or(())
    }

    /// Whether it captured anything.
    pub(super) fn says(&self, slot: Slot) -> bool {
        let Some((of_prefix, at)) = slot else { return false };
        let places = if of_prefix { self.prefix } else { self.own };
        places.get(at).copied().flatten().is_some_and(|(start, end)| start < end)
    }
}

impl Plan {
    /// None: some group has a name that is not its own.
    fn new(prefix: &[Group], own: &[Group]) -> Option<Self> {
        let all = || prefix.iter().map(|group| (true, group)).chain(own.iter().map(|group| (false, group)));
        let strange = |group: &Group| part_of(&group.written).is_some() || OWN.contains(&&*group.written);
        let twice = own.iter().any(|group| prefix.iter().any(|other| other.written == group.written));
        if twice || all().any(|(_, group)| strange(group)) {
            return None;
        }
        let slot = |name: &str| {
            let at = |groups: &[Group]| groups.iter().position(|group| &*group.written == name);
            at(prefix).map(|at| (true, at)).or_else(|| at(own).map(|at| (false, at)))
        };
        Some(Self {
            key: slot("mlfid"),
            nofail: slot("nofail"),
            gained: slot("mlfgained"),
            forget: slot("mlfforget"),
            ip4: slot("ip4"),
            ip6: slot("ip6"),
            cidr: slot("cidr"),
            dns: slot("dns"),
            fid: slot("fid"),
        })
    }

    /// Whether it has captured an address.
    pub(super) fn has_address(&self, view: &View<'_>) -> bool {
        [self.ip4, self.ip6].into_iter().any(|slot| matches!(view.value(slot), Ok(Some(_))))
    }

    /// Where the group of a name stands that tells who failed.
    pub(super) fn who(&self, name: &str) -> Slot {
        match name {
            "ip4" => self.ip4,
            "ip6" => self.ip6,
            "cidr" => self.cidr,
            "dns" => self.dns,
            "fid" => self.fid,
            _ => None,
        }
    }
}

impl Names {
    pub(super) fn new(patterns: &Patterns) -> Self {
        let prefix = patterns.groups_of_prefix().map(<[Group]>::to_vec);
        let patterns: Vec<Vec<Group>> = patterns.groups_of_patterns().map(<[Group]>::to_vec).collect();
        let plans = patterns.iter().map(|own| [0, 1].map(|head| Plan::new(&prefix[head], own))).collect();
        Self { prefix, patterns, plans }
    }

    pub(super) fn plan(&self, view: &View<'_>) -> Option<&Plan> {
        self.plans[view.pattern][usize::from(view.content.by_head)].as_ref()
    }

    /// The groups of prefix and pattern, with what they captured.
    pub(super) fn groups<'t>(
        &'t self,
        view: &View<'t>,
    ) -> (impl Iterator<Item = Taken<'t>> + Clone, impl Iterator<Item = Taken<'t>> + Clone) {
        let View { text, inner, .. } = *view;
        let of = |groups: &'t [Group], places: &'t [Place], text: &'t [u8]| {
            let value = move |place: &Place| place.and_then(|(start, end)| text.get(start..end));
            groups.iter().zip(places.iter().map(value))
        };
        let prefix = of(&self.prefix[usize::from(view.content.by_head)], view.prefix, text);
        (prefix, of(&self.patterns[view.pattern], view.own, inner))
    }

    /// All of it, as Fail2Ban puts it together.
    pub(super) fn captured(&self, view: &View<'_>, with_nothing: bool) -> Captured {
        let (prefix, own) = self.groups(view);
        let [prefix, own] = [groups::captured(prefix, PATIENT_VALUE), groups::captured(own, PATIENT_VALUE)];
        groups::overlaid(prefix, own, with_nothing)
    }
}
