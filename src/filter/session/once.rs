//! `<F-ONCE>` and `<F-REPEAT>`: one attempt counts once.

use super::*;

const NOW: UnixTime = UnixTime::from_secs(1_767_323_045);

/// `1r` is a line from 192.0.2.1 with `<F-REPEAT>`, `o` is `<F-ONCE>`, `n` is `<F-NOFAIL>`, `f` is `<F-MLFFORGET>`.
fn event(line: &str) -> Event {
    let (address, flags) = line.split_at(1);
    Event {
        groups: [("ip4".into(), format!("192.0.2.{address}").into())].into(),
        is_native: true,
        lines: vec![line.into()],
        nofail: flags.contains('n'),
        gained: false,
        forget: flags.contains('f'),
        once: flags.contains('o'),
        repeat: flags.contains('r'),
    }
}

/// Each line of the connections, with the lines of the failure that it makes.
fn judged(lines: &str) -> String {
    let mut sessions = Sessions::default();
    let mut judge = |line: &str| match sessions.merge("key".into(), event(line), NOW, |_| true) {
        Some(merged) => merged.lines.join("+"),
        None => "-".to_owned(),
    };
    lines.split(' ').map(&mut judge).collect::<Vec<_>>().join(" ")
}

#[test]
fn one_attempt_counts_once() {
    for (lines, failures) in [
        // Without these tags each line is a failure.
        ("1 1 1", "1 1 1"),
        // A line that sums up: only where nothing has counted.
        ("1o", "1o"),
        ("1 1o", "1 -"),
        ("1 1 1o 1o", "1 1 - -"),
        ("1o 1o", "1o -"),
        ("1n 1o", "- 1n+1o"),
        // A line that may repeat the last failure: once.
        ("1r 1r 1r", "1r 1r 1r"),
        ("1 1r 1r", "1 - 1r+1r"),
        ("1 1n 1r", "1 - -"),
        ("1r 1r 1o", "1r 1r -"),
        ("1o 1r 1r", "1o - 1r+1r"),
        // Another address, another connection: nothing is repeated.
        ("1 2r", "1 2r"),
        ("1 2o", "1 2o"),
        ("1 1nf 1r", "1 - 1r"),
        ("1 1of 1o", "1 - 1o"),
    ] {
        assert_eq!(judged(lines), failures, "{lines}");
    }
}
