//! Sets of characters, as Python's `str` sees them.

use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

use super::{ByteSet, Node};

/// Ranges of characters, ascending.
type Runs = [(char, char)];

/// A set of characters with some beyond ASCII.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::filter) struct Chars {
    ascii: ByteSet,
    /// Runs of those beyond ASCII, ascending.
    wide: Arc<Runs>,
    /// Whether it has all that are beyond ASCII.
    full: bool,
}

/// Everything beyond ASCII.
const BEYOND: [(char, char); 1] = [('\u{80}', char::MAX)];

impl Chars {
    /// The node for a set: bytes where it has nothing beyond ASCII.
    pub(super) fn node(set: &ClassUnicode) -> Node {
        let mut ascii = ByteSet::default();
        let mut wide = Vec::new();
        for range in set.ranges() {
            if range.start().is_ascii() {
                ascii.insert_range(range.start() as u8, range.end().min('\x7f') as u8);
            }
            if !range.end().is_ascii() {
                wide.push((range.start().max('\u{80}'), range.end()));
            }
        }
        if wide.is_empty() {
            return Node::Class(ascii);
        }
        let full = wide == BEYOND;
        Node::Chars(Arc::new(Self { ascii, wide: shared(wide), full }))
    }

    pub(in crate::filter) fn ascii(&self) -> ByteSet {
        self.ascii
    }

    /// Whether it has all that are beyond ASCII.
    pub(in crate::filter) fn is_full(&self) -> bool {
        self.full
    }

    /// Bytes of its shortest character.
    pub(in crate::filter) fn shortest(&self) -> usize {
        if self.ascii.is_empty() { self.wide.first().map_or(1, |range| range.0.len_utf8()) } else { 1 }
    }

    /// What its characters can begin with.
    pub(in crate::filter) fn first(&self) -> ByteSet {
        self.ascii.union(ByteSet::LEAD)
    }

    /// How many bytes the character at `at` takes, when it is one of the set. The text is UTF-8.
    pub(in crate::filter) fn take(&self, text: &[u8], at: usize) -> Option<usize> {
        let byte = *text.get(at)?;
        if byte.is_ascii() {
            return self.ascii.contains(byte).then_some(1);
        }
        let length = length(byte);
        if self.full {
            return Some(length);
        }
        let char = decode(text.get(at..at + length)?);
        let place = self.wide.partition_point(|(_, last)| *last < char);
        self.wide.get(place).is_some_and(|(first, _)| *first <= char).then_some(length)
    }
}

/// The same runs once: most patterns have `\w` and `\d`, which Python takes to be hundreds of runs long.
fn shared(runs: Vec<(char, char)>) -> Arc<Runs> {
    static KNOWN: Mutex<Vec<Weak<Runs>>> = Mutex::new(Vec::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.retain(|runs| runs.strong_count() > 0);
    if let Some(same) = known.iter().filter_map(Weak::upgrade).find(|known| **known == *runs) {
        return same;
    }
    let runs: Arc<Runs> = runs.into();
    known.push(Arc::downgrade(&runs));
    runs
}

impl std::fmt::Debug for Chars {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.ascii)?;
        self.wide
            .iter()
            .try_for_each(|(first, last)| write!(f, "{}-{}", first.escape_unicode(), last.escape_unicode()))
    }
}

/// Bytes of the character that begins with this one.
const fn length(first: u8) -> usize {
    match first {
        0..0xe0 => 2,
        0xe0..0xf0 => 3,
        _ => 4,
    }
}

/// The character of some bytes of UTF-8.
fn decode(bytes: &[u8]) -> char {
    std::str::from_utf8(bytes).ok().and_then(|text| text.chars().next()).unwrap_or('\u{fffd}')
}

/// The character that begins at `at`.
pub(in crate::filter) fn char_at(text: &[u8], at: usize) -> Option<char> {
    let byte = *text.get(at)?;
    if byte.is_ascii() { Some(byte as char) } else { text.get(at..at + length(byte)).map(decode) }
}

/// Whether the character that begins at `at` is one of a word.
pub(in crate::filter) fn is_word(text: &[u8], at: usize) -> bool {
    char_at(text, at).is_some_and(|char| {
        if char.is_ascii() { ByteSet::WORD.contains(char as u8) } else { has(&WORD, char) }
    })
}

fn has(set: &ClassUnicode, char: char) -> bool {
    let place = set.ranges().partition_point(|range| range.end() < char);
    set.ranges().get(place).is_some_and(|range| range.start() <= char)
}

/// Python's `\d`: what has a decimal value.
pub(super) static DIGIT: LazyLock<ClassUnicode> = LazyLock::new(|| property(r"\p{Nd}"));
/// Python's `\w`: `str.isalnum` and the low line. Unlike Unicode's own, without marks and joiners.
pub(super) static WORD: LazyLock<ClassUnicode> = LazyLock::new(|| property(r"[\p{L}\p{N}_]"));
/// Python's `\s`: `str.isspace`.
pub(super) static SPACE: LazyLock<ClassUnicode> =
    LazyLock::new(|| property(r"[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"));

fn property(text: &str) -> ClassUnicode {
    let hir = regex_syntax::parse(text).map(regex_syntax::hir::Hir::into_kind);
    match hir {
        Ok(HirKind::Class(Class::Unicode(set))) => set,
        _ => ClassUnicode::empty(),
    }
}

/// A set of ASCII as one of characters.
pub(super) fn of_ascii(set: ByteSet) -> ClassUnicode {
    let ascii = set.ranges().into_iter().filter(|(first, _)| first.is_ascii());
    let ranges = ascii.map(|(first, last)| ClassUnicodeRange::new(first as char, last.min(0x7f) as char));
    ClassUnicode::new(ranges)
}
