//! Finding and reading one date, in both dialects.

use divan::counter::ItemsCount;
use stockade::filter::date::{DateOptions, Dates, Zone};

use crate::lines::NOW;

const FORMS: [&str; 4] = [
    "Mar  3 10:20:30 gate notes[77]: all is well",
    "2026-03-03T10:20:30.125000+01:00 gate notes[77]: all is well",
    "2026-03-03 10:20:30,125 notes all is well",
    "192.0.2.7 - - [03/Mar/2026:10:20:30 +0000] \"GET /notes HTTP/1.1\" 200 512",
];

#[divan::bench(args = FORMS)]
fn native(bencher: divan::Bencher, line: &str) {
    run(bencher, Dates::new(Zone::utc()), line);
}

#[divan::bench(args = FORMS)]
fn fail2ban(bencher: divan::Bencher, line: &str) {
    let options = DateOptions {
        pattern: None,
        zone: None,
        system: Zone::utc(),
        year: None,
        old_years: false,
        newer: false,
    };
    run(bencher, Dates::fail2ban(&options).expect("the default templates"), line);
}

fn run(bencher: divan::Bencher, mut dates: Dates, line: &str) {
    assert!(dates.find(line.as_bytes(), NOW).is_some_and(|dated| dated.time.is_some()), "{line}");
    bencher
        .counter(ItemsCount::new(1_usize))
        .bench_local(|| dates.find(divan::black_box(line).as_bytes(), NOW));
}
