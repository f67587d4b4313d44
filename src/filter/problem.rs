//! What can be wrong with a filter, in the words of whoever wrote it.

use super::date::DateError;
use super::syntax::SyntaxError;

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
