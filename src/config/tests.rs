//! Whole configurations, as an operator writes them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;
use crate::firewall::{Block, Hook, Protocol};
use crate::sentence::Sentence;

/// A folder as `/etc/stockade`; messages have its name taken out.
struct Etc(tempfile::TempDir);

impl Etc {
    fn new(files: &[(&str, &str)]) -> Self {
        let etc = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            etc.write(name, text);
        }
        etc
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn sources(&self) -> Sources {
        Sources {
            shipped: false,
            etc: self.0.path().to_owned(),
            services: "/nonexistent".into(),
            ..Sources::default()
        }
    }

    fn load(&self) -> Config {
        load(&self.sources())
    }

    fn mistakes(&self, config: &Config) -> Vec<String> {
        let own = format!("{}/", self.0.path().display());
        explain(config).lines().map(|line| line.replace(&own, "")).collect()
    }
}

const WEB: &str = "\
[jail.web]
enabled = true
logs = ['/var/log/web.log']
filter.patterns = ['^<HOST> denied$']
";

fn names(config: &Config) -> Vec<&str> {
    config.jails.iter().map(|jail| &*jail.options.name).collect()
}

fn refused(config: &Config) -> Vec<&str> {
    config.refused.jails.iter().map(|name| &**name).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[test]
fn a_jail_has_the_documented_defaults() {
    let etc = Etc::new(&[("jails.d/web.toml", WEB)]);
    let config = etc.load();
    assert_eq!(etc.mistakes(&config), [""; 0]);
    assert_eq!(config.daemon, Daemon::default());
    assert_eq!(config.refused, Refused::default());
    let jail = &config.jails[0];
    let week = Duration::from_secs(604_800);
    assert_eq!(jail.options.tracker.max_retry, 6);
    assert_eq!(jail.options.tracker.find_time, week);
    assert_eq!(jail.options.tracker.max_matches, 6);
    assert_eq!(jail.options.tracker.max_tracked, 100_000);
    assert_eq!(jail.options.ban_time, Sentence(Some(week)));
    let ignored: Vec<_> = jail.options.ignore.iter().map(|(net, rule)| (net.to_string(), &**rule)).collect();
    assert_eq!(ignored, [("127.0.0.0/8".to_owned(), "127.0.0.0/8"), ("::1".to_owned(), "::1")]);
    assert!(jail.options.ignore_own && jail.options.enforced);
    assert_eq!(jail.logs, [LogPath { pattern: "/var/log/web.log".to_owned(), start: Start::FindTime }]);
    assert_eq!(jail.firewall, FirewallKind::Nftables);
    let ruleset = Ruleset {
        ports: vec![],
        protocols: vec![Protocol::Tcp],
        block: Block::Drop,
        hooks: vec![Hook::Input],
        priority: -1,
    };
    assert_eq!(jail.ruleset, ruleset);
    assert_eq!(jail.sources, [etc.0.path().join("jails.d/web.toml")]);
}

#[test]
fn every_key_of_a_jail_is_read() {
    let text = r#"
[jail.web]
enabled = true
description = "the web server"
logs = ["/var/log/web/*.log", { path = "/var/log/new.log", start = "end" }]
start = "beginning"
mode = "hard"
max_retry = 0
find_time = 90
ban_time = "forever"
ports = [443, "8000-8100", "8050:8200", "ssh"]
protocol = "udp"
block = "reject"
hooks = ["prerouting", "forward", "forward"]
priority = -150
firewall = "none"
ignore = ["192.0.2.7", "2001:db8::/32", "file:/etc/stockade/friends"]
ignore_own = false
max_tracked = 5
max_matches = 0
[jail.web.filter]
prefix = '^web: <F-CONTENT>.+</F-CONTENT>$'
patterns = ['^always <HOST>$']
ignore = ['^never']
define = { user = '\S+' }
groups = { soft = ['^soft <HOST>$'], hard = ['^hard <HOST>$', '^stone <HOST>$'] }
modes = { soft = ["soft"], hard = ["hard", "soft"] }
"#;
    let etc = Etc::new(&[("stockade.toml", text)]);
    let config = etc.load();
    assert_eq!(etc.mistakes(&config), [""; 0]);
    let jail = &config.jails[0];
    let options = &jail.options;
    assert_eq!(jail.description, "the web server");
    assert_eq!(
        jail.logs,
        [
            LogPath { pattern: "/var/log/web/*.log".to_owned(), start: Start::Beginning },
            LogPath { pattern: "/var/log/new.log".to_owned(), start: Start::End },
        ]
    );
    let tracker = &options.tracker;
    assert_eq!((tracker.max_retry, tracker.find_time.as_secs()), (0, 90));
    assert_eq!((tracker.max_tracked, tracker.max_matches), (5, 0));
    assert_eq!(options.ban_time, Sentence(None));
    assert_eq!(options.ignore.len(), 2);
    assert_eq!(jail.ignore_files, [Path::new("/etc/stockade/friends")]);
    assert!(!options.ignore_own && !options.enforced);
    assert_eq!(jail.firewall, FirewallKind::None);
    let ruleset = Ruleset {
        ports: vec![(22, 22), (443, 443), (8000, 8200)],
        protocols: vec![Protocol::Udp],
        block: Block::Reject,
        hooks: vec![Hook::Forward, Hook::Prerouting],
        priority: -150,
    };
    assert_eq!(jail.ruleset, ruleset);
    let filter = options.filter.as_ref().unwrap();
    assert_eq!(filter.prefix.as_deref(), Some("^web: <F-CONTENT>.+</F-CONTENT>$"));
    assert_eq!(filter.patterns, ["^always <HOST>$", "^hard <HOST>$", "^stone <HOST>$", "^soft <HOST>$"]);
    assert_eq!(filter.ignore, ["^never"]);
    assert_eq!(filter.define, [("user".to_owned(), r"\S+".to_owned())]);
}

#[test]
fn every_key_of_the_daemon_is_read() {
    let text = r#"
[daemon]
socket = "/tmp/s"
pid_file = "/tmp/p"
store = "none"
log_level = "debug"
log_target = "/var/log/stockade.log"
log_format = "json"
watch = true
purge_age = "1y"
counters = "forget"
interfaces = ["eth0"]
"#;
    let etc = Etc::new(&[("stockade.toml", text)]);
    let config = etc.load();
    assert_eq!(etc.mistakes(&config), [""; 0]);
    let want = Daemon {
        socket: "/tmp/s".into(),
        pid_file: "/tmp/p".into(),
        store: None,
        log_level: "DEBUG".to_owned(),
        log_target: "/var/log/stockade.log".to_owned(),
        log_format: LogFormat::Json,
        watch: true,
        purge_age: Duration::from_secs(31_557_600),
        keep_counters: false,
        interfaces: vec!["eth0".to_owned()],
    };
    assert_eq!(config.daemon, want);
}

/// Each mistake in a jail of its own, beside one that is right: the exact line, and that only that jail is refused.
#[test]
fn a_mistake_names_file_line_and_key_and_costs_its_jail_alone() {
    let base = "[jail.bad]\nenabled = true\nlogs = ['/b.log']\n";
    let filter = "[jail.bad.filter]\npatterns = ['^<HOST>$']\n";
    for (keys, table, want) in [
        ("max_retry = \"five\"", filter, "4: jail.bad.max_retry: found string \"five\", expected a number"),
        ("max_retry = 1.5", filter, "4: jail.bad.max_retry: found number 1.5, expected a whole number"),
        ("max_retry = -1", filter, "4: jail.bad.max_retry: -1 is too small: the least is 0"),
        ("max_retry = true", filter, "4: jail.bad.max_retry: found boolean true, expected a number"),
        (
            "max_retry = 99999999999999999999",
            filter,
            "4: jail.bad.max_retry: 99999999999999999999 is too large: the most is 1000000",
        ),
        ("max_tracked = 0", filter, "4: jail.bad.max_tracked: 0 is too small: the least is 1"),
        ("maxretry = 3", filter, "4: jail.bad.maxretry: unknown key: did you mean max_retry?"),
        ("logpath = '/x'", filter, "4: jail.bad.logpath: unknown key: did you mean logs?"),
        ("failregex = 'x'", filter, "4: jail.bad.failregex: unknown key: did you mean filter.patterns?"),
        ("enabel = true", filter, "4: jail.bad.enabel: unknown key: did you mean enabled?"),
        (
            "find_time = '10 q'",
            filter,
            "4: jail.bad.find_time: `q` is not a number with a unit (s, m, h, d, w, mo, y)",
        ),
        ("find_time = 0", filter, "4: jail.bad.find_time: must be longer than nothing"),
        (
            "find_time = ['1w']",
            filter,
            "4: jail.bad.find_time: found a list, expected a span such as \"10m\" or a number of seconds",
        ),
        ("ban_time = -1", filter, "4: jail.bad.ban_time: found -1: a ban without end is written \"forever\""),
        ("start = 'now'", filter, "4: jail.bad.start: found \"now\", expected find-time, beginning or end"),
        ("mode = 'hard'", filter, "4: jail.bad.mode: unknown mode \"hard\": this filter has no modes"),
        ("block = 'refuse'", filter, "4: jail.bad.block: found \"refuse\", expected drop or reject"),
        ("protocol = 'icmp'", filter, "4: jail.bad.protocol[0]: found \"icmp\", expected tcp or udp"),
        (
            "hooks = [\n'input',\n'output']",
            filter,
            "6: jail.bad.hooks[1]: found \"output\", expected input, forward or prerouting",
        ),
        (
            "hooks = []",
            filter,
            "4: jail.bad.hooks: is empty: say where packets are looked at, such as [\"input\"]",
        ),
        (
            "ports = 'ssh'",
            filter,
            "4: jail.bad.ports: found string \"ssh\", expected a list such as [\"ssh\"]",
        ),
        ("ports = 22", filter, "4: jail.bad.ports: found number 22, expected a list such as [22]"),
        ("ports = ['']", filter, "4: jail.bad.ports[0]: \"\" names no port"),
        (
            "priority = 3000000000",
            filter,
            "4: jail.bad.priority: 3000000000 is too large: the most is 2147483647",
        ),
        (
            "firewall = 'iptables'",
            filter,
            "4: jail.bad.firewall: iptables is not built into this version yet: use nftables",
        ),
        (
            "firewall = 'hosts-deny'",
            filter,
            "4: jail.bad.firewall: hosts-deny is not built into this version yet: use nftables",
        ),
        (
            "firewall = 'pf'",
            filter,
            "4: jail.bad.firewall: found \"pf\", expected nftables, iptables, hosts-deny, memory or none",
        ),
        (
            "ignore = ['127.0.0.1',\n  'friend.example']",
            filter,
            "5: jail.bad.ignore[1]: `friend.example` is neither an IP address nor a prefix such as 192.0.2.0/24",
        ),
        (
            "ignore = ['file:list']",
            filter,
            "4: jail.bad.ignore[0]: \"list\" is no absolute path: begin it with /",
        ),
        ("description = 5", filter, "4: jail.bad.description: found number 5, expected a string"),
        (
            "",
            "[jail.bad.filter]\npatterns = [\n'^<HOST>$',\n5]\n",
            "8: jail.bad.filter.patterns[1]: found number 5, expected a string",
        ),
        (
            "",
            "[jail.bad.filter]\npattern = ['^<HOST>$']\n",
            "6: jail.bad.filter.pattern: unknown key: did you mean patterns?",
        ),
        ("", "filter = 'sshd'\n", "5: jail.bad.filter: found string \"sshd\", expected a table"),
        ("", "", "1: jail.bad: has logs but no filter"),
        (
            "",
            "[jail.bad.filter.groups]\nsoft = ['^<HOST>$']\nhard = ['^<HOST> $']\n",
            "5: jail.bad.filter: has no mode \"normal\": set `mode` to hard or soft",
        ),
        (
            "mode = 'sofft'",
            "[jail.bad.filter.groups]\nsoft = ['^<HOST>$']\nhard = ['^<HOST> $']\n",
            "4: jail.bad.mode: unknown mode \"sofft\": use hard or soft",
        ),
        (
            "",
            "[jail.bad.filter]\ngroups.a = ['^<HOST>$']\nmodes.normal = ['a',\n'aa']",
            "8: jail.bad.filter.modes.normal[1]: unknown group \"aa\": did you mean a?",
        ),
        ("", "[jail.bad.filter]\nignore = ['x']", "5: jail.bad.filter: has no patterns in mode \"normal\""),
        (
            "",
            "[jail.bad.filter]\npatterns = ['^<HOST>$']\ndefine.Big = 'x'",
            "7: jail.bad.filter.define.Big: a fragment's name is made of a-z, 0-9, _ and -",
        ),
    ] {
        let etc =
            Etc::new(&[("jails.d/bad.toml", &format!("{base}{keys}\n{table}")), ("jails.d/web.toml", WEB)]);
        let config = etc.load();
        assert_eq!(etc.mistakes(&config), [format!("jails.d/bad.toml:{want}")], "{keys}\n{table}");
        assert_eq!(names(&config), ["web"], "{keys}\n{table}");
        assert_eq!(refused(&config), ["bad"], "{keys}\n{table}");
        assert!(!config.refused.everything, "{keys}\n{table}");
        assert_eq!(config.mistakes[0].jail.as_deref(), Some("bad"), "{keys}\n{table}");
    }
}

#[test]
fn logs_are_checked() {
    for (logs, want) in [
        ("'/x'", "2: jail.bad.logs: found string \"/x\", expected a list such as [\"/x\"]"),
        ("['x.log']", "2: jail.bad.logs[0]: \"x.log\" is no absolute path: begin it with /"),
        ("[\"/x\\u0000y\"]", "2: jail.bad.logs[0]: a path holds no NUL"),
        ("['/x[']", "2: jail.bad.logs[0]: \"/x[\" is no glob: invalid range pattern"),
        ("['/ok',\n{ paht = '/x' }]", "3: jail.bad.logs[1]: unknown key \"paht\": known are path and start"),
        ("[{ start = 'end' }]", "2: jail.bad.logs[0]: has no path"),
        (
            "[{ path = '/x', start = 'never' }]",
            "2: jail.bad.logs[0]: found \"never\", expected find-time, beginning or end",
        ),
        ("[7]", "2: jail.bad.logs[0]: found number 7, expected a path or { path = \"…\", start = \"…\" }"),
        ("[]", "1: jail.bad: has a filter but no logs: name the files to read"),
    ] {
        let text = format!("[jail.bad]\nlogs = {logs}\nenabled = true\nfilter.patterns = ['^<HOST>$']\n");
        let etc = Etc::new(&[("stockade.toml", &text)]);
        assert_eq!(etc.mistakes(&etc.load()), [format!("stockade.toml:{want}")], "{logs}");
    }
}

#[test]
fn all_mistakes_are_listed_at_once_and_in_order() {
    let bad = "[jail.bad]\nenabled = true\nmax_retry = 'x'\nports = ['22', 'nosuch', '9-1']\ncolour = 1\n\
               logs = ['/b.log']\nfilter.patterns = ['^<HOST>$']\n";
    let worse = "[jail.worse]\nenabled = 'yes'\nblock = 'x'\n";
    let etc = Etc::new(&[
        ("jails.d/20-bad.toml", bad),
        ("jails.d/10-worse.toml", worse),
        ("jails.d/web.toml", WEB),
        ("stockade.toml", "[daemon]\nwatch = 1\nlog_level = 'loud'\n[jails.x]\nenabled = true\n"),
    ]);
    let config = etc.load();
    let got = etc.mistakes(&config);
    let want = [
        "stockade.toml:2: daemon.watch: found number 1, expected true or false",
        "stockade.toml:3: daemon.log_level: found \"loud\", expected CRITICAL, ERROR, WARNING, NOTICE, INFO, DEBUG or TRACE",
        "stockade.toml:4: jails: unknown table: did you mean jail?",
        "jails.d/10-worse.toml:2: jail.worse.enabled: found string \"yes\", expected true or false",
        "jails.d/10-worse.toml:3: jail.worse.block: found \"x\", expected drop or reject",
        "jails.d/20-bad.toml:3: jail.bad.max_retry: found string \"x\", expected a number",
        "jails.d/20-bad.toml:4: jail.bad.ports[1]: `nosuch` is neither a port, a range such as 1000:2000, nor a known service",
        "jails.d/20-bad.toml:4: jail.bad.ports[2]: the range `9-1` ends before it begins",
        "jails.d/20-bad.toml:5: jail.bad.colour: unknown key: known are ",
    ];
    assert_eq!(got.len(), want.len(), "{got:#?}");
    for (got, want) in got.iter().zip(want) {
        assert!(got == want || want.ends_with(' ') && got.starts_with(want), "{got}\n{want}");
    }
    assert_eq!(names(&config), ["web"]);
    assert!(config.refused.daemon && !config.refused.everything);
    // "yes" is no "off": a running one must go on.
    assert_eq!(refused(&config), ["bad", "worse"]);
}

#[test]
fn a_drop_in_that_is_no_toml_costs_itself() {
    let fork = "[jail.web]\nmax_retry = 1 1\n";
    let etc = Etc::new(&[("jails.d/web.toml", WEB), ("jails.d/zz.toml", fork)]);
    etc.write(
        "jails.d/gone.toml",
        "[jail.gone]\nenabled = true\nlogs = ['/x'\n\n[jail.lost]\nenabled = tru\n",
    );
    etc.write("jails.d/latin.toml", b"# caf\xc3\xa9\n# caf\xe9\n[jail.latin]\n");
    etc.write("jails.d/.web.toml.swp.toml", "not toml");
    etc.write("jails.d/README", "not toml");
    let config = etc.load();
    let got = etc.mistakes(&config);
    for (want, cost) in [
        ("jails.d/gone.toml:5: ", "; this file is not used: jail gone is absent, jail lost is absent"),
        ("jails.d/gone.toml:6: ", "; this file is not used: jail gone is absent, jail lost is absent"),
        ("jails.d/latin.toml:2: is no text in UTF-8", "; this file is not used: jail latin is absent"),
        ("jails.d/zz.toml:2: ", "; this file is not used: jail web does without it"),
    ] {
        assert!(got.iter().any(|got| got.starts_with(want) && got.ends_with(cost)), "{want}{cost}: {got:#?}");
    }
    assert_eq!(got.len(), 4, "{got:#?}");
    assert_eq!(names(&config), ["web"]);
    assert_eq!(config.jails[0].options.tracker.max_retry, 6);
    assert_eq!(refused(&config), ["gone", "latin", "lost", "web"]);
    assert!(!config.refused.everything);
}

#[test]
fn what_concerns_everything_stops_everything() {
    let etc = Etc::new(&[("jails.d/web.toml", WEB), ("stockade.toml", "[default]\nignore = ['192.0.2.1'\n")]);
    let config = etc.load();
    let got = etc.mistakes(&config);
    assert!(
        matches!(&*got, [one] if one.starts_with("stockade.toml:") && one.ends_with("; nothing starts without it")),
        "{got:#?}"
    );
    assert!(config.refused.everything && config.refused.daemon && config.jails.is_empty(), "{config:#?}");

    // A file where the folder should be: nothing can be listed, whoever asks.
    let etc = Etc::new(&[("jails.d", "")]);
    let config = etc.load();
    assert_eq!(
        etc.mistakes(&config),
        ["jails.d: cannot be read: Not a directory (os error 20); nothing starts without it"]
    );
    assert!(config.refused.everything);

    let etc = Etc::new(&[("jails.d/web.toml", WEB)]);
    let mut sources = etc.sources();
    sources.extra = vec![etc.0.path().join("missing.toml")];
    let config = load(&sources);
    assert_eq!(
        etc.mistakes(&config),
        ["missing.toml: cannot be read: No such file or directory (os error 2); nothing starts without it"]
    );
    assert!(config.refused.everything && config.jails.is_empty());
}

#[test]
fn no_folder_is_no_mistake() {
    let sources = Sources { shipped: false, etc: "/nonexistent/stockade".into(), ..Sources::default() };
    let config = load(&sources);
    assert_eq!(config.mistakes, []);
    assert!(!config.refused.everything);
}

#[test]
fn later_layers_win_key_by_key() {
    let etc = Etc::new(&[
        ("stockade.toml", "[jail.web]\nmax_retry = 1\nban_time = 10\nports = [1, 2]\n"),
        ("jails.d/10.toml", WEB),
        ("jails.d/20.toml", "[jail.web]\nmax_retry = 2\nports = [3]\nfind_time = 1\n"),
        ("more.toml", "[jail.web]\nfind_time = 2\npriority = 1\n"),
    ]);
    let mut sources = etc.sources();
    sources.extra = vec![etc.0.path().join("more.toml")];
    sources.env = pairs(&[("STOCKADE_JAIL__WEB__PRIORITY", "2"), ("STOCKADE_JAIL__WEB__BLOCK", "reject")]);
    sources.flags = pairs(&[("jail.web.block", "drop"), ("jail.web.max_matches", "3")]);
    let config = load(&sources);
    assert_eq!(etc.mistakes(&config), [""; 0]);
    let jail = &config.jails[0];
    assert_eq!(jail.options.tracker.max_retry, 2, "a later drop-in");
    assert_eq!(jail.options.ban_time, Sentence(Some(Duration::from_secs(10))), "kept from the first file");
    assert_eq!(jail.ruleset.ports, [(3, 3)], "lists replace");
    assert_eq!(jail.options.tracker.find_time.as_secs(), 2, "extra file");
    assert_eq!(jail.ruleset.priority, 2, "environment");
    assert_eq!(jail.ruleset.block, Block::Drop, "flag");
    assert_eq!(jail.options.tracker.max_matches, 3, "flag");
    let root = etc.0.path();
    let want: Vec<PathBuf> = ["stockade.toml", "jails.d/10.toml", "jails.d/20.toml", "more.toml"]
        .map(|name| root.join(name))
        .into();
    assert_eq!(jail.sources, want);
}

#[test]
fn the_default_section_yields_to_the_jail_in_any_layer() {
    let etc = Etc::new(&[
        ("stockade.toml", "[jail.web]\nmax_retry = 1\n"),
        ("jails.d/web.toml", WEB),
        ("jails.d/zz.toml", "[default]\nmax_retry = 9\nfind_time = '9s'\nignore = []\n"),
    ]);
    let config = etc.load();
    assert_eq!(etc.mistakes(&config), [""; 0]);
    let options = &config.jails[0].options;
    assert_eq!((options.tracker.max_retry, options.tracker.find_time.as_secs()), (1, 9));
    assert_eq!(options.ignore, []);
}

#[test]
fn a_mistake_in_the_default_section_is_said_once_and_costs_its_heirs() {
    let other = WEB.replace("jail.web", "jail.other") + "[jail.other]\n";
    let own = WEB.replace("jail.web", "jail.own").replace("enabled", "max_retry = 2\nenabled");
    let other = other.replace("[jail.other]\n", "").replace("enabled", "[jail.other]\nenabled");
    let default = |text: &str| {
        Etc::new(&[
            ("jails.d/web.toml", WEB),
            ("jails.d/other.toml", &other),
            ("jails.d/own.toml", &own),
            ("stockade.toml", text),
        ])
    };
    for (text, want, runs) in [
        ("max_retry = []", "2: default.max_retry: found a list, expected a number", &["own"][..]),
        ("maxretry = 3", "2: default.maxretry: unknown key: did you mean max_retry?", &[]),
        ("logs = ['/x']", "2: default.logs: belongs to one jail, as [jail.NAME]: it has no default", &[]),
        (
            "enabled = 1",
            "2: default.enabled: found number 1, expected true or false",
            &["other", "own", "web"],
        ),
    ] {
        let etc = default(&format!("[default]\n{text}\n"));
        let config = etc.load();
        assert_eq!(etc.mistakes(&config), [format!("stockade.toml:{want}")], "{text}");
        assert_eq!(names(&config), runs, "{text}");
        assert_eq!(refused(&config).len(), 3 - runs.len(), "{text}");
    }
}

#[test]
fn words_of_a_shell_are_typed_by_their_key() {
    let cases: &[(&str, &str, fn(&JailConfig) -> bool)] = &[
        ("max_retry", "3", |jail| jail.options.tracker.max_retry == 3),
        ("ban_time", "90", |jail| jail.options.ban_time.0 == Some(Duration::from_secs(90))),
        ("ban_time", "forever", |jail| jail.options.ban_time.0.is_none()),
        ("ban_time", "\"2w\"", |jail| jail.options.ban_time.0 == Some(Duration::from_secs(1_209_600))),
        ("ignore_own", "false", |jail| !jail.options.ignore_own),
        ("description", "5", |jail| jail.description == "5"),
        ("ports", "22, 80-90", |jail| jail.ruleset.ports == [(22, 22), (80, 90)]),
        ("ports", "[22, \"80-90\"]", |jail| jail.ruleset.ports == [(22, 22), (80, 90)]),
        ("ports", "", |jail| jail.ruleset.ports.is_empty()),
        ("hooks", "input,forward", |jail| jail.ruleset.hooks == [Hook::Input, Hook::Forward]),
        ("logs", "/a.log,/b.log", |jail| jail.logs.len() == 2),
        ("logs", "[{path='/a.log', start='end'}]", |jail| jail.logs[0].start == Start::End),
        ("filter.patterns", "^<HOST> a{1,2}$", |jail| {
            jail.options.filter.as_ref().unwrap().patterns == ["^<HOST> a{1,2}$"]
        }),
        ("filter.patterns", "['^<HOST>', '^x <HOST>']", |jail| {
            jail.options.filter.as_ref().unwrap().patterns.len() == 2
        }),
        ("filter", "{ignore = ['^x']}", |jail| jail.options.filter.as_ref().unwrap().ignore == ["^x"]),
    ];
    for (key, text, right) in cases {
        let etc = Etc::new(&[("jails.d/web.toml", WEB)]);
        let flag = Sources { flags: pairs(&[(&format!("jail.web.{key}"), text)]), ..etc.sources() };
        let name = format!("STOCKADE_JAIL__WEB__{}", key.to_ascii_uppercase().replace('.', "__"));
        let env = Sources { env: pairs(&[(&name, text)]), ..etc.sources() };
        for sources in [flag, env] {
            let config = load(&sources);
            assert_eq!(etc.mistakes(&config), [""; 0], "{key}={text}");
            assert!(right(&config.jails[0]), "{key}={text}: {config:#?}");
        }
    }
}

#[test]
fn mistakes_of_the_environment_and_of_flags() {
    let site = WEB.replace("jail.web", "jail.\"My-web.site\"");
    let etc = Etc::new(&[("jails.d/web.toml", WEB), ("jails.d/site.toml", &site)]);
    let mut sources = etc.sources();
    sources.env = pairs(&[
        ("STOCKADE_JAIL__MY_WEB_SITE__MAX_RETRY", "3"),
        ("STOCKADE_JAIL__WEB__MAX_RETRY", "five"),
        ("STOCKADE_JAILS__WEB__MODE", "x"),
        ("STOCKADE_PORT", "tcp://192.0.2.1:80"),
        ("STOCKADEX__Y", "1"),
        ("PATH", "/bin"),
    ]);
    sources.flags = pairs(&[("max_retry", "3"), ("a b", "3"), ("jail.web.ports", "nosuch,22")]);
    let config = load(&sources);
    assert_eq!(
        etc.mistakes(&config),
        [
            "STOCKADE_JAILS__WEB__MODE: jails: unknown table: did you mean jail?",
            "STOCKADE_JAIL__WEB__MAX_RETRY: jail.web.max_retry: found string \"five\", expected a number",
            "--set: max_retry: unknown key: max_retry belongs under [default] or [jail.NAME]",
            "--set: `a b` is no key: write --set jail.sshd.max_retry=3",
            "--set: jail.web.ports[0]: `nosuch` is neither a port, a range such as 1000:2000, nor a known service",
        ]
    );
    assert_eq!(names(&config), ["My-web.site"]);
    assert_eq!(config.jails[0].options.tracker.max_retry, 3);
}

#[test]
fn a_jail_that_is_off_is_checked_but_costs_nothing() {
    let off = "[jail.off]\nenabled = false\nlogs = ['/o.log']\nmaxretry = 1\n[jail.typo]\nenabld = true\n";
    let etc = Etc::new(&[("stockade.toml", off)]);
    let config = etc.load();
    assert_eq!(
        etc.mistakes(&config),
        [
            "stockade.toml:4: jail.off.maxretry: unknown key: did you mean max_retry?",
            "stockade.toml:6: jail.typo.enabld: unknown key: did you mean enabled?",
        ]
    );
    let off = LogPath { pattern: "/o.log".to_owned(), start: Start::FindTime };
    assert_eq!(config.disabled, [("off".into(), vec![off]), ("typo".into(), vec![])]);
    assert_eq!(refused(&config), [""; 0]);
}

#[test]
fn a_jail_that_reads_nothing_has_to_say_so() {
    let unknown = "unknown jail, with neither logs nor a filter";
    let by_hand = "(`logs = []` makes one of bans by hand)";
    for (name, more, want) in [
        ("manual", "logs = []", None),
        ("webb", "", Some(format!("jail.webb: {unknown}: did you mean web? {by_hand}"))),
        ("apache", "ports = [80]", Some(format!("jail.apache: {unknown}: known are web {by_hand}"))),
        (
            "\"a b\"",
            "",
            Some("jail.\"a b\": a jail's name is made of A-Z, a-z, 0-9, _, . and -, 64 at most".to_owned()),
        ),
    ] {
        let text = format!("[jail.{name}]\nenabled = true\n{more}\n");
        let etc = Etc::new(&[("stockade.toml", &text), ("jails.d/web.toml", WEB)]);
        let config = etc.load();
        let want: Vec<String> = want.into_iter().map(|want| format!("stockade.toml:1: {want}")).collect();
        assert_eq!(etc.mistakes(&config), want, "{name}");
        assert_eq!(config.jails.len(), 2 - want.len(), "{name}");
    }
}

#[test]
fn recidive_must_read_the_log_that_is_written() {
    let jail = WEB.replace("jail.web", "jail.recidive").replace("/var/log/web.log", "/var/log/stockade.log");
    for (target, format, want) in [
        (
            "STDOUT",
            "text",
            Some(
                "jails.d/r.toml:2: jail.recidive.enabled: it reads /var/log/stockade.log, but this program logs to \
                 STDOUT: set daemon.log_target = \"/var/log/stockade.log\"",
            ),
        ),
        ("/var/log/stockade.log", "text", None),
        (
            "/var/log/stockade.log",
            "json",
            Some(
                "jails.d/r.toml:2: jail.recidive.enabled: it reads the log as text: set daemon.log_format = \"text\"",
            ),
        ),
    ] {
        let etc = Etc::new(&[("jails.d/r.toml", &jail)]);
        let flags = pairs(&[("daemon.log_target", target), ("daemon.log_format", format)]);
        let sources = Sources { flags, ..etc.sources() };
        let config = load(&sources);
        assert_eq!(
            etc.mistakes(&config),
            want.map(str::to_owned).into_iter().collect::<Vec<_>>(),
            "{target}"
        );
        assert_eq!(names(&config), ["recidive"], "{target}");
    }
}

#[test]
fn what_fits_this_host() {
    let text = "[jail.ssh]\nlogs = ['/a.log', '/b.log']\n[jail.\"my.site\"]\nlogs = ['/c.log']\n[jail.x]\nlogs = ['/x']\n";
    let etc = Etc::new(&[("stockade.toml", text)]);
    let mut config = etc.load();
    config.etc = "/etc/stockade".into();
    let there = ["/b.log", "/c.log", "/etc/stockade/jails.d", "/etc/stockade/jails.d/ssh.toml"];
    let got = fitting(&config, |path| there.contains(&path));
    let want = [
        (
            "my.site",
            "/c.log",
            "printf '[jail.\"my.site\"]\\nenabled = true\\n' > /etc/stockade/jails.d/my.site.toml",
        ),
        ("ssh", "/b.log", "printf '[jail.ssh]\\nenabled = true\\n' > /etc/stockade/jails.d/ssh_.toml"),
    ];
    assert_eq!(got, want.map(|(jail, log, line)| (jail.into(), log.to_owned(), line.to_owned())));

    config.etc = "/my etc".into();
    let got = fitting(&config, |path| path == "/a.log");
    assert_eq!(
        got[0].2,
        "mkdir -p '/my etc/jails.d' && printf '[jail.ssh]\\nenabled = true\\n' > '/my etc/jails.d/ssh.toml'"
    );
}

#[test]
fn what_is_watched() {
    let etc = Etc::new(&[("jails.d/web.toml", WEB), ("jails.d/note.txt", "")]);
    let sources = Sources { extra: vec!["/x.toml".into()], ..etc.sources() };
    let root = etc.0.path();
    let want = [
        root.to_owned(),
        root.join("stockade.toml"),
        root.join("jails.d"),
        root.join("jails.d/web.toml"),
        "/x.toml".into(),
    ];
    assert_eq!(sources.watched(), want);
}

#[test]
fn a_reload_moves_what_differs() {
    let jail = |name: &str, more: &str| {
        WEB.replace("jail.web", &format!("jail.{name}")).replace("enabled", &format!("{more}\nenabled"))
    };
    let before = Etc::new(&[]);
    let files = ["same", "tuned", "gone", "off", "wrong", "fork"];
    for name in files {
        before.write(&format!("jails.d/{name}.toml"), jail(name, ""));
    }
    let running = before.load().jails;
    assert_eq!(running.len(), files.len());

    before.write("jails.d/same.toml", format!("# a comment\n{}", jail("same", "max_retry = 6")));
    before.write("jails.d/tuned.toml", jail("tuned", "max_retry = 3\nports = [22]\nignore = ['file:/x']"));
    fs::remove_file(before.0.path().join("jails.d/gone.toml")).unwrap();
    before.write("jails.d/off.toml", jail("off", "").replace("true", "false"));
    before.write("jails.d/wrong.toml", jail("wrong", "max_retry = 'x'"));
    before.write("jails.d/fork.toml", "half a line");
    before.write("jails.d/new.toml", jail("new", ""));
    before.write("jails.d/new-wrong.toml", jail("new-wrong", "max_retry = 'x'"));
    let new = before.load();
    let told = |steps: Vec<Step>| -> Vec<String> {
        let told = steps.into_iter().map(|step| match step {
            Step::Start(jail) => format!("start {}", jail.options.name),
            Step::Stop(jail) => format!("stop {jail}"),
            Step::Retune(jail, options) => format!("retune {}: {}", jail.options.name, options.join(" ")),
            Step::Keep(jail) => format!("keep {jail}"),
        });
        told.collect()
    };
    let want = [
        "keep fork",
        "stop gone",
        "start new",
        "stop off",
        "retune tuned: max_retry ignore ports",
        "keep wrong",
    ];
    assert_eq!(told(diff(&running, &new, None)), want);
    assert_eq!(told(diff(&running, &new, Some("tuned"))), [want[4]]);
    assert_eq!(told(diff(&running, &new, Some("same"))), [""; 0]);
    assert_eq!(told(diff(&running, &new, Some("nosuch"))), [""; 0]);

    // Nothing may move: not even what is gone.
    before.write("stockade.toml", "[default");
    let new = before.load();
    assert!(new.refused.everything);
    let steps = diff(&running, &new, None);
    assert!(steps.iter().all(|step| matches!(step, Step::Keep(_))), "{:?}", told(steps));
}

/// The names that hints use are those that are read.
#[test]
fn the_list_of_keys_is_complete() {
    let etc = Etc::new(&[("stockade.toml", "[jail.x]\ncolour = 1\n")]);
    let told = etc.mistakes(&etc.load()).remove(0);
    let mut told: Vec<&str> = told.split_once("known are ").unwrap().1.split(", ").collect();
    let mut keys = jail::KEYS.to_vec();
    told.sort_unstable();
    keys.sort_unstable();
    assert_eq!(told, keys);
}

#[test]
fn every_shipped_jail_is_right() {
    let sources = Sources {
        etc: "/nonexistent".into(),
        services: "/nonexistent".into(),
        flags: pairs(&[("default.enabled", "true"), ("daemon.log_target", "/var/log/stockade.log")]),
        ..Sources::default()
    };
    let config = load(&sources);
    assert_eq!(explain(&config), "");
    assert_eq!(config.jails.len(), files::SHIPPED.len());
}

const REFERENCE: &str = include_str!("../../docs/configuration.md");

#[test]
fn the_reference_has_every_key_once() {
    let daemon = [
        "socket",
        "pid_file",
        "store",
        "log_level",
        "log_target",
        "log_format",
        "watch",
        "purge_age",
        "counters",
        "interfaces",
    ];
    let filter = ["prefix", "patterns", "define", "groups", "modes"];
    for key in daemon.iter().chain(jail::KEYS).chain(&filter) {
        // `ignore` is a key of the jail and of its filter.
        let times = if *key == "ignore" { 2 } else { 1 };
        assert_eq!(REFERENCE.matches(&format!("\n| `{key}` |")).count(), times, "{key}");
    }
}

#[test]
fn the_examples_of_the_reference_are_right() {
    let examples: Vec<&str> =
        REFERENCE.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(examples.len(), 4);
    for example in examples {
        let etc = Etc::new(&[("stockade.toml", example)]);
        let config = load(&Sources { shipped: true, ..etc.sources() });
        assert_eq!(etc.mistakes(&config), [""; 0], "{example}");
    }
}
