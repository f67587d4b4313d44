//! What a reload has to do: the running jails against a new configuration.
//!
//! Pure.

use std::collections::BTreeMap;

use super::{Config, JailConfig, Step};

/// The steps from what runs to the new configuration, in the order of the jails' names; jails that do not differ have
/// none. With `only`, the steps of that jail alone.
pub fn diff(running: &[JailConfig], new: &Config, only: Option<&str>) -> Vec<Step> {
    let mut pairs: BTreeMap<&str, (Option<&JailConfig>, Option<&JailConfig>)> = BTreeMap::new();
    for jail in running {
        pairs.entry(&jail.options.name).or_default().0 = Some(jail);
    }
    for jail in &new.jails {
        pairs.entry(&jail.options.name).or_default().1 = Some(jail);
    }
    pairs.retain(|name, _| only.is_none_or(|only| only == *name));
    pairs.into_values().filter_map(|(old, new_jail)| step(old, new_jail, new)).collect()
}

fn step(old: Option<&JailConfig>, new: Option<&JailConfig>, config: &Config) -> Option<Step> {
    let Some(old) = old else {
        return new.filter(|_| !config.refused.everything).cloned().map(Box::new).map(Step::Start);
    };
    let name = &old.options.name;
    let refused = &config.refused;
    // What shaped it cannot be read now: nobody knows what it shall be.
    let unknown = old.sources.iter().any(|file| refused.files.contains(file));
    if refused.everything || unknown || refused.jails.contains(name) {
        return Some(Step::Keep(name.clone()));
    }
    let Some(new) = new else { return Some(Step::Stop(name.clone())) };
    let changed = changed(old, new);
    (!changed.is_empty()).then(|| Step::Retune(Box::new(new.clone()), changed))
}

/// The names of the options that differ.
fn changed(old: &JailConfig, new: &JailConfig) -> Vec<&'static str> {
    let (a, b) = (&old.options, &new.options);
    let own = old.rules.own().zip(new.rules.own());
    let (e, f) = (&a.ignore, &b.ignore);
    [
        ("description", old.description != new.description),
        ("logs", old.logs != new.logs),
        ("journal", old.journal != new.journal),
        ("filter", a.filter != b.filter),
        ("max_retry", a.tracker.max_retry != b.tracker.max_retry),
        ("find_time", a.tracker.find_time != b.tracker.find_time),
        ("max_matches", a.tracker.max_matches != b.tracker.max_matches),
        ("max_tracked", a.tracker.max_tracked != b.tracker.max_tracked),
        ("ban_time", a.ban_time != b.ban_time),
        ("ban_increment", a.increment != b.increment),
        ("counters", a.counters != b.counters),
        ("ignore", (&e.nets, &e.names, &old.ignore_files) != (&f.nets, &f.names, &new.ignore_files)),
        ("ignore_own", e.own != f.own),
        ("spare_logins", e.logins != f.logins),
        ("ignore_command", e.command != f.command),
        ("ignore_cache", e.cache != f.cache),
        ("firewall", old.firewall != new.firewall || a.enforced != b.enforced),
        ("ports", own.is_some_and(|(c, d)| c.ports != d.ports)),
        ("protocol", own.is_some_and(|(c, d)| c.protocols != d.protocols)),
        ("block", own.is_some_and(|(c, d)| c.block != d.block)),
        ("hooks", own.is_some_and(|(c, d)| c.hooks != d.hooks)),
        ("action", own.is_none() && old.rules != new.rules),
        ("cut", old.cut.is_some() != new.cut.is_some()),
        ("priority", own.is_some_and(|(c, d)| c.priority != d.priority)),
        ("actions", old.actions != new.actions),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect()
}
