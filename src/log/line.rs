//! From an event to a line. Nothing in it can end the line or steer a terminal: control characters are spelled out
//! where the event is read, so no format has to think of them. A line has an end, too.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::io::Write as _;

use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::Value;
use tracing::Event;
use tracing::field::{Field, Visit};

use super::{CRITICAL, Level, NOTICE};
use crate::control::text::steers;
use crate::time::UnixTime;

/// No text of an event is longer, in bytes.
const LONGEST: usize = 16 * 1024;
/// Most are shorter than this.
const USUAL: usize = 96;

/// An event, ready to be written in any format.
#[derive(Debug)]
pub(super) struct Record<'a> {
    pub(super) level: Level,
    pub(super) logger: Cow<'a, str>,
    pub(super) jail: Option<String>,
    pub(super) message: String,
    pub(super) fields: Vec<(&'static str, Value)>,
}

impl<'a> Record<'a> {
    pub(super) fn of(event: &Event<'a>) -> Self {
        let metadata = event.metadata();
        let mut record = Self {
            level: Level::of(metadata),
            logger: metadata.target().into(),
            jail: None,
            message: String::new(),
            fields: Vec::new(),
        };
        event.record(&mut record);
        record
    }

    /// `[jail] message: error name=value`
    pub(super) fn sentence(&self) -> Cow<'_, str> {
        if self.jail.is_none() && self.fields.is_empty() {
            return Cow::Borrowed(&self.message);
        }
        let mut text = String::with_capacity(self.message.len() + 64);
        if let Some(jail) = &self.jail {
            let _ = write!(text, "[{jail}] ");
        }
        text.push_str(&self.message);
        for (name, value) in &self.fields {
            let _ = match (*name, value) {
                ("error", Value::String(error)) => write!(text, ": {error}"),
                (name, Value::String(value)) => write!(text, " {name}={value}"),
                (name, value) => write!(text, " {name}={value}"),
            };
        }
        Cow::Owned(text)
    }

    /// The jail and the rest of the message; most messages begin with `[jail] `.
    pub(super) fn parts(&self) -> (Option<&str>, &str) {
        let named = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        let inside = || {
            let (jail, rest) = self.message.strip_prefix('[')?.split_once("] ")?;
            (!jail.is_empty() && jail.chars().all(named)).then_some((Some(jail), rest))
        };
        match &self.jail {
            Some(jail) => (Some(jail), &self.message),
            None => inside().unwrap_or((None, &self.message)),
        }
    }

    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            (NOTICE | CRITICAL, _) => {}
            ("message", Value::String(text)) => self.message = text,
            ("jail", Value::String(text)) => self.jail = Some(text),
            (name, value) => self.fields.push((name, value)),
        }
    }

    fn put_text(&mut self, field: &Field, text: fmt::Arguments<'_>) {
        let mut safe = Safe(String::with_capacity(USUAL));
        // Its own writing cannot fail; a value's may, and is cut there. A cut text shows that it was cut.
        if safe.write_fmt(text).is_err() {
            safe.0.push('…');
        }
        self.put(field, Value::String(safe.0));
    }
}

impl Visit for Record<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put_text(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if value.len() <= LONGEST && is_plain(value) {
            return self.put(field, Value::String(value.to_owned()));
        }
        self.put_text(field, format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
}

/// Whether it is ASCII that does not steer.
fn is_plain(text: &str) -> bool {
    text.bytes().fold(true, |plain, byte| plain & (b' '..0x7f).contains(&byte))
}

/// A text without a character that steers, and never longer than [`LONGEST`].
struct Safe(String);

impl fmt::Write for Safe {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() <= LONGEST && (is_plain(text) || !text.chars().any(steers)) {
            self.0.push_str(text);
            return Ok(());
        }
        for char in text.chars() {
            if self.0.len() >= LONGEST {
                return Err(fmt::Error);
            }
            if steers(char) {
                self.0.extend(char.escape_default());
            } else {
                self.0.push(char);
            }
        }
        Ok(())
    }
}

/// A moment in local time; the zone is asked once a second.
#[derive(Debug)]
pub(super) struct Stamp {
    zone: TimeZone,
    second: Option<i64>,
    /// `2026-01-02T03:04:05`
    time: String,
    /// The same with a space between.
    spaced: String,
    /// `+01:00`
    offset: String,
}

impl Default for Stamp {
    fn default() -> Self {
        Self::new(TimeZone::system())
    }
}

impl Stamp {
    pub(super) fn new(zone: TimeZone) -> Self {
        Self { zone, second: None, time: String::new(), spaced: String::new(), offset: String::new() }
    }

    fn set(&mut self, now: UnixTime) {
        if self.second == Some(now.secs()) {
            return;
        }
        self.second = Some(now.secs());
        self.time.clear();
        self.offset.clear();
        let stamp = jiff::Timestamp::from_second(now.secs()).unwrap_or_default();
        let offset = self.zone.to_offset(stamp);
        let local = offset.to_datetime(stamp);
        let (date, time) = (local.date(), local.time());
        let _ = write!(
            self.time,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            date.year(),
            date.month(),
            date.day(),
            time.hour(),
            time.minute(),
            time.second()
        );
        self.spaced.clear();
        self.spaced.push_str(&self.time.replace('T', " "));
        let minutes = offset.seconds() / 60;
        let sign = if minutes < 0 { '-' } else { '+' };
        let _ = write!(self.offset, "{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60);
    }
}

/// A moment that is shown as `2026-01-02 03:04:05` in local time, as it stands in the log.
#[derive(Debug, Clone, Copy)]
pub struct Local(UnixTime);

/// See [`Local`].
pub fn local(time: UnixTime) -> Local {
    Local(time)
}

impl Local {
    /// Appends it as it is shown.
    pub fn spell(self, text: &mut Vec<u8>) {
        self.with(|shown| text.extend_from_slice(shown.as_bytes()));
    }

    fn with<T>(self, each: impl FnOnce(&str) -> T) -> T {
        thread_local! {
            static STAMP: RefCell<Stamp> = RefCell::default();
        }
        STAMP.with_borrow_mut(|stamp| {
            stamp.set(self.0);
            each(&stamp.spaced)
        })
    }
}

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with(|shown| f.write_str(shown))
    }
}

fn millis(now: UnixTime) -> i64 {
    now.micros().rem_euclid(1_000_000) / 1000
}

/// Fail2Ban's line: `2026-01-02 03:04:05,678 fail2ban.actions        [123]: NOTICE  [sshd] Ban 192.0.2.1`.
pub(super) fn text(
    line: &mut Vec<u8>,
    now: UnixTime,
    (stamp, speaker): (&mut Stamp, &mut Speaker),
    pid: u32,
    record: &Record<'_>,
) {
    stamp.set(now);
    line.extend_from_slice(stamp.spaced.as_bytes());
    let millis = millis(now);
    line.extend_from_slice(&[b',', digit(millis / 100), digit(millis / 10), digit(millis), b' ']);
    line.extend_from_slice(speaker.of(pid, record));
    line.extend_from_slice(record.sentence().as_bytes());
    line.push(b'\n');
}

/// Who speaks, and how loud: mostly as in the line before.
#[derive(Debug, Default)]
pub(super) struct Speaker {
    logger: String,
    level: Level,
    /// `fail2ban.actions        [123]: NOTICE  `
    shown: Vec<u8>,
}

impl Speaker {
    fn of(&mut self, pid: u32, record: &Record<'_>) -> &[u8] {
        let Self { logger, level, shown } = self;
        if shown.is_empty() || *level != record.level || *logger != record.logger {
            *level = record.level;
            logger.clear();
            logger.push_str(&record.logger);
            shown.clear();
            padded(shown, logger, 24);
            // Writing to memory cannot fail.
            let _ = write!(shown, "[{pid}]: ");
            padded(shown, level.name(), 7);
            shown.push(b' ');
        }
        shown
    }
}

fn digit(number: i64) -> u8 {
    b'0' + (number % 10) as u8
}

fn padded(line: &mut Vec<u8>, text: &str, width: usize) {
    line.extend_from_slice(text.as_bytes());
    line.extend(std::iter::repeat_n(b' ', width.saturating_sub(text.chars().count())));
}

/// One object: `{"time":"2026-01-02T03:04:05.678+00:00","level":"NOTICE","logger":"fail2ban.actions","pid":123,
/// "jail":"sshd","message":"Ban 192.0.2.1"}`, and `"fields"` where there are any.
pub(super) fn json(line: &mut Vec<u8>, now: UnixTime, stamp: &mut Stamp, pid: u32, record: &Record<'_>) {
    #[derive(Serialize)]
    struct Line<'a> {
        time: String,
        level: &'static str,
        logger: &'a str,
        pid: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        jail: Option<&'a str>,
        message: &'a str,
        #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
        fields: serde_json::Map<String, Value>,
    }
    stamp.set(now);
    let (jail, message) = record.parts();
    let object = Line {
        time: format!("{}.{:03}{}", stamp.time, millis(now), stamp.offset),
        level: record.level.name(),
        logger: &record.logger,
        pid,
        jail,
        message,
        fields: record.fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
    };
    // Texts and numbers cannot fail, nor can writing to memory.
    let _ = serde_json::to_writer(&mut *line, &object);
    line.push(b'\n');
}

/// A datagram for the journal: one `NAME=value` a line, values without line ends.
pub(super) fn journal(line: &mut Vec<u8>, record: &Record<'_>) {
    let priority = match record.level {
        Level::Critical => 2,
        Level::Error => 3,
        Level::Warning => 4,
        Level::Notice => 5,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    };
    let _ = write!(
        line,
        "PRIORITY={priority}\nSYSLOG_IDENTIFIER=stockade\nSTOCKADE_LOGGER={}\nMESSAGE={}\n",
        record.logger,
        record.sentence()
    );
    if let Some(jail) = record.parts().0 {
        let _ = writeln!(line, "STOCKADE_JAIL={jail}");
    }
}
