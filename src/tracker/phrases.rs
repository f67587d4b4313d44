//! Log lines, stored in a third to a half of their size.
//!
//! Lines of one log repeat most of their words, so a line is kept as copies from a small text of phrases and the bytes
//! that are new in it. The text only grows (up to [`ROOM`]): what was packed stays readable. Lines that nothing
//! repeats, such as an attacker's, fill it at worst; then lines are kept as they are.

/// The most that is ever learned.
const ROOM: usize = 16 * 1024;
/// Copies shorter than this do not pay.
const SHORTEST: usize = 5;
/// What one copy token holds at most.
const LONGEST: usize = SHORTEST + 0x7f;
/// What one run of new bytes holds at most.
const RUN: usize = 0x80;
/// Shorter lines are not learned.
const WORTH: usize = 16;
const PLACES: usize = 4096;
/// Copies from this place on are from the record's own text.
const OWN: u16 = 0x8000;
/// Of a record's own text so much is repeated at most.
const OWN_KNOWN: usize = u8::MAX as usize;

/// A record's own text, and where its words are.
#[derive(Debug, Clone)]
pub(super) struct Own {
    pub(super) text: Vec<u8>,
    /// By the hash of four bytes: where they stand in `text`, plus one; 0 for nowhere.
    places: [u8; 256],
    known: usize,
}

impl Default for Own {
    fn default() -> Self {
        Self { text: Vec::new(), places: [0; 256], known: 0 }
    }
}

impl Own {
    /// Nothing is known.
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.places.fill(0);
        self.known = 0;
    }

    /// Finds by now all of the text.
    fn learn(&mut self) {
        for start in self.known..self.text.len().min(OWN_KNOWN).saturating_sub(3) {
            self.places[place(&self.text[start..start + 4]) & 0xff] = start as u8 + 1;
            self.known = start + 1;
        }
    }

    fn find(&self, word: &[u8], rest: &[u8]) -> Option<(u16, usize)> {
        let start = self.places[place(word) & 0xff].checked_sub(1)?;
        longest(&self.text[usize::from(start)..], rest).map(|length| (OWN + u16::from(start), length))
    }
}

/// The text that lines are copied from, and where its words are.
#[derive(Debug, Clone, Default)]
pub(super) struct Phrases {
    text: Vec<u8>,
    /// By the hash of four bytes: where they stand in `text`, plus one; 0 for nowhere.
    places: Vec<u16>,
}

impl Phrases {
    /// Appends the packed form of `line` to `out`.
    pub(super) fn pack(&mut self, line: &[u8], own: &mut Own, out: &mut Vec<u8>) {
        own.learn();
        let before = out.len();
        let new = self.copy(line, own, out);
        if new > line.len() / 2 && line.len() >= WORTH && self.text.len() + line.len() <= ROOM {
            self.learn(line);
            out.truncate(before);
            self.copy(line, own, out);
        }
    }

    /// The line that was packed, with the record's own text as it was then or longer.
    pub(super) fn unpack(&self, mut packed: &[u8], own: &[u8]) -> String {
        let mut line = Vec::with_capacity(packed.len() * 3);
        while let Some((&token, rest)) = packed.split_first() {
            let length = usize::from(token & 0x7f);
            if token & 0x80 == 0 {
                let (run, rest) = rest.split_at(length + 1);
                line.extend_from_slice(run);
                packed = rest;
            } else {
                let start = u16::from_le_bytes([rest[0], rest[1]]);
                let (text, start) =
                    start.checked_sub(OWN).map_or((&self.text[..], start), |start| (own, start));
                line.extend_from_slice(&text[start.into()..usize::from(start) + length + SHORTEST]);
                packed = &rest[2..];
            }
        }
        String::from_utf8(line).unwrap_or_default()
    }

    /// A copy that what was packed so far can be read with.
    pub(super) fn readable(&self) -> Self {
        Self { text: self.text.clone(), places: Vec::new() }
    }

    /// Forgets everything; what was packed cannot be read any more.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Packs with what is known now; returns how many bytes were new.
    fn copy(&self, line: &[u8], own: &Own, out: &mut Vec<u8>) -> usize {
        let (mut at, mut fresh, mut new) = (0, 0, 0);
        while let Some(word) = line.get(at..at + 4) {
            let (shared, own) = (self.find(word, &line[at..]), own.find(word, &line[at..]));
            let length = |found: &Option<(u16, usize)>| found.map_or(0, |(_, length)| length);
            let Some((start, length)) = std::cmp::max_by_key(shared, own, length) else {
                at += 1;
                continue;
            };
            new += put_run(&line[fresh..at], out);
            out.push(0x80 | (length - SHORTEST) as u8);
            out.extend_from_slice(&start.to_le_bytes());
            at += length;
            fresh = at;
        }
        new + put_run(&line[fresh..], out)
    }

    /// The known text that `rest` begins with, where and how long.
    fn find(&self, word: &[u8], rest: &[u8]) -> Option<(u16, usize)> {
        let start = self.places.get(place(word))?.checked_sub(1)?;
        longest(&self.text[usize::from(start)..], rest).map(|length| (start, length))
    }

    fn learn(&mut self, line: &[u8]) {
        self.places.resize(PLACES, 0);
        let start = self.text.len();
        self.text.extend_from_slice(line);
        for (offset, word) in line.windows(4).enumerate() {
            self.places[place(word)] = (start + offset + 1) as u16;
        }
    }
}

/// How much of a known text may be copied.
fn longest(known: &[u8], rest: &[u8]) -> Option<usize> {
    let length = alike(known, rest).min(LONGEST);
    (length >= SHORTEST).then_some(length)
}

/// How many bytes two texts begin with alike.
fn alike(a: &[u8], b: &[u8]) -> usize {
    let (words, more) = (a.as_chunks::<8>().0.iter(), b.as_chunks::<8>().0);
    let mut same = 0;
    for (a, b) in words.zip(more) {
        let differ = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if differ != 0 {
            return same + differ.trailing_zeros() as usize / 8;
        }
        same += 8;
    }
    same + a[same..].iter().zip(&b[same..]).take_while(|(a, b)| a == b).count()
}

fn put_run(bytes: &[u8], out: &mut Vec<u8>) -> usize {
    for run in bytes.chunks(RUN) {
        out.push((run.len() - 1) as u8);
        out.extend_from_slice(run);
    }
    bytes.len()
}

/// In which of the [`PLACES`] four bytes belong. An attacker who makes them collide only makes his lines longer.
fn place(word: &[u8]) -> usize {
    let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
    (word.wrapping_mul(0x9e37_79b1) >> 20) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_of_one_log_take_less_than_half() {
        let mut phrases = Phrases::default();
        let mut out = Vec::new();
        let line = |n: u32| {
            format!(
                "2026-11-23T02:{:02}:01.5+00:00 mx sshd[{n}]: Failed password for root from 192.0.2.{} port {n} ssh2",
                n % 60,
                n % 256
            )
        };
        phrases.pack(line(1000).as_bytes(), &mut Own::default(), &mut out);
        let (mut plain, mut packed) = (0, 0);
        for n in 1001..2000 {
            out.clear();
            phrases.pack(line(n).as_bytes(), &mut Own::default(), &mut out);
            assert_eq!(phrases.unpack(&out, &[]), line(n));
            plain += line(n).len();
            packed += out.len();
        }
        assert!(packed * 2 < plain, "{packed} of {plain} bytes");
    }

    #[test]
    fn what_nothing_repeats_costs_little_and_fills_no_memory() {
        let mut phrases = Phrases::default();
        let mut state = 1_u64;
        for _ in 0..1000 {
            let noise: String = std::iter::repeat_with(|| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                char::from(b' ' + (state >> 58) as u8)
            })
            .take(200)
            .collect();
            let mut out = Vec::new();
            phrases.pack(noise.as_bytes(), &mut Own::default(), &mut out);
            assert_eq!(phrases.unpack(&out, &[]), noise);
            assert!(out.len() <= noise.len() + 2, "{} bytes", out.len());
        }
        assert!(phrases.text.len() <= ROOM);
    }

    proptest! {
        #[test]
        fn every_line_comes_back(
            lines in proptest::collection::vec("[ab]{0,40}|.{0,300}|(from |port ){0,80}", 0..40),
            texts in proptest::collection::vec("[ab]{0,40}|.{0,300}|(from |port ){0,80}", 0..40),
        ) {
            let (mut phrases, mut own) = (Phrases::default(), Own::default());
            let texts = texts.into_iter().chain(std::iter::repeat(String::new()));
            let packed: Vec<_> = lines.iter().zip(texts).map(|(line, text)| {
                let mut out = Vec::new();
                own.text.extend_from_slice(text.as_bytes());
                phrases.pack(line.as_bytes(), &mut own, &mut out);
                out
            }).collect();
            for (line, packed) in lines.iter().zip(&packed) {
                prop_assert_eq!(&phrases.unpack(packed, &own.text), line);
            }
        }
    }
}
