//! A jail of TOML, as somebody sees it who asks by Fail2Ban's commands.

use std::time::Duration;

use super::{Increment, JailSpec};
use crate::config::JailConfig;
use crate::fail2ban::{brackets, logs};
use crate::filter::UseDns;
use crate::sentence::{self, Scale};
use crate::source::Start;

impl JailSpec {
    /// What a jail's configuration comes to in Fail2Ban's options: for reading, not for making a jail of it.
    pub fn seen(config: &JailConfig) -> Self {
        let options = &config.options;
        let kind = if config.journal.is_some() && config.logs.is_empty() { "systemd" } else { "auto" };
        let plain = |name: &str| brackets::Definition { name: name.to_owned(), options: Vec::new() };
        let mut spec = Self::new(&options.name, plain(kind));
        spec.max_retry = Some(options.tracker.max_retry.into());
        spec.max_matches = i64::try_from(options.tracker.max_matches).ok();
        spec.find_time = Some(seconds(options.tracker.find_time));
        spec.ban_time = Some(options.ban_time.0.map_or_else(|| "-1".to_owned(), seconds));
        spec.increment = options.increment.as_ref().map(increment).unwrap_or_default();
        spec.ignore_self = Some(options.ignore.own);
        let nets = options.ignore.nets.iter().map(|(_, rule)| rule);
        spec.ignore_ip = nets.chain(&options.ignore.names).map(|rule| String::from(&**rule)).collect();
        spec.ignore_ip.extend(config.ignore_files.iter().map(|file| format!("file:{}", file.display())));
        spec.ignore_command = options.ignore.command.as_deref().map(str::to_owned);
        let cache = options.ignore.cache.as_ref();
        spec.ignore_cache = cache.map(|cache| {
            format!(
                "key=\"{}\", max-count={}, max-time={}",
                cache.key,
                cache.max_count,
                seconds(cache.max_time)
            )
        });
        for log in &config.logs {
            let start = if log.start == Start::End { "tail" } else { "head" };
            spec.logs.extend(logs::find(&format!("{} {start}", log.pattern)));
        }
        if let Some(journal) = &config.journal {
            spec.filter.journalmatch = vec![journal.matches.words()];
        }
        if let Some(filter) = &options.filter {
            spec.filter.prefregex.clone_from(&filter.prefix);
            spec.filter.failregex.clone_from(&filter.patterns);
            spec.filter.ignoreregex.clone_from(&filter.ignore);
            if let Some(own) = &filter.fail2ban {
                let word = match own.use_dns {
                    UseDns::Yes => "yes",
                    UseDns::Warn => "warn",
                    UseDns::No => "no",
                    UseDns::Raw => "raw",
                };
                spec.filter.usedns = Some(word.to_owned());
                spec.filter.maxlines = Some(own.max_lines);
                spec.filter.datepattern.clone_from(&own.date_pattern);
                spec.filter.logtimezone.clone_from(&own.zone);
            } else {
                // Names are never looked up.
                spec.filter.usedns = Some("no".to_owned());
                spec.native_filter = Some(plain(&options.name));
            }
        }
        spec.actions.clone_from(&config.actions);
        spec
    }
}

fn increment(increment: &sentence::Increment) -> Increment {
    let (formula, multipliers) = match &increment.scale {
        Scale::Doubling => (None, None),
        Scale::Formula(formula) => (Some(formula.to_string()), None),
        Scale::Multipliers(all) => {
            let words: Vec<String> = all.iter().map(u64::to_string).collect();
            (None, Some(words.join(" ")))
        }
    };
    Increment {
        enabled: Some(true),
        factor: Some(match increment.factor {
            sentence::Value::Int(whole) => whole.to_string(),
            sentence::Value::Float(number) => number.to_string(),
        }),
        formula,
        multipliers,
        max_time: increment.max_time.map(seconds),
        random_time: Some(increment.random_time).filter(|time| !time.is_zero()).map(seconds),
        overall_jails: Some(if increment.all_jails { "True" } else { "False" }.to_owned()),
        others: Vec::new(),
    }
}

/// Whole seconds without a point.
fn seconds(time: Duration) -> String {
    match time.subsec_nanos() {
        0 => time.as_secs().to_string(),
        _ => time.as_secs_f64().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Sources, load};
    use crate::fail2ban::{JailSpec, desk};
    use crate::python::Value;

    #[test]
    fn a_jail_of_toml_by_fail2bans_commands() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.log");
        std::fs::write(&file, "").unwrap();
        std::fs::create_dir(dir.path().join("jails.d")).unwrap();
        let text = format!(
            "[jail.web]\nenabled = true\nlogs = ['{}']\nmax_retry = 4\nfind_time = '90s'\nban_time = 'forever'\n\
             ignore = ['192.0.2.0/24', 'x.example']\nfirewall = 'none'\n\
             [jail.web.ban_increment]\nmultipliers = [1, 5]\nmax_time = '1d'\n\
             [jail.web.filter]\npatterns = ['^bad <HOST>$']\n",
            file.display()
        );
        std::fs::write(dir.path().join("jails.d/web.toml"), text).unwrap();
        let config = load(&Sources { etc: dir.path().to_owned(), shipped: false, ..Sources::default() });
        let jail = config.jails.first().unwrap_or_else(|| panic!("{:?}", config.mistakes));
        let spec = JailSpec::seen(jail);
        for (option, want) in [
            ("logpath", format!("['{}']", file.display())),
            ("maxretry", "4".to_owned()),
            ("findtime", "90".to_owned()),
            ("bantime", "-1".to_owned()),
            ("bantime.increment", "True".to_owned()),
            ("bantime.multipliers", "'1 5'".to_owned()),
            ("bantime.maxtime", "86400".to_owned()),
            ("ignoreip", "['192.0.2.0/24', 'x.example']".to_owned()),
            ("failregex", "['^bad <HOST>$']".to_owned()),
            ("usedns", "'no'".to_owned()),
            ("journalmatch", "[]".to_owned()),
            ("actions", "[]".to_owned()),
        ] {
            let got = desk::get(&spec, &[option.into()]).as_ref().map(Value::to_string).map_err(Clone::clone);
            assert_eq!(got, Ok(want), "{option}");
        }
    }
}
