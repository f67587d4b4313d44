//! The systemd journal: what is read of it equals what `journalctl` shows, entry for entry; and an operator's story.
//!
//! Journals are written by Debian's `systemd-journal-remote` and shown by `journalctl`; without them these tests say
//! aloud that they are skipped.

mod merged;
mod story;
mod tried;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::lab::skip;

const WRITER: &str = "/lib/systemd/systemd-journal-remote";

/// Whether journals can be written here; says so if not.
fn can_write() -> bool {
    let there = Path::new(WRITER).exists();
    if !there {
        skip(&format!("{WRITER} is not there (apt-get install systemd-journal-remote)"));
    }
    there
}

/// An entry in the export format.
#[derive(Debug, Clone)]
struct Entry(String);

impl Entry {
    /// Of a boot, written so many µs after the epoch.
    fn new(boot: u128, micros: i64, fields: &[(&str, &str)]) -> Self {
        let mut text =
            format!("__REALTIME_TIMESTAMP={micros}\n__MONOTONIC_TIMESTAMP={}\n", micros % 1_000_000_000_000);
        let _ = writeln!(text, "_BOOT_ID={boot:032x}");
        for (name, value) in fields {
            if value.contains('\n') {
                // A length of eight bytes, all of them ASCII as long as it is short.
                let length = u8::try_from(value.len()).unwrap();
                assert!(length < 128);
                let _ = write!(text, "{name}\n{}\0\0\0\0\0\0\0{value}\n", char::from(length));
            } else {
                let _ = writeln!(text, "{name}={value}");
            }
        }
        Self(text + "\n")
    }
}

/// Appends entries to a journal file, which need not be there; `options` are of the environment.
fn write(file: &Path, entries: &[Entry], options: &[(&str, &str)]) {
    let mut command = Command::new(WRITER);
    command.arg("-o").arg(file).arg("-").envs(options.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let text: String = entries.iter().map(|entry| &*entry.0).collect();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
