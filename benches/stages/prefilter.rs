//! The scan for literals and, behind it, the automaton of all patterns: what a line costs that means nothing.

use divan::counter::{BytesCount, ItemsCount};
use stockade::filter::{Filter, Wanted};

use crate::lines::{reading, shipped, stock};

const LINES: usize = 20_000;

/// Lines without a literal of any pattern: passed over by the scan of the whole block.
const STRANGE: &str = "Mar  3 10:20:30 gate greenhouse[512]: bed 7 is at 21.5 degrees, valve shut";
/// A line that has one and matches nothing: it is judged, and rejected by the automaton.
const ALIKE: &str = "Mar  3 10:20:30 gate notes[77]: Failed password for a from b, wrote the teacher";

#[divan::bench(args = [STRANGE, ALIKE])]
fn shipped_sshd(bencher: divan::Bencher, line: &str) {
    run(bencher, Some(shipped()), line);
}

#[divan::bench(args = [STRANGE, ALIKE])]
fn fail2ban_sshd(bencher: divan::Bencher, line: &str) {
    run(bencher, stock(), line);
}

fn run(bencher: divan::Bencher, filter: Option<Filter>, line: &str) {
    let Some(mut filter) = filter else { return };
    let (text, at) = (format!("{line}\n").repeat(LINES).into_bytes(), reading());
    let each = &mut |_: &[u8], outcome| panic!("it means nothing: {outcome:?}");
    bencher
        .counter(ItemsCount::new(LINES))
        .counter(BytesCount::of_slice(&text))
        .bench_local(|| filter.block((&text[..]).into(), &at, Wanted::Failures, each));
}
