//! "Did you mean …": the nearest known name, and Fail2Ban's names for the same things.

/// Fail2Ban's option → ours.
const FAIL2BAN: &[(&str, &str)] = &[
    ("maxretry", "max_retry"),
    ("maxmatches", "max_matches"),
    ("findtime", "find_time"),
    ("bantime", "ban_time"),
    ("logpath", "logs"),
    ("journalmatch", "journal"),
    ("backend", "journal"),
    ("journalpath", "journal_path"),
    ("journalfiles", "journal_files"),
    ("namespace", "journal_namespace"),
    ("port", "ports"),
    ("ignoreip", "ignore"),
    ("ignoreself", "ignore_own"),
    ("banaction", "firewall"),
    ("blocktype", "block"),
    ("chain", "hooks"),
    ("failregex", "filter.patterns"),
    ("ignoreregex", "filter.ignore"),
    ("prefregex", "filter.prefix"),
    ("loglevel", "log_level"),
    ("logtarget", "log_target"),
    ("dbfile", "store"),
    ("dbpurgeage", "purge_age"),
    ("dbmaxmatches", "store_matches"),
    ("pidfile", "pid_file"),
];

/// The known name that was probably meant.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (name.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The known key that was probably meant, Fail2Ban's names included.
pub(super) fn nearest_key<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let plain = name.to_ascii_lowercase().replace(['-', '_'], "");
    let alias = FAIL2BAN.iter().find(|(theirs, _)| *theirs == plain).map(|(_, ours)| *ours);
    let table = |key: &str| key.split('.').next().unwrap_or_default().to_owned();
    match alias {
        Some(ours) if known.contains(&&*table(ours)) => Some(ours),
        _ => nearest(name, known.iter().copied()),
    }
}

/// How many letters must be added, dropped, changed or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut next = vec![i];
        for j in 1..=b.len() {
            let change = row[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = change.min(row[j] + 1).min(next[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant() {
        let known = ["enabled", "max_retry", "max_matches", "ports", "filter", "ignore"];
        for (name, want) in [
            ("maxretry", Some("max_retry")),
            ("enabld", Some("enabled")),
            ("enbaled", Some("enabled")),
            ("port", Some("ports")),
            ("ignoreip", Some("ignore")),
            ("failregex", Some("filter.patterns")),
            ("bantime", None),
            ("colour", None),
            ("x", None),
        ] {
            assert_eq!(nearest_key(name, &known), want, "{name}");
        }
    }
}
