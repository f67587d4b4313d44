//! Which commands of an action run when: start on demand, check and repair, flush, stop (SPEC §5.1).
//!
//! Pure: the caller runs the commands. In: a [`Task`] and a function that runs one command and says how it went.
//! Out: a [`Verdict`]. One [`Machine`] for each action of each jail. The shell around it is [`crate::actor::action`].

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Definition;
use super::template::{Family, TemplateError, Ticket, asks, expand};
use crate::time::UnixTime;

/// What is asked of an action. Those about a ban come with its ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// The jail starts.
    Start,
    /// Ban.
    Ban,
    /// Ban again, after the environment was repaired.
    Reban,
    /// A ban ends later now.
    Prolong,
    /// Let in.
    Unban,
    /// Let everybody in.
    Flush,
    /// See whether the environment is as it should be.
    Check,
    /// The jail's options have changed.
    Reload,
    /// The jail stops.
    Stop,
}

impl Task {
    /// As a log line says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Ban => "ban",
            Self::Reban => "reban",
            Self::Prolong => "prolong",
            Self::Unban => "unban",
            Self::Flush => "flush",
            Self::Check => "check",
            Self::Reload => "reload",
            Self::Stop => "stop",
        }
    }
}

/// A command that is to be run now.
#[derive(Debug)]
pub struct Command<'a> {
    /// Its property, such as `actionban`.
    pub what: &'static str,
    /// What the configuration makes of it.
    pub text: &'a str,
    /// What it can learn.
    pub ticket: &'a Ticket,
}

/// Runs a command; an error is a few words for the operator.
pub type Run<'a> = &'a mut dyn FnMut(&Command<'_>) -> Result<(), String>;

/// What came of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it is done, or what went wrong.
    pub result: Result<(), String>,
    /// Whose environment was repaired: the other bans there are to be made again (Fail2Ban's "ban epoch").
    pub repaired: Vec<Scope>,
}

/// For whom an environment is: a family, or everybody.
pub type Scope = Option<Family>;

/// One action of one jail.
#[derive(Debug)]
pub struct Machine {
    definition: Arc<Definition>,
    /// The families that are started when the jail starts, if they are not started on demand.
    families: Vec<Scope>,
    on_demand: bool,
    conditional: bool,
    started: BTreeSet<Scope>,
    /// The families of which somebody was banned since the last flush.
    used: BTreeSet<Scope>,
    repaired: Vec<Scope>,
}

impl Definition {
    /// Whether there is such a command for this family.
    pub fn has(&self, what: &str, family: Option<Family>) -> bool {
        self.option(what, family).is_some_and(|text| !text.trim().is_empty())
    }

    /// Whether there is such a command for any family.
    pub fn has_any(&self, what: &str) -> bool {
        [None, Some(Family::Inet4), Some(Family::Inet6)].iter().any(|family| self.has(what, *family))
    }

    /// Whether a ban holds only once this action has confirmed it; else it only tells somebody.
    pub fn enforces(&self) -> bool {
        self.has_any("actionban") && self.has_any("actionunban")
    }
}

impl Machine {
    /// An action that has done nothing; `ipv6` when the host has it.
    pub fn new(definition: Arc<Definition>, ipv6: bool) -> Self {
        let conditional = definition.is_conditional();
        let families = match (conditional, ipv6) {
            (false, _) => vec![None],
            (true, false) => vec![Some(Family::Inet4)],
            (true, true) => vec![Some(Family::Inet4), Some(Family::Inet6)],
        };
        Self {
            on_demand: definition.flag("actionstart_on_demand").unwrap_or(conditional),
            definition,
            families,
            conditional,
            started: BTreeSet::new(),
            used: BTreeSet::new(),
            repaired: Vec::new(),
        }
    }

    /// Does what is asked, by as many commands as it takes.
    pub fn perform(&mut self, task: Task, ticket: &Ticket, now: UnixTime, run: Run<'_>) -> Verdict {
        let work = &mut Work { ticket, now, run };
        let result = match task {
            Task::Start => self.start_all(work),
            Task::Reban if self.definition.has("actionreban", ticket.family()) => {
                self.ban("actionreban", work)
            }
            Task::Ban | Task::Reban => self.ban("actionban", work),
            Task::Prolong => self.ban("actionprolong", work),
            Task::Unban => self.unban(work),
            Task::Flush => self.each(self.used.clone(), "actionflush", work).map(|()| self.used.clear()),
            Task::Check => self.check_all(work),
            Task::Reload => self.each(self.living(), "actionreload", work),
            Task::Stop => {
                let result = self.each(self.living(), "actionstop", work);
                self.started.clear();
                self.used.clear();
                result
            }
        };
        Verdict { result, repaired: std::mem::take(&mut self.repaired) }
    }

    /// Scopes that have something to stop.
    fn living(&self) -> BTreeSet<Scope> {
        self.started.union(&self.used).copied().collect()
    }

    /// The environment that a ban of this family needs. Who has no family is banned in that of IPv4.
    fn scope(&self, family: Option<Family>) -> Scope {
        self.conditional.then(|| family.unwrap_or(Family::Inet4))
    }

    fn start_all(&mut self, work: &mut Work<'_>) -> Result<(), String> {
        if self.on_demand {
            return Ok(());
        }
        self.families.clone().into_iter().try_for_each(|scope| self.start(scope, work))
    }

    /// Starts an environment if it is not started. One that cannot be started but passes the check is there already:
    /// an earlier run of the program has left it.
    fn start(&mut self, scope: Scope, work: &mut Work<'_>) -> Result<(), String> {
        if self.started.contains(&scope) {
            return Ok(());
        }
        let text = self.text("actionstart", scope)?;
        let same = |other: &Scope| self.text("actionstart", *other).is_ok_and(|other| other == text);
        let done = text.trim().is_empty()
            || (!asks(&text, "family") && self.started.iter().any(same))
            || match work.run("actionstart", &text, scope) {
                Ok(()) => true,
                Err(why) if !self.definition.has("actioncheck", scope) => return Err(why),
                Err(why) => self.check(scope, work).map(|()| true).map_err(|_| why)?,
            };
        if done {
            self.started.insert(scope);
        }
        Ok(())
    }

    fn ban(&mut self, what: &'static str, work: &mut Work<'_>) -> Result<(), String> {
        let family = work.ticket.family();
        if !self.definition.has(what, family) {
            return Ok(());
        }
        let scope = self.scope(family);
        if let Err(why) = self.start(scope, work)
            && self.conditional
        {
            return Err(why);
        }
        self.used.insert(family);
        self.attempt(what, scope, true, work)
    }

    fn unban(&mut self, work: &mut Work<'_>) -> Result<(), String> {
        let family = work.ticket.family();
        if !self.definition.has("actionunban", family) || !self.used.contains(&family) {
            return Ok(());
        }
        let repair = self.definition.flag("actionrepair_on_unban").unwrap_or(false);
        self.attempt("actionunban", self.scope(family), repair, work)
    }

    /// Runs a command about a ban. When it fails, the environment is checked, repaired if need be, and it is run once
    /// more.
    fn attempt(
        &mut self,
        what: &'static str,
        scope: Scope,
        repair: bool,
        work: &mut Work<'_>,
    ) -> Result<(), String> {
        let text = self.text(what, work.ticket.family())?;
        let Err(why) = work.run_about_ban(what, &text) else { return Ok(()) };
        if self.definition.has("actioncheck", scope) && self.check(scope, work).is_err() {
            if !repair {
                return Err(format!("{why}, and the check of its environment fails"));
            }
            self.repair(scope, work)?;
        }
        work.run_about_ban(what, &text)
    }

    fn check(&self, scope: Scope, work: &mut Work<'_>) -> Result<(), String> {
        let text = self.text("actioncheck", scope)?;
        work.run("actioncheck", &text, scope)
    }

    fn check_all(&mut self, work: &mut Work<'_>) -> Result<(), String> {
        let mut result = Ok(());
        for scope in self.started.clone() {
            if self.definition.has("actioncheck", scope) && self.check(scope, work).is_err() {
                result = result.and(self.repair(scope, work));
            }
        }
        result
    }

    /// Puts an environment right that fails the check.
    fn repair(&mut self, scope: Scope, work: &mut Work<'_>) -> Result<(), String> {
        self.repaired.push(scope);
        let repaired = if self.definition.has("actionrepair", scope) {
            let text = self.text("actionrepair", scope)?;
            work.run("actionrepair", &text, scope)
        } else {
            let stop = self.text("actionstop", scope)?;
            if !stop.trim().is_empty() {
                // What is broken may not be there to be stopped.
                let _ = work.run("actionstop", &stop, scope);
            }
            let start = self.text("actionstart", scope)?;
            // Whether that helped is for the check to say.
            let _ = if start.trim().is_empty() { Ok(()) } else { work.run("actionstart", &start, scope) };
            Ok(())
        };
        let outcome = repaired.and_then(|()| self.check(scope, work));
        if outcome.is_ok() {
            self.started.insert(scope);
        } else {
            self.started.remove(&scope);
        }
        outcome.map_err(|why| format!("its environment cannot be restored: {why}"))
    }

    /// Runs a command for each of these scopes; what is the same for several runs once, unless it fails.
    fn each(&self, scopes: BTreeSet<Scope>, what: &'static str, work: &mut Work<'_>) -> Result<(), String> {
        let mut done: Vec<String> = Vec::new();
        let mut result = Ok(());
        for scope in scopes {
            let outcome = match self.text(what, scope) {
                Ok(text) if text.trim().is_empty() || done.contains(&text) => Ok(()),
                Ok(text) => {
                    let outcome = work.run(what, &text, scope);
                    if outcome.is_ok() && !asks(&text, "family") {
                        done.push(text);
                    }
                    outcome
                }
                Err(error) => Err(error),
            };
            result = result.and(outcome);
        }
        result
    }

    fn text(&self, what: &str, family: Option<Family>) -> Result<String, String> {
        expand(&self.definition, what, family).map_err(|error: TemplateError| error.to_string())
    }
}

/// What the commands of one task share.
struct Work<'a> {
    ticket: &'a Ticket,
    now: UnixTime,
    run: Run<'a>,
}

impl Work<'_> {
    fn run_about_ban(&mut self, what: &'static str, text: &str) -> Result<(), String> {
        (self.run)(&Command { what, text, ticket: self.ticket })
    }

    /// Runs a command that is about no ban.
    fn run(&mut self, what: &'static str, text: &str, family: Option<Family>) -> Result<(), String> {
        let ticket = Ticket {
            family,
            time: self.now,
            ban_time: self.ticket.ban_time,
            jail: self.ticket.jail.clone(),
            host: self.ticket.host.clone(),
            ..Ticket::default()
        };
        (self.run)(&Command { what, text, ticket: &ticket })
    }
}

#[cfg(test)]
mod tests;
