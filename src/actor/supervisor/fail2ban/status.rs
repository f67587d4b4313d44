//! `status` and `stats`: what is asked of jails and tailer for them.

use std::sync::Arc;

use futures_util::future::join_all;

use super::answers::{self, Reads, Seen};
use crate::actor::message::{Report, Watched, Watching};
use crate::actor::supervisor::ask::REPORT;
use crate::actor::supervisor::yard::Yard;
use crate::config::JailConfig;
use crate::control::request::JailStatus;
use crate::fail2ban::JailSpec;
use crate::fail2ban::desk::Flavour;
use crate::python::{Raised, Value};
use crate::source::log_files;

impl Yard {
    pub(super) async fn status_of(&self, jail: &str, flavour: Flavour) -> Result<Value, Raised> {
        let seen = self.see(jail, flavour).await?;
        Ok(answers::status(&seen, flavour))
    }

    pub(super) async fn status_of_all(&self, flavour: Flavour) -> Result<Value, Raised> {
        let names = self.names();
        let seen = join_all(names.iter().map(|name| self.see(name, flavour))).await;
        // One that went away meanwhile is not there; of one that does not answer nothing is known.
        let left = self.names();
        let is_there = |(name, seen): &(Arc<str>, Result<Seen, Raised>)| seen.is_ok() || left.contains(name);
        let jails = names.into_iter().zip(seen).filter(is_there).map(|(name, seen)| Ok((name, seen?)));
        Ok(answers::all(&jails.collect::<Result<Vec<_>, Raised>>()?, flavour))
    }

    async fn see(&self, jail: &str, flavour: Flavour) -> Result<Seen, Raised> {
        if let Some(spec) = self.world.drafts.borrow().get(jail) {
            let files = files_of(spec);
            return Ok(Seen {
                backend: spec.backend.name.clone(),
                reads: Reads::Files(files),
                ..Seen::default()
            });
        }
        let config = self.config_of(jail)?;
        let mut status = self.report(jail).await?;
        let mut banned = Vec::new();
        if flavour != Flavour::Short && flavour != Flavour::Statistics {
            banned = self.banned_of(jail).await?;
            status.banned_now = banned.len() as u64; // as the list says, which is younger
        }
        let watched = self.watched_by(jail).await;
        let origins = match flavour {
            Flavour::Cymru => Some(super::origins::find(banned.clone()).await),
            _ => None,
        };
        let reads = reads(&config, watched.as_ref());
        let backend = backend(&config, &reads);
        Ok(Seen { jail: status, banned, backend, reads, origins })
    }

    /// What a jail tells of itself.
    pub(super) async fn report(&self, jail: &str) -> Result<JailStatus, Raised> {
        let addr = self.address(jail)?;
        match tokio::time::timeout(REPORT, addr.send(Report { bans: false })).await {
            Ok(Ok(status)) => Ok(status),
            Ok(Err(_)) => Err(answers::not_done(format!("the jail {jail} is being revived: try again"))),
            Err(_) => Err(answers::not_done(format!("the jail {jail} is busy: it has not answered for 2 s"))),
        }
    }

    async fn watched_by(&self, jail: &str) -> Option<Watched> {
        let tailer = self.tailer.borrow().clone()?;
        tokio::time::timeout(REPORT, tailer.send(Watching(jail.into()))).await.ok()?.ok()?
    }

    /// The log files that a jail has, in the order of its configuration.
    pub(super) fn log_files(config: &JailConfig) -> Vec<String> {
        log_files(config.logs.iter().map(|log| log.pattern.as_str()))
    }
}

/// The files that are there of a jail that is not started.
fn files_of(spec: &JailSpec) -> Vec<String> {
    spec.logs.iter().flat_map(|log| &log.found).map(|path| path.display().to_string()).collect()
}

/// The journal or files, whichever it is; an idle jail is asked by its configuration.
fn reads(config: &JailConfig, watched: Option<&Watched>) -> Reads {
    let files = Yard::log_files(config);
    let journal = config.journal.as_ref().filter(|journal| {
        watched.map_or_else(
            || journal.chosen(!config.logs.is_empty(), !files.is_empty()),
            |watched| watched.journal,
        )
    });
    match journal {
        Some(journal) => Reads::Journal(match &config.spec {
            Some(spec) => {
                let lines = spec.filter.journalmatch.iter().map(|words| words.join(" "));
                lines.collect::<Vec<_>>().join(" + ")
            }
            None => journal.matches.written(),
        }),
        None => Reads::Files(files),
    }
}

/// The name of the way in which it reads.
fn backend(config: &JailConfig, reads: &Reads) -> String {
    let named = config.spec.as_ref().map(|spec| spec.backend.name.to_lowercase());
    match (reads, named) {
        (Reads::Journal(_), _) => "systemd".to_owned(),
        (Reads::Files(_), Some(name)) if name == "polling" => name,
        _ => "pyinotify".to_owned(),
    }
}
