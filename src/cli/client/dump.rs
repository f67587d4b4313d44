//! `-d` and `-t`: the command stream of a tree, and whether the tree is right.

use std::io::Write;
use std::path::Path;

use super::log;
use super::options::Options;
use crate::cli::{Exit, json};
use crate::fail2ban::{self, Request};
use crate::python;

impl Options {
    /// What is asked of a tree.
    pub(in crate::cli) fn request(&self) -> Request {
        Request {
            test: self.test,
            dump: self.dump || !self.test,
            overrides: self.overrides.clone(),
            only: None,
        }
    }
}

/// Prints what is asked of a tree, as texts or as JSON.
pub(in crate::cli) fn run(
    folder: &Path,
    request: &Request,
    as_json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let dump = fail2ban::dump(folder, request);
    for command in dump.stream.iter().flatten().filter(|_| request.dump) {
        if as_json {
            json::write(out, command)?;
        } else {
            writeln!(out, "{}", python::command(command))?;
        }
    }
    if let Some(text) = &dump.printed {
        writeln!(out, "{text}")?;
    }
    out.flush()?;
    dump.said.iter().for_each(log::said);
    Ok(if dump.right { Exit::Done } else { Exit::Fail2Ban })
}
