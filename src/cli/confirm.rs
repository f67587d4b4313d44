//! `stockade confirm`.

use std::io::Write;

use clap::Args;

use super::{Exit, Global, ask};
use crate::control::request::Request;

/// The arguments of `stockade confirm`.
#[derive(Debug, Args)]
pub struct ConfirmArgs {
    /// Do not wait: bring the configuration before back now
    #[arg(long)]
    pub undo: bool,
}

pub(super) fn run(global: &Global, args: &ConfirmArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    ask::show(global, &Request::Confirm { undo: args.undo }, false, out)
}
