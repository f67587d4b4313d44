//! The configuration as the command line sees it.

use std::ffi::OsString;
use std::path::PathBuf;

use super::Global;
use crate::config::{self, Config, Sources};

/// Where the configuration comes from: `--etc`, the environment, `--set` and `--socket`.
pub(super) fn sources(global: &Global) -> Sources {
    let mut flags = global.set.clone();
    if let Some(socket) = &global.socket {
        flags.push(("daemon.socket".to_owned(), socket.to_string_lossy().into_owned()));
    }
    Sources { etc: global.etc.clone(), env: environment(), flags, ..Sources::default() }
}

/// The environment; what is not UTF-8 in it is none of ours.
pub(super) fn environment() -> Vec<(String, String)> {
    let text =
        |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    std::env::vars_os().filter_map(text).collect()
}

/// The whole configuration, its mistakes included.
pub(super) fn load(global: &Global) -> Config {
    config::load(&sources(global))
}

/// The socket that the daemon is asked on. Mistakes in the files are the daemon's affair, not that of who asks it.
pub(super) fn socket(global: &Global) -> PathBuf {
    match &global.socket {
        Some(socket) => socket.clone(),
        // The shipped jails say nothing about it.
        None => config::load(&Sources { shipped: false, ..sources(global) }).daemon.socket,
    }
}
