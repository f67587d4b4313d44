//! What the sandbox must leave open for this configuration: where it reads and writes, and whether it runs commands.

use std::path::{Path, PathBuf};

use super::{Config, FirewallKind, JailConfig};
use crate::action::Kind;
use crate::broker;
use crate::sandbox::{self, Places};
use crate::source::log_files;

impl Config {
    /// Where the daemon's files are, and what is read of its configuration's.
    pub fn places(&self) -> Places {
        let daemon = &self.daemon;
        let files = [Some(&daemon.socket), Some(&daemon.pid_file), daemon.store.as_ref()];
        let mut own: Vec<PathBuf> = files.into_iter().flatten().filter_map(|path| folder(path)).collect();
        own.sort();
        own.dedup();
        let log = Path::new(&daemon.log_target);
        let jails = self.jails.iter().flat_map(JailConfig::reads);
        let disabled = self.disabled.iter().flat_map(|(_, logs)| logs.iter().map(|log| &*log.pattern));
        let disabled = disabled.map(fixed);
        let mut named: Vec<PathBuf> = [self.etc.clone()].into_iter().chain(daemon.fail2ban.clone()).collect();
        let files = self.watched.iter().chain(self.jails.iter().flat_map(|jail| &jail.sources));
        // They may be links to elsewhere.
        named.extend(files.filter_map(|path| path.canonicalize().ok()).filter_map(|path| around(&path)));
        named.extend(self.watched.iter().cloned().chain(jails).chain(disabled));
        named.extend(daemon.logins.iter().cloned());
        named.sort();
        named.dedup();
        named.retain(|path| path.is_absolute());
        Places { own, log: log.is_absolute().then(|| log.to_owned()), named }
    }

    /// Whether something runs, or may run at any time, that only the command broker can.
    pub fn needs_broker(&self) -> bool {
        // Fail2Ban's clients add actions to a running server.
        self.server.is_some()
            || self.daemon.fail2ban.is_some()
            || self.jails.iter().any(JailConfig::runs_commands)
    }

    /// What the closed sandbox keeps this configuration from, and what to do about it, a sentence each.
    pub fn outside(&self, only: Option<&str>) -> Vec<String> {
        let jails = self.jails.iter().filter(|jail| only.is_none_or(|only| &*jail.options.name == only));
        let told = jails.flat_map(|jail| {
            let kept = jail.reads().into_iter().filter(|path| sandbox::keeps_from(path)).map(|path| {
                let what = "is outside of the sandbox that was closed at the start";
                format!("{} {what}: a restart of the daemon lets it read there", path.display())
            });
            let missing = broker::missing().filter(|_| jail.runs_commands()).map(str::to_owned);
            kept.chain(missing).map(|what| format!("{}: {what}", jail.options.name)).collect::<Vec<_>>()
        });
        told.collect()
    }
}

impl JailConfig {
    fn runs_commands(&self) -> bool {
        matches!(self.firewall, FirewallKind::Iptables | FirewallKind::HostsDeny)
            || self.options.ignore.command.is_some()
            || self.actions.iter().any(|action| matches!(action.kind(), Ok(Kind::Commands)))
            || self.journal.as_ref().is_some_and(super::JournalOptions::needs_journalctl)
    }

    /// The folders that it reads in.
    fn reads(&self) -> Vec<PathBuf> {
        let patterns = self.logs.iter().map(|log| &*log.pattern);
        let journal = self.journal.iter();
        let folders = journal.clone().filter_map(|journal| journal.path.clone());
        let files = journal.flat_map(|journal| journal.files.iter().map(|pattern| fixed(pattern)));
        let ignored = self.ignore_files.iter().filter_map(|path| folder(path));
        // A file of a glob may be a link to elsewhere.
        let linked = log_files(patterns.clone()).into_iter().filter_map(|file| {
            let real = Path::new(&file).canonicalize().ok()?;
            folder(&real)
        });
        patterns.map(fixed).chain(folders).chain(files).chain(ignored).chain(linked).collect()
    }
}

/// A folder itself, or that of a file.
fn around(path: &Path) -> Option<PathBuf> {
    if path.is_dir() { Some(path.to_owned()) } else { folder(path) }
}

/// The folder of a path.
fn folder(path: &Path) -> Option<PathBuf> {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).map(Path::to_owned)
}

/// The folder above which nothing of a pattern varies.
fn fixed(pattern: &str) -> PathBuf {
    let varies = pattern.find(['*', '?', '[']).unwrap_or(pattern.len());
    let end = pattern[..varies].rfind('/').unwrap_or(0);
    PathBuf::from(if end == 0 { "/" } else { &pattern[..end] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Sources, load};

    fn config(flags: &[(&str, &str)]) -> Config {
        let flags = flags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        load(&Sources { etc: "/nonexistent/etc".into(), flags, ..Sources::default() })
    }

    const JAIL: &[(&str, &str)] =
        &[("jail.sshd.enabled", "true"), ("jail.sshd.logs", "[\"/home/shop/*/access.log\", \"/srv/a.log\"]")];

    #[test]
    fn folders_do_not_vary() {
        for (pattern, folder) in [
            ("/var/log/auth.log", "/var/log"),
            ("/var/log/*.log", "/var/log"),
            ("/home/*/logs/a.log", "/home"),
            ("/a[12]/b", "/"),
            ("/x", "/"),
        ] {
            assert_eq!(fixed(pattern), Path::new(folder), "{pattern}");
        }
    }

    #[test]
    fn what_is_written_and_read_follows_from_the_configuration() {
        let places = config(&[JAIL, &[("daemon.log_target", "/var/log/stockade/x.log")]].concat()).places();
        assert_eq!(places.own, [Path::new("/run/stockade"), Path::new("/var/lib/stockade")]);
        assert_eq!(places.log.as_deref(), Some(Path::new("/var/log/stockade/x.log")));
        for path in ["/nonexistent/etc", "/home/shop", "/srv"] {
            assert!(places.named.contains(&path.into()), "{path}: {:?}", places.named);
        }
        assert_eq!(config(&[("daemon.log_target", "STDOUT")]).places().log, None);
    }

    #[test]
    fn a_broker_is_needed_for_commands_alone() {
        let with = |more: (&str, &str)| config(&[JAIL, &[more]].concat()).needs_broker();
        for (key, value, needs) in [
            ("jail.sshd.max_retry", "3", false),
            ("jail.sshd.firewall", "none", false),
            ("jail.sshd.firewall", "iptables", true),
            ("jail.sshd.firewall", "hosts-deny", true),
            ("jail.sshd.ignore_command", "true <ip>", true),
            ("jail.sshd.actions", "[{name=\"x\", ban=\"true\"}]", true),
        ] {
            assert_eq!(with((key, value)), needs, "{key} {value}");
        }
    }
}
