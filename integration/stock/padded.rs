//! Real lines of attackers, padded: the daemon says what it would say with all the time in the world, or that it
//! could not decide.
//!
//! The lines are those of golden results of Fail2Ban: of each pattern the first that it matched.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use stockade::filter::date::Zone;
use stockade::filter::{Filter, FilterOptions, Outcome, UseDns};
use stockade::time::UnixTime;

use super::{corpus, filter, on_all_cores, padded};
use crate::lab::skip;

/// Fewer patterns, and something is wrong with the way that their lines are looked for.
const PATTERNS: usize = 200;
/// Of so many of them, in percent, some padded line must match or be undecided: else the padding spoils every match, and
/// nothing is tried.
const HARD: usize = 50;

/// A line that a pattern matched.
struct Attack {
    line: Vec<u8>,
    /// Texts that the pattern took out of it: an address, a user …
    taken: Vec<String>,
}

/// The lines of one file of golden results, with the filter that matches them.
struct Case {
    name: String,
    options: FilterOptions,
    zone: String,
    now: UnixTime,
    /// The lines have no date: their time is `now`.
    is_journal: bool,
    attacks: Vec<Attack>,
}

fn bytes(line: &Value) -> Vec<u8> {
    let Some(hex) = line["bytes_hex"].as_str() else { return line["text"].as_str().unwrap().into() };
    let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

impl Attack {
    fn new(line: &Value) -> Self {
        let attributes = line["result"]["attrs"].as_object().into_iter().flatten();
        let texts = attributes.filter_map(|(_, value)| value.as_str()).filter(|text| !text.is_empty());
        Self { line: bytes(line), taken: texts.map(str::to_owned).collect() }
    }

    /// Where the line is padded: in front, at half, at the end, around and inside of what the pattern took.
    fn places(&self) -> BTreeSet<usize> {
        let length = self.line.len();
        let finds = |text: &String| {
            let at = self.line.windows(text.len()).position(|window| window == text.as_bytes());
            at.map(|at| [at, at + text.len() / 2, at + text.len()])
        };
        self.taken.iter().filter_map(finds).flatten().chain([0, length / 2, length]).collect()
    }

    /// It is padded at each place with one of these; `turn` says where they begin.
    fn padded(&self, turn: usize) -> impl Iterator<Item = Vec<u8>> {
        self.places().into_iter().enumerate().map(move |(index, at)| {
            let (before, behind) = self.line.split_at(at);
            let word = before.rsplit(|byte| *byte == b' ').find(|word| !word.is_empty()).unwrap_or(b"x");
            let filler = match (turn + index) % 5 {
                0 => b" ".to_vec(),
                1 => [word, b" "].concat(),
                2 => b"\"".to_vec(),
                3 => [behind, b" "].concat(),
                _ => [before, b"x"].concat(),
            };
            padded(&self.line, at, &filler)
        })
    }
}

impl Case {
    /// Reads a file; of each of its patterns that is not `known` yet, it takes a line.
    fn read(path: &Path, known: &mut BTreeSet<String>) -> Self {
        let golden: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (name, is_journal) = (text(&golden["filter"]), golden["journal"] == true);
        let said =
            golden["options"].as_object().unwrap().iter().map(|(key, value)| (key.clone(), text(value)));
        let (mut jail, options): (Vec<_>, Vec<_>) = said.partition(|(key, _)| key == "logtimezone");
        if is_journal {
            jail.push(("backend".to_owned(), "systemd".to_owned()));
        }
        let base = corpus().join(text(&golden["base"]));
        let mut options = filter(&base, &name, &options, &jail).unwrap().options();
        // As those results were made.
        options.fail2ban.as_mut().unwrap().use_dns = UseDns::Raw;
        let lines = golden["lines"].as_array().unwrap().iter().filter(|line| line["matched"] == true);
        let expanded = &golden["resolved"]["failregex_expanded"];
        let attacks = lines
            .filter(|line| {
                let pattern = line["result"]["regex"].as_u64().unwrap() as usize;
                known.insert(expanded[pattern].to_string())
            })
            .map(Attack::new)
            .collect();
        Self {
            name: path.file_name().unwrap().display().to_string(),
            options,
            zone: text(&golden["tz"]),
            now: UnixTime::from_secs(golden["now"].as_i64().unwrap()),
            is_journal,
            attacks,
        }
    }

    /// What is wrong with the verdicts on its padded `lines`, which are counted, as are the patterns that still said
    /// something (`hard`).
    fn run(&self, hard: &AtomicUsize, lines: &AtomicUsize) -> Vec<String> {
        let zone = Zone::named(&self.zone).unwrap();
        let mut bounded = Filter::with_zone(&self.options, zone.clone()).unwrap();
        let year = zone.year(self.now);
        let mut patient = Filter::for_replay(&self.options, zone, year).unwrap();
        let known = self.is_journal.then_some(self.now);
        let mut faults = Vec::new();
        for (turn, attack) in self.attacks.iter().enumerate() {
            let mut is_hard = false;
            for line in attack.padded(turn) {
                bounded.restore(&[]);
                let outcome = bounded.examine(&line, known, self.now).0;
                lines.fetch_add(1, Ordering::Relaxed);
                if outcome != Outcome::Nothing {
                    is_hard = true;
                    continue;
                }
                patient.restore(&[]);
                let truth = patient.examine(&line, known, self.now).0;
                if truth != Outcome::Nothing {
                    let text = String::from_utf8_lossy(&attack.line);
                    faults.push(format!("{}: {text}, turn {turn}: nothing, but {truth:?}", self.name));
                }
            }
            hard.fetch_add(usize::from(is_hard), Ordering::Relaxed);
        }
        faults
    }
}

#[test]
fn a_padded_attack_is_a_match_or_undecided() {
    let Ok(files) = fs::read_dir(corpus().join("public/filters")) else {
        return skip("padded lines of attackers: Fail2Ban's golden results are not there");
    };
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    let mut known = BTreeSet::new();
    let cases: Vec<_> = files.iter().map(|path| Case::read(path, &mut known)).collect();
    let cases: Vec<_> = cases.into_iter().filter(|case| !case.attacks.is_empty()).collect();
    let (hard, lines) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let faults = on_all_cores(&cases, |case| case.run(&hard, &lines));
    let hard = hard.into_inner();
    println!(
        "{} patterns, {} padded lines; {hard} patterns matched some, or gave up",
        known.len(),
        lines.into_inner()
    );
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
    assert!(known.len() >= PATTERNS, "only {} patterns", known.len());
    assert!(hard * 100 >= known.len() * HARD, "only {hard} of {} patterns", known.len());
}
