//! What commands ask.

use std::time::Duration;

use serde_json::json;

use super::{command, raised};
use crate::fail2ban::desk::{Flavour, JailOrder, Native, Order, ServerOrder, order};
use crate::python::Value;

fn jail(order: JailOrder) -> Order {
    Order::Jail { jail: "one".to_owned(), order }
}

fn texts<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

#[test]
fn what_is_asked() {
    let one = || "one".to_owned();
    for (words, want) in [
        (json!(["ping", 1, 2]), Order::Answer("pong".into())),
        (json!(["version", "x"]), Order::Answer("1.1.0".into())),
        (json!(["echo"]), Order::Answer(Value::List(vec![]))),
        (json!(["sleep", "0.0_1"]), Order::Sleep(Duration::from_millis(10))),
        (json!(["config-error", "boo", "x"]), Order::Complain("boo".to_owned())),
        (json!(["add", "one"]), Order::Add { jail: one(), backend: "auto".to_owned() }),
        (json!(["add", "one", "Polling", "x"]), Order::Add { jail: one(), backend: "Polling".to_owned() }),
        (json!(["start", "one", "x"]), Order::Start(one())),
        (json!(["stop"]), Order::Quit),
        (json!(["stop", "--all"]), Order::StopAll),
        (json!(["stop", "one", "x"]), Order::Stop(one())),
        (json!(["status"]), Order::Status { jail: None, flavour: Flavour::Basic }),
        (json!(["status", "one", "SHORT"]), Order::Status { jail: Some(one()), flavour: Flavour::Short }),
        (json!(["status", "one", "weird"]), Order::Status { jail: Some(one()), flavour: Flavour::Basic }),
        (json!(["status", "--all", "stats"]), Order::StatusAll(Flavour::Statistics)),
        (json!(["statistic"]), Order::Statistics),
        (json!(["banned"]), Order::Banned(None)),
        (json!(["banned", "--all"]), Order::Banned(Some(texts(["--all"])))),
        (json!(["unban", "--all"]), Order::Unban(None)),
        (json!(["unban", "--all", "192.0.2.1"]), Order::Unban(Some(texts(["--all", "192.0.2.1"])))),
        (
            json!(["reload", "--all", ["--unban"], [["ping"]]]),
            Order::Reload {
                jail: None,
                options: texts(["--unban"]),
                stream: vec![command(&json!(["ping"]))],
            },
        ),
        (json!(["server-stream", []]), Order::Stream(vec![])),
        (
            json!(["stockade", "reload", "one", ["--restart"], "/etc/fail2ban"]),
            Order::Native(Native::Reload {
                jail: Some(one()),
                options: texts(["--restart"]),
                folder: "/etc/fail2ban".into(),
            }),
        ),
        (json!(["get", "loglevel", "x"]), Order::Server(ServerOrder::Get("loglevel".to_owned()))),
        (
            json!(["set", "allowipv6", true]),
            Order::Server(ServerOrder::Set("allowipv6".to_owned(), true.into())),
        ),
        (json!(["get", "one", "banned"]), jail(JailOrder::Banned(vec![]))),
        (json!(["get", "one", "banip"]), jail(JailOrder::BanList { with_time: false, separator: None })),
        (
            json!(["get", "one", "banip", ",", "--with-time"]),
            jail(JailOrder::BanList { with_time: false, separator: Some(",".to_owned()) }),
        ),
        (
            json!(["get", "one", "banip", "--with-time", "x"]),
            jail(JailOrder::BanList { with_time: true, separator: None }),
        ),
        (json!(["get", "one", "bantime.foo"]), jail(JailOrder::Get(vec!["bantime.foo".into()]))),
        (json!(["set", "one", "banip"]), jail(JailOrder::Ban(vec![]))),
        (
            json!(["set", "one", "unbanip", "--report-absent"]),
            jail(JailOrder::Unban { ids: vec![], report_absent: true }),
        ),
        (
            json!(["set", "one", "unbanip", "192.0.2.1", "--report-absent"]),
            jail(JailOrder::Unban { ids: texts(["192.0.2.1", "--report-absent"]), report_absent: false }),
        ),
        (
            json!(["set", "one", "attempt", "192.0.2.1", "a", "b"]),
            jail(JailOrder::Attempt { id: "192.0.2.1".to_owned(), lines: texts(["a", "b"]) }),
        ),
        (json!(["set", "one", "idle", "off", "x"]), jail(JailOrder::Idle(false))),
        (json!(["set", "one", "addignoreip"]), jail(JailOrder::Set(vec!["addignoreip".into()]))),
        (
            json!(["multi-set", "one", "addfailregex", ["a", "b"]]),
            jail(JailOrder::Set(command(&json!(["multi-set", "addfailregex", ["a", "b"]])))),
        ),
        (
            json!(["multi-set", "one", "maxretry", 5, 6]),
            jail(JailOrder::Set(command(&json!(["maxretry", 5, 6])))),
        ),
        (json!(["multi-set", "one", "banip", "192.0.2.1"]), jail(JailOrder::Ban(texts(["192.0.2.1"])))),
    ] {
        assert_eq!(order(&command(&words)), Ok(want), "{words}");
    }
}

#[test]
fn what_is_refused_whatever_runs() {
    const INDEX: &str = "IndexError('list index out of range')";
    const INVALID: &str = "Exception('Invalid command')";
    let x: &str = r#"ValueError("invalid literal for int() with base 10: 'x'")"#;
    for (words, want) in [
        (json!([]), INDEX),
        (json!(["bogus"]), INVALID),
        (json!(["PING"]), INVALID),
        (json!([1]), INVALID),
        (json!(["quit"]), INVALID),
        (json!(["unban"]), INVALID),
        (json!(["add"]), INDEX),
        (json!(["add", "--all"]), r#"Exception("Reserved name '--all'")"#),
        (
            json!(["add", "x", "nobackend"]),
            r#"ValueError("Unknown backend nobackend. Must be among ['pyinotify', 'polling', 'systemd'] or 'auto'")"#,
        ),
        (json!(["add", "x", "systemd["]), "ValueError('unexpected option syntax')"),
        (json!(["add", "x", ""]), "ValueError('unexpected option syntax')"),
        (json!(["start"]), INDEX),
        (json!(["sleep", "x"]), r#"ValueError("could not convert string to float: 'x'")"#),
        (json!(["sleep", "-1"]), "ValueError('sleep length must be non-negative')"),
        (json!(["sleep", "nan"]), "ValueError('Invalid value NaN (not a number)')"),
        (json!(["status", "one", "basic", "x"]), "Exception('Invalid command (no status)')"),
        (json!(["server-stream"]), INDEX),
        (json!(["server-stream", "abc"]), INVALID),
        (json!(["server-stream", null]), r#"TypeError("'NoneType' object is not iterable")"#),
        (json!(["server-stream", [[]]]), INDEX),
        (json!(["server-stream", [5]]), r#"TypeError("'int' object is not subscriptable")"#),
        (
            json!(["reload", "one"]),
            r#"TypeError("Server.reloadJails() missing 1 required positional argument: 'opts'")"#,
        ),
        (json!(["reload", "one", []]), INDEX),
        (json!(["stockade", "reload"]), INVALID),
        (json!(["get"]), INDEX),
        (json!(["get", "allowipv6"]), INDEX),
        (json!(["get", "one"]), INDEX),
        (
            json!(["get", "one", "idle"]),
            "Exception('Invalid command (no get action or not yet implemented)')",
        ),
        (json!(["get", "one", "action", "a"]), INDEX),
        (json!(["get", "one", "actionmethods"]), INDEX),
        (json!(["set"]), INDEX),
        (json!(["set", "one"]), INDEX),
        (json!(["set", "loglevel"]), INDEX),
        (json!(["set", "one", "bantime"]), INDEX),
        (
            json!(["set", "one", "nosuch"]),
            r#"Exception("Invalid command 'nosuch' (no set action or not yet implemented)")"#,
        ),
        (
            json!(["set", "one", "multi-set", "x"]),
            r#"Exception("Invalid command 'multi-set' (no set action or not yet implemented)")"#,
        ),
        (json!(["set", "one", "unbanip"]), INDEX),
        (
            json!(["set", "one", "attempt"]),
            r#"TypeError("Filter.addAttempt() missing 1 required positional argument: 'ip'")"#,
        ),
        (json!(["set", "one", "idle"]), INDEX),
        (json!(["set", "one", "idle", "ON"]), r#"Exception("Invalid idle option, must be 'on' or 'off'")"#),
        (json!(["set", "one", "maxmatches", "x"]), x),
        (json!(["set", "one", "delfailregex", "x"]), x),
        (
            json!(["set", "one", "addlogpath", "x", "y"]),
            r#"ValueError("File option must be 'head' or 'tail'")"#,
        ),
        (
            json!(["set", "one", "addlogpath", "x", "tail", "z"]),
            "ValueError('Only one file can be added at a time')",
        ),
        (json!(["set", "one", "addaction", "a", "b"]), INDEX),
        (json!(["multi-set", "one", "addfailregex"]), INDEX),
        (
            json!(["multi-set", "one", "maxretry", ["3"]]),
            r#"TypeError("int() argument must be a string, a bytes-like object or a real number, not 'list'")"#,
        ),
    ] {
        let got = order(&command(&words)).map_err(|error| raised(&error));
        assert_eq!(got, Err(want.to_owned()), "{words}");
    }
}
