//! Where lines end up. One `write` for what was gathered; what cannot be written is counted, said later, and kills
//! nobody.

use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::limit::{Limiter, Repeats};
use super::line::{self, Record, Speaker, Stamp};
use super::{Level, LogError, LogFormat, Target};
use crate::time::UnixTime;

/// Where the journal listens.
const JOURNAL: &str = "/run/systemd/journal/socket";

/// So many bytes are gathered at most.
const GATHERED: usize = 64 * 1024;

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

    /// Writes whole lines; tells, if it fails, how much was written.
    fn put(&mut self, lines: &[u8]) -> Result<(), (io::Error, usize)> {
        let file = match self {
            Self::Journal(socket) => {
                return socket.send_to(lines, JOURNAL).map(drop).map_err(|error| (error, 0));
            }
            Self::Stream(file) => file,
        };
        let mut written = 0;
        while written < lines.len() {
            match file.write(&lines[written..]) {
                Ok(0) => return Err((io::ErrorKind::WriteZero.into(), written)),
                Ok(more) => written += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err((error, written)),
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
    speaker: Speaker,
    limiter: Limiter,
    pid: u32,
    /// The moment of the last line.
    now: UnixTime,
    /// Lines that are not written yet; of the journal one at most.
    gathered: Vec<u8>,
    /// So many.
    count: u64,
    /// The last line was written in part: the next one must not be glued to it.
    torn: bool,
    /// Lines that could not be written, and why the last one could not.
    lost: Option<(u64, io::Error)>,
}

impl Sink {
    pub(super) fn new(target: Target, format: LogFormat, stamp: Stamp) -> Result<Self, LogError> {
        Ok(Self {
            output: open(&target)?,
            torn: is_torn(&target),
            target,
            format,
            stamp,
            speaker: Speaker::default(),
            limiter: Limiter::default(),
            pid: std::process::id(),
            now: UnixTime::from_micros(0),
            gathered: Vec::new(),
            count: 0,
            lost: None,
        })
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// The file that the lines go to as text.
    pub(super) fn text_file(&self) -> Option<PathBuf> {
        match (&self.target, self.format) {
            (Target::File(path), LogFormat::Text) => Some(path.clone()),
            _ => None,
        }
    }

    /// Opens `target` and writes there from now on.
    pub(super) fn redirect(&mut self, target: Target) -> Result<(), LogError> {
        let output = open(&target)?;
        self.put_gathered();
        self.output = output;
        self.torn = is_torn(&target);
        self.target = target;
        Ok(())
    }

    /// Writes a record, unless it was said too often; before it, what was held back until now. Unless `at_once`, it
    /// may wait for more, until [`Sink::put_gathered`].
    pub(super) fn write(&mut self, now: UnixTime, record: &Record<'_>, at_once: bool) {
        while let Some(repeats) = self.limiter.due(now) {
            self.tell(now, &repeats);
        }
        if always(record) || self.limiter.may(now, record.level, &record.logger, &record.sentence()) {
            self.add(now, record);
        }
        if at_once || self.gathered.len() >= GATHERED {
            self.put_gathered();
        }
    }

    /// Writes what was held back.
    pub(super) fn flush(&mut self, now: UnixTime) {
        while let Some(repeats) = self.limiter.rest() {
            self.tell(now, &repeats);
        }
        self.put_gathered();
    }

    fn tell(&mut self, now: UnixTime, repeats: &Repeats) {
        let times = match repeats.times {
            1 => "once more".to_owned(),
            times => format!("{times} more times"),
        };
        let message = format!("{} … ({times} in 1m)", repeats.sentence);
        self.add(now, &plain(repeats.level, &repeats.logger, message));
    }

    fn add(&mut self, now: UnixTime, record: &Record<'_>) {
        self.now = now;
        if self.torn && self.gathered.is_empty() {
            self.gathered.push(b'\n');
        }
        match (&self.output, self.format) {
            (Output::Journal(_), _) => {
                line::journal(&mut self.gathered, record);
                self.count = 1;
                return self.put_gathered();
            }
            (_, LogFormat::Text) => {
                let heading = (&mut self.stamp, &mut self.speaker);
                line::text(&mut self.gathered, now, heading, self.pid, record);
            }
            (_, LogFormat::Json) => {
                line::json(&mut self.gathered, now, &mut self.stamp, self.pid, record);
            }
        }
        self.count += 1;
    }

    /// Writes what was gathered, and then, if lines were lost before, how many.
    pub(super) fn put_gathered(&mut self) {
        if self.count == 0 {
            return;
        }
        let lines = std::mem::take(&mut self.count);
        let done = self.output.put(&self.gathered);
        if let Err((error, written)) = done {
            let ends = memchr::memchr_iter(b'\n', &self.gathered[..written]).count() as u64;
            let whole = ends.saturating_sub(u64::from(self.torn));
            let before = self.lost.as_ref().map_or(0, |(lost, _)| *lost);
            self.torn = if written == 0 { self.torn } else { self.gathered[written - 1] != b'\n' };
            self.lost = Some((before + lines - whole, error));
            return self.gathered.clear();
        }
        self.torn = false;
        self.gathered.clear();
        self.gathered.shrink_to(GATHERED + GATHERED / 4);
        if let Some((lost, error)) = self.lost.take() {
            let lines = if lost == 1 { "1 line".to_owned() } else { format!("{lost} lines") };
            let message = format!("{lines} could not be written to the log: {error}");
            self.add(self.now, &plain(Level::Warning, "fail2ban.server", message));
            self.put_gathered();
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

/// Whether a kill cut off the last line of a file.
fn is_torn(target: &Target) -> bool {
    let Target::File(path) = target else { return false };
    let mut last = [b'\n'];
    let read = File::open(path).and_then(|file| {
        let size = file.metadata().map(|file| if file.is_file() { file.len() } else { 0 })?;
        if size > 0 { file.read_exact_at(&mut last, size - 1) } else { Ok(()) }
    });
    read.is_ok() && last != [b'\n']
}

fn open(target: &Target) -> Result<Output, LogError> {
    Output::open(target).map_err(|source| LogError::Open { target: target.clone(), source })
}
