//! A link by which debuggex.com draws an expression beside a line.
//!
//! Pure.

use std::fmt::Write;

/// For one expression, its tags in place, and one line.
pub(super) fn link(regex: &str, line: &str, multi_line: bool) -> String {
    let flags = if multi_line { "&flags=m" } else { "" };
    format!("https://www.debuggex.com/?re={}&str={}&flavor=python{flags}", quoted(regex), quoted(line))
}

/// As a form's value in an address.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(3 * text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[test]
fn a_link() {
    assert_eq!(
        link(r"^a (\S+)$", "a é~", true),
        "https://www.debuggex.com/?re=%5Ea+%28%5CS%2B%29%24&str=a+%C3%A9~&flavor=python&flags=m"
    );
}
