//! Turns an action's command with its `<tags>` into a script for `/bin/sh` and the values it is given.
//!
//! Pure: no I/O, no clock. In: a [`Definition`], then a [`Ticket`] for each run. Out: a [`Script`].
//! [`expand`] puts in what the configuration says, once; [`render`] puts in what a ban says, each time, in one pass.
//! What a log can choose never becomes code: a value that a shell could understand goes in as an argument, and the text
//! holds only the name of a variable (SPEC §5.2). The shell around it is [`crate::action::process`].

mod ticket;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::Definition;
use crate::span;
pub use ticket::{Evidence, Hostnames, JailFacts, Ticket};

/// What is in one of these is never put into a script (SPEC §5.2).
const SPECIAL: &[char] = &[
    '\\', '#', '&', ';', '`', '|', '*', '?', '~', '<', '>', '^', '(', ')', '[', ']', '{', '}', '$', '\'',
    '"', '\n', '\r',
];
/// Nor is what is longer than this, in bytes: a script of more than 128 KiB is refused by the kernel.
const INLINE: usize = 1024;
/// A longer value loses its beginning: the kernel refuses an argument of 128 KiB.
const VALUE_CAP: usize = 96 * 1024;
/// All values of a script together, in bytes; the kernel's limit is a quarter of the stack, 2 MiB as a rule.
const VALUES_CAP: usize = 1024 * 1024;
/// A longer command is refused before it is run.
const TEXT_CAP: usize = 100 * 1024;
/// How often one tag is put in by others before it counts as one that holds itself (SPEC §1.4).
const ROUNDS: usize = 25;
/// What a command may take if its action does not say (SPEC §5.1).
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// Whose addresses a command is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    Inet4,
    /// IPv6.
    Inet6,
}

impl Family {
    /// As the tag `<family>` and the suffix `?family=` spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inet4 => "inet4",
            Self::Inet6 => "inet6",
        }
    }
}

/// Why a command cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A property needs itself.
    #[error("{command}: <{tag}> holds itself")]
    Endless {
        /// The command, such as `actionban`.
        command: String,
        /// The property.
        tag: String,
    },
    /// The properties make it too long.
    #[error("{command} is longer than {} KiB", TEXT_CAP / 1024)]
    TooLong {
        /// The command.
        command: String,
    },
}

/// A script, and what its `$0`, `$1`, … are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// For `/bin/sh -c`.
    pub text: String,
    /// The values, without NUL.
    pub argv: Vec<String>,
}

impl Definition {
    /// A property as its file spells it; that of this family first.
    pub fn option(&self, name: &str, family: Option<Family>) -> Option<&str> {
        let find = |family: Option<Family>| {
            // The last one counts.
            self.options.iter().rev().find(|(key, _)| matches(key, name, family)).map(|(_, value)| &**value)
        };
        family.and_then(|family| find(Some(family))).or_else(|| find(None))
    }

    /// A property that is true or false (SPEC §1.6); none when it is not there.
    pub fn flag(&self, name: &str) -> Option<bool> {
        let value = self.option(name, None)?;
        Some(matches!(&*value.to_ascii_lowercase(), "1" | "on" | "true" | "yes"))
    }

    /// Whether any property differs from family to family.
    pub fn is_conditional(&self) -> bool {
        self.options.iter().any(|(key, _)| key.contains("?family="))
    }

    /// How long one of its commands may take.
    pub fn timeout(&self) -> Duration {
        let said = self.option("timeout", None).and_then(|text| span::parse(text).ok());
        said.filter(|span| !span.is_zero()).unwrap_or(TIMEOUT)
    }
}

/// Whether `key` is `name`, or `name?family=…` of this family.
fn matches(key: &str, name: &str, family: Option<Family>) -> bool {
    match (key.strip_prefix(name), family) {
        (Some(""), None) => true,
        (Some(rest), Some(family)) => rest.strip_prefix("?family=") == Some(family.name()),
        _ => false,
    }
}

/// A command with everything put in that is known before a ban: properties, `<br>`, `<sp>`. Empty: there is none.
///
/// Tags that are no property stay, for [`render`]. Properties may hold tags, and tags tags (`<a-<mode>>`).
///
/// # Errors
/// A property holds itself, or the text grows too long.
pub fn expand(
    definition: &Definition,
    command: &str,
    family: Option<Family>,
) -> Result<String, TemplateError> {
    let mut text = definition.option(command, family).unwrap_or_default().to_owned();
    let mut rounds: HashMap<String, usize> = HashMap::new();
    loop {
        if text.len() > TEXT_CAP {
            return Err(TemplateError::TooLong { command: command.to_owned() });
        }
        let mut found = None;
        for (_, tag) in tags(&text) {
            if let Some(value) = fixed(definition, tag, family) {
                found = Some((tag.to_owned(), value));
                break;
            }
        }
        let Some((tag, value)) = found else { return Ok(text) };
        let round = rounds.entry(tag.clone()).or_default();
        *round += 1;
        if *round > ROUNDS || tag == command {
            return Err(TemplateError::Endless { command: command.to_owned(), tag });
        }
        text = replaced(&text, &format!("<{tag}>"), &value)
            .ok_or_else(|| TemplateError::TooLong { command: command.to_owned() })?;
    }
}

/// `text.replace`, unless that makes it too long.
fn replaced(text: &str, from: &str, to: &str) -> Option<String> {
    let grown = to.len().saturating_sub(from.len()).saturating_mul(text.matches(from).count());
    (text.len().saturating_add(grown) <= TEXT_CAP).then(|| text.replace(from, to))
}

/// What a tag is before any ban; none when it is not known then.
fn fixed(definition: &Definition, tag: &str, family: Option<Family>) -> Option<String> {
    match tag {
        "bantime" => None,
        "timeout" => Some(definition.timeout().as_secs().to_string()),
        "matches" | "ipmatches" | "ipjailmatches" => definition.option(tag, family).map(escaped),
        _ => definition.option(tag, family).map(str::to_owned).or(match tag {
            "br" => Some("\n".to_owned()),
            "sp" => Some(" ".to_owned()),
            _ => None,
        }),
    }
}

/// With a backslash before everything special, and line ends as `\n` and `\r`.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for letter in value.chars() {
        if SPECIAL.contains(&letter) {
            text.push('\\');
        }
        text.push(match letter {
            '\n' => 'n',
            '\r' => 'r',
            other => other,
        });
    }
    text
}

/// The tags of a text, each with the place of its `<`: no blank, `<` or `>` inside.
fn tags(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let open = from + text[from..].find('<')?;
            let length = text[open + 1..].find([' ', '<', '>'])?;
            let end = open + 1 + length;
            from = end;
            if length > 0 && text[end..].starts_with('>') {
                return Some((open, &text[open + 1..end]));
            }
        }
    })
}

/// Whether a command wants this of a ban: what is dear to find out is found out only then.
pub fn asks(text: &str, tag: &str) -> bool {
    tags(text).any(|(_, found)| found == tag)
}

/// A command for one run: what the ticket knows is put in, once, and not looked at again.
pub fn render(text: &str, ticket: &Ticket) -> Script {
    let mut arguments = Arguments::default();
    let mut script = String::with_capacity(text.len());
    let mut from = 0;
    for (open, tag) in tags(text) {
        let Some(value) = ticket.value(tag) else { continue };
        let value = fitting(&value);
        script.push_str(&text[from..open]);
        if value.len() > INLINE || value.contains(SPECIAL) {
            script.push('$');
            script.push_str(&arguments.variable(tag, value));
        } else {
            script.push_str(&value);
        }
        from = open + tag.len() + 2;
    }
    script.push_str(&text[from..]);
    arguments.before(script)
}

/// Without NUL, which no argument can hold, and no longer than an argument may be.
fn fitting(value: &str) -> String {
    let begin = value.len().saturating_sub(VALUE_CAP);
    let begin = (begin..=value.len()).find(|&at| value.is_char_boundary(at)).unwrap_or(value.len());
    value[begin..].replace('\0', "\u{fffd}")
}

/// The values that are handed over, in the order of their tags.
#[derive(Default)]
struct Arguments {
    values: Vec<(String, String)>,
    size: usize,
}

impl Arguments {
    /// The variable that holds this value. Two tags whose names differ only in what no name can hold get two.
    fn variable(&mut self, tag: &str, mut value: String) -> String {
        if self.size.saturating_add(value.len()) > VALUES_CAP {
            value.clear();
        }
        let word = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
        let mut name = String::from("f2bV_");
        match tag.strip_prefix("F-") {
            Some(own) => {
                name.push_str("F_");
                name.extend(own.chars().map(|letter| word(letter.to_ascii_lowercase())));
            }
            None => name.extend(tag.chars().map(word)),
        }
        loop {
            match self.values.iter().find(|(known, _)| *known == name) {
                Some((_, same)) if *same == value => return name,
                Some(_) => name.push('_'),
                None => break,
            }
        }
        self.size += value.len();
        self.values.push((name.clone(), value));
        name
    }

    /// The script that first gives the variables their values; those of `<F-…>` come last.
    fn before(mut self, script: String) -> Script {
        if self.values.is_empty() {
            return Script { text: script, argv: Vec::new() };
        }
        self.values.sort_by_key(|(name, _)| name.starts_with("f2bV_F_"));
        let mut text = String::new();
        let mut argv = Vec::new();
        for (number, (name, value)) in self.values.into_iter().enumerate() {
            // `$10` would be `$1` and a 0.
            let argument = if number < 10 { format!("${number}") } else { format!("${{{number}}}") };
            let _ = write!(text, "{name}={argument} ");
            argv.push(value);
        }
        text.push('\n');
        text.push_str(&script);
        Script { text, argv }
    }
}

#[cfg(test)]
mod tests;
