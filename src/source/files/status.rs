//! What a jail reads and how it goes, for its status.

use std::path::Path;
use std::sync::Arc;

use super::Files;
use crate::control::request::FileStatus;
use crate::source::follow::Trouble;
use crate::source::paths;
use crate::source::tail::Tail;

impl Files {
    /// The files of a jail, and its globs that match nothing.
    pub fn status(&self, jail: &str) -> Vec<FileStatus> {
        let Some(subscriber) = self.jails.get(jail) else { return Vec::new() };
        let tails = self.tails(jail).map(|(path, (tail, hungry))| FileStatus {
            path: tail.name(path),
            state: match tail.trouble() {
                Some(trouble) => trouble,
                None if tail.reached_end() && !hungry => "reading".to_owned(),
                None => "catching up".to_owned(),
            },
            offset: tail.offset(),
            cut: tail.cut(),
        });
        let idle = subscriber.wants.patterns.iter().filter(|(pattern, _)| {
            paths::as_glob(pattern)
                .is_some_and(|glob| !subscriber.paths.iter().any(|path| paths::matches(&glob, path)))
        });
        let idle = idle.map(|(pattern, _)| FileStatus {
            path: pattern.clone(),
            state: Trouble::Missing.to_string(),
            ..FileStatus::default()
        });
        let note = subscriber.note.clone();
        let note = note.map(|(path, state)| FileStatus { path, state, ..FileStatus::default() });
        let full = (subscriber.paths.len() >= paths::PATHS_CAP).then(|| FileStatus {
            path: "more files".to_owned(),
            state: format!("not read: a jail reads no more than {}", paths::PATHS_CAP),
            ..FileStatus::default()
        });
        tails.chain(idle).chain(full).chain(note).collect()
    }

    /// Whether a jail reads the journal.
    pub fn reads_journal(&self, jail: &str) -> bool {
        self.jails.get(jail).is_some_and(|jail| jail.wants.journal.is_some())
    }

    /// Whether every file of a jail was once read to its end, or is not there.
    #[cfg(test)]
    pub(super) fn caught_up(&self, jail: &str) -> bool {
        self.tails(jail).all(|(_, (tail, _))| tail.reached_end())
    }

    fn tails<'a>(&'a self, jail: &'a str) -> impl Iterator<Item = (&'a Arc<Path>, (&'a Tail, bool))> {
        let paths = self.jails.get(jail).map(|jail| jail.paths.iter()).into_iter().flatten();
        paths.filter_map(move |path| Some((path, self.paths.get(path)?.readers.of(jail)?)))
    }
}
