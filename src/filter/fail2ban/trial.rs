//! One line tried on every pattern, for the command that shows what each makes of it (SPEC §8).
//!
//! Patterns, dates, windows and groups are the judge's own. Different: no rule of time holds, the patterns behind the
//! first that matches are tried too, a match that is no failure by itself is told, and so is all that was captured, in
//! the order in which Fail2Ban has it.

mod connections;
mod data;
mod look;
mod plan;
mod settle;
mod sheet;
#[cfg(test)]
mod tests;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

pub use self::data::{Data, Datum};
use self::look::Wants;
pub use self::look::{Looker, Looks, Plain};
pub use self::settle::{Settled, Settler};
pub use self::sheet::{Dater, Sheet, Splitter};
pub use self::verdict::{Judging, Verdicts};

use self::connections::{Connections, Kept};
use self::plan::Names;
use super::groups::{self, Captured, Who};
use super::window::{Entry, Split, Window};
use super::{Judge, Reading, Taken, decoded};
use crate::filter::UseDns;
use crate::filter::patterns::{Content, Matched};
use crate::id::Id;
use crate::time::UnixTime;

/// What the patterns of a filter make of one line.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trial {
    /// What the prefix says.
    pub prefix: PrefixSays,
    /// The ignore patterns that matched, each as often as it did.
    pub ignored: Vec<usize>,
    /// The patterns that matched.
    pub hits: Vec<Hit>,
    /// The line itself, where patterns span lines.
    pub own: Option<Entry>,
    /// Lines before this one that a match took out of the window.
    pub gone: Vec<Entry>,
    /// Some pattern could not be decided.
    pub undecided: bool,
}

/// How much is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tries {
    /// Every pattern.
    All,
    /// Up to the first that matches.
    First,
    /// The same, and only failures are told: one whose address is not known yet is none.
    Failures,
}

/// Whether the prefix matches.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum PrefixSays {
    /// It was not asked, or there is none.
    #[default]
    Nothing,
    /// It does not match.
    No,
    /// It matches, with these groups.
    Yes(Vec<(Arc<str>, String)>),
}

/// A pattern that matched.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// Which, from 0.
    pub pattern: usize,
    /// Who failed; none: not known yet, or nobody asks ([`Settler::leave_out_ids`]).
    pub id: Option<Id>,
    /// The id is a host name, which stands for its addresses.
    pub is_name: bool,
    /// When, if the line tells; and whether Fail2Ban has it as a whole number.
    pub time: Option<(UnixTime, bool)>,
    /// No failure by itself.
    pub nofail: bool,
    /// What was captured, of this line and of those before of its connection.
    pub data: Data,
}

/// What lines have left.
#[derive(Debug, Default)]
pub(super) struct Bench {
    connections: Connections,
    /// Whether the last date was a whole number.
    whole: bool,
    /// What the prefix captured is wanted even where nothing else matches.
    pub(super) tells_prefix: bool,
}

/// What a trial goes by.
#[derive(Debug, Clone, Copy)]
struct Rules {
    now: UnixTime,
    tries: Tries,
    use_dns: UseDns,
    /// A group of the pattern that took no part wipes out what the prefix knows.
    with_nothing: bool,
    /// Whether what was captured is told.
    tells_data: bool,
}

/// A filter taken apart: what is done with the lines of a block one after the other, on any number of blocks at once, and
/// again one after the other. Together they tell of each line what [`crate::filter::Filter::try_line`] does, but for what was captured
/// by the prefix, and only if it is wanted what was by the patterns.
#[derive(Debug)]
pub struct Stages {
    /// First.
    pub dater: Dater,
    /// For each thread one.
    pub looker: Looker,
    /// Last.
    pub settler: Settler,
}

/// A match, put to its connection.
enum Step {
    Hit(Box<Hit>),
    /// It names nobody.
    Nobody,
    /// No failure; the other patterns are of no interest.
    Over,
}

impl Bench {
    /// Without what lines have left.
    pub(super) fn anew(&self) -> Self {
        Self { tells_prefix: self.tells_prefix, ..Self::default() }
    }

    /// What a match means, by itself or with the lines before of its connection.
    fn step(
        &mut self,
        pattern: usize,
        groups: &Captured,
        lines: Vec<Entry>,
        time: Option<(UnixTime, bool)>,
        rules: &Rules,
    ) -> Step {
        let mut data = Data::of(groups);
        let key = data.text("mlfid").map(str::to_owned);
        let mut kept: Option<Kept<'_>> = None;
        if let Some(key) = &key {
            let (merged, entry) = self.connections.merge(key, data, lines, rules.now);
            data = merged;
            kept = entry;
        } else {
            data.set("matches", Datum::Lines(lines));
        }
        let nofail = data.says("nofail");
        if nofail && key.is_some() && rules.tries != Tries::All {
            return Step::Over;
        }
        let (id, is_name) = match groups::who(&data.texts(), rules.use_dns) {
            Who::Nobody if key.is_some() => {
                if let Some(kept) = kept {
                    kept.pending();
                }
                if rules.tries == Tries::Failures {
                    return Step::Over;
                }
                data.set("mlfpending", Datum::Flag);
                (None, false)
            }
            Who::Nobody => return Step::Nobody,
            Who::Unusable => return Step::Over,
            Who::Known { id, is_name, address } => {
                if let Some(address) = address {
                    data.set("ip", Datum::Text(address));
                }
                (Some(id), is_name)
            }
        };
        Step::Hit(Box::new(Hit { pattern, id, is_name, time, nofail, data }))
    }
}

impl Judge {
    /// Has [`Judge::try_line`] tell what the prefix captured, also where nothing else matches.
    pub(in crate::filter) fn tell_prefix(&mut self) {
        self.bench.tells_prefix = true;
    }

    /// Tries one line (without its end) on the patterns.
    pub(in crate::filter) fn try_line(
        &mut self,
        line: &[u8],
        known: Option<UnixTime>,
        now: UnixTime,
        tries: Tries,
    ) -> Trial {
        let line = decoded(line);
        let taken = self.take_tried(&line, known, now);
        let spans = self.max_lines > 1;
        let before = if spans { self.memory.window.0.clone() } else { Vec::new() };
        let mut text = std::mem::take(&mut self.text);
        if spans {
            self.memory.window.push(taken.entry(&self.zone), self.max_lines);
            self.memory.window.write(&mut text);
        } else {
            taken.write(&mut text);
        }
        let mut trial = self.tried(&text, &taken, now, tries);
        self.text = text;
        let pushed_out = usize::from(before.len() >= self.max_lines);
        let here = |entry: &Entry| self.memory.window.0.contains(entry);
        trial.own = spans.then(|| taken.entry(&self.zone));
        trial.gone = before.into_iter().skip(pushed_out).filter(|entry| !here(entry)).collect();
        trial
    }

    fn take_tried<'l>(&mut self, line: &'l str, known: Option<UnixTime>, now: UnixTime) -> Taken<'l> {
        let at = Reading { now, since: now, live: true, find_time: Duration::MAX };
        let mut taken = self.take(line, known, &at);
        if taken.undated && taken.time.is_some() {
            taken.whole = self.bench.whole;
        } else if taken.time.is_some() && !taken.date.is_empty() {
            self.bench.whole = taken.whole;
        }
        taken
    }

    /// For a trial of many lines; none: a line has to be tried as a whole before the next.
    pub(in crate::filter) fn into_stages(
        mut self: Box<Self>,
        now: UnixTime,
        tries: Tries,
    ) -> Result<Stages, Box<Self>> {
        if self.max_lines > 1 || self.bench.tells_prefix {
            return Err(self);
        }
        let rules = self.rules(now, tries);
        let patterns = std::mem::take(&mut self.patterns);
        let settler = Settler::new(Names::new(&patterns), rules, self.zone.clone());
        let looker = Looker::new(patterns, self.ignore_first, Wants::Trial(tries));
        Ok(Stages { dater: Dater::new(self, now, true), looker, settler })
    }

    fn rules(&self, now: UnixTime, tries: Tries) -> Rules {
        let with_nothing = self.overwrite_with_nothing;
        Rules { now, tries, use_dns: self.use_dns, with_nothing, tells_data: tries == Tries::Failures }
    }

    fn tried(&mut self, text: &[u8], taken: &Taken<'_>, now: UnixTime, tries: Tries) -> Trial {
        let mut trial = Trial::default();
        let all = tries == Tries::All;
        self.patterns.begin();
        if self.ignore_first && self.excluded(text, all, &mut trial) {
            return trial;
        }
        let content = match self.patterns.content(text, false) {
            Ok(content) => content,
            Err(why) => {
                trial.undecided = why == Matched::Undecided;
                trial.prefix = PrefixSays::No;
                return trial;
            }
        };
        if !self.bench.tells_prefix && self.max_lines == 1 && self.has_no_text(text) {
            if self.patterns.has_prefix() {
                trial.prefix = PrefixSays::Yes(Vec::new());
            }
            return trial;
        }
        let prefix = self.of_prefix(text, &content);
        if self.patterns.has_prefix() {
            let content = content.by_head.then(|| &text[content.place.clone()]);
            trial.prefix = prefix_says(&prefix, content);
        }
        self.matches(text, taken, now, tries, (&content, &prefix), &mut trial);
        trial
    }

    fn matches(
        &mut self,
        text: &[u8],
        taken: &Taken<'_>,
        now: UnixTime,
        tries: Tries,
        (content, prefix): (&Content, &Captured),
        trial: &mut Trial,
    ) {
        let all = tries == Tries::All;
        let spans = self.max_lines > 1;
        let whole = spans.then(|| self.memory.window.clone());
        let mut inner = content.ended(text);
        if spans && content.place.len() < text.len() {
            let text = String::from_utf8_lossy(&text[content.place.clone()]);
            self.memory.window = Window(vec![Entry::undated(&text)]);
        }
        let mut from = 0;
        loop {
            let pattern = match self.patterns.first(&inner, from) {
                Matched::By(pattern) => pattern,
                Matched::Undecided => return trial.undecided = true,
                Matched::No => return,
            };
            from = pattern + 1;
            let split: Option<Split> = whole.as_ref().map(|whole| self.split(whole, pattern, &inner));
            let excluded = match &split {
                Some(split) => self.excluded(&split.matched.text(), all, trial),
                None => self.excluded(&inner, all, trial),
            };
            let mut step = Step::Nobody;
            if !excluded {
                let own = groups::captured(self.patterns.of_pattern(pattern, &inner), groups::PATIENT_VALUE);
                let groups = groups::overlaid(prefix.clone(), own, self.overwrite_with_nothing);
                let lines = match &split {
                    Some(split) => split.matched.0.clone(),
                    None => vec![taken.entry(&self.zone)],
                };
                let time = taken.time.map(|time| (time, taken.whole));
                let rules = self.rules(now, tries);
                step = self.bench.step(pattern, &groups, lines, time, &rules);
            }
            if let Some(split) = split {
                self.memory.window = split.rest;
            }
            let over = match step {
                Step::Hit(hit) => {
                    trial.hits.push(*hit);
                    true
                }
                Step::Nobody => excluded || !spans,
                Step::Over => true,
            };
            if over && !all {
                return;
            }
            if spans {
                inner = self.memory.window.text().into();
            }
        }
    }

    /// Whether an ignore pattern matches; `all` that do are told, or the first.
    fn excluded(&mut self, text: &[u8], all: bool, trial: &mut Trial) -> bool {
        let mut from = 0;
        loop {
            match self.patterns.ignored_from(text, from) {
                Matched::By(ignore) => {
                    trial.ignored.push(ignore);
                    from = ignore + 1;
                    if !all {
                        return true;
                    }
                }
                Matched::Undecided => {
                    trial.undecided = true;
                    return from > 0;
                }
                Matched::No => return from > 0,
            }
        }
    }

    fn of_prefix(&mut self, text: &[u8], content: &Content) -> Captured {
        self.patterns.locate_prefix(text, content, None);
        groups::captured(self.patterns.of_prefix(text, content), groups::PATIENT_VALUE)
    }
}

/// The groups of a prefix that took part; `content` where it was told without its group.
fn prefix_says(prefix: &Captured, content: Option<&[u8]>) -> PrefixSays {
    let told = prefix.iter().filter_map(|(name, value)| Some((Arc::clone(name), value.clone()?)));
    let content = content.map(|content| {
        let text = String::from_utf8_lossy(content.strip_suffix(b"\n").unwrap_or(content));
        (Arc::from("content"), text.into_owned())
    });
    PrefixSays::Yes(told.chain(content).collect())
}

/// The connection that groups name.
fn connection(groups: &Captured) -> Option<&str> {
    groups.iter().find(|(name, _)| &**name == "mlfid").and_then(|(_, value)| value.as_deref())
}
