//! What was found, counted as `fail2ban-regex` counts it.
//!
//! Pure. In: a line with its [`Trial`]. Out: [`Stats`], which [`super::report`] writes. No more lines are kept than
//! are printed.

use std::borrow::Cow;

use super::options::Options;
use crate::filter::{Entry, Hit, Plain, PrefixSays, Trial};
use crate::id::Id;
use crate::python::repr;
use crate::time::UnixTime;

/// Lists are cut here, unless `-L` says otherwise.
const MOST: usize = 20;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Stats {
    pub(super) limit: usize,
    pub(super) tested: usize,
    pub(super) matched: Lines,
    pub(super) missed: Lines,
    pub(super) ignored: Lines,
    pub(super) prefix_hits: usize,
    /// What the prefix captured, as Python prints it; only where that is printed.
    pub(super) prefix_groups: Vec<String>,
    last_prefix: PrefixSays,
    pub(super) patterns: Vec<Regex>,
    /// Hits of each ignore pattern.
    pub(super) ignores: Vec<usize>,
    verbose: bool,
    debuggex: bool,
}

/// Lines of one kind.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// A match of several lines may take away more than there are.
    pub(super) count: isize,
    kept: Kept,
    /// Those that are printed, or more of them.
    pub(super) texts: Vec<String>,
}

/// How many lines are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Kept {
    #[default]
    None,
    /// Those of the first so many.
    First(usize),
    All,
}

/// A pattern's hits.
#[derive(Debug, Default)]
pub(super) struct Regex {
    pub(super) hits: usize,
    /// Who, when, and whether two others had matched the line before; only where that is printed.
    pub(super) who: Vec<(String, UnixTime, bool)>,
}

impl Lines {
    fn new(kept: Kept) -> Self {
        Self { kept, ..Self::default() }
    }

    /// Whether they are too many for a list of so many.
    pub(super) fn are_many(&self, limit: usize) -> bool {
        self.kept != Kept::All && usize::try_from(self.count).is_ok_and(|count| count >= limit)
    }

    pub(super) fn kept(&self) -> Kept {
        self.kept
    }

    /// As many as there are; they are looked at only where they are kept.
    fn add_all<'l>(&mut self, lines: impl ExactSizeIterator<Item = &'l str>) {
        let most = match self.kept {
            Kept::None => 0,
            Kept::First(most) => most.saturating_sub(usize::try_from(self.count).unwrap_or(0)),
            Kept::All => usize::MAX,
        };
        self.count += isize::try_from(lines.len()).unwrap_or(isize::MAX);
        if most > 0 {
            self.texts.extend(lines.take(most).map(str::to_owned));
        }
    }

    fn add(&mut self, line: impl FnOnce() -> String) {
        self.count += 1;
        let keep = match self.kept {
            Kept::None => false,
            Kept::First(most) => usize::try_from(self.count).is_ok_and(|count| count <= most),
            Kept::All => true,
        };
        if keep {
            self.texts.push(line());
        }
    }
}

impl Stats {
    /// For so many patterns and ignore patterns.
    pub(super) fn new(options: &Options, patterns: usize, ignores: usize) -> Self {
        let limit = options.max_lines.filter(|lines| *lines > 0);
        let limit = limit.and_then(|lines| usize::try_from(lines).ok()).unwrap_or(MOST);
        let list = |none: bool, all: bool| match (none, all) {
            (true, _) => Kept::None,
            (false, true) => Kept::All,
            (false, false) => Kept::First(limit + 1),
        };
        Self {
            limit,
            matched: Lines::new(if options.all_matched { Kept::All } else { Kept::None }),
            missed: Lines::new(list(options.no_missed, options.all_missed)),
            ignored: Lines::new(list(options.no_ignored, options.all_ignored)),
            patterns: (0..patterns).map(|_| Regex::default()).collect(),
            ignores: vec![0; ignores],
            verbose: options.verbose > 0,
            debuggex: options.debuggex,
            ..Self::default()
        }
    }

    /// Counts lines that no pattern matches.
    pub(super) fn take_plain<'l>(&mut self, lines: impl ExactSizeIterator<Item = &'l str>, prefix: Plain) {
        self.tested += lines.len();
        self.prefix_hits += prefix.yes;
        match prefix.last {
            Some(true) => self.last_prefix = PrefixSays::Yes(Vec::new()),
            Some(false) => self.last_prefix = PrefixSays::No,
            None => {}
        }
        self.missed.add_all(lines);
    }

    /// Counts a line, as it is shown, by what the patterns made of it.
    pub(super) fn take<'l, 'h>(
        &mut self,
        line: impl FnOnce() -> Cow<'l, str>,
        trial: &Trial,
        found: impl Iterator<Item = (&'h Hit, Option<&'h Id>)>,
        now: UnixTime,
    ) {
        let (mut all, mut failures) = (0, 0);
        for (hit, id) in found {
            self.hit(hit, id, failures > 1, now);
            all += 1;
            failures += usize::from(!hit.nofail);
        }
        for ignore in &trial.ignored {
            self.ignores[*ignore] += 1;
        }
        self.prefix(&trial.prefix);
        let mut joined = Vec::new();
        for entry in &trial.gone {
            self.found_later(entry, &mut joined);
        }
        if let (false, Some(own)) = (joined.is_empty(), &trial.own) {
            joined.push(undated(own));
        }
        let shown = || if joined.is_empty() { line().into_owned() } else { joined.join("\n") };
        self.tested += 1;
        if all > failures || !trial.ignored.is_empty() {
            self.ignored.add(shown);
        } else if failures > 0 {
            self.matched.add(shown);
        } else {
            self.missed.add(shown);
        }
    }

    fn hit(&mut self, hit: &Hit, id: Option<&Id>, several: bool, now: UnixTime) {
        let regex = &mut self.patterns[hit.pattern];
        regex.hits += 1;
        if self.verbose {
            let who = id.map_or_else(|| "None".to_owned(), ToString::to_string);
            regex.who.push((who, hit.time.map_or(now, |(time, _)| time), several));
        }
    }

    /// A line that an ignore pattern took away before leaves the prefix as it was.
    fn prefix(&mut self, says: &PrefixSays) {
        if *says != PrefixSays::Nothing && *says != self.last_prefix {
            self.last_prefix = says.clone();
        }
        let PrefixSays::Yes(groups) = &self.last_prefix else { return };
        self.prefix_hits += 1;
        if self.verbose && self.prefix_groups.len() <= self.limit {
            let text = if self.prefix_groups.len() == self.limit {
                "...".to_owned()
            } else {
                let groups: Vec<_> =
                    groups.iter().map(|(name, value)| format!("{}: {}", repr(name), repr(value))).collect();
                format!("{{{}}}", groups.join(", "))
            };
            self.prefix_groups.push(text);
        }
    }

    /// A line that was missed, and is now part of what a match spans.
    fn found_later(&mut self, entry: &Entry, joined: &mut Vec<String>) {
        let wanted = if self.debuggex { undated(entry) } else { entry.line.to_string() };
        if let Some(at) = self.missed.texts.iter().position(|line| *line == wanted) {
            self.missed.texts.remove(at);
        }
        if self.matched.kept == Kept::All {
            if self.debuggex {
                joined.push(wanted);
            } else {
                self.matched.texts.push(entry.line.to_string());
            }
        }
        self.matched.count += 1;
        self.missed.count -= 1;
    }
}

fn undated(entry: &Entry) -> String {
    let [before, _, behind] = entry.parts();
    [before, behind].concat()
}
