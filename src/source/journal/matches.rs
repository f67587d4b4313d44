//! Which entries a jail wants: `journalmatch` as written → values joined by OR, AND, OR.
//!
//! Pure. Source: SPEC §2.4, journalctl(1): `FIELD=value` words; different fields must all be there, of the same field one;
//! `+` between words, and each further line, is another such group.

use std::collections::BTreeMap;

use super::words;

/// Groups that a jail may have, and values in all of them.
const GROUPS_CAP: usize = 64;
const VALUES_CAP: usize = 1024;

/// Why a `journalmatch` cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MatchError {
    /// Neither `+` nor `FIELD=value`.
    #[error("{0:?} is no match: write FIELD=value, with + between alternatives")]
    NoMatch(String),
    /// A quote is open at its end.
    #[error("{0:?} has a quote that is not closed")]
    Quote(String),
    /// Past the caps.
    #[error("has more than {GROUPS_CAP} alternatives or {VALUES_CAP} matches")]
    TooMany,
}

/// What is wanted, ready to be looked up; without groups everything is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matches {
    /// One of these groups: for each of its fields one of the values (`FIELD=value`).
    pub(super) groups: Vec<Vec<Vec<Vec<u8>>>>,
}

impl Matches {
    /// Reads the lines of a `journalmatch`.
    ///
    /// # Errors
    /// The first word that is no match.
    pub fn parse(lines: &[String]) -> Result<Self, MatchError> {
        let split = |line: &String| words::split(line).ok_or_else(|| MatchError::Quote(line.clone()));
        Self::of_words(&lines.iter().map(split).collect::<Result<Vec<_>, _>>()?)
    }

    /// Reads lines that are split into words already.
    ///
    /// # Errors
    /// The first word that is no match.
    pub fn of_words(lines: &[Vec<String>]) -> Result<Self, MatchError> {
        let mut groups = Vec::new();
        let mut values = 0;
        for words in lines {
            for group in words.split(|word| word == "+").filter(|group| !group.is_empty()) {
                let mut fields: BTreeMap<&str, Vec<Vec<u8>>> = BTreeMap::new();
                for word in group {
                    let (field, _) = word
                        .split_once('=')
                        .filter(|(field, _)| is_field(field))
                        .ok_or_else(|| MatchError::NoMatch(word.clone()))?;
                    fields.entry(field).or_default().push(word.clone().into_bytes());
                    values += 1;
                }
                groups.push(fields.into_values().collect());
            }
        }
        if groups.len() > GROUPS_CAP || values > VALUES_CAP {
            return Err(MatchError::TooMany);
        }
        Ok(Self { groups })
    }

    /// As an operator writes it.
    pub fn written(&self) -> String {
        let group = |fields: &Vec<Vec<Vec<u8>>>| {
            let values = fields.iter().flatten().map(|value| String::from_utf8_lossy(value).into_owned());
            values.collect::<Vec<_>>().join(" ")
        };
        self.groups.iter().map(group).collect::<Vec<_>>().join(" + ")
    }

    /// What any of these wants.
    pub fn any_of(all: impl IntoIterator<Item = Self>) -> Self {
        let all: Vec<_> = all.into_iter().collect();
        let everything = all.iter().any(|matches| matches.groups.is_empty());
        let groups =
            if everything { Vec::new() } else { all.into_iter().flat_map(|one| one.groups).collect() };
        Self { groups }
    }

    /// The words of a command line that asks `journalctl` for the same.
    pub fn words(&self) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        for group in &self.groups {
            if !words.is_empty() {
                words.push("+".to_owned());
            }
            let values = group.iter().flatten();
            words.extend(values.map(|value| String::from_utf8_lossy(value).into_owned()));
        }
        words
    }

    /// Whether an entry with these values is wanted; `has` tells whether it has one.
    pub(super) fn wants(&self, has: &dyn Fn(&[u8]) -> bool) -> bool {
        let any = |field: &Vec<Vec<u8>>| field.iter().any(|value| has(value));
        self.groups.is_empty() || self.groups.iter().any(|group| group.iter().all(any))
    }

    /// Whether some value could be this one's, which is known only from its start.
    pub(super) fn names(&self, value: &[u8]) -> bool {
        self.groups.iter().flatten().flatten().any(|wanted| wanted == value)
    }

    /// The length of the longest value.
    pub(super) fn longest(&self) -> usize {
        self.groups.iter().flatten().flatten().map(Vec::len).max().unwrap_or(0)
    }
}

/// Whether a field may be called so: capitals, digits and `_`, 64 at most, no digit first.
fn is_field(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=64).contains(&name.len()) && name.bytes().all(fits) && !name.as_bytes()[0].is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(matches: &Matches) -> String {
        let field = |values: &Vec<Vec<u8>>| {
            let values: Vec<_> = values.iter().map(|value| String::from_utf8_lossy(value)).collect();
            values.join("|")
        };
        let group = |fields: &Vec<Vec<Vec<u8>>>| fields.iter().map(field).collect::<Vec<_>>().join(" & ");
        matches.groups.iter().map(group).collect::<Vec<_>>().join(" + ")
    }

    #[test]
    fn lines_become_groups() {
        for (lines, expected) in [
            (&[][..], Ok("")),
            (&["_COMM=sshd"], Ok("_COMM=sshd")),
            (&["_SYSTEMD_UNIT=sshd.service + _COMM=sshd"], Ok("_SYSTEMD_UNIT=sshd.service + _COMM=sshd")),
            (&["_COMM=a _UID=0 _COMM=b"], Ok("_COMM=a|_COMM=b & _UID=0")),
            (&["_COMM=a", "_COMM=b _UID=1"], Ok("_COMM=a + _COMM=b & _UID=1")),
            (&["+ _COMM=a + +", ""], Ok("_COMM=a")),
            (&["'SYSLOG_IDENTIFIER=a b' _UID=\"1\""], Ok("SYSLOG_IDENTIFIER=a b & _UID=1")),
            (&["_COMM="], Ok("_COMM=")),
            (&["sshd"], Err("\"sshd\" is no match: write FIELD=value, with + between alternatives")),
            (&["_comm=a"], Err("\"_comm=a\" is no match: write FIELD=value, with + between alternatives")),
            (&["=a"], Err("\"=a\" is no match: write FIELD=value, with + between alternatives")),
            (&["'_COMM=a"], Err("\"'_COMM=a\" has a quote that is not closed")),
        ] {
            let lines: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
            let got =
                Matches::parse(&lines).map(|matches| shown(&matches)).map_err(|error| error.to_string());
            assert_eq!(got, expected.map(str::to_owned).map_err(str::to_owned), "{lines:?}");
        }
        assert_eq!(Matches::parse(&[vec!["A=b"; 65].join(" + ")]), Err(MatchError::TooMany));
    }

    #[test]
    fn the_words_for_journalctl_mean_the_same() {
        let lines = ["_COMM=a _UID=0 + _COMM=b".to_owned(), "_UID=2".to_owned()];
        let matches = Matches::parse(&lines).unwrap();
        assert_eq!(matches.words().join(" "), "_COMM=a _UID=0 + _COMM=b + _UID=2");
        for (values, wanted) in [
            (&["_COMM=a"][..], false),
            (&["_COMM=a", "_UID=0"], true),
            (&["_UID=1", "_COMM=b"], true),
            (&["_UID=2"], true),
            (&[], false),
        ] {
            let has = |value: &[u8]| values.iter().any(|known| known.as_bytes() == value);
            assert_eq!(matches.wants(&has), wanted, "{values:?}");
        }
    }
}
