//! Files, environment and flags over one another; files that cannot be read; reloads.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::super::*;
use super::{Etc, WEB, names, pairs, refused};
use crate::firewall::{Block, Hook};
use crate::ignore::SpareLogins;
use crate::sentence::Sentence;

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
    assert_eq!(jail.rules.own().unwrap().ports, [(3, 3)], "lists replace");
    assert_eq!(jail.options.tracker.find_time.as_secs(), 2, "extra file");
    assert_eq!(jail.rules.own().unwrap().priority, 2, "environment");
    assert_eq!(jail.rules.own().unwrap().block, Block::Drop, "flag");
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
    assert_eq!(options.ignore.nets, []);
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

/// Whether a jail is as it should be.
type Right = fn(&JailConfig) -> bool;

#[test]
fn words_of_a_shell_are_typed_by_their_key() {
    let cases: &[(&str, &str, Right)] = &[
        ("max_retry", "3", |jail| jail.options.tracker.max_retry == 3),
        ("ban_time", "90", |jail| jail.options.ban_time.0 == Some(Duration::from_secs(90))),
        ("ban_time", "forever", |jail| jail.options.ban_time.0.is_none()),
        ("ban_time", "\"2w\"", |jail| jail.options.ban_time.0 == Some(Duration::from_secs(1_209_600))),
        ("ignore_own", "false", |jail| !jail.options.ignore.own),
        ("spare_logins", "false", |jail| jail.options.ignore.logins == SpareLogins::Nobody),
        ("spare_logins", "true", |jail| jail.options.ignore.logins == SpareLogins::Everybody),
        ("spare_logins", "root, anna", |jail| {
            jail.options.ignore.logins == SpareLogins::Users(vec!["root".into(), "anna".into()])
        }),
        ("description", "5", |jail| jail.description == "5"),
        ("ports", "22, 80-90", |jail| jail.rules.own().unwrap().ports == [(22, 22), (80, 90)]),
        ("ports", "[22, \"80-90\"]", |jail| jail.rules.own().unwrap().ports == [(22, 22), (80, 90)]),
        ("ports", "", |jail| jail.rules.own().unwrap().ports.is_empty()),
        ("hooks", "input,forward", |jail| jail.rules.own().unwrap().hooks == [Hook::Input, Hook::Forward]),
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
