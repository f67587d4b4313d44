//! Which texts a log is scanned for: of those of which each match has one, those that few lines of this log have.
//!
//! In: patterns, and lines of the log. Out: texts. Whichever are chosen, no match is without one of them.

use memchr::memmem;

use super::parts::parts;
use super::prefilter::{all_required, few};
use super::syntax::Syntax;

/// Texts of which one must occur.
pub(super) type Texts = Vec<Vec<u8>>;

/// Of lines so many bytes tell what a log is like.
const SAMPLE: usize = 32 * 1024;

/// What the matches of some patterns need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choices {
    /// For each pattern several texts, of each of which each of its matches has one; what seems best comes first.
    patterns: Vec<Vec<Texts>>,
    /// The same of the prefix: each is enough for all patterns.
    prefix: Vec<Texts>,
}

impl Choices {
    /// None: a match need have no text.
    pub(super) fn new(patterns: &[Syntax], prefix: Option<&Syntax>) -> Option<Self> {
        let all = |syntax: &Syntax| all_required(&syntax.root);
        let prefix = prefix.map(all).unwrap_or_default();
        let patterns: Vec<_> = patterns.iter().map(all).collect();
        if patterns.iter().all(|choices| !choices.is_empty()) {
            return Some(Self { patterns, prefix });
        }
        (!prefix.is_empty()).then(|| Self { patterns: vec![prefix], prefix: Vec::new() })
    }

    /// What matches of these or those patterns need.
    pub(super) fn or(&self, other: &Self) -> Self {
        Self { patterns: [&self.patterns[..], &other.patterns].concat(), prefix: Vec::new() }
    }

    /// Without the prefix: only the patterns' own texts.
    pub(super) fn without_prefix(self) -> Self {
        Self { prefix: Vec::new(), ..self }
    }

    /// What to look for before any line is known.
    pub(super) fn first(&self) -> Texts {
        self.patterns.iter().filter_map(|choices| choices.first()).flatten().cloned().collect()
    }

    /// What few of these lines have.
    pub(super) fn choose(&self, lines: &[u8]) -> Texts {
        let lines = &lines[..lines.len().min(SAMPLE)];
        let own: Vec<_> = self.patterns.iter().filter_map(|choices| rarest(choices, lines)).collect();
        let found = own.iter().map(|(found, _)| found).sum();
        let texts = match rarest(&self.prefix, lines) {
            Some((of_prefix, texts)) if of_prefix < found => texts.clone(),
            _ => own.into_iter().flat_map(|(_, texts)| texts).cloned().collect(),
        };
        parts(&few(&texts), lines)
    }
}

/// The first that is found the fewest times, and how many.
fn rarest<'c>(choices: &'c [Texts], lines: &[u8]) -> Option<(usize, &'c Texts)> {
    let count = |texts: &Texts| texts.iter().map(|text| memmem::find_iter(lines, text).count()).sum();
    let mut best: Option<(usize, &Texts)> = None;
    for texts in choices {
        if best.is_some_and(|(least, _)| least == 0) {
            break;
        }
        let found = count(texts);
        if best.is_none_or(|(least, _)| found < least) {
            best = Some((found, texts));
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::prefilter::Literals;
    use crate::filter::syntax::{Dialect, parse};

    fn choices(patterns: &[&str], prefix: Option<&str>) -> Option<Choices> {
        let read = |text: &&str| parse(text, Dialect::Python { multi_line: false }).unwrap();
        let patterns: Vec<_> = patterns.iter().map(read).collect();
        Choices::new(&patterns, prefix.as_ref().map(read).as_ref())
    }

    /// Whether it is looked for this text.
    fn is_for(chosen: &Texts, text: &str) -> bool {
        Literals::new(chosen).unwrap().find(text.as_bytes()).is_some()
    }

    #[test]
    fn a_text_that_many_lines_have_gives_way_to_one_that_few_have() {
        let patterns = [
            r"^(?:Farewell to|Parted from) <?\S+>? \((?:wrong key, \d+ tries|key unknown)\): rip=\S+$",
            "^refused \\d+ from ",
        ];
        let choices = choices(&patterns, None).unwrap();
        let calm = "Farewell to mira (all is well): rip=192.0.2.1\n".repeat(40);
        for (chosen, want) in [(choices.first(), true), (choices.choose(calm.as_bytes()), false)] {
            assert_eq!(is_for(&chosen, &calm), want);
            for failure in [
                "Parted from mira (wrong key, 3 tries): rip=192.0.2.1",
                "Farewell to <x> (key unknown): rip=y",
            ] {
                assert!(is_for(&chosen, failure), "{failure}");
            }
            assert!(is_for(&chosen, "refused 3 from 192.0.2.1"));
        }
    }

    #[test]
    fn one_text_of_a_prefix_stands_for_all_patterns_where_it_is_rarer() {
        let prefix = Some(r"^gate\[\d+\]: warning: (?P<content>.+)$");
        let choices = choices(&[r"^\S+ from \S+$", "^gone for good"], prefix).unwrap();
        let log = "gate[1]: mail from a\ngate[2]: mail from b\n".repeat(9);
        assert!(is_for(&choices.first(), "gate[1]: mail from a"));
        let chosen = choices.choose(log.as_bytes());
        assert!(!is_for(&chosen, &log));
        assert!(is_for(&chosen, "gate[1]: warning: lost from c"));
    }

    #[test]
    fn where_a_pattern_needs_no_text_the_prefix_tells_or_nothing_does() {
        assert_eq!(choices(&["^x", "gone from"], None), None);
        let of_prefix = choices(&["^x", "gone from"], Some("^warning: (?P<content>.+)$")).unwrap();
        assert!(is_for(&of_prefix.first(), "warning: x"));
    }

    #[test]
    fn two_filters_on_one_log_look_for_what_either_needs() {
        let [one, other] = ["^lost from", "^gone from"]
            .map(|pattern| choices(&[pattern], Some("^w: (?P<content>.+)$")).unwrap());
        let both = one.or(&other);
        for text in ["lost from", "gone from"] {
            assert!(is_for(&both.first(), text), "{text}");
            assert!(is_for(&both.choose(b"w: \n"), text), "{text}");
        }
    }
}
