//! The lines of anything that can be read, as the daemon would cut them, without an allocation per line.

use std::io::{self, Read};
use std::ops::Range;

use crate::source::LINE_CAP;

/// So much is read at once.
const BLOCK: usize = 512 * 1024;

/// Hands out one line after another.
#[derive(Debug)]
pub(super) struct Lines<R> {
    input: R,
    buffer: Vec<u8>,
    /// What was read and not yet handed out.
    unread: Range<usize>,
    /// Up to here there is no line end in it.
    searched: usize,
    /// Whether the rest of a cut line is thrown away.
    skipping: bool,
    /// Bytes read.
    pub(super) bytes: u64,
    /// Lines cut.
    pub(super) cut: u64,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, buffer: vec![0; BLOCK], unread: 0..0, searched: 0, skipping: false, bytes: 0, cut: 0 }
    }

    /// The next line without its end (`\n`, `\r\n`); what follows the last line end is a line too.
    pub(super) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        let line = loop {
            if let Some(length) = memchr::memchr(b'\n', &self.buffer[self.searched..self.unread.end]) {
                let line = self.unread.start..self.searched + length;
                self.hand_out(line.end + 1);
                if !std::mem::take(&mut self.skipping) {
                    break line;
                }
            } else if self.unread.len() > LINE_CAP {
                let line = self.unread.clone();
                self.hand_out(line.end);
                if !std::mem::replace(&mut self.skipping, true) {
                    break line;
                }
            } else {
                self.searched = self.unread.end;
                if !self.fill()? {
                    let line = self.unread.clone();
                    self.hand_out(line.end);
                    if line.is_empty() || self.skipping {
                        return Ok(None);
                    }
                    break line;
                }
            }
        };
        let line = &self.buffer[line];
        if line.len() > LINE_CAP {
            self.cut += 1;
            return Ok(Some(&line[..LINE_CAP]));
        }
        Ok(Some(line.strip_suffix(b"\r").unwrap_or(line)))
    }

    fn hand_out(&mut self, end: usize) {
        self.unread.start = end;
        self.searched = end;
    }

    /// Reads another block behind what is unread; false at the end.
    fn fill(&mut self) -> io::Result<bool> {
        self.buffer.copy_within(self.unread.clone(), 0);
        self.searched -= self.unread.start;
        self.unread = 0..self.unread.len();
        loop {
            match self.input.read(&mut self.buffer[self.unread.end..]) {
                Ok(read) => {
                    self.unread.end += read;
                    self.bytes += read as u64;
                    return Ok(read > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads at most `step` bytes at a time.
    struct Drops<'a>(&'a [u8], usize);

    impl Read for Drops<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let step = self.1.min(out.len());
            self.0.read(&mut out[..step])
        }
    }

    #[test]
    fn lines_whatever_the_reads() {
        let long = vec![b'x'; LINE_CAP];
        let over = [&long[..], b"y"].concat();
        let huge = vec![b'z'; 3 * BLOCK];
        let crlf = [&long[..LINE_CAP - 1], b"\r"].concat();
        let mut block = vec![b'a'; BLOCK - 1];
        block.push(b'\n');
        for (name, text, want, cut) in [
            ("nothing", vec![], vec![], 0),
            ("two", b"a\nb\n".to_vec(), vec![&b"a"[..], b"b"], 0),
            ("no end", b"a\nb".to_vec(), vec![b"a", b"b"], 0),
            ("empty and CRLF", b"\n\r\na\r\n\n".to_vec(), vec![b"", b"", b"a", b""], 0),
            ("a CR inside", b"a\rb\r\r\n".to_vec(), vec![b"a\rb\r"], 0),
            ("as long as can be", [&long[..], b"\nb"].concat(), vec![&long, b"b"], 0),
            ("with its CR", [&crlf[..], b"\nb"].concat(), vec![&long[..LINE_CAP - 1], b"b"], 0),
            ("one more", [&over[..], b"\nb\n"].concat(), vec![&long, b"b"], 1),
            ("one more at the end", over.clone(), vec![&long], 1),
            ("huge", [&b"a\n"[..], &huge, b"\nb"].concat(), vec![b"a", &huge[..LINE_CAP], b"b"], 1),
            ("huge at the end", huge.clone(), vec![&huge[..LINE_CAP]], 1),
            ("a whole block", [&block[..], b"b\n"].concat(), vec![&block[..LINE_CAP], b"b"], 1),
        ] {
            for step in [1, 7, LINE_CAP, BLOCK, usize::MAX] {
                let mut lines = Lines::new(Drops(&text, step));
                let mut got = Vec::new();
                while let Some(line) = lines.next().unwrap() {
                    got.push(line.to_vec());
                }
                assert!(got == want, "{name}, {step} at a time: {} lines", got.len());
                assert_eq!((lines.cut, lines.bytes), (cut, text.len() as u64), "{name}, {step} at a time");
            }
        }
    }
}
