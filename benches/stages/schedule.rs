//! The timer's queue, and the roster's: who is banned until when.

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use divan::counter::ItemsCount;
use stockade::id::Id;
use stockade::jail::Ban;
use stockade::roster::Roster;
use stockade::schedule::Schedule;
use stockade::sentence::Sentence;
use stockade::subnet::Subnet;

use crate::lines::NOW;

const BANS: [u32; 3] = [1_000, 10_000, 100_000];

/// Jails that say when to be asked next, and are asked.
#[divan::bench(args = [1, 100])]
fn deadlines_of_jails(bencher: divan::Bencher, jails: u32) {
    let jails: Vec<Arc<str>> = (0..jails).map(|number| format!("jail-{number}").into()).collect();
    let mut schedule = Schedule::default();
    bencher.counter(ItemsCount::new(jails.len())).bench_local(|| {
        for (second, jail) in (0..).zip(&jails) {
            schedule.push(jail, NOW + Duration::from_secs(second));
        }
        schedule.pop_due(NOW + Duration::from_secs(3600))
    });
}

/// Everybody is banned, with ends in no order.
#[divan::bench(args = BANS)]
fn bans(bencher: divan::Bencher, bans: u32) {
    bencher
        .counter(ItemsCount::new(bans))
        .with_inputs(|| (0..bans).map(ban).collect::<Vec<_>>())
        .bench_local_values(|bans| {
            let mut roster = Roster::new();
            for ban in bans {
                roster.ban(ban, NOW);
            }
            roster
        });
}

/// All bans end, one after the other.
#[divan::bench(args = BANS)]
fn ends_of_bans(bencher: divan::Bencher, bans: u32) {
    let end = NOW + Duration::from_secs(1_000_000);
    let filled = || {
        let mut roster = Roster::new();
        for number in 0..bans {
            roster.ban(ban(number), NOW);
        }
        roster
    };
    bencher
        .counter(ItemsCount::new(bans))
        .with_inputs(filled)
        .bench_local_refs(|roster| std::iter::from_fn(|| roster.pop_due(end)).count());
}

pub(super) fn ban(number: u32) -> Ban {
    let net = Ipv6Addr::from(0x2001_0db8_u128 << 96 | u128::from(number));
    let seconds = 600 + u64::from(number.wrapping_mul(2_654_435_761) % 100_000);
    Ban {
        id: Id::from(Subnet::from(net)),
        time: NOW,
        sentence: Sentence(Some(Duration::from_secs(seconds))),
        count: 1,
        failures: 5,
        lines: Vec::new(),
        data: Vec::new(),
        restored: false,
    }
}
