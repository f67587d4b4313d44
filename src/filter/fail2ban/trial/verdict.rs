//! What was found in the lines of a sheet, judged in the order of the log as the daemon judges lines of a file that it reads
//! for the first time.

use super::super::date::{DateOptions, Dates, Zone};
use super::super::groups::{Found, VALUE};
use super::super::{Judge, Outcome, Patterns};
use super::look::{Looker, Looks, Told, Wants};
use super::plan::{Names, View};
use super::settle::{take, views};
use super::sheet::{Dater, Mark, Sheet};
use crate::filter::pattern::Effort;
use crate::time::UnixTime;

/// A filter taken apart, as in [`super::Stages`]. Together they say of each line what [`crate::filter::Filter::line`] does of one that is not
/// live and never too old.
#[derive(Debug)]
pub struct Judging {
    /// First.
    pub dater: Dater,
    /// For each thread one.
    pub looker: Looker,
    /// Last.
    pub verdicts: Verdicts,
}

/// Judges what was found.
#[derive(Debug)]
pub struct Verdicts {
    /// Without patterns and dates.
    judge: Box<Judge>,
    names: Names,
    now: UnixTime,
}

impl Judging {
    /// None: a line has to be judged as a whole before the next.
    pub(in crate::filter) fn new(mut judge: Box<Judge>, now: UnixTime) -> Result<Self, Box<Judge>> {
        if judge.max_lines > 1 {
            return Err(judge);
        }
        let Ok(dates) = Dates::fail2ban(&no_dates(judge.zone.clone())) else { return Err(judge) };
        let patterns = std::mem::take(&mut judge.patterns);
        let names = Names::new(&patterns);
        let looker = Looker::new(patterns, judge.ignore_first, Wants::Verdict);
        let verdicts = Verdicts { judge: Box::new(judge.beside(dates)), names, now };
        Ok(Self { dater: Dater::new(judge, now, false), looker, verdicts })
    }
}

fn no_dates(system: Zone) -> DateOptions {
    let pattern = Some("{NONE}".to_owned());
    DateOptions { pattern, zone: None, system, year: None, old_years: false, newer: true }
}

impl Judge {
    /// One with the same rules, but for patterns and dates.
    fn beside(&self, dates: Dates) -> Self {
        let own = crate::filter::Fail2Ban {
            use_dns: self.use_dns,
            overwrite_with_nothing: self.overwrite_with_nothing,
            ..crate::filter::Fail2Ban::default()
        };
        Self::new(
            Patterns::default(),
            dates,
            self.zone.clone(),
            &crate::filter::FilterOptions::default(),
            &own,
        )
    }
}

impl Verdicts {
    #[cfg(test)]
    pub(super) fn begin(&mut self) {
        self.judge.restore(b"");
    }

    /// Tells of all lines that mean something.
    pub fn settle(&mut self, sheet: &Sheet, looks: &Looks, mut each: impl FnMut(Outcome)) {
        let mut marks = sheet.marks();
        let (mut matches, mut places, mut ignored) =
            (&looks.matches[..], &looks.places[..], &looks.ignored[..]);
        for told in &looks.told {
            let ignored = take(&mut ignored, told.ignored);
            let mark = marks.of(told.line);
            let text = sheet.content(told.line, mark);
            let inner = told.content.ended(&text);
            let found =
                views(take(&mut matches, told.matches), &mut places, &told.content, &text, &inner).next();
            each(match (found, ignored.first()) {
                _ if told.undecided => Outcome::Undecided,
                (_, Some(ignore)) => Outcome::Ignored(*ignore),
                (Some(view), None) => self.verdict(sheet, told, mark, &view),
                (None, None) => Outcome::Nothing,
            });
        }
    }

    fn verdict(&mut self, sheet: &Sheet, told: &Told, mark: &Mark, view: &View<'_>) -> Outcome {
        let Some(time) = mark.time else { return Outcome::TooOld };
        if self.is_idle(view) == Ok(true) {
            return Outcome::Pending(view.pattern);
        }
        let judge = &mut self.judge;
        let (prefix, own) = self.names.groups(view);
        let found = Found::new(prefix, own, judge.overwrite_with_nothing, Effort::Bounded);
        let lines = vec![sheet.shown(told.line, mark, &judge.zone)];
        let outcome = judge.failure(found, lines, view.pattern, time.min(self.now), self.now);
        outcome.unwrap_or(Outcome::Nothing)
    }

    /// Whether a match ends a connection of which nothing is known, and says nothing by itself.
    fn is_idle(&self, view: &View<'_>) -> Result<bool, ()> {
        let plan = self.names.plan(view).ok_or(())?;
        let held = view.says(plan.nofail) || view.says(plan.gained);
        let key = view.get(plan.key)?.filter(|key| key.len() <= VALUE).ok_or(())?;
        Ok(held && view.says(plan.forget) && !self.judge.memory.sessions.knows(key, self.now))
    }
}
