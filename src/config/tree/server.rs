//! `fail2ban.conf` → `[daemon]`, as the weakest of an operator's layers.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use figment::value::{Dict, Value};

use super::times;
use crate::config::layer::Layer;
use crate::config::toml::Parsed;
use crate::fail2ban::{Overrides, Server};

/// What the server of a tree says of the program as a whole. Values that mean nothing here are left to its defaults.
pub(crate) fn layer(base: &Path, server: &Server) -> Layer {
    let text = |key: &str| server.text(key).filter(|text| !text.is_empty());
    let mut daemon = Dict::new();
    let mut put = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            daemon.insert(key.to_owned(), Value::from(value));
        }
    };
    put("socket", text("socket"));
    put("pid_file", text("pidfile"));
    put("store", text("dbfile").map(store));
    put("log_level", text("loglevel").map(|level| log_level(&level).to_owned()));
    put("log_target", text("logtarget").map(|target| log_target(&target)));
    let age = text("dbpurgeage").and_then(|age| times::span(&age).ok());
    put("purge_age", age.filter(|age| !age.is_zero()).map(|age| age.as_secs().max(1).to_string()));
    let matches = text("dbmaxmatches").and_then(|matches| matches.parse::<u16>().ok());
    if let Some(matches) = matches {
        daemon.insert("store_matches".to_owned(), Value::from(matches.min(10_000)));
    }
    let dict = Dict::from([("daemon".to_owned(), Value::from(daemon))]);
    Layer::file(base.join("fail2ban.conf"), Parsed { dict, lines: HashMap::new() })
}

/// Options of `fail2ban-server`'s command line as keys of `[daemon]`.
pub(crate) fn flags(overrides: &Overrides) -> Vec<(String, String)> {
    let flag = |(key, value): &(String, String)| match &**key {
        "loglevel" => Some(("daemon.log_level".to_owned(), log_level(value).to_owned())),
        "logtarget" => Some(("daemon.log_target".to_owned(), log_target(value))),
        _ => None,
    };
    overrides.iter().filter_map(flag).collect()
}

fn store(file: String) -> String {
    if file.eq_ignore_ascii_case("none") || file == ":memory:" { "none".to_owned() } else { file }
}

/// Python's numbers for levels are tens; what is below DEBUG is `TRACE` here.
pub fn log_level(level: &str) -> &'static str {
    let number = match level.to_ascii_uppercase().as_str() {
        "CRITICAL" | "FATAL" => 50,
        "ERROR" => 40,
        "WARNING" | "WARN" => 30,
        "NOTICE" | "MSG" => 25,
        "INFO" => 20,
        "DEBUG" => 10,
        other => other.parse().unwrap_or(5),
    };
    match number {
        41.. => "CRITICAL",
        31..=40 => "ERROR",
        26..=30 => "WARNING",
        21..=25 => "NOTICE",
        11..=20 => "INFO",
        10 => "DEBUG",
        _ => "TRACE",
    }
}

/// `/var/log/fail2ban.log[format="…"]` without its brackets; syslog's lines go to the journal, which feeds it.
pub fn log_target(target: &str) -> String {
    let name = target.split('[').next().unwrap_or_default().trim();
    match name.to_ascii_uppercase().as_str() {
        "SYSLOG" | "SYSTEMD-JOURNAL" => "JOURNAL".to_owned(),
        "SYSOUT" => "STDOUT".to_owned(),
        word @ ("STDOUT" | "STDERR") => word.to_owned(),
        _ => name.to_owned(),
    }
}

/// `allowipv6`. A `;` behind the word, as some packages write it, is a slip of the pen and not a "no".
pub(crate) fn allows_ipv6(text: Option<&str>) -> bool {
    let word = text.unwrap_or("auto").trim().trim_end_matches(';').trim().to_ascii_lowercase();
    match word.as_str() {
        "auto" | "" => fs::read_to_string("/proc/net/if_inet6").is_ok_and(|addresses| !addresses.is_empty()),
        word => matches!(word, "1" | "on" | "true" | "yes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_targets_are_ours() {
        for (level, want) in [
            ("critical", "CRITICAL"),
            ("MSG", "NOTICE"),
            ("HEAVYDEBUG", "TRACE"),
            ("20", "INFO"),
            ("7", "TRACE"),
            ("99", "CRITICAL"),
        ] {
            assert_eq!(log_level(level), want, "{level}");
        }
        for (target, want) in [
            ("/var/log/fail2ban.log", "/var/log/fail2ban.log"),
            ("/x.log[format=\"%(message)s\", datetime=off]", "/x.log"),
            ("SYSTEMD-JOURNAL", "JOURNAL"),
            ("sysout", "STDOUT"),
            ("STDERR", "STDERR"),
        ] {
            assert_eq!(log_target(target), want, "{target}");
        }
    }

    #[test]
    fn a_semicolon_does_not_turn_ipv6_off() {
        assert_eq!(allows_ipv6(Some("auto;")), allows_ipv6(None));
        assert!(allows_ipv6(Some("yes")) && !allows_ipv6(Some("no")));
    }
}
