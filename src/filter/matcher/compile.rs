//! Tree → instructions.

use super::split::{Way, split};
use super::{Begins, Choice, Enclose, Kind, Matcher, Op, Opening, Run};
use memchr::memmem;

use crate::filter::syntax::{Assertion, ByteSet, Dialect, Node, Syntax};

/// Instructions of one pattern.
const SIZE: usize = 4_000;
/// The same for Fail2Ban's patterns, for which there is no other engine.
const PYTHON_SIZE: usize = 40_000;
/// A shorter text is likely to stand there anyway. Random patterns have short ones.
const NEEDED: usize = if cfg!(test) { 2 } else { 8 };
/// Instructions looked at to find out what can come next.
const LOOK_AT: usize = 200;

pub(super) struct Compiler {
    ops: Vec<Op>,
    /// Captured, in the order of their slots; behind the first come those that the pattern refers to.
    groups: Vec<usize>,
    /// Places where rounds began.
    rounds: usize,
    conditions: Vec<usize>,
    refers: bool,
    python: bool,
}

impl Compiler {
    pub(super) fn new(syntax: &Syntax, groups: &[usize]) -> Self {
        let mut groups = groups.to_vec();
        let mut conditions = Vec::new();
        let mut refers = false;
        visit(&syntax.root, &mut |node| {
            let group = match node {
                Node::Backreference { group, .. } => {
                    refers = true;
                    *group
                }
                Node::Conditional { group, .. } => {
                    if !conditions.contains(group) {
                        conditions.push(*group);
                    }
                    *group
                }
                _ => return,
            };
            if !groups.contains(&group) {
                groups.push(group);
            }
        });
        let python = syntax.dialect != Dialect::Bytes;
        let mut compiler =
            Self { ops: Vec::new(), groups, rounds: 0, conditions: Vec::new(), refers, python };
        compiler.conditions = conditions.iter().map(|group| compiler.slot(*group) + 1).collect();
        compiler
    }

    /// The slot where a group begins. The first two are the match itself.
    fn slot(&self, group: usize) -> usize {
        2 + 2 * self.groups.iter().position(|known| *known == group).unwrap_or(0)
    }

    pub(super) fn push(&mut self, op: Op) -> Option<usize> {
        self.ops.push(op);
        let most = if self.python { PYTHON_SIZE } else { SIZE };
        (self.ops.len() <= most).then(|| self.ops.len() - 1)
    }

    pub(super) fn finish(mut self, groups: usize, begins: Begins) -> Matcher {
        for at in 0..self.ops.len() {
            match &self.ops[at] {
                Op::Run(_) => {
                    let next = first(&self.ops, at + 1, &mut 0);
                    if let Op::Run(run) = &mut self.ops[at] {
                        run.followed_by(next);
                    }
                }
                Op::Split(one, other) => {
                    let begins = [first(&self.ops, *one, &mut 0), first(&self.ops, *other, &mut 0)];
                    if begins.iter().any(Option::is_some) {
                        self.ops[at] = Op::Choice(Box::new(Choice { first: *one, second: *other, begins }));
                    }
                }
                _ => {}
            }
        }
        self.join_rounds();
        let (mut turns, mut runs) = (0, 0);
        let mut number = |op: &Op| {
            let count = match op {
                Op::Split(..) | Op::Choice(_) => &mut turns,
                Op::Run(_) | Op::Rounds { .. } => &mut runs,
                _ => return 0,
            };
            *count += 1;
            *count - 1
        };
        let numbers = self.ops.iter().map(&mut number).collect();
        self.ops.shrink_to_fit();
        let first = first(&self.ops, 0, &mut 0);
        Matcher {
            numbers,
            turns,
            runs,
            is_text: self.python,
            opening: if begins == Begins::Text { Opening::new(&self.ops) } else { Opening::default() },
            begins,
            first,
            slots: 2 + 2 * self.groups.len() + self.rounds,
            captures: 2 + 2 * groups,
            conditions: self.conditions,
            rounds: 2 + 2 * self.groups.len(),
            can_remember: !self.refers,
            ops: self.ops,
        }
    }

    /// Puts several rounds of a run and a byte into the first instruction. The others stay: a walk may come in between.
    fn join_rounds(&mut self) {
        let round = |ops: &[Op]| match ops {
            [Op::Run(run), Op::Literal(end), ..] if run.is_simple::<false>() && end.len() == 1 => {
                Some(end[0])
            }
            _ => None,
        };
        let mut at = 0;
        while at < self.ops.len() {
            let Some(end) = round(&self.ops[at..]) else {
                at += 1;
                continue;
            };
            let is_alike = |next: &[Op]| match (&self.ops[at], next.first()) {
                (Op::Run(run), Some(Op::Run(next_run))) => {
                    round(next) == Some(end) && run.takes_the_same(next_run)
                }
                _ => false,
            };
            let count = self.ops[at..].chunks(2).take_while(|next| is_alike(next)).count();
            if count > 1
                && let Op::Run(run) = std::mem::replace(&mut self.ops[at], Op::Done)
            {
                self.ops[at] = Op::Rounds { run, end, count };
            }
            at += 2 * count;
        }
    }

    pub(super) fn root(&mut self, root: &Node) -> Option<()> {
        let Some(parts) = split(root).filter(|_| self.python) else { return self.whole(root) };
        parts.before.iter().try_for_each(|node| self.node(node))?;
        let choice = self.push(Op::Split(0, 0))?;
        let [first, second] = &parts.ways;
        self.way(first)?;
        let end = self.push(Op::Jump(0))?;
        self.ops[choice] = Op::Split(choice + 1, self.ops.len());
        self.way(second)?;
        self.ops[end] = Op::Jump(self.ops.len());
        Some(())
    }

    /// An expression that begins the text. Where its fixed beginning stands, a text that it needs further on is looked
    /// for: of patterns that begin alike most fail by that, and late.
    fn whole(&mut self, root: &Node) -> Option<()> {
        let Node::Concat(nodes) = root else { return self.node(root) };
        let begins = |node: &Node| *node == Node::Assert(Assertion::Start);
        if !self.python || !nodes.first().is_some_and(begins) {
            return self.node(root);
        }
        let fixed = nodes.iter().position(|node| !is_fixed(node)).unwrap_or(nodes.len());
        let (begin, rest) = nodes.split_at(fixed);
        begin.iter().try_for_each(|node| self.node(node))?;
        let texts = rest.iter().filter_map(|node| match node {
            Node::Literal(text) if text.len() >= NEEDED => Some(text),
            _ => None,
        });
        if let Some(text) = texts.max_by_key(|text| text.len()) {
            self.push(Op::Need(Box::new(memmem::Finder::new(text).into_owned())))?;
        }
        rest.iter().try_for_each(|node| self.node(node))
    }

    fn way(&mut self, way: &Way) -> Option<()> {
        for text in &way.needs {
            self.push(Op::Need(Box::new(memmem::Finder::new(text).into_owned())))?;
        }
        self.node(&way.node)
    }

    fn node(&mut self, node: &Node) -> Option<()> {
        match node {
            Node::Empty => {}
            Node::Literal(bytes) => drop(self.push(Op::Literal(bytes.clone().into()))?),
            Node::Class(set) => drop(self.push(Op::Class(*set))?),
            Node::Chars(chars) => drop(self.push(Op::Chars(chars.ascii(), chars.clone()))?),
            Node::Assert(assertion) => drop(self.push(Op::Assert(*assertion))?),
            Node::Group(group, inner) => {
                if !self.groups.contains(group) {
                    return self.node(inner);
                }
                let slot = self.slot(*group);
                self.push(Op::Save(slot))?;
                self.node(inner)?;
                self.push(Op::Save(slot + 1))?;
            }
            Node::Concat(nodes) => nodes.iter().try_for_each(|node| self.node(node))?,
            Node::Alternation(nodes) => self.branches(nodes)?,
            Node::Repeat { node, min, max, greedy } => self.repeat(node, *min as usize, *max, *greedy)?,
            _ if !self.python => return None,
            Node::Atomic(node) => self.enclose(Kind::Atomic, node)?,
            Node::Around { ahead: true, negative, node } => {
                self.enclose(Kind::Ahead { negative: *negative }, node)?;
            }
            Node::Around { ahead: false, negative, node } => {
                self.enclose(Kind::Behind { negative: *negative, back: node.characters().0 }, node)?;
            }
            Node::Backreference { group, ignore_case } => {
                let slot = self.slot(*group);
                self.push(Op::Same { slot, ignore_case: *ignore_case })?;
            }
            Node::Conditional { group, branches } => {
                let slot = self.slot(*group) + 1;
                let condition = self.push(Op::If { slot, no: 0 })?;
                self.node(&branches[0])?;
                let end = self.push(Op::Jump(0))?;
                self.ops[condition] = Op::If { slot, no: self.ops.len() };
                self.node(&branches[1])?;
                self.ops[end] = Op::Jump(self.ops.len());
            }
        }
        Some(())
    }

    fn enclose(&mut self, kind: Kind, node: &Node) -> Option<()> {
        let start = self.push(Op::Enclose(Enclose { kind, end: 0 }))?;
        self.node(node)?;
        self.push(Op::Enclosed)?;
        self.ops[start] = Op::Enclose(Enclose { kind, end: self.ops.len() });
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

    /// What `(?! from ).` is made of: the text that must not begin there, and the class.
    fn until<'n>(&self, node: &'n Node) -> Option<(&'n [u8], &'n Node)> {
        let Node::Concat(nodes) = node else { return None };
        match &nodes[..] {
            [
                Node::Around { ahead: true, negative: true, node },
                single @ (Node::Class(_) | Node::Chars(_)),
            ] if self.python => {
                if let Node::Literal(text) = &**node {
                    Some((text, single))
                } else {
                    None
                }
            }
            _ => None,
        }
    }

    fn repeat(&mut self, node: &Node, min: usize, max: Option<u32>, greedy: bool) -> Option<()> {
        let (single, until) = match self.until(node) {
            Some((text, single)) => (single, Some(text)),
            None => (node, None),
        };
        let single = match single {
            Node::Class(set) => Some((*set, None)),
            Node::Literal(bytes) if bytes.len() == 1 => Some((ByteSet::of(bytes), None)),
            Node::Chars(chars) if chars.is_full() => {
                Some((chars.ascii().union(ByteSet::HIGH), Some(chars.clone())))
            }
            Node::Chars(chars) => Some((chars.ascii(), Some(chars.clone()))),
            _ => None,
        };
        if let Some((set, chars)) = single {
            let run = Run::new(set, chars, min, max, greedy).until(until);
            return self.push(Op::Run(Box::new(run))).map(drop);
        }
        let may_be_empty = node.width().0 == 0;
        // A round that takes nothing would go round for ever; the other engines differ in how they end that.
        if may_be_empty && max != Some(1) && !self.python {
            return None;
        }
        for _ in 0..min {
            self.node(node)?;
        }
        let slot = (may_be_empty && max != Some(1)).then(|| {
            self.rounds += 1;
            2 * self.groups.len() + 1 + self.rounds
        });
        let (from, rounds) = (self.ops.len(), max.map_or(1, |max| max as usize - min));
        let mut splits = Vec::new();
        for _ in 0..rounds {
            let split = self.push(Op::Split(0, 0))?;
            if let Some(slot) = slot {
                self.push(Op::Save(slot))?;
            }
            self.node(node)?;
            match (slot, max) {
                (None, None) => drop(self.push(Op::Jump(split))?),
                (None, Some(_)) => {}
                (Some(slot), _) => {
                    let again = if max.is_none() { split } else { self.ops.len() + 1 };
                    self.push(Op::Round { slot, again, end: 0 })?;
                }
            }
            splits.push(split);
        }
        let end = self.ops.len();
        for split in splits {
            let (more, less) = (split + 1, end);
            self.ops[split] = if greedy { Op::Split(more, less) } else { Op::Split(less, more) };
        }
        for op in &mut self.ops[from..] {
            if let Op::Round { slot: known, end: last, .. } = op
                && Some(*known) == slot
            {
                *last = end;
            }
        }
        Some(())
    }
}

/// Whether it is one text, or an assertion.
fn is_fixed(node: &Node) -> bool {
    match node {
        Node::Literal(_) | Node::Assert(_) => true,
        Node::Group(_, inner) => is_fixed(inner),
        Node::Concat(nodes) => nodes.iter().all(is_fixed),
        _ => false,
    }
}

fn visit(node: &Node, see: &mut dyn FnMut(&Node)) {
    see(node);
    node.children().iter().for_each(|child| visit(child, see));
}

/// The bytes that the instructions from `op` on can take first; none when they may take none.
fn first(ops: &[Op], op: usize, visited: &mut usize) -> Option<ByteSet> {
    *visited += 1;
    if *visited > LOOK_AT {
        return None;
    }
    match &ops[op] {
        Op::Literal(bytes) => Some(ByteSet::of(&bytes[..1])),
        Op::Class(set) => Some(*set),
        Op::Chars(_, chars) => Some(chars.first()),
        Op::Run(run) if !run.may_be_empty() => Some(run.first()),
        Op::Rounds { run, .. } => Some(run.first()),
        Op::Run(run) => Some(run.first().union(first(ops, op + 1, visited)?)),
        Op::Split(a, b) => Some(first(ops, *a, visited)?.union(first(ops, *b, visited)?)),
        Op::Choice(choice) => {
            Some(first(ops, choice.first, visited)?.union(first(ops, choice.second, visited)?))
        }
        Op::If { no, .. } => Some(first(ops, op + 1, visited)?.union(first(ops, *no, visited)?)),
        Op::Jump(to) => first(ops, *to, visited),
        Op::Save(_) | Op::Assert(_) | Op::Need(_) | Op::Enclose(Enclose { kind: Kind::Atomic, .. }) => {
            first(ops, op + 1, visited)
        }
        // What they look at is not taken.
        Op::Enclose(inside) => first(ops, inside.end, visited),
        // Whoever is inside of something enclosed cannot know what comes behind it.
        Op::Enclosed | Op::Same { .. } | Op::Done => None,
        Op::Round { again, end, .. } => Some(first(ops, *again, visited)?.union(first(ops, *end, visited)?)),
    }
}
