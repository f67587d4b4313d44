//! What the supervisor asks of a jail: to be filled in, to change, to find its partners again, to end.

use std::collections::HashSet;

use actix::prelude::*;

use super::{Attention, JailActor, RETRY, SAFETY, send};
use crate::actor::message::{
    Collect, HandedOn, Idle, Lost, Recollect, Reenforce, Replaced, Retire, Retune, Rewire, Tried,
};
use crate::actor::now;
use crate::control::text;
use crate::firewall::{Change, Element, Wanted};
use crate::id::Id;
use crate::jail::Remembered;
use crate::store::{Entry, Saved};

impl Handler<Collect> for JailActor {
    type Result = MessageResult<Collect>;

    fn handle(&mut self, _: Collect, _: &mut Self::Context) -> Self::Result {
        self.meanwhile = Some(Vec::new());
        MessageResult(self.wanted())
    }
}

impl Handler<Replaced> for JailActor {
    type Result = ();

    fn handle(&mut self, _: Replaced, ctx: &mut Self::Context) {
        let changes = self.meanwhile.take().unwrap_or_default();
        self.apply(self.config.firewall, changes, ctx);
    }
}

impl Handler<Reenforce> for JailActor {
    type Result = ();

    fn handle(&mut self, _: Reenforce, ctx: &mut Self::Context) {
        if !self.config.options.enforced {
            return;
        }
        let Wanted { jail, rules, elements } = self.wanted();
        let mut changes = vec![Change::Open { jail: jail.clone(), rules }];
        changes.extend(elements.into_iter().map(|element| Change::Ban { jail: jail.clone(), element }));
        self.apply(self.config.firewall, changes, ctx);
    }
}

impl Handler<HandedOn> for JailActor {
    type Result = ();

    /// Comes late enough by itself: the mailbox waits while something is handed on.
    fn handle(&mut self, _: HandedOn, _: &mut Self::Context) {}
}

impl Handler<Rewire> for JailActor {
    type Result = ();

    fn handle(&mut self, rewire: Rewire, ctx: &mut Self::Context) {
        if let Some(timer) = rewire.timer {
            self.wires.timer = Some(timer);
            self.alarm.lost();
            self.settle(ctx);
        }
        if let Some(tailer) = rewire.tailer {
            self.wires.tailer = Some(tailer);
            self.subscribe(ctx);
        }
        if let Some(lost) = rewire.store {
            if lost == Lost::Everything {
                self.remember_everything();
            }
            self.outbox.send_again();
            self.consults.again(self.jail.owed().cloned().collect());
            self.flush(ctx);
        }
    }
}

impl Handler<Recollect> for JailActor {
    type Result = ();

    fn handle(&mut self, Recollect { store, saved }: Recollect, ctx: &mut Self::Context) {
        self.outbox.find(store.clone());
        self.wires.store = Some(store);
        let counted: HashSet<Id> = self.jail.counters().map(|(id, _)| id).collect();
        let mut effects = Vec::new();
        for Saved { mut bans, mut counters, inherited, timeless, .. } in saved {
            // What happened since the start is newer.
            bans.retain(|ban| self.jail.banned(&ban.id).is_none());
            counters.retain(|(id, _)| !counted.contains(id));
            let past = Remembered { bans, inherited, timeless, counters, ..Remembered::default() };
            effects.extend(self.jail.restore(past, now()));
        }
        self.remember_everything();
        self.act(effects, ctx);
    }
}

impl Handler<Retune> for JailActor {
    type Result = Result<(), String>;

    fn handle(&mut self, Retune { config, on_trial }: Retune, ctx: &mut Self::Context) -> Self::Result {
        if on_trial {
            self.jail.begin_trial();
        }
        let mut effects = self
            .jail
            .retune(&config.options)
            .map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
        let old = std::mem::replace(&mut self.config, *config);
        if old.remarks != self.config.remarks {
            self.remark();
        }
        if (&old.logs, &old.journal) != (&self.config.logs, &self.config.journal) {
            self.jail.tries_other_lines();
        }
        let moved = old.firewall != self.config.firewall;
        let mut words = Vec::new();
        if !self.config.options.enforced {
            self.commands.book.without_kernel(&mut words);
        }
        self.obey(words, &mut effects);
        if old.actions != self.config.actions {
            let actions = self.config.actions.clone();
            self.change_actions(&actions, &mut effects);
        }
        if moved && old.options.enforced {
            self.apply(old.firewall, vec![Change::Close { jail: self.name().clone() }], ctx);
        }
        if self.config.options.enforced && (moved || old.rules != self.config.rules) {
            let wanted = self.wanted();
            let mut changes = vec![Change::Open { jail: wanted.jail.clone(), rules: wanted.rules }];
            if moved {
                let ban = |element| Change::Ban { jail: wanted.jail.clone(), element };
                changes.extend(wanted.elements.into_iter().map(ban));
            }
            self.apply(self.config.firewall, changes, ctx);
        }
        if old.logs != self.config.logs
            || old.journal != self.config.journal
            || old.options.tracker.find_time != self.config.options.tracker.find_time
        {
            self.subscribe(ctx);
        }
        self.act(effects, ctx);
        Ok(())
    }
}

impl Handler<Tried> for JailActor {
    type Result = ();

    fn handle(&mut self, tried: Tried, ctx: &mut Self::Context) {
        if tried == Tried::Stays {
            return self.jail.end_trial();
        }
        let effects = self.jail.undo_trial();
        if !effects.is_empty() {
            tracing::warn!(
                target: "fail2ban.actions",
                "[{}] {} only by the configuration that was not confirmed: let in",
                self.name(),
                text::count(effects.len() as u64, "address was banned", "addresses were banned")
            );
            self.act(effects, ctx);
        }
    }
}

impl Handler<Idle> for JailActor {
    type Result = ();

    fn handle(&mut self, Idle(idle): Idle, ctx: &mut Self::Context) {
        let attention = if idle { Attention::Idle } else { Attention::Reads };
        if std::mem::replace(&mut self.attention, attention) != attention {
            // Lines on their way belong to an older subscription now; they come again.
            self.subscribe(ctx);
        }
    }
}

impl Handler<Retire> for JailActor {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, Retire { lift }: Retire, ctx: &mut Self::Context) -> Self::Result {
        self.generation += 1;
        self.outbox.touch();
        self.flush(ctx);
        let lift = lift && self.config.options.enforced;
        let close = vec![Change::Close { jail: self.name().clone() }];
        let job = lift.then(|| Self::job(self.config.firewall, close, ctx));
        let sender = self.wires.firewall.clone();
        let stopped = self.stop_actions(ctx);
        let closed = async move {
            if let Some(job) = job {
                send(sender, job).await;
            }
            stopped.await;
        };
        Box::pin(closed.into_actor(self).map(|(), this, ctx| this.leave(ctx)))
    }
}

impl JailActor {
    fn wanted(&self) -> Wanted {
        let elements = self.jail.wanted(now());
        Wanted {
            jail: self.name().clone(),
            rules: self.config.rules.clone(),
            elements: elements
                .into_iter()
                .map(|(net, timeout)| Element { net, timeout: timeout.map(|span| span + SAFETY) })
                .collect(),
        }
    }

    /// Gathers all there is, for a store that knows nothing.
    fn remember_everything(&mut self) {
        let name = self.name().clone();
        for banned in self.jail.bans() {
            if !self.jail.owes(&banned.ban.id) {
                self.outbox.push(Entry::Prolonged(name.clone(), banned.ban));
            }
        }
        self.outbox.push(Entry::Waiting(name.clone(), self.jail.waits()));
        for (id, record) in self.jail.counters() {
            self.outbox.push(Entry::Counter(name.clone(), id, Some(record)));
        }
        for (path, cursor) in &self.cursors {
            self.outbox.cursor(path.clone(), cursor.clone());
        }
    }

    /// Stops as soon as the store has taken everything.
    fn leave(&mut self, ctx: &mut Context<Self>) {
        self.flush(ctx);
        if self.outbox.is_idle() {
            ctx.stop();
        } else {
            ctx.run_later(RETRY, Self::leave);
        }
    }
}
