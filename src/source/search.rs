//! Finds the first line that is young enough, by bisection over its dates.

use std::fs::File;
use std::io;

use super::head::fill;
use crate::time::UnixTime;

/// How many bytes are looked through for a dated line; longer runs without a date count as young.
const WINDOW: usize = 64 * 1024;
/// Below this many bytes lines are looked at one by one.
const NEAR: u64 = 16 * 1024;

/// Reads the date of a line.
pub(super) type DateOf<'a> = &'a dyn Fn(&[u8]) -> Option<UnixTime>;

/// The start of a line before which all dated lines are older than `oldest`; 0 where nothing has a date.
///
/// Lines are taken to be in the order of their dates. Errs towards the beginning.
pub(super) fn first_young(file: &File, size: u64, oldest: UnixTime, date: DateOf) -> io::Result<u64> {
    let mut window = vec![0; WINDOW];
    // Everything before `low`, the start of a line, is too old; what is behind `high` is not.
    let (mut low, mut high) = (0, size);
    while high.saturating_sub(low) > NEAR {
        let middle = low + (high - low) / 2;
        let read = fill(file, &mut window, middle)?;
        let lines = &window[..read];
        let start = memchr::memchr(b'\n', lines).map_or(read, |end| end + 1);
        match dated(&lines[start..], date).next() {
            Some((time, end)) if time < oldest => low = middle + (start + end) as u64,
            _ => high = middle,
        }
    }
    let read = fill(file, &mut window, low)?;
    let old = dated(&window[..read], date).take_while(|(time, _)| *time < oldest).last();
    Ok(low + old.map_or(0, |(_, end)| end as u64))
}

/// The dated ones among the whole lines: their dates and ends.
fn dated<'a>(lines: &'a [u8], date: DateOf<'a>) -> impl Iterator<Item = (UnixTime, usize)> + 'a {
    let mut start = 0;
    memchr::memchr_iter(b'\n', lines).filter_map(move |end| {
        let line = &lines[std::mem::replace(&mut start, end + 1)..end];
        Some((date(line.strip_suffix(b"\r").unwrap_or(line))?, end + 1))
    })
}

/// The start of the last, unfinished line; `size` where none of the last bytes ends a line.
pub(super) fn last_line(file: &File, size: u64) -> io::Result<u64> {
    let mut window = vec![0; WINDOW];
    let from = size.saturating_sub(WINDOW as u64);
    let read = fill(file, &mut window, from)?;
    Ok(match memchr::memrchr(b'\n', &window[..read]) {
        Some(end) => from + end as u64 + 1,
        None if from == 0 => 0,
        None => size,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `12 text` was written in second 12.
    fn date(line: &[u8]) -> Option<UnixTime> {
        std::str::from_utf8(line).ok()?.split(' ').next()?.parse().ok().map(UnixTime::from_secs)
    }

    #[test]
    fn the_first_young_line_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let plain = (0..20_000).map(|second| format!("{second} some text\n")).collect::<Vec<_>>().concat();
        let trace = |second: usize| format!("{second} oops\n{}", "  at a place\n".repeat(second % 40));
        let traced = (0..2_000).map(trace).collect::<Vec<_>>().concat();
        let undated = "nothing\n".repeat(30_000);
        let gap = format!("1 a\n2 b\n{}3 c\n4 d\n", "  at a place\n".repeat(9_000));
        for (name, text, oldest, expected) in [
            ("empty", "", 5, ""),
            ("all young", &*plain, -1, "0 some text"),
            ("first", &plain, 0, "0 some text"),
            ("second", &plain, 1, "1 some text"),
            ("middle", &plain, 9_999, "9999 some text"),
            ("last", &plain, 19_999, "19999 some text"),
            ("all old", &plain, 20_000, ""),
            ("among undated lines", &traced, 1_234, "  at a place"),
            ("no dates", &undated, 5, "nothing"),
            ("young behind a long undated run", &gap, 3, "  at a place"),
            ("small", "1 a\n1 b\n3 c\n4", 2, "3 c"),
            ("unfinished", "1 a", 2, "1 a"),
        ] {
            std::fs::write(&path, text).unwrap();
            let file = File::open(&path).unwrap();
            let at =
                first_young(&file, text.len() as u64, UnixTime::from_secs(oldest), &date).unwrap() as usize;
            let got = text[at..].lines().next().unwrap_or_default();
            assert_eq!(got, expected, "{name}");
            let skipped = text[..at].lines().filter_map(|line| date(line.as_bytes()));
            assert_eq!(skipped.filter(|time| time.secs() >= oldest).count(), 0, "{name}");
            assert!(at == 0 || text.as_bytes()[at - 1] == b'\n', "{name}: a line starts at {at}");
        }
    }

    #[test]
    fn the_last_line_starts_behind_the_last_line_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        for (text, expected) in [("", 0), ("a", 0), ("a\n", 2), ("a\nbc", 2), ("a\r\nb\nc", 5)] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(
                last_line(&File::open(&path).unwrap(), text.len() as u64).unwrap(),
                expected,
                "{text:?}"
            );
        }
        let long = vec![b'x'; 3 * WINDOW];
        std::fs::write(&path, &long).unwrap();
        assert_eq!(last_line(&File::open(&path).unwrap(), long.len() as u64).unwrap(), long.len() as u64);
    }
}
