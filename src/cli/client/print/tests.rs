use super::*;

const CHARS: Marks = Marks::Boxes;

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn texts(texts: &[&str]) -> Value {
    Value::List(texts.iter().map(|text| Value::from(*text)).collect())
}

fn pair(label: &str, value: impl Into<Value>) -> Value {
    Value::Tuple(vec![label.into(), value.into()])
}

fn list(items: impl IntoIterator<Item = Value>) -> Value {
    Value::List(items.into_iter().collect())
}

/// A jail's status, as servers tell it.
fn status(ids: &[&str]) -> Value {
    let filter = list([
        pair("Currently failed", 1),
        pair("Total failed", 10),
        pair("File list", texts(&["/a", "/b"])),
    ]);
    let banned =
        list([pair("Currently banned", 2), pair("Total banned", 3), pair("Banned IP list", texts(ids))]);
    list([pair("Filter", filter), pair("Actions", banned)])
}

#[test]
fn one_line_or_several() {
    let none = || Value::None;
    for (line, value, want) in [
        ("ping", "pong".into(), "Server replied: pong"),
        ("ping 5", "pong".into(), "Server replied: pong"),
        ("ping", none(), "None"),
        ("version", "1.1.0".into(), "1.1.0"),
        ("echo a b", texts(&["a", "b"]), "a b"),
        ("echo", texts(&[]), ""),
        ("sleep 0", none(), "None"),
        ("server-status", "Server ready".into(), "Server ready"),
        ("start sshd", none(), "Jail started"),
        ("stop", none(), "Shutdown successful"),
        ("stop sshd", none(), "Jail stopped"),
        ("stop --all", none(), "Jail stopped"),
        ("add sshd polling", "sshd".into(), "Added jail sshd"),
        ("flushlogs", "rolled over".into(), "logs: rolled over"),
        ("reload", "OK".into(), "OK"),
        ("unban --all", 3.into(), "3"),
        ("banned", list([Value::Map(vec![("a".into(), texts(&["192.0.2.1"]))])]), "[{'a': ['192.0.2.1']}]"),
        ("banned 192.0.2.1", list([texts(&["a"]), texts(&[])]), "[['a'], []]"),
    ] {
        assert_eq!(answer(&words(line), &value, CHARS), want, "{line}");
    }
}

#[test]
fn options_of_the_server() {
    for (option, value, want) in [
        ("loglevel", "INFO".into(), "Current logging level is 'INFO'"),
        ("loglevel", 10.into(), "Current logging level is 'DEBUG'"),
        ("loglevel", "10".into(), "Current logging level is '10'"),
        ("loglevel", 3.into(), "Current logging level is 'Level 3'"),
        ("logtarget", "/x.log".into(), "Current logging target is:\n`- /x.log"),
        ("syslogsocket", "auto".into(), "Current syslog socket is:\n`- auto"),
        ("dbfile", "/x".into(), "Current database file is:\n`- /x"),
        ("dbfile", Value::None, "Database currently disabled"),
        ("dbpurgeage", 86_400.into(), "Current database purge age is:\n`- 86400seconds"),
        ("dbpurgeage", Value::None, "Database currently disabled"),
        ("dbmaxmatches", 10.into(), "10"),
        ("thread", Value::Map(vec![("stacksize".into(), 0.into())]), "{'stacksize': 0}"),
    ] {
        for line in [format!("get {option}"), format!("set {option} v")] {
            assert_eq!(answer(&words(&line), &value, CHARS), want, "{line}");
        }
    }
}

#[test]
fn options_of_a_jail() {
    let defaults = || Value::Tuple(vec![Value::None, "Default Detectors".into()]);
    for (line, value, want) in [
        ("get j logpath", texts(&[]), "No file is currently monitored"),
        ("set j addlogpath x", texts(&["a", "b"]), "Current monitored log file(s):\n|- a\n`- b"),
        ("set j delignoreip x", texts(&[]), "No IP address/network is ignored"),
        ("get j ignoreip", texts(&["a"]), "These IP addresses/networks are ignored:\n`- a"),
        ("get j failregex", texts(&[]), "No regular expression is defined"),
        (
            "multi-set j addfailregex x",
            texts(&["a", "b"]),
            "The following regular expression are defined:\n|- [0]: a\n`- [1]: b",
        ),
        ("get j logencoding", "utf-8".into(), "Current log encoding is set to:\nutf-8"),
        ("get j journalmatch", texts(&[]), "No journal match filter set"),
        (
            "set j addjournalmatch x",
            list([texts(&["A=b"]), texts(&["C=d", "E=f"])]),
            "Current match filter:\nA=b + C=d E=f",
        ),
        ("get j datepattern", defaults(), "Current date pattern set to: Default Detectors"),
        ("get j datepattern", Value::None, "Current date pattern set to: Not set/required"),
        (
            "set j datepattern %Y",
            Value::Tuple(vec!["%Y".into(), "Year".into()]),
            "Current date pattern set to: %Y (Year)",
        ),
        ("get j banip", texts(&["1", "2"]), "1 2"),
        ("get j banip ,", texts(&["1", "2"]), "1,2"),
        ("get j banip --with-time", texts(&["1", "2"]), "1\n2"),
        ("get j banned", texts(&["1"]), "['1']"),
        ("set j banip 1 2", 2.into(), "2"),
        ("get j actions", texts(&[]), "No actions for jail j"),
        ("get j actions", texts(&["a", "b"]), "The jail j has the following actions:\na, b"),
        ("get j actionproperties x", texts(&["a"]), "The jail j action x has the following properties:\na"),
        ("get j actionmethods x", texts(&[]), "No methods for jail j action x"),
        ("get j action x logpath", texts(&["a"]), "['a']"),
        ("get j bantime", (-1).into(), "-1"),
        ("set j delaction x", Value::None, "None"),
    ] {
        assert_eq!(answer(&words(line), &value, CHARS), want, "{line}");
    }
}

#[test]
fn trees() {
    let server = || vec![pair("Number of jail", 2), pair("Jail list", "a, b")];
    assert_eq!(
        answer(&words("status"), &list(server()), CHARS),
        "Status\n|- Number of jail:\t2\n`- Jail list:\ta, b"
    );
    assert_eq!(
        answer(&words("status a"), &status(&["192.0.2.1", "192.0.2.2"]), CHARS),
        "Status for the jail: a\n|- Filter\n|  |- Currently failed:\t1\n|  |- Total failed:\t10\n\
         |  `- File list:\t/a /b\n`- Actions\n   |- Currently banned:\t2\n   |- Total banned:\t3\n   \
         `- Banned IP list:\t192.0.2.1 192.0.2.2"
    );
    let mut all = server();
    all.push(Value::Map(vec![("a".into(), status(&[])), ("b".into(), status(&["192.0.2.1"]))]));
    assert_eq!(
        answer(&words("status --all"), &list(all), CHARS),
        "Status\n|- Number of jail:\t2\n|- Jail list:\ta, b\n`- Status for the jails:\n   |- Jail: a\n   \
         |  |- Filter\n   |  |  |- Currently failed:\t1\n   |  |  |- Total failed:\t10\n   \
         |  |  `- File list:\t/a /b\n   |  `- Actions\n   |     |- Currently banned:\t2\n   \
         |     |- Total banned:\t3\n   |     `- Banned IP list:\t\n   `- Jail: b\n      |- Filter\n      \
         |  |- Currently failed:\t1\n      |  |- Total failed:\t10\n      |  `- File list:\t/a /b\n      \
         `- Actions\n         |- Currently banned:\t2\n         |- Total banned:\t3\n         \
         `- Banned IP list:\t192.0.2.1"
    );
    assert_eq!(answer(&words("status a"), &"x".into(), CHARS), "x", "of another shape");
}

#[test]
fn a_table_grows_with_what_is_in_it() {
    let two = |now: i64, ever: i64| Value::Tuple(vec![now.into(), ever.into()]);
    let jails = Value::Map(vec![
        ("one".into(), list(["polling".into(), two(0, 0), two(0, 0)])),
        ("a-long-name".into(), list(["systemd".into(), two(12, 12_345), two(1, 20)])),
    ]);
    let want = "             ║          ║ Filter      ║ Actions  
 Jail        ║ Backend  ╟─────────────╫───────────
             ║          ║ cur │   tot ║ cur │ tot
═════════════╬══════════╬═════════════╬═══════════
 one         ║ polling  ║   0 │     0 ║   0 │   0
 a-long-name ║ systemd  ║  12 │ 12345 ║   1 │  20
═════════════╩══════════╩═════════════╩═══════════";
    assert_eq!(answer(&words("stats"), &jails, CHARS), want);
    assert_eq!(answer(&words("status --all stats"), &jails, CHARS), want);
    let only = list(["polling".into(), two(1, 2), two(3, 4)]);
    assert!(
        answer(&words("status one stats"), &only, CHARS)
            .contains("\n one      ║ polling  ║   1 │   2 ║   3 │   4\n")
    );
    let ascii = answer(&words("statistics"), &jails, Marks::Ascii);
    assert!(
        ascii.is_ascii() && ascii.contains(" one         | polling  |   0 |     0 |   0 |   0\n"),
        "{ascii}"
    );
}

#[test]
fn what_the_terminal_can_draw() {
    for (name, value, want) in [
        ("LANG", "", Marks::Boxes),
        ("LANG", "C", Marks::Boxes),
        ("LANG", "de_DE.UTF-8", Marks::Boxes),
        ("LC_ALL", "C.utf8", Marks::Boxes),
        ("LC_CTYPE", "de_DE.ISO-8859-1", Marks::Ascii),
        ("LANG", "de_DE", Marks::Ascii),
    ] {
        assert_eq!(Marks::of(|asked| (asked == name).then(|| value.to_owned())), want, "{name}={value}");
    }
}

#[test]
fn exceptions() {
    let of = |module: &str, class: &str, arguments: &[Value]| Raised {
        module: module.to_owned(),
        class: class.to_owned(),
        arguments: arguments.to_vec(),
    };
    let builtin = |class: &str, arguments: &[Value]| of("builtins", class, arguments);
    let ours = |class: &str| of("fail2ban.exceptions", class, &["x".into()]);
    for (exception, out, log) in [
        (ours("UnknownJailException"), "Sorry but the jail 'x' does not exist", "('x',)"),
        (ours("DuplicateJailException"), "The jail 'x' already exists", "('x',)"),
        (
            builtin("IndexError", &["list index out of range".into()]),
            "Sorry but the command is invalid",
            "('list index out of range',)",
        ),
        (builtin("KeyError", &["no x".into()]), "'no x'", "('no x',)"),
        (builtin("KeyError", &[3.into()]), "3", "(3,)"),
        (builtin("ValueError", &["it's".into()]), "it's", "(\"it's\",)"),
        (builtin("ValueError", &[]), "", "()"),
        (builtin("Exception", &["a".into(), 2.into()]), "('a', 2)", "('a', 2)"),
        (
            builtin("FileNotFoundError", &[2.into(), "No such file".into(), "/x".into()]),
            "[Errno 2] No such file: '/x'",
            "(2, 'No such file')",
        ),
        (
            builtin("OSError", &[2.into(), "No such file".into()]),
            "[Errno 2] No such file",
            "(2, 'No such file')",
        ),
        (
            builtin(
                "SyntaxError",
                &["invalid syntax".into(), Value::Tuple(vec!["<string>".into(), 1.into()])],
            ),
            "invalid syntax (<string>, line 1)",
            "('invalid syntax', ('<string>', 1))",
        ),
        (
            of("json.decoder", "JSONDecodeError", &["Expecting value".into(), "{\n\"a\":}".into(), 6.into()]),
            "Expecting value: line 2 column 5 (char 6)",
            "('Expecting value: line 2 column 5 (char 6)',)",
        ),
    ] {
        assert_eq!((&*raised(&exception), &*arguments(&exception)), (out, log));
    }
}
