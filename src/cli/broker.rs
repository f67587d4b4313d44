//! `stockade broker`: the process that runs a daemon's commands. Hidden: the daemon starts it, on a socket of its own.

use clap::Args;

use super::Exit;
use crate::broker::serve;

/// The arguments of `stockade broker`.
#[derive(Debug, Args)]
pub struct BrokerArgs {
    /// Be the worker, of which there were so many before
    #[arg(long, value_name = "N")]
    worker: Option<u32>,
}

pub(super) fn run(args: &BrokerArgs) -> anyhow::Result<Exit> {
    match args.worker {
        Some(born) => serve::work(born)?,
        None => serve::keep()?,
    }
    Ok(Exit::Done)
}
