//! `fail2ban-server`: the daemon on a Fail2Ban tree, as Fail2Ban's own server is started.
//!
//! Unlike `stockade run` it goes on without jails and without `NET_ADMIN`: whoever supervises it would only start it again.

use std::path::{Path, PathBuf};

use rustix::fs::Mode;

use super::client::{self, Place, Socket, VERSION, complain, look_at, options::Options, usage};
use super::daemon::{Daemon, opener, raise_descriptors};
use super::{Exit, settings};
use crate::actor::firewall::Backends;
use crate::actor::supervisor::Manner;
use crate::broker::Candidate;
use crate::config::{self, Config, Sources};
use crate::control::{ControlError, fail2ban_behind};
use crate::log::{LogError, LogOptions, Logs, Target};
use crate::memory;

mod background;

pub(super) use background::is_child;

/// What the process is called unless it is said.
const NAME: &str = "fail2ban-server";

/// `fail2ban-server`, without its name.
pub(super) fn main(words: &[String]) -> Exit {
    match client::asked(words, usage::SERVER) {
        Ok(mut options) => {
            if options.words.is_empty() && !options.test && !options.dump && !options.interactive {
                options.words.push("start".to_owned());
            }
            client::run(&options)
        }
        Err(exit) => exit,
    }
}

/// Starts a server, unless one runs.
pub(super) fn start(options: &Options, place: &Place) -> Exit {
    let refusal = match look_at(&place.socket) {
        Socket::Served => Some("Server already running"),
        Socket::Dead if !options.force => {
            Some("Fail2ban seems to be in unexpected state (not running but the socket exists)")
        }
        _ => fail2ban_behind(&place.pid_file).map(|_| "Server already running"),
    };
    if let Some(refusal) = refusal {
        complain(refusal);
        return Exit::Fail2Ban;
    }
    let served = if background::is_child() {
        serve(options, place, background::detach)
    } else if options.foreground == Some(true) {
        serve(options, place, || client::print("Server ready\n"))
    } else {
        background::start(options, place)
    };
    match served {
        Ok(true) => Exit::Done,
        Ok(false) => Exit::Fail2Ban,
        Err(error) => {
            match error.downcast_ref::<ControlError>() {
                Some(ControlError::Running { .. }) => complain(&format!("Server already running: {error}")),
                _ => complain(&format!("{error:#}")),
            }
            Exit::Fail2Ban
        }
    }
}

/// Runs the server in this process until it is told to end; whether that went well.
fn serve(options: &Options, place: &Place, on_ready: fn()) -> anyhow::Result<bool> {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    raise_descriptors();
    background::name(options.process_name.as_deref().unwrap_or(NAME));
    let broker = Candidate::new();
    memory::give_back_code(); // what linked this program
    let sources = sources(options, place)?;
    let mut config = config::load(&sources);
    memory::give_back_code(); // what read it
    if options.detached {
        empty(&mut config);
    }
    for mistake in &config.mistakes {
        complain(&mistake.to_string());
    }
    if config.refused.everything {
        return Ok(false);
    }
    let open = opener(false);
    let mut backends = Backends::new(open.clone());
    let warnings = unusable(&config, &mut backends);
    let logs = logs(&config)?;
    let greeting = format!("Starting Fail2ban v{VERSION} (stockade {})", env!("CARGO_PKG_VERSION"));
    let told = config.daemon.log_target != "STDERR";
    for mistake in config.mistakes.iter().filter(|_| told) {
        tracing::error!(target: "fail2ban.server", "{mistake}");
    }
    for warning in &warnings {
        tracing::error!(target: "fail2ban.actions", "{warning}");
    }
    let daemon = Daemon {
        config,
        sources,
        logs,
        open,
        backends,
        manner: Manner { greeting, hangup_reloads: false, on_ready },
        remove: false,
        forgetful: false,
        broker,
        warnings,
    };
    daemon.run()
}

/// The tree, and what the command line knows better.
fn sources(options: &Options, place: &Place) -> anyhow::Result<Sources> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut flags = vec![
        ("daemon.socket".to_owned(), text(&absolute(&place.socket)?)),
        ("daemon.pid_file".to_owned(), text(&absolute(&place.pid_file)?)),
    ];
    flags.extend(config::server_flags(&options.overrides));
    Ok(Sources { etc: absolute(&options.folder)?, env: settings::environment(), flags, ..Sources::default() })
}

fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    Ok(std::path::absolute(path)?)
}

/// Without jails and without a past: both come over the socket.
fn empty(config: &mut Config) {
    config.jails.clear();
    config.disabled.clear();
    config.mistakes.clear();
    config.refused = config::Refused::default();
    config.daemon.store = None;
}

/// Why which firewall cannot be used; each is said once, and tried again with every ban.
fn unusable(config: &Config, backends: &mut Backends) -> Vec<String> {
    let mut kinds: Vec<_> =
        config.jails.iter().filter(|jail| jail.options.enforced).map(|jail| jail.firewall).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let why = kinds.into_iter().filter_map(|kind| backends.get(kind).err());
    why.map(|error| format!("no ban is enforced: {error}")).collect()
}

/// The log. One that cannot be opened must not keep anybody from being banned.
fn logs(config: &Config) -> anyhow::Result<Logs> {
    let options = LogOptions {
        level: config.daemon.log_level.parse()?,
        target: config.daemon.log_target.parse()?,
        format: config.daemon.log_format,
    };
    match Logs::init(options.clone()) {
        Err(error @ LogError::Open { .. }) => {
            complain(&format!("{error}: the log goes to standard error"));
            Ok(Logs::init(LogOptions { target: Target::Stderr, ..options })?)
        }
        logs => Ok(logs?),
    }
}
