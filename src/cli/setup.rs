//! `setup fail2ban …`, as docker-mailserver's users type it, for containers that have no `setup` of their own; also
//! `stockade setup fail2ban …`.
//!
//! Scripts read these lines, so that they are docker-mailserver's. Unlike there a ban that is not in force is no ban.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::Args;
use jiff::Zoned;

use super::client::{self, Place, Session, options::Options};
use super::{Exit, Global, settings};
use crate::control::ControlError;
use crate::python::{Raised, Value};

/// The arguments of `stockade setup`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stockade setup fail2ban                   who is banned where
  stockade setup fail2ban ban 192.0.2.7     shut somebody out, in the jail `custom`
  stockade setup fail2ban unban 192.0.2.7   and let them in again, everywhere
  stockade setup fail2ban status            every jail
  stockade setup fail2ban log               the log")]
pub struct SetupArgs {
    /// `fail2ban`, then ban, unban, status, log or help
    #[arg(value_name = "WORDS", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

const USAGE: &str = "\
Usage: ./setup.sh fail2ban [<ban|unban> <IP>]
       ./setup.sh fail2ban log
       ./setup.sh fail2ban status
";

/// The jail for bans by hand.
const CUSTOM: &str = "custom";

/// `setup`, without its name.
pub(super) fn main(words: &[String]) -> Exit {
    let options = match client::asked(words, USAGE) {
        Ok(options) => Options { verbosity: -1, ..options },
        Err(exit) => return exit,
    };
    match Place::of(&options) {
        Ok(place) => told(&options.words.clone(), Session::new(options, place)),
        Err(_) => Exit::NotDone,
    }
}

/// `stockade setup`: of the daemon of `--etc` or `--socket`, or else of Fail2Ban's socket where somebody serves it.
pub(super) fn run(global: &Global, args: &SetupArgs) -> Exit {
    let options = Options { folder: global.etc.clone(), ..Options::default() };
    let theirs = Path::new("/var/run/fail2ban/fail2ban.sock");
    let ours = settings::socket(global);
    let named = global.socket.is_some() || global.etc != Path::new(super::ETC);
    let socket = if !named && !ours.exists() && theirs.exists() { theirs.to_owned() } else { ours };
    told(&args.words, Session::new(options, Place { socket, pid_file: "".into() }))
}

/// Does what the words say; what cannot be done is said.
fn told(words: &[String], session: Session) -> Exit {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let desk = Desk { session };
    let done = match &words[..] {
        ["fail2ban", "help"] | [] | ["help"] => {
            client::print(USAGE);
            return Exit::Done;
        }
        ["fail2ban", rest @ ..] => desk.serve(rest),
        [other, ..] => unknown(other),
    };
    match done {
        Ok(true) => Exit::Done,
        Ok(false) => Exit::NotDone,
        Err(Unserved(why)) => {
            error(&why);
            error("Aborting");
            Exit::NotDone
        }
    }
}

/// Why the server cannot be asked.
struct Unserved(String);

fn unknown(word: &str) -> Result<bool, Unserved> {
    client::print(USAGE);
    Err(Unserved(format!("Unknown command '{word}'")))
}

/// Who asks the server.
struct Desk {
    session: Session,
}

impl Desk {
    fn serve(&self, words: &[&str]) -> Result<bool, Unserved> {
        self.ask(&["ping"])?.map_err(|raised| Unserved(client::reason(&raised)))?;
        match words {
            [] => self.banned(),
            ["ban"] => {
                warning("You need to specify an IP address: Run './setup.sh fail2ban ban <IP>'");
                Ok(true)
            }
            ["ban", ids @ ..] => self.ban(ids),
            ["unban"] => {
                warning(
                    "You need to specify an IP address: Run './setup.sh fail2ban' to get a list of banned IP addresses",
                );
                Ok(true)
            }
            ["unban", ids @ ..] => self.unban(ids),
            ["status"] => self.status(),
            ["log"] => self.log(),
            [other, ..] => unknown(other),
        }
    }

    fn ask(&self, words: &[&str]) -> Result<Result<Value, Raised>, Unserved> {
        let words: Vec<Value> = words.iter().map(|word| Value::from(*word)).collect();
        self.session.ask(&words, None).map_err(|error| {
            Unserved(match error {
                ControlError::NotRunning(_) => "Fail2ban not running".to_owned(),
                other => other.to_string(),
            })
        })
    }

    /// The jails, as the server lists them.
    fn jails(&self) -> Result<Vec<String>, Unserved> {
        let status = self.ask(&["status"])?.map_err(|raised| Unserved(client::reason(&raised)))?;
        let list = status.entry("Jail list").map(Value::print).unwrap_or_default();
        Ok(list.split(", ").filter(|name| !name.is_empty()).map(str::to_owned).collect())
    }

    /// Who is banned, a line for each jail that bans anybody.
    fn banned(&self) -> Result<bool, Unserved> {
        let mut any = false;
        for jail in self.jails()? {
            let Ok(status) = self.ask(&["status", &jail])? else { continue }; // it went meanwhile
            let ids = match status.entry("Actions").and_then(|actions| actions.entry("Banned IP list")) {
                Some(Value::List(ids)) => ids.iter().map(Value::print).collect::<Vec<_>>().join(" "),
                Some(other) => other.print(),
                None => String::new(),
            };
            if !ids.is_empty() {
                any = true;
                client::print(&format!("Banned in {jail}: {ids}\n"));
            }
        }
        if !any {
            said("\x1b[0;34mINFO ", "No IPs have been banned");
        }
        Ok(true)
    }

    fn ban(&self, ids: &[&str]) -> Result<bool, Unserved> {
        let words = [&["set", CUSTOM, "banip"], ids].concat();
        let ids = ids.join(" ");
        match self.ask(&words)? {
            Ok(count) if count != Value::from(0) => {
                client::print(&format!("Banned {CUSTOM} IP: {}\n", count.print()));
                Ok(true)
            }
            Ok(_) => {
                error(&format!("Banning '{ids}' failed. Already banned?"));
                Ok(true)
            }
            Err(raised) => {
                error(&format!("Banning '{ids}' failed: {}", client::reason(&raised)));
                Ok(true)
            }
        }
    }

    fn unban(&self, ids: &[&str]) -> Result<bool, Unserved> {
        let mut right = true;
        for jail in self.jails()? {
            match self.ask(&[&["set", &*jail, "unbanip"], ids].concat())? {
                Ok(count) => client::print(&format!("Unbanned IP from {jail}: {}\n", count.print())),
                Err(raised) => {
                    right = false;
                    error(&format!("Unbanning in {jail} failed: {}", client::reason(&raised)));
                }
            }
        }
        Ok(right)
    }

    fn status(&self) -> Result<bool, Unserved> {
        let mut right = true;
        for jail in self.jails()? {
            let words = ["status".to_owned(), jail.clone()];
            let answer = self.ask(&["status", &jail])?;
            right &= self.session.show(&words, &answer) == Exit::Done;
            client::print("\n");
        }
        Ok(right)
    }

    /// The log, from where the server says it writes it.
    fn log(&self) -> Result<bool, Unserved> {
        let target =
            self.ask(&["get", "logtarget"])?.map_or_else(|raised| client::reason(&raised), |at| at.print());
        match fs::File::open(&target) {
            Ok(mut file) => {
                _ = io::copy(&mut file, &mut io::stdout()); // whoever closed the pipe has seen enough
                Ok(true)
            }
            Err(why) => {
                error(&format!("The log goes to {target}, which cannot be read: {why}"));
                Ok(false)
            }
        }
    }
}

fn warning(text: &str) {
    said("\x1b[1;33mWARN ", text);
}

fn error(text: &str) {
    said("\x1b[1;31mERROR", text);
}

/// `2026-11-22 13:09:44+00:00 ERROR fail2ban: …`, the level in its colour.
fn said(level: &str, text: &str) {
    let time = Zoned::now().strftime("%Y-%m-%d %H:%M:%S%:z").to_string();
    _ = writeln!(io::stderr().lock(), "{time} {level}\x1b[0m fail2ban: {text}"); // nobody to tell
}
