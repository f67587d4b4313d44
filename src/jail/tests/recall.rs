//! Bans that grow, failures that count more, and what Fail2Ban's rules change.

use super::*;
use crate::sentence::{Increment, Scale};

fn grows() -> JailOptions {
    JailOptions { increment: Some(Increment::default()), ..options() }
}

fn past(count: u32, last: i64) -> Option<Past> {
    (count > 0).then(|| Past { count, last: at(last), everywhere: count + 2 })
}

fn recalled(jail: &mut Jail, id: &str, past: Option<Past>, now: i64) -> Vec<String> {
    let mut effects = vec![];
    jail.recalled(&Id::parse(id), past, at(now), &mut || 0.5, &mut effects);
    tell(&effects)
}

fn charge(jail: &mut Jail, id: &str, lines: usize, now: i64) -> Vec<String> {
    let mut effects = vec![];
    jail.charge(&Id::parse(id), &vec!["a line".into(); lines], at(now), &mut effects);
    tell(&effects)
}

const WHO: &str = "198.51.100.7";

#[test]
fn a_ban_waits_for_its_time_in_force() {
    for (before, want) in [
        (0, &["remember 198.51.100.7 0 +10m 1"][..]),
        (1, &["increase 198.51.100.7 +20m 2", "remember 198.51.100.7 0 +20m 2"]),
        (5, &["increase 198.51.100.7 +5h 20m 6", "remember 198.51.100.7 0 +5h 20m 6"]),
    ] {
        let mut jail = Jail::new(&grows()).unwrap();
        assert_eq!(fail(&mut jail, WHO, 0, 0), ["found 198.51.100.7 0", "recall 198.51.100.7"]);
        assert_eq!(recalled(&mut jail, WHO, None, 0), none());
        for _ in 0..2 {
            fail(&mut jail, WHO, 0, 0);
        }
        assert_eq!(jail.next_deadline(), Some(at(600)), "the first time");
        // A debt of a failure that is not counted any more comes before the ban's.
        assert_eq!(recalled(&mut jail, WHO, past(before, -9000), 1), want, "{before} before");
        assert_eq!(jail.owed().count(), 0);
        let until = 600 << before;
        assert_eq!(jail.next_deadline(), Some(at(until)));
    }
}

#[test]
fn who_is_never_asked_about() {
    let forever = JailOptions { ban_time: Sentence::FOREVER, ..grows() };
    let zero = JailOptions { ban_time: Duration::ZERO.into(), ..grows() };
    for (options, want) in [
        (options(), "remember 198.51.100.7 0 +10m 1"),
        (forever, "remember 198.51.100.7 0 +forever 1"),
        (zero, "remember 198.51.100.7 0 +0s 1"),
    ] {
        let mut jail = Jail::new(&options).unwrap();
        let effects = jail.ban(Id::parse(WHO), None, false, at(0)).unwrap();
        assert_eq!(tell(&effects)[1..], [want]);
    }
    let mut jail = Jail::new(&grows()).unwrap();
    let own = jail.ban(Id::parse(WHO), Some(Duration::from_secs(60).into()), false, at(0)).unwrap();
    assert_eq!(tell(&own)[1..], ["remember 198.51.100.7 0 +1m 1"], "an operator's time is as he says");
    let other = jail.ban(Id::parse("198.51.100.8"), None, false, at(0)).unwrap();
    assert_eq!(tell(&other)[1..], ["recall 198.51.100.8"], "the jail's own grows");
}

#[test]
fn a_formula_without_a_value_leaves_the_time() {
    let scale = Scale::Formula("1 / (ban.Count - 1)".parse().unwrap());
    let increment = Some(Increment { scale, ..Increment::default() });
    let mut jail = Jail::new(&JailOptions { increment, ..options() }).unwrap();
    jail.ban(Id::parse(WHO), None, false, at(0)).unwrap();
    assert_eq!(
        recalled(&mut jail, WHO, past(1, -9000), 0),
        [
            "unreckoned 198.51.100.7: has no value: something is divided by zero",
            "remember 198.51.100.7 0 +10m 2"
        ]
    );
}

#[test]
fn bans_of_all_jails_may_count() {
    let increment = Some(Increment { all_jails: true, ..Increment::default() });
    let mut jail = Jail::new(&JailOptions { increment, ..options() }).unwrap();
    jail.ban(Id::parse(WHO), None, false, at(0)).unwrap();
    // One ban here, two elsewhere.
    let want = ["increase 198.51.100.7 +1h 20m 4", "remember 198.51.100.7 0 +1h 20m 4"];
    assert_eq!(recalled(&mut jail, WHO, past(1, -9000), 0), want);
}

#[test]
fn a_failure_of_the_known_bad_counts_more() {
    let max_retry =
        |max_retry| JailOptions { tracker: TrackerOptions { max_retry, ..options().tracker }, ..grows() };
    for (before, last, want) in [
        (0, -9000, &[][..]),
        (1, -9000, &["bad 198.51.100.7 0 1 2"]),
        (2, -9000, &["bad 198.51.100.7 0 2 3"]),
        (3, -9000, &["bad 198.51.100.7 0 3 5"]),
        (1, 0, &[]),
        (1, -1, &["bad 198.51.100.7 0 1 2"]),
    ] {
        let mut jail = Jail::new(&max_retry(9)).unwrap();
        fail(&mut jail, WHO, 0, 0);
        assert_eq!(recalled(&mut jail, WHO, past(before, last), 0), want, "{before} before, {last}");
    }
    let mut jail = Jail::new(&max_retry(4)).unwrap();
    fail(&mut jail, WHO, 0, 0);
    assert_eq!(
        recalled(&mut jail, WHO, past(9, -9000), 0),
        ["bad 198.51.100.7 0 9 4", "ban 198.51.100.7 0 +10m", "recall 198.51.100.7",],
        "never more than max_retry, which is a ban"
    );
    assert_eq!(jail.banned(&Id::parse(WHO)).map(|ban| (ban.count, ban.failures)), Some((10, 2)));
    assert_eq!(recalled(&mut jail, WHO, past(9, -9000), 0).len(), 2);
}

#[test]
fn a_ban_without_its_time_is_not_remembered_yet() {
    let mut jail = Jail::new(&grows()).unwrap();
    let id = Id::parse(WHO);
    jail.ban(id.clone(), None, false, at(0)).unwrap();
    fail(&mut jail, "198.51.100.8", 0, 0);
    assert_eq!((jail.owes(&id), jail.owes(&Id::parse("198.51.100.8"))), (true, false));
    assert_eq!(tell(&jail.ban(id.clone(), None, false, at(5)).unwrap()), ["prolong 198.51.100.7 0 +10m 5s"]);
    recalled(&mut jail, WHO, None, 6);
    assert!(!jail.owes(&id));
    assert_eq!(jail.next_deadline(), Some(at(605)), "it stays prolonged");
}

#[test]
fn an_operator_forgives_what_is_owed() {
    let mut jail = Jail::new(&grows()).unwrap();
    jail.ban(Id::parse(WHO), None, false, at(0)).unwrap();
    fail(&mut jail, WHO, 0, 0);
    assert_eq!(tell(&jail.unban(&Id::parse(WHO))), ["unban 198.51.100.7"]);
    // The failure stays counted, and is asked about by the question that is under way.
    assert_eq!(recalled(&mut jail, WHO, past(1, -9000), 1), ["bad 198.51.100.7 0 1 2"]);
    jail.ban(Id::parse(WHO), None, false, at(0)).unwrap();
    assert_eq!(tell(&jail.unban_all()), ["unban 198.51.100.7", "forget all"]);
    assert_eq!(recalled(&mut jail, WHO, past(1, -9000), 1), none(), "no ban is remembered");
}

#[test]
fn a_ban_that_is_owed_its_time_survives_a_restart() {
    let mut jail = Jail::new(&grows()).unwrap();
    jail.ban(Id::parse(WHO), None, false, at(0)).unwrap();
    fail(&mut jail, "198.51.100.8", 0, 0);
    let waiting = jail.take_changes().waiting;
    assert_eq!(jail.take_changes().waiting, None, "nothing has changed since");
    let mut jail = Jail::new(&grows()).unwrap();
    let effects = jail.restore(Remembered { waiting, ..Remembered::default() }, at(100));
    let mut told = tell(&effects);
    told.sort();
    assert_eq!(told, ["recall 198.51.100.7", "recall 198.51.100.8", "restore 198.51.100.7 0 +10m"]);
    let want = ["increase 198.51.100.7 +20m 2", "remember 198.51.100.7 0 +20m 2"];
    assert_eq!(recalled(&mut jail, WHO, past(1, -9000), 100), want);
    let nonsense = Remembered { waiting: Some(b"nonsense".to_vec()), ..Remembered::default() };
    assert_eq!(Jail::new(&grows()).unwrap().restore(nonsense, at(0)), []);
}

#[test]
fn an_operator_charges_with_as_many_failures_as_lines() {
    let mut jail = jail();
    assert_eq!(charge(&mut jail, WHO, 0, 0), none());
    assert_eq!(charge(&mut jail, "203.0.113.9", 2, 0), none(), "ignored or not");
    assert_eq!(charge(&mut jail, WHO, 2, 1), ["ban 198.51.100.7 1 +10m", "remember 198.51.100.7 1 +10m 1"]);
    assert_eq!(jail.banned(&Id::parse(WHO)).map(|ban| (ban.failures, ban.lines.len())), Some((2, 2)));
    assert_eq!(
        jail.court.tracker.get(&Id::parse("203.0.113.9")).map(|record| (record.retry, record.failures)),
        Some((2, 1))
    );
}

#[test]
fn a_jail_may_ban_nobody() {
    let mut jail = Jail::new(&JailOptions { bans_nobody: true, ..options() }).unwrap();
    fail(&mut jail, WHO, 0, 0);
    fail(&mut jail, WHO, 0, 0);
    assert_eq!(fail(&mut jail, WHO, 0, 0), ["found 198.51.100.7 0", "expired 198.51.100.7"]);
}

fn fail2bans() -> JailOptions {
    JailOptions { rules: Rules::Fail2Ban, counters: Counters::Forget, ..options() }
}

#[test]
fn fail2bans_bans_follow_the_jails_time() {
    let mut jail = Jail::new(&fail2bans()).unwrap();
    jail.ban(Id::parse(WHO), None, false, at(0)).unwrap();
    jail.ban(Id::parse("198.51.100.8"), Some(Duration::from_secs(700).into()), false, at(0)).unwrap();
    let time = |seconds| JailOptions { ban_time: Duration::from_secs(seconds).into(), ..fail2bans() };
    assert_eq!(tell(&jail.retune(&time(900)).unwrap()), ["prolong 198.51.100.7 0 +15m"]);
    assert_eq!(jail.next_deadline(), Some(at(700)));
    assert_eq!(expire(&mut jail, 701), ["over 198.51.100.8"]);
    assert_eq!(tell(&jail.retune(&time(60)).unwrap()), ["prolong 198.51.100.7 0 +1m"]);
    assert_eq!(expire(&mut jail, 702), none(), "nobody looks before the end that was known");
    assert_eq!(jail.next_deadline(), Some(at(900)));
    assert_eq!(expire(&mut jail, 901), ["over 198.51.100.7"]);
    jail.ban(Id::parse(WHO), None, false, at(1000)).unwrap();
    assert_eq!(
        tell(&jail.retune(&JailOptions { ban_time: Sentence::FOREVER, ..fail2bans() }).unwrap()),
        ["prolong 198.51.100.7 1000 +forever"]
    );
    assert_eq!(expire(&mut jail, 99_999), none());
}

#[test]
fn fail2ban_restores_by_the_jails_time() {
    let ban = |time, seconds: Option<u64>| Ban {
        id: Id::parse(WHO),
        time: at(time),
        sentence: Sentence(seconds.map(Duration::from_secs)),
        count: 2,
        failures: 0,
        lines: vec![],
        data: vec![],
        restored: true,
    };
    let limited = Increment { max_time: Some(Duration::from_secs(800)), ..Increment::default() };
    let increment = |increment| JailOptions { increment: Some(increment), ..fail2bans() };
    let restore = |options: &JailOptions, ban| {
        let mut jail = Jail::new(options).unwrap();
        tell(&jail.restore(Remembered { bans: vec![ban], ..Remembered::default() }, at(1000)))
    };
    for (what, options, ban, want) in [
        ("a younger one", fail2bans(), ban(500, Some(600)), &["restore 198.51.100.7 500 +10m"][..]),
        (
            "a longer one is cut from its beginning",
            fail2bans(),
            ban(500, Some(9999)),
            &["restore 198.51.100.7 500 +10m"],
        ),
        ("for ever too", fail2bans(), ban(500, None), &["restore 198.51.100.7 500 +10m"]),
        ("one that a new time has ended", fail2bans(), ban(400, Some(9999)), &[]),
        (
            "of a jail that bans for ever",
            JailOptions { ban_time: Sentence::FOREVER, ..fail2bans() },
            ban(0, Some(1001)),
            &["restore 198.51.100.7 0 +16m 41s"],
        ),
        (
            "of a jail that bans nobody",
            JailOptions { bans_nobody: true, ..fail2bans() },
            ban(999, Some(600)),
            &[],
        ),
        (
            "one that has grown",
            increment(Increment::default()),
            ban(0, Some(9999)),
            &["restore 198.51.100.7 0 +2h 46m 39s"],
        ),
        (
            "one that has grown too far",
            increment(limited.clone()),
            ban(500, Some(9999)),
            &["restore 198.51.100.7 500 +13m 20s"],
        ),
        ("one that had to end", increment(limited), ban(100, Some(9999)), &[]),
    ] {
        assert_eq!(restore(&options, ban), want, "{what}");
    }
}

#[test]
fn what_was_taken_over_keeps_its_end_and_what_has_none_gets_the_jails() {
    let who = Id::parse(WHO);
    let restore = |options: &JailOptions, time, seconds: Option<u64>, inherited: &[Id], timeless: &[Id]| {
        let sentence = Sentence(seconds.map(Duration::from_secs));
        let (lines, data) = (vec![], vec![]);
        let ban = Ban {
            id: who.clone(),
            time: at(time),
            sentence,
            count: 1,
            failures: 3,
            lines,
            data,
            restored: true,
        };
        let (inherited, timeless) = (inherited.to_vec(), timeless.to_vec());
        let past = Remembered { bans: vec![ban], inherited, timeless, ..Remembered::default() };
        tell(&Jail::new(options).unwrap().restore(past, at(1000)))
    };
    let one = std::slice::from_ref(&who);
    let grows = JailOptions { increment: Some(Increment::default()), ..fail2bans() };
    for options in [fail2bans(), grows, options()] {
        for (time, seconds, want) in [
            (0, Some(9999), &["restore 198.51.100.7 0 +2h 46m 39s"][..]),
            (0, None, &["restore 198.51.100.7 0 +forever"]),
            (0, Some(999), &[]),
        ] {
            assert_eq!(restore(&options, time, seconds, one, &[]), want, "{options:?}");
        }
        assert_eq!(restore(&options, 500, None, &[], one), ["restore 198.51.100.7 500 +10m"], "{options:?}");
        assert_eq!(restore(&options, 399, None, &[], one), [""; 0], "{options:?}");
    }
}

#[test]
fn fail2bans_counters_go_when_they_are_looked_for() {
    let mut jail = Jail::new(&fail2bans()).unwrap();
    for second in [0, 1] {
        fail(&mut jail, WHO, second, second);
    }
    expire(&mut jail, 5000);
    assert_eq!(jail.failed_now(), 1, "nobody has looked");
    fail(&mut jail, WHO, 5000, 5000);
    let retry = |jail: &Jail| jail.court.tracker.get(&Id::parse(WHO)).map(|record| record.retry);
    assert_eq!(retry(&jail), Some(1), "two failures in 5000 s are none in 600 s");
    for n in 0..3 {
        fail(&mut jail, "198.51.100.8", 9000 + n, 9000 + n);
    }
    assert_eq!(jail.failed_now(), 0, "a ban makes it look");
    let counters = vec![(
        Id::parse(WHO),
        Record { first: at(0), last: at(0), retry: 1, failures: 1, lines: vec![], data: vec![] },
    )];
    jail.restore(Remembered { counters, ..Remembered::default() }, at(0));
    assert_eq!(jail.failed_now(), 0, "a restart forgets");
}

proptest! {
    /// However the store's answers come, late or not, each ban is remembered once, unless an operator lets its address
    /// in before; and nothing is owed in the end.
    #[test]
    fn every_ban_is_remembered_once(steps in proptest::collection::vec((0..5_u8, 0..3_u8), 1..60)) {
        let mut jail = Jail::new(&grows()).unwrap();
        let (mut effects, mut asked) = (vec![], Vec::<Id>::new());
        let mut unknown = std::collections::HashMap::<Id, i32>::new();
        for (n, (what, who)) in (0..).zip(steps) {
            let (id, now) = (Id::parse(&format!("198.51.100.{who}")), at(n * 700));
            jail.expire(now, &mut effects);
            match what {
                0 if !asked.is_empty() => {
                    let id = asked.remove(0);
                    jail.recalled(&id, past(1, -1), now, &mut || 0.0, &mut effects);
                }
                1 => {
                    jail.unban(&id);
                    unknown.remove(&id);
                }
                _ => effects.extend(jail.ban(id, None, false, now).unwrap()),
            }
            for effect in effects.drain(..) {
                match effect {
                    Effect::Ban(ban) => *unknown.entry(ban.id).or_default() += 1,
                    Effect::Remember(ban) => *unknown.entry(ban.id).or_default() -= 1,
                    Effect::Recall(id) => asked.push(id),
                    _ => {}
                }
            }
        }
        for id in jail.owed().cloned().collect::<Vec<_>>() {
            jail.recalled(&id, None, at(99_999_999), &mut || 0.0, &mut effects);
        }
        for effect in effects {
            if let Effect::Remember(ban) = effect {
                *unknown.entry(ban.id).or_default() -= 1;
            }
        }
        prop_assert_eq!(jail.owed().count(), 0);
        prop_assert!(unknown.values().all(|count| *count == 0), "{:?}", unknown);
    }
}
