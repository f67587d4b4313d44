//! Decides when an address has failed too often.
//!
//! Pure: no clock, no I/O, no actors; the caller passes the time of each failure.
//! In: one failure at a time. Out: an offence when Fail2Ban's rate rule (SPEC §4.1) reaches `max_retry`.
//!
//! An attacker chooses how many addresses fail and how long their lines are. So records are packed (a sshd failure
//! takes about 60 bytes, its line included), they and their bytes are capped, and at a cap an eighth of the records
//! is given up at once, which keeps the work per failure constant.

mod dirty;
mod packed;
mod phrases;
mod rate;
mod records;
mod room;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use smol_str::SmolStr;

pub use self::dirty::Dirty;
use self::packed::{Head, Names, Packed, put_data, put_key, put_lines, put_lines_behind, put_own};
use self::phrases::{Own, Phrases};
use self::records::{Records, Spot};
use crate::id::Id;
use crate::time::UnixTime;

/// A saved line is cut behind this many bytes.
const LINE_KEPT: usize = 2048;
/// All saved lines of one address take at most this many bytes; each failure writes them anew.
const LINES_KEPT: usize = 16 * 1024;
/// A value of the data is cut behind this many bytes.
const VALUE_KEPT: usize = 256;
/// While memory is short an address keeps one line, cut behind this many bytes, …
const LINE_KEPT_SHORT: usize = 128;
/// … and values so long.
const VALUE_KEPT_SHORT: usize = 32;
/// Stale records are looked for at most this often.
const CLEANUP_EVERY: Duration = Duration::from_secs(5);

/// When failures become an offence, and how much is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackerOptions {
    /// Failures until a ban; 0 bans at the first.
    pub max_retry: u32,
    /// The span of the rate rule.
    pub find_time: Duration,
    /// Lines kept per address (the last ones).
    pub max_matches: usize,
    /// Addresses tracked at once; past it the lowest retry, then the oldest, is evicted.
    pub max_tracked: usize,
}

/// What is remembered of one address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The first failure, moved forward by the rate rule.
    pub first: UnixTime,
    /// The latest failure.
    pub last: UnixTime,
    /// The count that the rate rule works on.
    pub retry: u32,
    /// All failures since the record began.
    pub failures: u32,
    /// The last lines.
    pub lines: Vec<Arc<str>>,
    /// What the first failure's pattern named (`user`, …).
    pub data: Vec<(Arc<str>, String)>,
}

/// A record that reached `max_retry` and left the list: counting starts anew.
pub type Offence = Record;

/// The failures of one jail.
#[derive(Debug)]
pub struct Tracker {
    options: TrackerOptions,
    records: Records,
    names: Names,
    phrases: Phrases,
    /// Those whose record is no more, while the store still has one.
    gone: HashSet<Id>,
    evicted: u64,
    /// No record's latest failure is before this.
    oldest: UnixTime,
    cleaned: Option<UnixTime>,
    /// The key pointed at, and its record.
    spot: Spot,
    /// Used again for each failure: a body; new lines, packed one behind the other, and where each ends; data.
    body: Vec<u8>,
    packed: (Vec<u8>, Vec<usize>),
    data: [Vec<u8>; 2],
    own: Own,
}

impl Tracker {
    /// Nobody has failed yet.
    pub fn new(options: TrackerOptions) -> Self {
        Self {
            options,
            records: Records::default(),
            names: Names::new(),
            phrases: Phrases::default(),
            gone: HashSet::new(),
            evicted: 0,
            oldest: UnixTime::from_micros(i64::MAX),
            cleaned: None,
            spot: Spot::default(),
            body: Vec::new(),
            packed: (Vec::new(), Vec::new()),
            data: [Vec::new(), Vec::new()],
            own: Own::default(),
        }
    }

    /// Counts one failure of `id`; the offence if it was one too many.
    ///
    /// A time after `now` counts as `now`. What is too old to matter is not looked at: see [`Tracker::lapse`].
    pub fn fail(
        &mut self,
        id: &Id,
        time: UnixTime,
        lines: &[Arc<str>],
        data: &[(Arc<str>, SmolStr)],
        now: UnixTime,
    ) -> Option<Offence> {
        self.add(id, time.min(now), lines, data, 1)
    }

    /// Counts one failure of `id` as if it were one for each line, but at least one.
    pub fn charge(&mut self, id: &Id, lines: &[Arc<str>], now: UnixTime) -> Option<Offence> {
        self.add(id, now, lines, &[], u32::try_from(lines.len()).unwrap_or(u32::MAX).max(1))
    }

    fn add(
        &mut self,
        id: &Id,
        time: UnixTime,
        lines: &[Arc<str>],
        data: &[(Arc<str>, SmolStr)],
        weight: u32,
    ) -> Option<Offence> {
        self.point_at(id);
        let known = self.known().map(|packed| packed.open().0);
        let mut head = known.unwrap_or_else(|| Head::new(time, weight));
        if known.is_some() {
            head.fail(time, self.options.find_time, weight);
        }
        if head.retry >= self.options.max_retry {
            return Some(self.offence(id, head, lines, data));
        }
        self.put(id, head, lines, data);
        None
    }

    /// The last failure of `id` counts `more` times more, since it is known to be bad; the offence if that is too many.
    pub fn aggravate(&mut self, id: &Id, more: u32, now: UnixTime) -> Option<Offence> {
        self.point_at(id);
        let last = self.known()?.last();
        let mut head = self.known()?.open().0;
        head.fail(last.min(now), self.options.find_time, more);
        if head.retry >= self.options.max_retry {
            return Some(self.offence(id, head, &[], &[]));
        }
        self.put(id, head, &[], &[] as &[(Arc<str>, SmolStr)]);
        None
    }

    /// Forgets the record of `id` if a failure at `time` comes so late that the earlier ones no longer count.
    ///
    /// This is [`Tracker::cleanup`] for one address, at the moment when it matters: with it a verdict depends on the
    /// failures alone and not on when the last cleanup ran, so a restart changes none.
    pub fn lapse(&mut self, id: &Id, time: UnixTime) {
        self.point_at(id);
        let stale = time - self.options.find_time;
        if self.known().is_some_and(|packed| packed.last() <= stale) {
            self.remove(id);
        }
    }

    /// Forgets everybody whose latest failure is `find_time` ago or more. Looks at most every 5 seconds, and only
    /// when there can be one.
    pub fn cleanup(&mut self, now: UnixTime) {
        let soon = self.cleaned.is_some_and(|cleaned| cleaned <= now && now.since(cleaned) < CLEANUP_EVERY);
        if soon {
            return;
        }
        self.cleaned = Some(now);
        self.forget_stale(now);
    }

    /// As [`Tracker::cleanup`], however lately it was done.
    pub fn forget_stale(&mut self, now: UnixTime) {
        let stale = now - self.options.find_time;
        if self.oldest > stale {
            return;
        }
        let mut oldest = UnixTime::from_micros(i64::MAX);
        self.records.remove_if(|_, packed| {
            if packed.last() > stale {
                oldest = oldest.min(packed.last());
                return false;
            }
            note_removal(packed, &mut self.gone);
            true
        });
        self.oldest = oldest;
        self.forget_phrases();
    }

    /// How many are counted now.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether nobody is counted.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many records were given up for lack of room.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Whether `id` is counted.
    pub fn knows(&mut self, id: &Id) -> bool {
        self.point_at(id);
        self.known().is_some()
    }

    /// What is known of `id`.
    pub fn get(&self, id: &Id) -> Option<Record> {
        let mut key = Vec::new();
        put_key(id, &mut key);
        Some(self.records.find(&key)?.record(&self.names, &self.phrases))
    }

    /// Everybody who is counted, in no order.
    pub fn records(&self) -> impl Iterator<Item = (Id, Record)> {
        self.records.iter().map(|packed| (packed.id(), packed.record(&self.names, &self.phrases)))
    }

    /// Goes on from what the store remembered. May be called with one part after the other.
    pub fn restore(&mut self, records: Vec<(Id, Record)>) {
        let all_saved = self.records.is_saved();
        for (id, record) in records {
            self.point_at(&id);
            self.remove(&id);
            let head = Head {
                first: record.first,
                last: record.last,
                retry: record.retry,
                failures: record.failures,
                saved: true,
            };
            self.put(&id, head, &record.lines, &record.data);
            self.gone.remove(&id);
        }
        if all_saved {
            self.records.set_saved();
        }
    }

    /// What changed since the last call: the record as it is now, none if there is none any more.
    pub fn take_dirty(&mut self) -> Dirty {
        Dirty::take(std::mem::take(&mut self.gone), &mut self.records, &self.names, &self.phrases)
    }

    /// Counts by other rules from now on; what is counted stays, as far as there is room.
    pub fn retune(&mut self, options: TrackerOptions) {
        self.options = options;
        let surplus = self.records.len().saturating_sub(self.options.max_tracked.max(1));
        self.evict(surplus);
    }

    /// Points at the key of `id`.
    fn point_at(&mut self, id: &Id) {
        self.body.clear();
        put_key(id, &mut self.body);
        self.records.point(&mut self.spot, &mut self.body);
    }

    /// The record of the key pointed at.
    fn known(&self) -> Option<Packed<'_>> {
        self.records.get(&self.spot)
    }

    /// Writes the record of the key pointed at: what is known of it with `head` and one more failure's lines.
    fn put(&mut self, id: &Id, mut head: Head, lines: &[Arc<str>], data: &[(Arc<str>, impl AsRef<str>)]) {
        let short = self.is_short();
        let (keep, cut, value) =
            if short { (1, LINE_KEPT_SHORT, VALUE_KEPT_SHORT) } else { (usize::MAX, LINE_KEPT, VALUE_KEPT) };
        let keep = keep.min(self.options.max_matches);
        if self.known().is_none() {
            // A removal that the store has yet to hear of: it knows an earlier record.
            head.saved |= !self.gone.is_empty() && self.gone.remove(id);
            self.make_room();
            self.records.point_again(&mut self.spot);
        }
        let known = self.records.get(&self.spot).map(|known| known.open().1);
        self.body.clear();
        self.own.clear();
        if let Some(known) = &known {
            self.body.extend_from_slice(known.data_field);
        } else {
            put_own(id, &mut self.own.text);
            let data = data.iter().map(|(name, text)| (name, cut_at(text.as_ref(), value)));
            let spare = &mut self.data;
            put_data(data, &mut self.names, &mut self.phrases, &mut self.own, spare, &mut self.body);
        }

        let (packed, ends) = &mut self.packed;
        packed.clear();
        ends.clear();
        for line in &lines[lines.len().saturating_sub(keep)..] {
            self.phrases.pack(cut_at(line, cut).as_bytes(), &mut self.own, packed);
            ends.push(packed.len());
        }
        let more = ends.iter().scan(0, |from, end| Some(&packed[std::mem::replace(from, *end)..*end]));
        let more: SmallVec<[_; 4]> = more.collect();
        if let Some(known) = known {
            let (count, size) = known.size_of_lines();
            if count + more.len() <= keep && size + packed.len() < LINES_KEPT {
                put_lines_behind(known, &more, &mut self.body);
            } else {
                let all = [&known.lines()[..], &more].concat();
                put_lines(last(&all, keep), &mut self.body);
            }
        } else {
            put_lines(last(&more, keep), &mut self.body);
        }
        self.records.put(&self.spot, head, &self.body);
        self.oldest = self.oldest.min(head.last);
    }

    /// Takes out the record of the key pointed at.
    fn remove(&mut self, id: &Id) -> bool {
        let Some(packed) = self.records.get(&self.spot) else { return false };
        debug_assert_eq!(packed.id(), *id);
        note_removal(packed, &mut self.gone);
        let removed = self.records.remove(&self.spot);
        self.records.point_again(&mut self.spot);
        removed
    }

    /// Takes out the record of the key pointed at, with one more failure.
    fn offence(&mut self, id: &Id, head: Head, lines: &[Arc<str>], data: &[(Arc<str>, SmolStr)]) -> Offence {
        let known = self.known().map(|packed| packed.record(&self.names, &self.phrases));
        let (mut all, data) = known
            .map_or_else(|| (Vec::new(), kept_data(data, VALUE_KEPT)), |known| (known.lines, known.data));
        all.extend(lines.iter().map(|line| match cut_at(line, LINE_KEPT) {
            whole if whole.len() == line.len() => Arc::clone(line),
            cut => cut.into(),
        }));
        all.drain(..all.len().saturating_sub(self.options.max_matches));
        self.remove(id);
        self.forget_phrases();
        Record {
            first: head.first,
            last: head.last,
            retry: head.retry,
            failures: head.failures,
            lines: all,
            data,
        }
    }

    /// When no record needs them.
    fn forget_phrases(&mut self) {
        if self.records.len() == 0 {
            self.phrases.clear();
        }
    }
}

/// The store need not hear of a record that came and went between two saves.
fn note_removal(packed: Packed<'_>, gone: &mut HashSet<Id>) {
    if packed.open().0.saved {
        gone.insert(packed.id());
    }
}

/// The last lines, as many as are kept and there is room for.
fn last<'l, 't>(lines: &'l [&'t [u8]], keep: usize) -> &'l [&'t [u8]] {
    let mut room = LINES_KEPT;
    let kept = lines.iter().rev().take(keep).take_while(|line| {
        room = room.saturating_sub(line.len());
        room > 0
    });
    &lines[lines.len() - kept.count()..]
}

fn kept_data(data: &[(Arc<str>, SmolStr)], cut: usize) -> Vec<(Arc<str>, String)> {
    data.iter().map(|(name, value)| (Arc::clone(name), cut_at(value, cut).to_owned())).collect()
}

/// The beginning of `text`, at most `bytes` long.
fn cut_at(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    &text[..end]
}

#[cfg(test)]
mod tests;
