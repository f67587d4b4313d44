//! A fingerprint of a file's first bytes: tells whether a file still is the one that was read.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// How many bytes it covers at most.
pub(super) const HEAD: usize = 4096;

/// Length and hash of the bytes at the start of a file, never more than have been read as lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) len: u32,
    pub(super) hash: u64,
}

impl Head {
    fn of(bytes: &[u8]) -> Self {
        Self { len: bytes.len() as u32, hash: hash(bytes) }
    }

    /// Whether the file begins with these bytes; a head of no bytes fits any file.
    pub(super) fn fits(self, file: &File) -> io::Result<bool> {
        let mut copy = self;
        copy.grow(file, u64::from(self.len))
    }

    /// Compares the file's first bytes with what they were, and takes in more of them, up to `offset`.
    /// False: they differ (or are gone), so the file was truncated and filled again.
    pub(super) fn grow(&mut self, file: &File, offset: u64) -> io::Result<bool> {
        let mut bytes = [0; HEAD];
        let want = usize::try_from(offset).unwrap_or(HEAD).min(HEAD).max(self.len as usize);
        if fill(file, &mut bytes[..want], 0)? < want || Self::of(&bytes[..self.len as usize]) != *self {
            return Ok(false);
        }
        *self = Self::of(&bytes[..want]);
        Ok(true)
    }
}

/// Reads until `bytes` is full or the file ends; returns how many were read.
pub(super) fn fill(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Eight bytes at a time, each step a bijection; it is stored, so it must not change.
fn hash(bytes: &[u8]) -> u64 {
    let step = |hash: u64, word: u64| {
        let mixed = (hash ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed ^ (mixed >> 32)
    };
    let mut words = bytes.chunks_exact(8);
    let mut hash = bytes.len() as u64;
    for word in &mut words {
        hash = step(hash, u64::from_le_bytes(word.try_into().unwrap_or_default()));
    }
    let mut last = [0; 8];
    last[..words.remainder().len()].copy_from_slice(words.remainder());
    step(hash, u64::from_le_bytes(last)) & i64::MAX as u64 // SQLite has signed integers only
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_hash_never_changes() {
        for (text, expected) in [
            ("", 0),
            ("a", 6_110_722_307_022_594_671),
            ("12345678", 2_561_916_273_855_452_647),
            ("123456789", 1_973_133_179_713_251_253),
        ] {
            assert_eq!(hash(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn a_head_grows_with_the_file_and_sees_another_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, "one\ntwo\n").unwrap();
        let file = File::open(&path).unwrap();
        let mut head = Head::default();
        assert!(head.fits(&file).unwrap(), "nothing read yet");
        assert!(head.grow(&file, 4).unwrap());
        assert_eq!(head, Head::of(b"one\n"));
        assert!(head.grow(&file, 8).unwrap());
        std::fs::write(&path, "one\nTWO\nthree\n").unwrap();
        assert!(!head.grow(&file, 14).unwrap());
        assert!(Head::of(b"one\n").fits(&file).unwrap());
        std::fs::write(&path, "one").unwrap();
        assert!(!Head::of(b"one\n").fits(&file).unwrap(), "shorter than the head");
    }
}
