//! Actions of a jail: what is asked of one, and what is changed.
//!
//! Pure.

use std::sync::Arc;

use super::argument::{plain, string, too_few, type_error, type_of, value_error, word};
use super::times;
use crate::action::smtp::{self, MailerError};
use crate::action::{ActionError, Definition, is_python};
use crate::fail2ban::JailSpec;
use crate::python::{Raised, Value};

/// Properties that an action of commands has though nobody says so: commands without text …
const COMMANDS: [&str; 9] = [
    "actionban",
    "actioncheck",
    "actionflush",
    "actionreban",
    "actionreload",
    "actionrepair",
    "actionstart",
    "actionstop",
    "actionunban",
];
/// … and these: what must be escaped, how often its environment was repaired, its limit of time.
const OTHERS: [(&str, &str); 4] = [
    ("ESCAPE_CRE", r#"re.compile('[\\\\#&;`|*?~<>\\^\\(\\)\\[\\]{}$\'"\\n\\r]')"#),
    ("ESCAPE_VN_CRE", r"re.compile('\\W')"),
    ("banEpoch", "0"),
    ("timeout", "60"),
];

/// What an action of commands can do.
const METHODS: [&str; 15] = [
    "ban",
    "clearAllParams",
    "consistencyCheck",
    "escapeTag",
    "executeCmd",
    "flush",
    "invalidateBanEpoch",
    "prolong",
    "reban",
    "reload",
    "replaceDynamicTags",
    "replaceTag",
    "start",
    "stop",
    "unban",
];
/// What one of Python can do.
const PYTHON_METHODS: [&str; 5] = ["ban", "reban", "start", "stop", "unban"];
/// Those that need to be told whom they are about.
const ABOUT_SOMEBODY: [&str; 4] = ["ban", "unban", "reban", "prolong"];

/// Properties that are yes or no.
const BOOLS: [&str; 3] = ["norestored", "actionstart_on_demand", "actionrepair_on_unban"];

/// `smtp.py`'s names for its arguments, and what they are when nobody says so.
const MAIL: [(&str, &str, Value); 7] = [
    ("fromaddr", "sender", Value::None),
    ("fromname", "sendername", Value::None),
    ("host", "host", Value::None),
    ("matches", "matches", Value::None),
    ("password", "password", Value::None),
    ("toaddr", "dest", Value::None),
    ("user", "user", Value::None),
];

/// The names of a jail's actions.
pub(super) fn names(spec: &JailSpec) -> Value {
    Value::List(spec.actions.iter().map(|action| Value::from(&*action.name)).collect())
}

fn find<'s>(spec: &'s JailSpec, name: &Value) -> Result<&'s Definition, Raised> {
    let name = name.print();
    spec.actions.iter().find(|action| *action.name == *name).ok_or_else(|| unknown(&name))
}

fn unknown(name: &str) -> Raised {
    Raised::builtin("KeyError", format!("Invalid Action name: {name}"))
}

/// `action NAME PROPERTY`
pub(super) fn get(spec: &JailSpec, words: &[Value]) -> Result<Value, Raised> {
    let action = find(spec, word(words, 0)?)?;
    let key = word(words, 1)?.print();
    property(action, &key)?.ok_or_else(|| {
        let what = format!("'{}' object has no attribute '{key}'", class(action));
        Raised::builtin("AttributeError", what)
    })
}

fn is_commands(action: &Definition) -> bool {
    !is_python(&action.file)
}

fn class(action: &Definition) -> &'static str {
    match &*action.file {
        smtp::FILE => "SMTPAction",
        file if is_python(file) => "Action",
        _ => "CommandAction",
    }
}

/// A property's value; none: it has none of this name.
fn property(action: &Definition, key: &str) -> Result<Option<Value>, Raised> {
    let own =
        |key: &str| action.options.iter().find(|(known, _)| known == key).map(|(_, text)| text.as_str());
    if key == "_name" {
        return Ok(Some((&*action.name).into()));
    }
    if is_commands(action) {
        let other = || OTHERS.iter().find(|(known, _)| *known == key).map(|(_, text)| *text);
        let text = own(key).or_else(|| COMMANDS.contains(&key).then_some("")).or_else(other);
        return text.map(|text| typed(key, text)).transpose();
    }
    if *action.file != *smtp::FILE {
        return Ok(own(key).map(Value::from));
    }
    let Some((_, argument, _)) = MAIL.iter().find(|(known, ..)| *known == key) else {
        return Ok(own(key).map(Value::from));
    };
    let stock = match *argument {
        "host" => "localhost".into(),
        "sender" => "fail2ban".into(),
        "sendername" => "Fail2Ban".into(),
        "dest" => "root".into(),
        _ => Value::None,
    };
    Ok(Some(own(key).or_else(|| own(argument)).map_or(stock, Value::from)))
}

fn typed(key: &str, text: &str) -> Result<Value, Raised> {
    match (key, text) {
        ("timeout", text) => times::shown(text),
        ("banEpoch", _) => Ok(0.into()),
        (key, "True" | "False") if BOOLS.contains(&key) => Ok((text == "True").into()),
        _ => Ok(text.into()),
    }
}

/// `actionproperties NAME`
pub(super) fn properties(spec: &JailSpec, words: &[Value]) -> Result<Value, Raised> {
    let action = find(spec, word(words, 0)?)?;
    let mut names: Vec<&str> = action.options.iter().map(|(key, _)| key.as_str()).collect();
    if is_commands(action) {
        names.extend(COMMANDS);
        names.extend(OTHERS.map(|(name, _)| name));
    } else if *action.file == *smtp::FILE {
        let arguments = MAIL.map(|(_, argument, _)| argument);
        names.retain(|name| !arguments.contains(name));
        names.extend(MAIL.map(|(name, ..)| name));
        names.extend(["message_values", "norestored"]);
    }
    names.sort_unstable();
    names.dedup();
    Ok(Value::List(names.into_iter().map(Value::from).collect()))
}

/// `actionmethods NAME`
pub(super) fn methods(spec: &JailSpec, words: &[Value]) -> Result<Value, Raised> {
    let action = find(spec, word(words, 0)?)?;
    let names: &[&str] = if is_commands(action) { &METHODS } else { &PYTHON_METHODS };
    Ok(Value::List(names.iter().copied().map(Value::from).collect()))
}

/// `addaction NAME [FILE JSON]`
pub(super) fn add(spec: &mut JailSpec, words: &[Value]) -> Result<Value, Raised> {
    let name = word(words, 0)?.print();
    if spec.actions.iter().any(|action| *action.name == *name) {
        return Err(value_error(format!("Action {name} already exists")));
    }
    let mut action = Definition { file: Arc::from(&*name), name: name.as_str().into(), options: Vec::new() };
    if let Some(path) = words.get(1) {
        let path = path.print();
        action.file = path.rsplit('/').next().unwrap_or_default().into();
        action.options = arguments(word(words, 2)?)?
            .into_iter()
            .map(|(key, value)| (key, argument_text(&value)))
            .collect();
        if let Err(ActionError::Mailer(MailerError::Unknown(key))) = action.kind() {
            return Err(type_error(format!(
                "SMTPAction.__init__() got an unexpected keyword argument '{key}'"
            )));
        }
    }
    spec.actions.push(action);
    Ok(name.into())
}

/// The arguments of a call, in JSON.
fn arguments(value: &Value) -> Result<serde_json::Map<String, serde_json::Value>, Raised> {
    let text = string(value)?;
    match serde_json::from_str(text) {
        Ok(serde_json::Value::Object(arguments)) => Ok(arguments),
        Ok(_) => Err(type_error("argument after ** must be a mapping")),
        Err(error) => Err(no_json(text, &error)),
    }
}

/// What Python raises for a text that is no JSON: what is wrong, the text, and where.
fn no_json(text: &str, error: &serde_json::Error) -> Raised {
    let line = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>();
    let key = text.trim_start().strip_prefix('{').map(str::trim_start).filter(|rest| !rest.starts_with('"'));
    let (what, at) = match key {
        Some(rest) => ("Expecting property name enclosed in double quotes", text.len() - rest.len()),
        None => ("Expecting value", (line + error.column()).min(text.len())),
    };
    let arguments = vec![what.into(), text.into(), i64::try_from(at).unwrap_or(i64::MAX).into()];
    Raised { module: "json.decoder".to_owned(), class: "JSONDecodeError".to_owned(), arguments }
}

fn argument_text(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Bool(true) => "True".to_owned(),
        serde_json::Value::Bool(false) => "False".to_owned(),
        other => other.to_string(),
    }
}

/// `delaction NAME`
pub(super) fn delete(spec: &mut JailSpec, words: &[Value]) -> Result<Value, Raised> {
    let name = word(words, 0)?.print();
    let before = spec.actions.len();
    spec.actions.retain(|action| *action.name != *name);
    if spec.actions.len() == before { Err(unknown(&name)) } else { Ok(Value::None) }
}

/// `action NAME PROPERTY VALUE`, or `action NAME METHOD [JSON]`
pub(super) fn set(spec: &mut JailSpec, words: &[Value]) -> Result<Value, Raised> {
    let commands = is_commands(find(spec, word(words, 0)?)?);
    let key = string(word(words, 1)?)
        .map_err(|_| type_error(format!("attribute name must be string, not '{}'", type_of(&words[1]))))?;
    let methods: &[&str] = if commands { &METHODS } else { &PYTHON_METHODS };
    if methods.contains(&key) {
        let class = class(find(spec, &words[0])?);
        return call(class, key, words.get(2));
    }
    change(spec, &words[0], key, words.get(2).ok_or_else(too_few)?)?;
    get(spec, &words[..2])
}

/// `action NAME [[PROPERTY, VALUE] …]`
pub(super) fn set_all(spec: &mut JailSpec, words: &[Value]) -> Result<(), Raised> {
    find(spec, word(words, 0)?)?;
    let Value::List(pairs) = word(words, 1)? else { return Err(too_few()) };
    for pair in pairs {
        let (Value::List(pair) | Value::Tuple(pair)) = pair else { return Err(too_few()) };
        change(spec, &words[0], &word(pair, 0)?.print(), word(pair, 1)?)?;
    }
    Ok(())
}

fn change(spec: &mut JailSpec, name: &Value, key: &str, value: &Value) -> Result<(), Raised> {
    let jail = Arc::clone(&spec.name);
    let index = spec.actions.iter().position(|action| *action.name == *name.print());
    let Some(action) = index.and_then(|index| spec.actions.get_mut(index)) else {
        return Err(unknown(&name.print()));
    };
    if key == "banEpoch" {
        return Ok(());
    }
    if key == "timeout" && is_commands(action) {
        times::seconds(value)?;
    }
    let text = match value {
        Value::None => {
            action.options.retain(|(known, _)| known != key);
            return Ok(());
        }
        value => value.as_text().unwrap_or_default(),
    };
    if key == "name" && is_commands(action) {
        action.file = file_of(&action.name, &jail, &text).into();
    }
    match action.options.iter_mut().find(|(known, _)| known == key) {
        Some((_, old)) => *old = text,
        None => action.options.push((key.to_owned(), text)),
    }
    Ok(())
}

/// The file of an action: the name of an instance has its parameter `name` at its end, unless that begins as the jail's.
fn file_of<'n>(action: &'n str, jail: &str, parameter: &str) -> &'n str {
    let file = match parameter.strip_prefix(jail) {
        Some(rest) => action.strip_suffix(rest),
        None => action.strip_suffix(parameter).and_then(|file| file.strip_suffix('-')),
    };
    file.filter(|file| !file.is_empty()).unwrap_or(action)
}

/// A method by hand. What it does to the world it does when there is a ban, and not on command.
fn call(class: &str, method: &str, json: Option<&Value>) -> Result<Value, Raised> {
    let given = json.map(arguments).transpose()?.unwrap_or_default();
    let lacks = |argument: &str| {
        type_error(format!("{class}.{method}() missing 1 required positional argument: '{argument}'"))
    };
    if ABOUT_SOMEBODY.contains(&method) && !given.contains_key("aInfo") {
        return Err(lacks("aInfo"));
    }
    match method {
        "escapeTag" => match given.get("value") {
            Some(value) => Ok(escaped(&argument_text(value)).into()),
            None => Err(lacks("value")),
        },
        _ => Err(plain(format!(
            "{method} of an action is not called by hand: ban and unban addresses of the jail, or reload it"
        ))),
    }
}

/// A text without anything that a shell could see.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c if "\\#&;`|*?~<>^()[]{}$'\"".contains(c) => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::python::words;

    fn jail() -> JailSpec {
        let mut spec = JailSpec::added("one", "polling").unwrap();
        add(&mut spec, &words(["nft-tcp"])).unwrap();
        spec
    }

    #[test]
    fn the_file_of_an_instance() {
        for (action, parameter, file) in [
            ("nftables", "one", "nftables"),
            ("nftables-tcp", "one-tcp", "nftables"),
            ("nftables-ssh", "ssh", "nftables"),
            ("again", "second", "again"),
            ("-ssh", "ssh", "-ssh"),
        ] {
            assert_eq!(file_of(action, "one", parameter), file, "{action} {parameter}");
        }
    }

    #[test]
    fn values_have_types() {
        let mut spec = jail();
        for (key, value, want) in [
            ("timeout", Value::from("5m"), Value::from(300)),
            ("norestored", true.into(), true.into()),
            ("norestored", "true".into(), "true".into()),
            ("actionban", "echo  ".into(), "echo  ".into()),
            ("actionban?family=inet6", "x".into(), "x".into()),
        ] {
            let command = ["nft-tcp".into(), key.into(), value];
            assert_eq!(set(&mut spec, &command).unwrap(), want, "{key}");
        }
        assert_eq!(get(&spec, &words(["nft-tcp", "actionstop"])), Ok("".into()));
    }

    #[test]
    fn a_method_needs_its_arguments() {
        let mut spec = jail();
        for (words, want) in [
            (
                words(["nft-tcp", "ban", "{}"]),
                "CommandAction.ban() missing 1 required positional argument: 'aInfo'",
            ),
            (words(["nft-tcp", "escapeTag", "{"]), "Expecting property name enclosed in double quotes"),
            (words(["nft-tcp", "escapeTag", ""]), "Expecting value"),
        ] {
            assert_eq!(set(&mut spec, &words).unwrap_err().arguments[0].print(), want);
        }
        let escaped = set(&mut spec, &words(["nft-tcp", "escapeTag", r#"{"value":"a;b\nc"}"#]));
        assert_eq!(escaped, Ok(r"a\;b\nc".into()));
        let said = set(&mut spec, &words(["nft-tcp", "start"])).unwrap_err().arguments[0].print();
        assert_eq!(
            said,
            "start of an action is not called by hand: ban and unban addresses of the jail, or reload it"
        );
    }
}
