//! The name the program was called by → whose command line it reads.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::{Exit, client, server, setup, tester};
use crate::broker;

/// What the program can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    Stockade,
    Client,
    Server,
    Regex,
    Setup,
}

impl Name {
    /// By the last part of the path; a link's own name counts, not what it points to.
    fn of(called: &OsStr) -> Self {
        match Path::new(called).file_name().unwrap_or_default().as_encoded_bytes() {
            b"fail2ban-client" => Self::Client,
            b"fail2ban-server" => Self::Server,
            b"fail2ban-regex" => Self::Regex,
            b"setup" | b"setup.sh" => Self::Setup,
            _ => Self::Stockade,
        }
    }
}

/// The whole program.
pub fn main(arguments: Vec<OsString>) -> Exit {
    match Name::of(arguments.first().map_or(OsStr::new(""), OsString::as_os_str)) {
        Name::Stockade if arguments.get(1).is_some_and(|word| word == broker::NAME) => {
            super::broker::main(&arguments[2..])
        }
        Name::Stockade => super::main(arguments),
        Name::Client => client::main(&texts(arguments)),
        Name::Server => server::main(&texts(arguments)),
        Name::Setup => setup::main(&texts(arguments)),
        Name::Regex => tester::main(arguments),
    }
}

/// The words after the name. Fail2Ban's programs speak text: a byte that is none becomes U+FFFD.
fn texts(arguments: Vec<OsString>) -> Vec<String> {
    arguments.into_iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_part_of_the_path_is_the_name() {
        for (called, name) in [
            ("fail2ban-client", Name::Client),
            ("/usr/bin/fail2ban-server", Name::Server),
            ("./fail2ban-regex", Name::Regex),
            ("/usr/local/bin/setup", Name::Setup),
            ("/usr/local/bin/stockade", Name::Stockade),
            ("fail2ban-python", Name::Stockade),
            ("", Name::Stockade),
        ] {
            assert_eq!(Name::of(OsStr::new(called)), name, "{called}");
        }
    }
}
