//! `fail2ban-client`: a server of Fail2Ban's protocol, ours or theirs, asked as Fail2Ban's own client asks it.
//!
//! What it does itself is in `commands`, what it prints in `print`; the rest it passes on.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{Exit, server};
use crate::fail2ban::{self, Level, Said};
use crate::python;
use crate::sentence::{self, FormulaError, expression};

mod commands;
mod dump;
mod interactive;
mod log;
pub(super) mod options;
mod print;
mod reload;
mod session;
mod start;
pub(super) mod usage;

pub(super) use dump::run as dump;
pub(super) use log::error as complain;
pub(super) use print::raised as reason;
pub(super) use session::{Session, run};
pub(super) use start::{Socket, look_at};

use options::{Asked, Options};

/// The version of the protocol, which tools ask before they believe anything.
pub(super) const VERSION: &str = "1.1.0";

/// `fail2ban-client`, without its name.
pub(super) fn main(words: &[String]) -> Exit {
    match asked(words, usage::CLIENT) {
        Ok(options) if options.words.is_empty() && !options.interactive && !options.dump && !options.test => {
            print(usage::CLIENT);
            Exit::Fail2Ban
        }
        Ok(options) => session::run(&options),
        Err(exit) => exit,
    }
}

/// The options of a command line; an exit code where it asks for nothing else.
pub(super) fn asked(words: &[String], usage: &str) -> Result<Options, Exit> {
    match options::parse(words) {
        Asked::Run(options) => Ok(*options),
        Asked::Help => {
            print(usage);
            Err(Exit::Done)
        }
        Asked::Version { bare } => {
            print(&if bare { format!("{VERSION}\n") } else { format!("Fail2Ban v{VERSION}\n") });
            Err(Exit::Done)
        }
        Asked::Seconds(text) => Err(match expression::seconds(&text) {
            Ok(seconds) => {
                print(&format!("{}\n", number(seconds)));
                Exit::Done
            }
            Err(error) => not_begun(&format!("ERROR: {}\n", in_python(&error))),
        }),
        Asked::BadTime(text) => {
            let why = expression::seconds(&text).map_or_else(|error| in_python(&error), |_| String::new());
            Err(not_begun(&format!("ERROR: {why}\n")))
        }
        Asked::Wrong => Err(not_begun(usage)),
    }
}

/// A number as Python prints it.
fn number(number: sentence::Value) -> String {
    match number {
        sentence::Value::Int(whole) => whole.to_string(),
        sentence::Value::Float(number) => python::Value::Float(number).to_string(),
    }
}

/// The command line itself is wrong.
fn not_begun(told: &str) -> Exit {
    print(told);
    _ = writeln!(io::stderr(), "Init of command line failed"); // nobody to tell
    Exit::Fail2Ban
}

/// What Python says of a time that is none.
fn in_python(error: &FormulaError) -> String {
    match error {
        FormulaError::Unknown(name) => format!("name '{name}' is not defined"),
        FormulaError::Syntax(_) | FormulaError::Ends => "invalid syntax (<string>, line 1)".to_owned(),
        other => other.to_string(),
    }
}

/// Standard output; that nobody reads it is no mistake.
pub(super) fn print(text: &str) {
    let mut out = io::stdout().lock();
    _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// What a tree and a command line say of where the server is.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Its socket.
    pub(super) socket: PathBuf,
    /// Its process id's file.
    pub(super) pid_file: PathBuf,
}

impl Place {
    /// Reads `fail2ban.conf`; what is wrong with it is said.
    pub(super) fn of(options: &Options) -> Result<Self, Exit> {
        // Who names the socket of a daemon that has no tree need not have one.
        let default = Path::new(options::FOLDER);
        if let (Some(socket), true) =
            (options.given("socket"), options.folder == default && !default.exists())
        {
            return Ok(Self { socket: socket.into(), pid_file: PathBuf::new() });
        }
        let (read, said) = fail2ban::client(&options.folder, &options.overrides);
        // A server in the background was started by somebody who has said it.
        let tells =
            |said: &&Said| !server::is_child() && (options.verbosity >= 0 || said.level == Level::Error);
        said.iter().filter(tells).for_each(log::said);
        match read {
            Ok(server) => {
                let path = |key| PathBuf::from(server.text(key).unwrap_or_default());
                Ok(Self { socket: path("socket"), pid_file: path("pidfile") })
            }
            Err(why) => {
                print(&format!("ERROR: {why}\n"));
                log::error("Init of command line failed");
                Err(Exit::Fail2Ban)
            }
        }
    }
}

/// That nobody answers on a socket.
fn nobody(socket: &Path) {
    log::error(&format!("Failed to access socket path: {}. Is fail2ban running?", socket.display()));
}
