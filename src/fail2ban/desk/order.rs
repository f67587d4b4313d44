//! What can be asked.

use std::path::PathBuf;
use std::time::Duration;

use crate::python::{Command, Value};

/// One command, understood.
#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    /// Answered with this: there is nothing to do.
    Answer(Value),
    /// Answer after a while.
    Sleep(Duration),
    /// Open the log anew.
    FlushLogs,
    /// End the server.
    Quit,
    /// An option of the server as a whole.
    Server(ServerOrder),
    /// One jail; none: which jails there are.
    Status {
        /// Which.
        jail: Option<String>,
        /// How much of it.
        flavour: Flavour,
    },
    /// Every jail in one answer.
    StatusAll(Flavour),
    /// A table of all jails.
    Statistics,
    /// Who is banned, jail by jail; with ids: where each of them is.
    Banned(Option<Vec<String>>),
    /// Let these in, in every jail; none: everybody.
    Unban(Option<Vec<String>>),
    /// A jail that does not run yet.
    Add {
        /// Its name.
        jail: String,
        /// `auto`, `polling`, `systemd[…]`, …
        backend: String,
    },
    /// Run a jail.
    Start(String),
    /// End a jail.
    Stop(String),
    /// End every jail.
    StopAll,
    /// The jails are these now.
    Reload {
        /// One alone.
        jail: Option<String>,
        /// `--restart`, `--unban`, `--if-exists`.
        options: Vec<String>,
        /// What makes them.
        stream: Vec<Command>,
    },
    /// Commands that make the jails at the start.
    Stream(Vec<Command>),
    /// What only our own programs ask of each other.
    Native(Native),
    /// The configuration that the client read is wrong: a line for the log, answered with nothing.
    Complain(String),
    /// Something of one jail.
    Jail {
        /// Which.
        jail: String,
        /// What.
        order: JailOrder,
    },
}

/// What our own client asks of our own daemon; Fail2Ban's server calls it an invalid command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Native {
    /// Read the files again.
    Reload {
        /// One jail alone.
        jail: Option<String>,
        /// `--restart`, `--unban`, `--if-exists`.
        options: Vec<String>,
        /// The folder of the tree.
        folder: PathBuf,
    },
}

/// What can be asked of the server as a whole.
#[derive(Debug, Clone, PartialEq)]
pub enum ServerOrder {
    /// The value of an option, such as `loglevel`.
    Get(String),
    /// Another value for it.
    Set(String, Value),
}

/// How a status is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flavour {
    /// With the banned addresses.
    #[default]
    Basic,
    /// Without them.
    Short,
    /// With their networks.
    Cymru,
    /// Numbers alone.
    Statistics,
}

/// What can be asked of a jail.
#[derive(Debug, Clone, PartialEq)]
pub enum JailOrder {
    /// An option's value; the words after the jail's name.
    Get(Vec<Value>),
    /// Another value for an option; the words after the jail's name, behind `multi-set` if there are several values.
    Set(Vec<Value>),
    /// Who is banned; with ids: whether each of them is.
    Banned(Vec<String>),
    /// The list of bans by their ends.
    BanList {
        /// With beginning, time and end.
        with_time: bool,
        /// Between two of them.
        separator: Option<String>,
    },
    /// Ban by hand.
    Ban(Vec<String>),
    /// Let in again.
    Unban {
        /// Whom.
        ids: Vec<String>,
        /// Who is not banned is a mistake.
        report_absent: bool,
    },
    /// Count a failure, with the lines that show it.
    Attempt {
        /// Whose.
        id: String,
        /// Lines.
        lines: Vec<String>,
    },
    /// Read no more lines, or read them again.
    Idle(bool),
}
