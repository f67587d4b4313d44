//! `datepattern` → forms of dates, each a regular expression to be.
//!
//! In: the option's text, one pattern a line. Out: [`Form`]s in their order; [`Form::regex`] gives the expression of
//! one, in Python's dialect, for the years that are accepted. Pure text. Source: SPEC §3.1, §3.3.

use super::DateError;
use super::field::{self, Window, replace};

/// Fail2Ban's own patterns, in their order. The years are those of [`Window`].
const DEFAULTS: [&str; 17] = [
    r"%ExY(?P<_sep>[-/.])%m(?P=_sep)%d(?:T|  ?)%H:%M:%S(?:[.,]%f)?(?:\s*%z)?",
    r"(?:%a )?%b %d %k:%M:%S(?:\.%f)?(?: %ExY)?",
    r"(?:%a )?%b %d %ExY %k:%M:%S(?:\.%f)?",
    r"%d(?P<_sep>[-/])%m(?P=_sep)(?:%ExY|%Exy) %k:%M:%S",
    r"%d(?P<_sep>[-/])%b(?P=_sep)%ExY[ :]?%H:%M:%S(?:\.%f)?(?: %z)?",
    r"%m/%d/%ExY:%H:%M:%S",
    r"%m-%d-%ExY %k:%M:%S(?:\.%f)?",
    "Epoch",
    r"{^LN-BEG}%H:%M:%S",
    r"^<%m/%d/%Exy@%H:%M:%S>",
    r"%Exy%Exm%Exd  ?%H:%M:%S",
    r"%b %d, %ExY %I:%M:%S %p",
    r"^%b-%d-%Exy %k:%M:%S",
    r"%ExY%Exm%Exd(?:T|  ?)%ExH%ExM%ExS(?:[.,]%f)?(?:\s*%z)?",
    r"(?:%Z )?(?:%a )?%b %d %k:%M:%S(?:\.%f)?(?: %ExY)?",
    r"(?:%z )?(?:%a )?%b %d %k:%M:%S(?:\.%f)?(?: %ExY)?",
    "TAI64N",
];

/// The fourteenth of them since 1.1.
const NEWER: (usize, &str) = (13, r"%ExY%Exm%Exd(?:-|T|  ?)%ExH:?%ExM:?%ExS(?:[.,]%f)?(?:\s*%z)?");

/// How much more a default pattern at the line's beginning weighs.
const AT_BEGIN: f64 = 100.0;
/// Patterns of one option, those of `{DATE}` counted.
const MOST: usize = 500;
/// Bytes of one pattern.
const LONGEST: usize = 4_000;

/// Up to two characters that are no part of a word may stand before a date at the line's beginning.
pub(super) const LINE: &str = "{^LN-BEG}";
pub(super) const LINE_REGEX: &str = r"^(?:\W{0,2})?";
pub(super) const BEGIN: &str = r"(?=^|\b|\W)";
pub(super) const END: &str = r"(?=\b|\W|$)";
pub(super) const SHORT_EPOCH: &str = r"\d{10,11}\b(?:\.\d{3,6})?";
pub(super) const LONG_EPOCH: &str = r"\d{10,11}(?:\d{3}(?:\.\d{1,6}|\d{3})?)?";

/// What a match is, and so how its moment is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `%Y-%m-%d …`: named groups.
    Fields,
    /// Seconds since 1970, in this group; long: milliseconds and microseconds, too.
    Epoch {
        /// The group with the digits.
        group: usize,
        /// Thirteen digits and more are parts of a second.
        long: bool,
    },
    /// `@` and 24 hexadecimal digits.
    Tai64N,
    /// `{NONE}`: nothing, so that the moment is now.
    Nothing,
}

/// Where a form may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begin {
    Line,
    Word,
    Anywhere,
}

/// One form of dates.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Form {
    /// Two forms of one spelling are the same.
    pub(super) spelling: String,
    /// As it was written.
    pub(super) written: String,
    pub(super) kind: Kind,
    pub(super) weight: f64,
    pattern: String,
    begin: Begin,
    ends_at_word: bool,
    /// It is one of the default patterns, so there is nothing wrong with it.
    pub(super) is_default: bool,
}

/// The regular expression of a form.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Regex {
    pub(super) text: String,
    /// It can match at the beginning or the end of a line only.
    pub(super) is_tied: bool,
}

/// Reads a `datepattern`; none, or one that is empty: the default patterns; `newer`: as they are since 1.1.
///
/// # Errors
/// A pattern twice, a `%` that begins no field, or too much of it.
pub(super) fn read(option: Option<&str>, window: Window, newer: bool) -> Result<Vec<Form>, DateError> {
    let mut defaults = DEFAULTS;
    if newer {
        defaults[NEWER.0] = NEWER.1;
    }
    let mut forms = Forms { known: Vec::new(), defaults };
    for pattern in option.unwrap_or_default().split('\n').map(str::trim).filter(|line| !line.is_empty()) {
        match &*pattern.to_uppercase() {
            // Alone it is the same as no pattern; among others it adds nothing.
            "{DEFAULT}" => {}
            LINE => {
                forms.defaults_at_begin()?;
                forms.defaults(begins_line)?;
            }
            "{NONE}" => forms.add(Form::nothing(), pattern)?,
            upper if upper.contains("{DATE}") => {
                for default in defaults {
                    let default = default.strip_prefix(LINE).unwrap_or(default);
                    forms.add_new(Form::new(&replace(pattern, "{DATE}", default))?)?;
                }
            }
            _ => forms.add(Form::new(pattern)?, pattern)?,
        }
    }
    if forms.known.is_empty() {
        forms.defaults_at_begin()?;
        forms.defaults(|_| true)?;
    }
    for form in &forms.known {
        form.regex(window)?;
    }
    Ok(forms.known)
}

struct Forms {
    known: Vec<Form>,
    defaults: [&'static str; 17],
}

impl Forms {
    fn add(&mut self, form: Form, written: &str) -> Result<(), DateError> {
        if self.known.iter().any(|known| known.spelling == form.spelling) {
            return Err(DateError::Twice(written.to_owned()));
        }
        if self.known.len() >= MOST {
            return Err(DateError::TooMany(MOST));
        }
        self.known.push(form);
        Ok(())
    }

    /// Those of a list may be there already.
    fn add_new(&mut self, form: Form) -> Result<(), DateError> {
        if self.known.iter().any(|known| known.spelling == form.spelling) {
            Ok(())
        } else {
            self.add(form, "")
        }
    }

    /// The default patterns that could stand anywhere, at the line's beginning.
    fn defaults_at_begin(&mut self) -> Result<(), DateError> {
        for default in self.defaults.into_iter().filter(|pattern| !begins_line(pattern)) {
            let mut form = Form::new(&format!("{LINE}{default}"))?;
            form.weight = AT_BEGIN;
            form.is_default = true;
            self.add_new(form)?;
        }
        Ok(())
    }

    /// Some of the default patterns.
    fn defaults(&mut self, which: fn(&str) -> bool) -> Result<(), DateError> {
        self.defaults
            .into_iter()
            .filter(|pattern| which(pattern))
            .try_for_each(|default| self.add_new(Form { is_default: true, ..Form::new(default)? }))
    }
}

/// Whether a default pattern stands at the line's beginning anyhow.
fn begins_line(pattern: &str) -> bool {
    pattern.starts_with('^') || pattern.starts_with(LINE)
}

impl Form {
    fn new(pattern: &str) -> Result<Self, DateError> {
        Ok(Self { written: pattern.to_owned(), ..Self::read(pattern)? })
    }

    /// What its name is made of.
    pub(super) fn shown(&self) -> &str {
        if self.begin == Begin::Line { &self.written } else { &self.pattern }
    }

    fn read(pattern: &str) -> Result<Self, DateError> {
        if pattern.len() > LONGEST {
            return Err(DateError::TooLong(LONGEST));
        }
        if let Some(form) = Self::keyword(pattern) {
            return Ok(form);
        }
        let upper = pattern.to_uppercase();
        let long = upper.contains("{LEPOCH}");
        if long || upper.contains("{EPOCH}") {
            let kind = Kind::Epoch { group: 2, long };
            return Ok(Self::of(kind, pattern.to_owned(), pattern, Begin::Word));
        }
        field::has_names(pattern)?;
        let spelling = field::spelling(pattern);
        if let Some(rest) = pattern.strip_prefix("{UNB}") {
            let mut form = Self::of(Kind::Fields, spelling, rest, Begin::Anywhere);
            form.ends_at_word = false;
            return Ok(form);
        }
        Ok(match pattern.strip_prefix(LINE) {
            Some(rest) if says_begin(rest) => Self::of(Kind::Fields, spelling, rest, Begin::Word),
            Some(rest) => Self::of(Kind::Fields, spelling, rest, Begin::Line),
            None => Self::of(Kind::Fields, spelling, pattern, Begin::Word),
        })
    }

    fn of(kind: Kind, spelling: String, pattern: &str, begin: Begin) -> Self {
        Self {
            spelling,
            written: String::new(),
            kind,
            weight: 1.0,
            pattern: pattern.to_owned(),
            begin,
            ends_at_word: true,
            is_default: false,
        }
    }

    fn nothing() -> Self {
        Self { ends_at_word: false, ..Self::of(Kind::Nothing, "{NONE}".to_owned(), "^", Begin::Word) }
    }

    /// `EPOCH`, `LEPOCH` or `TAI64N`, alone or at the line's beginning, in any case.
    fn keyword(pattern: &str) -> Option<Self> {
        let upper = pattern.to_uppercase();
        let rest = upper.strip_prefix(LINE).or_else(|| upper.strip_prefix('^'));
        let begin = if rest.is_some() { Begin::Line } else { Begin::Anywhere };
        let word = rest.unwrap_or(&upper);
        let kind = match word {
            "EPOCH" | "LEPOCH" => Kind::Epoch { group: 1, long: word == "LEPOCH" },
            "TAI64N" => Kind::Tai64N,
            _ => return None,
        };
        let spelling = if begin == Begin::Line { format!("{LINE}{word}") } else { word.to_owned() };
        let regex = match kind {
            Kind::Tai64N => "(@[0-9a-f]{24})".to_owned(),
            Kind::Epoch { long, .. } => {
                let digits = if long { LONG_EPOCH } else { SHORT_EPOCH };
                // In the middle of a line only behind a bracket that begins it, or where SELinux writes it.
                let place = if begin == Begin::Line { "" } else { r"(?:^|(?<=^\[)|(?<=\baudit\())" };
                format!("({place}{digits})")
            }
            _ => return None,
        };
        Some(Self::of(kind, spelling, &regex, begin))
    }

    /// Whether it is one of Fail2Ban's words that stand for an expression of their own.
    fn is_keyword(&self) -> bool {
        matches!(self.kind, Kind::Tai64N | Kind::Epoch { group: 1, .. })
    }

    /// The regular expression, where `%ExY` accepts the years of `window`.
    ///
    /// # Errors
    /// A `%` that begins no field.
    pub(super) fn regex(&self, window: Window) -> Result<Regex, DateError> {
        if self.is_keyword() {
            let is_tied = self.begin == Begin::Line;
            let text = format!("{}{}{END}", if is_tied { LINE_REGEX } else { "" }, self.pattern);
            return Ok(Regex { text, is_tied });
        }
        let ignore_case = self.kind == Kind::Fields && field::has_names(&self.pattern)?;
        let body = match self.kind {
            Kind::Epoch { long, .. } => {
                let digits = format!("({})", if long { LONG_EPOCH } else { SHORT_EPOCH });
                replace(&replace(&self.pattern, "{EPOCH}", &digits), "{LEPOCH}", &digits)
            }
            // Behind the flags that names bring, a leading blank counts.
            _ if ignore_case => field::expand(self.pattern.trim_end(), window)?,
            _ => field::expand(self.pattern.trim(), window)?,
        };
        let (flags, body) = take_flags(&body);
        let begin = if self.begin == Begin::Word && says_begin(&body) { Begin::Anywhere } else { self.begin };
        let ends_at_word = self.ends_at_word && !says_end(&body);
        let body = without_stars(&body);
        let line = if begin == Begin::Line { LINE_REGEX } else { "" };
        let body = match self.kind {
            // The moment's group is the second.
            Kind::Epoch { .. } => format!("{line}({body})"),
            _ if has_group(&body) => format!("{line}{body}"),
            _ => grouped(&body, line),
        };
        let ignore_case = if ignore_case { "(?iu)" } else { "" };
        let is_tied = is_tied(&body);
        let before = if begin == Begin::Word { BEGIN } else { "" };
        let behind = if ends_at_word { END } else { "" };
        Ok(Regex { text: format!("{ignore_case}{flags}{before}{body}{behind}"), is_tied })
    }
}

/// The length of flags for the whole expression, such as `(?i)`, if they are here.
fn flags(text: &str) -> Option<usize> {
    let inner = text.strip_prefix("(?")?;
    let letters = inner.bytes().take_while(u8::is_ascii_alphanumeric).count();
    (letters > 0 && inner[letters..].starts_with(')')).then_some(letters + 3)
}

/// Flags for the whole expression hold for the whole of it wherever they stand; apart from the rest.
fn take_flags(text: &str) -> (String, String) {
    let (mut all, mut rest) = (String::new(), String::new());
    let mut at = 0;
    while let Some(open) = text[at..].find('(').map(|open| at + open) {
        rest.push_str(&text[at..open]);
        let length = flags(&text[open..]).filter(|_| !rest.ends_with('\\'));
        if let Some(length) = length {
            all.push_str(&text[open..open + length]);
        } else {
            rest.push('(');
        }
        at = open + length.unwrap_or(1);
    }
    rest.push_str(&text[at..]);
    (all, rest)
}

/// Whether a pattern says itself where it begins: `^`, `(^`, `(?:^`, `**`, behind any flags.
fn says_begin(text: &str) -> bool {
    let text = flags(text).map_or(text, |length| &text[length..]);
    let inner = text.trim_start_matches('(');
    inner.starts_with('^') || inner.starts_with("**") || text.starts_with("(?:^")
}

/// Whether a pattern says itself where it ends: `$`, `$)`, `\b`, `\s`, `**`.
fn says_end(text: &str) -> bool {
    let ends = |end: &str| text.strip_suffix(end).is_some_and(|rest| !rest.ends_with('\\'));
    let stars = text.trim_end_matches(')').strip_suffix("**");
    ends("$") || ends("$)") || ends(r"\b") || ends(r"\s") || stars.is_some_and(|rest| !rest.ends_with('\\'))
}

/// `**` at the beginning or the end has said what it had to say.
fn without_stars(text: &str) -> String {
    let inner = text.trim_start_matches('(');
    let text = match inner.strip_prefix("**") {
        Some(body) => format!("{}{body}", &text[..text.len() - inner.len()]),
        None => text.to_owned(),
    };
    let inner = text.trim_end_matches(')');
    match inner.strip_suffix("**").filter(|body| !body.ends_with('\\')) {
        Some(body) => format!("{body}{}", &text[inner.len()..]),
        None => text,
    }
}

/// Whether the pattern has a group of its own: that one is the date.
fn has_group(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().any(|(at, byte)| {
        *byte == b'('
            && bytes.get(at + 1) != Some(&b'?')
            && !bytes[..at].ends_with(b"\\")
            && !bytes[..at].ends_with(b"(?")
    })
}

/// Makes all but `^` and `$` the date.
fn grouped(body: &str, line: &str) -> String {
    let (start, body) = match body.strip_prefix('^') {
        Some(body) if line.is_empty() => ("^", body),
        _ => (line, body),
    };
    match body.strip_suffix('$').filter(|body| !body.ends_with('\\')) {
        Some(body) => format!("{start}({body})$"),
        None => format!("{start}({body})"),
    }
}

/// Whether it can match at the beginning or the end of a line only, as far as its first and last characters tell.
fn is_tied(body: &str) -> bool {
    let begins =
        body.strip_prefix('(').unwrap_or(body).strip_prefix('^').is_some_and(|rest| !rest.starts_with('|'));
    let end = body.strip_suffix(')').unwrap_or(body).strip_suffix('$');
    begins || end.is_some_and(|rest| !rest.ends_with(['\\', '|']))
}
