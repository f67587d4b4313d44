use super::*;

const NOW: UnixTime = UnixTime::from_secs(1_767_323_045);

fn at(seconds: u64) -> UnixTime {
    NOW + Duration::from_secs(seconds)
}

/// An event from words: `nofail`, `gained`, `forget`, `user=root`, `ip4=…`; the text itself is its line.
fn event(text: &str) -> Event {
    let has = |flag: &str| text.split(' ').any(|word| word == flag);
    let groups = text.split(' ').filter_map(|word| word.split_once('='));
    Event {
        groups: groups.map(|(name, value)| (name.into(), value.into())).collect(),
        is_native: true,
        lines: vec![text.into()],
        nofail: has("nofail"),
        gained: has("gained"),
        forget: has("forget"),
        once: has("once"),
        repeat: has("repeat"),
    }
}

fn merge(sessions: &mut Sessions, key: &str, text: &str, now: UnixTime) -> String {
    let has_id = |groups: &Groups| groups.iter().any(|(name, _)| matches!(&**name, "ip4" | "ip6"));
    match sessions.merge(key.into(), event(text), now, has_id) {
        None => "-".to_owned(),
        Some(merged) => {
            let groups = merged.groups.iter().map(|(name, value)| format!("{name}={value}"));
            let groups: std::collections::BTreeSet<String> = groups.collect();
            format!("{} from {}", groups.into_iter().collect::<Vec<_>>().join(" "), merged.lines.join(", "))
        }
    }
}

#[test]
fn lines_of_a_connection() {
    for (what, lines) in [
        (
            "publickey failures followed by a login count nothing",
            &[
                ("1 nofail ip4=A user=u", "-"),
                ("2 nofail ip4=A user=u", "-"),
                ("3 gained ip4=A user=u", "-"),
                ("4 nofail forget ip4=A user=u", "-"),
            ][..],
        ),
        (
            "two users on one connection turn a nofail line into a failure",
            &[
                ("1 nofail ip4=A user=u", "-"),
                ("2 nofail ip4=A user=v", "ip4=A user=v from 1 nofail ip4=A user=u, 2 nofail ip4=A user=v"),
                ("3 nofail forget ip4=A", "ip4=A user=v from 3 nofail forget ip4=A"),
            ],
        ),
        (
            "a helper line and a failure are one failure with two lines",
            &[
                ("1 nofail ip4=A", "-"),
                ("2 ip4=A user=u", "ip4=A user=u from 1 nofail ip4=A, 2 ip4=A user=u"),
                ("3 ip4=A user=u", "ip4=A user=u from 3 ip4=A user=u"),
            ],
        ),
        (
            "passwords failed before a login stay counted",
            &[
                ("1 ip4=A user=u", "ip4=A user=u from 1 ip4=A user=u"),
                ("2 gained ip4=A user=u", "-"),
                ("3 nofail forget ip4=A", "-"),
                ("4 ip4=A user=u", "ip4=A user=u from 4 ip4=A user=u"),
            ],
        ),
        (
            "a failure without an address waits for one",
            &[
                ("1 user=u", "-"),
                ("2 user=u", "-"),
                ("3 nofail ip4=A", "ip4=A user=u from 1 user=u, 2 user=u, 3 nofail ip4=A"),
                ("4 nofail ip4=A", "-"),
            ],
        ),
        (
            "a login clears a failure that waits",
            &[("1 user=u", "-"), ("2 gained user=u", "-"), ("3 nofail ip4=A", "-")],
        ),
        (
            "the end of an unknown connection is not remembered",
            &[
                ("1 forget user=u", "-"),
                ("2 nofail forget ip4=A user=v", "-"),
                ("3 forget ip4=A user=v", "ip4=A user=v from 3 forget ip4=A user=v"),
                ("4 nofail ip4=A user=u", "-"),
            ],
        ),
        (
            "an address replaces an address",
            &[
                ("1 nofail ip4=A", "-"),
                ("2 ip6=B user=u", "ip6=B user=u from 1 nofail ip4=A, 2 ip6=B user=u"),
            ],
        ),
        (
            "a line without an address is of the address known",
            &[("1 nofail ip4=A", "-"), ("2 user=u", "ip4=A user=u from 1 nofail ip4=A, 2 user=u")],
        ),
    ] {
        let mut sessions = Sessions::default();
        for (line, want) in lines {
            assert_eq!(merge(&mut sessions, "key", line, NOW), *want, "{what}: {line}");
        }
    }
}

#[test]
fn connections_do_not_mix_and_are_forgotten_in_time() {
    let mut sessions = Sessions::default();
    merge(&mut sessions, "a", "1 nofail ip4=A", NOW);
    assert_eq!(merge(&mut sessions, "b", "2 user=u", NOW), "-");
    assert!(sessions.knows("a", at(300)));
    assert!(!sessions.knows("a", at(301)));
    // Not even by a clock that was set back.
    assert!(!sessions.knows("a", UnixTime::from_secs(0)));
    // Later lines do not prolong it.
    merge(&mut sessions, "a", "3 nofail ip4=A", at(200));
    assert_eq!(merge(&mut sessions, "a", "4 ip4=A", at(301)), "ip4=A from 4 ip4=A");
    assert_eq!(sessions.known.len(), 1);
}

#[test]
fn the_oldest_connection_goes_first() {
    let mut sessions = Sessions::default();
    for number in 0..250 {
        merge(&mut sessions, &number.to_string(), "nofail ip4=A", NOW);
        merge(&mut sessions, "149", "nofail ip4=A", NOW);
    }
    assert_eq!((sessions.known.len(), sessions.marks.len()), (100, 100));
    let known: Vec<String> = sessions.known.iter().map(|session| session.key.to_string()).collect();
    assert_eq!((known[0].as_str(), known[99].as_str()), ("151", "249"));
}

#[test]
fn a_connection_keeps_its_last_lines() {
    let mut sessions = Sessions::default();
    for number in 0..1000 {
        merge(&mut sessions, "key", &format!("{number} nofail"), NOW);
    }
    let failure = merge(&mut sessions, "key", "end ip4=A", NOW);
    assert_eq!(failure.split(", ").count(), LINES);
    assert!(
        failure.starts_with("ip4=A from 981 nofail, 982 nofail, ")
            && failure.ends_with(", 999 nofail, end ip4=A")
    );
}

#[test]
fn what_was_saved_is_checked() {
    let mut sessions = Sessions::default();
    merge(&mut sessions, "key", "1 nofail ip4=A user=u", NOW);
    let one = serde_json::to_value(&sessions).unwrap()[0].clone();
    let many: Sessions = serde_json::from_value(serde_json::Value::Array(vec![one; 1000])).unwrap();
    assert_eq!((many.known.len(), many.marks.len()), (100, 100));
    assert!(many.knows("key", NOW));
}
