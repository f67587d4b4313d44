//! Whether the clients' own addresses arrive: by the word of the daemon if one answers, else by the logs themselves.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::cli::ask;
use crate::cli::blocks::Blocks;
use crate::config::{Config, Format, JailConfig};
use crate::control::request::{Request, Response};
use crate::filter::Reading;
use crate::jail::{Jail, JailOptions, Masked};
use crate::net::{self, Own};

/// How long the daemon may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// So much of each log is looked at, from its end, …
const TAIL: u64 = 256 * 1024;
/// … as far as it is no older than this: what was wrong before may be right by now.
const RECENT: Duration = Duration::from_secs(86_400);
/// So many files of a jail are looked at.
const FILES: usize = 5;

/// A jail whose clients all seem to be one.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    pub(super) jail: Arc<str>,
    #[serde(flatten)]
    pub(super) masked: Masked,
}

/// All such jails.
pub(super) fn look(config: &Config) -> Vec<Finding> {
    by_the_daemon(config).unwrap_or_else(|| by_the_logs(config))
}

/// What the daemon says; none: no daemon answers.
fn by_the_daemon(config: &Config) -> Option<Vec<Finding>> {
    let asked = crate::control::ask(&config.daemon.socket, &Request::Status { jail: None }, PATIENCE);
    let Ok(Response::Status(status)) = asked else { return None };
    let jails = status.jails.into_iter().map(|jail| (Arc::from(jail.name), jail.masked));
    Some(findings(jails))
}

fn by_the_logs(config: &Config) -> Vec<Finding> {
    // Without a routing socket nobody knows.
    let Some(own) = own(&config.daemon.interfaces) else { return Vec::new() };
    findings(config.jails.iter().map(|jail| (jail.options.name.clone(), masked(jail, &own))))
}

fn findings(jails: impl Iterator<Item = (Arc<str>, Vec<Masked>)>) -> Vec<Finding> {
    jails
        .flat_map(|(jail, all)| {
            all.into_iter().map(move |masked| Finding { jail: Arc::clone(&jail), masked })
        })
        .collect()
}

fn own(interfaces: &[String]) -> Option<Own> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    runtime.block_on(net::now(interfaces)).ok()
}

/// What the ends of a jail's logs show.
fn masked(config: &JailConfig, own: &Own) -> Vec<Masked> {
    let mut options = JailOptions { enforced: false, ..config.options.clone() };
    // Nobody outside is asked.
    (options.ignore.names, options.ignore.command) = (Vec::new(), None);
    let Ok(mut jail) = Jail::new(&options) else { return Vec::new() };
    jail.set_own(own.addresses.clone());
    jail.set_gateways(own.gateways.clone());
    let now = ask::now();
    let find_time = options.tracker.find_time.min(RECENT);
    let reading = Reading { now, since: now, live: false, find_time };
    let plain = config.logs.iter().filter(|log| log.format == Format::Plain);
    for path in plain.filter_map(|log| glob::glob(&log.pattern).ok()).flatten().flatten().take(FILES) {
        // What cannot be read shows nothing.
        let _ = feed(&mut jail, &path, &reading);
    }
    jail.masked().to_vec()
}

fn feed(jail: &mut Jail, path: &Path, reading: &Reading) -> io::Result<()> {
    let mut file = File::open(path)?;
    let there = file.metadata()?;
    if !there.is_file() {
        return Ok(());
    }
    file.seek(SeekFrom::Start(there.len().saturating_sub(TAIL)))?;
    let mut blocks = Blocks::new(file.take(TAIL));
    while let Some(block) = blocks.next()? {
        let mut effects = Vec::new();
        jail.on_block(block.into(), reading, &mut effects, &mut 0, &mut || {});
    }
    Ok(())
}
