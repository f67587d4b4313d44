//! What Fail2Ban's client would have written to its log while it read a tree.
//!
//! Pure.

use std::fmt;

/// One line of the client's log, without its time and process id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The logger below `fail2ban`, such as `configreader`; empty: `fail2ban` itself.
    pub logger: &'static str,
    /// How bad it is.
    pub level: Level,
    /// The message; it may have several lines.
    pub text: String,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// A default stands in.
    Warning,
    /// Something does not work.
    Error,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
        })
    }
}
