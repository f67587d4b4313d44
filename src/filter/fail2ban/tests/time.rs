//! Which moment a line counts for.

use super::*;
use crate::filter::Lines;

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
    let known = NOW - Duration::from_millis(500);
    for line in ["bad 192.0.2.1", "Jan  2 03:04:05 bad 192.0.2.1"] {
        let outcome = filter.line_at(line.as_bytes(), Some(known), &reading(0, true));
        assert_eq!(said(&outcome), format!("192.0.2.1 -1 <- 2026-01-02T03:04:04.500000 {line}"));
    }
    let mut judged = Vec::new();
    filter.block(
        Lines {
            text: b"bad 192.0.2.1\nbad 192.0.2.2\r\n",
            ends: &[],
            times: &[NOW - Duration::from_secs(9), NOW],
            hits: None,
        },
        &reading(0, true),
        Wanted::Everything,
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
fn odd_dates_are_told_once() {
    let mut filter = dated(None, &["bad <HOST>$"], &[], Fail2Ban::default());
    let far = |seconds, ahead| Some(Oddity::Far { by: Duration::from_secs(seconds), ahead });
    for (what, seconds, line, live, want) in [
        ("near", 60, "Jan  2 03:04:05 bad 192.0.2.1", true, None),
        ("far, though it matches nothing", 7_200, "Jan  2 03:04:05 good", true, far(7_200, false)),
        ("told already", 7_200, "Jan  2 03:04:05 bad 192.0.2.1", true, None),
        ("catching up", 100_000, "Jan  2 03:04:05 bad 192.0.2.1", false, None),
        ("undated, but it matches nothing", 100_000, "good", true, None),
        ("undated", 100_000, "bad 192.0.2.1", true, Some(Oddity::Undated)),
        ("told already", 100_000, "bad 192.0.2.1", true, None),
        ("a day later", 200_000, "Jan  4 12:00:00 bad 192.0.2.1", true, far(4_955, true)),
    ] {
        filter.line(line.as_bytes(), &reading(seconds, live));
        assert_eq!(filter.take_odd().map(|odd| odd.what), want, "{what}");
    }
}
