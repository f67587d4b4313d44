//! Times and numbers of an option, as Python reads them.
//!
//! Pure.

use std::cmp::Ordering;

use super::argument::{string, type_of};
use crate::python::{Raised, Value};
use crate::sentence::{self, FormulaError, expression};

/// The seconds that a time expression means.
///
/// # Errors
/// What Python raises where it is none.
pub fn seconds(value: &Value) -> Result<sentence::Value, Raised> {
    let text = written(value)?;
    expression::seconds(&text).map_err(|error| raised(&error, &text))
}

/// A time as it is kept: the text of an expression, or a number.
pub(super) fn written(value: &Value) -> Result<String, Raised> {
    match value {
        Value::Int(_) | Value::Float(_) => Ok(value.print()),
        Value::Bool(one) => Ok(u8::from(*one).to_string()),
        other => string(other).map(str::to_owned),
    }
}

/// What is asked for and is a time: a number, whole if the expression is.
pub(super) fn shown(text: &str) -> Result<Value, Raised> {
    Ok(number(seconds(&text.into())?))
}

/// The same, cut to whole seconds.
pub(super) fn whole(text: &str) -> Result<Value, Raised> {
    super::argument::int(&shown(text)?)
}

fn number(value: sentence::Value) -> Value {
    match value {
        sentence::Value::Int(whole) => Value::Int(whole.to_string()),
        sentence::Value::Float(number) => Value::Float(number),
    }
}

/// What Python raises for an expression.
pub(super) fn raised(error: &FormulaError, text: &str) -> Raised {
    match error {
        FormulaError::Unknown(name) => undefined(name),
        FormulaError::NoBan(name) => undefined(name),
        FormulaError::Value("something is divided by zero") => {
            Raised::builtin("ZeroDivisionError", "division by zero")
        }
        FormulaError::Value(why) => Raised::builtin("OverflowError", *why),
        FormulaError::Syntax(_) | FormulaError::Ends => syntax(text),
        FormulaError::Arguments(_) | FormulaError::TooLong => Raised::builtin("TypeError", error.to_string()),
    }
}

fn undefined(name: &str) -> Raised {
    let first = name.split('.').next().unwrap_or_default();
    Raised::builtin("NameError", format!("name '{first}' is not defined"))
}

/// The place is not told: Python's is one in a text that it has rewritten.
fn syntax(text: &str) -> Raised {
    let line = i64::from(!text.is_empty());
    let digit_letter = |pair: &[u8]| pair[0].is_ascii_digit() && pair[1].is_ascii_alphabetic();
    let open = text.matches('(').count().cmp(&text.matches(')').count());
    let what = match open {
        Ordering::Greater => "'(' was never closed",
        Ordering::Less => "unmatched ')'",
        Ordering::Equal if text.as_bytes().windows(2).any(digit_letter) => "invalid decimal literal",
        Ordering::Equal => "invalid syntax",
    };
    let place = vec!["<string>".into(), line.into(), 0.into(), text.into(), line.into(), 0.into()];
    let arguments = vec![what.into(), Value::Tuple(place)];
    Raised { module: "builtins".to_owned(), class: "SyntaxError".to_owned(), arguments }
}

/// An expression of numbers, such as `bantime.factor`; what has no value is none.
pub(super) fn arithmetic(value: &Value) -> Result<Option<String>, Raised> {
    let text = match value {
        Value::None => return Ok(None),
        Value::Text(text) if text.is_empty() => return Ok(None),
        Value::Text(text) => text.clone(),
        Value::Int(_) | Value::Float(_) => value.print(),
        other => {
            let what =
                format!("eval() arg 1 must be a string, bytes or code object, not '{}'", type_of(other));
            return Err(Raised::builtin("TypeError", what));
        }
    };
    Ok(Some(text))
}
