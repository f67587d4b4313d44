//! What is done about a ban besides the native firewalls: commands that an operator wrote.
//!
//! Edge: processes behind plain types, no actors.

pub mod lifecycle;
pub mod process;
pub mod smtp;
pub mod template;

use std::sync::Arc;

/// An action as its file and its jail spell it, resolved as far as it can be before a ban.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// The name of this instance, unique in its jail.
    pub name: Arc<str>,
    /// The file's name without its suffix, such as `nftables-multiport`; with it for `smtp.py`.
    pub file: Arc<str>,
    /// Every property in the order of the files: `actionban`, `actionban?family=inet6`, `port`, …
    pub options: Vec<(String, String)>,
}
