//! Cheap tests that come before a pattern: what they reject, no pattern can match.
//!
//! [`Literals`] looks for texts of which each failure contains one, in a whole block at once.
//! [`Candidates`] runs the over-approximations of all patterns over one text at once.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use aho_corasick::packed;
use memchr::memmem;
use regex_automata::hybrid::dfa::{Cache, Config, DFA};
use regex_automata::nfa::thompson::WhichCaptures;
use regex_automata::{Anchored, Input, MatchKind, PatternID, PatternSet};

use super::pattern::{compile, is_anchored};
use super::rewrite;
use super::syntax::{Dialect, Node, Syntax};

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
        let texts = few(texts);
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

/// So many texts can be looked for at the highest speed.
pub(super) const FAST: usize = 32;

/// The texts that are looked for in place of all of these.
pub(super) fn few(texts: &[Vec<u8>]) -> Vec<&[u8]> {
    fewer(&texts.iter().map(|text| &text[..]).collect()).into_iter().collect()
}

/// Leaves out texts that hold another one, and while there are too many, keeps of two what both begin with.
fn fewer<'t>(texts: &BTreeSet<&'t [u8]>) -> BTreeSet<&'t [u8]> {
    let holds = |text: &[u8]| texts.iter().any(|other| *other != text && memmem::find(text, other).is_some());
    let mut fewer: BTreeSet<&'t [u8]> = texts.iter().copied().filter(|text| !holds(text)).collect();
    while fewer.len() > FAST {
        let alike = |a: &[u8], b: &[u8]| a.iter().zip(b).take_while(|(a, b)| a == b).count();
        let pairs = fewer.iter().zip(fewer.iter().skip(1));
        let Some((same, text)) = pairs.map(|(a, b)| (alike(a, b), *a)).max() else { break };
        if same < SHORTEST {
            break;
        }
        let begin = &text[..same];
        fewer.retain(|text| !text.starts_with(begin));
        fewer.insert(begin);
    }
    fewer
}

/// Texts of which every match contains one, also in a line whose date was cut out; none: nothing is known.
///
/// A cut joins what stood before and behind the date. For a TOML jail, what stands before it has no letters or ends
/// with `[` (see [`super::date`]), so a text that begins with a letter and has no `[` inside stood in the line as it is.
///
/// Fail2Ban cuts a date wherever one stands. There a text stood in the line as it is only where nothing was cut, or the
/// line's beginning was; the caller looks for that. The texts are ASCII without line ends, so that they stand in the
/// bytes of a line in any encoding that keeps ASCII, and in one line; a letter that has a case beyond ASCII (`s`, `k`
/// and `i` without case) is in none.
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

/// The same of each part of an expression that tells, what seems best first: which of them are rare, only a log can say.
pub(super) fn all_required(node: &Node) -> Vec<Vec<Vec<u8>>> {
    let (mut all, mut parts) = (Vec::from_iter(required(node)), Vec::new());
    of_parts(node, &mut parts);
    parts.sort_by_key(|texts| std::cmp::Reverse(worth(texts)));
    for texts in parts {
        if all.len() < CHOICES && !all.contains(&texts) {
            all.push(texts);
        }
    }
    all
}

fn of_parts(node: &Node, parts: &mut Vec<Vec<Vec<u8>>>) {
    match node {
        Node::Concat(nodes) => nodes.iter().for_each(|node| of_parts(node, parts)),
        Node::Group(_, node) | Node::Atomic(node) if matches!(**node, Node::Concat(_)) => {
            of_parts(node, parts);
        }
        _ => parts.extend(required(node)),
    }
}

/// So many parts of an expression may tell.
const CHOICES: usize = 8;
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

/// The part of each text that no cut can go through, in one line of ASCII; none when one of them is too short for use.
fn usable(texts: Vec<Vec<u8>>) -> Option<Vec<Vec<u8>>> {
    let part = |text: Vec<u8>| {
        let plain = text.split(|byte| !byte.is_ascii() || matches!(byte, b'\n' | b'\r'));
        let pieces = plain.flat_map(|text| text.split_inclusive(|byte| *byte == b'['));
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

/// The candidates among some patterns, made when they are first asked for: mostly nobody does.
#[derive(Debug, Default)]
pub(super) struct Gate {
    of: Arc<[Syntax]>,
    is_made: bool,
    made: Option<Candidates>,
}

impl Gate {
    pub(super) fn new(patterns: &[Syntax]) -> Self {
        Self { of: patterns.into(), ..Self::default() }
    }

    /// The same, to be asked by somebody else at the same time.
    pub(super) fn twin(&self) -> Self {
        Self { of: Arc::clone(&self.of), ..Self::default() }
    }

    pub(super) fn candidates(&mut self) -> Option<&mut Candidates> {
        if !std::mem::replace(&mut self.is_made, true) {
            self.made = Candidates::new(&self.of);
        }
        self.made.as_mut()
    }
}

pub(super) fn lazy_config() -> Config {
    Config::new().cache_capacity(STATES).skip_cache_capacity_check(true)
}
