//! Which of several patterns matches a text first.

use std::sync::Arc;

use super::openings::Openings;
use super::pattern::{Budget, Pattern, Places, Verdict};
use super::patterns::{Matched, MayMatch};
use super::prefilter::Gate;
use super::syntax::Syntax;

/// Patterns that may reach their limit on one line before the rest is given up.
const EXHAUSTED: usize = 2;

/// Patterns in their order.
#[derive(Debug, Default)]
pub(super) struct First {
    ordered: Arc<[Pattern]>,
    /// Which of them can match a text that begins so.
    openings: Arc<Openings>,
    pub(super) gate: Gate,
}

impl First {
    pub(super) fn new(patterns: Vec<Pattern>, syntaxes: &[Syntax]) -> Self {
        Self {
            openings: Arc::new(Openings::new(&patterns)),
            ordered: patterns.into(),
            gate: Gate::new(syntaxes),
        }
    }

    /// The same patterns, to be asked by somebody else at the same time.
    pub(super) fn twin(&self) -> Self {
        Self {
            ordered: Arc::clone(&self.ordered),
            openings: Arc::clone(&self.openings),
            gate: self.gate.twin(),
        }
    }

    pub(super) fn patterns(&self) -> &[Pattern] {
        &self.ordered
    }

    pub(super) fn pattern(&self, index: usize) -> &Pattern {
        &self.ordered[index]
    }

    /// The first pattern, from this one on, that matches the text; `places` tells where.
    pub(super) fn find(
        &mut self,
        text: &[u8],
        from: usize,
        places: &mut Places,
        budget: &mut Budget,
    ) -> Matched {
        let mut may_match = MayMatch { gate: &mut self.gate, text, asked: false };
        let mut exhausted = 0;
        for index in self.openings.of(text, self.ordered.len(), from) {
            let may = || may_match.pattern(index);
            match self.ordered[index].find(text, places, budget, may) {
                Verdict::No => {}
                Verdict::Yes => return Matched::By(index),
                Verdict::Exhausted => exhausted += 1,
            }
            if exhausted >= EXHAUSTED {
                break;
            }
        }
        if exhausted > 0 { Matched::Undecided } else { Matched::No }
    }
}
