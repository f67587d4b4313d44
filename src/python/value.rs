//! A value, and how Python and JSON write it.
//!
//! Pure.

use std::fmt;

use serde::{Serialize, Serializer};

use super::text::{lower, repr, strip};

/// A value as Fail2Ban's client and server send it to each other.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing.
    None,
    /// Yes or no.
    Bool(bool),
    /// An integer; of any size, as Python's are.
    Int(String),
    /// A number with a fraction.
    Float(f64),
    /// A text.
    Text(String),
    /// Several.
    List(Vec<Value>),
    /// Several that belong together.
    Tuple(Vec<Value>),
    /// Several with names.
    Map(Vec<(Value, Value)>),
}

/// One command: always a list.
pub type Command = Vec<Value>;

/// An exception: what a server answers when it does not do what it is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Raised {
    /// Where its class is defined: `builtins`, `fail2ban.exceptions`, …
    pub module: String,
    /// The class, such as `ValueError`.
    pub class: String,
    /// What it was raised with.
    pub arguments: Vec<Value>,
}

impl Raised {
    /// One of Python's own, such as `ValueError`, with a text.
    pub fn builtin(class: &str, text: impl Into<String>) -> Self {
        Self { module: "builtins".to_owned(), class: class.to_owned(), arguments: vec![text.into().into()] }
    }

    /// There is no jail of this name.
    pub fn unknown_jail(name: &str) -> Self {
        let (module, class) = ("fail2ban.exceptions".to_owned(), "UnknownJailException".to_owned());
        Self { module, class, arguments: vec![name.into()] }
    }
}

impl Value {
    /// The text of a tag or `%(…)s` that names it; none: it is nothing.
    pub fn as_text(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Bool(true) => Some("True".to_owned()),
            Self::Bool(false) => Some("False".to_owned()),
            Self::Int(text) | Self::Text(text) => Some(text.clone()),
            Self::Float(_) | Self::List(_) | Self::Tuple(_) | Self::Map(_) => Some(self.to_string()),
        }
    }

    /// The value with this label, in a list of pairs of a label and a value.
    pub fn entry(&self, label: &str) -> Option<&Value> {
        let Self::List(items) = self else { return None };
        items.iter().find_map(|item| match item {
            Self::Tuple(pair) | Self::List(pair) => match &pair[..] {
                [Self::Text(name), value] if name == label => Some(value),
                _ => None,
            },
            _ => None,
        })
    }

    /// `str` of it: what is printed of it alone.
    pub fn print(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            other => other.to_string(),
        }
    }

    /// The value of a boolean option: never an error (SPEC §1.6).
    pub fn bool(text: &str) -> Self {
        Self::Bool(is_true(text))
    }

    /// The value of an integer option; none: it is no integer.
    pub fn int(text: &str) -> Option<Self> {
        int(text).map(Self::Int)
    }
}

/// `1`, `on`, `true` or `yes` in any letters.
pub fn is_true(text: &str) -> bool {
    matches!(&*lower(text), "1" | "on" | "true" | "yes")
}

/// Python's `int`: blanks around, a sign, digits of any script, single `_` between them.
fn int(text: &str) -> Option<String> {
    let text = strip(text);
    let (minus, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    let mut plain = String::new();
    for group in digits.split('_') {
        if group.is_empty() {
            return None;
        }
        for c in group.chars() {
            plain.push(char::from_digit(digit(c)?, 10)?);
        }
    }
    let plain = plain.trim_start_matches('0');
    match (plain, minus) {
        ("", _) => Some("0".to_owned()),
        (plain, true) => Some(format!("-{plain}")),
        (plain, false) => Some(plain.to_owned()),
    }
}

/// The value of a decimal digit.
fn digit(c: char) -> Option<u32> {
    if c.is_ascii() {
        return c.to_digit(10);
    }
    // Unicode's decimal digits come in runs of ten, the zero first.
    regex_syntax::is_word_character(c).then_some(())?;
    decimal_zero(c).map(|zero| u32::from(c) - zero)
}

/// The zero of a digit's script.
fn decimal_zero(c: char) -> Option<u32> {
    let hir = regex_syntax::parse(r"\d").ok()?;
    let regex_syntax::hir::HirKind::Class(regex_syntax::hir::Class::Unicode(class)) = hir.into_kind() else {
        return None;
    };
    let range = class.ranges().iter().find(|range| (range.start()..=range.end()).contains(&c))?;
    let start = u32::from(range.start());
    Some(start + (u32::from(c) - start) / 10 * 10)
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Bool(true) => f.write_str("True"),
            Self::Bool(false) => f.write_str("False"),
            Self::Int(text) => f.write_str(text),
            Self::Text(text) => f.write_str(&repr(text)),
            Self::Float(number) => f.write_str(&float(*number)),
            Self::List(items) => f.write_str(&command(items)),
            Self::Tuple(items) => match &items[..] {
                [only] => write!(f, "({only},)"),
                items => write!(f, "({})", joined(items)),
            },
            Self::Map(items) => {
                let items: Vec<String> = items.iter().map(|(key, value)| format!("{key}: {value}")).collect();
                write!(f, "{{{}}}", items.join(", "))
            }
        }
    }
}

/// A command as Python prints it.
pub fn command(command: &[Value]) -> String {
    format!("[{}]", joined(command))
}

fn joined(values: &[Value]) -> String {
    values.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")
}

/// `repr` of a float: the shortest digits that mean it, with an exponent below 1e-4 and from 1e16 on.
fn float(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let size = number.abs();
    if size == 0.0 || (1e-4..1e16).contains(&size) {
        return format!("{number:?}");
    }
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    match exponent.strip_prefix('-') {
        Some(exponent) => format!("{digits}e-{exponent:0>2}"),
        None => format!("{digits}e+{exponent:0>2}"),
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(text) => match text.parse::<i64>() {
                Ok(value) => serializer.serialize_i64(value),
                Err(_) => serializer.serialize_str(text),
            },
            Self::Text(text) => serializer.serialize_str(text),
            Self::Float(number) => serializer.serialize_f64(*number),
            Self::List(items) | Self::Tuple(items) => serializer.collect_seq(items),
            Self::Map(items) => serializer.collect_map(items.iter().map(|(key, value)| (key.print(), value))),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number.to_string())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// A command of words.
pub fn words<const N: usize>(words: [&str; N]) -> Command {
    words.into_iter().map(Value::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_as_python_reads_them() {
        for (text, expected) in [
            (" 5 ", Some("5")),
            ("+007", Some("7")),
            ("-0", Some("0")),
            ("1_000", Some("1000")),
            ("٣", Some("3")),
            ("99999999999999999999", Some("99999999999999999999")),
            ("", None),
            ("1__0", None),
            ("0x10", None),
            ("- 1", None),
            ("1.5", None),
        ] {
            assert_eq!(Value::int(text), expected.map(|text| Value::Int(text.to_owned())), "{text:?}");
        }
    }

    #[test]
    fn a_command_in_python_and_in_json() {
        let command = vec![
            "set".into(),
            Value::Int("3".to_owned()),
            Value::Bool(true),
            Value::None,
            Value::List(vec!["a'b".into()]),
            Value::Map(vec![("k".into(), Value::Int("1".to_owned()))]),
            Value::Tuple(vec![1.into()]),
            Value::Tuple(vec![1.into(), Value::Float(2.0)]),
        ];
        assert_eq!(super::command(&command), r#"['set', 3, True, None, ["a'b"], {'k': 1}, (1,), (1, 2.0)]"#);
        assert_eq!(
            serde_json::to_string(&command).unwrap(),
            r#"["set",3,true,null,["a'b"],{"k":1},[1],[1,2.0]]"#
        );
    }

    #[test]
    fn numbers_with_a_fraction() {
        for (number, text) in [
            (15_778_800.0, "15778800.0"),
            (0.1, "0.1"),
            (1e16, "1e+16"),
            (1.5e-5, "1.5e-05"),
            (1e100, "1e+100"),
            (-0.0, "-0.0"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(Value::Float(number).to_string(), text);
        }
    }
}
