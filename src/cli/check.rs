//! `stockade check`: what is wrong with the configuration, and with what arrives in the logs.

mod masked;

use std::io::Write;
use std::path::Path;

use serde::Serialize;

use self::masked::Finding;
use super::{Exit, Global, complain, json, settings};
use crate::config::{self, Config, JailConfig, Mistake};
use crate::control::text::{clean, count};

/// What `--json` prints.
#[derive(Serialize)]
struct Checked<'a> {
    mistakes: &'a [Mistake],
    enabled: Vec<&'a str>,
    disabled: Vec<&'a str>,
    /// Jails in which all clients seem to be one.
    masked: &'a [Finding],
}

pub(super) fn run(global: &Global, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let config = settings::load(global);
    let masked = masked::look(&config);
    if global.json {
        let enabled = config.jails.iter().map(|jail| &*jail.options.name).collect();
        let disabled = config.disabled.iter().map(|(name, _)| &**name).collect();
        json::write(out, &Checked { mistakes: &config.mistakes, enabled, disabled, masked: &masked })?;
    } else {
        say(&config, out)?;
        for Finding { jail, masked } in &masked {
            complain(&format!("{jail}: {masked}"));
        }
    }
    Ok(Exit::done(config.mistakes.is_empty() && masked.is_empty()))
}

fn say(config: &Config, out: &mut dyn Write) -> anyhow::Result<()> {
    let width = config.jails.iter().map(|jail| jail.options.name.len()).max().unwrap_or(0);
    for jail in &config.jails {
        writeln!(out, "{:width$}  ok  {}", jail.options.name, clean(&logs(jail)))?;
        for remark in &jail.remarks {
            writeln!(out, "{:width$}      {}", "", clean(remark))?;
        }
    }
    if config.jails.is_empty() && config.mistakes.is_empty() {
        writeln!(out, "no mistakes, but no jail is enabled, so there is nothing to run")?;
        for (jail, log, enable) in config::fitting(config, |path| Path::new(path).exists()) {
            writeln!(out, "{jail} fits {}: {}", clean(&log), clean(&enable))?;
        }
    }
    out.flush()?;
    for mistake in &config.mistakes {
        complain(&mistake.to_string());
    }
    if !config.mistakes.is_empty() {
        complain(&count(config.mistakes.len() as u64, "mistake", "mistakes"));
    }
    Ok(())
}

fn logs(jail: &JailConfig) -> String {
    let logs = jail.logs.iter().map(|log| &*log.pattern).collect::<Vec<_>>().join(", ");
    match &jail.journal {
        None if logs.is_empty() => "bans by hand only".to_owned(),
        None => logs,
        Some(journal) if logs.is_empty() => format!("the journal in {}", journal.place()),
        Some(journal) if journal.instead_of_files => format!("{logs}, or the journal in {}", journal.place()),
        Some(journal) => format!("the journal in {}, or {logs}", journal.place()),
    }
}
