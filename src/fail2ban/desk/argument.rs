//! What Python makes of an argument, its complaints included.
//!
//! Pure.

use crate::python::{Raised, Value, repr};

/// A word of a command that has to be there.
pub(super) fn word(words: &[Value], index: usize) -> Result<&Value, Raised> {
    words.get(index).ok_or_else(too_few)
}

/// What indexing past the end of a list raises.
pub(super) fn too_few() -> Raised {
    Raised::builtin("IndexError", "list index out of range")
}

/// A plain exception.
pub(super) fn plain(text: impl Into<String>) -> Raised {
    Raised::builtin("Exception", text)
}

pub(super) fn value_error(text: impl Into<String>) -> Raised {
    Raised::builtin("ValueError", text)
}

pub(super) fn type_error(text: impl Into<String>) -> Raised {
    Raised::builtin("TypeError", text)
}

/// The name of a value's type.
pub fn type_of(value: &Value) -> &'static str {
    match value {
        Value::None => "NoneType",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Float(_) => "float",
        Value::Text(_) => "str",
        Value::List(_) => "list",
        Value::Tuple(_) => "tuple",
        Value::Map(_) => "dict",
    }
}

/// `int(value)`.
///
/// # Errors
/// What Python raises where it is none.
pub fn int(value: &Value) -> Result<Value, Raised> {
    match value {
        Value::Int(_) => Ok(value.clone()),
        Value::Bool(one) => Ok(i64::from(*one).into()),
        Value::Text(text) => Value::int(text)
            .ok_or_else(|| value_error(format!("invalid literal for int() with base 10: {}", repr(text)))),
        Value::Float(number) if number.is_nan() => Err(value_error("cannot convert float NaN to integer")),
        Value::Float(number) if number.is_infinite() => {
            Err(Raised::builtin("OverflowError", "cannot convert float infinity to integer"))
        }
        Value::Float(number) => Ok(Value::Int(format!("{:.0}", number.trunc()).replace("-0", "0"))),
        other => Err(type_error(format!(
            "int() argument must be a string, a bytes-like object or a real number, not '{}'",
            type_of(other)
        ))),
    }
}

/// An integer as far as this machine counts; what is larger is the largest.
pub(super) fn small(value: &Value) -> i64 {
    let Value::Int(text) = value else { return 0 };
    text.parse().unwrap_or(if text.starts_with('-') { i64::MIN } else { i64::MAX })
}

/// `float(value)`.
pub(super) fn float(value: &Value) -> Result<f64, Raised> {
    match value {
        Value::Float(number) => Ok(*number),
        Value::Int(text) => Ok(text.parse().unwrap_or(f64::INFINITY)),
        Value::Bool(one) => Ok(f64::from(u8::from(*one))),
        Value::Text(text) => {
            let wrong = || value_error(format!("could not convert string to float: {}", repr(text)));
            number(text).ok_or_else(wrong)
        }
        other => Err(type_error(format!(
            "float() argument must be a string or a real number, not '{}'",
            type_of(other)
        ))),
    }
}

/// A number as Python writes it: blanks around it, single `_` between digits.
fn number(text: &str) -> Option<f64> {
    let text = crate::python::strip(text);
    let between = |at: usize| {
        let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
        let bytes = text.as_bytes();
        at > 0 && digit(bytes.get(at - 1)) && digit(bytes.get(at + 1))
    };
    let wrong = text.bytes().enumerate().any(|(at, byte)| byte == b'_' && !between(at));
    if wrong { None } else { text.replace('_', "").parse().ok() }
}

/// A text that Fail2Ban would use as one; another type has not what it asks of it.
pub(super) fn text<'a>(value: &'a Value, method: &str) -> Result<&'a str, Raised> {
    match value {
        Value::Text(text) => Ok(text),
        other => {
            let text = format!("'{}' object has no attribute '{method}'", type_of(other));
            Err(Raised::builtin("AttributeError", text))
        }
    }
}

/// The text of an argument that a regular expression looks at.
pub(super) fn string(value: &Value) -> Result<&str, Raised> {
    match value {
        Value::Text(text) => Ok(text),
        other => Err(type_error(format!("expected string or bytes-like object, got '{}'", type_of(other)))),
    }
}

/// Whether Python takes it as yes where Fail2Ban asks for a boolean: the words for yes if it is a text.
pub(super) fn bool(value: &Value) -> bool {
    match value {
        Value::Text(text) => crate::python::is_true(text),
        Value::None => false,
        Value::Bool(yes) => *yes,
        Value::Int(number) => number != "0",
        Value::Float(number) => *number != 0.0,
        Value::List(items) | Value::Tuple(items) => !items.is_empty(),
        Value::Map(items) => !items.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (value, want) in [
            (Value::from(" 1_0 "), Ok("10")),
            (Value::Float(-3.5), Ok("-3")),
            (Value::Float(-0.5), Ok("0")),
            (Value::Bool(true), Ok("1")),
            ("3.5".into(), Err("invalid literal for int() with base 10: '3.5'")),
            ("it's".into(), Err("invalid literal for int() with base 10: \"it's\"")),
            (
                Value::None,
                Err("int() argument must be a string, a bytes-like object or a real number, not 'NoneType'"),
            ),
        ] {
            let got = int(&value).map(|value| value.print()).map_err(|raised| raised.arguments[0].print());
            assert_eq!(got, want.map(str::to_owned).map_err(str::to_owned), "{value}");
        }
        for (text, want) in
            [(" 0 ", Some(0.0)), ("0.0_1", Some(0.01)), ("1__0", None), ("_1", None), ("x", None)]
        {
            assert_eq!(number(text), want, "{text}");
        }
    }
}
