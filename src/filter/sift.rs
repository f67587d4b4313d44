//! What can be told of the lines of a block before they are judged, by any thread: which of them need a look, and what
//! the patterns say of those by themselves.
//!
//! In: a block, and where the date of a line ended that the filter judged last. Out: [`Hits`]. They are right only for
//! lines whose date begins them and ends there; the filter, which alone knows the dates, looks whether it does.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::choices::Choices;
use super::first::First;
use super::head::Head;
use super::pattern::{Budget, Effort, Places};
use super::patterns::Matched;
use super::prefilter::Literals;

/// What a filter looks for in a block.
#[derive(Debug)]
pub(super) struct Scan {
    choices: Choices,
    /// The same of patterns that say something of a connection that is not known, if there are others.
    telling: Option<Choices>,
    /// What is looked for now.
    chosen: Mutex<Arc<Chosen>>,
    /// Blocks that have told what the log is like.
    blocks: AtomicUsize,
    /// Where the date of a line ended that was judged last; 0: it did not begin the line.
    date_end: AtomicU32,
}

/// Texts that are looked for, and of the lines that have one in them once more.
#[derive(Debug)]
struct Chosen {
    all: Literals,
    telling: Option<Literals>,
}

/// Looks through blocks; for other threads than the filter's.
#[derive(Debug)]
pub struct Scanner {
    scan: Arc<Scan>,
    sifter: Option<Sifter>,
}

/// Tells of one line what does not depend on others.
#[derive(Debug)]
pub(super) struct Sifter {
    pub(super) prefix: Prefix,
    pub(super) patterns: First,
    pub(super) places: Places,
}

/// What stands before the part of a text that the patterns look at.
#[derive(Debug)]
pub(super) enum Prefix {
    None,
    Head {
        head: Box<Head>,
        /// Its only group is that of the connection.
        is_session: bool,
    },
}

/// The lines of a text that a [`Scanner`] has found.
#[derive(Debug, Clone, Default)]
pub struct Hits {
    by: Option<Arc<Scan>>,
    found: Vec<Hit>,
    places: Vec<Place>,
}

/// A group: where it stands, or [`NOWHERE`].
type Place = (u32, u32);
const NOWHERE: u32 = u32::MAX;
/// So many lines tell what a log is like.
const MANY: usize = 500;
/// One of so many lines may be found without need.
const FEW: usize = 100;
/// Memory for so many lines is kept.
pub(super) const ROOM: usize = 16 * 1024;

#[derive(Debug, Clone)]
struct Hit {
    /// The line's number in the text.
    line: u32,
    date_end: u32,
    session: u32,
    sifted: Sifted,
}

#[derive(Debug, Clone)]
enum Sifted {
    Unknown,
    Quiet,
    No,
    By { content: u32, pattern: u32, places: Range<u32> },
}

/// What is known of a line, if its date begins it and ends at `date_end`. All places are in the text behind the date.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told<'h> {
    pub(super) date_end: usize,
    /// Where the text of `<F-MLFID>` ends, which begins the text.
    pub(super) session: Option<usize>,
    pub(super) what: What<'h>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum What<'h> {
    /// It has no text of a pattern that says something of a connection that is not known.
    Quiet,
    /// The prefix does not match, or no pattern does.
    No,
    /// This pattern is the first that matches the content, which begins here, its groups at these places of it.
    By { content: usize, pattern: usize, places: &'h [Place] },
}

impl Scan {
    /// None: there is no fast way to look for these on this machine.
    pub(super) fn new(choices: Choices, telling: Option<Choices>) -> Option<Self> {
        let chosen = Chosen { all: choices.first()?, telling: telling.as_ref().and_then(Choices::first) };
        let (chosen, blocks, date_end) =
            (Mutex::new(Arc::new(chosen)), AtomicUsize::new(0), AtomicU32::new(0));
        Some(Self { choices, telling, chosen, blocks, date_end })
    }

    fn chosen(&self) -> MutexGuard<'_, Arc<Chosen>> {
        self.chosen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks from now on for what fewer lines have, if too many were found; soon and then seldom.
    fn learn(&self, text: &[u8], found: usize, lines: usize) {
        if lines < MANY || found * FEW < lines {
            return;
        }
        let blocks = self.blocks.fetch_add(1, Ordering::Relaxed) + 1;
        if blocks.is_power_of_two() && blocks.trailing_zeros().is_multiple_of(2) {
            let telling = self.telling.as_ref().and_then(|telling| telling.choose(text));
            if let Some(all) = self.choices.choose(text) {
                *self.chosen() = Arc::new(Chosen { all, telling });
            }
        }
    }

    /// Lets scanners guess where dates end.
    pub(super) fn set_date_end(&self, end: usize) {
        self.date_end.store(u32::try_from(end).unwrap_or(0), Ordering::Relaxed);
    }

    /// Looks through the lines of a text, which end there.
    pub(super) fn look(
        self: &Arc<Self>,
        text: &[u8],
        ends: &[u32],
        sifter: Option<&mut Sifter>,
        hits: &mut Hits,
    ) {
        let Hits { by, found, places } = hits;
        *by = Some(Arc::clone(self));
        found.clear();
        places.clear();
        let date_end = self.date_end.load(Ordering::Relaxed);
        let mut sifter = sifter.filter(|_| date_end > 0);
        let (mut line, mut next) = (0, 0);
        let chosen = Arc::clone(&self.chosen());
        while let Some(at) = text.get(next..).and_then(|rest| chosen.all.find(rest)) {
            let before = line;
            line += ends[line..].iter().take_while(|end| **end as usize <= next + at).count();
            let start = if line > before { ends[line - 1] as usize } else { next };
            next = ends[line] as usize;
            let mut hit = Hit { line: line as u32, date_end, session: NOWHERE, sifted: Sifted::Unknown };
            if let Some(sifter) = &mut sifter {
                sifter.sift(&text[start..next], chosen.telling.as_ref(), &mut hit, places);
            }
            found.push(hit);
            line += 1;
        }
        self.learn(text, found.len(), ends.len());
    }
}

impl Scanner {
    pub(super) fn new(scan: Arc<Scan>, sifter: Option<Sifter>) -> Self {
        Self { scan, sifter }
    }

    /// Looks through the lines of a block, which end there ([`super::line_ends`]).
    pub fn scan(&mut self, text: &[u8], ends: &[u32]) -> Hits {
        let mut hits = Hits::default();
        self.scan.look(text, ends, self.sifter.as_mut(), &mut hits);
        hits
    }
}

impl Hits {
    /// Whether it was found for this filter.
    pub(super) fn is_by(&self, scan: &Arc<Scan>) -> bool {
        self.by.as_ref().is_some_and(|by| Arc::ptr_eq(by, scan))
    }

    /// Keeps its memory for other texts, unless it is much.
    pub(super) fn save_room(&mut self) {
        if self.found.capacity() > ROOM {
            *self = Self::default();
        }
    }

    /// The number of each line that was found, and what is known of it.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, Option<Told<'_>>)> {
        self.found.iter().map(|hit| {
            let what = match &hit.sifted {
                Sifted::Unknown => None,
                Sifted::Quiet => Some(What::Quiet),
                Sifted::No => Some(What::No),
                Sifted::By { content, pattern, places } => Some(What::By {
                    content: *content as usize,
                    pattern: *pattern as usize,
                    places: &self.places[places.start as usize..places.end as usize],
                }),
            };
            let session = Some(hit.session).filter(|end| *end != NOWHERE).map(|end| end as usize);
            let told = what.map(|what| Told { date_end: hit.date_end as usize, session, what });
            (hit.line as usize, told)
        })
    }
}

/// Groups at their places, as [`Places::found`] has them.
pub(super) fn groups(places: &[Place]) -> impl Iterator<Item = Option<(usize, usize)>> {
    places.iter().map(|(start, end)| (*start != NOWHERE).then_some((*start as usize, *end as usize)))
}

impl Sifter {
    /// Only ASCII is looked at, which is the same text in all encodings.
    fn sift(&mut self, line: &[u8], telling: Option<&Literals>, hit: &mut Hit, places: &mut Vec<Place>) {
        let ended = line.strip_suffix(b"\n").filter(|line| line.is_ascii() && line.last() != Some(&b'\r'));
        let (Some(_), Some(text)) = (ended, line.get(hit.date_end as usize..)) else { return };
        if telling.is_some_and(|telling| telling.find(line).is_none()) {
            if let Prefix::Head { head, .. } = &mut self.prefix
                && let Ok(session) = head.session(text, true)
            {
                hit.session = session.map_or(NOWHERE, |end| end as u32);
                hit.sifted = if session.is_some() { Sifted::Quiet } else { Sifted::No };
            }
            return;
        }
        let content = match &mut self.prefix {
            Prefix::None => 0,
            Prefix::Head { head, .. } => match head.end(text, true) {
                Ok(Some(end)) => end,
                Ok(None) => return hit.sifted = Sifted::No,
                Err(()) => return,
            },
        };
        let inner = &text[content..];
        hit.sifted = match self.patterns.find(inner, 0, &mut self.places, &mut Budget::new(Effort::default()))
        {
            Matched::Undecided => return,
            Matched::No => Sifted::No,
            Matched::By(pattern) => {
                let start = places.len() as u32;
                let place = |place: &Option<(usize, usize)>| {
                    place.map_or((NOWHERE, NOWHERE), |(start, end)| (start as u32, end as u32))
                };
                places.extend(self.places.found.iter().map(place));
                Sifted::By {
                    content: content as u32,
                    pattern: pattern as u32,
                    places: start..places.len() as u32,
                }
            }
        };
        if let Prefix::Head { head, is_session: true } = &mut self.prefix {
            hit.session = head.session_again(text, true).ok().flatten().map_or(NOWHERE, |end| end as u32);
        }
    }
}
