//! Which capabilities stay, and how the others go.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::io::Errno;
use rustix::thread::{self, CapabilitySet, CapabilitySets};

use crate::action::grant::names;

/// The kernel's numbers; more than there are.
const NUMBERS: u32 = 64;

/// Those that may be used now.
pub fn had() -> CapabilitySet {
    thread::capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.permitted)
}

/// What the daemon keeps of what it had.
///
/// Where it may not pass over the rights of files for reading alone, as in Docker's containers, it keeps that for all;
/// so it does where it `needs` that to write its own files. Landlock then says where.
pub fn kept(had: CapabilitySet, needs_override: bool) -> CapabilitySet {
    let mut keep = CapabilitySet::NET_ADMIN | CapabilitySet::DAC_READ_SEARCH;
    if needs_override || !had.contains(CapabilitySet::DAC_READ_SEARCH) {
        keep |= CapabilitySet::DAC_OVERRIDE;
    }
    had & keep
}

/// Gives this thread, and what it starts, no more than these, of those that it has.
///
/// # Errors
/// The kernel refuses. That the bounding set stays, for want of `CAP_SETPCAP`, is none.
pub fn limit(keep: CapabilitySet) -> Result<(), Errno> {
    let have = had();
    let keep = have & keep;
    for one in singles().filter(|one| !keep.contains(*one)) {
        if thread::capability_is_in_bounding_set(one) == Ok(true) {
            let _ = thread::remove_capability_from_bounding_set(one);
        }
    }
    // Root's programs get what the bounding set leaves; those of others what is handed on.
    let is_root = rustix::process::geteuid().is_root();
    let handed_on = if is_root { CapabilitySet::empty() } else { keep };
    let _ = thread::clear_ambient_capability_set(); // kernels before 4.3 have none
    let sets = CapabilitySets { effective: keep, permitted: keep, inheritable: handed_on };
    thread::set_capabilities(None, sets)?;
    for one in singles().filter(|one| handed_on.contains(*one)) {
        let _ = thread::configure_capability_in_ambient_set(one, true);
    }
    Ok(())
}

/// What could not be taken out of the bounding set, if it matters.
pub(super) fn left_in_bounds(keep: CapabilitySet) -> Option<String> {
    let left = singles().filter(|one| thread::capability_is_in_bounding_set(*one) == Ok(true));
    let left = left.fold(CapabilitySet::empty(), |all, one| all | one) - keep;
    (!left.is_empty()).then(|| format!("bounding set: {} stay, there is no CAP_SETPCAP", names(left)))
}

fn singles() -> impl Iterator<Item = CapabilitySet> {
    (0..NUMBERS).map(|number| CapabilitySet::from_bits_retain(1 << number))
}

/// Whom the kernel compares with the owner of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub(super) user: u32,
    pub(super) groups: Vec<u32>,
}

impl Person {
    /// This process.
    pub(super) fn own() -> Self {
        let mut groups: Vec<u32> = rustix::process::getgroups()
            .map(|groups| groups.into_iter().map(rustix::process::Gid::as_raw).collect())
            .unwrap_or_default();
        groups.push(rustix::process::getegid().as_raw());
        Self { user: rustix::process::geteuid().as_raw(), groups }
    }

    /// Whether such a file can be written without passing over its mode.
    pub(super) fn may_write(&self, user: u32, group: u32, mode: u32) -> bool {
        let bit = match () {
            () if user == self.user => 0o200,
            () if self.groups.contains(&group) => 0o020,
            () => 0o002,
        };
        mode & bit != 0
    }

    /// Whether this file, if it is there, can be.
    pub(super) fn may_write_at(&self, path: &Path) -> bool {
        fs::metadata(path).map_or(true, |meta| self.may_write(meta.uid(), meta.gid(), meta.mode()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_needed_of_what_was_there_stays() {
        let (admin, search) = (CapabilitySet::NET_ADMIN, CapabilitySet::DAC_READ_SEARCH);
        let over = CapabilitySet::DAC_OVERRIDE;
        let docker = CapabilitySet::CHOWN | over | CapabilitySet::NET_RAW | CapabilitySet::SETPCAP;
        for (had, needs, kept) in [
            (CapabilitySet::all(), false, admin | search),
            (CapabilitySet::all(), true, admin | search | over),
            (docker | admin, false, admin | over),
            (admin, false, admin),
            (admin | search, true, admin | search),
            (CapabilitySet::empty(), true, CapabilitySet::empty()),
        ] {
            assert_eq!(super::kept(had, needs), kept, "{had:?} {needs}");
        }
    }

    #[test]
    fn modes_are_read_as_the_kernel_does() {
        let root = Person { user: 0, groups: vec![0, 4] };
        for (user, group, mode, may) in [
            (0, 0, 0o700, true),
            (0, 0, 0o500, false),
            (101, 4, 0o770, true),
            (101, 4, 0o750, false),
            (101, 5, 0o777, true),
            (101, 5, 0o775, false),
            // The owner's bits count for the owner, whatever others may.
            (0, 4, 0o577, false),
        ] {
            assert_eq!(root.may_write(user, group, mode), may, "{user} {group} {mode:o}");
        }
    }
}
