//! The command line as `fail2ban-regex` reads it: short options joined, long ones shortened, all in any order.
//!
//! Pure.

use super::usage;

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(super) struct Options {
    pub(super) config: Option<String>,
    pub(super) date_pattern: Option<String>,
    pub(super) zone: Option<String>,
    pub(super) encoding: Option<String>,
    pub(super) raw: bool,
    pub(super) use_dns: Option<String>,
    pub(super) max_lines: Option<i64>,
    pub(super) journal_match: Option<String>,
    pub(super) log_level: Option<String>,
    pub(super) verbose: i64,
    pub(super) verbose_date: bool,
    pub(super) debuggex: bool,
    pub(super) no_check_all: bool,
    pub(super) out: Option<String>,
    pub(super) invert: bool,
    pub(super) no_missed: bool,
    pub(super) no_ignored: bool,
    pub(super) all_matched: bool,
    pub(super) all_missed: bool,
    pub(super) all_ignored: bool,
    pub(super) json: bool,
    /// LOG, REGEX, IGNOREREGEX.
    pub(super) words: Vec<String>,
}

impl Options {
    /// What is wrong with them all together.
    pub(super) fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        for (name, none, all) in
            [("missed", self.no_missed, self.all_missed), ("ignored", self.no_ignored, self.all_ignored)]
        {
            if none && all {
                let what = format!("--print-no-{name} and --print-all-{name} are mutually exclusive.");
                complaints.push(what);
            }
        }
        if !(2..=3).contains(&self.words.len()) {
            complaints.push("provide both <LOG> and <REGEX>.".to_owned());
        }
        complaints
    }
}

/// Why nothing is tried.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// This is printed, and that is all.
    Printed(String),
    /// Wrong: a sentence.
    Wrong(String),
}

/// What an option wants, and does.
#[derive(Clone, Copy)]
enum Kind {
    Print(fn() -> String),
    Switch(fn(&mut Options)),
    Text(fn(&mut Options, String)),
    Number(fn(&mut Options, i64)),
}

type Known = (&'static str, &'static [&'static str], Kind);

/// The options, with their letters and names.
const KNOWN: &[Known] = &[
    ("", &["--version"], Kind::Print(|| format!("fail2ban-regex {}\n", usage::VERSION))),
    ("V", &[], Kind::Print(|| format!("{}\n", usage::VERSION))),
    ("h", &["--help"], Kind::Print(usage::help)),
    ("c", &["--config"], Kind::Text(|options, text| options.config = Some(text))),
    ("d", &["--datepattern"], Kind::Text(|options, text| options.date_pattern = Some(text))),
    ("", &["--timezone", "--TZ"], Kind::Text(|options, text| options.zone = Some(text))),
    ("e", &["--encoding"], Kind::Text(|options, text| options.encoding = Some(text))),
    ("r", &["--raw"], Kind::Switch(|options| options.raw = true)),
    ("", &["--usedns"], Kind::Text(|options, text| options.use_dns = Some(text))),
    ("L", &["--maxlines"], Kind::Number(|options, number| options.max_lines = Some(number))),
    ("m", &["--journalmatch"], Kind::Text(|options, text| options.journal_match = Some(text))),
    ("l", &["--log-level"], Kind::Text(|options, text| options.log_level = Some(text))),
    ("v", &["--verbose"], Kind::Switch(|options| options.verbose += 1)),
    ("", &["--verbosity"], Kind::Number(|options, number| options.verbose = number)),
    ("", &["--verbose-date", "--VD"], Kind::Switch(|options| options.verbose_date = true)),
    ("D", &["--debuggex"], Kind::Switch(|options| options.debuggex = true)),
    ("", &["--no-check-all"], Kind::Switch(|options| options.no_check_all = true)),
    ("o", &["--out"], Kind::Text(|options, text| options.out = Some(text))),
    ("i", &["--invert"], Kind::Switch(|options| options.invert = true)),
    ("", &["--print-no-missed"], Kind::Switch(|options| options.no_missed = true)),
    ("", &["--print-no-ignored"], Kind::Switch(|options| options.no_ignored = true)),
    ("", &["--print-all-matched"], Kind::Switch(|options| options.all_matched = true)),
    ("", &["--print-all-missed"], Kind::Switch(|options| options.all_missed = true)),
    ("", &["--print-all-ignored"], Kind::Switch(|options| options.all_ignored = true)),
    ("t", &["--log-traceback"], Kind::Switch(|_| {})),
    ("", &["--full-traceback"], Kind::Switch(|_| {})),
];

/// The one of our own: it cannot be shortened, so that no shortening of the others becomes ambiguous.
const JSON: &str = "--json";

/// Reads the arguments behind the program's name.
///
/// # Errors
/// Something that ends the program at once.
pub(super) fn read(arguments: Vec<String>) -> Result<Options, Ended> {
    let mut options = Options::default();
    let mut rest = arguments.into_iter();
    while let Some(argument) = rest.next() {
        if argument == "--" {
            options.words.extend(rest);
            break;
        } else if argument == JSON {
            options.json = true;
        } else if argument.starts_with("--") {
            long(&argument, &mut options, &mut rest)?;
        } else if argument.len() > 1 && argument.starts_with('-') {
            short(&argument, &mut options, &mut rest)?;
        } else {
            options.words.push(argument);
        }
    }
    Ok(options)
}

fn long(argument: &str, options: &mut Options, rest: &mut impl Iterator<Item = String>) -> Result<(), Ended> {
    let (written, value) =
        argument.split_once('=').map_or((argument, None), |(name, value)| (name, Some(value.to_owned())));
    let (name, kind) = named(written)?;
    if value.is_some() && matches!(kind, Kind::Print(_) | Kind::Switch(_)) {
        return Err(Ended::Wrong(format!("{name} option does not take a value")));
    }
    apply(name, kind, options, || value.or_else(|| rest.next()))
}

/// The option that is called so, or begins so as no other does.
fn named(written: &str) -> Result<(&'static str, Kind), Ended> {
    let names = KNOWN.iter().flat_map(|(_, names, kind)| names.iter().map(|name| (*name, *kind)));
    let mut found: Vec<_> = names.filter(|(name, _)| name.starts_with(written)).collect();
    if let Some(exact) = found.iter().find(|(name, _)| *name == written) {
        return Ok(*exact);
    }
    found.sort_by_key(|(name, _)| *name);
    match &found[..] {
        [] => Err(Ended::Wrong(format!("no such option: {written}"))),
        [only] => Ok(*only),
        several => {
            let names: Vec<&str> = several.iter().map(|(name, _)| *name).collect();
            Err(Ended::Wrong(format!("ambiguous option: {written} ({}?)", names.join(", "))))
        }
    }
}

fn short(
    argument: &str,
    options: &mut Options,
    rest: &mut impl Iterator<Item = String>,
) -> Result<(), Ended> {
    for (at, letter) in argument.char_indices().skip(1) {
        let name = format!("-{letter}");
        let known = KNOWN.iter().find(|(known, ..)| !known.is_empty() && name.ends_with(known));
        let Some((.., kind)) = known else { return Err(Ended::Wrong(format!("no such option: {name}"))) };
        let joined = &argument[at + letter.len_utf8()..];
        let joined = (!joined.is_empty()).then(|| joined.to_owned());
        let wants = matches!(kind, Kind::Text(_) | Kind::Number(_));
        apply(&name, *kind, options, || joined.or_else(|| rest.next()))?;
        if wants {
            break;
        }
    }
    Ok(())
}

fn apply(
    name: &str,
    kind: Kind,
    options: &mut Options,
    value: impl FnOnce() -> Option<String>,
) -> Result<(), Ended> {
    let value = || value().ok_or_else(|| Ended::Wrong(format!("{name} option requires 1 argument")));
    match kind {
        Kind::Print(text) => return Err(Ended::Printed(text())),
        Kind::Switch(set) => set(options),
        Kind::Text(set) => set(options, value()?),
        Kind::Number(set) => {
            let text = value()?;
            let Some(number) = number(&text) else {
                let text = crate::python::repr(&text);
                return Err(Ended::Wrong(format!("option {name}: invalid integer value: {text}")));
            };
            set(options, number);
        }
    }
    Ok(())
}

/// A whole number: decimal, `0x…`, `0b…`, or octal behind a `0`.
fn number(text: &str) -> Option<i64> {
    let lower = text.to_ascii_lowercase();
    if let Some(digits) = lower.strip_prefix("0x") {
        return i64::from_str_radix(digits, 16).ok();
    }
    if let Some(digits) = lower.strip_prefix("0b") {
        return i64::from_str_radix(digits, 2).ok();
    }
    match lower.strip_prefix('0').filter(|digits| !digits.is_empty()) {
        Some(digits) => i64::from_str_radix(digits, 8).ok(),
        None => text.trim().parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(arguments: &[&str]) -> Result<Options, Ended> {
        read(arguments.iter().map(|&argument| argument.to_owned()).collect())
    }

    #[test]
    fn options_in_any_order_and_spelling() {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        let plain = Options { words: words(&["a", "b"]), ..Options::default() };
        for (arguments, want) in [
            (&["a", "b"][..], plain.clone()),
            (&["-vv", "a", "-v", "b"], Options { verbose: 3, ..plain.clone() }),
            (&["-v", "--verbosity=1", "a", "b"], Options { verbose: 1, ..plain.clone() }),
            (&["-vL5", "a", "b"], Options { verbose: 1, max_lines: Some(5), ..plain.clone() }),
            (&["--maxl", "0x10", "a", "b"], Options { max_lines: Some(16), ..plain.clone() }),
            (
                &["--out=<ip> <msg>", "a", "--print-no-m", "b"],
                Options { out: Some("<ip> <msg>".to_owned()), no_missed: true, ..plain.clone() },
            ),
            (&["--TZ", "UTC", "a", "b"], Options { zone: Some("UTC".to_owned()), ..plain.clone() }),
            (&["--json", "a", "b"], Options { json: true, ..plain.clone() }),
            (&["-", "--", "-v"], Options { words: words(&["-", "-v"]), ..Options::default() }),
        ] {
            assert_eq!(of(arguments), Ok(want), "{arguments:?}");
        }
    }

    #[test]
    fn what_ends_the_program() {
        for (arguments, want) in [
            (&["--nosuch"][..], "no such option: --nosuch"),
            (&["-x"], "no such option: -x"),
            (&["-v=1"], "no such option: -="),
            (&["-o"], "-o option requires 1 argument"),
            (&["--out"], "--out option requires 1 argument"),
            (&["--raw=1"], "--raw option does not take a value"),
            (&["-L", "x"], "option -L: invalid integer value: 'x'"),
            (&["--js"], "no such option: --js"),
            (&["--print-no"], "ambiguous option: --print-no (--print-no-ignored, --print-no-missed?)"),
        ] {
            assert_eq!(of(arguments), Err(Ended::Wrong(want.to_owned())), "{arguments:?}");
        }
        assert_eq!(of(&["-V", "--nosuch"]), Err(Ended::Printed("1.1.0\n".to_owned())));
        assert_eq!(of(&["--version"]), Err(Ended::Printed("fail2ban-regex 1.1.0\n".to_owned())));
        assert!(matches!(of(&["--he"]), Err(Ended::Printed(text)) if text.starts_with("Usage: ")));
    }
}
