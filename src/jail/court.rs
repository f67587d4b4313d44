//! All of a jail but its filter: counts failures, bans, lets in.

use std::collections::HashMap;
use std::sync::Arc;

use super::futile::Futility;
use super::masked::{Cause, Masks};
use super::outside::{Failed, Waiting};
use super::recall::Owed;
use super::spared::Spares;
use super::trial::Trial;
use super::{Ban, Counters, Effect, JailOptions, Release, Rules, Totals, Verdict};
use crate::filter::Outcome;
use crate::id::Id;
use crate::ignore::{Cache, IgnoreList, Login, Names, Rule};
use crate::roster::{self, Banned, Roster, State};
use crate::sentence::Sentence;
use crate::time::UnixTime;
use crate::tracker::{Offence, Tracker};

/// A longer text is not counted: the log chose it, and every ban of it is kept and told on.
pub(super) const TEXT_CAP: usize = 1024;
const NOT_AN_ADDRESS: &str = "it is no address, and a firewall bans only addresses";

/// Whose time a ban has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Term {
    /// The jail's: it grows with the bans before, and by Fail2Ban's rules it follows the jail's.
    Jail,
    /// Its own, given by an operator or remembered.
    Own,
}

/// All of it but the filter.
#[derive(Debug)]
pub(super) struct Court {
    pub(super) options: JailOptions,
    pub(super) tracker: Tracker,
    pub(super) roster: Roster,
    pub(super) ignore: IgnoreList,
    /// Who is logged in, whether that spares anybody or not.
    pub(super) logins: Arc<[Login]>,
    pub(super) spares: Spares,
    /// Whether the options are on trial.
    pub(super) trial: Option<Trial>,
    pub(super) cache: Option<Cache>,
    pub(super) names: Names,
    pub(super) waiting: Waiting,
    pub(super) owed: Owed,
    /// Of those who are counted and known to be bad: how often they were banned before.
    pub(super) known_bad: HashMap<Id, u32>,
    pub(super) masks: Masks,
    pub(super) futility: Futility,
    pub(super) totals: Totals,
    /// Whether commands must confirm each ban, too.
    pub(super) commanded: bool,
    /// The bans that ended since they were last asked for, if anybody asks.
    pub(super) ended: Option<Vec<Ban>>,
    /// Before this moment counters may be older than they look.
    pub(super) clean_from: Option<UnixTime>,
    /// Nobody wants to hear of bans that come back as they were.
    pub(super) quiet: bool,
}

impl Court {
    pub(super) fn new(options: &JailOptions) -> Self {
        let mut roster = Roster::new();
        roster.set_looks_late(options.rules == Rules::Fail2Ban);
        Self {
            tracker: Tracker::new(options.tracker.clone()),
            roster,
            ignore: IgnoreList::new(options.ignore.nets.clone()),
            logins: Arc::default(),
            spares: Spares::default(),
            trial: None,
            cache: options.ignore.cache.clone().map(Cache::new),
            names: Names::default(),
            waiting: Waiting::default(),
            owed: Owed::default(),
            known_bad: HashMap::new(),
            masks: Masks::default(),
            futility: Futility::default(),
            totals: Totals::default(),
            commanded: false,
            ended: None,
            clean_from: None,
            quiet: false,
            options: options.clone(),
        }
    }

    /// Works by other options from now on.
    pub(super) fn retune(&mut self, options: &JailOptions, effects: &mut Vec<Effect>) {
        self.tracker.retune(options.tracker.clone());
        self.ignore.set_listed(options.ignore.nets.clone());
        if options.ignore.cache != self.options.ignore.cache {
            self.cache = options.ignore.cache.clone().map(Cache::new);
        }
        let (before, enforced) = (self.options.ban_time, self.options.enforced);
        self.options = options.clone();
        self.ignore.set_logins(options.ignore.logins.of(&self.logins));
        if let Some(trial) = &mut self.trial {
            trial.look(options);
        }
        self.set_enforced(enforced);
        self.roster.set_looks_late(options.rules == Rules::Fail2Ban);
        if options.rules == Rules::Fail2Ban && before != options.ban_time {
            effects.extend(self.roster.follow(options.ban_time).into_iter().map(Effect::Prolong));
        }
    }

    pub(super) fn take(&mut self, outcome: Outcome, now: UnixTime, effects: &mut Vec<Effect>) -> Verdict {
        match outcome {
            Outcome::Nothing => Verdict::Nothing,
            Outcome::Ignored(pattern) => Verdict::Excluded(pattern),
            Outcome::Pending(pattern) => Verdict::Pending(pattern),
            Outcome::TooOld => Verdict::TooOld,
            Outcome::Undecided => {
                self.totals.undecided += 1;
                Verdict::Undecided
            }
            Outcome::Failure(failure) => {
                let failure = *failure;
                let (id, time, pattern) = (failure.id.clone(), failure.time, failure.pattern);
                let failed =
                    Failed { id: failure.id, time: time.min(now), lines: failure.lines, data: failure.data };
                if failure.is_name {
                    self.fail_name(failed, now, effects);
                } else {
                    self.fail(failed, now, effects);
                }
                Verdict::Failed { pattern, id, time }
            }
        }
    }

    /// Somebody failed: he is ignored, waits for an answer from outside, or is counted.
    pub(super) fn fail(&mut self, failed: Failed, now: UnixTime, effects: &mut Vec<Effect>) {
        if let Id::Text(text) = &failed.id
            && text.len() > TEXT_CAP
        {
            let id = Id::Text(format!("{}…", text.chars().take(60).collect::<String>()).into());
            return self.ignore_failure(id, format!("longer than {TEXT_CAP} bytes").into(), effects);
        }
        let own = self.ignore.check_own(&failed.id);
        self.look_for_masks(own.as_ref(), &failed, effects);
        if let Some(cache) = &self.cache {
            match cache.get(&cache.key(&failed.id, &failed.data), now).cloned() {
                Some(Some(rule)) => return self.ignore_failure(failed.id, rule, effects),
                Some(None) => return self.count(&failed, now, effects),
                None => {}
            }
        }
        match self.ignored(own, &failed.id) {
            Some(rule) => self.decided(failed, Some(rule), now, effects),
            None => self.ask_outside(failed, now, now, effects),
        }
    }

    /// Notes whether it is an own address or a gateway that failed, by the rule that says so.
    fn look_for_masks(&mut self, own: Option<&Rule>, failed: &Failed, effects: &mut Vec<Effect>) {
        let cause = own.and_then(Cause::of);
        let from = cause.and_then(|cause| Some((cause, failed.id.net()?)));
        effects.extend(self.masks.fail(from, failed.time).map(Effect::Masked));
    }

    pub(super) fn ignore_failure(&mut self, id: Id, rule: Arc<str>, effects: &mut Vec<Effect>) {
        self.totals.ignored += 1;
        effects.push(Effect::Ignored(id, rule));
    }

    /// Counts a failure that nothing ignores.
    pub(super) fn count(&mut self, failed: &Failed, now: UnixTime, effects: &mut Vec<Effect>) {
        let Failed { id, time, lines, data } = failed;
        let time = (*time).min(now);
        self.totals.failed += 1;
        effects.push(Effect::Found(id.clone(), time));
        self.lapse(id, time);
        if !self.known_bad.is_empty() && !self.tracker.knows(id) {
            self.known_bad.remove(id);
        }
        match self.tracker.fail(id, time, lines, data, now) {
            Some(offence) => self.sentence(id.clone(), offence, now, effects),
            None => self.owe_failure(id, time, effects),
        }
    }

    /// Counts what an operator charges `id` with: as many failures as lines, at least one. Nothing is asked, and who is
    /// ignored is not spared.
    pub(super) fn charge(&mut self, id: &Id, lines: &[Arc<str>], now: UnixTime, effects: &mut Vec<Effect>) {
        self.totals.failed += 1;
        self.lapse(id, now);
        if let Some(offence) = self.tracker.charge(id, lines, now) {
            self.sentence(id.clone(), offence, now, effects);
        }
    }

    fn lapse(&mut self, id: &Id, time: UnixTime) {
        if self.options.counters == Counters::Keep {
            self.tracker.lapse(id, time);
        }
    }

    /// Bans for an offence; own addresses, gateways and hosts of those who are logged in never, also where their failures
    /// are counted.
    pub(super) fn sentence(&mut self, id: Id, offence: Offence, now: UnixTime, effects: &mut Vec<Effect>) {
        if let Some(rule) = self.ignore.check_ban(&id) {
            self.known_bad.remove(&id);
            self.totals.spared += 1;
            let said = self.spares.note(id, rule.to_string().into(), now);
            return effects.extend(said.map(Effect::Spared));
        }
        let ban = Ban {
            count: self.known_bad.remove(&id).unwrap_or(0).saturating_add(1),
            id,
            time: offence.last,
            sentence: self.options.ban_time,
            failures: offence.failures,
            lines: offence.lines,
            data: offence.data,
            restored: false,
        };
        self.look_for_futility(&ban, effects);
        self.ban(ban, Term::Jail, now, effects);
        if self.options.counters == Counters::Forget {
            self.tracker.cleanup(now);
        }
    }

    /// Notes whether who is to be banned is kept out already, as far as is known.
    fn look_for_futility(&mut self, ban: &Ban, effects: &mut Vec<Effect>) {
        if !self.options.enforced && !self.commanded {
            return;
        }
        if let Some(Banned { ban: before, state: State::Acknowledged }) = self.roster.get(&ban.id) {
            let found = self.futility.offend(&ban.id, before.time, ban.time);
            effects.extend(found.map(Effect::Futile));
        }
    }

    pub(super) fn ban(&mut self, ban: Ban, term: Term, now: UnixTime, effects: &mut Vec<Effect>) {
        if self.unfit(&ban.id) {
            return effects.push(Effect::NotEnforced(ban.id, NOT_AN_ADDRESS.into()));
        }
        if self.options.bans_nobody && term == Term::Jail {
            return effects.push(Effect::Expired(ban.id));
        }
        // Whoever is to be let in by now is, before he is banned again.
        self.release(now, effects);
        let id = ban.id.clone();
        let is_told = !self.quiet || term == Term::Jail || !ban.restored;
        let told = is_told.then(|| ban.clone());
        match self.roster.ban(ban, now) {
            roster::Verdict::Banned => {
                self.totals.banned += 1;
                match (told, term) {
                    (None, _) => {}
                    (Some(ban), Term::Own) if ban.restored => effects.push(Effect::Ban(ban)),
                    (Some(ban), Term::Own) => {
                        effects.extend([Effect::Ban(ban.clone()), Effect::Remember(ban)]);
                    }
                    (Some(ban), Term::Jail) => {
                        effects.push(Effect::Ban(ban.clone()));
                        self.roster.set_follows(&id);
                        self.note_tried(&ban);
                        self.owe_ban(ban, effects);
                    }
                }
                if !self.options.enforced && !self.commanded {
                    self.acknowledge(&id, Ok(()), effects);
                }
            }
            roster::Verdict::Prolonged(ban) => effects.push(Effect::Prolong(ban)),
            roster::Verdict::Already(since) => effects.push(Effect::Already(id, since)),
            roster::Verdict::Expired => effects.push(Effect::Expired(id)),
        }
    }

    /// Bans again who was banned before a restart, unless that is over or he is ignored by now (SPEC §4.5).
    /// A remembered ban is in force again: until its `own` end, or at most as long as a ban of the jail lasts now.
    pub(super) fn restore_ban(&mut self, mut ban: Ban, own: bool, now: UnixTime, effects: &mut Vec<Effect>) {
        ban.restored = true;
        ban.lines.drain(..ban.lines.len().saturating_sub(self.options.tracker.max_matches));
        if !own {
            let Some(sentence) = self.cut(&ban, now) else { return };
            ban.sentence = sentence;
        }
        let fail2bans = self.options.rules == Rules::Fail2Ban;
        let is_over = |until| until < now || (until == now && fail2bans);
        match self.spared_by(&ban) {
            Some(rule) => effects.push(Effect::Ignored(ban.id, rule)),
            None if ban.until().is_some_and(is_over) => {}
            None => self.ban(ban, Term::Own, now, effects),
        }
    }

    /// What is left of a remembered ban's time by what the jail's is now; none: it is over.
    fn cut(&self, ban: &Ban, now: UnixTime) -> Option<Sentence> {
        let limit = self.options.ban_time;
        match (self.options.rules, &self.options.increment) {
            (Rules::Fail2Ban, Some(increment)) => Some(ban.sentence.at_most(Sentence(increment.max_time))),
            (Rules::Fail2Ban, None) => {
                let begun = limit.0.is_none_or(|span| ban.time + span > now);
                (begun && !self.options.bans_nobody).then(|| ban.sentence.at_most(limit))
            }
            (Rules::Stockade, increment) => {
                // With the same ban time no ban ends later than this, however often it was prolonged.
                let limit = increment.as_ref().map_or(limit, |increment| Sentence(increment.max_time));
                let latest = limit.0.map(|span| now + span);
                let late = |latest| ban.until().is_none_or(|until| until > latest);
                let cut = ban.failures > 0 && latest.is_some_and(late);
                Some(if cut { ban.sentence.at_most(limit) } else { ban.sentence })
            }
        }
    }

    pub(super) fn release(&mut self, now: UnixTime, effects: &mut Vec<Effect>) {
        loop {
            if let Some(ended) = &mut self.ended {
                ended.extend(self.roster.due(now));
            }
            let Some(id) = self.roster.pop_due(now) else { break };
            effects.push(Effect::Unban(id, Release::Expired));
        }
    }

    pub(super) fn acknowledge(&mut self, id: &Id, answer: Result<(), Arc<str>>, effects: &mut Vec<Effect>) {
        let word = answer.clone().map_or_else(State::Refused, |()| State::Acknowledged);
        let Some(restored) = self.roster.change_state(id, word) else { return };
        effects.push(match answer {
            Err(reason) => Effect::NotEnforced(id.clone(), reason),
            Ok(()) => Effect::Enforced(id.clone(), restored),
        });
    }

    /// Whether `id` is something that the jail's firewall cannot ban.
    pub(super) fn unfit(&self, id: &Id) -> bool {
        self.options.enforced && id.net().is_none()
    }

    /// The rule at hand by which `id` is not counted and not banned automatically.
    pub(super) fn ignored_by(&self, id: &Id) -> Option<Arc<str>> {
        self.ignored(self.ignore.check_own(id), id)
    }

    /// The same, where it is known whether it is an own address or a gateway.
    fn ignored(&self, own: Option<Rule>, id: &Id) -> Option<Arc<str>> {
        let own = own.filter(|_| self.options.ignore.own);
        Some(match own.or_else(|| self.ignore.check_listed(id))? {
            Rule::Listed(rule) | Rule::Login(rule) => rule,
            own => own.to_string().into(),
        })
    }

    /// The rule by which a ban is not taken up again; an operator's word about own addresses and gateways holds where
    /// their failures are counted.
    pub(super) fn spared_by(&self, ban: &Ban) -> Option<Arc<str>> {
        let own = || self.ignore.check_own(&ban.id).filter(|_| ban.failures > 0);
        self.ignored_by(&ban.id).or_else(|| Some(own()?.to_string().into()))
    }

    /// With a firewall all bans wait for its word; without one they hold at once.
    fn set_enforced(&mut self, before: bool) {
        if before == self.options.enforced {
            return;
        }
        let enforced = self.options.enforced;
        self.roster.reset(&if enforced { State::Wanted } else { State::Acknowledged });
        let unfit: Vec<_> = self.roster.ids().filter(|id| self.unfit(id)).collect();
        for id in unfit {
            self.roster.set_state(&id, State::Refused(NOT_AN_ADDRESS.into()));
        }
    }
}
