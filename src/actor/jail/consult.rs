//! What a jail asks and does not wait for: the world, by the helper; the past, by the store.

use std::collections::{HashSet, VecDeque};
use std::time::Instant;

use actix::prelude::*;

use super::{ASK_AGAIN, JailActor};
use crate::actor::message::{Answered, Recalled};
use crate::actor::{helper, now, store};
use crate::id::Id;
use crate::jail::{Ban, Question};
use crate::log::{self, notice};
use crate::span;
use crate::time::UnixTime;

/// Questions that have not been handed over yet, and what was.
#[derive(Default)]
pub(super) struct Consults {
    questions: VecDeque<Question>,
    recalls: Vec<Id>,
    /// Whether the questions are tried again soon.
    trying: bool,
    /// Whether what the store owes is looked at again soon.
    minding: bool,
}

impl Consults {
    pub(super) fn ask(&mut self, question: Question) {
        self.questions.push_back(question);
    }

    pub(super) fn recall(&mut self, id: Id) {
        self.recalls.push(id);
    }

    /// Whether the store is to be asked.
    pub(super) fn wants_past(&self) -> bool {
        !self.recalls.is_empty()
    }

    /// Answers may be lost: everything that is owed is asked again.
    pub(super) fn again(&mut self, owed: Vec<Id>) {
        self.recalls = owed;
    }
}

impl JailActor {
    /// Hands questions to the helper, as far as it has room; the rest is tried again.
    pub(super) fn consult(&mut self, ctx: &mut Context<Self>) {
        while let Some(question) = self.consults.questions.pop_front() {
            let job = helper::Job {
                jail: self.name().clone(),
                question,
                answer: ctx.address().recipient(),
                since: Instant::now(),
            };
            if let Err(job) = self.wires.helper.ask(job) {
                self.consults.questions.push_front(job.question);
                break;
            }
        }
        if !self.consults.questions.is_empty() && !self.consults.trying {
            self.consults.trying = true;
            ctx.run_later(ASK_AGAIN, |this, ctx| {
                this.consults.trying = false;
                this.consult(ctx);
            });
        }
    }

    /// Asks the store for the past, once it has everything that this jail has said before. What it does not answer is
    /// asked again.
    pub(super) fn ask_past(&mut self, ctx: &mut Context<Self>) {
        if !self.consults.wants_past() {
            return;
        }
        let Some(store) = &self.wires.store else {
            // Nothing is remembered, so nobody was ever banned.
            let recalled = self.consults.recalls.drain(..).map(|id| (id, None)).collect();
            return ctx.notify(Recalled(recalled));
        };
        if !self.outbox.is_idle() {
            return;
        }
        let whose = std::mem::take(&mut self.consults.recalls);
        let job = store::Job::Recall { jail: self.name().clone(), whose, answer: ctx.address().recipient() };
        if let Err(error) = store.try_send(job)
            && let store::Job::Recall { whose, .. } = error.into_inner()
        {
            self.consults.recalls = whose;
        }
        self.mind(ctx);
    }

    /// Looks after a while whether the store has answered.
    fn mind(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.consults.minding, true) {
            return;
        }
        let before: HashSet<Id> = self.jail.owed().cloned().collect();
        ctx.run_later(ASK_AGAIN, move |this, ctx| {
            this.consults.minding = false;
            if this.jail.owed().next().is_none() {
                return;
            }
            let late: Vec<_> = this.jail.owed().filter(|id| before.contains(*id)).cloned().collect();
            if !late.is_empty() && !this.consults.wants_past() {
                this.consults.again(late);
                this.flush_later(ctx);
            }
            this.mind(ctx);
        });
    }
}

impl Handler<Answered> for JailActor {
    type Result = ();

    fn handle(&mut self, Answered(answer): Answered, ctx: &mut Self::Context) {
        let mut effects = self.look_at_logins();
        self.jail.answer(answer, now(), &mut effects);
        self.act(effects, ctx);
    }
}

impl Handler<Recalled> for JailActor {
    type Result = ();

    fn handle(&mut self, Recalled(all): Recalled, ctx: &mut Self::Context) {
        let (mut effects, now) = (self.look_at_logins(), now());
        for (id, past) in all {
            self.jail.recalled(&id, past, now, &mut chance, &mut effects);
        }
        self.act(effects, ctx);
    }
}

/// A number in `0.0..1.0`: the standard library's hasher is seeded by the system.
fn chance() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    (RandomState::new().hash_one(0_u8) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Says that a failure counts as several, and whether that is enough for a ban. As Fail2Ban does: its count is a float
/// unless it is the limit.
pub(super) fn say_bad(name: &str, id: &Id, time: UnixTime, count: u32, (weight, bans): (u32, bool)) {
    let weight = if bans { format!("{weight}, Ban") } else { format!("{weight}.0") };
    let time = log::local(time);
    tracing::info!(target: "fail2ban.observer", "[{name}] Found {id}, bad - {time}, {count} # -> {weight}");
}

/// Says that a ban lasts longer since it is not the first.
pub(super) fn say_increased(name: &str, ban: &Ban) {
    let time = ban.sentence.0.map_or_else(|| "-1".to_owned(), span::readable);
    let until = ban.until().map_or_else(|| "forever".to_owned(), |until| log::local(until).to_string());
    notice!(target: "fail2ban.observer", "[{name}] Increase Ban {} ({} # {time} -> {until})", ban.id, ban.count);
}
