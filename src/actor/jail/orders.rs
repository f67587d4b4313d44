//! An operator's wishes: carried out at once, answered when kernel and disk have them.

use std::collections::HashMap;
use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::oneshot;

use super::JailActor;
use crate::actor::message::Order;
use crate::actor::now;
use crate::control::request::Verdict;
use crate::id::Id;
use crate::jail::Effect;
use crate::log;
use crate::sentence::Sentence;
use crate::subnet::Subnet;
use crate::time::UnixTime;

/// Wishes whose answer waits for the kernel or the disk.
#[derive(Default)]
pub(super) struct Orders {
    waiting: Vec<Waiting>,
}

struct Waiting {
    answer: oneshot::Sender<Vec<Verdict>>,
    verdicts: Vec<Verdict>,
    /// Elements the kernel has not answered yet, each with the verdict it belongs to.
    kernel: HashMap<Subnet, usize>,
    /// The record that must be on disk.
    number: u64,
}

impl Orders {
    /// The kernel's word on an element, for every wish that waits for it.
    pub(super) fn heard(&mut self, net: Subnet, answer: &Result<(), Arc<str>>) {
        for waiting in &mut self.waiting {
            let Some(index) = waiting.kernel.remove(&net) else { continue };
            if let Err(why) = answer {
                waiting.verdicts[index].done = false;
                waiting.verdicts[index].what = format!("not enforced: {why}");
            }
        }
    }

    /// Answers the wishes that kernel and disk have.
    pub(super) fn settle(&mut self, on_disk: u64) {
        for waiting in self.waiting.extract_if(.., |w| w.kernel.is_empty() && w.number <= on_disk) {
            // Nobody listens any more: the asker's time was up.
            let _ = waiting.answer.send(waiting.verdicts);
        }
        self.waiting.retain(|waiting| !waiting.answer.is_closed());
    }
}

impl Handler<Order> for JailActor {
    type Result = ResponseFuture<Vec<Verdict>>;

    fn handle(&mut self, order: Order, ctx: &mut Self::Context) -> Self::Result {
        let now = now();
        let mut effects = Vec::new();
        let verdicts = match order {
            Order::Ban { ids, sentence, force } => {
                ids.iter().map(|id| self.ban(id, sentence, force, now, &mut effects)).collect()
            }
            Order::Unban(ids) => ids.iter().map(|id| self.unban(id, &mut effects)).collect(),
            Order::UnbanAll => {
                effects = self.jail.unban_all();
                let ids = effects.iter().filter_map(unbanned).map(ToString::to_string);
                ids.map(|id| self.verdict(id, true, "unbanned".to_owned())).collect()
            }
        };
        let (answer, answered) = oneshot::channel();
        let mut waiting = Waiting { answer, verdicts, kernel: HashMap::new(), number: 0 };
        if self.config.options.enforced {
            for (index, verdict) in waiting.verdicts.iter().enumerate() {
                let asked = Id::parse(&verdict.id).net();
                let nets = effects.iter().filter_map(touched).filter_map(Id::net);
                waiting.kernel.extend(
                    nets.filter(|net| asked.is_some_and(|asked| asked.contains(net))).map(|net| (net, index)),
                );
            }
        }
        self.act(effects, ctx);
        waiting.number = self.outbox.next_number();
        self.orders.waiting.push(waiting);
        self.flush(ctx);
        self.orders.settle(self.outbox.on_disk());
        Box::pin(async move { answered.await.unwrap_or_default() })
    }
}

/// Who is let in by this effect.
fn unbanned(effect: &Effect) -> Option<&Id> {
    match effect {
        Effect::Unban(id, _) => Some(id),
        _ => None,
    }
}

/// On whom the kernel has to answer for this effect.
fn touched(effect: &Effect) -> Option<&Id> {
    match effect {
        Effect::Ban(ban) | Effect::Prolong(ban) => Some(&ban.id),
        Effect::Unban(id, _) => Some(id),
        _ => None,
    }
}

impl JailActor {
    fn ban(
        &mut self,
        id: &Id,
        sentence: Option<Sentence>,
        force: bool,
        now: UnixTime,
        effects: &mut Vec<Effect>,
    ) -> Verdict {
        let text = id.to_string();
        match self.jail.ban(id.clone(), sentence, force, now) {
            Err(why) => self.verdict(text, false, why.to_string()),
            Ok(mut own) => {
                let new = own.iter().any(|effect| matches!(effect, Effect::Ban(_)));
                effects.append(&mut own);
                let until = self.jail.banned(id).and_then(|ban| ban.until());
                let end =
                    until.map_or_else(|| "for ever".to_owned(), |end| format!("until {}", log::local(end)));
                let what = if new { format!("banned {end}") } else { format!("already banned {end}") };
                self.verdict(text, true, what)
            }
        }
    }

    fn unban(&mut self, id: &Id, effects: &mut Vec<Effect>) -> Verdict {
        let mut own = self.jail.unban(id);
        let what = match own.iter().filter_map(unbanned).count() {
            0 => "not banned".to_owned(),
            1 => "unbanned".to_owned(),
            many => format!("unbanned {many} bans inside it"),
        };
        let done = !own.is_empty();
        effects.append(&mut own);
        self.verdict(id.to_string(), done, what)
    }

    fn verdict(&self, id: String, done: bool, what: String) -> Verdict {
        Verdict { id, jail: self.name().to_string(), done, what }
    }
}
