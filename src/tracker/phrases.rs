//! Log lines, stored in a quarter to a half of their size.
//!
//! Lines of one log repeat most of their words, so a line is kept as copies from a small text of phrases and the bytes
//! that are new in it. The text only grows (up to [`ROOM`]), and so does the list of copies that are often made: what was
//! packed stays readable. Lines that nothing repeats, such as an attacker's, fill both at worst; then lines are kept as
//! they are.

use std::ops::Range;

/// The most that is ever learned.
const ROOM: usize = 16 * 1024;
/// Shorter lines are not learned; `invalid user ` is.
const WORTH: usize = 12;
const PLACES: usize = 4096;
const MADE: usize = 256;
/// Of a record's own text so much is repeated at most.
const OWN_KNOWN: usize = u8::MAX as usize;

// Tokens. Below the first of these: so many new bytes follow, and one more.
/// From here on: a number follows, in so many bytes and one more.
const NUMBER: u8 = 0x3c;
/// So much is copied from the record's own text; where it begins follows.
const OWN: u8 = 0x40;
/// So much is copied from the phrases; where it begins follows, in two bytes.
const SHARED: u8 = 0x80;
/// The copy from the phrases that has this number among those that are often made.
const OFTEN: u8 = 0xc0;
/// So many numbers has each of the last three.
const NUMBERS: usize = 0x40;

/// Shorter copies do not pay.
const SHORTEST_OWN: usize = 4;
const SHORTEST: usize = 5;
/// From so many digits on a number is never longer than they are.
const DIGITS: Range<usize> = 5..11;
/// A copy that was made so often is made often.
const TIMES: u8 = 4;

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
        if self.known > 0 {
            self.places.fill(0);
            self.known = 0;
        }
    }

    /// Finds by now all of the text.
    fn learn(&mut self) {
        let text = &self.text[..self.text.len().min(OWN_KNOWN)];
        while let Some(&word) = text[self.known..].first_chunk() {
            self.places[place(word) & 0xff] = self.known as u8 + 1;
            self.known += 1;
        }
    }
}

/// A piece of text that is known.
#[derive(Clone, Copy)]
struct Copy {
    from: From,
    length: usize,
}

/// Where it begins.
#[derive(Clone, Copy)]
enum From {
    Own(u8),
    Shared(u16),
}

/// The text that lines are copied from, and where its words are.
#[derive(Debug, Clone, Default)]
pub(super) struct Phrases {
    text: Vec<u8>,
    /// By the hash of four bytes: where they stand in `text`, plus one; 0 for nowhere.
    places: Vec<u16>,
    /// Copies that are often made: where they begin, and their length.
    often: Vec<(u16, u8)>,
    /// By their hash: copies that were made.
    made: Vec<Made>,
}

/// A copy that was made.
#[derive(Debug, Clone, Copy, Default)]
struct Made {
    start: u16,
    length: u8,
    /// How often; [`TIMES`]: it is often made.
    times: u8,
    /// Then its place among those.
    place: u8,
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
            let number = usize::from(token & 0x3f);
            let (known, taken) = match token {
                ..NUMBER => (&rest[..=number], number + 1),
                NUMBER..OWN => {
                    let (mut value, size) = ([0; 4], usize::from(token - NUMBER) + 1);
                    value[..size].copy_from_slice(&rest[..size]);
                    put_digits(u32::from_le_bytes(value), &mut line);
                    (&[][..], size)
                }
                OWN..SHARED => (&own[usize::from(rest[0])..][..number + SHORTEST_OWN], 1),
                SHARED..OFTEN => {
                    let start = u16::from_le_bytes([rest[0], rest[1]]);
                    (&self.text[usize::from(start)..][..number + SHORTEST], 2)
                }
                OFTEN.. => {
                    let (start, length) = self.often[number];
                    (&self.text[usize::from(start)..][..usize::from(length)], 0)
                }
            };
            line.extend_from_slice(known);
            packed = &rest[taken..];
        }
        String::from_utf8(line).unwrap_or_default()
    }

    /// A copy that what was packed so far can be read with.
    pub(super) fn readable(&self) -> Self {
        let (text, often) = (self.text.clone(), self.often.clone());
        Self { text, often, ..Self::default() }
    }

    /// Forgets everything; what was packed cannot be read any more.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Packs with what is known now; returns how many bytes were new.
    fn copy(&mut self, line: &[u8], own: &Own, out: &mut Vec<u8>) -> usize {
        let (mut at, mut fresh, mut new) = (0, 0, 0);
        while let Some(&word) = line[at..].first_chunk() {
            let Some(copy) = self.find(word, &line[at..], own) else {
                at += 1;
                continue;
            };
            if fresh < at {
                new += put_new(&line[fresh..at], out);
            }
            self.put_copy(copy, out);
            at += copy.length;
            fresh = at;
        }
        new + put_new(&line[fresh..], out)
    }

    /// The longest known text that `rest`, which begins with `word`, begins with.
    fn find(&self, word: [u8; 4], rest: &[u8], own: &Own) -> Option<Copy> {
        let place = place(word);
        let shared = self.places.get(place).and_then(|start| start.checked_sub(1));
        let ours = own.places[place & 0xff].checked_sub(1);
        if shared.is_none() && ours.is_none() {
            return None;
        }
        let in_shared =
            shared.map_or(0, |start| alike(&self.text[usize::from(start)..], rest, SHORTEST + NUMBERS - 1));
        let in_own =
            ours.map_or(0, |start| alike(&own.text[usize::from(start)..], rest, SHORTEST_OWN + NUMBERS - 1));
        if in_shared >= SHORTEST && in_shared > in_own {
            Some(Copy { from: From::Shared(shared?), length: in_shared })
        } else {
            (in_own >= SHORTEST_OWN).then_some(Copy { from: From::Own(ours?), length: in_own })
        }
    }

    fn put_copy(&mut self, Copy { from, length }: Copy, out: &mut Vec<u8>) {
        match from {
            From::Own(start) => out.extend([OWN + (length - SHORTEST_OWN) as u8, start]),
            From::Shared(start) => {
                if let Some(place) = self.count(start, length as u8) {
                    out.push(OFTEN + place);
                } else {
                    let [low, high] = start.to_le_bytes();
                    out.extend([SHARED + (length - SHORTEST) as u8, low, high]);
                }
            }
        }
    }

    /// Counts a copy, which may be one that is often made from now on; its place among those if it is one already. Where
    /// another with its hash is, it never becomes one.
    fn count(&mut self, start: u16, length: u8) -> Option<u8> {
        let made = &mut self.made[(usize::from(start) * 31 + usize::from(length)) % MADE];
        let is_it = (made.start, made.length) == (start, length);
        if made.times == TIMES {
            return is_it.then_some(made.place);
        }
        if !is_it {
            *made = Made { start, length, ..Made::default() };
        }
        if made.times + 1 < TIMES {
            made.times += 1;
        } else if self.often.len() < NUMBERS {
            (made.times, made.place) = (TIMES, self.often.len() as u8);
            self.often.push((start, length));
        }
        None
    }

    fn learn(&mut self, line: &[u8]) {
        self.places.resize(PLACES, 0);
        self.made.resize(MADE, Made::default());
        let start = self.text.len();
        self.text.extend_from_slice(line);
        let mut offset = 0;
        while let Some(&word) = line[offset..].first_chunk() {
            self.places[place(word)] = (start + offset + 1) as u16;
            offset += 1;
        }
    }
}

/// How many bytes two texts begin with alike, at most so many.
#[inline]
fn alike(a: &[u8], b: &[u8], most: usize) -> usize {
    let mut same = 0;
    while let (Some(a), Some(b)) = (a[same..].first_chunk(), b[same..].first_chunk()) {
        let differ = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if differ != 0 {
            return most.min(same + differ.trailing_zeros() as usize / 8);
        }
        same += 8;
    }
    while same < a.len().min(b.len()) && a[same] == b[same] {
        same += 1;
    }
    most.min(same)
}

/// Puts bytes that are nowhere known; how many.
fn put_new(bytes: &[u8], out: &mut Vec<u8>) -> usize {
    let (mut at, mut fresh) = (0, 0);
    while at + DIGITS.start <= bytes.len() {
        let digits = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits >= DIGITS.start
            && let Some(number) = number(&bytes[at..at + digits])
        {
            put_run(&bytes[fresh..at], out);
            let size = 4 - number.leading_zeros() as usize / 8;
            out.push(NUMBER + size as u8 - 1);
            out.extend_from_slice(&number.to_le_bytes()[..size]);
            fresh = at + digits;
        }
        at += digits + 1;
    }
    put_run(&bytes[fresh..], out);
    bytes.len()
}

fn put_digits(mut number: u32, out: &mut Vec<u8>) {
    let (mut digits, mut at) = ([0; 10], 10);
    while number > 0 {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.extend_from_slice(&digits[at..]);
}

/// The number that exactly these digits spell; never zero.
fn number(digits: &[u8]) -> Option<u32> {
    if !DIGITS.contains(&digits.len()) || digits[0] == b'0' {
        return None;
    }
    digits.iter().try_fold(0_u32, |sum, digit| sum.checked_mul(10)?.checked_add(u32::from(digit - b'0')))
}

fn put_run(mut bytes: &[u8], out: &mut Vec<u8>) {
    while !bytes.is_empty() {
        let (run, rest) = bytes.split_at(bytes.len().min(NUMBER.into()));
        out.push((run.len() - 1) as u8);
        out.extend_from_slice(run);
        bytes = rest;
    }
}

/// In which of the [`PLACES`] four bytes belong. An attacker who makes them collide only makes his lines longer.
fn place(word: [u8; 4]) -> usize {
    (u32::from_le_bytes(word).wrapping_mul(0x9e37_79b1) >> 20) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_of_one_log_take_less_than_a_third() {
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
        assert!(packed * 3 < plain, "{packed} of {plain} bytes");
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
            assert!(out.len() <= noise.len() + 4, "{} bytes", out.len());
        }
        assert!(phrases.text.len() <= ROOM);
    }

    proptest! {
        #[test]
        fn every_line_comes_back(
            lines in proptest::collection::vec("[ab]{0,40}|.{0,300}|(from |port ){0,80}|([0-9]{0,12} ){0,9}", 0..40),
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
