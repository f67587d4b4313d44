//! Journal or files: which of them a jail reads that may read both.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::Subscription;
use crate::source::{Cursor, journal, paths};
use crate::time::UnixTime;

/// Lets a jail that may read journal and files read one of them, and says why, if it is not the one preferred.
///
/// What was read of the other is not read again: the new one begins at the moment to which that was handled.
pub(super) fn choose(wants: &mut Subscription, now: UnixTime) -> Option<(String, String)> {
    let options = wants.journal.as_ref()?;
    let has_files = !wants.patterns.is_empty();
    let files_are_there =
        || !paths::expand(&wants.patterns, &BTreeSet::new()).keys().all(|path| !path.exists());
    let chosen = options.chosen(has_files, has_files && files_are_there());
    let other = |(path, _): &&(Arc<Path>, Cursor)| journal::is_journal(path) != chosen;
    if let Some(handled) = wants.cursors.iter().filter(other).map(|(_, cursor)| cursor.read_at).max() {
        wants.find_time = wants.find_time.min(now.since(handled));
    }
    let preferred = !options.instead_of_files;
    let note = (has_files && chosen != preferred).then(|| {
        if chosen {
            return ("log files".to_owned(), "none is there: the journal is read instead".to_owned());
        }
        let why = format!("no journal in {}: the log files are read instead", options.place());
        (journal::PATH.to_owned(), why)
    });
    if chosen {
        wants.patterns.clear();
    } else {
        wants.journal = None;
    }
    note
}
