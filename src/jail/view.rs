//! What can be seen of a jail from outside, without moving it: for the firewall, the timer, `status` and listings.

use std::sync::Arc;
use std::time::Duration;

use super::{Ban, Futile, Jail, Masked, Totals};
use crate::id::Id;
use crate::roster::{Banned, State};
use crate::subnet::Subnet;
use crate::time::UnixTime;
use crate::tracker::Record;

impl Jail {
    /// What a firewall should enforce, with the time that remains (none: for ever).
    pub fn wanted(&self, now: UnixTime) -> Vec<(Subnet, Option<Duration>)> {
        let mut wanted = Vec::with_capacity(self.court.roster.len());
        wanted.extend(self.court.roster.wanted(now));
        wanted
    }

    /// As [`Jail::wanted`], of the bans that are new since this was asked with the same `told`.
    pub fn newly_wanted(
        &self,
        told: &mut usize,
        now: UnixTime,
    ) -> impl Iterator<Item = (Subnet, Option<Duration>)> {
        let roster = &self.court.roster;
        roster.wanted_behind(std::mem::replace(told, roster.end()), now)
    }

    /// When the first ban ends, or the first failure has waited long enough.
    pub fn next_deadline(&self) -> Option<UnixTime> {
        let ends = [self.court.roster.next_deadline(), self.court.waiting.deadline()];
        ends.into_iter().flatten().min()
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

    /// Everybody whose ban is in force, in the order of banning.
    pub fn ids_in_force(&self) -> impl Iterator<Item = Id> {
        self.court.roster.ids_in_force()
    }

    /// The ban of exactly `id`.
    pub fn banned(&self, id: &Id) -> Option<Ban> {
        self.court.roster.get(id).map(|banned| banned.ban)
    }

    /// Why the ban of exactly `id` is not in force; none: it is, or is still to be answered, or there is none.
    pub fn refusal(&self, id: &Id) -> Option<Arc<str>> {
        match self.court.roster.get(id)?.state {
            State::Refused(why) => Some(why),
            State::Wanted | State::Acknowledged => None,
        }
    }

    /// The rule at hand by which `id` is not counted and not banned automatically.
    pub fn ignored_by(&self, id: &Id) -> Option<Arc<str>> {
        self.court.ignored_by(id)
    }

    /// Whether the firewall owes an answer, or has refused something.
    pub fn unanswered(&self) -> bool {
        self.court.roster.in_force() < self.court.roster.len()
    }

    /// What the firewall has not confirmed, with the time that remains (none: for ever).
    pub fn unanswered_elements(&self, now: UnixTime) -> impl Iterator<Item = (Subnet, Option<Duration>)> {
        self.court.roster.unanswered(now)
    }

    /// Whose address hides those of the clients.
    pub fn masked(&self) -> &[Masked] {
        self.court.masks.holds()
    }

    /// A ban that does not keep its address out.
    pub fn futile(&self) -> Option<&Futile> {
        self.court.futility.last().filter(|last| self.court.roster.get(&last.id).is_some())
    }

    /// Bans that the firewall refused, with its reason.
    pub fn not_enforced(&self) -> impl Iterator<Item = (Id, Arc<str>)> {
        self.court.roster.refused()
    }
}
