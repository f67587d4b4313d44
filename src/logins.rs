//! Who is logged in from another host, as logind and `utmp` tell.
//!
//! Edge: a few small files are read, nobody is asked. What they mean is decided by `session` and `utmp`, pure; what is
//! in them counts as hostile. A host is a literal address: names are never looked up. A mere connection is no login:
//! every attacker has one.

#[cfg(feature = "faults")]
pub mod fuzz;
mod process;
mod session;
mod utmp;

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

use crate::ignore::Login;
use crate::time::UnixTime;

/// Where it is told, unless it is said: logind's folder of sessions, and files of `utmp`.
pub const PLACES: [&str; 3] = ["/run/systemd/sessions", "/run/utmp", "/var/run/utmp"];

/// Sessions that are looked at.
const SESSIONS: usize = 4096;
/// Bytes of a session's file; a real one has some 500.
const SESSION_BYTES: u64 = 16 * 1024;
/// Bytes of `utmp` that are looked at: some ten thousand records.
const UTMP_BYTES: u64 = 4 << 20;
/// Logins that are told.
const LOGINS: usize = 1000;

/// How a place looked: none when it is not there.
type Look = Option<(u64, u64, i64, i64)>;

/// How the places looked at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Looks(Vec<Look>);

impl Looks {
    /// Looks at the places themselves, not into them: logind replaces a session's file whenever it changes.
    pub fn at(places: &[PathBuf]) -> Self {
        let look = |meta: Metadata| (meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec());
        Self(places.iter().map(|place| fs::metadata(place).ok().map(look)).collect())
    }

    /// When one of them was changed last.
    pub fn newest(&self) -> Option<UnixTime> {
        let micros =
            |(_, _, secs, nanos): &(u64, u64, i64, i64)| secs.saturating_mul(1_000_000) + nanos / 1000;
        self.0.iter().flatten().map(micros).max().map(UnixTime::from_micros)
    }
}

/// Reads who is logged in. A folder has logind's sessions, a file `utmp`; what is not there, or makes no sense, tells of
/// nobody. `proc` is where processes are seen.
pub fn read(places: &[PathBuf], proc: &Path) -> Vec<Login> {
    let mut logins = Vec::new();
    for place in places {
        match fs::metadata(place) {
            Ok(meta) if meta.is_dir() => read_sessions(place, &mut logins),
            Ok(meta) if meta.is_file() => read_utmp(place, proc, &mut logins),
            _ => {}
        }
    }
    // The sort is stable: of a host's logins logind's are told, which know more.
    logins.sort_by(|a, b| (a.host, &a.user).cmp(&(b.host, &b.user)));
    logins.dedup();
    logins.truncate(LOGINS);
    logins
}

fn read_sessions(folder: &Path, logins: &mut Vec<Login>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten().take(SESSIONS) {
        let name = entry.file_name();
        // `5.ref` is a pipe that belongs to session 5.
        let Some(name) = name.to_str().filter(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        else {
            continue;
        };
        if let Ok(text) = read_file(&entry.path(), SESSION_BYTES) {
            logins.extend(session::read(name, &text));
        }
    }
}

fn read_utmp(file: &Path, proc: &Path, logins: &mut Vec<Login>) {
    let Ok(bytes) = read_file(file, UTMP_BYTES) else { return };
    let processes = process::Processes::of(proc);
    let holds = |entry: &utmp::Entry| processes.bear_out(entry);
    logins.extend(utmp::read(&bytes).filter(holds).map(|entry| entry.login()));
}

/// The beginning of a plain file; what is none, such as a pipe, is not waited for.
fn read_file(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// An address as it is written by itself; a scope (`fe80::1%eth0`) is none of it.
fn literal(text: &str) -> Option<IpAddr> {
    let address = text.split_once('%').map_or(text, |(address, _)| address);
    address.parse().ok().filter(|address: &IpAddr| !address.is_unspecified())
}

/// A word for log and screen: what does not belong into a name becomes `?`.
fn word(text: &str) -> Arc<str> {
    let fits = |char: char| char.is_ascii_alphanumeric() || "-_.$@/:".contains(char);
    text.chars().take(64).map(|char| if fits(char) { char } else { '?' }).collect::<String>().into()
}

#[cfg(test)]
mod tests;
