//! `stockade fail2ban dump`.

use std::io::Write;

use clap::Args;

use crate::cli::{Exit, Global};

/// The arguments.
#[derive(Debug, Args)]
pub struct DumpArgs {}

pub(super) fn run(_: &Global, _: &DumpArgs, _: &mut dyn Write) -> anyhow::Result<Exit> {
    anyhow::bail!("not built yet")
}
