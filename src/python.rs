//! Python's values as Fail2Ban's programs exchange and print them.
//!
//! Pure.

mod text;
mod value;

pub use text::{is_space, lower, repr, strip, strip_end};
pub use value::{Command, Raised, Value, command, is_true, words};
