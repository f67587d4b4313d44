//! The server's side of Fail2Ban's protocol, without the server: what a command asks ([`order`]).
//!
//! Pure.

mod argument;
mod jail;
mod order;
mod read;
#[cfg(test)]
mod tests;

pub use order::{Flavour, JailOrder, Native, Order, ServerOrder};
pub use read::order;

/// The version that clients are told: the level of the protocol, and not this program's own.
pub const VERSION: &str = "1.1.0";
