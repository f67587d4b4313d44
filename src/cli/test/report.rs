//! What a jail made of a log file.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::control::text::{View, clean, count, local};
use crate::id::Id;
use crate::jail::{Effect, Release};
use crate::span;
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
    open: HashMap<Id, Option<usize>>,
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
            Effect::Prolong(ban) => {
                if let Some(Some(place)) = self.open.get(&ban.id) {
                    self.bans[*place].until = ban.until();
                }
            }
            Effect::Unban(id, Release::Expired | Release::Operator) => _ = self.open.remove(&id),
            Effect::Ignored(..) => self.of_ignored += 1,
            Effect::Found(..) => self.failures += 1,
            Effect::Already(..) | Effect::Expired(..) | Effect::Enforced(..) | Effect::NotEnforced(..) => {}
        }
    }

    /// Writes it for a reader.
    pub(super) fn write(&self, out: &mut dyn Write, view: &View) -> io::Result<()> {
        let rate = if self.seconds > 0.0 { self.lines as f64 / self.seconds } else { 0.0 };
        let took = format!("{:.2} s, {rate:.0} lines/s", self.seconds);
        writeln!(out, "{}: {} in {} ({took})", self.jail, count(self.lines, "line", "lines"), clean(&self.file))?;
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
        let width = self.bans.iter().map(|ban| shown(&ban.id).chars().count()).max().unwrap_or(0).clamp(6, 60);
        writeln!(out, "\n  {:width$}  {:19}  {:19}  {:>7}  TIMES  FAILURES", "BANNED", "SINCE", "UNTIL", "FOR")?;
        for ban in &self.bans {
            let until = ban.until.map_or_else(|| "for ever".to_owned(), |until| local(until, &view.zone));
            let span = ban.until.map(|until| Duration::from_secs(until.since(ban.since).as_secs()));
            writeln!(
                out,
                "  {:width$}  {:19}  {until:19}  {:>7}  {:>5}  {:>8}",
                shown(&ban.id),
                local(ban.since, &view.zone),
                span.map(span::format).unwrap_or_default(),
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

fn shown(id: &Id) -> String {
    clean(&id.to_string()).into_owned()
}
