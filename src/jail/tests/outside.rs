//! Failures that wait for somebody outside.

use std::net::IpAddr;

use super::*;
use crate::filter::{Failure, Outcome};
use crate::ignore::CacheOptions;

fn with(ignore: IgnoreOptions) -> Jail {
    Jail::new(&JailOptions { ignore, ..options() }).unwrap()
}

fn names(names: &[&str]) -> IgnoreOptions {
    IgnoreOptions { names: names.iter().map(|name| (*name).into()).collect(), ..IgnoreOptions::default() }
}

fn command() -> IgnoreOptions {
    IgnoreOptions { command: Some("friend <ip>".into()), ..IgnoreOptions::default() }
}

fn addresses(jail: &mut Jail, name: &str, addresses: &[&str], now: i64) -> Vec<String> {
    let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
    let mut effects = vec![];
    jail.answer(Answer::Addresses(name.into(), addresses), at(now), &mut effects);
    say(&effects)
}

fn word_of(jail: &mut Jail, number: u64, ignore: bool, now: i64) -> Vec<String> {
    let mut effects = vec![];
    jail.answer(Answer::Ignore(number, ignore), at(now), &mut effects);
    say(&effects)
}

/// A host name fails, as a filter would say it.
fn name_fails(jail: &mut Jail, name: &str, now: i64) -> Vec<String> {
    let failure = Failure {
        id: Id::Text(name.into()),
        is_name: true,
        time: at(now),
        lines: vec!["a line".into()],
        data: Arc::default(),
        pattern: 0,
    };
    let mut effects = vec![];
    jail.court.take(Outcome::Failure(Box::new(failure)), at(now), &mut effects);
    say(&effects)
}

const WHO: &str = "198.51.100.7";

#[test]
fn a_name_that_fails_is_its_addresses() {
    let mut jail = jail();
    assert_eq!(name_fails(&mut jail, "bad.example", 0), ["who is bad.example"]);
    assert_eq!(name_fails(&mut jail, "bad.example", 1), none(), "it is asked for once");
    assert_eq!(fail(&mut jail, WHO, 2, 2), ["found 198.51.100.7 2"], "others go on");
    assert_eq!(
        addresses(&mut jail, "bad.example", &["198.51.100.8", "2001:db8::8", "203.0.113.9"], 3),
        [
            "found 198.51.100.8 0",
            "found 2001:db8::8 0",
            "ignored 203.0.113.9 by 203.0.113.0/24",
            "found 198.51.100.8 1",
            "found 2001:db8::8 1",
            "ignored 203.0.113.9 by 203.0.113.0/24",
        ]
    );
    assert_eq!(
        name_fails(&mut jail, "bad.example", 302)[..2],
        ["found 198.51.100.8 302", "ban 198.51.100.8 302 +10m"],
        "known for five minutes"
    );
    assert_eq!(name_fails(&mut jail, "bad.example", 303), ["who is bad.example"]);
    assert_eq!(name_fails(&mut jail, "nobody.example", 303), ["who is nobody.example"]);
    assert_eq!(addresses(&mut jail, "nobody.example", &[], 304), none());
    assert_eq!(name_fails(&mut jail, "nobody.example", 305), none());
    assert_eq!(jail.court.waiting.len(), 1);
    assert_eq!(expire(&mut jail, 323), none());
    assert_eq!(jail.court.waiting.len(), 1);
    expire(&mut jail, 324);
    assert_eq!(jail.court.waiting.len(), 0, "nothing is known of it after 20 seconds: it is nobody");
}

#[test]
fn names_that_are_ignored_are_asked_for_when_somebody_fails() {
    let mut jail = with(names(&["friend.example", "other.example"]));
    assert_eq!(fail(&mut jail, WHO, 0, 0), ["who is friend.example", "who is other.example"]);
    assert_eq!(fail(&mut jail, "198.51.100.8", 1, 1), none());
    assert_eq!(addresses(&mut jail, "friend.example", &[WHO], 2), ["ignored 198.51.100.7 by friend.example"]);
    assert_eq!(addresses(&mut jail, "other.example", &["2001:db8::1"], 3), ["found 198.51.100.8 1"]);
    assert_eq!(fail(&mut jail, WHO, 301, 301), ["ignored 198.51.100.7 by friend.example"]);
    assert_eq!(fail(&mut jail, "198.51.100.8", 302, 302), ["who is friend.example"]);
    assert_eq!(fail(&mut jail, "session 9", 302, 302), ["found session 9 302"], "a text has no address");
    // Nobody answers: after 20 s it is counted.
    assert_eq!(jail.next_deadline(), Some(at(322)));
    assert_eq!(expire(&mut jail, 322), none());
    assert_eq!(expire(&mut jail, 323), ["found 198.51.100.8 302"]);
    assert_eq!(jail.next_deadline(), None);
}

#[test]
fn the_command_is_asked_about_each_failure_that_is_left() {
    let own = IgnoreOptions { nets: options().ignore.nets, ..command() };
    let mut jail = with(own);
    assert_eq!(fail(&mut jail, "203.0.113.9", 0, 0), ["ignored 203.0.113.9 by 203.0.113.0/24"]);
    assert_eq!(fail(&mut jail, WHO, 0, 0), ["command 1 198.51.100.7"]);
    assert_eq!(fail(&mut jail, WHO, 1, 1), ["command 2 198.51.100.7"]);
    assert_eq!(fail(&mut jail, "198.51.100.8", 2, 2), ["command 3 198.51.100.8"]);
    assert_eq!(word_of(&mut jail, 3, false, 3), ["found 198.51.100.8 2"]);
    assert_eq!(word_of(&mut jail, 1, true, 3), ["ignored 198.51.100.7 by command"]);
    assert_eq!(word_of(&mut jail, 1, true, 3), none(), "it was answered");
    assert_eq!(expire(&mut jail, 91), none());
    assert_eq!(expire(&mut jail, 92), ["found 198.51.100.7 1"], "who does not answer wants nothing");
    assert_eq!(word_of(&mut jail, 2, true, 93), none(), "too late");
    assert_eq!(jail.totals(), Totals { failed: 2, ignored: 2, ..Totals::default() });
}

#[test]
fn a_decision_is_remembered_whole() {
    let cache = CacheOptions { key: "<ip>".into(), max_count: 100, max_time: Duration::from_secs(60) };
    let mut jail = with(IgnoreOptions { cache: Some(cache), ..command() });
    fail(&mut jail, WHO, 0, 0);
    word_of(&mut jail, 1, true, 0);
    fail(&mut jail, "198.51.100.8", 0, 0);
    word_of(&mut jail, 2, false, 0);
    assert_eq!(fail(&mut jail, WHO, 59, 59), ["ignored 198.51.100.7 by command"]);
    assert_eq!(fail(&mut jail, "198.51.100.8", 59, 59), ["found 198.51.100.8 59"]);
    assert_eq!(fail(&mut jail, WHO, 60, 60), ["command 3 198.51.100.7"]);
}

#[test]
fn who_finds_no_room_to_wait_is_counted() {
    let mut jail = with(command());
    let mut held = 0;
    for n in 0..2000 {
        let told = fail(&mut jail, &format!("198.51.{}.{}", n / 250, n % 250), 0, 0);
        held += usize::from(told[0].starts_with("command"));
    }
    assert_eq!((held, jail.court.waiting.len(), jail.totals().failed), (1000, 1000, 1000));
    let mut jail = with(command());
    let long: Arc<str> = "x".repeat(60_000).into();
    for n in 0..2000 {
        let id = Id::parse(&format!("198.51.{}.{}", n / 250, n % 250));
        jail.attempt(&id, at(0), &vec![long.clone(); 50], &[], at(0), &mut vec![]);
    }
    assert!(
        jail.court.waiting.len() < 60,
        "{} of 20 lines of 2 KiB are held in 1 MiB",
        jail.court.waiting.len()
    );
    let saved = jail.take_changes().waiting.unwrap();
    assert!(saved.len() < 2 << 20, "{} bytes are saved", saved.len());
}

#[test]
fn a_clock_that_is_set_back_makes_nobody_wait_for_ever() {
    let mut jail = with(command());
    fail(&mut jail, WHO, 5000, 5000);
    assert_eq!(expire(&mut jail, 4000), ["found 198.51.100.7 4000"]);
}

proptest! {
    /// Wherever the program ends and starts again, whoever waited is asked about again and lost by nobody: with the
    /// answers, the same failures are counted.
    #[test]
    fn who_waits_survives_a_restart(
        failures in proptest::collection::vec((0..4_u8, any::<bool>()), 1..30),
        restarts in proptest::collection::vec(any::<bool>(), 30),
        friend in 0..4_u8,
    ) {
        let ignore = IgnoreOptions { names: vec!["friend.example".into()], ..command() };
        let options = JailOptions { ignore, tracker: TrackerOptions { max_retry: 1000, ..options().tracker }, ..options() };
        let mut jail = Jail::new(&options).unwrap();
        let (mut questions, mut waiting, mut counters) = (vec![], None, std::collections::HashMap::new());
        let mut want = 0;
        for ((who, is_name), restart) in failures.iter().zip(restarts) {
            let mut effects = vec![];
            if *is_name {
                let failure = Failure { id: Id::Text(format!("host{who}.example").into()), is_name: true, time: at(0), lines: vec![], data: Arc::default(), pattern: 0 };
                jail.court.take(Outcome::Failure(Box::new(failure)), at(0), &mut effects);
            } else {
                jail.attempt(&Id::parse(&format!("198.51.100.{who}")), at(0), &[], &[], at(0), &mut effects);
            }
            want += u32::from(*who != friend);
            let changes = jail.take_changes();
            waiting = changes.waiting.or(waiting);
            counters.extend(changes.counters.iter());
            if restart {
                jail = Jail::new(&options).unwrap();
                let counters = counters.iter().filter_map(|(id, record): (&Id, &Option<Record>)| Some((id.clone(), record.clone()?))).collect();
                questions.clear();
                effects = jail.restore(Remembered { waiting: waiting.clone(), counters, ..Remembered::default() }, at(0));
            }
            questions.extend(effects);
        }
        // The world answers everything.
        let friend = format!("198.51.100.{friend}");
        while let Some(effect) = questions.pop() {
            let answer = match effect {
                Effect::Consult(Question::Name(name)) => {
                    let address = match name.strip_prefix("host").and_then(|rest| rest.strip_suffix(".example")) {
                        Some(who) => format!("198.51.100.{who}"),
                        None => friend.clone(),
                    };
                    Answer::Addresses(name, vec![address.parse().unwrap()])
                }
                Effect::Consult(Question::Command(inquiry)) => Answer::Ignore(inquiry.number, false),
                _ => continue,
            };
            jail.answer(answer, at(1), &mut questions);
        }
        prop_assert_eq!(jail.court.waiting.len(), 0);
        prop_assert_eq!(jail.counters().map(|(_, record)| record.failures).sum::<u32>(), want);
        prop_assert!(jail.court.tracker.get(&Id::parse(&friend)).is_none());
    }
}
