//! One transaction of the store, on disk: in the folder for temporary files, so it measures that disk, too.

use std::sync::Arc;

use divan::counter::ItemsCount;
use stockade::store::{Entry, Store};

use super::schedule::ban;
use crate::lines::NOW;

/// Bans that are new each time.
#[divan::bench(args = [1, 100, 10_000], sample_count = 20, sample_size = 1)]
fn a_commit_of_bans(bencher: divan::Bencher, bans: u32) {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let opened = Store::open(&folder.path().join("bench.sqlite3"), NOW).expect("a store in it");
    let (mut store, jail) = (opened.store, Arc::<str>::from("sshd"));
    let mut next = 0;
    bencher
        .counter(ItemsCount::new(bans))
        .with_inputs(|| {
            next += bans;
            (next - bans..next).map(|number| Entry::Banned(Arc::clone(&jail), ban(number))).collect()
        })
        .bench_local_refs(|entries: &mut Vec<Entry>| store.commit(&*entries).expect("room on the disk"));
}
