//! Chooses among the templates that could date a line, and learns which ones do.
//!
//! In: a line and the present moment. Out: where its date stands and when it is. The template that won last is tried
//! first; otherwise all are, in an order in which those that win often and near the line's beginning move up. What is
//! learnt is a [`Memory`], bounded by the number of templates. Source: SPEC §3.4.

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::expression::Scratch;
use super::field::Window;
use super::language::{self, Form};
use super::program::Known;
use super::shown::TemplateUse;
use super::template::{Match, Template};
use super::zone::Zone;
use super::{DateError, DateOptions, Dated, offset};
use crate::filter::text::begins;
use crate::time::UnixTime;

/// Seconds after which a template that did not win gives up its place.
const UNUSED: i64 = 300;
/// The longest beginning of a line that is remembered for the next one.
const HEAD: usize = 64;
/// Further right than any date.
const FAR: u32 = u32::MAX;

/// Finds dates as Fail2Ban does.
#[derive(Debug)]
pub(super) struct Detector {
    forms: Vec<Form>,
    templates: Vec<Template>,
    window: Window,
    year: Option<i64>,
    old_years: bool,
    zone: Zone,
    /// `logtimezone`, minutes.
    offset: Option<i64>,
    learnt: Learnt,
    scratch: Scratch,
    repeat: Repeat,
}

/// The last line's date, where any line that begins alike has the same and teaches the same.
#[derive(Debug, Default)]
struct Repeat {
    /// All that the date depends on; empty: nothing is known.
    head: Vec<u8>,
    dated: Option<Dated>,
    now: UnixTime,
}

/// What a detector has learnt, for the next start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// The templates that it was learnt about.
    forms: Vec<String>,
    learnt: Learnt,
}

/// What the lines before have taught.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Learnt {
    /// The order in which templates are tried.
    order: Vec<Slot>,
    /// The slot that won last.
    last: Option<usize>,
    /// Where its match stood: begin and end, each with the characters on both sides.
    begin: Edge,
    end: Edge,
    /// No slot before this is unused.
    first_unused: usize,
}

/// A template, and how it fared.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Slot {
    template: usize,
    hits: u32,
    /// When it won last, in seconds; 0: never.
    used: i64,
    /// Where its last match began, in characters.
    distance: u32,
}

impl Slot {
    /// What its place in the order depends on.
    fn worth(&self, templates: &[Template]) -> f64 {
        f64::from(self.hits) * templates[self.template].weight / f64::from(self.distance.max(1))
    }
}

/// A place in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Edge {
    /// In characters.
    at: u32,
    before: Option<char>,
    behind: Option<char>,
}

impl Repeat {
    fn fits(&self, line: &[u8], now: UnixTime) -> bool {
        let head = &self.head;
        !head.is_empty() && self.now == now && line.len() > head.len() && begins(line, head)
    }
}

impl Detector {
    /// Compiles the patterns.
    ///
    /// # Errors
    /// An option means nothing.
    pub(super) fn new(options: &DateOptions) -> Result<Self, DateError> {
        // The shape of the years does not depend on which they are.
        let window = Window::of(options.year.unwrap_or(2000), options.old_years);
        let forms = language::read(options.pattern.as_deref(), window, options.newer)?;
        let offset = match options.zone.as_deref().filter(|zone| !zone.is_empty()) {
            Some(zone) => {
                Some(offset::minutes(zone.as_bytes()).ok_or_else(|| DateError::Zone(zone.to_owned()))?)
            }
            None => None,
        };
        Ok(Self {
            templates: compile(&forms, window)?,
            learnt: Learnt::new(forms.len()),
            forms,
            window,
            year: options.year,
            old_years: options.old_years,
            zone: options.system.clone(),
            offset,
            scratch: Scratch::default(),
            repeat: Repeat::default(),
        })
    }

    /// The date of a line.
    pub(super) fn find(&mut self, line: &[u8], now: UnixTime) -> Option<Dated> {
        if self.repeats(line, now) {
            return self.repeat.dated;
        }
        self.repeat.head.clear();
        self.open_window(now);
        let before = self.learnt.place();
        let (found, again) = self.learnt.find(&self.templates, &mut self.scratch, line, now)?;
        let date = found.place.date;
        let time = if date.is_empty() { None } else { found.says.moment(now, &self.zone, self.offset) };
        let whole = found.says.is_whole(self.offset);
        let dated = Dated { start: date.start, end: date.end, time, whole };
        // A line like this one would find everything as this one did.
        let head = self.scratch.reach.max(found.place.whole.end + 1);
        let same = again && before == self.learnt.place();
        if same && head <= HEAD && head < line.len() && line[..head].is_ascii() {
            self.repeat.head.extend_from_slice(&line[..head]);
            (self.repeat.dated, self.repeat.now) = (Some(dated), now);
        }
        Some(dated)
    }

    /// Whether the line is dated as the last one was, which is then noted.
    pub(super) fn repeats(&mut self, line: &[u8], now: UnixTime) -> bool {
        let repeats = self.repeat.fits(line, now);
        if repeats {
            self.repeated(1);
        }
        repeats
    }

    /// Where the date of such a line stands.
    pub(super) fn would_repeat(&self, line: &[u8], now: UnixTime) -> Option<Range<usize>> {
        self.repeat.dated.filter(|_| self.repeat.fits(line, now)).map(|dated| dated.start..dated.end)
    }

    /// Where the date stands of a line that begins with so many bytes of the last one.
    pub(super) fn alike(&self, bytes: usize, now: UnixTime) -> Option<Range<usize>> {
        let Repeat { head, dated, now: then } = &self.repeat;
        let dated = dated.filter(|_| !head.is_empty() && head.len() <= bytes && *then == now);
        dated.map(|dated| dated.start..dated.end)
    }

    /// Notes so many lines that are dated as the last one was.
    pub(super) fn repeated(&mut self, lines: usize) {
        self.learnt.again_won(u32::try_from(lines).unwrap_or(u32::MAX));
    }

    /// So many bytes of the last line told all of its date; 0: that is not known.
    pub(super) fn head(&self) -> usize {
        self.repeat.head.len()
    }

    /// The templates in their order, with what they have matched.
    pub(super) fn templates(&self) -> Vec<TemplateUse> {
        let slots = self.learnt.order.iter();
        slots
            .map(|slot| TemplateUse {
                hits: slot.hits,
                worth: slot.worth(&self.templates),
                ..TemplateUse::of(&self.forms[slot.template], self.window)
            })
            .collect()
    }

    pub(super) fn memory(&self) -> Memory {
        let forms = self.forms.iter().map(|form| form.spelling.clone()).collect();
        Memory { forms, learnt: self.learnt.clone() }
    }

    /// Goes on from what was learnt about the same templates.
    pub(super) fn recall(&mut self, memory: &Memory) {
        let is_of_these = memory.forms.iter().eq(self.forms.iter().map(|form| &form.spelling));
        if is_of_these && memory.learnt.fits(self.templates.len()) {
            self.learnt = memory.learnt.clone();
            self.repeat.head.clear();
        }
    }

    /// Begins as if there had been no line before.
    pub(super) fn forget(&mut self) {
        self.learnt = Learnt::new(self.templates.len());
        self.repeat.head.clear();
    }

    #[cfg(test)]
    pub(super) fn without_programs(&mut self) {
        self.templates.iter_mut().for_each(Template::without_program);
    }

    /// Accepts the years around `now`.
    fn open_window(&mut self, now: UnixTime) {
        if self.year.is_some() {
            return;
        }
        let window = Window::of(self.zone.year(now), self.old_years);
        if window != self.window
            && let Ok(templates) = compile(&self.forms, window)
        {
            self.window = window;
            self.templates = templates;
        }
    }
}

fn compile(forms: &[Form], window: Window) -> Result<Vec<Template>, DateError> {
    let known = Arc::new(Known::new(window));
    forms.iter().map(|form| Template::new(form, window, &known)).collect()
}

impl Learnt {
    fn new(templates: usize) -> Self {
        let slot = |template| Slot { template, hits: 0, used: 0, distance: FAR };
        Self {
            order: (0..templates).map(slot).collect(),
            last: None,
            begin: Edge { at: 1, before: None, behind: None },
            end: Edge { at: FAR, before: None, behind: None },
            first_unused: 0,
        }
    }

    /// Whether it is about so many templates, each of them once.
    fn fits(&self, templates: usize) -> bool {
        let mut known: Vec<usize> = self.order.iter().map(|slot| slot.template).collect();
        known.sort_unstable();
        known.into_iter().eq(0..templates)
            && self.last.is_none_or(|last| last < templates)
            && self.first_unused <= templates
    }

    /// What the place of the next date is guessed by.
    fn place(&self) -> (Option<usize>, Edge, Edge) {
        (self.last, self.begin, self.end)
    }

    /// The template that won last wins again, at the same place and moment.
    fn again_won(&mut self, times: u32) {
        if let Some(slot) = self.last.and_then(|last| self.order.get_mut(last)) {
            slot.hits = slot.hits.saturating_add(times);
        }
    }

    /// The date's match, and whether it was the template that won last.
    fn find(
        &mut self,
        templates: &[Template],
        scratch: &mut Scratch,
        line: &[u8],
        now: UnixTime,
    ) -> Option<(Match, bool)> {
        let (slot, found, again) = match self.again(templates, scratch, line) {
            Again::Won(slot, found) => (slot, found, true),
            Again::No { tried, best } => {
                let (slot, found) = self.search(templates, scratch, line, (tried, best))?;
                (slot, found, false)
            }
        };
        self.won(slot, line, &found, now, templates);
        Some((found, again))
    }

    /// Tries the template that won last: at its place, if the characters around are the same, else anywhere.
    fn again(&self, templates: &[Template], scratch: &mut Scratch, line: &[u8]) -> Again {
        let Some(slot) = self.last else { return Again::No { tried: None, best: None } };
        let template = &templates[self.order[slot].template];
        if template.is_tied {
            return match template.find(line, scratch) {
                Some(found) => Again::Won(slot, found),
                None => Again::No { tried: Some(slot), best: None },
            };
        }
        let place = self.begin.found_in(line, true).zip(self.end.found_in(line, false));
        let found = match place {
            Some((begin, end)) => template.find_in(line, begin..end, scratch),
            None => template.find(line, scratch),
        };
        let tried = if place.is_none() { Some(slot) } else { None };
        match found {
            Some(found) if self.order.len() == 1 || self.is_same_place(line, &found) => {
                Again::Won(slot, found)
            }
            found => Again::No { tried, best: found.map(|found| (slot, found)) },
        }
    }

    fn is_same_place(&self, line: &[u8], found: &Match) -> bool {
        let place = &found.place.whole;
        let begin = characters(line, place.start);
        begin == self.begin.at && begin + characters(&line[place.start..], place.len()) == self.end.at
    }

    /// Tries all templates in their order: the first that is tied to the line's beginning or end, or stands no further
    /// right than it used to and than the last date did, or is the last of all; else the leftmost.
    fn search(
        &self,
        templates: &[Template],
        scratch: &mut Scratch,
        line: &[u8],
        (tried, mut best): (Option<usize>, Option<(usize, Match)>),
    ) -> Option<(usize, Match)> {
        let mut slots = self.order.iter().enumerate().filter(|(index, _)| tried != Some(*index)).peekable();
        while let Some((index, slot)) = slots.next() {
            let template = &templates[slot.template];
            let Some(found) = template.find(line, scratch) else { continue };
            let start = found.place.whole.start;
            let distance = characters(line, start);
            let is_near = distance <= slot.distance && distance <= self.begin.at;
            if template.is_tied || is_near || slots.peek().is_none() {
                return Some((index, found));
            }
            if best.as_ref().is_none_or(|(_, best)| start < best.place.whole.start) {
                best = Some((index, found));
            }
        }
        best
    }

    fn won(&mut self, index: usize, line: &[u8], found: &Match, now: UnixTime, templates: &[Template]) {
        let place = &found.place.whole;
        let distance = characters(line, place.start);
        let slot = &mut self.order[index];
        slot.hits = slot.hits.saturating_add(1);
        slot.used = now.secs();
        slot.distance = distance;
        if self.first_unused == index {
            self.first_unused += 1;
        }
        self.begin = Edge::of(line, place.start, distance);
        self.end = Edge::of(line, place.end, distance + characters(&line[place.start..], place.len()));
        let moves = index > 0 && self.last != Some(index);
        self.last = Some(if moves { self.move_up(index, templates) } else { index });
    }

    /// Moves a slot up: far, if a place there is free or worth less, else by one; where it stands then.
    fn move_up(&mut self, index: usize, templates: &[Template]) -> usize {
        let slot = self.order[index];
        let gives_way = |to: usize| {
            let other = self.order[to];
            slot.worth(templates) > other.worth(templates) || other.used < slot.used - UNUSED
        };
        let far = if self.first_unused < index { self.first_unused } else { index / 2 };
        let to = if gives_way(far) {
            far
        } else if far + 1 < index && gives_way(index - 1) {
            index - 1
        } else {
            return index;
        };
        self.order[to..=index].rotate_right(1);
        while self.order.get(self.first_unused).is_some_and(|slot| slot.hits > 0) {
            self.first_unused += 1;
        }
        to
    }
}

/// What became of the template that won last.
enum Again {
    Won(usize, Match),
    No {
        /// It was looked for in the whole line.
        tried: Option<usize>,
        /// It matched at another place.
        best: Option<(usize, Match)>,
    },
}

impl Edge {
    fn of(line: &[u8], byte: usize, at: u32) -> Self {
        Self { at, before: last_char(&line[..byte]), behind: first_char(&line[byte..]) }
    }

    /// The same place in another line, if one of the characters around it is the same; the one inside the date counts
    /// only if it is no letter or digit.
    fn found_in(&self, line: &[u8], is_begin: bool) -> Option<usize> {
        let byte = byte(line, self.at);
        let (before, behind) = (last_char(&line[..byte]), first_char(&line[byte..]));
        let (outer, inner, was_outer, was_inner) = if is_begin {
            (before, behind, self.before, self.behind)
        } else {
            (behind, before, self.behind, self.before)
        };
        let fits =
            outer == was_outer || (inner == was_inner && !was_inner.is_some_and(char::is_alphanumeric));
        fits.then_some(byte)
    }
}

/// Characters of a line before one of its bytes.
fn characters(line: &[u8], byte: usize) -> u32 {
    let begin = |byte: &&u8| **byte & 0xc0 != 0x80;
    u32::try_from(line[..byte].iter().filter(begin).count()).unwrap_or(FAR - 1)
}

/// The byte before which so many characters stand, at most the line's end.
fn byte(line: &[u8], characters: u32) -> usize {
    let characters = characters as usize;
    if line.get(..characters).is_some_and(<[u8]>::is_ascii) {
        return characters;
    }
    let begins = line.iter().enumerate().filter(|(_, byte)| **byte & 0xc0 != 0x80);
    begins.map(|(at, _)| at).nth(characters).unwrap_or(line.len())
}

fn first_char(text: &[u8]) -> Option<char> {
    let (first, _) = text.split_first()?;
    if first.is_ascii() {
        return Some(char::from(*first));
    }
    text.utf8_chunks().next()?.valid().chars().next()
}

fn last_char(text: &[u8]) -> Option<char> {
    let start = text.len().saturating_sub(4);
    let last = text.iter().rposition(|byte| byte & 0xc0 != 0x80)?;
    if last < start {
        return None;
    }
    first_char(&text[last..])
}
