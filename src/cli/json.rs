//! JSON on standard output: one object, one line, nothing in it that could steer a terminal.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::Formatter;

/// Writes `value` and a line end.
pub(super) fn write(out: &mut dyn Write, value: &impl Serialize) -> anyhow::Result<()> {
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut *out, Plain))?;
    Ok(writeln!(out)?)
}

/// JSON's own rules leave C1 controls and the marks that turn the direction of writing as they are.
struct Plain;

impl Formatter for Plain {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, text: &str) -> io::Result<()> {
        let mut rest = text;
        while let Some((at, char)) = rest.char_indices().find(|(_, char)| crate::control::text::steers(*char))
        {
            out.write_all(&rest.as_bytes()[..at])?;
            write!(out, "\\u{:04x}", u32::from(char))?; // all of them are below U+10000
            rest = &rest[at + char.len_utf8()..];
        }
        out.write_all(rest.as_bytes())
    }
}
