//! `stockade test`.

mod lines;

use std::io::Write;

use clap::Args;

use super::{Exit, Global};

/// The arguments of `stockade test`.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// The jail
    pub jail: String,
    /// The log file; - is standard input
    pub file: std::path::PathBuf,
}

pub(super) fn run(_global: &Global, _args: &TestArgs, _out: &mut dyn Write) -> anyhow::Result<Exit> {
    anyhow::bail!("not yet")
}
