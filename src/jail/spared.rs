//! Notes who was not banned, although he deserved it: own addresses, gateways, hosts of those who are logged in.
//!
//! Pure. In: an offence of somebody protected. Out: a [`Spared`], when it is to be said: the first time, and then seldom.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Effect, Jail};
use crate::id::Id;
use crate::ignore::{Login, SpareLogins};
use crate::subnet::Subnet;
use crate::time::UnixTime;

/// So long nothing more is said of the same.
const REST: Duration = Duration::from_secs(600);
/// So many are remembered.
const MOST: usize = 100;

/// Somebody who was not banned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spared {
    /// Who.
    pub id: Id,
    /// Why: who is logged in from there, or whose address it is.
    pub why: Arc<str>,
    /// How often, for this reason.
    pub times: u32,
    /// The last time.
    pub last: UnixTime,
}

impl fmt::Display for Spared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, why, times, .. } = self;
        write!(f, "{id} is not banned: {why}")?;
        if *times > 1 { write!(f, " ({times} times)") } else { Ok(()) }
    }
}

/// What one jail has noted.
#[derive(Debug, Default)]
pub(super) struct Spares {
    /// Each with when it was said, the oldest first.
    all: Vec<(Spared, UnixTime)>,
}

impl Spares {
    /// Somebody was not banned; what is to be said of it now.
    pub(super) fn note(&mut self, id: Id, why: Arc<str>, now: UnixTime) -> Option<Spared> {
        let place = self.all.iter().position(|(spared, _)| spared.id == id && spared.why == why);
        let Some(place) = place else {
            if self.all.len() >= MOST {
                self.all.remove(0);
            }
            let spared = Spared { id, why, times: 1, last: now };
            self.all.push((spared.clone(), now));
            return Some(spared);
        };
        let (spared, said) = &mut self.all[place];
        spared.times = spared.times.saturating_add(1);
        spared.last = now;
        // A clock that was set back keeps nothing quiet for long.
        if now < *said || now.since(*said) >= REST {
            *said = now;
            return Some(spared.clone());
        }
        None
    }

    /// All that is remembered.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Spared> {
        self.all.iter().map(|(spared, _)| spared)
    }
}

impl Jail {
    /// Who is logged in now. A ban that is in force stays: whoever could log in is not locked out by it, and it is said.
    pub fn set_logins(&mut self, logins: Arc<[Login]>) -> Vec<Effect> {
        let court = &mut self.court;
        let hosts = court.options.ignore.logins.of(&logins);
        court.logins = logins;
        let before: HashSet<Subnet> = court.ignore.logins().map(|(host, _)| host).collect();
        court.ignore.set_logins(hosts);
        self.shut()
            .filter(|(host, _)| !before.contains(host))
            .map(|(host, why)| Effect::Shut(host.into(), why))
            .collect()
    }

    /// Whether it matters who is logged in.
    pub fn spares_logins(&self) -> bool {
        self.court.options.ignore.logins != SpareLogins::Nobody
    }

    /// Who is logged in, as far as the jail knows.
    pub fn logins(&self) -> &Arc<[Login]> {
        &self.court.logins
    }

    /// Who deserved a ban and is not banned, for a reason that holds still.
    pub fn spared(&self) -> impl Iterator<Item = &Spared> {
        let holds = |spared: &&Spared| {
            let rule = self.court.ignore.check_ban(&spared.id);
            rule.is_some_and(|rule| rule.to_string() == *spared.why)
        };
        self.court.spares.iter().filter(holds)
    }

    /// Hosts that are banned although somebody is logged in from there, each with who that is.
    pub fn shut(&self) -> impl Iterator<Item = (Subnet, Arc<str>)> {
        let banned = |(host, _): &(Subnet, &Arc<str>)| self.court.roster.get(&Id::Net(*host)).is_some();
        self.court.ignore.logins().filter(banned).map(|(host, why)| (host, Arc::clone(why)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_at_first_and_then_seldom() {
        let at = |second: i64| UnixTime::from_secs(1_700_000_000 + second);
        let mut spares = Spares::default();
        for (second, id, why, want) in [
            (0, "192.0.2.7", "root", Some("192.0.2.7 is not banned: root")),
            (1, "192.0.2.7", "root", None),
            (2, "192.0.2.8", "root", Some("192.0.2.8 is not banned: root")),
            (3, "192.0.2.7", "anna", Some("192.0.2.7 is not banned: anna")),
            (599, "192.0.2.7", "root", None),
            (600, "192.0.2.7", "root", Some("192.0.2.7 is not banned: root (4 times)")),
            (601, "192.0.2.7", "root", None),
            (-5, "192.0.2.7", "root", Some("192.0.2.7 is not banned: root (6 times)")),
        ] {
            let said = spares.note(Id::parse(id), why.into(), at(second)).map(|spared| spared.to_string());
            assert_eq!(said.as_deref(), want, "{second}: {id} {why}");
        }
        for number in 0..1000 {
            spares.note(Id::parse(&format!("{number}")), "root".into(), at(700));
        }
        assert_eq!(spares.iter().count(), MOST);
    }
}
