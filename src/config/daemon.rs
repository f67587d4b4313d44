//! `[daemon]`: the program as a whole. A wrong option is noted, and its default is used.

use std::path::PathBuf;
use std::time::Duration;

use super::value::{self, Notes, Shape, Slot, Table};
use super::{Daemon, LogFormat};
use crate::firewall::heal::Heal;
use crate::logins;
use crate::sandbox;
use crate::store::MATCHES;

/// Fail2Ban's levels, and ours below `DEBUG`.
const LEVELS: &[&str] = &["CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO", "DEBUG", "TRACE"];

impl Default for Daemon {
    fn default() -> Self {
        Self {
            socket: "/run/stockade/stockade.sock".into(),
            pid_file: "/run/stockade/stockade.pid".into(),
            store: Some("/var/lib/stockade/stockade.sqlite3".into()),
            log_level: "INFO".to_owned(),
            log_target: "STDOUT".to_owned(),
            log_format: LogFormat::Text,
            watch: false,
            purge_age: Duration::from_secs(60 * 86_400),
            store_matches: MATCHES,
            keep_counters: true,
            stop_timeout: Duration::from_secs(50),
            heal: Heal::All,
            logins: logins::PLACES.map(PathBuf::from).to_vec(),
            interfaces: Vec::new(),
            sandbox: sandbox::Mode::On,
            socket_group: None,
            fail2ban: None,
        }
    }
}

/// Names interfaces for every program of a container, not for this one alone.
const NETWORK_INTERFACE: &str = "NETWORK_INTERFACE";

/// Reads the table and what the environment says besides; mistakes are noted.
pub(super) fn read(mut table: Table, env: &[(String, String)], notes: &mut Notes<'_>) -> Daemon {
    let default = Daemon::default();
    let counters = [("keep", true), ("forget", false)];
    let heals = [("all", Heal::All), ("structure", Heal::Structure), ("off", Heal::Off)];
    let modes = [
        ("on", sandbox::Mode::On),
        ("capabilities", sandbox::Mode::Capabilities),
        ("off", sandbox::Mode::Off),
    ];
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let interfaces = table.list(notes, "interfaces", Shape::Words, value::text);
    let mut interfaces: Vec<_> = interfaces.unwrap_or_default().into_iter().map(|(name, _)| name).collect();
    interfaces.extend(named_around(env));
    interfaces.sort();
    interfaces.dedup();
    let logins = table.list(notes, "logins", Shape::Words, value::path);
    let logins = logins.map(|places| places.into_iter().map(|(place, _)| place).collect());
    let daemon = Daemon {
        logins: logins.unwrap_or(default.logins),
        socket: table.get(notes, "socket", value::path).unwrap_or(default.socket),
        pid_file: table.get(notes, "pid_file", value::path).unwrap_or(default.pid_file),
        store: table.get(notes, "store", store).unwrap_or(default.store),
        log_level: table.get(notes, "log_level", level).unwrap_or(default.log_level),
        log_target: table.get(notes, "log_target", target).unwrap_or(default.log_target),
        log_format: table
            .get(notes, "log_format", |slot| value::word(slot, &formats))
            .unwrap_or(default.log_format),
        watch: table.get(notes, "watch", value::boolean).unwrap_or(default.watch),
        purge_age: table.get(notes, "purge_age", value::span).unwrap_or(default.purge_age),
        store_matches: table
            .get(notes, "store_matches", |slot| value::number(slot, 0, 10_000))
            .unwrap_or(default.store_matches),
        keep_counters: table
            .get(notes, "counters", |slot| value::word(slot, &counters))
            .unwrap_or(default.keep_counters),
        stop_timeout: table.get(notes, "stop_timeout", value::span).unwrap_or(default.stop_timeout),
        heal: table.get(notes, "heal", |slot| value::word(slot, &heals)).unwrap_or(default.heal),
        interfaces,
        sandbox: table.get(notes, "sandbox", |slot| value::word(slot, &modes)).unwrap_or(default.sandbox),
        socket_group: table.get(notes, "socket_group", group),
        fail2ban: table.get(notes, "fail2ban", value::path),
    };
    table.finish(notes);
    daemon
}

fn named_around(env: &[(String, String)]) -> impl Iterator<Item = String> {
    let texts = env.iter().filter(|(name, _)| name == NETWORK_INTERFACE).map(|(_, text)| text);
    let names = texts.flat_map(|text| text.split(|c: char| c == ',' || c.is_whitespace()));
    names.filter(|name| !name.is_empty()).map(str::to_owned)
}

fn store(slot: &Slot) -> Result<Option<PathBuf>, String> {
    match value::text(slot)?.as_str() {
        "none" => Ok(None),
        text => value::absolute(text)
            .map(|path| Some(path.into()))
            .map_err(|_| format!("found {text:?}, expected an absolute path or \"none\"")),
    }
}

fn group(slot: &Slot) -> Result<String, String> {
    let text = value::text(slot)?;
    let fits = |c: char| !c.is_whitespace() && !c.is_control() && c != ':';
    let is_name = !text.is_empty() && text.chars().all(fits);
    if is_name { Ok(text) } else { Err("a group's name or number is wanted".to_owned()) }
}

fn level(slot: &Slot) -> Result<String, String> {
    let upper = value::text(slot)?.to_ascii_uppercase();
    let known = LEVELS.iter().find(|level| **level == upper);
    known.map(|level| (*level).to_owned()).ok_or_else(|| value::wrong_word(slot, LEVELS.iter().copied()))
}

fn target(slot: &Slot) -> Result<String, String> {
    let text = value::text(slot)?;
    let word = text.to_ascii_uppercase();
    if matches!(&*word, "STDOUT" | "STDERR" | "JOURNAL") {
        return Ok(word);
    }
    value::absolute(&text)
        .map(str::to_owned)
        .map_err(|_| format!("found {text:?}, expected an absolute path, STDOUT, STDERR or JOURNAL"))
}
