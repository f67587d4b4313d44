//! Filters in the style of the stock ones, with what makes a backtracking matcher go mad.

use std::time::Duration;

use stockade::filter::date::Zone;
use stockade::filter::{Fail2Ban, Filter, FilterOptions, Outcome, Reading};
use stockade::time::UnixTime;

use super::padded;

const NOW: UnixTime = UnixTime::from_secs(1_767_323_045);
const DATE: &str = "2026-01-02 03:04:05 ";

/// What it is, the pattern, a line that it matches, where it is padded (before this text), and with what.
const CASES: [(&str, &str, &str, &str, &[&str]); 9] = [
    (
        "repetitions inside a repetition, over classes that overlap",
        r"(?:\w+\s?)+! from <HOST>$",
        "#bob! from 192.0.2.1",
        "#bob",
        &["a", "ab ", "#aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"],
    ),
    (
        "blanks that three repetitions want",
        r"^\s*(?:(?:error|warning):?\s*)*(?:\S+\s*)*\s*rip=<HOST>(?:, \S+)*\s*$",
        "error: login rip=192.0.2.2, TLS",
        "rip=",
        &[" ", "error: ", "x ", "rip=192.0.2.2x ", ", , "],
    ),
    (
        "look-ahead inside a repetition",
        r"^ Login as <F-USER>(?:(?! via ).)+</F-USER> via \S+ (?:(?! of ).)*? of <HOST>$",
        "Login as bob via web here of 192.0.2.3",
        "here",
        &["x", " v", "of", "via", "\""],
    ),
    (
        "a conditional on a group that is tried both ways",
        r"^ Denied (?P<guest>guest )?<F-USER>(?P<word>\w+)|(?(guest)(?:(?! at ).)+?|[^;]+)</F-USER> at <HOST>(?(word);|.*$)",
        "Denied guest bob at 192.0.2.4 now",
        "bob",
        &["x", "bob ", " a", "at ", "guest "],
    ),
    (
        "the same, at the end",
        r"^ Denied (?P<guest>guest )?<F-USER>(?P<word>\w+)|(?(guest)(?:(?! at ).)+?|[^;]+)</F-USER> at <HOST>(?(word);|.*$)",
        "Denied guest bob  at 192.0.2.4 now",
        " now",
        &[" ", "at ", " at 192.0.2.4", ";"],
    ),
    (
        "a back-reference, and escapes in quotes",
        r#"^ user (?P<quote>["'])(?:\\.|(?!(?P=quote)).|\w+)*(?P=quote) refused from <HOST>$"#,
        r#"user "bob" refused from 192.0.2.5"#,
        r#"" refused"#,
        &["x", r"\\", r#"\""#, "'", "a'"],
    ),
    (
        "a back-reference to a word that may be anything",
        r"^ <F-USER>(?P<word>\w+)\w*( \w*)*</F-USER> and again (?P=word) by <HOST>$",
        "bob and again bob by 192.0.2.6",
        " and",
        &["b", "bob", " bob", " b"],
    ),
    (
        "branches that begin alike, as many as there are",
        r#"^ (?:[^"]*"|[^"\s]*\s|"[^"]*")*(?:\w|\W|.)* \[client <HOST>\](?:\s|:|\S)*denied$"#,
        r#"GET "/" [client 192.0.2.7]: denied"#,
        " [client",
        &["\"", "\" ", "x", " ", " [client 192.0.2.7x"],
    ),
    (
        "reasons in brackets, as many as there are",
        r"^ Disconnected(?::(?: [^\( ]*|\([^\(]*\))*)? \((?:no attempts|auth failed)(?: in \d+ secs)?\)[^:]*:(?: user=<[^>]*>,)?(?: \w+=\S+,)* rip=<HOST>(?:[^>]*(?:, session=<\S+>)?)\s*$",
        "Disconnected: (auth failed in 2 secs): user=<bob>, rip=192.0.2.8, session=<x>",
        " (auth",
        &[" ", "( ) ", "(auth failed)", " x", "()"],
    ),
];

fn judge(pattern: &str, line: &[u8]) -> Outcome {
    let options = FilterOptions {
        patterns: vec![pattern.to_owned()],
        fail2ban: Some(Fail2Ban::default()),
        ..FilterOptions::default()
    };
    let at = Reading { now: NOW, since: NOW, live: true, find_time: Duration::from_secs(600) };
    Filter::with_zone(&options, Zone::utc()).unwrap().line(line, &at)
}

#[test]
fn padding_hides_no_failure() {
    for (what, pattern, line, before, fillers) in CASES {
        let line = [DATE, line].concat();
        let plain = judge(pattern, line.as_bytes());
        assert!(matches!(plain, Outcome::Failure(_)), "{what}: {plain:?}");
        let at = line.find(before).unwrap();
        for filler in fillers {
            let outcome = judge(pattern, &padded(line.as_bytes(), at, filler.as_bytes()));
            assert!(
                matches!(outcome, Outcome::Failure(_) | Outcome::Undecided),
                "{what}: padded with {filler:?}: {outcome:?}"
            );
        }
    }
}
