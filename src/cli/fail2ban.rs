//! `stockade fail2ban …`: what a Fail2Ban would do, by the daemon's own code. One command a file.

use std::io::Write;

use clap::Subcommand;

use super::{Exit, Global};

mod dates;
mod dump;
mod regex;
mod replay;

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Fail2BanCommand {
    /// Print the commands that a Fail2Ban server would be sent, as `fail2ban-client -d` does
    Dump(dump::DumpArgs),
    /// Match a log against a filter
    Regex(regex::RegexArgs),
    /// Play failures, or lines, through counting and banning: JSON in, JSON out
    Replay(replay::ReplayArgs),
    /// Find the dates of lines: JSON in, JSON out
    Dates(dates::DatesArgs),
}

pub(super) fn run(global: &Global, command: &Fail2BanCommand, out: &mut dyn Write) -> anyhow::Result<Exit> {
    match command {
        Fail2BanCommand::Dump(args) => dump::run(global, args, out),
        Fail2BanCommand::Regex(args) => regex::run(global, args, out),
        Fail2BanCommand::Replay(args) => replay::run(args, out),
        Fail2BanCommand::Dates(args) => dates::run(args, out),
    }
}
