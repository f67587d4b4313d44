//! Where lines end up. One `write` a line; what cannot be written is counted, said later, and kills nobody.

use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use super::limit::{Limiter, Repeats};
use super::line::{self, Record, Stamp};
use super::{Level, LogError, LogFormat, Target};
use crate::time::UnixTime;

/// Where the journal listens.
const JOURNAL: &str = "/run/systemd/journal/socket";

/// A journal that does not read holds us up no longer than this.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug)]
enum Output {
    /// A file or a standard stream.
    Stream(File),
    /// A socket that is not connected: the journal may be started anew.
    Journal(UnixDatagram),
}

impl Output {
    fn open(target: &Target) -> io::Result<Self> {
        Ok(match target {
            // Descriptors of our own: std's would hold their lines back and lock.
            Target::Stdout => Self::Stream(io::stdout().as_fd().try_clone_to_owned()?.into()),
            Target::Stderr => Self::Stream(io::stderr().as_fd().try_clone_to_owned()?.into()),
            Target::File(path) => {
                Self::Stream(OpenOptions::new().append(true).create(true).mode(0o640).open(path)?)
            }
            Target::Journal => {
                if !Path::new(JOURNAL).exists() {
                    return Err(io::Error::new(io::ErrorKind::NotFound, "no journal is running"));
                }
                let socket = UnixDatagram::unbound()?;
                socket.set_write_timeout(Some(PATIENCE))?;
                Self::Journal(socket)
            }
        })
    }

    /// Writes a whole line; tells, if it fails, whether a part of it was written.
    fn put(&mut self, line: &[u8]) -> Result<(), (io::Error, bool)> {
        let file = match self {
            Self::Journal(socket) => {
                return socket.send_to(line, JOURNAL).map(drop).map_err(|error| (error, false));
            }
            Self::Stream(file) => file,
        };
        let mut rest = line;
        while !rest.is_empty() {
            match file.write(rest) {
                Ok(0) => return Err((io::ErrorKind::WriteZero.into(), rest.len() < line.len())),
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err((error, rest.len() < line.len())),
            }
        }
        Ok(())
    }
}

/// The target, and what it takes to write a record to it.
#[derive(Debug)]
pub(super) struct Sink {
    target: Target,
    output: Output,
    format: LogFormat,
    stamp: Stamp,
    limiter: Limiter,
    pid: u32,
    line: Vec<u8>,
    /// The last line was written in part: the next one must not be glued to it.
    torn: bool,
    /// Lines that could not be written, and why the last one could not.
    lost: Option<(u64, io::Error)>,
}

impl Sink {
    pub(super) fn new(target: Target, format: LogFormat, stamp: Stamp) -> Result<Self, LogError> {
        Ok(Self {
            output: open(&target)?,
            target,
            format,
            stamp,
            limiter: Limiter::default(),
            pid: std::process::id(),
            line: Vec::new(),
            torn: false,
            lost: None,
        })
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// Opens `target` and writes there from now on.
    pub(super) fn redirect(&mut self, target: Target) -> Result<(), LogError> {
        self.output = open(&target)?;
        self.target = target;
        self.torn = false;
        Ok(())
    }

    /// Writes a record, unless it was said too often; before it, what was held back until now.
    pub(super) fn write(&mut self, now: UnixTime, record: &Record<'_>) {
        while let Some(repeats) = self.limiter.due(now) {
            self.tell(now, &repeats);
        }
        if always(record) || self.limiter.may(now, record.level, &record.logger, &record.sentence()) {
            self.put(now, record);
        }
    }

    /// Writes what was held back.
    pub(super) fn flush(&mut self, now: UnixTime) {
        while let Some(repeats) = self.limiter.rest() {
            self.tell(now, &repeats);
        }
    }

    fn tell(&mut self, now: UnixTime, repeats: &Repeats) {
        let times = match repeats.times {
            1 => "once more".to_owned(),
            times => format!("{times} more times"),
        };
        let message = format!("{} … ({times} in 1m)", repeats.sentence);
        self.put(now, &plain(repeats.level, &repeats.logger, message));
    }

    fn put(&mut self, now: UnixTime, record: &Record<'_>) {
        if self.put_line(now, record)
            && let Some((lost, error)) = self.lost.take()
        {
            let lines = if lost == 1 { "1 line".to_owned() } else { format!("{lost} lines") };
            let message = format!("{lines} could not be written to the log: {error}");
            self.put_line(now, &plain(Level::Warning, "fail2ban.server", message));
        }
    }

    /// Whether it could be written.
    fn put_line(&mut self, now: UnixTime, record: &Record<'_>) -> bool {
        self.line.clear();
        if self.torn {
            self.line.push(b'\n');
        }
        match (&self.output, self.format) {
            (Output::Journal(_), _) => line::journal(&mut self.line, record),
            (_, LogFormat::Text) => line::text(&mut self.line, now, &mut self.stamp, self.pid, record),
            (_, LogFormat::Json) => line::json(&mut self.line, now, &mut self.stamp, self.pid, record),
        }
        match self.output.put(&self.line) {
            Ok(()) => {
                self.torn = false;
                true
            }
            Err((error, torn)) => {
                self.torn |= torn;
                let before = self.lost.as_ref().map_or(0, |(lost, _)| *lost);
                self.lost = Some((before + 1, error));
                false
            }
        }
    }
}

/// What dashboards and the recidive jail count must all be there: failures, bans and pardons.
fn always(record: &Record<'_>) -> bool {
    matches!(record.level, Level::Info | Level::Notice)
        && matches!(&*record.logger, "fail2ban.filter" | "fail2ban.actions")
}

fn plain(level: Level, logger: &str, message: String) -> Record<'_> {
    Record { level, logger: Cow::Borrowed(logger), jail: None, message, fields: Vec::new() }
}

fn open(target: &Target) -> Result<Output, LogError> {
    Output::open(target).map_err(|source| LogError::Open { target: target.clone(), source })
}
