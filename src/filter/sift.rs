//! What the patterns say of one line by itself, for a thread that has time for it.
//!
//! In: a line in which a text of a pattern stands, and where its date is thought to end. Out: a [`Hit`].

use super::first::First;
use super::head::Head;
use super::hits::{Hit, NOWHERE, Place, Sifted};
use super::pattern::{Budget, Effort, Places};
use super::patterns::Matched;
use super::prefilter::Literals;
use super::session::Mark;

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

impl Sifter {
    /// Without a text of `telling` patterns a line says nothing of a connection that is not known.
    ///
    /// Only ASCII is looked at, which is the same text in all encodings.
    pub(super) fn sift(
        &mut self,
        line: &[u8],
        telling: Option<&Literals>,
        hit: &mut Hit,
        places: &mut Vec<Place>,
    ) {
        let ended = line.strip_suffix(b"\n").filter(|line| line.is_ascii() && line.last() != Some(&b'\r'));
        let (Some(_), Some(text)) = (ended, line.get(hit.date_end as usize..)) else { return };
        if telling.is_some_and(|telling| telling.find(text).is_none()) {
            if let Prefix::Head { head, .. } = &mut self.prefix
                && let Ok(session) = head.session(text, true)
            {
                hit.session = session.map_or(NOWHERE, |end| end as u32);
                hit.sifted = session.map_or(Sifted::No, |end| Sifted::Quiet(Mark::of(&text[..end])));
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
