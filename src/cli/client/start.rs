//! `start`: the server in the background, or in our place.

use std::path::Path;
use std::time::Duration;

use super::Session;
use crate::cli::{Exit, server};
use crate::control::talk::Client;

/// How long a server may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is at a socket's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Socket {
    /// Nothing, or nothing that is in the way.
    Free,
    /// Somebody answers, or holds the connection.
    Served,
    /// It is there, but nobody serves it.
    Dead,
}

/// Looks at a socket.
pub(in crate::cli) fn look_at(path: &Path) -> Socket {
    if std::env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string()) {
        return Socket::Free; // systemd holds it for us
    }
    match (path.exists(), answers(path)) {
        (_, true) => Socket::Served,
        (true, false) => Socket::Dead,
        (false, false) => Socket::Free,
    }
}

/// Whether somebody takes a connection.
pub(super) fn answers(path: &Path) -> bool {
    Client::connect(path, PATIENCE).is_ok()
}

/// Starts the server unless one runs.
pub(super) fn run(session: &Session) -> Exit {
    server::start(&session.options, &session.place)
}
