//! `stockade fail2ban dates`.

use std::io::Write;

use clap::Args;

use crate::cli::Exit;

/// The arguments.
#[derive(Debug, Args)]
pub struct DatesArgs {}

pub(super) fn run(_: &DatesArgs, _: &mut dyn Write) -> anyhow::Result<Exit> {
    anyhow::bail!("not built yet")
}
