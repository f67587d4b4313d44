//! What Fail2Ban's `backend = systemd[…]` says → which journal.
//!
//! Pure. Source: SPEC §1.9; the defaults as measured on Fail2Ban 1.0.2: of the system only (`journalflags=4`) unless a
//! folder, files or flags are named.

use std::path::PathBuf;

use super::{JournalOptions, Matches};
use crate::source::Start;

/// Why a backend's options cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackendError {
    /// The options of this program's Fail2Ban are others.
    #[error(
        "{0:?} is no option of the backend systemd: known are journalpath, journalfiles, journalflags, namespace and rotated"
    )]
    Unknown(String),
    /// Neither a number nor one of the words.
    #[error("journalflags is {0:?}: a number is expected")]
    Flags(String),
}

impl JournalOptions {
    /// The journal that the options in the brackets mean, for these matches.
    ///
    /// `rotated` changes nothing: rotated files are always read as far as they are needed.
    ///
    /// # Errors
    /// The first option that is unknown or wrong.
    pub fn of_backend<'a>(
        options: impl IntoIterator<Item = (&'a str, &'a str)>,
        matches: Matches,
    ) -> Result<Self, BackendError> {
        let mut journal = Self { matches, start: Start::FindTime, ..Self::default() };
        let mut flags = None;
        for (name, value) in options {
            let value = value.trim();
            match name {
                "journalpath" => journal.path = (!value.is_empty()).then(|| PathBuf::from(value)),
                "journalfiles" => {
                    let files = value.split(|c: char| c == ',' || c.is_whitespace());
                    journal.files = files.filter(|file| !file.is_empty()).map(str::to_owned).collect();
                }
                "journalflags" => {
                    flags = Some(value.parse().map_err(|_| BackendError::Flags(value.to_owned()))?);
                }
                "namespace" => journal.namespace = (!value.is_empty()).then(|| value.to_owned()),
                "rotated" => {}
                other => return Err(BackendError::Unknown(other.to_owned())),
            }
        }
        let everywhere = journal.path.is_some() || !journal.files.is_empty();
        journal.flags = flags.unwrap_or(if everywhere { 0 } else { 4 });
        Ok(journal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_as_measured_on_fail2ban() {
        let plain = JournalOptions::default();
        let files = vec!["/a.journal".to_owned(), "/b@1.journal".to_owned()];
        for (options, expected) in [
            (&[][..], Ok(JournalOptions { flags: 4, ..plain.clone() })),
            (&[("journalpath", "/j")], Ok(JournalOptions { path: Some("/j".into()), ..plain.clone() })),
            (
                &[("journalfiles", "/a.journal /b@1.journal,\n")],
                Ok(JournalOptions { files, ..plain.clone() }),
            ),
            (&[("journalflags", "1")], Ok(JournalOptions { flags: 1, ..plain.clone() })),
            (
                &[("journalpath", "/j"), ("journalflags", "2"), ("rotated", "on")],
                Ok(JournalOptions { path: Some("/j".into()), flags: 2, ..plain.clone() }),
            ),
            (
                &[("namespace", "*")],
                Ok(JournalOptions { flags: 4, namespace: Some("*".into()), ..plain.clone() }),
            ),
            (&[("journalflags", "all")], Err("journalflags is \"all\": a number is expected")),
            (
                &[("path", "/x")],
                Err(
                    "\"path\" is no option of the backend systemd: known are journalpath, journalfiles, journalflags, namespace and rotated",
                ),
            ),
        ] {
            let got = JournalOptions::of_backend(options.iter().copied(), Matches::default());
            assert_eq!(
                got.map_err(|error| error.to_string()),
                expected.map_err(str::to_owned),
                "{options:?}"
            );
        }
    }
}
