//! Texts as Python writes them into a pickle.
//!
//! Pure. What stands for a byte that was no text (a lone surrogate) is read as `U+FFFD`.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::PickleError;

const NO_TEXT: PickleError = PickleError::Malformed("text");

/// UTF-8, in which Python may have lone surrogates.
pub(super) fn utf8(mut bytes: &[u8]) -> Result<Cow<'_, str>, PickleError> {
    let mut text = String::new();
    loop {
        let good = match std::str::from_utf8(bytes) {
            Ok(rest) if text.is_empty() => return Ok(Cow::Borrowed(rest)),
            Ok(rest) => return Ok(Cow::Owned(text + rest)),
            Err(error) => error.valid_up_to(),
        };
        text.push_str(std::str::from_utf8(&bytes[..good]).map_err(|_| NO_TEXT)?);
        let [0xed, 0xa0..=0xbf, 0x80..=0xbf, rest @ ..] = &bytes[good..] else { return Err(NO_TEXT) };
        text.push(char::REPLACEMENT_CHARACTER);
        bytes = rest;
    }
}

/// The old form: a byte is a character, and `\u` and `\U` are followed by one in hexadecimal digits.
pub(super) fn escaped(line: &[u8]) -> Result<String, PickleError> {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'\\' {
            text.push(char::from(*first));
            continue;
        }
        let (digits, after) = match rest {
            [b'u', after @ ..] => after.split_at_checked(4).ok_or(NO_TEXT)?,
            [b'U', after @ ..] => after.split_at_checked(8).ok_or(NO_TEXT)?,
            [second, after @ ..] => {
                text.extend(['\\', char::from(*second)]);
                rest = after;
                continue;
            }
            [] => (&b"5c"[..], rest),
        };
        rest = after;
        let digits = std::str::from_utf8(digits).map_err(|_| NO_TEXT)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(NO_TEXT);
        }
        let code = u32::from_str_radix(digits, 16).map_err(|_| NO_TEXT)?;
        text.push(match char::from_u32(code) {
            Some(char) => char,
            None if code < 0x1_0000 => char::REPLACEMENT_CHARACTER,
            None => return Err(NO_TEXT),
        });
    }
    Ok(text)
}

/// A text in the old form, without a `<` of its own.
pub(super) fn escape(text: &str) -> String {
    let mut line = String::with_capacity(text.len() + 16);
    for char in text.chars() {
        let code = u32::from(char);
        _ = match char {
            '\\' | '<' | '\x00'..'\x20' => write!(line, "\\u{code:04x}"),
            '\x20'..'\x7f' => line.write_char(char),
            _ if code < 0x1_0000 => write!(line, "\\u{code:04x}"),
            _ => write!(line, "\\U{code:08x}"),
        };
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lone_surrogates_are_replaced_and_nothing_else() {
        for (bytes, want) in [
            (&b"plain"[..], Some("plain")),
            (b"a\xed\xb3\xbfb", Some("a\u{fffd}b")),
            ("é\u{10ffff}".as_bytes(), Some("é\u{10ffff}")),
            (b"a\xff", None),
            (b"\xed\xb3", None),
        ] {
            assert_eq!(utf8(bytes).ok().as_deref(), want, "{bytes:?}");
        }
    }

    #[test]
    fn the_old_form() {
        for (line, want) in [
            (r"a\u0041\U0001f600", Some("aA\u{1f600}")),
            (r"\\u0041", Some(r"\\u0041")),
            (r"\n", Some(r"\n")),
            ("\\", Some("\\")),
            (r"\ud800", Some("\u{fffd}")),
            (r"\u00", None),
            (r"\u+041", None),
            (r"\Uffffffff", None),
        ] {
            assert_eq!(escaped(line.as_bytes()).ok().as_deref(), want, "{line}");
        }
        assert_eq!(escaped(b"\xe9").unwrap(), "é");
        for text in ["", "a<b>\\u0041\n", "é\u{10ffff}\u{7f}"] {
            let line = escape(text);
            assert!(line.is_ascii() && !line.contains(['<', '\n']), "{line}");
            assert_eq!(escaped(line.as_bytes()).unwrap(), text);
        }
    }
}
