//! `stockade fail2ban regex`: a filter of Fail2Ban on a log, without a daemon.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

const FILTER: &str = r"[Definition]
failregex = ^\s*bad <F-USER>\S*</F-USER> from <HOST>$
            <mode-<mode>>
ignoreregex = bad good
mode-odd = ^\s*odd <HOST>$
mode-none =
[Init]
mode = none
";

const LOG: &str = "\
2026-01-02T03:04:05Z bad eve from 192.0.2.1
nothing
bad \x1b[2J from host.example
2026-01-02T03:04:06 bad good from 192.0.2.2
2001-01-01 00:00:00 odd 2001:DB8::1
";

struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("filter.d")).unwrap();
        for (name, text) in [
            ("mine", FILTER),
            ("broken", "[Definition]\nfailregex = ^<HOST> (bad\n    ^bad$\ndatepattern = %%Q\n"),
            ("empty", "[Definition]\n"),
            ("torn", "[Definition]\nfailregex\n"),
        ] {
            fs::write(dir.path().join(format!("filter.d/{name}.conf")), text).unwrap();
        }
        fs::write(dir.path().join("log"), LOG).unwrap();
        Self(dir)
    }

    /// Exit code, standard output, standard error.
    fn run(&self, line: &str, input: &str) -> (Option<i32>, String, String) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_stockade"))
            .args(["fail2ban", "regex", "--base", ".", "--now", "1767323046"])
            .args(line.split_whitespace())
            .current_dir(self.0.path())
            .env("TZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        _ = child.stdin.take().unwrap().write_all(input.as_bytes()); // not everybody reads it
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }
}

#[test]
fn what_a_filter_matches() {
    let tree = Tree::new();
    let want = r"       1   1  2026-01-02T03:04:05         192.0.2.1
       3   1  2026-01-02T03:04:05         host.example

5 lines: 2 matched
       1  matched, but an ignoreregex did too
       2  failregex 1: ^\s*bad <F-USER>\S*</F-USER> from <HOST>$
";
    assert_eq!(tree.run("--filter mine log", ""), (Some(0), want.to_owned(), String::new()));
}

#[test]
fn options_zones_and_the_journal() {
    let tree = Tree::new();
    let odd =
        r#"{"line_no":5,"matched":true,"id":"2001:db8::1","time":978303600.0,"user":null,"failregex":2}"#;
    let journal =
        r#"{"line_no":1,"matched":true,"id":"192.0.2.1","time":1767323046.0,"user":"eve","failregex":1}"#;
    for (line, input, want) in [
        (r#"--json --options {"mode":"odd"} --tz CET-1 log"#, "", odd),
        (r#"--json --options {"mode":"odd","logtimezone":"UTC+0100"} log"#, "", odd),
        (
            "--json --filter mine --journal 1 -",
            "bad eve from 192.0.2.1\n2026-01-01 00:00:00 bad 192.0.2.1\n",
            journal,
        ),
    ] {
        let line = if line.contains("--filter") { line.to_owned() } else { format!("--filter mine {line}") };
        let (code, out, err) = tree.run(&line, input);
        assert_eq!((code, &*err), (Some(0), ""), "{line}");
        assert_eq!(out.lines().last(), Some(want), "{line}");
    }
}

#[test]
fn mistakes_say_what_to_do() {
    let tree = Tree::new();
    for (line, want) in [
        ("--filter nope -", "there is no filter.d/nope.conf nor .local in .: is --base right?\n"),
        ("--filter empty -", "filter empty has no failregex\n"),
        (
            "--filter broken -",
            "filter broken: failregex[0] does not compile: `(` is never closed at `(bad`\n\
             stockade: filter broken: failregex[1] has no <HOST>\n\
             stockade: filter broken: datepattern has `%Q`, which is no field (a percent sign is `%%`)\n",
        ),
        (
            "--filter mine --options {mode -",
            "--options wants a JSON object such as {\"mode\": \"aggressive\"}: key must be a string at line 1 column 2\n",
        ),
        (
            "--filter mine --options {\"mode\":[]} -",
            "--options wants a JSON object such as {\"mode\": \"aggressive\"}: mode is not a text\n",
        ),
    ] {
        let (code, out, err) = tree.run(line, "");
        assert_eq!((code, &*out, &*err), (Some(1), "", &*format!("stockade: {want}")), "{line}");
    }
    let (code, _, err) = tree.run("--filter torn -", "");
    assert_eq!(code, Some(1));
    assert!(err.contains("filter.d/torn.conf: "), "{err}");
    assert_eq!(tree.run("--filter mine none", "").0, Some(2));
    assert_eq!(tree.run("--filter mine --tz Mars -", "").0, Some(2));
}
