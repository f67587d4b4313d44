use super::*;

/// A pattern's tree, or what is wrong with it.
fn read(text: &str) -> Result<Syntax, String> {
    read_in(text, Dialect::Bytes)
}

const PYTHON: Dialect = Dialect::Python { multi_line: false };

fn read_in(text: &str, dialect: Dialect) -> Result<Syntax, String> {
    parse(text, dialect).map_err(|error| error.to_string())
}

/// Patterns that mean the same.
#[test]
fn spellings() {
    for (text, same) in [
        // 1. Inside a class there are no operators and no classes.
        ("[^[]", r"[^\[]"),
        ("[a&&b]", "[&ab]"),
        ("[a~~b]", "[ab~]"),
        ("[+--]", r"[+,\-]"),
        ("[[:alpha:]]", r"(?:[\[:alph])\]"),
        ("[]a]", r"[a\]]"),
        ("[^]a]", r"[^a\]]"),
        ("[a-]", r"[a\-]"),
        ("[-a]", r"[a\-]"),
        (r"[\w.]", "[0-9A-Z_a-z.]"),
        (r"[\b]", r"[\x08]"),
        // 2. A name in a conditional.
        ("(?P<q>')?(?(q)a|b)", "(?P<q>')?(?(1)a|b)"),
        ("(?P<q>')?(?(<q>)a|b)", "(?P<q>')?(?(q)a|b)"),
        // 3. Not the bounds of words.
        (r"\<a\>", "<a>"),
        // 4. The end.
        (r"a\Z", "a$"),
        (r"\Aa\z", "^a$"),
        // 5. Blanks.
        (r"\s", r"[ \t\n\r\f\v\x1c-\x1f]"),
        (r"\S", r"[^ \t\n\r\f\v\x1c-\x1f]"),
        // 7. Octal, and flags that change nothing here.
        (r"\101\060\0", r"\x41\x30\x00"),
        (r"(?a:a)(?u:b)", "ab"),
        // Numbers that are no repetition.
        ("a{", r"a\{"),
        ("a{{", r"a\{\{"),
        ("a{x}", r"a\{x\}"),
        ("a{}", r"a\{\}"),
        ("a{2}", "a{2,2}"),
        ("a{,2}", "a{0,2}"),
        ("a{1,}", "a+"),
        ("a++b", "(?>a+)b"),
        // Flags.
        ("(?i)aB1", "[aA][bB]1"),
        ("(?i:a)b", "[aA]b"),
        ("(?:(?i)a)b", "(?i:a)b"),
        ("(?i)a(?-i:b)", "(?i:a)b"),
        ("(?i)[a-c]", "[a-cA-C]"),
        ("(?s).", r"[\x00-\x7f\W]"),
        ("(?s:.)a.", r"[\w\W]a[^\n]"),
        ("(?x) a b # c\n [ ] ", "ab[ ]"),
        ("a(?#comment)b", "ab"),
        ("(?P<n>a)(?P=n)", r"(?P<n>a)\1"),
        ("(?<n>a)", "(?P<n>a)"),
        // Beyond ASCII: the bytes of UTF-8.
        ("\u{e9}+", r"(?:\u00e9)+"),
        (r"[a\u00e9]", r"(?:[a]|\xe9)"),
        (r"\xe9", "\u{e9}"),
    ] {
        let (got, want) = (read(text), read(same));
        assert_eq!(
            got.as_ref().map(|syntax| &syntax.root),
            want.as_ref().map(|syntax| &syntax.root),
            "{text}"
        );
        assert!(got.is_ok(), "{text}: {got:?}");
    }
}

#[test]
fn mistakes() {
    for (text, want) in [
        ("(", "`(` is never closed at `(`"),
        ("a)", "`)` closes nothing at `)`"),
        ("[a", "`[` is never closed at `[a`"),
        ("*a", "nothing to repeat at `*a`"),
        ("a|+", "nothing to repeat at `+`"),
        ("{2}", "nothing to repeat at `{2}`"),
        ("^*", "nothing to repeat at `^*`"),
        ("a**", "a repetition is repeated at `*`"),
        ("a{2}{3}", "a repetition is repeated at `{3}`"),
        ("a{3,2}", "the least number of repetitions is above the most at `{3,2}`"),
        ("a{5000}", "more than 1000 repetitions at `{5000}`"),
        ("a\\", "a backslash ends the pattern at the end"),
        (r"\q", r"there is no escape `\q` at `\q`"),
        (r"\x4", r"an escape needs 2 hexadecimal digits at `\x4`"),
        (r"\777", r"an octal escape above \377 at the end"),
        (r"(a)\2", r"there is no group 2 at `\2`"),
        (r"(a\1)", r"group 1 is referred to from within at `\1)`"),
        ("(?P=n)", "there is no group named `n` before this at `(?P=n)`"),
        ("(?(n)a)", "there is no group named `n` before this at `(?(n)a)`"),
        ("(?(1)a)", "there is no group 1 at `(?(1)a)`"),
        ("(a)(?(1)a|b|c)", "a conditional has more than two branches at `|c)`"),
        ("(?P<n>a)(?P<n>b)", "there is a second n at `(?P<n>b)`"),
        ("(?P<1>a)", "a group's name is made of letters, digits and `_` at `1>a)`"),
        ("(?<=a+)b", "a look-behind must have one length at `(?<=a+)b`"),
        ("(?<!a|bc)d", "a look-behind must have one length at `(?<!a|bc)d`"),
        ("(?L)a", "an unknown kind of group at `(?L)a`"),
        ("[b-a]", "a range in a class runs backwards at `b-a]`"),
        (r"[a-\d]", r"a range in a class needs an ASCII character at both ends at `a-\d]`"),
        ("[^\u{e9}]", "a negated class can hold ASCII characters only at `[^\u{e9}]`"),
    ] {
        assert_eq!(read(text).unwrap_err(), want, "{text}");
    }
    assert!(read(&"(".repeat(100_000)).unwrap_err().starts_with("more than 60 groups within each other"));
}

/// Patterns that mean the same to Python.
#[test]
fn spellings_of_python() {
    for (text, same) in [
        (r"\d", r"[\d]"),
        (r"\S", r"[^\s]"),
        (r"(?a)\d", "[0-9]"),
        (r"(?a:\w)", "[0-9A-Z_a-z]"),
        (r"(?u)\w", r"\w"),
        ("[^[]", r"[^\[]"),
        ("(?i)a", "[aA]"),
        ("(?i)s", "[sS\u{17f}]"),
        ("(?i)[^k]", "[^kK\u{212a}]"),
        ("(?i)\u{e9}", "[\u{c9}\u{e9}]"),
        ("(?i)1", "1"),
        ("(?i)(?m)^a", "(?m:^)(?i:a)"),
        ("(?#c)(?i)a", "(?i:a)"),
        ("(?x) # c\n (?i)a", "(?i:a)"),
        ("(?x)a #c\n +", "a+"),
        (".", r"[^\n]"),
        ("(?s).", r"[\w\W]"),
        ("[b-\u{e9}]", "[b-\u{7f}\u{80}-\u{e9}]"),
        ("a{65535}", "a{65535,65535}"),
        ("(?P<\u{e9}>a)", "(?P<n>a)"),
    ] {
        let (got, want) = (read_in(text, PYTHON), read_in(same, PYTHON));
        assert_eq!(
            got.as_ref().map(|syntax| &syntax.root),
            want.as_ref().map(|syntax| &syntax.root),
            "{text}"
        );
        assert!(got.is_ok(), "{text}: {got:?}");
    }
    let multi_line = read_in("^a$", Dialect::Python { multi_line: true }).unwrap();
    assert_eq!(multi_line.root, read_in("(?m)^a$", PYTHON).unwrap().root);
}

/// What Python refuses and the other dialect may not.
#[test]
fn mistakes_to_python() {
    for (text, want) in [
        ("a(?i)b", "flags for the whole expression must begin it: write `(?i:…)`, at `(?i)b`"),
        ("|(?i)a", "flags for the whole expression must begin it: write `(?i:…)`, at `(?i)a`"),
        ("(?:(?i)a)", "flags for the whole expression must begin it: write `(?i:…)`, at `(?i)a)`"),
        ("(?L)a", "an unknown kind of group at `(?L)a`"),
        ("(?<n>a)", "an unknown kind of group at `(?<n>a)`"),
        (r"a\z", r"there is no escape `\z` at `\z`"),
        (r"\2(a)(b)", r"there is no group 2 before this at `\2(a)(b)`"),
        ("(?P<n>a)(?P<n>b)", "there is a second n at `(?P<n>b)`"),
        ("(?<=\u{e9}|ab)c", "a look-behind must have one length at `(?<=\u{e9}|ab)c`"),
        ("[\u{e9}-a]", "a range in a class runs backwards at `\u{e9}-a]`"),
        (r"[\d-x]", r"a range in a class needs a character at both ends at `\d-x]`"),
        ("a{70000}", "more than 65535 repetitions at `{70000}`"),
    ] {
        assert_eq!(read_in(text, PYTHON).unwrap_err(), want, "{text}");
    }
    assert!(read_in("(?<=\u{e9}|b)c", PYTHON).is_ok());
}

#[test]
fn flags_of_a_group_are_put_where_they_belong() {
    for (text, want) in [
        ("^((?i)a)b", "^(?i:a)b"),
        ("^(?:(?is)a)b", "^(?is:a)b"),
        ("(?i)a(?i:b)", "(?i)a(?i:b)"),
        (r"\((?i)a", r"\((?i)a"),
        ("(((?i)a)(?:(?x) b))", "((?i:a)(?x: b))"),
        ("(a(?i)b)", "(a(?i)b)"),
        ("((?I)a)((?)", "((?I)a)((?)"),
        ("\u{e9}((?i)\u{e9})", "\u{e9}(?i:\u{e9})"),
        ("((", "(("),
    ] {
        assert_eq!(local_flags(text), want, "{text}");
    }
}

#[test]
fn widths() {
    for (text, want) in [
        ("abc", (3, Some(3))),
        ("a{2,4}b?", (2, Some(5))),
        ("a*", (0, None)),
        ("(?:a|bcd)(?=x)$", (1, Some(3))),
        ("(?:a{1000}){1000}", (1_000_000, Some(1_000_000))),
        ("(?:^)*", (0, Some(0))),
        (r"(a)\1", (1, None)),
    ] {
        assert_eq!(read(text).unwrap().root.width(), want, "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in r"[ab\[\]()?:<>P=!|*+{}0-9,^$\\dwsxiLu#&~-]{0,40}") {
        let _ = parse(&text, Dialect::Bytes);
        let _ = parse(&local_flags(&text), PYTHON);
    }
}
