//! What a jail has to remember: gathered, sent in order, kept until the store has it on disk.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

use actix::Recipient;
use crossbeam_channel::{Sender, TrySendError};

use crate::actor::message::Recorded;
use crate::actor::store::Job;
use crate::source::Cursor;
use crate::store::Entry;

/// Records that may lie unsent before gathering goes on in one.
const BACKLOG: usize = 64;

/// Gathers entries; everything of one [`Outbox::seal`] becomes one transaction.
pub(super) struct Outbox {
    store: Option<Sender<Job>>,
    gathered: Vec<Entry>,
    cursors: BTreeMap<Arc<Path>, Cursor>,
    dirty: bool,
    /// Sealed, not on disk yet; those past `sent` not handed over yet.
    sealed: VecDeque<(u64, Arc<Vec<Entry>>)>,
    number: u64,
    sent: u64,
    recorded: u64,
}

impl Outbox {
    /// Without a store everything is forgotten at once.
    pub(super) fn new(store: Option<Sender<Job>>) -> Self {
        Self {
            store,
            gathered: Vec::new(),
            cursors: BTreeMap::new(),
            dirty: false,
            sealed: VecDeque::new(),
            number: 0,
            sent: 0,
            recorded: 0,
        }
    }

    /// There is a store now.
    pub(super) fn find(&mut self, store: Sender<Job>) {
        self.store = Some(store);
    }

    pub(super) fn push(&mut self, entry: Entry) {
        self.gathered.push(entry);
        self.dirty = true;
    }

    /// How far a file is handled; only the last word counts.
    pub(super) fn cursor(&mut self, path: Arc<Path>, cursor: Cursor) {
        self.cursors.insert(path, cursor);
        self.dirty = true;
    }

    /// Something changed that the jail itself keeps (counters, sessions).
    pub(super) fn touch(&mut self) {
        self.dirty = true;
    }

    /// Whether there is nothing to seal and nothing to send.
    pub(super) fn is_idle(&self) -> bool {
        !self.dirty && self.sent == self.number
    }

    /// Whether [`Outbox::seal`] would make a record now.
    pub(super) fn is_ready(&self) -> bool {
        self.dirty && self.number - self.sent < BACKLOG as u64
    }

    /// The number under which everything gathered so far will be on disk.
    pub(super) fn next_number(&self) -> u64 {
        if self.dirty { self.number + 1 } else { self.number }
    }

    /// Up to which number everything is on disk.
    pub(super) fn on_disk(&self) -> u64 {
        self.recorded
    }

    /// Closes the record that was gathered, with what the jail adds to it.
    pub(super) fn seal(&mut self, jail: &Arc<str>, more: impl IntoIterator<Item = Entry>) {
        let mut entries = std::mem::take(&mut self.gathered);
        self.dirty = false;
        self.number += 1;
        if self.store.is_none() {
            self.cursors.clear();
            self.sent = self.number;
            self.recorded = self.number;
            return;
        }
        entries.extend(more);
        let cursors = std::mem::take(&mut self.cursors);
        entries.extend(cursors.into_iter().map(|(path, cursor)| Entry::Cursor(jail.clone(), path, cursor)));
        self.sealed.push_back((self.number, Arc::new(entries)));
    }

    /// Hands over what is sealed, as far as there is room.
    pub(super) fn send(&mut self, answer: &Recipient<Recorded>) {
        let Some(store) = &self.store else { return };
        for (number, entries) in &self.sealed {
            if *number <= self.sent {
                continue;
            }
            let job = Job::Record { entries: entries.clone(), number: *number, answer: answer.clone() };
            match store.try_send(job) {
                Ok(()) => self.sent = *number,
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => break,
            }
        }
    }

    /// Everything up to this number is on disk. How many entries need not be kept any more.
    pub(super) fn recorded(&mut self, number: u64) -> usize {
        self.recorded = self.recorded.max(number);
        let mut count = 0;
        while let Some((number, entries)) = self.sealed.front()
            && *number <= self.recorded
        {
            count += entries.iter().map(Entry::size).sum::<usize>();
            self.sealed.pop_front();
        }
        count
    }

    /// The store lost what it had in hand: everything not on disk is sent again.
    pub(super) fn send_again(&mut self) {
        self.sent = self.recorded;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix::prelude::*;

    struct Nobody;

    impl Actor for Nobody {
        type Context = Context<Self>;
    }

    impl Handler<Recorded> for Nobody {
        type Result = ();
        fn handle(&mut self, _: Recorded, _: &mut Self::Context) {}
    }

    fn numbers(receiver: &crossbeam_channel::Receiver<Job>) -> Vec<u64> {
        receiver
            .try_iter()
            .map(|job| match job {
                Job::Record { number, .. } => number,
                _ => unreachable!("only records are sent"),
            })
            .collect()
    }

    #[test]
    fn a_full_store_delays_and_a_revived_one_hears_again_what_it_lost() {
        System::new().block_on(async {
            let answer = Nobody.start().recipient();
            let jail: Arc<str> = "sshd".into();
            let (sender, receiver) = crossbeam_channel::bounded(2);
            let mut outbox = Outbox::new(Some(sender));
            for _ in 0..3 {
                outbox.touch();
                assert!(outbox.is_ready());
                outbox.seal(&jail, []);
            }
            outbox.send(&answer);
            assert!(!outbox.is_idle(), "the third found no room");
            assert_eq!(numbers(&receiver), [1, 2]);
            outbox.send(&answer);
            assert!(outbox.is_idle());
            assert_eq!(numbers(&receiver), [3]);
            outbox.recorded(1);
            outbox.send_again();
            outbox.send(&answer);
            assert_eq!(numbers(&receiver), [2, 3]);
            assert_eq!(outbox.on_disk(), 1);
        });
    }

    #[test]
    fn without_a_store_everything_counts_as_done() {
        let mut outbox = Outbox::new(None);
        outbox.touch();
        let number = outbox.next_number();
        outbox.seal(&"sshd".into(), []);
        assert_eq!((outbox.on_disk(), outbox.is_idle()), (number, true));
    }
}
