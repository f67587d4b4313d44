use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::id::Id;
use crate::jail::Ban;
use crate::roster::{Roster, Verdict};
use crate::sentence::Sentence;

const SECOND: i64 = 1_000_000;

fn at(seconds: f64) -> UnixTime {
    UnixTime::from_micros((seconds * 1e6) as i64)
}

#[test]
fn a_jail_is_asked_once_at_the_first_tick_after_its_deadlines() {
    let [a, b]: [Arc<str>; 2] = ["a".into(), "b".into()];
    let mut schedule = Schedule::default();
    assert_eq!(schedule.next(), None);
    for (jail, second) in [(&a, 10.0), (&b, 10.3), (&a, 10.9), (&a, 12.0), (&b, -3.5)] {
        schedule.push(jail, at(second));
    }
    assert_eq!(schedule.queue.len(), 4, "10.0 and 10.9 are one");
    for (now, due, next) in [
        (-3.1, &[][..], Some(-3.0)),
        (-3.0, &[&b][..], Some(11.0)),
        (10.999_999, &[], Some(11.0)),
        (11.0, &[&a, &b], Some(13.0)),
        (11.0, &[], Some(13.0)),
        (99.0, &[&a], None),
    ] {
        let got = schedule.pop_due(at(now));
        assert_eq!(
            (got.iter().collect::<Vec<_>>(), schedule.next()),
            (due.to_vec(), next.map(at)),
            "at {now}"
        );
    }
    schedule.push(&a, at(1.0));
    schedule.push(&b, at(2.0));
    schedule.again(&a, at(1.5));
    schedule.forget("a");
    schedule.forget("unknown");
    assert_eq!(schedule.next(), Some(at(3.0)));
    assert_eq!(schedule.pop_due(at(3.0)), [b]);
    schedule.push(&a, UnixTime::from_micros(i64::MAX));
    assert_eq!(schedule.pop_due(at(1e12)), [""; 0].map(Arc::from));
}

#[test]
fn a_million_bans_are_as_many_entries_as_ticks() {
    let jail: Arc<str> = "sshd".into();
    let mut schedule = Schedule::default();
    for n in 0..1_000_000_i64 {
        schedule.push(&jail, UnixTime::from_micros(n * 7919 % 100_000 * SECOND / 10));
    }
    assert_eq!(schedule.queue.len(), 10_000);
    assert_eq!(schedule.pop_due(at(5000.0)).len(), 1);
    assert_eq!(schedule.queue.len(), 5000);

    let (mut roster, mut alarm, mut told) = (Roster::new(), Alarm::new(), 0);
    for n in 0..1_000_000_u32 {
        let time = UnixTime::from_secs(i64::from(n / 100));
        roster.ban(ban(n, time, 604_800 * SECOND), time);
        told += usize::from(alarm.update(roster.next_deadline()).is_some());
    }
    assert_eq!((roster.len(), told), (1_000_000, 1));
}

fn ban(n: u32, time: UnixTime, span: i64) -> Ban {
    Ban {
        id: Id::Net(std::net::Ipv4Addr::from(n).into()),
        time,
        sentence: Sentence(Some(Duration::from_micros(span as u64))),
        count: 1,
        failures: 0,
        lines: vec![],
        data: vec![],
        restored: false,
    }
}

/// Two jails and the timer, with messages that can be lost between them and a clock that can be set.
struct World {
    /// Time that passes, and how much the clock is ahead of it.
    passed: i64,
    ahead: i64,
    schedule: Schedule,
    jails: Vec<Party>,
    /// Whether each next message is lost.
    losses: Box<dyn Iterator<Item = bool>>,
}

struct Party {
    name: Arc<str>,
    roster: Roster,
    alarm: Alarm,
    resync: bool,
    /// Bans whose end has passed: since when, and how many messages of this jail were lost since.
    overdue: HashMap<Id, (i64, i64)>,
}

impl World {
    fn new(losses: Vec<bool>) -> Self {
        let party = |name: &str| Party {
            name: name.into(),
            roster: Roster::new(),
            alarm: Alarm::new(),
            resync: false,
            overdue: HashMap::new(),
        };
        Self {
            passed: 0,
            ahead: 0,
            schedule: Schedule::default(),
            jails: vec![party("a"), party("b")],
            losses: Box::new(losses.into_iter().chain(std::iter::repeat(false))),
        }
    }

    fn now(&self) -> UnixTime {
        UnixTime::from_micros(self.passed + self.ahead)
    }

    /// Whether a message of this jail, either way, is lost.
    fn lost(&mut self, jail: usize) -> bool {
        let lost = self.losses.next() == Some(true);
        if lost {
            self.jails[jail].overdue.values_mut().for_each(|(_, losses)| *losses += 1);
        }
        lost
    }

    /// What the jail's actor does after each message.
    fn tell(&mut self, jail: usize) {
        let party = &mut self.jails[jail];
        let Some(at) = party.alarm.update(party.roster.next_deadline()) else { return };
        if self.lost(jail) {
            self.jails[jail].alarm.lost();
            self.jails[jail].resync = true;
        } else {
            self.schedule.push(&self.jails[jail].name, at);
        }
    }

    /// What the timer's actor does when it wakes.
    fn wake(&mut self) -> Result<(), TestCaseError> {
        for jail in 0..self.jails.len() {
            if self.jails[jail].resync && !self.lost(jail) {
                let party = &mut self.jails[jail];
                party.resync = false;
                party.alarm.lost();
                if let Some(at) = party.alarm.update(party.roster.next_deadline()) {
                    self.schedule.push(&party.name, at);
                }
            }
        }
        let now = self.now();
        for name in self.schedule.pop_due(now) {
            let jail = usize::from(&*name == "b");
            if self.lost(jail) {
                self.schedule.again(&name, now);
                continue;
            }
            let party = &mut self.jails[jail];
            while let Some(id) = party.roster.pop_due(now) {
                prop_assert!(party.overdue.remove(&id).is_some(), "{} ended early", id);
            }
            party.alarm.lost();
            self.tell(jail);
        }
        Ok(())
    }

    /// When the timer wakes next: for what is due, or at the next tick to look at a flag.
    fn wakes_at(&self) -> Option<i64> {
        let flag = self.jails.iter().any(|party| party.resync).then(|| tick_after(self.now()));
        let next = self.schedule.next().into_iter().chain(flag).min()?;
        Some(next.micros() - self.ahead)
    }

    /// Notes whose end has passed meanwhile, and how late that makes them.
    fn look(&mut self, since: i64) -> Result<(), TestCaseError> {
        let (now, passed, ahead) = (self.now(), self.passed, self.ahead);
        for party in &mut self.jails {
            for banned in party.roster.iter() {
                let end = banned.ban.until().unwrap();
                if end >= now {
                    party.overdue.remove(&banned.ban.id);
                    continue;
                }
                let over = (end.micros() - ahead).max(since);
                let (over, losses) = *party.overdue.entry(banned.ban.id.clone()).or_insert((over, 0));
                let late = passed - over;
                prop_assert!(
                    late <= (1 + losses) * SECOND,
                    "{:?} is {} µs late after {} losses",
                    banned,
                    late,
                    losses
                );
            }
            let roster = &party.roster;
            party.overdue.retain(|id, _| roster.get(id).is_some());
        }
        Ok(())
    }

    fn pass(&mut self, span: i64) -> Result<(), TestCaseError> {
        let end = self.passed + span;
        while let Some(wake) = self.wakes_at().filter(|wake| *wake <= end) {
            let since = self.passed;
            self.passed = self.passed.max(wake);
            self.look(since)?;
            self.wake()?;
        }
        let since = self.passed;
        self.passed = end;
        self.look(since)
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        let now = self.now();
        match *step {
            Step::Ban(jail, n, span) => {
                if !matches!(self.jails[jail].roster.ban(ban(n, now, span), now), Verdict::Already(_)) {
                    self.jails[jail].overdue.remove(&ban(n, now, span).id);
                }
                self.tell(jail);
            }
            Step::Unban(jail, n) => {
                self.jails[jail].roster.unban(&ban(n, now, 0).id);
                self.tell(jail);
            }
            Step::Pass(span) => self.pass(span)?,
            Step::SetClock(by) => {
                self.ahead += by;
                if by < 0 {
                    // What is still over gets its tick from here.
                    let overdue = self.jails.iter_mut().flat_map(|party| party.overdue.values_mut());
                    overdue.for_each(|(since, _)| *since = self.passed);
                }
                // A timerfd is cancelled when the clock is set.
                self.schedule.clock_set(self.now());
                self.look(self.passed)?;
                self.wake()?;
            }
        }
        self.look(self.passed)
    }
}

#[derive(Debug, Clone)]
enum Step {
    Ban(usize, u32, i64),
    Unban(usize, u32),
    Pass(i64),
    SetClock(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let span = prop_oneof![Just(0), 0..3 * SECOND, 0..100 * SECOND, Just(604_800 * SECOND)];
    prop_oneof![
        5 => (0..2_usize, 0..20_u32, span).prop_map(|(jail, n, span)| Step::Ban(jail, n, span)),
        1 => (0..2_usize, 0..20_u32).prop_map(|(jail, n)| Step::Unban(jail, n)),
        4 => prop_oneof![0..3 * SECOND, 0..200 * SECOND].prop_map(Step::Pass),
        1 => (-100 * SECOND..100 * SECOND).prop_map(Step::SetClock),
        1 => Just(Step::SetClock(604_800 * SECOND)),
    ]
}

proptest! {
    /// Whatever is lost, and however the clock is set, no ban ends early, and none more than a tick, and one more for
    /// each message lost meanwhile, late.
    #[test]
    fn bans_end_in_time_whatever_is_lost(
        steps in proptest::collection::vec(step(), 1..60),
        losses in proptest::collection::vec(any::<bool>(), 0..60),
    ) {
        let mut world = World::new(losses);
        for step in &steps {
            world.step(step)?;
        }
        world.pass(2 * 604_800 * SECOND)?;
        prop_assert!(world.jails.iter().all(|party| party.roster.is_empty()), "everybody is let in at last");
        prop_assert_eq!(world.wakes_at(), None);
    }

    /// One lost message, whichever it is: two ticks.
    #[test]
    fn one_loss_is_two_ticks(steps in proptest::collection::vec(step(), 1..40), which in 0..80_usize) {
        let mut losses = vec![false; which];
        losses.push(true);
        let mut world = World::new(losses);
        for step in &steps {
            world.step(step)?;
            for (since, _) in world.jails.iter().flat_map(|party| party.overdue.values()) {
                prop_assert!(world.passed - since <= 2 * SECOND);
            }
        }
    }
}
