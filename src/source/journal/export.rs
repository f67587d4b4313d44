//! The journal export format, as `journalctl -o export` prints it: entries out of pieces of any size.
//!
//! Pure. Source: systemd's `JOURNAL_EXPORT_FORMATS`: `NAME=value` lines, or `NAME`, a length of eight bytes and as many
//! bytes; an empty line ends an entry. Long values are kept as far as a line can be long.

use super::file::Entry;
use super::line::Fields;
use super::place;
use crate::source::LINE_CAP;

/// A line without an end is taken for ended behind so many bytes, and the rest is thrown away.
const TEXT_CAP: usize = LINE_CAP + 256;
/// The longest name of a field.
const NAME_CAP: usize = 256;

/// A value of which more is to come.
#[derive(Debug)]
struct Binary {
    name: Vec<u8>,
    value: Vec<u8>,
    left: u64,
}

/// What has arrived of the entries that are read.
#[derive(Debug, Default)]
pub(super) struct Export {
    buffer: Vec<u8>,
    /// Where the part of the buffer begins that was not taken yet.
    at: usize,
    binary: Option<Binary>,
    /// Inside a text that was too long.
    skipping: bool,
    cursor: Option<(u128, Entry)>,
    /// The values of the entry, whole once [`Export::next`] has returned its place.
    pub(super) fields: Fields,
    ended: bool,
}

impl Export {
    /// More of the same.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..std::mem::take(&mut self.at));
        self.buffer.extend_from_slice(bytes);
    }

    /// Reads on to the end of the next entry: its stream and place. None: more is needed.
    pub(super) fn next(&mut self) -> Option<(u128, Entry)> {
        if std::mem::take(&mut self.ended) {
            self.fields.clear();
        }
        loop {
            if self.binary.is_some() {
                self.binary()?;
                continue;
            }
            let rest = &self.buffer[self.at..];
            let Some(end) = memchr::memchr(b'\n', rest) else {
                if rest.len() > TEXT_CAP {
                    let start = rest[..TEXT_CAP].to_vec();
                    self.at = self.buffer.len();
                    if !std::mem::replace(&mut self.skipping, true) {
                        self.text(&start);
                    }
                }
                return None;
            };
            let line = rest[..end].to_vec();
            if std::mem::take(&mut self.skipping) {
                self.at += end + 1;
            } else if line.is_empty() {
                self.at += 1;
                self.ended = true;
                if let Some(place) = self.cursor.take() {
                    return Some(place);
                }
                self.fields.clear();
            } else if line.contains(&b'=') || line.len() > NAME_CAP {
                self.at += end + 1;
                self.text(&line);
            } else {
                let length = rest.get(end + 1..end + 9)?;
                let left = u64::from_le_bytes(length.try_into().ok()?);
                self.at += end + 9;
                self.binary = Some(Binary { name: line, value: Vec::new(), left });
            }
        }
    }

    fn text(&mut self, line: &[u8]) {
        let Some(at) = memchr::memchr(b'=', line) else { return };
        let (name, value) = (&line[..at], &line[at + 1..]);
        if name == b"__CURSOR" {
            self.cursor = std::str::from_utf8(value).ok().and_then(place::read);
        } else {
            self.fields.take_named(name, value);
        }
    }

    /// Takes what there is of a value with a length, and its end.
    fn binary(&mut self) -> Option<()> {
        let binary = self.binary.as_mut()?;
        let rest = &self.buffer[self.at..];
        let take = usize::try_from(binary.left).map_or(rest.len(), |left| left.min(rest.len()));
        let keep = take.min(LINE_CAP - binary.value.len());
        binary.value.extend_from_slice(&rest[..keep]);
        binary.left -= take as u64;
        self.at += take;
        if binary.left > 0 || self.at >= self.buffer.len() {
            return None;
        }
        self.at += 1; // the line's end behind it
        let Binary { name, value, .. } = self.binary.take()?;
        self.fields.take_named(&name, &value);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CURSOR: &str = "s=1f;i=2;b=3;m=4;t=5;x=6";

    fn read(bytes: &[u8], piece: usize) -> Vec<String> {
        let mut export = Export::default();
        let mut lines = Vec::new();
        for piece in bytes.chunks(piece) {
            export.push(piece);
            while let Some((stream, entry)) = export.next() {
                let mut text = Vec::new();
                export.fields.write(entry.monotonic, &mut text);
                let text = String::from_utf8_lossy(&text);
                lines.push(format!("{stream:x} {} {}", entry.seqnum, text.trim_end()));
            }
        }
        lines
    }

    #[test]
    fn entries_arrive_in_pieces() {
        let mut bytes = format!("__CURSOR={CURSOR}\n_COMM=a\nMESSAGE=x=y\n\n").into_bytes();
        bytes.extend_from_slice(
            format!("_COMM=b\nMESSAGE\n\x03\0\0\0\0\0\0\0a\nb\n__CURSOR={CURSOR}\n\n").as_bytes(),
        );
        bytes.extend_from_slice(b"_COMM=no cursor\nMESSAGE=x\n\n\n");
        bytes.extend_from_slice(format!("__CURSOR={CURSOR}\nMESSAGE=third\n\n").as_bytes());
        for piece in [1, 2, 7, 1000] {
            assert_eq!(
                read(&bytes, piece),
                ["1f 2 a: x=y", "1f 2 b: a\\nb", "1f 2 third"],
                "pieces of {piece}"
            );
        }
    }

    #[test]
    fn long_values_are_kept_as_far_as_a_line_goes() {
        for piece in [1000, 100_000, 10_000_000] {
            let mut bytes = format!("__CURSOR={CURSOR}\nMESSAGE=").into_bytes();
            bytes.extend_from_slice(&vec![b'x'; 1_000_000]);
            bytes.extend_from_slice(format!("\n_COMM=c\n\n__CURSOR={CURSOR}\nMESSAGE\n").as_bytes());
            bytes.extend_from_slice(&1_000_000_u64.to_le_bytes());
            bytes.extend_from_slice(&vec![b'y'; 1_000_000]);
            bytes.extend_from_slice(b"\n_COMM=d\n\n");
            let lines = read(&bytes, piece);
            let shown: Vec<_> = lines.iter().map(|line| (&line[..11], line.len())).collect();
            assert_eq!(shown, [("1f 2 c: xxx", LINE_CAP + 5), ("1f 2 d: yyy", LINE_CAP + 5)]);
        }
    }
}
