//! `stockade ban` and `stockade unban`.

use std::io::Write;

use clap::Args;

use super::{Exit, Global, ask};
use crate::control::REQUEST_CAP;
use crate::control::request::{Request, Response};
use crate::span;

/// The arguments of `stockade ban`.
#[derive(Debug, Args)]
pub struct BanArgs {
    /// Addresses or prefixes
    #[arg(value_name = "IP", required = true)]
    pub ids: Vec<String>,
    /// In this jail [default: custom, or the only one there is]
    #[arg(long)]
    pub jail: Option<String>,
    /// How long: 10m, 2w, forever [default: the jail's own time]
    #[arg(long = "for", value_name = "SPAN", value_parser = ban_time)]
    pub span: Option<String>,
    /// Even own, gateway and ignored addresses
    #[arg(long)]
    pub force: bool,
}

/// The arguments of `stockade unban`.
#[derive(Debug, Args)]
pub struct UnbanArgs {
    /// Addresses or prefixes
    #[arg(value_name = "IP", required_unless_present = "all")]
    pub ids: Vec<String>,
    /// Everybody
    #[arg(long, conflicts_with = "ids")]
    pub all: bool,
    /// Only in this jail
    #[arg(long)]
    pub jail: Option<String>,
}

pub(super) fn ban(global: &Global, args: &BanArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    each(global, &args.ids, out, |ids| Request::Ban {
        ids,
        jail: args.jail.clone(),
        span: args.span.clone(),
        force: args.force,
    })
}

pub(super) fn unban(global: &Global, args: &UnbanArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    if args.all {
        let request = Request::Unban { ids: Vec::new(), all: true, jail: args.jail.clone() };
        let response = ask::ask(global, &request)?;
        if !global.json && response == Response::Verdicts(Vec::new()) {
            writeln!(out, "nobody was banned")?;
        }
        ask::print(global, &response, false, out)?;
        return Ok(ask::exit(&response));
    }
    each(global, &args.ids, out, |ids| Request::Unban { ids, all: false, jail: args.jail.clone() })
}

/// Asks in as many requests as the ids need, and shows the answers as one.
fn each(
    global: &Global,
    ids: &[String],
    out: &mut dyn Write,
    request: impl Fn(Vec<String>) -> Request,
) -> anyhow::Result<Exit> {
    let mut all = Vec::new();
    for ids in batches(ids) {
        match ask::ask(global, &request(ids.to_vec()))? {
            Response::Verdicts(verdicts) => all.extend(verdicts),
            other => {
                ask::print(global, &other, false, out)?;
                return Ok(ask::exit(&other));
            }
        }
    }
    let response = Response::Verdicts(all);
    ask::print(global, &response, false, out)?;
    Ok(ask::exit(&response))
}

/// The ids in portions that fit a request: each costs its length (six times, were it all escapes), quotes and a comma.
fn batches(ids: &[String]) -> impl Iterator<Item = &[String]> {
    const ROOM: usize = REQUEST_CAP - 8 * 1024; // the rest is for the other fields
    let mut rest = ids;
    std::iter::from_fn(move || {
        let mut size = 0;
        let fits = rest.iter().take_while(|id| {
            size += id.len() * if id.is_ascii() && !id.contains(['\\', '"']) { 1 } else { 6 } + 3;
            size <= ROOM
        });
        let (batch, after) = rest.split_at(fits.count().max(1).min(rest.len()));
        rest = after;
        (!batch.is_empty()).then_some(batch)
    })
}

/// A span or `forever`, as it was written.
fn ban_time(text: &str) -> Result<String, String> {
    match text.trim() {
        "forever" => {}
        other => _ = span::parse(other).map_err(|error| format!("{error}; or `forever`"))?,
    }
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_addresses_are_asked_in_portions() {
        for (number, length, want) in
            [(0, 9, 0), (1, 9, 1), (4000, 9, 1), (10_000, 9, 3), (2, 100_000, 2), (3, 20_000, 2)]
        {
            let ids = vec!["x".repeat(length); number];
            let batches: Vec<_> = batches(&ids).collect();
            assert_eq!(batches.len(), want, "{number} of {length}");
            assert_eq!(batches.concat(), ids, "{number} of {length}");
            let request = |ids: &&[String]| Request::Unban { ids: ids.to_vec(), all: false, jail: None };
            let fits = |ids| serde_json::to_vec(&request(ids)).unwrap().len() < REQUEST_CAP;
            assert!(length > REQUEST_CAP || batches.iter().all(fits), "{number} of {length}");
        }
    }
}
