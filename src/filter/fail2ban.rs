//! What a line means to Fail2Ban: the steps of SPEC §2.2, in its order.
//!
//! Differs from [`super::native`] in what is matched (the decoded line, its date cut out, ended by `\n`; with
//! `maxlines` several of them), in the rules for lines without a usable date, and in who failed. Patterns, dates,
//! connections and the rules of time are the same code.

mod groups;
mod passing;
mod plan;
mod taken;
#[cfg(test)]
mod tests;
mod trial;
mod window;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::groups::Found;
use self::passing::Passing;
use self::plan::Plans;
use self::taken::{Before, Taken, decoded};
use self::trial::Bench;
pub use self::trial::{
    Data, Dater, Datum, Hit, Judging, Looker, Looks, Plain, PrefixSays, Settled, Settler, Sheet, Splitter,
    Stages, Trial, Tries, Verdicts,
};
pub use self::window::Entry;
use self::window::Window;
use super::date::{self, Dates, TemplateUse, Zone};
use super::hits::{self, Told, What};
use super::odd::{Oddities, Oddity};
use super::patterns::{Matched, Patterns};
use super::session::{Event, Merged, Sessions};
use super::text::lossy;
use super::when::{self, Rules};
use super::{Fail2Ban, Outcome, Reading, UseDns, Wanted};
use crate::time::UnixTime;

/// Bytes kept of the text of the last date.
const DATE: usize = 128;

/// A filter of Fail2Ban, with what it remembers of the lines before.
#[derive(Debug)]
pub(super) struct Judge {
    pub(super) patterns: Patterns,
    plans: Plans,
    dates: Dates,
    /// Of times that are shown.
    zone: Zone,
    use_dns: UseDns,
    max_lines: usize,
    overwrite_with_nothing: bool,
    /// Few ignore patterns are tried before all others, on the whole text.
    ignore_first: bool,
    memory: Memory,
    passing: Passing,
    /// What the templates of dates know before any line.
    unlearnt: Option<date::Memory>,
    pub(super) changed: bool,
    pub(super) odd: Oddities,
    /// Used again for each line.
    text: Vec<u8>,
    /// What lines that are tried on all patterns have left.
    bench: Bench,
}

/// Everything that the next verdict depends on.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Memory {
    /// The date of the last line that had one, or the moment that was taken for it.
    last: Option<UnixTime>,
    /// As it was written.
    last_text: String,
    sessions: Sessions,
    window: Window,
    /// What the templates of dates have learnt; filled in when the state is asked for.
    dates: Option<date::Memory>,
}

impl Judge {
    pub(super) fn new(
        patterns: Patterns,
        dates: Dates,
        zone: Zone,
        options: &super::FilterOptions,
        own: &Fail2Ban,
    ) -> Self {
        let (ignore, all) = (options.ignore.len(), options.patterns.len());
        Self {
            plans: Plans::new(&patterns),
            patterns,
            unlearnt: dates.memory(),
            dates,
            zone,
            use_dns: own.use_dns,
            max_lines: own.max_lines.max(1),
            overwrite_with_nothing: own.overwrite_with_nothing,
            ignore_first: ignore > 0 && ignore + 2 < all,
            memory: Memory::default(),
            passing: Passing::default(),
            changed: false,
            odd: Oddities::default(),
            text: Vec::new(),
            bench: Bench::default(),
        }
    }

    pub(super) fn date_templates(&self) -> Vec<TemplateUse> {
        self.dates.templates()
    }

    pub(super) fn state(&self) -> Vec<u8> {
        let dates = self.dates.memory();
        serde_json::to_vec(&Memory { dates, ..self.memory.clone() }).unwrap_or_default()
    }

    pub(super) fn restore(&mut self, state: &[u8]) {
        self.memory = serde_json::from_slice(state).unwrap_or_default();
        self.bench = self.bench.anew();
        for dates in self.unlearnt.iter().chain(&self.memory.dates.take()) {
            self.dates.recall(dates);
        }
        let window = std::mem::take(&mut self.memory.window);
        self.memory.window =
            if self.max_lines > 1 { window.restored(self.max_lines) } else { Window::default() };
        self.memory.last_text = lossy(self.memory.last_text.as_bytes(), DATE).into_owned();
    }

    /// Judges one line (without its end); its date is looked for where its time is not `known`.
    pub(super) fn line(&mut self, line: &[u8], known: Option<UnixTime>, at: &Reading) -> Outcome {
        self.line_told(line, known, None, at)
    }

    /// The same for a line of which something may be told already.
    fn line_told(
        &mut self,
        line: &[u8],
        known: Option<UnixTime>,
        told: Option<Told<'_>>,
        at: &Reading,
    ) -> Outcome {
        let line = decoded(line);
        let mut taken = self.take(&line, known, at);
        let told = self.fitting(&taken, told);
        self.passing.calm = false;
        match when::judge(taken.time, at) {
            Rules::TooOld => return Outcome::TooOld,
            Rules::Unknown => {}
            Rules::At { time, odd } => {
                // A text of a pattern begins with a letter: none is made of what stood on both sides of the date.
                self.passing.calm =
                    odd.is_none() && taken.is_dated() && !taken.head().any(u8::is_ascii_alphabetic);
                taken.time = Some(time);
                if let Some(odd) = odd {
                    self.saw(time, None);
                    self.odd.note(odd, taken.line.as_bytes(), at.now);
                }
            }
        }
        self.judge(&taken, true, told, at.now)
    }

    /// Judges one line without the rules of time; besides, its time as far as it is known.
    pub(super) fn examine(
        &mut self,
        line: &[u8],
        known: Option<UnixTime>,
        now: UnixTime,
    ) -> (Outcome, Option<UnixTime>) {
        let line = decoded(line);
        let at = Reading { now, since: now, live: true, find_time: std::time::Duration::MAX };
        let taken = self.take(&line, known, &at);
        let time = taken.time;
        (self.judge(&taken, false, None, now), time)
    }

    fn saw(&mut self, time: UnixTime, text: Option<&str>) {
        let memory = &mut self.memory;
        self.changed |= memory.last != Some(time);
        memory.last = Some(time);
        if let Some(text) = text
            && text != memory.last_text
        {
            self.changed = true;
            memory.last_text.clear();
            memory.last_text.push_str(&lossy(text.as_bytes(), DATE));
        }
    }

    /// Looks for the date of a line. Without one of its own the last one may serve: then nothing is cut.
    fn take<'l>(&mut self, line: &'l str, known: Option<UnixTime>, at: &Reading) -> Taken<'l> {
        if let Some(time) = known {
            self.saw(time, Some(""));
            let before = Before::Known(time);
            return Taken { before, line, date: 0..0, time: known, whole: false, undated: false };
        }
        let before = Before::Nothing;
        let mut taken = Taken { before, line, date: 0..0, time: None, whole: false, undated: false };
        let found = self.dates.find(line.as_bytes(), at.now);
        // The templates have learnt from the line.
        self.changed |= found.is_some();
        if let Some(dated) = found
            && line.is_char_boundary(dated.start)
            && line.is_char_boundary(dated.end)
        {
            taken.date = dated.start..dated.end;
            taken.time = dated.time.filter(|_| dated.start < dated.end);
            taken.whole = dated.whole;
        }
        if let Some(time) = taken.time {
            self.saw(time, Some(&line[taken.date.clone()]));
        } else if let Some(last) = when::still(self.memory.last, at) {
            let before = Before::Last(self.memory.last_text.clone());
            taken = Taken { before, line, date: 0..0, time: Some(last), whole: false, undated: true };
        } else if found.is_some_and(|dated| dated.start == dated.end) {
            // The pattern says that lines have no date.
            taken.time = Some(at.now);
        } else {
            taken.undated = true;
        }
        taken
    }

    fn judge(
        &mut self,
        taken: &Taken<'_>,
        must_have_time: bool,
        told: Option<Told<'_>>,
        now: UnixTime,
    ) -> Outcome {
        let mut text = std::mem::take(&mut self.text);
        if self.max_lines > 1 {
            self.changed = true;
            self.memory.window.push(taken.entry(&self.zone), self.max_lines);
            self.memory.window.write(&mut text);
        } else {
            taken.write(&mut text);
        }
        let outcome = self.meaning(&text, taken, must_have_time, told, now);
        self.text = text;
        outcome
    }

    /// What the patterns make of the text of a line, or of the last lines.
    fn meaning(
        &mut self,
        text: &[u8],
        taken: &Taken<'_>,
        must_have_time: bool,
        told: Option<Told<'_>>,
        now: UnixTime,
    ) -> Outcome {
        let spans = self.max_lines > 1;
        // A window changes even where nothing matches.
        if !spans && !self.passing.is_hit && self.has_no_text(text) {
            return Outcome::Nothing;
        }
        if told.is_none() && self.is_of_no_account(text, taken, now) {
            return Outcome::Nothing;
        }
        self.patterns.begin();
        if self.ignore_first
            && let Matched::By(ignore) = self.patterns.ignored(text)
        {
            return Outcome::Ignored(ignore);
        }
        let content = match told.map(|told| told.what) {
            Some(What::No) => Err(Matched::No),
            Some(What::By { content, .. }) => Ok(self.patterns.content_from(text, content)),
            Some(What::Quiet(_)) | None => self.patterns.content(text, false),
        };
        let content = match content {
            Ok(content) => content,
            Err(Matched::Undecided) => return Outcome::Undecided,
            Err(_) => return Outcome::Nothing,
        };
        let whole = spans.then(|| self.memory.window.clone());
        let mut inner = content.ended(text);
        if spans && content.place.len() < text.len() {
            let text = String::from_utf8_lossy(&text[content.place.clone()]);
            self.memory.window = Window(vec![Entry::undated(&text)]);
        }
        let (mut from, mut undated) = (0, false);
        loop {
            let first = match told.map(|told| told.what) {
                Some(What::By { pattern, places, .. }) if from == 0 => {
                    self.patterns.take(hits::groups(places));
                    Matched::By(pattern)
                }
                _ => self.patterns.first(&inner, from),
            };
            let pattern = match first {
                Matched::By(pattern) => pattern,
                Matched::Undecided => return Outcome::Undecided,
                Matched::No if undated => return Outcome::TooOld,
                Matched::No => return Outcome::Nothing,
            };
            from = pattern + 1;
            let split = whole.as_ref().map(|whole| self.split(whole, pattern, &inner));
            let excluded = match &split {
                Some(split) => self.patterns.ignored(&split.matched.text()),
                None => self.patterns.ignored(&inner),
            };
            match excluded {
                Matched::Undecided => return Outcome::Undecided,
                Matched::By(ignore) => {
                    self.memory.window = split.map(|split| split.rest).unwrap_or_default();
                    return Outcome::Ignored(ignore);
                }
                Matched::No => {}
            }
            if must_have_time && taken.undated {
                self.odd.note(Oddity::Undated, taken.line.as_bytes(), now);
            }
            if must_have_time && taken.time.is_none() {
                undated = true;
                continue;
            }
            self.patterns.locate_prefix(text, &content, told.as_ref());
            let time = taken.time.unwrap_or(now);
            let time = if must_have_time { time.min(now) } else { time };
            if !spans && let Some(outcome) = self.planned(taken, &content, pattern, time, now) {
                return outcome;
            }
            if !spans
                && self.passing.wanted == Wanted::Failures
                && self.is_idle(text, &content, pattern, &inner, now)
            {
                return Outcome::Pending(pattern);
            }
            let prefix = self.patterns.of_prefix(text, &content);
            let groups = self.patterns.of_pattern(pattern, &inner);
            let found = Found::new(prefix, groups, self.overwrite_with_nothing, self.patterns.effort);
            let lines = match &split {
                Some(split) => split.matched.shown().collect(),
                None => vec![taken.shown(&self.zone)],
            };
            let outcome = self.failure(found, lines, pattern, time, now);
            if let Some(split) = split {
                self.memory.window = split.rest;
            }
            match outcome {
                Some(outcome) => return outcome,
                // The pattern matched without saying who: the others look at what it left.
                None if spans => inner = self.memory.window.text().into(),
                None => return Outcome::Nothing,
            }
        }
    }

    /// What the last match, of this pattern, takes out of the window.
    fn split(&self, whole: &Window, pattern: usize, text: &[u8]) -> window::Split {
        let groups = self.patterns.of_pattern(pattern, text);
        let skipped = groups.filter(|(group, _)| group.written.starts_with("skiplines"));
        let skipped: Vec<u8> = skipped.filter_map(|(_, value)| value).flatten().copied().collect();
        whole.split(text, &self.patterns.span(), &String::from_utf8_lossy(&skipped))
    }

    /// The failure that a match means, by itself or with the lines before of its connection; none: nobody is named.
    fn failure(
        &mut self,
        found: Found,
        lines: Vec<Arc<str>>,
        pattern: usize,
        time: UnixTime,
        now: UnixTime,
    ) -> Option<Outcome> {
        let groups = found.groups.into();
        let merged = match found.connection {
            Some(key) => {
                self.changed = true;
                let event = Event {
                    groups,
                    is_native: false,
                    lines,
                    nofail: found.nofail,
                    gained: found.gained,
                    forget: found.forget,
                    once: false,
                    repeat: false,
                };
                match self.memory.sessions.merge(key.into(), event, now, groups::is_told) {
                    Some(merged) => merged,
                    None => return Some(Outcome::Pending(pattern)),
                }
            }
            None => Merged { groups, lines, is_first: true },
        };
        plan::failed(groups::who(&merged.groups, self.use_dns), merged, pattern, time)
    }
}
