//! A regular expression as a tree over bytes: what all engines of a filter are made from.
//!
//! [`parse()`] reads the dialect of Python's `re`; flags, classes and escapes are resolved there,
//! so that no engine's own idea of `[a&&b]`, `\<`, `\s` or `(?(name)…)` can creep in.
//! Everything is ASCII and bytes: `\d`, `\w`, `\s`, `\b` and `(?i)` know ASCII only, `.` is any byte except `\n`.

mod chars;
mod parse;
#[cfg(test)]
mod tests;

pub(super) use parse::{SyntaxError, parse};

/// A set of bytes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub(super) struct ByteSet([u64; 4]);

impl ByteSet {
    pub(super) const DIGIT: Self = Self::of(b"0123456789");
    pub(super) const WORD: Self =
        Self::of(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz");
    /// Python's blanks: those of C and the four separators before the blank.
    pub(super) const SPACE: Self = Self::of(b" \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f");
    pub(super) const ALL: Self = Self([u64::MAX; 4]);
    /// `.` without the flag `s`.
    pub(super) const DOT: Self = Self::of(b"\n").negated();

    pub(super) const fn of(bytes: &[u8]) -> Self {
        let mut set = Self([0; 4]);
        let mut at = 0;
        while at < bytes.len() {
            set.0[(bytes[at] >> 6) as usize] |= 1 << (bytes[at] & 63);
            at += 1;
        }
        set
    }

    pub(super) const fn contains(&self, byte: u8) -> bool {
        self.0[(byte >> 6) as usize] & (1 << (byte & 63)) != 0
    }

    pub(super) const fn negated(self) -> Self {
        Self([!self.0[0], !self.0[1], !self.0[2], !self.0[3]])
    }

    pub(super) const fn union(self, other: Self) -> Self {
        let (a, b) = (self.0, other.0);
        Self([a[0] | b[0], a[1] | b[1], a[2] | b[2], a[3] | b[3]])
    }

    pub(super) fn is_empty(self) -> bool {
        self == Self::default()
    }

    pub(super) fn overlaps(self, other: Self) -> bool {
        self.0.iter().zip(other.0).any(|(a, b)| a & b != 0)
    }

    pub(super) fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    pub(super) fn insert_range(&mut self, first: u8, last: u8) {
        for byte in first..=last {
            self.insert(byte);
        }
    }

    /// With the other case of each ASCII letter.
    #[must_use]
    pub(super) fn without_case(self) -> Self {
        let mut set = self;
        for letter in b'a'..=b'z' {
            let upper = letter.to_ascii_uppercase();
            if self.contains(letter) || self.contains(upper) {
                set.insert(letter);
                set.insert(upper);
            }
        }
        set
    }

    pub(super) fn bytes(self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(move |byte| self.contains(*byte))
    }

    /// The runs of bytes in it.
    pub(super) fn ranges(self) -> Vec<(u8, u8)> {
        let mut ranges: Vec<(u8, u8)> = Vec::new();
        for byte in self.bytes() {
            match ranges.last_mut() {
                Some((_, last)) if last.checked_add(1) == Some(byte) => *last = byte,
                _ => ranges.push((byte, byte)),
            }
        }
        ranges
    }
}

impl std::fmt::Debug for ByteSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[")?;
        for (first, last) in self.ranges() {
            write!(f, "{}", first.escape_ascii())?;
            if first != last {
                write!(f, "-{}", last.escape_ascii())?;
            }
        }
        f.write_str("]")
    }
}

/// A condition on a place that takes no bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Assertion {
    /// `^`, `\A`
    Start,
    /// `$`, `\Z`: a line has no end of its own, so the two are the same.
    End,
    /// `(?m:^)`
    LineStart,
    /// `(?m:$)`
    LineEnd,
    /// `\b`
    Word,
    /// `\B`
    NotWord,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Empty,
    /// One or more bytes.
    Literal(Vec<u8>),
    Class(ByteSet),
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

    /// The least and the most bytes it can take; none: no bound, or not known.
    pub(super) fn width(&self) -> (usize, Option<usize>) {
        match self {
            Node::Empty | Node::Assert(_) | Node::Around { .. } => (0, Some(0)),
            Node::Literal(bytes) => (bytes.len(), Some(bytes.len())),
            Node::Class(_) => (1, Some(1)),
            Node::Group(_, node) | Node::Atomic(node) => node.width(),
            Node::Concat(nodes) => nodes.iter().map(Node::width).fold((0, Some(0)), |sum, width| {
                (sum.0.saturating_add(width.0), sum.1.zip(width.1).and_then(|(a, b)| a.checked_add(b)))
            }),
            Node::Alternation(_) | Node::Conditional { .. } => {
                let widths = self.children().iter().map(Node::width);
                widths
                    .reduce(|a, b| (a.0.min(b.0), a.1.zip(b.1).map(|(a, b)| a.max(b))))
                    .unwrap_or((0, Some(0)))
            }
            Node::Repeat { node, min, max, .. } => {
                let (least, most) = node.width();
                let times = max.and_then(|max| usize::try_from(max).ok());
                (
                    least.saturating_mul(*min as usize),
                    if most == Some(0) {
                        Some(0)
                    } else {
                        most.zip(times).and_then(|(a, b)| a.checked_mul(b))
                    },
                )
            }
            Node::Backreference { .. } => (0, None),
        }
    }

    /// Every byte that a match of it can contain (look-around not counted).
    pub(super) fn alphabet(&self) -> ByteSet {
        match self {
            Node::Literal(bytes) => ByteSet::of(bytes),
            Node::Class(set) => *set,
            Node::Around { .. } => ByteSet::default(),
            Node::Backreference { .. } => ByteSet::ALL,
            _ => self.children().iter().map(Node::alphabet).fold(ByteSet::default(), ByteSet::union),
        }
    }
}
