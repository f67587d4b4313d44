//! Filters as Fail2Ban comes with them: all load, and a long line is no way past them.
//!
//! None of them is part of this project. Where they lie (as installed, and beside this project) they are tried
//! (`load`, `padded`); filters of the same style that are written here are tried everywhere (`own`).

mod load;
mod own;
mod padded;

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use stockade::fail2ban::filter::{Resolved, Wanted, resolve};
use stockade::source::LINE_CAP;

use crate::lab::skip;

/// Where golden results of Fail2Ban may lie, with the trees that they were made from.
fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fail2ban/corpus")
}

/// The trees that are there; of each that is not, that is said.
fn trees() -> Vec<PathBuf> {
    let base = corpus().join("base");
    let all = [PathBuf::from("/etc/fail2ban"), base.join("debian-1.0.2"), base.join("upstream-1.1.2.dev1")];
    let (found, missing): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|tree| tree.join("filter.d/sshd.conf").exists());
    for tree in missing {
        skip(&format!("the filters of {}, which is not there", tree.display()));
    }
    found
}

fn filter(
    base: &Path,
    name: &str,
    options: &[(String, String)],
    jail: &[(String, String)],
) -> Result<Resolved, String> {
    resolve(&Wanted { base, name, options, jail }).map_err(|trouble| trouble.to_string())
}

/// A line with a filler at one of its places, as often as a line has room for it.
fn padded(line: &[u8], at: usize, filler: &[u8]) -> Vec<u8> {
    let room = LINE_CAP.saturating_sub(line.len());
    [&line[..at], &filler.repeat(room / filler.len()), &line[at..]].concat()
}

/// What is wrong with any of these.
fn on_all_cores<T: Sync>(all: &[T], faults_of: impl Fn(&T) -> Vec<String> + Sync) -> Vec<String> {
    let (rest, faults) = (Mutex::new(all.iter()), Mutex::new(Vec::new()));
    let next = || rest.lock().unwrap().next();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(one) = next() {
                    let found = faults_of(one);
                    faults.lock().unwrap().extend(found);
                }
            });
        }
    });
    faults.into_inner().unwrap()
}
