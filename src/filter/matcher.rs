//! A backtracking matcher: the matches of Python's `re`, by a bounded number of steps.
//!
//! It knows what log patterns are made of: literals, runs of a class and what may follow them, so that it hardly
//! ever has to go back. For a TOML jail it takes plain patterns and gives up where it has to go back too often: a linear
//! engine decides. For Fail2Ban's patterns it is all there is, look-around, conditionals and back-references included;
//! there it is asked again with a memory of where it has failed, which makes its work linear in the text
//! (except for back-references).

mod compile;
mod memory;
mod run;
mod split;
#[cfg(test)]
pub(super) mod tests;
mod walk;

use self::compile::Compiler;
use self::memory::Memory;
use self::run::Run;
use super::syntax::{Assertion, ByteSet, Chars, Node, Syntax, is_first};
use super::text::begins as begins_with;

/// A group that took no part.
const NOWHERE: usize = usize::MAX;

#[derive(Debug)]
enum Op {
    Literal(Box<[u8]>),
    Class(ByteSet),
    /// Characters; of ASCII those of the set.
    Chars(ByteSet, std::sync::Arc<Chars>),
    Run(Box<Run>),
    /// Several rounds of a run and a byte that ends it, such as `(?:\d{1,3}\.){3}`: the first of the instructions that
    /// do the same, one by one.
    Rounds {
        run: Box<Run>,
        end: u8,
        count: usize,
    },
    /// Both, the first preferred.
    Split(usize, usize),
    /// The same, where the next byte may tell that one of them fails.
    Choice(Box<Choice>),
    Jump(usize),
    Save(usize),
    Assert(Assertion),
    /// This text stands here or later.
    Need(Box<memchr::memmem::Finder<'static>>),
    /// The text of a group, from slot to slot + 1.
    Same {
        slot: usize,
        ignore_case: bool,
    },
    /// Goes on where this slot is filled, else elsewhere.
    If {
        slot: usize,
        no: usize,
    },
    /// What stands between here and [`Op::Enclosed`] is settled once it has matched.
    Enclose(Enclose),
    Enclosed,
    /// The end of a round that may take nothing: then it is the last. The slot tells where it began.
    Round {
        slot: usize,
        again: usize,
        end: usize,
    },
    Done,
}

#[derive(Debug)]
struct Choice {
    first: usize,
    second: usize,
    /// What each can begin with; none: anything, or nothing.
    begins: [Option<ByteSet>; 2],
}

/// What a program about the beginning of a text takes first, as far as that is fixed.
#[derive(Debug, Default)]
struct Opening {
    text: Box<[u8]>,
    /// Slots, and the places that they are given.
    saved: Box<[(usize, usize)]>,
    /// The instruction behind it.
    next: usize,
}

impl Opening {
    fn new(ops: &[Op]) -> Self {
        let (mut text, mut saved, mut next) = (Vec::new(), Vec::new(), 0);
        for op in ops {
            match op {
                Op::Assert(Assertion::Start) if text.is_empty() => {}
                Op::Save(slot) => saved.push((*slot, text.len())),
                Op::Literal(bytes) => text.extend_from_slice(bytes),
                _ => break,
            }
            next += 1;
        }
        Self { text: text.into(), saved: saved.into(), next }
    }
}

impl Choice {
    /// Which of them the next byte lets through.
    fn ways(&self, text: &[u8], at: usize) -> (bool, bool) {
        let byte = text.get(at);
        let can = |begins: &Option<ByteSet>| match begins {
            None => true,
            Some(set) => byte.is_some_and(|byte| set.contains(*byte)),
        };
        (can(&self.begins[0]), can(&self.begins[1]))
    }
}

/// Look-around, or an atomic group.
#[derive(Debug, Clone, Copy)]
struct Enclose {
    kind: Kind,
    /// Where to go on.
    end: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Atomic,
    Ahead {
        negative: bool,
    },
    /// So many characters back.
    Behind {
        negative: bool,
        back: usize,
    },
}

impl Kind {
    fn is_negative(self) -> bool {
        matches!(self, Self::Ahead { negative: true } | Self::Behind { negative: true, .. })
    }
}

/// Where a match can begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begins {
    Text,
    Line,
    Anywhere,
}

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Matcher {
    ops: Vec<Op>,
    /// Turns, and runs, each counted from 0.
    numbers: Vec<usize>,
    turns: usize,
    runs: usize,
    /// Texts are UTF-8, and the pattern is about their characters.
    is_text: bool,
    begins: Begins,
    /// Nothing for a match that can begin elsewhere.
    opening: Opening,
    /// The bytes that a match can begin with; none: it may be empty.
    first: Option<ByteSet>,
    slots: usize,
    /// Those of the match and of the groups that were asked for.
    captures: usize,
    /// Slots that conditionals look at.
    conditions: Vec<usize>,
    /// The slots where rounds began go from here.
    rounds: usize,
    /// Whether a place that has failed fails always: false with back-references.
    can_remember: bool,
}

/// What is to be tried, or put back, on the way back.
#[derive(Debug, Clone, Copy)]
enum Frame {
    Try {
        op: usize,
        at: usize,
    },
    /// A greedy run that ended at `at` and may end earlier, not before `least`.
    Shorter {
        op: usize,
        least: usize,
        at: usize,
    },
    /// A lazy run that ended at `at` and may end later, not after `most`.
    Longer {
        op: usize,
        at: usize,
        most: usize,
    },
    Restore {
        slot: usize,
        place: usize,
    },
    /// The beginning of something enclosed, by the instruction there.
    Barrier {
        op: usize,
        at: usize,
    },
}

/// Made once and used again.
#[derive(Debug, Default)]
pub(super) struct Stack {
    frames: Vec<Frame>,
    /// Start and end of the match, then of each group that was asked for, then what the pattern itself needs.
    slots: Vec<usize>,
    /// How many of the slots were asked for.
    captures: usize,
    memory: Memory,
    /// How many barriers are among the frames.
    enclosed: usize,
}

/// Too many steps: somebody else must decide.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMany;

impl Stack {
    /// The last match, then its groups.
    pub(super) fn places(&self) -> impl Iterator<Item = Option<(usize, usize)>> {
        let places = self.slots[..self.captures].chunks_exact(2);
        places.map(|place| (place[1] != NOWHERE).then_some((place[0], place[1])))
    }
}

impl Matcher {
    /// Compiles a tree; `groups` are captured, in this order. None where it is no good for this matcher:
    /// too large or, in the dialect of bytes, not plain.
    pub(super) fn new(syntax: &Syntax, groups: &[usize]) -> Option<Self> {
        let mut compiler = Compiler::new(syntax, groups);
        compiler.root(&syntax.root)?;
        compiler.push(Op::Done)?;
        Some(compiler.finish(groups.len(), begins(&syntax.root)))
    }

    /// Whether a text that begins with this byte can match, as far as that tells.
    pub(super) fn may_open(&self, byte: u8) -> bool {
        self.begins != Begins::Text || self.first.is_none_or(|first| first.contains(byte))
    }

    /// The leftmost match, as a linear engine would choose it; its places are in `stack`.
    /// Every byte looked at, and every turn taken, is paid for from `steps`.
    /// `is_plain`: the text is known to be ASCII.
    pub(super) fn find(
        &self,
        text: &[u8],
        is_plain: bool,
        stack: &mut Stack,
        steps: &mut usize,
    ) -> Result<bool, TooMany> {
        if !begins_with(text, &self.opening.text) {
            return Ok(false);
        }
        if self.is_text && !is_plain && !text.is_ascii() {
            self.search::<true, false>(text, 0, stack, steps)
        } else {
            self.search::<false, false>(text, 0, stack, steps)
        }
    }

    /// The leftmost match that begins at `from` or later; look-behind sees what is before.
    pub(super) fn find_from(
        &self,
        text: &[u8],
        from: usize,
        stack: &mut Stack,
        steps: &mut usize,
    ) -> Result<bool, TooMany> {
        if from == 0 {
            return self.find(text, false, stack, steps);
        }
        if self.is_text && !text.is_ascii() {
            self.search::<true, false>(text, from, stack, steps)
        } else {
            self.search::<false, false>(text, from, stack, steps)
        }
    }

    /// The same as [`Self::find`] with a memory: slower for a text that needs few steps, far faster for one that needs many.
    pub(super) fn find_again(
        &self,
        text: &[u8],
        stack: &mut Stack,
        steps: &mut usize,
    ) -> Result<bool, TooMany> {
        let conditions = self.conditions.len() + self.slots - self.rounds;
        if !self.can_remember || !stack.memory.prepare(self.turns, self.runs, text.len(), conditions) {
            return self.find(text, false, stack, steps);
        }
        let found = if self.is_text && !text.is_ascii() {
            self.search::<true, true>(text, 0, stack, steps)
        } else {
            self.search::<false, true>(text, 0, stack, steps)
        };
        stack.memory.clear();
        found
    }

    fn search<const WIDE: bool, const REMEMBER: bool>(
        &self,
        text: &[u8],
        from: usize,
        stack: &mut Stack,
        steps: &mut usize,
    ) -> Result<bool, TooMany> {
        let may_begin = |start: usize| match text.get(start) {
            None => self.first.is_none(),
            Some(byte) => self.first.is_none_or(|first| first.contains(*byte)) && (!WIDE || is_first(*byte)),
        };
        let mut start = from;
        if start > 0 && matches!(self.begins, Begins::Text) {
            return Ok(false);
        }
        loop {
            if may_begin(start) && self.find_at::<WIDE, REMEMBER>(text, start, stack, steps)? {
                return Ok(true);
            }
            let next = match self.begins {
                Begins::Text => None,
                Begins::Line => memchr::memchr(b'\n', &text[start..]).map(|end| start + end + 1),
                Begins::Anywhere => Some(start + 1).filter(|start| *start <= text.len()),
            };
            let Some(next) = next else { return Ok(false) };
            start = next;
        }
    }
}

fn begins(root: &Node) -> Begins {
    if root.begins_with(&|assertion| assertion == Assertion::Start) {
        Begins::Text
    } else if root.begins_with(&|assertion| matches!(assertion, Assertion::Start | Assertion::LineStart)) {
        Begins::Line
    } else {
        Begins::Anywhere
    }
}

/// Pays for bytes looked at in a run.
fn spend(steps: &mut usize, bytes: usize) -> Result<(), TooMany> {
    *steps = steps.checked_sub(bytes / 8).ok_or(TooMany)?;
    Ok(())
}
