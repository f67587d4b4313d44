//! Every shipped jail judges its lines (`integration/lines/JAIL.log`) as the verdict above each of them says.
//!
//! ```text
//! #! mode = aggressive           another mode from here on; `year = 2026` for dates without one; `reset`: no line before
//! #: fail 192.0.2.1 user=a b     the next line is a failure of this address, and its data has user "a b"
//! #: pass                        it is none
//! #: ignored                     it would be one without a pattern of `ignore`
//! # anything else                a comment
//! ```

use std::collections::BTreeSet;
use std::fs;

use stockade::filter::Outcome;
use stockade::id::Id;

use crate::shipped::{self, Judge, Shipped};

/// The verdict above a line.
#[derive(Debug)]
enum Verdict {
    Fail(Id, Option<(String, String)>),
    Pass,
    Ignored,
}

impl Verdict {
    fn parse(text: &str) -> Option<Self> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        match (word, rest) {
            ("pass", "") => Some(Self::Pass),
            ("ignored", "") => Some(Self::Ignored),
            ("fail", rest) => {
                let (address, data) = rest.split_once(' ').unwrap_or((rest, ""));
                let id = Id::parse(address);
                id.net()?;
                let data = if data.is_empty() { None } else { Some(data.split_once('=')?) };
                Some(Self::Fail(id, data.map(|(name, value)| (name.to_owned(), value.to_owned()))))
            }
            _ => None,
        }
    }

    fn fits(&self, outcome: &Outcome) -> bool {
        match (self, outcome) {
            (Self::Pass, Outcome::Nothing | Outcome::Pending(_)) | (Self::Ignored, Outcome::Ignored(_)) => {
                true
            }
            (Self::Fail(id, data), Outcome::Failure(failure)) => {
                let has = |(name, value): &(String, String)| {
                    let found = failure.data.iter().find(|(known, _)| **known == **name);
                    found.map_or("", |(_, found)| found) == value
                };
                failure.id == *id && data.as_ref().is_none_or(has)
            }
            _ => false,
        }
    }
}

/// One jail and its file: what is wrong is gathered, so that one run shows all.
struct Run {
    jail: Shipped,
    judge: Judge,
    mode: String,
    year: i16,
    met: BTreeSet<String>,
    faults: Vec<String>,
}

impl Run {
    fn new(jail: Shipped) -> Self {
        let mode = jail.mode().to_owned();
        let judge = jail.judge(&mode);
        Self { jail, judge, mode, year: 2026, met: BTreeSet::new(), faults: Vec::new() }
    }

    fn file(mut self) -> Vec<String> {
        let path = shipped::path(format!("integration/lines/{}.log", self.jail.name));
        let Ok(bytes) = fs::read(&path) else {
            return vec![format!("the jail {} has no {}", self.jail.name, path.display())];
        };
        let mut verdict = None;
        for (number, line) in (1..).zip(bytes.split(|&b| b == b'\n')) {
            let shown = String::from_utf8_lossy(line).into_owned();
            let place = format!("{}.log:{number}: [{}]", self.jail.name, self.mode);
            if let Some(text) = shown.strip_prefix("#:") {
                match Verdict::parse(text.trim()) {
                    Some(parsed) if verdict.is_none() => verdict = Some(parsed),
                    Some(_) => self.faults.push(format!("{place} two verdicts for one line")),
                    None => self.faults.push(format!("{place} is no verdict: {shown}")),
                }
            } else if let Some(text) = shown.strip_prefix("#!") {
                self.directive(text.trim())
                    .unwrap_or_else(|| self.faults.push(format!("{place} unknown: {shown}")));
            } else if line.is_empty() || line.starts_with(b"#") {
                // Between the lines.
            } else if let Some(verdict) = verdict.take() {
                let outcome = self.judge.line(line, self.year);
                self.meet(&outcome);
                if !verdict.fits(&outcome) {
                    self.faults.push(format!("{place} {verdict:?}, but it is {outcome:?}\n    {shown}"));
                }
            } else {
                self.faults.push(format!("{place} has no verdict above it: {shown}"));
            }
        }
        self.faults.extend(verdict.map(|verdict| format!("{}.log ends after {verdict:?}", self.jail.name)));
        for pattern in self.jail.all_patterns() {
            if !self.met.contains(&pattern) {
                self.faults.push(format!("{}.log has no line for {pattern}", self.jail.name));
            }
        }
        self.faults
    }

    fn directive(&mut self, text: &str) -> Option<()> {
        match text.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
            Some(("mode", mode)) => mode.clone_into(&mut self.mode),
            Some(("year", year)) => {
                self.year = year.parse().ok()?;
                return Some(());
            }
            None if text == "reset" => {}
            _ => return None,
        }
        self.judge = self.jail.judge(&self.mode);
        Some(())
    }

    fn meet(&mut self, outcome: &Outcome) {
        let options = &self.judge.options;
        let pattern = match outcome {
            Outcome::Failure(failure) => &options.patterns[failure.pattern],
            Outcome::Pending(pattern) => &options.patterns[*pattern],
            Outcome::Ignored(ignore) => &options.ignore[*ignore],
            _ => return,
        };
        self.met.insert(pattern.clone());
    }
}

#[test]
fn each_jail_judges_its_lines() {
    let with_filter = shipped::jails().into_iter().filter(Shipped::has_filter);
    let faults: Vec<String> = with_filter.flat_map(|jail| Run::new(jail).file()).collect();
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn each_file_of_lines_belongs_to_a_jail() {
    let known: BTreeSet<String> =
        shipped::jails().into_iter().map(|jail| format!("{}.log", jail.name)).collect();
    for entry in fs::read_dir(shipped::path("integration/lines")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(known.contains(&name), "integration/lines/{name} has no jail in jails.d");
    }
}
