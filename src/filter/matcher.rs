//! A backtracking matcher for plain patterns: the same matches as the linear engines, several times faster.
//!
//! It knows what log patterns are made of: literals, runs of a class and what may follow them, so that it hardly
//! ever has to go back. Where it has to go back too often it gives up, and a linear engine decides.

#[cfg(test)]
pub(super) mod tests;

use super::syntax::{Assertion, ByteSet, Node};

/// Instructions of one pattern.
const SIZE: usize = 4_000;
/// Steps on one text, besides one for each of its bytes.
const STEPS: usize = 20_000;
/// A group that took no part.
pub(super) const NOWHERE: usize = usize::MAX;

#[derive(Debug)]
enum Op {
    Literal(Box<[u8]>),
    Class(ByteSet),
    Run(Box<Run>),
    /// Both, the first preferred.
    Split(usize, usize),
    Jump(usize),
    Save(usize),
    Assert(Assertion),
    Done,
}

/// A repeated class.
#[derive(Debug)]
struct Run {
    set: ByteSet,
    /// The only byte that is not in `set`.
    all_but: Option<u8>,
    min: usize,
    max: usize,
    greedy: bool,
    /// The bytes that can come next; none: it may be the end, or anything.
    next: Option<ByteSet>,
    /// What comes next cannot be in the run: there is nothing to give back.
    settled: bool,
}

/// A compiled plain pattern.
#[derive(Debug)]
pub(super) struct Matcher {
    ops: Vec<Op>,
    anchored: bool,
    /// The bytes that a match can begin with; none: it may be empty.
    first: Option<ByteSet>,
    slots: usize,
}

/// What is to be tried, or put back, on the way back.
#[derive(Debug)]
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
}

/// Made once and used again.
#[derive(Debug, Default)]
pub(super) struct Stack {
    frames: Vec<Frame>,
    /// Start and end of group 1, 2, …
    pub(super) slots: Vec<usize>,
}

/// Too many steps: somebody else must decide.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMany;

impl Matcher {
    /// Compiles a plain tree; `groups` are captured, in this order. None where it is no good for this matcher.
    pub(super) fn new(root: &Node, groups: &[usize], anchored: bool) -> Option<Self> {
        let mut compiler = Compiler { ops: Vec::new(), groups };
        compiler.node(root)?;
        compiler.push(Op::Done)?;
        let mut ops = compiler.ops;
        for at in 0..ops.len() {
            let next = if matches!(ops[at], Op::Run(_)) { first(&ops, at + 1, &mut 0) } else { continue };
            if let Op::Run(run) = &mut ops[at] {
                run.settled = next.is_some_and(|next| !next.overlaps(run.set));
                run.next = next;
            }
        }
        ops.shrink_to_fit();
        let first = first(&ops, 0, &mut 0);
        Some(Self { ops, anchored, first, slots: 2 * groups.len() })
    }

    /// The leftmost match, as a linear engine would choose it; its groups are in `stack`.
    pub(super) fn find(&self, text: &[u8], stack: &mut Stack) -> Result<bool, TooMany> {
        let mut steps = STEPS + text.len();
        let may_begin = |start: usize| {
            self.first.is_none_or(|first| text.get(start).is_some_and(|byte| first.contains(*byte)))
        };
        let last = if self.anchored { 0 } else { text.len() };
        for start in (0..=last).filter(|start| may_begin(*start)) {
            if self.find_at(text, start, stack, &mut steps)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn find_at(
        &self,
        text: &[u8],
        start: usize,
        stack: &mut Stack,
        steps: &mut usize,
    ) -> Result<bool, TooMany> {
        let Stack { frames, slots } = stack;
        frames.clear();
        slots.clear();
        slots.resize(self.slots, NOWHERE);
        let (mut op, mut at) = (0, start);
        loop {
            *steps = steps.checked_sub(1).ok_or(TooMany)?;
            let goes_on = match &self.ops[op] {
                Op::Literal(bytes) => {
                    let found = text[at..].starts_with(bytes);
                    at += bytes.len();
                    found
                }
                Op::Class(set) => {
                    let found = text.get(at).is_some_and(|byte| set.contains(*byte));
                    at += 1;
                    found
                }
                Op::Run(run) => {
                    let length = run.length(&text[at..], run.max);
                    spend(steps, length)?;
                    if length < run.min {
                        false
                    } else if run.greedy {
                        if length > run.min && !run.settled {
                            frames.push(Frame::Shorter { op, least: at + run.min, at: at + length });
                        }
                        at += length;
                        true
                    } else {
                        frames.push(Frame::Longer { op, at: at + run.min, most: at + length });
                        at += run.min;
                        true
                    }
                }
                Op::Split(first, second) => {
                    frames.push(Frame::Try { op: *second, at });
                    op = *first;
                    continue;
                }
                Op::Jump(to) => {
                    op = *to;
                    continue;
                }
                Op::Save(slot) => {
                    frames.push(Frame::Restore { slot: *slot, place: slots[*slot] });
                    slots[*slot] = at;
                    true
                }
                Op::Assert(assertion) => holds(*assertion, text, at),
                Op::Done => return Ok(true),
            };
            if goes_on {
                op += 1;
            } else {
                match self.back(text, frames, slots, steps)? {
                    Some(next) => (op, at) = next,
                    None => return Ok(false),
                }
            }
        }
    }

    /// The next thing to try.
    fn back(
        &self,
        text: &[u8],
        frames: &mut Vec<Frame>,
        slots: &mut [usize],
        steps: &mut usize,
    ) -> Result<Option<(usize, usize)>, TooMany> {
        while let Some(frame) = frames.pop() {
            *steps = steps.checked_sub(1).ok_or(TooMany)?;
            match frame {
                Frame::Try { op, at } => return Ok(Some((op, at))),
                Frame::Restore { slot, place } => slots[slot] = place,
                Frame::Shorter { op, least, at } => {
                    let Op::Run(run) = &self.ops[op] else { continue };
                    let shorter = run.shorter(text, least, at);
                    spend(steps, at - shorter.unwrap_or(least))?;
                    let Some(shorter) = shorter else { continue };
                    if shorter > least {
                        frames.push(Frame::Shorter { op, least, at: shorter });
                    }
                    return Ok(Some((op + 1, shorter)));
                }
                Frame::Longer { op, at, most } => {
                    let Op::Run(run) = &self.ops[op] else { continue };
                    let longer = run.longer(text, at, most);
                    spend(steps, longer.unwrap_or(most) - at)?;
                    let Some(longer) = longer else { continue };
                    frames.push(Frame::Longer { op, at: longer, most });
                    return Ok(Some((op + 1, longer)));
                }
            }
        }
        Ok(None)
    }
}

/// Pays for bytes looked at in a run.
fn spend(steps: &mut usize, bytes: usize) -> Result<(), TooMany> {
    *steps = steps.checked_sub(bytes / 8).ok_or(TooMany)?;
    Ok(())
}

impl Run {
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
    fn shorter(&self, text: &[u8], least: usize, at: usize) -> Option<usize> {
        match self.next {
            None => at.checked_sub(1).filter(|at| *at >= least),
            Some(next) => {
                text[least..at].iter().rposition(|byte| next.contains(*byte)).map(|place| least + place)
            }
        }
    }

    /// The next place after `at` where what follows could begin.
    fn longer(&self, text: &[u8], at: usize, most: usize) -> Option<usize> {
        match self.next {
            None => Some(at + 1).filter(|at| *at <= most),
            Some(next) => {
                // What follows takes a byte, which may stand right behind the longest run.
                let places = text.get(at + 1..text.len().min(most + 1))?;
                places.iter().position(|byte| next.contains(*byte)).map(|place| at + 1 + place)
            }
        }
    }
}

fn holds(assertion: Assertion, text: &[u8], at: usize) -> bool {
    let word =
        |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(|byte| ByteSet::WORD.contains(*byte));
    let is_edge = || word(at.checked_sub(1)) != word(Some(at));
    match assertion {
        Assertion::Start => at == 0,
        Assertion::End => at == text.len(),
        Assertion::LineStart => at == 0 || text[at - 1] == b'\n',
        Assertion::LineEnd => at == text.len() || text[at] == b'\n',
        Assertion::Word => is_edge(),
        Assertion::NotWord => !is_edge(),
    }
}

/// The bytes that the instructions from `op` on can take first; none when they may take none.
fn first(ops: &[Op], op: usize, visited: &mut usize) -> Option<ByteSet> {
    *visited += 1;
    if *visited > 200 {
        return None;
    }
    match &ops[op] {
        Op::Literal(bytes) => Some(ByteSet::of(&bytes[..1])),
        Op::Class(set) => Some(*set),
        Op::Run(run) if run.min > 0 => Some(run.set),
        Op::Run(run) => Some(run.set.union(first(ops, op + 1, visited)?)),
        Op::Split(a, b) => Some(first(ops, *a, visited)?.union(first(ops, *b, visited)?)),
        Op::Jump(to) => first(ops, *to, visited),
        Op::Save(_) | Op::Assert(_) => first(ops, op + 1, visited),
        Op::Done => None,
    }
}

struct Compiler<'c> {
    ops: Vec<Op>,
    groups: &'c [usize],
}

impl Compiler<'_> {
    fn push(&mut self, op: Op) -> Option<usize> {
        self.ops.push(op);
        (self.ops.len() <= SIZE).then(|| self.ops.len() - 1)
    }

    fn node(&mut self, node: &Node) -> Option<()> {
        match node {
            Node::Empty => {}
            Node::Literal(bytes) => drop(self.push(Op::Literal(bytes.clone().into()))?),
            Node::Class(set) => drop(self.push(Op::Class(*set))?),
            Node::Assert(assertion) => drop(self.push(Op::Assert(*assertion))?),
            Node::Group(group, inner) => match self.groups.iter().position(|wanted| wanted == group) {
                None => self.node(inner)?,
                Some(index) => {
                    self.push(Op::Save(2 * index))?;
                    self.node(inner)?;
                    self.push(Op::Save(2 * index + 1))?;
                }
            },
            Node::Concat(nodes) => nodes.iter().try_for_each(|node| self.node(node))?,
            Node::Alternation(nodes) => self.branches(nodes)?,
            Node::Repeat { node, min, max, greedy } => self.repeat(node, *min as usize, *max, *greedy)?,
            Node::Atomic(_) | Node::Around { .. } | Node::Backreference { .. } | Node::Conditional { .. } => {
                return None;
            }
        }
        Some(())
    }

    fn branches(&mut self, nodes: &[Node]) -> Option<()> {
        let mut ends = Vec::new();
        for (index, node) in nodes.iter().enumerate() {
            if index + 1 == nodes.len() {
                self.node(node)?;
                break;
            }
            let split = self.push(Op::Split(0, 0))?;
            self.node(node)?;
            ends.push(self.push(Op::Jump(0))?);
            self.ops[split] = Op::Split(split + 1, self.ops.len());
        }
        for end in ends {
            self.ops[end] = Op::Jump(self.ops.len());
        }
        Some(())
    }

    fn repeat(&mut self, node: &Node, min: usize, max: Option<u32>, greedy: bool) -> Option<()> {
        let set = match node {
            Node::Class(set) => Some(*set),
            Node::Literal(bytes) if bytes.len() == 1 => Some(ByteSet::of(bytes)),
            _ => None,
        };
        if let Some(set) = set {
            let all_but =
                (set.negated().bytes().count() == 1).then(|| set.negated().bytes().next()).flatten();
            let max = max.map_or(usize::MAX, |max| max as usize);
            let run = Run { set, all_but, min, max, greedy, next: None, settled: false };
            return self.push(Op::Run(Box::new(run))).map(drop);
        }
        // A round that takes nothing would go round for ever; the engines differ in how they end that.
        if node.width().0 == 0 && max != Some(1) {
            return None;
        }
        for _ in 0..min {
            self.node(node)?;
        }
        let prefer =
            |more: usize, less: usize| if greedy { Op::Split(more, less) } else { Op::Split(less, more) };
        match max {
            None => {
                let split = self.push(Op::Split(0, 0))?;
                self.node(node)?;
                self.push(Op::Jump(split))?;
                self.ops[split] = prefer(split + 1, self.ops.len());
            }
            Some(max) => {
                let mut splits = Vec::new();
                for _ in min..max as usize {
                    splits.push(self.push(Op::Split(0, 0))?);
                    self.node(node)?;
                }
                for split in splits {
                    self.ops[split] = prefer(split + 1, self.ops.len());
                }
            }
        }
        Some(())
    }
}
