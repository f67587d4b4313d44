//! Times as a Fail2Ban configuration writes them: `600`, `10m`, `1d 12h`, `1y-6mo`, `60*60`, `-1`.
//!
//! Pure. In: text. Out: seconds. Units become factors and blanks between numbers become sums, by the same textual steps
//! as in Fail2Ban (so that what it refuses, or adds up oddly, is so here); the rest is the arithmetic of [`Formula`].
//! A native jail's spans are another, stricter thing: [`crate::span`]. Source: SPEC §1.7, measured with 1.0.2.

use super::formula::{Formula, FormulaError, Value};

/// Reads a time in seconds; whole where Fail2Ban's is. A negative one is up to the caller: `-1` is for ever.
///
/// Units (in any case) stand behind a digit or a blank: `s`, `m`, `h`, `d`, `w`, `mo` (2 629 800 s), `y` (31 557 600 s)
/// and longer forms of them up to `seconds`, …, `years`.
///
/// # Errors
/// It is no arithmetic expression, has a word that is no unit, or no value.
pub fn seconds(text: &str) -> Result<Value, FormulaError> {
    let expression = sums(&factors(&terms(text)));
    match expression.split_once('\n') {
        Some((_, rest)) => Err(FormulaError::Syntax(rest.to_owned())),
        None => expression.trim_matches([' ', '\t']).parse::<Formula>()?.constant(),
    }
}

/// A digit behind a letter begins a new term.
fn terms(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut letter = false;
    for char in text.chars() {
        if letter && is_digit(char) {
            out.push(' ');
        }
        out.push(char);
        letter = char.is_ascii_alphabetic();
    }
    out
}

/// Each unit behind a digit or a blank becomes a factor.
fn factors(text: &str) -> String {
    let mut out = String::with_capacity(2 * text.len());
    let mut before = None;
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        let word = &rest[..rest.find(|char| !is_word(char)).unwrap_or(rest.len())];
        let may_be_unit = before.is_some_and(|before| is_digit(before) || is_blank(before));
        let taken = if let Some(factor) = factor(word).filter(|_| may_be_unit) {
            out.push_str(factor);
            word
        } else {
            out.push(char);
            &rest[..char.len_utf8()]
        };
        before = taken.chars().next_back();
        rest = &rest[taken.len()..];
    }
    out
}

/// Blanks between two digits become a plus; a digit that has been used for one is not used for the next.
fn sums(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut used = true;
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        let blanks = rest.len() - rest.trim_start_matches(is_blank).len();
        let next = rest[blanks..].chars().next().filter(|char| is_digit(*char));
        if let Some(next) = next.filter(|_| blanks > 0 && !used) {
            out.push('+');
            out.push(next);
            rest = &rest[blanks + next.len_utf8()..];
            used = true;
        } else {
            out.push(char);
            rest = &rest[char.len_utf8()..];
            used = !is_digit(char);
        }
    }
    out
}

/// The factor that a unit stands for; months and years are no whole numbers in Fail2Ban, and so not here.
fn factor(word: &str) -> Option<&'static str> {
    Some(match &*word.to_ascii_lowercase() {
        "s" | "ss" | "se" | "sec" | "second" | "seconds" => "*1",
        "m" | "mm" | "mi" | "min" | "minute" | "minutes" => "*60",
        "h" | "hh" | "ho" | "hou" | "hour" | "hours" => "*3600",
        "d" | "dd" | "da" | "day" | "days" => "*86400",
        "w" | "ww" | "we" | "wee" | "week" | "weeks" => "*604800",
        "mo" | "mon" | "month" | "months" => "*2629800.0",
        "y" | "yy" | "ye" | "yea" | "year" | "years" => "*31557600.0",
        _ => return None,
    })
}

fn is_digit(char: char) -> bool {
    char.is_ascii_digit()
}

fn is_blank(char: char) -> bool {
    char.is_whitespace()
}

fn is_word(char: char) -> bool {
    char == '_' || char.is_alphanumeric()
}

#[cfg(test)]
mod tests;
