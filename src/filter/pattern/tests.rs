use super::*;

fn pattern(text: &str) -> Pattern {
    Pattern::new(&read(text, Dialect::Python { multi_line: false }).unwrap()).unwrap()
}

fn verdict(pattern: &Pattern, text: &str, effort: Effort) -> Verdict {
    pattern.find(text.as_bytes(), &mut Places::default(), &mut Budget::new(effort), || true)
}

/// Patterns as filters have them, with a line that each matches; `~` is where it may be padded.
const ATTACKS: &[(&str, &str)] = &[
    (
        r"^ (?:\S+ )?authd\[\d+\]: refused (?P<q>')?(?P<user>(?(q)[^']*|.*))(?(q)') from (?P<ip4>[\d.]+)(?: port \d+)?\s*$",
        " host authd[1]: refused 'a~b' from 192.0.2.1 port 22~",
    ),
    (
        r"^(?:\[\S+\]\s*)*login(?: failed)? for (?:(?P<inv>invalid) )?(?P<user>(?:(?! from ).)*?) from (?P<ip4>[\d.]+)(?:.*)?$",
        "[x] [y]   login failed for invalid a~b from 192.0.2.1 ~",
    ),
    (
        r"^(?:\s*\w+=\S*)+\s*, (?:rip=(?P<ip4>[\d.]+), )?(?:\w+=[^,]*,\s*)*end$",
        "a=1 b=~2, rip=192.0.2.1, x=y~, end",
    ),
    (
        r"^.*(?:(?:error|warn)\s*)+:.*\bclient (?P<ip4>[\d.]+).*: (?!info)\w+.*$",
        "~error warn: ~ client 192.0.2.1 ~: denied~",
    ),
    (r"(?i)^(?P<a>\S+) - (?P=a)(?:\s+\S+)*\s+denied (?P<ip4>[\d.]+)$", "Me - mE ~ x Denied 192.0.2.1"),
    (
        r"(?:^|\s)(?:<[^<>]*>\s*)+(?<=> )(?P<ip4>(?:\d{1,3}\.){3}\d{1,3}) \w+\s*.+?\s*$",
        "~ <a> <b> 192.0.2.1 no~ ",
    ),
];

const PADDING: &[&str] = &[
    " ",
    "a",
    "a ",
    "1",
    "1.",
    ".",
    "\"",
    "=",
    ",",
    "x=1 ",
    "error ",
    " from ",
    "<a> ",
    "\u{e9}",
    "\u{2003}",
    "\t\u{fffd}",
];

/// Padding a line never makes it one that nothing matched.
#[test]
fn a_padded_attack_is_found_or_undecided() {
    let (mut found, mut undecided) = (0, 0);
    for (text, line) in ATTACKS {
        let pattern = pattern(text);
        let plain = line.replace('~', "") + "\n";
        assert_eq!(verdict(&pattern, &plain, Effort::Bounded), Verdict::Yes, "{text}");
        let places: Vec<usize> = line.match_indices('~').map(|(place, _)| place).collect();
        for padding in PADDING {
            for place in &places {
                let padded =
                    [&line[..*place], &padding.repeat(16_000 / padding.len()), &line[*place..]].concat();
                let padded = padded.replace('~', "") + "\n";
                // What Python finds in a line that it can decide.
                match verdict(&pattern, &padded, Effort::Patient) {
                    Verdict::No => continue,
                    Verdict::Yes => {}
                    Verdict::Exhausted => panic!("{text} {padding:?}"),
                }
                match verdict(&pattern, &padded, Effort::Bounded) {
                    Verdict::Yes => found += 1,
                    Verdict::Exhausted => undecided += 1,
                    Verdict::No => panic!("{text} misses a line padded with {padding:?}"),
                }
            }
        }
    }
    assert_eq!(undecided, 0, "besides {found} that were found");
}

/// The steps of a line are shared; whoever comes late still gets some.
#[test]
fn a_spent_budget_leaves_the_plain_lines_decided() {
    let hostile = pattern(r"^(?P<a>x*)*(?P=a)y$");
    let plain = pattern(r"^x+ from (?P<ip4>[\d.]+)$");
    let text = format!("{} from 192.0.2.1", "x".repeat(500));
    let (mut places, mut budget) = (Places::default(), Budget::new(Effort::Bounded));
    assert_eq!(hostile.find(text.as_bytes(), &mut places, &mut budget, || true), Verdict::Exhausted);
    assert_eq!(budget.left, 0);
    assert_eq!(hostile.find(text.as_bytes(), &mut places, &mut budget, || false), Verdict::No);
    assert_eq!(plain.find(text.as_bytes(), &mut places, &mut budget, || true), Verdict::Yes);
    assert_eq!(places.whole, (0, text.len()));
}

#[test]
fn what_is_too_large_is_refused() {
    let read = |text: &str| read(text, Dialect::Python { multi_line: false });
    for (text, want) in [(r"(?:ab|c){65535}", Problem::TooLarge), (" \t", Problem::Empty)] {
        let got = read(text).and_then(|syntax| Pattern::new(&syntax).map(drop));
        assert_eq!(got, Err(want), "{text}");
    }
}
