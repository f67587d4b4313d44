//! Lines that were tried → what is printed of them at once, or counted.

use std::borrow::Cow;
use std::io::{self, Write};

use super::format::Format;
use super::found::{Found, Resolver, find};
use super::stats::Stats;
use crate::filter::{Plain, Trial};
use crate::time::UnixTime;

/// What is done with the lines that were tried.
pub(super) struct Taker<'t> {
    /// Failures are printed so.
    pub(super) format: Option<Format>,
    /// All other lines are.
    pub(super) inverted: bool,
    /// Else lines are counted.
    pub(super) stats: Stats,
    pub(super) resolver: Resolver,
    /// Those of the line at hand.
    pub(super) found: Vec<Found>,
    pub(super) now: UnixTime,
    pub(super) out: &'t mut dyn Write,
}

impl Taker<'_> {
    pub(super) fn prints(&self) -> bool {
        self.format.is_some() || self.inverted
    }

    /// A line of which the patterns made something.
    pub(super) fn take<'l>(&mut self, line: impl Fn() -> Cow<'l, str>, trial: &mut Trial) -> io::Result<()> {
        if !self.prints() && trial.hits.iter().all(|hit| !hit.is_name) {
            let found = trial.hits.iter().map(|hit| (hit, hit.id.as_ref()));
            self.stats.take(line, trial, found, self.now);
            return Ok(());
        }
        find(&mut trial.hits, &mut self.resolver, &mut self.found);
        if !self.prints() {
            let found = self.found.iter().map(|found| (&found.hit, found.id.as_ref()));
            self.stats.take(line, trial, found, self.now);
            return Ok(());
        }
        self.found.retain(|found| !found.hit.nofail);
        if self.inverted {
            return if self.found.is_empty() { self.print_missed(&line()) } else { Ok(()) };
        }
        let Some(format) = &self.format else { return Ok(()) };
        format
            .write(&self.found, self.now, &mut self.resolver)
            .into_iter()
            .try_for_each(|text| writeln!(self.out, "{text}"))
    }

    /// Lines that no pattern matches.
    pub(super) fn take_plain<'l>(
        &mut self,
        mut lines: impl ExactSizeIterator<Item = &'l str>,
        prefix: Plain,
    ) -> io::Result<()> {
        if !self.prints() {
            self.stats.take_plain(lines, prefix);
            return Ok(());
        }
        if self.inverted { lines.try_for_each(|line| self.print_missed(line)) } else { Ok(()) }
    }

    fn print_missed(&mut self, line: &str) -> io::Result<()> {
        match &self.format {
            None => writeln!(self.out, "{line}"),
            Some(format) => writeln!(self.out, "{}", format.inverted(line)),
        }
    }
}
