//! The control socket: who may ask, how much, and the two ends of one question.
//!
//! Edge: sockets behind plain types, no actors. The shell is [`crate::actor::control`].
//! Two languages on one socket, told apart by the first byte: one JSON object a line each way, where what can be asked
//! is [`request`] and how answers read is [`text`]; and Fail2Ban's own ([`talk`]), whose values are [`pickle`]s.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

mod ask;
mod group;
mod inherit;
mod listen;
pub mod pickle;
mod pid_file;
pub mod request;
pub mod talk;
pub mod text;

pub use ask::ask;
pub use listen::{Listener, serve};
pub use pid_file::{PidFile, fail2ban_behind};

/// A request may have this many bytes, its line end included.
pub const REQUEST_CAP: usize = 64 * 1024;

/// An answer longer than this is not read to its end.
pub const RESPONSE_CAP: u64 = 512 * 1024 * 1024;

/// So many connections are served at once; one more is told to come back.
pub const CONNECTIONS: usize = 64;

/// Why the socket cannot be opened, or a question got no answer.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Somebody serves this socket, or holds this pid file.
    #[error("{} {verb} {}{}", running(*pid), path.display(), advice(*pid))]
    Running {
        /// Its process id, if it can be told.
        pid: Option<u32>,
        /// `answers on` or `holds`.
        verb: &'static str,
        /// The socket or pid file.
        path: PathBuf,
    },
    /// Something that is no socket is in the way; it is left alone.
    #[error("{} is in the way and is no socket: remove it, or set `daemon.socket`", .0.display())]
    NotSocket(PathBuf),
    /// The path does not fit into a socket's address.
    #[error("{} is too long for a socket (107 bytes at most): set `daemon.socket`", .0.display())]
    TooLong(PathBuf),
    /// Nobody serves this socket.
    #[error("no stockade answers on {}: is it running? (stockade run)", .0.display())]
    NotRunning(PathBuf),
    /// The socket, or the daemon behind it, lets this user not ask.
    #[error("permission denied on {}: only root or the user stockade runs as may ask it", .0.display())]
    Denied(PathBuf),
    /// Connected, but no word came in time.
    #[error("stockade on {} did not answer within {}", path.display(), crate::span::format(*timeout))]
    Silent {
        /// The socket.
        path: PathBuf,
        /// How long the silence lasted.
        timeout: Duration,
    },
    /// The connection ended before the answer did.
    #[error("stockade on {} hung up without an answer", .0.display())]
    HungUp(PathBuf),
    /// The answer is no [`request::Response`].
    #[error("the answer from {} makes no sense: is the daemon of another version? ({why})", path.display())]
    Garbled {
        /// The socket.
        path: PathBuf,
        /// What the parser says.
        why: String,
    },
    /// The request does not fit; the caller can split it.
    #[error("the request is longer than {REQUEST_CAP} bytes")]
    RequestTooLong,
    /// Anything else, with the path it happened to.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// `open`, `create`, …
        what: &'static str,
        /// What was worked on.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
}

fn running(pid: Option<u32>) -> String {
    let who = if is_fail2ban(pid) { "a Fail2Ban server" } else { "another stockade" };
    pid.map_or_else(|| who.to_owned(), |pid| format!("{who} (pid {pid})"))
}

fn advice(pid: Option<u32>) -> &'static str {
    if is_fail2ban(pid) { ": stop it first (systemctl stop fail2ban, or fail2ban-client stop)" } else { "" }
}

/// Whether it is Fail2Ban's server, as far as its command line tells.
fn is_fail2ban(pid: Option<u32>) -> bool {
    let Some(pid) = pid else { return false };
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split(|byte| *byte == 0).take(3).any(|word| word.ends_with(b"fail2ban-server"))
}

impl ControlError {
    fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}

/// The socket's address.
fn address(path: &Path) -> Result<rustix::net::SocketAddrUnix, ControlError> {
    rustix::net::SocketAddrUnix::new(path).map_err(|_| ControlError::TooLong(path.to_owned()))
}

/// Creates the directories above `path`, open to everybody's eyes: the files in them guard themselves.
fn create_parent(path: &Path) -> Result<(), ControlError> {
    use std::os::unix::fs::DirBuilderExt;
    let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) else { return Ok(()) };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(parent)
        .map_err(ControlError::io("create", parent))
}

#[cfg(test)]
mod tests;
