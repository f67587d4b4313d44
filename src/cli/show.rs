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
    let Response::Banned(jails) = &response else {
        ask::print(global, &response, args.id.is_some(), out)?;
        return Ok(ask::exit(&response));
    };
    let is_banned = jails.iter().any(|jail| !jail.bans.is_empty());
    let all_told = jails.iter().all(|jail| jail.unknown.is_none());
    match &args.id {
        Some(id) if !is_banned && all_told && !global.json => {
            writeln!(out, "{} is not banned", crate::control::text::clean(id))?;
        }
        id => ask::print(global, &response, id.is_some(), out)?,
    }
    Ok(match &args.id {
        Some(_) if is_banned => Exit::Done,
        _ if !all_told => Exit::Environment,
        Some(_) => Exit::NotDone,
        None => Exit::Done,
    })
}
