//! What Fail2Ban 1.0.2 makes of lines. All tables were measured on it.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::super::Filter;
use super::*;
use crate::filter::FilterOptions;
use crate::id::Id;

const NOW: UnixTime = UnixTime::from_secs(1_767_323_045); // 2026-01-02T03:04:05Z

/// A filter whose lines have no dates.
fn undated(prefix: Option<&str>, patterns: &[&str], ignore: &[&str], own: Fail2Ban) -> Filter {
    dated(prefix, patterns, ignore, Fail2Ban { date_pattern: Some("{NONE}".to_owned()), ..own })
}

fn dated(prefix: Option<&str>, patterns: &[&str], ignore: &[&str], own: Fail2Ban) -> Filter {
    let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    let options = FilterOptions {
        prefix: prefix.map(str::to_owned),
        patterns: owned(patterns),
        ignore: owned(ignore),
        define: Vec::new(),
        fail2ban: Some(own),
    };
    Filter::with_zone(&options, Zone::utc()).unwrap()
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
    assert_eq!(failure.data[0], ("ip".into(), "192.0.2.1".to_owned()));
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
fn our_own_patterns_come_last() {
    let own = Fail2Ban { supplement: vec!["^(?:a|b) <HOST>$".to_owned()], ..Fail2Ban::default() };
    let mut filter = undated(None, &["^a <HOST>$"], &[], own);
    for (line, pattern) in [("a 192.0.2.1", 0), ("b 192.0.2.1", 1)] {
        let Outcome::Failure(failure) = filter.line(line.as_bytes(), &reading(0, true)) else {
            panic!("{line}")
        };
        assert_eq!(failure.pattern, pattern, "{line}");
        assert!(!filter.pattern_text(pattern).is_empty());
    }
}

#[test]
fn mistakes_are_named() {
    let options = FilterOptions {
        patterns: vec!["^bad".to_owned(), "^(".to_owned(), " ".to_owned()],
        fail2ban: Some(Fail2Ban {
            date_pattern: Some("%Q".to_owned()),
            supplement: vec!["x".to_owned()],
            ..Fail2Ban::default()
        }),
        ..FilterOptions::default()
    };
    let errors = Filter::with_zone(&options, Zone::utc()).unwrap_err();
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        [
            "patterns[0] has no <HOST>",
            "patterns[1] does not compile: `(` is never closed at `(`",
            "patterns[2] is empty",
            "supplement[0] has no <HOST>",
            "datepattern has `%Q`, which is no field (a percent sign is `%%`)",
        ]
    );
}

/// Seconds from [`NOW`], line, verdict.
fn check_times(what: &str, own: Fail2Ban, live: bool, lines: &[(u64, &str, &str)]) {
    let mut filter = dated(None, &[r"^\s*bad <HOST>", r"^\S+ \S+\s+\S+ bad <HOST>"], &[], own);
    for (seconds, line, want) in lines {
        let got = said(&filter.line(line.as_bytes(), &reading(*seconds, live)));
        assert_eq!(got, *want, "{what}: {seconds} {line}");
    }
}

#[test]
fn rules_of_time() {
    check_times(
        "in operation",
        Fail2Ban::default(),
        true,
        &[
            (0, "Jan  2 03:04:05 bad 192.0.2.1", "192.0.2.1 +0 <- Jan  2 03:04:05 bad 192.0.2.1"),
            // The last date serves for less than a minute.
            (59, "bad 192.0.2.1", "192.0.2.1 +0 <- Jan  2 03:04:05bad 192.0.2.1"),
            (60, "bad 192.0.2.1", "192.0.2.1 +60 <- bad 192.0.2.1"),
            // A date may be off by a minute; else the line is of now, and so are those without a date behind it.
            (60, "Jan  2 03:04:05 bad 192.0.2.1", "192.0.2.1 +0 <- Jan  2 03:04:05 bad 192.0.2.1"),
            (61, "Jan  2 03:04:05 bad 192.0.2.1", "192.0.2.1 +61 <- Jan  2 03:04:05 bad 192.0.2.1"),
            (100, "bad 192.0.2.1", "192.0.2.1 +61 <- Jan  2 03:04:05bad 192.0.2.1"),
            (100, "Jan  2 05:04:05 bad 192.0.2.1", "192.0.2.1 +100 <- Jan  2 05:04:05 bad 192.0.2.1"),
            // No such day: with a last date nothing is cut out, else the date is.
            (
                101,
                "Feb 30 03:04:05 bad 192.0.2.1",
                "192.0.2.1 +100 <- Jan  2 05:04:05Feb 30 03:04:05 bad 192.0.2.1",
            ),
            (1000, "Feb 30 03:04:05 bad 192.0.2.1", "192.0.2.1 +1000 <- Feb 30 03:04:05 bad 192.0.2.1"),
            // No failure is counted in the future.
            (1000, "Jan  2 03:21:45 bad 192.0.2.1", "192.0.2.1 +1000 <- Jan  2 03:21:45 bad 192.0.2.1"),
        ],
    );
    check_times(
        "catching up",
        Fail2Ban::default(),
        false,
        &[
            (0, "bad 192.0.2.1", "old"),
            (0, "Jan  2 02:54:05 bad 192.0.2.1", "192.0.2.1 -600 <- Jan  2 02:54:05 bad 192.0.2.1"),
            (0, "Jan  2 02:54:04 bad 192.0.2.1", "old"),
            (0, "Jan  2 03:03:06 bad 192.0.2.1", "192.0.2.1 -59 <- Jan  2 03:03:06 bad 192.0.2.1"),
            (0, "bad 192.0.2.1", "192.0.2.1 -59 <- Jan  2 03:03:06bad 192.0.2.1"),
            (0, "Jan  2 13:03:06 bad 192.0.2.1", "192.0.2.1 +0 <- Jan  2 13:03:06 bad 192.0.2.1"),
            (0, "bad 192.0.2.1", "192.0.2.1 +0 <- Jan  2 13:03:06bad 192.0.2.1"),
        ],
    );
    let none = Fail2Ban { date_pattern: Some("{NONE}".to_owned()), ..Fail2Ban::default() };
    check_times("no dates", none, false, &[(0, "bad 192.0.2.1", "192.0.2.1 +0 <- bad 192.0.2.1")]);
}

/// Behind a restart, lines are judged as if there had been none.
#[test]
fn a_line_is_not_older_than_the_last_read_before_a_restart() {
    let mut filter = dated(None, &["^ bad <HOST>$"], &[], Fail2Ban::default());
    let at = Reading { since: NOW, ..reading(3_600, true) };
    for (line, want) in [
        ("Jan  2 03:04:05 bad 192.0.2.1", "192.0.2.1 +0 <- Jan  2 03:04:05 bad 192.0.2.1"),
        ("Jan  2 03:54:05 bad 192.0.2.1", "192.0.2.1 +3000 <- Jan  2 03:54:05 bad 192.0.2.1"),
        ("Jan  2 01:00:00 bad 192.0.2.1", "192.0.2.1 +0 <- Jan  2 01:00:00 bad 192.0.2.1"),
        ("Jan  2 09:00:00 bad 192.0.2.1", "192.0.2.1 +3600 <- Jan  2 09:00:00 bad 192.0.2.1"),
    ] {
        assert_eq!(said(&filter.line(line.as_bytes(), &at)), want, "{line}");
    }
}

#[test]
fn a_known_time_is_not_looked_for() {
    let mut filter = dated(None, &["^(?:Jan  2 03:04:05 )?bad <HOST>$"], &[], Fail2Ban::default());
    let known = NOW - Duration::from_micros(500_000);
    for line in ["bad 192.0.2.1", "Jan  2 03:04:05 bad 192.0.2.1"] {
        let outcome = filter.line_at(line.as_bytes(), Some(known), &reading(0, true));
        assert_eq!(said(&outcome), format!("192.0.2.1 -1 <- 2026-01-02T03:04:04.500000 {line}"));
    }
    let mut judged = Vec::new();
    filter.block(
        b"bad 192.0.2.1\nbad 192.0.2.2\r\n",
        &[NOW - Duration::from_secs(9), NOW],
        &reading(0, true),
        &mut |_, outcome| judged.push(said(&outcome)),
    );
    let wanted = [
        "192.0.2.1 -9 <- 2026-01-02T03:03:56 bad 192.0.2.1",
        "192.0.2.2 +0 <- 2026-01-02T03:04:05 bad 192.0.2.2",
    ];
    assert_eq!(judged, wanted);
}

#[test]
fn without_the_rules_every_line_counts() {
    let mut filter = dated(None, &["bad <HOST>$"], &[], Fail2Ban::default());
    for (line, want) in [
        ("bad 192.0.2.1", None),
        ("2001-02-03 04:05:06 bad 192.0.2.1", Some(981_173_106)),
        ("bad 192.0.2.1", None),
        ("Jan  2 03:04:00 bad 192.0.2.1", Some(NOW.secs() - 5)),
        ("bad 192.0.2.1", Some(NOW.secs() - 5)),
    ] {
        let (outcome, time) = filter.examine(line.as_bytes(), None, NOW);
        assert!(matches!(outcome, Outcome::Failure(_)), "{line}");
        assert_eq!(time.map(UnixTime::secs), want, "{line}");
    }
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

/// Pieces that lines of a log with dates, connections and lines that belong together are made of.
fn lines() -> impl Strategy<Value = Vec<String>> {
    let date = prop::sample::select(vec![
        "Jan  2 03:04:05 ",
        "Jan  2 03:04:00 ",
        "2026-01-02 03:03:59 ",
        "02/Jan/2026:03:04:01 +0000 ",
        "Feb 30 01:01:01 ",
        "[2026-01-02T03:04:02] ",
        "1767323044 ",
        "",
        "- ",
    ]);
    let head = prop::sample::select(vec!["h c1: ", "h c2: ", "", "c1 2026-01-02 03:04:03 "]);
    let rest = prop::sample::select(vec![
        "try a 192.0.2.1",
        "try b 192.0.2.1",
        "fail a",
        "fail a 192.0.2.2",
        "in a 192.0.2.1",
        "out",
        "start x",
        "end x 192.0.2.3",
        "end y 192.0.2.3",
        "noise",
        "fail \u{e9} host.invalid",
        "",
    ]);
    let end = prop::sample::select(vec!["", "\r", " "]);
    let line = (date, head, rest, end).prop_map(|(date, head, rest, end)| [date, head, rest, end].concat());
    prop::collection::vec(line, 0..30)
}

/// One that knows connections, one that knows windows.
fn two_filters() -> [Filter; 2] {
    let connected = dated(
        Some(r"^<F-MLFID>\s*h c\d: </F-MLFID><F-CONTENT>.+</F-CONTENT>$"),
        &[
            r"^<F-NOFAIL>try</F-NOFAIL> <F-USER>\w*</F-USER> <HOST>\s*$",
            r"^fail <F-USER>\w*</F-USER>(?: <HOST>)?\s*$",
            r"^<F-MLFGAINED>in</F-MLFGAINED> <F-USER>\w*</F-USER> <HOST>\s*$",
            r"^<F-NOFAIL><F-MLFFORGET>out</F-MLFFORGET></F-NOFAIL>\s*$",
        ],
        &[],
        Fail2Ban::default(),
    );
    let patterns = [r"start (?P<x>\w+)\s*<SKIPLINES>.*end (?P=x) <HOST>", "fail a <HOST>"];
    [connected, dated(None, &patterns, &["b"], spanning(4))]
}

/// Compiled once for all cases, for that takes longer than all lines; a state that is none begins anew.
fn all_cases(
    cases: u32,
    mut check: impl FnMut(&mut Filter, &mut Filter, &[String]) -> Result<(), TestCaseError>,
) {
    let mut pairs: Vec<_> = two_filters().into_iter().zip(two_filters()).collect();
    let pairs = std::cell::RefCell::new(&mut pairs);
    let check = std::cell::RefCell::new(&mut check);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(cases));
    let run = |lines: Vec<String>| {
        for (one, other) in pairs.borrow_mut().iter_mut() {
            one.restore(b"");
            other.restore(b"");
            (check.borrow_mut())(one, other, &lines)?;
        }
        Ok(())
    };
    runner.run(&lines(), run).unwrap();
}

/// A block gives what its lines give one by one, to a filter without literals and over-approximations.
#[test]
fn blocks_are_judged_as_their_lines() {
    all_cases(200, |patient, quick, lines| {
        let at = reading(0, lines.len() % 2 == 0);
        patient.patterns().literals = None;
        patient.patterns().candidates = None;
        let judged = lines.iter().map(|line| patient.line(line.as_bytes(), &at));
        let want: Vec<_> = judged.filter(|outcome| *outcome != Outcome::Nothing).collect();
        let mut got = Vec::new();
        for lines in lines.chunks(7) {
            let block: String = lines.iter().map(|line| format!("{line}\n")).collect();
            quick.block(block.as_bytes(), &[], &at, &mut |_, outcome| got.push(outcome));
        }
        prop_assert_eq!(got, want);
        prop_assert_eq!(quick.state(), patient.state());
        Ok(())
    });
}

/// Behind a restart lines mean what they would have meant without it.
#[test]
fn a_restart_changes_no_verdict() {
    all_cases(200, |steady, restarted, lines| {
        for (index, line) in lines.iter().enumerate() {
            if index % 5 == 0 {
                let state = restarted.state();
                restarted.restore(b"");
                restarted.line(b"2026-01-02 03:04:05 h c1: fail z", &reading(0, true));
                restarted.restore(&state);
            }
            let at = reading(0, true);
            prop_assert_eq!(
                restarted.line(line.as_bytes(), &at),
                steady.line(line.as_bytes(), &at),
                "{}",
                line
            );
        }
        Ok(())
    });
}

#[test]
fn no_line_makes_it_panic() {
    let bytes = || prop::collection::vec(any::<u8>(), 0..200);
    let filters = std::cell::RefCell::new(two_filters());
    let mut runner = TestRunner::new(ProptestConfig::with_cases(200));
    let run = |(line, state): (Vec<u8>, Vec<u8>)| {
        for filter in filters.borrow_mut().iter_mut() {
            filter.restore(&state);
            filter.block(&line, &[], &reading(0, true), &mut |_, _| {});
            filter.examine(&line, None, NOW);
        }
        Ok(())
    };
    runner.run(&(bytes(), bytes()), run).unwrap();
}
