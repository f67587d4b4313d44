//! Bans and pardons go to the actions, and what comes of them becomes the jail's word.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use crossbeam_channel::TrySendError;
use futures_util::FutureExt;
use tokio::sync::oneshot;

use super::book::{Book, Wish, Word};
use super::{ASK_AGAIN, JailActor};
use crate::action::Definition;
use crate::action::lifecycle::Scope;
use crate::action::template::{Family, JailFacts, Ticket};
use crate::actor::action::{Answer, Job, Perform};
use crate::actor::message::{Act, Performed};
use crate::actor::now;
use crate::config::{FirewallKind, JailConfig};
use crate::id::Id;
use crate::jail::{Ban, Effect, Jail};
use crate::log::notice;
use crate::store::Entry;
use crate::subnet::Subnet;

/// How long a ban waits for the disk before its commands run all the same.
const DISK: Duration = Duration::from_secs(1);
/// How often a full broker is tried again.
const ROOM: Duration = Duration::from_millis(50);

/// A jail's actions, and what is on its way to them.
pub struct Commands {
    /// What they have still to do.
    pub(super) book: Book,
    /// Restored bans of which not all of them have heard.
    pub(super) untold: HashSet<Id>,
    /// Bans that ended, of which they have to hear.
    ended: VecDeque<Ban>,
    /// Told when they have been stopped.
    stopped: Option<oneshot::Sender<()>>,
    /// Up to this record they do not wait for the disk.
    disk_given_up: u64,
    pumping: bool,
    asking: bool,
}

impl Commands {
    /// The actions of a jail that can be used; what is wrong with the others is said, and the jail goes on without
    /// them. From here on it waits for their word, too.
    pub fn new(config: &JailConfig, jail: &mut Jail) -> Self {
        let mut book = Book::default();
        for definition in &config.actions {
            take(&mut book, definition, jail.name());
        }
        jail.set_commands(book.confirms(), !book.is_empty());
        Self {
            book,
            untold: HashSet::new(),
            ended: VecDeque::new(),
            stopped: None,
            disk_given_up: 0,
            pumping: false,
            asking: false,
        }
    }

    /// Not all of them have been run for these.
    pub fn set_untold(&mut self, untold: Vec<Id>) {
        self.untold = untold.into_iter().collect();
    }
}

fn take(book: &mut Book, definition: &Definition, jail: &str) -> Option<u32> {
    match definition.kind() {
        Ok(_) => Some(book.add(definition.clone())),
        Err(error) => {
            let name = &definition.name;
            tracing::error!(target: "fail2ban.actions", "[{jail}] goes on without its action {name}: {error}");
            None
        }
    }
}

impl JailActor {
    /// Whether a native firewall has to confirm this ban.
    fn kernel(&self, id: &Id) -> bool {
        self.config.options.enforced && self.config.firewall != FirewallKind::None && id.net().is_some()
    }

    /// A new or restored ban.
    pub(super) fn tell_ban(&mut self, ban: &Ban, words: &mut Vec<Word>) {
        if self.commands.book.is_empty() {
            return;
        }
        let untold = ban.restored && self.commands.untold.remove(&ban.id);
        if !ban.restored {
            self.outbox.push(Entry::Untold(self.name().clone(), ban.id.clone()));
        }
        let after = if ban.restored { 0 } else { self.outbox.next_number() };
        let kernel = self.kernel(&ban.id);
        self.commands.book.ban(ban, kernel, untold, after, words);
    }

    /// A ban has ended.
    pub(super) fn tell_unban(&mut self, id: &Id, words: &mut Vec<Word>) {
        if self.commands.book.is_empty() {
            return;
        }
        self.commands.ended.extend(self.jail.take_ended());
        let at = self.commands.ended.iter().position(|ban| ban.id == *id);
        if let Some(ban) = at.and_then(|at| self.commands.ended.remove(at)) {
            let kernel = self.kernel(id);
            self.commands.book.unban(ban, kernel, words);
        }
    }

    /// The firewall's word on one element.
    pub(super) fn kernel_says(
        &mut self,
        act: Act,
        net: Subnet,
        answer: Result<(), Arc<str>>,
        effects: &mut Vec<Effect>,
    ) {
        let id = Id::Net(net);
        let mut words = Vec::new();
        match act {
            _ if self.commands.book.is_empty() => {
                self.orders.heard(&id, &answer);
                if act == Act::Ban {
                    self.jail.acknowledge(net, answer, effects);
                }
            }
            Act::Ban => self.commands.book.kernel(&id, &answer, &mut words),
            Act::Unban => self.commands.book.left(&id, answer, &mut words),
        }
        self.obey(words, effects);
    }

    /// Carries what the book says to the jail, the operator, the store and the log.
    pub(super) fn obey(&mut self, words: Vec<Word>, effects: &mut Vec<Effect>) {
        for word in words {
            match word {
                Word::Ban(id, answer) => {
                    self.orders.heard(&id, &answer);
                    self.jail.confirm(&id, answer, effects);
                }
                Word::Unban(id, answer) => self.orders.heard(&id, &answer),
                Word::Told(id) => self.outbox.push(Entry::Told(self.name().clone(), id)),
                Word::Repaired(slot, scope, but) => self.make_again(slot, scope, but.as_ref()),
                Word::Failed(action, task, id, why) => {
                    let whom = id.map(|id| format!(" {id}")).unwrap_or_default();
                    tracing::error!(
                        target: "fail2ban.actions",
                        "[{}] Failed to execute {task}{whom} of action {action}: {why}",
                        self.name()
                    );
                }
            }
        }
    }

    /// An environment was repaired and is empty: the bans that were in it are made again.
    fn make_again(&mut self, slot: u32, scope: Scope, but: Option<&Id>) {
        let inside = |id: &Id| match (scope, id) {
            (Some(family), Id::Net(net)) => net.is_ipv6() == (family == Family::Inet6),
            (Some(family), Id::Text(_)) => family == Family::Inet4,
            (None, _) => true,
        };
        let ids: Vec<Id> = self.jail.ids().filter(|id| inside(id) && Some(id) != but).collect();
        tracing::warn!(
            target: "fail2ban.actions",
            "[{}] an action's environment was restored: {} bans are made again",
            self.name(),
            ids.len()
        );
        for id in ids {
            self.commands.book.again(slot, &id);
        }
    }

    /// Hands over what can be; what finds no room, or waits for the disk, is tried again.
    pub(super) fn pump(&mut self, ctx: &mut Context<Self>) {
        let mut again = None;
        while let Some((number, definition, wish)) = self.commands.book.next(self.on_disk()) {
            let Some(ticket) = self.ticket(&wish) else {
                self.commands.book.moot(number);
                continue;
            };
            let answer = Answer::new(number, ctx.address().recipient());
            let perform = Perform { definition, task: wish.task(), ticket, answer };
            let back = match self.wires.actions.try_send(Job::Perform(Box::new(perform))) {
                Ok(()) => continue,
                Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => job,
            };
            if let Job::Perform(perform) = back {
                perform.answer.forget();
            }
            self.commands.book.unsent(number);
            again = Some(ROOM);
            break;
        }
        if again.is_none() && self.commands.book.waits_for_disk(self.on_disk()) {
            again = Some(DISK);
        }
        if let (Some(span), false) = (again, self.commands.pumping) {
            self.commands.pumping = true;
            let number = self.outbox.next_number();
            ctx.run_later(span, move |this, ctx| {
                this.commands.pumping = false;
                if span == DISK {
                    // The disk is slow or away: the bans must not wait for it any longer.
                    this.commands.disk_given_up = number;
                }
                this.pump(ctx);
            });
        }
    }

    /// Up to which record commands need not wait for the disk.
    fn on_disk(&self) -> u64 {
        self.outbox.on_disk().max(self.commands.disk_given_up)
    }

    fn ticket(&self, wish: &Wish) -> Option<Ticket> {
        let mut ticket = match wish.id() {
            Some(id) => Ticket::of(&self.jail.banned(id)?),
            None => wish.ticket(),
        };
        ticket.restored |= matches!(wish, Wish::Again(..));
        if ticket.id.is_none() {
            ticket.ban_time = self.config.options.ban_time.0.map_or(-1, |span| span.as_secs() as i64);
        }
        let totals = self.jail.totals();
        ticket.jail = JailFacts {
            name: self.name().clone(),
            banned: self.jail.banned_now() as u64,
            banned_total: totals.banned,
            found: self.jail.failed_now() as u64,
            found_total: totals.failed,
        };
        Some(ticket)
    }

    /// The actions are these now: what is new starts and hears of all bans, what is gone undoes them and stops.
    pub(super) fn change_actions(&mut self, definitions: &[Definition], effects: &mut Vec<Effect>) {
        let mut words = Vec::new();
        let old: Vec<_> = self
            .commands
            .book
            .definitions()
            .map(|(number, definition)| (number, definition.clone()))
            .collect();
        let jail = &self.jail;
        let bans = || jail.bans().map(|banned| banned.ban).collect();
        for (number, definition) in &old {
            if definitions.contains(definition) {
                self.commands.book.reload(*number);
            } else {
                self.commands.book.remove(*number, &bans, &mut words);
            }
        }
        let mut new = Vec::new();
        for definition in definitions.iter().filter(|new| !old.iter().any(|(_, old)| **old == **new)) {
            new.extend(take(&mut self.commands.book, definition, self.jail.name()));
        }
        let enforcing = self.commands.book.enforcing(&new);
        for number in enforcing {
            for id in self.jail.ids() {
                self.commands.book.again(number, &id);
            }
        }
        self.jail.set_commands(self.commands.book.confirms(), !self.commands.book.is_empty());
        self.obey(words, effects);
    }

    /// Undoes all bans and stops the actions; the answer comes when that is done.
    pub(super) fn stop_actions(&mut self, ctx: &mut Context<Self>) -> impl Future<Output = ()> + use<> {
        let (done, stopped) = oneshot::channel();
        let jail = &self.jail;
        for (_, definition) in
            self.commands.book.definitions().filter(|(_, definition)| definition.enforces())
        {
            let (jail, name) = (jail.name(), &definition.name);
            notice!(target: "fail2ban.actions", "[{jail}] Flush ticket(s) with {name}");
        }
        self.commands.book.stop(&|| jail.bans().map(|banned| banned.ban).collect());
        self.commands.stopped = Some(done);
        self.see_stopped();
        self.pump(ctx);
        stopped.map(|_| ())
    }

    fn see_stopped(&mut self) {
        if self.commands.book.stopped()
            && let Some(done) = self.commands.stopped.take()
        {
            let _ = done.send(());
        }
    }

    /// While an action refuses a ban, it is asked again.
    pub(super) fn ask_actions_again_later(&mut self, ctx: &mut Context<Self>) {
        if self.commands.asking || self.commands.book.is_empty() || !self.commands.book.refused() {
            return;
        }
        self.commands.asking = true;
        ctx.run_later(ASK_AGAIN, |this, ctx| {
            this.commands.asking = false;
            this.commands.book.ask_again(now());
            this.pump(ctx);
            this.ask_actions_again_later(ctx);
        });
    }
}

impl Handler<Performed> for JailActor {
    type Result = ();

    fn handle(&mut self, Performed { number, verdict }: Performed, ctx: &mut Self::Context) {
        let (mut words, mut effects) = (Vec::new(), Vec::new());
        self.commands.book.heard(number, verdict, now(), &mut words);
        self.obey(words, &mut effects);
        self.carry(&mut effects, now());
        self.orders.settle(self.outbox.on_disk());
        self.see_stopped();
        self.settle(ctx);
    }
}
