//! A failing line's way through a jail: judged, put to its connection, counted. What the patterns say is told, as the
//! tailer tells it.

use std::time::Duration;

use divan::counter::{BytesCount, ItemsCount};
use stockade::filter::{Lines, line_ends};
use stockade::jail::{Counters, IgnoreOptions, Jail, JailOptions, Rules};
use stockade::tracker::TrackerOptions;

use crate::lines::{Mix, block, reading, stock};

const LINES: u32 = 2_000;

#[divan::bench]
fn failures_of_fail2ban_sshd(bencher: divan::Bencher) {
    let Some(filter) = stock() else { return };
    let hour = Duration::from_secs(3600);
    let options = JailOptions {
        name: "sshd".into(),
        filter: None,
        tracker: TrackerOptions {
            max_retry: u32::MAX,
            find_time: hour,
            max_matches: 5,
            max_tracked: 1_000_000,
        },
        ban_time: hour.into(),
        bans_nobody: false,
        increment: None,
        ignore: IgnoreOptions::default(),
        enforced: true,
        rules: Rules::Fail2Ban,
        counters: Counters::Keep,
    };
    let mut jail = Jail::with_filter(&options, Some(filter));
    let (text, at) = (block(Mix::Failures, LINES), reading());
    let (mut ends, mut effects) = (Vec::new(), Vec::new());
    line_ends(&text, &mut ends);
    // Where dates end is known after that.
    let first = Lines { text: &text, ends: &ends, times: &[], hits: None };
    jail.on_block(first, &at, &mut effects, &mut 0, &mut || {});
    let hits = jail.scanner().map(|mut scanner| scanner.scan(&text, &ends));
    bencher.counter(ItemsCount::new(LINES)).counter(BytesCount::of_slice(&text)).bench_local(|| {
        effects.clear();
        let lines = Lines { text: &text, ends: &ends, times: &[], hits: hits.as_ref() };
        jail.on_block(lines, &at, &mut effects, &mut 0, &mut || {});
        assert_eq!(effects.len(), LINES as usize);
    });
}
