//! The head of a line: what a prefix takes before its `<F-CONTENT>`, told by an automaton in one pass.
//!
//! A prefix that ends with `<F-CONTENT>.+</F-CONTENT>` takes what its head takes at first, if anything is left behind it.
//! Where the head would have to give something back, only the whole prefix can tell. For Fail2Ban's prefixes that holds
//! of ASCII; other texts are left to the whole prefix.

use super::automaton::Automaton;
use super::rewrite;
use super::syntax::{Assertion, ByteSet, Dialect, Node, Syntax, parse};

/// The automata of a head.
#[derive(Debug)]
pub(super) struct Head {
    /// To the end of `<F-MLFID>`, where that is the beginning of the head and all behind it may be missing.
    session: Option<Automaton>,
    /// From there; else from the beginning.
    rest: Automaton,
    /// The bytes that the rest behind a session begins with, if it is there.
    begins: Option<ByteSet>,
    /// Where the session of the last text ended, and the head, if they did.
    last: Option<(usize, usize)>,
    /// Texts end with `\n`, and are ASCII, or not for an automaton.
    is_text: bool,
}

/// The head of a prefix, as a tree.
pub(super) struct Parts {
    /// With its groups.
    pub(super) head: Syntax,
    /// What the automata match.
    rest: Node,
    session: Option<Node>,
}

impl Head {
    /// The part of a prefix before its `<F-CONTENT>.+</F-CONTENT>`, when that is what it ends with.
    pub(super) fn split(prefix: &Syntax) -> Option<Parts> {
        let content = prefix.group("content")?;
        let Node::Concat(nodes) = &prefix.root else { return None };
        let is_text = prefix.dialect != Dialect::Bytes;
        let line_end = Node::Assert(if is_text { Assertion::LastLineEnd } else { Assertion::End });
        let end = match nodes.split_last()? {
            (last, before) if *last == line_end => before,
            _ => &nodes[..],
        };
        let (last, head) = end.split_last()?;
        let Node::Group(group, inner) = last else { return None };
        let is_rest = *group == content && parse(".+", prefix.dialect).is_ok_and(|rest| rest.root == **inner);
        if !is_rest {
            return None;
        }
        let plain = |node: &Node| if is_text { ascii(node) } else { Some(node.clone()) };
        let nodes: Vec<Node> = head.iter().map(plain).collect::<Option<_>>()?;
        if !nodes.iter().all(rewrite::is_plain) {
            return None;
        }
        let names = prefix.names.iter().filter(|(_, group)| *group != content).cloned().collect();
        let head = Syntax { root: Node::concat(head.to_vec()), names, ..prefix.clone() };
        let session = prefix.group("mlfid").and_then(|group| session(&nodes, group));
        let (session, rest) = match session {
            Some(length) => (Some(Node::concat(nodes[..length].to_vec())), nodes[length..].to_vec()),
            None => (None, nodes),
        };
        Some(Parts { head, rest: Node::concat(rest), session })
    }

    /// Whether all that such a prefix has before its content may be missing: then it matches each line that is not empty.
    pub(super) fn may_miss(prefix: &Syntax) -> bool {
        let Some(Parts { head, .. }) = Self::split(prefix) else { return false };
        let nodes = match head.root {
            Node::Concat(nodes) => nodes,
            node => vec![node],
        };
        let begin = nodes.iter().take_while(|node| **node == Node::Assert(Assertion::Start)).count();
        nodes[begin..].iter().all(can_be_nothing)
    }

    pub(super) fn new(parts: &Parts) -> Option<Self> {
        let session = match &parts.session {
            Some(node) => Some(Automaton::new(node)?),
            None => None,
        };
        let rest = Automaton::new(&parts.rest)?;
        let rest = if session.is_some() { rest.behind() } else { rest };
        let begins = session
            .as_ref()
            .and_then(|_| begins(&parts.rest))
            .filter(|(_, may_miss)| *may_miss)
            .map(|(set, _)| set);
        Some(Self { session, rest, begins, last: None, is_text: parts.head.dialect != Dialect::Bytes })
    }

    /// The same, to be asked by somebody else at the same time.
    pub(super) fn twin(&self) -> Self {
        let session = self.session.as_ref().map(Automaton::twin);
        Self { session, rest: self.rest.twin(), last: None, ..*self }
    }

    /// Before another text.
    pub(super) fn begin(&mut self) {
        self.last = None;
    }

    /// Where the head of a line ends, hence its content begins. `is_plain`: the text is known to be ASCII, ended by its
    /// only `\n`.
    /// `Err` when only the whole prefix can tell: it would have to give back what it took.
    pub(super) fn end(&mut self, text: &[u8], is_plain: bool) -> Result<Option<usize>, ()> {
        self.last = None;
        // What is behind the session may be missing: the whole takes of it what it takes by itself.
        let session = match &mut self.session {
            None => 0,
            Some(session) => match session.end(text) {
                Ok(Some(end)) => end,
                other => return self.told(other, text, is_plain),
            },
        };
        let is_missing =
            self.begins.is_some_and(|set| text.get(session).is_some_and(|byte| !set.contains(*byte)));
        let end = if is_missing {
            Ok(Some(session))
        } else {
            self.rest.end(&text[session..]).map(|end| end.map(|end| session + end))
        };
        let end = self.told(end, text, is_plain)?;
        self.last = end.map(|end| (session, end));
        Ok(end)
    }

    /// The same as [`Head::session`] of a text of which [`Head::end`] was asked last, since it began.
    pub(super) fn session_again(&mut self, text: &[u8], is_plain: bool) -> Result<Option<usize>, ()> {
        match self.last {
            Some((session, end)) if self.session.is_some() => {
                let broken =
                    self.is_text && !is_plain && memchr::memchr(b'\n', &text[session..end]).is_some();
                if broken { Err(()) } else { Ok(Some(session)) }
            }
            _ => self.session(text, is_plain),
        }
    }

    /// Where the text of `<F-MLFID>` ends, which begins the line: as [`Head::end`].
    pub(super) fn session(&mut self, text: &[u8], is_plain: bool) -> Result<Option<usize>, ()> {
        let end = self.session.as_mut().ok_or(())?.end(text);
        self.told(end, text, is_plain)
    }

    /// An end behind which `.+` can take the rest of the line.
    fn told(&self, end: Result<Option<usize>, ()>, text: &[u8], is_plain: bool) -> Result<Option<usize>, ()> {
        if self.is_text && !is_plain && !text.is_ascii() {
            return Err(());
        }
        let Some(end) = end? else { return Ok(None) };
        let is_followed = if !self.is_text {
            end < text.len()
        } else if is_plain {
            end + 1 < text.len()
        } else {
            let rest = memchr::memchr(b'\n', &text[end..]);
            rest.is_some_and(|rest| rest > 0 && end + rest + 1 == text.len())
        };
        if is_followed { Ok(Some(end)) } else { Err(()) }
    }

    /// Whether [`Head::session`] can tell.
    pub(super) fn has_session(&self) -> bool {
        self.session.is_some()
    }
}

/// How many nodes go to the end of a group that begins a line and behind which nothing has to follow.
fn session(nodes: &[Node], group: usize) -> Option<usize> {
    let at = nodes.iter().position(|node| matches!(node, Node::Group(known, _) if *known == group))?;
    let starts = nodes[..at].iter().all(|node| *node == Node::Assert(Assertion::Start));
    let may_miss = |node: &Node| node.width().0 == 0 && !node.any(&|node| matches!(node, Node::Assert(_)));
    let found = at > 0 && starts && nodes[at + 1..].iter().all(may_miss);
    found.then_some(at + 1)
}

/// Whether a node can match nothing, wherever it stands.
fn can_be_nothing(node: &Node) -> bool {
    match node {
        Node::Empty | Node::Repeat { min: 0, .. } => true,
        Node::Group(_, node) | Node::Repeat { node, .. } => can_be_nothing(node),
        Node::Concat(nodes) => nodes.iter().all(can_be_nothing),
        Node::Alternation(nodes) => nodes.iter().any(can_be_nothing),
        _ => false,
    }
}

/// The bytes that a node can begin with, and whether it can match nothing; none: who knows.
fn begins(node: &Node) -> Option<(ByteSet, bool)> {
    Some(match node {
        Node::Empty => (ByteSet::default(), true),
        Node::Literal(bytes) => (ByteSet::of(bytes.get(..1)?), false),
        Node::Class(set) => (*set, false),
        Node::Group(_, node) => begins(node)?,
        Node::Repeat { node, min, .. } => {
            let (set, is_empty) = begins(node)?;
            (set, is_empty || *min == 0)
        }
        Node::Concat(nodes) => {
            let mut all = ByteSet::default();
            for node in nodes {
                let (set, may_miss) = begins(node)?;
                all = all.union(set);
                if !may_miss {
                    return Some((all, false));
                }
            }
            (all, true)
        }
        Node::Alternation(nodes) => {
            let all = nodes.iter().map(begins).collect::<Option<Vec<_>>>()?;
            all.into_iter().fold((ByteSet::default(), false), |(all, miss), (set, may_miss)| {
                (all.union(set), miss || may_miss)
            })
        }
        _ => return None,
    })
}

/// A node for texts of ASCII; none where an automaton knows no equal.
fn ascii(node: &Node) -> Option<Node> {
    let all = |nodes: &[Node]| nodes.iter().map(ascii).collect::<Option<Vec<_>>>();
    Some(match node {
        Node::Empty | Node::Literal(_) | Node::Class(_) => node.clone(),
        Node::Chars(chars) => Node::Class(chars.ascii()),
        Node::Assert(Assertion::WideWord) => Node::Assert(Assertion::Word),
        Node::Assert(Assertion::Start | Assertion::End | Assertion::Word | Assertion::NotWord) => {
            node.clone()
        }
        Node::Group(group, inner) => Node::Group(*group, Box::new(ascii(inner)?)),
        Node::Concat(nodes) => Node::Concat(all(nodes)?),
        Node::Alternation(nodes) => Node::Alternation(all(nodes)?),
        // How a round that takes nothing ends is another thing for each engine.
        Node::Repeat { node, min, max, greedy } if node.width().0 > 0 || *max == Some(1) => {
            Node::Repeat { node: Box::new(ascii(node)?), min: *min, max: *max, greedy: *greedy }
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_session_s_text_ends() {
        for (prefix, line, want) in [
            (r"^(?P<mlfid>\S+ )(?:error: )?(?P<content>.+)$", "a error: b\n", Ok(Some(2))),
            (r"^(?P<mlfid>\S+ )?(?P<content>.+)$", "ab\n", Err(())),
            (r"^(?P<mlfid>\S+\s)(?P<content>.+)$", "ab\n", Err(())),
            (r"^(?P<mlfid>\S+ )(?P<content>.+)$", "ab\n", Ok(None)),
            (r"^(?P<mlfid>\S+ )(?P<content>.+)$", "a \u{e9}\n", Err(())),
            (r"^(?P<mlfid>\S+ )(?P<content>.+)$", "a b\nc\n", Err(())),
            // Something must follow it, or stand before it.
            (r"^(?P<mlfid>\S+ )x(?P<content>.+)$", "a xb\n", Err(())),
            (r"^<(?P<mlfid>\S+ )(?P<content>.+)$", "<a b\n", Err(())),
            (r"(?P<mlfid>\S+ )(?P<content>.+)$", "a b\n", Err(())),
        ] {
            let parts = Head::split(&parse(prefix, Dialect::Python { multi_line: false }).unwrap());
            let got = Head::new(&parts.unwrap()).unwrap().session(line.as_bytes(), false);
            assert_eq!(got, want, "{prefix} {line:?}");
        }
    }

    /// What is behind a session takes as much as it would in one go.
    #[test]
    fn where_a_head_ends_behind_its_session() {
        let prefix = r"^(?P<mlfid>(?:\S+ )?(?:d\[\d+\]: )?)(?:(?:error|fatal): (?:PAM: )?)?(?:x{2,3})?(?P<content>.+)$";
        let parts = Head::split(&parse(prefix, Dialect::Python { multi_line: false }).unwrap()).unwrap();
        let mut head = Head::new(&parts).unwrap();
        for (line, session, end) in [
            ("h d[1]: a\n", 8, 8),
            ("h d[1]: error: PAM: a\n", 8, 20),
            ("h d[1]: error: xxxx\n", 8, 18),
            ("d[1]: error: a\n", 6, 13),
            ("a\n", 0, 0),
            ("xx \n", 3, 3),
        ] {
            let end = if end < line.len() - 1 { Ok(Some(end)) } else { Err(()) };
            head.begin();
            assert_eq!(head.end(line.as_bytes(), false), end, "{line:?}");
            assert_eq!(head.end(line.as_bytes(), true), end, "{line:?}");
            let want = head.session(line.as_bytes(), false);
            assert_eq!(head.session_again(line.as_bytes(), true), want, "{line:?}");
            assert!(end.is_err() || want == Ok(Some(session)), "{line:?}: {want:?}");
        }
    }
}
