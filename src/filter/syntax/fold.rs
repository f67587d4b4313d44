//! Which letters are the same to Python's `(?i)` over text.
//!
//! Two characters are, when their lower cases are, or when they share an upper case (`s` and `ſ`): Unicode's simple
//! folding, and the two letters i of Turkish with the plain one. Measured on every character.

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

/// One letter to Python, three to Unicode.
const I: [char; 4] = ['I', 'i', '\u{130}', '\u{131}'];

/// Adds the other cases of each letter.
pub(super) fn without_case(set: &mut ClassUnicode) {
    set.case_fold_simple();
    let has = |char: &char| set.ranges().iter().any(|range| range.start() <= *char && *char <= range.end());
    if I.iter().any(has) {
        for char in I {
            set.push(ClassUnicodeRange::new(char, char));
        }
    }
}

/// Whether a back-reference that ignores case takes the one for the other.
pub(in crate::filter) fn same_letter(a: char, b: char) -> bool {
    a == b || lower(a) == lower(b)
}

/// The lower case, where that is one character.
fn lower(char: char) -> char {
    let mut lower = char.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(lower), None) => lower,
        _ if char == I[2] => 'i',
        _ => char,
    }
}
