//! Options on trial (`reload --confirm`): whom a jail banned by them alone, to let him in if they do not stay.
//!
//! Pure. In: the options before and those on trial, and every automatic ban meanwhile. Out: whom to let in.

use super::court::Court;
use super::{Ban, Effect, Jail, JailOptions};
use crate::id::Id;
use crate::roster::Banned;
use crate::time::UnixTime;
use crate::tracker::TrackerOptions;

/// Bans that ended meanwhile are forgotten when there are so many more than in force.
const ENDED: usize = 1000;

/// A trial under way.
#[derive(Debug)]
pub(super) struct Trial {
    /// What the jail worked by before.
    before: JailOptions,
    /// Whether nothing on trial makes another verdict, but for the number of failures.
    alike: bool,
    /// Whether what is in force is on trial, and not what was before.
    differs: bool,
    /// Failures from before this moment are none of its: the jail was started anew, and may read them again.
    from: Option<UnixTime>,
    /// Who was banned since.
    banned: Vec<Id>,
}

impl Trial {
    fn new(before: JailOptions) -> Self {
        Self { before, alike: true, differs: false, from: None, banned: Vec::new() }
    }

    /// The jail works by these now.
    pub(super) fn look(&mut self, options: &JailOptions) {
        self.differs = *options != self.before;
        self.alike &= is_alike(&self.before, options);
    }

    /// Whether a ban would stand by the options before, too.
    fn stands(&self, banned: &Banned) -> bool {
        self.alike && banned.ban.failures >= self.before.tracker.max_retry
    }
}

/// Whether both make the same of every line, but for how many failures they take and how long and where they ban.
fn is_alike(before: &JailOptions, options: &JailOptions) -> bool {
    let JailOptions { filter, tracker, bans_nobody, ignore, rules, counters, .. } = options;
    let TrackerOptions { find_time, max_tracked, .. } = tracker;
    (filter, find_time, max_tracked, bans_nobody, ignore, rules, counters)
        == (
            &before.filter,
            &before.tracker.find_time,
            &before.tracker.max_tracked,
            &before.bans_nobody,
            &before.ignore,
            &before.rules,
            &before.counters,
        )
}

impl Court {
    /// Somebody was banned; whom an operator banned stays out.
    pub(super) fn note_tried(&mut self, ban: &Ban) {
        let on_trial = |trial: &&mut Trial| {
            trial.differs && ban.failures > 0 && trial.from.is_none_or(|from| from <= ban.time)
        };
        let Some(trial) = self.trial.as_mut().filter(on_trial) else { return };
        if trial.banned.len() >= 2 * self.roster.len() + ENDED {
            trial.banned.retain(|id| self.roster.get(id).is_some());
        }
        trial.banned.push(ban.id.clone());
    }
}

impl Jail {
    /// From here on other options are on trial; those that it works by now come back if they do not stay. A second trial
    /// goes on from the first.
    pub fn begin_trial(&mut self) {
        let before = || Trial::new(self.court.options.clone());
        self.court.trial.get_or_insert_with(before);
    }

    /// It was started anew in the middle of a trial, which began at `since`, when it worked by `before`.
    pub fn resume_trial(&mut self, before: JailOptions, since: UnixTime) {
        let tried = |banned: &Banned| banned.ban.failures > 0 && banned.ban.time >= since;
        let banned = self.court.roster.iter().filter(tried).map(|banned| banned.ban.id).collect();
        let mut trial = Trial { alike: false, from: Some(since), banned, ..Trial::new(before) };
        trial.look(&self.court.options);
        self.court.trial = Some(trial);
    }

    /// It reads something else on trial: other verdicts come of that.
    pub fn tries_other_lines(&mut self) {
        if let Some(trial) = &mut self.court.trial {
            (trial.alike, trial.differs) = (false, true);
        }
    }

    /// What was on trial stays.
    pub fn end_trial(&mut self) {
        self.court.trial = None;
    }

    /// What was on trial does not stay, and the jail works as before already: lets in whom only that banned.
    pub fn undo_trial(&mut self) -> Vec<Effect> {
        let Some(mut trial) = self.court.trial.take() else { return Vec::new() };
        let banned = std::mem::take(&mut trial.banned);
        let stays = |id: &Id| self.court.roster.get(id).is_none_or(|banned| trial.stands(&banned));
        let lifted: Vec<Id> = banned.into_iter().filter(|id| !stays(id)).collect();
        lifted
            .iter()
            .flat_map(|id| self.unban(id))
            .filter(|effect| matches!(effect, Effect::Unban(..)))
            .collect()
    }
}
