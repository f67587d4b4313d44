//! Text as Python prints it, and its ideas of blanks and small letters.

use std::cmp::Ordering;
use std::fmt::Write as _;
use std::sync::LazyLock;

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

/// `repr` of a string: in `'…'`, or in `"…"` when it holds a `'` and no `"`.
pub fn repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => out.extend(['\\', c]),
            c if is_printable(c) => out.push(c),
            c => {
                let code = u32::from(c);
                let _ = match code {
                    0..=0xff => write!(out, "\\x{code:02x}"),
                    0x100..=0xffff => write!(out, "\\u{code:04x}"),
                    _ => write!(out, "\\U{code:08x}"),
                };
            }
        }
    }
    out.push(quote);
    out
}

/// Whether Python prints a character as it is (`str.isprintable`): the blank, and none of Unicode's Other and Separator.
fn is_printable(c: char) -> bool {
    static ODD: LazyLock<ClassUnicode> = LazyLock::new(|| match regex_syntax::parse(r"[\p{C}\p{Z}]") {
        Ok(hir) => match hir.into_kind() {
            HirKind::Class(Class::Unicode(class)) => class,
            _ => ClassUnicode::empty(),
        },
        Err(_) => ClassUnicode::empty(),
    });
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    let within = |range: &ClassUnicodeRange| match (c < range.start(), c > range.end()) {
        (true, _) => Ordering::Greater,
        (_, true) => Ordering::Less,
        _ => Ordering::Equal,
    };
    ODD.ranges().binary_search_by(within).is_err()
}

/// `str.isspace` of one character: Unicode's blanks and the four separators of ASCII.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// `str.strip`.
pub fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// `str.rstrip`.
pub fn strip_end(text: &str) -> &str {
    text.trim_end_matches(is_space)
}

/// `str.lower`.
pub fn lower(text: &str) -> String {
    text.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::repr;

    #[test]
    fn quoted_as_python_does() {
        for (text, expected) in [
            ("a", "'a'"),
            ("it's", "\"it's\""),
            ("it's \"x\"", r#"'it\'s "x"'"#),
            ("\\\n\t\r\0\x7f", r"'\\\n\t\r\x00\x7f'"),
            ("é😀 ", "'é😀 '"),
            ("\u{a0}\u{ad}\u{2028}\u{feff}\u{e000}\u{10ffff}", r"'\xa0\xad\u2028\ufeff\ue000\U0010ffff'"),
        ] {
            assert_eq!(repr(text), expected);
        }
    }
}
