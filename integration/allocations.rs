//! Counts what a filter, once it is warm, or a jail that starts asks the allocator for: the same on every machine, unlike its speed.
//!
//! A line that means nothing costs no allocation. A failure costs those that its report is made of, and no more. A ban that
//! comes back costs none of its own.
//! The counter replaces the allocator of the whole program, so this test is one of its own; it counts by thread.

use std::net::Ipv4Addr;
use std::time::Duration;

use stockade::filter::{Filter, Outcome, Wanted};
use stockade::id::Id;
use stockade::jail::{Ban, Counters, IgnoreOptions, Jail, JailOptions, Remembered, Rules};
use stockade::time::UnixTime;
use stockade::tracker::TrackerOptions;

#[path = "../benches/lines.rs"]
mod lines;

use lines::{Mix, block, reading, shipped, stock};

const LINES: u32 = 3_000;

/// Allocations for a block that the filter has seen before, and how many of its lines meant something.
fn count(filter: &mut Filter, mix: Mix) -> (u64, u64) {
    let (text, at) = (block(mix, LINES), reading());
    let run = |filter: &mut Filter| {
        let mut meant = 0;
        filter.block((&text[..]).into(), &at, Wanted::Failures, &mut |_, outcome| {
            assert!(!matches!(outcome, Outcome::Undecided | Outcome::TooOld), "{outcome:?}");
            meant += 1;
        });
        meant
    };
    // Automata, buffers and the sessions of these lines are there after that.
    run(filter);
    run(filter);
    let mut meant = 0;
    let counted = allocation_counter::measure(|| meant = run(filter));
    (counted.count_total, meant)
}

/// Most allocations for one failure: its lines, its groups, its id; with what the session remembers of it.
const FAILURE: u64 = 9;
/// For one of a Fail2Ban filter.
const FAILURE_OF_FAIL2BAN: u64 = 3;
/// For one login or its end, where no failure was before.
const LOGIN: u64 = 1;

#[test]
fn a_line_that_means_nothing_costs_no_allocation() {
    assert_eq!(count(&mut shipped(), Mix::Noise), (0, 0));
}

#[test]
fn a_failure_costs_what_its_report_is_made_of() {
    let (allocations, meant) = count(&mut shipped(), Mix::Failures);
    assert_eq!(meant, u64::from(LINES));
    assert!(allocations <= meant * FAILURE, "{allocations} for {meant} failures");
}

#[test]
fn a_login_without_failures_costs_next_to_nothing() {
    let (allocations, meant) = count(&mut shipped(), Mix::Logins);
    assert_eq!(meant, u64::from(LINES / 2));
    assert!(allocations <= meant * LOGIN, "{allocations} for {meant} logins");
}

#[test]
fn lines_do_not_cost_more_among_others() {
    let (allocations, meant) = count(&mut shipped(), Mix::Mixed);
    let (failures, logins) = (u64::from(LINES / 20), u64::from(LINES / 20));
    assert_eq!(meant, failures + logins);
    assert!(allocations <= failures * FAILURE + logins * LOGIN, "{allocations} for {failures} failures");
}

#[test]
fn for_fail2ban_s_filter_a_line_that_means_nothing_costs_no_allocation() {
    let Some(mut filter) = stock() else { return };
    assert_eq!(count(&mut filter, Mix::Noise), (0, 0));
}

#[test]
fn for_fail2ban_s_filter_a_failure_costs_what_its_report_is_made_of() {
    let Some(mut filter) = stock() else { return };
    let (allocations, meant) = count(&mut filter, Mix::Failures);
    assert_eq!(meant, u64::from(LINES));
    assert!(allocations <= meant * FAILURE_OF_FAIL2BAN, "{allocations} for {meant} failures");
}

#[test]
fn for_fail2ban_s_filter_a_login_without_failures_costs_no_allocation() {
    let Some(mut filter) = stock() else { return };
    assert_eq!(count(&mut filter, Mix::Logins), (0, 0));
}

/// For the roster to grow, twice as large each time, and its indexes.
const GROWTH: u64 = 100;

#[test]
fn a_ban_that_comes_back_costs_no_allocation_of_its_own() {
    let (now, day) = (UnixTime::from_secs(1_700_000_000), Duration::from_secs(86_400));
    let options = JailOptions {
        name: "sshd".into(),
        filter: None,
        tracker: TrackerOptions { max_retry: 5, find_time: day, max_matches: 5, max_tracked: 1000 },
        ban_time: day.into(),
        bans_nobody: false,
        increment: None,
        ignore: IgnoreOptions::default(),
        enforced: true,
        rules: Rules::Fail2Ban,
        counters: Counters::Forget,
    };
    let ban = |n: u32| Ban {
        id: Id::Net(Ipv4Addr::from(n).into()),
        time: now,
        sentence: day.into(),
        count: 1,
        failures: 5,
        lines: Vec::new(),
        data: Vec::new(),
        restored: true,
    };
    let mut jail = Jail::new(&options).unwrap();
    let past = Remembered { bans: (0..10_000).map(ban).collect(), ..Remembered::default() };
    let mut told = 0;
    let counted = allocation_counter::measure(|| {
        assert!(jail.restore_quietly(past, now).is_empty());
        assert_eq!(jail.newly_wanted(&mut told, now).count(), 10_000);
    });
    assert!(counted.count_total <= GROWTH, "{} allocations", counted.count_total);
}
