//! One tracked address in a few bytes: key, times, counts, data, lines.
//!
//! ```text
//! length           varint, of all that follows
//! kind, address | length   text: length, bytes      the key: equal keys are equal bytes; the highest bit: it is no more
//! last             8 bytes, always at hand for eviction and cleanup
//! last - first     varint
//! retry, saved     varint, the lowest bit tells whether the store knows the record
//! failures         varint
//! data             varint length, then per pair: index of the name (3 bits) and length (5), or more; packed value
//! lines            count, then each packed with its length
//! ```

use std::net::IpAddr;
use std::sync::Arc;

use super::Record;
use super::phrases::{Own, Phrases};
use crate::id::Id;
use crate::subnet::Subnet;
use crate::time::UnixTime;

/// A packed record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packed<'a> {
    size: usize,
    bytes: &'a [u8],
    key: usize,
}

/// What counting works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) first: UnixTime,
    pub(super) last: UnixTime,
    pub(super) retry: u32,
    pub(super) failures: u32,
    /// Whether the store knows this record (perhaps as it was earlier).
    pub(super) saved: bool,
}

/// In the first byte of a key: the record is only waste.
const GONE: u8 = 0x80;

/// Begins a pair whose name or value has no room in one byte with the other's length.
const LONG: u8 = 0xe0;

/// The names of data, kept once.
pub(super) type Names = Vec<Arc<str>>;

/// Writes the key of `id`.
pub(super) fn put_key(id: &Id, out: &mut Vec<u8>) {
    let net = match id {
        Id::Net(net) => net,
        Id::Text(text) => {
            out.push(4);
            put_varint(text.len() as u64, out);
            return out.extend_from_slice(text.as_bytes());
        }
    };
    net.write(out);
}

/// Begins a record's own text.
pub(super) fn put_own(id: &Id, own: &mut Vec<u8>) {
    match id {
        Id::Net(net) => net.spell(own),
        Id::Text(text) => own.extend_from_slice(text.as_bytes()),
    }
}

/// Writes the data of a first failure; the last are memory for it. What they say is the record's own text then.
pub(super) fn put_data<'d>(
    data: impl Iterator<Item = (&'d Arc<str>, &'d str)>,
    names: &mut Names,
    phrases: &mut Phrases,
    own: &mut Own,
    [body, value]: &mut [Vec<u8>; 2],
    out: &mut Vec<u8>,
) {
    body.clear();
    for (name, text) in data {
        let is_it = |known: &Arc<str>| Arc::ptr_eq(known, name) || known == name;
        let index = names.iter().position(is_it).unwrap_or(names.len());
        let Ok(byte) = u8::try_from(index) else { continue };
        if index == names.len() {
            names.push(Arc::clone(name));
        }
        value.clear();
        phrases.pack(text.as_bytes(), own, value);
        own.text.extend_from_slice(text.as_bytes());
        match u8::try_from(value.len()) {
            Ok(length @ ..0x20) if byte < LONG >> 5 => body.push(byte << 5 | length),
            _ => {
                body.extend([LONG, byte]);
                put_varint(value.len() as u64, body);
            }
        }
        body.extend_from_slice(value);
    }
    put_varint(body.len() as u64, out);
    out.extend_from_slice(body);
}

/// Writes lines that are packed already.
pub(super) fn put_lines(lines: &[&[u8]], out: &mut Vec<u8>) {
    put_varint(lines.len() as u64, out);
    for line in lines {
        put_varint(line.len() as u64, out);
        out.extend_from_slice(line);
    }
}

/// The same behind all the lines of a record.
pub(super) fn put_lines_behind(before: Body<'_>, lines: &[&[u8]], out: &mut Vec<u8>) {
    let mut rest = Reader(before.lines);
    let count = rest.varint();
    put_varint(count + lines.len() as u64, out);
    out.extend_from_slice(rest.0);
    for line in lines {
        put_varint(line.len() as u64, out);
        out.extend_from_slice(line);
    }
}

impl<'a> Packed<'a> {
    /// Puts a record together; `body` was written by [`put_data`] and [`put_lines`].
    pub(super) fn write(key: &[u8], head: Head, body: &[u8], out: &mut Vec<u8>) {
        let span = head.last.micros().wrapping_sub(head.first.micros()) as u64;
        let retry = u64::from(head.retry) << 1 | u64::from(head.saved);
        let numbers = [span, retry, u64::from(head.failures)];
        let size = 8 + numbers.iter().map(|number| varint_size(*number)).sum::<usize>();
        put_varint((key.len() + size + body.len()) as u64, out);
        out.extend_from_slice(key);
        out.extend_from_slice(&head.last.micros().to_le_bytes());
        for number in numbers {
            put_varint(number, out);
        }
        out.extend_from_slice(body);
    }

    /// The record that `text` begins with.
    pub(super) fn read(text: &'a [u8]) -> Self {
        let mut rest = Reader(text);
        let bytes = rest.block();
        let mut key = Reader(bytes);
        let address = match key.byte() & !GONE {
            0 => 4,
            1 => 16,
            2 => 5,
            3 => 17,
            _ => key.varint() as usize,
        };
        Self { size: text.len() - rest.0.len(), bytes, key: bytes.len() - key.0.len() + address }
    }

    /// The bytes it takes.
    pub(super) fn size(self) -> usize {
        self.size
    }

    /// Whether it is only waste by now.
    pub(super) fn is_gone(self) -> bool {
        self.bytes[0] & GONE != 0
    }

    /// Appends the record to others.
    pub(super) fn copy(self, out: &mut Vec<u8>) {
        put_varint(self.bytes.len() as u64, out);
        out.extend_from_slice(self.bytes);
    }

    /// The key that [`put_key`] wrote.
    pub(super) fn key(self) -> &'a [u8] {
        &self.bytes[..self.key]
    }

    /// Whose record it is.
    pub(super) fn id(self) -> Id {
        let mut key = Reader(self.key());
        let kind = key.byte();
        let address = match kind {
            0 | 2 => IpAddr::from(key.array::<4>()),
            1 | 3 => IpAddr::from(key.array::<16>()),
            _ => {
                key.varint();
                return Id::Text(String::from_utf8_lossy(key.0).into());
            }
        };
        let net = if kind < 2 { Some(address.into()) } else { Subnet::new(address, key.byte()) };
        Id::Net(net.unwrap_or_else(|| address.into()))
    }

    /// The latest failure, without reading more.
    pub(super) fn last(self) -> UnixTime {
        UnixTime::from_micros(i64::from_le_bytes(Reader(&self.bytes[self.key..]).array()))
    }

    /// What counting works on, and the rest.
    pub(super) fn open(self) -> (Head, Body<'a>) {
        let mut rest = Reader(&self.bytes[self.key..]);
        let last = i64::from_le_bytes(rest.array());
        let first = last.wrapping_sub(rest.varint() as i64);
        let retry = rest.varint();
        let head = Head {
            first: UnixTime::from_micros(first),
            last: UnixTime::from_micros(last),
            retry: (retry >> 1) as u32,
            failures: rest.varint() as u32,
            saved: retry & 1 == 1,
        };
        let before = rest.0;
        let data = rest.block();
        (head, Body { data_field: &before[..before.len() - rest.0.len()], data, lines: rest.0 })
    }

    /// Notes that the store knows now the record that `text` begins with.
    pub(super) fn mark_saved(text: &mut [u8]) {
        let packed = Packed::read(text);
        let mut rest = Reader(&packed.bytes[packed.key + 8..]);
        rest.varint();
        let at = packed.size - rest.0.len();
        text[at] |= 1;
    }

    /// Makes waste of the record that `text` begins with.
    pub(super) fn mark_gone(text: &mut [u8]) {
        let packed = Packed::read(text);
        let at = packed.size - packed.bytes.len();
        text[at] |= GONE;
    }

    /// The record as the rest of the program knows it.
    pub(super) fn record(self, names: &Names, phrases: &Phrases) -> Record {
        let (head, body) = self.open();
        let mut own = Vec::new();
        put_own(&self.id(), &mut own);
        let data = body.data(names, phrases, &mut own);
        Record {
            first: head.first,
            last: head.last,
            retry: head.retry,
            failures: head.failures,
            lines: body.lines().into_iter().map(|line| phrases.unpack(line, &own).into()).collect(),
            data,
        }
    }
}

/// Data and lines of a record, still packed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Body<'a> {
    /// The data with their length, as written.
    pub(super) data_field: &'a [u8],
    data: &'a [u8],
    lines: &'a [u8],
}

impl<'a> Body<'a> {
    /// How many lines there are, and their bytes.
    pub(super) fn size_of_lines(&self) -> (usize, usize) {
        let mut rest = Reader(self.lines);
        (rest.varint() as usize, rest.0.len())
    }

    /// The lines, oldest first.
    pub(super) fn lines(&self) -> Vec<&'a [u8]> {
        let mut rest = Reader(self.lines);
        (0..rest.varint()).map(|_| rest.block()).collect()
    }

    /// The data of the first failure; `own` is the record's text before, and with them after.
    fn data(&self, names: &Names, phrases: &Phrases, own: &mut Vec<u8>) -> Vec<(Arc<str>, String)> {
        let (mut rest, mut data) = (Reader(self.data), Vec::new());
        while !rest.0.is_empty() {
            let (index, value) = match rest.byte() {
                LONG => (rest.byte(), rest.block()),
                short => (short >> 5, rest.take((short & 0x1f).into())),
            };
            let name = Arc::clone(&names[usize::from(index)]);
            let value = phrases.unpack(value, own);
            own.extend_from_slice(value.as_bytes());
            data.push((name, value));
        }
        data
    }
}

/// Reads what this module wrote; nothing else ever gets here.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N));
        array
    }

    fn varint(&mut self) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = self.byte();
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return value;
            }
            shift += 7;
        }
    }

    /// Bytes behind their length.
    fn block(&mut self) -> &'a [u8] {
        let length = self.varint();
        self.take(length as usize)
    }
}

fn varint_size(value: u64) -> usize {
    (64 - (value | 1).leading_zeros()).div_ceil(7) as usize
}

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
