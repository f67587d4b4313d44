//! Looks in a block for the lines that need a look, for one filter or for several at once.
//!
//! In: a block, where its lines end, and what the filters have learnt of their log. Out: [`Hits`] for each.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::choices::{Choices, Texts};
use super::hits::{Hit, Hits, NOWHERE, Sifted};
use super::prefilter::{FAST, Literals, few};
use super::runs::Runs;
use super::sift::Sifter;

/// So many lines tell what a log is like.
const MANY: usize = 500;
/// One of so many lines may be found without need.
const FEW: usize = 100;

/// Of so many lines one is found, where many are.
const OFTEN: usize = 4;

/// What a filter looks for in a block, and what it has learnt of its log.
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
    /// So many bytes of a line told all of its date; 0: they do not.
    date_head: AtomicU32,
}

/// Texts that are looked for, and of the lines that have one in them once more.
#[derive(Debug)]
struct Chosen {
    /// As few as are enough.
    texts: Texts,
    all: Literals,
    telling: Option<Literals>,
}

/// Looks through blocks; for other threads than the filter's.
#[derive(Debug)]
pub struct Scanner {
    scan: Arc<Scan>,
    sifter: Option<Sifter>,
}

/// What several filters look for, put together.
#[derive(Debug, Default)]
pub struct Union {
    of: Vec<Arc<Chosen>>,
    all: Option<Literals>,
}

impl Chosen {
    fn new(texts: &Texts, telling: Option<&Texts>) -> Option<Self> {
        let (all, telling) = (Literals::new(texts)?, telling.and_then(|telling| Literals::new(telling)));
        let texts = few(texts).into_iter().map(<[u8]>::to_vec).collect();
        Some(Self { texts, all, telling })
    }
}

impl Scan {
    /// None: there is no fast way to look for these on this machine.
    pub(super) fn new(choices: Choices, telling: Option<Choices>) -> Option<Self> {
        let chosen = Chosen::new(&choices.first(), telling.as_ref().map(Choices::first).as_ref())?;
        Some(Self {
            choices,
            telling,
            chosen: Mutex::new(Arc::new(chosen)),
            blocks: AtomicUsize::new(0),
            date_end: AtomicU32::new(0),
            date_head: AtomicU32::new(0),
        })
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
        if blocks.is_power_of_two() && blocks.trailing_zeros().is_multiple_of(4) {
            self.choose(text);
        }
    }

    /// Looks from now on for what few lines of this text have.
    pub(super) fn choose(&self, text: &[u8]) {
        let telling = self.telling.as_ref().map(|telling| telling.choose(text));
        if let Some(chosen) = Chosen::new(&self.choices.choose(text), telling.as_ref()) {
            *self.chosen() = Arc::new(chosen);
        }
    }

    /// Lets scanners guess where dates end, and how much of a line they depend on.
    pub(super) fn set_date(&self, end: usize, head: usize) {
        self.date_end.store(u32::try_from(end).unwrap_or(0), Ordering::Relaxed);
        self.date_head.store(u32::try_from(head).unwrap_or(0), Ordering::Relaxed);
    }

    /// Looks through the lines of a text, which end there.
    pub(super) fn look(
        self: &Arc<Self>,
        text: &[u8],
        ends: &[u32],
        sifter: Option<&mut Sifter>,
        hits: &mut Hits,
    ) {
        hits.begin(self);
        hits.found.reserve(ends.len() / OFTEN);
        let date_end = self.date_end.load(Ordering::Relaxed);
        let mut sifter = sifter.filter(|_| date_end > 0);
        let chosen = Arc::clone(&self.chosen());
        each_found(&chosen.all, text, ends, |number, line| {
            let mut hit = Hit { line: number, date_end, session: NOWHERE, sifted: Sifted::Unknown };
            if let Some(sifter) = &mut sifter {
                sifter.sift(line, chosen.telling.as_ref(), &mut hit, &mut hits.places);
            }
            hits.found.push(hit);
        });
        self.learn(text, hits.found.len(), ends.len());
    }
}

/// Finds the lines that have one of the texts: their numbers, and themselves.
fn each_found<'t>(texts: &Literals, text: &'t [u8], ends: &[u32], mut each: impl FnMut(u32, &'t [u8])) {
    let (mut line, mut next) = (0, 0);
    while let Some(at) = text.get(next..).and_then(|rest| texts.find(rest)) {
        let before = line;
        line += ends[line..].iter().take_while(|end| **end as usize <= next + at).count();
        let start = if line > before { ends[line - 1] as usize } else { next };
        next = ends[line] as usize;
        each(line as u32, &text[start..next]);
        line += 1;
    }
}

impl Scanner {
    pub(super) fn new(scan: Arc<Scan>, sifter: Option<Sifter>) -> Self {
        Self { scan, sifter }
    }

    /// Looks through the lines of a block, which end there ([`super::line_ends`]), for the only filter that gets it: what
    /// its patterns say is told, too.
    pub fn scan(&mut self, text: &[u8], ends: &[u32]) -> Hits {
        let head = self.scan.date_head.load(Ordering::Relaxed) as usize;
        let mut hits = Hits { runs: Some(Arc::new(Runs::of(text, ends, head))), ..Hits::default() };
        self.scan.look(text, ends, self.sifter.as_mut(), &mut hits);
        hits
    }
}

impl Union {
    /// Looks through the lines of a block for all filters that get it, in one go for as many as look for few texts.
    pub fn scan(&mut self, scanners: &[&Scanner], text: &[u8], ends: &[u32]) -> Vec<Hits> {
        let heads = scanners.iter().map(|scanner| scanner.scan.date_head.load(Ordering::Relaxed));
        let runs = Some(Arc::new(Runs::of(text, ends, heads.max().unwrap_or(0) as usize)));
        let mut hits = vec![Hits { runs, ..Hits::default() }; scanners.len()];
        let chosen: Vec<_> = scanners.iter().map(|scanner| Arc::clone(&scanner.scan.chosen())).collect();
        let mut order: Vec<_> = (0..scanners.len()).collect();
        order.sort_by_key(|at| chosen[*at].texts.len());
        let mut room = FAST;
        order.retain(|at| {
            let fits = chosen[*at].texts.len() <= room;
            room = if fits { room - chosen[*at].texts.len() } else { 0 };
            fits
        });
        self.be_of(order.iter().map(|at| &chosen[*at]));
        let Some(all) = &self.all else { return hits };
        for at in &order {
            hits[*at].begin(&scanners[*at].scan);
        }
        each_found(all, text, ends, |number, line| {
            for at in order.iter().filter(|at| chosen[**at].all.find(line).is_some()) {
                let hit = Hit { line: number, date_end: 0, session: NOWHERE, sifted: Sifted::Unknown };
                hits[*at].found.push(hit);
            }
        });
        for at in &order {
            scanners[*at].scan.learn(text, hits[*at].found.len(), ends.len());
        }
        hits
    }

    /// Puts together what these look for, unless that is done.
    fn be_of<'c>(&mut self, chosen: impl Iterator<Item = &'c Arc<Chosen>> + Clone) {
        let is_done = self.of.len() == chosen.clone().count()
            && self.of.iter().zip(chosen.clone()).all(|(one, other)| Arc::ptr_eq(one, other));
        if !is_done {
            self.of = chosen.cloned().collect();
            let texts: Texts = self.of.iter().flat_map(|chosen| &chosen.texts).cloned().collect();
            self.all = Literals::new(&texts);
        }
    }
}
