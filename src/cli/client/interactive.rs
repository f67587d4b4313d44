//! `-i`: commands line by line.

use std::io::{self, BufRead as _, IsTerminal as _};

use super::{Session, log, usage};
use crate::cli::Exit;
use crate::source::journal::words::split;

const PROMPT: &str = "fail2ban> ";

/// Does what was typed behind the options, then what standard input says, up to its end or `quit`.
pub(super) fn run(session: &Session) -> Exit {
    let first = session.command(&session.options.words);
    if first != Exit::Done {
        return first;
    }
    if io::stdin().is_terminal() {
        super::print("Commands as behind fail2ban-client; `help` lists them, `quit` ends.\n");
    }
    let mut lines = io::stdin().lock().lines();
    loop {
        super::print(PROMPT);
        let Some(Ok(line)) = lines.next() else {
            super::print("\n");
            return Exit::Done;
        };
        let Some(words) = split(&line) else {
            log::error("a quote is not closed");
            continue;
        };
        match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [] => {}
            ["exit" | "quit"] => return Exit::Done,
            ["help"] => super::print(usage::CLIENT),
            _ => _ = session.command(&words), // it said what went wrong
        }
    }
}
