//! A whole filter over a block, as a jail calls it: scan, date, patterns, time, sessions.

use divan::counter::{BytesCount, ItemsCount};
use stockade::filter::{Filter, Wanted};

use crate::lines::{Mix, block, reading, shipped, stock};

const LINES: u32 = 20_000;

#[divan::bench(args = [Mix::Noise, Mix::Logins, Mix::Mixed, Mix::Failures])]
fn shipped_sshd(bencher: divan::Bencher, mix: Mix) {
    run(bencher, Some(shipped()), mix);
}

#[divan::bench(args = [Mix::Noise, Mix::Logins, Mix::Mixed, Mix::Failures])]
fn fail2ban_sshd(bencher: divan::Bencher, mix: Mix) {
    run(bencher, stock(), mix);
}

/// A filter that is missing takes part with no lines: its row is empty, and why was said.
fn run(bencher: divan::Bencher, filter: Option<Filter>, mix: Mix) {
    let Some(mut filter) = filter else { return };
    let (text, at) = (block(mix, LINES), reading());
    bencher.counter(ItemsCount::new(LINES)).counter(BytesCount::of_slice(&text)).bench_local(|| {
        filter.block((&text[..]).into(), &at, Wanted::Failures, &mut |_, outcome| {
            drop(divan::black_box(outcome));
        });
    });
}
