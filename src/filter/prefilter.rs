//! Cheap tests that come before a pattern: what they reject, no pattern can match.
//!
//! [`Literals`] looks for texts of which each failure contains one, in a whole block at once.
//! [`Candidates`] runs the over-approximations of all patterns over one text at once.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use aho_corasick::packed;
use memchr::memmem;
use regex_automata::hybrid::dfa::{Cache, Config, DFA};
use regex_automata::nfa::thompson::WhichCaptures;
use regex_automata::{Anchored, Input, MatchKind, PatternID, PatternSet};

use super::pattern::{compile, is_anchored};
use super::rewrite;
use super::syntax::{ByteSet, Dialect, Node, Syntax};

/// Bytes for the states of a lazy automaton; it starts anew when they are used up.
const STATES: usize = 192 * 1024;

/// How often an automaton for Fail2Ban's patterns starts anew before it is asked whether it is worth it …
const CLEARED: usize = 2;
/// … which it is when each of its states served so many bytes.
const WORTHWHILE: usize = 20;

/// Texts of which one must occur.
#[derive(Debug)]
pub(super) enum Literals {
    One(memmem::Finder<'static>),
    Many(packed::Searcher),
}

impl Literals {
    /// None where there are no useful ones, or no fast way to look for them on this machine.
    pub(super) fn new(texts: &[Vec<u8>]) -> Option<Self> {
        let texts: BTreeSet<&[u8]> = texts.iter().map(|text| &text[..]).collect();
        match texts.first() {
            None => None,
            Some(text) if texts.len() == 1 => Some(Self::One(memmem::Finder::new(text).into_owned())),
            Some(_) => packed::Config::new().builder().extend(texts).build().map(Self::Many),
        }
    }

    /// Where the first one begins.
    pub(super) fn find(&self, text: &[u8]) -> Option<usize> {
        match self {
            Self::One(finder) => finder.find(text),
            Self::Many(searcher) => searcher.find(text).map(|found| found.start()),
        }
    }
}

/// Texts of which every match contains one, also in a line whose date was cut out; none: nothing is known.
///
/// A cut joins what stood before and behind the date. What stands before it has no letters or ends with `[`
/// (see [`super::date`]), so a text that begins with a letter and has no `[` inside stood in the line as it is.
pub(super) fn required(node: &Node) -> Option<Vec<Vec<u8>>> {
    match node {
        Node::Literal(_) | Node::Class(_) => usable(exact(node)?),
        Node::Group(_, node) | Node::Atomic(node) => required(node),
        Node::Repeat { node, min, .. } if *min > 0 => required(node),
        Node::Alternation(nodes) => {
            let all: Option<Vec<_>> = nodes.iter().map(required).collect();
            all.map(|all| all.concat()).filter(|texts| texts.len() <= TEXTS)
        }
        Node::Concat(nodes) => {
            let mut best: Option<Vec<Vec<u8>>> = None;
            let mut offer = |texts: Option<Vec<Vec<u8>>>| {
                if let Some(texts) = texts
                    && best.as_ref().is_none_or(|best| worth(&texts) > worth(best))
                {
                    best = Some(texts);
                }
            };
            let mut run: Vec<Vec<u8>> = vec![Vec::new()];
            for node in nodes {
                let next = exact(node);
                if let Some(longer) = next.as_ref().and_then(|next| product(&run, next)) {
                    run = longer;
                } else {
                    offer(usable(std::mem::replace(&mut run, next.unwrap_or_else(|| vec![Vec::new()]))));
                    offer(required(node));
                }
            }
            offer(usable(run));
            best
        }
        _ => None,
    }
}

/// Most texts for one pattern.
const TEXTS: usize = 16;
/// Shorter ones are found in every line.
const SHORTEST: usize = 3;

/// All the texts that a node can match, if they are few.
fn exact(node: &Node) -> Option<Vec<Vec<u8>>> {
    match node {
        Node::Empty | Node::Assert(_) | Node::Around { .. } => Some(vec![Vec::new()]),
        Node::Literal(bytes) => Some(vec![bytes.clone()]),
        Node::Class(set) => {
            let bytes: Vec<_> = set.bytes().take(TEXTS + 1).map(|byte| vec![byte]).collect();
            (!bytes.is_empty() && bytes.len() <= 4).then_some(bytes)
        }
        Node::Group(_, node) | Node::Atomic(node) => exact(node),
        Node::Repeat { node, min: 0, max: Some(1), .. } => {
            let mut texts = exact(node)?;
            texts.push(Vec::new());
            Some(texts).filter(|texts| texts.len() <= TEXTS)
        }
        Node::Alternation(nodes) => {
            let all: Option<Vec<_>> = nodes.iter().map(exact).collect();
            all.map(|all| all.concat()).filter(|texts| texts.len() <= TEXTS)
        }
        Node::Concat(nodes) => {
            nodes.iter().try_fold(vec![Vec::new()], |texts, node| product(&texts, &exact(node)?))
        }
        _ => None,
    }
}

fn product(heads: &[Vec<u8>], tails: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    if heads.len() * tails.len() > TEXTS {
        return None;
    }
    Some(heads.iter().flat_map(|head| tails.iter().map(move |tail| [&head[..], tail].concat())).collect())
}

/// The part of each text that no cut can go through; none when one of them is too short for use.
fn usable(texts: Vec<Vec<u8>>) -> Option<Vec<Vec<u8>>> {
    let part = |text: Vec<u8>| {
        let pieces = text.split_inclusive(|byte| *byte == b'[');
        let from_letter = pieces.map(|piece| {
            let letter = piece.iter().position(u8::is_ascii_alphabetic).unwrap_or(piece.len());
            &piece[letter..]
        });
        from_letter
            .max_by_key(|piece| piece.len())
            .filter(|piece| piece.len() >= SHORTEST)
            .map(<[u8]>::to_vec)
    };
    let mut parts: Vec<_> = texts.into_iter().map(part).collect::<Option<_>>()?;
    parts.sort();
    parts.dedup();
    Some(parts)
}

/// Long texts are rare in lines that do not match; many are slow to look for.
fn worth(texts: &[Vec<u8>]) -> usize {
    let shortest = texts.iter().map(Vec::len).min().unwrap_or(0);
    shortest.min(12) * 4 + TEXTS - texts.len().min(TEXTS)
}

/// The patterns that may match a text.
#[derive(Debug)]
pub(super) struct Candidates {
    dfa: DFA,
    cache: Cache,
    anchored: Anchored,
    found: PatternSet,
}

impl Candidates {
    /// None where it cannot be built within bounds: then every pattern is one.
    pub(super) fn new(patterns: &[Syntax]) -> Option<Self> {
        if patterns.is_empty() {
            return None;
        }
        let expressions: Vec<_> = patterns.iter().map(rewrite::over).collect();
        let nfa = compile(&expressions, WhichCaptures::None).ok()?;
        let mut config = lazy_config().match_kind(MatchKind::All);
        if patterns.iter().any(|syntax| syntax.dialect != Dialect::Bytes) {
            // The matcher behind it is linear too: where it would be slower than that, it gives up.
            config =
                config.minimum_cache_clear_count(Some(CLEARED)).minimum_bytes_per_state(Some(WORTHWHILE));
        }
        let dfa = DFA::builder().configure(config).build_from_nfa(nfa).ok()?;
        let all = patterns.iter().all(|syntax| is_anchored(&syntax.root));
        let anchored = if all { Anchored::Yes } else { Anchored::No };
        Some(Self { cache: dfa.create_cache(), dfa, anchored, found: PatternSet::new(patterns.len()) })
    }

    /// Looks which patterns may match; [`Candidates::contains`] tells.
    pub(super) fn find(&mut self, text: &[u8]) {
        self.found.clear();
        let input = Input::new(text).anchored(self.anchored);
        if self.dfa.try_which_overlapping_matches(&mut self.cache, &input, &mut self.found).is_err() {
            for pattern in 0..self.dfa.pattern_len() {
                let _ = PatternID::new(pattern).map(|id| self.found.insert(id));
            }
        }
    }

    /// Whether this pattern may match the text that was last looked at.
    pub(super) fn contains(&self, pattern: usize) -> bool {
        PatternID::new(pattern).is_ok_and(|id| self.found.contains(id))
    }
}

fn lazy_config() -> Config {
    Config::new().cache_capacity(STATES).skip_cache_capacity_check(true)
}

/// A prefix that takes a line's head and leaves its rest as `<F-CONTENT>`.
#[derive(Debug)]
pub(super) struct Head {
    dfa: DFA,
    cache: Cache,
    anchored: Anchored,
}

impl Head {
    /// The part of a prefix before its `<F-CONTENT>.+</F-CONTENT>`, when that is what it ends with.
    pub(super) fn split(prefix: &Syntax) -> Option<Syntax> {
        let content = prefix.group("content")?;
        let Node::Concat(nodes) = &prefix.root else { return None };
        let end = match nodes.split_last()? {
            (Node::Assert(super::syntax::Assertion::End), before) => before,
            _ => &nodes[..],
        };
        let (last, head) = end.split_last()?;
        let Node::Group(group, inner) = last else { return None };
        let all = Node::Repeat { node: Box::new(Node::Class(ByteSet::DOT)), min: 1, max: None, greedy: true };
        let is_rest = *group == content && **inner == all;
        let head = Node::concat(head.to_vec());
        if !is_rest || !rewrite::is_plain(&head) {
            return None;
        }
        let names = prefix.names.iter().filter(|(_, group)| *group != content).cloned().collect();
        Some(Syntax { dialect: prefix.dialect, root: head, groups: prefix.groups, names })
    }

    pub(super) fn new(head: &Syntax) -> Option<Self> {
        let nfa = compile(&[rewrite::exact(&head.root, &[])], WhichCaptures::None).ok()?;
        let dfa = DFA::builder().configure(lazy_config()).build_from_nfa(nfa).ok()?;
        let anchored = if is_anchored(&head.root) { Anchored::Yes } else { Anchored::No };
        Some(Self { cache: dfa.create_cache(), dfa, anchored })
    }

    /// Where the head of a line ends, hence its content begins.
    /// `Err` when only the whole prefix can tell: it would have to give back what it took.
    pub(super) fn end(&mut self, text: &[u8]) -> Result<Option<usize>, ()> {
        let input = Input::new(text).anchored(self.anchored);
        match self.dfa.try_search_fwd(&mut self.cache, &input) {
            Ok(None) => Ok(None),
            Ok(Some(end)) if end.offset() < text.len() => Ok(Some(end.offset())),
            _ => Err(()),
        }
    }
}
