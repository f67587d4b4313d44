//! Puts back what others took out of the firewall: the thread that hears of it, and the work.
//!
//! What is put back when is decided by [`Healer`]; from what, is remembered in a [`Copy`].

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use super::{Backends, Job, PIECE};
use crate::actor::message::Drift;
use crate::actor::now;
use crate::config::FirewallKind;
use crate::control::request::Drifts;
use crate::control::text;
use crate::firewall::copy::Copy;
use crate::firewall::heal::{Author, Damage, Heal, Healer, Verdict};
use crate::firewall::nftables::monitor::{Monitor, News};
use crate::firewall::{Change, Firewall, FirewallError, Refusal, Wanted};
use crate::subnet::Subnet;

/// What others did, for whoever asks.
pub type Told = Arc<Mutex<Drifts>>;

/// What is needed to put things back.
#[derive(Default)]
pub(super) struct Healing {
    heal: Heal,
    told: Told,
    /// None: nobody is listened to.
    mailbox: Option<Sender<Job>>,
    kinds: BTreeMap<FirewallKind, Patient>,
    /// Listening, but not to these sockets; none: not yet, or in vain.
    ears: Option<(Vec<u32>, Ears)>,
    /// The generation in which everything was set up, until somebody listens.
    stood: Option<u32>,
    /// Those to whom it is in vain.
    deaf: Vec<u32>,
}

/// One firewall.
struct Patient {
    copy: Copy,
    healer: Healer,
    /// Who did the last damage.
    by: Option<Author>,
    /// Whether the copy knows of changes that the firewall has not heard of.
    is_stale: bool,
}

/// Ends its thread when it is dropped.
struct Ears(OwnedFd);

impl Drop for Ears {
    fn drop(&mut self) {
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }
}

impl Healing {
    pub(super) fn new(heal: Heal, told: Told, mailbox: Sender<Job>) -> Self {
        Self { heal, told, mailbox: Some(mailbox), ..Self::default() }
    }

    /// How long until something is to be put back; none: nothing is.
    pub(super) fn wait(&self, now: Instant) -> Option<Duration> {
        self.kinds.values().filter_map(|patient| patient.healer.wait(now)).min()
    }

    fn told(&self) -> MutexGuard<'_, Drifts> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// From now on this is put back.
pub(super) fn retune(backends: &mut Backends, heal: Heal) {
    let was_off = std::mem::replace(&mut backends.healing.heal, heal) == Heal::Off;
    backends.healing.kinds.values_mut().for_each(|patient| patient.healer.retune(heal));
    if heal == Heal::Off {
        backends.healing.ears = None;
    } else if was_off {
        watch(backends);
        heard(backends, &News::Overrun);
    }
}

/// Listens, once there is something to hear and unless it is listening already. Its own transactions are told apart by
/// their sockets, so another firewall makes it listen anew.
pub(super) fn watch(backends: &mut Backends) {
    let kinds = backends.healing.kinds.keys();
    let ports: Vec<u32> = kinds.filter_map(|kind| backends.opened.get(kind)?.port()).collect();
    let healing = &mut backends.healing;
    let is_done = healing.ears.as_ref().is_some_and(|(own, _)| *own == ports) || healing.deaf == ports;
    let Some(mailbox) = healing.mailbox.clone().filter(|_| !is_done && healing.heal != Heal::Off) else {
        return;
    };
    let was_other = healing.ears.take().is_some();
    let stood = healing.stood.take();
    match listen(&ports, mailbox) {
        Ok(ears) => healing.ears = Some((ports, ears)),
        Err(error) => {
            let what = format!("what others change in the firewall is noticed only at the next ban: {error}");
            tracing::warn!(target: "fail2ban.actions", "{what}");
            healing.told().deaf = Some(what);
            healing.deaf = ports;
        }
    }
    let generation = backends.opened.values_mut().find_map(|firewall| firewall.generation());
    if was_other || stood.is_some_and(|stood| generation != Some(stood)) {
        heard(backends, &News::Overrun);
    }
}

/// Starts the thread that listens. It waits for nothing but news and for room in the mailbox.
fn listen(own: &[u32], mailbox: Sender<Job>) -> std::io::Result<Ears> {
    let (mut monitor, stop) = Monitor::open(own)?;
    let listen = move || loop {
        let mut news = Vec::new();
        let goes_on = catch_unwind(AssertUnwindSafe(|| monitor.wait(|one| news.push(one))));
        let goes_on = goes_on.unwrap_or_else(|_| {
            news.push(News::Overrun);
            Ok(true)
        });
        for one in news {
            let is_loss = !matches!(&one, News::Foreign(foreign) if foreign.lost.is_nothing());
            if is_loss && mailbox.send(Job::News(one)).is_err() {
                return;
            }
        }
        match goes_on {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::error!(target: "fail2ban.actions", "what others change in the firewall is not heard any more: {error}");
                return;
            }
        }
    };
    thread::Builder::new().name("monitor".into()).stack_size(256 * 1024).spawn(listen)?;
    Ok(Ears(stop))
}

/// Before everything is set up anew. Nobody listens meanwhile: for each element of a large transaction the kernel would
/// hold 8 KiB. Answers with the generation from which on damage counts.
pub(super) fn before(backends: &mut Backends, kind: FirewallKind) -> Option<u32> {
    backends.healing.ears = None;
    backends.get(kind).ok().and_then(Firewall::generation)
}

/// Everything was set up anew.
pub(super) fn replaced(
    backends: &mut Backends,
    kind: FirewallKind,
    all: &[Wanted],
    refused: &[Vec<(Subnet, Refusal)>],
    generation: Option<u32>,
) {
    let Ok(true) = backends.get(kind).map(|firewall| firewall.port().is_some()) else { return };
    backends.healing.stood = backends.get(kind).ok().and_then(Firewall::generation);
    let Healing { heal, kinds, mailbox: Some(_), .. } = &mut backends.healing else { return };
    let now = Instant::now();
    let patient = kinds.entry(kind).or_insert_with(|| Patient {
        copy: Copy::new(now),
        healer: Healer::new(*heal),
        by: None,
        is_stale: false,
    });
    patient.copy.replace(all, refused, now);
    patient.is_stale = false;
    patient.healer.replaced(generation);
}

/// Applies changes; where the firewall is not as it was left, it is put right first, or they have to wait.
pub(super) fn apply(
    backends: &mut Backends,
    kind: FirewallKind,
    changes: &[Change],
) -> Result<Vec<Result<(), Refusal>>, FirewallError> {
    let mut outcome = backends.get(kind)?.apply(changes);
    if matches!(outcome, Err(FirewallError::Drift))
        && let Some(patient) = backends.healing.kinds.get_mut(&kind)
    {
        if let Verdict::Later { pause, .. } = patient.healer.found(Instant::now()) {
            patient.is_stale |= changes.iter().any(|change| !matches!(change, Change::Ban { .. }));
            outcome = Ok(put_off(changes, pause));
        } else {
            heal(backends);
            outcome = backends.get(kind)?.apply(changes);
        }
    }
    if let (Ok(answers), Some(patient)) = (&outcome, backends.healing.kinds.get_mut(&kind)) {
        patient.copy.apply(changes, answers, Instant::now());
    }
    outcome
}

/// The answers while nothing may be put back: who is to get in does, and who is not has to wait.
fn put_off(changes: &[Change], pause: Duration) -> Vec<Result<(), Refusal>> {
    let wait = Refusal(format!(
        "another program takes the firewall's rules away again and again, they are put back in {pause:.1?}"
    ));
    let answer = |change: &Change| match change {
        Change::Ban { .. } => Err(wait.clone()),
        Change::Unban { .. } | Change::Open { .. } | Change::Close { .. } => Ok(()),
    };
    changes.iter().map(answer).collect()
}

/// Somebody changed the firewall.
pub(super) fn heard(backends: &mut Backends, news: &News) {
    let moment = Instant::now();
    let ports = backends.opened.values().filter_map(|firewall| firewall.port()).collect::<Vec<_>>();
    let (mut verdicts, mut by) = (Vec::new(), None);
    for (kind, patient) in &mut backends.healing.kinds {
        let (damage, generation) = match news {
            News::Overrun => (Damage::unclear(), None),
            News::Foreign(foreign) if ports.contains(&foreign.port) => return,
            News::Foreign(foreign) => {
                by = Some(foreign.author.clone());
                let damage = backends.opened.get(kind).map(|firewall| firewall.damage(&foreign.lost));
                (in_force(damage.unwrap_or_default(), &mut patient.copy, moment), Some(foreign.generation))
            }
        };
        let what = damage.to_string();
        let is_structural = damage.is_structural();
        let verdict = patient.healer.lost(damage, generation, moment);
        if verdict != Verdict::Nothing {
            patient.by.clone_from(&by);
            verdicts.push((verdict, what, is_structural));
        }
    }
    if verdicts.is_empty() {
        return;
    }
    let until = |pause| now() + pause;
    let mut told = backends.healing.told();
    if by.is_some() {
        told.seen += 1;
        told.by = by.as_ref().map(ToString::to_string);
        told.at = Some(now());
    }
    let who = by.map_or_else(|| "nobody knows who".to_owned(), |by| by.to_string());
    for (verdict, what, is_structural) in verdicts {
        let hint = if is_structural { "" } else { HINT };
        match verdict {
            Verdict::Nothing | Verdict::Now => {}
            Verdict::Done => {
                tracing::warn!(target: "fail2ban.actions", "it was {who} who had taken {what} out of the firewall");
            }
            Verdict::Left => {
                tracing::warn!(
                    target: "fail2ban.actions",
                    "{who} took {what} out of the firewall: it stays out, as `heal` in [daemon] says{hint}"
                );
            }
            Verdict::Later { pause, is_news } => {
                told.waits_until = Some(until(pause));
                if is_news {
                    tracing::error!(
                        target: "fail2ban.actions",
                        "{who} takes {what} out of the firewall again and again: it is put back in {pause:.1?}, until then \
                         banned hosts get in{hint}"
                    );
                }
            }
        }
    }
}

const HINT: &str = "; to let somebody in use `stockade unban`";

/// Without bans that are over, or nobody's.
fn in_force(mut damage: Damage, copy: &mut Copy, now: Instant) -> Damage {
    damage.bans.retain(|jail, nets| {
        nets.retain(|net| copy.get(jail, net, now).is_some());
        !nets.is_empty()
    });
    damage
}

/// Puts back what is due.
pub(super) fn heal(backends: &mut Backends) {
    let kinds: Vec<FirewallKind> = backends.healing.kinds.keys().copied().collect();
    for kind in kinds {
        let began = Instant::now();
        let Some(patient) = backends.healing.kinds.get_mut(&kind) else { continue };
        let Some(damage) = patient.healer.take(began) else { continue };
        let Some(firewall) = backends.opened.get_mut(&kind) else { continue };
        let generation = damage.is_structural().then(|| firewall.generation()).flatten();
        let outcome = put_back(&mut **firewall, patient, &damage, began);
        let (took, who) = (began.elapsed(), patient.by.take());
        let who = who.map_or_else(
            || "something was missing".to_owned(),
            |by| format!("{by} took {damage} out of the firewall"),
        );
        match outcome {
            Ok(count) => {
                patient.healer.healed(began, Instant::now(), generation);
                let hint = if damage.is_structural() { "" } else { HINT };
                tracing::warn!(
                    target: "fail2ban.actions",
                    "{who}: it is put back, with {} in {took:.1?}{hint}",
                    text::count(count as u64, "ban", "bans")
                );
                let mut told = backends.healing.told();
                told.healed += 1;
                told.waits_until = None;
            }
            Err(error) => {
                patient.healer.failed(damage, began, Instant::now());
                tracing::error!(target: "fail2ban.actions", "{who}, and it cannot be put back: {error}");
                // The jails want to know what they have.
                if let Some(drift) = &backends.drift {
                    drift.do_send(Drift);
                }
            }
        }
    }
}

/// Answers with the number of bans that were put back.
fn put_back(
    firewall: &mut dyn Firewall,
    patient: &mut Patient,
    damage: &Damage,
    now: Instant,
) -> Result<usize, FirewallError> {
    if std::mem::take(&mut patient.is_stale) {
        return replace(firewall, patient, now);
    }
    let mut jails = damage.emptied.clone();
    let mut anew = damage.is_structural();
    if !anew {
        match restore(firewall, patient, damage, &jails, now) {
            // The set is gone, too.
            Err(FirewallError::Drift) => anew = true,
            other => return other,
        }
    }
    if anew {
        match firewall.mend(damage) {
            Ok(torn) => jails.extend(torn),
            Err(FirewallError::Drift) => return replace(firewall, patient, now),
            Err(error) => return Err(error),
        }
    }
    if damage.unclear {
        jails.extend(patient.copy.bare().into_iter().map(|wanted| wanted.jail));
    }
    restore(firewall, patient, damage, &jails, now)
}

/// Puts back the bans of these jails, and the single ones.
fn restore(
    firewall: &mut dyn Firewall,
    patient: &mut Patient,
    damage: &Damage,
    jails: &BTreeSet<Arc<str>>,
    now: Instant,
) -> Result<usize, FirewallError> {
    let mut count = 0;
    let mut put = |jail: &Arc<str>, elements: &[_]| {
        for piece in elements.chunks(PIECE) {
            let ban = |&element| Change::Ban { jail: jail.clone(), element };
            let changes: Vec<Change> = piece.iter().map(ban).collect();
            let refused = firewall.restore(&changes)?.into_iter().find_map(Result::err);
            count += changes.len();
            if let Some(Refusal(why)) = refused {
                return Err(FirewallError::Protocol(why));
            }
        }
        Ok(())
    };
    for (jail, nets) in &damage.bans {
        let elements: Vec<_> = nets.iter().filter_map(|net| patient.copy.get(jail, net, now)).collect();
        put(jail, &elements)?;
    }
    for jail in jails {
        put(jail, &patient.copy.elements(jail, now))?;
    }
    Ok(count)
}

/// Sets everything up anew: something stands that is of another shape.
fn replace(firewall: &mut dyn Firewall, patient: &mut Patient, now: Instant) -> Result<usize, FirewallError> {
    let mut all = patient.copy.bare();
    let is_blank = firewall.is_blank(&all);
    if !is_blank {
        for wanted in &mut all {
            wanted.elements = patient.copy.elements(&wanted.jail, now);
        }
    }
    let refused = firewall.replace(&all)?.into_iter().flatten().next();
    if let Some((net, Refusal(why))) = refused {
        return Err(FirewallError::Protocol(format!("{net}: {why}")));
    }
    if !is_blank {
        return Ok(all.iter().map(|wanted| wanted.elements.len()).sum());
    }
    let jails = all.into_iter().map(|wanted| wanted.jail).collect();
    restore(firewall, patient, &Damage::default(), &jails, now)
}
