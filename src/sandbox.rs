//! Gives up what the daemon does not need once it runs: capabilities, files, system calls, new privileges.
//!
//! Edge: the process itself. In: [`Places`], where it reads and writes. Out: [`Closed`], what is closed and what could not be,
//! and why: a kernel or container that refuses one of these costs that one, never the daemon. [`close`] is called while
//! there is one thread, so that all later ones begin with it. What cannot be done any more then is the [`crate::broker`]'s.
//!
//! The order matters: files are looked up with all rights, capabilities go before the system calls that drop them.

mod calls;
pub mod capabilities;
mod files;

use std::path::Path;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::action::grant::names;
pub use files::Places;

/// How much is closed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// All of it.
    #[default]
    On,
    /// Capabilities and new privileges only.
    Capabilities,
    /// Nothing: the daemon keeps what it was started with, and so do its commands.
    Off,
}

/// What is closed, and what could not be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// The capabilities that are left, as `CAP_NET_ADMIN`.
    pub capabilities: String,
    /// Whether no program that it starts can have more rights than it has.
    pub no_new_privs: bool,
    /// The version of Landlock's interface that keeps it from files; none: nothing does.
    pub landlock: Option<u32>,
    /// Whether system calls are filtered.
    pub seccomp: bool,
    /// The process that runs its commands.
    pub broker: Option<u32>,
    /// What could not be closed, and why.
    pub open: Vec<String>,
}

impl Closed {
    /// In one line, for people.
    pub fn text(&self) -> String {
        let mut parts = vec![match &*self.capabilities {
            "" => "no capabilities".to_owned(),
            some => some.to_owned(),
        }];
        parts.extend(self.no_new_privs.then(|| "no new privileges".to_owned()));
        parts.extend(self.landlock.map(|abi| format!("landlock {abi}")));
        parts.extend(self.seccomp.then(|| "seccomp".to_owned()));
        parts.extend(self.broker.map(|pid| format!("command broker {pid}")));
        parts.join(", ")
    }
}

/// What the running daemon has closed, and where it may still go.
struct Sandbox {
    closed: Closed,
    places: Option<Places>,
}

static SANDBOX: OnceLock<Sandbox> = OnceLock::new();

/// Whether a sandbox is closed that no program can be started in as before.
pub fn is_closed() -> bool {
    SANDBOX.get().is_some()
}

/// What is closed; none: nothing was meant to be.
pub fn closed() -> Option<&'static Closed> {
    SANDBOX.get().map(|sandbox| &sandbox.closed)
}

/// Whether the closed sandbox keeps the daemon from reading this path.
pub fn keeps_from(path: &Path) -> bool {
    let places = SANDBOX.get().and_then(|sandbox| sandbox.places.as_ref());
    places.is_some_and(|places| !places.lets_read(path))
}

/// Whether the closed sandbox keeps the daemon from writing a new file at this path.
pub fn keeps_from_writing(path: &Path) -> bool {
    let places = SANDBOX.get().and_then(|sandbox| sandbox.places.as_ref());
    places.is_some_and(|places| !places.lets_write(path))
}

/// Closes the sandbox for this thread and all that it starts. The first call counts.
pub fn close(mode: Mode, places: Places, broker: Option<u32>) -> Option<&'static Closed> {
    if mode == Mode::Off || SANDBOX.get().is_some() {
        return closed();
    }
    let mut closed = Closed { broker, ..Closed::default() };
    let mut open = Vec::new();
    if let Some(others) = other_threads() {
        open.push(format!("{others} threads were there before and keep what they had"));
    }
    match rustix::thread::set_no_new_privs(true) {
        Ok(()) => closed.no_new_privs = true,
        Err(error) => open.push(format!("new privileges: {error}")),
    }
    let had = capabilities::had();
    let keep = capabilities::kept(had, !places.all_own(&capabilities::Person::own()));
    let mut confined = None;
    if mode == Mode::On {
        match files::confine(&places) {
            Ok(abi) => {
                closed.landlock = Some(abi);
                for folder in places.missing() {
                    let what = "is not there: what is to be written there needs a restart";
                    tracing::error!(target: "fail2ban.server", "{} {what}", folder.display());
                }
                confined = Some(places);
            }
            Err(why) => open.push(format!("files (landlock): {why}")),
        }
    }
    match capabilities::limit(keep) {
        Ok(()) => open.extend(capabilities::left_in_bounds(keep)),
        Err(error) => open.push(format!("capabilities: {error}")),
    }
    closed.capabilities = names(capabilities::had());
    if mode == Mode::On {
        match calls::filter() {
            Ok(()) => closed.seccomp = true,
            Err(why) => open.push(format!("system calls (seccomp): {why}")),
        }
    }
    closed.open = open;
    let _ = SANDBOX.set(Sandbox { closed, places: confined });
    self::closed()
}

/// Keeps this thread from opening a way to the firewall; what runs it reads what attackers write.
///
/// Threads share memory and descriptors, so this stops a mistake, not somebody who runs code of their own.
pub fn no_firewall_from_here() {
    if closed().is_some_and(|closed| closed.seccomp)
        && let Err(error) = calls::refuse_netlink()
    {
        tracing::warn!(target: "fail2ban.server", "a thread that reads logs may still open netlink sockets: {error}");
    }
}

/// How many threads there are besides this one.
fn other_threads() -> Option<usize> {
    let threads = std::fs::read_dir("/proc/self/task").ok()?.count();
    threads.checked_sub(1).filter(|others| *others > 0)
}
