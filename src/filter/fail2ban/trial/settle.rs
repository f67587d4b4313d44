//! What was found in the lines of a sheet, put together in the order of the log with what the lines before have left.

use std::cell::Cell;
use std::net::Ipv4Addr;
use std::ops::Range;

use super::super::groups::{Who, who_of};
use super::super::plan::Plan;
use super::connections;
use super::look::{Looks, Match, Place, Plain, Told};
use super::plan::{Names, View};
use super::sheet::{Mark, Sheet};
use super::{Bench, Hit, PrefixSays, Rules, Step, Trial, Tries};
use crate::filter::date::Zone;
use crate::filter::patterns::Content;
use crate::subnet::Subnet;
use crate::time::UnixTime;

/// What has to be known of the lines before.
#[derive(Debug)]
pub struct Settler {
    bench: Bench,
    names: Names,
    rules: Rules,
    zone: Zone,
    /// Whether anybody asks who failed.
    tells_ids: bool,
}

/// What comes of lines.
#[derive(Debug)]
pub enum Settled<'s> {
    /// Lines that no pattern matches.
    Plain {
        /// Which.
        lines: Range<usize>,
        /// What the prefix says of them.
        prefix: Plain,
    },
    /// A line that was ignored or matched.
    Told {
        /// Which.
        line: usize,
        /// What the patterns make of it.
        trial: &'s mut Trial,
    },
}

impl Settler {
    pub(super) fn new(names: Names, rules: Rules, zone: Zone) -> Self {
        Self { bench: Bench::default(), names, rules, zone, tells_ids: true }
    }

    /// Who failed is told of host names only, which stand for several.
    pub fn leave_out_ids(&mut self) {
        self.tells_ids = false;
    }

    #[cfg(test)]
    pub(super) fn begin(&mut self) {
        self.bench = Bench::default();
    }

    /// Tells of all lines of a sheet.
    ///
    /// # Errors
    /// That of `each`, which ends it.
    pub fn settle<E>(
        &mut self,
        sheet: &Sheet,
        looks: &Looks,
        mut each: impl FnMut(Settled<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut marks = sheet.marks();
        let (mut matches, mut places, mut ignored) =
            (&looks.matches[..], &looks.places[..], &looks.ignored[..]);
        let mut next = 0;
        let mut trial = Trial::default();
        for told in &looks.told {
            if next < told.line {
                each(Settled::Plain { lines: next..told.line, prefix: told.before })?;
            }
            next = told.line + 1;
            trial.begin(told);
            trial.ignored.extend_from_slice(take(&mut ignored, told.ignored));
            let mark = marks.of(told.line);
            let text = sheet.content(told.line, mark);
            let inner = told.content.ended(&text);
            let matches = take(&mut matches, told.matches);
            for view in views(matches, &mut places, &told.content, &text, &inner) {
                let view = View { is_plain: sheet.is_ascii, ..view };
                let hit = self.hit(sheet, told.line, mark, &view);
                trial.hits.extend(hit);
            }
            each(Settled::Told { line: told.line, trial: &mut trial })?;
        }
        each(Settled::Plain { lines: next..sheet.count(), prefix: looks.plain })
    }

    /// What a match means.
    fn hit(&mut self, sheet: &Sheet, line: usize, mark: &Mark, view: &View<'_>) -> Option<Hit> {
        let time = mark.time.map(|time| (time, mark.whole));
        if !self.rules.tells_data
            && let Ok(hit) = self.quick(time, view)
        {
            return hit;
        }
        let groups = self.names.captured(view, self.rules.with_nothing);
        let lines =
            if self.rules.tells_data { vec![sheet.entry(line, mark, &self.zone)] } else { Vec::new() };
        if let Some(key) = super::connection(&groups) {
            let Self { names, rules, .. } = self;
            self.bench.connections.thaw(key, |view| names.captured(view, rules.with_nothing));
        }
        match self.bench.step(view.pattern, &groups, lines, time, &self.rules) {
            Step::Hit(hit) => Some(*hit),
            Step::Nobody | Step::Over => None,
        }
    }

    /// The same where nothing is told of what was captured, and nothing known of the connection; else `Err`.
    fn quick(&mut self, time: Option<(UnixTime, bool)>, view: &View<'_>) -> Result<Option<Hit>, ()> {
        let Rules { now, tries, .. } = self.rules;
        let plan = self.names.plan(view).ok_or(())?;
        let key = view.bytes(plan.key)?.map(|key| (key, connections::hash(key)));
        if key.is_some_and(|(key, hash)| self.bench.connections.knows(key, hash, now)) {
            return Err(());
        }
        let nofail = view.says(plan.nofail) || key.is_some() && view.says(plan.gained);
        let who = self.who(view, plan)?;
        if let Some((key, hash)) = key
            && !view.says(plan.forget)
        {
            let is_pending = who == Who::Nobody && !(nofail && tries != Tries::All);
            self.bench.connections.note(key, hash, view, is_pending, now);
        }
        if nofail && key.is_some() && tries != Tries::All {
            return Ok(None);
        }
        let (id, is_name) = match who {
            Who::Nobody if key.is_some() && tries != Tries::Failures => (None, false),
            Who::Nobody | Who::Unusable => return Ok(None),
            Who::Known { id, is_name, .. } => (Some(id).filter(|_| is_name || self.tells_ids), is_name),
        };
        let data = super::Data::default();
        Ok(Some(Hit { pattern: view.pattern, id, is_name, time, nofail, data }))
    }

    /// Who failed; where nobody asks that, any address for an address.
    fn who(&self, view: &View<'_>, plan: &Plan) -> Result<Who, ()> {
        if !self.tells_ids && plan.has_address(view) {
            let id = Subnet::from(Ipv4Addr::UNSPECIFIED).into();
            return Ok(Who::Known { id, is_name: false, address: None });
        }
        let is_odd = Cell::new(false);
        let text = |name: &str| {
            let found = view.get(plan.who(name));
            is_odd.set(is_odd.get() || found.is_err());
            found.ok().flatten()
        };
        let who = who_of(text, self.rules.use_dns);
        if is_odd.get() { Err(()) } else { Ok(who) }
    }
}

impl Trial {
    /// Before its matches.
    fn begin(&mut self, told: &Told) {
        self.prefix = match told.prefix {
            None => PrefixSays::Nothing,
            Some(false) => PrefixSays::No,
            Some(true) => PrefixSays::Yes(Vec::new()),
        };
        self.ignored.clear();
        self.hits.clear();
        self.undecided = told.undecided;
    }
}

/// Matches of a line with their places.
pub(super) fn views<'t, 'p: 't>(
    matches: &'t [Match],
    places: &mut &'p [Place],
    content: &'t Content,
    text: &'t [u8],
    inner: &'t [u8],
) -> impl Iterator<Item = View<'t>> {
    let count = matches.iter().map(|found| found.prefix + found.own).sum();
    let mut places = take(places, count);
    matches.iter().map(move |found| {
        let (prefix, own) = (take(&mut places, found.prefix), take(&mut places, found.own));
        View { pattern: found.pattern, text, inner, content, prefix, own, is_plain: false }
    })
}

/// The next ones.
pub(super) fn take<'t, T>(all: &mut &'t [T], count: usize) -> &'t [T] {
    let (first, rest) = all.split_at(count);
    *all = rest;
    first
}
