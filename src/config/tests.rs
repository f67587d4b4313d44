//! Whole configurations, as an operator writes them.

mod layers;
mod mistakes;

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::firewall::{Block, Hook, Protocol, Ruleset};
use crate::ignore::SpareLogins;
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
        config.mistakes.iter().map(|mistake| mistake.to_string().replace(&own, "")).collect()
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
    let ignored: Vec<_> =
        jail.options.ignore.nets.iter().map(|(net, rule)| (net.to_string(), &**rule)).collect();
    assert_eq!(ignored, [("127.0.0.0/8".to_owned(), "127.0.0.0/8"), ("::1".to_owned(), "::1")]);
    assert!(jail.options.ignore.own && jail.options.enforced);
    assert_eq!(
        jail.logs,
        [LogPath { pattern: "/var/log/web.log".to_owned(), start: Start::FindTime, format: Format::Plain }]
    );
    assert_eq!(jail.firewall, FirewallKind::Nftables);
    let ruleset = Ruleset {
        ports: vec![],
        protocols: vec![Protocol::Tcp],
        block: Block::Drop,
        hooks: vec![Hook::Input],
        priority: -1,
    };
    assert_eq!(jail.rules.own(), Some(&ruleset));
    assert_eq!(jail.cut, Some(std::sync::Arc::new(Scope::of(&jail.rules))));
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
cut = true
firewall = "none"
ignore = ["192.0.2.7", "2001:db8::/32", "file:/etc/stockade/friends"]
ignore_own = false
spare_logins = ["root", "anna"]
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
            LogPath {
                pattern: "/var/log/web/*.log".to_owned(),
                start: Start::Beginning,
                format: Format::Plain
            },
            LogPath { pattern: "/var/log/new.log".to_owned(), start: Start::End, format: Format::Plain },
        ]
    );
    let tracker = &options.tracker;
    assert_eq!((tracker.max_retry, tracker.find_time.as_secs()), (0, 90));
    assert_eq!((tracker.max_tracked, tracker.max_matches), (5, 0));
    assert_eq!(options.ban_time, Sentence(None));
    assert_eq!(options.ignore.nets.len(), 2);
    assert_eq!(jail.ignore_files, [Path::new("/etc/stockade/friends")]);
    assert!(!options.ignore.own && !options.enforced);
    assert_eq!(options.ignore.logins, SpareLogins::Users(vec!["root".into(), "anna".into()]));
    assert_eq!(jail.firewall, FirewallKind::None);
    let ruleset = Ruleset {
        ports: vec![(22, 22), (443, 443), (8000, 8200)],
        protocols: vec![Protocol::Udp],
        block: Block::Reject,
        hooks: vec![Hook::Forward, Hook::Prerouting],
        priority: -150,
    };
    assert_eq!(jail.rules.own(), Some(&ruleset));
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
store_matches = 3
counters = "forget"
stop_timeout = "10s"
heal = "structure"
logins = ["/run/sessions"]
interfaces = ["eth0"]
sandbox = "capabilities"
socket_group = "adm"
fail2ban = "/"
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
        store_matches: 3,
        keep_counters: false,
        stop_timeout: Duration::from_secs(10),
        heal: crate::firewall::heal::Heal::Structure,
        logins: vec!["/run/sessions".into()],
        interfaces: vec!["eth0".to_owned()],
        sandbox: crate::sandbox::Mode::Capabilities,
        socket_group: Some("adm".to_owned()),
        fail2ban: Some("/".into()),
    };
    assert_eq!(config.daemon, want);
    let env = vec![("NETWORK_INTERFACE".to_owned(), " tap0,eth0 ".to_owned())];
    let sources = Sources { etc: etc.0.path().into(), env, ..Sources::default() };
    assert_eq!(load(&sources).daemon.interfaces, ["eth0", "tap0"], "the environment names more");
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
fn every_shipped_jail_is_off_and_right() {
    let sources =
        Sources { etc: "/nonexistent".into(), services: "/nonexistent".into(), ..Sources::default() };
    let off = load(&sources);
    assert_eq!(off.mistakes, []);
    assert!(off.jails.is_empty());
    assert_eq!(off.disabled.len(), files::SHIPPED.len());

    let mut flags = pairs(&[("daemon.log_target", "/var/log/stockade.log")]);
    flags.extend(off.disabled.iter().map(|(jail, _)| (format!("jail.{jail}.enabled"), "true".to_owned())));
    let on = load(&Sources { flags, ..sources });
    assert_eq!(on.mistakes, []);
    assert_eq!(on.jails.len(), files::SHIPPED.len());
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
        "store_matches",
        "counters",
        "stop_timeout",
        "heal",
        "logins",
        "interfaces",
    ];
    let filter = ["prefix", "patterns", "define", "groups", "modes"];
    for key in daemon.iter().chain(jail::KEYS).chain(&filter) {
        // `ignore` is a key of the jail and of its filter, `counters` of the daemon and of a jail.
        let times = if matches!(*key, "ignore" | "counters") { 2 } else { 1 };
        assert_eq!(REFERENCE.matches(&format!("\n| `{key}` |")).count(), times, "{key}");
    }
}

#[test]
fn the_examples_of_the_reference_are_right() {
    let examples: Vec<&str> =
        REFERENCE.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(examples.len(), 7);
    for example in examples {
        let etc = Etc::new(&[("stockade.toml", example)]);
        let config = load(&Sources { shipped: true, ..etc.sources() });
        assert_eq!(etc.mistakes(&config), [""; 0], "{example}");
    }
}

#[test]
fn actions_of_the_operators_own() {
    let text = r#"
[jail.web]
enabled = true
logs = []
firewall = "none"
[[jail.web.actions]]
name = "cdn"
start = "a"
stop = "b"
check = "c"
flush = "d"
ban = "block <ip>"
unban = "allow <ip>"
timeout = "2m"
[[jail.web.actions]]
name = "mail"
ban = "mail"
restored = false
"#;
    let etc = Etc::new(&[("stockade.toml", text)]);
    let config = etc.load();
    assert_eq!(etc.mistakes(&config), [""; 0]);
    let [cdn, mail] = &config.jails[0].actions[..] else { panic!("{:?}", config.jails[0].actions) };
    let options = |action: &crate::action::Definition| {
        action.options.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        options(cdn),
        "actionstart=a actionstop=b actioncheck=c actionflush=d actionban=block <ip> actionunban=allow <ip> timeout=120"
    );
    assert_eq!(options(mail), "actionban=mail norestored=true");
    assert_eq!((&*cdn.file, cdn.enforces(), mail.enforces()), ("cdn", true, false));
    assert_eq!(config.jails[0].enforcement(), "action cdn");
    let mut none = config.jails[0].clone();
    none.rules = crate::firewall::Rules::Spelled(Vec::new().into());
    assert_eq!(none.enforcement(), "action cdn", "an empty list of native actions is none");
    none.actions.clear();
    assert_eq!(none.enforcement(), "notify only");
}

#[test]
fn mistakes_in_actions() {
    for (text, want) in [
        ("ban = \"x\"", "stockade.toml:3: jail.web.actions[0]: an action needs a name and a command `ban`"),
        ("name = \"x\"", "stockade.toml:3: jail.web.actions[0]: the action \"x\" has no command `ban`"),
        (
            "name = \"x\"\nbann = \"y\"\nban=\"z\"",
            "stockade.toml:5: jail.web.actions[0].bann: unknown key: did you mean ban?",
        ),
        (
            "name = \"x/y\"\nban=\"z\"",
            "stockade.toml:4: jail.web.actions[0].name: a name is made of A-Z, a-z, 0-9, _, . and -, 64 at most",
        ),
        (
            "name = \"x\"\nban=\"z\"\ntimeout=\"2h\"",
            "stockade.toml:6: jail.web.actions[0].timeout: is too long: the most is 1h",
        ),
    ] {
        let etc =
            Etc::new(&[("stockade.toml", &format!("[jail.web]\nlogs = []\n[[jail.web.actions]]\n{text}\n"))]);
        let mistakes = etc.mistakes(&etc.load());
        assert!(mistakes.iter().any(|mistake| mistake == want), "{text}: {mistakes:?}");
    }
}
