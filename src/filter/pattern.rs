//! One compiled pattern: text → does it match, and what do its groups hold.
//!
//! A TOML jail's plain patterns go to linear engines; look-around, conditionals and back-references need fancy-regex.
//! Fail2Ban's patterns go to our own matcher, which knows Python's text and rules. All are bounded by steps;
//! at the bound the answer is [`Verdict::Exhausted`], never "no match".

#[cfg(test)]
mod tests;

use std::sync::Arc;

use fancy_regex::BytesMode;
use regex_automata::nfa::thompson::{self, NFA, WhichCaptures, backtrack, pikevm};
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::{Anchored, Input};
use regex_syntax::hir::Hir;

use super::matcher::{Matcher, Stack};
use super::syntax::{Assertion, Dialect, Node, Syntax, local_flags, parse};
use super::{Problem, rewrite, tags};

/// Steps that the matcher may take for one pattern on one line, besides one for each byte, before it gives up to
/// another engine.
const MATCHER_STEPS: usize = 20_000;
/// The same for Fail2Ban's patterns, besides one for eight bytes, before it begins anew with a memory.
const FIRST_STEPS: usize = 5_000;
/// Steps of the matcher for one line, all patterns together: some milliseconds.
const LINE_STEPS: usize = 1_200_000;
/// What a pattern gets even where those before it have used up the line's steps.
const LEAST_STEPS: usize = 10_000;
/// Steps for one line where nobody waits: some minutes.
const PATIENT_STEPS: usize = 30_000_000_000;
/// Steps that fancy-regex may take for one pattern on one line.
const STEPS: usize = 50_000;
/// Longer texts are not given to fancy-regex: one of its steps can cost as much as the text is long.
const FANCY_TEXT: usize = 8 * 1024;
/// Bytes of one compiled pattern.
const SIZE: usize = 2 << 20;

/// What a group is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// An address, an id, a user: what a failure is made of.
    Data,
    /// `<F-CONTENT>`
    Content,
    /// `<F-MLFID>`
    Session,
    /// `<F-NOFAIL>`
    NoFail,
    /// `<F-MLFGAINED>`
    Gained,
    /// `<F-MLFFORGET>`
    Forget,
    /// `<F-ONCE>`
    Once,
    /// `<F-REPEAT>`
    Repeat,
    /// `alt_user`, `alt_user_1`: fills `user` where that is empty.
    Alternative,
}

/// A named group.
#[derive(Debug, Clone)]
pub(super) struct Group {
    /// For an alternative the name of what it fills.
    pub(super) name: Arc<str>,
    pub(super) role: Role,
    /// As the pattern has it.
    pub(super) written: Arc<str>,
    index: usize,
}

impl Group {
    fn new(name: &str, index: usize) -> Self {
        let role = match name {
            "content" => Role::Content,
            "mlfid" => Role::Session,
            "nofail" => Role::NoFail,
            "mlfgained" => Role::Gained,
            "mlfforget" => Role::Forget,
            "once" => Role::Once,
            "repeat" => Role::Repeat,
            _ => Role::Data,
        };
        let Some(filled) = name.strip_prefix("alt_") else {
            let name: Arc<str> = name.into();
            return Self { written: Arc::clone(&name), name, role, index };
        };
        let numbered =
            filled.rsplit_once('_').filter(|(_, number)| number.bytes().all(|b| b.is_ascii_digit()));
        let filled = numbered.map_or(filled, |(name, _)| name);
        Self { name: filled.into(), role: Role::Alternative, written: name.into(), index }
    }
}

/// Whether a pattern matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    No,
    Yes,
    Exhausted,
}

/// How much work a line is worth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Effort {
    /// The daemon's: others wait.
    #[default]
    Bounded,
    /// That of the commands which reproduce Fail2Ban: what it can decide, they can.
    Patient,
}

/// The steps that are left for one line.
#[derive(Debug)]
pub(super) struct Budget {
    left: usize,
    /// The line is known to be ASCII.
    is_plain: bool,
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(Effort::default())
    }
}

impl Budget {
    pub(super) fn new(effort: Effort) -> Self {
        let left = if effort == Effort::Patient { PATIENT_STEPS } else { LINE_STEPS };
        Self { left, is_plain: false }
    }

    /// The same for a line that is known to be ASCII, or not.
    pub(super) fn of_plain(self, is_plain: bool) -> Self {
        Self { is_plain, ..self }
    }

    fn spend(&mut self, steps: usize) {
        self.left = self.left.saturating_sub(steps);
    }
}

/// Where the last match and its groups stand; made once and used again.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// The match itself.
    pub(super) whole: (usize, usize),
    slots: Vec<Option<NonMaxUsize>>,
    /// Aligned to [`Pattern::groups`].
    pub(super) found: Vec<Option<(usize, usize)>>,
    cache: Option<backtrack::Cache>,
    stack: Stack,
}

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) groups: Vec<Group>,
    engine: Engine,
    anchored: bool,
    /// Asked before the engine.
    matcher: Option<Matcher>,
}

#[derive(Debug)]
enum Engine {
    /// The matcher itself, begun anew.
    Own,
    Plain(backtrack::BoundedBacktracker),
    Fancy(Box<fancy_regex::Regex>),
}

/// Reads a pattern; fragments are in place already, and so are Fail2Ban's tags.
pub(super) fn read(text: &str, dialect: Dialect) -> Result<Syntax, Problem> {
    if text.trim_start().is_empty() {
        return Err(Problem::Empty);
    }
    let text = match dialect {
        Dialect::Bytes => tags::expand(text)?,
        Dialect::Python { .. } => local_flags(text),
    };
    Ok(parse(&text, dialect)?)
}

impl Places {
    /// What the matcher has found.
    fn take(&mut self, found: bool) -> Verdict {
        if !found {
            return Verdict::No;
        }
        let mut places = self.stack.places();
        self.whole = places.next().flatten().unwrap_or_default();
        self.found.extend(places);
        Verdict::Yes
    }
}

impl Pattern {
    pub(super) fn new(syntax: &Syntax) -> Result<Self, Problem> {
        let indices: Vec<usize> = syntax.names.iter().map(|(_, index)| *index).collect();
        let own = syntax.dialect != Dialect::Bytes;
        let plain = rewrite::is_plain(&syntax.root);
        let groups = syntax.names.iter().enumerate();
        let groups = groups
            .map(|(at, (name, index))| Group::new(name, if plain || own { at + 1 } else { *index }))
            .collect();
        let engine = if own {
            Engine::Own
        } else if plain {
            let nfa = compile(&[rewrite::exact(&syntax.root, &indices)], WhichCaptures::All)?;
            let config = backtrack::Config::new().visited_capacity(64 * 1024);
            let engine = backtrack::Builder::new().configure(config).build_from_nfa(nfa);
            Engine::Plain(engine.map_err(|error| Problem::Engine(error.to_string()))?)
        } else {
            let mut builder = fancy_regex::RegexBuilder::new(&rewrite::fancy(&syntax.root));
            builder.bytes_mode(BytesMode::Ascii).backtrack_limit(STEPS);
            builder.delegate_size_limit(SIZE).delegate_dfa_size_limit(64 * 1024).max_prog_size(100_000);
            Engine::Fancy(Box::new(builder.build().map_err(|error| Problem::Engine(error.to_string()))?))
        };
        let anchored = is_anchored(&syntax.root);
        let matcher = if plain || own { Matcher::new(syntax, &indices) } else { None };
        if own && matcher.is_none() {
            return Err(Problem::TooLarge);
        }
        Ok(Self { groups, engine, anchored, matcher })
    }

    /// Whether a text that begins with this byte can match, as far as that tells.
    pub(super) fn may_open(&self, byte: u8) -> bool {
        self.matcher.as_ref().is_none_or(|matcher| matcher.may_open(byte))
    }

    /// Looks for the leftmost match; on [`Verdict::Yes`], `places` tells where it and its groups stand.
    /// Before an engine that may be slow, `may_match` is asked. A text for Fail2Ban's patterns is UTF-8.
    pub(super) fn find(
        &self,
        text: &[u8],
        places: &mut Places,
        budget: &mut Budget,
        may_match: impl FnOnce() -> bool,
    ) -> Verdict {
        places.found.clear();
        let own = matches!(self.engine, Engine::Own);
        if let Some(matcher) = &self.matcher {
            let given = if own { FIRST_STEPS + text.len() / 8 } else { MATCHER_STEPS + text.len() };
            let mut left = given;
            let found = matcher.find(text, budget.is_plain, &mut places.stack, &mut left);
            budget.spend(given - left);
            if let Ok(found) = found {
                return places.take(found);
            }
        }
        if !may_match() {
            return Verdict::No;
        }
        match &self.engine {
            Engine::Own => self.find_again(text, places, budget),
            Engine::Plain(engine) => self.find_plain(engine, text, places),
            Engine::Fancy(_) if text.len() > FANCY_TEXT => Verdict::Exhausted,
            Engine::Fancy(engine) => match engine.captures(text) {
                Err(_) => Verdict::Exhausted,
                Ok(None) => Verdict::No,
                Ok(Some(captures)) => {
                    let span =
                        |group: &Group| captures.get(group.index).map(|place| (place.start(), place.end()));
                    places.found.extend(self.groups.iter().map(span));
                    places.whole = captures.get(0).map_or((0, 0), |place| (place.start(), place.end()));
                    Verdict::Yes
                }
            },
        }
    }

    fn find_again(&self, text: &[u8], places: &mut Places, budget: &mut Budget) -> Verdict {
        let Some(matcher) = &self.matcher else { return Verdict::No };
        let given = budget.left.max(LEAST_STEPS);
        let mut left = given;
        let found = matcher.find_again(text, &mut places.stack, &mut left);
        budget.spend(given - left);
        found.map_or(Verdict::Exhausted, |found| places.take(found))
    }

    fn find_plain(
        &self,
        engine: &backtrack::BoundedBacktracker,
        text: &[u8],
        places: &mut Places,
    ) -> Verdict {
        let Places { whole, slots, found, cache, .. } = places;
        slots.clear();
        slots.resize(2 * (self.groups.len() + 1), None);
        let input = Input::new(text).anchored(if self.anchored { Anchored::Yes } else { Anchored::No });
        let cache = cache.get_or_insert_with(|| engine.create_cache());
        engine.reset_cache(cache);
        let matched = engine.try_search_slots(cache, &input, slots).unwrap_or_else(|_| {
            // Too long for the table of places seen: slower, and just as exact.
            let nfa = engine.get_nfa().clone();
            pikevm::PikeVM::new_from_nfa(nfa)
                .ok()
                .and_then(|engine| engine.search_slots(&mut engine.create_cache(), &input, slots))
        });
        if matched.is_none() {
            return Verdict::No;
        }
        let place = |slot: usize| slots.get(slot).copied().flatten().map(NonMaxUsize::get);
        let group = |index: usize| place(2 * index).zip(place(2 * index + 1));
        *whole = group(0).unwrap_or_default();
        found.extend(self.groups.iter().map(|known| group(known.index)));
        Verdict::Yes
    }
}

/// One automaton for several expressions, without a size that nobody wants.
pub(super) fn compile(patterns: &[Hir], captures: WhichCaptures) -> Result<NFA, Problem> {
    let config =
        thompson::Config::new().utf8(false).shrink(false).nfa_size_limit(Some(SIZE)).which_captures(captures);
    thompson::Compiler::new().configure(config).build_many_from_hir(patterns).map_err(|error| {
        if error.size_limit().is_some() { Problem::TooLarge } else { Problem::Engine(error.to_string()) }
    })
}

/// Whether it can match at the text's beginning only.
pub(super) fn is_anchored(node: &Node) -> bool {
    node.begins_with(&|assertion| assertion == Assertion::Start)
}
