use proptest::prelude::*;

use super::*;

fn definition(name: &str, options: &[(&str, &str)]) -> Definition {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    Definition { name: name.to_owned(), options: options.iter().map(owned).collect() }
}

#[test]
fn definitions() {
    for (text, options) in [
        ("f", vec![]),
        ("f[]", vec![]),
        ("f[a=1]", vec![("a", "1")]),
        ("f[ a=1]", vec![("a", "1")]),
        ("f[a=1, b= x y ,c=]", vec![("a", "1"), ("b", "x y"), ("c", "")]),
        ("f[a=\"x]y, z\",b='\"']", vec![("a", "x]y, z"), ("b", "\"")]),
        ("f[a=1][b=2] [c=3]", vec![("a", "1"), ("b", "2"), ("c", "3")]),
        ("f[a=1,\n   b=\"2\n3\"\n]", vec![("a", "1"), ("b", "2\n3")]),
        ("f[a=1,a=2,]", vec![("a", "2")]),
        ("f[a='x]", vec![("a", "'x")]),
        ("f[a=b=c;d]", vec![("a", "b=c;d")]),
    ] {
        assert_eq!(parse(text, Names::Plain), Ok(definition("f", &options)), "{text:?}");
    }
}

#[test]
fn what_is_no_definition() {
    for (text, why) in [
        ("", "unexpected option syntax"),
        ("[a=1]", "unexpected option syntax"),
        ("f[a=1", "unexpected option syntax"),
        ("f[a=1]x", "unexpected option syntax"),
        ("f[a]", "expected option, wrong syntax at 0: a"),
        ("f[ a = 1 , b = 2 ]", "expected option, wrong syntax at 0:  a = 1 , b = 2 "),
        ("f[é=1,,b=2]", "expected option, wrong syntax at 4: ,b=2"),
        ("f[a=\"1\" b=2]", "unexpected syntax at 5 after option 'a':  b=2"),
        ("f[a=1]]", "unexpected syntax at 3 after option 'a': ]"),
        ("f[a?family=inet6=1]", "expected option, wrong syntax at 0: a?family=inet6=1"),
    ] {
        assert_eq!(
            parse(text, Names::Plain).map_err(|error| error.to_string()),
            Err(why.to_owned()),
            "{text:?}"
        );
    }
}

#[test]
fn a_condition_may_follow_a_name_where_that_is_known() {
    let parsed = parse("f[a=1, a?family=inet6=\"2\"]", Names::Conditional);
    assert_eq!(parsed, Ok(definition("f", &[("a", "1"), ("a?family=inet6", "2")])));
}

#[test]
fn several_on_a_line() {
    for (text, expected) in [
        ("a", vec!["a"]),
        ("a b\n\n  c", vec!["a", "b", "c"]),
        ("a[x=1, y=\"2 3\"] b[z=4]\n  c", vec!["a[x=1, y=\"2 3\"]", "b[z=4]", "c"]),
        ("a[x=1]\n [y=2] b", vec!["a[x=1]\n [y=2]", "b"]),
        ("a[x=1], b", vec!["a[x=1],", "b"]),
        ("a[x=1, y?family=inet6=2] b", vec!["a[x=1,", "y?family=inet6=2]", "b"]),
        (" ", vec![]),
    ] {
        assert_eq!(split(text, Names::Plain), expected, "{text:?}");
    }
    assert_eq!(split("a[x=1, y?family=inet6=2] b", Names::Conditional), ["a[x=1, y?family=inet6=2]", "b"]);
}

/// Writes a definition with every value in quotes.
fn write(definition: &Definition) -> String {
    let option = |(name, value): &(String, String)| {
        let quote = if value.contains('"') { '\'' } else { '"' };
        format!("{name}={quote}{value}{quote}")
    };
    let options: Vec<String> = definition.options.iter().map(option).collect();
    format!("{}[{}]", definition.name, options.join(", "))
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        name in "[a-z.-]{1,8}",
        values in proptest::collection::vec("([^\"\\s]([^\"]{0,8}[^\"\\s])?)?|[^'\\s]{1,8}", 0..4),
    ) {
        let options = values.into_iter().enumerate();
        let options = options.map(|(index, value)| (format!("o_{index}.x-y"), strip(&value).to_owned())).collect();
        let definition = Definition { name, options };
        let text = write(&definition);
        prop_assert_eq!(parse(&text, Names::Plain), Ok(definition));
        prop_assert_eq!(split(&text, Names::Plain), [text.as_str()]);
        let two = format!("{text}\n  {text}");
        prop_assert_eq!(split(&two, Names::Plain), [text.as_str(), text.as_str()]);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(?s)[a-c\\[\\]=\"',? \n]{0,30}|(?s).{0,30}") {
        for names in [Names::Plain, Names::Conditional] {
            _ = parse(&text, names);
            let split = split(&text, names);
            prop_assert!(split.iter().all(|word| text.contains(word) && !word.is_empty()));
        }
    }
}
