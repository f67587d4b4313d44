//! One jail of a tree → one jail of the daemon.

use std::sync::Arc;
use std::time::Duration;

use super::enforce::{self, Enforced, Layout};
use super::{Around, Notes, times};
use crate::config::justice::is_host_name;
use crate::config::{JailConfig, LogPath};
use crate::fail2ban::{self, JailSpec};
use crate::filter::{Filter, FilterOptions};
use crate::ignore::{CacheOptions, SpareLogins};
use crate::jail::{Counters, IgnoreOptions, JailOptions, Rules};
use crate::python::is_true;
use crate::sentence::{Formula, Increment, Scale, Sentence};
use crate::source::journal::{JournalOptions, Matches};
use crate::source::{Format, Start};
use crate::subnet::Subnet;
use crate::tracker::TrackerOptions;

/// What Fail2Ban's server does when nobody says anything (measured with 1.0.2).
const MAX_RETRY: i64 = 3;
const MAX_MATCHES: i64 = 5;
const TEN_MINUTES: Duration = Duration::from_secs(600);
/// Addresses counted at once, as in a TOML jail.
const MAX_TRACKED: usize = 100_000;
/// Lines kept of one address at most, as in a TOML jail.
const MOST_MATCHES: i64 = 1000;

/// Reads a jail; none: a mistake was noted.
pub(super) fn read(
    spec: &Arc<JailSpec>,
    around: &Around<'_>,
    ipv6: bool,
    notes: &mut Notes<'_>,
) -> Option<JailConfig> {
    if spec.name.chars().any(char::is_control) || spec.name.len() > 255 {
        notes.note("enabled", "the jail's name has control characters, or more than 255 bytes");
    }
    let filter = filter(spec, around, notes);
    let tracker = tracker(spec, notes);
    let ban_time = match &spec.ban_time {
        Some(text) => notes.take("bantime", times::ban_time(text)),
        None => Some(times::BanTime { sentence: Sentence(Some(TEN_MINUTES)), bans_nobody: false }),
    };
    let increment = increment(&spec.increment, notes);
    let (ignore, ignore_files) = ignore(spec, notes);
    let journal = journal(spec, notes);
    let logs = if spec.is_systemd() && journal.is_none() { Vec::new() } else { logs(spec, notes) };
    let Enforced { firewall, rules, actions, mut remarks, refused } =
        enforce::sort(&spec.actions, ipv6, layout(spec, notes), around.services);
    for why in refused {
        notes.doubt("action", why);
    }
    encoding(spec, notes);
    if filter.as_ref().and_then(|filter| filter.supplement.as_ref()).is_some() {
        remarks.push(
            "its filter is Fail2Ban's own for Dovecot: our patterns, which know Dovecot 2.4, are tried first"
                .to_owned(),
        );
    }
    let cut =
        (spec.cut == Some(true)).then(|| Arc::new(enforce::scope(&rules, &actions, around.services, notes)));
    let ban_time = ban_time?;
    let options = JailOptions {
        name: Arc::clone(&spec.name),
        filter,
        tracker: tracker?,
        ban_time: ban_time.sentence,
        bans_nobody: ban_time.bans_nobody,
        increment,
        ignore,
        enforced: !matches!(firewall, crate::config::FirewallKind::None),
        rules: Rules::Fail2Ban,
        counters: Counters::Keep,
    };
    Some(JailConfig {
        description: String::new(),
        options,
        logs,
        journal,
        ignore_files,
        firewall,
        cut,
        rules,
        sources: spec.files(),
        actions,
        remarks,
        spec: Some(Arc::clone(spec)),
    })
}

/// The filter, compiled once to find what is wrong with it; none: the jail is for bans by hand.
fn filter(spec: &JailSpec, around: &Around<'_>, notes: &mut Notes<'_>) -> Option<FilterOptions> {
    if let Some(native) = &spec.native_filter {
        let mode = native.options.iter().find(|(key, _)| key == "mode").map(|(_, mode)| mode.as_str());
        return notes.take("filter", (around.filter)(&native.name, mode));
    }
    let mut options = spec.filter.options();
    if options.patterns.is_empty() {
        return None;
    }
    // What the operator's ignoreregex would spare, ours would find.
    let may_help = spec.supplement && options.ignore.is_empty();
    if let Some(mode) = spec.filter.stock_dovecot().filter(|_| may_help) {
        options.supplement = (around.filter)("dovecot", Some(mode)).ok().map(Box::new);
    }
    for error in Filter::new(&options).err().unwrap_or_default() {
        let (key, index) = error.option();
        let which = index.map_or_else(String::new, |index| format!("number {} ", index + 1));
        notes.note(key, format!("{which}{}", error.what()));
    }
    Some(options)
}

fn layout(spec: &JailSpec, notes: &mut Notes<'_>) -> Layout {
    match spec.layout.as_deref() {
        None | Some("exact") => Layout::Exact,
        Some("fast") => Layout::Fast,
        Some(other) => {
            notes.note("layout", format!("`{other}` is neither exact nor fast"));
            Layout::Exact
        }
    }
}

fn tracker(spec: &JailSpec, notes: &mut Notes<'_>) -> Option<TrackerOptions> {
    let find_time = match &spec.find_time {
        Some(text) => notes.take("findtime", times::span(text)),
        None => Some(TEN_MINUTES),
    };
    let clamp = |number: Option<i64>, default, most| number.unwrap_or(default).clamp(0, most);
    Some(TrackerOptions {
        max_retry: clamp(spec.max_retry, MAX_RETRY, u32::MAX.into()) as u32,
        find_time: find_time?,
        max_matches: clamp(spec.max_matches, MAX_MATCHES, MOST_MATCHES) as usize,
        max_tracked: MAX_TRACKED,
    })
}

fn increment(written: &fail2ban::Increment, notes: &mut Notes<'_>) -> Option<Increment> {
    if written.enabled != Some(true) {
        return None;
    }
    let mut increment = Increment {
        all_jails: written.overall_jails.as_deref().is_some_and(is_true),
        ..Increment::default()
    };
    if let Some(text) = &written.factor {
        increment.factor = notes.take("bantime.factor", Increment::factor(text)).unwrap_or(increment.factor);
    }
    if let Some(text) = &written.formula {
        let formula = notes.take("bantime.formula", text.parse::<Formula>());
        increment.scale = formula.map_or(increment.scale, Scale::Formula);
    }
    if let Some(text) = &written.multipliers {
        let multipliers = notes.take("bantime.multipliers", Scale::multipliers(text)).flatten();
        increment.scale = multipliers.unwrap_or(increment.scale);
    }
    if let Some(text) = &written.max_time {
        increment.max_time = notes.take("bantime.maxtime", times::span(text));
    }
    if let Some(text) = &written.random_time {
        increment.random_time = notes.take("bantime.rndtime", times::span(text)).unwrap_or_default();
    }
    Some(increment)
}

fn ignore(spec: &JailSpec, notes: &mut Notes<'_>) -> (IgnoreOptions, Vec<std::path::PathBuf>) {
    let mut files = Vec::new();
    let mut options = IgnoreOptions {
        own: spec.ignore_self.unwrap_or(true),
        logins: if spec.spare_logins == Some(true) { SpareLogins::Everybody } else { SpareLogins::Nobody },
        command: spec.ignore_command.as_deref().filter(|command| !command.is_empty()).map(Arc::from),
        cache: spec.ignore_cache.as_ref().and_then(|text| notes.take("ignorecache", cache(text))),
        ..IgnoreOptions::default()
    };
    for word in &spec.ignore_ip {
        if let Some(path) = word.strip_prefix("file:") {
            files.push(path.trim_start_matches("//").into());
        } else if let Ok(net) = word.parse::<Subnet>().or_else(|error| masked(word).ok_or(error)) {
            options.nets.push((net, word.as_str().into()));
        } else {
            if !is_host_name(word) {
                notes.doubt("ignoreip", format!("`{word}` is neither an address nor a host name"));
            }
            options.names.push(word.as_str().into());
        }
    }
    (options, files)
}

/// `10.0.0.0/255.0.0.0`
fn masked(word: &str) -> Option<Subnet> {
    let (address, mask) = word.split_once('/')?;
    let bits = u32::from(mask.parse::<std::net::Ipv4Addr>().ok()?);
    let length = bits.leading_ones();
    (length == bits.count_ones())
        .then(|| Subnet::new(address.parse::<std::net::Ipv4Addr>().ok()?.into(), length as u8))
        .flatten()
}

/// `key="<ip>", max-count=100, max-time=5m`
fn cache(text: &str) -> Result<CacheOptions, String> {
    let parsed = fail2ban::filter::parse(&format!("cache[{text}]")).map_err(|error| error.to_string())?;
    let option =
        |key: &str| parsed.options.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str());
    let key = option("key").ok_or("has no key: say what makes two failures alike, such as key=\"<ip>\"")?;
    let max_count = option("max-count").unwrap_or("100");
    let max_count = max_count.trim().parse().map_err(|_| format!("max-count: `{max_count}` is no number"))?;
    let max_time = times::span(option("max-time").unwrap_or("300"))?;
    Ok(CacheOptions { key: key.into(), max_count, max_time })
}

/// The journal of `backend = systemd`; with `auto` it stands in for logs of which there is none.
fn journal(spec: &JailSpec, notes: &mut Notes<'_>) -> Option<JournalOptions> {
    let instead = spec.backend.name.eq_ignore_ascii_case("auto") && spec.systemd_if_no_logs;
    let wanted = spec.is_systemd() || (instead && !spec.filter.journalmatch.is_empty());
    if !wanted || spec.filter.failregex.is_empty() && spec.native_filter.is_none() {
        return None;
    }
    let matches = notes.take("journalmatch", Matches::of_words(&spec.filter.journalmatch))?;
    let options = spec.backend.options.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let journal = notes.take("backend", JournalOptions::of_backend(options, matches))?;
    Some(JournalOptions { instead_of_files: !spec.is_systemd(), ..journal })
}

fn logs(spec: &JailSpec, notes: &mut Notes<'_>) -> Vec<LogPath> {
    let mut logs = Vec::new();
    for log in spec.logs.iter().filter(|log| !log.pattern.trim().is_empty()) {
        if !log.pattern.starts_with('/') {
            notes.note("logpath", format!("`{}` is no absolute path: begin it with /", log.pattern));
            continue;
        }
        if let Err(error) = glob::Pattern::new(&log.pattern) {
            notes.note("logpath", format!("`{}` is no glob: {}", log.pattern, error.msg));
            continue;
        }
        let start = if log.start.eq_ignore_ascii_case("tail") { Start::End } else { Start::FindTime };
        logs.push(LogPath { format: Format::by_name(&log.pattern), pattern: log.pattern.clone(), start });
    }
    logs
}

/// Lines are read as UTF-8, of which ASCII is a part; what is neither becomes U+FFFD.
fn encoding(spec: &JailSpec, notes: &mut Notes<'_>) {
    const READ: [&str; 7] = ["auto", "utf-8", "utf8", "utf_8", "utf-8-sig", "ascii", "us-ascii"];
    if let Some(encoding) = &spec.log_encoding
        && !READ.contains(&encoding.to_ascii_lowercase().as_str())
    {
        notes.doubt(
            "logencoding",
            format!("{encoding} is read as UTF-8: letters beyond ASCII become U+FFFD, the rest is the same"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn netmasks() {
        for (text, want) in [
            ("10.0.0.0/255.0.0.0", Some("10.0.0.0/8")),
            ("192.0.2.1/255.255.255.255", Some("192.0.2.1")),
            ("10.0.0.0/255.0.255.0", None),
            ("10.0.0.0/8", None),
            ("example.org", None),
        ] {
            assert_eq!(masked(text).map(|net| net.to_string()).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn caches() {
        let cached = cache("key=\"<F-USER>@<ip>\", max-count=10, max-time=1h").unwrap();
        assert_eq!((&*cached.key, cached.max_count, cached.max_time.as_secs()), ("<F-USER>@<ip>", 10, 3600));
        for text in ["max-count=3", "key=\"<ip>\", max-count=many", "key=\"<ip>\", max-time=soon"] {
            assert!(cache(text).is_err(), "{text}");
        }
    }
}
