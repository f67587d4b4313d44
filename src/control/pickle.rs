//! Python's values as bytes: the part of `pickle` that Fail2Ban's programs need to talk to each other.
//!
//! Pure. In: a message's bytes. Out: a [`Value`], or what was [`Raised`]; and back.
//! Nothing that a pickle names is looked up or run. The few names that stand for plain values (`str`, `set`, …) are
//! known; an exception, which only a server sends, is kept as its name and arguments; any other name is a mistake.
//! Work and memory are bounded whatever the bytes are: see the limits below.

mod heap;
mod machine;
mod number;
mod read;
mod text;
mod write;

pub use read::{command, reply};
pub use write::{write_command, write_error, write_reply};

use crate::python::{Raised, Value};

/// What a server answers: a value, or what was raised in its place.
pub type Reply = Result<Value, Raised>;

/// A message longer than this is not read.
pub const BYTES_CAP: usize = 64 * 1024 * 1024;
/// Nor an answer longer than this: a million bans with their times are 70 MB.
pub const ANSWER_CAP: usize = 4 * BYTES_CAP;
/// So many values may be in one message.
pub const VALUES_CAP: usize = 1 << 21;
/// So deep may they be in each other.
pub const DEPTH_CAP: usize = 64;
/// So many bytes may an integer have.
pub const INTEGER_CAP: usize = 1024;

/// The newest form that is written, and the oldest one.
pub const PROTOCOLS: std::ops::RangeInclusive<u8> = 2..=5;

/// Why bytes are no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PickleError {
    /// They end too early.
    #[error("pickle data was truncated")]
    Truncated,
    /// There are none.
    #[error("Ran out of input")]
    Empty,
    /// Something follows their end.
    #[error("{0} bytes follow the end of the pickle")]
    Rest(usize),
    /// An instruction that is none, or is not needed by these programs.
    #[error("invalid load key, '{}'", (*.0).escape_ascii())]
    Instruction(u8),
    /// A newer form.
    #[error("unsupported pickle protocol: {0}")]
    Protocol(u8),
    /// An instruction finds too little, or the wrong thing, to work on.
    #[error("unpickling stack underflow: {0}")]
    Stack(&'static str),
    /// A value is used again that never was.
    #[error("Memo value not found at index {0}")]
    Memo(u32),
    /// A name of something that is no plain value.
    #[error("global '{0}' is forbidden")]
    Forbidden(String),
    /// A text or number is not written as one.
    #[error("this is no {0}")]
    Malformed(&'static str),
    /// More than is read.
    #[error("the pickle has more than {0}")]
    TooMuch(&'static str),
    /// A list that is in itself, or as good as that.
    #[error("values are nested deeper than {DEPTH_CAP}, or in themselves")]
    TooDeep,
    /// The answer is neither a value nor an exception.
    #[error("the answer is neither a value nor an exception")]
    NoReply,
}

#[cfg(test)]
mod tests;
