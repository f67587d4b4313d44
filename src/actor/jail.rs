//! The jail actor: carries lines to [`crate::jail::Jail`], and its effects to firewall, store, timer and log.

mod book;
mod consult;
mod effects;
mod enforce;
mod later;
mod life;
mod logins;
mod orders;
mod outbox;
mod report;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use crossbeam_channel::{Sender, TrySendError};

use crate::actor::cutter::Cutter;
use crate::actor::guard::Alive;
use crate::actor::logins::Logins;
use crate::actor::message::{Acknowledged, Expired, IgnoreFiles, Lines, Own, Recorded, Schedule, Subscribe};
use crate::actor::{action, firewall, helper, now, store};
use crate::config::{FirewallKind, JailConfig, LogPath};
use crate::fault;
use crate::filter::{self, FilterOptions, Hits, Reading};
use crate::firewall::Change;
use crate::jail::{Effect, Jail};
use crate::log::Said;
use crate::memory;
use crate::schedule::Alarm;
use crate::source::{Block, Cursor};
use crate::store::Entry;
use consult::Consults;
pub use enforce::Commands;
use orders::Orders;
use outbox::Outbox;

/// The kernel keeps an element this much longer than the ban lasts: the daemon lifts it, the kernel is the net below.
pub(super) const SAFETY: Duration = Duration::from_secs(60);
/// Messages that may wait for a jail.
const MAILBOX: usize = 64;
/// How often unanswered bans are asked for again.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// So many of the firewall's answers are carried out at once.
const AT_ONCE: usize = 2000;
/// How often a full mailbox is tried again.
const RETRY: Duration = Duration::from_millis(5);

/// Whom a jail talks to.
#[derive(Clone)]
pub struct Wires {
    /// The firewall's thread.
    pub firewall: Sender<firewall::Job>,
    /// The action broker.
    pub actions: Sender<action::Job>,
    /// The store's thread, if there is a store.
    pub store: Option<Sender<store::Job>>,
    /// The tailer.
    pub tailer: Option<Recipient<Subscribe>>,
    /// The timer.
    pub timer: Option<Recipient<Schedule>>,
    /// Who finds out what blocks.
    pub helper: Arc<helper::Helper>,
    /// Who is logged in.
    pub logins: Arc<Logins>,
    /// Who ends connections.
    pub cutter: Arc<Cutter>,
}

/// What is remembered of a jail.
pub struct Past {
    /// What restoring it brought.
    pub effects: Vec<Effect>,
    /// How far each file was handled.
    pub cursors: Vec<(Arc<Path>, Cursor)>,
    /// The store does not know these bans yet.
    pub remember: bool,
    /// Its actions, and what they have heard.
    pub commands: Commands,
    /// Whether it reads.
    pub attention: Attention,
    /// What the log says of its bans.
    pub said: Said,
}

/// Whether a jail reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attention {
    /// It does.
    Reads,
    /// Not until it is told to go on.
    Idle,
}

/// One jail.
pub struct JailActor {
    jail: Jail,
    config: JailConfig,
    number: u32,
    wires: Wires,
    /// Counts the subscriptions: lines of an older one are not counted.
    generation: u64,
    cursors: BTreeMap<Arc<Path>, Cursor>,
    /// What restoring brought, until the actor starts.
    past: Vec<Effect>,
    /// What changed between a `Collect` and its `Replaced`: the `Replace` may have undone it.
    meanwhile: Option<Vec<Change>>,
    outbox: Outbox,
    orders: Orders,
    commands: Commands,
    consults: Consults,
    /// What the timer knows.
    alarm: Alarm,
    /// Up when a [`Schedule`] was lost.
    resync: bool,
    flushing: bool,
    asking: bool,
    attention: Attention,
    /// What the log says of bans of the life before.
    said: Said,
    _alive: Alive,
}

impl JailActor {
    /// A jail that has its past, and has told nobody yet.
    pub fn new(jail: Jail, config: JailConfig, number: u32, wires: Wires, past: Past, alive: Alive) -> Self {
        let mut outbox = Outbox::new(wires.store.clone());
        if past.remember {
            for banned in jail.bans() {
                outbox.push(Entry::Prolonged(config.options.name.clone(), banned.ban));
            }
        }
        Self {
            jail,
            config,
            number,
            outbox,
            wires,
            generation: 0,
            cursors: past.cursors.into_iter().collect(),
            past: past.effects,
            meanwhile: None,
            orders: Orders::default(),
            commands: past.commands,
            consults: Consults::default(),
            alarm: Alarm::new(),
            resync: false,
            flushing: false,
            asking: false,
            attention: past.attention,
            said: past.said,
            _alive: alive,
        }
    }

    /// Says how it is carried out, where that is not what one would expect.
    fn remark(&self) {
        for remark in &self.config.remarks {
            tracing::info!(target: "fail2ban.jail", "[{}] {remark}", self.name());
        }
    }

    fn name(&self) -> &Arc<str> {
        &self.config.options.name
    }

    /// A block through the core. A line that panics costs that line.
    fn read(&mut self, block: &Block, hits: Option<&Hits>, effects: &mut Vec<Effect>) {
        let reading = Reading {
            now: block.read_at,
            since: block.since,
            live: block.live,
            find_time: self.config.options.tracker.find_time,
        };
        self.read_lines(block, hits, &reading, effects);
        while let Some(odd) = self.jail.take_odd() {
            tracing::warn!(target: "fail2ban.filter", "[{}] {}: {odd}", self.name(), block.path.display());
        }
    }

    fn read_lines(
        &mut self,
        block: &Block,
        hits: Option<&Hits>,
        reading: &Reading,
        effects: &mut Vec<Effect>,
    ) {
        let (jail, text, ends, times) = (&mut self.jail, &block.text, &block.ends, &block.times);
        let mut done = 0;
        let begin = &mut || fault::point("jail.line");
        let whole = catch_unwind(AssertUnwindSafe(|| {
            jail.on_block(filter::Lines { text, ends, times, hits }, reading, effects, &mut done, begin);
        }));
        if whole.is_ok() {
            return;
        }
        tracing::error!(
            target: "fail2ban.filter",
            "[{}] the jail panicked over lines of {}: those left are judged one by one",
            self.config.options.name,
            block.path.display()
        );
        let judged = memchr::memchr_iter(b'\n', &text[..done]).count();
        jail.skip(judged);
        for (index, line) in text[done..].split_inclusive(|byte| *byte == b'\n').enumerate() {
            let time = times.get(judged + index).map(std::slice::from_ref).unwrap_or_default();
            let mut done = 0;
            let one = catch_unwind(AssertUnwindSafe(|| {
                let lines = filter::Lines { text: line, ends: &[], times: time, hits: None };
                jail.on_block(lines, reading, effects, &mut done, begin);
            }));
            if one.is_err() {
                tracing::error!(
                    target: "fail2ban.filter",
                    "[{}] a line of {} made the jail panic and is not counted: please report it",
                    self.config.options.name,
                    block.path.display()
                );
            }
        }
    }

    /// After anything happened: the next deadline, the next record, the next question to the firewall.
    fn settle(&mut self, ctx: &mut Context<Self>) {
        self.schedule();
        if !self.commands.book.is_empty() {
            // Commands run once their ban is on disk: after a crash they are repeated as restored.
            if self.commands.book.waits_for_disk(self.outbox.on_disk()) {
                self.flush(ctx);
            }
            self.pump(ctx);
            self.ask_actions_again_later(ctx);
        }
        self.flush_later(ctx);
        self.ask_again_later(ctx);
        self.consult(ctx);
    }

    /// Hands changes to the firewall; the mailbox waits until it has taken them.
    fn apply(&self, kind: FirewallKind, changes: Vec<Change>, ctx: &mut Context<Self>) {
        if !changes.is_empty() {
            let sent = send(self.wires.firewall.clone(), Self::job(kind, changes, ctx));
            ctx.wait(sent.into_actor(self));
        }
    }

    fn job(kind: FirewallKind, changes: Vec<Change>, ctx: &Context<Self>) -> firewall::Job {
        firewall::Job::Apply { kind, changes, answer: ctx.address().recipient() }
    }

    /// Effects that no block brought: carried at once.
    fn act(&mut self, mut effects: Vec<Effect>, ctx: &mut Context<Self>) {
        let changes = self.carry(&mut effects, now());
        self.apply(self.config.firewall, changes, ctx);
        self.outbox.touch();
        self.settle(ctx);
    }

    fn subscribe(&mut self, ctx: &Context<Self>) {
        self.generation += 1;
        if self.attention == Attention::Idle {
            return;
        }
        let message = Subscribe {
            jail: self.name().clone(),
            generation: self.generation,
            patterns: self.config.logs.iter().map(LogPath::pattern).collect(),
            find_time: self.config.options.tracker.find_time,
            cursors: self.cursors.iter().map(|(path, cursor)| (path.clone(), cursor.clone())).collect(),
            journal: self.config.journal.clone(),
            dates: self.config.options.filter.as_ref().and_then(FilterOptions::dates),
            scanner: self.jail.scanner(),
            to: ctx.address().recipient(),
        };
        if let Some(tailer) = &self.wires.tailer {
            tailer.do_send(message);
        }
    }
}

impl Actor for JailActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        self.remark();
        let mut past = std::mem::take(&mut self.past);
        // The firewall hears of them by `Collect` and a `Replace`, or by `Reenforce`.
        self.carry(&mut past, now());
        for id in std::mem::take(&mut self.commands.untold) {
            // Their bans are over.
            self.outbox.push(Entry::Told(self.config.options.name.clone(), id));
        }
        self.settle(ctx);
        self.subscribe(ctx);
    }
}

impl Handler<Lines> for JailActor {
    type Result = AtomicResponse<Self, ()>;

    /// Answers when the firewall has room again, so a slow firewall slows the tailer and nothing piles up.
    fn handle(&mut self, Lines { generation, block, hits }: Lines, ctx: &mut Self::Context) -> Self::Result {
        let mut changes = Vec::new();
        if generation == self.generation {
            fault::point("jail.block");
            #[cfg(feature = "faults")]
            fault::point(&format!("jail.{}", self.name()));
            let mut effects = self.look_at_logins();
            self.read(&block, hits.as_ref(), &mut effects);
            self.date_bans(&effects, &block);
            changes = self.carry(&mut effects, block.read_at);
            self.cursors.insert(block.path.clone(), block.end.clone());
            self.outbox.cursor(block.path.clone(), block.end.clone());
            self.settle(ctx);
        }
        if changes.is_empty() {
            return AtomicResponse::new(Box::pin(actix::fut::ready(())));
        }
        let job = Self::job(self.config.firewall, changes, ctx);
        AtomicResponse::new(Box::pin(send(self.wires.firewall.clone(), job).into_actor(self)))
    }
}

impl Handler<Acknowledged> for JailActor {
    type Result = ();

    fn handle(&mut self, Acknowledged(answers): Acknowledged, ctx: &mut Self::Context) {
        let many = answers.len() >= memory::MANY;
        let mut effects = Vec::new();
        let mut answers = answers.into_iter();
        while answers.len() > 0 {
            for (act, net, answer) in answers.by_ref().take(AT_ONCE) {
                self.kernel_says(act, net, answer, &mut effects);
            }
            self.carry(&mut effects, now());
        }
        drop((answers, effects));
        if many {
            memory::give_back_heap();
        }
        self.orders.settle(self.outbox.on_disk());
        if self.commands.book.is_empty() {
            self.ask_again_later(ctx);
        } else {
            self.settle(ctx);
        }
    }
}

impl Handler<Recorded> for JailActor {
    type Result = ();

    fn handle(&mut self, Recorded(number): Recorded, ctx: &mut Self::Context) {
        if self.outbox.recorded(number) >= memory::MANY {
            memory::give_back_heap();
        }
        self.orders.settle(self.outbox.on_disk());
        self.pump(ctx);
    }
}

impl Handler<Expired> for JailActor {
    type Result = ();

    fn handle(&mut self, _: Expired, ctx: &mut Self::Context) {
        let mut effects = self.look_at_logins();
        self.jail.expire(now(), &mut effects);
        self.alarm.lost();
        self.act(effects, ctx);
    }
}

impl Handler<Own> for JailActor {
    type Result = ();

    fn handle(&mut self, Own(own): Own, ctx: &mut Self::Context) {
        self.jail.set_own(own.addresses.clone());
        self.jail.set_gateways(own.gateways.clone());
        let effects = self.jail.spare();
        if !effects.is_empty() {
            self.act(effects, ctx);
        }
    }
}

impl Handler<IgnoreFiles> for JailActor {
    type Result = ();

    fn handle(&mut self, IgnoreFiles(list): IgnoreFiles, _: &mut Self::Context) {
        self.jail.set_ignore_file(list);
    }
}

/// Hands a job to the firewall's thread as soon as it has room.
async fn send(sender: Sender<firewall::Job>, mut job: firewall::Job) {
    while let Err(TrySendError::Full(back)) = sender.try_send(job) {
        job = back;
        actix::clock::sleep(RETRY).await;
    }
}
