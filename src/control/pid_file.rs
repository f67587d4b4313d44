//! A file with the process id that only one living process can hold.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};

use super::ControlError;

/// A pid file, held by a lock that ends with the process: one without a lock is stale, whatever it says.
/// Dropped, it is removed.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    file: File,
}

impl PidFile {
    /// Takes the file and writes this process's id into it.
    ///
    /// # Errors
    /// [`ControlError::Running`] when a living process holds it, else what the system says.
    pub fn take(path: &Path) -> Result<Self, ControlError> {
        super::create_parent(path)?;
        loop {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .mode(0o644)
                .custom_flags(OFlags::NOFOLLOW.bits() as i32)
                .open(path)
                .map_err(ControlError::io("open", path))?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    return Err(ControlError::Running {
                        pid: written(&mut file),
                        verb: "holds",
                        path: path.into(),
                    });
                }
                Err(error) => return Err(ControlError::io("lock", path)(error.into())),
            }
            // The last holder may have removed the file between our open and our lock: then a new one is needed.
            if !is_at(&file, path) {
                continue;
            }
            write(&mut file).map_err(ControlError::io("write", path))?;
            return Ok(Self { path: path.to_owned(), file });
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if is_at(&self.file, &self.path) {
            _ = std::fs::remove_file(&self.path); // a file left behind is stale, not wrong
        }
    }
}

fn write(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

/// The process id in the file, if it is one.
fn written(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

/// A living Fail2Ban server that a pid file names: theirs holds no lock. Neither this process nor its parent is meant.
pub fn fail2ban_behind(path: &Path) -> Option<u32> {
    let pid = written(&mut File::open(path).ok()?)?;
    let parent =
        rustix::process::getppid().and_then(|parent| u32::try_from(parent.as_raw_nonzero().get()).ok());
    let another = pid != std::process::id() && Some(pid) != parent;
    (another && super::is_fail2ban(Some(pid))).then_some(pid)
}
