//! A regular expression as a tree: what all engines of a filter are made from.
//!
//! [`parse()`] reads the dialect of Python's `re`; flags, classes and escapes are resolved there,
//! so that no engine's own idea of `[a&&b]`, `\<`, `\s` or `(?(name)…)` can creep in.
//! Of the two [`Dialect`]s one knows bytes, the other characters.

mod bytes;
mod chars;
mod flags;
mod fold;
mod groups;
mod parse;
mod sets;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub(super) use bytes::ByteSet;
pub(super) use flags::local_flags;
pub(super) use fold::same_letter;
pub(super) use parse::{SyntaxError, parse};
pub(super) use sets::{Chars, char_at, is_word};

/// Whose regular expressions these are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// A TOML jail's. Everything is ASCII and bytes: `\d`, `\w`, `\s`, `\b` and `(?i)` know ASCII only, `.` is any byte
    /// except `\n`, `$` is the end.
    Bytes,
    /// Fail2Ban's: Python 3.11's `re` over text. `\d`, `\w`, `\s`, `\b` and `(?i)` know Unicode, `.` is any character
    /// except `\n`, `$` is also before a last `\n`.
    Python {
        /// `re.MULTILINE`, which Fail2Ban sets where `maxlines` is above 1.
        multi_line: bool,
    },
}

/// A condition on a place that takes no bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Assertion {
    /// `^`, `\A`
    Start,
    /// `\Z`, and in the dialect of bytes `$`: a line has no end of its own, so there the two are the same.
    End,
    /// Python's `$`
    LastLineEnd,
    /// `(?m:^)`
    LineStart,
    /// `(?m:$)`
    LineEnd,
    /// `\b` of ASCII
    Word,
    /// `\B` of ASCII
    NotWord,
    /// `\b` of Unicode
    WideWord,
    /// `\B` of Unicode
    WideNotWord,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Empty,
    /// One or more bytes: whole characters in UTF-8.
    Literal(Vec<u8>),
    /// A byte; in Python's dialect an ASCII one.
    Class(ByteSet),
    /// A character of a set that has some beyond ASCII. Only in Python's dialect.
    Chars(Arc<Chars>),
    Assert(Assertion),
    /// A group that captures, counted from 1.
    Group(usize, Box<Node>),
    Concat(Vec<Node>),
    Alternation(Vec<Node>),
    Repeat {
        node: Box<Node>,
        min: u32,
        max: Option<u32>,
        greedy: bool,
    },
    /// `(?>…)`, `a++`
    Atomic(Box<Node>),
    Around {
        ahead: bool,
        negative: bool,
        node: Box<Node>,
    },
    Backreference {
        group: usize,
        ignore_case: bool,
    },
    /// `(?(name)yes|no)`: the two branches.
    Conditional {
        group: usize,
        branches: Box<[Node; 2]>,
    },
}

/// A parsed expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Syntax {
    pub(super) dialect: Dialect,
    pub(super) root: Node,
    /// How many groups capture.
    pub(super) groups: usize,
    /// Named groups in order of their opening.
    pub(super) names: Vec<(String, usize)>,
}

impl Syntax {
    pub(super) fn group(&self, name: &str) -> Option<usize> {
        self.names.iter().find(|(known, _)| known == name).map(|(_, group)| *group)
    }

    pub(super) fn name(&self, group: usize) -> Option<&str> {
        self.names.iter().find(|(_, known)| *known == group).map(|(name, _)| &**name)
    }
}

impl Node {
    /// Joins nodes, flattening and merging neighbouring literals.
    pub(super) fn concat(nodes: Vec<Node>) -> Node {
        fn push(joined: &mut Vec<Node>, node: Node) {
            match (joined.last_mut(), node) {
                (_, Node::Empty) => {}
                (Some(Node::Literal(before)), Node::Literal(bytes)) => before.extend(bytes),
                (_, Node::Concat(inner)) => inner.into_iter().for_each(|node| push(joined, node)),
                (_, node) => joined.push(node),
            }
        }
        let mut joined = Vec::with_capacity(nodes.len());
        for node in nodes {
            push(&mut joined, node);
        }
        match joined.len() {
            0 => Node::Empty,
            1 => joined.remove(0),
            _ => Node::Concat(joined),
        }
    }

    pub(super) fn children(&self) -> &[Node] {
        match self {
            Node::Empty
            | Node::Literal(_)
            | Node::Class(_)
            | Node::Chars(_)
            | Node::Assert(_)
            | Node::Backreference { .. } => &[],
            Node::Group(_, node)
            | Node::Atomic(node)
            | Node::Repeat { node, .. }
            | Node::Around { node, .. } => std::slice::from_ref(node),
            Node::Concat(nodes) | Node::Alternation(nodes) => nodes,
            Node::Conditional { branches, .. } => &branches[..],
        }
    }

    /// Whether this node or one below satisfies `test`.
    pub(super) fn any(&self, test: &dyn Fn(&Node) -> bool) -> bool {
        test(self) || self.children().iter().any(|child| child.any(test))
    }

    /// Whether each match of it begins with such an assertion.
    pub(super) fn begins_with(&self, test: &dyn Fn(Assertion) -> bool) -> bool {
        match self {
            Node::Assert(assertion) => test(*assertion),
            Node::Group(_, node) | Node::Atomic(node) => node.begins_with(test),
            Node::Repeat { node, min, .. } => *min > 0 && node.begins_with(test),
            Node::Concat(nodes) => nodes.first().is_some_and(|node| node.begins_with(test)),
            Node::Alternation(nodes) => nodes.iter().all(|node| node.begins_with(test)),
            _ => false,
        }
    }

    /// Whether this group takes part in each match of it, and takes something.
    pub(super) fn always_fills(&self, group: usize) -> bool {
        match self {
            Node::Group(known, node) if *known == group => node.width().0 > 0,
            Node::Group(_, node) | Node::Atomic(node) => node.always_fills(group),
            Node::Repeat { node, min, max: Some(1), .. } => *min == 1 && node.always_fills(group),
            Node::Concat(nodes) => nodes.iter().any(|node| node.always_fills(group)),
            _ => false,
        }
    }

    /// The least and the most bytes it can take; none: no bound, or not known.
    pub(super) fn width(&self) -> (usize, Option<usize>) {
        self.measure(&|node| match node {
            Node::Literal(bytes) => (bytes.len(), bytes.len()),
            Node::Chars(chars) => (chars.shortest(), 4),
            _ => (1, 1),
        })
    }

    /// The least and the most characters it can take.
    pub(super) fn characters(&self) -> (usize, Option<usize>) {
        self.measure(&|node| match node {
            Node::Literal(bytes) => {
                let count = bytes.iter().filter(|byte| is_first(**byte)).count();
                (count, count)
            }
            _ => (1, 1),
        })
    }

    fn measure(&self, leaf: &dyn Fn(&Node) -> (usize, usize)) -> (usize, Option<usize>) {
        match self {
            Node::Empty | Node::Assert(_) | Node::Around { .. } => (0, Some(0)),
            Node::Literal(_) | Node::Class(_) | Node::Chars(_) => {
                let (least, most) = leaf(self);
                (least, Some(most))
            }
            Node::Group(_, node) | Node::Atomic(node) => node.measure(leaf),
            Node::Concat(nodes) => {
                let widths = nodes.iter().map(|node| node.measure(leaf));
                widths.fold((0, Some(0)), |sum, width| {
                    let most = sum.1.zip(width.1).and_then(|(a, b)| a.checked_add(b));
                    (sum.0.saturating_add(width.0), most)
                })
            }
            Node::Alternation(_) | Node::Conditional { .. } => {
                let widths = self.children().iter().map(|node| node.measure(leaf));
                widths
                    .reduce(|a, b| (a.0.min(b.0), a.1.zip(b.1).map(|(a, b)| a.max(b))))
                    .unwrap_or((0, Some(0)))
            }
            Node::Repeat { node, min, max, .. } => {
                let (least, most) = node.measure(leaf);
                let times = max.and_then(|max| usize::try_from(max).ok());
                let product = most.zip(times).and_then(|(a, b)| a.checked_mul(b));
                (least.saturating_mul(*min as usize), if most == Some(0) { Some(0) } else { product })
            }
            Node::Backreference { .. } => (0, None),
        }
    }

    /// Every byte that a match of it can contain (look-around not counted).
    pub(super) fn alphabet(&self) -> ByteSet {
        match self {
            Node::Literal(bytes) => ByteSet::of(bytes),
            Node::Class(set) => *set,
            Node::Chars(chars) => chars.ascii().union(ByteSet::HIGH),
            Node::Around { .. } => ByteSet::default(),
            Node::Backreference { .. } => ByteSet::ALL,
            _ => self.children().iter().map(Node::alphabet).fold(ByteSet::default(), ByteSet::union),
        }
    }
}

/// Whether a byte is the first one of a character.
pub(super) const fn is_first(byte: u8) -> bool {
    byte & 0xc0 != 0x80
}
