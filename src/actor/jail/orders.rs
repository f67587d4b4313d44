//! An operator's wishes: carried out at once, answered when kernel and disk have them.

use std::collections::HashMap;
use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::oneshot;

use super::JailActor;
use crate::actor::message::{Order, Spare};
use crate::actor::now;
use crate::control::request::Verdict;
use crate::id::Id;
use crate::ignore::Rule;
use crate::jail::{BanRefusal, Effect};
use crate::log;
use crate::sentence::Sentence;
use crate::time::UnixTime;

/// Wishes whose answer waits for the kernel or the disk.
#[derive(Default)]
pub(super) struct Orders {
    waiting: Vec<Waiting>,
}

struct Waiting {
    answer: oneshot::Sender<Vec<Verdict>>,
    verdicts: Vec<Verdict>,
    /// Who has not been confirmed yet by firewall and actions, each with the verdict it belongs to.
    kernel: HashMap<Id, usize>,
    /// The record that must be on disk.
    number: u64,
}

impl Orders {
    /// The word of firewall and actions on a ban or pardon, for every wish that waits for it.
    pub(super) fn heard(&mut self, id: &Id, answer: &Result<(), Arc<str>>) {
        for waiting in &mut self.waiting {
            let Some(index) = waiting.kernel.remove(id) else { continue };
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
        let mut work = Work { effects: self.look_at_logins(), ..Work::default() };
        match order {
            Order::Ban { ids, sentence, spare } => {
                for id in &ids {
                    self.ban(id, sentence, spare, now, &mut work);
                }
            }
            Order::Unban(ids) => {
                for id in &ids {
                    self.unban(id, &mut work);
                }
            }
            Order::Charge { id, lines } => self.charge(&id, &lines, now, &mut work),
            Order::UnbanAll => {
                self.commands.book.flush();
                for effect in self.jail.unban_all() {
                    match touched(&effect).map(ToString::to_string) {
                        Some(id) => {
                            let verdict = self.verdict(id, 1, "unbanned".to_owned());
                            work.add(verdict, vec![effect]);
                        }
                        None => work.effects.push(effect),
                    }
                }
            }
        }
        let Work { verdicts, effects, mut kernel } = work;
        self.act(effects, ctx);
        self.commands.book.flushed();
        let enforced = self.config.options.enforced;
        kernel.retain(|id, _| (enforced && id.net().is_some()) || self.commands.book.awaits(id));
        let (answer, answered) = oneshot::channel();
        let number = self.outbox.next_number();
        self.orders.waiting.push(Waiting { answer, verdicts, kernel, number });
        self.flush(ctx);
        self.orders.settle(self.outbox.on_disk());
        Box::pin(async move { answered.await.unwrap_or_default() })
    }
}

/// What an order comes to.
#[derive(Default)]
struct Work {
    verdicts: Vec<Verdict>,
    effects: Vec<Effect>,
    /// On whom firewall or actions have to answer, each with its verdict.
    kernel: HashMap<Id, usize>,
}

impl Work {
    fn add(&mut self, verdict: Verdict, effects: Vec<Effect>) {
        let index = self.verdicts.len();
        self.kernel.extend(effects.iter().filter_map(touched).map(|id| (id.clone(), index)));
        self.verdicts.push(verdict);
        self.effects.extend(effects);
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
    fn ban(&mut self, id: &Id, sentence: Option<Sentence>, spare: Spare, now: UnixTime, work: &mut Work) {
        let text = id.to_string();
        let mut outcome = self.jail.ban(id.clone(), sentence, spare == Spare::Nobody, now);
        if let (Err(BanRefusal::Ignored(_, rule)), Spare::Own) = (&outcome, spare) {
            let in_spite_of = match rule {
                Rule::Listed(rule) => Some(format!("{rule} is to be ignored")),
                Rule::Login(who) => Some(who.to_string()),
                Rule::Own(_) | Rule::Gateway(_) => None,
            };
            if let Some(why) = in_spite_of {
                let name = self.name();
                tracing::warn!(target: "fail2ban.actions", "[{name}] {id} is banned by hand although {why}");
                outcome = self.jail.ban(id.clone(), sentence, true, now);
            }
        }
        match outcome {
            Err(why) => work.add(self.verdict(text, 0, why.to_string()), Vec::new()),
            Ok(effects) => {
                let new = effects.iter().any(|effect| matches!(effect, Effect::Ban(_)));
                let until = self.jail.banned(id).and_then(|ban| ban.until());
                let end =
                    until.map_or_else(|| "for ever".to_owned(), |end| format!("until {}", log::local(end)));
                let what = if new { format!("banned {end}") } else { format!("already banned {end}") };
                let mut verdict = self.verdict(text, usize::from(new), what);
                verdict.done = true;
                if let Some(why) = self.jail.refusal(id) {
                    verdict.done = false;
                    verdict.what = format!("not enforced: {why}");
                }
                work.add(verdict, effects);
            }
        }
    }

    fn unban(&mut self, id: &Id, work: &mut Work) {
        let effects = self.jail.unban(id);
        let bans = effects.iter().filter_map(touched);
        let many = bans.clone().count();
        let what = match many {
            0 => "not banned".to_owned(),
            1 if effects.len() == 1 => "unbanned".to_owned(),
            many => format!("unbanned {many} bans inside it"),
        };
        work.add(self.verdict(id.to_string(), many, what), effects);
    }

    /// Failures that an operator tells of; who is ignored is spared, as if a line had told.
    fn charge(&mut self, id: &Id, lines: &[Arc<str>], now: UnixTime, work: &mut Work) {
        let name = self.name();
        tracing::info!(target: "fail2ban.filter", "[{name}] Attempt {id} - {}", log::local(now));
        let mut effects = Vec::new();
        if let Some(rule) = self.jail.ignored_by(id) {
            effects.push(Effect::Ignored(id.clone(), rule));
        } else {
            self.jail.charge(id, lines, now, &mut effects);
        }
        work.effects.extend(effects);
        work.verdicts.push(self.verdict(id.to_string(), 1, "counted".to_owned()));
    }

    fn verdict(&self, id: String, moved: usize, what: String) -> Verdict {
        Verdict { id, jail: self.name().to_string(), done: moved > 0, what, moved, lost: false }
    }
}
