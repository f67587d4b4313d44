//! A command → what it asks, or what Fail2Ban's server raises when it is none.

use std::time::Duration;

use super::argument::{float, plain, too_few, type_error, type_of, value_error, word};
use super::order::{Flavour, JailOrder, Native, Order, ServerOrder};
use super::{VERSION, jail};
use crate::fail2ban::brackets::{self, Names};
use crate::python::{Command, Raised, Value, lower};

/// Options of the server as a whole that can be asked for …
const GET: [&str; 7] =
    ["loglevel", "logtarget", "syslogsocket", "dbfile", "dbmaxmatches", "dbpurgeage", "thread"];
/// … and those that can be set.
const SET: [&str; 8] =
    ["loglevel", "logtarget", "syslogsocket", "allowipv6", "dbfile", "dbmaxmatches", "dbpurgeage", "thread"];

/// Every jail.
const ALL: &str = "--all";

/// Reads a command.
///
/// # Errors
/// What Fail2Ban's server raises before it looks for the jail or the option: an unknown verb, too few words, a word that
/// is not what it has to be.
pub fn order(words: &[Value]) -> Result<Order, Raised> {
    let Value::Text(verb) = word(words, 0)? else { return Err(invalid()) };
    let rest = &words[1..];
    Ok(match verb.as_str() {
        "ping" => Order::Answer("pong".into()),
        "version" => Order::Answer(VERSION.into()),
        "echo" => Order::Answer(Value::List(rest.to_vec())),
        "server-status" => Order::Answer("Server ready".into()),
        "sleep" => Order::Sleep(sleep(word(rest, 0)?)?),
        "flushlogs" => Order::FlushLogs,
        "config-error" => Order::Complain(word(rest, 0)?.print()),
        "add" => add(rest)?,
        "start" => Order::Start(name(word(rest, 0)?)),
        "stop" => match rest.first() {
            None => Order::Quit,
            Some(jail) if *jail == ALL.into() => Order::StopAll,
            Some(jail) => Order::Stop(name(jail)),
        },
        "status" => status(rest)?,
        "stats" | "statistic" | "statistics" => Order::Statistics,
        "banned" => Order::Banned(if rest.is_empty() { None } else { Some(names(rest)) }),
        "unban" => match rest {
            [] => return Err(invalid()),
            [all] if *all == ALL.into() => Order::Unban(None),
            ids => Order::Unban(Some(names(ids))),
        },
        "reload" => reload(rest)?,
        "server-stream" => Order::Stream(stream(word(rest, 0)?)?),
        "get" => get(rest)?,
        "set" => set(rest)?,
        "multi-set" => match rest.get(1).map(Value::print).as_deref() {
            Some(option) if jail::takes_several(option) => {
                Order::Jail { jail: name(&rest[0]), order: JailOrder::Set(jail::several(&rest[1..])?) }
            }
            _ => set(rest)?,
        },
        "stockade" => Order::Native(native(rest).ok_or_else(invalid)?),
        _ => return Err(invalid()),
    })
}

fn invalid() -> Raised {
    plain("Invalid command")
}

/// A jail's name, or an address; other values are named as Python prints them.
fn name(value: &Value) -> String {
    value.print()
}

fn names(values: &[Value]) -> Vec<String> {
    values.iter().map(name).collect()
}

fn sleep(value: &Value) -> Result<Duration, Raised> {
    let seconds = float(value)?;
    if seconds.is_nan() {
        return Err(value_error("Invalid value NaN (not a number)"));
    }
    if seconds < 0.0 {
        return Err(value_error("sleep length must be non-negative"));
    }
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| Raised::builtin("OverflowError", "timestamp too large to convert to C _PyTime_t"))
}

fn add(rest: &[Value]) -> Result<Order, Raised> {
    let Value::Text(jail) = word(rest, 0)? else {
        return Err(type_error(format!("object of type '{}' has no len()", type_of(&rest[0]))));
    };
    if jail == ALL {
        return Err(plain(format!("Reserved name '{ALL}'")));
    }
    let kind = rest.get(1).and_then(Value::as_text).unwrap_or_else(|| "auto".to_owned());
    backend(&kind)?;
    Ok(Order::Add { jail: jail.clone(), backend: kind })
}

/// A backend with the options in its brackets.
pub(in crate::fail2ban) fn backend(text: &str) -> Result<brackets::Definition, Raised> {
    const KNOWN: [&str; 5] = ["auto", "polling", "pyinotify", "systemd", "gamin"];
    let parsed = brackets::parse(text, Names::Conditional).map_err(|why| value_error(why.to_string()))?;
    if KNOWN.contains(&&*lower(&parsed.name)) {
        return Ok(parsed);
    }
    Err(value_error(format!(
        "Unknown backend {}. Must be among ['pyinotify', 'polling', 'systemd'] or 'auto'",
        lower(&parsed.name)
    )))
}

fn status(rest: &[Value]) -> Result<Order, Raised> {
    let flavour = |word: Option<&Value>| match word {
        Some(Value::Text(word)) => match &*lower(word) {
            "short" => Flavour::Short,
            "cymru" => Flavour::Cymru,
            "stats" | "statistic" | "statistics" => Flavour::Statistics,
            _ => Flavour::Basic,
        },
        _ => Flavour::Basic,
    };
    match rest {
        [] => Ok(Order::Status { jail: None, flavour: Flavour::Basic }),
        [all] | [all, _] if *all == ALL.into() => Ok(Order::StatusAll(flavour(rest.get(1)))),
        [jail] | [jail, _] => Ok(Order::Status { jail: Some(name(jail)), flavour: flavour(rest.get(1)) }),
        _ => Err(plain("Invalid command (no status)")),
    }
}

fn reload(rest: &[Value]) -> Result<Order, Raised> {
    let missing = |text: &str| type_error(format!("Server.reloadJails() missing {text}"));
    let (jail, options) = match rest {
        [] => return Err(missing("2 required positional arguments: 'name' and 'opts'")),
        [_] => return Err(missing("1 required positional argument: 'opts'")),
        [jail, options, ..] => (name(jail), options),
    };
    let options = match options {
        Value::List(options) | Value::Tuple(options) => names(options),
        _ => Vec::new(),
    };
    let stream = stream(word(rest, 2)?)?;
    Ok(Order::Reload { jail: Some(jail).filter(|jail| jail != ALL), options, stream })
}

/// The commands of a stream.
fn stream(value: &Value) -> Result<Vec<Command>, Raised> {
    let items = match value {
        Value::List(items) | Value::Tuple(items) => items,
        Value::Text(text) if text.is_empty() => return Ok(Vec::new()),
        Value::Text(_) | Value::Map(_) => return Err(invalid()),
        other => return Err(type_error(format!("'{}' object is not iterable", type_of(other)))),
    };
    let command = |item: &Value| match item {
        Value::List(words) | Value::Tuple(words) if words.is_empty() => Err(too_few()),
        Value::List(words) | Value::Tuple(words) => Ok(words.clone()),
        Value::Text(_) | Value::Map(_) => Err(invalid()),
        other => Err(type_error(format!("'{}' object is not subscriptable", type_of(other)))),
    };
    items.iter().map(command).collect()
}

fn get(rest: &[Value]) -> Result<Order, Raised> {
    let first = name(word(rest, 0)?);
    if GET.contains(&&*first) {
        return Ok(Order::Server(ServerOrder::Get(first)));
    }
    let order = match (word(rest, 1)?.print().as_str(), &rest[2..]) {
        ("banned", ids) => JailOrder::Banned(names(ids)),
        ("banip", rest) => match rest.first().map(Value::print) {
            Some(word) if word == "--with-time" => JailOrder::BanList { with_time: true, separator: None },
            separator => JailOrder::BanList { with_time: false, separator },
        },
        _ => {
            jail::check_get(&rest[1..])?;
            JailOrder::Get(rest[1..].to_vec())
        }
    };
    Ok(Order::Jail { jail: first, order })
}

fn set(rest: &[Value]) -> Result<Order, Raised> {
    let first = name(word(rest, 0)?);
    if SET.contains(&&*first) {
        return Ok(Order::Server(ServerOrder::Set(first, word(rest, 1)?.clone())));
    }
    let order = match (word(rest, 1)?.print().as_str(), &rest[2..]) {
        ("banip", ids) => JailOrder::Ban(names(ids)),
        ("unbanip", ids) => {
            let report_absent = *word(ids, 0)? == "--report-absent".into();
            JailOrder::Unban { ids: names(&ids[usize::from(report_absent)..]), report_absent }
        }
        ("attempt", []) => {
            return Err(type_error("Filter.addAttempt() missing 1 required positional argument: 'ip'"));
        }
        ("attempt", [id, lines @ ..]) => JailOrder::Attempt { id: name(id), lines: names(lines) },
        ("idle", rest) => match word(rest, 0)? {
            Value::Text(word) if word == "on" => JailOrder::Idle(true),
            Value::Text(word) if word == "off" => JailOrder::Idle(false),
            _ => return Err(plain("Invalid idle option, must be 'on' or 'off'")),
        },
        _ => {
            jail::check_set(&rest[1..])?;
            JailOrder::Set(rest[1..].to_vec())
        }
    };
    Ok(Order::Jail { jail: first, order })
}

/// `stockade reload JAIL|--all [OPTIONS] FOLDER`
fn native(rest: &[Value]) -> Option<Native> {
    let [verb, jail, Value::List(options), Value::Text(folder)] = rest else { return None };
    let jail = Some(name(jail)).filter(|jail| jail != ALL);
    (*verb == "reload".into()).then(|| Native::Reload {
        jail,
        options: names(options),
        folder: folder.into(),
    })
}
