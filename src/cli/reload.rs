//! `stockade reload`.

use std::io::Write;

use clap::Args;

use super::{Exit, Global, ask};
use crate::control::request::Request;

/// The arguments of `stockade reload`.
#[derive(Debug, Args)]
pub struct ReloadArgs {
    /// Only this jail
    pub jail: Option<String>,
}

pub(super) fn run(global: &Global, args: &ReloadArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    ask::show(global, &Request::Reload { jail: args.jail.clone() }, false, out)
}
