//! `stockade run`.

use clap::Args;

use super::{Exit, Global};

/// The arguments of `stockade run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Decide and report, block nobody: every firewall becomes `memory`
    #[arg(long)]
    pub dry_run: bool,
    /// Take every ban out of the firewall at the end
    #[arg(long)]
    pub remove: bool,
    /// Remember nothing: neither read nor write the database
    #[arg(long)]
    pub no_store: bool,
}

/// Runs the daemon until it is told to end.
pub(super) fn run(_global: &Global, _args: &RunArgs) -> anyhow::Result<Exit> {
    anyhow::bail!("this build has no daemon")
}
