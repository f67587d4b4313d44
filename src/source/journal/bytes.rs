//! Positioned reads of a journal file through a few cached pages: nothing is mapped, no offset is trusted.

use std::fs::File;
use std::io;
use std::sync::Arc;

/// Bytes that are read at once.
const PAGE: usize = 8 * 1024;
/// Pages that are kept while a file is being read.
const PAGES: usize = 24;

/// Why a journal file, or a part of it, cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Damage {
    #[error("not a journal file")]
    NotAJournal,
    #[error("needs what is not built in ({0})")]
    Unsupported(&'static str),
    #[error("damaged: {what} at {offset}")]
    Corrupt { what: &'static str, offset: u64 },
    #[error("{0}")]
    Io(io::ErrorKind),
}

impl From<io::Error> for Damage {
    fn from(error: io::Error) -> Self {
        Self::Io(error.kind())
    }
}

pub(super) fn corrupt(what: &'static str, offset: u64) -> Damage {
    Damage::Corrupt { what, offset }
}

#[derive(Debug)]
struct Page {
    number: u64,
    bytes: Vec<u8>,
}

/// A file's bytes as they were when first looked at since the last [`Bytes::forget`].
#[derive(Debug)]
pub(super) struct Bytes {
    file: Arc<File>,
    /// The one used last comes last.
    pages: Vec<Page>,
}

impl Bytes {
    pub(super) fn new(file: Arc<File>) -> Self {
        Self { file, pages: Vec::new() }
    }

    pub(super) fn shared(&self) -> Arc<File> {
        self.file.clone()
    }

    /// From now on everything is read anew.
    pub(super) fn forget(&mut self) {
        self.pages.clear();
        self.pages.shrink_to_fit();
    }

    /// Fills `into` from there.
    pub(super) fn fill(&mut self, mut offset: u64, mut into: &mut [u8]) -> Result<(), Damage> {
        while !into.is_empty() {
            let within = (offset % PAGE as u64) as usize;
            let page = self.page(offset / PAGE as u64)?;
            let available = page.bytes.get(within..).unwrap_or_default();
            if available.is_empty() {
                return Err(corrupt("a place behind the end", offset));
            }
            let length = available.len().min(into.len());
            let (now, later) = into.split_at_mut(length);
            now.copy_from_slice(&available[..length]);
            into = later;
            offset = offset.saturating_add(length as u64);
        }
        Ok(())
    }

    pub(super) fn array<const N: usize>(&mut self, offset: u64) -> Result<[u8; N], Damage> {
        let mut bytes = [0; N];
        self.fill(offset, &mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn u64(&mut self, offset: u64) -> Result<u64, Damage> {
        self.array(offset).map(u64::from_le_bytes)
    }

    pub(super) fn u32(&mut self, offset: u64) -> Result<u32, Damage> {
        self.array(offset).map(u32::from_le_bytes)
    }

    fn page(&mut self, number: u64) -> Result<&Page, Damage> {
        if let Some(at) = self.pages.iter().rposition(|page| page.number == number) {
            self.pages[at..].rotate_left(1);
        } else {
            let mut bytes = if self.pages.len() >= PAGES { self.pages.remove(0).bytes } else { Vec::new() };
            bytes.clear();
            bytes.reserve_exact(PAGE);
            let start = number.checked_mul(PAGE as u64).ok_or(corrupt("a place", number))?;
            rustix::io::retry_on_intr(|| {
                rustix::io::pread(&*self.file, rustix::buffer::spare_capacity(&mut bytes), start)
            })
            .map_err(io::Error::from)?;
            self.pages.push(Page { number, bytes });
        }
        self.pages.last().ok_or(corrupt("a place", number))
    }
}
