//! What is told of bad input, and what it costs.

use super::super::*;
use super::{Etc, WEB, names, pairs, refused};

/// Each mistake in a jail of its own, beside one that is right: the exact line, and that only that jail is refused.
#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
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
            "firewall = 'iptables'\nblock = 'reject'\nhooks = ['prerouting']",
            filter,
            "4: jail.bad.firewall: iptables cannot reject before routing: use block = \"drop\", or leave prerouting out of hooks",
        ),
        (
            "firewall = 'pf'",
            filter,
            "4: jail.bad.firewall: found \"pf\", expected nftables, iptables, hosts-deny, memory or none",
        ),
        (
            "ignore = ['127.0.0.1',\n  '192.0.2.300']",
            filter,
            "5: jail.bad.ignore[1]: `192.0.2.300` is neither an IP address nor a prefix such as 192.0.2.0/24",
        ),
        (
            "ignore_command = ' '",
            filter,
            "4: jail.bad.ignore_command: is empty: leave it away, and no command is asked",
        ),
        (
            "ignore_cache = { max_time = '5m' }",
            filter,
            "4: jail.bad.ignore_cache: has no key: say what makes two failures alike, such as key = \"<ip>\"",
        ),
        (
            "ban_increment = { formula = 'ban.Time * ban.Foo' }",
            filter,
            "4: jail.bad.ban_increment.formula: `ban.Foo` is not known: a formula knows ban.Time, ban.Count, banFactor, numbers, min, max, abs, pow, int, float, round and math.*",
        ),
        (
            "ban_increment = { factor = 'banFactor' }",
            filter,
            "4: jail.bad.ban_increment.factor: `banFactor` is not known here: it is a number before any ban",
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
        (
            "",
            "[jail.bad.filter]\npatterns = ['^<HOST>$',\n'^nobody$']",
            "7: jail.bad.filter.patterns[1]: has no <HOST>",
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

/// Patterns of several layers, chosen by a mode: each mistake is told where its pattern was written.
#[test]
fn a_wrong_pattern_is_told_where_it_was_written() {
    let base = "\
[jail.bad]
enabled = true
logs = ['/b.log']
mode = 'hard'
[jail.bad.filter]
prefix = '^(<F-CONTENT>.+</F-CONTENT>$'
patterns = ['^fine <HOST>$']
ignore = ['(']
define.loop = '<loop>'
groups.soft = ['^(']
groups.hard = ['^<loop> <HOST>$']
modes.hard = ['more', 'hard']
modes.soft = ['soft']
";
    let more =
        "[jail.bad.filter.groups]\n# not the first line\nmore = [\n  '^ok <HOST>$',\n  '[z-a] <HOST>',\n]\n";
    let etc = Etc::new(&[("jails.d/10.toml", base), ("jails.d/20.toml", more), ("jails.d/web.toml", WEB)]);
    let config = etc.load();
    let got = etc.mistakes(&config);
    let want = [
        "jails.d/10.toml:6: jail.bad.filter.prefix: does not compile: ",
        "jails.d/10.toml:8: jail.bad.filter.ignore[0]: does not compile: ",
        "jails.d/20.toml:5: jail.bad.filter.groups.more[1]: does not compile: ",
    ];
    for want in want {
        assert!(got.iter().any(|got| got.starts_with(want)), "{want}: {got:#?}");
    }
    let cycle = "jails.d/10.toml:11: jail.bad.filter.groups.hard[0]: uses <loop>, which contains itself";
    assert!(got.iter().any(|got| got == cycle), "{got:#?}");
    assert_eq!(got.len(), 4, "{got:#?}");
    // The group of the other mode is off, so nobody compiles it.
    assert!(got.iter().all(|got| !got.contains("soft")), "{got:#?}");
    assert_eq!(names(&config), ["web"]);
}

#[test]
fn logs_are_checked() {
    for (logs, want) in [
        ("'/x'", "2: jail.bad.logs: found string \"/x\", expected a list such as [\"/x\"]"),
        ("['x.log']", "2: jail.bad.logs[0]: \"x.log\" is no absolute path: begin it with /"),
        ("[\"/x\\u0000y\"]", "2: jail.bad.logs[0]: a path holds no NUL"),
        ("['/x[']", "2: jail.bad.logs[0]: \"/x[\" is no glob: invalid range pattern"),
        (
            "['/ok',\n{ paht = '/x' }]",
            "3: jail.bad.logs[1]: unknown key \"paht\": known are path, start and format",
        ),
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
    let worse = "[jail.worse]\nenabled = 'yes'\nblock = 'x'\nlogs = []\n";
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
    let off = LogPath { pattern: "/o.log".to_owned(), start: Start::FindTime, format: Format::Plain };
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
fn the_journal_is_checked() {
    for (keys, want) in [
        (
            "journal = 'sshd'",
            "2: jail.bad.journal[0]: \"sshd\" is no match: write FIELD=value, with + between alternatives",
        ),
        ("journal = [\"'_COMM=x\"]", "2: jail.bad.journal[0]: \"'_COMM=x\" has a quote that is not closed"),
        (
            "journal = ['_COMM=x']\njournal_path = 'x'",
            "3: jail.bad.journal_path: \"x\" is no absolute path: begin it with /",
        ),
        (
            "journal = ['_COMM=x']\nprefer = 'files'",
            "3: jail.bad.prefer: found \"files\", expected journal or logs",
        ),
        (
            "logs = ['/x']\njournal_path = '/x'",
            "3: jail.bad.journal_path: says more about a journal that is not read: `journal = [\"FIELD=value\"]` is missing",
        ),
        (
            "journalmatch = '_COMM=x'\njournal = ['_COMM=x']",
            "2: jail.bad.journalmatch: unknown key: did you mean journal?",
        ),
        (
            "logs = [{ path = '/x', format = 'json' }]",
            "2: jail.bad.logs[0]: found \"json\", expected plain or docker",
        ),
    ] {
        let text = format!("[jail.bad]\n{keys}\nenabled = true\nfilter.patterns = ['^<HOST>$']\n");
        let etc = Etc::new(&[("stockade.toml", &text)]);
        assert_eq!(etc.mistakes(&etc.load()), [format!("stockade.toml:{want}")], "{keys}");
    }
    let text = "[jail.good]\nenabled = true\njournal = ['_COMM=a + _COMM=b', '_UID=0']\nstart = 'end'\nprefer = 'logs'\n\
                logs = ['/x-json.log', { path = '/y-json.log', format = 'plain' }]\njournal_files = ['/j/*.journal']\n\
                journal_namespace = '+web'\nfilter.patterns = ['^<HOST>$']\n";
    let config = Etc::new(&[("stockade.toml", text)]).load();
    let jail = &config.jails[0];
    let formats: Vec<_> = jail.logs.iter().map(|log| log.format).collect();
    assert_eq!(formats, [Format::Docker, Format::Plain]);
    let lines = ["_COMM=a + _COMM=b".to_owned(), "_UID=0".to_owned()];
    let expected = JournalOptions {
        matches: crate::source::journal::Matches::parse(&lines).unwrap(),
        files: vec!["/j/*.journal".to_owned()],
        namespace: Some("+web".to_owned()),
        start: Start::End,
        instead_of_files: true,
        ..JournalOptions::default()
    };
    assert_eq!(jail.journal, Some(expected));
}
