//! `stockade status` and `stockade banned`.

use std::io::Write;

use clap::Args;

use super::{Exit, Global, ask};
use crate::control::request::{Request, Response};

/// The arguments of `stockade status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Only this jail, with its files and bans
    pub jail: Option<String>,
}

/// The arguments of `stockade banned`.
#[derive(Debug, Args)]
pub struct BannedArgs {
    /// Only this address or prefix, with the log lines that led to its bans
    #[arg(value_name = "IP")]
    pub id: Option<String>,
}

pub(super) fn status(global: &Global, args: &StatusArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    ask::show(global, &Request::Status { jail: args.jail.clone() }, args.jail.is_some(), out)
}

pub(super) fn banned(global: &Global, args: &BannedArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let response = ask::ask(global, &Request::Banned { id: args.id.clone() })?;
    match (&args.id, &response) {
        (Some(id), Response::Banned(jails)) if jails.iter().all(|jail| jail.bans.is_empty()) => {
            if global.json {
                ask::print(global, &response, true, out)?;
            } else {
                writeln!(out, "{} is not banned", crate::control::text::clean(id))?;
            }
            Ok(Exit::NotDone)
        }
        _ => {
            ask::print(global, &response, args.id.is_some(), out)?;
            Ok(ask::exit(&response))
        }
    }
}
