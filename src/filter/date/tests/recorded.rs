//! What Fail2Ban itself answered, where the recorded answers are at hand.

use std::io::Write as _;
use std::path::Path;

use serde_json::Value;

use super::*;

fn recorded(name: &str) -> Option<Value> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fail2ban/corpus/public/dates").join(name);
    let text = std::fs::read_to_string(&path).ok();
    if text.is_none() {
        let _ = writeln!(std::io::stderr(), "SKIPPED: no recorded dates of Fail2Ban beside the project");
    }
    text.map(|text| serde_json::from_str(&text).unwrap())
}

/// Compares one answer; those that are exceptions in Fail2Ban are up to us.
fn compare(dates: Option<&mut Dates>, case: &Value, now: UnixTime) {
    let (line, expect) = (case["line"].as_str().unwrap(), &case["expect"]);
    if expect["exception"].is_string() {
        return;
    }
    let date = dates.and_then(|dates| dates.find(line.as_bytes(), now));
    assert_eq!(date.is_some(), expect["found"] == true, "{case}");
    let Some(date) = date else { return };
    assert_eq!(expect["text"], line[date.start..date.end], "{case}");
    let (got, want) = (date.time.map(|time| time.micros() as f64 / 1e6), expect["time"].as_f64());
    assert!(got.zip(want).map_or(got == want, |(got, want)| (got - want).abs() < 0.0015), "{got:?} {case}");
}

fn now(of: &Value) -> UnixTime {
    UnixTime::from_secs(of["now"].as_i64().unwrap())
}

#[test]
fn single_lines() {
    for file in ["default.json", "patterns.json"] {
        let Some(recorded) = recorded(file) else { continue };
        let mut known: Vec<([Option<&str>; 3], Option<Dates>)> = Vec::new();
        for case in recorded["cases"].as_array().unwrap() {
            let key = ["tz", "datepattern", "logtimezone"].map(|name| case[name].as_str());
            let index = known.iter().position(|(of, _)| *of == key).unwrap_or_else(|| {
                let options = DateOptions {
                    zone: key[2].map(str::to_owned),
                    system: Zone::named(key[0].unwrap()).unwrap(),
                    ..options(key[1])
                };
                known.push((key, Dates::fail2ban(&options).ok()));
                known.len() - 1
            });
            let mut dates = known[index].1.as_mut();
            if let Some(dates) = &mut dates {
                dates.forget();
            }
            compare(dates, case, now(case));
        }
    }
}

#[test]
fn sequences() {
    let Some(recorded) = recorded("stateful.json") else { return };
    for sequence in recorded["sequences"].as_array().unwrap() {
        let mut dates = dates(None);
        for case in sequence["lines"].as_array().unwrap() {
            compare(Some(&mut dates), case, now(sequence));
        }
    }
}
