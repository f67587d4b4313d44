//! The end of an action, or of all of them.

use super::{Book, Slot, Wish, Word};
use crate::id::Id;
use crate::jail::Ban;

impl Book {
    /// An action is not wanted any more: its bans are undone, then it is stopped. `bans`: those in force.
    pub(in crate::actor::jail) fn remove(
        &mut self,
        number: u32,
        bans: &dyn Fn() -> Vec<Ban>,
        words: &mut Vec<Word>,
    ) {
        self.undo(number, bans);
        if let Some(slot) = self.slot(number) {
            slot.leaving = true;
            slot.queue.push_back((Wish::Stop, 0));
        }
        let ids: Vec<Id> = self.pending.keys().cloned().collect();
        for id in ids {
            if let Some(pending) = self.pending.get_mut(&id) {
                pending.stages.retain(|(slot, _)| *slot != number);
            }
            self.see(&id, words);
        }
    }

    /// The jail ends: all bans are undone, then the actions are stopped, the last one first.
    pub(in crate::actor::jail) fn stop(&mut self, bans: &dyn Fn() -> Vec<Ban>) {
        for number in self.definitions().map(|(number, _)| number).collect::<Vec<_>>() {
            self.undo(number, bans);
        }
        let remaining = self.slots.iter().filter(|slot| !slot.leaving);
        self.stopping = Some(remaining.map(|slot| slot.number).collect());
        self.advance();
    }

    /// Whether the jail ends and all actions have been stopped.
    pub(in crate::actor::jail) fn stopped(&self) -> bool {
        self.stopping.is_some() && self.slots.is_empty()
    }

    /// Flushes an action, or undoes its bans one by one.
    fn undo(&mut self, number: u32, bans: &dyn Fn() -> Vec<Ban>) {
        let Some(slot) = self.slots.iter_mut().find(|slot| slot.number == number) else { return };
        slot.queue.retain(|(wish, _)| matches!(wish, Wish::Unban(_) | Wish::Flush | Wish::Stop));
        if slot.can("actionflush") {
            slot.queue.push_back((Wish::Flush, 0));
        } else if slot.can("actionunban") {
            let news_only = slot.news_only;
            let bans = bans().into_iter().filter(|ban| !(ban.restored && news_only));
            slot.queue.extend(bans.map(|ban| (Wish::Unban(Box::new(ban)), 0)));
        }
    }

    /// When everything before it is done, the next action is stopped.
    pub(super) fn advance(&mut self) {
        let Some(stopping) = &mut self.stopping else { return };
        if !self.slots.iter().all(Slot::idle) {
            return;
        }
        if let Some(number) = stopping.pop()
            && let Some(slot) = self.slots.iter_mut().find(|slot| slot.number == number)
        {
            slot.leaving = true;
            slot.queue.push_back((Wish::Stop, 0));
        }
    }
}
