//! `stockade test`: a jail on a log file, in the log's own time, without a daemon.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

const JAIL: &str = "\
[jail.web]
enabled = false
firewall = \"memory\"
max_retry = 2
find_time = \"10m\"
ban_time = \"1h\"
ignore = [\"198.51.100.0/24\", \"file:IGNORED\"]
filter.patterns = ['^\\s*web: refused <HOST>']
filter.ignore = ['on purpose$']
filter.groups.normal = ['^\\s*web: bad <F-USER>\\S*</F-USER> from <HOST>']
filter.groups.strict = ['^\\s*web: odd <HOST>']
";

const LOG: &str = "\
2026-01-02T03:00:00Z web: hello
2026-01-02T03:00:01Z web: refused 192.0.2.1
2026-01-02T03:00:02Z web: bad eve\x1b[2J from 192.0.2.1
2026-01-02T03:00:03Z web: refused 198.51.100.9
2026-01-02T03:00:03Z web: refused 203.0.113.5
2026-01-02T03:00:04Z web: refused 192.0.2.2 on purpose
web: refused 192.0.2.2 and nobody knows when
2026-01-02T03:30:00Z web: odd 192.0.2.3
2026-01-02T03:30:00Z web: odd 192.0.2.3
2026-01-02T05:00:00Z web: refused 192.0.2.1
2026-01-02T05:00:00Z web: refused 192.0.2.1";

struct Trial(tempfile::TempDir);

impl Trial {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ignored = dir.path().join("ignored");
        fs::write(&ignored, "# ours\n203.0.113.0/24\n").unwrap();
        fs::create_dir(dir.path().join("jails.d")).unwrap();
        let jail = JAIL.replace("IGNORED", ignored.to_str().unwrap());
        fs::write(dir.path().join("jails.d/web.toml"), jail).unwrap();
        fs::write(dir.path().join("web.log"), LOG).unwrap();
        Self(dir)
    }

    /// Exit code, standard output without the time it took, standard error.
    fn run(&self, line: &str, input: &str) -> (Option<i32>, String, String) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_stockade"))
            .arg("test")
            .args(line.split_whitespace())
            .args(["--etc", "."])
            .current_dir(self.0.path())
            .env("TZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        _ = child.stdin.take().unwrap().write_all(input.as_bytes()); // not everybody reads it
        let output = child.wait_with_output().unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        let timeless = |line: &str| line.split(" (").next().unwrap().to_owned() + "\n";
        let out = if line.contains("--json") { out } else { out.lines().map(timeless).collect() };
        (output.status.code(), out, String::from_utf8(output.stderr).unwrap())
    }
}

#[test]
fn who_would_be_banned_and_when() {
    let want = "\
web: 11 lines in web.log
         4  failures
         2  failures of ignored addresses
         1  matched, but an ignore pattern did too
         1  matched, but have no usable date
         3  matched nothing

      HITS   NO  PATTERN
         5    1  ^\\s*web: refused <HOST>
         1    2  ^\\s*web: bad <F-USER>\\S*</F-USER> from <HOST>

  BANNED     SINCE                UNTIL                    FOR  TIMES  FAILURES
  192.0.2.1  2026-01-02 03:00:02  2026-01-02 04:00:02       1h      1         2
  192.0.2.1  2026-01-02 05:00:00  2026-01-02 06:00:00       1h      1         2
";
    let trial = Trial::new();
    assert_eq!(trial.run("web web.log", ""), (Some(0), want.to_owned(), String::new()));
    let (code, out, _) = trial.run("web -", LOG);
    assert_eq!((code, out), (Some(0), want.replace("web.log", "-")));
    let crlf = LOG.replace('\n', "\r\n");
    assert_eq!(trial.run("web -", &crlf).1, want.replace("web.log", "-"));
}

#[test]
fn lines_with_their_meaning() {
    let trial = Trial::new();
    let (code, out, _) = trial.run("web web.log --mode strict --verbose", "");
    let want = "       2   1  192.0.2.1        2026-01-02T03:00:01Z web: refused 192.0.2.1
       4   1  198.51.100.9     2026-01-02T03:00:03Z web: refused 198.51.100.9
              198.51.100.9 is ignored: 198.51.100.0/24
       5   1  203.0.113.5      2026-01-02T03:00:03Z web: refused 203.0.113.5
";
    assert_eq!(code, Some(0));
    assert!(out.starts_with(want), "{out}");
    for part in [
        "       6   -  excluded         2026-01-02T03:00:04Z web: refused 192.0.2.2 on purpose\n",
        "       7   -  undated          web: refused 192.0.2.2 and nobody knows when\n",
        "       9   2  192.0.2.3        2026-01-02T03:30:00Z web: odd 192.0.2.3\n              192.0.2.3 is banned until 2026-01-02 04:30:00\n",
    ] {
        assert!(out.contains(part), "{part} is missing in {out}");
    }
    let (_, out, _) = trial.run("web web.log --mode strict --missed", "");
    let want = "       1   -  missed           2026-01-02T03:00:00Z web: hello
       3   -  missed           2026-01-02T03:00:02Z web: bad eve\\u{1b}[2J from 192.0.2.1
web: 11 lines in web.log
";
    assert!(out.starts_with(want), "{out}");

    let (_, out, _) = trial.run("web web.log --json --verbose", "");
    let lines: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (report, lines) = lines.split_last().unwrap();
    assert_eq!(lines.len(), 8);
    let want = serde_json::json!({
        "number": 2, "pattern": 1, "id": "192.0.2.1", "time": 1_767_322_801_000_000_i64, "what": "failure",
        "text": "2026-01-02T03:00:01Z web: refused 192.0.2.1",
    });
    assert_eq!(lines[0], want);
    assert_eq!((&report["failures"], &report["banned"]), (&4.into(), &2.into()));
}

#[test]
fn what_cannot_be_tried() {
    let trial = Trial::new();
    fs::write(
        trial.0.path().join("jails.d/wrong.toml"),
        "[jail.wrong]\nfilter.patterns = ['no host']\n[jail.other]\nenabled = true\nfilter.patterns = ['(']\n",
    )
    .unwrap();
    for (line, code, want) in [
        ("nope web.log", 1, "stockade: there is no jail nope; known are "),
        ("web nope.log", 2, "stockade: nope.log: No such file or directory"),
        ("web .", 2, "stockade: .: Is a directory"),
        ("web web.log --mode fast", 1, "stockade: --set: jail.web.mode: unknown mode \"fast\""),
        ("wrong web.log", 1, "stockade: ./jails.d/wrong.toml:2: jail.wrong.filter.patterns[0]: "),
        ("custom web.log", 1, "stockade: custom has no patterns: it is for bans by hand\n"),
    ] {
        let (got, out, err) = trial.run(line, "");
        assert_eq!((got, &*out), (Some(code), ""), "{line}: {err}");
        assert!(err.starts_with(want) && err.lines().count() == 1, "{line}: {err}");
    }
}
