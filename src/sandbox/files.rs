//! Which files stay in reach (Landlock).
//!
//! Written: where the daemon keeps its own: store, socket, pid file, log. Read: the system, but not where others keep
//! what is theirs, unless the configuration names something there. Nothing is executed.

use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};

use super::capabilities::Person;

/// Where homes, mail, databases and keys are, and logs only if the configuration says so.
const HIDDEN: &[&str] = &[
    "/boot",
    "/efi",
    "/home",
    "/lost+found",
    "/root",
    "/var/backups",
    "/var/cache",
    "/var/lib",
    "/var/lost+found",
    "/var/mail",
    "/var/spool",
];

/// Folders that hold hidden ones, so that each of their entries is granted by itself.
const SPLIT: &[&str] = &["/", "/var"];

/// Where the daemon's files are, and what its configuration names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// Folders whose files it makes, changes and removes.
    pub own: Vec<PathBuf>,
    /// Its log; in its folder it makes files and writes them, no more.
    pub log: Option<PathBuf>,
    /// Paths and folders that are read, be they hidden or not.
    pub named: Vec<PathBuf>,
}

impl Places {
    /// Whether the files that it writes can be written by this user without passing over their modes.
    pub(super) fn all_own(&self, person: &Person) -> bool {
        let log = self.log.iter().flat_map(|log| [log.as_path(), parent(log)]);
        let inside = self.own.iter().flat_map(|folder| entries(folder)).filter(|path| is_ours(path));
        self.own.iter().map(PathBuf::as_path).chain(log).all(|path| person.may_write_at(path))
            && inside.into_iter().all(|path| person.may_write_at(&path))
    }

    /// The folders to write in that are not there.
    pub(super) fn missing(&self) -> impl Iterator<Item = &Path> {
        let log = self.log.as_deref().map(parent);
        self.own.iter().map(PathBuf::as_path).chain(log).filter(|folder| !folder.exists())
    }

    /// Whether a path may be read: as it is spelled, and where its links lead.
    pub(super) fn lets_read(&self, path: &Path) -> bool {
        let real = real(path);
        let granted = self.named.iter().chain(&self.own).map(|path| self::real(path));
        let is_granted = !is_hidden(&real) || granted.into_iter().any(|granted| real.starts_with(granted));
        is_granted && !is_refused(&real)
    }

    /// Whether a file at this path may be made.
    pub(super) fn lets_write(&self, path: &Path) -> bool {
        let folder = real(parent(path));
        let logs = self.log.iter().flat_map(|log| [real(parent(log)), parent(&real(log)).to_owned()]);
        logs.into_iter().any(|log| log == folder) || self.own.iter().any(|own| folder.starts_with(real(own)))
    }
}

fn is_hidden(path: &Path) -> bool {
    HIDDEN.iter().any(|hidden| path.starts_with(hidden))
}

/// Whether the system refuses it, or the folder where it will be: it may have been mounted since the start.
fn is_refused(path: &Path) -> bool {
    let there = path.ancestors().find(|above| above.is_dir());
    let refused = |error: std::io::Error| error.kind() == std::io::ErrorKind::PermissionDenied;
    there.is_some_and(|folder| fs::read_dir(folder).err().is_some_and(refused))
}

/// The store's and the socket's files; whatever else lies there is not our concern.
fn is_ours(path: &Path) -> bool {
    let ours = ["sqlite3", "sqlite3-wal", "sqlite3-shm", "pid", "lock"];
    path.extension().and_then(|suffix| suffix.to_str()).is_some_and(|suffix| ours.contains(&suffix))
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("/"))
}

/// Where its links lead, as far as it is there.
fn real(path: &Path) -> PathBuf {
    for above in path.ancestors() {
        if let (Ok(found), Ok(rest)) = (above.canonicalize(), path.strip_prefix(above)) {
            return if rest.as_os_str().is_empty() { found } else { found.join(rest) };
        }
    }
    path.to_owned()
}

/// What of these folders' entries is read.
fn readable(list: impl Fn(&Path) -> Vec<PathBuf>) -> Vec<PathBuf> {
    let split = |path: &PathBuf| SPLIT.iter().any(|split| *path == Path::new(split));
    let entries = SPLIT.iter().flat_map(|folder| list(Path::new(folder)));
    entries.filter(|path| !is_hidden(path) && !split(path)).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// Confines this thread; the version of the interface that does.
///
/// # Errors
/// Why nothing does.
pub(super) fn confine(places: &Places) -> Result<u32, String> {
    let handled = AccessFs::from_all(ABI::V5);
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(handled)
        .and_then(|ruleset| ruleset.handle_access(AccessNet::BindTcp))
        .and_then(|ruleset| ruleset.scope(scopes()))
        .and_then(Ruleset::create)
        .map_err(|error| error.to_string())?;
    let new = AccessFs::MakeReg | AccessFs::WriteFile;
    let change = new | AccessFs::Truncate | AccessFs::RemoveFile | AccessFs::MakeSock | AccessFs::MakeDir;
    let log = places.log.as_deref().filter(|log| !is_device(log));
    let grants = readable(entries)
        .into_iter()
        .map(|path| (path, read))
        .chain(places.named.iter().map(|path| (path.clone(), read)))
        .chain(places.own.iter().map(|path| (path.clone(), read | change)))
        .chain(log.map(|log| (parent(log).to_owned(), read | new)))
        .chain(log.map(|log| (parent(&real(log)).to_owned(), read | new))) // it may be a link
        .chain(
            places
                .log
                .iter()
                .filter(|log| is_device(log))
                .map(|log| (log.clone(), AccessFs::WriteFile.into())),
        )
        .chain([("/dev/null".into(), read | AccessFs::WriteFile)]);
    for (path, access) in grants {
        ruleset = grant(ruleset, &path, access)?;
    }
    let status = ruleset.restrict_self().map_err(|error| error.to_string())?;
    match (status.ruleset, status.landlock) {
        (RulesetStatus::NotEnforced, LandlockStatus::NotEnabled) => {
            Err("it is not enabled in this kernel".into())
        }
        (RulesetStatus::NotEnforced, LandlockStatus::NotImplemented) => {
            Err("the kernel has none, or the container's engine refuses it".into())
        }
        (_, LandlockStatus::Available { effective_abi, kernel_abi }) => {
            Ok(kernel_abi.map_or(effective_abi as u32, i32::cast_unsigned))
        }
        (status, _) => Err(format!("{status:?}")),
    }
}

/// What is not there cannot be granted, and need not be.
fn grant(
    ruleset: landlock::RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<landlock::RulesetCreated, String> {
    let Ok(opened) = PathFd::new(path) else { return Ok(ruleset) };
    let is_folder = path.is_dir();
    let access = if is_folder { access } else { access & AccessFs::from_file(ABI::V5) };
    ruleset.add_rule(PathBeneath::new(opened, access)).map_err(|error| format!("{}: {error}", path.display()))
}

fn is_device(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| {
        let kind = meta.file_type();
        kind.is_char_device() || kind.is_fifo() || kind.is_socket()
    })
}

/// No signal goes out, and none to an abstract socket, unless systemd listens on one.
fn scopes() -> BitFlags<Scope> {
    let abstract_notify = std::env::var("NOTIFY_SOCKET").is_ok_and(|name| name.starts_with('@'));
    if abstract_notify { Scope::Signal.into() } else { Scope::from_all(ABI::V6) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_is_read_but_not_what_is_others() {
        let list = |folder: &Path| {
            let names: &[&str] = if folder == Path::new("/") {
                &["/etc", "/home", "/var", "/root", "/srv", "/var.old"]
            } else {
                &["/var/log", "/var/lib", "/var/www", "/var/spool"]
            };
            names.iter().map(PathBuf::from).collect()
        };
        let expected = ["/etc", "/srv", "/var.old", "/var/log", "/var/www"].map(PathBuf::from);
        assert_eq!(readable(list), expected);
    }

    #[test]
    fn what_the_configuration_names_is_read_wherever_it_is() {
        let places = Places {
            own: vec!["/var/lib/stockade".into()],
            log: Some("/var/log/stockade/daemon.log".into()),
            named: vec!["/home/shop/logs".into()],
        };
        for (path, read) in [
            ("/etc/hosts", true),
            ("/home/shop/logs/access.log", true),
            ("/home/shop/.ssh/id", false),
            ("/var/lib/stockade/stockade.sqlite3", true),
            ("/var/lib/mysql/users", false),
            ("/var/log/new/app.log", true),
            ("/home2/x.log", true),
        ] {
            assert_eq!(places.lets_read(Path::new(path)), read, "{path}");
        }
        for (path, write) in [
            ("/var/log/stockade/other.log", true),
            ("/var/log/stockade/sub/x", false),
            ("/var/log/syslog", false),
            ("/var/lib/stockade/new", true),
            ("/etc/cron.d/x", false),
        ] {
            assert_eq!(places.lets_write(Path::new(path)), write, "{path}");
        }
    }
    #[test]
    fn a_confined_thread_writes_its_own_and_starts_nothing() {
        let (own, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(other.path().join("read"), "it").unwrap();
        let log = other.path().join("logs/daemon.log");
        fs::create_dir(other.path().join("logs")).unwrap();
        fs::write(other.path().join("logs/old"), "").unwrap();
        let places =
            Places { own: vec![own.path().into()], log: Some(log.clone()), named: vec![other.path().into()] };
        let confined: Result<(), String> = std::thread::scope(|scope| {
            let tried = scope.spawn(|| {
                confine_after(&places)?;
                // Its own.
                fs::write(own.path().join("a"), "1").unwrap();
                fs::rename(own.path().join("a"), own.path().join("b")).unwrap();
                fs::remove_file(own.path().join("b")).unwrap();
                fs::write("/dev/null", "x").unwrap();
                // Its log: made and written, not removed.
                fs::OpenOptions::new().append(true).create(true).open(&log).unwrap();
                assert!(is_denied(fs::remove_file(&log)));
                // Others'.
                assert_eq!(fs::read_to_string(other.path().join("read")).unwrap(), "it");
                assert!(fs::read_dir("/etc").is_ok() && is_denied(fs::read_dir("/").map(drop)));
                assert!(is_denied(fs::write(other.path().join("new"), "")));
                assert!(is_denied(fs::write(other.path().join("read"), "")));
                assert!(is_denied(fs::rename(own.path(), other.path().join("moved"))));
                assert!(is_denied(fs::read_dir("/root").map(drop)));
                assert!(is_denied(std::process::Command::new("/bin/true").spawn().map(drop)));
                assert!(is_refused(Path::new("/root/x")) && !is_refused(own.path()));
                Ok(())
            });
            tried.join().unwrap()
        });
        if let Err(why) = confined {
            eprintln!("SKIPPED: files are not confined: {why}");
        }
    }

    fn confine_after(places: &Places) -> Result<u32, String> {
        rustix::thread::set_no_new_privs(true).map_err(|error| error.to_string())?;
        confine(places)
    }

    fn is_denied(result: std::io::Result<()>) -> bool {
        result.is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
    }
}
