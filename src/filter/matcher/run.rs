//! Repeated classes.

use std::sync::Arc;

use memchr::memmem;

use crate::filter::syntax::{ByteSet, Chars, is_first};

/// A repeated class, or a class repeated up to some text: `(?:(?! from ).)*`.
#[derive(Debug)]
pub(super) struct Run {
    /// The bytes of it, of a character beyond ASCII only where all of these belong to it.
    pub(super) set: ByteSet,
    /// Its characters, where it has some beyond ASCII.
    pub(super) chars: Option<Arc<Chars>>,
    /// The only byte that is not in `set`.
    all_but: Option<u8>,
    /// Where this text begins the run ends.
    until: Option<memmem::Finder<'static>>,
    min: usize,
    max: usize,
    pub(super) greedy: bool,
    /// The bytes that can come next; none: it may be the end, or anything.
    next: Option<ByteSet>,
    /// What comes next cannot be in the run: there is nothing to give back.
    pub(super) settled: bool,
    is_simple: bool,
}

impl Run {
    pub(super) fn new(
        set: ByteSet,
        chars: Option<Arc<Chars>>,
        min: usize,
        max: Option<u32>,
        greedy: bool,
    ) -> Self {
        let mut others = set.negated().bytes();
        let all_but = others.next().filter(|_| others.next().is_none());
        let max = max.map_or(usize::MAX, |max| max as usize);
        Self {
            set,
            chars,
            all_but,
            until: None,
            min,
            max,
            greedy,
            next: None,
            settled: false,
            is_simple: false,
        }
    }

    /// What its first character can begin with; none when it may take nothing.
    pub(super) fn first(&self) -> ByteSet {
        self.chars.as_ref().map_or(self.set, |chars| chars.first())
    }

    pub(super) fn until(mut self, text: Option<&[u8]>) -> Self {
        self.until = text.map(|text| memmem::Finder::new(text).into_owned());
        self
    }

    pub(super) fn may_be_empty(&self) -> bool {
        self.min == 0
    }

    /// Learns what can come next.
    pub(super) fn followed_by(&mut self, next: Option<ByteSet>) {
        self.settled = next.is_some_and(|next| !next.overlaps(self.first()));
        // At least one: a round that takes nothing is another thing.
        self.is_simple = self.settled && self.greedy && self.until.is_none() && self.min > 0;
        self.next = next;
    }

    /// Whether another one takes what it does.
    pub(super) fn takes_the_same(&self, other: &Self) -> bool {
        let same_chars = match (&self.chars, &other.chars) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        };
        same_chars && self.set == other.set && (self.min, self.max) == (other.min, other.max)
    }

    /// Whether there is nothing to give back, nor to look for.
    pub(super) fn is_simple<const WIDE: bool>(&self) -> bool {
        self.is_simple && (!WIDE || self.chars.is_none())
    }

    /// Whether it takes nothing here, and may.
    pub(super) fn is_absent<const WIDE: bool>(&self, text: &[u8], at: usize) -> bool {
        self.min == 0
            && self.until.is_none()
            && !(WIDE && self.chars.is_some())
            && text.get(at).is_none_or(|byte| !self.set.contains(*byte))
    }

    /// How long a simple run from the beginning of a text is; none when it is too short.
    pub(super) fn take(&self, text: &[u8]) -> Option<usize> {
        let length = self.length(text, self.max);
        (length >= self.min).then_some(length)
    }

    /// How long so many simple runs are from the beginning of a text, each with this byte behind it; if they are not there,
    /// how much was looked at.
    pub(super) fn take_rounds(&self, text: &[u8], end: u8, count: usize) -> Result<usize, usize> {
        let mut at = 0;
        for _ in 0..count {
            at += self.take(&text[at..]).ok_or(at)?;
            if text.get(at) != Some(&end) {
                return Err(at);
            }
            at += 1;
        }
        Ok(at)
    }

    /// Where the shortest and the longest run from `at` end; none when there is none. Also, how many bytes were looked at.
    pub(super) fn ends_paid<const WIDE: bool>(
        &self,
        text: &[u8],
        at: usize,
    ) -> (Option<(usize, usize)>, usize) {
        let reach = self.reach(text, at, text.len());
        let ends = self.ends::<WIDE>(reach, at);
        let looked_at = if self.until.is_some() { reach.len() - at } else { 0 };
        (ends, looked_at.max(ends.map_or(self.min, |(_, most)| most - at)))
    }

    /// The text up to where a run from `at` must end, which may be behind `enough`.
    fn reach<'t>(&self, text: &'t [u8], at: usize, enough: usize) -> &'t [u8] {
        let Some(until) = &self.until else { return text };
        let looked_at = &text[at..text.len().min(enough + until.needle().len() - 1)];
        until.find(looked_at).map_or(text, |place| &text[..at + place])
    }

    fn ends<const WIDE: bool>(&self, text: &[u8], at: usize) -> Option<(usize, usize)> {
        match &self.chars {
            Some(chars) if WIDE => self.wide_ends(chars, text, at),
            _ => {
                let length = self.length(&text[at..], self.max);
                (length >= self.min).then_some((at + self.min, at + length))
            }
        }
    }

    fn wide_ends(&self, chars: &Chars, text: &[u8], at: usize) -> Option<(usize, usize)> {
        let (mut least, mut end, mut count) = (at, at, 0);
        let rest_is_bytes = chars.is_full() && self.max == usize::MAX;
        while count < self.max && !(rest_is_bytes && count >= self.min) {
            let Some(length) = chars.take(text, end) else { break };
            end += length;
            count += 1;
            if count == self.min {
                least = end;
            }
        }
        if count < self.min {
            return None;
        }
        if rest_is_bytes {
            end += self.length(&text[end..], usize::MAX);
        }
        Some((least, end))
    }

    /// The same; for a run without bounds, `known` tells from where to where its class goes on, and learns it.
    pub(super) fn ends_knowing<const WIDE: bool>(
        &self,
        text: &[u8],
        at: usize,
        known: &mut Option<(usize, usize)>,
    ) -> (Option<(usize, usize)>, usize) {
        if self.max != usize::MAX || self.min > 1 {
            return self.ends_paid::<WIDE>(text, at);
        }
        let (end, looked_at) = match *known {
            Some((from, to)) if from <= at && at <= to => (to, 0),
            Some((from, to)) if at < from => {
                let reach = self.reach(text, at, from);
                let end = self.end::<WIDE>(&reach[..from.min(reach.len())], at);
                (if end == from { to } else { end }, from - at)
            }
            _ => {
                let reach = self.reach(text, at, text.len());
                let end = self.end::<WIDE>(reach, at);
                (end, if self.until.is_some() { reach.len() - at } else { end - at })
            }
        };
        if looked_at > 0 {
            *known = Some((at, end));
        }
        let first = match self.min {
            0 => Some(at),
            _ if at == end => None,
            _ if WIDE => Some((at + 1..end).find(|at| is_first(text[*at])).unwrap_or(end)),
            _ => Some(at + 1),
        };
        (first.map(|first| (first, end)), looked_at)
    }

    /// Where the run from `at` ends when nothing limits it.
    fn end<const WIDE: bool>(&self, text: &[u8], at: usize) -> usize {
        match &self.chars {
            Some(chars) if WIDE && !chars.is_full() => {
                let mut end = at;
                while let Some(length) = chars.take(text, end) {
                    end += length;
                }
                end
            }
            _ => at + self.length(&text[at..], usize::MAX),
        }
    }

    /// How many bytes at the beginning of a text are in the class, up to `most`.
    fn length(&self, text: &[u8], most: usize) -> usize {
        let text = &text[..text.len().min(most)];
        let end = match self.all_but {
            Some(byte) => memchr::memchr(byte, text),
            None => text.iter().position(|byte| !self.set.contains(*byte)),
        };
        end.unwrap_or(text.len())
    }

    /// The next place before `at` where what follows could begin.
    pub(super) fn shorter<const WIDE: bool>(&self, text: &[u8], least: usize, at: usize) -> Option<usize> {
        match self.next {
            None if WIDE => {
                text[least..at].iter().rposition(|byte| is_first(*byte)).map(|place| least + place)
            }
            None => at.checked_sub(1).filter(|at| *at >= least),
            Some(next) => {
                text[least..at].iter().rposition(|byte| next.contains(*byte)).map(|place| least + place)
            }
        }
    }

    /// The next place after `at` where what follows could begin.
    pub(super) fn longer<const WIDE: bool>(&self, text: &[u8], at: usize, most: usize) -> Option<usize> {
        match self.next {
            None if WIDE => (at + 1..=most).find(|at| text.get(*at).is_none_or(|byte| is_first(*byte))),
            None => Some(at + 1).filter(|at| *at <= most),
            Some(next) => {
                // What follows takes a byte, which may stand right behind the longest run.
                let places = text.get(at + 1..text.len().min(most + 1))?;
                places.iter().position(|byte| next.contains(*byte)).map(|place| at + 1 + place)
            }
        }
    }
}
