//! `stockade doctor`: whether bans can hold here, and do.
//!
//! `host` and `proof` look, `findings` judges what they saw (pure), this prints it.

mod findings;
mod host;
mod proof;

use std::io::Write;

use clap::Args;
use serde::Serialize;

use self::findings::{Finding, State};
use super::{Exit, Global, ask, json, settings};
use crate::control::text::{clean, count};

/// The arguments of `stockade doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Only what is not in order
    #[arg(long, short)]
    pub quiet: bool,
    /// In a network namespace of its own: show that a ban keeps packets out
    #[arg(long, hide = true)]
    pub proof: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    healthy: bool,
    findings: &'a [Finding],
}

pub(super) fn run(global: &Global, args: &DoctorArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    if args.proof {
        return proof::show(out);
    }
    let config = settings::load(global);
    let proof = proof::ask();
    let findings = findings::all(&host::look(&config, proof, ask::now()));
    let sick = findings.iter().filter(|finding| finding.state == State::Wrong).count();
    if global.json {
        json::write(out, &Report { healthy: sick == 0, findings: &findings })?;
    } else {
        for finding in findings.iter().filter(|finding| !args.quiet || finding.state > State::Fine) {
            say(finding, out)?;
        }
        if !args.quiet {
            let looked = count(findings.len() as u64, "thing was", "things were");
            writeln!(out, "\n{looked} looked at, {} wrong", count(sick as u64, "is", "are"))?;
        }
    }
    Ok(Exit::done(sick == 0))
}

fn say(finding: &Finding, out: &mut dyn Write) -> anyhow::Result<()> {
    let Finding { check, state, what, advice } = finding;
    writeln!(out, "{:7} {check:13} {}", state.word(), clean(what))?;
    if let Some(advice) = advice {
        writeln!(out, "{:21} {}", "", clean(advice))?;
    }
    Ok(())
}
