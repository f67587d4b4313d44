//! Filters of the stock trees, as real Fail2Ban resolves them, where the corpus is at hand.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::*;

fn corpus() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fail2ban/corpus");
    if path.is_dir() {
        return Some(path);
    }
    let _ = writeln!(std::io::stderr(), "SKIPPED: no corpus of Fail2Ban's filters beside the project");
    None
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

fn string(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

#[test]
fn every_filter_of_the_corpus_resolves_as_fail2ban_does() {
    let Some(corpus) = corpus() else { return };
    let mut wrong = Vec::new();
    let mut seen = 0;
    for entry in std::fs::read_dir(corpus.join("public/filters")).unwrap() {
        let path = entry.unwrap().path();
        let golden: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let options = golden["options"].as_object().unwrap().iter();
        let options: Vec<(String, String)> =
            options.map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned())).collect();
        let base = corpus.join(golden["base"].as_str().unwrap());
        let name = golden["filter"].as_str().unwrap();
        let wanted = Wanted { base: &base, name, options: &options, jail: &[] };
        let resolved = resolve(&wanted).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let expected = &golden["resolved"];
        let journal = expected["journalmatch"].as_array().into_iter().flatten();
        let journal: Vec<Vec<String>> = journal.map(strings).collect();
        let same = resolved.prefregex == string(&expected["prefregex"])
            && resolved.failregex == strings(&expected["failregex"])
            && resolved.ignoreregex == strings(&expected["ignoreregex"])
            && resolved.datepattern == string(&expected["datepattern"])
            && resolved.maxlines.map(|lines| lines as u64) == expected["maxlines"].as_u64()
            && resolved.journalmatch == journal;
        let head = golden["base"].as_str().unwrap().contains("upstream");
        if !same || (resolved.dialect == Dialect::Head) != head {
            wrong.push(format!("{}: {resolved:#?}\n{expected:#}", path.display()));
        }
        seen += 1;
    }
    assert!(seen > 300, "the corpus was not read");
    assert!(wrong.is_empty(), "{} of {seen}, the first:\n{}", wrong.len(), wrong[0]);
}

#[test]
fn a_stock_dovecot_filter_is_told_from_one_that_was_changed() {
    let Some(corpus) = corpus() else { return };
    for base in ["base/debian-1.0.2", "base/upstream-1.1.2.dev1"] {
        let base = corpus.join(base);
        let stock = |name: &str, mode: &str, jail: &[(String, String)]| {
            let options = [("mode".to_owned(), mode.to_owned())];
            resolve(&Wanted { base: &base, name, options: &options, jail }).unwrap().stock_dovecot().is_some()
        };
        assert!(stock("dovecot", "normal", &[]), "{base:?}");
        assert!(stock("dovecot", "aggressive", &[]), "{base:?}");
        assert!(stock("dovecot", "normal", &[("backend".to_owned(), "systemd".to_owned())]), "{base:?}");
        assert!(!stock("dovecot", "normal", &[("failregex".to_owned(), "^<HOST>".to_owned())]), "{base:?}");
        assert!(!stock("sshd", "normal", &[]), "{base:?}");
    }
}
