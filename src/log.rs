//! The program's own log: in Fail2Ban's line format and under its logger names, or as JSON, to a file, a standard
//! stream or the journal.
//!
//! Edge: [`Logs::init`] takes what `tracing` is told everywhere; the target of an event is the logger's name:
//! `tracing::info!(target: "fail2ban.filter", "[{jail}] Found {id}")`. Two levels that tracing does not have are
//! [`notice!`] and [`critical!`]. Nothing that is logged can begin a line of its own: see `log/line.rs`.

mod limit;
mod line;
mod output;
mod said;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber, dispatcher};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

pub use self::line::{Local, local};
use self::line::{Record, Stamp};
use self::output::Sink;
pub use self::said::Said;
use crate::time::UnixTime;
pub use crate::{critical, notice};

/// Logs at NOTICE: `notice!(target: "fail2ban.actions", "[{jail}] Ban {id}")`.
#[macro_export]
macro_rules! notice {
    (target: $target:expr, $($rest:tt)+) => {
        ::tracing::event!(target: $target, ::tracing::Level::INFO, stockade.notice = true, $($rest)+)
    };
}

/// Logs at CRITICAL: `critical!(target: "fail2ban.server", "…")`.
#[macro_export]
macro_rules! critical {
    (target: $target:expr, $($rest:tt)+) => {
        ::tracing::event!(target: $target, ::tracing::Level::ERROR, stockade.critical = true, $($rest)+)
    };
}

/// The fields by which the two macros mark their events.
const NOTICE: &str = "stockade.notice";
const CRITICAL: &str = "stockade.critical";

/// How bad or how detailed, worst first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// The program cannot go on.
    Critical,
    /// Something is not done.
    Error,
    /// Something is not as it should be.
    Warning,
    /// Bans and pardons.
    Notice,
    /// Failures, and what the program does.
    #[default]
    Info,
    /// How it decides.
    Debug,
    /// Everything, other libraries included.
    Trace,
}

const LEVELS: [(Level, &str); 7] = [
    (Level::Critical, "CRITICAL"),
    (Level::Error, "ERROR"),
    (Level::Warning, "WARNING"),
    (Level::Notice, "NOTICE"),
    (Level::Info, "INFO"),
    (Level::Debug, "DEBUG"),
    (Level::Trace, "TRACE"),
];

impl Level {
    /// Its name, in capitals.
    pub fn name(self) -> &'static str {
        LEVELS[self as usize].1
    }

    /// The level of an event: two of ours are told apart by a field.
    fn of(metadata: &Metadata<'_>) -> Self {
        let marked = |name| metadata.fields().field(name).is_some();
        match *metadata.level() {
            tracing::Level::ERROR if marked(CRITICAL) => Self::Critical,
            tracing::Level::ERROR => Self::Error,
            tracing::Level::WARN => Self::Warning,
            tracing::Level::INFO if marked(NOTICE) => Self::Notice,
            tracing::Level::INFO => Self::Info,
            tracing::Level::DEBUG => Self::Debug,
            tracing::Level::TRACE => Self::Trace,
        }
    }

    fn hint(self) -> LevelFilter {
        match self {
            Self::Critical | Self::Error => LevelFilter::ERROR,
            Self::Warning => LevelFilter::WARN,
            Self::Notice | Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
    }
}

impl FromStr for Level {
    type Err = LogError;

    /// In any case; Fail2Ban's two levels below DEBUG are TRACE.
    fn from_str(text: &str) -> Result<Self, LogError> {
        let upper = text.to_ascii_uppercase();
        if matches!(&*upper, "TRACEDEBUG" | "HEAVYDEBUG") {
            return Ok(Self::Trace);
        }
        let known = LEVELS.iter().find(|(_, name)| *name == upper);
        known.map(|(level, _)| *level).ok_or_else(|| LogError::Level(text.to_owned()))
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Where lines go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Target {
    /// Standard output.
    #[default]
    Stdout,
    /// Standard error.
    Stderr,
    /// systemd's journal.
    Journal,
    /// A file, appended to.
    File(PathBuf),
}

impl FromStr for Target {
    type Err = LogError;

    fn from_str(text: &str) -> Result<Self, LogError> {
        match &*text.to_ascii_uppercase() {
            "STDOUT" => Ok(Self::Stdout),
            "STDERR" => Ok(Self::Stderr),
            "JOURNAL" | "SYSTEMD-JOURNAL" => Ok(Self::Journal),
            _ if text.starts_with('/') => Ok(Self::File(text.into())),
            _ => Err(LogError::Target(text.to_owned())),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str("STDOUT"),
            Self::Stderr => f.write_str("STDERR"),
            Self::Journal => f.write_str("JOURNAL"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// How a log line is written; the journal has a format of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Fail2Ban's line format.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged, where, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// This level and all worse ones.
    pub level: Level,
    /// Where to.
    pub target: Target,
    /// How.
    pub format: LogFormat,
}

/// Why the log cannot be as wished.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// No such level.
    #[error("log_level: `{0}` is none of CRITICAL, ERROR, WARNING, NOTICE, INFO, DEBUG, TRACE")]
    Level(String),
    /// No such target.
    #[error("log_target: `{0}` is neither an absolute path nor STDOUT, STDERR or JOURNAL")]
    Target(String),
    /// The target cannot be opened.
    #[error("log_target: {target} cannot be opened: {source}")]
    Open {
        /// Which.
        target: Target,
        /// Why.
        source: std::io::Error,
    },
    /// The sandbox keeps the daemon from making it.
    #[error("log_target: {} is outside of the sandbox: restart the daemon to log there", .0.display())]
    Outside(std::path::PathBuf),
    /// There is a log already.
    #[error("the log is set up already")]
    Again,
}

impl LogError {
    /// Says so where it is the sandbox that refuses.
    fn by_the_sandbox(self) -> Self {
        match self {
            Self::Open { target: Target::File(path), source }
                if source.kind() == std::io::ErrorKind::PermissionDenied
                    && crate::sandbox::keeps_from_writing(&path) =>
            {
                Self::Outside(path)
            }
            other => other,
        }
    }
}

/// The running log: its level and target can be changed.
#[derive(Debug, Clone)]
pub struct Logs(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    level: AtomicU8,
    sink: Mutex<Sink>,
    clock: fn() -> UnixTime,
}

impl Logs {
    /// Opens the target and takes everything that is logged from now on, for the life of the program.
    ///
    /// # Errors
    /// The target cannot be opened, or there is a log already.
    pub fn init(options: LogOptions) -> Result<Self, LogError> {
        let logs = Self::new(options, clock, Stamp::default())?;
        let subscriber = tracing_subscriber::registry().with(logs.layer());
        tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::Again)?;
        Ok(logs)
    }

    fn new(options: LogOptions, clock: fn() -> UnixTime, stamp: Stamp) -> Result<Self, LogError> {
        let sink = Sink::new(options.target, options.format, stamp)?;
        Ok(Self(Arc::new(Shared {
            level: AtomicU8::new(options.level as u8),
            sink: Mutex::new(sink),
            clock,
        })))
    }

    fn layer(&self) -> LogLayer {
        LogLayer(Arc::clone(&self.0))
    }

    /// Shows `level` and all worse ones from now on.
    ///
    /// # Errors
    /// It is no level.
    pub fn set_level(&self, level: &str) -> Result<(), LogError> {
        let level: Level = level.parse()?;
        self.0.level.store(level as u8, Ordering::Relaxed);
        tracing::callsite::rebuild_interest_cache();
        Ok(())
    }

    /// Writes to `target` from now on.
    ///
    /// # Errors
    /// It is no target or cannot be opened; lines go where they went.
    pub fn set_target(&self, target: &str) -> Result<(), LogError> {
        self.0.sink().redirect(target.parse()?).map_err(LogError::by_the_sandbox)
    }

    /// Opens the file anew, after it was rotated away.
    ///
    /// # Errors
    /// It cannot be opened; lines go where they went.
    pub fn reopen(&self) -> Result<(), LogError> {
        let mut sink = self.0.sink();
        let target = sink.target().clone();
        sink.redirect(target)
    }

    /// What the log says of bans, by jail; nothing where it goes to no file, or not as text.
    pub fn said(&self) -> HashMap<Arc<str>, Said> {
        let path = self.0.sink().text_file();
        path.map(|path| said::read(&path, &TimeZone::system())).unwrap_or_default()
    }

    /// The level's name.
    pub fn level(&self) -> String {
        self.0.level().to_string()
    }

    /// The target as it is configured.
    pub fn target(&self) -> String {
        self.0.sink().target().to_string()
    }

    /// Tells what sentences were held back, without waiting for their minute to be over. For the end of the program.
    pub fn flush(&self) {
        self.0.sink().flush((self.0.clock)());
    }
}

impl Shared {
    fn level(&self) -> Level {
        LEVELS[usize::from(self.level.load(Ordering::Relaxed))].0
    }

    fn sink(&self) -> MutexGuard<'_, Sink> {
        // A panic between two lines leaves nothing half done.
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Other libraries speak up only from WARNING on, or when everything is wanted.
    fn shows(&self, metadata: &Metadata<'_>) -> bool {
        let (level, wanted) = (Level::of(metadata), self.level());
        let ours = metadata.target().starts_with("fail2ban.") || metadata.target().starts_with("stockade");
        level <= wanted && (ours || level <= Level::Warning || wanted == Level::Trace)
    }
}

/// The one clock that is read outside the actors: the moment of a log line, on which no verdict depends.
fn clock() -> UnixTime {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    UnixTime::from_micros(time.tv_sec.saturating_mul(1_000_000).saturating_add(time.tv_nsec / 1000))
}

/// Where `tracing` meets the sink. Whether an event is shown is decided once for its place in the code.
#[derive(Debug)]
struct LogLayer(Arc<Shared>);

impl<S: Subscriber> Layer<S> for LogLayer {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.0.shows(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.0.shows(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.level().hint())
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // Written out before the lock is taken: what is logged may itself want to log.
        let record = Record::of(event);
        let at_once = record.level <= Level::Warning || GATHERING.get() == 0;
        self.0.sink().write((self.0.clock)(), &record, at_once);
    }
}

thread_local! {
    /// How many [`Gathered`] live on this thread.
    static GATHERING: Cell<u32> = const { Cell::new(0) };
}

/// While it lives, what its thread logs is gathered and written together, at its end at the latest, also when that is
/// a panic. What is no good news is written at once, with all before it, and so is what another thread logs: the
/// order stays.
#[derive(Debug)]
#[must_use]
pub struct Gathered(());

/// For a piece of work that logs many lines, which nobody waits for before it is done.
pub fn gather() -> Gathered {
    GATHERING.set(GATHERING.get() + 1);
    Gathered(())
}

impl Drop for Gathered {
    fn drop(&mut self) {
        GATHERING.set(GATHERING.get() - 1);
        if GATHERING.get() == 0 {
            dispatcher::get_default(|all| {
                if let Some(layer) = all.downcast_ref::<LogLayer>() {
                    layer.0.sink().put_gathered();
                }
            });
        }
    }
}
