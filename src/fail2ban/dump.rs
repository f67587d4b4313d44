//! A tree read as strictly as `fail2ban-client -d` and `-t` do: the first problem ends it (SPEC §1.9, §6.1).

use std::path::Path;

use super::daemon::{self, Overrides};
use super::notes::Notes;
use super::problem::{Place, Problem, Trouble};
use super::said::{Level, Said};
use super::shelf::Shelf;
use super::{jail, stream, tree};
use crate::python::repr;
use crate::python::{Command, words};

/// What is asked for; neither test nor dump: the commands of a reload, for which logs have to be there, too.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Only whether it is right (`-t`); that a jail finds no log is wrong then.
    pub test: bool,
    /// The commands (`-d`); both may be asked for.
    pub dump: bool,
    /// Options of the command line, such as `loglevel`.
    pub overrides: Overrides,
    /// This jail alone; none: all that are enabled.
    pub only: Option<String>,
}

/// What Fail2Ban's client answers.
#[derive(Debug, Clone, Default)]
pub struct Dump {
    /// The commands for the server; none: they could not be told.
    pub stream: Option<Vec<Command>>,
    /// What it prints on standard output besides.
    pub printed: Option<String>,
    /// What it logs.
    pub said: Vec<Said>,
    /// Whether it ends with 0; otherwise with 255.
    pub right: bool,
}

/// What a client needs of a tree before it does anything else, and what it says over it.
///
/// # Errors
/// There is no such folder, its files are broken, or the log level is none; in Fail2Ban's words.
pub fn client(base: &Path, overrides: &Overrides) -> (Result<daemon::Server, String>, Vec<Said>) {
    let mut shelf = Shelf::new(base);
    let read = daemon::folder(&shelf)
        .and_then(|()| daemon::client(&mut shelf, overrides, &mut Notes::Strict))
        .map(|(_, server)| server)
        .map_err(|trouble| trouble.as_fail2ban());
    (read, shelf.said)
}

/// Reads a tree as Fail2Ban's client does.
pub fn dump(base: &Path, request: &Request) -> Dump {
    let mut shelf = Shelf::new(base);
    let mut dump = Dump::default();
    let client = daemon::folder(&shelf)
        .and_then(|()| daemon::client(&mut shelf, &request.overrides, &mut Notes::Strict));
    let begun = client.is_ok();
    match client {
        Err(trouble) => dump.printed = Some(format!("ERROR: {}", trouble.as_fail2ban())),
        Ok((files, client)) => match read(&mut shelf, &files, client, request) {
            Ok((stream, right)) => {
                dump.stream = Some(stream);
                dump.right = right;
            }
            Err(trouble) => {
                let text = format!("Failed during configuration: {}", trouble.as_fail2ban());
                shelf.say("", Level::Error, text);
                if request.dump {
                    let text = "ERROR: The configuration stream failed because of the invalid syntax.";
                    dump.printed = Some(text.to_owned());
                }
            }
        },
    }
    if dump.right {
        if request.test {
            dump.printed = Some("OK: configuration test is successful".to_owned());
        }
    } else if request.test && begun {
        shelf.say("", Level::Error, "ERROR: test configuration failed");
    } else if request.test || request.dump {
        shelf.say("", Level::Error, "Init of command line failed");
    }
    dump.said = shelf.said;
    dump
}

/// All commands, and whether the tree is right.
fn read(
    shelf: &mut Shelf,
    files: &super::set::Set,
    client: daemon::Server,
    request: &Request,
) -> Result<(Vec<Command>, bool), Trouble> {
    let may_lack_logs = request.dump;
    let mut jails = Vec::new();
    let (mut good, mut bad) = (0, 0);
    let found = tree::jails(shelf)?;
    let server = daemon::server(files, client, shelf, &mut Notes::Strict)?;
    if let Some(mut set) = found {
        let names: Vec<String> = match &request.only {
            None => set.sections().filter(|name| jail::is_jail(name)).map(str::to_owned).collect(),
            Some(only) if set.has_section(only) => vec![only.clone()],
            Some(only) => return Err(Trouble::new(Place::default(), Problem::NoJail(only.clone()))),
        };
        for name in names {
            match jail::read(shelf, &mut set, &name, &mut Notes::Strict) {
                Ok(None) => {}
                Ok(Some(jail)) => {
                    good += 1;
                    jails.push(Ok(jail));
                }
                Err(trouble) if trouble.costs_a_jail() => {
                    bad += 1;
                    let text = trouble.as_fail2ban();
                    shelf.say("jailreader", Level::Error, text.clone());
                    let skipping = if request.test { "" } else { " Skipping..." };
                    shelf.say(
                        "jailsreader",
                        Level::Error,
                        format!("Errors in jail {}.{skipping}", repr(&name)),
                    );
                    jails.push(Err(format!("Jail '{name}' skipped, because of wrong configuration: {text}")));
                }
                Err(trouble) => return Err(trouble),
            }
        }
    }
    let base = shelf.base.clone();
    let (mut commands, mut starts) = (server.commands(), Vec::new());
    for jail in &jails {
        match jail {
            Err(text) => commands.push(words(["config-error", text])),
            Ok(jail) => {
                let own = stream::commands(jail, &base, may_lack_logs, &mut shelf.said)?;
                if own.first().and_then(|command| command.first()) == Some(&"add".into()) {
                    starts.push(words(["start", &jail.name]));
                }
                commands.extend(own);
            }
        }
    }
    commands.extend(starts);
    Ok((commands, bad == 0 || (good > 0 && !request.test)))
}
