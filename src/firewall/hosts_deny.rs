//! Bans in `/etc/hosts.deny`, for services that ask TCP wrappers, where there is no firewall to use.
//!
//! Edge: reads and writes the file; see `block` for what is written. A ban is for every such service: ports and
//! protocols mean nothing here. The file is replaced at once, with its mode and owner, so that no service reads half
//! of it; where it is a mount point, which cannot be replaced, it is overwritten.

mod block;

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use super::{Change, Element, Enforced, Firewall, FirewallError, Refusal, Wanted};
use crate::broker;
use crate::subnet::Subnet;
use block::Banned;

/// Where TCP wrappers look.
pub const FILE: &str = "/etc/hosts.deny";

/// The mode of the file, if there is none yet.
const MODE: u32 = 0o644;

/// A `hosts.deny`.
#[derive(Debug)]
pub struct HostsDeny {
    path: PathBuf,
    banned: Banned,
}

impl HostsDeny {
    /// Looks at the file; nothing changes yet.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn open(path: &Path) -> Result<Self, FirewallError> {
        let firewall = Self { path: real(path), banned: Banned::new() };
        block::read(&firewall.text()?).map_err(|error| firewall.failed(&error))?;
        Ok(firewall)
    }

    fn failed(&self, error: &dyn std::error::Error) -> FirewallError {
        FirewallError::Tool("hosts-deny", format!("{}: {error}", self.path.display()))
    }

    fn replace_by(&self, text: &str) -> io::Result<()> {
        let put = (self.path == real(Path::new(FILE))).then(|| broker::hosts_deny(text)).flatten();
        put.unwrap_or_else(|| replace(&self.path, text))
    }

    /// A file that is not there is empty.
    fn text(&self) -> Result<String, FirewallError> {
        match fs::read(&self.path) {
            Ok(bytes) => String::from_utf8(bytes).map_err(|error| self.failed(&error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Makes the file ban exactly these.
    fn write(&mut self, banned: Banned) -> Result<(), FirewallError> {
        let before = self.text()?;
        let after = block::write(&before, &banned).map_err(|error| self.failed(&error))?;
        if after != before {
            self.replace_by(&after).map_err(|error| self.failed(&error))?;
        }
        self.banned = banned;
        Ok(())
    }
}

/// Puts a new file in the place of `/etc/hosts.deny`: the command broker does it for a daemon that may not write there.
///
/// # Errors
/// The file or its folder cannot be written.
pub fn put(text: &str) -> io::Result<()> {
    replace(&real(Path::new(FILE)), text)
}

/// A link stays one.
fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Puts a new file in the place of the old one.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let Some(name) = path.file_name() else { return Err(io::ErrorKind::InvalidInput.into()) };
    let fresh = path.with_file_name(format!(".{}.stockade", name.to_string_lossy()));
    // One that an earlier run left is no one's.
    let _ = fs::remove_file(&fresh);
    let written = write_new(&fresh, path, text).and_then(|()| fs::rename(&fresh, path));
    if written.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    match written {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EBUSY | libc::EXDEV)) => {
            let mut file = OpenOptions::new().write(true).truncate(true).open(path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        }
        written => written,
    }
}

/// Writes a file with the mode and owner of another.
fn write_new(fresh: &Path, like: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(fresh)?;
    match fs::metadata(like) {
        Ok(old) => keep(&file, old.uid(), old.gid(), old.mode() & 0o7777)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            file.set_permissions(Permissions::from_mode(MODE))?;
        }
        Err(error) => return Err(error),
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn keep(file: &File, user: u32, group: u32, mode: u32) -> io::Result<()> {
    fchown(file, Some(user), Some(group))?;
    file.set_permissions(Permissions::from_mode(mode))
}

impl Firewall for HostsDeny {
    fn replace(&mut self, all: &[Wanted]) -> Result<Vec<Vec<(Subnet, Refusal)>>, FirewallError> {
        let nets = |wanted: &Wanted| wanted.elements.iter().map(|element| element.net).collect();
        self.write(all.iter().map(|wanted| (wanted.jail.clone(), nets(wanted))).collect())?;
        Ok(vec![Vec::new(); all.len()])
    }

    fn apply(&mut self, changes: &[Change]) -> Result<Vec<Result<(), Refusal>>, FirewallError> {
        let mut banned = self.banned.clone();
        let mut answers = Vec::with_capacity(changes.len());
        for change in changes {
            let mut answer = Ok(());
            match change {
                Change::Open { jail, .. } => drop(banned.entry(jail.clone()).or_default()),
                Change::Close { jail } => drop(banned.remove(jail)),
                Change::Ban { jail, element } => match banned.get_mut(jail) {
                    Some(nets) => drop(nets.insert(element.net)),
                    None => answer = Err(Refusal(format!("the jail `{jail}` has no part of the file"))),
                },
                Change::Unban { jail, net } => {
                    banned.get_mut(jail).map(|nets| nets.remove(net));
                }
            }
            answers.push(answer);
        }
        self.write(banned)?;
        Ok(answers)
    }

    fn list(&mut self) -> Result<Enforced, FirewallError> {
        let banned = block::read(&self.text()?).map_err(|error| self.failed(&error))?;
        let elements =
            |nets: BTreeSet<Subnet>| nets.into_iter().map(|net| Element { net, timeout: None }).collect();
        Ok(banned.into_iter().map(|(jail, nets)| (jail, elements(nets))).collect())
    }

    fn remove(&mut self) -> Result<(), FirewallError> {
        self.write(Banned::new())
    }
}

#[cfg(test)]
mod tests;
