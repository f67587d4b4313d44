//! The server's side of Fail2Ban's protocol, without the server: what a command asks ([`Order`]).
//!
//! Pure.

mod order;

pub use order::{Flavour, JailOrder, Order, ServerOrder};
