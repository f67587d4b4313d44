//! Failures that wait until somebody outside has answered: whose addresses a host name has, whom the operator's
//! command wants ignored.
//!
//! Pure. The failure waits, the lines behind it do not. Who waits is saved with the cursor, and asked about again after
//! a restart. An answer that does not come in time counts as none: a name without addresses, a command that wants nothing.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::court::Court;
use super::{Answer, Effect, Inquiry, Question};
use crate::id::Id;
use crate::ignore::Decision;
use crate::subnet::Subnet;
use crate::time::UnixTime;

/// How long a failure waits for the addresses of a name.
const NAME_PATIENCE: Duration = Duration::from_secs(20);
/// How long for a command, which is killed before that.
pub const COMMAND_PATIENCE: Duration = Duration::from_secs(90);
/// So many failures wait at once, …
const HELD: usize = 1000;
/// … of so many bytes. Those past it are judged as if nobody had answered.
const HELD_BYTES: usize = 1 << 20;
/// Of a failure that waits, a line is cut behind so many bytes …
const LINE_HELD: usize = 2048;
/// … and so many lines are kept.
const LINES_HELD: usize = 20;

/// A failure on its way to be counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Failed {
    pub(super) id: Id,
    pub(super) time: UnixTime,
    pub(super) lines: Vec<Arc<str>>,
    pub(super) data: Arc<[(Arc<str>, SmolStr)]>,
}

/// What a failure waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Wait {
    /// The addresses of the host name that failed.
    Host,
    /// Those of the names that are ignored.
    Names,
    /// The command's word.
    Command,
}

#[derive(Debug)]
struct Held {
    number: u64,
    since: UnixTime,
    wait: Wait,
    failed: Failed,
}

/// A waiting failure as it is saved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SavedHeld {
    wait: Wait,
    failed: Failed,
}

/// The failures that wait, oldest first.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    held: VecDeque<Held>,
    bytes: usize,
    next: u64,
    /// Names that were asked for, so that each is asked for once.
    asked: BTreeSet<Arc<str>>,
    changed: bool,
}

impl Held {
    fn deadline(&self) -> UnixTime {
        self.since + if self.wait == Wait::Command { COMMAND_PATIENCE } else { NAME_PATIENCE }
    }
}

impl Waiting {
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// When the first has waited long enough.
    pub(super) fn deadline(&self) -> Option<UnixTime> {
        self.held.iter().map(Held::deadline).min()
    }

    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    pub(super) fn saved(&self) -> Vec<SavedHeld> {
        self.held.iter().map(|held| SavedHeld { wait: held.wait, failed: held.failed.clone() }).collect()
    }

    /// Keeps a failure, and its number; gives it back when there is no room.
    fn hold(&mut self, wait: Wait, mut failed: Failed, since: UnixTime) -> Result<u64, Failed> {
        let size = failed.size();
        if self.held.len() >= HELD || self.bytes + size > HELD_BYTES {
            return Err(failed);
        }
        failed.cut();
        self.bytes += failed.size();
        self.changed = true;
        self.next += 1;
        self.held.push_back(Held { number: self.next, since, wait, failed });
        Ok(self.next)
    }

    /// Takes out the failures of which this says so.
    fn take(&mut self, mut goes: impl FnMut(&Held) -> bool) -> Vec<Held> {
        let (gone, kept) =
            std::mem::take(&mut self.held).into_iter().partition::<Vec<_>, _>(|held| goes(held));
        self.held = kept.into();
        self.bytes -= gone.iter().map(|held| held.failed.size()).sum::<usize>();
        self.changed |= !gone.is_empty();
        gone
    }
}

impl Failed {
    fn size(&self) -> usize {
        let lines = self.lines.iter().map(|line| line.len().min(LINE_HELD) + 16);
        let data = self.data.iter().map(|(name, value)| name.len() + value.len() + 16);
        128 + lines.rev().take(LINES_HELD).sum::<usize>() + data.sum::<usize>()
    }

    fn cut(&mut self) {
        self.lines.drain(..self.lines.len().saturating_sub(LINES_HELD));
        for line in self.lines.iter_mut().filter(|line| line.len() > LINE_HELD) {
            let end = (0..=LINE_HELD).rev().find(|end| line.is_char_boundary(*end)).unwrap_or(0);
            *line = line[..end].into();
        }
    }
}

impl Court {
    /// A host name failed: so have all its addresses, once they are known.
    pub(super) fn fail_name(&mut self, failed: Failed, now: UnixTime, effects: &mut Vec<Effect>) {
        let Id::Text(name) = &failed.id else { return self.fail(failed, now, effects) };
        let name = Arc::clone(name);
        if let Some(addresses) = self.names.get(&name, now) {
            let addresses = addresses.to_vec();
            return self.fail_addresses(&failed, &addresses, now, effects);
        }
        if self.waiting.hold(Wait::Host, failed, now).is_ok() {
            self.ask(name, effects);
        }
    }

    fn fail_addresses(
        &mut self,
        failed: &Failed,
        addresses: &[IpAddr],
        now: UnixTime,
        effects: &mut Vec<Effect>,
    ) {
        for address in addresses {
            let id = Id::Net(Subnet::from(*address));
            self.fail(Failed { id, ..failed.clone() }, now, effects);
        }
    }

    /// Goes on with a failure that no rule at hand ignores: asks outside, or counts. It waits since then.
    pub(super) fn ask_outside(
        &mut self,
        failed: Failed,
        since: UnixTime,
        now: UnixTime,
        effects: &mut Vec<Effect>,
    ) {
        let (mut by, mut unknown) = (None, Vec::new());
        if let Some(net) = failed.id.net() {
            for name in &self.options.ignore.names {
                match self.names.get(name, now) {
                    Some(addresses) if addresses.iter().any(|address| net.contains(&(*address).into())) => {
                        by = Some(Arc::clone(name));
                        break;
                    }
                    Some(_) => {}
                    None => unknown.push(Arc::clone(name)),
                }
            }
        }
        if by.is_some() {
            return self.decided(failed, by, now, effects);
        }
        if unknown.is_empty() {
            return self.ask_command(failed, now, effects);
        }
        match self.waiting.hold(Wait::Names, failed, since) {
            Ok(_) => unknown.into_iter().for_each(|name| self.ask(name, effects)),
            Err(failed) => self.decided(failed, None, now, effects),
        }
    }

    fn ask_command(&mut self, failed: Failed, now: UnixTime, effects: &mut Vec<Effect>) {
        let Some(command) = self.options.ignore.command.clone() else {
            return self.decided(failed, None, now, effects);
        };
        let Failed { id, time, lines, data } = failed.clone();
        let data = data.iter().map(|(name, value)| (Arc::clone(name), value.to_string())).collect();
        match self.waiting.hold(Wait::Command, failed, now) {
            Ok(number) => {
                let inquiry = Inquiry { number, command, id, time, lines, data };
                effects.push(Effect::Consult(Question::Command(Box::new(inquiry))));
            }
            Err(failed) => self.decided(failed, None, now, effects),
        }
    }

    fn ask(&mut self, name: Arc<str>, effects: &mut Vec<Effect>) {
        if self.waiting.asked.insert(Arc::clone(&name)) {
            effects.push(Effect::Consult(Question::Name(name)));
        }
    }

    /// Everything is known: the failure is ignored by this rule, or counted.
    pub(super) fn decided(&mut self, failed: Failed, by: Decision, now: UnixTime, effects: &mut Vec<Effect>) {
        if let Some(cache) = &mut self.cache {
            let key = cache.key(&failed.id, &failed.data);
            cache.put(key, by.clone(), now);
        }
        match by {
            Some(rule) => self.ignore_failure(failed.id, rule, effects),
            None => self.count(&failed, now, effects),
        }
    }

    /// What the world says; an answer that nobody waits for any more is passed over.
    pub(super) fn answer(&mut self, answer: Answer, now: UnixTime, effects: &mut Vec<Effect>) {
        match answer {
            Answer::Addresses(name, addresses) => {
                self.waiting.asked.remove(&name);
                self.names.learn(Arc::clone(&name), addresses, now);
                let of_it = |held: &Held| match held.wait {
                    Wait::Host => matches!(&held.failed.id, Id::Text(text) if *text == name),
                    Wait::Names => true,
                    Wait::Command => false,
                };
                for held in self.waiting.take(of_it) {
                    self.go_on(held, now, effects);
                }
            }
            Answer::Ignore(number, ignore) => {
                for held in self.waiting.take(|held| held.number == number && held.wait == Wait::Command) {
                    let by = ignore.then(|| "command".into());
                    self.decided(held.failed, by, now, effects);
                }
            }
        }
    }

    fn go_on(&mut self, held: Held, now: UnixTime, effects: &mut Vec<Effect>) {
        match held.wait {
            Wait::Host => self.fail_name(held.failed, now, effects),
            Wait::Names => self.ask_outside(held.failed, held.since, now, effects),
            Wait::Command => self.ask_command(held.failed, now, effects),
        }
    }

    /// Judges those who have waited long enough without an answer.
    pub(super) fn lose_patience(&mut self, now: UnixTime, effects: &mut Vec<Effect>) {
        // A clock that was set back must not make anybody wait for ever.
        let overdue = |held: &Held| now > held.deadline() || held.since > now + COMMAND_PATIENCE;
        if !self.waiting.held.iter().any(overdue) {
            return;
        }
        for held in self.waiting.take(overdue) {
            match held.wait {
                Wait::Host => {
                    if let Id::Text(name) = &held.failed.id {
                        self.waiting.asked.remove(name);
                    }
                }
                Wait::Names => {
                    self.waiting.asked.clear();
                    self.ask_command(held.failed, now, effects);
                }
                Wait::Command => self.decided(held.failed, None, now, effects),
            }
        }
    }

    /// Failures that waited when the program ended wait anew.
    pub(super) fn restore_waiting(
        &mut self,
        saved: Vec<SavedHeld>,
        now: UnixTime,
        effects: &mut Vec<Effect>,
    ) {
        for SavedHeld { wait, failed } in saved.into_iter().take(HELD) {
            match wait {
                Wait::Host => self.fail_name(failed, now, effects),
                Wait::Names | Wait::Command => self.fail(failed, now, effects),
            }
        }
    }
}
