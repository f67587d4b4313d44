//! One jail: ignore list, filter, tracker and roster: the same code for the daemon and for `stockade test`.
//!
//! Pure: no clock, no I/O. In: lines, expiries, an operator's wishes, the firewall's word.
//! Out: [`Effect`]s, which [`crate::actor::jail`] turns into messages and log lines.

mod court;
mod effect;

use std::sync::Arc;
use std::time::Duration;

use self::court::Court;
pub use self::effect::{Ban, BanRefusal, Changes, Effect, Release, Totals, Verdict};
use crate::filter::{Filter, FilterError, FilterOptions, Reading};
use crate::id::Id;
use crate::ignore::IgnoreList;
use crate::roster::{Banned, Roster};
use crate::sentence::Sentence;
use crate::subnet::Subnet;
use crate::time::UnixTime;
use crate::tracker::{Record, Tracker, TrackerOptions};

/// After a restart no counter is thought stale for so long at most: lines written meanwhile may belong to it.
const CATCH_UP: Duration = Duration::from_secs(3600);

/// Everything that shapes a jail's verdicts.
#[derive(Debug, Clone, PartialEq)]
pub struct JailOptions {
    /// Its name.
    pub name: Arc<str>,
    /// What is a failure; none for a jail of manual bans.
    pub filter: Option<FilterOptions>,
    /// When failures become an offence.
    pub tracker: TrackerOptions,
    /// How long a ban lasts.
    pub ban_time: Sentence,
    /// Never counted, never banned automatically: with the rule as the operator wrote it.
    pub ignore: Vec<(Subnet, Arc<str>)>,
    /// Whether the host's own addresses and its gateway are ignored too.
    pub ignore_own: bool,
    /// Whether a firewall must confirm each ban; without one a ban is only reported ("notify only").
    pub enforced: bool,
}

/// A jail at work.
#[derive(Debug)]
pub struct Jail {
    options: JailOptions,
    filter: Option<Filter>,
    court: Court,
}

impl Jail {
    /// A jail that has seen nothing.
    ///
    /// # Errors
    /// All that is wrong with its filter.
    pub fn new(options: &JailOptions) -> Result<Self, Vec<FilterError>> {
        let filter = options.filter.as_ref().map(Filter::new).transpose()?;
        let court = Court {
            tracker: Tracker::new(options.tracker.clone()),
            roster: Roster::new(),
            ignore: IgnoreList::new(options.ignore.clone()),
            totals: Totals::default(),
            ban_time: options.ban_time,
            ignore_own: options.ignore_own,
            enforced: options.enforced,
            commanded: false,
            ended: None,
            clean_from: None,
        };
        Ok(Self { options: options.clone(), filter, court })
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.options.name
    }

    /// What it works by.
    pub fn options(&self) -> &JailOptions {
        &self.options
    }

    /// Goes on from what the store remembered (SPEC §4.5), perhaps in several parts.
    ///
    /// A ban that failures led to, and that would end later than a new one, is cut to the jail's ban time; an
    /// operator's keeps its own. Who is ignored by now is let in, and so, without a word, is whose time is over.
    pub fn restore(
        &mut self,
        bans: Vec<Ban>,
        counters: Vec<(Id, Record)>,
        state: Option<&[u8]>,
        now: UnixTime,
    ) -> Vec<Effect> {
        if let (Some(filter), Some(state)) = (&mut self.filter, state) {
            filter.restore(state);
        }
        let court = &mut self.court;
        court.clean_from = Some(now + self.options.tracker.find_time.min(CATCH_UP));
        court.tracker.restore(counters);
        let mut effects = Vec::new();
        for mut ban in bans {
            ban.restored = true;
            // With the same ban time no ban ends later than this, however often it was prolonged.
            let latest = court.ban_time.0.map(|span| now + span);
            if ban.failures > 0 && latest.is_some_and(|latest| ban.until().is_none_or(|until| until > latest))
            {
                ban.sentence = ban.sentence.at_most(court.ban_time);
            }
            ban.lines.drain(..ban.lines.len().saturating_sub(self.options.tracker.max_matches));
            match court.ignored_by(&ban.id) {
                Some(rule) => effects.push(Effect::Ignored(ban.id, rule)),
                None if ban.until().is_some_and(|until| until < now) => {}
                None => court.ban(ban, now, &mut effects),
            }
        }
        effects
    }

    /// Judges one line (without its end) and counts the failure that it may be.
    pub fn on_line(&mut self, line: &[u8], at: &Reading, effects: &mut Vec<Effect>) -> Verdict {
        self.court.totals.lines += 1;
        let Some(filter) = &mut self.filter else { return Verdict::Nothing };
        let outcome = filter.line(line, at);
        self.court.take(outcome, at.now, effects)
    }

    /// Judges the lines of a block (each ended by `\n`) as [`Jail::on_line`] would, those without meaning in passing.
    ///
    /// `done` is moved behind each line that meant something, once it is counted: a caller that survives a panic
    /// goes on from there. `begin` is called before such a line is counted.
    pub fn on_block(
        &mut self,
        text: &[u8],
        at: &Reading,
        effects: &mut Vec<Effect>,
        done: &mut usize,
        begin: &mut dyn FnMut(),
    ) {
        let court = &mut self.court;
        let lines = |text: &[u8]| memchr::memchr_iter(b'\n', text).count() as u64;
        if let Some(filter) = &mut self.filter {
            filter.block(text, at, &mut |line, outcome| {
                begin();
                court.take(outcome, at.now, effects);
                let inside = line.as_ptr().addr() - text.as_ptr().addr() + line.len();
                let end = memchr::memchr(b'\n', &text[inside..]).map_or(text.len(), |end| inside + end + 1);
                court.totals.lines += lines(&text[*done..end]);
                *done = end;
            });
        }
        court.totals.lines += lines(&text[*done..]);
        *done = text.len();
    }

    /// Counts one failure of `id`.
    pub fn attempt(
        &mut self,
        id: &Id,
        time: UnixTime,
        lines: &[Arc<str>],
        data: &[(Arc<str>, String)],
        now: UnixTime,
        effects: &mut Vec<Effect>,
    ) {
        self.court.attempt(id, time, lines, data, now, effects);
    }

    /// Lets in whose time is over, and forgets whose failures are too old to count.
    pub fn expire(&mut self, now: UnixTime, effects: &mut Vec<Effect>) {
        self.court.release(now, effects);
        if self.court.clean_from.is_none_or(|from| from <= now) {
            self.court.clean_from = None;
            self.court.tracker.cleanup(now);
        }
    }

    /// Bans as the operator says; without a sentence for the jail's own time.
    ///
    /// # Errors
    /// A firewall cannot ban it, or (without `force`) it is, or holds, an ignored address, one of this host or the
    /// gateway.
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
        if let Some(rule) = self.court.ignore.check(&id).filter(|_| !force) {
            return Err(BanRefusal::Ignored(id, rule));
        }
        let ban = Ban {
            id,
            time: now,
            sentence: sentence.unwrap_or(self.court.ban_time),
            count: 1,
            failures: 0,
            lines: Vec::new(),
            data: Vec::new(),
            restored: false,
        };
        let mut effects = Vec::new();
        self.court.ban(ban, now, &mut effects);
        Ok(effects)
    }

    /// Lets in as the operator says: `id`, or if that is a prefix that is not banned itself, all banned inside.
    /// Failures counted since stay counted.
    pub fn unban(&mut self, id: &Id) -> Vec<Effect> {
        let Court { roster, ended, .. } = &mut self.court;
        let inside = || id.net().map(|prefix| roster.inside(prefix)).unwrap_or_default();
        let all = if roster.get(id).is_some() { vec![id.clone()] } else { inside() };
        if let Some(ended) = ended {
            ended.extend(all.iter().filter_map(|id| Some(roster.get(id)?.ban)));
        }
        all.into_iter().filter(|id| roster.unban(id)).map(|id| Effect::Unban(id, Release::Operator)).collect()
    }

    /// Lets everybody in as the operator says.
    pub fn unban_all(&mut self) -> Vec<Effect> {
        let roster = std::mem::take(&mut self.court.roster);
        if let Some(ended) = &mut self.court.ended {
            ended.extend(roster.iter().map(|banned| banned.ban));
        }
        roster.ids().map(|id| Effect::Unban(id, Release::Operator)).collect()
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

    /// Replaces what the ignore list's files hold, each with the file it is from.
    pub fn set_ignore_file(&mut self, rules: Vec<(Subnet, Arc<str>)>) {
        self.court.ignore.set_file(rules);
    }

    /// Works by other options from now on. Bans keep their ends, counters and sessions go on; only a filter that
    /// differs is built anew.
    ///
    /// # Errors
    /// All that is wrong with its filter; then nothing has changed.
    pub fn retune(&mut self, options: &JailOptions) -> Result<(), Vec<FilterError>> {
        if options.filter != self.options.filter {
            let mut filter = options.filter.as_ref().map(Filter::new).transpose()?;
            if let (Some(new), Some(old)) = (&mut filter, &self.filter) {
                new.restore(&old.state());
            }
            self.filter = filter;
        }
        self.court.tracker.retune(options.tracker.clone());
        self.court.ignore.set_listed(options.ignore.clone());
        self.court.ban_time = options.ban_time;
        self.court.ignore_own = options.ignore_own;
        self.court.set_enforced(options.enforced);
        self.options = options.clone();
        Ok(())
    }

    /// What the store has to learn beyond the effects, since the last call.
    pub fn take_changes(&mut self) -> Changes {
        let state = self.filter.as_mut().and_then(|filter| filter.state_changed().then(|| filter.state()));
        Changes { counters: self.court.tracker.take_dirty(), state }
    }

    /// What a firewall should enforce, with the time that remains (none: for ever).
    pub fn wanted(&self, now: UnixTime) -> Vec<(Subnet, Option<Duration>)> {
        self.court.roster.wanted(now).collect()
    }

    /// When the first ban ends.
    pub fn next_deadline(&self) -> Option<UnixTime> {
        self.court.roster.next_deadline()
    }

    /// What happened since the start.
    pub fn totals(&self) -> Totals {
        Totals { evicted: self.court.tracker.evicted(), ..self.court.totals }
    }

    /// How many addresses are being counted.
    pub fn failed_now(&self) -> usize {
        self.court.tracker.len()
    }

    /// How many bans are in force.
    pub fn banned_now(&self) -> usize {
        self.court.roster.in_force()
    }

    /// The failures counted of `id`, if any.
    pub fn counted(&self, id: &Id) -> Option<Record> {
        self.court.tracker.get(id)
    }

    /// All that is counted.
    pub fn counters(&self) -> impl Iterator<Item = (Id, Record)> {
        self.court.tracker.records()
    }

    /// All bans, in the order of banning.
    pub fn bans(&self) -> impl Iterator<Item = Banned> {
        self.court.roster.iter()
    }

    /// Everybody banned, in the order of banning.
    pub fn ids(&self) -> impl Iterator<Item = Id> {
        self.court.roster.ids()
    }

    /// The bans that shut `id` out: its own, then those of prefixes around it.
    pub fn covering(&self, id: &Id) -> Vec<Banned> {
        self.court.roster.covering(id)
    }

    /// The ban of exactly `id`.
    pub fn banned(&self, id: &Id) -> Option<Ban> {
        self.court.roster.get(id).map(|banned| banned.ban)
    }

    /// Whether the firewall owes an answer, or has refused something.
    pub fn unanswered(&self) -> bool {
        self.court.roster.in_force() < self.court.roster.len()
    }

    /// What the firewall has not confirmed, with the time that remains (none: for ever).
    pub fn unanswered_elements(&self, now: UnixTime) -> impl Iterator<Item = (Subnet, Option<Duration>)> {
        self.court.roster.unanswered(now)
    }

    /// Bans that the firewall refused, with its reason.
    pub fn not_enforced(&self) -> impl Iterator<Item = (Id, Arc<str>)> {
        self.court.roster.refused()
    }

    /// A pattern of the filter as it was written.
    pub fn pattern_text(&self, index: usize) -> &str {
        self.filter.as_ref().map_or("", |filter| filter.pattern_text(index))
    }
}

#[cfg(test)]
mod tests;
