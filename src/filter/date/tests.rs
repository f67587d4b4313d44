//! What Fail2Ban's dates are, in tables measured with Fail2Ban 1.0.2, and the laws that the detector keeps.

mod detector;
mod patterns;
mod recorded;

use super::*;

/// 2005-08-14 10:00:00 UTC
pub(super) const NOW: UnixTime = UnixTime::from_secs(1_124_013_600);

/// Dates in UTC, in the year 2026.
pub(super) fn options(pattern: Option<&str>) -> DateOptions {
    DateOptions {
        pattern: pattern.map(str::to_owned),
        zone: None,
        system: Zone::utc(),
        year: Some(2026),
        old_years: false,
        newer: false,
    }
}

pub(super) fn dates(pattern: Option<&str>) -> Dates {
    Dates::fail2ban(&options(pattern)).unwrap()
}

/// The text that is cut out of a line, and its moment in seconds (`none`).
pub(super) fn found(dates: &mut Dates, line: &str, now: UnixTime) -> Option<(String, String)> {
    let date = dates.find(line.as_bytes(), now)?;
    let time = date.time.map_or("none".to_owned(), |time| (time.micros() as f64 / 1e6).to_string());
    Some((line[date.start..date.end].to_owned(), time))
}

/// Rows: line, the text that is cut (none: no date), its moment.
pub(super) fn check(options: &DateOptions, now: UnixTime, rows: &[(&str, &str, &str)]) {
    for (line, cut, time) in rows {
        let mut dates = Dates::fail2ban(options).unwrap();
        let want = (!time.is_empty()).then(|| ((*cut).to_owned(), (*time).to_owned()));
        assert_eq!(found(&mut dates, line, now), want, "{:?} {line:?}", options.pattern);
    }
}

/// Each of the default patterns, in their order, and what stands around them.
#[test]
fn default_patterns() {
    check(
        &options(None),
        NOW,
        &[
            ("2005-01-23T21:59:59.981746+01:00 x", "2005-01-23T21:59:59.981746+01:00", "1106513999"),
            ("2005/1/23  21:59:59 UTC x", "2005/1/23  21:59:59 UTC", "1106517599"),
            ("Sun Jan 23 21:59:59.011 2005] x", "Sun Jan 23 21:59:59.011 2005", "1106517599"),
            ("Jan 23 21:59:59 host x", "Jan 23 21:59:59", "1106517599"),
            ("Sun Jan 23 2005 21:59:59 x", "Sun Jan 23 2005 21:59:59", "1106517599"),
            ("23/01/2005 21:59:59 x", "23/01/2005 21:59:59", "1106517599"),
            ("23-01-05 21:59:59 x", "23-01-05 21:59:59", "1106517599"),
            ("23/Jan/2005:21:59:59 +0100 x", "23/Jan/2005:21:59:59 +0100", "1106513999"),
            ("01/23/2005:21:59:59 x", "01/23/2005:21:59:59", "1106517599"),
            ("01-23-2005 21:59:59.252 x", "01-23-2005 21:59:59.252", "1106517599"),
            ("1106517599.252 x", "1106517599.252", "1106517599.252"),
            ("type=X msg=audit(1106517599.252:4): x", "1106517599.252", "1106517599.252"),
            ("21:59:59 x", "21:59:59", "1123970399"),
            ("<01/23/05@21:59:59> x", "<01/23/05@21:59:59>", "1106517599"),
            ("050123 21:59:59 x", "050123 21:59:59", "1106517599"),
            ("Jan 23, 2005 9:59:59 PM x", "Jan 23, 2005 9:59:59 PM", "1106517599"),
            ("Jan-23-05 21:59:59 x", "Jan-23-05 21:59:59", "1106517599"),
            ("20050123T215959Z x", "20050123T215959Z", "1106517599"),
            ("CET Sun Jan 23 21:59:59 2005 x", "CET Sun Jan 23 21:59:59 2005", "1106513999"),
            ("+0100 Jan 23 21:59:59 x", "+0100 Jan 23 21:59:59", "1106513999"),
            ("@4000000041f41ddf000000ff x", "@4000000041f41ddf000000ff", "1106517471"),
            // Around them.
            ("[2005-01-23 21:59:59] x", "2005-01-23 21:59:59", "1106517599"),
            ("([2005-01-23 21:59:59] x", "2005-01-23 21:59:59", "1106517599"),
            ("host x=2005-01-23 21:59:59,y", "2005-01-23 21:59:59", "1106517599"),
            ("host 21:59:59 x", "", ""),
            ("a2005-01-23 21:59:59b", "", ""),
            ("x 1106517599 y", "", ""),
            // In other scripts.
            ("2٣/Jan/2005:21:59:59 x", "2٣/Jan/2005:21:59:59", "1106517599"),
            ("é 2005-01-23 21:59:59 é", "2005-01-23 21:59:59", "1106517599"),
            ("é2005-01-23 21:59:59", "", ""),
            ("2005-01-23 21:59:59é", "", ""),
            // Dates that are none are cut all the same.
            ("2005-02-30 21:59:59 x", "2005-02-30 21:59:59", "none"),
            ("Feb 29 21:59:59 x", "Feb 29 21:59:59", "none"),
            ("Jan 23 24:00:00 x", "Jan 23 24:00:00", "none"),
            ("2005-01-23 23:59:60 x", "2005-01-23 23:59:60", "none"),
            ("host Jan 23 21:59:59 x", "host Jan 23 21:59:59", "none"),
            // Years that are far off are no years.
            ("2029-01-23 21:59:59 x", "2029-01-23 21:59:59", "1863899999"),
            ("2030-01-23 21:59:59 x", "", ""),
            ("1999-01-23 21:59:59 x", "", ""),
        ],
    );
}

/// What is not said comes from the present.
#[test]
fn moments() {
    check(
        &options(Some("%b %d")),
        NOW,
        &[("Aug 15", "Aug 15", "1124064000"), ("Aug 16", "Aug 16", "1092614400")],
    );
    check(
        &options(Some("%H:%M")),
        NOW,
        &[("10:00", "10:00", "1124013600"), ("10:01", "10:01", "1123927260")],
    );
    check(&options(Some("%Y")), NOW, &[("2005", "2005", "1123977600"), ("2006", "2006", "1155427200")]);
    check(&options(Some("%y")), NOW, &[("99", "99", "4090262400")]);
    check(&options(Some("%Y-%m")), NOW, &[("2005-03", "2005-03", "none")]);
    check(&options(Some("%j")), NOW, &[("100", "100", "1113091200"), ("300", "300", "1098835200")]);
    check(
        &options(Some("%Y %U %w")),
        NOW,
        &[("2005 10 3", "2005 10 3", "1110326400"), ("2005 0 0", "2005 0 0", "1104019200")],
    );
    check(&options(Some("%Y %W %a")), NOW, &[("2005 10 Wed", "2005 10 Wed", "1110326400")]);
    check(&options(Some("%U")), NOW, &[("10", "10", "1123977600")]);
    check(
        &options(Some("%I %p")),
        NOW,
        &[("12 AM", "12 AM", "1123977600"), ("12 pm", "12 pm", "1123934400"), ("3 PM", "3 PM", "1123945200")],
    );
    check(&options(Some("%p %I")), NOW, &[("PM 3", "PM 3", "1123945200")]);
    check(&options(Some("%I")), NOW, &[("3", "3", "1123988400")]);
    // A day later by its offset, it is still the day that it says, a year before.
    let now = UnixTime::from_secs(1_735_669_800);
    let kolkata = DateOptions { system: Zone::named("IST-5:30").unwrap(), ..options(None) };
    check(&kolkata, now, &[("PDT Jan 23 21:59:59 x", "PDT Jan 23 21:59:59", "1705985999")]);
}

#[test]
fn zones() {
    let zurich = || Zone::named("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
    let local = DateOptions { system: zurich(), ..options(None) };
    let (summer, winter) = (UnixTime::from_secs(1_130_630_000), UnixTime::from_secs(1_130_635_000));
    check(
        &local,
        summer,
        &[
            ("2005-03-27 02:30:00", "2005-03-27 02:30:00", "1111887000"),
            ("2005-01-23 21:59:59", "2005-01-23 21:59:59", "1106513999"),
            ("2005-10-30 02:30:00", "2005-10-30 02:30:00", "1130632200"),
        ],
    );
    // The second time it is half past two.
    check(&local, winter, &[("2005-10-30 02:30:00", "2005-10-30 02:30:00", "1130635800")]);
    for (zone, want) in [
        ("UTC", Some("1106517599")),
        ("UTC+0200", Some("1106510399")),
        ("+05", Some("1106499599")),
        ("GMT+01:00", Some("1106513999")),
        ("CET", Some("1106513999")),
        ("", Some("1106513999")),
        ("Europe/Zurich", None),
        ("utc", None),
        ("UTC+2", None),
    ] {
        let options = DateOptions { zone: Some(zone.to_owned()), ..local.clone() };
        match (Dates::fail2ban(&options), want) {
            (Ok(_), Some(want)) => {
                check(&options, NOW, &[("2005-01-23 21:59:59", "2005-01-23 21:59:59", want)]);
            }
            (Err(error), None) => assert_eq!(
                error.to_string(),
                format!("logtimezone `{zone}` is no zone such as `UTC`, `CET` or `UTC+0200`")
            ),
            (got, want) => panic!("{zone}: {got:?}, not {want:?}"),
        }
    }
}

/// The daemon's years go on with the time.
#[test]
fn the_window_of_years_moves() {
    let mut dates = Dates::fail2ban(&DateOptions { year: None, ..options(None) }).unwrap();
    let (before, after) = (UnixTime::from_secs(1_767_225_599), UnixTime::from_secs(1_798_761_600));
    for (line, now, want) in [
        ("2030-01-02 03:04:05", before, false),
        ("2030-01-02 03:04:05", after, true),
        ("2029-01-02 03:04:05", before, true),
        ("1999-01-02 03:04:05", before, false),
        ("1999-01-02 03:04:05", UnixTime::from_secs(1_000_000_000), false),
        ("1999-01-02 03:04:05", UnixTime::from_secs(950_000_000), true),
    ] {
        assert_eq!(dates.find(line.as_bytes(), now).is_some(), want, "{line} {now}");
    }
    let mut old = Dates::fail2ban(&DateOptions { old_years: true, ..options(None) }).unwrap();
    assert!(old.find(b"1960-01-02 03:04:05", before).is_some());
}
