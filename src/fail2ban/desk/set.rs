//! Changes of a jail's options.

use std::path::PathBuf;

use super::argument::{self, int, small, text, value_error, word};
use super::{actions, dates, encoding, get, ignored, jail, regexes, times};
use crate::fail2ban::logs::{self, Log};
use crate::fail2ban::{Increment, JailSpec};
use crate::python::{Raised, Value, lower};
use crate::sentence::{self, Formula, Scale};

/// Changes a jail's option; `words` follow the jail's name. Answers the new value, as [`get()`](super::get) tells it.
/// Of the disk nothing is asked but whether a log file is there.
///
/// # Errors
/// What Fail2Ban's server raises; the jail may be half changed then.
pub fn set(spec: &mut JailSpec, words: &[Value]) -> Result<Value, Raised> {
    if jail::option(words)? == jail::SEVERAL {
        several(spec, &words[1..])?;
        return Ok(true.into());
    }
    jail::check_set(words)?;
    let option = jail::option(words)?;
    let told = match option.as_str() {
        "addaction" => return actions::add(spec, &words[1..]),
        "delaction" => return actions::delete(spec, &words[1..]),
        "action" => return actions::set(spec, &words[1..]),
        "addlogpath" | "dellogpath" => "logpath",
        "addjournalmatch" | "deljournalmatch" => "journalmatch",
        "addignoreip" | "delignoreip" => "ignoreip",
        "addfailregex" | "delfailregex" => "failregex",
        "addignoreregex" | "delignoreregex" => "ignoreregex",
        other => other,
    };
    one(spec, &option, &words[1..])?;
    get::get(spec, &[told.into()])
}

/// Several values of one option.
fn several(spec: &mut JailSpec, words: &[Value]) -> Result<(), Raised> {
    let option = jail::option(words)?;
    match (option.as_str(), words.get(1)) {
        ("action", _) => actions::set_all(spec, &words[1..]),
        ("addfailregex" | "addignoreregex", Some(Value::List(values))) => {
            values.iter().try_for_each(|value| one(spec, &option, std::slice::from_ref(value)))
        }
        _ => set(spec, words).map(drop),
    }
}

fn one(spec: &mut JailSpec, option: &str, words: &[Value]) -> Result<(), Raised> {
    let first = || word(words, 0);
    match option {
        "ignoreself" => spec.ignore_self = Some(argument::bool(first()?)),
        "addignoreip" => {
            for value in words {
                spec.ignore_ip.extend(ignored::word(value)?);
            }
        }
        "delignoreip" => ignored::remove(&mut spec.ignore_ip, first()?)?,
        "ignorecommand" => spec.ignore_command = first()?.as_text(),
        "ignorecache" => spec.ignore_cache = cache(first()?)?,
        "addlogpath" => add_log(spec, words)?,
        "dellogpath" => remove_log(spec, &first()?.print()),
        "logencoding" => spec.log_encoding = Some(encoding(first()?)?),
        "addjournalmatch" => add_match(spec, words)?,
        "deljournalmatch" => remove_match(spec, words)?,
        "prefregex" => spec.filter.prefregex = regexes::prefix(spec, first()?)?,
        "addfailregex" => {
            let text = regexes::failure(spec, first()?)?;
            spec.filter.failregex.push(text);
        }
        "delfailregex" => regexes::remove(&mut spec.filter.failregex, first()?)?,
        "addignoreregex" => {
            let text = regexes::exception(spec, first()?)?;
            spec.filter.ignoreregex.push(text);
        }
        "delignoreregex" => regexes::remove(&mut spec.filter.ignoreregex, first()?)?,
        "usedns" => {
            let word = match first()? {
                Value::Bool(true) => "yes",
                Value::Bool(false) => "no",
                value => get::use_dns(text(value, "lower")?),
            };
            spec.filter.usedns = Some(word.to_owned());
        }
        "findtime" => spec.find_time = Some(time(first()?)?),
        "bantime" => spec.ban_time = Some(time(first()?)?),
        "datepattern" => spec.filter.datepattern = dates::pattern(spec, first()?)?,
        "logtimezone" => spec.filter.logtimezone = dates::zone(first()?)?,
        "maxmatches" => spec.max_matches = Some(small(&int(first()?)?)),
        "maxretry" => spec.max_retry = Some(small(&int(first()?)?)),
        "maxlines" => {
            let lines = usize::try_from(small(&int(first()?)?)).ok().filter(|lines| *lines > 0);
            let lines = lines.ok_or_else(|| value_error("maxlines must be integer greater than zero"))?;
            spec.filter.maxlines = Some(lines);
        }
        option => {
            increment(&mut spec.increment, option.strip_prefix("bantime.").unwrap_or(option), first()?)?;
        }
    }
    Ok(())
}

fn time(value: &Value) -> Result<String, Raised> {
    times::seconds(value)?;
    times::written(value)
}

fn cache(value: &Value) -> Result<Option<String>, Raised> {
    match value {
        Value::Text(text) if text.is_empty() => Ok(None),
        Value::Text(text) => get::cache(text).map(|_| Some(text.clone())),
        other => {
            let what = format!("can only concatenate str (not \"{}\") to str", argument::type_of(other));
            Err(argument::type_error(what))
        }
    }
}

fn encoding(value: &Value) -> Result<String, Raised> {
    let name = text(value, "lower")?;
    if lower(name) == "auto" || encoding::is_known(name) {
        return Ok(name.to_owned());
    }
    Err(Raised::builtin("LookupError", format!("unknown encoding: {name}")))
}

/// Reads a file from now on; a jail of the journal reads none.
fn add_log(spec: &mut JailSpec, words: &[Value]) -> Result<(), Raised> {
    let path = PathBuf::from(word(words, 0)?.print());
    if spec.is_systemd() || spec.logs.iter().any(|log| log.found.contains(&path)) {
        return Ok(());
    }
    logs::readable(&path).map_err(|error| os_error(&error, &path.display().to_string()))?;
    let start = words.get(1).map_or_else(|| "head".to_owned(), |start| lower(&start.print()));
    spec.logs.push(Log::exact(path, start));
    Ok(())
}

/// What Python raises when a file cannot be opened: number, message and path.
fn os_error(error: &std::io::Error, path: &str) -> Raised {
    let (class, number, text) = match error.kind() {
        std::io::ErrorKind::NotFound => ("FileNotFoundError", 2, "No such file or directory"),
        std::io::ErrorKind::PermissionDenied => ("PermissionError", 13, "Permission denied"),
        std::io::ErrorKind::IsADirectory => ("IsADirectoryError", 21, "Is a directory"),
        std::io::ErrorKind::NotADirectory => ("NotADirectoryError", 20, "Not a directory"),
        _ => ("OSError", 5, "Input/output error"),
    };
    let arguments = vec![i64::from(number).into(), text.into(), path.into()];
    Raised { module: "builtins".to_owned(), class: class.to_owned(), arguments }
}

/// Reads a file no more. A pattern that names others, too, becomes those that are there.
fn remove_log(spec: &mut JailSpec, path: &str) {
    let path = PathBuf::from(path);
    let mut left = Vec::new();
    for log in spec.logs.drain(..) {
        if log.found.contains(&path) {
            let others = log.found.into_iter().filter(|found| *found != path);
            left.extend(others.map(|found| Log::exact(found, log.start.clone())));
        } else {
            left.push(log);
        }
    }
    spec.logs = left;
}

fn texts(words: &[Value]) -> Result<Vec<String>, Raised> {
    let text = |value: &Value| match value {
        Value::Text(text) => Ok(text.clone()),
        other => Err(argument::type_error(format!(
            "a bytes-like object is required, not '{}'",
            argument::type_of(other)
        ))),
    };
    words.iter().map(text).collect()
}

/// One more alternative; a jail that reads files keeps it for a journal that takes their place.
fn add_match(spec: &mut JailSpec, words: &[Value]) -> Result<(), Raised> {
    let words = texts(words)?;
    if !get::is_match(&words) {
        return Err(value_error("Invalid match"));
    }
    spec.filter.journalmatch.push(words);
    Ok(())
}

fn remove_match(spec: &mut JailSpec, words: &[Value]) -> Result<(), Raised> {
    let words = texts(words)?;
    let groups = spec.filter.journalmatch.iter().flat_map(|words| words.split(|word| word == "+"));
    let mut matches: Vec<Vec<String>> = groups.map(<[String]>::to_vec).collect();
    match matches.iter().position(|known| *known == words) {
        Some(index) => {
            matches.remove(index);
            spec.filter.journalmatch = matches;
        }
        None if spec.is_systemd() => {
            let words = Value::List(words.into_iter().map(Value::from).collect());
            return Err(value_error(format!("Match {words} not found")));
        }
        None => {}
    }
    Ok(())
}

/// `bantime.…`
fn increment(increment: &mut Increment, key: &str, value: &Value) -> Result<(), Raised> {
    let filled = |value: &Value| value.as_text().filter(|text| !text.is_empty());
    match key {
        "increment" => increment.enabled = Some(argument::bool(value)),
        "factor" => {
            let text = times::arithmetic(value)?;
            if let Some(text) = &text {
                sentence::Increment::factor(text).map_err(|error| wrong(&error, text))?;
            }
            increment.factor = text;
        }
        "formula" => {
            let text = times::arithmetic(value)?;
            if let Some(text) = &text {
                text.parse::<Formula>().map_err(|error| times::raised(&error, text))?;
            }
            increment.formula = text;
        }
        "multipliers" => {
            let text = filled(value);
            if let Some(text) = &text {
                text.split_whitespace().try_for_each(|word| int(&word.into()).map(drop))?;
                Scale::multipliers(text).map_err(|error| value_error(error.to_string()))?;
            }
            increment.multipliers = text;
        }
        "maxtime" => increment.max_time = filled(value).map(|_| time(value)).transpose()?,
        "rndtime" => increment.random_time = filled(value).map(|_| time(value)).transpose()?,
        "overalljails" => increment.overall_jails = value.as_text(),
        key => {
            increment.others.retain(|(known, _)| known != key);
            increment.others.extend(value.as_text().map(|text| (key.to_owned(), text)));
        }
    }
    Ok(())
}

fn wrong(error: &sentence::IncrementError, text: &str) -> Raised {
    match error {
        sentence::IncrementError::Formula(error) => times::raised(error, text),
        other => value_error(other.to_string()),
    }
}
