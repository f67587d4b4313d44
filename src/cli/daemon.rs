//! What `stockade run` and `fail2ban-server` share: opening everything, then handing over to the supervisor.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use actix::prelude::*;
use anyhow::Context as _;
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::actor::firewall::{Backends, Open};
use crate::actor::guard;
use crate::actor::now;
use crate::actor::supervisor::{Ending, Manner, NOT_REMEMBERED, Setup, Supervisor};
use crate::broker::{self, Candidate};
use crate::config::{Config, FirewallKind, Sources};
use crate::control::{Listener, PidFile};
use crate::firewall::hosts_deny::{self, HostsDeny};
use crate::firewall::iptables::{Iptables, Variant};
use crate::firewall::nftables::Nftables;
use crate::firewall::nftables::exact::Exact;
use crate::firewall::{self, Firewall, FirewallError};
use crate::log::Logs;
use crate::memory;
use crate::sandbox;
use crate::store::{Store, StoreError};

/// Descriptors at most: enough for any number of logs, and no container's limit of a thousand million.
const DESCRIPTORS: u64 = 65_536;

/// Takes as many descriptors as the system gives; the tailer gets along with less.
pub(super) fn raise_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX).min(DESCRIPTORS);
    if limit.current.is_some_and(|current| current < most) {
        limit.current = Some(most);
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

/// Everything that is known before the first thread.
pub(super) struct Daemon {
    pub(super) config: Config,
    pub(super) sources: Sources,
    pub(super) logs: Logs,
    pub(super) open: Open,
    /// The firewalls that were opened to see whether they can be used.
    pub(super) backends: Backends,
    pub(super) manner: Manner,
    /// Take every ban out of the firewall at the end.
    pub(super) remove: bool,
    /// Remember nothing.
    pub(super) forgetful: bool,
    /// Who may become the command broker.
    pub(super) broker: io::Result<Candidate>,
    /// What the operator should know.
    pub(super) warnings: Vec<String>,
}

impl Daemon {
    /// Runs until it is told to end; whether that went well.
    ///
    /// # Errors
    /// The socket, the pid file or the database is another's, or cannot be opened.
    pub(super) fn run(self) -> anyhow::Result<bool> {
        memory::keep_nothing_large();
        let ending = Ending::default();
        guard::count_panics();
        let system = System::new();
        let _pid_file = system.block_on(async {
            let listener =
                Listener::bind(&self.config.daemon.socket, self.config.daemon.socket_group.as_deref())?;
            let pid_file = PidFile::take(&self.config.daemon.pid_file)?;
            memory::give_back_code(); // what opened firewall and log
            let past = open_store(&self.config, self.forgetful)?;
            tracing::info!(target: "fail2ban.server", "{}", self.manner.greeting);
            memory::give_back_code(); // what opened it
            let unguarded = close_sandbox(&self.config, self.broker);
            let setup = Setup {
                config: self.config,
                sources: self.sources,
                logs: self.logs,
                open: self.open,
                backends: self.backends,
                store: past.store,
                store_text: past.text,
                adopt: past.adopt,
                store_later: past.later,
                listener: Some(listener),
                remove: self.remove,
                warnings: past.warning.into_iter().chain(unguarded).chain(self.warnings).collect(),
                manner: self.manner,
            };
            Supervisor::new(setup, ending.clone()).start();
            anyhow::Ok(pid_file)
        })?;
        system.run().context("the actors' system")?;
        Ok(*ending.lock().unwrap_or_else(PoisonError::into_inner) == Some(0))
    }
}

/// Hires who runs commands, then closes what the daemon needs no more; what the operator should know.
fn close_sandbox(config: &Config, broker: io::Result<Candidate>) -> Option<String> {
    let mode = config.daemon.sandbox;
    if mode == sandbox::Mode::Off {
        tracing::warn!(target: "fail2ban.server", "sandbox: off");
        return None;
    }
    let hired = if config.needs_broker() {
        broker.map(Candidate::hire)
    } else {
        drop(broker);
        Ok(())
    };
    if let Err(error) = hired {
        // Its commands may be what keeps attackers out.
        let what = format!("the sandbox stays open: the command broker cannot be started: {error}");
        tracing::error!(target: "fail2ban.actions", "{what}");
        return Some(what);
    }
    let broker = match broker::state() {
        broker::State::Running(pid) => Some(pid),
        _ => None,
    };
    if let Some(closed) = sandbox::close(mode, config.places(), broker) {
        tracing::info!(target: "fail2ban.server", "sandbox: {}", closed.text());
        for open in &closed.open {
            tracing::warn!(target: "fail2ban.server", "not closed: {open}");
        }
    }
    None
}

/// Opens the firewalls of this program by their kind.
pub(super) fn opener(dry_run: bool) -> Open {
    let memory = Arc::new(Mutex::new(firewall::memory::Memory::default()));
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

/// The store and what is said of it.
struct Memory {
    store: Option<Store>,
    /// Where it is, or why there is none.
    text: String,
    /// Bans must be taken over from the kernel.
    adopt: bool,
    /// It cannot be written at the moment.
    later: bool,
    warning: Option<String>,
}

/// Opens the store. One that cannot be written does not stop the daemon and is tried again; one that another daemon has
/// does.
fn open_store(config: &Config, without: bool) -> Result<Memory, StoreError> {
    let path = match &config.daemon.store {
        Some(path) if !without => path,
        _ => {
            let text = "off: a restart forgets everything".to_owned();
            return Ok(Memory { store: None, text, adopt: true, later: false, warning: None });
        }
    };
    let memory = match Store::open(path, now()) {
        Ok(mut opened) => {
            opened.store.keep_matches(config.daemon.store_matches);
            Memory {
                text: path.display().to_string(),
                adopt: opened.set_aside.is_some(),
                later: false,
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
            later: true,
            warning: Some(format!("{NOT_REMEMBERED}, a restart forgets everything: {error}")),
        },
    };
    if let Some(warning) = &memory.warning {
        tracing::error!(target: "fail2ban.database", "{warning}");
    }
    Ok(memory)
}
