//! One automaton that tells where the beginning of a text ends: that of all lines of a log is much the same, and is walked
//! through once for many.

use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson::WhichCaptures;
use regex_automata::{Anchored, Input};

use super::pattern::{compile, is_anchored};
use super::prefilter::lazy_config;
use super::rewrite;
use super::syntax::Node;

/// So many bytes of a text are remembered at most.
const LONGEST: usize = 32;
/// Fewer do not pay.
const SHORTEST: usize = 4;

#[derive(Debug)]
pub(super) struct Automaton {
    dfa: DFA,
    cache: Cache,
    anchored: Anchored,
    /// What texts begin with, and how it is behind that.
    begun: Option<Begun>,
    /// The beginning of the last text that began otherwise.
    other: [u8; LONGEST],
}

/// What several texts began with.
#[derive(Debug)]
struct Begun {
    text: [u8; LONGEST],
    length: usize,
    behind: Place,
    /// The cache was cleared so often by then: after that its states are others.
    clears: usize,
}

/// How it is at some place of a text.
#[derive(Debug, Clone, Copy)]
struct Place {
    state: LazyStateID,
    /// Where the longest match ends, as far as is known.
    end: Option<usize>,
}

impl Automaton {
    pub(super) fn new(node: &Node) -> Option<Self> {
        let nfa = compile(&[rewrite::exact(node, &[])], WhichCaptures::None).ok()?;
        let dfa = DFA::builder().configure(lazy_config()).build_from_nfa(nfa).ok()?;
        let anchored = if is_anchored(node) { Anchored::Yes } else { Anchored::No };
        Some(Self::of(dfa, anchored))
    }

    fn of(dfa: DFA, anchored: Anchored) -> Self {
        Self { cache: dfa.create_cache(), dfa, anchored, begun: None, other: [0; LONGEST] }
    }

    /// The same, to be asked by somebody else at the same time.
    pub(super) fn twin(&self) -> Self {
        Self::of(self.dfa.clone(), self.anchored)
    }

    /// The same for texts that stand behind a match of another.
    pub(super) fn behind(self) -> Self {
        Self::of(self.dfa, Anchored::Yes)
    }

    /// Where the match in a text ends; `Err` when that cannot be told.
    pub(super) fn end(&mut self, text: &[u8]) -> Result<Option<usize>, ()> {
        let clears = self.cache.clear_count();
        let begun = self.begun.as_ref().filter(|begun| begun.clears == clears);
        if let Some(begun) = begun
            && text.starts_with(&begun.text[..begun.length])
        {
            let (from, place) = (begun.length, begun.behind);
            return self.walk(text, from, place);
        }
        let input = Input::new(text).anchored(self.anchored);
        self.learn(&input)?;
        let end = self.dfa.try_search_fwd(&mut self.cache, &input).map_err(drop)?;
        Ok(end.map(|end| end.offset()))
    }

    /// The end of a match, from a place of the text on.
    fn walk(&mut self, text: &[u8], from: usize, mut place: Place) -> Result<Option<usize>, ()> {
        for (at, byte) in text.iter().enumerate().skip(from) {
            if !self.step(&mut place, at, *byte)? {
                return Ok(place.end);
            }
        }
        let last = self.dfa.next_eoi_state(&mut self.cache, place.state).map_err(drop)?;
        Ok(if last.is_match() { Some(text.len()) } else { place.end })
    }

    /// Goes on by one byte; false: nothing more can match.
    #[inline]
    fn step(&mut self, place: &mut Place, at: usize, byte: u8) -> Result<bool, ()> {
        if !place.state.is_tagged() {
            let next = self.dfa.next_state_untagged(&self.cache, place.state, byte);
            if !next.is_tagged() {
                place.state = next;
                return Ok(true);
            }
        }
        place.state = self.dfa.next_state(&mut self.cache, place.state, byte).map_err(drop)?;
        if place.state.is_quit() {
            return Err(());
        }
        // An automaton says so one byte behind its match.
        if place.state.is_match() {
            place.end = Some(at);
        }
        Ok(!place.state.is_dead())
    }

    /// Remembers how it is behind what this text and the last that began otherwise begin with, if that is enough to pay.
    fn learn(&mut self, input: &Input<'_>) -> Result<(), ()> {
        let text = input.haystack();
        let length = text.iter().zip(&self.other).take_while(|(one, other)| one == other).count();
        let known = text.len().min(LONGEST);
        self.other[..known].copy_from_slice(&text[..known]);
        self.other[known..].fill(0);
        if length < SHORTEST {
            return Ok(());
        }
        let start = self.dfa.start_state_forward(&mut self.cache, input).map_err(drop)?;
        let (mut place, clears) = (Place { state: start, end: None }, self.cache.clear_count());
        for (at, byte) in text[..length].iter().enumerate() {
            if !self.step(&mut place, at, *byte)? {
                return Ok(());
            }
        }
        if self.cache.clear_count() == clears {
            self.begun = Some(Begun { text: self.other, length, behind: place, clears });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::filter::syntax::{Dialect, parse};
    use crate::filter::tests::cases;

    proptest! {
        #![proptest_config(cases(300))]

        /// What is remembered of other texts changes no answer, however they begin.
        #[test]
        fn each_text_ends_where_it_does_for_an_automaton_that_knows_no_other(
            pattern in prop::sample::select(vec![
                r"^\s*(?:<[^.]+\.[^.]+>\s+)?(?:\S+\s+)?(?:d(?:-x)?\[\d+\]:?\s+)?",
                r"^\S+ d\[\d+\]: (?:error: )?", r"ho|host d\[1+", r"^host d\b", r"^(?:host )*$", r"",
            ]),
            texts in prop::collection::vec(
                (prop::sample::select(vec!["", " host d[", "host d[", "host ", "hosts e["]), r"[1d \[\]:]{0,6}(error: )?\PC?\n?"),
                0..30,
            ),
        ) {
            let node = parse(pattern, Dialect::Bytes).unwrap().root;
            let mut automaton = Automaton::new(&node).unwrap();
            for (begin, rest) in texts {
                let text = begin.to_owned() + &rest;
                let want = Automaton::new(&node).unwrap();
                let mut cache = want.dfa.create_cache();
                let input = Input::new(text.as_bytes()).anchored(want.anchored);
                let want = want.dfa.try_search_fwd(&mut cache, &input);
                let want = want.map_err(drop).map(|end| end.map(|end| end.offset()));
                prop_assert_eq!(automaton.end(text.as_bytes()), want, "{:?} {:?}", pattern, text);
            }
        }
    }

    #[test]
    fn what_most_texts_begin_with_is_walked_through_once() {
        let node = parse(r"^\S+ d\[\d+\]: ", Dialect::Bytes).unwrap().root;
        let mut automaton = Automaton::new(&node).unwrap();
        for text in ["host d[12]: a", "host d[34]: b", "other e", "host d[56]: c"] {
            automaton.end(text.as_bytes()).unwrap();
        }
        let begun = automaton.begun.unwrap();
        assert_eq!(&begun.text[..begun.length], b"host d[");
    }
}
