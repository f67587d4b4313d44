//! What streams make.

use serde_json::json;

use super::{command, raised};
use crate::fail2ban::JailSpec;
use crate::fail2ban::desk::{ServerOrder, backend, draft, get};

fn known(name: &str) -> Option<JailSpec> {
    (name == "runs").then(|| JailSpec::new("runs", backend("auto").unwrap()))
}

#[test]
fn a_mistake_costs_its_jail_alone() {
    let stream = json!([
        ["set", "loglevel", "INFO"],
        ["config-error", "Jail 'c' skipped"],
        ["add", "a", "polling"],
        ["set", "a", "maxretry", "x"],
        ["set", "a", "bantime", "1h"],
        ["add", "b", "auto"],
        ["multi-set", "b", "addfailregex", ["^a <HOST>$", "^b <ADDR>$"]],
        ["set", "b", "addaction", "notify"],
        ["multi-set", "b", "action", "notify", [["actionban", "true"], ["timeout", "5m"]]],
        ["set", "d", "bantime", "5"],
        ["set", "runs", "maxretry", "9"],
        ["nonsense"],
        ["get", "b", "bantime"],
        ["start", "a"],
        ["start", "b"],
    ]);
    let stream = stream.as_array().unwrap().iter().map(command).collect();
    let drafted = draft(stream, &known);
    let names: Vec<&str> = drafted.jails.iter().map(|jail| &*jail.name).collect();
    assert_eq!(names, ["b", "runs"]);
    assert_eq!(drafted.server, [ServerOrder::Set("loglevel".to_owned(), "INFO".into())]);
    assert_eq!(drafted.complaints, ["Jail 'c' skipped"]);
    assert!(drafted.started.contains("b") && !drafted.started.contains("runs"));
    let wrong: Vec<(Option<&str>, String)> =
        drafted.wrong.iter().map(|(jail, why)| (jail.as_deref(), raised(why))).collect();
    assert_eq!(
        wrong,
        [
            (None, "Exception('Invalid command')".to_owned()),
            (Some("a"), r#"ValueError("invalid literal for int() with base 10: 'x'")"#.to_owned()),
            (Some("d"), "exceptions.UnknownJailException('d')".to_owned()),
        ]
    );
    for (jail, words, want) in [
        (0, json!(["action", "notify", "timeout"]), "300"),
        (0, json!(["maxretry"]), "3"),
        (1, json!(["maxretry"]), "9"),
    ] {
        let got = get(&drafted.jails[jail], &command(&words)).map(|value| value.to_string());
        assert_eq!(got, Ok(want.to_owned()), "{words}");
    }
}

#[test]
fn a_jail_that_is_only_started_is_as_it_was() {
    let stream = json!([["start", "runs"], ["start", "new"]]);
    let drafted = draft(stream.as_array().unwrap().iter().map(command).collect(), &known);
    assert_eq!((drafted.jails.len(), drafted.wrong.len()), (1, 1));
}
