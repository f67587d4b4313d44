//! Decides whether a log line is a failure, whose, and when.
//!
//! Pure: no clock, no I/O; the caller passes a [`Reading`] with each line.
//! In: the bytes of one line without its end. Out: an [`Outcome`].
//! The caller is [`crate::jail::Jail`].
//!
//! A line meets, in this order: a scan for literals (`block`, with those that `prefilter` takes out of the patterns; whole
//! blocks at once), its date (`date`; mostly that of the line before), the head of the prefix (`head`), its first byte (`openings`), the patterns (`patterns`, `pattern`: first their `matcher`, then the engines that it gives up
//! to), the rules of time (`when`), and its connection (`session`). Patterns are written with `tags`, read by `syntax` and
//! put into the engines' own terms by `rewrite`.
//!
//! There are two judges, which share all of this: `native` for TOML jails, `fail2ban` for Fail2Ban's filters.

mod automaton;
mod block;
mod choices;
pub mod date;
mod fail2ban;
mod first;
mod head;
mod hits;
mod matcher;
mod native;
mod odd;
mod openings;
mod options;
mod outcome;
mod parts;
mod pattern;
mod patterns;
mod prefilter;
mod problem;
mod rewrite;
mod runs;
mod scan;
mod session;
mod sift;
mod syntax;
mod tags;
#[cfg(test)]
mod tests;
mod text;
mod when;

use std::sync::Arc;
use std::time::Duration;

pub use self::block::{Lines, Wanted, line_ends};
use self::choices::Choices;
use self::date::{Dates, TemplateUse, Zone};
pub use self::fail2ban::{
    Data, Dater, Datum, Entry, Hit, Judging, Looker, Looks, Plain, PrefixSays, Settled, Settler, Sheet,
    Splitter, Stages, Trial, Tries, Verdicts,
};
pub use self::hits::Hits;
use self::native::Native;
pub use self::odd::{Odd, Oddity};
pub use self::options::{Fail2Ban, FilterOptions, UseDns};
pub use self::outcome::{Failure, Outcome, Reading};
use self::pattern::Effort;
use self::patterns::Patterns;
pub use self::problem::FilterError;
use self::problem::Problem;
use self::scan::Scan;
pub use self::scan::{Scanner, Union};
use self::syntax::Dialect;
use crate::time::UnixTime;

/// A compiled filter, with what it remembers of the lines before.
#[derive(Debug)]
pub struct Filter {
    /// Its own patterns, then those of the supplement.
    texts: Vec<String>,
    own: usize,
    judge: Judge,
    supplement: Option<Box<Filter>>,
    /// Finds the lines of a block that may mean something to either of them.
    scan: Option<Arc<Scan>>,
    /// Used again for each block.
    spare: (Vec<u32>, Hits),
}

#[derive(Debug)]
enum Judge {
    Native(Box<Native>),
    Fail2Ban(Box<fail2ban::Judge>),
}

impl Judge {
    /// The texts of which each line that means something has one, in the line as it came but for its date.
    fn scanned(&self) -> Option<&Choices> {
        let patterns = self.scanned_patterns()?;
        patterns.literals.as_ref().and(patterns.choices.as_ref())
    }

    /// One line is enough for each of them.
    fn scanned_patterns(&self) -> Option<&Patterns> {
        match self {
            Self::Native(native) => Some(&native.patterns),
            Self::Fail2Ban(judge) if judge.spans_lines() => None,
            Self::Fail2Ban(judge) => Some(&judge.patterns),
        }
    }
}

/// A pattern of a TOML jail needs one of these groups to say who failed, or a prefix that has one …
const WHO: [&str; 4] = ["ip4", "ip6", "fid", "mlfid"];
/// … and one of Fail2Ban one of these.
const FAIL2BAN_WHO: [&str; 5] = ["ip4", "ip6", "dns", "fid", "mlfid"];

impl Filter {
    /// Compiles a filter; dates without a zone are of this host's.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn new(options: &FilterOptions) -> Result<Self, Vec<FilterError>> {
        Self::with_zone(options, Zone::system())
    }

    /// Compiles a filter; dates without a zone are of `zone`.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn with_zone(options: &FilterOptions, zone: Zone) -> Result<Self, Vec<FilterError>> {
        Self::compile(options, zone, None)
    }

    /// For commands that reproduce Fail2Ban on an old log: what it can decide is decided, however long that takes, and
    /// `year` is the one of the clock, whatever the moment that they pass as now.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn for_replay(options: &FilterOptions, zone: Zone, year: i64) -> Result<Self, Vec<FilterError>> {
        let mut filter = Self::compile(options, zone, Some(year))?;
        match &mut filter.judge {
            Judge::Native(native) => native.patterns.effort = Effort::Patient,
            Judge::Fail2Ban(judge) => judge.patterns.effort = Effort::Patient,
        }
        Ok(filter)
    }

    fn compile(options: &FilterOptions, zone: Zone, year: Option<i64>) -> Result<Self, Vec<FilterError>> {
        let judge = match &options.fail2ban {
            None => {
                let read =
                    |text: &str, _| pattern::read(&tags::fragments(text, &options.define)?, Dialect::Bytes);
                let patterns = Patterns::new(options, &WHO, &read)?;
                Judge::Native(Box::new(Native::new(patterns, Dates::new(zone.clone()))))
            }
            Some(own) => {
                let read = |text: &str, spans| {
                    let multi_line = spans && own.max_lines > 1;
                    pattern::read(&tags::fail2ban::expand(text, own)?, Dialect::Python { multi_line })
                };
                let dates = Dates::fail2ban(&own.dates(zone.clone(), year));
                let dates = dates.map_err(|error| FilterError {
                    field: if matches!(error, date::DateError::Zone(_)) {
                        "logtimezone"
                    } else {
                        "datepattern"
                    },
                    index: None,
                    problem: error.into(),
                });
                match (Patterns::new(options, &FAIL2BAN_WHO, &read), dates) {
                    (Ok(patterns), Ok(dates)) => Judge::Fail2Ban(Box::new(fail2ban::Judge::new(
                        patterns,
                        dates,
                        zone.clone(),
                        options,
                        own,
                    ))),
                    (Ok(_), Err(error)) => return Err(vec![error]),
                    (Err(errors), dates) => return Err(errors.into_iter().chain(dates.err()).collect()),
                }
            }
        };
        let supplement = options.supplement.as_ref();
        let supplement =
            supplement.map(|first| Self::compile(first, zone, year).map(Box::new)).transpose()?;
        let more = options.supplement.iter().flat_map(|first| &first.patterns);
        let texts = options.patterns.iter().chain(more).cloned().collect();
        let choices = match &supplement {
            None => judge.scanned().cloned(),
            Some(first) => judge.scanned().zip(first.judge.scanned()).map(|(own, first)| own.or(first)),
        };
        let telling = judge.scanned_patterns().and_then(|patterns| patterns.choices_of_telling.clone());
        let scan = choices.and_then(|choices| Scan::new(choices, telling)).map(Arc::new);
        Ok(Self { texts, own: options.patterns.len(), judge, supplement, scan, spare: Default::default() })
    }

    /// Judges one line (without its end).
    pub fn line(&mut self, line: &[u8], at: &Reading) -> Outcome {
        self.line_at(line, None, at)
    }

    /// Judges one line (without its end) whose time is `known` better than by a date in it: none is looked for,
    /// nothing is cut out.
    pub fn line_at(&mut self, line: &[u8], known: Option<UnixTime>, at: &Reading) -> Outcome {
        if let Some(first) = &mut self.supplement {
            let outcome = first.line_at(line, known, at);
            if outcome != Outcome::Nothing {
                return outcome.of_later_pattern(self.own);
            }
        }
        match &mut self.judge {
            Judge::Native(native) => native.line(line, known, at),
            Judge::Fail2Ban(judge) => judge.line(line, known, at),
        }
    }

    /// Judges one line as [`Filter::line_at`] does, but for the rules of time: none is too old or too far away.
    /// Besides, its time, as far as it is known.
    pub fn examine(
        &mut self,
        line: &[u8],
        known: Option<UnixTime>,
        now: UnixTime,
    ) -> (Outcome, Option<UnixTime>) {
        match &mut self.judge {
            Judge::Native(native) => {
                let at = Reading { now, since: now, live: false, find_time: Duration::MAX };
                let outcome = native.line(line, known, &at);
                let time = if let Outcome::Failure(failure) = &outcome { Some(failure.time) } else { None };
                (outcome, time)
            }
            Judge::Fail2Ban(judge) => judge.examine(line, known, now),
        }
    }

    /// Has [`Filter::try_line`] tell what the prefix captured, also where nothing else matches.
    pub fn tell_prefix(&mut self) {
        if let Judge::Fail2Ban(judge) = &mut self.judge {
            judge.tell_prefix();
        }
    }

    /// Tries one line on the patterns as `fail2ban-regex` does. A filter of a TOML jail has nothing to say.
    pub fn try_line(&mut self, line: &[u8], known: Option<UnixTime>, now: UnixTime, tries: Tries) -> Trial {
        match &mut self.judge {
            Judge::Native(_) => Trial::default(),
            Judge::Fail2Ban(judge) => judge.try_line(line, known, now, tries),
        }
    }

    /// Taken apart, to judge the lines of a log; else as it was, if a line has to be judged as a whole before the next.
    ///
    /// # Errors
    /// The filter itself.
    pub fn into_judging(self, now: UnixTime) -> Result<Judging, Box<Self>> {
        self.apart(|judge| Judging::new(judge, now))
    }

    /// Taken apart, to try many lines as [`Filter::try_line`] tries each; else as it was, if a line has to be tried as a
    /// whole before the next.
    ///
    /// # Errors
    /// The filter itself.
    pub fn into_stages(self, now: UnixTime, tries: Tries) -> Result<Stages, Box<Self>> {
        self.apart(|judge| judge.into_stages(now, tries))
    }

    fn apart<T>(
        self,
        take: impl FnOnce(Box<fail2ban::Judge>) -> Result<T, Box<fail2ban::Judge>>,
    ) -> Result<T, Box<Self>> {
        match self.judge {
            Judge::Fail2Ban(judge) if self.supplement.is_none() => {
                take(judge).map_err(|judge| Box::new(Self { judge: Judge::Fail2Ban(judge), ..self }))
            }
            judge => Err(Box::new(Self { judge, ..self })),
        }
    }

    /// The templates of dates in the order in which they are tried now; none of a TOML jail.
    pub fn date_templates(&self) -> Vec<TemplateUse> {
        match &self.judge {
            Judge::Native(_) => Vec::new(),
            Judge::Fail2Ban(judge) => judge.date_templates(),
        }
    }

    /// Everything that the next verdict depends on.
    pub fn state(&self) -> Vec<u8> {
        match &self.supplement {
            None => self.own_state(),
            Some(first) => serde_json::to_vec(&(self.own_state(), first.state())).unwrap_or_default(),
        }
    }

    fn own_state(&self) -> Vec<u8> {
        match &self.judge {
            Judge::Native(native) => serde_json::to_vec(&native.memory).unwrap_or_default(),
            Judge::Fail2Ban(judge) => judge.state(),
        }
    }

    /// Goes on from a saved state; what is none begins anew.
    pub fn restore(&mut self, state: &[u8]) {
        let Some(first) = &mut self.supplement else { return self.restore_own(state) };
        // What was saved without a supplement is no pair.
        let (own, of_first): (Vec<u8>, Vec<u8>) = serde_json::from_slice(state).unwrap_or_default();
        first.restore(&of_first);
        self.restore_own(&own);
    }

    fn restore_own(&mut self, state: &[u8]) {
        match &mut self.judge {
            Judge::Native(native) => native.memory = serde_json::from_slice(state).unwrap_or_default(),
            Judge::Fail2Ban(judge) => judge.restore(state),
        }
    }

    /// Whether the state has changed since the last call.
    pub fn state_changed(&mut self) -> bool {
        let first = self.supplement.as_mut().is_some_and(|first| first.state_changed());
        let own = std::mem::take(match &mut self.judge {
            Judge::Native(native) => &mut native.changed,
            Judge::Fail2Ban(judge) => &mut judge.changed,
        });
        first || own
    }

    /// What was odd about the dates of lines, and was not said yet.
    pub fn take_odd(&mut self) -> Option<Odd> {
        match &mut self.judge {
            Judge::Native(native) => native.odd.take(),
            Judge::Fail2Ban(judge) => judge.odd.take(),
        }
    }

    /// A pattern as it was written; empty when there is no such pattern.
    pub fn pattern_text(&self, index: usize) -> &str {
        self.texts.get(index).map_or("", |text| text)
    }
}
