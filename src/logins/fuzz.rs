//! Whatever bytes, as a session's file and as `utmp`.

use super::{session, utmp};
use crate::ignore::Login;

/// All logins that they tell of.
pub fn logins(bytes: &[u8]) -> Vec<Login> {
    session::read("5", bytes).into_iter().chain(utmp::read(bytes).map(|entry| entry.login())).collect()
}
