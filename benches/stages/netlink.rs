//! Bans → the bytes of one netlink transaction. No kernel takes part.

use std::net::Ipv6Addr;
use std::time::Duration;

use divan::counter::ItemsCount;
use stockade::firewall::nftables::in_bytes;
use stockade::firewall::{Block, Element, Hook, Ruleset, Wanted};
use stockade::subnet::Subnet;

const BANS: [u32; 3] = [1, 1_000, 100_000];

#[divan::bench(args = BANS)]
fn addresses(bencher: divan::Bencher, bans: u32) {
    run(bencher, bans, 128);
}

/// They live in interval sets, and each is compared with those around it.
#[divan::bench(args = BANS)]
fn prefixes(bencher: divan::Bencher, bans: u32) {
    run(bencher, bans, 64);
}

fn run(bencher: divan::Bencher, bans: u32, length: u8) {
    let net = |number: u32| {
        let start = 0x2001_0db8_u128 << 96 | u128::from(number) << (128 - u32::from(length));
        Subnet::new(Ipv6Addr::from(start).into(), length).expect("128 bits at most")
    };
    let rules = Ruleset {
        ports: vec![(22, 22)],
        protocols: Vec::new(),
        block: Block::Drop,
        hooks: vec![Hook::Input],
        priority: -1,
    };
    let timeout = Some(Duration::from_secs(3600));
    let elements = (0..bans).map(|number| Element { net: net(number), timeout }).collect();
    let all = [Wanted { jail: "sshd".into(), rules: rules.into(), elements }];
    bencher
        .counter(ItemsCount::new(bans))
        .bench_local(|| in_bytes(divan::black_box(&all)).map(|bytes| bytes.len()));
}
