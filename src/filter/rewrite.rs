//! Tree → what the engines take: exactly where they can, else an over-approximation.
//!
//! The over-approximation matches whatever the original matches, and more: look-around is dropped,
//! a conditional becomes both its branches, a back-reference any text, an address a run of its characters.

use std::fmt::Write;

use regex_syntax::hir::{Capture, Class, ClassBytes, ClassBytesRange, Hir, Look, Repetition};

use super::syntax::{Assertion, ByteSet, Node, Syntax};

/// Whether the linear engines can match it exactly.
pub(super) fn is_plain(node: &Node) -> bool {
    !node.any(&|node| {
        matches!(
            node,
            Node::Around { .. } | Node::Backreference { .. } | Node::Conditional { .. } | Node::Atomic(_)
        )
    })
}

/// For the linear engines; `groups` become their groups 1, 2, … and the others do not capture.
/// The tree must be plain and of bytes.
pub(super) fn exact(node: &Node, groups: &[usize]) -> Hir {
    Linear { groups, loose: None }.hir(node)
}

/// Matches at least what the original matches; captures nothing.
pub(super) fn over(syntax: &Syntax) -> Hir {
    Linear { groups: &[], loose: Some(syntax) }.hir(&syntax.root)
}

struct Linear<'l> {
    groups: &'l [usize],
    /// Set: addresses may become less exact.
    loose: Option<&'l Syntax>,
}

impl Linear<'_> {
    fn hir(&self, node: &Node) -> Hir {
        let all = |nodes: &[Node]| nodes.iter().map(|node| self.hir(node)).collect();
        match node {
            Node::Empty | Node::Around { .. } => Hir::empty(),
            Node::Literal(bytes) => Hir::literal(bytes.clone()),
            Node::Class(set) => class(*set),
            Node::Chars(chars) => {
                Hir::concat(vec![class(chars.first()), repeat(class(ByteSet::HIGH), 0, Some(3), true)])
            }
            Node::Assert(assertion) => look(*assertion).map_or_else(Hir::empty, Hir::look),
            Node::Group(group, inner) => self.group(*group, inner),
            Node::Atomic(node) => self.hir(node),
            Node::Concat(nodes) => Hir::concat(all(nodes)),
            Node::Alternation(nodes) => Hir::alternation(all(nodes)),
            Node::Conditional { branches, .. } => Hir::alternation(all(&branches[..])),
            Node::Repeat { node, min, max, greedy } => repeat(self.hir(node), *min, *max, *greedy),
            Node::Backreference { .. } => repeat(class(ByteSet::ALL), 0, None, true),
        }
    }

    fn group(&self, group: usize, inner: &Node) -> Hir {
        let name = self.loose.and_then(|syntax| syntax.name(group));
        if matches!(name, Some("ip4" | "ip6")) {
            let least = u32::from(inner.width().0 > 0);
            return repeat(class(inner.alphabet()), least, None, true);
        }
        let sub = self.hir(inner);
        match self.groups.iter().position(|wanted| *wanted == group) {
            Some(index) => Hir::capture(Capture { index: index as u32 + 1, name: None, sub: Box::new(sub) }),
            None => sub,
        }
    }
}

fn repeat(sub: Hir, min: u32, max: Option<u32>, greedy: bool) -> Hir {
    Hir::repetition(Repetition { min, max, greedy, sub: Box::new(sub) })
}

fn class(set: ByteSet) -> Hir {
    let ranges = set.ranges().into_iter().map(|(first, last)| ClassBytesRange::new(first, last));
    Hir::class(Class::Bytes(ClassBytes::new(ranges)))
}

/// None where the linear engines know no equal.
fn look(assertion: Assertion) -> Option<Look> {
    Some(match assertion {
        Assertion::Start => Look::Start,
        Assertion::End => Look::End,
        Assertion::LineStart => Look::StartLF,
        // Python's `$` holds in fewer places.
        Assertion::LineEnd | Assertion::LastLineEnd => Look::EndLF,
        Assertion::Word => Look::WordAscii,
        Assertion::NotWord => Look::WordAsciiNegate,
        Assertion::WideWord | Assertion::WideNotWord => return None,
    })
}

/// For fancy-regex, in nothing but what it reads as Python does: groups by number, classes as plain ranges.
/// The tree must be of bytes: of a class beyond ASCII, only the ASCII part is written.
pub(super) fn fancy(node: &Node) -> String {
    let mut out = String::new();
    write_fancy(node, &mut out);
    out
}

fn write_fancy(node: &Node, out: &mut String) {
    let mut wrapped = |open: &str, inner: &Node, close: &str| {
        out.push_str(open);
        write_fancy(inner, out);
        out.push_str(close);
    };
    match node {
        Node::Empty => out.push_str("(?:)"),
        Node::Literal(bytes) => bytes.iter().for_each(|byte| write_byte(*byte, out)),
        Node::Class(set) => write_class(*set, out),
        Node::Chars(chars) => write_class(chars.ascii(), out),
        Node::Assert(assertion) => out.push_str(match assertion {
            Assertion::Start => r"\A",
            Assertion::End => r"\z",
            Assertion::LastLineEnd => r"(?=\n?\z)",
            Assertion::LineStart => "(?m:^)",
            Assertion::LineEnd => "(?m:$)",
            Assertion::Word | Assertion::WideWord => r"\b",
            Assertion::NotWord | Assertion::WideNotWord => r"\B",
        }),
        Node::Group(_, node) => wrapped("(", node, ")"),
        Node::Atomic(node) => wrapped("(?>", node, ")"),
        Node::Around { ahead, negative, node } => {
            let open = match (ahead, negative) {
                (true, false) => "(?=",
                (true, true) => "(?!",
                (false, false) => "(?<=",
                (false, true) => "(?<!",
            };
            wrapped(open, node, ")");
        }
        Node::Concat(nodes) => nodes.iter().for_each(|node| write_fancy(node, out)),
        Node::Alternation(nodes) => {
            for (index, node) in nodes.iter().enumerate() {
                out.push_str(if index == 0 { "(?:" } else { "|" });
                write_fancy(node, out);
            }
            out.push(')');
        }
        Node::Repeat { node, min, max, greedy } => {
            wrapped("(?:", node, ")");
            let _ = match max {
                Some(max) => write!(out, "{{{min},{max}}}"),
                None => write!(out, "{{{min},}}"),
            };
            out.push_str(if *greedy { "" } else { "?" });
        }
        Node::Backreference { group, ignore_case } => {
            let flag = if *ignore_case { "i" } else { "" };
            let _ = write!(out, "(?{flag}:\\{group})");
        }
        Node::Conditional { group, branches } => {
            let _ = write!(out, "(?({group})(?:");
            write_fancy(&branches[0], out);
            out.push_str(")|(?:");
            write_fancy(&branches[1], out);
            out.push_str("))");
        }
    }
}

fn write_byte(byte: u8, out: &mut String) {
    if byte.is_ascii_alphanumeric() {
        out.push(byte as char);
    } else {
        let _ = write!(out, "\\x{byte:02x}");
    }
}

fn write_class(set: ByteSet, out: &mut String) {
    if set.is_empty() {
        out.push_str("(?!)");
        return;
    }
    out.push('[');
    for (first, last) in set.ranges() {
        write_byte(first, out);
        if first != last {
            out.push('-');
            write_byte(last, out);
        }
    }
    out.push(']');
}
