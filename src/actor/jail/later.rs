//! What a jail puts off: the next deadline for the timer, what is gathered for the store, the next question to the firewall.

use std::time::Duration;

use actix::prelude::*;

use super::{ASK_AGAIN, JailActor, SAFETY};
use crate::actor::message::Schedule;
use crate::actor::now;
use crate::firewall::{Change, Element};
use crate::id::Id;
use crate::store::Entry;

/// How long what is to be remembered is gathered.
const GATHER: Duration = Duration::from_millis(500);

impl JailActor {
    /// Tells the timer the next deadline when it does not know it. What is lost is said again at the next flush.
    pub(super) fn schedule(&mut self) {
        let Some(at) = self.alarm.update(self.jail.next_deadline()) else { return };
        let message = Schedule { jail: self.name().clone(), at };
        if self.wires.timer.as_ref().is_none_or(|timer| timer.try_send(message).is_err()) {
            self.alarm.lost();
            self.resync = true;
        }
    }

    pub(super) fn flush_later(&mut self, ctx: &mut Context<Self>) {
        if self.flushing || (self.outbox.is_idle() && !self.resync && !self.consults.wants_past()) {
            return;
        }
        self.flushing = true;
        ctx.run_later(GATHER, |this, ctx| {
            this.flushing = false;
            this.resync = false;
            this.schedule();
            this.flush(ctx);
            this.flush_later(ctx);
        });
    }

    /// Seals what was gathered, with the counters and sessions of this very moment, and hands it to the store;
    /// what finds no room is tried again.
    pub(super) fn flush(&mut self, ctx: &mut Context<Self>) {
        if self.outbox.is_ready() {
            let changes = self.jail.take_changes();
            let name = self.name().clone();
            let counters = (!changes.counters.is_empty())
                .then(|| Entry::Counters(name.clone(), Box::new(changes.counters)));
            let state = changes.state.map(|state| Entry::State(name.clone(), state));
            let waiting = changes.waiting.map(|waiting| Entry::Waiting(name.clone(), waiting));
            self.outbox.seal(&name, counters.into_iter().chain(state).chain(waiting));
        }
        self.outbox.send(&ctx.address().recipient());
        self.ask_past(ctx);
        self.orders.settle(self.outbox.on_disk());
    }

    /// While a ban is unanswered or refused, the firewall is asked again from the roster.
    pub(super) fn ask_again_later(&mut self, ctx: &mut Context<Self>) {
        if self.asking || !self.config.options.enforced || !self.jail.unanswered() {
            return;
        }
        self.asking = true;
        ctx.run_later(ASK_AGAIN, |this, ctx| {
            this.asking = false;
            if this.meanwhile.is_some() {
                // It has been asked for all of them, and a large firewall takes its time: see `Replaced`.
                return this.ask_again_later(ctx);
            }
            let jail = this.name().clone();
            let changes: Vec<_> = this
                .jail
                .unanswered_elements(now())
                .filter(|(net, _)| {
                    this.commands.book.is_empty() || this.commands.book.awaits_kernel(&Id::Net(*net))
                })
                .map(|(net, timeout)| {
                    let timeout = timeout.map(|span| span + SAFETY);
                    Change::Ban { jail: jail.clone(), element: Element { net, timeout } }
                })
                .collect();
            this.apply(this.config.firewall, changes, ctx);
            this.ask_again_later(ctx);
        });
    }
}
