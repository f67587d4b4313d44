//! What can be seen of this host: files, `/proc`, the daemon's own word. Nothing is changed.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::proof::Proof;
use crate::config::{Config, Format, JailConfig};
use crate::control::request::{Request, Response, Status};
use crate::filter::FilterOptions;
use crate::filter::date::{Dates, Zone};
use crate::firewall::Hook;
use crate::time::UnixTime;

/// How long the daemon may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// So much of a log's end is looked at for its last line.
const TAIL: u64 = 16 * 1024;
/// So many files of a jail are looked at.
const FILES: usize = 50;
/// Numbers of capabilities, as the kernel has them.
const DAC_OVERRIDE: u32 = 1;
const DAC_READ_SEARCH: u32 = 2;
const NET_ADMIN: u32 = 12;

/// What was seen.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) now: UnixTime,
    /// Mistakes in the configuration.
    pub(super) mistakes: usize,
    pub(super) jails: Vec<JailFact>,
    /// What the daemon says, or why it does not.
    pub(super) status: Result<Status, String>,
    /// What the daemon may do; none: it cannot be seen.
    pub(super) rights: Option<Rights>,
    pub(super) proof: Proof,
    pub(super) clock: Clock,
    /// Packets go through this host …
    pub(super) forwards: bool,
    /// … by way of these.
    pub(super) bridges: Vec<String>,
}

/// An enabled jail.
#[derive(Debug)]
pub(super) struct JailFact {
    pub(super) name: Arc<str>,
    /// Where its own rules stand; none: others' rules, or none.
    pub(super) hooks: Option<Vec<Hook>>,
    /// Whether its bans end connections.
    pub(super) cuts: bool,
    pub(super) patterns: Vec<String>,
    /// It has no journal to read in place of the files.
    pub(super) wants_files: bool,
    pub(super) logs: Vec<LogFact>,
}

/// A log file.
#[derive(Debug)]
pub(super) struct LogFact {
    pub(super) path: String,
    /// Why it cannot be read.
    pub(super) refused: Option<String>,
    pub(super) modified: Option<UnixTime>,
    /// The date of its last line.
    pub(super) dated: Option<UnixTime>,
}

/// What a process may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rights {
    pub(super) net_admin: bool,
    /// Whoever owns them.
    pub(super) all_logs: bool,
}

/// Who keeps the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    Synchronised,
    Free,
    /// A container cannot tell.
    Unknown,
}

impl Facts {
    /// All log files, each once.
    pub(super) fn logs(&self) -> impl Iterator<Item = &LogFact> {
        let all: std::collections::BTreeMap<_, _> =
            self.jails.iter().flat_map(|jail| &jail.logs).map(|log| (&log.path, log)).collect();
        all.into_values()
    }
}

/// Looks around.
pub(super) fn look(config: &Config, proof: Proof, now: UnixTime) -> Facts {
    let status = match crate::control::ask(&config.daemon.socket, &Request::Status { jail: None }, PATIENCE) {
        Ok(Response::Status(status)) => Ok(*status),
        Ok(other) => Err(format!("it answers {other:?}")),
        Err(error) => Err(error.to_string()),
    };
    let proc = |pid: u32| fs::read_to_string(format!("/proc/{pid}/status")).ok();
    Facts {
        now,
        mistakes: config.mistakes.len(),
        jails: config.jails.iter().map(|jail| jail_fact(jail, now)).collect(),
        rights: status.as_ref().ok().and_then(|status| rights(&proc(status.pid)?)),
        status,
        proof,
        clock: clock(Path::new("/run/systemd/timesync/synchronized"), Path::new("/run/systemd/system")),
        forwards: ["ipv4/ip_forward", "ipv6/conf/all/forwarding"].iter().any(|key| {
            fs::read_to_string(format!("/proc/sys/net/{key}")).is_ok_and(|value| value.trim() == "1")
        }),
        bridges: bridges(Path::new("/sys/class/net")),
    }
}

fn jail_fact(jail: &JailConfig, now: UnixTime) -> JailFact {
    let paths = jail.logs.iter().filter_map(|log| glob::glob(&log.pattern).ok()).flatten().flatten();
    let mut dates = dates(jail);
    JailFact {
        name: Arc::clone(&jail.options.name),
        hooks: jail.rules.own().map(|own| own.hooks.clone()),
        cuts: jail.cut.is_some(),
        patterns: jail.logs.iter().map(|log| log.pattern.clone()).collect(),
        wants_files: !jail.logs.is_empty() && jail.journal.is_none(),
        logs: paths.take(FILES).map(|path| log_fact(&path, dates.as_mut(), now)).collect(),
    }
}

/// How its lines are dated, if they are not told otherwise, as a container's are.
fn dates(jail: &JailConfig) -> Option<Dates> {
    if jail.logs.iter().all(|log| log.format != Format::Plain) {
        return None;
    }
    match jail.options.filter.as_ref().and_then(FilterOptions::dates) {
        Some(options) => Dates::fail2ban(&options).ok(),
        None => Some(Dates::new(Zone::system())),
    }
}

fn log_fact(path: &Path, dates: Option<&mut Dates>, now: UnixTime) -> LogFact {
    let text = path.display().to_string();
    let read = || -> std::io::Result<_> {
        let mut file = File::open(path)?;
        let there = file.metadata()?;
        let mut tail = Vec::new();
        if there.is_file() {
            file.seek(SeekFrom::Start(there.len().saturating_sub(TAIL)))?;
            file.take(TAIL).read_to_end(&mut tail)?;
        }
        let modified = there.modified()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Ok((UnixTime::from_secs(modified.as_secs().try_into().unwrap_or(i64::MAX)), tail))
    };
    match read() {
        Ok((modified, tail)) => {
            let written = dates.and_then(|dates| last_date(&tail, dates, now));
            LogFact { path: text, refused: None, modified: Some(modified), dated: written }
        }
        Err(error) => LogFact { path: text, refused: Some(error.to_string()), modified: None, dated: None },
    }
}

/// When the last whole line says that it was written.
fn last_date(tail: &[u8], dates: &mut Dates, now: UnixTime) -> Option<UnixTime> {
    let whole = tail.strip_suffix(b"\n")?;
    dates.time(whole.rsplit(|byte| *byte == b'\n').next()?, now)
}

/// What `/proc/PID/status` says.
fn rights(status: &str) -> Option<Rights> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    let all = u64::from_str_radix(line.trim(), 16).ok()?;
    let has = |capability: u32| all >> capability & 1 == 1;
    Some(Rights { net_admin: has(NET_ADMIN), all_logs: has(DAC_OVERRIDE) || has(DAC_READ_SEARCH) })
}

/// systemd says whether its time server has answered; others are asked by nobody.
fn clock(synchronised: &Path, systemd: &Path) -> Clock {
    let others = ["/run/chrony", "/run/chronyd.pid", "/run/ntpd.pid", "/run/openntpd.pid"];
    if synchronised.exists() || others.iter().any(|path| Path::new(path).exists()) {
        Clock::Synchronised
    } else if systemd.exists() {
        Clock::Free
    } else {
        Clock::Unknown
    }
}

/// The bridges of this host, such as those of container engines.
fn bridges(interfaces: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(interfaces) else { return Vec::new() };
    let mut bridges: Vec<_> = entries
        .flatten()
        .filter(|entry| entry.path().join("bridge").exists())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    bridges.sort();
    bridges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_as_the_kernel_tells_them() {
        let rights = |mask: &str| rights(&format!("Name:\tx\nCapInh:\t0000000000000000\nCapEff:\t{mask}\n"));
        assert_eq!(rights("000001ffffffffff"), Some(Rights { net_admin: true, all_logs: true }));
        assert_eq!(rights("0000000000001000"), Some(Rights { net_admin: true, all_logs: false }));
        assert_eq!(rights("0000000000000004"), Some(Rights { net_admin: false, all_logs: true }));
        assert_eq!(rights("0000000000000000"), Some(Rights { net_admin: false, all_logs: false }));
        assert_eq!(rights("nonsense"), None);
    }

    #[test]
    fn the_last_whole_line_tells_the_date() {
        let now = UnixTime::from_secs(1_700_000_000);
        let want = Some(UnixTime::from_secs(1_699_999_000));
        for (tail, want) in [
            ("2023-11-14T21:00:00Z a\n2023-11-14T21:56:40Z b\n", want),
            ("rest of a line\n2023-11-14T21:56:40Z b\n", want),
            ("2023-11-14T21:56:40Z b\n2023-11-14T22:00:00Z not ended", None),
            ("no date\n", None),
            ("", None),
        ] {
            assert_eq!(last_date(tail.as_bytes(), &mut Dates::new(Zone::system()), now), want, "{tail}");
        }
    }
}
