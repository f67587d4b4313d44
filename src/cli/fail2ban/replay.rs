//! `stockade fail2ban replay`.

use std::io::Write;

use clap::Args;

use crate::cli::Exit;

/// The arguments.
#[derive(Debug, Args)]
pub struct ReplayArgs {}

pub(super) fn run(_: &ReplayArgs, _: &mut dyn Write) -> anyhow::Result<Exit> {
    anyhow::bail!("not built yet")
}
