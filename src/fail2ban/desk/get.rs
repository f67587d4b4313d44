//! What a jail's options are, as Fail2Ban's server tells it.

use super::{actions, dates, ignored, jail, regexes, times};
use crate::fail2ban::{Increment, JailSpec, filter};
use crate::python::{Raised, Value, is_true, lower};
use crate::source::journal;

/// What a server has where nobody says anything (measured with 1.0.2).
const MAX_RETRY: i64 = 3;
const MAX_MATCHES: i64 = 5;
const TEN_MINUTES: i64 = 600;
/// The encoding of the host, and what `auto` means.
const ENCODING: &str = "UTF-8";

/// The value of a jail's option; `words` follow the jail's name.
///
/// # Errors
/// What Fail2Ban's server raises.
pub fn get(spec: &JailSpec, words: &[Value]) -> Result<Value, Raised> {
    jail::check_get(words)?;
    let option = jail::option(words)?;
    let number = |number: Option<i64>, stock: i64| Value::from(number.unwrap_or(stock));
    let or_none = |text: &Option<String>| text.as_deref().map_or(Value::None, Value::from);
    Ok(match option.as_str() {
        "logpath" => log_files(spec),
        "logencoding" => {
            spec.log_encoding.as_deref().filter(|name| lower(name) != "auto").unwrap_or(ENCODING).into()
        }
        "journalmatch" => journal_matches(spec),
        "ignoreself" => spec.ignore_self.unwrap_or(true).into(),
        "ignoreip" => ignored::shown(&spec.ignore_ip),
        "ignorecommand" => spec.ignore_command.as_deref().map_or(Value::Bool(false), Value::from),
        "ignorecache" => match &spec.ignore_cache {
            Some(text) => cache(text)?,
            None => Value::None,
        },
        "prefregex" => regexes::shown(spec, spec.filter.prefregex.as_deref().unwrap_or_default()),
        "failregex" => regexes::all(spec, &spec.filter.failregex),
        "ignoreregex" => regexes::all(spec, &spec.filter.ignoreregex),
        "usedns" => use_dns(spec.filter.usedns.as_deref().unwrap_or("warn")).into(),
        "findtime" => spec.find_time.as_deref().map_or(Ok(TEN_MINUTES.into()), times::shown)?,
        "bantime" => spec.ban_time.as_deref().map_or(Ok(TEN_MINUTES.into()), times::whole)?,
        "datepattern" => dates::shown(spec),
        "logtimezone" => or_none(&spec.filter.logtimezone),
        "maxmatches" => number(spec.max_matches, MAX_MATCHES),
        "maxretry" => number(spec.max_retry, MAX_RETRY),
        "maxlines" => Value::from(i64::try_from(spec.filter.maxlines.unwrap_or(1)).unwrap_or(i64::MAX)),
        "actions" => actions::names(spec),
        "action" => actions::get(spec, &words[1..])?,
        "actionproperties" => actions::properties(spec, &words[1..])?,
        "actionmethods" => actions::methods(spec, &words[1..])?,
        option => increment(&spec.increment, option.strip_prefix("bantime.").unwrap_or_default())?,
    })
}

/// The files that it reads now; a jail of the journal reads none.
fn log_files(spec: &JailSpec) -> Value {
    let mut files: Vec<Value> = Vec::new();
    for path in spec.logs.iter().flat_map(|log| &log.found).filter(|_| !spec.is_systemd()) {
        let path = Value::from(path.display().to_string());
        if !files.contains(&path) {
            files.push(path);
        }
    }
    Value::List(files)
}

/// What it wants of the journal: a list of words for each alternative; other jails have none.
fn journal_matches(spec: &JailSpec) -> Value {
    let lines = spec.filter.journalmatch.iter().filter(|_| spec.is_systemd());
    let groups = lines.flat_map(|words| words.split(|word| word == "+"));
    let list = |words: &[String]| Value::List(words.iter().map(|word| word.as_str().into()).collect());
    Value::List(groups.map(list).collect())
}

/// What is known of host names; a word that is not known means no.
pub(super) fn use_dns(text: &str) -> &'static str {
    match &*lower(text) {
        "yes" => "yes",
        "warn" => "warn",
        "raw" => "raw",
        _ => "no",
    }
}

/// `key="<ip>", max-count=100, max-time=5m` → its three values.
pub(super) fn cache(text: &str) -> Result<Value, Raised> {
    let parsed = filter::parse(&format!("cache[{text}]"))
        .map_err(|why| super::argument::value_error(why.to_string()))?;
    let option =
        |key: &str| parsed.options.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str());
    let key = option("key").ok_or_else(|| Raised::builtin("KeyError", "key"))?;
    let count = super::argument::int(&option("max-count").unwrap_or("100").into())?;
    let time = times::shown(option("max-time").unwrap_or("300"))?;
    Ok(Value::List(vec![key.into(), count, time]))
}

/// `bantime.…`
fn increment(increment: &Increment, key: &str) -> Result<Value, Raised> {
    let text = |text: &Option<String>| Ok(text.as_deref().map_or(Value::None, Value::from));
    let time = |text: &Option<String>| text.as_deref().map_or(Ok(Value::None), times::shown);
    match key {
        "increment" => Ok(increment.enabled.map_or(Value::None, Value::from)),
        "factor" => text(&increment.factor),
        "formula" => text(&increment.formula),
        "multipliers" => text(&increment.multipliers),
        "maxtime" => time(&increment.max_time),
        "rndtime" => time(&increment.random_time),
        "overalljails" => Ok(match increment.overall_jails.as_deref() {
            Some(word @ ("True" | "False")) => is_true(word).into(),
            Some(word) => word.into(),
            None => Value::None,
        }),
        key => {
            let known = increment.others.iter().find(|(known, _)| known == key);
            Ok(known.map_or(Value::None, |(_, text)| text.as_str().into()))
        }
    }
}

/// Whether words are a match of the journal.
pub(super) fn is_match(words: &[String]) -> bool {
    journal::Matches::of_words(&[words.to_vec()]).is_ok()
}
