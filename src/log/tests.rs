use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use jiff::tz::{Offset, TimeZone};
use tempfile::TempDir;

use super::*;

/// 2026-01-02 03:04:05.678 UTC.
fn now() -> UnixTime {
    UnixTime::from_micros(1_767_323_045_678_901)
}

fn utc() -> Stamp {
    Stamp::new(TimeZone::UTC)
}

struct Captured {
    dir: TempDir,
    logs: Logs,
}

fn captured(level: Level, format: LogFormat, stamp: Stamp) -> Captured {
    let dir = tempfile::tempdir().unwrap();
    let target = Target::File(dir.path().join("log"));
    let logs = Logs::new(LogOptions { level, target, format }, now, stamp).unwrap();
    Captured { dir, logs }
}

impl Captured {
    fn path(&self) -> std::path::PathBuf {
        self.dir.path().join("log")
    }

    /// What `say` logs, the process id replaced.
    fn hear(&self, say: impl FnOnce()) -> String {
        let before = self.read().len();
        let subscriber = tracing_subscriber::registry().with(self.logs.layer());
        tracing::subscriber::with_default(subscriber, say);
        self.read()[before..].to_owned()
    }

    fn read(&self) -> String {
        read(&self.path())
    }
}

fn read(path: &Path) -> String {
    let pid = std::process::id();
    fs::read_to_string(path)
        .unwrap()
        .replace(&format!("[{pid}]"), "[PID]")
        .replace(&format!("\"pid\":{pid}"), "\"pid\":0")
}

fn every_level() {
    critical!(target: "fail2ban.server", "level critical");
    tracing::error!(target: "fail2ban.server", "level error");
    tracing::warn!(target: "fail2ban.server", "level warning");
    notice!(target: "fail2ban.server", "level notice");
    tracing::info!(target: "fail2ban.server", "level info");
    tracing::debug!(target: "fail2ban.server", "level debug");
    tracing::trace!(target: "fail2ban.server", "level trace");
    tracing::warn!(target: "other", "other warning");
    tracing::info!(target: "other", "other info");
}

#[test]
fn lines_are_fail2bans() {
    let log = captured(Level::Trace, LogFormat::Text, utc());
    let (jail, id) = ("sshd", "192.0.2.1");
    let heard = log.hear(|| {
        notice!(target: "fail2ban.actions", "[{jail}] Ban {id}");
        tracing::info!(target: "fail2ban.filter", "[{jail}] Found {id} - {}", "2026-01-02 03:04:05");
        tracing::warn!(target: "fail2ban.a.logger.with.a.long.name", jail, tries = 3, user = "x", "no luck");
        tracing::error!(target: "fail2ban.server", error = %std::io::Error::other("why"), ok = false, "it failed");
        critical!(target: "fail2ban.server", "the end");
        tracing::debug!(target: "fail2ban.jail", seconds = 1.5);
    });
    assert_eq!(
        heard,
        "\
2026-01-02 03:04:05,678 fail2ban.actions        [PID]: NOTICE  [sshd] Ban 192.0.2.1
2026-01-02 03:04:05,678 fail2ban.filter         [PID]: INFO    [sshd] Found 192.0.2.1 - 2026-01-02 03:04:05
2026-01-02 03:04:05,678 fail2ban.a.logger.with.a.long.name[PID]: WARNING [sshd] no luck tries=3 user=x
2026-01-02 03:04:05,678 fail2ban.server         [PID]: ERROR   it failed: why ok=false
2026-01-02 03:04:05,678 fail2ban.server         [PID]: CRITICAL the end
2026-01-02 03:04:05,678 fail2ban.jail           [PID]: DEBUG    seconds=1.5
"
    );
}

#[test]
fn json_is_one_object_a_line() {
    let zone = TimeZone::fixed(Offset::from_seconds(-(9 * 3600 + 30 * 60)).unwrap());
    let log = captured(Level::Info, LogFormat::Json, Stamp::new(zone));
    let heard = log.hear(|| {
        notice!(target: "fail2ban.actions", "[sshd] Ban 192.0.2.1");
        tracing::warn!(target: "fail2ban.jail", jail = "postfix", tries = 3, "a \"quote\"\nand a line");
        tracing::info!(target: "fail2ban.server", "[not a jail] x");
    });
    assert_eq!(
        heard,
        r#"{"time":"2026-01-01T17:34:05.678-09:30","level":"NOTICE","logger":"fail2ban.actions","pid":0,"jail":"sshd","message":"Ban 192.0.2.1"}
{"time":"2026-01-01T17:34:05.678-09:30","level":"WARNING","logger":"fail2ban.jail","pid":0,"jail":"postfix","message":"a \"quote\"\\nand a line","fields":{"tries":3}}
{"time":"2026-01-01T17:34:05.678-09:30","level":"INFO","logger":"fail2ban.server","pid":0,"message":"[not a jail] x"}
"#
    );
}

#[test]
fn the_journal_gets_level_logger_and_jail() {
    let record = |level, message: &str| Record {
        level,
        logger: "fail2ban.actions".into(),
        jail: None,
        message: message.to_owned(),
        fields: vec![("tries", 3.into())],
    };
    for (level, message, want) in [
        (
            Level::Notice,
            "[sshd] Ban 192.0.2.1",
            "PRIORITY=5\nSYSLOG_IDENTIFIER=stockade\nSTOCKADE_LOGGER=fail2ban.actions\n\
             MESSAGE=[sshd] Ban 192.0.2.1 tries=3\nSTOCKADE_JAIL=sshd\n",
        ),
        (
            Level::Critical,
            "x",
            "PRIORITY=2\nSYSLOG_IDENTIFIER=stockade\nSTOCKADE_LOGGER=fail2ban.actions\nMESSAGE=x tries=3\n",
        ),
    ] {
        let mut line = Vec::new();
        line::journal(&mut line, &record(level, message));
        assert_eq!(String::from_utf8(line).unwrap(), want, "{message}");
    }
}

#[test]
fn no_text_can_forge_a_line() {
    let log = captured(Level::Info, LogFormat::Text, utc());
    let evil = "x\n2026-01-02 03:04:05,678 fail2ban.actions        [1]: NOTICE  [sshd] Ban 192.0.2.9\r\u{1b}[2J\u{85}\u{9b}\u{2028}\u{202e}\t\0ß";
    let heard = log.hear(|| {
        tracing::warn!(target: "fail2ban.filter", user = evil, debug = ?evil, shown = %evil, jail = %evil, "user {evil}");
        notice!(target: "fail2ban.actions", "[sshd] Ban {evil}");
        tracing::error!(target: "fail2ban.server", "{}", "ä\n".repeat(100_000));
    });
    assert_eq!(heard.lines().count(), 3);
    let escaped = r"x\n2026-01-02 03:04:05,678 fail2ban.actions        [1]: NOTICE  [sshd] Ban 192.0.2.9\r\u{1b}[2J\u{85}\u{9b}\u{2028}\u{202e}\t\u{0}ß";
    assert!(heard.lines().nth(1).unwrap().ends_with(&format!("NOTICE  [sshd] Ban {escaped}")), "{heard}");
    let steering = heard.lines().flat_map(str::chars).find(|char| crate::control::text::steers(*char));
    assert_eq!(steering, None);
    let third = heard.lines().nth(2).unwrap();
    assert!((16_384..16_600).contains(&third.len()) && third.ends_with('…'), "{} bytes", third.len());
}

#[test]
fn a_level_shows_itself_and_worse() {
    let log = captured(Level::Info, LogFormat::Text, utc());
    for (level, shown) in [
        ("CRITICAL", "level critical"),
        ("error", "level critical, level error"),
        ("Warning", "level critical, level error, level warning, other warning"),
        ("NOTICE", "level critical, level error, level warning, level notice, other warning"),
        ("INFO", "level critical, level error, level warning, level notice, level info, other warning"),
        (
            "DEBUG",
            "level critical, level error, level warning, level notice, level info, level debug, other warning",
        ),
        (
            "HEAVYDEBUG",
            "level critical, level error, level warning, level notice, level info, level debug, level trace, \
             other warning, other info",
        ),
    ] {
        // While running, as an operator does it.
        let heard = log.hear(|| {
            log.logs.set_level(level).unwrap();
            every_level();
        });
        let heard: Vec<&str> = heard.lines().map(|line| line.split_at(63).1.trim()).collect();
        assert_eq!(heard.join(", "), shown, "{level}");
        log.logs.flush();
    }
    assert_eq!(log.logs.level(), "TRACE");
    assert_eq!(
        log.logs.set_level("loud").unwrap_err().to_string(),
        "log_level: `loud` is none of CRITICAL, ERROR, WARNING, NOTICE, INFO, DEBUG, TRACE"
    );
    assert_eq!(log.logs.level(), "TRACE");
}

struct Counted<'a>(&'a std::cell::Cell<u32>);

impl fmt::Display for Counted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.set(self.0.get() + 1);
        f.write_str("x")
    }
}

#[test]
fn what_is_not_shown_is_not_even_formatted() {
    let log = captured(Level::Notice, LogFormat::Text, utc());
    let count = std::cell::Cell::new(0);
    log.hear(|| {
        tracing::info!(target: "fail2ban.filter", "{}", Counted(&count));
        tracing::debug!(target: "fail2ban.filter", "{}", Counted(&count));
        notice!(target: "fail2ban.filter", "{}", Counted(&count));
    });
    assert_eq!(count.get(), 1);
}

#[test]
fn sentences_are_limited_and_what_is_counted_is_not() {
    let log = captured(Level::Debug, LogFormat::Text, utc());
    let heard = log.hear(|| {
        for _ in 0..42 {
            tracing::error!(target: "fail2ban.server", "no such thing");
            notice!(target: "fail2ban.actions", "[sshd] Ban 192.0.2.1");
            tracing::info!(target: "fail2ban.filter", "[sshd] Found 192.0.2.1");
            tracing::debug!(target: "fail2ban.filter", "[sshd] looked at");
        }
        log.logs.flush();
    });
    let count = |text: &str| heard.lines().filter(|line| line.ends_with(text)).count();
    assert_eq!(
        (count("no such thing"), count("Ban 192.0.2.1"), count("Found 192.0.2.1"), count("looked at")),
        (5, 42, 42, 5)
    );
    assert_eq!(count("[PID]: ERROR   no such thing … (37 more times in 1m)"), 1, "{heard}");
    assert_eq!(count("[PID]: DEBUG   [sshd] looked at … (37 more times in 1m)"), 1, "{heard}");
}

#[test]
fn what_is_gathered_is_written_together_in_order_and_before_anything_bad() {
    let log = captured(Level::Info, LogFormat::Text, utc());
    let lines = || log.read().lines().count();
    let heard = log.hear(|| {
        let outer = gather();
        for n in 0..3 {
            let _inner = gather();
            tracing::info!(target: "fail2ban.filter", "[sshd] Found 192.0.2.{n}");
        }
        assert_eq!(lines(), 0);
        tracing::warn!(target: "fail2ban.filter", "warning");
        assert_eq!(lines(), 4);
        notice!(target: "fail2ban.actions", "[sshd] Ban 192.0.2.4");
        let subscriber = tracing_subscriber::registry().with(log.logs.layer());
        let other = || tracing::subscriber::with_default(subscriber, every_level);
        std::thread::scope(|scope| scope.spawn(other).join()).unwrap();
        assert_eq!(lines(), 5 + 6, "another thread does not wait");
        notice!(target: "fail2ban.actions", "[sshd] Ban 192.0.2.5");
        log.logs.reopen().unwrap();
        assert_eq!(lines(), 12, "of two files the old one has it");
        notice!(target: "fail2ban.actions", "[sshd] Ban 192.0.2.6");
        drop(outer);
        assert_eq!(lines(), 13);
        notice!(target: "fail2ban.actions", "[sshd] Ban 192.0.2.7");
        assert_eq!(lines(), 14);
        let panic = std::panic::catch_unwind(|| {
            let _gathered = gather();
            notice!(target: "fail2ban.actions", "[sshd] Ban 192.0.2.8");
            panic!("of a test");
        });
        assert_eq!((panic.is_err(), lines()), (true, 15));
    });
    let bans: Vec<_> =
        heard.lines().filter_map(|line| line.split_once("192.0.2.")?.1.chars().next()).collect();
    assert_eq!(bans.iter().collect::<String>(), "012".to_owned() + "45678");
}

#[test]
fn gathered_lines_that_are_lost_are_counted() {
    let log = captured(Level::Info, LogFormat::Text, utc());
    log.hear(|| {
        log.logs.set_target("/dev/full").unwrap();
        let gathered = gather();
        for n in 0..3 {
            tracing::info!(target: "fail2ban.filter", "[sshd] Found 192.0.2.{n}");
        }
        drop(gathered);
        log.logs.set_target(log.path().to_str().unwrap()).unwrap();
        tracing::info!(target: "fail2ban.filter", "[sshd] Found 192.0.2.9");
    });
    let read = log.read();
    let told: Vec<_> = read.lines().map(|line| line.split_at(63).1).collect();
    assert_eq!(
        told,
        [
            "[sshd] Found 192.0.2.9",
            "3 lines could not be written to the log: No space left on device (os error 28)"
        ]
    );
}

#[test]
fn targets() {
    for (text, want) in [
        ("STDOUT", Ok(Target::Stdout)),
        ("stderr", Ok(Target::Stderr)),
        ("JOURNAL", Ok(Target::Journal)),
        ("SYSTEMD-JOURNAL", Ok(Target::Journal)),
        ("/var/log/x", Ok(Target::File("/var/log/x".into()))),
        ("SYSLOG", Err("log_target: `SYSLOG` is neither an absolute path nor STDOUT, STDERR or JOURNAL")),
        ("log", Err("log_target: `log` is neither an absolute path nor STDOUT, STDERR or JOURNAL")),
    ] {
        let got = text.parse::<Target>().map_err(|error| error.to_string());
        assert_eq!(got, want.map_err(str::to_owned), "{text:?}");
    }
}

#[test]
fn a_file_is_made_kept_and_reopened() {
    let log = captured(Level::Info, LogFormat::Text, utc());
    let say = |text: &str| {
        log.hear(|| tracing::warn!(target: "fail2ban.server", "{text}"));
    };
    let lines = |path: &Path| {
        read(path).lines().map(|line| line.split_at(63).1.trim().to_owned()).collect::<Vec<_>>()
    };
    let mode = fs::metadata(log.path()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode & !0o640, 0, "{mode:o}");
    say("one");
    let rotated = log.dir.path().join("log.1");
    fs::rename(log.path(), &rotated).unwrap();
    fs::write(log.path(), "").unwrap();
    say("two");
    assert_eq!(lines(&rotated), ["one", "two"]);
    log.logs.reopen().unwrap();
    say("three");
    assert_eq!(lines(&log.path()), ["three"]);
    // Another target that cannot be had: nothing moves.
    let error = log.logs.set_target("/nowhere/log").unwrap_err().to_string();
    assert_eq!(error, "log_target: /nowhere/log cannot be opened: No such file or directory (os error 2)");
    say("four");
    assert_eq!(lines(&log.path()), ["three", "four"]);
    // Appended to, not begun anew.
    let other = log.dir.path().join("other");
    fs::write(&other, "x".repeat(63) + "zero\n").unwrap();
    log.logs.set_target(other.to_str().unwrap()).unwrap();
    assert_eq!(log.logs.target(), other.to_str().unwrap());
    say("five");
    assert_eq!(lines(&other), ["zero", "five"]);
    assert_eq!(lines(&log.path()), ["three", "four"]);
}

#[test]
fn a_full_disk_costs_lines_and_says_so_later() {
    let log = captured(Level::Info, LogFormat::Text, utc());
    log.hear(|| {
        log.logs.set_target("/dev/full").unwrap();
        tracing::warn!(target: "fail2ban.server", "one");
        tracing::warn!(target: "fail2ban.server", "two");
        log.logs.set_target(log.path().to_str().unwrap()).unwrap();
        tracing::warn!(target: "fail2ban.server", "three");
    });
    assert_eq!(
        log.read(),
        "\
2026-01-02 03:04:05,678 fail2ban.server         [PID]: WARNING three
2026-01-02 03:04:05,678 fail2ban.server         [PID]: WARNING 2 lines could not be written to the log: No space left on device (os error 28)
"
    );
}

#[test]
fn moments_before_the_epoch_and_out_of_range_do_not_panic() {
    let log = captured(Level::Info, LogFormat::Text, utc());
    let mut stamp = utc();
    for (micros, want) in [
        (-1, "1969-12-31 23:59:59,999 "),
        (0, "1970-01-01 00:00:00,000 "),
        (i64::MAX, "1970-01-01 00:00:00,775 "),
        (i64::MIN, "1970-01-01 00:00:00,224 "),
    ] {
        let mut line = Vec::new();
        let record = Record {
            level: Level::Info,
            logger: "l".into(),
            jail: None,
            message: String::new(),
            fields: vec![],
        };
        line::text(
            &mut line,
            UnixTime::from_micros(micros),
            (&mut stamp, &mut line::Speaker::default()),
            1,
            &record,
        );
        let line = String::from_utf8(line).unwrap();
        assert!(line.starts_with(want), "{micros}: {line}");
    }
    drop(log);
}
