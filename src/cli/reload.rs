//! `stockade reload`.

use std::io::Write;

use clap::Args;

use super::{Exit, Global, ask};
use crate::control::request::Request;
use crate::span;

/// The arguments of `stockade reload`.
#[derive(Debug, Args)]
pub struct ReloadArgs {
    /// Only this jail
    pub jail: Option<String>,
    /// On trial: the configuration before returns, unless `stockade confirm` comes within this time
    #[arg(long, value_name = "SPAN", value_parser = span_of)]
    pub confirm: Option<String>,
}

fn span_of(text: &str) -> Result<String, String> {
    span::parse(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

pub(super) fn run(global: &Global, args: &ReloadArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let request = Request::Reload { jail: args.jail.clone(), confirm: args.confirm.clone() };
    ask::show(global, &request, false, out)
}
