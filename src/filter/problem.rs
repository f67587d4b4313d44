//! What can be wrong with a filter, in the words of whoever wrote it.

use super::date::DateError;
use super::syntax::{Dialect, SyntaxError, parse};
use super::{Fail2Ban, tags};

/// Why a filter cannot be used: a message that names the option.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", self.place())]
pub struct FilterError {
    pub(super) field: &'static str,
    pub(super) index: Option<usize>,
    pub(super) problem: Problem,
}

impl FilterError {
    /// The field of [`super::FilterOptions`], by Fail2Ban's name in its dialect, and which of its list.
    pub fn option(&self) -> (&'static str, Option<usize>) {
        (self.field, self.index)
    }

    /// What is wrong, without the option's name.
    pub fn what(&self) -> String {
        self.problem.to_string()
    }

    /// What Fail2Ban says of it; `text` is the regular expression that it is about.
    pub fn as_fail2ban(&self, text: &str, own: &Fail2Ban) -> String {
        let shown = tags::fail2ban::shown(text, own);
        match &self.problem {
            Problem::Empty => "Cannot add empty regex".to_owned(),
            Problem::NoHost => format!("No failure-id group in '{shown}'"),
            problem => {
                let dialect = Dialect::Python { multi_line: own.max_lines > 1 };
                let python =
                    parse(&shown, dialect).err().and_then(|error| Some(error.as_python()?.to_owned()));
                let why = python.unwrap_or_else(|| problem.to_string());
                format!("Unable to compile regular expression '{shown}':\n{why}")
            }
        }
    }

    fn place(&self) -> String {
        match (&self.problem, self.index) {
            (Problem::Dates(_), _) => String::new(),
            (_, None) => format!("{} ", self.field),
            (_, Some(index)) => format!("{}[{index}] ", self.field),
        }
    }
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    #[error("is empty")]
    Empty,
    #[error("has no <HOST>")]
    NoHost,
    #[error("does not compile: {0}")]
    Syntax(#[from] SyntaxError),
    #[error("does not compile: {0}")]
    Engine(String),
    #[error("is too large")]
    TooLarge,
    #[error("uses <{0}>, which contains itself")]
    Cycle(String),
    #[error("has {0}, but names are never looked up: use <HOST>")]
    Names(String),
    #[error("has {0}, which means nothing here")]
    Unknown(String),
    #[error("opens {0} and does not close it")]
    NotClosed(String),
    #[error("has {0} without the tag that opens it")]
    NotOpen(String),
    /// Names its option itself.
    #[error(transparent)]
    Dates(#[from] DateError),
}
