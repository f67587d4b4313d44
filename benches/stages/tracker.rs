//! Counting one failure, among few and among many addresses, and the offence that it may be.

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use divan::counter::ItemsCount;
use stockade::id::Id;
use stockade::subnet::Subnet;
use stockade::tracker::{Tracker, TrackerOptions};

use crate::lines::NOW;

const CROWDS: [u32; 3] = [100, 10_000, 100_000];

/// Addresses that fail in turn, never often enough.
#[divan::bench(args = CROWDS)]
fn a_failure(bencher: divan::Bencher, crowd: u32) {
    let (mut tracker, ids, line) = (tracker(u32::MAX), ids(crowd), line());
    let mut next = (0..ids.len()).cycle();
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        let id = &ids[next.next().unwrap_or_default()];
        tracker.fail(id, NOW, &line, &[], NOW)
    });
}

/// The same, but each failure is one too many.
#[divan::bench(args = CROWDS)]
fn an_offence(bencher: divan::Bencher, crowd: u32) {
    let (mut tracker, ids, line) = (tracker(1), ids(crowd), line());
    let mut next = (0..ids.len()).cycle();
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        let id = &ids[next.next().unwrap_or_default()];
        tracker.fail(id, NOW, &line, &[], NOW)
    });
}

/// What the store is told between two commits: all that failed since.
#[divan::bench(args = CROWDS)]
fn the_changes_of_a_commit(bencher: divan::Bencher, crowd: u32) {
    let (ids, line) = (ids(crowd), line());
    let failed = || {
        let mut tracker = tracker(u32::MAX);
        for id in &ids {
            let _ = tracker.fail(id, NOW, &line, &[], NOW);
        }
        tracker
    };
    bencher.counter(ItemsCount::new(crowd)).with_inputs(failed).bench_local_refs(Tracker::take_dirty);
}

fn tracker(max_retry: u32) -> Tracker {
    let find_time = Duration::from_secs(3600);
    Tracker::new(TrackerOptions { max_retry, find_time, max_matches: 5, max_tracked: 1_000_000 })
}

fn line() -> [Arc<str>; 1] {
    [Arc::from("Mar  3 10:20:30 gate sshd[77]: Failed password for root from 2001:db8::7 port 4242 ssh2")]
}

fn ids(crowd: u32) -> Vec<Id> {
    let net = |number: u32| Ipv6Addr::from(0x2001_0db8_u128 << 96 | u128::from(number));
    (0..crowd).map(|number| Id::from(Subnet::from(net(number)))).collect()
}
