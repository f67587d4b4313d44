//! How a line was read, and what it means.

use std::sync::Arc;
use std::time::Duration;

use smol_str::SmolStr;

use crate::id::Id;
use crate::time::UnixTime;

/// When and how a line was read.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// The moment of the read.
    pub now: UnixTime,
    /// Nothing in the file was written before its last saved read ended: after a restart that moment, else `now`.
    /// A live line's time is never taken to be before this.
    pub since: UnixTime,
    /// Whether the file was once read to its end ("in operation", SPEC §2.2(3)).
    pub live: bool,
    /// Lines older than this before `now` are ignored while not live.
    pub find_time: Duration,
}

/// A failed attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// Who failed.
    pub id: Id,
    /// The id is a host name: its addresses have failed, once they are known.
    pub is_name: bool,
    /// When, already corrected by the rules of time.
    pub time: UnixTime,
    /// The lines that led to it, dates included, the last one the line that completed it.
    pub lines: Vec<Arc<str>>,
    /// What the pattern named: `user`, `port`, …
    pub data: Arc<[(Arc<str>, SmolStr)]>,
    /// Which of `patterns` of [`super::FilterOptions`] matched, from 0.
    pub pattern: usize,
}

/// What a line means.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// No pattern matched.
    Nothing,
    /// A pattern matched, and so did this ignore pattern (from 0).
    Ignored(usize),
    /// A pattern matched, but it alone is no failure (`<F-NOFAIL>`, a session's beginning or end).
    Pending(usize),
    /// It matched but happened before `now - find_time` (while catching up), or has no usable date.
    TooOld,
    /// Someone failed.
    Failure(Box<Failure>),
    /// Neither engine could decide within its bound.
    Undecided,
}

impl Outcome {
    /// The same of a filter whose patterns stand behind `before` others.
    pub(super) fn of_later_pattern(self, before: usize) -> Self {
        match self {
            Self::Pending(pattern) => Self::Pending(before + pattern),
            Self::Failure(mut failure) => {
                failure.pattern += before;
                Self::Failure(failure)
            }
            other => other,
        }
    }
}
