//! The program called as `fail2ban-regex`: what it prints, byte for byte.

mod recorded;
mod theirs;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

const FILTERS: &[(&str, &str)] = &[
    (
        "mail",
        r"[INCLUDES]
before = shared.conf
[Definition]
prefregex = ^ (?:<__daemon>): <F-MLFID>\w+</F-MLFID>: <F-CONTENT>.+</F-CONTENT>$
failregex = ^<F-NOFAIL>hello</F-NOFAIL> <HOST>$
            ^wrong password of <F-USER>\S*</F-USER>(?: from <HOST>)?$
            ^wrong \w+
            ^<F-MLFGAINED>welcome</F-MLFGAINED> <F-USER>\S+</F-USER> <HOST>$
            ^<F-MLFFORGET>bye</F-MLFFORGET>(?: <HOST>)?$
            <mode-<mode>>
ignoreregex = of guest
mode-strict = ^too fast <HOST>$
mode-normal =
[Init]
mode = normal
",
    ),
    ("shared", "[DEFAULT]\n__daemon = maild|smtpd\n"),
    (
        "pairs",
        "[Definition]\nfailregex = ^ begin (?P<n>\\w)<SKIPLINES>^ end (?P=n) <HOST>$\n  ^ lone <HOST>\nmaxlines = 5\n",
    ),
    (
        "many",
        "[Definition]\nfailregex = bad <HOST>\n bad <HOST>$\n ad <HOST>\n d <HOST>\nignoreregex = 192.0.2.9\n \\.8$\n",
    ),
    ("nobody", "[Definition]\nfailregex = ^ bad <HOST>\n   ^ bad (?P<x>y)$\n"),
    ("broken", "[Definition]\nfailregex = ^ (bad <HOST>\n"),
    (
        "late",
        "[Definition]\nfailregex = x <HOST>\ndatepattern = ^%%d/%%b/%%Y:%%H:%%M:%%S\n  {^LN-BEG}EPOCH\n",
    ),
];

const JAILS: &str = "[DEFAULT]\nmode = normal\nfilter = %(__name__)s[mode=%(mode)s]\n[mail]\nmode = strict\n\
                     [pairs]\nenabled = true\nfilter = pairs\nmaxlines = 9\n[lost]\nfilter = nowhere\n";

const MAIL: &str = "\
2026-01-02 03:04:05 maild: a1: hello 192.0.2.1
2026-01-02 03:04:06 maild: a1: wrong password of eve
2026-01-02 03:04:06 maild: a1: wrong password of adam
# 2026-01-02 03:04:06 maild: a1: a comment

2026-01-02 03:04:07 smtpd: b2: wrong password of guest from 192.0.2.2
2026-01-02 03:04:08 smtpd: c3: welcome eve 2001:DB8::3
2026-01-02 03:04:09 smtpd: c3: bye
2026-01-02 03:04:09 other: c3: bye
2026-01-02 03:04:10 smtpd: d4: wrong password of 'o\"x' from 192.0.2.4 \r
2026-01-02 03:04:10 smtpd: d4: wrong password of 'o\"x' from 192.0.2.4\r
2026-01-02 03:04:11 smtpd: e5: too fast 192.0.2.5
2026-02-30 03:04:12 smtpd: f6: wrong password of a\u{e9} from 192.0.2.6
 no date maild: g7: wrong password of b from 192.0.2.7
2026-01-02 03:04:12 smtpd: h8: bye 192.0.2.8
2026-01-02 03:04:12 smtpd: not ended";

const PAIRS: &str = "\
1767323045 begin a
1767323046 noise
1767323047 end a 192.0.2.1
1767323048 end a 192.0.2.2
1767323049 begin b
1767323050 begin c
1767323051 end b 192.0.2.3
1767323052 lone 192.0.2.4
1767323053 end c 192.0.2.5
1767323054 begin d
1767323055 1
1767323056 2
1767323057 3
1767323058 4
1767323059 end d 192.0.2.6
";

/// A tree, logs, and the program by its name.
pub(crate) struct Bench(tempfile::TempDir);

impl Bench {
    pub(crate) fn new() -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(bench.at("etc/filter.d")).unwrap();
        fs::create_dir(bench.at("bin")).unwrap();
        symlink(env!("CARGO_BIN_EXE_stockade"), bench.at("bin/fail2ban-regex")).unwrap();
        for (name, text) in FILTERS {
            bench.write(&format!("etc/filter.d/{name}.conf"), text.as_bytes());
        }
        bench.write("etc/jail.conf", JAILS.as_bytes());
        bench.write("mail.log", MAIL.as_bytes());
        bench.write("pairs.log", PAIRS.as_bytes());
        for count in [19, 20, 30] {
            let line = |number| format!("02/Jan/2026:03:04:05 x bad 192.0.2.{number}\n");
            let text: String = (1..=count).map(line).collect();
            bench.write(&format!("{count}.log"), text.as_bytes());
        }
        bench.write("latin.log", b"2026-01-02 03:04:05 bad J\xf6rg from 192.0.2.1\n\x00\x01\xff\n");
        bench.write("empty.log", b"");
        bench
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn write(&self, path: &str, text: &[u8]) {
        fs::write(self.at(path), text).unwrap();
    }

    /// Exit code, standard output, standard error; what it took and the present time are taken out.
    pub(crate) fn run(&self, program: &Path, words: &[&str]) -> (Option<i32>, String, String) {
        let output = Command::new(program)
            .args(words)
            .current_dir(self.0.path())
            .env("TZ", "UTC")
            .env("LC_ALL", "C.UTF-8")
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), untimed(&text(&output.stdout)), text(&output.stderr))
    }

    fn ours(&self, words: &[&str]) -> (Option<i32>, String, String) {
        self.run(&self.at("bin/fail2ban-regex"), words)
    }

    /// Standard output of a run that goes well.
    fn printed(&self, words: &[&str]) -> String {
        let (code, out, err) = self.ours(words);
        assert_eq!((code, err.as_str()), (Some(0), ""), "{words:?}");
        out
    }
}

/// `[processed in 0.01 sec]` without the time.
pub(crate) fn untimed(text: &str) -> String {
    let Some((before, after)) = text.split_once("[processed in ") else { return text.to_owned() };
    let (time, after) = after.split_once(" sec]").unwrap();
    assert!(time.parse::<f64>().is_ok(), "{time}");
    format!("{before}[processed in @ sec]{after}")
}

const BLOCKS: &str = r"
Running tests
=============

Use             jail : mail
Use jail/flt options : {'mode': 'strict'}
Use         log file : mail.log
Use         encoding : UTF-8


Results
=======

Prefregex: 11 total
|  ^ (?:maild|smtpd): (?P<mlfid>\w+): (?P<content>.+)$
`-

Failregex: 14 total
|-  #) [# of hits] regular expression
|   1) [1] ^<F-NOFAIL>hello</F-NOFAIL> <HOST>$
|   2) [4] ^wrong password of <F-USER>\S*</F-USER>(?: from <HOST>)?$
|   3) [5] ^wrong \w+
|   4) [1] ^<F-MLFGAINED>welcome</F-MLFGAINED> <F-USER>\S+</F-USER> <HOST>$
|   5) [2] ^<F-MLFFORGET>bye</F-MLFFORGET>(?: <HOST>)?$
|   6) [1] ^too fast <HOST>$
`-

Ignoreregex: 1 total
|-  #) [# of hits] regular expression
|   1) [1] of guest
`-

Date template hits:
|- [# of hits] date format
|  [12] {^LN-BEG}ExYear(?P<_sep>[-/.])Month(?P=_sep)Day(?:T|  ?)24hour:Minute:Second(?:[.,]Microseconds)?(?:\s*Zone offset)?
`-

Lines: 13 lines, 3 ignored, 8 matched, 2 missed
[processed in @ sec]

|- Ignored line(s):
|  2026-01-02 03:04:05 maild: a1: hello 192.0.2.1
|  2026-01-02 03:04:07 smtpd: b2: wrong password of guest from 192.0.2.2
|  2026-01-02 03:04:08 smtpd: c3: welcome eve 2001:DB8::3
`-
|- Missed line(s):
|  2026-01-02 03:04:09 other: c3: bye
|   no date maild: g7: wrong password of b from 192.0.2.7
`-
";

#[test]
fn blocks_as_fail2ban_prints_them() {
    let bench = Bench::new();
    assert_eq!(bench.printed(&["-c", "etc", "mail.log", "mail[mode=strict]"]), BLOCKS);
}

#[test]
fn one_line_a_failure_as_a_format_says() {
    let bench = Bench::new();
    let line = "1767323045 try 5 of bob at 2001:db8::1";
    let regex = "try (?P<n>\\d)(?P<x>y)? of <F-ID>\\w+</F-ID> at <ADDR>";
    for (format, want) in [
        ("id", "bob"),
        ("fid", "bob"),
        ("ip", "2001:db8::1"),
        ("msg", line),
        ("n", "5"),
        ("x", "None"),
        (
            "row",
            "['bob',\t1767323045.0,\t{'n': '5', 'fid': 'bob', 'ip6': '2001:db8::1', 'ip': '2001:db8::1'}],",
        ),
        ("<ip>|<fid>|<F-ID>|<F-N>|<F-X>|<F-Y>", "2001:db8::1|bob|bob|5||"),
        ("<time> <failures> <family> <restored>", "1767323045.0 0 inet6 0"),
        ("<unknown> <br><sp>. <a b> <<fid>> <", "<unknown> \n . <a b> <bob> <"),
        (
            "<msg>: <matches>",
            "1767323045 try 5 of bob at 2001:db8::1: 1767323045 try 5 of bob at 2001:db8::1",
        ),
        (
            "<raw-ticket>",
            "BanTicket: ip=bob time=1767323045.0 bantime=None bancount=0 #attempts=0 \
             matches=[('', '1767323045', ' try 5 of bob at 2001:db8::1')]",
        ),
    ] {
        assert_eq!(bench.printed(&["-o", format, line, regex]), format!("{want}\n"), "{format}");
    }
    let rows = bench.printed(&["-c", "etc", "mail.log", "mail.conf", "-o", "row", "--TZ", "UTC+0100"]);
    assert_eq!(
        rows.lines().next().unwrap(),
        "['192.0.2.1',\t1767319446,\t{'mlfid': 'a1', 'ip4': '192.0.2.1', 'users': {'eve'}, 'user': 'eve'}],"
    );
}

#[test]
fn lines_that_are_no_failures() {
    let bench = Bench::new();
    let lines = "bad 192.0.2.1\ngood 192.0.2.2\nbad bot 192.0.2.3";
    let words = [lines, "bad (?:bot )?<HOST>", "bot"];
    for (options, want) in [
        (&["-i"][..], "good 192.0.2.2\nbad bot 192.0.2.3\n"),
        (&["--invert", "-o", "msg"], "good 192.0.2.2\nbad bot 192.0.2.3\n"),
        (&["-io", "<ip>:<msg>"], "<ip>:good 192.0.2.2\n<ip>:bad bot 192.0.2.3\n"),
    ] {
        assert_eq!(bench.printed(&[options, &words].concat()), want, "{options:?}");
    }
}

#[test]
fn everything_as_one_object() {
    let bench = Bench::new();
    let out = bench.printed(&["--json", "-v", "-c", "etc", "30.log", "many.conf"]);
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(document["use"][0], "Use      filter file : many, basedir: etc");
    assert_eq!(
        (&document["lines"], &document["ignored"], &document["matched"]),
        (&30.into(), &2.into(), &28.into())
    );
    assert_eq!(document["failregex"][0]["matched"][0]["id"], "192.0.2.1");
    assert_eq!(document["ignored_lines"].as_array().unwrap().len(), 2);
    assert!(document["dates"].as_array().unwrap().len() > 1);
}

#[test]
fn what_is_wrong_is_said_in_fail2bans_words() {
    let bench = Bench::new();
    for (words, code, out, err) in [
        (
            &["a.log"][..],
            255,
            "Usage: fail2ban-regex [OPTIONS] LOG REGEX",
            "\nERROR: provide both <LOG> and <REGEX>.\n",
        ),
        (
            &["--print-no-missed", "--print-all-missed", "a", "b<HOST>"],
            255,
            "Usage: fail2ban-regex",
            "\nERROR: --print-no-missed and --print-all-missed are mutually exclusive.\n",
        ),
        (&["--help"], 0, "Usage: fail2ban-regex", ""),
        (&["-V"], 0, "1.1.0\n", ""),
        (&["--version"], 0, "fail2ban-regex 1.1.0\n", ""),
        (&["--out", "id", "a", "b"], 255, "ERROR: No failure-id group in 'b'\n", ""),
        (&["-o", "id", "-c", "etc", "a", "lost"], 255, "ERROR: Failed to get jail for 'lost'\n", ""),
        (&["-o", "id", "-e", "klingon", "a", "b<HOST>"], 255, "ERROR: unknown encoding: klingon\n", ""),
        (&["-o", "id", "-l", "loud", "a", "b<HOST>"], 255, "ERROR: Invalid log level 'loud'\n", ""),
        (
            &["-o", "id", "systemd-journal[nonsense=1]", "b<HOST>"],
            255,
            "ERROR: systemd-journal[nonsense=1]: \"nonsense\" is no option",
            "",
        ),
        (
            &["--what"],
            2,
            "",
            "Usage: fail2ban-regex [OPTIONS] LOG REGEX [IGNOREREGEX]\n\nfail2ban-regex: error: no such option: --what\n",
        ),
    ] {
        let said = bench.ours(words);
        assert_eq!((said.0, said.2.as_str()), (Some(code), err), "{words:?}");
        assert!(said.1.starts_with(out) && said.1.is_empty() == out.is_empty(), "{words:?}: {}", said.1);
    }
}
