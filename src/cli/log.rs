//! `stockade log`.

use std::io::Write;

use clap::Args;

use super::{Exit, Global, ask};
use crate::control::request::Request;

/// The arguments of `stockade log`; without any it tells what is in force.
#[derive(Debug, Args)]
pub struct LogArgs {
    /// How much
    #[arg(long, ignore_case = true, value_parser = ["CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO", "DEBUG", "TRACE"])]
    pub level: Option<String>,
    /// Where to: a file, STDOUT, STDERR or JOURNAL
    #[arg(long)]
    pub target: Option<String>,
}

pub(super) fn run(global: &Global, args: &LogArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let level = args.level.as_ref().map(|level| level.to_ascii_uppercase());
    ask::show(global, &Request::Log { level, target: args.target.clone() }, false, out)
}
