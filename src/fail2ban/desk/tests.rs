//! Answers of a real server, by commands.

mod drafts;
mod orders;

use crate::python::{Raised, Value};

/// An exception as Python prints it, with its module where that is not its own.
fn raised(raised: &Raised) -> String {
    let class = match raised.module.as_str() {
        "builtins" => raised.class.clone(),
        module => format!("{}.{}", module.rsplit('.').next().unwrap_or_default(), raised.class),
    };
    let arguments: Vec<String> = raised.arguments.iter().map(Value::to_string).collect();
    format!("{class}({})", arguments.join(", "))
}

/// A word of a test: a number for numbers, `None`, `[…]` of words, otherwise text.
fn value(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::None,
        serde_json::Value::Bool(value) => Value::Bool(*value),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => Value::Float(number.as_f64().unwrap_or_default()),
        },
        serde_json::Value::String(text) => text.as_str().into(),
        serde_json::Value::Array(items) => Value::List(items.iter().map(value).collect()),
        serde_json::Value::Object(items) => {
            Value::Map(items.iter().map(|(key, item)| (key.as_str().into(), value(item))).collect())
        }
    }
}

/// The words of a command, written as JSON.
fn command(json: &serde_json::Value) -> Vec<Value> {
    match value(json) {
        Value::List(words) => words,
        other => vec![other],
    }
}
