//! `fail2ban.conf`: the server as a whole (SPEC §1.8).

use std::rc::Rc;

use super::definition::{set, value_of};
use super::dialect::Dialect;
use super::notes::Notes;
use super::options::{self, Kind, Known};
use super::problem::{Place, Problem, Trouble};
use super::set::Set;
use super::shelf::Shelf;
use super::tags::Options;
use crate::python::lower;
use crate::python::{Command, Value, words};

/// The server's settings; times as they are written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Server {
    options: Options,
    /// `[Thread] stacksize`, in KiB; none: not set.
    thread: Option<Value>,
}

/// Options of the command line that win over the files, such as `loglevel`.
pub type Overrides = Vec<(String, String)>;

const SECTION: &str = "Definition";
const SQLITE: &str = "/var/lib/fail2ban/fail2ban.sqlite3";

/// What the client needs for itself.
const CLIENT: &[Known] = &[
    ("socket", Kind::Text, Some("/var/run/fail2ban/fail2ban.sock")),
    ("pidfile", Kind::Text, Some("/var/run/fail2ban/fail2ban.pid")),
    ("loglevel", Kind::Text, Some("INFO")),
    ("logtarget", Kind::Text, Some("/var/log/fail2ban.log")),
    ("syslogsocket", Kind::Text, Some("auto")),
];

/// What the server is told.
const SERVER: &[Known] = &[
    ("loglevel", Kind::Text, Some("INFO")),
    ("logtarget", Kind::Text, Some("STDERR")),
    ("syslogsocket", Kind::Text, Some("auto")),
    ("allowipv6", Kind::Text, Some("auto")),
    ("dbfile", Kind::Text, Some(SQLITE)),
    ("dbmaxmatches", Kind::Int, None),
    ("dbpurgeage", Kind::Text, Some("1d")),
];

const LEVELS: &[&str] = &[
    "critical",
    "fatal",
    "error",
    "warning",
    "warn",
    "notice",
    "msg",
    "info",
    "debug",
    "tracedebug",
    "heavydebug",
    "notset",
];

/// The files, and what the client takes from them before it reads anything else.
pub(super) fn client(
    shelf: &mut Shelf,
    overrides: &Overrides,
    notes: &mut Notes,
) -> Result<(Rc<Set>, Server), Trouble> {
    let found = match shelf.set("fail2ban") {
        Ok(set) => set,
        Err(trouble) => {
            notes.note(trouble)?;
            None
        }
    };
    let files = found.unwrap_or_default();
    let given: Options = overrides.iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect();
    // Where the command line says everything the files are not asked.
    let lacking = CLIENT.iter().any(|(key, ..)| value_of(&given, key).is_none());
    let known = if lacking { CLIENT } else { &[] };
    let mut options = options::read(&files, SECTION, known, Dialect::Stable, shelf, notes)?;
    for (key, value) in given {
        set(&mut options, &key, value);
    }
    let level = value_of(&options, "loglevel").and_then(Value::as_text).unwrap_or_default();
    let is_number = !level.is_empty() && level.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number && !LEVELS.contains(&&*lower(&level)) {
        let problem = Problem::LogLevel(level);
        notes.note(Trouble::new(files.place(SECTION, "loglevel"), problem))?;
        set(&mut options, "loglevel", "INFO".into());
    }
    Ok((files, Server { options, thread: None }))
}

/// The rest, which Fail2Ban reads after the jails.
pub(super) fn server(
    files: &Set,
    client: Server,
    shelf: &mut Shelf,
    notes: &mut Notes,
) -> Result<Server, Trouble> {
    let dialect = shelf.dialect();
    let mut server = client;
    for (key, value) in options::read(files, SECTION, SERVER, dialect, shelf, notes)? {
        if value_of(&server.options, &key).is_none() {
            server.options.push((key, value));
        }
    }
    if files.has_section("Thread") {
        let known: &[Known] = &[("stacksize", Kind::Int, None)];
        let read = options::read(files, "Thread", known, dialect, shelf, notes)?;
        server.thread = read.into_iter().next().map(|(_, value)| value);
    }
    Ok(server)
}

impl Server {
    /// An option of `[Definition]` or of the command line; none: it is not set.
    pub fn option(&self, key: &str) -> Option<&Value> {
        value_of(&self.options, key)
    }

    /// The text of an option; none: it is not set, or not as it should be.
    pub fn text(&self, key: &str) -> Option<String> {
        self.option(key).and_then(Value::as_text)
    }

    /// `[Thread] stacksize`, in KiB; none: it is not set.
    pub fn stack_size(&self) -> Option<Value> {
        self.thread.clone()
    }

    /// The commands that tell the server.
    pub(super) fn commands(&self) -> Vec<Command> {
        let mut commands = Vec::new();
        if let Some(size) = &self.thread {
            let mut command = words(["set", "thread"]);
            command.push(Value::Map(vec![("stacksize".into(), size.clone())]));
            commands.push(command);
        }
        for key in
            ["syslogsocket", "loglevel", "logtarget", "allowipv6", "dbfile", "dbmaxmatches", "dbpurgeage"]
        {
            if let Some(value) = self.option(key) {
                let mut command = words(["set", key]);
                command.push(value.clone());
                commands.push(command);
            }
        }
        commands
    }
}

/// Why a tree's folder is none.
pub(super) fn folder(shelf: &Shelf) -> Result<(), Trouble> {
    if shelf.base.exists() {
        return Ok(());
    }
    let place = Place { file: Some(shelf.base.clone()), ..Place::default() };
    Err(Trouble::new(place, Problem::NoFolder(shelf.base.display().to_string())))
}
