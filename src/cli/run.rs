//! `stockade run`: checks and opens everything, then hands over to the supervisor.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use actix::prelude::*;
use anyhow::Context as _;
use clap::Args;
use rustix::process::{Resource, getrlimit, setrlimit};

use super::{Exit, Global, complain, settings};
use crate::actor::firewall::{Backends, Open};
use crate::actor::now;
use crate::actor::supervisor::{Ending, Setup, Supervisor};
use crate::config::{self, Config, FirewallKind};
use crate::control::{Listener, PidFile};
use crate::firewall::hosts_deny::{self, HostsDeny};
use crate::firewall::iptables::{Iptables, Variant};
use crate::firewall::memory;
use crate::firewall::nftables::Nftables;
use crate::firewall::nftables::exact::Exact;
use crate::firewall::{Firewall, FirewallError};
use crate::log::{LogOptions, Logs};
use crate::store::{Store, StoreError};

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
    /// Do this at a fault point: point=panic|kill|hang[@N|@N+] (repeatable; for tests)
    #[cfg(feature = "faults")]
    #[arg(long, value_name = "FAULT")]
    pub fault: Vec<String>,
}

/// Descriptors at most: enough for any number of logs, and no container's limit of a thousand million.
const DESCRIPTORS: u64 = 65_536;

/// Takes as many descriptors as the system gives; the tailer gets along with less.
fn raise_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX).min(DESCRIPTORS);
    if limit.current.is_some_and(|current| current < most) {
        limit.current = Some(most);
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

/// Runs the daemon until it is told to end.
pub(super) fn run(global: &Global, args: &RunArgs) -> anyhow::Result<Exit> {
    raise_descriptors();
    #[cfg(feature = "faults")]
    for fault in &args.fault {
        crate::fault::arm(fault).map_err(anyhow::Error::msg)?;
    }
    let sources = settings::sources(global);
    let mut config = config::load(&sources);
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
    let ending = Ending::default();
    let system = System::new();
    let _pid_file = system.block_on(async {
        let listener = Listener::bind(&config.daemon.socket)?;
        let pid_file = PidFile::take(&config.daemon.pid_file)?;
        let memory = open_store(&config, args.no_store)?;
        let dry_run = args.dry_run.then(|| "dry run: nobody is blocked".to_owned());
        let setup = Setup {
            config,
            sources,
            logs,
            open,
            backends,
            store: memory.store,
            store_text: memory.text,
            adopt: memory.adopt,
            listener: Some(listener),
            remove: args.remove,
            warnings: memory.warning.into_iter().chain(dry_run).collect(),
        };
        tracing::info!(target: "fail2ban.server", "starting stockade {}", env!("CARGO_PKG_VERSION"));
        Supervisor::new(setup, ending.clone()).start();
        anyhow::Ok(pid_file)
    })?;
    system.run().context("the actors' system")?;
    match *ending.lock().unwrap_or_else(PoisonError::into_inner) {
        Some(0) => Ok(Exit::Done),
        _ => Ok(Exit::NotDone),
    }
}

/// Opens the firewalls of this program by their kind.
fn opener(dry_run: bool) -> Open {
    let memory = Arc::new(Mutex::new(memory::Memory::default()));
    Arc::new(move |kind| -> Result<Box<dyn Firewall>, FirewallError> {
        match kind {
            FirewallKind::Nftables if !dry_run => Ok(Box::new(Nftables::open()?)),
            FirewallKind::Exact if !dry_run => Ok(Box::new(Exact::open()?)),
            FirewallKind::Iptables if !dry_run => Ok(Box::new(Iptables::open(Variant::System)?)),
            FirewallKind::HostsDeny if !dry_run => {
                Ok(Box::new(HostsDeny::open(Path::new(hosts_deny::FILE))?))
            }
            // Shared, so that a revived thread finds what was there.
            _ => Ok(Box::new(memory.lock().unwrap_or_else(PoisonError::into_inner).clone())),
        }
    })
}

/// Opens every firewall that a jail needs, before anything else is touched.
fn probe(config: &Config, open: &Open) -> Result<Backends, FirewallError> {
    let mut backends = Backends::new(open.clone());
    for jail in config.jails.iter().filter(|jail| jail.options.enforced) {
        backends.get(jail.firewall)?;
    }
    Ok(backends)
}

/// The store and what is said of it.
struct Memory {
    store: Option<Store>,
    /// Where it is, or why there is none.
    text: String,
    /// Bans must be taken over from the kernel.
    adopt: bool,
    warning: Option<String>,
}

/// Opens the store. One that cannot be written does not stop the daemon; one that another daemon has does.
fn open_store(config: &Config, without: bool) -> Result<Memory, StoreError> {
    let path = match &config.daemon.store {
        Some(path) if !without => path,
        _ => {
            let text = "off: a restart forgets everything".to_owned();
            return Ok(Memory { store: None, text, adopt: true, warning: None });
        }
    };
    let memory = match Store::open(path, now()) {
        Ok(mut opened) => {
            opened.store.keep_matches(config.daemon.store_matches);
            if let Some(taken_over) = &opened.taken_over {
                tracing::warn!(target: "fail2ban.database", "{taken_over}");
            }
            Memory {
                text: path.display().to_string(),
                adopt: opened.set_aside.is_some(),
                warning: opened.set_aside.map(|(aside, why)| {
                    format!("the store was damaged and set aside as {}: {why}", aside.display())
                }),
                store: Some(opened.store),
            }
        }
        Err(error @ StoreError::Taken(_)) => return Err(error),
        Err(error) => Memory {
            store: None,
            text: format!("off: {error}"),
            adopt: true,
            warning: Some(format!("nothing is remembered, a restart forgets everything: {error}")),
        },
    };
    if let Some(warning) = &memory.warning {
        tracing::error!(target: "fail2ban.database", "{warning}");
    }
    Ok(memory)
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
