use proptest::prelude::*;

use super::*;

/// Every option as `[section] key=value@line`, every mistake as `line: what`.
fn read(text: &str) -> Vec<String> {
    let ini = parse(text);
    let mut all = Vec::new();
    for section in &ini.sections {
        for Setting { key, value, line } in &section.options {
            all.push(format!("[{}] {key}={value:?}@{line}", section.name));
        }
    }
    all.extend(ini.mistakes.iter().map(|(line, slip)| format!("{line}: {slip}")));
    all
}

#[test]
fn the_dialect() {
    let separator = "is no option, for want of a `=`; a line that continues a value is indented";
    for (text, expected) in [
        ("[a]\nKey = 1\n", vec![r#"[a] key="1"@2"#]),
        ("[a]\nk: 1 = 2\n", vec![r#"[a] k="1 = 2"@2"#]),
        ("[a]\r\nk=1\r\n  2\r\n", vec![r#"[a] k="1\n2"@2"#]),
        (
            "[a]\nk = 1 ; gone\nl = 5m;stays\nm = 1 # stays\n",
            vec![r#"[a] k="1"@2"#, r#"[a] l="5m;stays"@3"#, r#"[a] m="1 # stays"@4"#],
        ),
        ("[a]\nk = 1\n  # gone\n\n  2\n\n", vec![r#"[a] k="1\n\n2"@2"#]),
        ("[a]\n  k = 1\n  l = 2\n    3\n", vec![r#"[a] k="1"@2"#, r#"[a] l="2\n3"@3"#]),
        ("[a]\nk =\n  1\n", vec![r#"[a] k="\n1"@2"#]),
        ("[a [b] c\nk=\n", vec![r#"[a [b] k=""@2"#]),
        ("[DEFAULT]\na=1\n[DEFAULT]\nb=2\n", vec![r#"[DEFAULT] a="1"@2"#, r#"[DEFAULT] b="2"@4"#]),
    ] {
        assert_eq!(read(text), expected, "{text:?}");
    }
    for (text, expected) in [
        ("k=1\nl=2\n", vec!["1: stands before the first [section]".to_owned()]),
        (
            "\u{feff}[a]\nk=1\n",
            vec![
                "1: begins with a byte-order mark, which Fail2Ban does not know: save the file without one"
                    .to_owned(),
            ],
        ),
        ("[a\nk=1\n", vec!["1: is no [section], for want of a `]`".to_owned()]),
        ("[a]\nx\n= 1\n", vec![format!("2: {separator}"), format!("3: {separator}")]),
        ("[a]\n[b]\n[a]\n", vec!["3: [a] is there twice in this file: join the two".to_owned()]),
        ("[a]\nk=1\nK=2\n", vec!["3: [a] k is there twice in this file: delete one".to_owned()]),
    ] {
        let mistakes: Vec<String> = read(text).into_iter().filter(|line| !line.starts_with('[')).collect();
        assert_eq!(mistakes, expected, "{text:?}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_and_each_mistake_names_a_line_of_it(text in "(?s).{0,200}") {
        let ini = parse(&text);
        let count = lines(&text).count();
        for (line, _) in &ini.mistakes {
            prop_assert!((1..=count).contains(line), "{line} of {count}");
        }
        for option in ini.sections.iter().flat_map(|section| &section.options) {
            prop_assert!((1..=count).contains(&option.line));
            prop_assert_eq!(lower(&option.key), option.key.as_str());
        }
    }

    #[test]
    fn what_looks_like_a_file_is_read_too(text in "(\\[[a-c]\\]|[a-c] ?[=:] ?[a-c;# ]{0,5}|  [a-c]|[a-c]|;|\r|\n|\n){0,40}") {
        let ini = parse(&text);
        let options: usize = ini.sections.iter().map(|section| section.options.len()).sum();
        prop_assert!(options + ini.sections.len() <= lines(&text).count());
    }
}
