use proptest::prelude::*;

use super::places::EVIDENCE_KEPT;
use super::*;

fn at(seconds: i64) -> UnixTime {
    UnixTime::from_secs(1_700_000_000 + seconds)
}

fn ban(id: &str, time: i64, seconds: Option<u64>) -> Ban {
    Ban {
        id: Id::parse(id),
        time: at(time),
        sentence: Sentence(seconds.map(Duration::from_secs)),
        count: 1,
        failures: 3,
        lines: vec![Arc::from(format!("a line of {id}"))],
        data: vec![("user".into(), "root".to_owned())],
        restored: false,
    }
}

fn ids(roster: &Roster) -> Vec<String> {
    roster.ids().map(|id| id.to_string()).collect()
}

#[test]
fn the_rules_of_banning() {
    let old = ban("192.0.2.1", 0, Some(600));
    let prolonged = |seconds| Verdict::Prolonged(Ban { sentence: Sentence(seconds), ..old.clone() });
    let prolonged = |seconds: Option<u64>| prolonged(seconds.map(Duration::from_secs));
    for (now, new, want) in [
        (600, ban("192.0.2.1", 0, Some(600)), Verdict::Already(at(0))),
        (700, ban("192.0.2.1", 0, Some(699)), Verdict::Expired),
        (700, ban("192.0.2.1", 0, Some(700)), prolonged(Some(700))),
        (100, ban("192.0.2.1", 100, Some(600)), prolonged(Some(700))),
        (100, ban("192.0.2.1", 100, Some(499)), Verdict::Already(at(0))),
        (100, ban("192.0.2.1", 100, Some(500)), Verdict::Already(at(0))),
        (100, ban("192.0.2.1", 100, None), prolonged(None)),
        (100, ban("192.0.2.2", 0, Some(100)), Verdict::Banned),
        (100, ban("192.0.2.0/24", 0, Some(100)), Verdict::Banned),
        (100, ban("192.0.2.2", 0, Some(0)), Verdict::Expired),
        (0, ban("192.0.2.2", 0, Some(0)), Verdict::Banned),
    ] {
        let mut roster = Roster::new();
        assert_eq!(roster.ban(old.clone(), at(0)), Verdict::Banned);
        assert_eq!(roster.ban(new.clone(), at(now)), want, "at {now}: {new:?}");
    }
    let mut roster = Roster::new();
    roster.ban(ban("192.0.2.1", 0, None), at(0));
    assert_eq!(roster.ban(ban("192.0.2.1", 9, None), at(9)), Verdict::Already(at(0)));
    assert_eq!(roster.next_deadline(), None);
}

#[test]
fn a_ban_ends_strictly_after_its_end() {
    let mut roster = Roster::new();
    for (id, seconds) in
        [("192.0.2.1", Some(30)), ("192.0.2.2", Some(10)), ("192.0.2.3", None), ("x", Some(10))]
    {
        roster.ban(ban(id, 0, seconds), at(0));
    }
    assert_eq!(roster.next_deadline(), Some(at(10)));
    assert_eq!(roster.pop_due(at(10)), None);
    let just_after = UnixTime::from_micros(at(10).micros() + 1);
    assert_eq!(roster.pop_due(just_after), Some(Id::parse("192.0.2.2")));
    assert_eq!(roster.pop_due(just_after), Some(Id::parse("x")));
    assert_eq!(roster.pop_due(just_after), None);
    roster.ban(ban("192.0.2.1", 20, Some(30)), at(20));
    assert_eq!(roster.pop_due(at(40)), None, "it was prolonged");
    assert_eq!(roster.pop_due(at(99_999)), Some(Id::parse("192.0.2.1")));
    assert_eq!(roster.pop_due(at(99_999)), None);
    assert_eq!(ids(&roster), ["192.0.2.3"]);
}

#[test]
fn bans_without_a_time_of_their_own_follow() {
    let mut roster = Roster::new();
    for (n, seconds) in [(1, Some(600)), (2, Some(600)), (3, Some(600)), (4, None)] {
        let id = format!("192.0.2.{n}");
        roster.ban(ban(&id, n, seconds), at(n));
        roster.set_follows(&Id::parse(&id));
    }
    roster.ban(ban("192.0.2.5", 5, Some(600)), at(5));
    roster.ban(ban("192.0.2.3", 10, Some(600)), at(10));
    let ends = |roster: &Roster| roster.iter().map(|banned| banned.ban.until()).collect::<Vec<_>>();
    let changed = roster.follow(Duration::from_secs(60).into());
    assert_eq!(changed.len(), 3, "neither the one with its own time nor the one that was prolonged");
    assert_eq!(ends(&roster), [61, 62, 610, 64, 605].map(|end| Some(at(end))));
    assert_eq!(roster.next_deadline(), Some(at(61)), "ours end when they end");
    roster.follow(Sentence::FOREVER);
    assert_eq!(ends(&roster), [None, None, Some(at(610)), None, Some(at(605))]);
    roster.set_looks_late(true);
    assert_eq!(roster.pop_due(at(100)), None);
    roster.follow(Duration::from_secs(60).into());
    assert_eq!((roster.next_deadline(), roster.pop_due(at(601))), (Some(at(601)), None), "as known at first");
    let gone: Vec<_> = std::iter::from_fn(|| roster.pop_due(at(606))).map(|id| id.to_string()).collect();
    assert_eq!(gone, ["192.0.2.1", "192.0.2.2", "192.0.2.4", "192.0.2.5"]);
    assert_eq!(roster.next_deadline(), Some(at(610)));
}

#[test]
fn a_ban_gets_the_time_that_it_deserves() {
    let mut roster = Roster::new();
    let first = ban("192.0.2.1", 0, Some(600));
    roster.ban(first.clone(), at(0));
    let with =
        |seconds| Ban { count: 3, sentence: Sentence(Some(Duration::from_secs(seconds))), ..first.clone() };
    assert!(!roster.increase(&with(600)), "the same");
    assert!(roster.increase(&with(1200)));
    assert_eq!(roster.next_deadline(), Some(at(1200)));
    assert_eq!(roster.get(&first.id).map(|banned| banned.ban.count), Some(3));
    assert!(roster.increase(&with(100)), "a limit may be lower");
    assert_eq!(roster.pop_due(at(101)), Some(first.id.clone()));
    assert!(!roster.increase(&with(1200)), "it is over");
    roster.ban(ban("192.0.2.1", 500, Some(600)), at(500));
    assert!(!roster.increase(&with(9999)), "this is another ban");
}

#[test]
fn a_listing_keeps_the_order_of_banning() {
    let mut roster = Roster::new();
    let name = |n: usize| format!("192.0.{}.{}", n / 256, n % 256);
    for n in 0..1000 {
        roster.ban(ban(&name(n), 0, Some(1000 - n as u64)), at(0));
    }
    for n in (0..1000).filter(|n| n % 7 != 0) {
        assert!(roster.unban(&Id::parse(&name(n))));
    }
    roster.ban(ban("198.51.100.1", 0, None), at(0));
    let want: Vec<_> =
        (0..1000).filter(|n| n % 7 == 0).map(name).chain(["198.51.100.1".to_owned()]).collect();
    assert_eq!(ids(&roster), want);
    assert!(roster.entries.len() < 200, "the holes are closed");
    assert_eq!(
        roster.pop_due(at(7)),
        Some(Id::parse(&name(994))),
        "the first to end is the last of the first"
    );
    let kept = roster.get(&Id::parse(&name(987))).unwrap();
    assert_eq!(kept.ban.lines, [Arc::from(format!("a line of {}", name(987)))]);
}

#[test]
fn prefixes_contain() {
    let mut roster = Roster::new();
    for id in
        ["192.0.2.7", "192.0.2.0/24", "192.0.0.0/16", "198.51.100.1", "2001:db8::/32", "2001:db8::1", "root"]
    {
        roster.ban(ban(id, 0, None), at(0));
    }
    let inside = |prefix: &str| -> Vec<_> {
        roster.inside(prefix.parse().unwrap()).iter().map(ToString::to_string).collect()
    };
    assert_eq!(inside("192.0.2.0/23"), ["192.0.2.7", "192.0.2.0/24"]);
    assert_eq!(inside("::/0"), ["2001:db8::/32", "2001:db8::1"]);
}

#[test]
fn states() {
    let (mut roster, id) = (Roster::new(), Id::parse("192.0.2.1"));
    roster.set_state(&id, State::Acknowledged);
    roster.ban(ban("192.0.2.1", 0, None), at(0));
    roster.ban(ban("192.0.2.2", 0, Some(60)), at(0));
    assert_eq!((roster.in_force(), roster.get(&id).unwrap().state), (0, State::Wanted));
    roster.set_state(&id, State::Acknowledged);
    roster.set_state(&id, State::Acknowledged);
    assert_eq!((roster.in_force(), roster.get(&id).unwrap().state), (1, State::Acknowledged));
    roster.set_state(&id, State::Refused("the set is full".into()));
    assert_eq!(roster.in_force(), 0);
    let reason: Arc<str> = "the set is full".into();
    assert_eq!(roster.get(&id).unwrap().state, State::Refused(Arc::clone(&reason)));
    assert_eq!(roster.refused().collect::<Vec<_>>(), [(id.clone(), reason)]);
    let nets = ["192.0.2.1", "192.0.2.2"].map(|net| net.parse().unwrap());
    assert_eq!(
        roster.wanted(at(20)).collect::<Vec<_>>(),
        [(nets[0], None), (nets[1], Some(Duration::from_secs(40)))],
        "what was refused is asked for again"
    );
    assert_eq!(roster.wanted(at(61)).count(), 1, "what is over is not");
    roster.reset(&State::Acknowledged);
    assert_eq!((roster.in_force(), roster.refused().count()), (2, 0));
    roster.unban(&id);
    assert_eq!((roster.in_force(), roster.len()), (1, 1));
}

#[test]
fn evidence_of_the_oldest_goes_first() {
    let mut roster = Roster::new();
    let line: Arc<str> = "x".repeat(1000).into();
    for n in 0..5000_u32 {
        let id = std::net::Ipv4Addr::from(n).to_string();
        roster.ban(Ban { lines: vec![Arc::clone(&line)], ..ban(&id, 0, Some(60)) }, at(0));
    }
    let with: Vec<_> = roster.iter().map(|banned| !banned.ban.lines.is_empty()).collect();
    let first = with.iter().position(|&with| with).unwrap();
    assert!((1000..4000).contains(&first), "{first}");
    assert!(with[first..].iter().all(|&with| with));
    assert!(roster.evidence <= EVIDENCE_KEPT);
    let again = Ban { lines: vec!["a newer line".into()], ..ban("0.0.0.0", 30, Some(60)) };
    let Verdict::Prolonged(prolonged) = roster.ban(again, at(30)) else { panic!("not prolonged") };
    assert_eq!(prolonged.lines, ["a newer line".into()], "better the new lines than none");
    while roster.pop_due(at(999)).is_some() {}
    assert_eq!((roster.evidence, roster.beside.extras.len()), (0, 0));
}

#[derive(Debug, Clone)]
enum Step {
    Ban(usize, i64, Option<u64>),
    Unban(usize),
    Pop(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..40_usize, 0..100_i64, proptest::option::of(0..100_u64)).prop_map(|(n, time, span)| Step::Ban(n, time, span)),
        1 => (0..40_usize).prop_map(Step::Unban),
        1 => (0..200_i64).prop_map(Step::Pop),
    ]
}

fn name(n: usize) -> String {
    match n % 4 {
        0 => format!("192.0.2.{n}"),
        1 => format!("2001:db8::{n:x}"),
        2 => format!("10.{n}.0.0/16"),
        _ => format!("user{n}"),
    }
}

proptest! {
    /// A list of bans in order, searched from its front, does the same.
    #[test]
    fn as_a_plain_list(steps in proptest::collection::vec(step(), 1..400)) {
        let mut roster = Roster::new();
        let mut list: Vec<Ban> = vec![];
        for step in steps {
            match step {
                Step::Ban(n, time, span) => {
                    let new = ban(&name(n), time, span);
                    let known = list.iter_mut().find(|known| known.id == new.id);
                    let want = match known {
                        _ if new.until().is_some_and(|until| until < at(time)) => Verdict::Expired,
                        Some(known) if known.until().is_some_and(|end| new.until().is_none_or(|until| until > end)) => {
                            known.sentence = Sentence(new.until().map(|until| until.since(known.time)));
                            Verdict::Prolonged(known.clone())
                        }
                        Some(known) => Verdict::Already(known.time),
                        None => {
                            list.push(new.clone());
                            Verdict::Banned
                        }
                    };
                    prop_assert_eq!(roster.ban(new, at(time)), want);
                }
                Step::Unban(n) => {
                    let id = Id::parse(&name(n));
                    let before = list.len();
                    list.retain(|known| known.id != id);
                    prop_assert_eq!(roster.unban(&id), before > list.len());
                }
                Step::Pop(now) => {
                    let mut ends = vec![];
                    while let Some(id) = roster.pop_due(at(now)) {
                        let index = list.iter().position(|known| known.id == id).unwrap();
                        ends.push(list.remove(index).until().unwrap());
                    }
                    prop_assert!(ends.is_sorted() && ends.iter().all(|end| *end < at(now)));
                    prop_assert!(list.iter().all(|known| known.until().is_none_or(|end| end >= at(now))));
                }
            }
            prop_assert_eq!(roster.iter().map(|banned| banned.ban).collect::<Vec<_>>(), list.clone());
            prop_assert_eq!(roster.next_deadline(), list.iter().filter_map(Ban::until).min());
        }
    }
}
