//! What Fail2Ban 1.0.2 makes of lines. All tables were measured on it.

pub(super) mod laws;
mod time;

use std::time::Duration;

use super::super::Filter;
use super::*;
use crate::filter::FilterOptions;
use crate::id::Id;

pub(super) const NOW: UnixTime = UnixTime::from_secs(1_767_323_045); // 2026-01-02T03:04:05Z

/// A filter whose lines have no dates.
fn undated(prefix: Option<&str>, patterns: &[&str], ignore: &[&str], own: Fail2Ban) -> Filter {
    dated(prefix, patterns, ignore, Fail2Ban { date_pattern: Some("{NONE}".to_owned()), ..own })
}

fn dated(prefix: Option<&str>, patterns: &[&str], ignore: &[&str], own: Fail2Ban) -> Filter {
    Filter::with_zone(&options(prefix, patterns, ignore, own), Zone::utc()).unwrap()
}

pub(super) fn options(
    prefix: Option<&str>,
    patterns: &[&str],
    ignore: &[&str],
    own: Fail2Ban,
) -> FilterOptions {
    let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    FilterOptions {
        prefix: prefix.map(str::to_owned),
        patterns: owned(patterns),
        ignore: owned(ignore),
        define: Vec::new(),
        fail2ban: Some(own),
        supplement: None,
    }
}

fn spanning(max_lines: usize) -> Fail2Ban {
    Fail2Ban { max_lines, ..Fail2Ban::default() }
}

/// `seconds` after [`NOW`].
fn reading(seconds: u64, live: bool) -> Reading {
    let now = NOW + Duration::from_secs(seconds);
    Reading { now, since: now, live, find_time: Duration::from_secs(600) }
}

/// The verdict: `-` nothing, `~` pending, `old`, `!0` ignored, `?` undecided, or id, seconds from [`NOW`], user, lines.
fn said(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Nothing => "-".to_owned(),
        Outcome::Pending(_) => "~".to_owned(),
        Outcome::TooOld => "old".to_owned(),
        Outcome::Ignored(index) => format!("!{index}"),
        Outcome::Undecided => "?".to_owned(),
        Outcome::Failure(failure) => {
            let user = failure.data.iter().find(|(name, user)| &**name == "user" && !user.is_empty());
            let user = user.map(|(_, user)| format!(" u={user}")).unwrap_or_default();
            let name = if failure.is_name { " (name)" } else { "" };
            let time = failure.time.secs() - NOW.secs();
            format!("{}{name} {time:+}{user} <- {}", failure.id, failure.lines.join(" / "))
        }
    }
}

/// Each line with its verdict.
fn check(what: &str, filter: &mut Filter, lines: &[(&str, &str)]) {
    for (line, want) in lines {
        let got = said(&filter.line(line.as_bytes(), &reading(0, true)));
        assert_eq!(got, *want, "{what}: {line}");
    }
}

#[test]
fn who_failed() {
    const PATTERNS: &[&str] = &[
        "^h <HOST>$",
        "^s <SUBNET>$",
        "^i <F-ID>.*</F-ID>$",
        r"^b <F-ID>\S+</F-ID> at <HOST>$",
        "^d <DNS>$",
        r"^t <F-ID>\w+</F-ID>-<F-TUPLE_ID>\w+</F-TUPLE_ID>(?:-<F-TUPLE_ID_1>\w+</F-TUPLE_ID_1>)?$",
        "^a <F-ALT_ID>x*</F-ALT_ID><F-ID>y*</F-ID>$",
        "^u <F-USER>a*</F-USER><F-ALT_USER_2>b*</F-ALT_USER_2><F-ALT_USER_1>c*</F-ALT_USER_1> <ADDR>$",
    ];
    let names = [UseDns::Yes, UseDns::No, UseDns::Raw];
    let mut filters =
        names.map(|use_dns| undated(None, PATTERNS, &[], Fail2Ban { use_dns, ..Fail2Ban::default() }));
    let same = |id: &'static str| [id; 3];
    for (line, ids) in [
        ("h 192.0.2.1", same("192.0.2.1")),
        ("h [192.0.2.1]", same("192.0.2.1")),
        ("h ::ffff:192.0.2.1", same("192.0.2.1")),
        ("h 2001:DB8::0:1", same("2001:db8::1")),
        ("h 999.1.1.1", same("999.1.1.1")),
        ("h 01.2.3.4", same("01.2.3.4")),
        ("h 1:2:3", same("1:2:3")),
        ("h host.invalid", ["host.invalid (name)", "-", "host.invalid"]),
        ("h 1.2.3.4.5", ["1.2.3.4.5 (name)", "-", "1.2.3.4.5"]),
        ("s 192.0.2.77/24", same("192.0.2.0/24")),
        ("s 192.0.2.77/99", same("192.0.2.77")),
        ("s 192.0.2.77/0", same("0.0.0.0")),
        ("s 192.0.2.77/99999999999999", same("192.0.2.77")),
        ("s ::1/0", same("::")),
        ("s 2001:db8::1/64", same("2001:db8::/64")),
        ("i bob smith", same("bob smith")),
        ("i ", same("")),
        ("i 192.0.2.77/24", ["192.0.2.0/24", "192.0.2.0/24", "192.0.2.77/24"]),
        ("i 0.0.0.0/0", ["0.0.0.0", "0.0.0.0", "0.0.0.0/0"]),
        ("i [::1]", ["::1", "::1", "[::1]"]),
        ("i 192.0.2.1", same("192.0.2.1")),
        ("b bob at 192.0.2.1", same("bob")),
        ("b 192.0.2.1 at 192.0.2.1", same("192.0.2.1")),
        ("b bob at host.invalid", ["host.invalid (name)", "-", "bob"]),
        ("d 192.0.2.1", same("192.0.2.1")),
        ("d x.invalid", ["x.invalid (name)", "-", "x.invalid"]),
        ("t a-b", same("('a', 'b', None)")),
        ("t a-b-c", same("('a', 'b', 'c')")),
        ("a xx", same("xx")),
        ("a xxyy", same("yy")),
        ("a ", same("")),
        ("u aabb 192.0.2.1", same("192.0.2.1 u=aa")),
        ("u bbcc 192.0.2.1", same("192.0.2.1 u=cc")),
        ("u cc 192.0.2.1", same("192.0.2.1 u=cc")),
        ("u  192.0.2.1", same("192.0.2.1")),
    ] {
        for ((filter, want), use_dns) in filters.iter_mut().zip(ids).zip(names) {
            let got = said(&filter.line(line.as_bytes(), &reading(0, true)));
            let got = got.split(" <- ").next().unwrap().replacen(" +0", "", 1);
            assert_eq!(got, want, "{line} {use_dns:?}");
        }
    }
}

#[test]
fn an_address_besides_an_id_is_told() {
    let mut filter = undated(None, &[r"^<F-ID>\w+</F-ID> <ADDR>$"], &[], Fail2Ban::default());
    let Outcome::Failure(failure) = filter.line(b"bob ::ffff:192.0.2.1", &reading(0, true)) else { panic!() };
    assert_eq!(failure.id, Id::Text("bob".into()));
    assert_eq!(failure.data[0], ("ip".into(), "192.0.2.1".into()));
}

#[test]
fn the_end_of_a_line() {
    let patterns = [r"^bad <HOST>\s$", "^worse <HOST>$", r"^eol <HOST>\n$"];
    check(
        "a text ends with \\n",
        &mut undated(None, &patterns, &[], Fail2Ban::default()),
        &[
            ("bad 192.0.2.1", "192.0.2.1 +0 <- bad 192.0.2.1"),
            ("worse 192.0.2.1", "192.0.2.1 +0 <- worse 192.0.2.1"),
            ("bad 192.0.2.1 ", "192.0.2.1 +0 <- bad 192.0.2.1 "),
            ("eol 192.0.2.1", "192.0.2.1 +0 <- eol 192.0.2.1"),
            ("worse 192.0.2.1\r\r", "192.0.2.1 +0 <- worse 192.0.2.1"),
            ("worse 192.0.2.1\r \r", "-"),
        ],
    );
}

#[test]
fn patterns_that_span_lines() {
    const SPAN: &str = r"^start (?P<x>\w+)<SKIPLINES>^end (?P=x) from <HOST>$";
    check(
        "what is skipped stays, what matched goes",
        &mut undated(None, &[SPAN], &[], spanning(10)),
        &[
            ("start a", "-"),
            ("noise", "-"),
            ("end a from 192.0.2.1", "192.0.2.1 +0 <- start a / end a from 192.0.2.1"),
            ("end a from 192.0.2.2", "-"),
            ("start b", "-"),
            ("start c", "-"),
            ("end b from 192.0.2.3", "192.0.2.3 +0 <- start b / end b from 192.0.2.3"),
            ("end c from 192.0.2.4", "192.0.2.4 +0 <- start c / end c from 192.0.2.4"),
        ],
    );
    check(
        "no more lines than maxlines",
        &mut undated(None, &[SPAN], &[], spanning(2)),
        &[
            ("start a", "-"),
            ("noise", "-"),
            ("end a from 192.0.2.1", "-"),
            ("start b", "-"),
            ("end b from 192.0.2.3", "192.0.2.3 +0 <- start b / end b from 192.0.2.3"),
        ],
    );
    check(
        "only lines that matched can be ignored",
        &mut undated(None, &[SPAN], &["good"], spanning(5)),
        &[
            ("good", "-"),
            ("start a", "-"),
            ("end a from 192.0.2.1", "192.0.2.1 +0 <- start a / end a from 192.0.2.1"),
            ("start good", "-"),
            ("end good from 192.0.2.1", "!0"),
            ("start b", "-"),
            ("end b from 192.0.2.1", "192.0.2.1 +0 <- start b / end b from 192.0.2.1"),
        ],
    );
    check(
        "the content of a prefix takes the place of all lines",
        &mut undated(
            Some(r"^\w+: <F-CONTENT>.+</F-CONTENT>$"),
            &["^bad <HOST>$", r"^a\nb <HOST>$"],
            &[],
            spanning(5),
        ),
        &[
            ("p: bad 192.0.2.1", "192.0.2.1 +0 <- p: bad 192.0.2.1"),
            ("p: a", "-"),
            ("b 192.0.2.2", "-"),
            ("p: bad 192.0.2.3", "-"),
            ("q", "-"),
            ("p: bad 192.0.2.4", "-"),
        ],
    );
    check(
        "a match that names nobody takes its lines",
        &mut undated(
            None,
            &["^(?:bad <HOST>|unknown)$", r"^after\nunknown ?<HOST>?$", "^x <HOST>"],
            &[],
            spanning(5),
        ),
        &[
            ("after", "-"),
            ("unknown", "-"),
            ("x 192.0.2.1", "192.0.2.1 +0 <- x 192.0.2.1"),
            ("unknown", "-"),
            ("bad 192.0.2.2", "192.0.2.2 +0 <- bad 192.0.2.2"),
        ],
    );
}

#[test]
fn lines_of_a_connection() {
    const PREFIX: &str = r"^<F-MLFID>c\d</F-MLFID> <F-CONTENT>.+</F-CONTENT>$";
    const PATTERNS: &[&str] = &[
        r"^<F-NOFAIL>try</F-NOFAIL> <F-USER>\w*</F-USER>(?: <HOST>)?$",
        r"^fail <F-USER>\w*</F-USER>(?: <HOST>)?$",
        r"^<F-MLFGAINED>in</F-MLFGAINED> <F-USER>\w*</F-USER> <HOST>$",
        r"^<F-NOFAIL><F-MLFFORGET>out</F-MLFFORGET></F-NOFAIL>(?: <HOST>)?$",
        r"^<F-MLFFORGET>lost</F-MLFFORGET>(?: <HOST>)?$",
    ];
    let no_names = || Fail2Ban { use_dns: UseDns::No, ..Fail2Ban::default() };
    let stories: &[(&str, &[(&str, &str)])] = &[
        (
            "a login after failures that are none by themselves",
            &[
                ("c1 try u 192.0.2.1", "~"),
                ("c1 try u 192.0.2.1", "~"),
                ("c1 in u 192.0.2.1", "~"),
                ("c1 out 192.0.2.1", "~"),
            ],
        ),
        (
            "two users",
            &[
                ("c1 try u 192.0.2.1", "~"),
                ("c1 try v 192.0.2.1", "192.0.2.1 +0 u=v <- c1 try u 192.0.2.1 / c1 try v 192.0.2.1"),
                ("c1 out", "192.0.2.1 +0 u=v <- c1 out"),
            ],
        ),
        (
            "a failure waits for its address",
            &[
                ("c1 fail u", "~"),
                ("c1 try u", "~"),
                ("c1 lost 192.0.2.1", "192.0.2.1 +0 u=u <- c1 fail u / c1 try u / c1 lost 192.0.2.1"),
                ("c1 lost 192.0.2.2", "192.0.2.2 +0 <- c1 lost 192.0.2.2"),
            ],
        ),
        (
            "a login clears what waits",
            &[("c1 fail u", "~"), ("c1 in u 192.0.2.1", "~"), ("c1 out 192.0.2.1", "~")],
        ),
        (
            "an address does not replace one of another family",
            &[
                ("c1 try u 192.0.2.1", "~"),
                ("c1 fail u 2001:db8::1", "192.0.2.1 +0 u=u <- c1 try u 192.0.2.1 / c1 fail u 2001:db8::1"),
            ],
        ),
        ("the end of an unknown one", &[("c1 out 192.0.2.1", "~"), ("c1 lost", "~")]),
        (
            "two of them",
            &[
                ("c1 fail u 192.0.2.1", "192.0.2.1 +0 u=u <- c1 fail u 192.0.2.1"),
                ("c2 try v 192.0.2.2", "~"),
                ("c1 fail u 192.0.2.1", "192.0.2.1 +0 u=u <- c1 fail u 192.0.2.1"),
                ("c2 out", "~"),
                ("c1 out", "~"),
            ],
        ),
    ];
    for (what, lines) in stories {
        check(what, &mut undated(Some(PREFIX), PATTERNS, &[], no_names()), lines);
    }
    check(
        "without a connection a failure is one",
        &mut undated(None, &[r"^<F-NOFAIL>try</F-NOFAIL> <HOST>$"], &[], no_names()),
        &[("try 192.0.2.1", "192.0.2.1 +0 <- try 192.0.2.1")],
    );
}

#[test]
fn groups_of_the_prefix_are_inherited() {
    let prefix = Some(r"^<F-USER>\w+</F-USER> <HOST> <F-CONTENT>.+</F-CONTENT>$");
    let patterns = [r"^a(?: <F-USER>\w+</F-USER>)?$", "^b(?: <ADDR>)?$", "^c$"];
    let both = &[
        ("u 192.0.2.1 a v", "192.0.2.1 +0 u=v <- u 192.0.2.1 a v"),
        ("u 192.0.2.1 b 192.0.2.2", "192.0.2.2 +0 u=u <- u 192.0.2.1 b 192.0.2.2"),
        ("u 192.0.2.1 c", "192.0.2.1 +0 u=u <- u 192.0.2.1 c"),
    ];
    let mut old = undated(prefix, &patterns, &[], Fail2Ban::default());
    check("before 1.1", &mut old, both);
    check(
        "before 1.1",
        &mut old,
        &[("u 192.0.2.1 a", "192.0.2.1 +0 <- u 192.0.2.1 a"), ("u 192.0.2.1 b", "-")],
    );
    let newer = Fail2Ban { overwrite_with_nothing: false, ..Fail2Ban::default() };
    let mut newer = undated(prefix, &patterns, &[], newer);
    check("since 1.1", &mut newer, both);
    check(
        "since 1.1",
        &mut newer,
        &[
            ("u 192.0.2.1 a", "192.0.2.1 +0 u=u <- u 192.0.2.1 a"),
            ("u 192.0.2.1 b", "192.0.2.1 +0 u=u <- u 192.0.2.1 b"),
        ],
    );
}

#[test]
fn few_ignore_patterns_come_first() {
    let prefix = Some("^p: <F-CONTENT>.+</F-CONTENT>$");
    let patterns = ["^a <HOST>$", "^b <HOST>$", "^c <HOST>$", "^d <HOST>$"];
    // Before the patterns they see the whole line, behind them only its content.
    let first = &mut undated(prefix, &patterns, &["^p: b"], Fail2Ban::default());
    check("before", first, &[("p: a 192.0.2.1", "192.0.2.1 +0 <- p: a 192.0.2.1"), ("p: b 192.0.2.1", "!0")]);
    let last = &mut undated(prefix, &patterns[..3], &["^p: b"], Fail2Ban::default());
    check("behind", last, &[("p: b 192.0.2.1", "192.0.2.1 +0 <- p: b 192.0.2.1")]);
    let last = &mut undated(prefix, &patterns, &["^p: b", "^b"], Fail2Ban::default());
    check("behind", last, &[("p: b 192.0.2.1", "!1")]);
}

#[test]
fn a_supplement_is_asked_first_and_what_it_does_not_know_is_judged_by_the_filter_itself() {
    let first = FilterOptions {
        patterns: vec![
            "^b <HOST>$".to_owned(),
            "^<F-MLFID>c</F-MLFID> <F-NOFAIL><HOST></F-NOFAIL>$".to_owned(),
        ],
        ..FilterOptions::default()
    };
    let options = FilterOptions {
        patterns: vec!["^[abc] <HOST>$".to_owned()],
        fail2ban: Some(Fail2Ban { date_pattern: Some("{NONE}".to_owned()), ..Fail2Ban::default() }),
        supplement: Some(Box::new(first)),
        ..FilterOptions::default()
    };
    let mut filter = Filter::with_zone(&options, Zone::utc()).unwrap();
    for (line, pattern) in [("a 192.0.2.1", 0), ("b 192.0.2.1", 1)] {
        let Outcome::Failure(failure) = filter.line(line.as_bytes(), &reading(0, true)) else {
            panic!("{line}")
        };
        assert_eq!(failure.pattern, pattern, "{line}");
        assert!(!filter.pattern_text(pattern).is_empty());
    }
    assert_eq!(filter.line(b"c 192.0.2.1", &reading(0, true)), Outcome::Pending(2));
    let mut later = Filter::with_zone(&options, Zone::utc()).unwrap();
    later.restore(&filter.state());
    assert_eq!(later.state(), filter.state());
}

#[test]
fn mistakes_are_named() {
    let options = FilterOptions {
        patterns: vec!["^bad".to_owned(), "^(".to_owned(), " ".to_owned()],
        fail2ban: Some(Fail2Ban { date_pattern: Some("%Q".to_owned()), ..Fail2Ban::default() }),
        ..FilterOptions::default()
    };
    let errors = Filter::with_zone(&options, Zone::utc()).unwrap_err();
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        [
            "failregex[0] has no <HOST>",
            "failregex[1] does not compile: `(` is never closed at `(`",
            "failregex[2] is empty",
            "datepattern has `%Q`, which is no field (a percent sign is `%%`)",
        ]
    );
}

#[test]
fn bytes_that_are_no_text() {
    let mut filter = undated(None, &["^b\u{fffd}d\u{e9} <HOST>$"], &[], Fail2Ban::default());
    let outcome = filter.line(b"b\xffd\xc3\xa9 192.0.2.1", &reading(0, true));
    assert_eq!(said(&outcome), "192.0.2.1 +0 <- b\u{fffd}d\u{e9} 192.0.2.1");
}

#[test]
fn what_is_remembered_is_bounded() {
    let prefix = Some(r"^<F-MLFID>\S+</F-MLFID> <F-CONTENT>.+</F-CONTENT>$");
    let mut filter =
        undated(prefix, &["^<F-NOFAIL>a</F-NOFAIL> <F-USER>.*</F-USER>$"], &[], Fail2Ban::default());
    let mut windowed = undated(None, &["^a <HOST>$"], &[], spanning(1_000_000));
    let long = "x".repeat(50_000);
    for connection in 0..300 {
        let line = format!("{connection} a {long}");
        filter.line(line.as_bytes(), &reading(0, true));
        windowed.line(line.as_bytes(), &reading(0, true));
    }
    assert!(filter.state().len() < 1_000_000, "{}", filter.state().len());
    assert!(windowed.state().len() < 300_000, "{}", windowed.state().len());
}
