//! All layers, read and checked: from [`Sources`] to a [`Config`].
//!
//! In: files, environment and flags, the weakest first. Out: what is right, and all that is wrong with the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use figment::value::{Dict, Tag, Value};

use super::jail::{self, Read};
use super::layer::{self, At, Stack};
use super::value::{self, Notes, Slot, Table};
use super::{
    Config, Daemon, JailConfig, LogFormat, LogPath, Mistake, Sources, daemon, files, filter, is_name,
    suggest, tree,
};
use crate::fail2ban::{self, JailSpec};
use crate::filter::FilterOptions;

/// Where filters of Fail2Ban's are looked for when no tree is named.
const FAIL2BAN: &str = "/etc/fail2ban";

/// Reads all layers and checks everything.
pub fn load(sources: &Sources) -> Config {
    let services = fs::read(&sources.services).unwrap_or_default();
    let services = String::from_utf8_lossy(&services);
    let gathered = files::gather(sources);
    let (stack, gathered_tree) = (gathered.stack, gathered.tree);
    let (mut mistakes, mut refused) = (gathered.mistakes, gathered.refused);
    let mut notes = Notes::new(&stack);
    let mut top = Table::new("", Tag::Default, stack.values());

    notes.begin(None);
    let daemon = top.table(&mut notes, "daemon").unwrap_or_default();
    let daemon = daemon::read(daemon, &sources.env, &mut notes);
    refused.daemon = notes.wrong() || refused.everything;
    let defaults = top.table(&mut notes, "default").unwrap_or_default();
    let inherited = defaults.values().clone();
    let misfit = jail::check_default(defaults, &services, &mut notes);
    let jails = top.table(&mut notes, "jail").map(|mut jails| jails.rest(&notes)).unwrap_or_default();
    unknown_tables(&mut top, &jails, &mut notes);

    let tree_at = daemon.fail2ban.clone().unwrap_or_else(|| sources.etc.clone());
    let tree = match gathered_tree {
        Some(tree) if daemon.fail2ban.as_ref().is_none_or(|named| *named == sources.etc) => Some(tree),
        _ => daemon.fail2ban.as_ref().map(|base| fail2ban::load(base, sources.tried.as_deref())),
    };
    let filters_at = if tree.is_some() { tree_at.as_path() } else { Path::new(FAIL2BAN) };
    let filters = tables(&jails);

    let mut read = Vec::new();
    for (name, slot) in jails {
        let name: Arc<str> = name.into();
        notes.begin(Some(&name));
        if !is_name(&name) {
            notes.note(&slot.at, "a jail's name is made of A-Z, a-z, 0-9, _, . and -, 64 at most");
            continue;
        }
        let sources = stack.files(inherited.values().chain([&slot.value]));
        let Some(table) = value::table(&mut notes, slot) else {
            refused.jails.insert(name);
            continue;
        };
        let mut jail = jail::read(&name, table.inheriting(&inherited), &services, filters_at, &mut notes);
        jail.config.sources = sources;
        if let (true, Some(filter)) = (jail.enabled, &jail.filter) {
            filter.check(&mut notes);
        }
        read.push((jail, notes.wrong() || misfit));
    }
    doubt_names(&mut read, &mut notes);
    doubt_recidive(&read, &daemon, &mut notes);

    mistakes.extend(notes.into_found());
    mistakes.sort_by(|(layer, a), (other, b)| (layer, a.line, &a.key).cmp(&(other, b.line, &b.key)));
    let mut config = Config {
        daemon,
        jails: Vec::new(),
        disabled: Vec::new(),
        mistakes: mistakes.into_iter().map(|(_, mistake)| mistake).collect(),
        refused,
        etc: sources.etc.clone(),
        watched: tree.as_ref().map(|tree| tree.watched.clone()).unwrap_or_default(),
        server: tree.as_ref().map(|tree| tree.server.clone()),
    };
    for (jail, wrong) in read {
        config.add(jail, wrong);
    }
    if let Some(tree) = tree {
        let filter = |name: &str, mode: Option<&str>| filter_of(&stack, &filters, name, mode, filters_at);
        let around = tree::Around { services: &services, filter: &filter };
        config.join(tree::jails(&tree, &around), tree.everything);
    }
    config
}

/// Makes a jail of what Fail2Ban's world says of it, by the same rules as the jails of a tree; with what is doubted.
///
/// # Errors
/// All that is wrong with it.
pub fn adopt(
    spec: &Arc<JailSpec>,
    sources: &Sources,
    allow_ipv6: &str,
) -> Result<(JailConfig, Vec<Mistake>), Vec<Mistake>> {
    let services = fs::read(&sources.services).unwrap_or_default();
    // Few jails borrow a filter of TOML: only for those the layers are read.
    let filter = |name: &str, mode: Option<&str>| {
        let stack = files::gather(sources).stack;
        let mut notes = Notes::new(&stack);
        let mut top = Table::new("", Tag::Default, stack.values());
        let jails = top.table(&mut notes, "jail").map(|mut jails| jails.rest(&notes)).unwrap_or_default();
        filter_of(&stack, &tables(&jails), name, mode, &sources.etc)
    };
    let around = tree::Around { services: &String::from_utf8_lossy(&services), filter: &filter };
    let (config, mistakes) = tree::one(spec, &around, tree::allows_ipv6(Some(allow_ipv6)));
    match config {
        Some(config) => Ok((config, mistakes)),
        None => Err(mistakes),
    }
}

/// The tables of the jails, by their names.
fn tables(jails: &[(String, Slot)]) -> BTreeMap<String, Dict> {
    jails.iter().filter_map(|(name, slot)| Some((name.clone(), slot.value.as_dict()?.clone()))).collect()
}

impl Config {
    fn add(&mut self, jail: Read, wrong: bool) {
        let name = jail.name();
        match (jail.enabled, wrong) {
            (false, _) => self.disabled.push((name, jail.config.logs)),
            (true, true) => _ = self.refused.jails.insert(name),
            (true, false) if self.refused.everything => {}
            (true, false) => self.jails.push(jail.config),
        }
    }
}

/// The filter of a TOML jail, enabled or not.
fn filter_of(
    stack: &Stack,
    jails: &BTreeMap<String, Dict>,
    name: &str,
    mode: Option<&str>,
    tree: &Path,
) -> Result<FilterOptions, String> {
    let jail = jails.get(name).ok_or_else(|| format!("there is no jail {name} in TOML"))?;
    let filter = jail.get("filter").and_then(Value::as_dict).cloned();
    let filter = filter.ok_or_else(|| format!("the TOML jail {name} has no filter"))?;
    let mut notes = Notes::new(stack);
    let table = Table::new(&format!("jail.{name}.filter"), Tag::Default, filter);
    let mode = mode.map(|mode| (mode.to_owned(), At::default()));
    let chosen = filter::read(table, &mut notes).choose(mode.as_ref(), tree, &mut notes);
    match (chosen, notes.into_found().into_iter().next()) {
        (Some(chosen), None) => Ok(chosen.options),
        (_, Some((_, mistake))) => Err(format!("the filter of the TOML jail {name}: {}", mistake.what)),
        (None, None) => Err(format!("the TOML jail {name} has no such filter")),
    }
}

/// Notes what is no table of ours at the top of a file.
fn unknown_tables(top: &mut Table, jails: &[(String, Slot)], notes: &mut Notes<'_>) {
    let jails: BTreeSet<String> = jails.iter().map(|(name, _)| name.clone()).collect();
    for (name, slot) in top.rest(notes) {
        notes.note(&slot.at, layer::top_level(&name, &jails, jail::KEYS));
    }
}

/// A jail without logs and filter serves bans by hand, if it says so; else its name is a slip of the pen.
fn doubt_names(jails: &mut [(Read, bool)], notes: &mut Notes<'_>) {
    let known: Vec<Arc<str>> =
        jails.iter().filter(|(jail, _)| jail.known()).map(|(jail, _)| jail.name()).collect();
    for (jail, wrong) in jails.iter_mut().filter(|(jail, _)| jail.enabled && !jail.known()) {
        let name = jail.name();
        let known = || known.iter().map(|name| &**name);
        let hint = match (suggest::nearest(&name, known()), known().next()) {
            (Some(meant), _) => format!("did you mean {meant}?"),
            (None, Some(_)) => format!("known are {}", known().collect::<Vec<_>>().join(", ")),
            (None, None) => "there are none yet".to_owned(),
        };
        notes.begin(Some(&name));
        let what = "unknown jail, with neither logs nor a filter";
        notes.note(&jail.at, format!("{what}: {hint} (`logs = []` makes one of bans by hand)"));
        *wrong = true;
    }
}

/// Recidive reads our own log: without one it finds nothing.
fn doubt_recidive(read: &[(Read, bool)], daemon: &Daemon, notes: &mut Notes<'_>) {
    let Some((jail, _)) =
        read.iter().find(|(jail, wrong)| jail.enabled && !wrong && &*jail.config.options.name == "recidive")
    else {
        return;
    };
    notes.begin(Some(&jail.name()));
    let target = &daemon.log_target;
    let reads = |log: &LogPath| glob::Pattern::new(&log.pattern).is_ok_and(|glob| glob.matches(target));
    match jail.config.logs.first() {
        Some(LogPath { pattern, .. }) if !jail.config.logs.iter().any(reads) => notes.warn(
            &jail.enabled_at,
            format!(
                "it reads {pattern}, but this program logs to {target}: set daemon.log_target = {pattern:?}"
            ),
        ),
        Some(_) if daemon.log_format != LogFormat::Text => {
            notes.warn(&jail.enabled_at, "it reads the log as text: set daemon.log_format = \"text\"");
        }
        _ => {}
    }
}
