//! One jail: ignore list, filter, tracker and roster: the same code for the daemon and for `stockade test`.
//!
//! Pure: no clock, no I/O. In: lines, expiries, an operator's wishes, the firewall's word.
//! Out: [`Effect`]s, which [`crate::actor::jail`] turns into messages and log lines.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::filter::{Filter, FilterError, FilterOptions, Outcome, Reading};
use crate::id::Id;
use crate::ignore::{IgnoreList, Rule};
use crate::roster::{self, Banned, Roster, State};
use crate::sentence::Sentence;
use crate::subnet::Subnet;
use crate::time::UnixTime;
use crate::tracker::{Offence, Record, Tracker, TrackerOptions};

/// A longer text is not counted: the log chose it, and every ban of it is kept and told on.
const TEXT_CAP: usize = 1024;
/// After a restart no counter is thought stale for so long at most: lines written meanwhile may belong to it.
const CATCH_UP: Duration = Duration::from_secs(3600);
const NOT_AN_ADDRESS: &str = "it is no address, and a firewall bans only addresses";

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

/// Why somebody is let in again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Release {
    /// The ban's time is over.
    Expired,
    /// An operator said so.
    Operator,
}

/// A ban as decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Ban {
    /// Who.
    pub id: Id,
    /// The last failure (or the operator's moment): the ban counts from here.
    pub time: UnixTime,
    /// How long.
    pub sentence: Sentence,
    /// How often this address has been banned in this jail, this time included.
    pub count: u32,
    /// Failures that led to it; 0 for a manual ban.
    pub failures: u32,
    /// The lines that led to it.
    pub lines: Vec<Arc<str>>,
    /// What the first failure's pattern named.
    pub data: Vec<(Arc<str>, String)>,
    /// Whether it was read from the store and not newly decided.
    pub restored: bool,
}

impl Ban {
    /// When it ends; none: never.
    pub fn until(&self) -> Option<UnixTime> {
        self.sentence.0.map(|span| self.time + span)
    }
}

/// What a jail wants done or said.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Say: this address failed at this time.
    Found(Id, UnixTime),
    /// Say: it failed and is ignored by this rule.
    Ignored(Id, Arc<str>),
    /// Firewall: block. Store: remember. Timer: wake at the end.
    Ban(Ban),
    /// Firewall, store, timer: an active ban ends later now (`Ban::until`).
    Prolong(Ban),
    /// Say: banned already since this moment, and still failing; the end did not move.
    Already(Id, UnixTime),
    /// Say: the ban would be over already.
    Expired(Id),
    /// Say: the firewall has confirmed; the flag tells a restored ban.
    Enforced(Id, bool),
    /// Say: the firewall refused, with its reason.
    NotEnforced(Id, Arc<str>),
    /// Firewall: unblock. Store: forget, if an operator said so. Say it.
    Unban(Id, Release),
}

/// What a line was.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// No pattern matched.
    Nothing,
    /// A pattern matched, and so did this ignore pattern (from 0).
    Excluded(usize),
    /// This pattern (from 0) matched, but it alone is no failure.
    Pending(usize),
    /// It matched, but is too old or has no usable date.
    TooOld,
    /// Neither engine could decide.
    Undecided,
    /// A failure; the effects tell what follows from it.
    Failed {
        /// Which pattern matched, from 0.
        pattern: usize,
        /// Who failed.
        id: Id,
        /// When.
        time: UnixTime,
    },
}

/// What happened since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Lines read.
    pub lines: u64,
    /// Failures counted.
    pub failed: u64,
    /// Failures of ignored addresses.
    pub ignored: u64,
    /// Lines that neither engine could decide.
    pub undecided: u64,
    /// Counters given up for lack of room.
    pub evicted: u64,
    /// Bans, restored ones included.
    pub banned: u64,
}

/// Why an operator's ban is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BanRefusal {
    /// It would hit an address that is ignored.
    Ignored(Id, Rule),
    /// A firewall cannot ban it.
    NotAnAddress(Id),
}

impl fmt::Display for BanRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ignored(id, Rule::Listed(rule)) => write!(f, "{id} is ignored by `{rule}`"),
            Self::Ignored(Id::Net(net), rule) if !net.is_single() => write!(f, "{net} is too wide: {rule}"),
            Self::Ignored(_, rule) => rule.fmt(f),
            Self::NotAnAddress(id) => write!(f, "`{id}` is no address, and the jail has a firewall"),
        }
    }
}

impl std::error::Error for BanRefusal {}

/// A jail at work.
#[derive(Debug)]
pub struct Jail {
    options: JailOptions,
    filter: Option<Filter>,
    core: Core,
}

/// All of it but the filter.
#[derive(Debug)]
struct Core {
    tracker: Tracker,
    roster: Roster,
    ignore: IgnoreList,
    totals: Totals,
    ban_time: Sentence,
    ignore_own: bool,
    enforced: bool,
    /// Before this moment counters may be older than they look.
    clean_from: Option<UnixTime>,
}

impl Jail {
    /// A jail that has seen nothing.
    ///
    /// # Errors
    /// All that is wrong with its filter.
    pub fn new(options: &JailOptions) -> Result<Self, Vec<FilterError>> {
        let filter = options.filter.as_ref().map(Filter::new).transpose()?;
        let core = Core {
            tracker: Tracker::new(options.tracker.clone()),
            roster: Roster::new(),
            ignore: IgnoreList::new(options.ignore.clone()),
            totals: Totals::default(),
            ban_time: options.ban_time,
            ignore_own: options.ignore_own,
            enforced: options.enforced,
            clean_from: None,
        };
        Ok(Self { options: options.clone(), filter, core })
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
        let core = &mut self.core;
        core.clean_from = Some(now + self.options.tracker.find_time.min(CATCH_UP));
        core.tracker.restore(counters);
        let mut effects = Vec::new();
        for mut ban in bans {
            ban.restored = true;
            // With the same ban time no ban ends later than this, however often it was prolonged.
            let latest = core.ban_time.0.map(|span| now + span);
            if ban.failures > 0 && latest.is_some_and(|latest| ban.until().is_none_or(|until| until > latest))
            {
                ban.sentence = ban.sentence.at_most(core.ban_time);
            }
            ban.lines.drain(..ban.lines.len().saturating_sub(self.options.tracker.max_matches));
            match core.ignored_by(&ban.id) {
                Some(rule) => effects.push(Effect::Ignored(ban.id, rule)),
                None if ban.until().is_some_and(|until| until < now) => {}
                None => core.ban(ban, now, &mut effects),
            }
        }
        effects
    }

    /// Judges one line (without its end) and counts the failure that it may be.
    pub fn on_line(&mut self, line: &[u8], at: &Reading, effects: &mut Vec<Effect>) -> Verdict {
        self.core.totals.lines += 1;
        let Some(filter) = &mut self.filter else { return Verdict::Nothing };
        let outcome = filter.line(line, at);
        self.core.take(outcome, at.now, effects)
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
        let core = &mut self.core;
        let lines = |text: &[u8]| memchr::memchr_iter(b'\n', text).count() as u64;
        if let Some(filter) = &mut self.filter {
            filter.block(text, at, &mut |line, outcome| {
                begin();
                core.take(outcome, at.now, effects);
                let inside = line.as_ptr().addr() - text.as_ptr().addr() + line.len();
                let end = memchr::memchr(b'\n', &text[inside..]).map_or(text.len(), |end| inside + end + 1);
                core.totals.lines += lines(&text[*done..end]);
                *done = end;
            });
        }
        core.totals.lines += lines(&text[*done..]);
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
        self.core.attempt(id, time, lines, data, now, effects);
    }

    /// Lets in whose time is over, and forgets whose failures are too old to count.
    pub fn expire(&mut self, now: UnixTime, effects: &mut Vec<Effect>) {
        self.core.release(now, effects);
        if self.core.clean_from.is_none_or(|from| from <= now) {
            self.core.clean_from = None;
            self.core.tracker.cleanup(now);
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
        if self.core.unfit(&id) {
            return Err(BanRefusal::NotAnAddress(id));
        }
        if let Some(rule) = self.core.ignore.check(&id).filter(|_| !force) {
            return Err(BanRefusal::Ignored(id, rule));
        }
        let ban = Ban {
            id,
            time: now,
            sentence: sentence.unwrap_or(self.core.ban_time),
            count: 1,
            failures: 0,
            lines: Vec::new(),
            data: Vec::new(),
            restored: false,
        };
        let mut effects = Vec::new();
        self.core.ban(ban, now, &mut effects);
        Ok(effects)
    }

    /// Lets in as the operator says: `id`, or if that is a prefix that is not banned itself, all banned inside.
    /// Failures counted since stay counted.
    pub fn unban(&mut self, id: &Id) -> Vec<Effect> {
        let roster = &mut self.core.roster;
        let inside = || id.net().map(|prefix| roster.inside(prefix)).unwrap_or_default();
        let all = if roster.get(id).is_some() { vec![id.clone()] } else { inside() };
        all.into_iter().filter(|id| roster.unban(id)).map(|id| Effect::Unban(id, Release::Operator)).collect()
    }

    /// Lets everybody in as the operator says.
    pub fn unban_all(&mut self) -> Vec<Effect> {
        let roster = std::mem::take(&mut self.core.roster);
        roster.ids().map(|id| Effect::Unban(id, Release::Operator)).collect()
    }

    /// The firewall's word about a ban; it is passed on once for each ban, and when it changes.
    pub fn acknowledge(&mut self, net: Subnet, answer: Result<(), Arc<str>>, effects: &mut Vec<Effect>) {
        self.core.acknowledge(&Id::Net(net), answer, effects);
    }

    /// Replaces the host's own addresses.
    pub fn set_own(&mut self, own: Vec<Subnet>) {
        self.core.ignore.set_own(own);
    }

    /// Replaces the addresses of default gateways.
    pub fn set_gateways(&mut self, gateways: Vec<Subnet>) {
        self.core.ignore.set_gateways(gateways);
    }

    /// Replaces what the ignore list's files hold, each with the file it is from.
    pub fn set_ignore_file(&mut self, rules: Vec<(Subnet, Arc<str>)>) {
        self.core.ignore.set_file(rules);
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
        self.core.tracker.retune(options.tracker.clone());
        self.core.ignore.set_listed(options.ignore.clone());
        self.core.ban_time = options.ban_time;
        self.core.ignore_own = options.ignore_own;
        self.core.set_enforced(options.enforced);
        self.options = options.clone();
        Ok(())
    }

    /// What the store has to learn beyond the effects: counters, and the filter's state if it has changed.
    pub fn take_changes(&mut self) -> (Vec<(Id, Option<Record>)>, Option<Vec<u8>>) {
        let state = self.filter.as_mut().and_then(|filter| filter.state_changed().then(|| filter.state()));
        (self.core.tracker.take_dirty(), state)
    }

    /// What a firewall should enforce, with the time that remains (none: for ever).
    pub fn wanted(&self, now: UnixTime) -> Vec<(Subnet, Option<Duration>)> {
        self.core.roster.wanted(now).collect()
    }

    /// When the first ban ends.
    pub fn next_deadline(&self) -> Option<UnixTime> {
        self.core.roster.next_deadline()
    }

    /// What happened since the start.
    pub fn totals(&self) -> Totals {
        Totals { evicted: self.core.tracker.evicted(), ..self.core.totals }
    }

    /// How many addresses are being counted.
    pub fn failed_now(&self) -> usize {
        self.core.tracker.len()
    }

    /// How many bans are in force.
    pub fn banned_now(&self) -> usize {
        self.core.roster.in_force()
    }

    /// The failures counted of `id`, if any.
    pub fn counted(&self, id: &Id) -> Option<Record> {
        self.core.tracker.get(id)
    }

    /// All bans, in the order of banning.
    pub fn bans(&self) -> impl Iterator<Item = Banned> {
        self.core.roster.iter()
    }

    /// The bans that shut `id` out: its own, then those of prefixes around it.
    pub fn covering(&self, id: &Id) -> Vec<Banned> {
        self.core.roster.covering(id)
    }

    /// The ban of exactly `id`.
    pub fn banned(&self, id: &Id) -> Option<Ban> {
        self.core.roster.get(id).map(|banned| banned.ban)
    }

    /// Whether the firewall owes an answer, or has refused something.
    pub fn unanswered(&self) -> bool {
        self.core.roster.in_force() < self.core.roster.len()
    }

    /// What the firewall has not confirmed, with the time that remains (none: for ever).
    pub fn unanswered_elements(&self, now: UnixTime) -> impl Iterator<Item = (Subnet, Option<Duration>)> {
        self.core.roster.unanswered(now)
    }

    /// Bans that the firewall refused, with its reason.
    pub fn not_enforced(&self) -> impl Iterator<Item = (Id, Arc<str>)> {
        self.core.roster.refused()
    }

    /// A pattern of the filter as it was written.
    pub fn pattern_text(&self, index: usize) -> &str {
        self.filter.as_ref().map_or("", |filter| filter.pattern_text(index))
    }
}

impl Core {
    fn take(&mut self, outcome: Outcome, now: UnixTime, effects: &mut Vec<Effect>) -> Verdict {
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

    fn attempt(
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

    fn ban(&mut self, ban: Ban, now: UnixTime, effects: &mut Vec<Effect>) {
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
                if !self.enforced {
                    self.acknowledge(&id, Ok(()), effects);
                }
            }
            roster::Verdict::Prolonged(ban) => effects.push(Effect::Prolong(ban)),
            roster::Verdict::Already(since) => effects.push(Effect::Already(id, since)),
            roster::Verdict::Expired => effects.push(Effect::Expired(id)),
        }
    }

    fn release(&mut self, now: UnixTime, effects: &mut Vec<Effect>) {
        while let Some(id) = self.roster.pop_due(now) {
            effects.push(Effect::Unban(id, Release::Expired));
        }
    }

    fn acknowledge(&mut self, id: &Id, answer: Result<(), Arc<str>>, effects: &mut Vec<Effect>) {
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
    fn unfit(&self, id: &Id) -> bool {
        self.enforced && id.net().is_none()
    }

    /// The rule by which `id` is not counted and not banned automatically.
    fn ignored_by(&self, id: &Id) -> Option<Arc<str>> {
        let rule = if self.ignore_own { self.ignore.check(id) } else { self.ignore.check_listed(id) }?;
        Some(match rule {
            Rule::Listed(rule) => rule,
            own => own.to_string().into(),
        })
    }

    /// With a firewall all bans wait for its word; without one they hold at once.
    fn set_enforced(&mut self, enforced: bool) {
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

#[cfg(test)]
mod tests;
