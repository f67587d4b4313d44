//! One file of a journal as its reader sees it: where it is in it, and what comes next.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Shelf;
use crate::source::LINE_CAP;
use crate::source::journal::bytes::Damage;
use crate::source::journal::file::{Entry, Id128, JournalFile};
use crate::source::journal::folders::Found;
use crate::source::journal::line::{Fields, NAME_CAP};
use crate::source::journal::matches::Matches;
use crate::source::journal::place::Place;
use crate::source::journal::select::{Next, Selection};
use crate::source::log::{FileId, Trouble};

/// Entries that are damaged and passed over, before a file is given up.
const DAMAGED_CAP: u32 = 1000;

/// Where reading begins in a file that continues nothing known.
pub(super) enum Origin {
    /// At the first entry that is not older (µs since the epoch).
    Young(u64),
    /// Behind the last.
    End,
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{0}")]
    Open(Trouble),
    #[error("{0}")]
    Damage(#[from] Damage),
}

impl Failure {
    /// Whether `journalctl` may do better.
    pub(super) fn is_for_a_child(&self) -> bool {
        matches!(self, Self::Damage(Damage::Unsupported(_)))
    }
}

/// What is known of the next wanted entry.
#[derive(Debug)]
enum Search {
    /// To be looked for from this offset.
    From(u64),
    /// This one.
    Found(Entry),
    /// There is none that is visible; the next one lies at this offset or behind.
    None(u64),
}

/// What is to be expected of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It is written to.
    Written,
    /// It was rotated away.
    Archived,
    /// It has no name any more: it was vacuumed, or is being renamed.
    Gone,
}

/// A file that is being read.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) id: FileId,
    pub(super) path: PathBuf,
    pub(super) folder: String,
    pub(super) volatile: bool,
    pub(super) state: State,
    /// Whether its entries were written while the journal was read.
    pub(super) live: bool,
    file: JournalFile,
    selection: Selection,
    search: Search,
    damaged: u32,
}

impl Source {
    /// Opens a file where reading is to go on; none: there is nothing more in it.
    pub(super) fn open(
        found: &Found,
        shelf: &Shelf,
        matches: &Matches,
        place: &Place,
        origin: &Origin,
        live: bool,
    ) -> Result<Option<Self>, Failure> {
        let file = share(shelf, &found.path).map_err(Failure::Open)?;
        let meta = file.metadata().map_err(|error| Failure::Open(error.into()))?;
        let mut file = JournalFile::open(file)?;
        let archived = found.archived || file.header.archived;
        let mark = place.of(file.header.stream);
        let from = match (mark, origin) {
            (None, _) if found.rest_only => return Ok(None),
            (Some(mark), _) => file.partition(|entry| entry.seqnum > mark.seqnum)?,
            (None, Origin::Young(0)) => Some(0),
            (None, Origin::Young(oldest)) => file.partition(|entry| entry.realtime >= *oldest)?,
            (None, Origin::End) => None,
        };
        if from.is_none() && archived {
            return Ok(None);
        }
        let end = file.last().map_or(0, |last| last.offset + 1);
        let selection = Selection::new(matches.clone(), &file);
        let search = from.map_or(Search::None(end), Search::From);
        Ok(Some(Self {
            id: FileId::of(&meta),
            path: found.path.clone(),
            folder: found.folder.clone(),
            volatile: found.volatile,
            state: if archived { State::Archived } else { State::Written },
            live: (live && mark.is_some()) || from.is_none(),
            file,
            selection,
            search,
            damaged: 0,
        }))
    }

    /// The name that it has now, if it has one.
    pub(super) fn named(&mut self, found: Option<&Found>) {
        self.state = match found {
            None => State::Gone,
            Some(found) if found.archived || self.file.header.archived => State::Archived,
            Some(_) => State::Written,
        };
        if let Some(found) = found {
            self.path.clone_from(&found.path);
        }
    }

    /// Whose numbering its entries follow.
    pub(super) fn stream(&self) -> Id128 {
        self.file.header.stream
    }

    /// The number of the last entry that can be seen.
    pub(super) fn visible(&self) -> u64 {
        self.file.last().map_or(0, |last| last.seqnum)
    }

    /// Sees what has been written since.
    pub(super) fn refresh(&mut self) -> Result<(), Failure> {
        let before = self.file.last().map(|last| last.offset);
        self.file.refresh()?;
        if self.file.header.archived && self.state == State::Written {
            self.state = State::Archived;
        }
        self.selection.refresh(&self.file);
        if before != self.file.last().map(|last| last.offset)
            && let Search::None(from) = self.search
        {
            self.search = Search::From(from);
        }
        Ok(())
    }

    /// Looks for the next wanted entry, for a bounded time.
    pub(super) fn search(&mut self, steps: &mut usize) -> Result<(), Failure> {
        let Search::From(from) = self.search else { return Ok(()) };
        self.search = match self.selection.next(&mut self.file, from, steps)? {
            Next::Nothing => {
                self.live = true;
                Search::None(self.file.last().map_or(from, |last| from.max(last.offset + 1)))
            }
            Next::From(offset) => Search::From(offset),
            Next::Entry(offset) => match self.file.entry(offset) {
                Ok(entry) => Search::Found(entry),
                Err(Damage::Corrupt { .. }) if self.damaged < DAMAGED_CAP => {
                    self.damaged += 1;
                    Search::From(offset + 1)
                }
                Err(damage) => return Err(damage.into()),
            },
        };
        Ok(())
    }

    pub(super) fn is_searching(&self) -> bool {
        matches!(self.search, Search::From(_))
    }

    pub(super) fn may_have_more(&self) -> bool {
        !matches!(self.search, Search::None(_))
    }

    /// The next entry, once it was found.
    pub(super) fn next(&self) -> Option<&Entry> {
        if let Search::Found(entry) = &self.search { Some(entry) } else { None }
    }

    pub(super) fn take_next(&mut self) -> Option<Entry> {
        let entry = self.next().copied()?;
        self.search = Search::From(entry.offset + 1);
        Some(entry)
    }

    /// No wanted entry has a lower number than this; none: nor any that can be seen.
    pub(super) fn not_before(&self) -> Option<u64> {
        match &self.search {
            Search::Found(entry) => Some(entry.seqnum),
            Search::From(_) => Some(0),
            Search::None(_) => None,
        }
    }

    pub(super) fn is_written(&self) -> bool {
        self.state == State::Written
    }

    /// Whether nothing will ever come of it.
    pub(super) fn finished(&self) -> bool {
        !self.is_written() && !self.may_have_more()
    }

    /// The values that lines are made of.
    pub(super) fn fill(&mut self, fields: &mut Fields, entry: &Entry) -> Result<(), Failure> {
        fields.clear();
        let is_dull = &mut |value: &[u8]| !fields.take(value);
        Ok(self.file.values_of_interest(entry, LINE_CAP + NAME_CAP, is_dull)?)
    }

    /// Gives the memory of what was read back.
    pub(super) fn rest(&mut self) {
        self.file.rest();
    }
}

/// Opens a regular file, or shares what another reader has open; never blocks.
fn share(shelf: &Shelf, path: &Path) -> Result<Arc<File>, Trouble> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(Trouble::Special);
    }
    let Ok(mut shelf) = shelf.lock() else { return Ok(Arc::new(file)) };
    shelf.retain(|_, file| file.strong_count() > 0);
    let slot = shelf.entry(FileId::of(&meta)).or_default();
    if let Some(shared) = slot.upgrade() {
        return Ok(shared);
    }
    let file = Arc::new(file);
    *slot = Arc::downgrade(&file);
    Ok(file)
}
