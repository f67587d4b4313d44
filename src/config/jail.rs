//! `[jail.NAME]` over `[default]` → one jail, valid by construction.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use figment::value::Value;

use super::action;
use super::filter::{self, Chosen};
use super::layer::At;
use super::value::{self, Notes, Shape, Slot, Table};
use super::{FirewallKind, JailConfig, Start, justice, reads};
use crate::firewall::cut::Scope;
use crate::firewall::services::parse_ports;
use crate::firewall::{Block, Hook, Protocol, Ruleset};
use crate::jail::{Counters, IgnoreOptions, JailOptions, Rules};
use crate::sentence::{Increment, Sentence};
use crate::tracker::TrackerOptions;

const WEEK: Duration = Duration::from_secs(604_800);

const COUNTERS: &[(&str, Counters)] = &[("keep", Counters::Keep), ("forget", Counters::Forget)];

/// The keys that only a jail itself has, besides those of [`reads`].
const OWN_KEYS: &[&str] = &["filter", "actions"];

/// The keys of a jail, for hints.
pub(super) const KEYS: &[&str] = &[
    "ignore",
    "enabled",
    "description",
    "start",
    "mode",
    "max_retry",
    "find_time",
    "max_matches",
    "max_tracked",
    "ban_time",
    "ban_increment",
    "counters",
    "ignore_own",
    "spare_logins",
    "ignore_command",
    "ignore_cache",
    "firewall",
    "ports",
    "protocol",
    "hooks",
    "block",
    "priority",
    "cut",
    "logs",
    "journal",
    "journal_path",
    "journal_files",
    "journal_namespace",
    "prefer",
    "filter",
    "actions",
];

/// What `[default]` may say too.
struct Common {
    enabled: bool,
    description: String,
    start: Start,
    mode: Option<(String, At)>,
    tracker: TrackerOptions,
    ban_time: Sentence,
    increment: Option<Increment>,
    counters: Counters,
    ignore: IgnoreOptions,
    ignore_files: Vec<PathBuf>,
    firewall: FirewallKind,
    ruleset: Ruleset,
    cut: Option<bool>,
}

/// A jail as read.
pub(super) struct Read {
    /// Whether it is wanted.
    pub(super) enabled: bool,
    /// Whether it says anything of logs or a filter.
    reads: bool,
    /// Where it was written last.
    pub(super) at: At,
    /// Where `enabled` stands, or the jail.
    pub(super) enabled_at: At,
    /// The jail, if nothing is wrong with it.
    pub(super) config: JailConfig,
    /// Its filter, not compiled yet.
    pub(super) filter: Option<Chosen>,
}

impl Read {
    pub(super) fn name(&self) -> Arc<str> {
        Arc::clone(&self.config.options.name)
    }

    /// Whether somebody made this jail on purpose: it says what it reads, or is a shipped one.
    pub(super) fn known(&self) -> bool {
        self.reads || self.config.sources.iter().any(|file| file.starts_with(super::files::SHIPPED_AT))
    }
}

/// Checks `[default]`; whether it has a key that no jail knows.
pub(super) fn check_default(mut table: Table, services: &str, notes: &mut Notes<'_>) -> bool {
    let mut misplaced = false;
    for &key in OWN_KEYS.iter().chain(reads::KEYS) {
        if let Some(slot) = table.slot(notes, key) {
            misplaced = true;
            notes.note(&slot.at, "belongs to one jail, as [jail.NAME]: it has no default");
        }
    }
    common(&mut table, services, notes);
    table.finish(notes) || misplaced
}

/// Reads one jail; mistakes are noted, and stand-ins take their place.
/// A filter of Fail2Ban's is looked for in `tree`.
pub(super) fn read(
    name: &Arc<str>,
    mut table: Table,
    services: &str,
    tree: &Path,
    notes: &mut Notes<'_>,
) -> Read {
    let at = table.at().clone();
    let enabled_at = table.peek("enabled").unwrap_or_else(|| at.clone());
    let firewall_at = table.peek("firewall").unwrap_or_else(|| at.clone());
    let common = common(&mut table, services, notes);
    let rules = &common.ruleset;
    let rejects = rules.block == Block::Reject && rules.hooks.contains(&Hook::Prerouting);
    if common.firewall == FirewallKind::Iptables && rejects {
        let what =
            "iptables cannot reject before routing: use block = \"drop\", or leave prerouting out of hooks";
        notes.note(&firewall_at, what);
    }
    let known = reads::at(&table).or(table.peek("filter")).is_some();
    let reads = reads::read(&mut table, common.start, notes);
    let written = table.table(notes, "filter").map(|table| filter::read(table, notes));
    let actions = action::read(&mut table, notes);
    table.finish(notes);

    let filters = written.is_some();
    if common.enabled && !notes.wrong() && filters != reads.anything() {
        let what = if filters {
            "has a filter but no logs: name the files to read"
        } else {
            "has logs but no filter"
        };
        notes.note(&at, what);
    }
    let filter = written.and_then(|written| written.choose(common.mode.as_ref(), tree, notes));
    let options = JailOptions {
        name: Arc::clone(name),
        filter: filter.as_ref().map(|chosen| chosen.options.clone()),
        tracker: common.tracker,
        ban_time: common.ban_time,
        bans_nobody: false,
        increment: common.increment,
        ignore: common.ignore,
        enforced: common.firewall != FirewallKind::None,
        rules: Rules::Stockade,
        counters: common.counters,
    };
    let blocks =
        matches!(common.firewall, FirewallKind::Nftables | FirewallKind::Iptables | FirewallKind::HostsDeny);
    let cuts = common.cut.unwrap_or(blocks) && common.firewall != FirewallKind::Memory;
    let rules = common.ruleset.into();
    let config = JailConfig {
        description: common.description,
        options,
        logs: reads.logs,
        journal: reads.journal,
        ignore_files: common.ignore_files,
        firewall: common.firewall,
        cut: cuts.then(|| Arc::new(Scope::of(&rules))),
        rules,
        sources: Vec::new(),
        actions,
        remarks: Vec::new(),
        spec: None,
    };
    Read { enabled: common.enabled, reads: known, at, enabled_at, config, filter }
}

fn common(table: &mut Table, services: &str, notes: &mut Notes<'_>) -> Common {
    let (ignore, ignore_files) = justice::ignore(table, notes);
    let increment = table.table(notes, "ban_increment");
    let switched = table.peek("enabled").is_some();
    Common {
        // A switch that cannot be read is no "off": the jail is refused, and a running one goes on.
        enabled: table.get(notes, "enabled", value::boolean).unwrap_or(switched),
        description: table.get(notes, "description", value::text).unwrap_or_default(),
        start: table.get(notes, "start", |slot| value::word(slot, reads::STARTS)).unwrap_or_default(),
        mode: table.get(notes, "mode", |slot| Ok((value::text(slot)?, slot.at.clone()))),
        tracker: TrackerOptions {
            max_retry: table.get(notes, "max_retry", |slot| value::number(slot, 0, 1_000_000)).unwrap_or(6),
            find_time: table.get(notes, "find_time", value::span).unwrap_or(WEEK),
            max_matches: table.get(notes, "max_matches", |slot| value::number(slot, 0, 1000)).unwrap_or(6),
            max_tracked: table
                .get(notes, "max_tracked", |slot| value::number(slot, 1, 100_000_000))
                .unwrap_or(100_000),
        },
        ban_time: table.get(notes, "ban_time", sentence).unwrap_or(Sentence(Some(WEEK))),
        increment: justice::increment(increment, notes),
        counters: table.get(notes, "counters", |slot| value::word(slot, COUNTERS)).unwrap_or_default(),
        ignore,
        ignore_files,
        firewall: table.get(notes, "firewall", firewall).unwrap_or_default(),
        ruleset: ruleset(table, services, notes),
        cut: table.get(notes, "cut", value::boolean),
    }
}

fn ruleset(table: &mut Table, services: &str, notes: &mut Notes<'_>) -> Ruleset {
    const BLOCKS: &[(&str, Block)] = &[("drop", Block::Drop), ("reject", Block::Reject)];
    const PROTOCOLS: &[(&str, Protocol)] = &[("tcp", Protocol::Tcp), ("udp", Protocol::Udp)];
    const HOOKS: &[(&str, Hook)] =
        &[("input", Hook::Input), ("forward", Hook::Forward), ("prerouting", Hook::Prerouting)];

    let port = |slot: &Slot| {
        let text = value::word_or_number(slot)?;
        match parse_ports(std::slice::from_ref(&text), services) {
            Ok(ranges) if ranges.is_empty() => Err(format!("{text:?} names no port")),
            Ok(_) => Ok(text),
            Err(error) => Err(error.to_string()),
        }
    };
    let ports = table.list(notes, "ports", Shape::Words, port).map(plain).unwrap_or_default();
    let protocols = table.list(notes, "protocol", Shape::WordsOrOne, |slot| value::word(slot, PROTOCOLS));
    let hooks_at = table.peek("hooks");
    let hooks = table.list(notes, "hooks", Shape::Words, |slot| value::word(slot, HOOKS));
    if let (Some(at), Some([])) = (hooks_at, hooks.as_deref()) {
        notes.note(&at, "is empty: say where packets are looked at, such as [\"input\"]");
    }
    Ruleset {
        // Each is right, so all are; together they become as few ranges as possible.
        ports: parse_ports(&ports, services).unwrap_or_default(),
        protocols: sorted(protocols.map_or(vec![Protocol::Tcp], plain)),
        block: table.get(notes, "block", |slot| value::word(slot, BLOCKS)).unwrap_or_default(),
        hooks: sorted(hooks.map_or(vec![Hook::Input], plain)),
        priority: table
            .get(notes, "priority", |slot| value::number(slot, i32::MIN.into(), i32::MAX.into()))
            .unwrap_or(-1),
    }
}

fn plain<T>(items: Vec<(T, At)>) -> Vec<T> {
    items.into_iter().map(|(item, _)| item).collect()
}

fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort();
    items.dedup();
    items
}

fn sentence(slot: &Slot) -> Result<Sentence, String> {
    match &slot.value {
        Value::String(_, text) if text == "forever" => Ok(Sentence(None)),
        Value::String(_, text) if text.trim() == "-1" => Err(FOREVER.to_owned()),
        Value::Num(_, number) if number.to_i128() == Some(-1) => Err(FOREVER.to_owned()),
        _ => value::span(slot).map(|span| Sentence(Some(span))),
    }
}

/// For those who come from Fail2Ban.
const FOREVER: &str = "found -1: a ban without end is written \"forever\"";

fn firewall(slot: &Slot) -> Result<FirewallKind, String> {
    const KINDS: &[(&str, FirewallKind)] = &[
        ("nftables", FirewallKind::Nftables),
        ("iptables", FirewallKind::Iptables),
        ("hosts-deny", FirewallKind::HostsDeny),
        ("memory", FirewallKind::Memory),
        ("none", FirewallKind::None),
    ];
    value::word(slot, KINDS)
}
