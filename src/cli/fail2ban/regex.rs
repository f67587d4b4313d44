//! `stockade fail2ban regex`.

use std::io::Write;

use clap::Args;

use crate::cli::{Exit, Global};

/// The arguments.
#[derive(Debug, Args)]
pub struct RegexArgs {}

pub(super) fn run(_: &Global, _: &RegexArgs, _: &mut dyn Write) -> anyhow::Result<Exit> {
    anyhow::bail!("not built yet")
}
