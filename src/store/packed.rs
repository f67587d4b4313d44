//! Failure counters as bytes: sorted, in parts of some kilobytes, so that runs of them are merged part by part.
//!
//! Pure. An entry is a key and a value, each behind its length; an empty value says that the counter counts no more.
//!
//! ```text
//! key    kind, address, length of a prefix   kind, text
//! value  first, last: 8 bytes each; retry, failures; data: count, names and values; lines: count, lines
//! ```

use std::net::IpAddr;
use std::ops::Range;
use std::str;
use std::sync::Arc;

use crate::id::Id;
use crate::subnet::Subnet;
use crate::time::UnixTime;
use crate::tracker::Record;

/// A part ends with the entry that reaches this.
pub(super) const PART: usize = 32 * 1024;

/// No part begins so.
pub(super) const NONSENSE: &[u8] = &[0x80];

/// Counters that changed, and those that are gone. Of several words about one the last counts.
#[derive(Debug, Default)]
pub(super) struct Changed {
    keys: Vec<u8>,
    values: Vec<u8>,
    /// Where each key and each value stands.
    places: Vec<(Range<usize>, Range<usize>)>,
}

impl Changed {
    /// Adds one; none: it counts no more.
    pub(super) fn push(&mut self, id: &Id, record: Option<&Record>) {
        let (key, value) = (self.keys.len(), self.values.len());
        put_key(id, &mut self.keys);
        if let Some(record) = record {
            put_record(record, &mut self.values);
        }
        self.places.push((key..self.keys.len(), value..self.values.len()));
    }

    /// The bytes it takes.
    pub(super) fn size(&self) -> usize {
        self.keys.len() + self.values.len()
    }

    /// Hands out sorted parts, each as soon as it is full.
    pub(super) fn pack<E>(mut self, mut put: impl FnMut(Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        let keys = &self.keys;
        self.places.sort_by(|(one, _), (other, _)| keys[one.clone()].cmp(&keys[other.clone()]));
        let mut parts = Parts::default();
        for (at, (key, value)) in self.places.iter().enumerate() {
            let key = &keys[key.clone()];
            if self.places.get(at + 1).is_none_or(|(next, _)| keys[next.clone()] != *key) {
                parts.push(key, &self.values[value.clone()]);
                parts.full().try_for_each(&mut put)?;
            }
        }
        parts.0.into_iter().try_for_each(put)
    }
}

/// Parts while they are filled.
#[derive(Debug, Default)]
pub(super) struct Parts(pub(super) Vec<Vec<u8>>);

impl Parts {
    /// Appends an entry; keys come sorted.
    pub(super) fn push(&mut self, key: &[u8], value: &[u8]) {
        if self.0.last().is_none_or(|part| part.len() >= PART) {
            self.0.push(Vec::new());
        }
        if let Some(part) = self.0.last_mut() {
            put_text(key, part);
            put_text(value, part);
        }
    }

    /// The parts that are full.
    pub(super) fn full(&mut self) -> impl Iterator<Item = Vec<u8>> {
        let full = self.0.iter().take_while(|part| part.len() >= PART).count();
        self.0.drain(..full)
    }
}

fn put_key(id: &Id, out: &mut Vec<u8>) {
    let net = match id {
        Id::Net(net) => net,
        Id::Text(text) => {
            out.push(4);
            return out.extend_from_slice(text.as_bytes());
        }
    };
    net.write(out);
}

fn put_record(record: &Record, out: &mut Vec<u8>) {
    out.extend_from_slice(&record.first.micros().to_le_bytes());
    out.extend_from_slice(&record.last.micros().to_le_bytes());
    put_number(record.retry.into(), out);
    put_number(record.failures.into(), out);
    put_number(record.data.len() as u64, out);
    for (name, value) in &record.data {
        put_text(name.as_bytes(), out);
        put_text(value.as_bytes(), out);
    }
    put_number(record.lines.len() as u64, out);
    for line in &record.lines {
        put_text(line.as_bytes(), out);
    }
}

fn put_text(text: &[u8], out: &mut Vec<u8>) {
    put_number(text.len() as u64, out);
    out.extend_from_slice(text);
}

fn put_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Whose counter it is; none: the key makes no sense.
pub(super) fn id(key: &[u8]) -> Option<Id> {
    let (&kind, rest) = key.split_first()?;
    let address = match (kind, rest.len()) {
        (0, 4) | (2, 5) => IpAddr::from(<[u8; 4]>::try_from(&rest[..4]).ok()?),
        (1, 16) | (3, 17) => IpAddr::from(<[u8; 16]>::try_from(&rest[..16]).ok()?),
        (4, _) => return Some(Id::Text(str::from_utf8(rest).ok()?.into())),
        _ => return None,
    };
    Some(Id::Net(if kind < 2 { address.into() } else { Subnet::new(address, *rest.last()?)? }))
}

/// The counter; none: the value makes no sense.
pub(super) fn record(value: &[u8]) -> Option<Record> {
    let mut rest = Reader(value);
    let (first, last) = (rest.time()?, rest.time()?);
    let (retry, failures) = (rest.small()?, rest.small()?);
    let (mut data, mut lines) = (Vec::new(), Vec::new());
    for _ in 0..rest.number()? {
        let name = Arc::from(rest.words()?);
        data.push((name, rest.words()?.to_owned()));
    }
    for _ in 0..rest.number()? {
        lines.push(rest.words()?.into());
    }
    rest.0.is_empty().then_some(Record { first, last, retry, failures, lines, data })
}

/// Reads what may not be what we wrote.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(number);
            }
            shift += 7;
        }
    }

    fn small(&mut self) -> Option<u32> {
        self.number()?.try_into().ok()
    }

    fn time(&mut self) -> Option<UnixTime> {
        Some(UnixTime::from_micros(i64::from_le_bytes(self.take(8)?.try_into().ok()?)))
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?.try_into().ok()?;
        self.take(length)
    }

    fn words(&mut self) -> Option<&'a str> {
        str::from_utf8(self.text()?).ok()
    }
}

/// One run of parts while it is read.
#[derive(Debug, Default)]
struct Front {
    part: Vec<u8>,
    /// Where in `part` the entry at hand lies.
    key: Range<usize>,
    value: Range<usize>,
    /// The number of the next part.
    next: i64,
    is_over: bool,
}

impl Front {
    /// Goes to the next entry; `fetch` gives the part of a number. Answers whether what was there made sense.
    fn advance<E>(&mut self, mut fetch: impl FnMut(i64) -> Result<Option<Vec<u8>>, E>) -> Result<bool, E> {
        while self.value.end >= self.part.len() {
            let Some(part) = fetch(self.next)? else {
                self.is_over = true;
                return Ok(true);
            };
            *self = Self { part, next: self.next + 1, ..Self::default() };
        }
        let mut rest = Reader(&self.part[self.value.end..]);
        let mut text = || {
            let length = rest.text()?.len();
            let end = self.part.len() - rest.0.len();
            Some(end - length..end)
        };
        let Some((key, value)) = text().zip(text()) else {
            // What follows in this part cannot be told apart.
            *self = Self { next: self.next, ..Self::default() };
            return Ok(false);
        };
        (self.key, self.value) = (key, value);
        Ok(true)
    }

    fn key(&self) -> &[u8] {
        &self.part[self.key.clone()]
    }
}

/// Joins runs, the oldest first: `each` gets every key once, in order, with its newest value. `fetch` gives a part of a
/// run by its number, from 0, as long as there is one. Answers how many parts end in something that makes no sense.
pub(super) fn merge<E>(
    runs: usize,
    mut fetch: impl FnMut(usize, i64) -> Result<Option<Vec<u8>>, E>,
    mut each: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
) -> Result<u64, E> {
    let mut fronts: Vec<Front> = (0..runs).map(|_| Front::default()).collect();
    let mut odd = 0;
    let mut forward = |front: &mut Front, run: usize, odd: &mut u64| {
        while !front.advance(|part| fetch(run, part))? {
            *odd += 1;
        }
        Ok(())
    };
    for (run, front) in fronts.iter_mut().enumerate() {
        forward(front, run, &mut odd)?;
    }
    let mut key = Vec::new();
    loop {
        let open = fronts.iter().enumerate().filter(|(_, front)| !front.is_over);
        // Of equal ones the newest.
        let first =
            open.min_by(|(one, front), (other, next)| front.key().cmp(next.key()).then(other.cmp(one)));
        let Some((_, first)) = first else { return Ok(odd) };
        key.clear();
        key.extend_from_slice(first.key());
        each(&key, &first.part[first.value.clone()])?;
        for (run, front) in fronts.iter_mut().enumerate() {
            while !front.is_over && front.key() == key {
                forward(front, run, &mut odd)?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    type Changes = Vec<(u8, Option<u32>)>;

    fn name(n: u8) -> Id {
        Id::parse(&match n % 5 {
            0 => format!("192.0.2.{n}"),
            1 => format!("2001:db8::{n:x}"),
            2 => format!("10.{n}.0.0/16"),
            3 => format!("2001:db8:{n:x}::/48"),
            _ => "u".repeat(usize::from(n)),
        })
    }

    fn some(retry: u32) -> Record {
        Record {
            first: UnixTime::from_micros(-i64::from(retry)),
            last: UnixTime::from_micros(i64::MAX),
            retry,
            failures: u32::MAX,
            lines: vec!["ä".repeat(retry as usize % 5000).into(), "".into()],
            data: vec![("user".into(), String::new()), ("".into(), "x".repeat(retry as usize % 300))],
        }
    }

    fn run(changes: &Changes) -> Vec<Vec<u8>> {
        let mut all = Changed::default();
        for (n, retry) in changes {
            all.push(&name(*n), retry.map(some).as_ref());
        }
        let mut parts = Vec::new();
        let keep = |part| {
            parts.push(part);
            Ok::<_, Infallible>(())
        };
        all.pack(keep).unwrap();
        parts
    }

    fn merged(runs: &[Vec<Vec<u8>>]) -> (Vec<(Id, Option<Record>)>, u64) {
        let mut all = Vec::new();
        let fetch = |run: usize, part: i64| Ok::<_, Infallible>(runs[run].get(part as usize).cloned());
        let odd = merge(runs.len(), fetch, |key, value| {
            all.push((id(key).unwrap(), (!value.is_empty()).then(|| record(value).unwrap())));
            Ok(())
        });
        (all, odd.unwrap())
    }

    proptest! {
        #[test]
        fn the_newest_word_about_each_counts(
            runs in prop::collection::vec(prop::collection::vec((any::<u8>(), prop::option::of(0..9999_u32)), 0..60), 0..6)
        ) {
            let want: BTreeMap<Id, Option<u32>> = runs.iter().flatten().map(|(n, retry)| (name(*n), *retry)).collect();
            let (mut got, odd) = merged(&runs.iter().map(run).collect::<Vec<_>>());
            got.sort_by(|(one, _), (other, _)| one.cmp(other));
            let want: Vec<_> = want.into_iter().map(|(id, retry)| (id, retry.map(some))).collect();
            prop_assert_eq!((got, odd), (want, 0));
        }

        #[test]
        fn senseless_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0..100_usize) {
            let mut good = run(&vec![(5, Some(3)), (6, Some(50))]);
            good[0].truncate(cut);
            let fetch = |run: usize, part: i64| Ok::<_, Infallible>([&bytes, &good[0]].get(run + part as usize * 2).map(|part| (*part).clone()));
            merge(2, fetch, |key, value| {
                let _ = (id(key), record(value));
                Ok(())
            }).unwrap();
            let _ = (id(&bytes), record(&bytes));
        }
    }

    #[test]
    fn a_damaged_part_costs_what_follows_in_it() {
        let mut whole = run(&vec![(0, Some(1)), (5, Some(2))]);
        let length = whole[0].len();
        whole[0].truncate(length - 1);
        let (got, odd) = merged(&[whole, run(&vec![(10, Some(3))])]);
        assert_eq!(got, [(name(0), Some(some(1))), (name(10), Some(some(3)))]);
        assert_eq!(odd, 1);
    }
}
