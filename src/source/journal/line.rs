//! An entry's values → the line that filters see, and its moment.
//!
//! Pure. Source: SPEC §2.4: `[_HOSTNAME ][SYSLOG_IDENTIFIER or _COMM][[SYSLOG_PID or _PID]]: MESSAGE`; the pid only
//! behind a name, the kernel's lines with the seconds since boot. The date is known, so it is not in the line.

use std::io::Write as _;

use crate::source::LINE_CAP;
use crate::time::UnixTime;

/// The values that a line is made of; those that are not there are empty.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fields {
    host: Vec<u8>,
    identifier: Vec<u8>,
    command: Vec<u8>,
    syslog_pid: Vec<u8>,
    pid: Vec<u8>,
    message: Vec<u8>,
    source_realtime: Vec<u8>,
    source_monotonic: Vec<u8>,
}

/// The longest of their names, with `=`.
pub(super) const NAME_CAP: usize = 32;

impl Fields {
    pub(super) fn clear(&mut self) {
        for field in self.all() {
            field.clear();
        }
    }

    fn all(&mut self) -> [&mut Vec<u8>; 8] {
        [
            &mut self.host,
            &mut self.identifier,
            &mut self.command,
            &mut self.syslog_pid,
            &mut self.pid,
            &mut self.message,
            &mut self.source_realtime,
            &mut self.source_monotonic,
        ]
    }

    /// Takes a `FIELD=value`, of several with one name the first; false: no line is made of fields with this name.
    pub(super) fn take(&mut self, value: &[u8]) -> bool {
        let at = memchr::memchr(b'=', &value[..value.len().min(NAME_CAP)]);
        at.is_some_and(|at| self.take_named(&value[..at], &value[at + 1..]))
    }

    pub(super) fn take_named(&mut self, name: &[u8], value: &[u8]) -> bool {
        let field = match name {
            b"_HOSTNAME" => &mut self.host,
            b"SYSLOG_IDENTIFIER" => &mut self.identifier,
            b"_COMM" => &mut self.command,
            b"SYSLOG_PID" => &mut self.syslog_pid,
            b"_PID" => &mut self.pid,
            b"MESSAGE" => &mut self.message,
            b"_SOURCE_REALTIME_TIMESTAMP" => &mut self.source_realtime,
            b"_SOURCE_MONOTONIC_TIMESTAMP" => &mut self.source_monotonic,
            _ => return false,
        };
        if field.is_empty() {
            field.extend_from_slice(&value[..value.len().min(LINE_CAP)]);
        }
        true
    }

    /// Appends the line with its end; whether it was cut. `monotonic`: the entry's own µs since boot.
    pub(super) fn write(&self, monotonic: u64, text: &mut Vec<u8>) -> bool {
        let start = text.len();
        let or = |first, second| -> &[u8] { if Vec::is_empty(first) { second } else { first } };
        let name = or(&self.identifier, &self.command);
        let pid = or(&self.syslog_pid, &self.pid);
        if !self.host.is_empty() {
            push(&self.host, text);
            text.push(b' ');
        }
        if !name.is_empty() {
            push(name, text);
            if !pid.is_empty() {
                text.push(b'[');
                push(pid, text);
                text.push(b']');
            }
            text.extend_from_slice(b": ");
        }
        if name == b"kernel" {
            let micros = number(&self.source_monotonic).unwrap_or(monotonic);
            let _ = write!(text, "[{:5}.{:06}] ", micros / 1_000_000, micros % 1_000_000);
        }
        push(&self.message, text);
        let cut = text.len() - start > LINE_CAP || self.message.len() >= LINE_CAP;
        text.truncate(start + LINE_CAP);
        text.push(b'\n');
        cut
    }

    /// Its moment: when it was sent, else when it was received (`realtime`, µs since the epoch).
    pub(super) fn time(&self, realtime: u64) -> UnixTime {
        let micros = number(&self.source_realtime).unwrap_or(realtime);
        UnixTime::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Appends a value; a line is one line, so its line ends become `\n`, two characters.
fn push(value: &[u8], text: &mut Vec<u8>) {
    let mut rest = value;
    while let Some(at) = memchr::memchr(b'\n', rest) {
        text.extend_from_slice(&rest[..at]);
        text.extend_from_slice(b"\\n");
        rest = &rest[at + 1..];
    }
    text.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_as_measured_on_fail2ban() {
        for (values, expected) in [
            (
                &[
                    "_HOSTNAME=h",
                    "SYSLOG_IDENTIFIER=sshd",
                    "_COMM=x",
                    "_PID=7",
                    "SYSLOG_PID=8",
                    "MESSAGE=a\nb",
                ][..],
                "h sshd[8]: a\\nb",
            ),
            (&["SYSLOG_IDENTIFIER=sshd", "_PID=7", "MESSAGE=m"], "sshd[7]: m"),
            (&["_HOSTNAME=h", "_COMM=c", "MESSAGE=m"], "h c: m"),
            (&["_HOSTNAME=h", "_PID=4", "MESSAGE=m"], "h m"),
            (&["SYSLOG_IDENTIFIER=", "_COMM=c", "SYSLOG_PID=", "_PID=4", "MESSAGE=m=n"], "c[4]: m=n"),
            (
                &["SYSLOG_IDENTIFIER=kernel", "_SOURCE_MONOTONIC_TIMESTAMP=1234567", "MESSAGE=m"],
                "kernel: [    1.234567] m",
            ),
            (&["SYSLOG_IDENTIFIER=kernel", "_PID=1", "MESSAGE=m"], "kernel[1]: [12345.000006] m"),
            (&["SYSLOG_IDENTIFIER=i"], "i: "),
            (&["MESSAGE=first", "MESSAGE=second", "OTHER=x"], "first"),
            (&["_HOSTNAME=h", "MESSAGE=a\r\nb\n"], "h a\r\\nb\\n"),
        ] {
            let mut fields = Fields::default();
            for value in values {
                fields.take(value.as_bytes());
            }
            let mut text = Vec::new();
            assert!(!fields.write(12_345_000_006, &mut text));
            assert_eq!(String::from_utf8_lossy(&text), format!("{expected}\n"), "{values:?}");
        }
    }

    #[test]
    fn a_long_message_is_cut_with_its_prefix() {
        let mut fields = Fields::default();
        fields.take(b"SYSLOG_IDENTIFIER=x");
        fields.take(&[b"MESSAGE=".to_vec(), vec![b'\n'; LINE_CAP]].concat());
        let mut text = b"before\n".to_vec();
        assert!(fields.write(0, &mut text));
        assert_eq!(text.len(), 7 + LINE_CAP + 1);
        assert!(text.ends_with(b"\\n\n") || text.ends_with(b"\\\n"));
    }

    #[test]
    fn the_moment_of_sending_is_preferred() {
        let mut fields = Fields::default();
        assert_eq!(fields.time(5), UnixTime::from_micros(5));
        fields.take(b"_SOURCE_REALTIME_TIMESTAMP=3");
        assert_eq!(fields.time(5), UnixTime::from_micros(3));
        fields.clear();
        fields.take(b"_SOURCE_REALTIME_TIMESTAMP=soon");
        assert_eq!(fields.time(5), UnixTime::from_micros(5));
    }
}
