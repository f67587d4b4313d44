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

/// Whether a text begins with another, mostly a short one: without a call for those up to 32 bytes.
pub(super) fn begins(text: &[u8], head: &[u8]) -> bool {
    let Some(text) = text.get(..head.len()) else { return false };
    match head.len() {
        0 => true,
        1..4 => {
            text[0] == head[0]
                && text[head.len() - 1] == head[head.len() - 1]
                && text[head.len() / 2] == head[head.len() / 2]
        }
        4..8 => are_ends_alike::<4>(text, head),
        8..16 => are_ends_alike::<8>(text, head),
        16..=32 => are_ends_alike::<16>(text, head),
        _ => text == head,
    }
}

/// Whether two texts are alike in so many bytes at both ends.
fn are_ends_alike<const N: usize>(one: &[u8], other: &[u8]) -> bool {
    one.first_chunk::<N>() == other.first_chunk::<N>() && one.last_chunk::<N>() == other.last_chunk::<N>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_of_any_length() {
        let text: Vec<u8> = (0..40).collect();
        for length in 0..=40 {
            assert!(begins(&text, &text[..length]), "{length}");
            assert!(
                !begins(&text[..length], &text[..=length.min(39)]) || length == 40,
                "{length} and one more"
            );
            for at in 0..length {
                let mut other = text[..length].to_vec();
                other[at] ^= 1;
                assert!(!begins(&text, &other), "{length}, another byte at {at}");
            }
        }
    }
}
