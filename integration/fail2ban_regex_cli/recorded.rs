//! Runs of Fail2Ban 1.1.2 that were recorded, repeated.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Bench;
use crate::lab::skip;

/// Runs that print something else, and why.
const DIFFERENT: &[(&[&str], &str)] = &[
    (&["onlyone"], "the usage is in words of our own"),
    (&["/etc/fail2ban/filter.d/sshd.conf"], "the usage is in words of our own"),
    (&["-V"], "the version of the interface that is spoken is 1.1.0"),
    (&["--version"], "the version of the interface that is spoken is 1.1.0"),
];

fn corpus() -> Option<PathBuf> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fail2ban/corpus");
    corpus.is_dir().then_some(corpus)
}

#[test]
fn recorded_runs_print_the_same() {
    let Some(corpus) = corpus() else { return skip("recorded runs of fail2ban-regex: not here") };
    let text = fs::read_to_string(corpus.join("public/cli/cli-fail2ban-regex.json")).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let bench = Bench::new();
    fs::write(bench.at("a.log"), document["log"].as_str().unwrap()).unwrap();
    let (log, base) = (bench.at("").display().to_string(), corpus.join("base").canonicalize().unwrap());
    let log = log.trim_end_matches('/');
    let (stable, newest) = (base.join("debian-1.0.2"), base.join("upstream-1.1.2.dev1"));
    let (stable, newest) = (stable.to_str().unwrap(), newest.to_str().unwrap());
    let (mut equal, mut different) = (0, Vec::new());
    for run in document["runs"].as_array().unwrap().iter().filter(|run| run["version"] != "1.0.2") {
        let written: Vec<&str> =
            run["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        let words: Vec<String> =
            written.iter().map(|word| word.replace("@LOG@", log).replace("/etc/fail2ban", stable)).collect();
        let words: Vec<&str> = ["-c", newest].into_iter().chain(words.iter().map(String::as_str)).collect();
        let (code, out, err) = bench.ours(&words);
        let out =
            out.replace(log, "@LOG@").replace(stable, "/etc/fail2ban").replace("in @ sec", "in @SEC@ sec");
        let want = (run["rc"].as_i64(), run["stdout"].as_str().unwrap(), run["stderr"].as_str().unwrap());
        if (code.map(i64::from), out.as_str(), err.as_str()) == want {
            equal += 1;
            continue;
        }
        let reason = DIFFERENT.iter().find(|(words, _)| *words == &written[..]);
        assert!(reason.is_some(), "{written:?}\nprints\n{out}{err}\nand not\n{}{}", want.1, want.2);
        assert_eq!((code.map(i64::from), err.as_str()), (want.0, want.2), "{written:?}");
        different.push(written);
    }
    assert_eq!((equal, different.len()), (30, DIFFERENT.len()), "{different:?}");
}
