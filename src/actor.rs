//! The actors: the only folder that knows actix and reads clocks. They carry messages and decide nothing.
//!
//! What blocks (netlink, SQLite, host names, processes) has threads of its own behind crossbeam channels: [`firewall`],
//! [`store`], [`helper`], [`action`], [`cutter`].
//! Everything that passes between actors is in [`message`]; who waits for whom is in [`WAITS`].

pub mod action;
pub mod control;
pub mod cutter;
pub mod firewall;
pub mod guard;
pub mod helper;
pub mod jail;
pub mod logins;
pub mod message;
pub mod store;
pub mod supervisor;
pub mod tailer;
pub mod timer;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::time::UnixTime;

/// Who takes part in [`WAITS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The control socket and the signals.
    Control,
    /// The supervisor.
    Supervisor,
    /// The tailer.
    Tailer,
    /// Any jail.
    Jail,
    /// The firewall's thread.
    Firewall,
    /// The store's thread.
    Store,
    /// The action broker and its workers.
    Actions,
    /// Who hears what others do to the firewall.
    Monitor,
}

/// Every edge on which a sender waits for its receiver, be it for room or for an answer.
///
/// All others never wait: acknowledgements, the timer's and all that goes from a jail to the tailer or to the broker.
pub const WAITS: &[(Role, Role)] = &[
    (Role::Control, Role::Supervisor),  // Ask
    (Role::Supervisor, Role::Tailer),   // Watched
    (Role::Supervisor, Role::Jail),     // Report, Order, Retune, HandedOn, Collect, Retire
    (Role::Supervisor, Role::Firewall), // Fill, Replace, Remove
    (Role::Supervisor, Role::Store),    // Load, Flush
    (Role::Supervisor, Role::Actions),  // Stop
    (Role::Tailer, Role::Jail),         // Lines
    (Role::Jail, Role::Firewall),       // Apply: for room
    (Role::Jail, Role::Store),          // Record: for room
    (Role::Monitor, Role::Firewall),    // News: for room
    (Role::Actions, Role::Store),       // Evidence
];

/// The wall clock. Only this folder calls it; everything else is told.
pub fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    UnixTime::from_secs(0) + since
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_form_no_ring() {
        fn reaches(from: Role, to: Role, depth: usize) -> bool {
            depth > 0 && WAITS.iter().any(|&(a, b)| a == from && (b == to || reaches(b, to, depth - 1)))
        }
        for &(role, _) in WAITS {
            assert!(!reaches(role, role, WAITS.len()), "{role:?} waits for itself");
        }
    }
}
