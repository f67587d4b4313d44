//! A socket that systemd opened before the daemon started (socket activation).
//!
//! Edge.

use std::fs;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::net::{SocketAddrUnix, getsockname, sockopt};

/// Whether the descriptors have been taken over: they are handed to a process once.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The descriptor of the socket at `path`, if systemd has handed it over; others that it has are left open.
pub(super) fn socket(path: &Path) -> Option<OwnedFd> {
    let there = fs::metadata(path).ok()?;
    let descriptors = sd_notify::listen_fds().ok()?;
    if descriptors.len() == 0 || TAKEN.swap(true, Ordering::Relaxed) {
        return None;
    }
    descriptors.fold(None, |found, number| {
        #[expect(unsafe_code, reason = "there is no safe way to take over a descriptor")]
        // SAFETY: by systemd's contract these are open and nobody else's in this process; `TAKEN` lets only one come here.
        let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
        if found.is_none() && serves(&descriptor, there.dev(), there.ino()) {
            return Some(descriptor);
        }
        _ = descriptor.into_raw_fd();
        found
    })
}

/// Whether it is the listening socket with this file.
fn serves(descriptor: &OwnedFd, device: u64, inode: u64) -> bool {
    let Ok(address) = getsockname(descriptor) else { return false };
    let Ok(address) = SocketAddrUnix::try_from(address) else { return false };
    let Some(path) = address.path_bytes() else { return false };
    let file = fs::metadata(Path::new(std::ffi::OsStr::from_bytes(path)));
    file.is_ok_and(|file| (file.dev(), file.ino()) == (device, inode))
        && sockopt::socket_acceptconn(descriptor).unwrap_or(false)
}
