//! Decides whether a log line is a failure, whose, and when.
//!
//! Pure: no clock, no I/O; the caller passes a [`Reading`] with each line.
//! In: the bytes of one line without its end. Out: an [`Outcome`].
//! The caller is [`crate::jail::Jail`].
//!
//! A line meets, in this order: a scan for literals (`prefilter`, whole blocks at once), its date (`date`),
//! the head of the prefix, the patterns (`pattern`: first their `matcher`, then the engines that it gives up to), and
//! its connection (`session`). Patterns are written with `tags`, read by `syntax` and put into the
//! engines' own terms by `rewrite`.

pub mod date;
mod judge;
mod matcher;
mod pattern;
mod prefilter;
mod rewrite;
mod session;
mod syntax;
mod tags;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::date::{Dates, Zone};
use self::pattern::{Pattern, Places};
use self::prefilter::{Candidates, Head, Literals};
use self::session::Sessions;
use self::syntax::{Dialect, Syntax};
use crate::id::Id;
use crate::time::UnixTime;

/// What a filter is made of, its mode already chosen.
///
/// Patterns are Python's `re` over the bytes of a line, and search: anchor them. `\d`, `\w`, `\s`, `\b` and `(?i)` know
/// ASCII only, `.` is any byte. Tags: `<HOST>`, `<ADDR>`, `<SUBNET>`, `<F-USER>…</F-USER>` and so on (SPEC §2.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FilterOptions {
    /// Matched first; its `<F-CONTENT>` group, if any, is what the patterns see.
    pub prefix: Option<String>,
    /// A line is a failure when one of these matches (the first wins) …
    pub patterns: Vec<String>,
    /// … and none of these.
    pub ignore: Vec<String>,
    /// Names of fragments, replaced as `<name>` in the patterns before anything else.
    pub define: Vec<(String, String)>,
    /// Reads patterns, lines and dates as Fail2Ban does; none: as a TOML jail.
    pub fail2ban: Option<Fail2Ban>,
}

/// What a Fail2Ban filter, with the options of its jail, says besides its regular expressions.
///
/// Its patterns are Python's `re` over the decoded line: `\d`, `\w`, `\s`, `\b` and `(?i)` know Unicode (SPEC §2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fail2Ban {
    /// What becomes of host names.
    pub use_dns: UseDns,
    /// Lines that a pattern may span (`maxlines`); 1: each line alone.
    pub max_lines: usize,
    /// `datepattern`, none: the default templates.
    pub date_pattern: Option<String>,
    /// `logtimezone`, none: the host's zone.
    pub zone: Option<String>,
    /// Our own patterns, tried after the filter's.
    pub supplement: Vec<String>,
    /// Whether a group of the prefix is overwritten by one of a pattern that took no part (Fail2Ban before 1.1).
    pub overwrite_with_nothing: bool,
}

impl Default for Fail2Ban {
    fn default() -> Self {
        Self {
            use_dns: UseDns::default(),
            max_lines: 1,
            date_pattern: None,
            zone: None,
            supplement: Vec::new(),
            overwrite_with_nothing: true,
        }
    }
}

/// What becomes of a host name where an address is expected (`usedns`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UseDns {
    /// Every address of the name has failed.
    Yes,
    /// The same; Fail2Ban's default.
    #[default]
    Warn,
    /// `<HOST>` matches no names.
    No,
    /// The name itself is the id.
    Raw,
}

/// When and how a line was read.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// The moment of the read.
    pub now: UnixTime,
    /// Nothing in the file was written before its last saved read ended: after a restart that moment, else `now`.
    /// A live line's time is never taken to be before this.
    pub since: UnixTime,
    /// Whether the file was once read to its end ("in operation", SPEC §2.2(3)).
    pub live: bool,
    /// Lines older than this before `now` are ignored while not live.
    pub find_time: Duration,
}

/// A failed attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// Who failed.
    pub id: Id,
    /// The id is a host name: its addresses have failed, once they are known.
    pub is_name: bool,
    /// When, already corrected by the rules of time.
    pub time: UnixTime,
    /// The lines that led to it, dates included, the last one the line that completed it.
    pub lines: Vec<Arc<str>>,
    /// What the pattern named: `user`, `port`, …
    pub data: Vec<(Arc<str>, String)>,
    /// Which of [`FilterOptions::patterns`] matched, from 0.
    pub pattern: usize,
}

/// What a line means.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// No pattern matched.
    Nothing,
    /// A pattern matched, and so did this ignore pattern (from 0).
    Ignored(usize),
    /// A pattern matched, but it alone is no failure (`<F-NOFAIL>`, a session's beginning or end).
    Pending(usize),
    /// It matched but happened before `now - find_time` (while catching up), or has no usable date.
    TooOld,
    /// Someone failed.
    Failure(Box<Failure>),
    /// Neither engine could decide within its bound.
    Undecided,
}

/// Why a filter cannot be used: a message that names the option.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {problem}", .index.map_or_else(|| (*.field).to_owned(), |index| format!("{}[{index}]", .field)))]
pub struct FilterError {
    field: &'static str,
    index: Option<usize>,
    problem: Problem,
}

impl FilterError {
    /// The field of [`FilterOptions`], and which of its list.
    pub fn option(&self) -> (&'static str, Option<usize>) {
        (self.field, self.index)
    }
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Problem {
    #[error("is empty")]
    Empty,
    #[error("has no <HOST>")]
    NoHost,
    #[error("does not compile: {0}")]
    Syntax(#[from] syntax::SyntaxError),
    #[error("does not compile: {0}")]
    Engine(String),
    #[error("is too large")]
    TooLarge,
    #[error("uses <{0}>, which contains itself")]
    Cycle(String),
    #[error("has {0}, but names are never looked up: use <HOST>")]
    Names(String),
    #[error("has {0}, which means nothing here")]
    Unknown(String),
    #[error("opens {0} and does not close it")]
    NotClosed(String),
    #[error("has {0} without the tag that opens it")]
    NotOpen(String),
}

/// A compiled filter, with what it remembers of the lines before.
#[derive(Debug)]
pub struct Filter {
    texts: Vec<String>,
    prefix: Option<Prefix>,
    patterns: Vec<Pattern>,
    ignore: Vec<Pattern>,
    literals: Option<Literals>,
    candidates: Option<Candidates>,
    may_ignore: Option<Candidates>,
    dates: Dates,
    memory: Memory,
    changed: bool,
    buffers: Buffers,
}

/// The pattern that is tried first.
#[derive(Debug)]
struct Prefix {
    pattern: Pattern,
    /// The part before the content, where it can be told apart, with its automaton.
    head: Option<(Pattern, Head)>,
    /// Before a pattern that the linear engines cannot match.
    gate: Option<Candidates>,
}

/// Everything that the next verdict depends on.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
struct Memory {
    /// The date of the last line that had one.
    last: Option<UnixTime>,
    #[serde(default)]
    sessions: Sessions,
}

/// Used again for each line, so that one that does not match allocates nothing.
#[derive(Debug, Default)]
struct Buffers {
    text: Vec<u8>,
    prefix: Places,
    pattern: Places,
    ignore: Places,
}

/// A pattern that does not say who failed is of no use.
const WHO: [&str; 4] = ["ip4", "ip6", "fid", "mlfid"];

impl Filter {
    /// Compiles a filter; dates without a zone are of this host's.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn new(options: &FilterOptions) -> Result<Self, Vec<FilterError>> {
        Self::with_zone(options, Zone::system())
    }

    /// Compiles a filter; dates without a zone are of `zone`.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn with_zone(options: &FilterOptions, zone: Zone) -> Result<Self, Vec<FilterError>> {
        let mut errors = Vec::new();
        let mut fail = |field, index, problem| errors.push(FilterError { field, index, problem });
        let read = |text: &String| pattern::read(&tags::fragments(text, &options.define)?, Dialect::Bytes);
        let names_who = |syntax: &Syntax| WHO.iter().any(|name| syntax.group(name).is_some());

        let mut prefix = None;
        match options
            .prefix
            .as_ref()
            .map(|text| read(text).and_then(|syntax| Ok((Prefix::new(&syntax)?, syntax))))
        {
            Some(Ok(known)) => prefix = Some(known),
            Some(Err(problem)) => fail("prefix", None, problem),
            None => {}
        }
        // A prefix that does not compile may have had the <HOST>.
        let is_named = match &prefix {
            Some((_, syntax)) => names_who(syntax),
            None => options.prefix.is_some(),
        };
        let mut list = |field, texts: &[String], check: &dyn Fn(&Syntax) -> Result<(), Problem>| {
            let mut compiled = Vec::new();
            for (index, text) in texts.iter().enumerate() {
                let one =
                    read(text).and_then(|syntax| check(&syntax).and(Ok((Pattern::new(&syntax)?, syntax))));
                match one {
                    Ok(one) => compiled.push(one),
                    Err(problem) => fail(field, Some(index), problem),
                }
            }
            compiled.into_iter().unzip::<_, _, Vec<Pattern>, Vec<Syntax>>()
        };
        let has_host =
            |syntax: &Syntax| if is_named || names_who(syntax) { Ok(()) } else { Err(Problem::NoHost) };
        let (patterns, syntaxes) = list("patterns", &options.patterns, &has_host);
        let (ignore, ignore_syntaxes) = list("ignore", &options.ignore, &|_| Ok(()));
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            texts: options.patterns.clone(),
            literals: literals(&syntaxes, prefix.as_ref().map(|(_, syntax)| syntax)),
            prefix: prefix.map(|(prefix, _)| prefix),
            patterns,
            ignore,
            candidates: Candidates::new(&syntaxes),
            may_ignore: Candidates::new(&ignore_syntaxes),
            dates: Dates::new(zone),
            memory: Memory::default(),
            changed: false,
            buffers: Buffers::default(),
        })
    }

    /// Everything that the next verdict depends on.
    pub fn state(&self) -> Vec<u8> {
        serde_json::to_vec(&self.memory).unwrap_or_default()
    }

    /// Goes on from a saved state; what is none begins anew.
    pub fn restore(&mut self, state: &[u8]) {
        self.memory = serde_json::from_slice(state).unwrap_or_default();
    }

    /// Whether the state has changed since the last call.
    pub fn state_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// A pattern as it was written; empty when there is no such pattern.
    pub fn pattern_text(&self, index: usize) -> &str {
        self.texts.get(index).map_or("", |text| text)
    }

    /// The moment of a line's date.
    pub fn dated(&mut self, line: &[u8], now: UnixTime) -> Option<UnixTime> {
        self.dates.time(line, now)
    }
}

impl Prefix {
    fn new(syntax: &Syntax) -> Result<Self, Problem> {
        let head = Head::split(syntax).and_then(|head| Some((Pattern::new(&head).ok()?, Head::new(&head)?)));
        let gate = if head.is_none() { Candidates::new(std::slice::from_ref(syntax)) } else { None };
        Ok(Self { pattern: Pattern::new(syntax)?, head, gate })
    }
}

/// Texts of which every failure has one: those of the patterns, else those of the prefix.
fn literals(patterns: &[Syntax], prefix: Option<&Syntax>) -> Option<Literals> {
    let all: Option<Vec<_>> = patterns.iter().map(|syntax| prefilter::required(&syntax.root)).collect();
    all.and_then(|all| Literals::new(&all.concat()))
        .or_else(|| Literals::new(&prefilter::required(&prefix?.root)?))
}
