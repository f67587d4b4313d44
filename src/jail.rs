//! One jail: ignore list, filter, tracker and roster: the same code for the daemon and for `stockade test`.
//!
//! Pure: no clock, no I/O, no chance. In: lines, expiries, an operator's wishes, the firewall's word, the answers to
//! what it asked: of the store ([`Effect::Recall`]), of the world ([`Effect::Consult`]).
//! Out: [`Effect`]s, which [`crate::actor::jail`] turns into messages and log lines.

mod court;
mod effect;
mod futile;
mod masked;
mod options;
mod outside;
mod recall;
mod spared;
mod trial;
mod view;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use self::court::{Court, Term};
pub use self::effect::{
    Answer, Ban, BanRefusal, Changes, Effect, Inquiry, Past, Question, Release, Totals, Verdict,
};
pub use self::futile::Futile;
pub use self::masked::{Cause, Masked};
pub use self::options::{Counters, IgnoreOptions, JailOptions, Rules};
pub use self::outside::COMMAND_PATIENCE;
use self::outside::{Failed, SavedHeld};
use self::recall::SavedDebt;
pub use self::spared::Spared;
use crate::filter::{Filter, FilterError, Lines, Odd, Reading, Scanner, Wanted};
use crate::id::Id;
use crate::sentence::Sentence;
use crate::subnet::Subnet;
use crate::time::UnixTime;
use crate::tracker::Record;

/// After a restart no counter is thought stale for so long at most: lines written meanwhile may belong to it.
const CATCH_UP: Duration = Duration::from_secs(3600);

/// A jail at work.
#[derive(Debug)]
pub struct Jail {
    filter: Option<Filter>,
    court: Court,
}

/// What is remembered of a jail.
#[derive(Debug, Clone, Default)]
pub struct Remembered {
    /// Its bans.
    pub bans: Vec<Ban>,
    /// Of these, those that keep their own end, whatever the jail's ban time is.
    pub inherited: Vec<Id>,
    /// Of these, those that last as long as the jail's do.
    pub timeless: Vec<Id>,
    /// Its failure counters.
    pub counters: Vec<(Id, Record)>,
    /// Its filter's state.
    pub state: Option<Vec<u8>>,
    /// What waited for an answer ([`Changes::waiting`]).
    pub waiting: Option<Vec<u8>>,
}

/// What waits for an answer, as it is saved.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Waits {
    held: Vec<SavedHeld>,
    owed: Vec<(Id, SavedDebt)>,
}

impl Jail {
    /// A jail that has seen nothing.
    ///
    /// # Errors
    /// All that is wrong with its filter.
    pub fn new(options: &JailOptions) -> Result<Self, Vec<FilterError>> {
        let filter = options.filter.as_ref().map(Filter::new).transpose()?;
        Ok(Self::with_filter(options, filter))
    }

    /// A jail that has seen nothing, with a filter that is compiled already in place of its own.
    pub fn with_filter(options: &JailOptions, filter: Option<Filter>) -> Self {
        Self { filter, court: Court::new(options) }
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.court.options.name
    }

    /// What it works by.
    pub fn options(&self) -> &JailOptions {
        &self.court.options
    }

    /// Goes on from what the store remembered (SPEC §4.5), perhaps in several parts.
    ///
    /// A ban that is too long by the jail's ban time is cut ([`Rules`]). Who is ignored by now is let in, and so,
    /// without a word, is whose time is over. What was asked before is asked again.
    pub fn restore(&mut self, past: Remembered, now: UnixTime) -> Vec<Effect> {
        if let (Some(filter), Some(state)) = (&mut self.filter, past.state) {
            filter.restore(&state);
        }
        let court = &mut self.court;
        court.futility.begin(now);
        if court.options.counters == Counters::Keep {
            court.clean_from = Some(now + court.options.tracker.find_time.min(CATCH_UP));
            court.tracker.restore(past.counters);
        }
        let mut effects = Vec::new();
        let (inherited, timeless): (HashSet<_>, HashSet<_>) =
            (past.inherited.into_iter().collect(), past.timeless.into_iter().collect());
        for mut ban in past.bans {
            let own = inherited.contains(&ban.id);
            if timeless.contains(&ban.id) {
                ban.sentence = court.options.ban_time;
            }
            court.restore_ban(ban, own, now, &mut effects);
        }
        // What is none is passed over: then nobody waits.
        let waits: Waits =
            past.waiting.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        court.restore_owed(waits.owed, now, &mut effects);
        court.restore_waiting(waits.held, now, &mut effects);
        effects
    }

    /// As [`Jail::restore`], but of bans that come back as they were there is no effect: [`Jail::newly_wanted`] has them.
    pub fn restore_quietly(&mut self, past: Remembered, now: UnixTime) -> Vec<Effect> {
        self.court.quiet = true;
        let effects = self.restore(past, now);
        self.court.quiet = false;
        effects
    }

    /// Judges one line (without its end) and counts the failure that it may be.
    pub fn on_line(&mut self, line: &[u8], at: &Reading, effects: &mut Vec<Effect>) -> Verdict {
        self.court.totals.lines += 1;
        let Some(filter) = &mut self.filter else { return Verdict::Nothing };
        let outcome = filter.line(line, at);
        self.court.take(outcome, at.now, effects)
    }

    /// Who can tell which lines of a block need a look; none: all do.
    pub fn scanner(&self) -> Option<Scanner> {
        self.filter.as_ref()?.scanner()
    }

    /// Judges the lines of a block as [`Jail::on_line`] would, those without meaning in passing.
    ///
    /// `done` is moved behind each line that meant something, once it is counted: a caller that survives a panic
    /// goes on from there. `begin` is called before such a line is counted.
    pub fn on_block(
        &mut self,
        lines: Lines<'_>,
        at: &Reading,
        effects: &mut Vec<Effect>,
        done: &mut usize,
        begin: &mut dyn FnMut(),
    ) {
        let (court, text) = (&mut self.court, lines.text);
        let lines = match &mut self.filter {
            Some(filter) => filter.block(lines, at, Wanted::Failures, &mut |line, outcome| {
                begin();
                court.take(outcome, at.now, effects);
                let inside = line.as_ptr().addr() - text.as_ptr().addr() + line.len();
                *done = memchr::memchr(b'\n', &text[inside..]).map_or(text.len(), |end| inside + end + 1);
            }),
            None => memchr::memchr_iter(b'\n', text).count(),
        };
        self.skip(lines);
        *done = text.len();
    }

    /// Counts lines that were read, and judged before something went wrong.
    pub fn skip(&mut self, lines: usize) {
        self.court.totals.lines += lines as u64;
    }

    /// One failure of `id`, as a line would tell of it.
    pub fn attempt(
        &mut self,
        id: &Id,
        time: UnixTime,
        lines: &[Arc<str>],
        data: &[(Arc<str>, SmolStr)],
        now: UnixTime,
        effects: &mut Vec<Effect>,
    ) {
        let failed = Failed { id: id.clone(), time: time.min(now), lines: lines.to_vec(), data: data.into() };
        self.court.fail(failed, now, effects);
    }

    /// Counts what an operator charges `id` with: as many failures as lines, at least one. Ignored or not.
    pub fn charge(&mut self, id: &Id, lines: &[Arc<str>], now: UnixTime, effects: &mut Vec<Effect>) {
        self.court.charge(id, lines, now, effects);
    }

    /// The world's answer to an [`Effect::Consult`].
    pub fn answer(&mut self, answer: Answer, now: UnixTime, effects: &mut Vec<Effect>) {
        self.court.answer(answer, now, effects);
    }

    /// The store's answer to an [`Effect::Recall`]; none: it knows nothing of this address. `random` gives numbers
    /// in `0.0..1.0`.
    pub fn recalled(
        &mut self,
        id: &Id,
        past: Option<Past>,
        now: UnixTime,
        random: &mut dyn FnMut() -> f64,
        effects: &mut Vec<Effect>,
    ) {
        self.court.recalled(id, past, now, random, effects);
    }

    /// Whose past the store still owes: to be asked again when an answer may be lost.
    pub fn owed(&self) -> impl Iterator<Item = &Id> {
        self.court.owed.ids()
    }

    /// Whether a ban of `id` is not remembered yet, since its time waits for the store's answer.
    pub fn owes(&self, id: &Id) -> bool {
        self.court.owed.has_ban(id)
    }

    /// What waits for an answer, as it is saved ([`Changes::waiting`]).
    pub fn waits(&self) -> Vec<u8> {
        let waits = Waits { held: self.court.waiting.saved(), owed: self.court.owed.saved() };
        // Texts and numbers cannot fail; were it empty, nobody would wait after a restart.
        serde_json::to_vec(&waits).unwrap_or_default()
    }

    /// Lets in whose time is over, loses patience with whom nobody answers for, and forgets whose failures are too old to
    /// count, where counters are not Fail2Ban's.
    pub fn expire(&mut self, now: UnixTime, effects: &mut Vec<Effect>) {
        self.court.release(now, effects);
        self.court.lose_patience(now, effects);
        let cleans = self.court.options.counters == Counters::Keep;
        if cleans && self.court.clean_from.is_none_or(|from| from <= now) {
            self.court.clean_from = None;
            self.court.tracker.cleanup(now);
        }
    }

    /// Forgets whose failures are too old to count.
    pub fn clean(&mut self, now: UnixTime) {
        self.court.tracker.forget_stale(now);
    }

    /// Bans as the operator says; without a sentence for the jail's own time.
    ///
    /// # Errors
    /// A firewall cannot ban it, or (without `force`) it is, or holds, an ignored address, one of this host, the gateway, or
    /// the host of somebody who is logged in.
    pub fn ban(
        &mut self,
        id: Id,
        sentence: Option<Sentence>,
        force: bool,
        now: UnixTime,
    ) -> Result<Vec<Effect>, BanRefusal> {
        if self.court.unfit(&id) {
            return Err(BanRefusal::NotAnAddress(id));
        }
        let rule = || self.court.ignore.check_ban(&id).or_else(|| self.court.ignore.check(&id));
        if let Some(rule) = rule().filter(|_| !force) {
            return Err(BanRefusal::Ignored(id, rule));
        }
        let ban = Ban {
            id,
            time: now,
            sentence: sentence.unwrap_or(self.court.options.ban_time),
            count: 1,
            failures: 0,
            lines: Vec::new(),
            data: Vec::new(),
            restored: false,
        };
        let mut effects = Vec::new();
        self.court.ban(ban, if sentence.is_some() { Term::Own } else { Term::Jail }, now, &mut effects);
        Ok(effects)
    }

    /// Lets in as the operator says: `id`, or if that is a prefix that is not banned itself, all banned inside. What is
    /// remembered of `id` is forgotten, banned or not. Failures counted since stay counted.
    pub fn unban(&mut self, id: &Id) -> Vec<Effect> {
        let court = &mut self.court;
        let roster = &mut court.roster;
        let inside = || id.net().map(|prefix| roster.inside(prefix)).unwrap_or_default();
        let is_banned = roster.get(id).is_some();
        let all = if is_banned { vec![id.clone()] } else { inside() };
        if let Some(ended) = &mut court.ended {
            ended.extend(all.iter().filter_map(|id| Some(roster.get(id)?.ban)));
        }
        let mut effects = Vec::new();
        for id in all.into_iter().filter(|id| roster.unban(id)) {
            court.owed.forgive(Some(&id));
            effects.push(Effect::Unban(id, Release::Operator));
        }
        if !is_banned {
            court.owed.forgive(Some(id));
            effects.push(Effect::Forget(Some(id.clone())));
        }
        effects
    }

    /// Lets everybody in as the operator says; nothing is remembered of anybody.
    pub fn unban_all(&mut self) -> Vec<Effect> {
        if let Some(ended) = &mut self.court.ended {
            ended.extend(self.court.roster.iter().map(|banned| banned.ban));
        }
        self.court.owed.forgive(None);
        let unban = self.court.roster.unban_all().into_iter().map(|id| Effect::Unban(id, Release::Operator));
        unban.chain([Effect::Forget(None)]).collect()
    }

    /// The firewall's word about a ban; it is passed on once for each ban, and when it changes.
    pub fn acknowledge(&mut self, net: Subnet, answer: Result<(), Arc<str>>, effects: &mut Vec<Effect>) {
        self.court.acknowledge(&Id::Net(net), answer, effects);
    }

    /// The word of all that enforce a ban, commands included; passed on as [`Jail::acknowledge`] does.
    pub fn confirm(&mut self, id: &Id, answer: Result<(), Arc<str>>, effects: &mut Vec<Effect>) {
        self.court.acknowledge(id, answer, effects);
    }

    /// Whether commands confirm bans, beside a firewall or alone, and whether they are told of bans that end.
    pub fn set_commands(&mut self, confirm: bool, told: bool) {
        self.court.commanded = confirm;
        self.court.ended = told.then(Vec::new);
    }

    /// Whether commands are told of bans.
    pub fn tells_commands(&self) -> bool {
        self.court.ended.is_some()
    }

    /// The bans that ended since the last call, in the order of their effects; none unless commands are told of them.
    pub fn take_ended(&mut self) -> Vec<Ban> {
        self.court.ended.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Replaces the host's own addresses.
    pub fn set_own(&mut self, own: Vec<Subnet>) {
        self.court.ignore.set_own(own);
    }

    /// Replaces the addresses of default gateways.
    pub fn set_gateways(&mut self, gateways: Vec<Subnet>) {
        self.court.ignore.set_gateways(gateways);
    }

    /// Lets in whoever was banned automatically before it was known to be this host or its gateway.
    pub fn spare(&mut self) -> Vec<Effect> {
        let own = |id: &Id| self.court.ignore.check_own(id).is_some();
        let spared: Vec<Id> = self.court.roster.offenders().filter(own).collect();
        spared.iter().flat_map(|id| self.unban(id)).collect()
    }

    /// Replaces what the ignore list's files hold, each with the file it is from.
    pub fn set_ignore_file(&mut self, rules: Vec<(Subnet, Arc<str>)>) {
        self.court.ignore.set_file(rules);
    }

    /// Works by other options from now on. Counters and sessions go on; bans keep their ends, or follow ([`Rules`]);
    /// only a filter that differs is built anew.
    ///
    /// # Errors
    /// All that is wrong with its filter; then nothing has changed.
    pub fn retune(&mut self, options: &JailOptions) -> Result<Vec<Effect>, Vec<FilterError>> {
        if options.filter != self.court.options.filter {
            let mut filter = options.filter.as_ref().map(Filter::new).transpose()?;
            if let (Some(new), Some(old)) = (&mut filter, &self.filter) {
                new.restore(&old.state());
            }
            self.filter = filter;
        }
        let mut effects = Vec::new();
        self.court.retune(options, &mut effects);
        Ok(effects)
    }

    /// What was odd about the dates of lines, and was not said yet.
    pub fn take_odd(&mut self) -> Option<Odd> {
        self.filter.as_mut().and_then(Filter::take_odd)
    }

    /// What the store has to learn beyond the effects, since the last call.
    pub fn take_changes(&mut self) -> Changes {
        let state = self.filter.as_mut().and_then(|filter| filter.state_changed().then(|| filter.state()));
        let changed = [self.court.waiting.take_changed(), self.court.owed.take_changed()].contains(&true);
        let waiting = changed.then(|| self.waits());
        Changes { counters: self.court.tracker.take_dirty(), state, waiting }
    }
}

#[cfg(test)]
mod tests;
