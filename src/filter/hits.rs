//! What can be told of the lines of a block before they are judged, by any thread: which of them need a look, what the
//! patterns say of those by themselves, and which begin as the one before.
//!
//! What is told of a line is right only if its date begins it and ends where it was thought to; the filter, which alone
//! knows the dates, looks whether it does.

use std::ops::Range;
use std::sync::Arc;

use super::runs::{Runs, Walk};
use super::scan::Scan;
use super::session::Mark;

/// The lines of a text that a scanner has found.
#[derive(Debug, Clone, Default)]
pub struct Hits {
    /// Whose they are; none: only the runs are known.
    pub(super) by: Option<Arc<Scan>>,
    pub(super) runs: Option<Arc<Runs>>,
    pub(super) found: Vec<Hit>,
    pub(super) places: Vec<Place>,
}

/// A group: where it stands, or [`NOWHERE`].
pub(super) type Place = (u32, u32);
pub(super) const NOWHERE: u32 = u32::MAX;
/// Memory for so many lines is kept.
pub(super) const ROOM: usize = 16 * 1024;

/// A line that was found.
#[derive(Debug, Clone)]
pub(super) struct Hit {
    /// Its number in the text.
    pub(super) line: u32,
    pub(super) date_end: u32,
    pub(super) session: u32,
    pub(super) sifted: Sifted,
}

/// What was told of it.
#[derive(Debug, Clone)]
pub(super) enum Sifted {
    Unknown,
    Quiet(Mark),
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
    /// It has no text of a pattern that says something of a connection that is not known; the connection's mark.
    Quiet(Mark),
    /// The prefix does not match, or no pattern does.
    No,
    /// This pattern is the first that matches the content, which begins here, its groups at these places of it.
    By { content: usize, pattern: usize, places: &'h [Place] },
}

impl Hits {
    /// Whether it was found for this filter.
    pub(super) fn is_by(&self, scan: &Arc<Scan>) -> bool {
        self.by.as_ref().is_some_and(|by| Arc::ptr_eq(by, scan))
    }

    /// Begins with another text.
    pub(super) fn begin(&mut self, scan: &Arc<Scan>) {
        self.by = Some(Arc::clone(scan));
        self.found.clear();
        self.places.clear();
    }

    /// Which lines begin as the one before.
    pub(super) fn runs(&self) -> Walk<'_> {
        self.runs.as_ref().map(|runs| runs.walk()).unwrap_or_default()
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
                Sifted::Quiet(mark) => Some(What::Quiet(*mark)),
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
