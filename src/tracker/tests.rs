use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

impl Tracker {
    /// Starts to count `id` anew; whether it was counted.
    fn forget(&mut self, id: &Id) -> bool {
        self.point_at(id);
        self.remove(id)
    }
}

fn options(max_retry: u32, find_time: u64) -> TrackerOptions {
    TrackerOptions { max_retry, find_time: Duration::from_secs(find_time), max_matches: 3, max_tracked: 1000 }
}

fn at(seconds: f64) -> UnixTime {
    UnixTime::from_micros(1_700_000_000_000_000 + (seconds * 1e6).round() as i64)
}

fn id(n: u32) -> Id {
    Id::Net(std::net::Ipv4Addr::from(n).into())
}

/// Feeds failures at these seconds, each read when it happened; `None` stands for an offence, else the count.
fn counts(options: TrackerOptions, seconds: &[f64]) -> Vec<Option<u32>> {
    let mut tracker = Tracker::new(options);
    let mut count = |&second: &f64| match tracker.fail(&id(1), at(second), &[], &[], at(second)) {
        Some(_) => None,
        None => Some(tracker.get(&id(1)).unwrap().retry),
    };
    seconds.iter().map(&mut count).collect()
}

#[test]
fn the_rate_rule() {
    for (max_retry, find_time, seconds, want) in [
        // 2 in 800 s are 1.5 in 600 s: rounded to 2, and one more.
        (3, 600, &[0.0, 400.0, 800.0][..], &[Some(1), Some(2), None][..]),
        (3, 600, &[0.0, 0.0, 0.0], &[Some(1), Some(2), None]),
        (3, 600, &[0.0, 600.0, 600.0], &[Some(1), Some(2), None]),
        // 1 in 1200 s is 0.5 in 600 s: rounded to the even 0.
        (9, 600, &[0.0, 1200.0], &[Some(1), Some(1)]),
        // 3 in 720 s are 2.5 in 600 s: rounded to the even 2.
        (9, 600, &[0.0, 0.0, 0.0, 720.0], &[Some(1), Some(2), Some(3), Some(3)]),
        // 2 in 800 s: 1.5, rounded to the even 2.
        (9, 600, &[0.0, 0.0, 800.0], &[Some(1), Some(2), Some(3)]),
        // One every 601 s: never more than 1 and this one.
        (3, 600, &[0.0, 601.0, 1202.0, 1803.0], &[Some(1), Some(2), Some(2), Some(2)]),
        // Older or equal times count and adjust nothing.
        (9, 600, &[1000.0, 0.0, 1000.0, 400.0, 2200.0], &[Some(1), Some(2), Some(3), Some(4), Some(3)]),
        // A fraction of a second past the span is past it.
        (9, 10, &[0.0, 0.0, 0.0, 10.000_001], &[Some(1), Some(2), Some(3), Some(4)]),
        (1, 600, &[0.0, 1.0], &[None, None]),
        (0, 600, &[0.0], &[None]),
        (3, 0, &[0.0, 0.0, 1.0, 1.0, 1.0], &[Some(1), Some(2), Some(1), Some(2), None]),
    ] {
        assert_eq!(
            counts(options(max_retry, find_time), seconds),
            want,
            "{max_retry} in {find_time}: {seconds:?}"
        );
    }
}

#[test]
fn an_offence_carries_the_last_lines_and_the_first_data() {
    let mut tracker = Tracker::new(options(5, 600));
    let user = |name: &str| vec![("user".into(), name.into())];
    let line = |n: u32| Arc::from(format!("2026 mx sshd[{n}]: Failed password for x{n}"));
    let mut offence = None;
    for n in 0..5 {
        assert_eq!(offence, None);
        let data = user(&format!("x{n}"));
        offence = tracker.fail(&id(7), at(f64::from(n)), &[line(n), line(n + 100)], &data, at(9.0));
    }
    let want = Record {
        first: at(0.0),
        last: at(4.0),
        retry: 5,
        failures: 5,
        lines: vec![line(103), line(4), line(104)],
        data: vec![("user".into(), "x0".to_owned())],
    };
    assert_eq!(offence, Some(want));
    assert!(tracker.is_empty());
    assert_eq!(counts(TrackerOptions { max_matches: 0, ..options(2, 600) }, &[0.0, 1.0]), [Some(1), None]);
}

#[test]
fn a_time_in_the_future_counts_as_now() {
    let mut tracker = Tracker::new(options(2, 600));
    assert_eq!(tracker.fail(&id(1), at(5000.0), &[], &[], at(10.0)), None);
    assert_eq!(tracker.get(&id(1)).unwrap().last, at(10.0));
}

#[test]
fn cleanup_forgets_at_find_time_and_looks_every_five_seconds() {
    let mut tracker = Tracker::new(options(9, 600));
    let fail = |tracker: &mut Tracker, n, second| tracker.fail(&id(n), at(second), &[], &[], at(second));
    fail(&mut tracker, 1, 0.0);
    fail(&mut tracker, 2, 0.5);
    fail(&mut tracker, 3, 7.0);
    for (now, left) in [(599.9, 3), (600.0, 3), (604.9, 1), (605.0, 1), (609.9, 0), (1.0, 0)] {
        tracker.cleanup(at(now));
        assert_eq!(tracker.len(), left, "at {now}");
    }
    fail(&mut tracker, 4, 1000.0);
    for (late, left) in [(1599.0, 1), (1600.0, 0)] {
        tracker.lapse(&id(4), at(late));
        assert_eq!(tracker.len(), left, "at {late}");
    }
}

#[test]
fn eviction_takes_the_lowest_retry_then_the_oldest() {
    let mut tracker = Tracker::new(TrackerOptions { max_tracked: 4, ..options(9, 600) });
    for (n, second) in [(1, 0.0), (2, 1.0), (3, 2.0), (4, 3.0), (1, 4.0), (3, 5.0), (5, 6.0), (6, 7.0)] {
        tracker.fail(&id(n), at(second), &[], &[], at(second));
    }
    let mut left: Vec<_> = tracker.records().map(|(id, record)| (id, record.retry)).collect();
    left.sort();
    assert_eq!(left, [(id(1), 2), (id(3), 2), (id(5), 1), (id(6), 1)]);
    assert_eq!(tracker.evicted(), 2);
    tracker.retune(TrackerOptions { max_tracked: 1, ..options(9, 600) });
    assert_eq!(tracker.records().map(|(id, _)| id).collect::<Vec<_>>(), [id(3)]);
    assert_eq!(tracker.evicted(), 5);
}

#[test]
fn of_the_same_age_the_first_that_failed_goes() {
    let mut tracker = Tracker::new(TrackerOptions { max_tracked: 800, ..options(9, 600) });
    for n in 0..1000 {
        tracker.fail(&id(n), at(0.0), &[], &[], at(0.0));
    }
    let mut left: Vec<_> = tracker.records().map(|(id, _)| id).collect();
    left.sort();
    assert_eq!(left.first(), Some(&id(200)));
    assert_eq!((left.len(), left.last()), (800, Some(&id(999))));
}

#[test]
fn a_flood_of_spoofed_addresses_leaves_the_attacker_counted() {
    let mut tracker = Tracker::new(TrackerOptions { max_tracked: 1000, ..options(4, 3600) });
    let line = [Arc::from("mx sshd[1]: Failed password for root from somewhere port 22 ssh2")];
    let attacker = id(0xc000_0201);
    let mut banned_at = None;
    for n in 0..100_000_u32 {
        let now = at(f64::from(n) / 100.0);
        assert_eq!(tracker.fail(&id(n), now, &line, &[], now), None);
        // Every 500th failure is the attacker's: the list is filled twice as slowly.
        if n % 500 == 0 && tracker.fail(&attacker, now, &line, &[], now).is_some() && banned_at.is_none() {
            banned_at = Some(n);
        }
    }
    assert_eq!(banned_at, Some(1500));
    assert!(tracker.len() <= 1000);
    assert!(tracker.evicted() > 90_000);
    assert!(tracker.take_dirty().len() <= 1000, "what came and went between two saves is not saved");
}

#[test]
fn a_failure_of_sshd_takes_little_room() {
    let mut tracker = Tracker::new(options(99, 3600));
    let mut state = 1_u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for n in 0..1000 {
        let (id, pid, port) = (id(0x6441_0000 + n), 1000 + random(4_000_000), 1024 + random(60_000));
        let user = ["test", "oracle", "pi", "ftpuser"][random(4) as usize];
        let line = format!(
            "Nov 27 03:37:{:02} mx1 sshd[{pid}]: Failed password for invalid user {user} from {id} port {port} ssh2",
            random(60)
        );
        let data = [
            ("mlfid", format!(" mx1 sshd[{pid}]: ")),
            ("cond_inv", "invalid user ".to_owned()),
            ("user", user.to_owned()),
            ("ip4", id.to_string()),
        ];
        let data = data.map(|(name, value)| (name.into(), value.into()));
        tracker.fail(&id, at(f64::from(n)), &[line.as_str().into()], &data, at(1000.0));
        assert_eq!(*tracker.get(&id).unwrap().lines[0], *line);
    }
    let each = tracker.records.size() / 1000;
    assert!(each <= 60, "{each} bytes");
}

#[test]
fn data_come_back_however_many_and_long() {
    let mut tracker = Tracker::new(options(99, 3600));
    let data: Vec<(Arc<str>, SmolStr)> = (0..12_u8)
        .map(|n| {
            let value: String =
                (0..u32::from(n) * 5).map(|k| char::from((b'!' + (k * 37 % 90) as u8) ^ n)).collect();
            (format!("name{n}").into(), value.into())
        })
        .collect();
    tracker.fail(&id(1), at(0.0), &[], &data, at(0.0));
    let got = tracker.get(&id(1)).unwrap().data;
    let got: Vec<_> = got.into_iter().map(|(name, value)| (name, SmolStr::from(value))).collect();
    assert_eq!(got, data);
}

#[test]
fn long_lines_fill_no_memory_and_lose_no_count() {
    let mut tracker =
        Tracker::new(TrackerOptions { max_tracked: 1000, max_matches: 100, ..options(99, 3600) });
    let mut noise = 1_u64;
    let mut noise = |length: usize| -> Arc<str> {
        let byte = || {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from_u32(0xc0 + (noise >> 57) as u32).unwrap()
        };
        std::iter::repeat_with(byte).take(length).collect::<String>().into()
    };
    for round in 0..20 {
        for n in 0..1000 {
            let data = [("user".into(), noise(300).as_ref().into())];
            tracker.fail(&id(n), at(f64::from(round)), &[noise(3000)], &data, at(100.0));
        }
    }
    assert!(tracker.records.size() <= 1000 * 512, "{} bytes", tracker.records.size());
    let sum: usize = tracker.records.iter().map(Packed::size).sum();
    assert_eq!(sum, tracker.records.size());
    let least = tracker.records().map(|(_, record)| record.retry).min();
    assert_eq!((tracker.len() as u64 + tracker.evicted(), least), (1000, Some(20)));

    let mut tracker = Tracker::new(TrackerOptions { max_matches: 100_000, ..options(99_999, 3600) });
    for _ in 0..100 {
        tracker.fail(&id(1), at(0.0), &[noise(3000)], &[], at(0.0));
    }
    assert!(tracker.records.size() < LINES_KEPT + 100, "{} bytes", tracker.records.size());
    assert!(tracker.get(&id(1)).unwrap().lines.len() > 1);
}

#[test]
fn every_kind_of_id_is_kept() {
    let mut tracker = Tracker::new(options(9, 600));
    let ids = [
        "192.0.2.1",
        "192.0.2.0/24",
        "2001:db8::1",
        "2001:db8::/32",
        "0.0.0.0/0",
        "::/0",
        "",
        "Grüße",
        "x y",
    ];
    let long = "u".repeat(70_000);
    for text in ids.into_iter().chain([&*long]) {
        let id = Id::parse(text);
        tracker.fail(&id, at(0.0), &[], &[], at(0.0));
        tracker.fail(&id, at(1.0), &[], &[], at(1.0));
        assert_eq!(tracker.get(&id).unwrap().retry, 2, "{text}");
        assert!(tracker.records().any(|(known, _)| known == id), "{text}");
        assert!(tracker.forget(&id) && !tracker.forget(&id), "{text}");
    }
    assert_eq!(tracker.records.size(), 0);
}

#[test]
fn a_failure_may_count_several_times() {
    let mut tracker = Tracker::new(options(9, 600));
    let lines = |n: usize| (0..n as u32).map(|n| Arc::from(format!("line {n}"))).collect::<Vec<Arc<str>>>();
    let count = |tracker: &Tracker| {
        tracker.get(&id(1)).map(|record| (record.retry, record.failures, record.lines.len()))
    };
    assert_eq!(tracker.aggravate(&id(1), 5, at(0.0)), None, "nobody is counted");
    assert_eq!(tracker.charge(&id(1), &[], at(0.0)), None);
    assert_eq!(count(&tracker), Some((1, 1, 0)));
    assert_eq!(tracker.charge(&id(1), &lines(2), at(1.0)), None);
    assert_eq!(count(&tracker), Some((3, 2, 2)));
    assert_eq!(tracker.aggravate(&id(1), 2, at(1.0)), None);
    assert_eq!(count(&tracker), Some((5, 3, 2)));
    let offence = tracker.aggravate(&id(1), 4, at(1.0)).unwrap();
    assert_eq!((offence.retry, offence.failures, offence.lines.len()), (9, 4, 2));
    assert_eq!(count(&tracker), None);
    assert!(tracker.charge(&id(2), &lines(9), at(2.0)).is_some_and(|offence| offence.failures == 1));
}

#[test]
fn the_store_hears_of_what_it_needs() {
    let mut tracker = Tracker::new(options(3, 600));
    let fail = |tracker: &mut Tracker, second| tracker.fail(&id(1), at(second), &[], &[], at(second));
    let dirty = |tracker: &mut Tracker| -> Vec<_> {
        tracker.take_dirty().iter().map(|(_, record)| record.map(|record| record.retry)).collect()
    };
    fail(&mut tracker, 0.0);
    fail(&mut tracker, 1.0);
    assert_eq!(dirty(&mut tracker), [Some(2)]);
    assert_eq!(dirty(&mut tracker), []);
    fail(&mut tracker, 2.0); // the offence
    assert_eq!(dirty(&mut tracker), [None]);
    fail(&mut tracker, 3.0);
    tracker.forget(&id(1)); // came and went
    assert_eq!(dirty(&mut tracker), []);
    fail(&mut tracker, 4.0);
    assert_eq!(dirty(&mut tracker), [Some(1)]);
    tracker.forget(&id(1));
    fail(&mut tracker, 5.0);
    tracker.forget(&id(1)); // the store still has the record of second 4
    assert_eq!(dirty(&mut tracker), [None]);
}

/// What the tracker should do, in the plainest way.
#[derive(Default)]
struct Model(HashMap<Id, Record>);

impl Model {
    fn fail(&mut self, id: &Id, time: UnixTime, line: &Arc<str>, options: &TrackerOptions) -> Option<Record> {
        let new = Record { first: time, last: time, retry: 0, failures: 0, lines: vec![], data: vec![] };
        let record = self.0.entry(id.clone()).or_insert(new);
        if time > record.last {
            let start = time.micros() - options.find_time.as_micros() as i64;
            if record.first.micros() < start {
                let spread = (time.micros() - record.first.micros()) as f64 / 1e6;
                record.retry = (f64::from(record.retry) / spread * options.find_time.as_secs_f64())
                    .round_ties_even() as u32;
                record.first = UnixTime::from_micros(start);
            }
            record.last = time;
        }
        record.retry += 1;
        record.failures += 1;
        record.lines.push(Arc::clone(line));
        let surplus = record.lines.len().saturating_sub(options.max_matches);
        record.lines.drain(..surplus);
        (record.retry >= options.max_retry).then(|| self.0.remove(id).unwrap())
    }
}

proptest! {
    /// Packing, saving and restoring change no verdict.
    #[test]
    fn as_the_plain_model(
        steps in proptest::collection::vec((0..6_u32, 0..3000_u32, ".{0,60}", 0..12_u8), 1..120),
        max_retry in 0..6_u32,
    ) {
        let options = options(max_retry, 600);
        let (mut tracker, mut model, mut store) = (Tracker::new(options.clone()), Model::default(), HashMap::new());
        for (n, second, line, what) in steps {
            let (id, line, time) = (id(n), Arc::from(line), at(f64::from(second) / 2.0));
            match what {
                0 => prop_assert_eq!(tracker.forget(&id), model.0.remove(&id).is_some()),
                1 => {
                    tracker.cleanup(time);
                    tracker.cleaned = None;
                    model.0.retain(|_, record| record.last > time - options.find_time);
                }
                2 | 3 => for (id, record) in tracker.take_dirty().iter() {
                    match record {
                        Some(record) => store.insert(id, record),
                        None => store.remove(&id),
                    };
                },
                4 => {
                    for (id, record) in tracker.take_dirty().iter() {
                        match record {
                            Some(record) => store.insert(id, record),
                            None => store.remove(&id),
                        };
                    }
                    tracker = Tracker::new(options.clone());
                    tracker.restore(store.clone().into_iter().collect());
                }
                _ => prop_assert_eq!(
                    tracker.fail(&id, time, std::slice::from_ref(&line), &[], at(9999.0)),
                    model.fail(&id, time, &line, &options)
                ),
            }
            prop_assert_eq!(&tracker.records().collect::<HashMap<_, _>>(), &model.0);
        }
    }
}

fn spot(records: &Records, key: &[u8]) -> Spot {
    let mut spot = Spot::default();
    records.point(&mut spot, &mut key.to_vec());
    spot
}

#[test]
fn records_stay_findable_when_they_move_together() {
    let (mut records, mut plain) = (Records::default(), HashMap::new());
    let mut longest = 0;
    for n in 0..20_000_u32 {
        let key = |n: u32| [&[0][..], &(n % 500).to_le_bytes()].concat();
        let mut body = vec![0];
        put_lines(&[&n.to_le_bytes().repeat(n as usize % 40)], &mut body);
        let head = Head { retry: n, ..Head::new(at(f64::from(n)), 1) };
        records.put(&spot(&records, &key(n * 7)), head, &body);
        plain.insert(key(n * 7), (head, body));
        if n % 3 == 0 {
            assert_eq!(records.remove(&spot(&records, &key(n))), plain.remove(&key(n)).is_some(), "{n}");
        }
        longest = longest.max(records.size());
        assert!(records.waste() <= longest / 4 + 64 * 1024, "{} bytes of waste", records.waste());
    }
    assert_eq!(records.len(), plain.len());
    for (key, (head, body)) in &plain {
        let (got, rest) = records.find(key).unwrap().open();
        let mut again = rest.data_field.to_vec();
        put_lines(&rest.lines(), &mut again);
        assert_eq!((got, &again), (*head, body), "{key:?}");
    }
}
