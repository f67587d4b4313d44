//! Jails go on from what is remembered of them: the store is read once for all, and meanwhile a firewall in which nothing
//! stands takes their bans.

use std::pin::pin;
use std::sync::Arc;

use crossbeam_channel::Sender;
use futures_util::FutureExt;
use futures_util::future::{Either, LocalBoxFuture, join_all, select};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::traces::{Traces, kernel_ban};
use super::yard::{LATE, PATIENCE, Yard};
use crate::actor::firewall::{self, Piece};
use crate::actor::jail::{Attention, Commands, JailActor, Past, SAFETY};
use crate::actor::message::{Acknowledged, Register};
use crate::actor::{now, store};
use crate::config::{FirewallKind, JailConfig};
use crate::firewall::{Element, Wanted};
use crate::id::Id;
use crate::jail::{Effect, Jail, Remembered};
use crate::store::Saved;
use crate::time::UnixTime;

/// How much of its past a jail goes on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    /// All that is remembered.
    All,
    /// Its bans and how far it read, but no failures: an operator restarts it.
    Bans,
}

/// A jail that is about to start.
struct Waking {
    config: JailConfig,
    jail: Jail,
    commands: Commands,
    effects: Vec<Effect>,
    lane: Option<Lane>,
}

/// The way of a jail's bans into a firewall in which nothing stands, while they are read.
struct Lane {
    /// The jail's place on this way.
    place: usize,
    pieces: Sender<Piece>,
    /// How many are on their way.
    sent: usize,
    /// What the kernel says of them.
    heard: mpsc::UnboundedReceiver<Acknowledged>,
}

impl Waking {
    /// Goes on from a part of what is remembered.
    fn restore(&mut self, saved: Saved, now: UnixTime) {
        let Saved { bans, over, inherited, timeless, counters, state, waiting, .. } = saved;
        let past = Remembered { bans, inherited, timeless, counters, state, waiting };
        // Without commands only the firewall hears of bans.
        let told = self.jail.tells_commands();
        let new = if told { self.jail.restore(past, now) } else { self.jail.restore_quietly(past, now) };
        self.send(&new, &over, now);
        self.effects.extend(new.into_iter().filter(|effect| told || !matches!(effect, Effect::Ban(_))));
    }

    /// Sends the firewall the bans that are new, or have another end by these effects, and those that are over. Nobody else
    /// is let in while all is of one moment.
    fn send(&mut self, effects: &[Effect], over: &[Id], now: UnixTime) {
        let Some(Lane { place, pieces, sent, .. }) = &mut self.lane else { return };
        let moved = effects.iter().filter_map(|effect| match effect {
            Effect::Prolong(ban) | Effect::Increase(ban) => {
                Some((ban.id.net()?, ban.until().map(|until| until.since(now))))
            }
            _ => None,
        });
        let wanted = self.jail.newly_wanted(sent, now).chain(moved);
        let bans: Vec<_> = wanted
            .map(|(net, timeout)| Element { net, timeout: timeout.map(|span| span + SAFETY) })
            .collect();
        let over: Vec<_> = over.iter().filter_map(Id::net).collect();
        if !(bans.is_empty() && over.is_empty()) {
            // Without a thread to take them nothing is filled, and it is told all later.
            let _ = pieces.send(Piece { place: *place, bans, over });
        }
    }
}

/// Firewalls that are being filled.
struct Filling {
    begun: oneshot::Receiver<Vec<FirewallKind>>,
}

impl Filling {
    /// Opens the lanes of these jails.
    fn new(jails: &mut [Option<Waking>]) -> (Self, firewall::Fill) {
        let (pieces, taken) = crossbeam_channel::unbounded();
        let (tell_begun, begun) = oneshot::channel();
        let mut all = Vec::new();
        for waking in jails.iter_mut().flatten().filter(|waking| waking.config.options.enforced) {
            let (answer, heard) = mpsc::unbounded_channel();
            waking.lane = Some(Lane { place: all.len(), pieces: pieces.clone(), sent: 0, heard });
            let JailConfig { firewall, rules, options, .. } = &waking.config;
            let bare = Wanted { jail: options.name.clone(), rules: rules.clone(), elements: Vec::new() };
            all.push((*firewall, bare, answer));
        }
        (Self { begun }, firewall::Fill { all, pieces: taken, begun: tell_begun })
    }

    /// The firewalls that are filled.
    async fn begun(self) -> Vec<FirewallKind> {
        let begun = tokio::time::timeout(PATIENCE, self.begun).await;
        begun.ok().and_then(Result::ok).unwrap_or_default()
    }
}

impl Yard {
    /// Starts all jails with what is remembered of them. Answers with the firewalls that have all of their bans; others
    /// are not told yet.
    pub(super) async fn start_jails(
        &self,
        configs: Vec<JailConfig>,
        traces: &mut Traces,
    ) -> Vec<FirewallKind> {
        let now = now();
        let loading = Loading::new(self, &configs, now);
        let mut jails: Vec<_> = configs.into_iter().map(|config| self.without_past(config)).collect();
        let (filling, fill) = Filling::new(&mut jails);
        let filled = self.ask_firewall(|done| firewall::Job::Fill { fill, done });
        let saved = loading.restore(&mut jails, now).await;
        let begun = filling.begun().await;
        let mut words = Vec::new();
        for (waking, saved) in jails.into_iter().zip(saved) {
            let Some(mut waking) = waking else { continue };
            waking.lane = waking.lane.filter(|_| begun.contains(&waking.config.firewall));
            words.extend(self.begin(waking, saved, traces, Memory::All, now));
        }
        match filled.await {
            Ok(filled) => {
                join_all(words).await;
                filled
            }
            // It goes on, and jails hear of it; to begin anew would take as long again.
            Err(why) if why == LATE => {
                tracing::error!(target: "fail2ban.actions", "the firewall is still being filled: {why}");
                begun
            }
            Err(_) => Vec::new(),
        }
    }

    /// Starts a jail with what is remembered of it. The firewall is not told yet.
    pub(super) async fn start_jail(&self, config: JailConfig, traces: &mut Traces, keep: Memory) {
        let now = now();
        let loading = Loading::new(self, std::slice::from_ref(&config), now);
        let mut jails = [self.without_past(config)];
        let saved = loading.restore(&mut jails, now).await.pop();
        let [waking] = jails;
        if let Some((waking, saved)) = waking.zip(saved) {
            self.begin(waking, saved, traces, keep, now);
        }
    }

    /// A jail without a past; none if its filter is not what it was when it was checked.
    fn without_past(&self, config: JailConfig) -> Option<Waking> {
        let mut jail = match Jail::new(&config.options) {
            Ok(jail) => jail,
            Err(mistakes) => {
                for mistake in mistakes {
                    tracing::error!(target: "fail2ban.server", "[{}] {mistake}", config.options.name);
                }
                return None;
            }
        };
        jail.set_own(self.own.borrow().addresses.clone());
        jail.set_gateways(self.own.borrow().gateways.clone());
        let commands = Commands::new(&config, &mut jail);
        Some(Waking { config, jail, commands, effects: Vec::new(), lane: None })
    }

    /// The last of what is remembered, and then the jail's life begins. Answers with what hands on the kernel's words, where
    /// they come before that.
    fn begin(
        &self,
        mut waking: Waking,
        mut saved: Saved,
        traces: &mut Traces,
        keep: Memory,
        now: UnixTime,
    ) -> Option<JoinHandle<()>> {
        let name = waking.config.options.name.clone();
        if saved.skipped > 0 {
            tracing::warn!(
                target: "fail2ban.database",
                "[{name}] {} rows of the store made no sense and were passed over",
                saved.skipped
            );
        }
        let elements = traces.kernel.remove(&name).unwrap_or_default();
        let remember = !elements.is_empty();
        let bans = elements.into_iter().map(|element| kernel_ban(element, now));
        saved.bans.extend(bans.filter(|ban| waking.jail.banned(&ban.id).is_none()));
        if keep == Memory::Bans || !self.config.borrow().daemon.keep_counters {
            saved.counters.clear();
        }
        let cursors = std::mem::take(&mut saved.cursors);
        waking.commands.set_untold(std::mem::take(&mut saved.untold));
        waking.restore(saved, now);
        let Waking { config, mut jail, commands, effects, lane } = waking;
        self.resume_trial(&mut jail);
        let mut said = traces.log.remove(&name).unwrap_or_default();
        said.keep(|id| jail.banned(id).is_some());
        let attention = if self.is_idle(&name) { Attention::Idle } else { Attention::Reads };
        let past = Past { effects, cursors, remember, commands, attention, said };
        let addr = self.place(config.clone(), move |wires, alive, number| {
            JailActor::new(jail, config, number, wires, past, alive)
        });
        if let Some(timer) = &*self.timer.borrow() {
            timer.do_send(Register { jail: name, to: Some(addr.clone().recipient()) });
        }
        lane.map(|Lane { mut heard, .. }| {
            actix::spawn(async move {
                while let Some(words) = heard.recv().await {
                    // A mailbox may be overfull of them: they are no more than the jail wants.
                    addr.do_send(words);
                }
            })
        })
    }
}

/// What the store remembers, on its way.
struct Loading<'a> {
    names: Vec<Arc<str>>,
    parts: mpsc::UnboundedReceiver<(usize, Saved)>,
    rest: LocalBoxFuture<'a, Option<Result<Vec<store::Loaded>, String>>>,
}

impl<'a> Loading<'a> {
    /// Asks for it.
    fn new(yard: &'a Yard, configs: &[JailConfig], now: UnixTime) -> Self {
        let names: Vec<_> = configs.iter().map(|config| config.options.name.clone()).collect();
        let jails = names.clone();
        let (each, parts) = mpsc::unbounded_channel();
        let rest = yard.ask_store(move |done| store::Job::Load { jails, now, parts: each, done });
        Self { names, parts, rest: rest.boxed_local() }
    }

    /// Bans again whom it remembers, while it reads on. What else it remembers of each jail, with its last bans.
    async fn restore(self, jails: &mut [Option<Waking>], now: UnixTime) -> Vec<Saved> {
        let Self { names, mut parts, mut rest } = self;
        let mut restore = |(place, part): (usize, Saved)| {
            if let Some(waking) = &mut jails[place] {
                waking.restore(part, now);
            }
        };
        let loaded = loop {
            match select(pin!(parts.recv()), &mut rest).await {
                Either::Left((Some(part), _)) => restore(part),
                Either::Left((None, _)) => break rest.await,
                Either::Right((loaded, _)) => break loaded,
            }
        };
        while let Ok(part) = parts.try_recv() {
            restore(part);
        }
        let all = match loaded {
            Some(Ok(all)) => all,
            Some(Err(why)) => names.iter().map(|_| Err(why.clone())).collect(),
            None => names.iter().map(|_| Ok(Saved::default())).collect(),
        };
        let without = |(name, loaded): (_, store::Loaded)| {
            loaded.unwrap_or_else(|why| {
                tracing::error!(target: "fail2ban.database", "[{name}] starts without its past: {why}");
                Saved::default()
            })
        };
        names.iter().zip(all).map(without).collect()
    }
}
