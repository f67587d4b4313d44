use proptest::prelude::*;

use super::*;

fn resolved(options: &[(&str, &str)], ignored: &[&str]) -> Result<Vec<(String, String)>, Problem> {
    let options = options.iter().map(|(key, value)| ((*key).to_owned(), Value::from(*value))).collect();
    let ignored = ignored.iter().map(|tag| (*tag).to_owned()).collect();
    let other = |tag: &str| Ok::<_, Problem>((tag == "else").then(|| "E".to_owned()));
    let resolved = resolve(options, &ignored, other)?;
    Ok(resolved.into_iter().map(|(key, item)| (key, item.as_text().unwrap())).collect())
}

#[test]
fn tags() {
    for (text, expected) in [
        ("a <x> <x>", "a 1 1"),
        ("<y>", "1"),
        ("<HOST> <else> <ip>", "<HOST> E <ip>"),
        ("<a-<m>>", "found"),
        ("<late> <a b> <> < x>", "<late> <a b> <> < x>"),
        ("a <<x>", "a <1"),
        ("<é>", "<é>"),
    ] {
        let options =
            [("k", text), ("x", "1"), ("y", "<x>"), ("m", "z"), ("a-z", "found"), ("late", "known")];
        let resolved = resolved(&options, &["late"]).unwrap();
        assert_eq!(resolved[0].1, expected, "{text}");
    }
}

#[test]
fn a_tag_that_contains_itself_is_named() {
    let wrong = resolved(&[("k", "<a>"), ("a", "<b>"), ("b", "<a>")], &[]).unwrap_err();
    let Problem::Recursion { tag, found, .. } = &wrong else { panic!("{wrong:?}") };
    assert_eq!((tag.as_str(), found.as_str()), ("k", "a"));
    assert_eq!(wrong.to_string(), "<a> contains itself, or is used more than 25 times");
}

#[test]
fn a_text_that_grows_without_end_is_refused() {
    let growing: Vec<(String, String)> = (0..30)
        .map(|index| (format!("a{index}"), format!("<a{}>", index + 1).repeat(40)))
        .chain([("a30".to_owned(), "x".repeat(100))])
        .collect();
    let growing: Vec<(&str, &str)> =
        growing.iter().map(|(key, text)| (key.as_str(), text.as_str())).collect();
    assert!(matches!(resolved(&growing, &[]), Err(Problem::Recursion { .. })));
}

proptest! {
    #[test]
    fn every_set_of_options_ends(values in proptest::collection::vec("(<[a-d]>|<|>|x| ){0,5}", 4)) {
        let options: Vec<(&str, &str)> = ["a", "b", "c", "d"].into_iter().zip(values.iter().map(String::as_str)).collect();
        if let Ok(resolved) = resolved(&options, &[]) {
            prop_assert!(resolved.iter().all(|(_, text)| text.len() <= MAX_LENGTH));
        }
    }
}
