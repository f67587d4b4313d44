//! What can be wrong with a Fail2Ban tree: where it stands, and in whose words.
//!
//! Pure. `Display` speaks to an operator; [`Problem::as_fail2ban`] repeats what Fail2Ban's client says.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::brackets::BracketError;
use super::ini::Slip;
use crate::config::Mistake;
use crate::python::repr;

/// A problem and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct Trouble {
    /// Where.
    pub place: Place,
    /// What.
    pub problem: Box<Problem>,
    /// The action that it was found in; none: it is not an action's.
    pub action: Option<Box<str>>,
}

impl Trouble {
    pub(super) fn new(place: Place, problem: Problem) -> Self {
        Self { place, problem: Box::new(problem), action: None }
    }

    /// The same, where the place is not known otherwise.
    pub(super) fn at(mut self, place: impl FnOnce() -> Place) -> Self {
        if self.place == Place::default() {
            self.place = place();
        }
        self
    }

    /// What is wrong, in an operator's words; each line of a broken file is a mistake of its own.
    pub(super) fn mistakes(self, jail: Option<&Arc<str>>, base: &Path) -> Vec<Mistake> {
        match &*self.problem {
            Problem::Broken(lines) => lines
                .iter()
                .map(|(line, slip)| {
                    let place = Place { line: Some(*line), ..self.place.clone() };
                    place.mistake(jail, base, slip.to_string())
                })
                .collect(),
            problem => {
                let mut what = problem.to_string();
                let is_common = self.place.key.as_ref().is_some_and(|key| key.starts_with("[DEFAULT]"));
                if let (Problem::NoFilter(_), Some(jail), true) = (problem, jail, is_common) {
                    let _ = write!(what, ", which [{jail}] would use: give it a `filter`");
                }
                vec![self.place.mistake(jail, base, what)]
            }
        }
    }

    /// Whether Fail2Ban passes over the file and goes on.
    pub(super) fn costs_a_file(&self) -> bool {
        matches!(*self.problem, Problem::NotText { .. } | Problem::Unreadable(_))
    }

    /// Whether Fail2Ban leaves out the jail and goes on; anything else ends everything.
    pub fn costs_a_jail(&self) -> bool {
        matches!(*self.problem, Problem::Brackets { .. } | Problem::NoFilter(_) | Problem::NoAction(_))
    }

    /// Python's and Fail2Ban's words, as its client prints them.
    pub fn as_fail2ban(&self) -> String {
        let text = self.problem.as_fail2ban(self.place.file.as_deref());
        match &self.action {
            Some(action) if !self.costs_a_jail() => {
                format!("Error in action definition {}: {text}", repr(action))
            }
            _ => text,
        }
    }
}

/// A place in a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The file; none: no single one.
    pub file: Option<PathBuf>,
    /// Its line, from 1.
    pub line: Option<usize>,
    /// `[section] option`.
    pub key: Option<String>,
}

impl Place {
    /// A mistake at this place, or else in the tree as a whole.
    pub(super) fn mistake(&self, jail: Option<&Arc<str>>, base: &Path, what: String) -> Mistake {
        let file = self.file.as_deref().unwrap_or(base);
        let place = file.display().to_string();
        Mistake { jail: jail.cloned(), place, line: self.line, key: self.key.clone(), what }
    }
}

/// What can be wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A file breaks the rules of the dialect: every line that does.
    #[error("breaks the rules of the dialect")]
    Broken(Vec<(usize, Slip)>),
    /// A file is no text.
    #[error("is no text in UTF-8 (byte {at}): Fail2Ban passes over the whole file")]
    NotText {
        /// The first wrong byte.
        byte: u8,
        /// Where it is, from 0.
        at: usize,
        /// What is wrong with it, in Python's words.
        why: &'static str,
    },
    /// A file can not be read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// A file, or all of them together, are larger than is read.
    #[error("is too large")]
    TooLarge,
    /// Files include each other without end.
    #[error("includes files that include each other without end")]
    Endless,
    /// `%(name)s` names nothing.
    #[error("%({name})s is no option of this section nor of [DEFAULT]")]
    NoName {
        /// The option that was to be read.
        option: String,
        /// Its section.
        section: String,
        /// The name that is unknown.
        name: String,
        /// The option's text.
        raw: String,
    },
    /// `%(…)s` within `%(…)s`, more than ten deep.
    #[error("%(…)s goes more than ten deep: it probably contains itself")]
    TooDeep {
        /// The option that was to be read.
        option: String,
        /// Its section.
        section: String,
        /// The option's text.
        raw: String,
    },
    /// `%` before something else.
    #[error("a % is written %%; `{0}` starts with neither %% nor %(name)s")]
    BadPercent(String),
    /// `%(` that is not closed by `)s`.
    #[error("`{0}` is no %(name)s")]
    BadReference(String),
    /// A tag contains itself.
    #[error("<{found}> contains itself, or is used more than 25 times")]
    Recursion {
        /// The option in which it was found.
        tag: String,
        /// The tag.
        found: String,
        /// How often each tag was replaced so far.
        counts: Vec<(String, usize)>,
        /// The text so far.
        value: String,
    },
    /// `filter = …` or an action is not written as it should be.
    #[error("`{text}` is no {kind}: {why}")]
    Brackets {
        /// `filter` or `action`.
        kind: &'static str,
        /// The definition.
        text: String,
        /// Why.
        why: BracketError,
    },
    /// No such filter.
    #[error("there is no filter.d/{0}.conf nor .local")]
    NoFilter(String),
    /// No such action.
    #[error("there is no action.d/{0}.conf nor .local")]
    NoAction(String),
    /// The journal match has a quote that is not closed.
    #[error("`{0}` has a quote that is not closed, or ends in a backslash")]
    JournalMatch(String),
    /// None of the jail's logs exist, in Fail2Ban's words.
    #[error("names no file that is there")]
    NoLogs(String),
    /// `loglevel` is none.
    #[error(
        "`{0}` is no log level: CRITICAL, ERROR, WARNING, NOTICE, INFO, DEBUG, TRACEDEBUG, HEAVYDEBUG or a number"
    )]
    LogLevel(String),
    /// There is no such tree.
    #[error("does not exist")]
    NoFolder(String),
    /// There is no such jail.
    #[error("there is no jail {0}")]
    NoJail(String),
    /// Two actions of a jail have the same name.
    #[error("two actions are called {0}: give one of them another `name` or `actname`")]
    ActionTwice(String),
    /// An option has a value that the server refuses.
    #[error("{0}")]
    Value(String),
}

impl Problem {
    /// Python's and Fail2Ban's words, as its client prints them after `Failed during configuration: `.
    pub(super) fn as_fail2ban(&self, file: Option<&Path>) -> String {
        let file = repr(&file.map(|file| file.to_string_lossy()).unwrap_or_default());
        match self {
            Self::Broken(lines) => broken(&file, lines),
            Self::NoName { option, section, name, raw } => format!(
                "Bad value substitution: option {} in section {} contains an interpolation key {} which is not a valid option name. Raw value: {}",
                repr(option),
                repr(section),
                repr(name),
                repr(raw)
            ),
            Self::TooDeep { option, section, raw } => format!(
                "Recursion limit exceeded in value substitution: option {} in section {} contains an interpolation key which cannot be substituted in 10 steps. Raw value: {}",
                repr(option),
                repr(section),
                repr(raw)
            ),
            Self::BadPercent(rest) => {
                format!("'%' must be followed by '%' or '(', found: {}", repr(rest))
            }
            Self::BadReference(rest) => format!("bad interpolation variable reference {}", repr(rest)),
            Self::Recursion { tag, found, counts, value } => {
                let counts: Vec<String> =
                    counts.iter().map(|(tag, count)| format!("{}: {count}", repr(tag))).collect();
                format!(
                    "properties contain self referencing definitions and cannot be resolved, fail tag: {tag}, found: {found} in {{{}}}, value: {value}",
                    counts.join(", ")
                )
            }
            Self::Brackets { kind, text, why } => format!("Invalid {kind} definition {}: {why}", repr(text)),
            Self::NoFilter(name) => format!("Unable to read the filter {}", repr(name)),
            Self::NoAction(name) => format!("Unable to read action {}", repr(name)),
            Self::Endless => "maximum recursion depth exceeded while calling a Python object".to_owned(),
            Self::LogLevel(level) => format!("Invalid log level {}", repr(level)),
            Self::NoJail(name) => format!("No section: {}", repr(name)),
            Self::NoFolder(folder) => format!("Base configuration directory {folder} does not exist "),
            Self::NotText { .. }
            | Self::Unreadable(_)
            | Self::TooLarge
            | Self::ActionTwice(_)
            | Self::Value(_) => self.to_string(),
            Self::JournalMatch(text) if text.ends_with('\\') => "No escaped character".to_owned(),
            Self::JournalMatch(_) => "No closing quotation".to_owned(),
            Self::NoLogs(words) => words.clone(),
        }
    }
}

/// Python stops at the first of some mistakes; else it names all lines without a separator.
fn broken(file: &str, lines: &[(usize, Slip)]) -> String {
    let stops = lines.iter().find(|(_, slip)| !matches!(slip, Slip::NoSeparator(_)));
    match stops {
        Some((line, Slip::NoSection(text))) => {
            format!("File contains no section headers.\nfile: {file}, line: {line}\n{}", repr(text))
        }
        Some((line, Slip::SectionTwice(name))) => {
            format!("While reading from {file} [line {line:2}]: section {} already exists", repr(name))
        }
        Some((line, Slip::OptionTwice { section, key })) => format!(
            "While reading from {file} [line {line:2}]: option {} in section {} already exists",
            repr(key),
            repr(section)
        ),
        _ => {
            let mut text = format!("Source contains parsing errors: {file}");
            for (line, slip) in lines {
                let Slip::NoSeparator(raw) = slip else { continue };
                let _ = write!(text, "\n\t[line {line:2}]: {}", repr(raw));
            }
            text
        }
    }
}
