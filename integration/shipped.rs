//! The shipped jails, as the tests use them: a filter for each jail and mode.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use stockade::config::{self, Sources};
use stockade::filter::{Filter, FilterOptions, Outcome, Reading};
use stockade::time::UnixTime;
use toml::{Table, Value};

/// A jail of `jails.d`.
pub(crate) struct Shipped {
    pub(crate) name: String,
    jail: Table,
}

/// A filter and the patterns that it was made of.
pub(crate) struct Judge {
    filter: Filter,
    pub(crate) options: FilterOptions,
}

/// A file of the repository.
pub(crate) fn path(relative: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

/// All shipped jails, by name.
pub(crate) fn jails() -> Vec<Shipped> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path("jails.d")).unwrap() {
        let file = entry.unwrap().path();
        let table: Table = fs::read_to_string(&file).unwrap().parse().unwrap();
        for (name, jail) in table["jail"].as_table().unwrap() {
            found.push(Shipped { name: name.clone(), jail: jail.as_table().unwrap().clone() });
        }
    }
    assert!(!found.is_empty(), "no jail in {}", path("jails.d").display());
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// The jail of that name.
pub(crate) fn jail(name: &str) -> Shipped {
    jails().into_iter().find(|jail| jail.name == name).unwrap_or_else(|| panic!("no jail {name} in jails.d"))
}

impl Shipped {
    /// A jail of manual bans has none.
    pub(crate) fn has_filter(&self) -> bool {
        self.jail.contains_key("filter")
    }

    /// The names that `mode` may have; a jail without modes has the one that it starts with.
    pub(crate) fn modes(&self) -> Vec<String> {
        match self.filter_table().get("modes") {
            Some(modes) => modes.as_table().unwrap().keys().cloned().collect(),
            None => vec![self.mode().to_owned()],
        }
    }

    /// The mode that it starts with.
    pub(crate) fn mode(&self) -> &str {
        self.jail.get("mode").map_or("normal", |mode| mode.as_str().unwrap())
    }

    /// Its filter in this mode.
    pub(crate) fn judge(&self, mode: &str) -> Judge {
        Judge::new(self.options(mode))
    }

    fn filter_table(&self) -> &Table {
        self.jail["filter"].as_table().unwrap()
    }

    /// As the configuration resolves it.
    fn options(&self, mode: &str) -> FilterOptions {
        let key = |option: &str| format!("jail.{}.{option}", self.name);
        let mut flags = vec![(key("enabled"), "true".to_owned())];
        if self.jail.contains_key("mode") {
            flags.push((key("mode"), mode.to_owned()));
        }
        let config = config::load(&Sources { flags, etc: path("no-such-folder"), ..Sources::default() });
        let jail = config.jails.into_iter().find(|jail| *jail.options.name == *self.name);
        let jail = jail.unwrap_or_else(|| panic!("{}[{mode}]: {:?}", self.name, config.mistakes));
        jail.options.filter.unwrap()
    }

    /// Every pattern in every group, and every ignore pattern.
    pub(crate) fn all_patterns(&self) -> Vec<String> {
        let table = self.filter_table();
        let mut found = texts(table.get("patterns"));
        for group in table.get("groups").and_then(Value::as_table).iter().flat_map(|groups| groups.values()) {
            found.extend(texts(Some(group)));
        }
        found.extend(texts(table.get("ignore")));
        found
    }
}

impl Judge {
    /// One for a filter.
    pub(crate) fn new(options: FilterOptions) -> Self {
        let filter = Filter::new(&options).unwrap_or_else(|errors| panic!("{options:?}: {errors:?}"));
        Self { filter, options }
    }

    /// What the line means, read in the last second of `year`.
    pub(crate) fn line(&mut self, line: &[u8], year: i16) -> Outcome {
        let end =
            jiff::civil::date(year, 12, 31).at(23, 59, 59, 0).to_zoned(jiff::tz::TimeZone::UTC).unwrap();
        let now = UnixTime::from_secs(end.timestamp().as_second());
        let find_time = Duration::from_secs(400 * 86_400);
        self.filter.line(line, &Reading { now, since: now, live: false, find_time })
    }

    /// Who failed in this line, if anybody.
    pub(crate) fn failed(&mut self, line: &str) -> Option<Arc<str>> {
        match self.line(line.as_bytes(), 2026) {
            Outcome::Failure(failure) => Some(failure.id.to_string().into()),
            _ => None,
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn texts(value: Option<&Value>) -> Vec<String> {
    value.and_then(Value::as_array).map(|list| list.iter().map(text).collect()).unwrap_or_default()
}
