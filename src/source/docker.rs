//! Docker's `json-file` logs: the `log` field is the line, `time` its moment.
//!
//! Pure. Docker cuts long lines into pieces without a line end; pieces of one stream are joined, as far as a line can be
//! long. What is no such entry passes as it is: a file may be no container's after all.

use serde::{Deserialize, Serialize};

use super::LINE_CAP;
use crate::time::UnixTime;

/// Streams whose unfinished lines are kept; a container has two.
const STREAMS_CAP: usize = 4;
/// What one escaped byte takes at most, `\u0001`, and half of it again for a pair.
const ESCAPE: usize = 12;

/// The start of a line whose end was not written yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// `stdout` or `stderr`.
    stream: String,
    text: String,
}

/// What is decoded of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Docker {
    pub(super) unfinished: Vec<Unfinished>,
    /// The moment of the last entry that has one.
    last: Option<UnixTime>,
}

#[derive(Deserialize)]
struct Entry {
    log: String,
    #[serde(default)]
    stream: String,
    #[serde(default)]
    time: String,
}

/// The lines of a block, with their moments.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Decoded {
    pub(super) text: Vec<u8>,
    pub(super) times: Vec<UnixTime>,
    pub(super) cut: u32,
}

impl Docker {
    pub(super) fn new(unfinished: Vec<Unfinished>) -> Self {
        Self { unfinished, last: None }
    }

    /// Decodes whole lines of the file; what has no moment of its own has that of the entry before, else `now`.
    pub(super) fn decode(&mut self, text: &[u8], now: UnixTime) -> Decoded {
        let mut decoded = Decoded { text: Vec::with_capacity(text.len() / 2), ..Decoded::default() };
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            match read(line) {
                Some(entry) => self.entry(entry, &mut decoded, now),
                None => decoded.push(line, self.last.unwrap_or(now)),
            }
        }
        decoded
    }

    fn entry(&mut self, entry: Entry, decoded: &mut Decoded, now: UnixTime) {
        self.last = moment(&entry.time).or(self.last);
        let known = self.unfinished.iter().position(|line| line.stream == entry.stream);
        let Some(end) = entry.log.strip_suffix('\n') else {
            match known {
                Some(at) => append(&mut self.unfinished[at].text, &entry.log),
                None if self.unfinished.len() < STREAMS_CAP => {
                    self.unfinished.push(Unfinished { stream: entry.stream, text: entry.log });
                }
                None => decoded.push(entry.log.as_bytes(), self.last.unwrap_or(now)),
            }
            return;
        };
        let time = self.last.unwrap_or(now);
        match known {
            Some(at) => {
                let mut start = self.unfinished.swap_remove(at).text;
                append(&mut start, end);
                decoded.push(start.as_bytes(), time);
            }
            None => decoded.push(end.as_bytes(), time),
        }
    }
}

impl Decoded {
    fn push(&mut self, line: &[u8], time: UnixTime) {
        let start = self.text.len();
        for (number, part) in line.split(|byte| *byte == b'\n').enumerate() {
            // One entry is one line.
            self.text.extend_from_slice(if number == 0 { b"" } else { b"\\n" });
            self.text.extend_from_slice(part);
        }
        self.cut += u32::from(self.text.len() - start > LINE_CAP);
        self.text.truncate(start + LINE_CAP);
        self.text.push(b'\n');
        self.times.push(time);
    }
}

/// The moment of a line, if it is an entry with one.
pub(super) fn time_of(line: &[u8]) -> Option<UnixTime> {
    moment(&read(line)?.time)
}

/// Appends to a line that may be too long already; one byte more than it may have shows that it is cut.
fn append(text: &mut String, more: &str) {
    let room = (LINE_CAP + 1).saturating_sub(text.len());
    let end = (0..=room.min(more.len())).rev().find(|end| more.is_char_boundary(*end)).unwrap_or(0);
    text.push_str(&more[..end]);
}

/// Reads an entry; of one that was cut, because it is longer than a line can be, what there is of its `log`.
fn read(line: &[u8]) -> Option<Entry> {
    if !line.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    if let Ok(entry) = serde_json::from_slice(line) {
        return Some(entry);
    }
    let is_cut = line.len() >= LINE_CAP && line.starts_with(b"{\"log\":\"");
    let ends = (line.len().saturating_sub(ESCAPE)..=line.len()).rev();
    let whole = |end: usize| {
        let backslashes = line[..end].iter().rev().take_while(|byte| **byte == b'\\').count();
        if backslashes % 2 == 1 {
            return None; // half an escape
        }
        let mut entry: Entry = serde_json::from_slice(&[&line[..end], b"\\n\"}"].concat()).ok()?;
        // It is whole as it stands: the rest of it is thrown away.
        "cut".clone_into(&mut entry.stream);
        Some(entry)
    };
    if is_cut { ends.into_iter().find_map(whole) } else { None }
}

fn moment(text: &str) -> Option<UnixTime> {
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(UnixTime::from_micros(time.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(log: &str, stream: &str, second: u32) -> String {
        let log = serde_json::to_string(log).unwrap();
        format!("{{\"log\":{log},\"stream\":\"{stream}\",\"time\":\"1970-01-01T00:00:{second:02}.5Z\"}}\n")
    }

    fn shown(decoded: &Decoded) -> Vec<String> {
        let text = String::from_utf8_lossy(&decoded.text);
        let lines = text.lines().zip(&decoded.times);
        lines.map(|(line, time)| format!("{} {line}", time.micros() / 100_000)).collect()
    }

    const NOW: UnixTime = UnixTime::from_secs(100);

    #[test]
    fn entries_are_lines() {
        let mut docker = Docker::default();
        let text = [
            "plain before\n".to_owned(),
            entry("GET /\t\"x\" é\r\n", "stdout", 1),
            entry("forged\ninside\n", "stdout", 2),
            "no entry {\n{\"log\": 7}\n".to_owned(),
            "{\"log\":\"no time\\n\"}\n".to_owned(),
        ];
        let decoded = docker.decode(text.concat().as_bytes(), NOW);
        let expected = [
            "1000 plain before",
            "15 GET /\t\"x\" é",
            "25 forged\\ninside",
            "25 no entry {",
            "25 {\"log\": 7}",
            "25 no time",
        ];
        assert_eq!(shown(&decoded), expected);
        assert_eq!(docker, Docker { last: docker.last, ..Docker::default() });
    }

    #[test]
    fn pieces_are_joined_by_stream_and_over_blocks_and_restarts() {
        let mut docker = Docker::default();
        let text = [entry("one ", "stdout", 1), entry("err ", "stderr", 2), entry("two ", "stdout", 3)];
        assert_eq!(docker.decode(text.concat().as_bytes(), NOW), Decoded::default());
        let saved = serde_json::to_string(&docker.unfinished).unwrap();
        let mut docker = Docker::new(serde_json::from_str(&saved).unwrap());
        let text = [entry("whole\n", "other", 4), entry("end\n", "stderr", 5), entry("three\n", "stdout", 6)];
        let decoded = docker.decode(text.concat().as_bytes(), NOW);
        assert_eq!(shown(&decoded), ["45 whole", "55 err end", "65 one two three"]);
        assert!(docker.unfinished.is_empty());
    }

    #[test]
    fn what_is_too_long_is_cut_and_never_lost() {
        let mut docker = Docker::default();
        for second in 0..10 {
            docker.decode(entry(&"x".repeat(16_384), "stdout", second).as_bytes(), NOW);
        }
        let decoded = docker.decode(entry("end\n", "stdout", 11).as_bytes(), NOW);
        assert_eq!((decoded.text.len(), decoded.cut, decoded.times.len()), (LINE_CAP + 1, 1, 1));

        // An entry of control characters is longer than a line; the source has cut it.
        let long = entry(&format!("Failed password{}\n", "\u{1}".repeat(16_000)), "stdout", 12);
        for cut in 0..20 {
            let decoded = docker.decode(&[&long.as_bytes()[..LINE_CAP - cut + 19], b"\n"].concat(), NOW);
            assert!(decoded.text.starts_with(b"Failed password\x01"), "{cut}");
            assert_eq!((decoded.times.len(), docker.unfinished.len()), (1, 0), "{cut}");
        }
        for number in 0..10 {
            docker.decode(entry("x", &format!("stream {number}"), 1).as_bytes(), NOW);
        }
        assert_eq!(docker.unfinished.len(), STREAMS_CAP);
    }
}
