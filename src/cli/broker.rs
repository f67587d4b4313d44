//! `stockade broker --worker N`: the process that runs a daemon's commands. The keeper starts it, on the daemon's socket, and
//! nobody types it: it has no place in the command line, whose reading takes a small process more memory than all its work.

use std::ffi::OsString;

use super::{Exit, complain};
use crate::broker::serve;

/// The words behind `broker`: `--worker N`, and there were so many before.
pub(super) fn main(words: &[OsString]) -> Exit {
    let served = match words {
        [worker, born] if worker == "--worker" => {
            serve::work(born.to_str().and_then(|born| born.parse().ok()).unwrap_or_default())
        }
        _ => Err(std::io::ErrorKind::InvalidInput.into()),
    };
    match served {
        Ok(()) => Exit::Done,
        Err(error) => {
            complain(&format!("stockade broker is started by the daemon alone: {error}"));
            Exit::Environment
        }
    }
}
