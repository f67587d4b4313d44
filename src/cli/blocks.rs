//! Blocks of whole lines of anything that can be read, cut as the daemon would cut them, without a copy.

use std::io::{self, Read};
use std::ops::Range;

use memchr::{memchr, memrchr};

use crate::source::LINE_CAP;

/// So much is read at once.
const BLOCK: usize = 256 * 1024;

/// Hands out one block after another.
#[derive(Debug)]
pub(super) struct Blocks<R> {
    input: R,
    buffer: Vec<u8>,
    /// What was read and not yet handed out.
    unread: Range<usize>,
    /// Whether the rest of a cut line is thrown away.
    skipping: bool,
    /// Bytes read.
    pub(super) bytes: u64,
    /// Lines cut.
    pub(super) cut: u64,
}

impl<R: Read> Blocks<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, buffer: vec![0; BLOCK], unread: 0..0, skipping: false, bytes: 0, cut: 0 }
    }

    /// What is read.
    pub(super) fn input(&self) -> &R {
        &self.input
    }

    /// The next lines, each ended by `\n`, none longer than the cap; what follows the last line end is a line too.
    pub(super) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        let place = self.place()?;
        Ok(place.map(|place| &self.buffer[place]))
    }

    /// Where they stand in the buffer.
    fn place(&mut self) -> io::Result<Option<Range<usize>>> {
        loop {
            let Range { start, end } = self.unread;
            let unread = &self.buffer[start..end];
            if self.skipping {
                if let Some(length) = memchr(b'\n', unread) {
                    (self.unread.start, self.skipping) = (start + length + 1, false);
                    continue;
                }
                self.unread.start = end;
                if !self.fill()? {
                    return Ok(None);
                }
            } else if let Some(length) = memrchr(b'\n', unread) {
                let fitting = fitting(&unread[..=length]);
                if fitting == 0 {
                    return Ok(Some(self.cut_line()));
                }
                self.unread.start += fitting;
                return Ok(Some(start..start + fitting));
            } else if unread.len() > LINE_CAP {
                return Ok(Some(self.cut_line()));
            } else if !self.fill()? {
                let Range { start, end } = self.unread; // as long as the cap at most: there is room for a line end
                self.unread = 0..0;
                self.buffer[end] = b'\n';
                return Ok((start < end).then_some(start..end + 1));
            }
        }
    }

    /// The same, for good; `spare` is read into from now on.
    pub(super) fn take(&mut self, mut spare: Vec<u8>) -> io::Result<Option<Vec<u8>>> {
        let Some(Range { start, end }) = self.place()? else { return Ok(None) };
        spare.resize(BLOCK, 0);
        let rest = self.unread.clone();
        self.unread = 0..rest.len();
        spare[self.unread.clone()].copy_from_slice(&self.buffer[rest]);
        std::mem::swap(&mut self.buffer, &mut spare);
        spare.truncate(end);
        spare.drain(..start);
        Ok(Some(spare))
    }

    /// The first [`LINE_CAP`] bytes of what is unread, with a line end in place of the next one.
    fn cut_line(&mut self) -> Range<usize> {
        let start = self.unread.start;
        let end = start + LINE_CAP;
        self.buffer[end] = b'\n';
        self.unread.start = end + 1;
        self.skipping = true;
        self.cut += 1;
        start..end + 1
    }

    /// Reads another block behind what is unread; false at the end.
    fn fill(&mut self) -> io::Result<bool> {
        self.buffer.copy_within(self.unread.clone(), 0);
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

/// How many bytes come before the first line that is longer than the cap; looks at one line of 64 KiB only.
fn fitting(lines: &[u8]) -> usize {
    let mut next = 0;
    while lines.len() - next > LINE_CAP + 1 {
        match memrchr(b'\n', &lines[next..=next + LINE_CAP]) {
            Some(length) => next += length + 1,
            None => return next,
        }
    }
    lines.len()
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
        let mut block = vec![b'a'; BLOCK - 1];
        block.push(b'\n');
        for (name, text, want, cut) in [
            ("nothing", vec![], vec![], 0),
            ("two", b"a\nb\n".to_vec(), vec![&b"a"[..], b"b"], 0),
            ("no end", b"a\nb".to_vec(), vec![b"a", b"b"], 0),
            ("empty", b"\n\na\n\n".to_vec(), vec![b"", b"", b"a", b""], 0),
            ("as long as can be", [&long[..], b"\nb"].concat(), vec![&long, b"b"], 0),
            ("one more", [&over[..], b"\nb\n"].concat(), vec![&long, b"b"], 1),
            ("one more at the end", over.clone(), vec![&long], 1),
            ("huge", [&b"a\n"[..], &huge, b"\nb"].concat(), vec![b"a", &huge[..LINE_CAP], b"b"], 1),
            ("between", [&b"a\n"[..], &over, b"\nb\n"].concat(), vec![b"a", &long, b"b"], 1),
            ("two huge", [&huge[..], b"\n", &huge].concat(), vec![&huge[..LINE_CAP]; 2], 2),
            ("huge at the end", huge.clone(), vec![&huge[..LINE_CAP]], 1),
            ("a whole block", [&block[..], b"b\n"].concat(), vec![&block[..LINE_CAP], b"b"], 1),
        ] {
            for step in [1, 7, LINE_CAP, BLOCK, usize::MAX] {
                let mut blocks = Blocks::new(Drops(&text, step));
                let mut got = Vec::new();
                while let Some(block) = blocks.next().unwrap() {
                    got.extend(
                        block.strip_suffix(b"\n").unwrap().split(|byte| *byte == b'\n').map(<[u8]>::to_vec),
                    );
                }
                assert!(got == want, "{name}, {step} at a time: {} lines", got.len());
                let mut blocks_taken = Blocks::new(Drops(&text, step));
                let (mut spare, mut taken) = (Vec::new(), Vec::new());
                while let Some(block) = blocks_taken.take(std::mem::take(&mut spare)).unwrap() {
                    let lines = block.strip_suffix(b"\n").unwrap().split(|byte| *byte == b'\n');
                    taken.extend(lines.map(<[u8]>::to_vec));
                    spare = block;
                }
                assert!(taken == want, "{name}, {step} at a time: {} lines taken", taken.len());
                assert_eq!((blocks.cut, blocks.bytes), (cut, text.len() as u64), "{name}, {step} at a time");
            }
        }
    }
}
