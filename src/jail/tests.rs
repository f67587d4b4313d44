mod logins;
mod masked;
mod outside;
mod recall;
mod trial;

use proptest::prelude::*;

use super::court::TEXT_CAP;
use super::*;
use crate::filter::FilterOptions;
use crate::roster::State;
use crate::tracker::TrackerOptions;

const START: i64 = 1_700_000_000;

fn at(second: i64) -> UnixTime {
    UnixTime::from_secs(START + second)
}

fn reading(second: i64) -> Reading {
    Reading { now: at(second), since: at(second), live: true, find_time: Duration::from_secs(600) }
}

/// Three failures in ten minutes, banned for ten; a firewall.
fn options() -> JailOptions {
    JailOptions {
        name: "sshd".into(),
        filter: Some(FilterOptions {
            patterns: vec![
                r"failed <F-USER>\S+</F-USER> from <HOST>$".into(),
                r"<F-ID>\S+</F-ID> is unwelcome$".into(),
            ],
            ignore: vec!["^ test ".into()],
            ..FilterOptions::default()
        }),
        tracker: TrackerOptions {
            max_retry: 3,
            find_time: Duration::from_secs(600),
            max_matches: 2,
            max_tracked: 100,
        },
        ban_time: Duration::from_secs(600).into(),
        bans_nobody: false,
        increment: None,
        ignore: IgnoreOptions {
            nets: vec![("203.0.113.0/24".parse().unwrap(), "203.0.113.0/24".into())],
            own: true,
            ..IgnoreOptions::default()
        },
        enforced: true,
        rules: Rules::Stockade,
        counters: Counters::Keep,
    }
}

fn notify_only() -> JailOptions {
    JailOptions { enforced: false, ..options() }
}

fn jail() -> Jail {
    let mut jail = Jail::new(&options()).unwrap();
    jail.set_own(vec!["192.0.2.1".parse().unwrap()]);
    jail.set_gateways(vec!["192.0.2.254".parse().unwrap()]);
    jail
}

fn net(text: &str) -> Subnet {
    text.parse().unwrap()
}

/// What effects say, in short, without what the store remembers.
fn say(effects: &[Effect]) -> Vec<String> {
    effects.iter().filter(|effect| !matches!(effect, Effect::Remember(_))).map(word).collect()
}

fn tell(effects: &[Effect]) -> Vec<String> {
    effects.iter().map(word).collect()
}

fn word(effect: &Effect) -> String {
    let second = |time: &UnixTime| time.secs() - START;
    match effect {
        Effect::FoundBad(id, time, count, weight) => format!("bad {id} {} {count} {weight}", second(time)),
        Effect::Consult(Question::Name(name)) => format!("who is {name}"),
        Effect::Consult(Question::Command(inquiry)) => format!("command {} {}", inquiry.number, inquiry.id),
        Effect::Remember(ban) => {
            format!("remember {} {} +{} {}", ban.id, second(&ban.time), ban.sentence, ban.count)
        }
        Effect::Recall(id) => format!("recall {id}"),
        Effect::Increase(ban) => format!("increase {} +{} {}", ban.id, ban.sentence, ban.count),
        Effect::Unreckoned(id, why) => format!("unreckoned {id}: {why}"),
        Effect::Forget(Some(id)) => format!("forget {id}"),
        Effect::Forget(None) => "forget all".to_owned(),
        Effect::Found(id, time) => format!("found {id} {}", second(time)),
        Effect::Ignored(id, rule) => format!("ignored {id} by {rule}"),
        Effect::Futile(futile) => format!("futile {} {}", futile.id, futile.offences),
        Effect::Spared(spared) => format!("spared {spared}"),
        Effect::Shut(id, why) => format!("shut {id}: {why}"),
        Effect::Masked(masked) => format!("masked {} {}", masked.address, masked.failures),
        Effect::Ban(ban) => format!(
            "{} {} {} +{}",
            if ban.restored { "restore" } else { "ban" },
            ban.id,
            second(&ban.time),
            ban.sentence
        ),
        Effect::Prolong(ban) => format!("prolong {} {} +{}", ban.id, second(&ban.time), ban.sentence),
        Effect::Already(id, since) => format!("already {id} {}", second(since)),
        Effect::Expired(id) => format!("expired {id}"),
        Effect::Enforced(id, restored) => format!("enforced {id}{}", if *restored { " again" } else { "" }),
        Effect::NotEnforced(id, reason) => format!("not enforced {id}: {reason}"),
        Effect::Unban(id, Release::Expired) => format!("over {id}"),
        Effect::Unban(id, Release::Operator) => format!("unban {id}"),
    }
}

fn fail(jail: &mut Jail, id: &str, time: i64, now: i64) -> Vec<String> {
    let mut effects = vec![];
    jail.attempt(&Id::parse(id), at(time), &[], &[], at(now), &mut effects);
    say(&effects)
}

fn expire(jail: &mut Jail, now: i64) -> Vec<String> {
    let mut effects = vec![];
    jail.expire(at(now), &mut effects);
    say(&effects)
}

fn answer(jail: &mut Jail, id: &str, answer: Result<(), &str>) -> Vec<String> {
    let mut effects = vec![];
    jail.acknowledge(net(id), answer.map_err(Into::into), &mut effects);
    say(&effects)
}

fn none() -> [String; 0] {
    []
}

fn line(second: i64, text: &str) -> String {
    format!("{} {text}", at(second))
}

#[test]
fn lines_become_failures_and_failures_a_ban() {
    let mut jail = jail();
    let mut effects = vec![];
    let id = Id::parse("198.51.100.7");
    for (second, text, want) in [
        (0, "failed root from 198.51.100.7", Verdict::Failed { pattern: 0, id: id.clone(), time: at(0) }),
        (1, "all is well", Verdict::Nothing),
        (2, "test failed root from 198.51.100.7", Verdict::Excluded(0)),
        (400, "failed bin from 198.51.100.7", Verdict::Failed { pattern: 0, id: id.clone(), time: at(400) }),
        (800, "failed www from 198.51.100.7", Verdict::Failed { pattern: 0, id: id.clone(), time: at(800) }),
    ] {
        let got = jail.on_line(line(second, text).as_bytes(), &reading(second), &mut effects);
        assert_eq!(got, want, "{text}");
    }
    assert_eq!(
        say(&effects),
        [
            "found 198.51.100.7 0",
            "found 198.51.100.7 400",
            "found 198.51.100.7 800",
            "ban 198.51.100.7 800 +10m"
        ]
    );
    let Some(Effect::Remember(ban)) = effects.pop() else { panic!("no ban: {effects:?}") };
    let lines = [(400, "failed bin from 198.51.100.7"), (800, "failed www from 198.51.100.7")];
    assert_eq!(ban.lines, lines.map(|(second, text)| line(second, text).into()), "the last two");
    assert_eq!(ban.data.iter().find(|(name, _)| &**name == "user").map(|(_, user)| &**user), Some("root"));
    assert_eq!((ban.failures, ban.count), (3, 1));
    assert_eq!(jail.totals(), Totals { lines: 5, failed: 3, banned: 1, ..Totals::default() });
    assert_eq!((jail.failed_now(), jail.banned_now()), (0, 0), "wanted is not in force");
    assert_eq!(jail.next_deadline(), Some(at(1400)));
    assert_eq!(jail.wanted(at(900)), [(net("198.51.100.7"), Some(Duration::from_secs(500)))]);
}

#[test]
fn a_block_is_as_its_lines() {
    let texts = [
        "failed a from 198.51.100.7",
        "nothing",
        "",
        "failed b from 198.51.100.7",
        "failed c from 198.51.100.7",
    ];
    let (mut one, mut other) = (jail(), jail());
    let (mut by_line, mut by_block, mut block) = (vec![], vec![], String::new());
    for text in texts {
        one.on_line(line(5, text).as_bytes(), &reading(5), &mut by_line);
        block += &line(5, text);
        block += "\n";
    }
    let (mut done, mut begun) = (0, 0);
    other.on_block(block.as_bytes().into(), &reading(5), &mut by_block, &mut done, &mut || begun += 1);
    assert_eq!(done, block.len());
    assert_eq!(by_line, by_block);
    assert_eq!(one.totals(), other.totals());
    assert_eq!(say(&by_block).last().unwrap(), "ban 198.51.100.7 5 +10m");
}

#[test]
fn who_is_banned_and_goes_on_failing() {
    let mut jail = jail();
    let mut fails = |time, now| {
        let mut all: Vec<_> = (0..3).flat_map(|_| fail(&mut jail, "198.51.100.7", time, now)).collect();
        all.retain(|word| !word.starts_with("found"));
        all
    };
    for (time, now, want) in [
        (0, 700, &["expired 198.51.100.7"][..]),
        (100, 700, &["ban 198.51.100.7 100 +10m"]),
        (100, 700, &["already 198.51.100.7 100"]),
        (99, 700, &["expired 198.51.100.7"]),
        (200, 700, &["prolong 198.51.100.7 100 +11m 40s"]),
        (800, 800, &["prolong 198.51.100.7 100 +21m 40s"]),
        (9000, 1400, &["prolong 198.51.100.7 100 +31m 40s"]),
        (2001, 2001, &["over 198.51.100.7", "ban 198.51.100.7 2001 +10m"]),
    ] {
        assert_eq!(fails(time, now), want, "at {now}");
    }
    assert_eq!(expire(&mut jail, 2601), none());
    assert_eq!(expire(&mut jail, 2602), ["over 198.51.100.7"]);
}

#[test]
fn who_is_ignored_is_not_counted() {
    let mut jail = jail();
    jail.set_ignore_file(vec![(net("198.51.100.9"), "file:/etc/friends".into())]);
    let long = "u".repeat(TEXT_CAP + 1);
    for (id, want) in [
        ("203.0.113.5", "ignored 203.0.113.5 by 203.0.113.0/24".to_owned()),
        ("203.0.0.0/16", "ignored 203.0.0.0/16 by 203.0.113.0/24".to_owned()),
        ("192.0.2.1", "ignored 192.0.2.1 by 192.0.2.1 is an address of this host".to_owned()),
        ("192.0.2.254", "ignored 192.0.2.254 by 192.0.2.254 is the default gateway".to_owned()),
        ("198.51.100.9", "ignored 198.51.100.9 by file:/etc/friends".to_owned()),
        (&long, format!("ignored {}… by longer than 1024 bytes", "u".repeat(60))),
        ("192.0.2.2", "found 192.0.2.2 0".to_owned()),
    ] {
        assert_eq!(fail(&mut jail, id, 0, 0), [want], "{id}");
    }
    assert_eq!(jail.totals(), Totals { failed: 1, ignored: 6, ..Totals::default() });
    let ignore = IgnoreOptions { own: false, ..options().ignore };
    jail.retune(&JailOptions { ignore, ..options() }).unwrap();
    assert_eq!(fail(&mut jail, "192.0.2.1", 0, 0), ["found 192.0.2.1 0"]);
}

#[test]
fn a_text_is_banned_only_without_a_firewall() {
    let reason = "it is no address, and a firewall bans only addresses";
    let (mut with, mut without) = (jail(), Jail::new(&notify_only()).unwrap());
    for _ in 0..2 {
        fail(&mut with, "mallory", 0, 0);
        fail(&mut without, "mallory", 0, 0);
    }
    let not = format!("not enforced mallory: {reason}");
    assert_eq!(fail(&mut with, "mallory", 0, 0), ["found mallory 0", &not]);
    assert_eq!(
        fail(&mut without, "mallory", 0, 0),
        ["found mallory 0", "ban mallory 0 +10m", "enforced mallory"]
    );
    assert_eq!((with.bans().count(), without.banned_now()), (0, 1));
    let refusal = with.ban(Id::parse("mallory"), None, true, at(0)).unwrap_err();
    assert_eq!(refusal.to_string(), "`mallory` is no address, and the jail has a firewall");
    without.retune(&options()).unwrap();
    assert_eq!(without.not_enforced().collect::<Vec<_>>(), [(Id::parse("mallory"), reason.into())]);
    assert_eq!(without.wanted(at(0)), []);
}

#[test]
fn an_operator_bans() {
    let mut jail = jail();
    for (id, sentence, force, want) in [
        ("198.51.100.7", None, false, Ok("ban 198.51.100.7 50 +10m")),
        ("198.51.100.7", None, false, Ok("already 198.51.100.7 50")),
        ("198.51.100.7", Some("2w"), false, Ok("prolong 198.51.100.7 50 +2w")),
        ("198.51.100.0/24", Some("forever"), false, Ok("ban 198.51.100.0/24 50 +forever")),
        ("203.0.113.9", None, false, Err("203.0.113.9 is ignored by `203.0.113.0/24`")),
        ("192.0.2.1", None, false, Err("192.0.2.1 is an address of this host")),
        ("192.0.2.254", None, false, Err("192.0.2.254 is the default gateway")),
        ("192.0.0.0/16", None, false, Err("192.0.0.0/16 is too wide: 192.0.2.1 is an address of this host")),
        ("192.0.2.254", None, true, Ok("ban 192.0.2.254 50 +10m")),
        ("203.0.113.9", None, true, Ok("ban 203.0.113.9 50 +10m")),
        ("2001:db8::1", Some("0"), false, Ok("ban 2001:db8::1 50 +0s")),
    ] {
        let sentence = sentence.map(|text| text.parse().unwrap());
        let got = jail.ban(Id::parse(id), sentence, force, at(50));
        let got = got.map(|effects| say(&effects).join(", ")).map_err(|refusal| refusal.to_string());
        assert_eq!(got, want.map(str::to_owned).map_err(str::to_owned), "{id} {sentence:?} {force}");
    }
    assert_eq!(jail.totals().banned, 5);
    assert_eq!(expire(&mut jail, 51), ["over 2001:db8::1"]);
    let ignore = IgnoreOptions { own: false, ..options().ignore };
    jail.retune(&JailOptions { ignore, ..options() }).unwrap();
    assert!(jail.ban(Id::parse("192.0.2.1"), None, false, at(60)).is_err(), "not even then without --force");
}

#[test]
fn an_operator_lets_in() {
    let mut jail = jail();
    for id in ["198.51.100.7", "198.51.100.0/25", "198.51.100.9", "198.51.101.1", "2001:db8::1"] {
        jail.ban(Id::parse(id), None, false, at(0)).unwrap();
    }
    fail(&mut jail, "198.51.100.7", 0, 0);
    for (id, want) in [
        ("198.51.100.8", &["forget 198.51.100.8"][..]),
        ("198.51.100.0/25", &["unban 198.51.100.0/25"]),
        ("198.51.100.0/24", &["unban 198.51.100.7", "unban 198.51.100.9", "forget 198.51.100.0/24"]),
        ("198.51.100.7", &["forget 198.51.100.7"]),
    ] {
        assert_eq!(say(&jail.unban(&Id::parse(id))), want, "{id}");
    }
    assert_eq!(jail.court.tracker.get(&Id::parse("198.51.100.7")).unwrap().retry, 1, "failures stay counted");
    assert_eq!(say(&jail.unban_all()), ["unban 198.51.101.1", "unban 2001:db8::1", "forget all"]);
    assert_eq!(jail.next_deadline(), None);
}

#[test]
fn the_firewall_has_the_last_word_once() {
    let mut jail = jail();
    let id = "198.51.100.7";
    jail.ban(Id::parse(id), None, false, at(0)).unwrap();
    assert_eq!(answer(&mut jail, id, Err("the set is full")), ["not enforced 198.51.100.7: the set is full"]);
    assert_eq!(answer(&mut jail, id, Err("the set is full")), none());
    assert_eq!(jail.wanted(at(0)).len(), 1, "it is asked for again");
    assert_eq!(answer(&mut jail, id, Ok(())), ["enforced 198.51.100.7"]);
    assert_eq!(answer(&mut jail, id, Ok(())), none());
    assert_eq!(jail.banned_now(), 1);
    assert_eq!(answer(&mut jail, id, Err("no permission")), ["not enforced 198.51.100.7: no permission"]);
    jail.unban(&Id::parse(id));
    assert_eq!(answer(&mut jail, id, Ok(())), none(), "too late");
    assert_eq!(answer(&mut jail, "198.51.100.8", Err("no permission")), none());
}

#[test]
fn what_is_restored() {
    let ban = |id: &str, time, seconds: Option<u64>, failures| Ban {
        id: Id::parse(id),
        time: at(time),
        sentence: Sentence(seconds.map(Duration::from_secs)),
        count: 4,
        failures,
        lines: ["1", "2", "3"].map(Into::into).to_vec(),
        data: vec![],
        restored: true,
    };
    let record = Record { first: at(0), last: at(700), retry: 2, failures: 2, lines: vec![], data: vec![] };
    let mut jail = jail();
    let bans = vec![
        ban("198.51.100.1", 500, Some(600), 3),
        ban("198.51.100.2", 500, Some(60), 3),
        ban("198.51.100.3", 900, Some(99_999), 3),
        ban("198.51.100.4", 0, Some(99_999), 3),
        ban("198.51.100.5", 500, None, 3),
        ban("198.51.100.6", 0, None, 0),
        ban("198.51.100.7", 0, Some(1600), 3),
        ban("203.0.113.9", 900, Some(600), 3),
        ban("192.0.2.1", 900, Some(600), 0),
        ban("mallory", 900, Some(600), 3),
    ];
    let counted = Id::parse("198.51.100.8");
    let counters = vec![(counted.clone(), record.clone())];
    let past = Remembered { bans, counters, ..Remembered::default() };
    let mut quiet = self::jail();
    let effects = quiet.restore_quietly(past.clone(), at(1000));
    assert_eq!(say(&effects).len(), 3, "only what does not come back");
    let mut told = 0;
    assert_eq!(quiet.newly_wanted(&mut told, at(1000)).collect::<Vec<_>>(), quiet.wanted(at(1000)));
    quiet.restore_quietly(past.clone(), at(1000));
    assert_eq!((told, quiet.newly_wanted(&mut told, at(1000)).count()), (5, 0));
    let effects = jail.restore(past, at(1000));
    assert_eq!(quiet.wanted(at(1000)), jail.wanted(at(1000)));
    assert_eq!(
        say(&effects),
        [
            "restore 198.51.100.1 500 +10m",
            "restore 198.51.100.3 900 +10m",
            "restore 198.51.100.5 500 +10m",
            "restore 198.51.100.6 0 +forever",
            "restore 198.51.100.7 0 +26m 40s",
            "ignored 203.0.113.9 by 203.0.113.0/24",
            "ignored 192.0.2.1 by 192.0.2.1 is an address of this host",
            "not enforced mallory: it is no address, and a firewall bans only addresses",
        ]
    );
    let Effect::Ban(first) = &effects[0] else { panic!("{:?}", effects[0]) };
    assert_eq!((first.count, &first.lines[..]), (4, &["2".into(), "3".into()][..]));
    assert_eq!(answer(&mut jail, "198.51.100.1", Ok(())), ["enforced 198.51.100.1 again"]);
    assert_eq!(jail.court.tracker.get(&counted), Some(record));
    assert_eq!(jail.take_changes(), Changes::default(), "the store knows it all");
    assert_eq!(expire(&mut jail, 1301), ["over 198.51.100.1", "over 198.51.100.5"]);
    assert_eq!(jail.failed_now(), 1, "a line from before the restart may still come");
    assert_eq!(
        fail(&mut jail, "198.51.100.8", 800, 1400),
        ["found 198.51.100.8 800", "ban 198.51.100.8 800 +10m"]
    );
    fail(&mut jail, "198.51.100.9", 900, 1400);
    expire(&mut jail, 1700);
    assert_eq!(jail.failed_now(), 0, "but not for ever");
}

#[test]
fn a_retuned_jail_goes_on() {
    let mut jail = jail();
    let mut effects = vec![];
    jail.ban(Id::parse("198.51.100.1"), None, false, at(0)).unwrap();
    answer(&mut jail, "198.51.100.1", Ok(()));
    fail(&mut jail, "198.51.100.7", 0, 0);
    let mut new = options();
    new.ban_time = Duration::from_secs(60).into();
    new.tracker.max_retry = 2;
    new.ignore.nets = vec![(net("198.51.100.1"), "198.51.100.1".into())];
    new.filter = Some(FilterOptions { patterns: vec!["bad <HOST>".into()], ..FilterOptions::default() });
    jail.retune(&new).unwrap();
    jail.on_line(line(1, "bad 198.51.100.7").as_bytes(), &reading(1), &mut effects);
    assert_eq!(say(&effects), ["found 198.51.100.7 1", "ban 198.51.100.7 1 +1m"]);
    let kept: Vec<_> = jail.bans().map(|banned| (banned.ban.until(), banned.state)).collect();
    assert_eq!(kept, [(Some(at(600)), State::Acknowledged), (Some(at(61)), State::Wanted)]);

    new.filter = Some(FilterOptions { patterns: vec!["bad".into()], ..FilterOptions::default() });
    new.ban_time = Sentence::FOREVER;
    assert_eq!(jail.retune(&new).unwrap_err().len(), 1);
    assert_eq!(jail.options().ban_time, Duration::from_secs(60).into(), "nothing has moved");

    jail.retune(&notify_only()).unwrap();
    assert_eq!(jail.banned_now(), 2, "nobody has to confirm any more");
    jail.retune(&options()).unwrap();
    assert_eq!(jail.banned_now(), 0);
    assert_eq!(answer(&mut jail, "198.51.100.7", Ok(())), ["enforced 198.51.100.7 again"]);
}

#[test]
fn a_jail_without_a_filter_takes_manual_bans() {
    let mut jail = Jail::new(&JailOptions { filter: None, ..options() }).unwrap();
    let mut effects = vec![];
    assert_eq!(jail.on_line(b"failed root from 198.51.100.7", &reading(0), &mut effects), Verdict::Nothing);
    assert_eq!(effects, []);
    assert_eq!(
        say(&jail.ban(Id::parse("198.51.100.7"), None, false, at(0)).unwrap()),
        ["ban 198.51.100.7 0 +10m"]
    );
}

proptest! {
    /// Wherever the program ends and starts again, with what was saved at that moment, every verdict stays the same.
    #[test]
    fn a_restart_changes_no_verdict(
        steps in proptest::collection::vec((0..4_u8, 0..500_i64), 1..60),
        restarts in proptest::collection::vec(any::<bool>(), 60),
        max_retry in 1..5_u32,
    ) {
        let options = JailOptions { tracker: TrackerOptions { max_retry, ..options().tracker }, ..options() };
        let mut steady = Jail::new(&options).unwrap();
        let mut other = Jail::new(&options).unwrap();
        let (mut counters, mut state) = (std::collections::HashMap::new(), None);
        let mut second = 0;
        for ((who, gap), restart) in steps.into_iter().zip(restarts) {
            second += gap;
            let line = line(second, &format!("failed root from 198.51.100.{who}"));
            let (mut want, mut got) = (vec![], vec![]);
            steady.expire(at(second), &mut want);
            other.expire(at(second), &mut got);
            steady.on_line(line.as_bytes(), &reading(second), &mut want);
            other.on_line(line.as_bytes(), &reading(second), &mut got);
            prop_assert_eq!(say(&want), say(&got));
            let changes = other.take_changes();
            state = changes.state.or(state);
            for (id, record) in changes.counters.iter() {
                match record {
                    Some(record) => counters.insert(id, record),
                    None => counters.remove(&id),
                };
            }
            if restart {
                let bans = other.bans().map(|banned| banned.ban).collect();
                other = Jail::new(&options).unwrap();
                let counters = counters.clone().into_iter().collect();
                other.restore(Remembered { bans, counters, state: state.clone(), ..Remembered::default() }, at(second));
            }
        }
    }
}
