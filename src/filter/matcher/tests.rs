mod python;

use proptest::prelude::*;
use regex_automata::nfa::thompson::{WhichCaptures, pikevm::PikeVM};
use regex_automata::{Anchored, Input};

use super::*;
use crate::filter::pattern::{compile, is_anchored};
use crate::filter::rewrite;
use crate::filter::syntax::{Dialect, Syntax, parse};
use crate::filter::tests::cases;

type Places = Option<Vec<Option<(usize, usize)>>>;

fn by_matcher(syntax: &Syntax, text: &[u8]) -> Option<Result<Places, TooMany>> {
    let groups: Vec<usize> = (1..=syntax.groups).collect();
    let matcher = Matcher::new(syntax, &groups)?;
    let mut stack = Stack::default();
    let found = matcher.find(text, false, &mut stack, &mut 20_000);
    Some(found.map(|found| found.then(|| stack.places().skip(1).collect())))
}

fn by_pike(syntax: &Syntax, text: &[u8]) -> Places {
    let groups: Vec<usize> = (1..=syntax.groups).collect();
    let nfa = compile(&[rewrite::exact(&syntax.root, &groups)], WhichCaptures::All).unwrap();
    let engine = PikeVM::new_from_nfa(nfa).unwrap();
    let mut captures = engine.create_captures();
    let anchored = if is_anchored(&syntax.root) { Anchored::Yes } else { Anchored::No };
    engine.captures(&mut engine.create_cache(), Input::new(text).anchored(anchored), &mut captures);
    let place = |group: usize| captures.get_group(group).map(|span| (span.start, span.end));
    captures.is_match().then(|| groups.iter().map(|group| place(*group)).collect())
}

/// Patterns over few letters: literals, classes, groups, repetitions, branches, assertions.
pub(in crate::filter) fn pattern() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        4 => "[abc]{1,3}",
        2 => prop::sample::select(vec![".", "[ab]", "[^a]", r"\w", r"\s", r"\S", r"\d", "-", r"\[", r"\]"]).prop_map(str::to_owned),
        1 => prop::sample::select(vec!["^", "$", r"\b", r"\B", "(?m:^)", "(?m:$)"]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            4 => prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            2 => prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| format!("(?:{})", parts.join("|"))),
            3 => inner.clone().prop_map(|part| format!("({part})")),
            3 => (inner, prop::sample::select(vec!["*", "+", "?", "{2}", "{1,3}", "{2,}", "*?", "+?", "??", "{1,3}?"]))
                .prop_map(|(part, times)| format!("(?:{part}){times}")),
        ]
    })
}

pub(in crate::filter) fn text() -> impl Strategy<Value = String> {
    "[abc \\-\\[\\]\n]{0,12}"
}

proptest! {
    #![proptest_config(cases(1500))]

    #[test]
    fn it_matches_as_a_linear_engine_does(pattern in pattern(), texts in prop::collection::vec(text(), 4)) {
        let syntax = parse(&pattern, Dialect::Bytes).unwrap();
        for text in texts {
            if let Some(Ok(places)) = by_matcher(&syntax, text.as_bytes()) {
                prop_assert_eq!(places, by_pike(&syntax, text.as_bytes()), "{} on {:?}", pattern, text);
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(1500))]

    /// A conditional that is told apart matches as it would otherwise: one that is asked for twice is not.
    #[test]
    fn a_conditional_is_told_apart_exactly(
        [p, q, r, s, t, u] in prop::array::uniform6(pattern()),
        around in prop::sample::select(vec![("(", ")"), ("(?:", ")"), ("^(?P<h>", ")")]),
        texts in prop::collection::vec(text(), 4),
    ) {
        let (open, close) = around;
        let form = format!("{open}(?P<g>{p})|{q}{close}{r}(?(g){s}|{t}){u}");
        let python = Dialect::Python { multi_line: false };
        let (Ok(split), Ok(whole)) = (parse(&form, python), parse(&format!("{form}(?(g)|)"), python)) else { return Ok(()) };
        prop_assert!(split::split(&whole.root).is_none());
        for text in texts {
            let (got, want) = (by_matcher(&split, text.as_bytes()), by_matcher(&whole, text.as_bytes()));
            if let (Some(Ok(got)), Some(Ok(want))) = (got, want) {
                prop_assert_eq!(got, want, "{} on {:?}", form, text);
            }
        }
    }
}

#[test]
fn it_takes_the_patterns_of_logs() {
    for (pattern, text, want) in [
        (r"^a (.*) from (\d+\.\d+)$", "a b from 1 from 2.3", Ok(Some(vec![Some((2, 10)), Some((16, 19))]))),
        (r"^(?:(x)|y)+$", "xy", Ok(Some(vec![Some((0, 1))]))),
        (r"^(?:(x)|y)$", "y", Ok(Some(vec![None]))),
        (r"(b+?)c", "abbbc", Ok(Some(vec![Some((1, 4))]))),
        (r"^(a.*?)(?:, (b\d))?$", "a, c, b1", Ok(Some(vec![Some((0, 4)), Some((6, 8))]))),
        (r"^(?:x+x+)+y$", &"x".repeat(60), Err(TooMany)),
    ] {
        let syntax = parse(pattern, Dialect::Bytes).unwrap();
        let got = by_matcher(&syntax, text.as_bytes()).expect(pattern);
        assert_eq!(got, want, "{pattern}");
    }
    // The engines differ in rounds that take nothing.
    assert_eq!(by_matcher(&parse("(a*)*", Dialect::Bytes).unwrap(), b"b"), None);
}

/// Whatever a line holds, the work is bounded by its length.
#[test]
fn no_text_costs_more_than_its_length() {
    for pattern in [r".*.*.*.*x$", r"(?:a.*)+b", r"(?:\w+\s*)+:$", r"a.*a.*a.*a$", r".*?.*?.*?x"] {
        let syntax = parse(pattern, Dialect::Bytes).unwrap();
        let text = "a ".repeat(32 * 1024);
        let matcher = Matcher::new(&syntax, &[]).expect(pattern);
        let found = matcher.find(text.as_bytes(), false, &mut Stack::default(), &mut 100_000);
        assert_eq!(found, Err(TooMany), "{pattern}");
    }
}
