//! Which template wins, and what is learnt.

use proptest::prelude::*;

use super::*;

/// Lines in their order, with what is cut out of each. Measured with Fail2Ban 1.0.2.
#[test]
fn which_template_wins() {
    let dots = |parts: &[(usize, &str)]| {
        let mut line = ".".repeat(60);
        for (at, text) in parts {
            line.replace_range(*at..at + text.len(), text);
        }
        line
    };
    let pattern = Some("%H:%M:%S\ny%Y\nz%d");
    let (time, year, day) = ("02:01:52", "y2005", "z05");
    for (before, line, cut) in [
        // No further right than it was: the first in the list; else the leftmost.
        (vec![], vec![(1, time), (40, year)], time),
        (vec![], vec![(40, time), (15, year)], year),
        (vec![(20, year)], vec![(15, time), (3, year)], time),
        (vec![(20, year)], vec![(25, time), (3, year)], year),
        // The last winner at another place is only one of them.
        (vec![(20, time)], vec![(15, time), (3, year)], year),
        (vec![(20, time)], vec![(3, time), (15, year)], year),
        (vec![(20, time)], vec![(3, time), (25, year)], time),
        // At its place it wins whatever stands before.
        (vec![(20, time)], vec![(20, time), (3, year)], time),
        // The last of the list wins where nothing else has won.
        (vec![(3, year), (20, time)], vec![(30, time), (40, year), (50, day)], day),
    ] {
        let mut dates = dates(pattern);
        for one in &before {
            dates.find(dots(&[*one]).as_bytes(), NOW);
        }
        let line = dots(&line);
        let got = dates.find(line.as_bytes(), NOW).map(|dated| &line[dated.start..dated.end]);
        assert_eq!(got, Some(cut), "{before:?} {line}");
    }
}

#[test]
fn what_was_learnt_of_other_patterns_means_nothing() {
    let (mut some, mut others) = (dates(Some("%Y\n%H:%M")), dates(Some("%H:%M\n%Y")));
    some.find(b"2005", NOW);
    let nothing = others.memory().unwrap();
    others.recall(&some.memory().unwrap());
    assert_eq!(others.memory(), Some(nothing.clone()));
    some.forget();
    assert_ne!(some.memory(), Some(nothing));
}

/// Text that dates are made of.
fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        r"[0-9]{1,2}",
        r"(19|20)[0-9]{2}",
        r"[ :/.,@<>\[(T+-]{1,2}",
        r"(?i)(jan|feb|sep|mon|sun|utc|z|cet|am|pm)",
        r"[0-9]{10}",
        r"[aé٣ſ_]",
    ];
    prop::collection::vec(part, 0..16).prop_map(|parts| parts.concat())
}

/// Dates of many forms, right or nearly so, within a line.
fn line() -> impl Strategy<Value = String> {
    let form = prop_oneof![
        r"20[0-3][0-9][-/.][01]?[0-9][-/.][0-3]?[0-9][T ][0-2]?[0-9]:[0-6][0-9]:[0-6][0-9]([.,][0-9]{1,7})?( ?(Z|\+0100|utc))?",
        r"((Mon|sun) )?(Jan|feb|Dec) [ 0-3]?[0-9] ( |2005 )?[0-2]?[0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{3})?( 20[0-3][0-9])?",
        r"[0-3]?[0-9][-/](Jan|0?[1-9])[-/](20)?[0-2][0-9][ :][0-2]?[0-9]:[0-6][0-9]:[0-6][0-9]( \+0100)?",
        r"[0-9]{10,12}(\.[0-9]{2,7})?",
        r"[0-9]{6,8}[T ]{1,2}[0-2]?[0-9]:?[0-6][0-9]:?[0-6][0-9]",
        r"(CET|-0500|z) (Jan|Feb) [ 0-3][0-9] [0-2][0-9]:[0-6][0-9]:[0-6][0-9]",
        text(),
    ];
    (r"([\[(<é -]{0,3}|host |a|x=|audit\()", form, r"[\])> x:é]{0,2}", text())
        .prop_map(|(before, form, behind, rest)| [before, form, behind, rest].concat())
}

const PATTERNS: [&str; 13] = [
    r"{^LN-BEG}(?:%Y)?[-/]?(?:%m)?%d ?%H:(?:%M)?:?%S",
    "{DEFAULT}",
    "{DATE}",
    "%Y-%m-%d %H:%M:%S",
    "^%b %d %k:%M:%S",
    "%d/%b/%Y:%H:%M:%S %z",
    "EPOCH\n{EPOCH}",
    r"^[^\[]*\[({DATE})",
    "%Exd.%Exm.%ExY %l:%M %p",
    "%a %b %d %X %Y",
    "**%H:%M\n%Z %y%j",
    r"(?P<s>[-/])%m(?P=s)%d(?:T|  ?)%H(?::%M)?$",
    r"\b%y%m%d\b",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// The quick matcher finds what the expression finds, or leaves it to the expression.
    #[test]
    fn the_quick_matcher_is_exact(pattern in prop::sample::select(&PATTERNS[..]), lines in prop::collection::vec(line(), 40)) {
        let (mut quick, mut exact) = (dates(Some(pattern)), dates(Some(pattern)));
        exact.without_programs();
        for line in &lines {
            prop_assert_eq!(quick.find(line.as_bytes(), NOW), exact.find(line.as_bytes(), NOW), "{} {:?}", pattern, line);
            prop_assert_eq!(quick.memory(), exact.memory(), "{} {:?}", pattern, line);
        }
    }

    /// Lines that begin alike are dated as each of them would be.
    #[test]
    fn a_date_that_is_repeated_is_exact(
        pattern in prop::sample::select(&PATTERNS[..]),
        begin in line(),
        ends in prop::collection::vec((0_usize..70, text()), 40),
    ) {
        let (mut quick, mut exact) = (dates(Some(pattern)), dates(Some(pattern)));
        exact.without_programs();
        for (cut, end) in &ends {
            let line = begin.chars().take(*cut).chain(end.chars()).collect::<String>();
            for line in [&begin, &line, &line] {
                prop_assert_eq!(quick.find(line.as_bytes(), NOW), exact.find(line.as_bytes(), NOW), "{} {:?}", pattern, line);
                prop_assert_eq!(quick.memory(), exact.memory(), "{} {:?}", pattern, line);
            }
        }
    }

    /// A restart in between changes nothing.
    #[test]
    fn memory_goes_through_a_restart(lines in prop::collection::vec(line(), 12), at in 0_usize..12) {
        let (mut whole, mut first, mut second) = (dates(None), dates(None), dates(None));
        for (index, line) in lines.iter().enumerate() {
            let want = whole.find(line.as_bytes(), NOW);
            if index == at {
                let saved = serde_json::to_vec(&first.memory().unwrap()).unwrap();
                second.recall(&serde_json::from_slice(&saved).unwrap());
            }
            let got = if index < at { &mut first } else { &mut second }.find(line.as_bytes(), NOW);
            prop_assert_eq!(got, want, "{:?}", line);
        }
    }

    #[test]
    fn no_line_makes_it_panic(line in r"\PC{0,60}", now in any::<i64>(), pattern in prop::sample::select(&PATTERNS[..])) {
        let mut dates = dates(Some(pattern));
        dates.find(line.as_bytes(), UnixTime::from_micros(now));
        dates.find(format!("Jan  2 03:04:05 {line}").as_bytes(), UnixTime::from_micros(now));
    }

    #[test]
    fn no_pattern_makes_it_panic(pattern in r"[%YmdExk*^$(){}?:|\\b\n ]{0,12}", line in line()) {
        if let Ok(mut dates) = Dates::fail2ban(&options(Some(&pattern))) {
            dates.find(line.as_bytes(), NOW);
        }
    }
}
