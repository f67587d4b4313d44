//! What the patterns of a filter say about a text: the prefix, who matches first, who is excluded.
//!
//! The same for both dialects. In: the text of a line, its date cut out. Out: which pattern matched, and the groups.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use super::choices::Choices;
use super::first::First;
use super::head::Head;
use super::hits::Told;
use super::pattern::{Budget, Effort, Group, Pattern, Places, Role, Verdict};
use super::prefilter::{self, Gate, Literals};
use super::sift::{self, Sifter};
use super::syntax::Syntax;
use super::{FilterError, FilterOptions, Problem};

/// The compiled patterns of a filter; by default none.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    prefix: Option<Prefix>,
    pub(super) first: First,
    ignore: Arc<[Pattern]>,
    pub(super) literals: Option<Arc<Literals>>,
    /// The same of the patterns that say something by themselves, if there are others.
    telling: Option<Arc<Literals>>,
    /// What the first of these look for, and what else could be; the same of the others.
    pub(super) choices: Option<Choices>,
    pub(super) choices_of_telling: Option<Choices>,
    may_ignore: Gate,
    /// What a line is worth …
    pub(super) effort: Effort,
    /// … and what is left of it for this one.
    budget: Budget,
    /// Used again for each line, so that one that does not match allocates nothing.
    places: Found,
}

/// The pattern that is tried first.
#[derive(Debug)]
struct Prefix {
    pattern: Arc<Pattern>,
    /// The part before the content, where it can be told apart, with its automaton.
    head: Option<(Arc<Pattern>, Head)>,
    /// Before a pattern that the linear engines cannot match.
    gate: Gate,
    /// It matches each line that is not empty.
    always: bool,
    /// Several texts each, of which each line that it matches has one.
    texts: Arc<[Literals]>,
}

/// Where the groups of the last matches stand.
#[derive(Debug, Default)]
struct Found {
    prefix: Places,
    pattern: Places,
    ignore: Places,
}

/// What some patterns say about a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Matched {
    No,
    Undecided,
    By(usize),
}

/// The part of a text that the patterns look at.
#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    pub(super) place: Range<usize>,
    /// Told by [`Head`], without the groups of the prefix.
    pub(super) by_head: bool,
}

impl Content {
    /// The part itself, ended by `\n` as `text` is.
    pub(super) fn ended<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        let Range { start, end } = self.place;
        if end == text.len() || text[end] == b'\n' {
            return text[start..text.len().min(end + 1)].into();
        }
        let mut part = text[start..end].to_vec();
        part.push(b'\n');
        part.into()
    }
}

impl Patterns {
    /// Compiles them; `read` turns what an operator wrote into a tree, and is told whether it may span lines. A pattern without one of the groups `who`, nor
    /// one in the prefix, does not say who failed and is of no use.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub(super) fn new(
        options: &FilterOptions,
        who: &[&str],
        read: &dyn Fn(&str, bool) -> Result<Syntax, Problem>,
    ) -> Result<Self, Vec<FilterError>> {
        // As the operator knows them.
        let [prefix_field, field, ignore_field] = match options.fail2ban {
            Some(_) => ["prefregex", "failregex", "ignoreregex"],
            None => ["prefix", "patterns", "ignore"],
        };
        let mut errors = Vec::new();
        let mut fail = |field, index, problem| errors.push(FilterError { field, index, problem });
        let names_who = |syntax: &Syntax| who.iter().any(|name| syntax.group(name).is_some());

        let mut prefix = None;
        match options
            .prefix
            .as_ref()
            .map(|text| read(text, false).and_then(|syntax| Ok((Prefix::new(&syntax)?, syntax))))
        {
            Some(Ok(known)) => prefix = Some(known),
            Some(Err(problem)) => fail(prefix_field, None, problem),
            None => {}
        }
        // A prefix that does not compile may have had the <HOST>.
        let is_named = match &prefix {
            Some((_, syntax)) => names_who(syntax),
            None => options.prefix.is_some(),
        };
        let mut list =
            |field: &'static str, texts: &[String], check: &dyn Fn(&Syntax) -> Result<(), Problem>| {
                let mut compiled = Vec::new();
                for (index, text) in texts.iter().enumerate() {
                    let one = read(text, field != ignore_field)
                        .and_then(|syntax| check(&syntax).and(Ok((Pattern::new(&syntax)?, syntax))));
                    match one {
                        Ok(one) => compiled.push(one),
                        Err(problem) => fail(field, Some(index), problem),
                    }
                }
                compiled.into_iter().unzip::<_, _, Vec<Pattern>, Vec<Syntax>>()
            };
        let has_host =
            |syntax: &Syntax| if is_named || names_who(syntax) { Ok(()) } else { Err(Problem::NoHost) };
        let (patterns, syntaxes) = list(field, &options.patterns, &has_host);
        let (ignore, ignore_syntaxes) = list(ignore_field, &options.ignore, &|_| Ok(()));
        if !errors.is_empty() {
            return Err(errors);
        }
        let choices = Choices::new(&syntaxes, prefix.as_ref().map(|(_, syntax)| syntax));
        let literals = |choices: &Choices| Literals::new(&choices.first()).map(Arc::new);
        let others: Vec<_> = syntaxes.iter().filter(|syntax| !is_helper(syntax)).cloned().collect();
        let telling = if others.len() < syntaxes.len() { Choices::new(&others, None) } else { None };
        Ok(Self {
            literals: choices.as_ref().and_then(literals),
            telling: telling.as_ref().and_then(literals),
            choices,
            choices_of_telling: telling,
            prefix: prefix.map(|(prefix, _)| prefix),
            first: First::new(patterns, &syntaxes),
            ignore: ignore.into(),
            may_ignore: Gate::new(&ignore_syntaxes),
            effort: Effort::default(),
            budget: Budget::new(Effort::default()),
            places: Found::default(),
        })
    }

    /// The same patterns, to be asked by somebody else at the same time.
    pub(super) fn twin(&self) -> Self {
        Self {
            prefix: self.prefix.as_ref().map(Prefix::twin),
            first: self.first.twin(),
            ignore: Arc::clone(&self.ignore),
            literals: self.literals.clone(),
            telling: self.telling.clone(),
            // Of use to a scan only, which has them.
            choices: None,
            choices_of_telling: None,
            may_ignore: self.may_ignore.twin(),
            effort: self.effort,
            budget: Budget::new(self.effort),
            places: Found::default(),
        }
    }

    /// Before each line.
    pub(super) fn begin(&mut self) {
        self.begin_of(false);
    }

    /// The same before one that is known to be ASCII, or not.
    pub(super) fn begin_of(&mut self, is_plain: bool) {
        self.budget = Budget::new(self.effort).of_plain(is_plain);
        if let Some(Prefix { head: Some((_, head)), .. }) = &mut self.prefix {
            head.begin();
        }
    }

    /// What the prefix leaves to the patterns; else why there is nothing left. `is_plain`: as [`Head::end`] has it.
    pub(super) fn content(&mut self, text: &[u8], is_plain: bool) -> Result<Content, Matched> {
        let all = Content { place: 0..text.len(), by_head: false };
        let Some(prefix) = &mut self.prefix else { return Ok(all) };
        if let Some((_, head)) = &mut prefix.head {
            match head.end(text, is_plain) {
                Ok(None) => return Err(Matched::No),
                Ok(Some(end)) => return Ok(Content { place: end..text.len(), by_head: true }),
                Err(()) => {}
            }
        }
        let mut may_match = MayMatch { gate: &mut prefix.gate, text, asked: false };
        match prefix.pattern.find(text, &mut self.places.prefix, &mut self.budget, || may_match.pattern(0)) {
            Verdict::No => Err(Matched::No),
            Verdict::Exhausted => Err(Matched::Undecided),
            Verdict::Yes => {
                let groups = prefix.pattern.groups.iter().zip(&self.places.prefix.found);
                let mut contents = groups.filter(|(group, _)| group.role == Role::Content);
                let place = contents.find_map(|(_, place)| place.filter(|(start, end)| start < end));
                Ok(place.map_or(all, |(start, end)| Content { place: start..end, by_head: false }))
            }
        }
    }

    /// The first pattern, from this one on, that matches the text.
    pub(super) fn first(&mut self, text: &[u8], from: usize) -> Matched {
        self.first.find(text, from, &mut self.places.pattern, &mut self.budget)
    }

    /// For another thread: who can tell what the patterns say of one line. None where nobody can.
    pub(super) fn sifter(&self) -> Option<Sifter> {
        let prefix = match &self.prefix {
            None => sift::Prefix::None,
            Some(Prefix { head: Some((pattern, head)), .. }) => sift::Prefix::Head {
                head: Box::new(head.twin()),
                is_session: names_session(pattern) && head.has_session(),
            },
            Some(_) => return None,
        };
        Some(Sifter { prefix, patterns: self.first.twin(), places: Places::default() })
    }

    /// The part of a text that begins here, as a [`Sifter`] has told.
    pub(super) fn content_from(&self, text: &[u8], start: usize) -> Content {
        Content { place: start..text.len(), by_head: self.prefix.is_some() }
    }

    /// Takes over where the groups of a pattern stand.
    pub(super) fn take(&mut self, groups: impl Iterator<Item = Option<(usize, usize)>>) {
        let found = &mut self.places.pattern.found;
        found.clear();
        found.extend(groups);
    }

    /// The first pattern that excludes the text.
    pub(super) fn ignored(&mut self, text: &[u8]) -> Matched {
        self.ignored_from(text, 0)
    }

    /// The first pattern, from this one on, that excludes the text.
    pub(super) fn ignored_from(&mut self, text: &[u8], from: usize) -> Matched {
        let mut may_match = MayMatch { gate: &mut self.may_ignore, text, asked: false };
        let mut matched = Matched::No;
        for (index, ignore) in self.ignore.iter().enumerate().skip(from) {
            match ignore.find(text, &mut self.places.ignore, &mut self.budget, || may_match.pattern(index)) {
                Verdict::No => {}
                Verdict::Yes => return Matched::By(index),
                Verdict::Exhausted => matched = Matched::Undecided,
            }
        }
        matched
    }

    /// Whether there is a prefix.
    pub(super) fn has_prefix(&self) -> bool {
        self.prefix.is_some()
    }

    /// Whether there is a prefix that matches each line in which something is left behind its date.
    pub(super) fn takes_all(&self) -> bool {
        self.prefix.as_ref().is_some_and(|prefix| prefix.always)
    }

    /// Several texts each, of which each line that the prefix matches has one.
    pub(super) fn texts_of_prefix(&self) -> &[Literals] {
        self.prefix.as_ref().map_or(&[], |prefix| &prefix.texts)
    }

    /// Where the groups of the prefix that left `content` stand, once they are located.
    pub(super) fn places_of_prefix(&self) -> &[Option<(usize, usize)>] {
        &self.places.prefix.found
    }

    /// Where the groups of the pattern that matched last stand.
    pub(super) fn places_of_pattern(&self) -> &[Option<(usize, usize)>] {
        &self.places.pattern.found
    }

    /// The groups of the prefix: its own, and those of its head.
    pub(super) fn groups_of_prefix(&self) -> [&[Group]; 2] {
        let Some(Prefix { pattern, head, .. }) = &self.prefix else { return [&[], &[]] };
        [&pattern.groups, head.as_ref().map_or(pattern, |(head, _)| head).groups.as_slice()]
    }

    /// The groups of each pattern.
    pub(super) fn groups_of_patterns(&self) -> impl Iterator<Item = &[Group]> {
        self.first.patterns().iter().map(|pattern| &pattern.groups[..])
    }

    /// The groups of the prefix or its head, and those of a pattern.
    pub(super) fn groups(&self, pattern: usize, by_head: bool) -> [&[Group]; 2] {
        [self.groups_of_prefix()[usize::from(by_head)], &self.first.pattern(pattern).groups]
    }

    /// Finds the groups of the prefix that left `content` of this text, where that was told without them.
    pub(super) fn locate_prefix(&mut self, text: &[u8], content: &Content, told: Option<&Told<'_>>) {
        let Some(Prefix { head: Some((pattern, head)), .. }) = &mut self.prefix else { return };
        let places = &mut self.places.prefix;
        match &pattern.groups[..] {
            [] => {}
            _ if !content.by_head => {}
            _ if names_session(pattern) && head.has_session() => {
                let end =
                    told.map_or_else(|| head.session_again(text, false).ok().flatten(), |told| told.session);
                places.found.clear();
                places.found.push(end.map(|end| (0, end)));
            }
            _ => drop(pattern.find(text, places, &mut self.budget, || true)),
        }
    }

    /// Whether no pattern can match the text but those that say nothing of a connection that is not known.
    pub(super) fn is_quiet(&self, text: &[u8]) -> bool {
        self.telling.as_ref().is_some_and(|telling| telling.find(text).is_none())
    }

    /// The connection that the prefix names, where that is told without its groups. None: the prefix does not match.
    pub(super) fn session<'t>(&mut self, text: &'t [u8]) -> Result<Option<&'t [u8]>, ()> {
        let Some(Prefix { head: Some((_, head)), .. }) = &mut self.prefix else { return Err(()) };
        Ok(head.session(text, false)?.map(|end| &text[..end]))
    }

    /// The located groups of the prefix, with what they captured of this text.
    pub(super) fn of_prefix<'t>(
        &'t self,
        text: &'t [u8],
        content: &Content,
    ) -> impl Iterator<Item = (&'t Group, Option<&'t [u8]>)> + Clone {
        let by = self.prefix.as_ref().map(|prefix| match &prefix.head {
            Some((head, _)) if content.by_head => head,
            _ => &prefix.pattern,
        });
        by.into_iter().flat_map(|pattern| captured(pattern, &self.places.prefix, text))
    }

    /// Where the last match of a pattern stands.
    pub(super) fn span(&self) -> Range<usize> {
        let (start, end) = self.places.pattern.whole;
        start..end
    }

    /// The groups of the pattern that matched this text last, with what they captured.
    pub(super) fn of_pattern<'t>(
        &'t self,
        index: usize,
        text: &'t [u8],
    ) -> impl Iterator<Item = (&'t Group, Option<&'t [u8]>)> + Clone {
        captured(self.first.pattern(index), &self.places.pattern, text)
    }
}

/// Whether its only group is that of the connection.
fn names_session(pattern: &Pattern) -> bool {
    matches!(&pattern.groups[..], [only] if only.role == Role::Session)
}

fn captured<'t>(
    pattern: &'t Pattern,
    places: &'t Places,
    text: &'t [u8],
) -> impl Iterator<Item = (&'t Group, Option<&'t [u8]>)> + Clone {
    let groups = pattern.groups.iter().zip(&places.found);
    groups.map(|(group, place)| (group, place.and_then(|(start, end)| text.get(start..end))))
}

impl Prefix {
    fn twin(&self) -> Self {
        let head = self.head.as_ref().map(|(pattern, head)| (Arc::clone(pattern), head.twin()));
        let gate = self.gate.twin();
        let Self { pattern, always, texts, .. } = self;
        Self { pattern: Arc::clone(pattern), head, gate, always: *always, texts: Arc::clone(texts) }
    }

    fn new(syntax: &Syntax) -> Result<Self, Problem> {
        let head = Head::split(syntax)
            .and_then(|parts| Some((Arc::new(Pattern::new(&parts.head).ok()?), Head::new(&parts)?)));
        let gate = if head.is_none() { Gate::new(std::slice::from_ref(syntax)) } else { Gate::default() };
        let texts = prefilter::all_required(&syntax.root);
        let texts = texts.iter().filter_map(|texts| Literals::new(texts)).collect();
        let pattern = Arc::new(Pattern::new(syntax)?);
        Ok(Self { pattern, head, gate, always: Head::may_miss(syntax), texts })
    }
}

/// Whether each match of a pattern ends its connection and is no failure by itself.
fn is_helper(syntax: &Syntax) -> bool {
    let always = |name: &str| syntax.group(name).is_some_and(|group| syntax.root.always_fills(group));
    (always("nofail") || always("mlfgained")) && always("mlfforget") && syntax.group("mlfid").is_none()
}

/// The over-approximations of some patterns, asked about a text once, if at all.
pub(super) struct MayMatch<'m> {
    pub(super) gate: &'m mut Gate,
    pub(super) text: &'m [u8],
    pub(super) asked: bool,
}

impl MayMatch<'_> {
    pub(super) fn pattern(&mut self, index: usize) -> bool {
        let Some(candidates) = self.gate.candidates() else { return true };
        if !std::mem::replace(&mut self.asked, true) {
            candidates.find(self.text);
        }
        candidates.contains(index)
    }
}
