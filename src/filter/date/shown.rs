//! Templates as `fail2ban-regex` shows them: their names, patterns and expressions in Fail2Ban's spelling.
//!
//! Pure text.

use super::field::{self, Window};
use super::language::{Form, Kind, LINE, LINE_REGEX, LONG_EPOCH, SHORT_EPOCH};

/// A template of dates, and what it has matched.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateUse {
    /// What people are shown: `Year-Month-Day`.
    pub name: String,
    /// The pattern that it is made of; without text for those that are words, such as `EPOCH`.
    pub pattern: String,
    /// Its regular expression.
    pub regex: String,
    /// The weight that it begins with.
    pub weight: f64,
    /// How often it won.
    pub hits: u32,
    /// The weight that it has now.
    pub worth: f64,
}

impl TemplateUse {
    /// A form that has matched nothing yet, for the years of `window`.
    pub(super) fn of(form: &Form, window: Window) -> Self {
        let regex = || form.regex(window).map(|regex| regex.text).unwrap_or_default();
        let (name, pattern, regex) = match form.kind {
            Kind::Nothing => ("^".to_owned(), "{UNB}^".to_owned(), "^()".to_owned()),
            Kind::Tai64N | Kind::Epoch { group: 1, .. } => {
                (keyword(&form.spelling), String::new(), epoch(form, regex))
            }
            Kind::Epoch { .. } => (form.written.clone(), String::new(), regex()),
            Kind::Fields => (field::named(form.shown()), form.written.trim().to_owned(), regex()),
        };
        Self { name, pattern, regex, weight: form.weight, hits: 0, worth: 0.0 }
    }
}

/// `{^LN-BEG}Epoch`
fn keyword(spelling: &str) -> String {
    let (begin, word) = spelling.strip_prefix(LINE).map_or(("", spelling), |word| (LINE, word));
    let name = match word {
        "EPOCH" => "Epoch",
        "LEPOCH" => "LongEpoch",
        other => other,
    };
    format!("{begin}{name}")
}

/// Where the digits may stand is written with conditions, which our own expression needs not.
fn epoch(form: &Form, other: impl Fn() -> String) -> String {
    let Kind::Epoch { long, .. } = form.kind else { return other() };
    let digits = if long { LONG_EPOCH } else { SHORT_EPOCH };
    let end = super::language::END;
    if form.spelling.starts_with(LINE) {
        return format!(r"{LINE_REGEX}((?P<square>(?<=^\[))?{digits})(?(square)(?=\])){end}");
    }
    let place = r"(?:^|(?P<square>(?<=^\[))|(?P<selinux>(?<=\baudit\()))";
    format!(r"({place}{digits})(?:(?(selinux)(?=:\d+\)))|(?(square)(?=\]))){end}")
}
