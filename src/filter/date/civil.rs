//! The calendar: days since 1970 ⇄ year, month, day.

/// Seconds of a day.
pub(super) const DAY: i64 = 86_400;

pub(super) const MONTHS: [&[u8]; 12] =
    [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];
pub(super) const WEEKDAYS: [&[u8]; 7] = [b"mon", b"tue", b"wed", b"thu", b"fri", b"sat", b"sun"];

/// Days since 1970-01-01; none: there is no such day in the years 1 to 9999.
pub(super) fn days(year: i64, month: u8, day: u8) -> Option<i64> {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let length = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u8::from(leap),
        1..=12 => 31,
        _ => return None,
    };
    if day == 0 || day > length || !(1..=9999).contains(&year) {
        return None;
    }
    // By counting years from March, so that the leap day comes last.
    let (month, year) =
        if month > 2 { (i64::from(month) - 3, year) } else { (i64::from(month) + 9, year - 1) };
    let in_year = (153 * month + 2) / 5 + i64::from(day) - 1;
    Some(year * 365 + year / 4 - year / 100 + year / 400 + in_year - 719_468)
}

/// Year, month and day of a moment: seconds since 1970 as if in UTC.
pub(super) fn date(seconds: i64) -> (i64, u8, u8) {
    // Days since March of the year 0, in its cycle of 400 years (146 097 days).
    let days = seconds.div_euclid(DAY) + 719_468;
    let (cycle, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (year * 365 + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (cycle * 400 + year + next, month as u8, day as u8)
}

/// The weekday of a day since 1970, from Monday, 0.
pub(super) fn weekday(days: i64) -> i64 {
    (days + 3).rem_euclid(7)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_the_calendar_of_everybody(seconds in -62_135_596_800_i64..253_402_300_799) {
            let date = jiff::Timestamp::from_second(seconds).unwrap().to_zoned(jiff::tz::TimeZone::UTC).date();
            let (year, month, day) = super::date(seconds);
            prop_assert_eq!((year, month, day), (i64::from(date.year()), date.month() as u8, date.day() as u8));
            prop_assert_eq!(days(year, month, day), Some(seconds.div_euclid(DAY)));
            prop_assert_eq!(weekday(seconds.div_euclid(DAY)), i64::from(date.weekday().to_monday_zero_offset()));
        }
    }

    #[test]
    fn days_that_are_none() {
        for (year, month, day) in [
            (2026, 2, 29),
            (1900, 2, 29),
            (2026, 4, 31),
            (2026, 13, 1),
            (2026, 0, 1),
            (2026, 1, 0),
            (0, 1, 1),
            (10_000, 1, 1),
        ] {
            assert_eq!(days(year, month, day), None, "{year}-{month}-{day}");
        }
    }
}
