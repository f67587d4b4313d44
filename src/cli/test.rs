//! `stockade test`: what a jail makes of a log file, in the log's own time.
//!
//! The filter and the jail are those of the daemon. Each failure is counted at its own date, and the clock that bans
//! end by is the latest date seen, so a year of log gives a year of bans within seconds.

mod bulk;
mod report;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use self::bulk::Event;
use self::report::{Pattern, Report};
use super::blocks::Blocks;
use super::{Exit, Global, ask, complain, crew, json, settings};
use crate::config::{self, Config, JailConfig, Sources};
use crate::control::text::{View, clean};
use crate::filter::{Failure, Filter, FilterError, Outcome, Reading};
use crate::id::Id;
use crate::ignore;
use crate::jail::{Ban, Effect, Jail, JailOptions, Past};
use crate::time::UnixTime;

/// A smaller file is read before a progress bar could be seen.
const LARGE: u64 = 64 * 1024 * 1024;

/// The arguments of `stockade test`.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// The jail; it need not be enabled
    pub jail: String,
    /// The log file; - is standard input
    pub file: PathBuf,
    /// Use this mode of the filter instead of the configured one
    #[arg(long)]
    pub mode: Option<String>,
    /// Print each line that matched: its number, the pattern's, who
    #[arg(long, short)]
    pub verbose: bool,
    /// Print each line that matched nothing
    #[arg(long)]
    pub missed: bool,
}

pub(super) fn run(global: &Global, args: &TestArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let Some(config) = jail(global, args) else { return Ok(Exit::NotDone) };
    if config.options.filter.is_none() {
        complain(&format!("{} has no patterns: it is for bans by hand", args.jail));
        return Ok(Exit::NotDone);
    }
    let trial = match Trial::new(config) {
        Ok(trial) => trial,
        Err(errors) => {
            for error in errors {
                complain(&format!("{}: {error}", args.jail));
            }
            return Ok(Exit::NotDone);
        }
    };
    let (input, length) = open(&args.file).with_context(|| args.file.display().to_string())?;
    let mut blocks = Blocks::new(input);
    let began = Instant::now();
    let report = if args.verbose || args.missed {
        trial.print(&mut blocks, &mut Printer::new(args, global.json, out))
    } else {
        let bar = length.filter(|length| *length >= LARGE).and_then(progress_bar);
        let report = trial.judge(&mut blocks, bar.as_ref());
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        report.map_err(anyhow::Error::from)
    };
    let mut report = report.with_context(|| args.file.display().to_string())?;
    report.file = args.file.display().to_string();
    report.cut = blocks.cut;
    report.seconds = began.elapsed().as_secs_f64();
    report.missed = report.lines - report.matched();
    if global.json {
        json::write(out, &report)?;
    } else {
        report.write(out, &ask::view(false))?;
    }
    Ok(Exit::Done)
}

/// The jail as it would run if it were enabled; none: it cannot run, which was said.
fn jail(global: &Global, args: &TestArgs) -> Option<JailConfig> {
    let name = &args.jail;
    let sources = Sources { tried: Some(name.clone()), ..settings::sources(global) };
    let mut config = config::load(&sources);
    let place = |config: &Config| config.jails.iter().position(|jail| *jail.options.name == **name);
    if args.mode.is_none()
        && let Some(place) = place(&config)
    {
        return Some(config.jails.swap_remove(place));
    }
    let names = known(&config);
    if !names.iter().any(|known| **known == **name) {
        complain(&format!("there is no jail {name}; known are {}", names.join(", ")));
        return None;
    }
    let mut flags = sources.flags.clone();
    flags.push((format!("jail.\"{name}\".enabled"), "true".to_owned()));
    if let Some(mode) = &args.mode {
        flags.push((format!("jail.\"{name}\".mode"), mode.clone()));
    }
    let mut enabled = config::load(&Sources { flags: flags.clone(), ..sources.clone() });
    // A jail in the making may not know its logs yet; the one to read is given anyway.
    if place(&enabled).is_none()
        && config.disabled.iter().any(|(jail, logs)| **jail == **name && logs.is_empty())
    {
        flags.push((format!("jail.\"{name}\".logs"), "[\"/dev/null\"]".to_owned()));
        enabled = config::load(&Sources { flags, ..sources });
    }
    if let Some(place) = place(&enabled) {
        return Some(enabled.jails.swap_remove(place));
    }
    for mistake in
        enabled.mistakes.iter().filter(|mistake| mistake.jail.as_ref().is_none_or(|jail| **jail == **name))
    {
        complain(&mistake.to_string());
    }
    None
}

/// The names of all jails.
fn known(config: &Config) -> Vec<Arc<str>> {
    let enabled = config.jails.iter().map(|jail| Arc::clone(&jail.options.name));
    let disabled = config.disabled.iter().map(|(name, _)| Arc::clone(name));
    let mut names: Vec<_> = enabled.chain(disabled).chain(config.refused.jails.iter().cloned()).collect();
    names.sort();
    names
}

/// What is read, by whichever thread.
type Input = Box<dyn Read + Send>;

/// The input, and its length if it has one.
fn open(path: &Path) -> io::Result<(Input, Option<u64>)> {
    if path == Path::new("-") {
        return Ok((Box::new(io::stdin()), None));
    }
    let file = File::open(path)?;
    let there = file.metadata()?;
    let length = there.is_file().then_some(there.len());
    Ok((Box::new(file), length))
}

/// On a terminal only.
fn progress_bar(length: u64) -> Option<ProgressBar> {
    let style = ProgressStyle::with_template(
        "{bar:40} {percent}% of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left",
    );
    io::stderr()
        .is_terminal()
        .then(|| ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
}

/// A jail at work on a log file.
struct Trial {
    filter: Filter,
    court: Court,
    report: Report,
}

/// What follows from a failure.
struct Court {
    jail: Jail,
    /// When the file is read: dates without a year are near it.
    now: UnixTime,
    /// The latest date of a failure: the log's own clock.
    clock: UnixTime,
    effects: Vec<Effect>,
    /// The bans so far, as a store would remember them.
    past: HashMap<Id, Past>,
}

/// There is no chance in a trial: half of what `random_time` adds.
const RANDOM: f64 = 0.5;

impl Trial {
    fn new(config: JailConfig) -> Result<Self, Vec<FilterError>> {
        let own = config.options.filter.unwrap_or_default();
        let filter = Filter::new(&own)?;
        let texts = own.patterns.iter().chain(own.supplement.iter().flat_map(|more| &more.patterns));
        let patterns = texts.map(|text| Pattern { hits: 0, pattern: text.clone() }).collect();
        let report = Report { jail: Arc::clone(&config.options.name), patterns, ..Report::default() };
        // The lines are judged here, in blocks; the jail only counts, so it needs no filter of its own.
        let mut options = JailOptions { filter: None, ..config.options };
        // Nobody outside is asked.
        (options.ignore.names, options.ignore.command) = (Vec::new(), None);
        let mut jail = Jail::new(&options)?;
        jail.set_ignore_file(config.ignore_files.iter().flat_map(|path| ignored(path)).collect());
        let court = Court {
            jail,
            now: ask::now(),
            clock: UnixTime::from_micros(i64::MIN),
            effects: Vec::new(),
            past: HashMap::new(),
        };
        Ok(Self { filter, court, report })
    }

    /// Judges all lines, as fast as can be.
    fn judge(self, blocks: &mut Blocks<Input>, bar: Option<&ProgressBar>) -> io::Result<Report> {
        let Self { filter, mut court, mut report } = self;
        bulk::run(blocks, filter, court.reading(), crew::others(), |event| match event {
            Event::Lines { count, bytes } => {
                report.lines += count as u64;
                if let Some(bar) = bar {
                    bar.set_position(bytes);
                }
            }
            Event::Outcome(outcome) => {
                court.take(outcome, &mut report);
                court.effects.drain(..).for_each(|effect| report.take(effect));
            }
        })?;
        Ok(report)
    }

    /// Judges them one by one, and prints what was asked for.
    fn print(mut self, blocks: &mut Blocks<Input>, printer: &mut Printer<'_>) -> anyhow::Result<Report> {
        while let Some(block) = blocks.next()? {
            self.lines(block, printer)?;
        }
        Ok(self.report)
    }

    fn lines(&mut self, block: &[u8], printer: &mut Printer<'_>) -> anyhow::Result<()> {
        for line in block.strip_suffix(b"\n").unwrap_or(block).split(|byte| *byte == b'\n') {
            self.report.lines += 1;
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let outcome = self.filter.line(line, &self.court.reading());
            let meaning = Meaning::of(&outcome);
            self.court.take(outcome, &mut self.report);
            printer.line(self.report.lines, line, &meaning, &self.court.effects)?;
            self.court.effects.drain(..).for_each(|effect| self.report.take(effect));
        }
        Ok(())
    }
}

impl Court {
    /// Every date counts, however old: nothing is "catching up" here.
    fn reading(&self) -> Reading {
        Reading { now: self.now, since: self.now, live: false, find_time: Duration::MAX }
    }

    fn take(&mut self, outcome: Outcome, report: &mut Report) {
        match outcome {
            Outcome::Nothing => {}
            Outcome::Ignored(_) => report.ignored += 1,
            Outcome::Pending(pattern) => {
                report.pending += 1;
                report.hit(pattern);
            }
            Outcome::TooOld => report.undated += 1,
            Outcome::Undecided => report.undecided += 1,
            Outcome::Failure(failure) => {
                report.hit(failure.pattern);
                self.attempt(&failure);
            }
        }
    }

    fn attempt(&mut self, failure: &Failure) {
        self.clock = self.clock.max(failure.time);
        self.jail.expire(self.clock, &mut self.effects);
        let Failure { id, time, lines, data, .. } = failure;
        self.jail.attempt(id, *time, lines, data, self.clock, &mut self.effects);
        self.remember();
    }

    /// Is the store: remembers bans, and answers what it is asked.
    fn remember(&mut self) {
        let mut asked = Vec::new();
        for effect in &self.effects {
            match effect {
                Effect::Recall(id) => asked.push(id.clone()),
                Effect::Remember(ban) => {
                    self.past.insert(ban.id.clone(), past(ban));
                }
                _ => {}
            }
        }
        for id in asked {
            let mut more = Vec::new();
            let known = self.past.get(&id).copied();
            self.jail.recalled(&id, known, self.clock, &mut || RANDOM, &mut more);
            for effect in &more {
                if let Effect::Remember(ban) = effect {
                    self.past.insert(id.clone(), past(ban));
                }
            }
            self.effects.append(&mut more);
        }
    }
}

/// What a store would remember of it, were this the only jail.
fn past(ban: &Ban) -> Past {
    Past { count: ban.count, last: ban.time, everywhere: ban.count }
}

/// What a `file:` of the ignore list holds; what is wrong in it is said.
fn ignored(path: &Path) -> Vec<(crate::subnet::Subnet, Arc<str>)> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| {
        complain(&format!("{shown}: {error}"));
        String::new()
    });
    let (nets, mistakes) = ignore::parse_list(&text);
    for (line, what) in mistakes {
        complain(&format!("{shown}:{line}: {what}"));
    }
    let rule: Arc<str> = format!("file:{shown}").into();
    nets.into_iter().map(|net| (net, Arc::clone(&rule))).collect()
}

/// What is printed of a line.
#[derive(Debug, Serialize)]
struct Meaning {
    /// From 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<UnixTime>,
    what: &'static str,
}

impl Meaning {
    fn of(outcome: &Outcome) -> Self {
        let (pattern, id, what) = match outcome {
            Outcome::Nothing => (None, None, "missed"),
            Outcome::Ignored(_) => (None, None, "excluded"),
            Outcome::Pending(pattern) => (Some(pattern + 1), None, "pending"),
            Outcome::TooOld => (None, None, "undated"),
            Outcome::Undecided => (None, None, "undecided"),
            Outcome::Failure(failure) => (Some(failure.pattern + 1), Some(failure.id.clone()), "failure"),
        };
        let time = if let Outcome::Failure(failure) = outcome { Some(failure.time) } else { None };
        Self { pattern, id, time, what }
    }
}

/// Prints lines with their meaning.
struct Printer<'a> {
    matched: bool,
    missed: bool,
    json: bool,
    view: View,
    out: &'a mut dyn Write,
}

impl<'a> Printer<'a> {
    fn new(args: &TestArgs, json: bool, out: &'a mut dyn Write) -> Self {
        Self { matched: args.verbose, missed: args.missed, json, view: ask::view(false), out }
    }

    fn line(
        &mut self,
        number: u64,
        line: &[u8],
        meaning: &Meaning,
        effects: &[Effect],
    ) -> anyhow::Result<()> {
        if !(if meaning.what == "missed" { self.missed } else { self.matched }) {
            return Ok(());
        }
        let text = String::from_utf8_lossy(line);
        if self.json {
            return json::write(self.out, &Printed { number, meaning, text: &text });
        }
        let pattern = meaning.pattern.map_or_else(|| "-".to_owned(), |pattern| pattern.to_string());
        let who = meaning.id.as_ref().map_or_else(|| meaning.what.to_owned(), Id::to_string);
        writeln!(self.out, "{number:>8} {pattern:>3}  {:15}  {}", clean(&who), clean(&text))?;
        for effect in effects {
            if let Some(said) = report::said(effect, &self.view) {
                writeln!(self.out, "{:>12}  {}", "", clean(&said))?;
            }
        }
        Ok(())
    }
}

/// A line in JSON.
#[derive(Serialize)]
struct Printed<'a> {
    number: u64,
    #[serde(flatten)]
    meaning: &'a Meaning,
    text: &'a str,
}
