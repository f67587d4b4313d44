//! The server's side of Fail2Ban's protocol, without the server: what a command asks ([`order()`]), and what it makes of a
//! jail's options ([`get()`], [`set()`]); what a stream of them makes ([`draft()`]).
//!
//! In: commands. Out: values as Fail2Ban's server answers them, or what it raises. Pure, but that [`set()`] asks whether a
//! log file is there.

mod actions;
mod argument;
mod dates;
mod draft;
mod encoding;
mod get;
mod ignored;
mod jail;
mod order;
mod read;
mod regexes;
mod set;
#[cfg(test)]
mod tests;
mod times;

pub use argument::{int, type_of};
pub use draft::{Drafted, draft};
pub use get::get;
pub use order::{Flavour, JailOrder, Native, Order, ServerOrder};
pub(super) use read::backend;
pub use read::order;
pub use set::set;
pub use times::seconds;

/// The version that clients are told: the level of the protocol, and not this program's own.
pub const VERSION: &str = "1.1.0";
