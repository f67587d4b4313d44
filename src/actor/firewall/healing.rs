//! Puts back what others took out of the firewall. The thread that hears of it: `ears`.
//!
//! What is put back when is decided by [`Healer`]; from what, is remembered in a [`Copy`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use super::ears::{self, Ears};
use super::{Backends, Job, PIECE};
use crate::actor::now;
use crate::config::FirewallKind;
use crate::control::request::Drifts;
use crate::control::text;
use crate::firewall::copy::Copy;
use crate::firewall::course::Course;
use crate::firewall::heal::{Author, Damage, Heal, Healer, Verdict};
use crate::firewall::nftables::monitor::News;
use crate::firewall::quota::Quota;
use crate::firewall::{Change, Firewall, FirewallError, Refusal, Wanted};
use crate::subnet::Subnet;

/// What others did, for whoever asks.
pub type Told = Arc<Mutex<Drifts>>;

/// What is needed to put things back.
#[derive(Default)]
pub(super) struct Healing {
    pub(super) heal: Heal,
    pub(super) told: Told,
    /// None: nobody is listened to.
    pub(super) mailbox: Option<Sender<Job>>,
    pub(super) kinds: BTreeMap<FirewallKind, Patient>,
    /// Listening, but not to these sockets; none: not yet, or in vain.
    pub(super) ears: Option<(Vec<u32>, Ears)>,
    /// The generation in which everything was set up, until somebody listens.
    pub(super) stood: Option<u32>,
    /// Those to whom it was in vain, and when.
    pub(super) deaf: Option<(Vec<u32>, Instant)>,
    /// What is said of losses that are not put back.
    quota: Quota,
}

/// One firewall.
pub(super) struct Patient {
    copy: Copy,
    healer: Healer,
    /// Who did the last damage.
    by: Option<Author>,
    /// When the first damage was heard that is not put back yet.
    since: Option<Instant>,
    /// Whether the copy knows of changes that the firewall has not heard of.
    is_stale: bool,
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
        ears::watch(backends);
        heard(backends, &News::Overrun, Instant::now());
    }
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
        since: None,
        is_stale: false,
    });
    patient.copy.replace(all, refused, now);
    patient.is_stale = false;
    patient.healer.replaced(generation);
}

/// These bans were put into a firewall that is being filled.
pub(super) fn put(
    backends: &mut Backends,
    kind: FirewallKind,
    changes: &[Change],
    said: &[Result<(), Refusal>],
) {
    if let Some(patient) = backends.healing.kinds.get_mut(&kind) {
        patient.copy.apply(changes, said, Instant::now());
    }
}

/// Whether a firewall holds exactly the bans that were put in, once these are out.
pub(super) fn holds(backends: &mut Backends, kind: FirewallKind, over: Vec<(Arc<str>, Subnet)>) -> bool {
    let Some(patient) = backends.healing.kinds.get_mut(&kind) else { return false };
    let now = Instant::now();
    let is_over = |(jail, net): &(Arc<str>, Subnet)| patient.copy.get(jail, net, now).is_none();
    let over = over.into_iter().filter(is_over).map(|(jail, net)| Change::Unban { jail, net });
    let over: Vec<_> = over.collect();
    let wanted = patient.copy.singles();
    let Some(firewall) = backends.opened.get_mut(&kind) else { return false };
    firewall.restore(&over).is_ok_and(|said| said.iter().all(Result::is_ok)) && firewall.holds(&wanted)
}

/// A firewall has everything that came.
pub(super) fn filled(backends: &mut Backends, kind: FirewallKind) {
    if backends.healing.kinds.contains_key(&kind) {
        backends.healing.stood = backends.get(kind).ok().and_then(Firewall::generation);
    }
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

/// Somebody changed the firewall; it was heard at `moment`.
pub(super) fn heard(backends: &mut Backends, news: &News, moment: Instant) {
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
            if matches!(verdict, Verdict::Now | Verdict::Later { .. }) {
                patient.since.get_or_insert(moment);
            }
            verdicts.push((verdict, what, is_structural));
        }
    }
    if verdicts.is_empty() {
        return;
    }
    let until = |pause| now() + pause;
    let Healing { told, quota, .. } = &mut backends.healing;
    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
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
            Verdict::Done | Verdict::Left => {
                let Some(held) = quota.may(moment) else { continue };
                let more = match held {
                    0 => String::new(),
                    held => format!(" ({} before it not told)", text::count(held, "loss", "losses")),
                };
                let what = match verdict {
                    Verdict::Done => format!("it was {who} who had taken {what} out of the firewall"),
                    _ => format!(
                        "{who} took {what} out of the firewall: it stays out, as `heal` in [daemon] says{hint}"
                    ),
                };
                tracing::warn!(target: "fail2ban.actions", "{what}{more}");
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
        let mut course = Course::new(patient.since.take().unwrap_or(began));
        let outcome = put_back(&mut **firewall, patient, &damage, began, &mut course);
        let who = patient.by.take();
        let who = who.map_or_else(
            || "something was missing".to_owned(),
            |by| format!("{by} took {damage} out of the firewall"),
        );
        match outcome {
            Ok(()) => {
                patient.healer.healed(began, Instant::now(), generation);
                let hint = if damage.is_structural() { "" } else { HINT };
                tracing::warn!(target: "fail2ban.actions", "{who}: it is put back, with {course}{hint}");
                let mut told = backends.healing.told();
                told.healed += 1;
                told.waits_until = None;
            }
            Err(error) => {
                patient.healer.failed(damage, began, Instant::now());
                patient.since.get_or_insert(course.heard);
                tracing::error!(target: "fail2ban.actions", "{who}, and it cannot be put back: {error}");
                // The jails want to know what they have.
                backends.fill_anew();
            }
        }
    }
}

/// Puts back what is missing, and notes when.
fn put_back(
    firewall: &mut dyn Firewall,
    patient: &mut Patient,
    damage: &Damage,
    now: Instant,
    course: &mut Course,
) -> Result<(), FirewallError> {
    if std::mem::take(&mut patient.is_stale) {
        return replace(firewall, patient, now, course);
    }
    let mut jails = damage.emptied.clone();
    let mut anew = damage.is_structural();
    if !anew {
        match restore(firewall, patient, damage, &jails, now, course) {
            // The set is gone, too.
            Err(FirewallError::Drift) => anew = true,
            other => return other,
        }
    }
    if anew {
        match firewall.mend(damage) {
            Ok(torn) => jails.extend(torn),
            Err(FirewallError::Drift) => return replace(firewall, patient, now, course),
            Err(error) => return Err(error),
        }
        course.stands(Instant::now());
    }
    if damage.unclear {
        jails.extend(patient.copy.bare().into_iter().map(|wanted| wanted.jail));
    }
    restore(firewall, patient, damage, &jails, now, course)
}

/// Puts back the bans of these jails, and the single ones.
fn restore(
    firewall: &mut dyn Firewall,
    patient: &mut Patient,
    damage: &Damage,
    jails: &BTreeSet<Arc<str>>,
    now: Instant,
    course: &mut Course,
) -> Result<(), FirewallError> {
    let mut put = |jail: &Arc<str>, elements: &[_]| {
        for piece in elements.chunks(PIECE) {
            let ban = |&element| Change::Ban { jail: jail.clone(), element };
            let changes: Vec<Change> = piece.iter().map(ban).collect();
            let refused = firewall.restore(&changes)?.into_iter().find_map(Result::err);
            course.filled(changes.len(), Instant::now());
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
    Ok(())
}

/// Sets everything up anew: something stands that is of another shape.
fn replace(
    firewall: &mut dyn Firewall,
    patient: &mut Patient,
    now: Instant,
    course: &mut Course,
) -> Result<(), FirewallError> {
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
    course.stands(Instant::now());
    if !is_blank {
        course.filled(all.iter().map(|wanted| wanted.elements.len()).sum(), Instant::now());
        return Ok(());
    }
    let jails = all.into_iter().map(|wanted| wanted.jail).collect();
    restore(firewall, patient, &Damage::default(), &jails, now, course)
}
