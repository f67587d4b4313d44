//! What a jail's actions still have to do, and whose word on which ban is missing.
//!
//! Plain bookkeeping: no actor, no clock, no channel. A ban holds once the firewall and every action that enforces have
//! confirmed it; those that only tell somebody hear of it then. What is sent is kept until it is answered.

mod end;
mod hand;
mod wish;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::action::Definition;
use crate::id::Id;
use crate::jail::Ban;
use crate::time::UnixTime;
pub(super) use wish::{Wish, Word};

/// Tasks of one action that are with the broker at the same time at most: the rest waits here, where it can be undone.
const WINDOW: usize = 16;
/// After a refusal an action is asked again after this long, then after twice as long, up to the other.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// An action's environment is checked no more often than this (SPEC §4.2).
const CHECK: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It tells somebody, and the ban does not hold yet.
    Later,
    /// It waits here; the flag says that it was done before.
    Queued(bool),
    Sent,
    Refused,
    Done,
}

/// One action.
#[derive(Debug)]
struct Slot {
    number: u32,
    definition: Arc<Definition>,
    enforces: bool,
    /// Restored bans do not concern it.
    news_only: bool,
    /// What it has to do, each once this record is on disk.
    queue: VecDeque<(Wish, u64)>,
    sent: BTreeMap<u64, Wish>,
    /// It goes once it has stopped.
    leaving: bool,
    pause: Duration,
    ask_at: UnixTime,
    checked: UnixTime,
}

impl Slot {
    fn can(&self, command: &str) -> bool {
        self.definition.has_any(command)
    }

    fn idle(&self) -> bool {
        self.queue.is_empty() && self.sent.is_empty()
    }

    fn concerns(&self, restored: bool) -> bool {
        !(restored && self.news_only)
    }
}

/// A ban of which not everything has been heard.
#[derive(Debug)]
struct Pending {
    token: u64,
    /// The record with which it is on disk.
    after: u64,
    /// The firewall has not confirmed it.
    kernel: bool,
    /// Those who only tell have been told to.
    told: bool,
    /// The store knows that commands are untold.
    noted: bool,
    stages: Vec<(u32, Stage)>,
}

/// Who has not let it in yet, and what went wrong.
#[derive(Debug)]
struct Leaving {
    left: usize,
    answer: Result<(), Arc<str>>,
}

/// All actions of a jail.
#[derive(Debug, Default)]
pub(super) struct Book {
    slots: Vec<Slot>,
    pending: HashMap<Id, Pending>,
    leaving: HashMap<Id, Leaving>,
    next_slot: u32,
    token: u64,
    number: u64,
    /// The jail ends: those that have still to be stopped, the next one last.
    stopping: Option<Vec<u32>>,
    /// Single unbans are not for those that can flush.
    flushing: bool,
    /// Some stage may be [`Stage::Refused`].
    refused: bool,
}

impl Book {
    /// Takes an action in. Its start comes first.
    pub(super) fn add(&mut self, definition: Definition) -> u32 {
        self.next_slot += 1;
        let slot = Slot {
            number: self.next_slot,
            enforces: definition.enforces(),
            news_only: definition.flag("norestored").unwrap_or(false),
            definition: Arc::new(definition),
            queue: VecDeque::from([(Wish::Start, 0)]),
            sent: BTreeMap::new(),
            leaving: false,
            pause: FIRST_PAUSE,
            ask_at: UnixTime::default(),
            checked: UnixTime::default(),
        };
        self.slots.push(slot);
        self.next_slot
    }

    /// Whether there are no actions at all.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether any action has to confirm bans.
    pub(super) fn confirms(&self) -> bool {
        self.slots.iter().any(|slot| slot.enforces && !slot.leaving)
    }

    /// The actions in use, in their order.
    pub(super) fn definitions(&self) -> impl Iterator<Item = (u32, &Arc<Definition>)> {
        self.slots.iter().filter(|slot| !slot.leaving).map(|slot| (slot.number, &slot.definition))
    }

    /// Those of these that enforce.
    pub(super) fn enforcing(&self, numbers: &[u32]) -> Vec<u32> {
        let mine = self.slots.iter().filter(|slot| slot.enforces && numbers.contains(&slot.number));
        mine.map(|slot| slot.number).collect()
    }

    fn slot(&mut self, number: u32) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|slot| slot.number == number)
    }

    /// A new ban, which the firewall has to confirm too, or not. With `untold`, those that pass over restored bans were
    /// not told of it before.
    pub(super) fn ban(&mut self, ban: &Ban, kernel: bool, untold: bool, after: u64, words: &mut Vec<Word>) {
        self.token += 1;
        let token = self.token;
        let mut stages = Vec::new();
        for slot in
            self.slots.iter_mut().filter(|slot| !slot.leaving && slot.concerns(ban.restored && !untold))
        {
            if slot.enforces {
                slot.queue.push_back((Wish::Ban(ban.id.clone(), token), after));
            }
            let stage = if slot.enforces { Stage::Queued(false) } else { Stage::Later };
            stages.push((slot.number, stage));
        }
        let noted = !ban.restored || untold;
        self.pending.insert(ban.id.clone(), Pending { token, after, kernel, told: false, noted, stages });
        if self.confirms() {
            self.see(&ban.id, words);
        }
    }

    /// The ban holds: those that tell somebody do so now.
    pub(super) fn holds(&mut self, id: &Id, words: &mut Vec<Word>) {
        let Some(pending) = self.pending.get_mut(id) else { return };
        if !pending.told {
            pending.told = true;
            for (number, stage) in pending.stages.iter_mut().filter(|(_, stage)| *stage == Stage::Later) {
                *stage = Stage::Queued(false);
                if let Some(slot) = self.slots.iter_mut().find(|slot| slot.number == *number) {
                    slot.queue.push_back((Wish::Ban(id.clone(), pending.token), pending.after));
                }
            }
        }
        self.see(id, words);
    }

    /// The firewall's word on a ban.
    pub(super) fn kernel(&mut self, id: &Id, answer: &Result<(), Arc<str>>, words: &mut Vec<Word>) {
        match answer {
            Err(why) => {
                self.late(id).kernel = true;
                words.push(Word::Ban(id.clone(), Err(why.clone())));
            }
            Ok(()) => match self.pending.get_mut(id) {
                Some(pending) => {
                    pending.kernel = false;
                    self.see(id, words);
                }
                None => words.push(Word::Ban(id.clone(), Ok(()))),
            },
        }
    }

    /// The entry of a ban of which everything had been heard, or has not.
    fn late(&mut self, id: &Id) -> &mut Pending {
        self.token += 1;
        let (token, stages) = (self.token, Vec::new());
        let new = Pending { token, after: 0, kernel: false, told: true, noted: false, stages };
        self.pending.entry(id.clone()).or_insert(new)
    }

    /// Makes a ban again with one action.
    pub(super) fn again(&mut self, number: u32, id: &Id) {
        let pending = self.late(id);
        let token = pending.token;
        let at = pending.stages.iter().position(|(slot, _)| *slot == number);
        match at.map(|at| &mut pending.stages[at].1) {
            // It waits anyway.
            Some(Stage::Later | Stage::Queued(_) | Stage::Refused) => return,
            Some(stage) => *stage = Stage::Queued(true),
            None => pending.stages.push((number, Stage::Queued(true))),
        }
        if let Some(slot) = self.slot(number) {
            slot.queue.push_back((Wish::Again(id.clone(), token), 0));
        }
    }

    /// Says what is known of a ban by now.
    fn see(&mut self, id: &Id, words: &mut Vec<Word>) {
        let Some(pending) = self.pending.get(id) else { return };
        let enforces = |number: u32| self.slots.iter().any(|slot| slot.number == number && slot.enforces);
        let owing = |(number, stage): &(u32, Stage)| *stage != Stage::Done && enforces(*number);
        if pending.kernel || pending.stages.iter().any(owing) {
            return;
        }
        words.push(Word::Ban(id.clone(), Ok(())));
        let heard = |(_, stage): &(u32, Stage)| matches!(stage, Stage::Done | Stage::Refused);
        if pending.told && pending.stages.iter().all(heard) {
            if pending.noted {
                words.push(Word::Told(id.clone()));
            }
            self.pending.remove(id);
        }
    }

    /// A ban ends later now.
    pub(super) fn prolong(&mut self, id: &Id) {
        for slot in self.slots.iter_mut().filter(|slot| !slot.leaving && slot.can("actionprolong")) {
            slot.queue.push_back((Wish::Prolong(id.clone()), 0));
        }
    }

    /// A ban has ended; the firewall has to let it in too, or not. What was not begun is not undone.
    pub(super) fn unban(&mut self, ban: Ban, kernel: bool, words: &mut Vec<Word>) {
        let pending = self.pending.remove(&ban.id);
        let mut left = usize::from(kernel);
        for slot in self.slots.iter_mut().filter(|slot| slot.can("actionunban")) {
            let stages = pending.iter().flat_map(|pending| &pending.stages);
            let stage = stages.filter(|(number, _)| *number == slot.number).map(|(_, stage)| *stage).next();
            let done = match stage {
                Some(Stage::Later | Stage::Queued(false)) => false,
                Some(_) => true,
                None => slot.concerns(ban.restored),
            };
            if !done || slot.leaving || (self.flushing && slot.can("actionflush")) {
                continue;
            }
            left += usize::from(slot.enforces);
            slot.queue.push_back((Wish::Unban(Box::new(ban.clone())), 0));
        }
        if pending.is_some_and(|pending| pending.noted) {
            words.push(Word::Told(ban.id.clone()));
        }
        if left > 0 {
            self.leaving.insert(ban.id, Leaving { left, answer: Ok(()) });
        } else {
            words.push(Word::Unban(ban.id, Ok(())));
        }
    }

    /// One of those who have to let `id` in has answered.
    pub(super) fn left(&mut self, id: &Id, answer: Result<(), Arc<str>>, words: &mut Vec<Word>) {
        let Some(leaving) = self.leaving.get_mut(id) else { return };
        leaving.left -= 1;
        leaving.answer = leaving.answer.clone().and(answer);
        if leaving.left == 0
            && let Some(leaving) = self.leaving.remove(id)
        {
            words.push(Word::Unban(id.clone(), leaving.answer));
        }
    }

    /// Whether somebody's word on this id is missing.
    pub(super) fn awaits(&self, id: &Id) -> bool {
        self.pending.contains_key(id) || self.leaving.contains_key(id)
    }

    /// Whether the firewall's word on this ban is missing; for a jail with actions.
    pub(super) fn awaits_kernel(&self, id: &Id) -> bool {
        self.pending.get(id).is_some_and(|pending| pending.kernel)
    }

    /// Everybody is let in: from here to [`Book::flushed`] those that can flush get no single unbans.
    pub(super) fn flush(&mut self) {
        self.flushing = true;
        for slot in self.slots.iter_mut().filter(|slot| !slot.leaving && slot.can("actionflush")) {
            slot.queue.push_back((Wish::Flush, 0));
        }
    }

    /// The end of [`Book::flush`].
    pub(super) fn flushed(&mut self) {
        self.flushing = false;
    }

    /// The jail's options have changed.
    pub(super) fn reload(&mut self, number: u32) {
        if let Some(slot) = self.slot(number).filter(|slot| slot.can("actionreload")) {
            slot.queue.push_back((Wish::Reload, 0));
        }
    }

    /// Somebody who is banned goes on failing: is everything as it should be?
    pub(super) fn check(&mut self, now: UnixTime) {
        for slot in self.slots.iter_mut().filter(|slot| slot.enforces && !slot.leaving) {
            if slot.can("actioncheck") && slot.checked + CHECK <= now {
                slot.checked = now;
                slot.queue.push_back((Wish::Check, 0));
            }
        }
    }

    /// Asks those again that refused, when their time has come.
    pub(super) fn ask_again(&mut self, now: UnixTime) {
        self.refused = false;
        for (id, pending) in &mut self.pending {
            for (number, stage) in pending.stages.iter_mut().filter(|(_, stage)| *stage == Stage::Refused) {
                let slot = self.slots.iter_mut().find(|slot| slot.number == *number);
                let Some(slot) = slot.filter(|slot| slot.enforces) else { continue };
                if slot.ask_at <= now {
                    *stage = Stage::Queued(true);
                    slot.queue.push_back((Wish::Ban(id.clone(), pending.token), 0));
                } else {
                    self.refused = true;
                }
            }
        }
    }

    /// Whether any action has refused something that is to be asked for again.
    pub(super) fn refused(&self) -> bool {
        self.refused
    }

    /// No firewall has to confirm anything any more.
    pub(super) fn without_kernel(&mut self, words: &mut Vec<Word>) {
        let ids: Vec<Id> = self.pending.keys().cloned().collect();
        for id in ids {
            if let Some(pending) = self.pending.get_mut(&id) {
                pending.kernel = false;
            }
            self.see(&id, words);
        }
    }
}

#[cfg(test)]
mod tests;
