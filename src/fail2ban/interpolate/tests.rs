use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::fail2ban::ini;

fn set(files: &[&str]) -> Set {
    let mut set = Set::default();
    for (index, text) in files.iter().enumerate() {
        set.push(Path::new(&format!("{index}.conf")), &ini::parse(text));
    }
    set
}

fn value(files: &[&str], key: &str) -> Result<Option<String>, Trouble> {
    get(&Scope { set: &set(files), section: "a", vars: &[("given".to_owned(), "G".into())] }, key)
}

#[test]
fn what_a_name_names() {
    let defaults = "[DEFAULT]\nd = D%(__name__)s\n[b]\nx = %(y)s\n[a]\ny = Y\n";
    for (text, expected) in [
        ("k = 100%%", "100%"),
        ("k = %(y)s%(Y)s", "YY"),
        ("k = %(d)s", "Da"),
        ("k = %(default/d)s", "Da"),
        ("k = %(b/x)s", "Y"),
        ("k = %(b/d)s", "Da"),
        ("k = %(known/d)s", "Da"),
        ("k = %(given)s %(__name__)s", "G a"),
    ] {
        assert_eq!(value(&[&format!("{defaults}{text}\n")], "K"), Ok(Some(expected.to_owned())), "{text}");
    }
    assert_eq!(value(&[defaults], "none"), Ok(None));
}

#[test]
fn known_is_what_it_was_before_the_file_that_changed_it() {
    let files = ["[a]\nk = 1\nl = 1\n", "[a]\nk = %(known/k)s 2\n", "[a]\nm = %(known/k)s\n"];
    assert_eq!(value(&files, "k"), Ok(Some("1 2".to_owned())));
    assert_eq!(value(&files, "m"), Ok(Some("1".to_owned())));
}

#[test]
fn what_is_wrong_with_a_percent_sign_has_a_file_and_a_line() {
    for (text, expected) in [
        ("5 %", "a % is written %%; `%` starts with neither %% nor %(name)s"),
        ("%H", "a % is written %%; `%H` starts with neither %% nor %(name)s"),
        ("%(x) y", "`%(x) y` is no %(name)s"),
        ("%(nope)s", "%(nope)s is no option of this section nor of [DEFAULT]"),
        ("%(Other/y)s", "%(other/y)s is no option of this section nor of [DEFAULT]"),
        ("%(k)s", "%(…)s goes more than ten deep: it probably contains itself"),
    ] {
        let trouble = value(&["[Other]\ny=1\n", &format!("[a]\n\nk = {text}\n")], "k").unwrap_err();
        let place = &trouble.place;
        assert_eq!(trouble.to_string(), expected, "{text}");
        assert_eq!((place.file.as_deref(), place.line), (Some(Path::new("1.conf")), Some(3)), "{text}");
        assert_eq!(place.key.as_deref(), Some("[a] k"), "{text}");
    }
}

#[test]
fn ten_levels_of_many_names_end() {
    let mut text = "[a]\nk0 = \n".to_owned();
    for level in 1..=10 {
        let inner = format!("%(k{})s", level - 1).repeat(40);
        text = [text, format!("k{level} = {inner}\n")].concat();
    }
    let started = value(&[&text], "k10").unwrap_err();
    assert!(matches!(*started.problem, Problem::TooDeep { .. }), "{started:?}");
}

proptest! {
    #[test]
    fn every_value_ends(values in proptest::collection::vec("(%\\([a-d]\\)s|%%|x|%){0,4}", 4)) {
        let lines: Vec<_> = values.iter().zip("abcd".chars()).map(|(value, key)| format!("{key}={value}\n")).collect();
        let text = lines.concat();
        let found = value(&[&format!("[a]\n{text}")], "a");
        if let Ok(found) = found {
            prop_assert!(found.unwrap().len() <= MAX_LENGTH);
        }
    }
}
