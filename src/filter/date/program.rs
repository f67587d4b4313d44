//! A quick matcher for the expressions of dates: the same matches as [`super::expression`]'s, where it can tell.
//!
//! It is made from the expression's tree, with one instruction for a whole field, and gives up ([`Unsure`]) where a
//! character beyond ASCII could matter or where it would have to try too much. Expressions that have more than dates
//! are made of get none.

mod digits;
mod walk;

use super::field::{self, Window};
use crate::filter::syntax::{Assertion, ByteSet, Dialect, Node, Syntax, parse};
use digits::Digits;
pub(super) use walk::Spans;

/// Instructions of one program.
const SIZE: usize = 400;
/// Groups of one program.
pub(super) const GROUPS: usize = 16;

#[derive(Debug, Clone)]
enum Op {
    Byte(u8),
    /// One byte of a set; `wide`: the set may have characters beyond ASCII.
    Set {
        set: ByteSet,
        wide: bool,
    },
    /// As many as there are, up to `most`, and then fewer, down to `least`.
    Run {
        set: ByteSet,
        wide: bool,
        least: usize,
        most: usize,
    },
    /// A whole field, into this group.
    Field(Digits, usize),
    Open(usize),
    Close(usize),
    /// The same byte as this group of one.
    Same(usize),
    /// The next instruction, else another; the next byte may tell that one of them fails.
    Choice(Box<Choice>),
    Jump(usize),
    Start,
    /// The end, as `$` has it.
    End,
    /// `\b`
    Edge,
    /// Not inside a word; `(?=^|\b|\W)` and `(?=\b|\W|$)`.
    Bound {
        is_end: bool,
    },
    Done,
}

#[derive(Debug, Clone, Default)]
struct Choice {
    second: usize,
    /// What each can begin with; none: anything, or nothing.
    begins: [Option<ByteSet>; 2],
}

/// A quick matcher.
#[derive(Debug, Clone)]
pub(super) struct Program {
    ops: Vec<Op>,
    /// It can match at the line's beginning only.
    anchored: bool,
    /// The bytes that it can begin with; none: any.
    first: Option<ByteSet>,
}

/// What an expression can be made of.
#[derive(Debug)]
pub(super) struct Known {
    /// Trees of fields, as they are with and without their case.
    fields: Vec<(Node, Digits)>,
    begin: Node,
    end: Node,
}

const DIALECT: Dialect = Dialect::Python { multi_line: false };

impl Known {
    /// Fields, where `%ExY` accepts the years of `window`.
    pub(super) fn new(window: Window) -> Self {
        let tree = |text: &str| parse(text, DIALECT).map_or(Node::Empty, |syntax| syntax.root);
        let field = |(spec, digits): &(&str, Digits), flags: &str| {
            let text = field::expand(&format!("%{spec}"), window).unwrap_or_default();
            (inside(tree(&format!("{flags}{text}"))), *digits)
        };
        let others = [("ExY", Digits::Window(window)), ("z", Digits::Offset { fold: false })];
        let exact = digits::NUMBERS.iter().chain(&others).map(|known| field(known, ""));
        let folded = digits::NAMES.iter().map(|known| field(known, "(?iu)"));
        let fields = exact.chain(folded).collect();
        Self { fields, begin: tree(super::language::BEGIN), end: tree(super::language::END) }
    }
}

/// What is in a group that is the only thing there is, or the last one.
fn inside(node: Node) -> Node {
    match node {
        Node::Group(_, node) => *node,
        Node::Concat(mut nodes) => nodes.pop().map_or(Node::Empty, inside),
        node => node,
    }
}

impl Program {
    /// Compiles a tree; `groups` are kept, in this order, the first of them group 1. None: it has more than dates are
    /// made of.
    pub(super) fn new(syntax: &Syntax, groups: &[usize], known: &Known) -> Option<Self> {
        if groups.len() > GROUPS {
            return None;
        }
        let mut compiler = Compiler { ops: Vec::new(), groups: groups.to_vec(), kept: groups.len(), known };
        compiler.node(&syntax.root)?;
        compiler.push(Op::Done)?;
        let mut ops = compiler.ops;
        for at in 0..ops.len() {
            let Op::Choice(choice) = &ops[at] else { continue };
            let begins = [at + 1, choice.second].map(|op| first(&ops, op, &mut 0));
            if let Op::Choice(choice) = &mut ops[at] {
                choice.begins = begins;
            }
        }
        let first = first(&ops, 0, &mut 0);
        let anchored = crate::filter::pattern::is_anchored(&syntax.root);
        Some(Self { ops, anchored, first })
    }
}

struct Compiler<'k> {
    ops: Vec<Op>,
    /// Groups by the places that they go to; those of back-references are added.
    groups: Vec<usize>,
    /// How many of them were asked for.
    kept: usize,
    known: &'k Known,
}

impl Compiler<'_> {
    fn push(&mut self, op: Op) -> Option<usize> {
        self.ops.push(op);
        (self.ops.len() <= SIZE).then(|| self.ops.len() - 1)
    }

    fn node(&mut self, node: &Node) -> Option<()> {
        if *node == self.known.begin {
            return self.push(Op::Bound { is_end: false }).map(drop);
        }
        if *node == self.known.end {
            return self.push(Op::Bound { is_end: true }).map(drop);
        }
        match node {
            Node::Empty => {}
            Node::Literal(bytes) if bytes.is_ascii() => {
                bytes.iter().try_for_each(|byte| self.push(Op::Byte(*byte)).map(drop))?;
            }
            Node::Class(set) => drop(self.push(Op::Set { set: *set, wide: false })?),
            Node::Chars(chars) => drop(self.push(Op::Set { set: chars.ascii(), wide: true })?),
            Node::Assert(Assertion::Start) => drop(self.push(Op::Start)?),
            Node::Assert(Assertion::LastLineEnd) => drop(self.push(Op::End)?),
            Node::Assert(Assertion::WideWord) => drop(self.push(Op::Edge)?),
            Node::Group(group, inner) => self.group(*group, inner)?,
            Node::Concat(nodes) => nodes.iter().try_for_each(|node| self.node(node))?,
            Node::Alternation(nodes) => self.branches(nodes)?,
            Node::Repeat { node, min, max, greedy: true } => self.repeat(node, *min, *max)?,
            // A group of one byte that is no letter, or it would not be among these.
            Node::Backreference { group, ignore_case: _ } => {
                let place = self
                    .groups
                    .iter()
                    .position(|known| known == group)
                    .filter(|place| *place >= self.kept)?;
                self.push(Op::Same(place))?;
            }
            _ => return None,
        }
        Some(())
    }

    fn group(&mut self, group: usize, inner: &Node) -> Option<()> {
        let place = self.groups.iter().position(|known| *known == group);
        if let (Some(place), Some((_, digits))) =
            (place, self.known.fields.iter().find(|(known, _)| known == inner))
        {
            return self.push(Op::Field(*digits, place)).map(drop);
        }
        let place = match place {
            Some(place) => place,
            // It may be referred to.
            None if is_mark(inner) && self.groups.len() < GROUPS => {
                self.groups.push(group);
                self.groups.len() - 1
            }
            None => return self.node(inner),
        };
        self.push(Op::Open(place))?;
        self.node(inner)?;
        self.push(Op::Close(place)).map(drop)
    }

    /// The other way of a choice is from here on.
    fn otherwise(&mut self, choice: usize) {
        let second = self.ops.len();
        if let Op::Choice(choice) = &mut self.ops[choice] {
            choice.second = second;
        }
    }

    fn branches(&mut self, nodes: &[Node]) -> Option<()> {
        let mut ends = Vec::new();
        for (index, node) in nodes.iter().enumerate() {
            if index + 1 == nodes.len() {
                self.node(node)?;
                break;
            }
            let choice = self.push(Op::Choice(Box::default()))?;
            self.node(node)?;
            ends.push(self.push(Op::Jump(0))?);
            self.otherwise(choice);
        }
        for end in ends {
            self.ops[end] = Op::Jump(self.ops.len());
        }
        Some(())
    }

    fn repeat(&mut self, node: &Node, min: u32, max: Option<u32>) -> Option<()> {
        let single = match node {
            Node::Literal(bytes) if bytes.len() == 1 && bytes.is_ascii() => Some((ByteSet::of(bytes), false)),
            Node::Class(set) => Some((*set, false)),
            Node::Chars(chars) => Some((chars.ascii(), true)),
            _ => None,
        };
        if let Some((set, wide)) = single {
            let most = max.map_or(usize::MAX, |max| max as usize);
            return self.push(Op::Run { set, wide, least: min as usize, most }).map(drop);
        }
        match (min, max) {
            (1, Some(1)) => self.node(node),
            (0, Some(1)) => {
                let choice = self.push(Op::Choice(Box::default()))?;
                self.node(node)?;
                self.otherwise(choice);
                Some(())
            }
            _ => None,
        }
    }
}

/// A byte that is no letter.
fn is_mark(node: &Node) -> bool {
    matches!(node, Node::Class(set) if !set.overlaps(ByteSet::WORD))
}

/// The bytes that the instructions from `op` on can take first; none when they may take none, or any.
fn first(ops: &[Op], op: usize, visited: &mut usize) -> Option<ByteSet> {
    *visited += 1;
    if *visited > 100 {
        return None;
    }
    let wide = |set: &ByteSet, wide: &bool| if *wide { set.union(ByteSet::LEAD) } else { *set };
    match &ops[op] {
        Op::Byte(byte) => Some(ByteSet::of(&[*byte])),
        Op::Set { set, wide: is_wide } => Some(wide(set, is_wide)),
        Op::Run { set, wide: is_wide, least, .. } if *least > 0 => Some(wide(set, is_wide)),
        Op::Run { set, wide: is_wide, .. } => Some(wide(set, is_wide).union(first(ops, op + 1, visited)?)),
        Op::Field(digits, _) => Some(digits.first().union(ByteSet::LEAD)),
        Op::Choice(choice) => Some(first(ops, op + 1, visited)?.union(first(ops, choice.second, visited)?)),
        Op::Jump(to) => first(ops, *to, visited),
        Op::Open(_) | Op::Close(_) | Op::Start | Op::Edge | Op::Bound { .. } => first(ops, op + 1, visited),
        Op::Same(_) | Op::End | Op::Done => None,
    }
}
