//! The blocks that `fail2ban-regex` prints when all lines are read.
//!
//! Pure but for the writing.

use std::io::{self, Write};
use std::time::Duration;

use super::debuggex;
use super::options::Options;
use super::stats::{Kept, Lines, Stats};
use crate::filter::Fail2Ban;
use crate::filter::date::{TemplateUse, Zone};

/// What is reported.
pub(super) struct Report<'r> {
    pub(super) options: &'r Options,
    pub(super) own: &'r Fail2Ban,
    pub(super) prefix: Option<&'r str>,
    pub(super) patterns: &'r [String],
    pub(super) ignore: &'r [String],
    pub(super) stats: &'r Stats,
    /// None: lines have no dates of their own.
    pub(super) dates: Option<&'r [TemplateUse]>,
    pub(super) zone: &'r Zone,
    pub(super) took: Duration,
}

impl Report<'_> {
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let stats = self.stats;
        writeln!(out, "\nResults\n=======")?;
        if let Some(prefix) = self.prefix {
            writeln!(out, "\nPrefregex: {} total", stats.prefix_hits)?;
            let groups = stats.prefix_groups.iter().map(|groups| format!("    {groups}"));
            list(out, None, std::iter::once(self.own.shown(prefix)).chain(groups))?;
        }
        self.patterns(out)?;
        self.ignores(out)?;
        if let Some(dates) = self.dates {
            writeln!(out, "\nDate template hits:")?;
            let dates = dates.iter().flat_map(|template| self.date(template));
            list(out, Some("[# of hits] date format"), dates)?;
        }
        writeln!(
            out,
            "\nLines: {} lines, {} ignored, {} matched, {} missed",
            stats.tested, stats.ignored.count, stats.matched.count, stats.missed.count
        )?;
        writeln!(out, "[processed in {:.2} sec]\n", self.took.as_secs_f64())?;
        for (name, lines, regexes) in [
            ("matched", &stats.matched, self.patterns),
            ("ignored", &stats.ignored, self.ignore),
            ("missed", &stats.missed, self.patterns),
        ] {
            if lines.kept() != Kept::None {
                self.lines(name, lines, regexes, out)?;
            }
        }
        Ok(())
    }

    fn patterns(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut shown = Vec::new();
        for (index, (regex, text)) in self.stats.patterns.iter().zip(self.patterns).enumerate() {
            if regex.hits == 0 && self.options.verbose <= 0 {
                continue;
            }
            shown.push(numbered(index, regex.hits, text));
            for (who, time, several) in &regex.who {
                let several = if *several { " (multiple regex matched)" } else { "" };
                shown.push(format!("    {who}  {}{several}", self.zone.ctime(*time)));
            }
        }
        let total: usize = self.stats.patterns.iter().map(|regex| regex.hits).sum();
        regexes(out, "Failregex", total, shown)
    }

    fn ignores(&self, out: &mut dyn Write) -> io::Result<()> {
        let all = self.stats.ignores.iter().zip(self.ignore).enumerate();
        let shown = all.filter(|(_, (hits, _))| **hits > 0 || self.options.verbose > 0);
        let shown = shown.map(|(index, (hits, text))| numbered(index, *hits, text)).collect();
        regexes(out, "Ignoreregex", self.stats.ignores.iter().sum(), shown)
    }

    fn date(&self, template: &TemplateUse) -> Vec<String> {
        if template.hits == 0 && self.options.verbose <= 0 {
            return Vec::new();
        }
        let mut shown = vec![format!("[{}] {}", template.hits, template.name)];
        if self.options.verbose_date {
            let TemplateUse { worth, weight, pattern, regex, .. } = template;
            shown.push(format!("    # weight: {worth:.3} ({weight:.3}), pattern: {pattern}"));
            shown.push(format!("    # regex:   {regex}"));
        }
        shown
    }

    fn lines(&self, name: &str, lines: &Lines, regexes: &[String], out: &mut dyn Write) -> io::Result<()> {
        if lines.count == 0 {
            return Ok(());
        }
        let head = format!("{}{} line(s):", name[..1].to_uppercase(), &name[1..]);
        if lines.are_many(self.stats.limit) {
            let count = lines.count;
            return writeln!(
                out,
                "{head} too many to print.  Use --print-all-{name} to print all {count} lines"
            );
        }
        let shown = lines.texts.iter();
        if !self.options.debuggex {
            return list(out, Some(&head), shown.map(|line| crate::python::strip_end(line).to_owned()));
        }
        let multi_line = self.own.max_lines > 1;
        let drawn = shown.flat_map(|line| {
            regexes.iter().map(move |regex| {
                let link = debuggex::link(&self.own.shown(regex), line, multi_line);
                format!("{line} | {regex} |  {link}")
            })
        });
        list(out, Some(&head), drawn)
    }
}

fn numbered(index: usize, hits: usize, text: &str) -> String {
    format!("{:>2}) [{hits}] {text}", index + 1)
}

fn regexes(out: &mut dyn Write, name: &str, total: usize, shown: Vec<String>) -> io::Result<()> {
    writeln!(out, "\n{name}: {total} total")?;
    list(out, Some(" #) [# of hits] regular expression"), shown.into_iter())
}

/// A list with a line at its left; nothing where there is none.
fn list(out: &mut dyn Write, head: Option<&str>, lines: impl Iterator<Item = String>) -> io::Result<()> {
    let mut lines = lines.peekable();
    if lines.peek().is_none() {
        return Ok(());
    }
    if let Some(head) = head {
        writeln!(out, "|- {head}")?;
    }
    for line in lines {
        writeln!(out, "|  {line}")?;
    }
    writeln!(out, "`-")
}
