//! Runs one of the system's programs for a firewall, without a shell and with a limit.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::time::Duration;

use rustix::fs::{MemfdFlags, memfd_create};

use crate::action::grant::Grant;
use crate::action::process::End;
use crate::broker::{Program, Streams};

/// A program that takes longer is killed: a large restore takes some, a lock that nobody lets go for ever.
const LIMIT: Duration = Duration::from_secs(60);
/// More of what it says is not read, in bytes.
const MOST: u64 = 64 << 20;

/// How a program ended.
#[derive(Debug)]
pub(super) struct Answer {
    /// Whether it ended with 0.
    pub(super) is_success: bool,
    /// What it printed.
    pub(super) printed: String,
    /// What it said on standard error.
    pub(super) said: String,
}

/// Runs a program with `input` on its standard input.
///
/// # Errors
/// It is not there ([`io::ErrorKind::NotFound`]), cannot be run, or took too long.
pub(super) fn run(program: &str, words: &[&str], input: &str) -> io::Result<Answer> {
    let mut stdin = scratch()?;
    stdin.write_all(input.as_bytes())?;
    stdin.rewind()?;
    let (stdout, stderr) = (scratch()?, scratch()?);
    let streams = Streams {
        stdin: Some(stdin.into()),
        stdout: Some(stdout.try_clone()?.into()),
        stderr: Some(stderr.try_clone()?.into()),
    };
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let asked = Program { program, words: &words, grant: Grant::FIREWALL, limit: Some(LIMIT) };
    match asked.start(streams)?.wait(Some(LIMIT))? {
        End::TimeOver(_) => {
            let what =
                format!("`{program}` was stopped, for it took longer than {} seconds", LIMIT.as_secs());
            Err(io::Error::new(io::ErrorKind::TimedOut, what))
        }
        end => Ok(Answer { is_success: end.is_success(), printed: text(stdout)?, said: text(stderr)? }),
    }
}

/// A file without a name: neither side of a pipe ever waits for the other.
fn scratch() -> io::Result<File> {
    Ok(memfd_create("stockade", MemfdFlags::CLOEXEC)?.into())
}

fn text(mut file: File) -> io::Result<String> {
    file.rewind()?;
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
