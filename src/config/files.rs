//! Which files the configuration is read from, and the reading.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::layer::{Layer, Stack};
use super::{Mistake, Refused, Sources, toml, tree};
use crate::fail2ban::{self, Tree};

include!(concat!(env!("OUT_DIR"), "/shipped.rs"));

/// What messages call the folder of the shipped jails.
pub(super) const SHIPPED_AT: &str = "shipped";

/// The layers, and what could not be read.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) stack: Stack,
    /// Each with the number of its layer.
    pub(super) mistakes: Vec<(usize, Mistake)>,
    pub(super) refused: Refused,
    /// The Fail2Ban tree in the operator's folder, if there is one.
    pub(super) tree: Option<Tree>,
    refusals: Vec<Refusal>,
}

/// A file that is not used.
#[derive(Debug)]
struct Refusal {
    /// Its layer.
    number: usize,
    /// Line and reason of each mistake.
    reasons: Vec<(Option<usize>, String)>,
    /// The jails it speaks of.
    jails: BTreeSet<String>,
    /// Whether it concerns everything.
    everything: bool,
}

/// Reads every layer.
pub(super) fn gather(sources: &Sources) -> Gathered {
    let mut gathered = Gathered::default();
    if sources.shipped {
        for (name, text) in SHIPPED {
            gathered.text(Path::new(SHIPPED_AT).join(name), text);
        }
    }
    if tree::is_tree(&sources.etc) {
        let found = fail2ban::load(&sources.etc, sources.tried.as_deref());
        gathered.stack.push(tree::layer(&sources.etc, &found.server));
        gathered.tree = Some(found);
    }
    let main = main_file(&sources.etc);
    if let Err(error) = gathered.optional(&main) {
        gathered.unreadable(&main, &error);
    }
    match drop_ins(&sources.etc) {
        Ok(files) => files.iter().for_each(|file| gathered.drop_in(file)),
        Err(error) => gathered.unreadable(&drop_in_folder(&sources.etc), &error),
    }
    for file in &sources.extra {
        match read(file) {
            Ok(text) => gathered.text(file.clone(), &text),
            Err(error) => gathered.unreadable(file, &error),
        }
    }
    let jails = gathered.stack.jails();
    let mut variables: Vec<_> = sources.env.iter().collect();
    variables.sort();
    for (name, text) in variables {
        if let Some(layer) = Layer::variable(name, text, &jails) {
            gathered.stack.push(layer);
        }
    }
    for (key, text) in &sources.flags {
        match Layer::flag(key, text) {
            Ok(layer) => _ = gathered.stack.push(layer),
            Err(what) => {
                let number = gathered.stack.push(Layer::default());
                let place = "--set".to_owned();
                gathered.mistakes.push((number, Mistake { jail: None, place, line: None, key: None, what }));
            }
        }
    }
    gathered.explain_refusals();
    gathered
}

/// What to watch for changes: folders, for files that appear, and files.
pub(super) fn watched(sources: &Sources) -> Vec<PathBuf> {
    let mut paths = vec![sources.etc.clone(), main_file(&sources.etc), drop_in_folder(&sources.etc)];
    paths.extend(drop_ins(&sources.etc).unwrap_or_default());
    paths.extend(sources.extra.iter().cloned());
    paths
}

fn main_file(etc: &Path) -> PathBuf {
    etc.join("stockade.toml")
}

/// Where an operator's jails live.
pub(super) fn drop_in_folder(etc: &Path) -> PathBuf {
    etc.join("jails.d")
}

/// `jails.d/*.toml` in the order of their names; editors' hidden files are none.
fn drop_ins(etc: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(drop_in_folder(etc)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension() == Some(OsStr::new("toml")) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(file: &Path) -> io::Result<String> {
    let bytes = fs::read(file)?;
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = memchr::memchr_iter(b'\n', good).count() + 1;
        io::Error::new(ErrorKind::InvalidData, NotText { line })
    })
}

/// A file that is no UTF-8.
#[derive(Debug, thiserror::Error)]
#[error("is no text in UTF-8")]
struct NotText {
    line: usize,
}

impl Gathered {
    /// A file that need not be there.
    fn optional(&mut self, file: &Path) -> io::Result<()> {
        match read(file) {
            Ok(text) => self.text(file.to_owned(), &text),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// One drop-in; an unreadable one costs itself.
    fn drop_in(&mut self, file: &Path) {
        match read(file) {
            Ok(text) => self.text(file.to_owned(), &text),
            // Deleted since the folder was read. A dangling link is still there.
            Err(error) if error.kind() == ErrorKind::NotFound && fs::symlink_metadata(file).is_err() => {}
            Err(error) => {
                let jails = file.file_stem().map(|name| name.to_string_lossy().into_owned());
                let jails = jails.into_iter().filter(|name| super::is_name(name)).collect();
                self.refuse(file, vec![reason(&error)], jails, false);
            }
        }
    }

    /// The text of a file.
    fn text(&mut self, file: PathBuf, text: &str) {
        match toml::parse(text) {
            Ok(parsed) => _ = self.stack.push(Layer::file(file, parsed)),
            Err(broken) => {
                let reasons: Vec<_> =
                    broken.mistakes.into_iter().map(|(line, what)| (Some(line), what)).collect();
                self.refuse(&file, reasons, broken.jails, broken.shared);
            }
        }
    }

    /// Something without which nothing can be known.
    fn unreadable(&mut self, path: &Path, error: &io::Error) {
        self.refuse(path, vec![reason(error)], BTreeSet::new(), true);
    }

    fn refuse(
        &mut self,
        file: &Path,
        reasons: Vec<(Option<usize>, String)>,
        jails: BTreeSet<String>,
        everything: bool,
    ) {
        let number = self.stack.push(Layer::file(file.to_owned(), toml::Parsed::default()));
        self.refused.everything |= everything;
        self.refused.files.push(file.to_owned());
        self.refused.jails.extend(jails.iter().map(|jail| Arc::from(jail.as_str())));
        self.refusals.push(Refusal { number, reasons, jails, everything });
    }

    /// Says what each refused file costs: known only when all layers are there.
    fn explain_refusals(&mut self) {
        let known = self.stack.jails();
        for refusal in std::mem::take(&mut self.refusals) {
            let cost = if refusal.everything { "nothing starts without it" } else { "this file is not used" };
            let verdict = |jail: &String| {
                let verdict = if known.contains(jail) { "does without it" } else { "is absent" };
                format!("jail {jail} {verdict}")
            };
            let verdicts: Vec<String> = refusal.jails.iter().map(verdict).collect();
            let colon = if verdicts.is_empty() { "" } else { ": " };
            let cost = format!("{cost}{colon}{}", verdicts.join(", "));
            let only = refusal.jails.first().filter(|_| refusal.jails.len() == 1);
            for (line, what) in refusal.reasons {
                let mistake = Mistake {
                    jail: only.map(|jail| Arc::from(jail.as_str())),
                    place: self.stack.layer(refusal.number).place.clone(),
                    line,
                    key: None,
                    what: format!("{what}; {cost}"),
                };
                self.mistakes.push((refusal.number, mistake));
            }
        }
    }
}

fn reason(error: &io::Error) -> (Option<usize>, String) {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<NotText>()) {
        Some(inner) => (Some(inner.line), inner.to_string()),
        None => (None, format!("cannot be read: {error}")),
    }
}
