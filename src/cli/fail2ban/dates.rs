//! `stockade fail2ban dates`: lines in, dates out, both as JSON.

use std::io::{Read, Write};

use anyhow::Context;
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::cli::Exit;
use crate::filter::date::{DateError, DateOptions, Dates, Zone};
use crate::time::UnixTime;

/// The arguments.
#[derive(Debug, Args)]
#[command(
    after_help = "Standard input is one document:\n  {\"stateful\": false, \"cases\": [{\"tz\": \"UTC\", \"now\": \
                        1767323045, \"datepattern\": null, \"logtimezone\": null, \"line\": \"…\"}]}\nStandard output \
                        has an entry for each case: {\"found\": true, \"time\": 1767323045.0}"
)]
pub struct DatesArgs {}

#[derive(Debug, Deserialize)]
struct Document {
    /// One detector goes through all lines.
    #[serde(default)]
    stateful: bool,
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Case {
    tz: String,
    now: f64,
    datepattern: Option<String>,
    logtimezone: Option<String>,
    line: String,
}

#[derive(Debug, Serialize)]
struct Answer {
    found: bool,
    time: Option<f64>,
    /// The text that is cut out of the line.
    text: Option<String>,
    /// Why there are no dates at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(super) fn run(_: &DatesArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("standard input")?;
    let document: Document = serde_json::from_str(&text).context("standard input")?;
    let year = i64::from(jiff::Zoned::now().year());
    let mut known = Vec::new();
    let mut answers = Vec::with_capacity(document.cases.len());
    for case in &document.cases {
        answers.push(case.answer(&mut known, year, document.stateful)?);
    }
    serde_json::to_writer(&mut *out, &answers)?;
    writeln!(out)?;
    Ok(Exit::Done)
}

/// Detectors, or why there is none, and the options that they were made for.
type Known = Vec<([Option<String>; 3], Result<Dates, DateError>)>;

impl Case {
    fn answer(&self, known: &mut Known, year: i64, stateful: bool) -> anyhow::Result<Answer> {
        let key = [Some(self.tz.clone()), self.datepattern.clone(), self.logtimezone.clone()];
        let index = if let Some(index) = known.iter().position(|(of, _)| *of == key) {
            index
        } else {
            known.push((key, self.dates(year)?));
            known.len() - 1
        };
        let (line, now) = (self.line.as_bytes(), UnixTime::from_micros((self.now * 1e6) as i64));
        let (found, error) = match &mut known[index].1 {
            Err(error) => (None, Some(error.to_string())),
            Ok(dates) => {
                if !stateful {
                    dates.forget();
                }
                (dates.find(line, now), None)
            }
        };
        let time = found.and_then(|found| found.time).map(|time| time.micros() as f64 / 1e6);
        let text = found.and_then(|found| self.line.get(found.start..found.end)).map(str::to_owned);
        Ok(Answer { found: found.is_some(), time, text, error })
    }

    fn dates(&self, year: i64) -> anyhow::Result<Result<Dates, DateError>> {
        let system = Zone::named(&self.tz).with_context(|| format!("`{}` is no time zone", self.tz))?;
        Ok(Dates::fail2ban(&DateOptions {
            pattern: self.datepattern.clone(),
            zone: self.logtimezone.clone(),
            system,
            year: Some(year),
            old_years: false,
            newer: false,
        }))
    }
}
