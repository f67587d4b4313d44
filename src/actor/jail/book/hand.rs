//! Tasks on their way to the broker, and their answers.

use std::sync::Arc;

use super::{Book, FIRST_PAUSE, LONGEST_PAUSE, Slot, Stage, WINDOW, Wish, Word};
use crate::action::Definition;
use crate::action::lifecycle::Verdict;
use crate::time::UnixTime;

impl Book {
    /// The next task that can be handed over, with its number. `on_disk`: up to which record everything is.
    pub(in crate::actor::jail) fn next(&mut self, on_disk: u64) -> Option<(u64, Arc<Definition>, Wish)> {
        for slot in &mut self.slots {
            while slot.sent.len() < WINDOW && slot.queue.front().is_some_and(|(_, after)| *after <= on_disk) {
                let Some((wish, _)) = slot.queue.pop_front() else { break };
                if let Wish::Ban(id, token) | Wish::Again(id, token) = &wish {
                    let pending = self.pending.get_mut(id).filter(|pending| pending.token == *token);
                    let stages = pending.into_iter().flat_map(|pending| &mut pending.stages);
                    let mine = |(number, stage): &&mut (u32, Stage)| {
                        *number == slot.number && matches!(stage, Stage::Queued(_))
                    };
                    // The ban has ended meanwhile.
                    let Some((_, stage)) = stages.into_iter().find(mine) else { continue };
                    *stage = Stage::Sent;
                }
                self.number += 1;
                slot.sent.insert(self.number, wish.clone());
                return Some((self.number, slot.definition.clone(), wish));
            }
        }
        None
    }

    /// The task of this number found no room: it is the next again.
    pub(in crate::actor::jail) fn unsent(&mut self, number: u64) {
        for slot in &mut self.slots {
            let Some(wish) = slot.sent.remove(&number) else { continue };
            if let Wish::Ban(id, _) | Wish::Again(id, _) = &wish {
                let stages = self.pending.get_mut(id).into_iter().flat_map(|pending| &mut pending.stages);
                for (_, stage) in stages.filter(|(number, _)| *number == slot.number) {
                    *stage = Stage::Queued(true);
                }
            }
            slot.queue.push_front((wish, 0));
            return;
        }
    }

    /// The task of this number is about a ban that is over: nobody is asked.
    pub(in crate::actor::jail) fn moot(&mut self, number: u64) {
        for slot in &mut self.slots {
            slot.sent.remove(&number);
        }
        self.advance();
    }

    /// Whether something waits for the disk alone.
    pub(in crate::actor::jail) fn waits_for_disk(&self, on_disk: u64) -> bool {
        let waits = |slot: &Slot| slot.queue.front().is_some_and(|(_, after)| *after > on_disk);
        self.slots.iter().any(waits)
    }

    /// What came of a task.
    pub(in crate::actor::jail) fn heard(
        &mut self,
        number: u64,
        verdict: Verdict,
        now: UnixTime,
        words: &mut Vec<Word>,
    ) {
        let Some(at) = self.slots.iter().position(|slot| slot.sent.contains_key(&number)) else { return };
        let slot = &mut self.slots[at];
        let Some(wish) = slot.sent.remove(&number) else { return };
        let (name, number) = (slot.definition.name.clone(), slot.number);
        let why = verdict.result.as_ref().err().cloned();
        if why.is_some() && slot.ask_at <= now {
            slot.ask_at = now + slot.pause;
            slot.pause = (slot.pause * 2).min(LONGEST_PAUSE);
        } else if why.is_none() && matches!(wish, Wish::Ban(..) | Wish::Again(..)) {
            slot.pause = FIRST_PAUSE;
        }
        let enforces = slot.enforces;
        let about = wish.id().cloned();
        let repaired = verdict.repaired.into_iter();
        words.extend(repaired.map(|scope| Word::Repaired(number, scope, about.clone())));
        let task = wish.task();
        match wish {
            Wish::Ban(id, token) | Wish::Again(id, token) => {
                let pending = self.pending.get_mut(&id).filter(|pending| pending.token == token);
                let stages = pending.into_iter().flat_map(|pending| &mut pending.stages);
                for (_, stage) in stages.filter(|(slot, stage)| *slot == number && *stage == Stage::Sent) {
                    *stage = if why.is_some() { Stage::Refused } else { Stage::Done };
                }
                match why {
                    Some(why) if enforces => {
                        self.refused = true;
                        words.push(Word::Ban(id.clone(), Err(format!("{name}: {why}").into())));
                    }
                    Some(why) => words.push(Word::Failed(name, task.name(), Some(id.clone()), why)),
                    None => {}
                }
                self.see(&id, words);
            }
            Wish::Unban(ban) => {
                let answer = why.as_ref().map_or(Ok(()), |why| Err(format!("{name}: {why}").into()));
                if enforces {
                    self.left(&ban.id, answer, words);
                }
                words.extend(why.map(|why| Word::Failed(name, task.name(), Some(ban.id), why)));
            }
            other => {
                words.extend(why.map(|why| Word::Failed(name, task.name(), None, why)));
                if other == Wish::Stop {
                    self.slots.retain(|slot| slot.number != number);
                }
            }
        }
        self.advance();
    }
}
