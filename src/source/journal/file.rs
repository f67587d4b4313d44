//! One journal file: its header, its entries and their values, and where a value's entries are.
//!
//! Edge: positioned reads of a file that may be written to at the same time, or made to mislead: each offset, size and
//! count is checked, every walk goes forward only. Source: systemd's `JOURNAL_FILE_FORMAT`.
//!
//! A writer makes an entry visible (the header's count) before it links it to its values. So a [`JournalFile::refresh`]
//! notes the last visible entry; all before it are linked, the last is judged by its own values.

use std::collections::HashSet;
use std::fs::File;
use std::sync::Arc;

use super::bytes::{Bytes, Damage, corrupt};
use super::chain::Chain;
use super::hash::Hashing;
use super::payload::{PACKED_CAP, Packing, unpack};

const SIGNATURE: &[u8] = b"LPKSHHRH";
/// Bytes of a header that every version has.
const HEADER: usize = 208;
const DATA: u8 = 1;
const ENTRY: u8 = 3;
/// The fields of an entry that are looked at; journald itself allows as many.
const ITEMS_CAP: u64 = 1024;
/// Values that no line is made of, as many as are remembered: most entries share them.
const DULL_CAP: usize = 4096;
/// Values with the same bucket that are looked at for one: past it the value counts as not there.
const BUCKET_CAP: usize = 10_000;

/// Features without which a file cannot be read.
mod needs {
    pub(super) const XZ: u32 = 1;
    pub(super) const KEYED_HASH: u32 = 4;
    pub(super) const COMPACT: u32 = 16;
    pub(super) const KNOWN: u32 = 31;
}

/// A 128-bit id, as its 32 hexadecimal digits are read.
pub(super) type Id128 = u128;

/// What a file's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) file_id: Id128,
    /// Whose numbering its entries follow.
    pub(super) stream: Id128,
    /// Whether a writer holds it, or has left it without closing.
    pub(super) online: bool,
    /// Whether it was rotated away.
    pub(super) archived: bool,
    pub(super) head_seqnum: u64,
    pub(super) entries: u64,
    pub(super) tail_realtime: u64,
    needs: u32,
    size: u64,
    table: u64,
    table_size: u64,
    array: u64,
}

/// An entry without its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) offset: u64,
    pub(super) seqnum: u64,
    /// µs since the epoch.
    pub(super) realtime: u64,
    /// µs since the boot.
    pub(super) monotonic: u64,
    pub(super) boot: Id128,
    pub(super) xor: u64,
    pub(super) items: u64,
}

/// An open journal file.
#[derive(Debug)]
pub(super) struct JournalFile {
    bytes: Bytes,
    pub(super) header: Header,
    hashing: Hashing,
    /// All entries.
    all: Chain,
    /// The last visible entry.
    last: Option<Entry>,
    /// Values that were of no interest.
    dull: HashSet<u64>,
}

/// Kind, flags and size of an object whose first bytes these are.
pub(super) fn object(head: &[u8; 24]) -> (u8, u8, u64) {
    (head[0], head[1], u64::from_le_bytes(std::array::from_fn(|at| head[8 + at])))
}

impl JournalFile {
    pub(super) fn open(file: Arc<File>) -> Result<Self, Damage> {
        let mut bytes = Bytes::new(file);
        let header = Header::read(&mut bytes)?;
        let compact = header.needs & needs::COMPACT != 0;
        let keyed = header.needs & needs::KEYED_HASH != 0;
        let hashing = if keyed { Hashing::Keyed(header.file_id.to_be_bytes()) } else { Hashing::Jenkins };
        let all = Chain::of_all(header.array, header.entries, compact);
        let mut this = Self { bytes, header, hashing, all, last: None, dull: HashSet::new() };
        this.find_last()?;
        Ok(this)
    }

    /// Sees what has been written since.
    pub(super) fn refresh(&mut self) -> Result<(), Damage> {
        self.bytes.forget();
        let header = Header::read(&mut self.bytes)?;
        if header.file_id != self.header.file_id || header.entries < self.header.entries {
            return Err(corrupt("another file's header", 0));
        }
        self.header = header;
        self.all.grow(0, header.array, header.entries);
        self.find_last()
    }

    fn find_last(&mut self) -> Result<(), Damage> {
        let number = self.header.entries.checked_sub(1);
        let offset = number.map(|number| self.all.number(&mut self.bytes, number)).transpose()?.flatten();
        if offset != self.last.map(|last| last.offset) {
            self.last = offset.map(|offset| self.entry(offset)).transpose()?;
        }
        Ok(())
    }

    /// The last entry that is visible since the last look.
    pub(super) fn last(&self) -> Option<&Entry> {
        self.last.as_ref()
    }

    /// Gives the memory of what was read back.
    pub(super) fn rest(&mut self) {
        self.bytes.forget();
        self.dull = HashSet::new();
    }

    /// Kind, flags and size of an object, which lies inside the file as far as that is known.
    fn object(&mut self, offset: u64, kind: u8) -> Result<(u8, u64), Damage> {
        if offset < self.header.size || !offset.is_multiple_of(8) {
            return Err(corrupt("an offset", offset));
        }
        let head = self.bytes.array(offset)?;
        let (found, flags, size) = object(&head);
        let smallest = 64;
        if found != kind || size < smallest || offset.checked_add(size).is_none() {
            return Err(corrupt("an object", offset));
        }
        Ok((flags, size))
    }

    pub(super) fn entry(&mut self, offset: u64) -> Result<Entry, Damage> {
        let (_, size) = self.object(offset, ENTRY)?;
        let items = (size - 64) / if self.compact() { 4 } else { 16 };
        let head: [u8; 64] = self.bytes.array(offset)?;
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| head[at + byte]));
        Ok(Entry {
            offset,
            seqnum: word(16),
            realtime: word(24),
            monotonic: word(32),
            boot: u128::from_be_bytes(std::array::from_fn(|byte| head[40 + byte])),
            xor: word(56),
            items: items.min(ITEMS_CAP),
        })
    }

    fn compact(&self) -> bool {
        self.header.needs & needs::COMPACT != 0
    }

    /// Hands out each value of an entry as `FIELD=value`, its first `limit` bytes. Values that are damaged are left out.
    pub(super) fn values(
        &mut self,
        entry: &Entry,
        limit: usize,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Damage> {
        let mut payload = Vec::new();
        for item in 0..entry.items {
            let offset = self.item(entry, item)?;
            if self.readable(offset, limit, &mut payload)? {
                each(&payload);
            }
        }
        Ok(())
    }

    /// The same for a caller that always says the same about a value: those that are `dull` to it are remembered, for
    /// entries have most of their values in common, and are not read again.
    pub(super) fn values_of_interest(
        &mut self,
        entry: &Entry,
        limit: usize,
        is_dull: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), Damage> {
        let mut payload = Vec::new();
        for item in 0..entry.items {
            let offset = self.item(entry, item)?;
            if self.dull.contains(&offset) || !self.readable(offset, limit, &mut payload)? {
                continue;
            }
            if is_dull(&payload) {
                if self.dull.len() >= DULL_CAP {
                    self.dull.clear();
                }
                self.dull.insert(offset);
            }
        }
        Ok(())
    }

    /// Where an entry's value is.
    fn item(&mut self, entry: &Entry, item: u64) -> Result<u64, Damage> {
        if self.compact() {
            self.bytes.u32(entry.offset + 64 + item * 4).map(u64::from)
        } else {
            self.bytes.u64(entry.offset + 64 + item * 16)
        }
    }

    /// Reads a value unless it is damaged.
    fn readable(&mut self, offset: u64, limit: usize, into: &mut Vec<u8>) -> Result<bool, Damage> {
        match self.payload(offset, limit, into) {
            Ok(()) => Ok(true),
            Err(error @ (Damage::Unsupported(_) | Damage::Io(_))) => Err(error),
            Err(_) => Ok(false),
        }
    }

    /// Reads a value, its first `limit` bytes.
    fn payload(&mut self, offset: u64, limit: usize, into: &mut Vec<u8>) -> Result<(), Damage> {
        let (flags, size) = self.object(offset, DATA)?;
        let packing = Packing::of(flags)?;
        let start = if self.compact() { 72 } else { 64 };
        let size = size.checked_sub(start).ok_or(corrupt("a value", offset))?;
        let cap = if packing == Packing::Plain { limit } else { PACKED_CAP };
        into.clear();
        into.resize(usize::try_from(size).map_or(cap, |size| size.min(cap)), 0);
        self.bytes.fill(offset + start, into)?;
        if packing != Packing::Plain {
            *into = unpack(packing, into, limit).ok_or(corrupt("a packed value", offset))?;
        }
        Ok(())
    }

    /// The value object of `FIELD=value`, if any entry has it.
    pub(super) fn find(&mut self, value: &[u8]) -> Result<Option<u64>, Damage> {
        let buckets = self.header.table_size / 16;
        if buckets == 0 {
            return Ok(None);
        }
        let hash = self.hashing.of(value);
        let place = self.header.table.checked_add(hash % buckets * 16);
        let mut at = self.bytes.u64(place.ok_or(corrupt("the hash table", self.header.table))?)?;
        let mut payload = Vec::new();
        for _ in 0..BUCKET_CAP {
            if at == 0 {
                break;
            }
            self.object(at, DATA)?;
            if self.bytes.u64(at + 16)? == hash {
                self.payload(at, value.len() + 1, &mut payload)?;
                if payload == value {
                    return Ok(Some(at));
                }
            }
            let next = self.bytes.u64(at + 24)?;
            if next != 0 && next <= at {
                return Err(corrupt("a hash chain", at));
            }
            at = next;
        }
        Ok(None)
    }

    /// The entries that have a value.
    pub(super) fn chain_of(&mut self, value: u64) -> Result<Chain, Damage> {
        let (first, array, total) = self.chain_head(value)?;
        Ok(Chain::of_value(first, array, total, self.compact()))
    }

    /// Takes over the entries that got a value since.
    pub(super) fn grow(&mut self, value: u64, chain: &mut Chain) -> Result<(), Damage> {
        let (first, array, total) = self.chain_head(value)?;
        chain.grow(first, array, total);
        Ok(())
    }

    fn chain_head(&mut self, value: u64) -> Result<(u64, u64, u64), Damage> {
        Ok((self.bytes.u64(value + 40)?, self.bytes.u64(value + 48)?, self.bytes.u64(value + 56)?))
    }

    /// All entries.
    pub(super) fn chain(&self) -> Chain {
        Chain::of_all(self.header.array, self.header.entries, self.compact())
    }

    pub(super) fn at_least(&mut self, chain: &mut Chain, offset: u64) -> Result<Option<u64>, Damage> {
        chain.at_least(&mut self.bytes, offset)
    }

    /// The first entry that `is_behind` says yes to, as their order says; none: all are before.
    pub(super) fn partition(&mut self, is_behind: impl Fn(&Entry) -> bool) -> Result<Option<u64>, Damage> {
        // The walk needs the file too, so it has bytes of its own.
        let mut bytes = Bytes::new(self.bytes.shared());
        self.chain().partition(&mut bytes, |offset| self.entry(offset).map(|entry| is_behind(&entry)))
    }
}

/// Whether it is a journal's file in a form that is not built in.
pub(super) fn is_foreign(file: File) -> bool {
    matches!(Header::read(&mut Bytes::new(Arc::new(file))), Err(Damage::Unsupported(_)))
}

impl Header {
    fn read(bytes: &mut Bytes) -> Result<Self, Damage> {
        let head: [u8; HEADER] = bytes.array(0).map_err(|error| match error {
            Damage::Io(_) => error,
            _ => Damage::NotAJournal,
        })?;
        if &head[..8] != SIGNATURE {
            return Err(Damage::NotAJournal);
        }
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| head[at + byte]));
        let id = |at: usize| u128::from_be_bytes(std::array::from_fn(|byte| head[at + byte]));
        let needs = u32::from_le_bytes(std::array::from_fn(|byte| head[12 + byte]));
        if needs & !needs::KNOWN != 0 {
            return Err(Damage::Unsupported("a newer format"));
        }
        if needs & needs::XZ != 0 {
            return Err(Damage::Unsupported("XZ"));
        }
        let size = word(88);
        if size < HEADER as u64 {
            return Err(corrupt("the header", 88));
        }
        Ok(Self {
            file_id: id(24),
            stream: id(72),
            online: head[16] == 1,
            archived: head[16] == 2,
            head_seqnum: word(168),
            entries: word(152),
            tail_realtime: word(192),
            needs,
            size,
            table: word(104),
            table_size: word(112),
            array: word(176),
        })
    }
}
