//! Counts what a filter asks the allocator for, once it is warm: the same on every machine, unlike its speed.
//!
//! A line that means nothing costs no allocation. A failure costs those that its report is made of, and no more.
//! The counter replaces the allocator of the whole program, so this test is one of its own; it counts by thread.

use stockade::filter::{Filter, Outcome, Wanted};

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
const FAILURE: u64 = 11;
/// For one of a Fail2Ban filter.
const FAILURE_OF_FAIL2BAN: u64 = 7;
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
