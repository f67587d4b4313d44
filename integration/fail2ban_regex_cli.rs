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
        r#"[INCLUDES]
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
"#,
    ),
    ("shared", "[DEFAULT]\n__daemon = maild|smtpd\n"),
    (
        "pairs",
        "[Definition]\nfailregex = ^ begin (?P<n>\\w)<SKIPLINES>^ end (?P=n) <HOST>$\n  ^ lone <HOST>\nmaxlines = 5\n",
    ),
    (
        "many",
        "[Definition]\nfailregex = bad <HOST>\n bad <HOST>$\n ad <HOST>\n\\bd <HOST>\nignoreregex = 192.0.2.9\n \\.8$\n",
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

const ALL: &str = r"
Running tests
=============

Use      filter file : mail, basedir: etc
Use         log file : mail.log
Use         encoding : UTF-8


Results
=======

Prefregex: 12 total
|  ^ (?:maild|smtpd): (?P<mlfid>\w+): (?P<content>.+)$
`-

Failregex: 12 total
|-  #) [# of hits] regular expression
|   1) [1] ^<F-NOFAIL>hello</F-NOFAIL> <HOST>$
|   2) [4] ^wrong password of <F-USER>\S*</F-USER>(?: from <HOST>)?$
|   3) [4] ^wrong \w+
|   4) [1] ^<F-MLFGAINED>welcome</F-MLFGAINED> <F-USER>\S+</F-USER> <HOST>$
|   5) [2] ^<F-MLFFORGET>bye</F-MLFFORGET>(?: <HOST>)?$
`-

Ignoreregex: 2 total
|-  #) [# of hits] regular expression
|   1) [2] of guest
`-

Date template hits:
|- [# of hits] date format
|  [12] {^LN-BEG}ExYear(?P<_sep>[-/.])Month(?P=_sep)Day(?:T|  ?)24hour:Minute:Second(?:[.,]Microseconds)?(?:\s*Zone offset)?
`-
";

#[test]
fn blocks_as_fail2ban_prints_them() {
    let bench = Bench::new();
    let out = bench.printed(&["-c", "etc", "mail.log", "mail.conf", "--print-all-matched"]);
    let (blocks, lines) = out.split_once("\nLines: ").unwrap();
    println!("{out}");
    assert_eq!(format!("{blocks}"), ALL.strip_suffix('\n').map_or(ALL, |text| text).to_owned() + "\n");
    assert!(lines.starts_with("14 lines"), "{lines}");
}
