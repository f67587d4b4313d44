//! One open log file: blocks of whole lines by positioned reads, truncation seen by its head.

use std::fmt;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use super::head::{self, Head};
use super::spare::Spare;
use super::{Cursor, LINE_CAP};

/// How many bytes are read at once, at most.
pub(super) const BLOCK: usize = 256 * 1024;

/// The unfinished line that is read again when it grows; of a longer one only what is new is searched.
const SHORT: u64 = 4096;

/// Why a path cannot be read now; each is looked at again on the next look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Neither file nor link is there.
    Missing,
    /// It is a directory.
    Directory,
    /// It is a FIFO, socket or device.
    Special,
    /// Some directory or the file itself may not be opened.
    Denied,
    /// No descriptor is left.
    Exhausted,
    /// Anything else the system says.
    Failed(io::ErrorKind),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        match (error.kind(), error.raw_os_error()) {
            (io::ErrorKind::NotFound | io::ErrorKind::NotADirectory, _) => Self::Missing,
            (io::ErrorKind::PermissionDenied, _) => Self::Denied,
            (_, Some(libc::EMFILE | libc::ENFILE)) => Self::Exhausted,
            (kind, _) => Self::Failed(kind),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("waiting for it to appear"),
            Self::Directory => f.write_str("a directory, not a file"),
            Self::Special => f.write_str("not a regular file"),
            Self::Denied => f.write_str("permission denied"),
            Self::Exhausted => f.write_str("too many open files"),
            Self::Failed(kind) => write!(f, "{kind}"),
        }
    }
}

/// Tells files apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct FileId {
    pub(super) dev: u64,
    pub(super) inode: u64,
}

impl FileId {
    pub(super) fn of(meta: &Metadata) -> Self {
        Self { dev: meta.dev(), inode: meta.ino() }
    }
}

/// Changes whenever the content does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(meta: &Metadata) -> Self {
        Self {
            size: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }
}

/// A file that was read to its end, and how it looked then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    id: FileId,
    stamp: Stamp,
}

impl Seen {
    /// Whether nothing has changed.
    pub(super) fn is(self, meta: &Metadata) -> bool {
        self == Self { id: FileId::of(meta), stamp: Stamp::of(meta) }
    }
}

/// What one read brought.
#[derive(Debug)]
pub(super) enum Piece {
    /// Whole lines; `cut` of them were cut, `end`: the file's end was reached.
    Lines { text: Vec<u8>, cut: u32, end: bool },
    /// The line is longer than this read: read on.
    Inside,
    /// Nothing more now.
    End,
    /// The file is shorter than what was read, or begins with something else.
    Truncated,
}

/// An open file and a place in it. Clones share the descriptor, not the place.
#[derive(Debug, Clone)]
pub(super) struct Log {
    file: Arc<File>,
    pub(super) id: FileId,
    /// The start of the next line.
    pub(super) offset: u64,
    /// Bytes behind `offset` known to hold no line end.
    scanned: u64,
    pub(super) head: Head,
    /// How the file looked when its end was last reached.
    seen: Option<Stamp>,
}

impl Log {
    /// Opens a regular file at its start; never blocks, and never opens anything else.
    pub(super) fn open(path: &Path) -> Result<Self, Trouble> {
        regular(&fs::metadata(path)?)?;
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        let file = File::options().read(true).custom_flags(flags).open(path)?;
        let meta = file.metadata()?;
        regular(&meta)?; // it may have been replaced meanwhile
        Ok(Self {
            file: Arc::new(file),
            id: FileId::of(&meta),
            offset: 0,
            scanned: 0,
            head: Head::default(),
            seen: None,
        })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn meta(&self) -> io::Result<Metadata> {
        self.file.metadata()
    }

    /// How the file looked when all of it had been read; none if it is not all read.
    pub(super) fn seen(&self) -> Option<Seen> {
        self.seen.map(|stamp| Seen { id: self.id, stamp })
    }

    /// Whether a read may bring something else than [`Piece::End`].
    pub(super) fn changed(&self, meta: &Metadata) -> bool {
        self.seen != Some(Stamp::of(meta))
    }

    /// Whether everything was read, but for an unfinished line.
    pub(super) fn at_end(&self) -> bool {
        self.meta().map_or(true, |meta| meta.len() <= self.offset + self.scanned)
    }

    /// Whether what was read is gone.
    pub(super) fn truncated(&self) -> bool {
        let shorter = self.meta().is_ok_and(|meta| meta.len() < self.offset + self.scanned);
        shorter || !self.head.fits(&self.file).unwrap_or(true)
    }

    /// Goes to a place in this file; false: the file is not the one that the cursor was in.
    pub(super) fn resume(&mut self, cursor: &Cursor) -> io::Result<bool> {
        let head = Head { len: cursor.head_len.min(head::HEAD as u32), hash: cursor.head_hash };
        let fits = self.meta()?.len() >= cursor.offset && head.fits(&self.file)?;
        if fits {
            (self.offset, self.scanned, self.head, self.seen) = (cursor.offset, 0, head, None);
        }
        Ok(fits)
    }

    /// Goes to the start: the content is new.
    pub(super) fn rewind(&mut self) {
        (self.offset, self.scanned, self.head, self.seen) = (0, 0, Head::default(), None);
    }

    /// Goes to the start of a line that is read for the first time.
    pub(super) fn skip_to(&mut self, offset: u64) -> io::Result<()> {
        (self.offset, self.scanned, self.head, self.seen) = (offset, 0, Head::default(), None);
        self.head.grow(&self.file, offset).map(|_| ())
    }

    /// Reads the next lines.
    pub(super) fn next(&mut self, spare: &mut Spare) -> io::Result<Piece> {
        let meta = self.meta()?;
        let size = meta.len();
        let from = self.offset + self.scanned;
        if size < from {
            return Ok(Piece::Truncated);
        }
        if size == from {
            if self.changed(&meta) && !self.head.fits(&self.file)? {
                return Ok(Piece::Truncated);
            }
            self.seen = Some(Stamp::of(&meta));
            return Ok(Piece::End);
        }
        // A short start of a line is read again with its end, a long one is only searched on.
        let start = if self.scanned <= SHORT { self.offset } else { from };
        let bytes = self.bytes(start, size - start, spare)?;
        let read_to = start + bytes.len() as u64;
        let new = bytes.get((from - start) as usize..).unwrap_or_default();
        let piece = match memchr::memchr(b'\n', new) {
            Some(_) if start == self.offset => self.take(bytes, size)?,
            Some(first) => {
                spare.put(bytes);
                let length = self.scanned + first as u64;
                if length > LINE_CAP as u64 {
                    self.take_long(self.offset + length + 1, size)?
                } else {
                    let bytes = self.bytes(self.offset, size - self.offset, spare)?;
                    self.take(bytes, size)?
                }
            }
            None if new.is_empty() || !self.head.fits(&self.file)? => Piece::Truncated,
            None => {
                spare.put(bytes);
                self.scanned = read_to - self.offset;
                if read_to >= size { Piece::End } else { Piece::Inside }
            }
        };
        if matches!(piece, Piece::End | Piece::Lines { end: true, .. }) {
            self.seen = Some(Stamp::of(&meta));
        }
        Ok(piece)
    }

    /// Up to a block of bytes; the memory fits them.
    fn bytes(&self, offset: u64, available: u64, spare: &mut Spare) -> io::Result<Vec<u8>> {
        let mut bytes = spare.take(usize::try_from(available).map_or(BLOCK, |n| n.min(BLOCK)));
        rustix::io::retry_on_intr(|| {
            rustix::io::pread(&*self.file, rustix::buffer::spare_capacity(&mut bytes), offset)
        })?;
        Ok(bytes)
    }

    /// Gives out the whole lines of what was read at `offset`; behind them is the start of an unfinished one.
    fn take(&mut self, mut text: Vec<u8>, size: u64) -> io::Result<Piece> {
        let whole = memchr::memrchr(b'\n', &text).map_or(0, |last| last + 1);
        let offset = self.offset + whole as u64;
        if whole == 0 || !self.head.grow(&self.file, offset)? {
            return Ok(Piece::Truncated);
        }
        let rest = text.len() - whole;
        text.truncate(whole);
        if text.capacity() > 2 * whole && whole < BLOCK / 2 {
            text.shrink_to_fit();
        }
        (self.offset, self.scanned) = (offset, rest as u64);
        let (text, cut) = cut_long(text);
        Ok(Piece::Lines { text, cut, end: offset + rest as u64 >= size })
    }

    /// Gives out the start of a long line that ends before `offset`.
    fn take_long(&mut self, offset: u64, size: u64) -> io::Result<Piece> {
        let mut text = vec![0; LINE_CAP + 1];
        if head::fill(&self.file, &mut text[..LINE_CAP], self.offset)? < LINE_CAP
            || !self.head.grow(&self.file, offset)?
        {
            return Ok(Piece::Truncated);
        }
        text[LINE_CAP] = b'\n';
        (self.offset, self.scanned) = (offset, 0);
        Ok(Piece::Lines { text, cut: 1, end: offset >= size })
    }
}

fn regular(meta: &Metadata) -> Result<(), Trouble> {
    match meta.file_type() {
        kind if kind.is_file() => Ok(()),
        kind if kind.is_dir() => Err(Trouble::Directory),
        _ => Err(Trouble::Special),
    }
}

/// Cuts each line behind [`LINE_CAP`] bytes; every line of `text` is ended.
fn cut_long(text: Vec<u8>) -> (Vec<u8>, u32) {
    let mut cut = 0;
    let mut kept = Vec::new();
    let (mut from, mut at) = (0, 0);
    while at < text.len() {
        let window = &text[at..text.len().min(at + LINE_CAP + 1)];
        if let Some(last) = memchr::memrchr(b'\n', window) {
            at += last + 1;
            continue;
        }
        cut += 1;
        kept.extend_from_slice(&text[from..at + LINE_CAP]);
        at += LINE_CAP;
        at += memchr::memchr(b'\n', &text[at..]).unwrap_or(text.len() - at);
        from = at;
        at += 1;
    }
    if cut == 0 {
        return (text, 0);
    }
    kept.extend_from_slice(&text[from.min(text.len())..]);
    (kept, cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_cut_and_their_neighbours_kept() {
        let line = |byte: u8, length: usize| [vec![byte; length], b"\n".to_vec()].concat();
        for (lengths, expected_cut) in [
            (vec![], 0),
            (vec![0, 3, 0], 0),
            (vec![LINE_CAP], 0),
            (vec![LINE_CAP + 1], 1),
            (vec![1, LINE_CAP + 1, 2], 1),
            (vec![LINE_CAP - 1, LINE_CAP, LINE_CAP + 1, LINE_CAP + 5, 0], 2),
            (vec![3 * LINE_CAP, 0, 2 * LINE_CAP], 2),
        ] {
            let text = |cap: usize| {
                let bytes = (b'a'..).zip(&lengths).map(|(byte, length)| line(byte, cap.min(*length)));
                bytes.collect::<Vec<_>>().concat()
            };
            let (got, cut) = cut_long(text(usize::MAX));
            assert!(got == text(LINE_CAP), "{lengths:?}: {} bytes", got.len());
            assert_eq!(cut, expected_cut, "{lengths:?}");
        }
    }
}
