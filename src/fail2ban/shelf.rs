//! Which files a name such as `jail` or `filter.d/sshd` stands for, and the reading of them, each once (SPEC §1.2).
//!
//! Edge: this and `logs` are all that touches the disk.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::dialect::Dialect;
use super::ini::{self, Ini};
use super::interpolate::{self, Scope};
use super::problem::{Place, Problem, Trouble};
use super::said::{Level, Said};
use super::set::Set;

/// The largest file that is read, in bytes; stock `jail.conf` has 25 000.
pub(super) const MAX_FILE: u64 = 4 << 20;
/// The most files that one name may stand for, includes and their repetitions counted; stock names have 6 at most.
const MAX_FILES: usize = 500;
/// How many files may be on the way to one: more include each other without end.
const MAX_DEPTH: usize = 50;

/// A tree's folder, with what was read of it.
#[derive(Debug)]
pub(super) struct Shelf {
    /// The folder, such as `/etc/fail2ban`.
    pub(super) base: PathBuf,
    read: HashMap<PathBuf, Result<Rc<Ini>, Trouble>>,
    sets: HashMap<String, Option<Rc<Set>>>,
    /// What Fail2Ban would have logged.
    pub(super) said: Vec<Said>,
    /// Files that were passed over, as they are no text or can not be read.
    pub(super) skipped: Vec<Trouble>,
}

impl Shelf {
    pub(super) fn new(base: &Path) -> Self {
        let (read, sets) = (HashMap::new(), HashMap::new());
        Self { base: base.to_owned(), read, sets, said: Vec::new(), skipped: Vec::new() }
    }

    pub(super) fn say(&mut self, logger: &'static str, level: Level, text: impl Into<String>) {
        self.said.push(Said { logger, level, text: text.into() });
    }

    /// Which Fail2Ban the files that were read so far are made for.
    pub(super) fn dialect(&self) -> Dialect {
        Dialect::of(self.read.iter().filter_map(|(path, ini)| Some((path.as_path(), &**ini.as_ref().ok()?))))
    }

    /// Everything that a name stands for, merged; none: there is no such file.
    ///
    /// # Errors
    /// A file that breaks the rules, or an include that can not be resolved.
    pub(super) fn set(&mut self, name: &str) -> Result<Option<Rc<Set>>, Trouble> {
        if let Some(known) = self.sets.get(name) {
            return Ok(known.clone());
        }
        let set = self.merged(name)?.map(Rc::new);
        self.sets.insert(name.to_owned(), set.clone());
        Ok(set)
    }

    fn merged(&mut self, name: &str) -> Result<Option<Set>, Trouble> {
        let files = self.files(name);
        let mut all = Vec::new();
        for file in with_local(&files) {
            self.expand(&file, &[], &mut all)?;
        }
        let mut set = Set::default();
        let mut unread = files.clone();
        for path in &all {
            if let Some(ini) = self.ini(path)? {
                set.push(path, &ini);
                unread.retain(|file| file != path);
            }
        }
        if !unread.is_empty() {
            let paths: Vec<String> = unread.iter().map(|path| path.display().to_string()).collect();
            let text = format!("Could not read config files: {}", paths.join(", "));
            self.say("configreader", Level::Error, text);
        }
        if unread.len() == files.len() {
            let base = self.base.display().to_string();
            let name = crate::python::repr(name);
            let text = format!("Found no accessible config files for {name} under {base}");
            self.say("configreader", Level::Error, text);
            return Ok(None);
        }
        Ok(Some(set))
    }

    /// The same for a file of `filter.d` or `action.d`; a name may be a whole path.
    pub(super) fn set_in(&mut self, folder: &str, name: &str) -> Result<Option<Rc<Set>>, Trouble> {
        self.set(&Path::new(folder).join(name).display().to_string())
    }

    /// The files of a name that are there, the weakest first.
    pub(super) fn files(&self, name: &str) -> Vec<PathBuf> {
        let path = self.base.join(name);
        let with = |suffix: &str| PathBuf::from(format!("{}{suffix}", path.display()));
        let folder = with(".d");
        let mut files = vec![with(".conf")];
        files.extend(within(&folder, "conf"));
        files.push(with(".local"));
        files.extend(within(&folder, "local"));
        files.retain(|file| file.exists());
        files
    }

    /// What breaks the files of a name: of each file everything.
    pub(super) fn broken(&mut self, name: &str) -> Vec<Trouble> {
        for file in with_local(&self.files(name)) {
            _ = self.expand(&file, &[], &mut Vec::new()); // it is kept
        }
        let mut broken: Vec<Trouble> =
            self.read.values().filter_map(|read| read.as_ref().err()).cloned().collect();
        broken.retain(|trouble| matches!(*trouble.problem, Problem::Broken(_) | Problem::TooLarge));
        broken.sort_by(|a, b| a.place.file.cmp(&b.place.file));
        broken
    }

    /// What to watch for changes.
    pub(super) fn watched(&self) -> Vec<PathBuf> {
        let folders = ["jail.d", "fail2ban.d", "filter.d", "action.d"].map(|name| self.base.join(name));
        let mut watched = vec![self.base.clone()];
        watched.extend(folders.into_iter().filter(|folder| folder.is_dir()));
        watched.extend(self.read.keys().cloned());
        watched.sort();
        watched
    }

    /// Adds a file with what it includes, in the order of reading; `above` are the files that it was reached by.
    fn expand(&mut self, file: &Path, above: &[PathBuf], all: &mut Vec<PathBuf>) -> Result<(), Trouble> {
        let Some(ini) = self.ini(file)? else { return Ok(()) };
        if all.len() >= MAX_FILES || above.len() >= MAX_DEPTH {
            let place = Place { file: Some(file.to_owned()), ..Place::default() };
            return Err(Trouble::new(place, Problem::Endless));
        }
        let [before, after] = includes(file, &ini)?;
        self.include(file, &before, above, all)?;
        all.push(file.to_owned());
        self.include(file, &after, above, all)
    }

    /// Adds what a file includes. One that the file was reached by is left out; the file itself is not, so that it is
    /// read twice, nor is a `.local` that comes with its `.conf`: that ends at [`MAX_DEPTH`].
    fn include(
        &mut self,
        file: &Path,
        includes: &[PathBuf],
        above: &[PathBuf],
        all: &mut Vec<PathBuf>,
    ) -> Result<(), Trouble> {
        let mut reached = above.to_owned();
        reached.push(file.to_owned());
        for include in includes {
            if above.iter().any(|known| known.as_os_str() == include.as_os_str()) {
                continue;
            }
            for file in with_local(std::slice::from_ref(include)) {
                if file.is_file() {
                    self.expand(&file, &reached, all)?;
                }
            }
        }
        Ok(())
    }

    /// A file's options; none: it is no text.
    fn ini(&mut self, path: &Path) -> Result<Option<Rc<Ini>>, Trouble> {
        if !self.read.contains_key(path) {
            let read = read(path);
            if let Some(trouble) = read.as_ref().err().filter(|trouble| trouble.costs_a_file()) {
                self.pass_over(path, trouble.clone());
            }
            self.read.insert(path.to_owned(), read);
        }
        match &self.read[path] {
            Ok(ini) => Ok(Some(Rc::clone(ini))),
            Err(trouble) if trouble.costs_a_file() => Ok(None),
            Err(trouble) => Err(trouble.clone()),
        }
    }

    /// Fail2Ban goes on without a file that it can not read.
    fn pass_over(&mut self, path: &Path, trouble: Trouble) {
        if let Problem::NotText { byte, at, why } = &*trouble.problem {
            let text = format!(
                "Error decoding config file '{}': 'utf-8' codec can't decode byte 0x{byte:02x} in position {at}: {why}",
                path.display()
            );
            self.say("configparserinc", Level::Error, text);
        }
        self.skipped.push(trouble);
    }
}

/// The files of a folder with this suffix, by name; hidden ones are none.
fn within(folder: &Path, suffix: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| {
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        !hidden && path.extension() == Some(OsStr::new(suffix))
    });
    files.sort();
    files
}

/// After each file its `.local`, where there is one that is not among them.
fn with_local(files: &[PathBuf]) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for file in files {
        all.push(file.clone());
        let local = file.with_extension("local");
        if !files.contains(&local) && local.is_file() {
            all.push(local);
        }
    }
    all
}

/// What a file wants to be read before it and after it.
fn includes(file: &Path, ini: &Ini) -> Result<[Vec<PathBuf>; 2], Trouble> {
    const SECTION: &str = "INCLUDES";
    let mut set = Set::default();
    set.push(file, ini);
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut lists = [Vec::new(), Vec::new()];
    if set.has_section(SECTION) {
        for (list, key) in lists.iter_mut().zip(["before", "after"]) {
            let found = interpolate::get(&Scope { set: &set, section: SECTION, vars: &[] }, key)?;
            let names = found.unwrap_or_default();
            list.extend(names.split('\n').map(|name| folder.join(name)));
        }
    }
    Ok(lists)
}

fn read(path: &Path) -> Result<Rc<Ini>, Trouble> {
    let place = Place { file: Some(path.to_owned()), ..Place::default() };
    let bytes = match bytes(path) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Err(Trouble::new(place, Problem::TooLarge)),
        Err(error) => return Err(Trouble::new(place, Problem::Unreadable(error.to_string()))),
    };
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let byte = error.as_bytes()[at];
        let why = match (error.utf8_error().error_len(), byte) {
            (None, _) => "unexpected end of data",
            (_, 0xc2..=0xf4) => "invalid continuation byte",
            _ => "invalid start byte",
        };
        let line = memchr::memchr_iter(b'\n', &error.as_bytes()[..at]).count() + 1;
        let place = Place { line: Some(line), ..place.clone() };
        Trouble::new(place, Problem::NotText { byte, at, why })
    })?;
    let ini = ini::parse(&text);
    match ini.mistakes.first() {
        None => Ok(Rc::new(ini)),
        Some((line, _)) => {
            let place = Place { line: Some(*line), ..place };
            Err(Trouble::new(place, Problem::Broken(ini.mistakes)))
        }
    }
}

/// A whole file; none: it is too large.
fn bytes(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= MAX_FILE).then_some(bytes))
}
