//! `reload`: our own server reads the files itself, so that one bad jail costs that jail and mistakes have their
//! place; Fail2Ban's is sent what its own client would send.

use super::{Session, log};
use crate::cli::Exit;
use crate::control::ControlError;
use crate::fail2ban::{self, Request};
use crate::python::{Command, Raised, Value};

/// All jails.
const ALL: &str = "--all";

/// Reloads what the words name.
pub(super) fn run(session: &Session, words: &[&str]) -> Exit {
    let known = |word: &&&str| matches!(**word, "--restart" | "--unban" | "--if-exists");
    let count = words.iter().take_while(known).count();
    let (options, rest) = words.split_at(count);
    let jail = match rest {
        [] => ALL,
        [jail] => jail,
        several => {
            let several: Vec<Value> = several.iter().map(|word| Value::from(*word)).collect();
            log::error(&format!("Unexpected argument(s) for reload: {}", Value::List(several)));
            return Exit::Fail2Ban;
        }
    };
    if let Err(error) = session.ask(&[Value::from("ping")], session.options.timeout) {
        match error {
            ControlError::NotRunning(_) => log::error("Could not find server"),
            other => session.unanswered(&other),
        }
        return Exit::Fail2Ban;
    }
    let options: Vec<Value> = options.iter().map(|word| Value::from(*word)).collect();
    match ours(session, jail, &options) {
        Some(exit) => exit,
        None => theirs(session, jail, options),
    }
}

/// Asks our own server; none: it is another.
fn ours(session: &Session, jail: &str, options: &[Value]) -> Option<Exit> {
    let folder = std::path::absolute(&session.options.folder).ok()?;
    let words: Command = vec![
        "stockade".into(),
        "reload".into(),
        jail.into(),
        Value::List(options.to_vec()),
        folder.display().to_string().into(),
    ];
    let answer = match session.ask(&words, session.options.timeout) {
        Err(error) => {
            session.unanswered(&error);
            return Some(Exit::Fail2Ban);
        }
        Ok(Err(raised)) if is_unknown(&raised) => return None,
        Ok(answer) => answer,
    };
    Some(match answer {
        Ok(Value::List(mistakes)) if !mistakes.is_empty() => {
            for mistake in &mistakes {
                log::error(&mistake.print());
            }
            Exit::Fail2Ban
        }
        Ok(Value::List(_)) => {
            super::print("OK\n");
            Exit::Done
        }
        answer => session.show(&command_words(jail), &answer),
    })
}

/// Sends Fail2Ban's server what its own client would.
fn theirs(session: &Session, jail: &str, options: Vec<Value>) -> Exit {
    let only = Some(jail.to_owned()).filter(|jail| jail != ALL);
    let request = Request { overrides: session.options.overrides.clone(), only, ..Request::default() };
    let dump = fail2ban::dump(&session.options.folder, &request);
    dump.said.iter().for_each(log::said);
    let (Some(stream), true) = (dump.stream, dump.right) else { return Exit::Fail2Ban };
    let stream = stream.into_iter().map(Value::List).collect();
    let words: Command = vec!["reload".into(), jail.into(), Value::List(options), Value::List(stream)];
    match session.ask(&words, session.options.timeout) {
        Ok(answer) => session.show(&command_words(jail), &answer),
        Err(error) => {
            session.unanswered(&error);
            Exit::Fail2Ban
        }
    }
}

fn command_words(jail: &str) -> Vec<String> {
    vec!["reload".to_owned(), jail.to_owned()]
}

/// Whether a server has never heard of the command.
fn is_unknown(raised: &Raised) -> bool {
    raised.arguments == ["Invalid command".into()]
}
