//! How Fail2Ban's programs talk to each other over a socket: pickles, each with an end mark behind it.
//!
//! Edge: sockets behind plain types. A client says commands, one after another, each answered before the next, and
//! closes with a mark of its own. The bytes of a message are [`super::pickle`].

mod client;
mod frames;
mod serve;

pub use client::Client;
pub use serve::{Limits, serve};

use crate::python::{Raised, Value};

/// Behind every message.
pub const END: &[u8] = b"<F2B_END_COMMAND>";
/// The message that ends a conversation.
pub const CLOSE: &[u8] = b"<F2B_CLOSE_COMMAND>";

/// Whether a conversation that begins with this byte is Fail2Ban's: that of a pickle (the old forms of a list or tuple
/// included), or of a mark.
pub fn begins(byte: u8) -> bool {
    matches!(byte, 0x80 | b'(' | b']' | b'<')
}

/// The words of a command; what is no command is answered as Fail2Ban's server does.
///
/// # Errors
/// It is no list.
pub fn words(command: Value) -> Result<Vec<Value>, Raised> {
    let kind = match command {
        Value::List(words) | Value::Tuple(words) => return Ok(words),
        Value::Text(_) => return Err(Raised::builtin("Exception", "Invalid command")),
        Value::Map(_) => {
            let mut raised = Raised::builtin("KeyError", "");
            raised.arguments = vec![Value::from(0)];
            return Err(raised);
        }
        Value::None => "NoneType",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Float(_) => "float",
    };
    Err(Raised::builtin("TypeError", format!("'{kind}' object is not subscriptable")))
}

#[cfg(test)]
mod tests;
