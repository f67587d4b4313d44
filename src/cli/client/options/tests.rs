use super::*;

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn options(line: &str) -> Options {
    match parse(&words(line)) {
        Asked::Run(options) => *options,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn what_ends_the_reading() {
    for (line, want) in [
        ("-h", Asked::Help),
        ("--help status", Asked::Help),
        ("--he", Asked::Help),
        ("-V", Asked::Version { bare: true }),
        ("--version", Asked::Version { bare: false }),
        ("-xV", Asked::Version { bare: true }),
        ("--str2sec 1d", Asked::Seconds("1d".to_owned())),
        ("--str2sec=1d -h", Asked::Seconds("1d".to_owned())),
        ("--str 1h", Asked::Seconds("1h".to_owned())),
        ("-h --bogus", Asked::Wrong),
        ("--bogus", Asked::Wrong),
        ("-Z", Asked::Wrong),
        ("-s", Asked::Wrong),
        ("--conf", Asked::Wrong),
        ("--log INFO", Asked::Wrong),
        ("--async=1", Asked::Wrong),
        ("--timeout x ping", Asked::BadTime("x".to_owned())),
    ] {
        assert_eq!(parse(&words(line)), want, "{line}");
    }
}

#[test]
fn options_end_at_the_first_word() {
    for (line, rest) in [
        ("get sshd banip --with-time", "get sshd banip --with-time"),
        ("-v status -h", "status -h"),
        ("-- -h", "-h"),
        ("- x", "- x"),
        ("-xf start", "start"),
        ("", ""),
    ] {
        assert_eq!(options(line).words, words(rest), "{line}");
    }
}

#[test]
fn what_options_mean() {
    let got =
        options("-c /etc/f -s/run/a --pid=/run/b --logl INFO --logl DEBUG -xvvq -t --timeout 1m --dp start");
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(got.folder, PathBuf::from("/etc/f"));
    assert_eq!(
        got.overrides,
        [pair("socket", "/run/a"), pair("pidfile", "/run/b"), pair("loglevel", "DEBUG")]
    );
    assert_eq!((got.force, got.verbosity, got.test, got.dump), (true, 1, true, true));
    assert_eq!(got.timeout, Some(Duration::from_secs(60)));
    assert_eq!(options("start").folder, PathBuf::from("/etc/fail2ban"));
    for (line, want) in [("start", None), ("-f start", Some(true)), ("-f -b start", Some(false))] {
        assert_eq!(options(line).foreground, want, "{line}");
    }
}
