//! Python's ideas of blanks and small letters; of quoted text: [`repr`].
//!
//! Pure.

pub(super) use crate::filter::repr;

/// `str.isspace` of one character: Unicode's blanks and the four separators of ASCII.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// `str.strip`.
pub(super) fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// `str.rstrip`.
pub(super) fn strip_end(text: &str) -> &str {
    text.trim_end_matches(is_space)
}

/// `str.lower`.
pub(super) fn lower(text: &str) -> String {
    text.to_lowercase()
}
