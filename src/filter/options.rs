//! What a filter is made of.

use super::date::{DateOptions, Zone};

/// What a filter is made of, its mode already chosen.
///
/// Patterns are Python's `re` over the bytes of a line, and search: anchor them. `\d`, `\w`, `\s`, `\b` and `(?i)` know
/// ASCII only, `.` is any byte. Tags: `<HOST>`, `<ADDR>`, `<SUBNET>`, `<F-USER>…</F-USER>` and so on (SPEC §2.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FilterOptions {
    /// Matched first; its `<F-CONTENT>` group, if any, is what the patterns see.
    pub prefix: Option<String>,
    /// A line is a failure when one of these matches (the first wins) …
    pub patterns: Vec<String>,
    /// … and none of these.
    pub ignore: Vec<String>,
    /// Names of fragments, replaced as `<name>` in the patterns before anything else.
    pub define: Vec<(String, String)>,
    /// Reads patterns, lines and dates as Fail2Ban does; none: as a TOML jail.
    pub fail2ban: Option<Fail2Ban>,
    /// Another filter that is asked first; what means nothing to it is judged by this one.
    pub supplement: Option<Box<FilterOptions>>,
}

/// What a Fail2Ban filter, with the options of its jail, says besides its regular expressions.
///
/// Its patterns are Python's `re` over the decoded line: `\d`, `\w`, `\s`, `\b` and `(?i)` know Unicode (SPEC §2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fail2Ban {
    /// What becomes of host names.
    pub use_dns: UseDns,
    /// Lines that a pattern may span (`maxlines`); 1: each line alone.
    pub max_lines: usize,
    /// `datepattern`, none: the default templates.
    pub date_pattern: Option<String>,
    /// `logtimezone`, none: the host's zone.
    pub zone: Option<String>,
    /// Whether a group of the prefix is overwritten by one of a pattern that took no part (Fail2Ban before 1.1).
    pub overwrite_with_nothing: bool,
}

impl Default for Fail2Ban {
    fn default() -> Self {
        Self {
            use_dns: UseDns::default(),
            max_lines: 1,
            date_pattern: None,
            zone: None,
            overwrite_with_nothing: true,
        }
    }
}

/// What becomes of a host name where an address is expected (`usedns`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UseDns {
    /// Every address of the name has failed.
    Yes,
    /// The same; Fail2Ban's default.
    #[default]
    Warn,
    /// `<HOST>` matches no names.
    No,
    /// The name itself is the id.
    Raw,
}

impl FilterOptions {
    /// How the dates of a Fail2Ban filter are read on this host; none: as those of a TOML jail.
    pub fn dates(&self) -> Option<DateOptions> {
        self.fail2ban.as_ref().map(|own| own.dates(Zone::system(), None))
    }
}

impl Fail2Ban {
    /// A regular expression with its tags put into Python's words, as Fail2Ban shows it.
    pub fn shown(&self, text: &str) -> String {
        super::tags::fail2ban::shown(text, self)
    }

    /// How its dates are read; `year` as in [`DateOptions`].
    pub(super) fn dates(&self, system: Zone, year: Option<i64>) -> DateOptions {
        let (pattern, zone) = (self.date_pattern.clone(), self.zone.clone());
        DateOptions { pattern, zone, system, year, old_years: false, newer: !self.overwrite_with_nothing }
    }
}
