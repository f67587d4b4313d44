//! Runs one of the system's programs for a firewall, without a shell and with a limit.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::process::{Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// A program that takes longer is killed, in seconds: a large restore takes some, a lock that nobody lets go for ever.
const LIMIT: i64 = 60;
/// More of what it says is not read, in bytes.
const MOST: u64 = 64 << 20;
/// Where programs of the administrator are, which the `PATH` of a service may lack.
const MORE_PATH: &str = "/usr/local/sbin:/usr/sbin:/sbin";

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
    let path = std::env::var("PATH").unwrap_or_default();
    let mut child = Command::new(program)
        .args(words)
        .env("PATH", format!("{path}:{MORE_PATH}"))
        .env("LC_ALL", "C")
        .stdin(Stdio::from(stdin))
        .stdout(Stdio::from(stdout.try_clone()?))
        .stderr(Stdio::from(stderr.try_clone()?))
        .spawn()?;
    let ended = ends_in_time(child.id());
    if !matches!(ended, Ok(true)) {
        let _ = child.kill();
    }
    let status = child.wait()?;
    if !ended? {
        let what = format!("`{program}` was stopped, for it took longer than {LIMIT} seconds");
        return Err(io::Error::new(io::ErrorKind::TimedOut, what));
    }
    Ok(Answer { is_success: status.success(), printed: text(stdout)?, said: text(stderr)? })
}

/// A file without a name: neither side of a pipe ever waits for the other.
fn scratch() -> io::Result<File> {
    Ok(memfd_create("stockade", MemfdFlags::CLOEXEC)?.into())
}

fn ends_in_time(id: u32) -> io::Result<bool> {
    let pid = Pid::from_raw(id.cast_signed()).ok_or(io::ErrorKind::InvalidInput)?;
    let handle = pidfd_open(pid, PidfdFlags::empty())?;
    let limit = Timespec { tv_sec: LIMIT, tv_nsec: 0 };
    loop {
        match poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&limit)) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn text(mut file: File) -> io::Result<String> {
    file.rewind()?;
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
