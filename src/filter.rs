//! Decides whether a log line is a failure, whose, and when.
//!
//! Pure: no clock, no I/O; the caller passes a [`Reading`] with each line.
//! In: the bytes of one line without its end. Out: an [`Outcome`].
//! The caller is [`crate::jail::Jail`].

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::Id;
use crate::time::UnixTime;

/// What a filter is made of, its mode already chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FilterOptions {
    /// Matched first; its `<F-CONTENT>` group, if any, is what the patterns see.
    pub prefix: Option<String>,
    /// A line is a failure when one of these matches (the first wins) …
    pub patterns: Vec<String>,
    /// … and none of these.
    pub ignore: Vec<String>,
    /// Names of fragments, replaced as `<name>` in the patterns before anything else.
    pub define: Vec<(String, String)>,
}

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
    /// When, already corrected by the rules of time.
    pub time: UnixTime,
    /// The lines that led to it, dates included, the last one the line that completed it.
    pub lines: Vec<Arc<str>>,
    /// What the pattern named: `user`, `port`, …
    pub data: Vec<(Arc<str>, String)>,
    /// Which of [`FilterOptions::patterns`] matched, from 0.
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
