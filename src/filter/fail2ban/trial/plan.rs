//! The groups of a filter's patterns: what was captured, by their names or by plan.

use super::super::groups::{self, Captured, PATIENT_VALUE};
use super::super::plan::{Plan, Plans, Slot};
use super::look::Place;
use crate::filter::pattern::Group;
use crate::filter::patterns::{Content, Patterns};

/// The groups of all patterns.
#[derive(Debug)]
pub(super) struct Names {
    /// Of the prefix, and of its head.
    prefix: [Vec<Group>; 2],
    patterns: Vec<Vec<Group>>,
    plans: Plans,
}

/// A group with what it captured.
type Taken<'t> = (&'t Group, Option<&'t [u8]>);

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
        let Some((of_prefix, at)) = slot.place() else { return Ok(None) };
        let (text, places) = if of_prefix { (self.text, self.prefix) } else { (self.inner, self.own) };
        let Some((start, end)) = places.get(at).copied().flatten() else { return Ok(None) };
        text.get(start..end).filter(|value| value.len() <= PATIENT_VALUE).map(Some).ok_or(())
    }

    /// Whether it captured anything.
    pub(super) fn says(&self, slot: Slot) -> bool {
        let Some((of_prefix, at)) = slot.place() else { return false };
        let places = if of_prefix { self.prefix } else { self.own };
        places.get(at).copied().flatten().is_some_and(|(start, end)| start < end)
    }
}

impl Plan {
    /// Whether it has captured an address.
    pub(super) fn has_address(&self, view: &View<'_>) -> bool {
        [self.who("ip4"), self.who("ip6")].into_iter().any(|slot| matches!(view.value(slot), Ok(Some(_))))
    }
}

impl Names {
    pub(super) fn new(patterns: &Patterns) -> Self {
        let prefix = patterns.groups_of_prefix().map(<[Group]>::to_vec);
        let plans = Plans::new(patterns);
        Self { prefix, patterns: patterns.groups_of_patterns().map(<[Group]>::to_vec).collect(), plans }
    }

    pub(super) fn plan(&self, view: &View<'_>) -> Option<&Plan> {
        self.plans.of(view.pattern, view.content.by_head)
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
