//! Decides what other programs took out of the firewall is put back, and when.
//!
//! Pure: the caller passes the moment. In: what a transaction of somebody else took away ([`Damage`]). Out: whether it is
//! put back now, later, or left out. What is taken away again and again is put back ever more seldom: two programs that
//! undo each other's work must not do it as fast as they can.
//! The shell is [`crate::actor::firewall`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::subnet::Subnet;

/// What is put back by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Heal {
    /// Everything.
    #[default]
    All,
    /// Tables, chains, sets and rules, with the bans that went with them; a ban that was taken out alone stays out.
    Structure,
    /// Nothing, until a change finds it missing.
    Off,
}

/// So often in a row it is put back at once.
const FREE: u32 = 4;
/// The first pause after that; each is twice as long as the one before.
const FIRST: Duration = Duration::from_secs(1);
/// No pause is longer.
const LONGEST: Duration = Duration::from_secs(60);
/// After so long without damage all is forgotten; after long pauses it takes two of them.
const CALM: Duration = Duration::from_secs(60);
/// In a row, the work takes one part in so many of the time.
const SHARE: u32 = 10;

/// Who changed the firewall, as the kernel tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// The process.
    pub pid: u32,
    /// Its name, with nothing in it that steers a terminal or ends a line.
    pub name: Arc<str>,
}

impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.name, self.pid)
    }
}

/// What is missing of one firewall.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Damage {
    /// Nobody knows what: everything is checked.
    pub unclear: bool,
    /// A table, chains, sets or rules.
    pub structure: bool,
    /// The jails whose sets went, with all their bans.
    pub sets: BTreeSet<Arc<str>>,
    /// The jails that lost more single bans than anybody counted.
    pub emptied: BTreeSet<Arc<str>>,
    /// Single bans, by jail.
    pub bans: BTreeMap<Arc<str>, BTreeSet<Subnet>>,
}

impl Damage {
    /// All may be missing, and nobody knows what.
    pub fn unclear() -> Self {
        Self { unclear: true, ..Self::default() }
    }

    /// Whether nothing is missing.
    pub fn is_none(&self) -> bool {
        !self.is_structural() && self.emptied.is_empty() && self.bans.is_empty()
    }

    /// Whether more is missing than bans.
    pub fn is_structural(&self) -> bool {
        self.unclear || self.structure || !self.sets.is_empty()
    }

    /// Single bans that are missing.
    pub fn count(&self) -> usize {
        self.bans.values().map(BTreeSet::len).sum()
    }

    fn add(&mut self, more: Self) {
        self.unclear |= more.unclear;
        self.structure |= more.structure;
        self.sets.extend(more.sets);
        self.emptied.extend(more.emptied);
        for (jail, nets) in more.bans {
            self.bans.entry(jail).or_default().extend(nets);
        }
    }

    /// Without the bans that were taken out alone.
    fn without_bans(mut self) -> Self {
        self.bans.clear();
        self.emptied.clear();
        self
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.unclear {
            return f.write_str("something");
        }
        let mut parts = Vec::new();
        if self.structure {
            parts.push("tables, chains, sets or rules".to_owned());
        }
        if !self.sets.is_empty() {
            parts.push(format!("the sets of {}", list(self.sets.iter())));
        }
        if !self.emptied.is_empty() {
            parts.push(format!("the bans of {}", list(self.emptied.iter())));
        }
        let mut nets = self.bans.iter().flat_map(|(jail, nets)| nets.iter().map(move |net| (jail, net)));
        match (self.count(), nets.next()) {
            (1, Some((jail, net))) => parts.push(format!("the ban of {net} in {jail}")),
            (count, Some((jail, net))) => {
                parts.push(format!("{count} bans, such as that of {net} in {jail}"));
            }
            (_, None) => {}
        }
        f.write_str(&parts.join(" and "))
    }
}

/// The first three, and that there are more.
fn list<'a>(names: impl ExactSizeIterator<Item = &'a Arc<str>>) -> String {
    let more = names.len().saturating_sub(3);
    let names = names.take(3).map(|name| &**name).collect::<Vec<_>>().join(", ");
    if more == 0 { names } else { format!("{names} and {more} more") }
}

/// What is to be done about damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// There is none.
    Nothing,
    /// It was put back already, by work that began later than the damage was done.
    Done,
    /// It stays out.
    Left,
    /// It is put back now.
    Now,
    /// It is put back then. With `is_news` nothing was waiting yet.
    Later {
        /// After so long.
        pause: Duration,
        /// Whether this is the first that has to wait.
        is_news: bool,
    },
}

/// What one firewall has to put back.
#[derive(Debug, Default)]
pub struct Healer {
    policy: Heal,
    owed: Damage,
    /// How often in a row something was put back.
    strikes: u32,
    /// When that was done last.
    last: Option<Instant>,
    /// After the last time nothing is put back for so long.
    pause: Duration,
    /// The generation of the tables when the last thorough work began.
    covered: Option<u32>,
}

impl Healer {
    /// Nothing is missing yet.
    pub fn new(policy: Heal) -> Self {
        Self { policy, ..Self::default() }
    }

    /// From now on this is put back.
    pub fn retune(&mut self, policy: Heal) {
        self.policy = policy;
    }

    /// Somebody took something away; `generation` is that of the tables afterwards.
    pub fn lost(&mut self, damage: Damage, generation: Option<u32>, now: Instant) -> Verdict {
        if damage.is_none() {
            return Verdict::Nothing;
        }
        let is_covered = |(covered, at): (u32, u32)| covered.wrapping_sub(at).cast_signed() >= 0;
        if self.covered.zip(generation).is_some_and(is_covered) {
            return Verdict::Done;
        }
        let damage = match self.policy {
            Heal::All => damage,
            Heal::Structure => damage.without_bans(),
            Heal::Off => Damage::default(),
        };
        if damage.is_none() { Verdict::Left } else { self.owe(damage, now) }
    }

    /// A change found the firewall not as it was left: that is put right whatever is put back by itself.
    pub fn found(&mut self, now: Instant) -> Verdict {
        self.owe(Damage::unclear(), now)
    }

    fn owe(&mut self, damage: Damage, now: Instant) -> Verdict {
        let is_news = self.owed.is_none();
        self.owed.add(damage);
        match self.wait(now) {
            None | Some(Duration::ZERO) => Verdict::Now,
            Some(pause) => Verdict::Later { pause, is_news },
        }
    }

    /// How long what is missing has to wait until it is put back; none: nothing is missing.
    pub fn wait(&self, now: Instant) -> Option<Duration> {
        let rest = self.last.map(|last| (last + self.pause).saturating_duration_since(now));
        (!self.owed.is_none()).then(|| rest.unwrap_or_default())
    }

    /// What is to be put back now. Answer with [`Healer::healed`] or [`Healer::failed`].
    pub fn take(&mut self, now: Instant) -> Option<Damage> {
        (self.wait(now) == Some(Duration::ZERO)).then(|| std::mem::take(&mut self.owed))
    }

    /// What was taken stands again. With `generation`, that of the tables before the work, all is as it should be.
    pub fn healed(&mut self, began: Instant, now: Instant, generation: Option<u32>) {
        self.covered = generation.or(self.covered);
        self.strike(began, now);
    }

    /// It could not be put back: it is owed again, after a pause.
    pub fn failed(&mut self, damage: Damage, began: Instant, now: Instant) {
        self.owed.add(damage);
        self.strike(began, now);
        self.pause = self.pause.max(FIRST);
    }

    /// Everything was set up anew, for whatever reason.
    pub fn replaced(&mut self, generation: Option<u32>) {
        self.owed = Damage::default();
        self.covered = generation.or(self.covered);
    }

    /// How often in a row something was put back, when that is so often that there are pauses.
    pub fn fights(&self) -> Option<u32> {
        (self.strikes > FREE).then_some(self.strikes)
    }

    fn strike(&mut self, began: Instant, now: Instant) {
        let calm = CALM.max(self.pause * 2);
        let is_calm = self.last.is_none_or(|last| began.saturating_duration_since(last) >= calm);
        self.strikes = if is_calm { 1 } else { self.strikes.saturating_add(1) };
        self.last = Some(now);
        let work = now.saturating_duration_since(began) * SHARE;
        self.pause = match self.strikes.checked_sub(FREE + 1) {
            None => Duration::ZERO,
            Some(more) => (FIRST * 2_u32.pow(more.min(10))).max(work).min(LONGEST.max(work)),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ban(text: &str) -> Damage {
        let nets = BTreeSet::from([text.parse().unwrap()]);
        Damage { bans: BTreeMap::from([("sshd".into(), nets)]), ..Damage::default() }
    }

    fn table() -> Damage {
        Damage { structure: true, sets: BTreeSet::from(["sshd".into()]), ..Damage::default() }
    }

    /// A foe that takes something away as soon as it is back, for so long; the moments at which it was put back.
    fn fight(healer: &mut Healer, from: Instant, seconds: u64, work: Duration) -> Vec<u64> {
        let mut moments = Vec::new();
        let mut now = from;
        while now < from + Duration::from_secs(seconds) {
            if healer.lost(table(), None, now) == Verdict::Now {
                assert_eq!(healer.take(now), Some(table()));
                healer.healed(now, now + work, None);
                moments.push(now.duration_since(from).as_millis() as u64);
                now += work;
            }
            now += Duration::from_millis(10);
        }
        moments
    }

    #[test]
    fn what_is_put_back_is_a_setting() {
        let now = Instant::now();
        let both = Damage { bans: ban("192.0.2.1").bans, ..table() };
        for (policy, damage, verdict, left) in [
            (Heal::All, ban("192.0.2.1"), Verdict::Now, Some(ban("192.0.2.1"))),
            (Heal::All, both.clone(), Verdict::Now, Some(both.clone())),
            (Heal::All, Damage::default(), Verdict::Nothing, None),
            (Heal::Structure, ban("192.0.2.1"), Verdict::Left, None),
            (Heal::Structure, both, Verdict::Now, Some(table())),
            (Heal::Structure, Damage::unclear(), Verdict::Now, Some(Damage::unclear())),
            (Heal::Off, table(), Verdict::Left, None),
        ] {
            let mut healer = Healer::new(policy);
            assert_eq!(healer.lost(damage.clone(), None, now), verdict, "{policy:?} {damage:?}");
            assert_eq!(healer.take(now), left, "{policy:?} {damage:?}");
            assert_eq!(healer.wait(now), None);
        }
        let mut off = Healer::new(Heal::Off);
        assert_eq!(off.found(now), Verdict::Now, "a change needs it");
    }

    #[test]
    fn a_fight_slows_down() {
        let start = Instant::now();
        let mut healer = Healer::new(Heal::All);
        let moments = fight(&mut healer, start, 600, Duration::from_millis(5));
        let pauses: Vec<u64> = moments.windows(2).map(|two| (two[1] - two[0]) / 1000).collect();
        assert_eq!(pauses[..12], [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert!(healer.fights().unwrap() > 10);
        // The longest pauses are no calm.
        assert!(pauses[12..].iter().all(|pause| *pause == 60), "{pauses:?}");
        let calm = start + Duration::from_secs(1000);
        assert_eq!(fight(&mut healer, calm, 1, Duration::ZERO).len(), FREE as usize + 1);
    }

    #[test]
    fn much_work_makes_long_pauses() {
        let mut healer = Healer::new(Heal::All);
        let work = Duration::from_secs(20);
        let moments = fight(&mut healer, Instant::now(), 3000, work);
        assert!(moments[5..].windows(2).all(|two| two[1] - two[0] >= 220_000), "{moments:?}");
    }

    #[test]
    fn what_waits_is_gathered_and_put_back_at_once() {
        let start = Instant::now();
        let mut healer = Healer::new(Heal::All);
        let work = Duration::ZERO;
        assert_eq!(fight(&mut healer, start, 1, work).len(), 5);
        let now = start + Duration::from_millis(500);
        let Verdict::Later { pause, is_news: false } = healer.lost(ban("192.0.2.1"), None, now) else {
            panic!("the first of those that wait was told already")
        };
        healer.lost(ban("192.0.2.2"), None, now);
        assert_eq!(healer.wait(now), Some(pause));
        assert_eq!(healer.take(now), None);
        let due = now + pause;
        assert_eq!(healer.take(due).map(|all| (all.structure, all.count())), Some((true, 2)));
        assert_eq!(healer.wait(due), None);
    }

    #[test]
    fn damage_before_thorough_work_is_done_with() {
        let now = Instant::now();
        let mut healer = Healer::new(Heal::All);
        assert_eq!(healer.found(now), Verdict::Now);
        assert_eq!(healer.take(now), Some(Damage::unclear()));
        healer.healed(now, now, Some(u32::MAX));
        for (generation, verdict) in
            [(u32::MAX - 1, Verdict::Done), (u32::MAX, Verdict::Done), (0, Verdict::Now), (1, Verdict::Now)]
        {
            assert_eq!(healer.lost(table(), Some(generation), now), verdict, "{generation}");
        }
        healer.replaced(Some(1));
        assert_eq!(healer.wait(now), None, "what was owed stands");
    }

    #[test]
    fn what_fails_is_tried_again_after_a_while() {
        let now = Instant::now();
        let mut healer = Healer::new(Heal::All);
        healer.lost(table(), None, now);
        let damage = healer.take(now).unwrap();
        healer.failed(damage, now, now);
        assert_eq!(healer.wait(now), Some(FIRST));
        assert_eq!(healer.take(now + FIRST), Some(table()));
    }

    #[test]
    fn damage_in_words() {
        let many = ["a", "b", "c", "d", "e"].map(Arc::<str>::from);
        for (damage, words) in [
            (ban("192.0.2.1"), "the ban of 192.0.2.1 in sshd"),
            (table(), "tables, chains, sets or rules and the sets of sshd"),
            (Damage { sets: many.clone().into(), ..Damage::default() }, "the sets of a, b, c and 2 more"),
            (Damage { emptied: many.into(), ..Damage::default() }, "the bans of a, b, c and 2 more"),
            (Damage::unclear(), "something"),
        ] {
            assert_eq!(damage.to_string(), words);
        }
    }
}
