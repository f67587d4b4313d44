//! `stockade run`: checks the configuration and the firewalls, then runs the daemon.

use std::path::Path;

use clap::Args;

use super::daemon::{Daemon, opener, raise_descriptors};
use super::{Exit, Global, complain, settings};
use crate::actor::firewall::{Backends, Open};
use crate::actor::supervisor::Manner;
use crate::broker::Candidate;
use crate::config::{self, Config};
use crate::firewall::FirewallError;
use crate::log::{LogOptions, Logs};
use crate::memory;

/// The arguments of `stockade run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Decide and report, block nobody: every firewall becomes `memory`
    #[arg(long)]
    pub dry_run: bool,
    /// Take every ban out of the firewall at the end
    #[arg(long)]
    pub remove: bool,
    /// Remember nothing: neither read nor write the database
    #[arg(long)]
    pub no_store: bool,
    /// Do this at a fault point: point=panic|kill|hang|fail:ERROR[@N|@N-M|@N+] (repeatable; for tests)
    #[cfg(feature = "faults")]
    #[arg(long, value_name = "FAULT")]
    pub fault: Vec<String>,
}

/// Runs the daemon until it is told to end.
pub(super) fn run(global: &Global, args: &RunArgs) -> anyhow::Result<Exit> {
    raise_descriptors();
    let broker = Candidate::new();
    memory::give_back_code(); // what read the command line
    #[cfg(feature = "faults")]
    for fault in &args.fault {
        crate::fault::arm(fault).map_err(anyhow::Error::msg)?;
    }
    let sources = settings::sources(global);
    let mut config = config::load(&sources);
    memory::give_back_code(); // what read it
    if let Some(socket) = &global.socket {
        config.daemon.socket.clone_from(socket);
    }
    for mistake in &config.mistakes {
        complain(&mistake.to_string());
    }
    if config.refused.everything {
        return Ok(Exit::NotDone);
    }
    if config.jails.is_empty() {
        suggest(&config);
        return Ok(Exit::NotDone);
    }
    let open = opener(args.dry_run);
    let backends = match probe(&config, &open) {
        Ok(backends) => backends,
        Err(error) => {
            complain(&error.to_string());
            return Ok(Exit::Environment);
        }
    };
    let logs = Logs::init(LogOptions {
        level: config.daemon.log_level.parse()?,
        target: config.daemon.log_target.parse()?,
        format: config.daemon.log_format,
    })?;
    let dry_run = args.dry_run.then(|| "dry run: nobody is blocked".to_owned());
    let daemon = Daemon {
        config,
        sources,
        logs,
        open,
        backends,
        manner: Manner::stockade(),
        remove: args.remove,
        forgetful: args.no_store,
        broker,
        warnings: dry_run.into_iter().collect(),
    };
    daemon.run().map(Exit::done)
}

/// Opens every firewall that a jail needs, before anything else is touched.
fn probe(config: &Config, open: &Open) -> Result<Backends, FirewallError> {
    let mut backends = Backends::new(open.clone());
    for jail in config.jails.iter().filter(|jail| jail.options.enforced) {
        backends.get(jail.firewall)?;
    }
    Ok(backends)
}

/// No jail is enabled: which would fit this host, and how to enable them.
fn suggest(config: &Config) {
    let fitting = config::fitting(config, |path| Path::new(path).exists());
    complain(if config.mistakes.is_empty() {
        "no jail is enabled"
    } else {
        "no enabled jail can run: see the mistakes above, or `stockade check`"
    });
    for (jail, log, line) in fitting {
        complain(&format!("{jail} fits {log}: {line}"));
    }
}
