//! What a jail made of a log file.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::Arc;

use serde::Serialize;

use crate::control::text::{View, brief, clean, count, local};
use crate::id::Id;
use crate::jail::{Effect, Release};
use crate::time::UnixTime;

/// Bans listed at most; the others are only counted.
const LISTED: usize = 100_000;

/// The whole result.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) jail: Arc<str>,
    pub(super) file: String,
    pub(super) lines: u64,
    /// Longer than the cap.
    pub(super) cut: u64,
    pub(super) seconds: f64,
    pub(super) failures: u64,
    /// Failures of addresses on the ignore list.
    pub(super) of_ignored: u64,
    /// Lines whose match an ignore pattern took back.
    pub(super) ignored: u64,
    /// Lines that matched but alone are no failure.
    pub(super) pending: u64,
    /// Lines that matched but have no usable date.
    pub(super) undated: u64,
    pub(super) missed: u64,
    /// Lines that neither engine could decide.
    pub(super) undecided: u64,
    pub(super) patterns: Vec<Pattern>,
    /// The bans in the order of time, the first hundred thousand.
    pub(super) bans: Vec<Banned>,
    /// How many bans there are.
    pub(super) banned: u64,
    #[serde(skip)]
    pub(super) open: HashMap<Id, Option<usize>>,
}

/// One pattern of the filter.
#[derive(Debug, Serialize)]
pub(super) struct Pattern {
    pub(super) hits: u64,
    pub(super) pattern: String,
}

/// One ban.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Banned {
    pub(super) id: Id,
    pub(super) since: UnixTime,
    /// None: for ever.
    pub(super) until: Option<UnixTime>,
    pub(super) count: u32,
    pub(super) failures: u32,
}

impl Report {
    /// Lines that matched something.
    pub(super) fn matched(&self) -> u64 {
        self.ignored
            + self.undated
            + self.undecided
            + self.patterns.iter().map(|pattern| pattern.hits).sum::<u64>()
    }

    pub(super) fn hit(&mut self, pattern: usize) {
        if let Some(pattern) = self.patterns.get_mut(pattern) {
            pattern.hits += 1;
        }
    }

    /// Takes note of what the jail wants done.
    pub(super) fn take(&mut self, effect: Effect) {
        match effect {
            Effect::Ban(ban) => {
                self.banned += 1;
                let place = (self.bans.len() < LISTED).then_some(self.bans.len());
                let (since, until) = (ban.time, ban.until());
                self.open.insert(ban.id.clone(), place);
                if place.is_some() {
                    let (count, failures) = (ban.count, ban.failures);
                    self.bans.push(Banned { id: ban.id, since, until, count, failures });
                }
            }
            Effect::Prolong(ban) | Effect::Increase(ban) => {
                if let Some(Some(place)) = self.open.get(&ban.id) {
                    (self.bans[*place].until, self.bans[*place].count) = (ban.until(), ban.count);
                }
            }
            Effect::Unban(id, Release::Expired | Release::Operator) => _ = self.open.remove(&id),
            Effect::Ignored(..) => self.of_ignored += 1,
            Effect::Found(..) => self.failures += 1,
            Effect::Already(..)
            | Effect::Expired(..)
            | Effect::Enforced(..)
            | Effect::NotEnforced(..)
            | Effect::FoundBad(..)
            | Effect::Masked(..)
            | Effect::Spared(..)
            | Effect::Shut(..)
            | Effect::Futile(..)
            | Effect::Consult(..)
            | Effect::Remember(..)
            | Effect::Recall(..)
            | Effect::Unreckoned(..)
            | Effect::Forget(..) => {}
        }
    }

    /// Writes it for a reader.
    pub(super) fn write(&self, out: &mut dyn Write, view: &View) -> io::Result<()> {
        let rate = if self.seconds > 0.0 { self.lines as f64 / self.seconds } else { 0.0 };
        let took = format!("{:.2} s, {rate:.0} lines/s", self.seconds);
        writeln!(
            out,
            "{}: {} in {} ({took})",
            self.jail,
            count(self.lines, "line", "lines"),
            clean(&self.file)
        )?;
        for (number, what) in [
            (self.failures, "failures"),
            (self.of_ignored, "failures of ignored addresses"),
            (self.ignored, "matched, but an ignore pattern did too"),
            (self.pending, "matched, but are no failure by themselves"),
            (self.undated, "matched, but have no usable date"),
            (self.missed, "matched nothing"),
            (self.undecided, "undecided: the regexes did not come to an end"),
            (self.cut, "longer than 64 KiB, cut"),
        ] {
            if number > 0 || what == "failures" {
                writeln!(out, "{number:>10}  {what}")?;
            }
        }
        if !self.patterns.is_empty() {
            writeln!(out, "\n      HITS   NO  PATTERN")?;
        }
        for (number, Pattern { hits, pattern }) in self.patterns.iter().enumerate() {
            let line: String = clean(pattern).split_whitespace().collect::<Vec<_>>().join(" ");
            let line = format!("{hits:>10}  {:>3}  {line}", number + 1);
            let short: String = line.chars().take(view.width.unwrap_or(usize::MAX)).collect();
            writeln!(out, "{short}")?;
        }
        self.write_bans(out, view)
    }

    fn write_bans(&self, out: &mut dyn Write, view: &View) -> io::Result<()> {
        if self.banned == 0 {
            return writeln!(out, "\nnobody would be banned");
        }
        let width =
            self.bans.iter().map(|ban| shown(&ban.id).chars().count()).max().unwrap_or(0).clamp(6, 60);
        writeln!(
            out,
            "\n  {:width$}  {:19}  {:19}  {:>7}  TIMES  FAILURES",
            "BANNED", "SINCE", "UNTIL", "FOR"
        )?;
        for ban in &self.bans {
            let until = ban.until.map_or_else(|| "for ever".to_owned(), |until| local(until, &view.zone));
            writeln!(
                out,
                "  {:width$}  {:19}  {until:19}  {:>7}  {:>5}  {:>8}",
                shown(&ban.id),
                local(ban.since, &view.zone),
                ban.until.map(|until| brief(until.since(ban.since))).unwrap_or_default(),
                ban.count,
                ban.failures
            )?;
        }
        match self.banned - self.bans.len() as u64 {
            0 => Ok(()),
            more => writeln!(out, "  … and {more} more"),
        }
    }
}

/// What `--verbose` says of an effect, if it is worth a word.
pub(super) fn said(effect: &Effect, view: &View) -> Option<String> {
    match effect {
        Effect::Ban(ban) | Effect::Prolong(ban) | Effect::Increase(ban) => {
            let is = if matches!(effect, Effect::Ban(_)) { "is banned" } else { "stays banned" };
            let until = ban
                .until()
                .map_or_else(|| "for ever".to_owned(), |until| format!("until {}", local(until, &view.zone)));
            Some(format!("{} {is} {until}", ban.id))
        }
        Effect::Unban(id, _) => Some(format!("{id} was let in before")),
        Effect::Ignored(id, rule) => Some(format!("{id} is ignored: {rule}")),
        Effect::Already(id, since) => {
            Some(format!("{id} is banned already, since {}", local(*since, &view.zone)))
        }
        Effect::NotEnforced(id, why) => Some(format!("{id} cannot be banned: {why}")),
        Effect::Expired(id) => Some(format!("{id}: the ban would be over already")),
        Effect::FoundBad(id, _, count, weight) => {
            Some(format!("{id} was banned {count} times before: this counts as {weight} failures"))
        }
        Effect::Unreckoned(id, why) => {
            Some(format!("the ban time of {id} stays as it is: its formula {why}"))
        }
        Effect::Found(..)
        | Effect::Masked(..)
        | Effect::Spared(..)
        | Effect::Shut(..)
        | Effect::Futile(..)
        | Effect::Enforced(..)
        | Effect::Consult(..)
        | Effect::Remember(..)
        | Effect::Recall(..)
        | Effect::Forget(..) => None,
    }
}

fn shown(id: &Id) -> String {
    clean(&id.to_string()).into_owned()
}
