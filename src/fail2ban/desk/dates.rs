//! `datepattern` and `logtimezone`: what is wrong with one, and how it is shown.
//!
//! Pure.

use super::argument::{string, type_error, value_error};
use crate::fail2ban::JailSpec;
use crate::filter::date::{DateError, DateOptions, Dates, TemplateUse, Zone};
use crate::python::{Raised, Value, repr, strip};

/// How a list of patterns that is not told by its first one is called.
const DEFAULT: &str = "Default Detectors";
/// A longer list is not told by its first pattern.
const MOST: usize = 2;

/// The first pattern and its name in words; a jail of the journal looks for no dates.
pub(super) fn shown(spec: &JailSpec) -> Value {
    let pattern = spec.filter.datepattern.as_deref();
    if spec.is_systemd() && pattern.is_none() {
        return Value::None;
    }
    let templates = templates(spec, pattern, None).unwrap_or_default();
    let (pattern, name) = match &templates[..] {
        [first, ..] if templates.len() <= MOST => {
            (Some(first.pattern.as_str()).filter(|text| !text.is_empty()), first.name.as_str())
        }
        _ => (None, DEFAULT),
    };
    Value::Tuple(vec![pattern.map_or(Value::None, Value::from), name.into()])
}

fn templates(
    spec: &JailSpec,
    pattern: Option<&str>,
    zone: Option<&str>,
) -> Result<Vec<TemplateUse>, DateError> {
    let options = DateOptions {
        pattern: pattern.map(str::to_owned),
        zone: zone.map(str::to_owned),
        system: Zone::utc(),
        year: None,
        old_years: false,
        newer: spec.filter.dialect == crate::fail2ban::Dialect::Head,
    };
    Dates::fail2ban(&options).map(|dates| dates.templates())
}

/// Another `datepattern`; none: the default ones.
pub(super) fn pattern(spec: &JailSpec, value: &Value) -> Result<Option<String>, Raised> {
    let text = match value {
        Value::None => return Ok(None),
        Value::List(lines) => lines.iter().map(Value::print).collect::<Vec<_>>().join("\n"),
        value => string(value)?.to_owned(),
    };
    let raised = |why: String| {
        type_error(format!(
            "Failed to set datepattern {} (may be an invalid format or unescaped percent char): {why}",
            repr(&text)
        ))
    };
    match templates(spec, Some(&text), None) {
        Ok(_) => {}
        Err(DateError::Field(field)) => {
            return Err(raised(percent(
                text.split('\n').find(|line| line.contains(&field)).unwrap_or_default(),
            )));
        }
        Err(DateError::Twice(written)) => {
            let name = templates(spec, Some(&written), None).unwrap_or_default();
            let name = name.first().map_or(written, |first| first.name.clone());
            return Err(value_error(format!("There is already a template with name {name}")));
        }
        Err(error) => return Err(value_error(error.to_string())),
    }
    Ok(Some(text))
}

/// What Python says of a pattern in which a `%` begins no field: fields become names of values, the rest is formatted.
fn percent(line: &str) -> String {
    let line = strip(line);
    // Each field `%x` is `%(x)s` by then.
    let (mut named, mut longer, mut rest, mut at) = (false, 0, line, 0);
    while let Some(start) = rest.find('%') {
        let field = &rest[start + 1..];
        at += rest[..start].chars().count() + 1;
        let length = length_of_field(field);
        if length > 0 {
            named |= field != "%";
            longer += 3;
            at += field[..length].chars().count();
            rest = &field[length..];
            continue;
        }
        let flags =
            field.find(|c: char| !matches!(c, '-' | '+' | ' ' | '#' | '0'..='9' | '.' | 'h' | 'l' | 'L'));
        let Some((offset, char)) = flags.and_then(|end| Some((end, field[end..].chars().next()?))) else {
            return "incomplete format".to_owned();
        };
        return match char {
            _ if named => "not enough arguments for format string".to_owned(),
            'e' | 'E' | 'f' | 'F' | 'g' | 'G' => "must be real number, not dict".to_owned(),
            'd' | 'i' | 'u' => format!("%{char} format: a real number is required, not dict"),
            'o' | 'x' | 'X' => format!("%{char} format: an integer is required, not dict"),
            'c' => "%c requires int or char".to_owned(),
            char => {
                let shown = if char.is_ascii() { char } else { '?' };
                let code = u32::from(char);
                format!(
                    "unsupported format character '{shown}' (0x{code:x}) at index {}",
                    at + longer + offset
                )
            }
        };
    }
    String::new()
}

/// How long the field is that a text begins with, its `%` read; 0: it is none.
fn length_of_field(text: &str) -> usize {
    let options = |pattern: &str| DateOptions {
        pattern: Some(pattern.to_owned()),
        zone: None,
        system: Zone::utc(),
        year: None,
        old_years: false,
        newer: false,
    };
    let known = |length: usize| {
        text.is_char_boundary(length) && Dates::fail2ban(&options(&format!("%{}", &text[..length]))).is_ok()
    };
    let length = if text.starts_with("Ex") { 3 } else { 1 };
    if text.len() >= length && known(length) { length } else { 0 }
}

/// Another `logtimezone`; none: the host's.
pub(super) fn zone(value: &Value) -> Result<Option<String>, Raised> {
    if *value == Value::None {
        return Ok(None);
    }
    let text = string(value)?;
    let spec = JailSpec::new("", crate::fail2ban::Definition::default());
    match templates(&spec, None, Some(text)) {
        Err(DateError::Zone(_)) => {
            Err(value_error(format!("Unknown or unsupported time zone: {}", repr(text))))
        }
        _ => Ok(Some(text.to_owned())),
    }
}
