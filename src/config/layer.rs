//! The layers of the configuration, one figment [`Provider`] each, and where each value came from.
//!
//! Pure. Later layers win key by key: tables merge, lists replace.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use figment::value::{Dict, Map, Tag, Value};
use figment::{Figment, Metadata, Profile, Provider, Source};

use super::{suggest, toml};

/// What one file, environment variable or flag says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layer {
    /// What messages call it.
    pub(super) place: String,
    /// The file, if it is one.
    pub(crate) file: Option<PathBuf>,
    /// Whether values are words of a shell, typed by the key they are given to.
    pub(super) loose: bool,
    /// The line of each key.
    pub(crate) lines: HashMap<String, usize>,
    dict: Dict,
    /// Its place in the stack.
    index: usize,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::from(self.place.clone(), Source::Custom(self.index.to_string()))
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(Profile::Default.collect(self.dict.clone()))
    }
}

impl Layer {
    /// A file; without values when it was refused.
    pub(super) fn file(path: PathBuf, parsed: toml::Parsed) -> Self {
        Self::options(path, parsed.dict, parsed.lines)
    }

    /// A file that was read by other rules than TOML's.
    pub(crate) fn options(path: PathBuf, dict: Dict, lines: HashMap<String, usize>) -> Self {
        let place = path.display().to_string();
        Self { place, file: Some(path), lines, dict, ..Self::default() }
    }

    /// One value given as words of a shell.
    fn word(place: String, path: &[String], text: &str) -> Self {
        // Only what looks like TOML's lists, tables and strings is read as TOML.
        let value = match text.trim_start().as_bytes().first() {
            Some(b'[' | b'{' | b'"' | b'\'') => toml::parse_value(text),
            _ => None,
        };
        let value = value.unwrap_or_else(|| Value::from(text));
        let (first, rest) = path.split_first().expect("a key has a name");
        let value =
            rest.iter().rev().fold(value, |inner, name| Value::from(BTreeMap::from([(name.clone(), inner)])));
        Self { place, loose: true, dict: Dict::from([(first.clone(), value)]), ..Self::default() }
    }

    /// `STOCKADE_JAIL__SSHD__MAX_RETRY=3`. None: the variable is none of ours. A variable without `__` never is:
    /// orchestrators set such ones (`STOCKADE_PORT`) for a service of this name.
    pub(super) fn variable(name: &str, text: &str, jails: &BTreeSet<String>) -> Option<Self> {
        let mut path: Vec<String> =
            name.strip_prefix("STOCKADE_")?.split("__").map(str::to_ascii_lowercase).collect();
        if path.len() < 2 {
            return None;
        }
        if path[0] == "jail" && !jails.contains(&path[1]) {
            // A shell's variable has no `-`, no `.` and no small letters to spare for the jail's name.
            let folded = |jail: &str| jail.to_ascii_lowercase().replace(['-', '.'], "_");
            if let Some(jail) = jails.iter().find(|jail| folded(jail) == path[1]) {
                path[1].clone_from(jail);
            }
        }
        Some(Self::word(name.to_owned(), &path, text))
    }

    /// `--set jail.sshd.max_retry=3`.
    pub(super) fn flag(key: &str, text: &str) -> Result<Self, String> {
        let path = toml::parse_key(key)
            .ok_or_else(|| format!("`{key}` is no key: write --set jail.sshd.max_retry=3"))?;
        Ok(Self::word("--set".to_owned(), &path, text))
    }

    /// The jails it speaks of.
    pub(super) fn jails(&self) -> impl Iterator<Item = &String> {
        self.dict.get("jail").and_then(Value::as_dict).into_iter().flat_map(BTreeMap::keys)
    }
}

/// A value's place: whose it is, and under which key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct At {
    pub(super) tag: Tag,
    pub(super) key: String,
}

/// All layers, the strongest last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stack {
    layers: Vec<Layer>,
    figment: Figment,
}

impl Stack {
    /// Puts a layer on top; answers its number.
    pub(crate) fn push(&mut self, mut layer: Layer) -> usize {
        layer.index = self.layers.len();
        self.figment = std::mem::take(&mut self.figment).merge(&layer);
        self.layers.push(layer);
        self.layers.len() - 1
    }

    /// Everything merged.
    pub(crate) fn values(&self) -> Dict {
        self.figment.data().ok().and_then(|mut data| data.remove(&Profile::Default)).unwrap_or_default()
    }

    /// The jails that any layer speaks of.
    pub(super) fn jails(&self) -> BTreeSet<String> {
        self.layers.iter().flat_map(Layer::jails).cloned().collect()
    }

    /// The layer that a value came from.
    pub(super) fn number(&self, tag: Tag) -> Option<usize> {
        match self.figment.get_metadata(tag)?.source.as_ref()? {
            Source::Custom(index) => index.parse().ok(),
            _ => None,
        }
    }

    /// The layer of this number.
    pub(super) fn layer(&self, number: usize) -> &Layer {
        &self.layers[number]
    }

    /// The layer of a value.
    pub(crate) fn layer_of(&self, tag: Tag) -> Option<&Layer> {
        self.number(tag).map(|number| &self.layers[number])
    }

    /// The line of a key in its file; what has no line of its own stands on its parent's.
    pub(super) fn line(&self, at: &At) -> Option<usize> {
        let lines = &self.layer_of(at.tag)?.lines;
        let mut key = at.key.as_str();
        loop {
            if let Some(line) = lines.get(key) {
                return Some(*line);
            }
            key = &key[..key.rfind(['.', '['])?];
        }
    }

    /// The files among the layers of these values, the weakest first.
    pub(super) fn files<'a>(&self, values: impl IntoIterator<Item = &'a Value>) -> Vec<PathBuf> {
        let mut tags = BTreeSet::new();
        values.into_iter().for_each(|value| leaves(value, &mut tags));
        let numbers: BTreeSet<usize> = tags.into_iter().filter_map(|tag| self.number(tag)).collect();
        numbers.into_iter().filter_map(|number| self.layers[number].file.clone()).collect()
    }
}

fn leaves(value: &Value, tags: &mut BTreeSet<Tag>) {
    match value {
        Value::Dict(_, dict) => dict.values().for_each(|inner| leaves(inner, tags)),
        other => _ = tags.insert(other.tag()),
    }
}

/// What an unknown name at the top of a file was probably meant to be.
pub(super) fn top_level(name: &str, jails: &BTreeSet<String>, jail_keys: &[&str]) -> String {
    if jails.contains(name) {
        return format!("unknown table: a jail is written [jail.{name}]");
    }
    if let Some(key) = suggest::nearest_key(name, jail_keys) {
        return format!("unknown key: {key} belongs under [default] or [jail.NAME]");
    }
    match suggest::nearest(name, ["daemon", "default", "jail"]) {
        Some(known) => format!("unknown table: did you mean {known}?"),
        None => "unknown table: known are daemon, default and jail.NAME".to_owned(),
    }
}
