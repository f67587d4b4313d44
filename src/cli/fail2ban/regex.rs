//! `stockade fail2ban regex`: which lines of a log a filter of Fail2Ban matches.
//!
//! The filter is the daemon's, read from a Fail2Ban directory. As in `fail2ban-regex` no line is too old, names are
//! not looked up (a host name is the id), and what Fail2Ban can decide is decided, however long it takes. The first
//! pattern that matches a line wins.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{ArgAction, Args};
use serde::Serialize;

use crate::cli::blocks::Blocks;
use crate::cli::{Exit, Global, ask, complain, json};
use crate::control::text::{clean, count};
use crate::fail2ban::filter::{Wanted, resolve as resolve_filter};
use crate::fail2ban::{Place, Problem};
use crate::filter::date::Zone;
use crate::filter::{Failure, Filter, FilterOptions, Outcome, UseDns};
use crate::id::Id;
use crate::time::UnixTime;

/// The arguments.
#[derive(Debug, Args)]
#[command(after_help = "\
Nothing is banned and no daemon is asked. A host name is the id: names are not looked up. No line is too old. With --json each line that matched is an object.

Examples:
  stockade fail2ban regex --filter sshd /var/log/auth.log
  stockade fail2ban regex --filter postfix --options '{\"mode\": \"aggressive\"}' /var/log/mail.log
  journalctl -t sshd -o cat | stockade fail2ban regex --filter sshd --options '{\"logtype\": \"short\"}' --journal -
  stockade fail2ban regex --base ./etc --filter mine --tz Europe/Zurich --json - < lines")]
pub struct RegexArgs {
    /// The log file; - is standard input
    #[arg(default_value = "-")]
    file: PathBuf,
    /// Fail2Ban's configuration directory
    #[arg(long, value_name = "DIR", default_value = "/etc/fail2ban")]
    base: PathBuf,
    /// The filter: NAME reads DIR/filter.d/NAME.conf and what belongs to it
    #[arg(long, value_name = "NAME")]
    filter: String,
    /// The filter's options, as in NAME[mode=…], and logtimezone
    #[arg(long, value_name = "JSON", default_value = "{}")]
    options: String,
    /// The zone of dates without one, such as Europe/Zurich or CET-1 [default: this host's]
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    tz: Option<String>,
    /// The moment of the reading, in seconds since 1970 [default: now]
    #[arg(long, value_name = "UNIX", allow_negative_numbers = true)]
    now: Option<i64>,
    /// Lines are the journal's: they have no date, their time is --now
    #[arg(long, value_name = "0|1", num_args = 0..=1, default_value = "0", default_missing_value = "1",
          action = ArgAction::Set, value_parser = flag)]
    journal: bool,
}

/// A line that matched.
#[derive(Debug, Serialize)]
struct Line {
    #[serde(rename = "line_no")]
    number: u64,
    matched: bool,
    id: Id,
    /// Seconds since 1970, with a fraction where the log has one; none: the line has no date.
    time: Option<f64>,
    user: Option<String>,
    /// Which `failregex`, from 1.
    failregex: usize,
}

/// What all lines were.
#[derive(Debug, Default)]
struct Totals {
    lines: u64,
    matched: u64,
    ignored: u64,
    pending: u64,
    undecided: u64,
    hits: Vec<u64>,
}

pub(super) fn run(global: &Global, args: &RegexArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let options = match resolve(args) {
        Ok(options) => options,
        Err(error) => {
            complain(&format!("{error:#}"));
            return Ok(Exit::NotDone);
        }
    };
    let zone = args.tz.as_ref().and_then(|name| Zone::named(name)).unwrap_or_else(Zone::system);
    let clock = ask::now();
    let mut filter = match Filter::for_replay(&options, zone.clone(), zone.year(clock)) {
        Ok(filter) => filter,
        Err(errors) => {
            for error in errors {
                complain(&format!("filter {}: {error}", args.filter));
            }
            return Ok(Exit::NotDone);
        }
    };
    let now = args.now.map_or(clock, UnixTime::from_secs);
    let input = open(&args.file).with_context(|| args.file.display().to_string())?;
    let mut blocks = Blocks::new(input);
    let mut totals = Totals { hits: vec![0; options.patterns.len()], ..Totals::default() };
    while let Some(block) = blocks.next().with_context(|| args.file.display().to_string())? {
        for line in block.strip_suffix(b"\n").unwrap_or(block).split(|byte| *byte == b'\n') {
            let (outcome, time) = filter.examine(line, args.journal.then_some(now), now);
            let Some(failure) = totals.take(outcome) else { continue };
            let line = Line::new(totals.lines, *failure, time);
            if global.json {
                json::write(out, &line)?;
            } else {
                let when = time.map_or_else(|| "no date".to_owned(), |time| zone.iso(time));
                let id = line.id.to_string();
                writeln!(out, "{:>8} {:>3}  {when:26}  {}", line.number, line.failregex, clean(&id))?;
            }
        }
    }
    if !global.json {
        totals.write(&filter, out)?;
    }
    Ok(Exit::Done)
}

impl Line {
    fn new(number: u64, failure: Failure, time: Option<UnixTime>) -> Self {
        let user = failure.data.iter().find(|(name, _)| &**name == "user").map(|(_, user)| user.clone());
        Self {
            number,
            matched: true,
            id: failure.id,
            time: time.map(|time| time.micros() as f64 / 1e6),
            user: user.map(String::from),
            failregex: failure.pattern + 1,
        }
    }
}

impl Totals {
    /// Counts a line; a failure comes back.
    fn take(&mut self, outcome: Outcome) -> Option<Box<Failure>> {
        self.lines += 1;
        match outcome {
            Outcome::Nothing | Outcome::TooOld => {}
            Outcome::Ignored(_) => self.ignored += 1,
            Outcome::Pending(_) => self.pending += 1,
            Outcome::Undecided => self.undecided += 1,
            // The daemon counts it, as Fail2Ban's does: only a connection can tell that it is none.
            Outcome::Failure(failure) if says_nofail(&failure) => self.pending += 1,
            Outcome::Failure(failure) => {
                self.matched += 1;
                if let Some(hits) = self.hits.get_mut(failure.pattern) {
                    *hits += 1;
                }
                return Some(failure);
            }
        }
        None
    }

    fn write(&self, filter: &Filter, out: &mut dyn Write) -> io::Result<()> {
        if self.matched > 0 {
            writeln!(out)?;
        }
        writeln!(out, "{}: {} matched", count(self.lines, "line", "lines"), self.matched)?;
        for (number, what) in [
            (self.ignored, "matched, but an ignoreregex did too"),
            (self.pending, "matched, but are no failure by themselves"),
            (self.undecided, "could not be decided"),
        ] {
            if number > 0 {
                writeln!(out, "{number:>8}  {what}")?;
            }
        }
        for (index, hits) in self.hits.iter().enumerate().filter(|(_, hits)| **hits > 0) {
            writeln!(out, "{hits:>8}  failregex {}: {}", index + 1, clean(filter.pattern_text(index)))?;
        }
        Ok(())
    }
}

fn says_nofail(failure: &Failure) -> bool {
    failure.data.iter().any(|(name, text)| &**name == "nofail" && !text.is_empty())
}

fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    Ok(Box::new(File::open(path)?))
}

fn zone(text: &str) -> Result<String, String> {
    let wanted = "neither a zone such as Europe/Zurich nor a rule such as CET-1CEST,M3.5.0,M10.5.0";
    Zone::named(text).map(|_| text.to_owned()).ok_or_else(|| wanted.to_owned())
}

fn flag(text: &str) -> Result<bool, String> {
    match text {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => Err("0 or 1 is wanted".to_owned()),
    }
}

/// The filter's options in JSON: an object of texts.
fn read_options(text: &str) -> anyhow::Result<Vec<(String, String)>> {
    let wanted = "--options wants a JSON object such as {\"mode\": \"aggressive\"}";
    let options: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).context(wanted)?;
    let text_of = |(name, value): (String, serde_json::Value)| match value {
        serde_json::Value::String(value) => Ok((name, value)),
        serde_json::Value::Number(value) => Ok((name, value.to_string())),
        _ => anyhow::bail!("{wanted}: {name} is not a text"),
    };
    options.into_iter().map(text_of).collect()
}

/// The filter as its files and options make it; names are not looked up.
fn resolve(args: &RegexArgs) -> anyhow::Result<FilterOptions> {
    let (mut options, mut jail) = (read_options(&args.options)?, Vec::new());
    // An option of the jail, which stands beside those of the filter.
    options.retain(|(name, value)| {
        let is_zone = name == "logtimezone";
        if is_zone {
            jail.push((name.clone(), value.clone()));
        }
        !is_zone
    });
    if args.journal {
        jail.push(("backend".to_owned(), "systemd".to_owned()));
    }
    let wanted = Wanted { base: &args.base, name: &args.filter, options: &options, jail: &jail };
    let resolved = resolve_filter(&wanted).map_err(|trouble| {
        let Place { file, line, .. } = &trouble.place;
        let file = file.as_ref().map(|file| format!("{}: ", file.display())).unwrap_or_default();
        let line = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        let hint = match *trouble.problem {
            Problem::NoFilter(_) => format!(" in {}: is --base right?", args.base.display()),
            _ => String::new(),
        };
        anyhow::anyhow!("{file}{line}{trouble}{hint}")
    })?;
    let mut options = resolved.options();
    anyhow::ensure!(!options.patterns.is_empty(), "filter {} has no failregex", args.filter);
    if let Some(fail2ban) = &mut options.fail2ban {
        fail2ban.use_dns = UseDns::Raw;
    }
    Ok(options)
}
