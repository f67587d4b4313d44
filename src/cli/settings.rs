//! The configuration as the command line sees it.

use std::path::PathBuf;

use super::Global;

/// The socket that the daemon is asked on.
pub(super) fn socket(global: &Global) -> PathBuf {
    global.socket.clone().unwrap_or_else(|| PathBuf::from("/run/stockade/stockade.sock"))
}
