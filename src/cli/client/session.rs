//! One command after another, asked of one server.

use std::path::PathBuf;
use std::time::Duration;

use super::options::Options;
use super::print::{self, Marks};
use super::{Place, dump, interactive, log, nobody, start};
use crate::cli::Exit;
use crate::control::talk::Client;
use crate::control::{ControlError, fail2ban_behind};
use crate::python::{self, Raised, Value};

/// How long an answer may take unless it is said: what was asked may be to sleep.
const LONG: Duration = Duration::from_secs(24 * 3600);

/// A server that is asked, and how its answers are printed.
pub(in crate::cli) struct Session {
    pub(super) options: Options,
    pub(super) place: Place,
    marks: Marks,
}

/// What is made of a command line without `start`, or with it.
pub(in crate::cli) fn run(options: &Options) -> Exit {
    if options.dump || options.test {
        let alone = options.dump || options.words.is_empty();
        // With a command, a test that went well goes on to it.
        let mut out: Box<dyn std::io::Write> =
            if alone { Box::new(std::io::stdout()) } else { Box::new(std::io::sink()) };
        match dump::run(&options.folder, &options.request(), false, &mut out) {
            Ok(Exit::Done) if !alone => {}
            Ok(exit) => return exit,
            Err(_) => return Exit::Done, // nobody reads it
        }
    }
    let place = match Place::of(options) {
        Ok(place) => place,
        Err(exit) => return exit,
    };
    let session = Session::new(options.clone(), place);
    if options.interactive { interactive::run(&session) } else { session.command(&options.words) }
}

impl Session {
    pub(in crate::cli) fn new(options: Options, place: Place) -> Self {
        Self { options, place, marks: Marks::of(|name| std::env::var(name).ok()) }
    }

    /// The socket that is asked.
    pub(super) fn socket(&self) -> &PathBuf {
        &self.place.socket
    }

    /// Whether a server is there still, if only to take its leave: its socket goes first.
    pub(super) fn is_served(&self) -> bool {
        start::answers(&self.place.socket) || fail2ban_behind(&self.place.pid_file).is_some()
    }

    /// Asks the server, prints its answer, and says how it ended.
    pub(super) fn pass_on(&self, words: &[String], patience: Option<Duration>) -> Exit {
        match self.ask(&command(words), patience) {
            Ok(answer) => self.show(words, &answer),
            Err(error) => {
                self.unanswered(&error);
                Exit::Fail2Ban
            }
        }
    }

    /// One command to the server.
    pub(in crate::cli) fn ask(
        &self,
        command: &[Value],
        patience: Option<Duration>,
    ) -> Result<Result<Value, Raised>, ControlError> {
        if self.options.verbosity > 0 {
            log::info(&format!("asking {}: {}", self.socket().display(), python::command(command)));
        }
        Client::connect(self.socket(), patience.unwrap_or(LONG))?.ask(command)
    }

    /// Prints what a server answered.
    pub(in crate::cli) fn show(&self, words: &[String], answer: &Result<Value, Raised>) -> Exit {
        match answer {
            Ok(value) => {
                super::print(&(print::answer(words, value, self.marks) + "\n"));
                Exit::Done
            }
            Err(raised) if print::is_no_ban(words, raised) => {
                log::error(&print::raised(raised));
                Exit::Fail2Ban
            }
            Err(raised) => {
                log::error(&format!("NOK: {}", print::arguments(raised)));
                super::print(&(print::raised(raised) + "\n"));
                Exit::Fail2Ban
            }
        }
    }

    /// Says why there is no answer.
    pub(super) fn unanswered(&self, error: &ControlError) {
        match error {
            ControlError::NotRunning(_) | ControlError::HungUp(_) => nobody(self.socket()),
            other => log::error(&other.to_string()),
        }
    }
}

/// Words as a server reads them.
pub(super) fn command(words: &[String]) -> Vec<Value> {
    words.iter().map(|word| Value::from(&**word)).collect()
}
