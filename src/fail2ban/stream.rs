//! A jail → the commands that Fail2Ban's client sends for it, in its order (SPEC §1.9).

use std::path::Path;

use super::definition::value_of;
use super::dialect::Dialect;
use super::jail::{self, Jail};
use super::logs;
use super::problem::{Place, Problem, Trouble};
use super::said::{Level, Said};
use crate::python::repr;
use crate::python::{Command, Value, words};
use crate::source::journal::words as shell;

/// Options that are sent in another way, or not at all.
const OTHERWISE: &[&str] = &[
    "enabled",
    "backend",
    "filter",
    "action",
    "logpath",
    "usedns",
    "prefregex",
    "ignoreregex",
    "failregex",
    "maxlines",
    "datepattern",
    "journalmatch",
    "skip_if_nologs",
    "systemd_if_nologs",
];

/// The commands of one jail, its start excepted; `may_lack_logs`: that none of its logs exist is only warned of.
pub(super) fn commands(
    jail: &Jail,
    base: &Path,
    may_lack_logs: bool,
    said: &mut Vec<Said>,
) -> Result<Vec<Command>, Trouble> {
    let name = jail.name.as_str();
    said.extend(jail.late.iter().cloned());
    let mut stream = Vec::new();
    fill(&mut stream, name, &jail.filter)?;
    fill(&mut stream, name, &jail.options)?;
    let mut files = Vec::new();
    for (key, value) in &jail.options {
        match key.as_str() {
            "logpath" => {
                let Some(found) = log_files(jail, may_lack_logs, said)? else {
                    let text = format!("Jail {} skipped, because of missing log files.", repr(name));
                    said.push(Said { logger: "jailreader", level: Level::Warning, text: text.clone() });
                    return Ok(vec![vec!["config-error".into(), text.into()]]);
                };
                files = found;
            }
            "ignoreip" => {
                let mut command = words(["set", name, "addignoreip"]);
                let text = jail::text(&jail.options, key);
                command.extend(jail::addresses(text, jail.resolved.dialect).into_iter().map(Value::from));
                stream.push(command);
            }
            key if OTHERWISE.contains(&key) => {}
            key => stream.push(vec!["set".into(), name.into(), key.into(), value.clone()]),
        }
    }
    stream.extend(files);
    stream.extend(jail.actions.iter().flat_map(|action| action.commands(name, base)));
    stream.insert(0, words(["add", name, jail::text(&jail.options, "backend")]));
    Ok(stream)
}

/// The commands of what a filter, or a jail in its place, says.
fn fill(stream: &mut Vec<Command>, jail: &str, options: &[(String, Value)]) -> Result<(), Trouble> {
    let mut first = 0;
    for (key, value) in options.iter().filter(|(_, value)| *value != Value::None) {
        let command = || vec!["set".into(), jail.into(), key.as_str().into(), value.clone()];
        match key.as_str() {
            "failregex" | "ignoreregex" => stream.extend(regexes(jail, key, value)),
            // The others of these come after it: it decides what <HOST> matches.
            "usedns" => {
                stream.insert(0, command());
                first += 1;
            }
            "prefregex" | "maxlines" => {
                stream.insert(first.min(stream.len()), command());
                first += 1;
            }
            "journalmatch" => stream.extend(matches(jail, value)?),
            // A slip of Fail2Ban: whatever is called by a part of this word is sent, too.
            key if "datepattern".contains(key) => stream.push(command()),
            _ => {}
        }
    }
    Ok(())
}

fn regexes(jail: &str, key: &str, value: &Value) -> Option<Command> {
    let text = value.as_text()?;
    let mut regexes: Vec<Value> = text.split('\n').filter(|line| !line.is_empty()).map(Value::from).collect();
    let (verb, argument) = match regexes.len() {
        0 => return None,
        1 => ("set", regexes.remove(0)),
        _ => ("multi-set", Value::List(regexes)),
    };
    Some(vec![verb.into(), jail.into(), format!("add{key}").into(), argument])
}

fn matches(jail: &str, value: &Value) -> Result<Vec<Command>, Trouble> {
    let text = value.as_text().unwrap_or_default();
    let lines = text.split('\n').filter(|line| !line.is_empty());
    let command = |line: &str| {
        let words_of_line = shell::split(line)
            .ok_or_else(|| Trouble::new(Place::default(), Problem::JournalMatch(line.to_owned())))?;
        let mut command = words(["set", jail, "addjournalmatch"]);
        command.extend(words_of_line.into_iter().map(Value::from));
        Ok(command)
    };
    lines.map(command).collect()
}

/// The commands for a jail's log files; none: it has none, and is to be left out then.
fn log_files(jail: &Jail, may_lack: bool, said: &mut Vec<Said>) -> Result<Option<Vec<Command>>, Trouble> {
    if jail::text(&jail.options, "backend").starts_with("systemd") {
        return Ok(Some(Vec::new()));
    }
    let mut warn = |text: String| said.push(Said { logger: "jailreader", level: Level::Warning, text });
    let mut commands = Vec::new();
    for log in logs::find(jail::text(&jail.options, "logpath")) {
        for path in &log.dangling {
            warn(format!("File {} is a dangling link, thus cannot be monitored", path.display()));
        }
        for path in &log.found {
            commands.push(words(["set", &jail.name, "addlogpath", &path.display().to_string(), &log.start]));
        }
    }
    if commands.is_empty() {
        let text = match jail.resolved.dialect {
            Dialect::Stable => format!("Have not found any log file for {} jail", jail.name),
            Dialect::Head => format!("Have not found any log file for {} jail.", repr(&jail.name)),
        };
        let skip = value_of(&jail.options, "skip_if_nologs") == Some(&Value::Bool(true));
        if !may_lack && !skip {
            return Err(Trouble::new(Place::default(), Problem::NoLogs(text)));
        }
        warn(text);
        if skip {
            return Ok(None);
        }
    }
    Ok(Some(commands))
}
