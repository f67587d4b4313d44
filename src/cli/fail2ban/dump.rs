//! `stockade fail2ban dump`: the command stream of a tree, as `fail2ban-client -c DIR -d` prints it.

use std::io::Write;

use clap::Args;

use crate::cli::client::options::{Asked, parse};
use crate::cli::{Exit, Global, client, complain};

/// The arguments.
#[derive(Debug, Args)]
#[command(after_help = "\
--etc names the tree. Exit codes as Fail2Ban's: 0 right, 255 wrong.

Examples:
  stockade fail2ban dump --etc /etc/fail2ban
  stockade fail2ban dump --etc /etc/fail2ban -t
  stockade fail2ban dump --json --etc /etc/fail2ban -d --loglevel DEBUG")]
pub struct DumpArgs {
    /// Options of fail2ban-client; without -d or -t: -d
    #[arg(value_name = "ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub(super) fn run(global: &Global, args: &DumpArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let Asked::Run(options) = parse(&args.rest) else {
        complain("fail2ban dump: only options of fail2ban-client that go with -d and -t are known");
        return Ok(Exit::Fail2Ban);
    };
    client::dump(&global.etc, &options.request(), global.json, out)
}
