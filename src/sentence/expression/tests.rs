use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use super::*;

/// As text: a whole number without a point, `no` for an error.
fn read(text: &str) -> String {
    match seconds(text) {
        Ok(Value::Int(whole)) => whole.to_string(),
        Ok(Value::Float(float)) => format!("{float:?}"),
        Err(_) => "no".to_owned(),
    }
}

/// Measured with Fail2Ban 1.0.2.
#[test]
fn times() {
    for (text, want) in [
        ("600", "600"),
        ("10m", "600"),
        ("-1", "-1"),
        ("- 1h", "-3600"),
        ("1d 12h", "129600"),
        ("1d12h", "129600"),
        ("1 hour 2 minutes 3 seconds", "3723"),
        ("1H 30 Min", "5400"),
        ("1\t h", "3600"),
        ("1h\n2m", "3720"),
        ("1mo", "2629800.0"),
        ("1year-6mo", "15778800.0"),
        ("1y6mo", "47336400.0"),
        ("1.5h", "5400.0"),
        (".5h", "1800.0"),
        ("1h.5", "3600.5"),
        ("60*60", "3600"),
        ("(1h)*2", "7200"),
        ("2*(1h+3)", "7206"),
        ("(1) h", "3600"),
        ("1h/2", "1800.0"),
        ("7//2", "3"),
        ("10 20", "30"),
        ("1d 12 m", "87120"),
        ("1 sec 1", "2"),
        ("1 h h", "12960000"),
        ("5mi 5", "305"),
        ("  5  ", "5"),
        // Some of it surprises, in both programs alike.
        ("1 2 3", "no"),
        ("1\nh", "no"),
        ("1h .5", "no"),
        ("(1)h", "no"),
        ("(1+2)h", "no"),
        ("1.h", "no"),
        ("h", "no"),
        ("h1", "no"),
        ("x", "no"),
        ("", "no"),
        (" ", "no"),
        ("1h-", "no"),
        ("1/0", "no"),
        ("1e3", "no"),
        ("0x10", "no"),
        ("1hr", "no"),
        ("1secs", "no"),
        ("1h,2m", "no"),
    ] {
        assert_eq!(read(text), want, "{text:?}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in r"[0-9 .hmoyw+*/()\-é\n]{0,40}") {
        let _ = seconds(&text);
    }
}

/// What Fail2Ban itself answered, where the recorded answers are at hand.
#[test]
fn recorded() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fail2ban/corpus/public/dates/timespans.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        let _ = writeln!(std::io::stderr(), "SKIPPED: no recorded answers of Fail2Ban beside the project");
        return;
    };
    let recorded: serde_json::Value = serde_json::from_str(&text).unwrap();
    let cases = recorded["str2seconds"].as_array().unwrap();
    assert!(cases.len() > 30);
    for case in cases {
        let got = seconds(case["in"].as_str().unwrap()).ok().map(Value::float);
        // A list of times is no time.
        assert_eq!(got, case["out"].as_f64(), "{case}");
    }
    for case in recorded["seconds2str"].as_array().unwrap() {
        let span = Duration::from_secs_f64(case["in"].as_f64().unwrap());
        assert_eq!(crate::span::readable(span), case["out"].as_str().unwrap(), "{case}");
    }
}
