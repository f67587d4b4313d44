//! What is wrong with a command about a jail's option, whatever the jail.

use super::argument::{int, plain, too_few, value_error, word};
use crate::python::{Raised, Value};

/// The options that can be asked for, but for `bantime.…`.
const GET: [&str; 22] = [
    "logpath",
    "logencoding",
    "journalmatch",
    "ignoreself",
    "ignoreip",
    "ignorecommand",
    "ignorecache",
    "prefregex",
    "failregex",
    "ignoreregex",
    "usedns",
    "findtime",
    "datepattern",
    "logtimezone",
    "maxmatches",
    "maxretry",
    "maxlines",
    "bantime",
    "actions",
    "action",
    "actionproperties",
    "actionmethods",
];

/// The commands that change an option, but for `bantime.…`.
const SET: [&str; 26] = [
    "ignoreself",
    "addignoreip",
    "delignoreip",
    "ignorecommand",
    "ignorecache",
    "addlogpath",
    "dellogpath",
    "logencoding",
    "addjournalmatch",
    "deljournalmatch",
    "prefregex",
    "addfailregex",
    "delfailregex",
    "addignoreregex",
    "delignoreregex",
    "usedns",
    "findtime",
    "datepattern",
    "logtimezone",
    "maxmatches",
    "maxretry",
    "maxlines",
    "bantime",
    "addaction",
    "delaction",
    "action",
];

/// The first word of a change with several values.
pub(super) const SEVERAL: &str = "multi-set";

/// The option of a command, in the words behind the jail's name.
pub(super) fn option(words: &[Value]) -> Result<String, Raised> {
    Ok(word(words, 0)?.print())
}

pub(super) fn check_get(words: &[Value]) -> Result<(), Raised> {
    let option = option(words)?;
    if !GET.contains(&&*option) && !option.starts_with("bantime.") {
        return Err(plain("Invalid command (no get action or not yet implemented)"));
    }
    let least = match option.as_str() {
        "action" => 3,
        "actionproperties" | "actionmethods" => 2,
        _ => 1,
    };
    if words.len() < least { Err(too_few()) } else { Ok(()) }
}

pub(super) fn check_set(words: &[Value]) -> Result<(), Raised> {
    let option = option(words)?;
    if !SET.contains(&&*option) && !option.starts_with("bantime.") {
        let text = format!("Invalid command '{option}' (no set action or not yet implemented)");
        return Err(plain(text));
    }
    match option.as_str() {
        "maxretry" | "maxmatches" | "delfailregex" | "delignoreregex" => _ = int(word(words, 1)?)?,
        "addlogpath" => match &words[1..] {
            [] => return Err(too_few()),
            [_] => {}
            [_, start] => {
                let known = ["head", "tail"].contains(&&*crate::python::lower(&start.print()));
                known.then_some(()).ok_or_else(|| value_error("File option must be 'head' or 'tail'"))?;
            }
            _ => return Err(value_error("Only one file can be added at a time")),
        },
        "addaction" if words.len() == 3 => return Err(too_few()),
        "addignoreip" | "addjournalmatch" | "deljournalmatch" | "action" => {}
        _ => _ = word(words, 1)?,
    }
    Ok(())
}

/// Whether `multi-set` takes a list of values for this option; it is `set` for the others.
pub(super) fn takes_several(option: &str) -> bool {
    matches!(option, "addfailregex" | "addignoreregex" | "action")
}

/// The words of `multi-set` behind the jail's name as those of a `set`, told apart by their first one.
pub(super) fn several(words: &[Value]) -> Result<Vec<Value>, Raised> {
    check_set(words)?;
    let mut several = vec![Value::from(SEVERAL)];
    several.extend(words.iter().cloned());
    Ok(several)
}
