use proptest::prelude::*;

use super::*;
use crate::filter::head::Head;
use crate::filter::matcher::tests::{pattern, text};
use crate::filter::pattern::{Budget, Effort, Pattern, Places, Verdict};
use crate::filter::syntax::{Dialect, parse};
use crate::filter::tests::cases;

fn strings(texts: Option<Vec<Vec<u8>>>) -> Option<Vec<String>> {
    texts.map(|texts| texts.into_iter().map(|text| String::from_utf8(text).unwrap()).collect())
}

#[test]
fn literals_of_patterns() {
    for (pattern, want) in [
        ("^Failed password for .* from", Some(vec!["Failed password for "])),
        ("^(?P<x>Failed) password$", Some(vec!["Failed password"])),
        ("^(?:Failed|Invalid) user", Some(vec!["Failed user", "Invalid user"])),
        (r"sshd(?:-session)?\[\d+\]: .*", Some(vec!["sshd-session[", "sshd["])),
        ("^.* (?:abc|defg)$", Some(vec!["abc", "defg"])),
        ("(?:xyz)+ .", Some(vec!["xyz"])),
        ("[fF]ail", Some(vec!["Fail", "fail"])),
        ("(?i)ssh.", Some(vec!["SSH", "SSh", "SsH", "Ssh", "sSH", "sSh", "ssH", "ssh"])),
        // Nothing that can be relied on.
        ("(?:abc)?", None),
        ("(?:abc|.)", None),
        ("ab", None),
        (r"\d+", None),
        ("(?!abc)", None),
        // Cut where a date may have been: before the first letter and behind `[`.
        (r#"^\[\] "GET /"#, Some(vec!["GET /"])),
        ("1 -- abc", Some(vec!["abc"])),
        (r"abcd\[efg", Some(vec!["abcd["])),
    ] {
        let got = strings(required(&parse(pattern, Dialect::Bytes).unwrap().root));
        let mut want = want.map(|want| want.into_iter().map(str::to_owned).collect::<Vec<_>>());
        if let Some(want) = &mut want {
            want.sort();
        }
        assert_eq!(got, want, "{pattern}");
    }
}

/// In Fail2Ban's dialect nothing is promised but ASCII within a line.
#[test]
fn literals_of_fail2ban_s_patterns() {
    for (pattern, want) in [
        ("^Failed password for ", Some(vec!["Failed password for "])),
        ("Anmeldung f\u{fc}r Benutzer", Some(vec!["Anmeldung f"])),
        ("refused\nfor the user", Some(vec!["for the user"])),
        ("(?i)sshd", None),
        ("(?i)abc", Some(vec!["ABC", "ABc", "AbC", "Abc", "aBC", "aBc", "abC", "abc"])),
        ("(?i)kic", None),
        (r"(?P<x>a)?(?(x)abc|defg)", None),
        (r"\d\d\d", None),
        ("(?:(?! from ).)* from ", Some(vec!["from "])),
    ] {
        let syntax = parse(pattern, Dialect::Python { multi_line: false }).unwrap();
        let want = want.map(|want| want.into_iter().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(strings(required(&syntax.root)), want, "{pattern}");
    }
}

/// Whatever holds one of many texts holds one of the few.
#[test]
fn few_texts_stand_for_many() {
    let texts: Vec<String> =
        (0..40).map(|n| format!("{} user {n}", ["closed by", "reset by", "no"][n % 3])).collect();
    let few = fewer(&texts.iter().map(String::as_bytes).collect());
    assert!(few.len() <= FAST, "{few:?}");
    for text in &texts {
        assert!(few.iter().any(|begin| memmem::find(text.as_bytes(), begin).is_some()), "{text}");
    }
    assert_eq!(
        fewer(&BTreeSet::from([&b"abc"[..], b"xabcx", b"abd"])),
        BTreeSet::from([&b"abc"[..], b"abd"])
    );
}

#[test]
fn heads_of_prefixes() {
    for (prefix, line, want) in [
        ("^a+ (?P<content>.+)$", "aa b", Some(Ok(Some(3)))),
        ("^a+ (?P<content>.+)$", "b", Some(Ok(None))),
        ("^a+ ?(?P<content>.+)", "aa", Some(Err(()))),
        ("a (?P<content>.+)$", "b a c", Some(Ok(Some(4)))),
        ("^a (?P<content>.*)$", "a b", None),
        ("^a (?P<content>.+?)$", "a b", None),
        ("^a (?P<content>.+) b$", "a b", None),
        ("^a (?P<content>.+)?$", "a b", None),
        ("^(?=a)(?P<content>.+)$", "a b", None),
        ("^a .+$", "a b", None),
    ] {
        let head = Head::split(&parse(prefix, Dialect::Bytes).unwrap());
        let got = head.map(|head| Head::new(&head).unwrap().end(line.as_bytes(), false));
        assert_eq!(got, want, "{prefix} {line}");
    }
}

/// Patterns that only fancy-regex can match, around plain ones.
fn any_pattern() -> impl Strategy<Value = String> {
    let around = prop::sample::select(vec![
        "P",
        "P",
        "(a)?P(?(1)b|c)",
        "(?=P)ab",
        "(?!P)Q",
        "Q(?<=a)P",
        "(?<!b)P",
        r"(a|b)P\1",
        "(?>P)Q",
        "(?:PQ)+",
    ]);
    (around, pattern(), pattern()).prop_map(|(form, p, q)| form.replace('P', &p).replace('Q', &q))
}

proptest! {
    #![proptest_config(cases(500))]

    /// Whatever a pattern matches passes the tests that come before it.
    #[test]
    fn nothing_that_matches_is_lost(patterns in prop::collection::vec(any_pattern(), 1..4), texts in prop::collection::vec(text(), 4), wide in "[a\u{e9}\u{17f}\u{2003}]{0,2}", python: bool) {
        let dialect = if python { Dialect::Python { multi_line: false } } else { Dialect::Bytes };
        let syntaxes: Vec<Syntax> = patterns.iter().filter_map(|pattern| parse(pattern, dialect).ok()).collect();
        let Some(mut candidates) = Candidates::new(&syntaxes) else { return Ok(()) };
        for text in texts {
            let text = if python { format!("{text}{wide}") } else { text };
            candidates.find(text.as_bytes());
            for (index, syntax) in syntaxes.iter().enumerate() {
                let Ok(pattern) = Pattern::new(syntax) else { continue };
                if pattern.find(text.as_bytes(), &mut Places::default(), &mut Budget::new(Effort::Bounded), || true) != Verdict::Yes {
                    continue;
                }
                prop_assert!(candidates.contains(index), "{:?} on {text:?}", patterns);
                for texts in required(&syntax.root).into_iter().chain(all_required(&syntax.root)) {
                    let literals = Literals::new(&texts).unwrap();
                    prop_assert!(literals.find(text.as_bytes()).is_some(), "{:?} on {text:?}", patterns);
                }
            }
        }
    }

    /// The head's end is where the whole prefix has its content begin, and so is that of its session.
    #[test]
    fn a_head_ends_where_the_content_begins(head in pattern(), behind in prop::sample::select(vec!["", "(?:x )?", "b"]), text in text(), python: bool) {
        let dialect = if python { Dialect::Python { multi_line: false } } else { Dialect::Bytes };
        let text = text.replace('\n', "") + if python { "\n" } else { "" };
        for (open, close) in [("", ""), ("^(?P<mlfid>", ")")] {
            let Ok(prefix) = parse(&format!("{open}{head}{close}{behind}(?P<content>.+)$"), dialect) else { continue };
            let Some(mut head) = Head::split(&prefix).and_then(|head| Head::new(&head)) else { continue };
            let (end, session) = (head.end(text.as_bytes(), false), head.session(text.as_bytes(), false));
            let plain = (head.end(text.as_bytes(), python), head.session(text.as_bytes(), python));
            prop_assert_eq!(plain, (end, session));
            let (pattern, mut places) = (Pattern::new(&prefix).unwrap(), Places::default());
            pattern.find(text.as_bytes(), &mut places, &mut Budget::new(Effort::Bounded), || true);
            let group = |name: &str| {
                let at = pattern.groups.iter().position(|group| &*group.written == name)?;
                places.found.get(at).copied().flatten()
            };
            if let Ok(end) = end {
                prop_assert_eq!(end, group("content").map(|(start, _)| start));
            }
            if let Ok(session) = session {
                prop_assert_eq!(session, group("mlfid").map(|(_, end)| end));
            }
        }
    }
}
