//! What the client says on standard error: lines of Fail2Ban's log format.

use std::io::{self, Write};

use jiff::Zoned;

use crate::fail2ban::Said;

/// A line of the client itself.
pub(in crate::cli) fn error(text: &str) {
    line("fail2ban", "ERROR", text);
}

/// What it does, for those who want to know.
pub(super) fn info(text: &str) {
    line("fail2ban", "INFO", text);
}

/// A line of whatever read a tree.
pub(super) fn said(said: &Said) {
    let logger = match said.logger {
        "" => "fail2ban".to_owned(),
        name => format!("fail2ban.{name}"),
    };
    line(&logger, &said.level.to_string(), &said.text);
}

/// `2026-01-02 03:04:05,678 fail2ban.configreader   [PID]: ERROR   text`
fn line(logger: &str, level: &str, text: &str) {
    let (time, pid) = (Zoned::now().strftime("%Y-%m-%d %H:%M:%S,%3f").to_string(), std::process::id());
    _ = writeln!(io::stderr().lock(), "{time} {logger:<24}[{pid}]: {level:<7} {text}"); // nobody to tell
}
