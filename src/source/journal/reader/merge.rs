//! The files' entries in one order, made into lines; how far each stream is handled with them.

use std::collections::HashMap;

use super::JournalReader;
use super::source::Source;
use crate::source::journal::file::{Entry, Id128};
use crate::source::journal::line::Fields;
use crate::source::journal::place::{Copied, spelled};
use crate::time::UnixTime;

/// Bytes and lines that a block holds, about.
const TEXT: usize = 128 * 1024;
const LINES: usize = 2_000;

impl JournalReader {
    /// The file whose next entry comes first.
    pub(super) fn first(&self) -> Option<usize> {
        let mut heads: HashMap<Id128, (usize, &Entry)> = HashMap::new();
        for (at, source) in self.sources.iter().enumerate() {
            let Some(entry) = source.next().filter(|entry| entry.seqnum <= self.ceiling(source.stream()))
            else {
                continue;
            };
            let head = heads.entry(source.stream()).or_insert((at, entry));
            if entry.seqnum < head.1.seqnum {
                *head = (at, entry);
            }
        }
        let key = |entry: &Entry| (entry.realtime, entry.xor);
        let first = heads.into_values().reduce(|a, b| {
            let a_first = if a.1.boot == b.1.boot && a.1.monotonic != b.1.monotonic {
                a.1.monotonic < b.1.monotonic
            } else {
                (key(a.1), a.0) < (key(b.1), b.0)
            };
            if a_first { a } else { b }
        });
        first.map(|(at, _)| at)
    }

    /// Makes a line of a file's next entry.
    pub(super) fn take(&mut self, at: usize, draft: &mut Draft, now: UnixTime) {
        let source = &mut self.sources[at];
        let Some(entry) = source.take_next() else { return };
        if !source.volatile && self.place.is_copy(&source.folder, &entry) {
            return;
        }
        if let Err(failure) = source.fill(&mut self.fields, &entry) {
            let source = self.sources.remove(at);
            return self.failed(source.id, source.path, &failure, now);
        }
        draft.push(&self.fields, &entry);
        let stream = source.stream();
        let copied = source.volatile.then(|| Copied {
            folder: source.folder.clone(),
            boot: entry.boot,
            monotonic: entry.monotonic,
        });
        self.place.handed_out(spelled(stream, &entry));
        let mark = self.place.mark(stream);
        mark.realtime = entry.realtime;
        mark.seqnum = entry.seqnum;
        mark.copied = copied.or(mark.copied.take());
    }

    /// Notes how far each stream is handled, what nobody wanted included.
    pub(super) fn mark(&mut self) {
        for at in 0..self.sources.len() {
            let stream = self.sources[at].stream();
            let of_stream = self.sources.iter().filter(|source| source.stream() == stream);
            let waiting = of_stream.filter_map(Source::not_before).min();
            let handled = waiting.map_or(u64::MAX, |next| next.saturating_sub(1)).min(self.ceiling(stream));
            if handled == 0 {
                continue;
            }
            let mark = self.place.mark(stream);
            mark.seqnum = mark.seqnum.max(handled);
        }
    }
}

/// A block that is being filled.
#[derive(Debug, Default)]
pub(in crate::source::journal) struct Draft {
    pub(super) text: Vec<u8>,
    pub(in crate::source::journal) times: Vec<UnixTime>,
    pub(super) cut: u32,
    pub(in crate::source::journal) live: bool,
}

impl Draft {
    pub(in crate::source::journal) fn push(&mut self, fields: &Fields, entry: &Entry) {
        self.cut += u32::from(fields.write(entry.monotonic, &mut self.text));
        self.times.push(fields.time(entry.realtime));
    }

    pub(in crate::source::journal) fn is_full(&self) -> bool {
        self.text.len() >= TEXT || self.times.len() >= LINES
    }
}
