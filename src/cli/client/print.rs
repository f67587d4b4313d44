//! How an answer of a server reads: the words that were asked and a value, or an exception → text.
//!
//! Pure. Tools take these texts apart, so every byte counts; a value of another shape than its command promises is
//! printed as Python prints it.

mod status;
mod table;

use crate::python::{Raised, Value, repr};

pub(super) use table::Marks;

/// The text of an answer, without the line end behind it.
pub(super) fn answer(words: &[String], value: &Value, marks: Marks) -> String {
    told(words, value, marks).unwrap_or_else(|| value.print())
}

/// The text of an answer that has one of its own; none: it is printed as it is.
fn told(words: &[String], value: &Value, marks: Marks) -> Option<String> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match (&words[..], value) {
        (["ping", ..], Value::Text(text)) => Some(format!("Server replied: {text}")),
        (["start", ..], _) => Some("Jail started".to_owned()),
        (["stop"], Value::None) => Some("Shutdown successful".to_owned()),
        (["stop", ..], Value::None) => Some("Jail stopped".to_owned()),
        (["add", ..], jail) => Some(format!("Added jail {}", jail.print())),
        (["flushlogs", ..], Value::Text(how)) => Some(format!("logs: {how}")),
        (["echo", ..], Value::List(said)) => Some(joined(said, " ")),
        (
            ["stats" | "statistic" | "statistics", ..]
            | ["status", "--all", "stats" | "statistic" | "statistics", ..],
            jails,
        ) => table::statistics(jails, marks),
        (["status"] | ["status", "--all", ..], items) => status::server(items),
        (["status", jail, flavour @ ..], items) => status::jail(jail, items).or_else(|| {
            let is_table = matches!(flavour, ["stats" | "statistic" | "statistics"]);
            let row = || Value::Map(vec![(Value::from(*jail), items.clone())]);
            is_table.then(row).and_then(|row| table::statistics(&row, marks))
        }),
        (["get" | "set", option, rest @ ..], value) => {
            server_option(option, value).or_else(|| rest.first().and_then(|_| jail_option(&words, value)))
        }
        (["multi-set", ..], value) => jail_option(&words, value),
        _ => None,
    }
}

/// An option of the server as a whole.
fn server_option(option: &str, value: &Value) -> Option<String> {
    match (option, value) {
        ("loglevel", Value::Int(number)) => {
            Some(format!("Current logging level is {}", repr(&level(number))))
        }
        ("loglevel", value) => Some(format!("Current logging level is {value}")),
        ("logtarget", Value::Text(target)) => Some(format!("Current logging target is:\n`- {target}")),
        ("syslogsocket", Value::Text(path)) => Some(format!("Current syslog socket is:\n`- {path}")),
        ("dbfile" | "dbpurgeage", Value::None) => Some("Database currently disabled".to_owned()),
        ("dbfile", Value::Text(path)) => Some(format!("Current database file is:\n`- {path}")),
        ("dbpurgeage", age @ (Value::Int(_) | Value::Float(_))) => {
            Some(format!("Current database purge age is:\n`- {age}seconds"))
        }
        _ => None,
    }
}

/// The name of a level that is told as a number.
fn level(number: &str) -> String {
    match number {
        "50" => "CRITICAL",
        "40" => "ERROR",
        "30" => "WARNING",
        "25" => "NOTICE",
        "20" => "INFO",
        "10" => "DEBUG",
        "7" => "TRACEDEBUG",
        "5" => "HEAVYDEBUG",
        "0" => "NOTSET",
        other => return format!("Level {other}"),
    }
    .to_owned()
}

/// An option of a jail: `get JAIL OPTION …` and what changes it.
fn jail_option(words: &[&str], value: &Value) -> Option<String> {
    let (verb, jail, option) = (words[0], *words.get(1)?, *words.get(2)?);
    match (option, value) {
        ("logpath" | "addlogpath" | "dellogpath", Value::List(files)) => Some(listed(
            "Current monitored log file(s):",
            "No file is currently monitored",
            &files.iter().map(Value::print).collect::<Vec<_>>(),
        )),
        ("ignoreip" | "addignoreip" | "delignoreip", Value::List(nets)) => Some(listed(
            "These IP addresses/networks are ignored:",
            "No IP address/network is ignored",
            &nets.iter().map(Value::print).collect::<Vec<_>>(),
        )),
        (
            "failregex" | "addfailregex" | "delfailregex" | "ignoreregex" | "addignoreregex"
            | "delignoreregex",
            Value::List(patterns),
        ) => Some(listed(
            "The following regular expression are defined:",
            "No regular expression is defined",
            &patterns
                .iter()
                .enumerate()
                .map(|(n, regex)| format!("[{n}]: {}", regex.print()))
                .collect::<Vec<_>>(),
        )),
        ("logencoding", Value::Text(name)) => Some(format!("Current log encoding is set to:\n{name}")),
        ("journalmatch" | "addjournalmatch" | "deljournalmatch", Value::List(matches)) => {
            journal_matches(matches)
        }
        ("datepattern", value) => date_pattern(value),
        ("banip", Value::List(ids)) if verb == "get" => Some(joined(
            ids,
            match words.get(3) {
                None => " ",
                Some(&"--with-time") => "\n",
                Some(separator) => separator,
            },
        )),
        ("actions", Value::List(names)) => Some(if names.is_empty() {
            format!("No actions for jail {jail}")
        } else {
            format!("The jail {jail} has the following actions:\n{}", joined(names, ", "))
        }),
        (what @ ("actionproperties" | "actionmethods"), Value::List(names)) => {
            let (what, action) = (&what["action".len()..], words.get(3)?);
            Some(if names.is_empty() {
                format!("No {what} for jail {jail} action {action}")
            } else {
                let names = joined(names, ", ");
                format!("The jail {jail} action {action} has the following {what}:\n{names}")
            })
        }
        _ => None,
    }
}

/// A heading and a line each; or what is said when there is nothing.
fn listed(heading: &str, nothing: &str, lines: &[String]) -> String {
    if lines.is_empty() {
        return nothing.to_owned();
    }
    let last = lines.len() - 1;
    let lines = lines.iter().enumerate();
    lines.fold(heading.to_owned(), |text, (at, line)| {
        text + "\n" + if at == last { "`- " } else { "|- " } + line
    })
}

fn journal_matches(matches: &[Value]) -> Option<String> {
    if matches.is_empty() {
        return Some("No journal match filter set".to_owned());
    }
    let group = |group: &Value| match group {
        Value::List(words) | Value::Tuple(words) => Some(joined(words, " ")),
        _ => None,
    };
    let groups: Option<Vec<String>> = matches.iter().map(group).collect();
    Some(format!("Current match filter:\n{}", groups?.join(" + ")))
}

/// None, or a pair of a pattern (none: the defaults) and its name.
fn date_pattern(value: &Value) -> Option<String> {
    let told = match value {
        Value::None => "Not set/required".to_owned(),
        Value::Tuple(pair) => match &pair[..] {
            [Value::None, name] => name.print(),
            [pattern, name] => format!("{} ({})", pattern.print(), name.print()),
            _ => return None,
        },
        _ => return None,
    };
    Some(format!("Current date pattern set to: {told}"))
}

/// `separator.join(…)` of what is printed of each.
fn joined(values: &[Value], separator: &str) -> String {
    let mut text = String::new();
    join(&mut text, values, separator);
    text
}

/// The same behind what is there.
fn join(text: &mut String, values: &[Value], separator: &str) {
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            text.push_str(separator);
        }
        match value {
            Value::Text(word) => text.push_str(word),
            other => text.push_str(&other.print()),
        }
    }
}

/// What is printed of an exception.
pub(in crate::cli) fn raised(raised: &Raised) -> String {
    match (&*raised.class, &raised.arguments[..]) {
        ("UnknownJailException", [jail, ..]) => {
            format!("Sorry but the jail '{}' does not exist", jail.print())
        }
        ("DuplicateJailException", [jail, ..]) => format!("The jail '{}' already exists", jail.print()),
        ("IndexError", _) => "Sorry but the command is invalid".to_owned(),
        _ => text(raised),
    }
}

/// Whether this says that a ban is not in force: a count on standard output would be taken for one that is.
pub(super) fn is_no_ban(words: &[String], raised: &Raised) -> bool {
    let is_ban = matches!(words, [set, _, what, ..] if set == "set" && what == "banip");
    is_ban && raised.class == "RuntimeError"
}

/// What an exception was raised with, as the log tells it.
pub(super) fn arguments(raised: &Raised) -> String {
    let arguments = match &raised.arguments[..] {
        [_, _, _] if raised.class == "JSONDecodeError" => vec![text(raised).into()],
        // The file is a thing of its own.
        [number, what, ..] if is_os_error(&raised.class) => vec![number.clone(), what.clone()],
        arguments => arguments.to_vec(),
    };
    Value::Tuple(arguments).to_string()
}

/// `str` of an exception.
fn text(raised: &Raised) -> String {
    match (&*raised.class, &raised.arguments[..]) {
        (_, []) => String::new(),
        ("KeyError", [key]) => key.to_string(),
        (_, [only]) => only.print(),
        (class, [number, what, rest @ ..]) if is_os_error(class) => {
            let told = format!("[Errno {}] {}", number.print(), what.print());
            match rest.first() {
                None | Some(Value::None) => told,
                Some(file) => format!("{told}: {file}"),
            }
        }
        ("SyntaxError", [what, Value::Tuple(place)]) => {
            let place: Vec<String> = place.iter().take(2).map(Value::print).collect();
            format!("{} ({})", what.print(), place.join(", line "))
        }
        ("JSONDecodeError", [what, Value::Text(text), Value::Int(at)]) => no_json(&what.print(), text, at),
        (_, several) => Value::Tuple(several.to_vec()).to_string(),
    }
}

/// Where in a text that is no JSON something is wrong, counted in characters.
fn no_json(what: &str, text: &str, at: &str) -> String {
    let before: String = text.chars().take(at.parse().unwrap_or(0)).collect();
    let line = 1 + before.matches('\n').count();
    let column = 1 + before.rsplit('\n').next().unwrap_or_default().chars().count();
    format!("{what}: line {line} column {column} (char {at})")
}

/// Python's exceptions that come from the system.
fn is_os_error(class: &str) -> bool {
    matches!(
        class,
        "OSError"
            | "IOError"
            | "EnvironmentError"
            | "FileNotFoundError"
            | "FileExistsError"
            | "PermissionError"
            | "IsADirectoryError"
            | "NotADirectoryError"
            | "BlockingIOError"
            | "InterruptedError"
            | "TimeoutError"
            | "ProcessLookupError"
            | "ChildProcessError"
            | "ConnectionError"
            | "BrokenPipeError"
            | "ConnectionAbortedError"
            | "ConnectionRefusedError"
            | "ConnectionResetError"
    )
}

#[cfg(test)]
mod tests;
