//! `fail2ban-regex`: tries a filter's regular expressions on a log and prints what matched (SPEC §8).
//!
//! The filter, its dates and its connections are the daemon's own code; what is printed is Fail2Ban 1.1's, byte for
//! byte. From the outside in: `options` and `usage` → `rules` (what is tried) and `log` (on what) → `found`, `stats`,
//! and then `report`, `format` or `json`.

mod bulk;
mod debuggex;
mod encoding;
mod format;
mod found;
mod json;
mod log;
mod options;
mod report;
mod rules;
mod stats;
mod taker;
mod usage;

use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::time::Instant;

use self::encoding::Encoding;
use self::format::Format;
use self::found::Resolver;
use self::log::{Line, Log};
use self::options::{Ended, Options};
use self::report::Report;
use self::rules::{Place, Rules};
use self::stats::Stats;
use self::taker::Taker;
use super::{Exit, ask, crew};
use crate::filter::date::{DateError, DateOptions, Dates, TemplateUse, Zone};
use crate::filter::{Fail2Ban, Filter, FilterOptions, Settled, Sheet, Tries, UseDns};
use crate::python::repr;
use crate::source::journal::words;
use crate::time::UnixTime;

/// Characters of an expression or a line that are told.
const SHOWN: usize = 53;

/// Why nothing is tried: what is printed.
#[derive(Debug, PartialEq, Eq)]
struct Refusal(String);

/// Why it ends early.
enum Stop {
    Refused(Refusal),
    Broken(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The whole program, called as `fail2ban-regex`.
pub fn main(arguments: Vec<OsString>) -> Exit {
    let arguments = arguments.into_iter().skip(1).map(|argument| argument.to_string_lossy().into_owned());
    let mut out = BufWriter::new(io::stdout());
    let exit = match options::read(arguments.collect()) {
        Err(Ended::Printed(text)) => {
            _ = out.write_all(text.as_bytes()); // whoever closed the terminal needs no help
            Exit::Done
        }
        Err(Ended::Wrong(what)) => {
            _ = write!(io::stderr(), "{}\nfail2ban-regex: error: {what}\n", usage::SYNTAX);
            Exit::Environment
        }
        Ok(options) if !options.complaints().is_empty() => {
            _ = out.write_all(usage::help().as_bytes());
            _ = out.flush();
            let complaints = options.complaints().join("\nERROR: ");
            _ = write!(io::stderr(), "\nERROR: {complaints}\n");
            Exit::Fail2Ban
        }
        Ok(options) => match Tester::new(&options).and_then(|tester| tester.run(&mut out)) {
            Ok(()) => Exit::Done,
            Err(Stop::Broken(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done, // `| head` has seen enough
            Err(Stop::Broken(error)) => {
                _ = writeln!(io::stderr(), "ERROR: {error}");
                Exit::Fail2Ban
            }
            Err(Stop::Refused(Refusal(text))) => {
                _ = writeln!(out, "{text}");
                Exit::Fail2Ban
            }
        },
    };
    _ = out.flush();
    exit
}

/// What the command line asks for, as far as it can be told without the disk.
struct Tester<'o> {
    options: &'o Options,
    zone: Zone,
    now: UnixTime,
    own: Fail2Ban,
    encoding: Encoding,
    resolver: Resolver,
}

impl<'o> Tester<'o> {
    fn new(options: &'o Options) -> Result<Self, Stop> {
        let encoding = options.encoding.as_deref().unwrap_or(encoding::DEFAULT);
        let known = Encoding::named(encoding);
        let own = Fail2Ban {
            use_dns: use_dns(options),
            zone: options.zone.clone().filter(|zone| !zone.is_empty()),
            overwrite_with_nothing: false,
            ..Fail2Ban::default()
        };
        Ok(Self {
            options,
            zone: Zone::new(ask::zone()),
            now: ask::now(),
            own,
            encoding: known.ok_or_else(|| Refusal(format!("ERROR: unknown encoding: {encoding}")))?,
            resolver: Resolver::default(),
        })
    }

    fn run(mut self, out: &mut dyn Write) -> Result<(), Stop> {
        let quiet = self.options.out.as_ref().is_some_and(|out| !out.is_empty())
            || self.options.invert
            || self.options.json;
        let mut told: Vec<String> = Vec::new();
        let mut say = |text: &str| {
            told.push(text.to_owned());
            if quiet { Ok(()) } else { writeln!(out, "{text}") }
        };
        let mut broken = None;
        let mut say = |text: &str| {
            if let Err(error) = say(text) {
                broken = Some(error);
            }
        };
        say("\nRunning tests\n=============\n");
        let (rules, filter, log) = self.prepare(&mut say)?;
        say("");
        if let Some(error) = broken {
            return Err(error.into());
        }
        told.retain(|line| line.starts_with("Use "));
        self.test(&rules, filter, log, &told, out)
    }

    /// What is tried, and on what.
    fn prepare(&mut self, say: &mut dyn FnMut(&str)) -> Result<(FilterOptions, Filter, Log), Refusal> {
        let options = self.options;
        if let Some(level) = &options.log_level
            && !is_level(level)
        {
            return Err(Refusal(format!("ERROR: Invalid log level {}", repr(level))));
        }
        self.check_zone()?;
        let max_lines = match options.max_lines {
            Some(lines) if lines < 0 => {
                return Err(Refusal("ERROR: maxlines must be integer greater than zero".to_owned()));
            }
            lines => lines.filter(|lines| *lines > 0).and_then(|lines| usize::try_from(lines).ok()),
        };
        if let Some(lines) = max_lines {
            self.max_lines(lines, say);
        }
        let date_pattern = options.date_pattern.as_deref().filter(|pattern| !pattern.is_empty());
        if let Some(pattern) = date_pattern {
            self.date_pattern(pattern, say)?;
        }
        let is_journal = log::is_journal(&options.words[0]);
        let config = options.config.as_deref().unwrap_or(rules::CONFIG);
        let place = Place { config, is_journal, verbose: options.verbose > 1 };
        let found = rules::find(&options.words[1], &place, say)?;
        if let Some(lines) = found.max_lines.filter(|_| max_lines.is_none()) {
            self.max_lines(lines, say);
        }
        if let Some(pattern) = found.date_pattern.as_deref().filter(|_| date_pattern.is_none()) {
            self.date_pattern(pattern, say)?;
        }
        let matches = match &options.journal_match {
            Some(text) => {
                let words = words::split(text).unwrap_or_default();
                if words.is_empty() { Vec::new() } else { vec![words] }
            }
            None => found.journal_match.clone(),
        };
        let mut rules = self.filter(found);
        let mut filter = self.compile(&rules)?;
        if let Some(ignore) = options.words.get(2) {
            say(&format!("Use ignoreregex line : {}", shortened(ignore)));
            rules.ignore.push(ignore.clone());
            filter = self.compile(&rules)?;
        }
        let name = options.encoding.as_deref().unwrap_or(encoding::DEFAULT);
        let log = Log::open(&options.words[0], name, &matches, self.own.max_lines, self.now, say)?;
        Ok((rules, filter, log))
    }

    fn max_lines(&mut self, lines: usize, say: &mut dyn FnMut(&str)) {
        self.own.max_lines = lines.max(1);
        say(&format!("Use {:>16} : {lines}", "maxlines"));
    }

    fn date_pattern(&mut self, pattern: &str, say: &mut dyn FnMut(&str)) -> Result<(), Refusal> {
        let failed = |why: String| {
            Refusal(format!(
                "ERROR: Failed to set datepattern {} (may be an invalid format or unescaped percent char): {why}",
                repr(pattern)
            ))
        };
        let dates = DateOptions {
            pattern: Some(pattern.to_owned()),
            zone: None,
            system: self.zone.clone(),
            year: Some(self.zone.year(self.now)),
            old_years: false,
            newer: true,
        };
        let templates =
            Dates::fail2ban(&dates).map_err(|error| failed(complaint(&error, pattern)))?.templates();
        let name = match &templates[..] {
            [first] | [first, _] => &first.name,
            _ => "Default Detectors",
        };
        say(&format!("Use {:>16} : {pattern} : {name}", "datepattern"));
        self.own.date_pattern = Some(pattern.to_owned());
        Ok(())
    }

    fn check_zone(&self) -> Result<(), Refusal> {
        let Some(zone) = &self.own.zone else { return Ok(()) };
        let dates = DateOptions {
            pattern: None,
            zone: Some(zone.clone()),
            system: self.zone.clone(),
            year: None,
            old_years: false,
            newer: true,
        };
        match Dates::fail2ban(&dates) {
            Err(DateError::Zone(_)) => {
                Err(Refusal(format!("ERROR: Unknown or unsupported time zone: {}", repr(zone))))
            }
            _ => Ok(()),
        }
    }

    fn filter(&self, rules: Rules) -> FilterOptions {
        FilterOptions {
            prefix: rules.prefix,
            patterns: rules.patterns,
            ignore: rules.ignore,
            fail2ban: Some(self.own.clone()),
            ..FilterOptions::default()
        }
    }

    fn compile(&self, rules: &FilterOptions) -> Result<Filter, Refusal> {
        let filter = Filter::for_replay(rules, self.zone.clone(), self.zone.year(self.now));
        filter.map_err(|errors| {
            let Some(error) = errors.first() else { return Refusal("ERROR".to_owned()) };
            let text = match error.option() {
                ("failregex", Some(index)) => rules.patterns.get(index),
                ("ignoreregex", Some(index)) => rules.ignore.get(index),
                ("prefregex", _) => rules.prefix.as_ref(),
                _ => return Refusal(format!("ERROR: {error}")),
            };
            let text = text.map_or("", String::as_str);
            Refusal(format!("ERROR: {}", error.as_fail2ban(text, &self.own)))
        })
    }

    fn test(
        &mut self,
        rules: &FilterOptions,
        mut filter: Filter,
        log: Log,
        told: &[String],
        out: &mut dyn Write,
    ) -> Result<(), Stop> {
        let options = self.options;
        if options.verbose > 0 {
            filter.tell_prefix();
        }
        let format = options.out.as_deref().filter(|format| !format.is_empty()).map(Format::of);
        let mut taker = Taker {
            format: if options.json { None } else { format },
            inverted: !options.json && options.invert,
            stats: Stats::new(options, rules.patterns.len(), rules.ignore.len()),
            resolver: std::mem::take(&mut self.resolver),
            found: Vec::new(),
            now: self.now,
            out,
        };
        let tries = match (taker.prints(), options.no_check_all) {
            (true, _) => Tries::Failures,
            (false, true) => Tries::First,
            (false, false) => Tries::All,
        };
        let begun = Instant::now();
        let has_dates = log.has_dates() || self.own.date_pattern.is_some();
        let dates = self.take_all(filter, log, tries, &mut taker)?;
        if taker.prints() {
            return Ok(());
        }
        let Taker { stats, out, .. } = taker;
        let report = Report {
            options,
            own: &self.own,
            prefix: rules.prefix.as_deref(),
            patterns: &rules.patterns,
            ignore: &rules.ignore,
            stats: &stats,
            dates: has_dates.then_some(&dates),
            zone: &self.zone,
            took: begun.elapsed(),
        };
        if options.json {
            json::write(&report, told, out)?;
        } else {
            report.write(out)?;
        }
        Ok(())
    }

    /// Tries all lines: in blocks where that is possible, else one by one. Returns the templates of dates.
    fn take_all(
        &self,
        mut filter: Filter,
        log: Log,
        tries: Tries,
        taker: &mut Taker<'_>,
    ) -> io::Result<Vec<TemplateUse>> {
        let log = match log {
            Log::File(file) => match filter.into_stages(self.now, tries) {
                Ok(mut stages) => {
                    if !taker.prints() {
                        stages.settler.leave_out_ids();
                    }
                    let each = |sheet: &Sheet, settled: Settled<'_>| match settled {
                        Settled::Plain { lines, prefix } => {
                            taker.take_plain(lines.map(|line| sheet.line(line)), prefix)
                        }
                        Settled::Told { line, trial } => taker.take(|| sheet.line(line).into(), trial),
                    };
                    return bulk::run(file, self.encoding, stages, crew::others(), each);
                }
                Err(whole) => {
                    filter = *whole;
                    Log::File(file)
                }
            },
            log => log,
        };
        log.each(|bytes, known| {
            let Some(line) = Line::of(self.encoding, bytes, known) else { return Ok(()) };
            let mut trial = filter.try_line(line.text.as_bytes(), known, self.now, tries);
            taker.take(|| line.shown(&self.zone), &mut trial)
        })?;
        Ok(filter.date_templates())
    }
}

fn use_dns(options: &Options) -> UseDns {
    if options.raw {
        return UseDns::Raw;
    }
    let word = options.use_dns.as_deref().map(crate::python::lower);
    match word.as_deref() {
        None | Some("warn") => UseDns::Warn,
        Some("yes") => UseDns::Yes,
        Some("raw") => UseDns::Raw,
        Some(_) => UseDns::No,
    }
}

fn is_level(level: &str) -> bool {
    let named =
        ["critical", "error", "warning", "notice", "msg", "info", "debug", "tracedebug", "heavydebug"];
    level.parse::<i64>().is_ok() || named.contains(&&*level.to_lowercase())
}

/// What Python says of a pattern.
fn complaint(error: &DateError, pattern: &str) -> String {
    match error {
        DateError::Field(field) => {
            let at = pattern.find(field.as_str()).map_or(0, |at| pattern[..at].chars().count());
            match field.chars().nth(1) {
                Some(letter) => {
                    let code = u32::from(letter);
                    format!("unsupported format character '{letter}' ({code:#x}) at index {}", at + 1)
                }
                None => "incomplete format".to_owned(),
            }
        }
        other => other.to_string(),
    }
}

/// A text as it is told: cut where it is long.
fn shortened(text: &str) -> String {
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    let cut: String = text.chars().take(SHOWN - 3).collect();
    cut + "..."
}
