//! What the patterns make of the lines of a sheet: no line needs any other, so this is done for several sheets at once.

use std::ops::Range;

use super::Tries;
use super::sheet::{Mark, Sheet};
use crate::filter::choices::Choices;
use crate::filter::patterns::{Content, Matched, Patterns};
use crate::filter::prefilter::Literals;

/// Tries the patterns.
#[derive(Debug)]
pub struct Looker {
    patterns: Patterns,
    ignore_first: bool,
    wants: Wants,
    /// What the matches of the patterns can be known by.
    choices: Option<Choices>,
    /// Of that what few lines have, once that is known.
    texts: Option<Literals>,
    /// Which of the prefix's texts are scanned for, likewise.
    rarest: Option<usize>,
}

/// Bytes in which texts are counted to know which are rare.
const SAMPLE: usize = 32 * 1024;

/// What is to be found in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wants {
    /// What a trial tells, with patience.
    Trial(Tries),
    /// What the daemon makes of it: the first pattern that matches, if the line has a time.
    Verdict,
}

/// What the patterns have found in the lines of one sheet.
#[derive(Debug, Default)]
pub struct Looks {
    /// Lines of which there is something to tell.
    pub(super) told: Vec<Told>,
    /// Behind the last of them.
    pub(super) plain: Plain,
    pub(super) matches: Vec<Match>,
    /// Where groups stand: for each match those of the prefix, in the text, then its own, in the content.
    pub(super) places: Vec<Place>,
    /// Ignore patterns that matched.
    pub(super) ignored: Vec<usize>,
}

pub(super) type Place = Option<(usize, usize)>;

/// Lines that no pattern matches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Plain {
    /// Of how many the prefix says yes.
    pub yes: usize,
    /// What it says of the last; none: it was asked about none of them.
    pub last: Option<bool>,
}

/// A line that was ignored or matched.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) line: usize,
    /// The lines between it and the one that was told before.
    pub(super) before: Plain,
    /// What the prefix says; none: it was not asked.
    pub(super) prefix: Option<bool>,
    pub(super) content: Content,
    pub(super) matches: usize,
    pub(super) ignored: usize,
    pub(super) undecided: bool,
}

/// A pattern that matched and was not ignored.
#[derive(Debug)]
pub(super) struct Match {
    pub(super) pattern: usize,
    pub(super) prefix: usize,
    pub(super) own: usize,
}

impl Plain {
    fn add(&mut self, count: usize, says: Option<bool>) {
        if count > 0 && says.is_some() {
            self.yes += if says == Some(true) { count } else { 0 };
            self.last = says;
        }
    }
}

impl Looks {
    fn begin(&mut self) {
        self.told.clear();
        self.plain = Plain::default();
        self.matches.clear();
        self.places.clear();
        self.ignored.clear();
    }
}

impl Looker {
    pub(super) fn new(mut patterns: Patterns, ignore_first: bool, wants: Wants) -> Self {
        let choices = patterns.choices.take();
        // A trial tells of each line what the prefix says.
        let choices = if wants == Wants::Verdict { choices } else { choices.map(Choices::without_prefix) };
        Self { patterns, ignore_first, wants, choices, texts: None, rarest: None }
    }

    /// One more, for another thread.
    #[must_use]
    pub fn twin(&self) -> Self {
        let Self { ignore_first, wants, .. } = *self;
        let choices = self.choices.clone();
        Self { patterns: self.patterns.twin(), ignore_first, wants, choices, texts: None, rarest: None }
    }

    /// Tries the lines of a sheet.
    pub fn look(&mut self, sheet: &Sheet, looks: &mut Looks) {
        looks.begin();
        let by_prefix = self.wants != Wants::Verdict && !self.patterns.texts_of_prefix().is_empty();
        let is_scanned = self.patterns.literals.is_some() || by_prefix;
        let mut marks = sheet.marks();
        let ignores_more = self.ignore_first && self.wants != Wants::Verdict;
        if !is_scanned || ignores_more || sheet.is_odd {
            return (0..sheet.count()).for_each(|line| self.line(sheet, line, marks.of(line), false, looks));
        }
        let text = sheet.text();
        let (mut line, mut from) = (0, 0);
        self.choose(text, by_prefix);
        while let Some(at) = self.scan(&text[from..]).map(|at| from + at) {
            let first = line;
            while line < sheet.count() && sheet.place(line).end <= at {
                line += 1;
            }
            self.pass(sheet, first..line, looks);
            if line == sheet.count() {
                return;
            }
            let Range { start, end } = sheet.place(line);
            from = if start <= at { end } else { start };
            if start < from {
                let mark = marks.of(line);
                let is_hit = !by_prefix && start + mark.date.end <= at;
                self.line(sheet, line, mark, is_hit, looks);
                line += 1;
            }
        }
        self.pass(sheet, line..sheet.count(), looks);
    }

    /// Where something stands that each line which matters has.
    fn scan(&self, text: &[u8]) -> Option<usize> {
        let of_prefix = self.rarest.and_then(|rarest| self.patterns.texts_of_prefix().get(rarest));
        of_prefix.or(self.texts_of_patterns()).and_then(|texts| texts.find(text))
    }

    /// Chooses what is looked for: nothing depends on it but the time.
    fn choose(&mut self, text: &[u8], by_prefix: bool) {
        let sample = &text[..text.len().min(SAMPLE)];
        if let Some(choices) = self.choices.take() {
            self.texts = Literals::new(&choices.choose(sample));
        }
        if !by_prefix || self.rarest.is_some() {
            return;
        }
        let count = |texts: &Literals| {
            let mut rest = sample;
            let next = || {
                rest = rest.get(texts.find(rest)? + 1..)?;
                Some(())
            };
            std::iter::from_fn(next).count()
        };
        let all = self.patterns.texts_of_prefix().iter().enumerate();
        self.rarest = all.min_by_key(|(_, texts)| count(texts)).map(|(at, _)| at);
    }

    /// Texts of which each match has one.
    fn texts_of_patterns(&self) -> Option<&Literals> {
        self.texts.as_ref().or(self.patterns.literals.as_deref())
    }

    /// Lines that have none of the texts that are scanned for.
    fn pass(&mut self, sheet: &Sheet, lines: Range<usize>, looks: &mut Looks) {
        if !self.patterns.has_prefix() || self.wants == Wants::Verdict {
            return;
        }
        if self.patterns.takes_all() || !self.patterns.texts_of_prefix().is_empty() {
            return looks.plain.add(lines.len(), Some(self.patterns.takes_all()));
        }
        let mut marks = sheet.marks_from(lines.start);
        for line in lines {
            self.patterns.begin_of(sheet.is_ascii);
            let says = self.patterns.content(&sheet.content(line, marks.of(line)), sheet.is_ascii).is_ok();
            looks.plain.add(1, Some(says));
        }
    }

    /// `is_hit`: the line is known to have one of the texts of the patterns.
    fn line(&mut self, sheet: &Sheet, line: usize, mark: &Mark, is_hit: bool, looks: &mut Looks) {
        let text = sheet.content(line, mark);
        let is_judged = self.wants == Wants::Verdict;
        if is_judged && !is_hit && self.has_no_text(&text) {
            return;
        }
        let (matches, ignored) = (looks.matches.len(), looks.ignored.len());
        self.patterns.begin_of(sheet.is_ascii);
        let (mut prefix, mut undecided) = (None, false);
        let mut content = Content { place: 0..0, by_head: false };
        if !self.ignore_first || !self.excluded(&text, looks, &mut undecided) {
            undecided &= !is_judged;
            match self.patterns.content(&text, sheet.is_ascii) {
                Ok(found) => {
                    prefix = self.patterns.has_prefix().then_some(true);
                    if is_judged || is_hit || !self.has_no_text(&text) {
                        // Without a time a match means little: only another that is ignored changes that.
                        let all = if is_judged { mark.time.is_none() } else { self.finds_all() };
                        self.matches(&text, &found, all, looks, &mut undecided);
                    }
                    content = found;
                }
                Err(why) => {
                    prefix = Some(false);
                    undecided |= why == Matched::Undecided;
                }
            }
        }
        let (matches, ignored) = (looks.matches.len() - matches, looks.ignored.len() - ignored);
        if matches == 0 && ignored == 0 && !undecided {
            return looks.plain.add(1, prefix);
        }
        let before = std::mem::take(&mut looks.plain);
        looks.told.push(Told { line, before, prefix, content, matches, ignored, undecided });
    }

    fn matches(
        &mut self,
        text: &[u8],
        content: &Content,
        all: bool,
        looks: &mut Looks,
        undecided: &mut bool,
    ) {
        let inner = content.ended(text);
        let is_judged = self.wants == Wants::Verdict;
        let (mut from, mut is_located) = (0, false);
        loop {
            let pattern = match self.patterns.first(&inner, from) {
                Matched::By(pattern) => pattern,
                Matched::Undecided => return *undecided = true,
                Matched::No => return,
            };
            from = pattern + 1;
            let is_excluded = self.excluded(&inner, looks, undecided);
            if !is_excluded {
                if !std::mem::replace(&mut is_located, true) {
                    self.patterns.locate_prefix(text, content, None);
                }
                let (prefix, own) = (self.patterns.places_of_prefix(), self.patterns.places_of_pattern());
                looks.places.extend_from_slice(prefix);
                looks.places.extend_from_slice(own);
                looks.matches.push(Match { pattern, prefix: prefix.len(), own: own.len() });
            }
            if !all || is_judged && (is_excluded || *undecided) {
                return;
            }
        }
    }

    fn finds_all(&self) -> bool {
        self.wants == Wants::Trial(Tries::All)
    }

    fn has_no_text(&self, text: &[u8]) -> bool {
        self.texts_of_patterns().is_some_and(|texts| texts.find(text).is_none())
    }

    /// Whether an ignore pattern matches; all that do are told, or the first.
    fn excluded(&mut self, text: &[u8], looks: &mut Looks, undecided: &mut bool) -> bool {
        let mut from = 0;
        loop {
            match self.patterns.ignored_from(text, from) {
                Matched::By(ignore) => {
                    looks.ignored.push(ignore);
                    from = ignore + 1;
                    if !self.finds_all() {
                        return true;
                    }
                }
                Matched::Undecided => {
                    *undecided = true;
                    return from > 0;
                }
                Matched::No => return from > 0,
            }
        }
    }
}
