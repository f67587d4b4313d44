//! A line cut into words as a shell would, without variables (`journalmatch`).
//!
//! Pure. The rules are those of Python's `shlex.split`.

/// The words of a line; none: a quote is not closed, or nothing follows the last backslash.
pub fn split(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\\' => word.get_or_insert_default().push(chars.next()?),
            '\'' | '"' => quoted(&mut chars, c, word.get_or_insert_default())?,
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}

/// What stands up to the quote; in `"…"` a backslash spares `"` and itself.
fn quoted(chars: &mut std::str::Chars<'_>, quote: char, word: &mut String) -> Option<()> {
    loop {
        match chars.next()? {
            c if c == quote => return Some(()),
            '\\' if quote == '"' => {
                let next = chars.next()?;
                if !matches!(next, '"' | '\\') {
                    word.push('\\');
                }
                word.push(next);
            }
            c => word.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn lines() {
        for (text, expected) in [
            ("a=b + c=d", Some(vec!["a=b", "+", "c=d"])),
            (r#""a b"c 'd"e'"#, Some(vec!["a bc", "d\"e"])),
            (r#""a\"\x\\" b\ c"#, Some(vec![r#"a"\x\"#, "b c"])),
            (r#""" '' x"#, Some(vec!["", "", "x"])),
            ("", Some(vec![])),
            ("A=1 #x", Some(vec!["A=1", "#x"])),
            ("'a", None),
            ("a\\", None),
        ] {
            let expected = expected.map(|words| words.into_iter().map(str::to_owned).collect());
            assert_eq!(split(text), expected, "{text}");
        }
    }
}
