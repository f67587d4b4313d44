//! Fail2Ban's dialect: each row is what Python 3.11's `re.search` answers.

use proptest::prelude::*;

use super::super::{Matcher, Stack, TooMany};
use super::{pattern, text};
use crate::filter::syntax::{Dialect, Syntax, parse};
use crate::filter::tests::cases;

const PYTHON: Dialect = Dialect::Python { multi_line: false };

fn compiled(pattern: &str) -> (Syntax, Matcher) {
    let syntax = parse(pattern, PYTHON).unwrap();
    let groups: Vec<usize> = syntax.names.iter().map(|(_, group)| *group).collect();
    let matcher = Matcher::new(&syntax, &groups).expect(pattern);
    (syntax, matcher)
}

/// The texts of the match and of its named groups, `-` for one that took no part.
fn said(stack: &Stack, text: &str) -> String {
    let texts = stack.places().map(|place| place.map_or("-", |(start, end)| &text[start..end]));
    texts.collect::<Vec<_>>().join("|")
}

#[test]
fn what_python_matches() {
    for (pattern, text, want) in [
        (r"\d+", "x\u{661}\u{662}", Some("\u{661}\u{662}")),
        (r"(?a)\d+", "\u{661}1", Some("1")),
        (r"\w+", "\u{e9}\u{301}", Some("\u{e9}")),
        (r"\w+", "\u{b2}\u{2167}_\u{65e5}", Some("\u{b2}\u{2167}_\u{65e5}")),
        (r"\W", "\u{200d}", Some("\u{200d}")),
        (r"\s+", "a\u{1c}\u{1f}\u{85}\u{2003}b", Some("\u{1c}\u{1f}\u{85}\u{2003}")),
        (r"\S+", "\u{a0}b\u{a0}", Some("b")),
        (r"\D+", "1\u{e9}\u{661}", Some("\u{e9}")),
        (r"[\S]+", " \u{e9}\u{2003}x", Some("\u{e9}")),
        (r"[^\w]+", "a\u{e9}-\u{301}b", Some("-\u{301}")),
        ("[^[]+", "[\u{e9}\u{1f600}[", Some("\u{e9}\u{1f600}")),
        ("[\u{e0}-\u{ff}]+", "a\u{e9}\u{ff}z", Some("\u{e9}\u{ff}")),
        ("[^\u{e9}]+", "\u{e9}a\u{e9}b", Some("a")),
        (".{2}", "\n\u{65e5}\u{672c}x", Some("\u{65e5}\u{672c}")),
        ("(?s:.{2})", "\u{65e5}\nx", Some("\u{65e5}\n")),
        ("\\b\u{e9}\\b", "x\u{e9} \u{e9}", Some("\u{e9}")),
        (r"\b", "\u{2003}\u{e9}", Some("")),
        (r"(?a)\b.", "\u{e9}", None),
        (r"(?a:\b)x", "\u{e9}x", Some("x")),
        (r"\Bx", "\u{e9}x", Some("x")),
        ("(?i)k", "\u{212a}", Some("\u{212a}")),
        ("(?i)\u{212a}", "k", Some("k")),
        ("(?i)s+", "\u{17f}S", Some("\u{17f}S")),
        ("(?i)i+", "I\u{130}\u{131}", Some("I\u{130}\u{131}")),
        ("(?i)[a-z]+", "\u{17f}\u{212a}A1", Some("\u{17f}\u{212a}A")),
        ("(?i)[^k]", "\u{212a}x", Some("x")),
        ("(?i)\u{c9}", "\u{e9}", Some("\u{e9}")),
        ("(?i:\u{df})", "\u{1e9e}", Some("\u{1e9e}")),
        ("(?ai)k", "\u{212a}", None),
        ("(?i)(?P<a>\u{e9})(?P=a)", "\u{e9}\u{c9}", Some("\u{e9}\u{c9}|\u{e9}")),
        ("a$", "a\n", Some("a")),
        (r"a\Z", "a\n", None),
        ("$", "a\n", Some("")),
        (r"\s*$", "a \n", Some(" \n")),
        ("(?P<a>[^x]*)$", "ab\n", Some("ab\n|ab\n")),
        ("a$.", "a\nb", None),
        ("(?m)a$", "a\nb", Some("a")),
        ("(?m)^b", "a\nb", Some("b")),
        ("^b", "a\nb", None),
        ("a$\n", "a\n", Some("a\n")),
        ("a(?=b)", "acab", Some("a")),
        ("a(?!b)", "abac", Some("a")),
        ("(?<=\u{e9})a", "a\u{e9}a", Some("a")),
        ("(?<!\u{e9})a", "\u{e9}aba", Some("a")),
        ("(?<=\u{65e5}\u{672c})x", "\u{672c}x\u{65e5}\u{672c}x", Some("x")),
        (r"(?<=\bx)y", "ay xy", Some("y")),
        ("(?=(?P<a>a+))a*b", "aaab", Some("aaab|aaa")),
        ("(?:(?! from ).)*", "a from b", Some("a")),
        ("(?!(?P<a>x))y", "y", Some("y|-")),
        ("(?P<q>')?x(?(q)')", "'x", Some("x|-")),
        ("^(?P<q>')?x(?(q)'|y)", "xy", Some("xy|-")),
        ("^(?:(?P<a>a)|a)(?(a)b|c)$", "ac", Some("ac|-")),
        ("^(?P<a>a)?(?P<b>b)?(?(a)(?(b)x|y)|z)$", "ay", Some("ay|a|-")),
        (r"(?P<a>\w+) (?P=a)", "ab cd cd", Some("cd cd|cd")),
        ("(?P<a>a*)b(?P=a)c", "aabaac", Some("aabaac|aa")),
        ("(?P<a>x)?y(?P=a)", "y", None),
        ("(?>a+)ab", "aab", None),
        ("a++b", "aab", Some("aab")),
        ("(?>a|ab)c", "abc", None),
        ("[^x]*+x", "aax", Some("aax")),
        ("(?P<a>a*)*b", "aab", Some("aab|")),
        ("(?P<a>a*)+", "b", Some("|")),
        ("(?:(?P<a>a)|b*)*c", "abac", Some("abac|a")),
        ("(?P<a>a|)*?b", "aab", Some("aab|a")),
        ("(?P<a>a??|b){,2}c", "abc", Some("abc|b")),
        ("(?:a?){3,}b", "aab", Some("aab")),
        ("(?P<a>(?:x|)+)y", "xxy", Some("xxy|xx")),
        ("(?P<a>a|ab)(?P<b>c|bcd)?", "abcd", Some("abcd|a|bcd")),
        ("(?P<a>a)|b", "b", Some("b|-")),
        ("(?:(?P<a>a)|(?P<b>b))*", "ab", Some("ab|a|b")),
        ("(?:(?P<a>a)|b)*", "ab", Some("ab|a")),
        ("a{2}?", "aaa", Some("aa")),
        (r"(?P<a>.*?)(?:, (?P<b>\w+))?$", "x, y\n", Some("x, y|x|y")),
        ("", "x", Some("")),
        ("a{,2}", "aaa", Some("aa")),
        ("x{,", "x{,", Some("x{,")),
    ] {
        let (_, matcher) = compiled(pattern);
        let mut stack = Stack::default();
        let found = matcher.find(text.as_bytes(), false, &mut stack, &mut 10_000).unwrap();
        let first = found.then(|| said(&stack, text));
        assert_eq!(first.as_deref(), want, "{pattern:?} on {text:?}");
        let found = matcher.find_again(text.as_bytes(), &mut stack, &mut 10_000).unwrap();
        let again = found.then(|| said(&stack, text));
        assert_eq!(again.as_deref(), want, "{pattern:?} on {text:?}, with a memory");
    }
}

/// Patterns with all that Python knows, around plain ones.
fn any_pattern() -> impl Strategy<Value = String> {
    let forms = vec![
        "P",
        "(?i)P",
        "(?P<x>a)?P(?(x)b|c)",
        "(?P<x>P)?Q(?(x)P|Q)",
        "(?=P)Q",
        "(?!P)Q",
        "Q(?<=a)P",
        "(?<!\u{e9})P",
        "(?P<x>a|b)P(?P=x)",
        "(?>P)Q",
        "(?:P|Q)*+a",
        "(?:(?!P).)*Q",
        "(?:PQ)+c",
        "(?:P)*(?:Q)*$",
        "(?s:P)\u{e9}?Q",
    ];
    (prop::sample::select(forms), pattern(), pattern()).prop_map(|(form, p, q)| {
        form.replace('P', &p).replace('Q', &q).replace("(?<x>", "(?P<x>").replace("(?=x)", "(?P=x)")
    })
}

/// A memory forbids only what has failed before.
fn agree(pattern: &str, text: &str) -> Result<(), TestCaseError> {
    let Ok(syntax) = parse(pattern, PYTHON) else { return Ok(()) };
    let groups: Vec<usize> = (1..=syntax.groups).collect();
    let Some(matcher) = Matcher::new(&syntax, &groups) else { return Ok(()) };
    let (mut first, mut again) = (Stack::default(), Stack::default());
    if let Ok(found) = matcher.find(text.as_bytes(), false, &mut first, &mut 50_000) {
        let remembered = matcher.find_again(text.as_bytes(), &mut again, &mut 500_000);
        prop_assert_eq!(remembered, Ok(found), "{:?} on {:?}", pattern, text);
        if found {
            prop_assert_eq!(said(&again, text), said(&first, text), "{:?} on {:?}", pattern, text);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(1000))]

    #[test]
    fn with_a_memory_it_matches_the_same(pattern in any_pattern(), texts in prop::collection::vec(text(), 4), wide in "[ab\u{e9}\u{2003}\u{661} ]{0,6}") {
        for text in &texts {
            agree(&pattern, text)?;
            agree(&pattern, &format!("{text}{wide}"))?;
        }
    }
}

/// What would take the square of a text's length, or two to its power, takes a multiple of it.
#[test]
fn with_a_memory_the_work_is_linear() {
    let (blanks, words, quotes) = (" ".repeat(60_000), "a ".repeat(30_000), "\" =?".repeat(15_000));
    for (pattern, text, want) in [
        (r"(?:\w+\s*)+:$", &words, false),
        (r"(?:\w+\s*)+$", &words, true),
        (r"^(?:x|\s+)*(?:\s|x)*y", &blanks, false),
        (r"^.+?(?:, user=(?P<user>\S+))?\s*x$", &blanks, false),
        (r"a.*a.*a.*a.*b$", &words, false),
        (r#"^.*\?.*=.*".*x$"#, &quotes, false),
        (r"^(?:[^x]*[^y]*)*z", &words, false),
        (r"^(?P<q>a)?(?:(?!b c).)*?(?(q)c|d)$", &words, false),
        (r"\s+$|x", &format!("{blanks}y"), false),
    ] {
        let (_, matcher) = compiled(pattern);
        let mut stack = Stack::default();
        let mut steps = 20 * text.len();
        let found = matcher.find_again(text.as_bytes(), &mut stack, &mut steps);
        assert_eq!(found, Ok(want), "{pattern}");
    }
}

/// With back-references nothing can be remembered: the work ends at the bound, and that is said.
#[test]
fn back_references_end_at_the_bound() {
    let (_, matcher) = compiled(r"^(?P<a>x*)*(?P=a)y$");
    let text = "x".repeat(60);
    let found = matcher.find_again(text.as_bytes(), &mut Stack::default(), &mut 100_000);
    assert_eq!(found, Err(TooMany));
}
