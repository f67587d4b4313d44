//! `<name>` in the options of a filter or an action, as far as it can be known before a failure (SPEC §1.4).
//!
//! Pure. What names nothing stays as it is: `<HOST>`, `<ip>`, a shell's `<file`. Ends: a tag is put in 25 times at most
//! into one option, and that for as long as something moves.

use std::collections::HashSet;

use super::problem::Problem;
use crate::python::Value;

/// How often one tag is put into one option.
const MAX_COUNT: usize = 25;
/// The longest text that an option may grow to, in bytes.
const MAX_LENGTH: usize = 1 << 20;

/// Options in their order.
pub(super) type Options = Vec<(String, Value)>;

/// Puts the options into each other; `other` knows names that are none of them.
///
/// # Errors
/// A tag that contains itself; what `other` finds wrong.
pub(super) fn resolve<E: From<Problem>>(
    options: Options,
    ignored: &HashSet<String>,
    mut other: impl FnMut(&str) -> Result<Option<String>, E>,
) -> Result<Options, E> {
    let mut options = options;
    let mut counts: Vec<Vec<(String, usize)>> = vec![Vec::new(); options.len()];
    let mut again = true;
    while again {
        again = false;
        for index in 0..options.len() {
            if ignored.contains(&options[index].0) {
                continue;
            }
            let Some(before) = options[index].1.as_text() else { continue };
            let mut text = before.clone();
            put(&options, index, &mut text, &mut counts[index], ignored, &mut other)?;
            if text != before {
                again |= next(&text, 0).is_some();
                options[index].1 = Value::Text(text);
            }
        }
    }
    Ok(options)
}

/// Puts everything that is known into the text of one option.
fn put<E: From<Problem>>(
    options: &Options,
    index: usize,
    text: &mut String,
    counts: &mut Vec<(String, usize)>,
    ignored: &HashSet<String>,
    other: &mut impl FnMut(&str) -> Result<Option<String>, E>,
) -> Result<(), E> {
    let own = &options[index].0;
    let mut at = 0;
    while let Some((start, end)) = next(text, at) {
        let tag = text[start + 1..end - 1].to_owned();
        if ignored.contains(&tag) {
            at = end;
            continue;
        }
        let count = counts.iter().position(|(name, _)| *name == tag);
        let used = count.map_or(1, |count| counts[count].1);
        if tag == *own || used > MAX_COUNT {
            return Err(recursion(own, tag, counts, text).into());
        }
        let named = options.iter().find(|(name, _)| *name == tag).and_then(|(_, item)| item.as_text());
        let value = match named {
            Some(value) => Some(value),
            None => other(&tag)?,
        };
        let Some(value) = value else {
            at = end;
            continue;
        };
        let marked = format!("<{tag}>");
        if text.len() + text.matches(&marked).count() * value.len() > MAX_LENGTH {
            return Err(recursion(own, tag, counts, text).into());
        }
        *text = text.replace(&marked, &value);
        match count {
            Some(count) => counts[count].1 += 1,
            None => counts.push((tag, 1)),
        }
        at = start;
    }
    Ok(())
}

fn recursion(own: &str, found: String, counts: &[(String, usize)], text: &str) -> Problem {
    Problem::Recursion { tag: own.to_owned(), found, counts: counts.to_owned(), value: text.to_owned() }
}

/// The next `<…>` without a blank or an angle bracket in it, at or after a byte.
fn next(text: &str, at: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let mut start = at;
    loop {
        start += memchr::memchr(b'<', bytes.get(start..)?)?;
        let inside = start + 1;
        let end = inside + memchr::memchr3(b'<', b'>', b' ', &bytes[inside..])?;
        if bytes[end] == b'>' && end > inside {
            return Some((start, end + 1));
        }
        // A `<` may be the beginning of the next one.
        start = if bytes[end] == b'<' { end } else { end + 1 };
    }
}

#[cfg(test)]
mod tests;
