//! Writes journal files as journald does, as small as possible.

use std::collections::HashMap;

use crate::source::journal::hash::Hashing;

/// How a file is written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Form {
    pub(super) compact: bool,
    pub(super) keyed: bool,
    /// How values longer than 64 bytes are packed: 0 plain, 2 LZ4, 4 ZSTD.
    pub(super) packing: u8,
}

/// When, and by whose numbering, an entry is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) seqnum: u64,
    pub(super) realtime: u64,
    pub(super) monotonic: u64,
    pub(super) boot: u128,
}

/// A journal file in memory.
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
    form: Form,
    hashing: Hashing,
    values: HashMap<Vec<u8>, usize>,
}

const HEADER: usize = 256;
const BUCKETS: usize = 7;
const TABLE: usize = HEADER + 16;

/// Places in the header.
mod at {
    pub(super) const STATE: usize = 16;
    pub(super) const ENTRIES: usize = 152;
    pub(super) const TAIL_SEQNUM: usize = 160;
    pub(super) const HEAD_SEQNUM: usize = 168;
    pub(super) const ARRAY: usize = 176;
    pub(super) const HEAD_REALTIME: usize = 184;
    pub(super) const TAIL_REALTIME: usize = 192;
}

impl Writer {
    pub(super) fn new(form: Form, file_id: u128, stream: u128) -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[..8].copy_from_slice(b"LPKSHHRH");
        let packed = match form.packing {
            2 => 2,
            4 => 8,
            _ => 0,
        };
        bytes[12] = packed | (u8::from(form.keyed) * 4) | (u8::from(form.compact) * 16);
        bytes[at::STATE] = 1;
        bytes[24..40].copy_from_slice(&file_id.to_be_bytes());
        bytes[72..88].copy_from_slice(&stream.to_be_bytes());
        let hashing = if form.keyed { Hashing::Keyed(file_id.to_be_bytes()) } else { Hashing::Jenkins };
        let mut this = Self { bytes, form, hashing, values: HashMap::new() };
        this.put(88, HEADER as u64);
        this.put(104, TABLE as u64);
        this.put(112, BUCKETS as u64 * 16);
        this.object(4, 0, &[0; BUCKETS * 16]);
        this
    }

    /// Ends the file, as a rotation does.
    pub(super) fn archive(&mut self) {
        self.bytes[at::STATE] = 2;
    }

    /// Writes an entry and links it.
    pub(super) fn entry(&mut self, stamp: Stamp, values: &[Vec<u8>]) {
        let (entry, values) = self.visible(stamp, values);
        self.link(entry, &values);
    }

    /// Writes an entry so far that it can be seen; its values do not lead to it yet.
    pub(super) fn visible(&mut self, stamp: Stamp, values: &[Vec<u8>]) -> (usize, Vec<usize>) {
        let values: Vec<usize> = values.iter().map(|value| self.value(value)).collect();
        let mut body = Vec::new();
        for word in [stamp.seqnum, stamp.realtime, stamp.monotonic] {
            body.extend(word.to_le_bytes());
        }
        body.extend(stamp.boot.to_be_bytes());
        body.extend((stamp.seqnum ^ stamp.realtime).to_le_bytes());
        for value in &values {
            if self.form.compact {
                body.extend((*value as u32).to_le_bytes());
            } else {
                body.extend((*value as u64).to_le_bytes());
                body.extend([0; 8]);
            }
        }
        let entry = self.object(3, 0, &body);
        self.append(0, at::ARRAY, at::ENTRIES, entry);
        if self.get(at::HEAD_SEQNUM) == 0 {
            self.put(at::HEAD_SEQNUM, stamp.seqnum);
            self.put(at::HEAD_REALTIME, stamp.realtime);
        }
        self.put(at::TAIL_SEQNUM, stamp.seqnum);
        self.put(at::TAIL_REALTIME, stamp.realtime);
        (entry, values)
    }

    pub(super) fn link(&mut self, entry: usize, values: &[usize]) {
        for value in values {
            if self.get(value + 56) == 0 {
                self.put(value + 40, entry as u64);
                self.put(value + 56, 1);
            } else {
                self.append(1, value + 48, value + 56, entry);
            }
        }
    }

    /// The object of a value, which is written if it is new.
    fn value(&mut self, value: &[u8]) -> usize {
        if let Some(known) = self.values.get(value) {
            return *known;
        }
        let hash = self.hashing.of(value);
        let packing = if value.len() > 64 { self.form.packing } else { 0 };
        let mut body = hash.to_le_bytes().to_vec();
        body.extend([0; 40]);
        if self.form.compact {
            body.extend([0; 8]);
        }
        body.extend(pack(packing, value));
        let object = self.object(1, packing, &body);
        let bucket = TABLE + hash as usize % BUCKETS * 16;
        match self.get(bucket + 8) {
            0 => self.put(bucket, object as u64),
            tail => self.put(tail as usize + 24, object as u64),
        }
        self.put(bucket + 8, object as u64);
        self.values.insert(value.to_vec(), object);
        object
    }

    /// Appends an entry to a chain of arrays; `before` entries of it stand elsewhere.
    fn append(&mut self, before: u64, first: usize, count: usize, entry: usize) {
        let item = if self.form.compact { 4 } else { 8 };
        let mut place = self.get(count) - before;
        let (mut from, mut capacity) = (first, 2);
        loop {
            let mut array = self.get(from) as usize;
            if array == 0 {
                array = self.object(6, 0, &vec![0; 8 + capacity as usize * item]);
                self.put(from, array as u64);
            }
            if place < capacity {
                let at = array + 24 + place as usize * item;
                let offset = (entry as u64).to_le_bytes();
                self.bytes[at..at + item].copy_from_slice(&offset[..item]);
                break;
            }
            place -= capacity;
            (from, capacity) = (array + 16, capacity * 2);
        }
        self.put(count, self.get(count) + 1);
    }

    fn object(&mut self, kind: u8, flags: u8, body: &[u8]) -> usize {
        let offset = self.bytes.len();
        self.bytes.extend([kind, flags, 0, 0, 0, 0, 0, 0]);
        self.bytes.extend((16 + body.len() as u64).to_le_bytes());
        self.bytes.extend(body);
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        offset
    }

    pub(super) fn get(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.bytes[at..at + 8].try_into().unwrap())
    }

    fn put(&mut self, at: usize, value: u64) {
        self.bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
}

fn pack(packing: u8, value: &[u8]) -> Vec<u8> {
    match packing {
        2 => {
            // One run of literals.
            let mut block = (value.len() as u64).to_le_bytes().to_vec();
            block.push(0xf0);
            let mut rest = value.len() - 15;
            while rest >= 255 {
                block.push(255);
                rest -= 255;
            }
            block.push(rest as u8);
            block.extend(value);
            block
        }
        4 => ruzstd::encoding::compress_to_vec(value, ruzstd::encoding::CompressionLevel::Fastest),
        _ => value.to_vec(),
    }
}
