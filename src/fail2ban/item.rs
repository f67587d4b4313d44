//! A value of the command stream, and how Python and JSON write it.
//!
//! Pure.

use std::fmt;

use serde::{Serialize, Serializer};

use super::text::{lower, repr, strip};

/// A value as Fail2Ban's client sends it to its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// Nothing.
    None,
    /// Yes or no.
    Bool(bool),
    /// An integer; of any size, as Python's are.
    Int(String),
    /// A text.
    Text(String),
    /// Several.
    List(Vec<Item>),
    /// Several with names.
    Map(Vec<(String, Item)>),
}

/// One command: always a list.
pub type Command = Vec<Item>;

impl Item {
    /// The text of a tag or `%(…)s` that names it; none: it is nothing.
    pub(super) fn as_text(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Bool(true) => Some("True".to_owned()),
            Self::Bool(false) => Some("False".to_owned()),
            Self::Int(text) | Self::Text(text) => Some(text.clone()),
            Self::List(_) | Self::Map(_) => Some(self.to_string()),
        }
    }

    /// The value of a boolean option: never an error (SPEC §1.6).
    pub(super) fn bool(text: &str) -> Self {
        Self::Bool(is_true(text))
    }

    /// The value of an integer option; none: it is no integer.
    pub(super) fn int(text: &str) -> Option<Self> {
        int(text).map(Self::Int)
    }
}

/// `1`, `on`, `true` or `yes` in any letters.
pub(super) fn is_true(text: &str) -> bool {
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

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Bool(true) => f.write_str("True"),
            Self::Bool(false) => f.write_str("False"),
            Self::Int(text) => f.write_str(text),
            Self::Text(text) => f.write_str(&repr(text)),
            Self::List(items) => f.write_str(&python(items)),
            Self::Map(items) => {
                let items: Vec<String> =
                    items.iter().map(|(key, value)| format!("{}: {value}", repr(key))).collect();
                write!(f, "{{{}}}", items.join(", "))
            }
        }
    }
}

/// A command as Python prints it.
pub fn python(command: &[Item]) -> String {
    let items: Vec<String> = command.iter().map(Item::to_string).collect();
    format!("[{}]", items.join(", "))
}

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(text) => match text.parse::<i64>() {
                Ok(value) => serializer.serialize_i64(value),
                Err(_) => serializer.serialize_str(text),
            },
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => serializer.collect_seq(items),
            Self::Map(items) => serializer.collect_map(items.iter().map(|(key, value)| (key, value))),
        }
    }
}

impl From<&str> for Item {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Item {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// A command of words.
pub(super) fn words<const N: usize>(words: [&str; N]) -> Command {
    words.into_iter().map(Item::from).collect()
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
            assert_eq!(Item::int(text), expected.map(|text| Item::Int(text.to_owned())), "{text:?}");
        }
    }

    #[test]
    fn a_command_in_python_and_in_json() {
        let command = vec![
            "set".into(),
            Item::Int("3".to_owned()),
            Item::Bool(true),
            Item::None,
            Item::List(vec!["a'b".into()]),
            Item::Map(vec![("k".to_owned(), Item::Int("1".to_owned()))]),
        ];
        assert_eq!(python(&command), r#"['set', 3, True, None, ["a'b"], {'k': 1}]"#);
        assert_eq!(serde_json::to_string(&command).unwrap(), r#"["set",3,true,null,["a'b"],{"k":1}]"#);
    }
}
