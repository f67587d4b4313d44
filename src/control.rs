//! The control socket: peer credentials, size limits.

pub mod request;
