//! Fail2Ban's world: a tree such as `/etc/fail2ban` → what it means, and what was refused.
//!
//! Text → options; no actors. `shelf` and `logs` read the disk, everything else is pure.

mod brackets;
mod definition;
mod dialect;
pub mod filter;
mod ini;
mod interpolate;
mod item;
mod problem;
mod said;
mod set;
mod shelf;
mod stock;
mod tags;
mod text;
mod words;

pub use brackets::{BracketError, Definition};
pub use dialect::Dialect;
pub use ini::Slip;
pub use item::{Command, Item, python};
pub use problem::{Place, Problem, Trouble};
pub use said::{Level, Said};
