//! Log lines as text: bytes as they came, cut and made readable for people, or decoded as Fail2Ban does.

use std::borrow::Cow;

/// Bytes of a line that are reported.
pub(super) const SHOWN: usize = 2_000;

/// A line without the `\r` that Windows puts at its end.
pub(super) fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// As text of at most `limit` bytes, cut between characters.
pub(super) fn lossy(bytes: &[u8], limit: usize) -> Cow<'_, str> {
    let mut end = bytes.len().min(limit);
    // Not inside a character: at most three of its bytes follow its first.
    while end < bytes.len() && end + 3 > limit && end > 0 && bytes[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    let shown = &bytes[..end];
    if let Ok(text) = std::str::from_utf8(shown) {
        return text.into();
    }
    let mut text = String::from_utf8_lossy(shown).into_owned();
    // U+FFFD is longer than what it stands for.
    let end = (0..=limit.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or(0));
    text.into()
}
