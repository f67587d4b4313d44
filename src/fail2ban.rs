//! Fail2Ban's world: a tree such as `/etc/fail2ban` → what it means, and what was refused.
//!
//! Text → options; no actors. `shelf` and `logs` read the disk, everything else is pure.

mod action;
mod brackets;
mod daemon;
mod definition;
pub mod desk;
mod dialect;
mod dump;
pub mod filter;
#[cfg(feature = "faults")]
pub mod fuzz;
mod ini;
mod interpolate;
mod jail;
mod logs;
mod notes;
mod options;
pub mod probe;
mod problem;
mod said;
mod set;
mod shelf;
mod spec;
mod stock;
mod stream;
mod tags;
mod tree;

pub use brackets::{BracketError, Definition};
pub use daemon::{Overrides, Server};
pub use dialect::Dialect;
pub use dump::{Dump, Request, client, dump};
pub use ini::Slip;

pub use logs::Log;
pub use problem::{Place, Problem, Trouble};
pub use said::{Level, Said};
pub use spec::{Increment, JailSpec};
pub use tree::{Tree, load};
