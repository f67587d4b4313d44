//! Carries out what a client of Fail2Ban's asks, with the running jails.

use std::rc::Rc;

use super::yard::Yard;
use crate::python::{Raised, Value};

impl Yard {
    /// The answer to a command of Fail2Ban's protocol.
    pub(super) async fn converse(self: &Rc<Self>, words: Vec<Value>) -> Result<Value, Raised> {
        match &words[..] {
            [Value::Text(verb)] if verb == "ping" => Ok("pong".into()),
            _ => Err(Raised::builtin("Exception", "Invalid command")),
        }
    }
}
