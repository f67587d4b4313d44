//! The options of `fail2ban-client` and `fail2ban-server`: words → what is asked.
//!
//! Pure. Options end at the first word that is none; a long one may be cut as long as it stays unique.

use std::path::PathBuf;
use std::time::Duration;

use crate::fail2ban::Overrides;
use crate::sentence::expression;

/// Where a tree is looked for.
pub(super) const FOLDER: &str = "/etc/fail2ban";

/// What a command line asks.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::cli) enum Asked {
    /// The usage.
    Help,
    /// The version, with or without the name before it.
    Version {
        /// Only the number.
        bare: bool,
    },
    /// A time as a number of seconds.
    Seconds(String),
    /// That the time of `--timeout` is none; why.
    BadTime(String),
    /// It is not understood.
    Wrong,
    /// The words behind the options.
    Run(Box<Options>),
}

/// What was said before the words.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(clippy::struct_excessive_bools)] // a command line is made of them
pub(in crate::cli) struct Options {
    /// The folder of the tree.
    pub(in crate::cli) folder: PathBuf,
    /// Options of `fail2ban.conf` that the command line knows better.
    pub(in crate::cli) overrides: Overrides,
    /// What the server's process is called.
    pub(in crate::cli) process_name: Option<String>,
    /// Print the commands for the server.
    pub(in crate::cli) dump: bool,
    /// Only whether the tree is right.
    pub(in crate::cli) test: bool,
    /// Read commands from standard input.
    pub(in crate::cli) interactive: bool,
    /// How much is told: positive more, negative less.
    pub(in crate::cli) verbosity: i32,
    /// Take a socket away that nobody serves.
    pub(in crate::cli) force: bool,
    /// `-f` or `-b`; none: neither was said.
    pub(in crate::cli) foreground: Option<bool>,
    /// Serve a socket and wait for the jails.
    pub(in crate::cli) detached: bool,
    /// How long a server is waited for.
    pub(in crate::cli) timeout: Option<Duration>,
    /// The command.
    pub(in crate::cli) words: Vec<String>,
}

/// An option as it is declared: its letter, its long name, whether it takes a value.
type Known = (Option<char>, &'static str, bool);

const KNOWN: &[Known] = &[
    (Some('c'), "conf", true),
    (Some('s'), "socket", true),
    (Some('p'), "pidfile", true),
    (None, "pname", true),
    (None, "loglevel", true),
    (None, "logtarget", true),
    (None, "syslogsocket", true),
    (Some('d'), "", false),
    (None, "dp", false),
    (None, "dump-pretty", false),
    (Some('t'), "test", false),
    (Some('i'), "", false),
    (Some('v'), "", false),
    (Some('q'), "", false),
    (Some('x'), "", false),
    (Some('b'), "", false),
    (Some('f'), "", false),
    (None, "async", false),
    (None, "timeout", true),
    (None, "str2sec", true),
    (Some('h'), "help", false),
    (Some('V'), "version", false),
];

/// An option that was given: as it is known, whether by its long name, its value.
struct Given<'w> {
    known: &'static Known,
    long: bool,
    value: &'w str,
}

/// Reads a command line without the program's name.
pub(in crate::cli) fn parse(words: &[String]) -> Asked {
    let Some((given, rest)) = split(words) else { return Asked::Wrong };
    let mut options = Options { folder: FOLDER.into(), words: rest.to_vec(), ..Options::default() };
    for Given { known: (letter, long, _), long: spelled, value } in given {
        match (letter, *long) {
            (Some('h'), _) => return Asked::Help,
            (Some('V'), _) => return Asked::Version { bare: !spelled },
            (_, "str2sec") => return Asked::Seconds(value.to_owned()),
            (_, "timeout") => match expression::seconds(value) {
                Ok(seconds) => {
                    options.timeout = Some(Duration::try_from_secs_f64(seconds.float()).unwrap_or_default());
                }
                Err(_) => return Asked::BadTime(value.to_owned()),
            },
            (Some('c'), _) => options.folder = value.into(),
            (_, "pname") => options.process_name = Some(value.to_owned()),
            (_, key @ ("socket" | "pidfile" | "loglevel" | "logtarget" | "syslogsocket")) => {
                options.overrides.retain(|(known, _)| known != key);
                options.overrides.push((key.to_owned(), value.to_owned()));
            }
            (_, "async") => options.detached = true,
            (_, "dp" | "dump-pretty") | (Some('d'), _) => options.dump = true,
            (Some('t'), _) => options.test = true,
            (Some('i'), _) => options.interactive = true,
            (Some('v'), _) => options.verbosity += 1,
            (Some('q'), _) => options.verbosity -= 1,
            (Some('x'), _) => options.force = true,
            (Some('b'), _) => options.foreground = Some(false),
            (Some('f'), _) => options.foreground = Some(true),
            _ => {}
        }
    }
    Asked::Run(Box::new(options))
}

impl Options {
    /// An option of `fail2ban.conf`, if the command line says it.
    pub(super) fn given(&self, key: &str) -> Option<&str> {
        self.overrides.iter().find(|(known, _)| known == key).map(|(_, value)| &**value)
    }
}

/// The options, and the words behind them; none: an option is unknown, or its value is missing or too much.
fn split(words: &[String]) -> Option<(Vec<Given<'_>>, &[String])> {
    let mut given = Vec::new();
    let mut rest = words;
    while let Some((word, behind)) = rest.split_first() {
        if word == "--" {
            return Some((given, behind));
        }
        if let Some(word) = word.strip_prefix("--") {
            let (name, mut value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (word, None),
            };
            let known = long(name)?;
            rest = behind;
            if known.2 && value.is_none() {
                let (next, behind) = rest.split_first()?;
                (value, rest) = (Some(next.as_str()), behind);
            }
            if !known.2 && value.is_some() {
                return None;
            }
            given.push(Given { known, long: true, value: value.unwrap_or_default() });
        } else if let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) {
            rest = letters_of(letters, behind, &mut given)?;
        } else {
            break;
        }
    }
    Some((given, rest))
}

/// Reads letters that share a dash; what is left of the words behind them.
fn letters_of<'w>(
    letters: &'w str,
    mut rest: &'w [String],
    given: &mut Vec<Given<'w>>,
) -> Option<&'w [String]> {
    for (at, letter) in letters.char_indices() {
        let known = KNOWN.iter().find(|known| known.0 == Some(letter))?;
        if !known.2 {
            given.push(Given { known, long: false, value: "" });
            continue;
        }
        let mut value = &letters[at + letter.len_utf8()..];
        if value.is_empty() {
            (value, rest) = rest.split_first().map(|(next, behind)| (next.as_str(), behind))?;
        }
        given.push(Given { known, long: false, value });
        break;
    }
    Some(rest)
}

/// A long option by its name or the beginning of it.
fn long(name: &str) -> Option<&'static Known> {
    let mut named = KNOWN.iter().filter(|known| !known.1.is_empty() && known.1.starts_with(name));
    match KNOWN.iter().find(|known| !known.1.is_empty() && known.1 == name) {
        Some(known) => Some(known),
        None => named.next().filter(|_| named.next().is_none()),
    }
}

#[cfg(test)]
mod tests;
