//! Bytes of a log → text, by the encodings that Python has names for.
//!
//! Pure.

use std::borrow::Cow;

/// How a log is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Utf8,
    Ascii,
    Latin1,
    /// Latin 1 with the euro sign.
    Latin9,
    /// Latin 1 as Windows has it.
    Windows1252,
}

/// Without a name that says otherwise.
pub(super) const DEFAULT: &str = "UTF-8";

/// What Windows has where Latin 1 has control characters; blanks: nothing.
const WINDOWS: [char; 32] = [
    '€', '\u{fffd}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{fffd}', 'Ž', '\u{fffd}',
    '\u{fffd}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{fffd}', 'ž', 'Ÿ',
];

impl Encoding {
    /// The encoding of a name, however it is written.
    pub(super) fn named(name: &str) -> Option<Self> {
        let name = name.trim().to_ascii_lowercase().replace(['_', ' '], "-");
        Some(match &*name {
            "utf-8" | "utf8" | "u8" | "utf" | "cp65001" | "utf-8-sig" => Self::Utf8,
            "ascii" | "us-ascii" | "646" | "ansi-x3.4-1968" => Self::Ascii,
            "latin-1" | "latin1" | "iso-8859-1" | "iso8859-1" | "8859" | "cp819" | "l1" | "latin" => {
                Self::Latin1
            }
            "latin-9" | "latin9" | "iso-8859-15" | "iso8859-15" | "l9" => Self::Latin9,
            "cp1252" | "windows-1252" | "1252" => Self::Windows1252,
            _ => return None,
        })
    }

    /// A line as text; what is none becomes U+FFFD.
    pub(super) fn decode(self, line: &[u8]) -> Cow<'_, str> {
        if line.is_ascii() || self == Self::Utf8 {
            // Python's rules for what is none; what is text is seen faster so.
            return std::str::from_utf8(line).map_or_else(|_| String::from_utf8_lossy(line), Cow::Borrowed);
        }
        line.iter().map(|byte| self.char(*byte)).collect::<String>().into()
    }

    /// Whole lines as UTF-8, as far as they are text.
    pub(super) fn text(self, lines: Vec<u8>) -> Vec<u8> {
        if self == Self::Utf8 || lines.is_ascii() {
            lines
        } else {
            self.decode(&lines).into_owned().into_bytes()
        }
    }

    fn char(self, byte: u8) -> char {
        match (self, byte) {
            (_, 0..=0x7f) => char::from(byte),
            (Self::Utf8 | Self::Ascii, _) => char::REPLACEMENT_CHARACTER,
            (Self::Windows1252, 0x80..=0x9f) => WINDOWS[usize::from(byte - 0x80)],
            (Self::Latin9, 0xa4) => '€',
            (Self::Latin9, 0xa6) => 'Š',
            (Self::Latin9, 0xa8) => 'š',
            (Self::Latin9, 0xb4) => 'Ž',
            (Self::Latin9, 0xb8) => 'ž',
            (Self::Latin9, 0xbc) => 'Œ',
            (Self::Latin9, 0xbd) => 'œ',
            (Self::Latin9, 0xbe) => 'Ÿ',
            _ => char::from(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_by_its_encoding() {
        for (name, bytes, want) in [
            ("UTF-8", &b"\xc3\xa9\xff"[..], "é\u{fffd}"),
            ("latin1", b"\xc3\xa9", "Ã©"),
            ("ISO_8859-15", b"\xa4\xe9", "€é"),
            ("cp1252", b"\x80\x81\xe9", "€\u{fffd}é"),
            ("ascii", b"a\xe9b", "a\u{fffd}b"),
        ] {
            assert_eq!(Encoding::named(name).unwrap().decode(bytes), want, "{name}");
        }
        assert_eq!(Encoding::named("auto"), None);
    }
}
