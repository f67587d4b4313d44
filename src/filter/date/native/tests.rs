use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::filter::date::Dates;

const NOW: UnixTime = UnixTime::from_secs(1_767_323_045); // 2026-01-02T03:04:05Z

fn zone(name: &str) -> Zone {
    Zone::new(TimeZone::posix(name).unwrap())
}

const ZURICH: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

/// The text cut out of a line, and its moment.
fn found(zone: Zone, line: &str, now: UnixTime) -> (String, String) {
    match Dates::new(zone).find(line.as_bytes(), now) {
        None => (String::new(), "none".to_owned()),
        Some(dated) => {
            let time = dated.time.map_or("no moment".to_owned(), |time| {
                let micros = time.micros().rem_euclid(1_000_000);
                if micros == 0 { time.to_string() } else { format!("{time} {micros}") }
            });
            (line[dated.start..dated.end].to_owned(), time)
        }
    }
}

#[test]
fn forms() {
    for (line, cut, want) in [
        ("2026-01-02T03:04:05Z x", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
        (
            "2026-01-02T03:04:05.678901+01:00 x",
            "2026-01-02T03:04:05.678901+01:00",
            "2026-01-02T02:04:05Z 678901",
        ),
        ("2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05Z 123456"),
        ("2026-01-02 03:04:05,678 x", "2026-01-02 03:04:05,678", "2026-01-02T03:04:05Z 678000"),
        ("2026-01-02  03:04:05 x", "2026-01-02  03:04:05", "2026-01-02T03:04:05Z"),
        ("2026/01/02 03:04:05 [error] x", "2026/01/02 03:04:05", "2026-01-02T03:04:05Z"),
        ("2026.1.2 3:04:05 x", "2026.1.2 3:04:05", "2026-01-02T03:04:05Z"),
        ("2026-01-02 03:04:05 +0100 x", "2026-01-02 03:04:05 +0100", "2026-01-02T02:04:05Z"),
        ("2026-01-02 03:04:05 UTC x", "2026-01-02 03:04:05 UTC", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04:05-05 x", "2026-01-02T03:04:05-05", "2026-01-02T08:04:05Z"),
        ("2026-01-02 03:04:05 Zeus x", "2026-01-02 03:04:05", "2026-01-02T03:04:05Z"),
        ("2026-01-02 03:04:05. x", "2026-01-02 03:04:05", "2026-01-02T03:04:05Z"),
        ("[2026-01-02 03:04:05] x", "2026-01-02 03:04:05", "2026-01-02T03:04:05Z"),
        ("<34>1 2026-01-02T03:04:05Z host", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
        ("<34>Jan  2 03:04:05 host", "Jan  2 03:04:05", "2026-01-02T03:04:05Z"),
        ("Jan  2 03:04:05 host x", "Jan  2 03:04:05", "2026-01-02T03:04:05Z"),
        ("jan 2 3:04:05.5 host x", "jan 2 3:04:05.5", "2026-01-02T03:04:05Z 500000"),
        ("Jan 02  3:04:05 host x", "Jan 02  3:04:05", "2026-01-02T03:04:05Z"),
        ("Fri Jan  2 03:04:05 2026 [pid 1] x", "Fri Jan  2 03:04:05 2026", "2026-01-02T03:04:05Z"),
        ("Jan  2 2025 03:04:05 x", "Jan  2 2025 03:04:05", "2025-01-02T03:04:05Z"),
        (
            "[Fri Jan 02 03:04:05.678 2026] [core] x",
            "Fri Jan 02 03:04:05.678 2026",
            "2026-01-02T03:04:05Z 678000",
        ),
        ("Jan  2 03:04:05 20261 x", "Jan  2 03:04:05", "2026-01-02T03:04:05Z"),
        ("1767323045 x", "1767323045", "2026-01-02T03:04:05Z"),
        ("1767323045.678 x", "1767323045.678", "2026-01-02T03:04:05Z 678000"),
        ("[1767323045] x", "1767323045", "2026-01-02T03:04:05Z"),
        ("02/Jan/2026:03:04:05 +0100 x", "02/Jan/2026:03:04:05 +0100", "2026-01-02T02:04:05Z"),
        ("02-Jan-2026 03:04:05.678 client", "02-Jan-2026 03:04:05.678", "2026-01-02T03:04:05Z 678000"),
        (
            r#"192.0.2.1 - u [02/Jan/2026:03:04:05 +0100] "GET"#,
            "02/Jan/2026:03:04:05 +0100",
            "2026-01-02T02:04:05Z",
        ),
        ("x[1]: [a] [2026-01-02 03:04:05] y", "2026-01-02 03:04:05", "2026-01-02T03:04:05Z"),
        // A day or time that does not exist is still cut.
        ("2026-02-30 03:04:05 x", "2026-02-30 03:04:05", "no moment"),
        ("2026-13-01 03:04:05 x", "2026-13-01 03:04:05", "no moment"),
        ("2026-01-02 24:00:00 x", "2026-01-02 24:00:00", "no moment"),
        ("2026-01-02 03:60:00 x", "2026-01-02 03:60:00", "no moment"),
        ("0000-01-02 03:04:05 x", "0000-01-02 03:04:05", "no moment"),
        ("9999-01-02 03:04:05 x", "9999-01-02 03:04:05", "no moment"),
        ("Feb 29 03:04:05 x", "Feb 29 03:04:05", "no moment"),
        ("Jan  0 03:04:05 x", "Jan  0 03:04:05", "no moment"),
        ("2024-02-29 23:59:60 x", "2024-02-29 23:59:60", "2024-03-01T00:00:00Z"),
        // None.
        ("", "", "none"),
        ("x", "", "none"),
        ("abc2026-01-02 03:04:05", "", "none"),
        ("x 2026-01-02 03:04:05", "", "none"),
        ("--- 2026-01-02 03:04:05", "", "none"),
        ("2026-01/02 03:04:05", "", "none"),
        ("2026-01-02 03:04", "", "none"),
        ("2026-01-02 03:04:056", "", "none"),
        ("2026-01-02x03:04:05", "", "none"),
        ("12345678901234567890", "", "none"),
        ("176732304 x", "", "none"),
        ("1767323045x", "", "none"),
        ("sshd[1767323045]: x", "", "none"),
        ("<1234>2026-01-02 03:04:05", "", "none"),
        ("Jab  2 03:04:05", "", "none"),
        ("\u{e9}\u{e9} 2026-01-02 03:04:05", "", "none"),
    ] {
        assert_eq!(found(Zone::utc(), line, NOW), (cut.to_owned(), want.to_owned()), "{line:?}");
    }
}

#[test]
fn the_year_of_a_date_without_one() {
    let new_year = UnixTime::from_secs(1_767_225_630); // 2026-01-01T00:00:30Z
    let leap = UnixTime::from_secs(1_709_251_200); // 2024-03-01T00:00:00Z
    for (line, zone, now, want) in [
        ("Dec 31 23:59:59", Zone::utc(), new_year, "2025-12-31T23:59:59Z"),
        ("Jan  1 00:00:29", Zone::utc(), new_year, "2026-01-01T00:00:29Z"),
        // Up to a day ahead is a clock that is wrong.
        ("Jan  2 00:00:30", Zone::utc(), new_year, "2026-01-02T00:00:30Z"),
        ("Jan  2 00:00:31", Zone::utc(), new_year, "2025-01-02T00:00:31Z"),
        // It is 2026 in Zurich before it is 2026 in Greenwich.
        ("Jan  1 00:30:00", zone(ZURICH), UnixTime::from_secs(1_767_223_830), "2025-12-31T23:30:00Z"),
        ("Feb 29 12:00:00", Zone::utc(), leap, "2024-02-29T12:00:00Z"),
    ] {
        assert_eq!(found(zone, line, now).1, want, "{line} at {now}");
    }
}

#[test]
fn local_time_has_seasons() {
    let mut dates = Dates::new(zone(ZURICH));
    for (line, want) in [
        ("2026-01-02 03:04:05", "2026-01-02T02:04:05Z"),
        ("2026-07-02 03:04:05", "2026-07-02T01:04:05Z"),
        ("2026-03-29 01:59:59", "2026-03-29T00:59:59Z"),
        // Does not happen.
        ("2026-03-29 02:30:00", "2026-03-29T01:30:00Z"),
        ("2026-03-29 03:00:00", "2026-03-29T01:00:00Z"),
        ("2026-10-25 01:59:59", "2026-10-24T23:59:59Z"),
        // Happens twice.
        ("2026-10-25 02:30:00", "2026-10-25T00:30:00Z"),
        ("2026-10-25 03:00:00", "2026-10-25T02:00:00Z"),
        ("2026-12-31 23:59:59", "2026-12-31T22:59:59Z"),
        ("2026-01-02 03:04:05Z", "2026-01-02T03:04:05Z"),
    ] {
        assert_eq!(dates.time(line.as_bytes(), NOW).unwrap().to_string(), want, "{line}");
    }
}

proptest! {
    /// The season that is remembered gives what the zone's table gives.
    #[test]
    fn seasons_are_those_of_the_table(
        name in prop::sample::select(vec![ZURICH, "EST5EDT,M3.2.0,M11.1.0", "UTC0", "IST-5:30", "AEST-10AEDT,M10.1.0,M4.1.0/3"]),
        seconds in prop::collection::vec(0_i64..4_000_000_000, 1..20),
    ) {
        let (zone, table) = (zone(name), TimeZone::posix(name).unwrap());
        for seconds in seconds {
            let civil = jiff::Timestamp::from_second(seconds).unwrap().to_zoned(TimeZone::UTC).datetime();
            let want = table.to_ambiguous_timestamp(civil).compatible().unwrap().as_second();
            prop_assert_eq!(zone.moment(seconds, 0, None), Some(UnixTime::from_secs(want)), "{}", civil);
        }
    }

    #[test]
    fn days_are_those_of_the_calendar(seconds in 0_i64..4_000_000_000) {
        let text = jiff::Timestamp::from_second(seconds).unwrap().to_string();
        prop_assert_eq!(Dates::new(Zone::utc()).time(text.as_bytes(), NOW), Some(UnixTime::from_secs(seconds)), "{}", text);
    }

    /// The prefilter's literals depend on it.
    #[test]
    fn what_stands_before_a_date_has_no_letters_or_ends_with_a_bracket(
        head in r"(<[0-9]{0,4}>)?[0-9]{0,2}[ \[(a<é-]{0,3}",
        date in prop::sample::select(vec!["2026-01-02 03:04:05", "Jan  2 03:04:05", "1767323045", "02/Jan/2026:03:04:05 +0100"]),
        tail in r"[ \]a]{0,2}",
    ) {
        let line = format!("{head}{date}{tail}");
        if let Some(dated) = Dates::new(Zone::utc()).find(line.as_bytes(), NOW) {
            let before = &line[..dated.start];
            prop_assert!(before.ends_with('[') || !before.contains(|char: char| char.is_ascii_alphabetic()), "{}", line);
        }
    }

    /// No two templates may begin at the same place: which one wins must not depend on their order.
    #[test]
    fn templates_exclude_each_other(line in r"(Fri |Jan |0?2[/-])?(Jan|2026|1767323045)?[ /.-]?[0-9]{0,2}[ /.-][0-9]{0,4}[ :T][0-9]{0,2}[ :][0-9:.+Z ]{0,12}") {
        let fits = TEMPLATES.iter().filter(|template| (template.parse)(line.as_bytes()).is_some());
        prop_assert!(fits.count() <= 1, "{}", line);
    }

    #[test]
    fn no_line_makes_it_panic(line in prop::collection::vec(any::<u8>(), 0..60), now in any::<i64>()) {
        let mut dates = Dates::new(zone(ZURICH));
        dates.find(&line, UnixTime::from_micros(now));
        dates.find(&[b"Jan  2 03:04:05 ", &line[..]].concat(), UnixTime::from_micros(now));
    }
}
