//! All of a jail but its filter: counts failures, bans, lets in.

use std::sync::Arc;

use super::{Ban, Effect, Release, Totals, Verdict};
use crate::filter::Outcome;
use crate::id::Id;
use crate::ignore::{IgnoreList, Rule};
use crate::roster::{self, Banned, Roster, State};
use crate::sentence::Sentence;
use crate::time::UnixTime;
use crate::tracker::{Offence, Tracker};

/// A longer text is not counted: the log chose it, and every ban of it is kept and told on.
pub(super) const TEXT_CAP: usize = 1024;
const NOT_AN_ADDRESS: &str = "it is no address, and a firewall bans only addresses";

/// All of it but the filter.
#[derive(Debug)]
pub(super) struct Court {
    pub(super) tracker: Tracker,
    pub(super) roster: Roster,
    pub(super) ignore: IgnoreList,
    pub(super) totals: Totals,
    pub(super) ban_time: Sentence,
    pub(super) ignore_own: bool,
    pub(super) enforced: bool,
    /// Whether commands must confirm each ban, too.
    pub(super) commanded: bool,
    /// The bans that ended since they were last asked for, if anybody asks.
    pub(super) ended: Option<Vec<Ban>>,
    /// Before this moment counters may be older than they look.
    pub(super) clean_from: Option<UnixTime>,
}

impl Court {
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
                let (id, time) = (failure.id, failure.time);
                self.attempt(&id, time, &failure.lines, &failure.data, now, effects);
                Verdict::Failed { pattern: failure.pattern, id, time }
            }
        }
    }

    pub(super) fn attempt(
        &mut self,
        id: &Id,
        time: UnixTime,
        lines: &[Arc<str>],
        data: &[(Arc<str>, String)],
        now: UnixTime,
        effects: &mut Vec<Effect>,
    ) {
        let time = time.min(now);
        let ignored = match id {
            Id::Text(text) if text.len() > TEXT_CAP => {
                let begin = text.chars().take(60).collect::<String>();
                Some((Id::Text(format!("{begin}…").into()), format!("longer than {TEXT_CAP} bytes").into()))
            }
            _ => self.ignored_by(id).map(|rule| (id.clone(), rule)),
        };
        if let Some((id, rule)) = ignored {
            self.totals.ignored += 1;
            return effects.push(Effect::Ignored(id, rule));
        }
        self.totals.failed += 1;
        effects.push(Effect::Found(id.clone(), time));
        self.tracker.lapse(id, time);
        if let Some(offence) = self.tracker.fail(id, time, lines, data, now) {
            self.sentence(id.clone(), offence, now, effects);
        }
    }

    fn sentence(&mut self, id: Id, offence: Offence, now: UnixTime, effects: &mut Vec<Effect>) {
        let ban = Ban {
            id,
            time: offence.last,
            sentence: self.ban_time,
            count: 1,
            failures: offence.failures,
            lines: offence.lines,
            data: offence.data,
            restored: false,
        };
        self.ban(ban, now, effects);
    }

    pub(super) fn ban(&mut self, ban: Ban, now: UnixTime, effects: &mut Vec<Effect>) {
        if self.unfit(&ban.id) {
            return effects.push(Effect::NotEnforced(ban.id, NOT_AN_ADDRESS.into()));
        }
        // Whoever is to be let in by now is, before he is banned again.
        self.release(now, effects);
        let id = ban.id.clone();
        match self.roster.ban(ban.clone(), now) {
            roster::Verdict::Banned => {
                self.totals.banned += 1;
                effects.push(Effect::Ban(ban));
                if !self.enforced && !self.commanded {
                    self.acknowledge(&id, Ok(()), effects);
                }
            }
            roster::Verdict::Prolonged(ban) => effects.push(Effect::Prolong(ban)),
            roster::Verdict::Already(since) => effects.push(Effect::Already(id, since)),
            roster::Verdict::Expired => effects.push(Effect::Expired(id)),
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
        let Some(Banned { ban, state }) = self.roster.get(id) else { return };
        let word = answer.map_or_else(State::Refused, |()| State::Acknowledged);
        if word == state {
            return;
        }
        match &word {
            State::Refused(reason) => effects.push(Effect::NotEnforced(id.clone(), Arc::clone(reason))),
            _ => effects.push(Effect::Enforced(id.clone(), ban.restored)),
        }
        self.roster.set_state(id, word);
    }

    /// Whether `id` is something that the jail's firewall cannot ban.
    pub(super) fn unfit(&self, id: &Id) -> bool {
        self.enforced && id.net().is_none()
    }

    /// The rule by which `id` is not counted and not banned automatically.
    pub(super) fn ignored_by(&self, id: &Id) -> Option<Arc<str>> {
        let rule = if self.ignore_own { self.ignore.check(id) } else { self.ignore.check_listed(id) }?;
        Some(match rule {
            Rule::Listed(rule) => rule,
            own => own.to_string().into(),
        })
    }

    /// With a firewall all bans wait for its word; without one they hold at once.
    pub(super) fn set_enforced(&mut self, enforced: bool) {
        if enforced == self.enforced {
            return;
        }
        self.enforced = enforced;
        self.roster.reset(&if enforced { State::Wanted } else { State::Acknowledged });
        let unfit: Vec<_> = self.roster.ids().filter(|id| self.unfit(id)).collect();
        for id in unfit {
            self.roster.set_state(&id, State::Refused(NOT_AN_ADDRESS.into()));
        }
    }
}
