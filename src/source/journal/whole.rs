//! A journal from its beginning to its present end, for a command that reads it once.

use std::time::Duration;

use super::JournalOptions;
use super::reader::{Begin, JournalReader, Shelf};
use crate::source::tail::Step;
use crate::source::{Block, Start};
use crate::time::UnixTime;

/// Reads a whole journal.
#[derive(Debug)]
pub struct Whole {
    reader: JournalReader,
    now: UnixTime,
}

impl Whole {
    /// Begins to read; there may be nothing.
    pub fn open(options: JournalOptions, now: UnixTime) -> Self {
        let options = JournalOptions { start: Start::Beginning, ..options };
        Self { reader: JournalReader::open(options, Begin::First, Duration::MAX, Shelf::default(), now), now }
    }
}

/// Its blocks, with the time of each line.
impl Iterator for Whole {
    type Item = Box<Block>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.reader.read(self.now) {
                Step::Lines(block, _) => return Some(block),
                Step::Inside => {}
                Step::End => return None,
            }
        }
    }
}
