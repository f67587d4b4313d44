//! Debian's fail2ban-regex (1.0.2) beside ours, on what both versions have in common.

use std::path::Path;

use super::Bench;
use crate::lab::skip;

const THEIRS: &str = "/usr/bin/fail2ban-regex";

const LONG: &str =
    "2026-01-02 03:04:05 begin a\n2026-01-02 03:04:05 x\n# no\n2026-01-02 03:04:05 end a 192.0.2.1\ny\nz";

/// The words of a command line each; `etc` is the tree.
#[rustfmt::skip]
const RUNS: &[&[&str]] = &[
    &["mail.log", "mail.conf"],
    &["mail.log", "mail.conf", "-v"],
    &["mail.log", "mail.conf[mode=strict]", "--print-all-matched", "-v"],
    &["mail.log", "mail.conf[mode=\"strict\", x=1]", "--print-all-missed", "--print-no-ignored"],
    &["mail.log", "mail.conf", "--no-check-all", "-v", "--print-all-matched"],
    &["mail.log", "mail.conf", "-o", "id"],
    &["mail.log", "mail.conf", "-o", "ip"],
    &["mail.log", "mail.conf", "-o", "msg"],
    &["mail.log", "mail.conf", "-o", "user"],
    &["mail.log", "mail.conf", "-o", "nothing"],
    &["mail.log", "mail.conf", "-o", "matches"],
    &["mail.log", "mail.conf", "-o", "<ip>|<F-USER>|<family>|<F-NOTHING>|<foo>|<<fid>>"],
    &["mail.log", "mail.conf", "-o", "<msg> of <ip>: <matches>"],
    &["mail.log", "etc/filter.d/mail.conf"],
    &["mail.log", "mail.conf", "-l", "critical", "-t", "--full-traceback"],
    &["mail.log", "from <HOST>$"],
    &["mail.log", "from <HOST>", "of guest", "-v", "--print-all-ignored"],
    &["mail.log", "wrong", "-D"],
    &["mail.log", "<F-ID>wrong</F-ID>", "-D", "--print-all-matched"],
    &["mail.log", "of (?P<who>\\S+)(?: from <ADDR>|<F-ID>x</F-ID>)", "-v"],
    &["mail.log", "(?P<who>\\S+) from <SUBNET>$", "-o", "who"],
    &["mail.log", "^<F-ID>.+</F-ID>: wrong", "-o", "id"],
    &["mail.log", "<F-ID>\\w+</F-ID> from <ADDR>", "-o", "<fid> <ip>"],
    &["mail.log", "from <HOST>", "-d", "%Y-%m-%d %H:%M:%S"],
    &["mail.log", "from <HOST>", "-d", "{NONE}"],
    &["mail.log", "from <HOST>", "-d", "^%Y", "-v"],
    &["mail.log", "from <HOST>", "-d", "%q"],
    &["mail.log", "from <HOST>", "--TZ", "UTC+0230", "-v"],
    &["mail.log", "from <HOST>", "--timezone=nowhere"],
    &["pairs.log", "pairs.conf", "-v"],
    &["pairs.log", "pairs.conf", "-L", "3", "--print-all-matched"],
    &["pairs.log", "pairs.conf", "-L", "20", "-v", "--print-all-matched"],
    &["pairs.log", "pairs.conf", "-o", "msg"],
    &["pairs.log", "pairs.conf", "-o", "<ip>: <msg>"],
    &["pairs.log", "pairs.conf", "begin c"],
    &["pairs.log", "pairs.conf", "noise", "--no-check-all", "-v"],
    &["19.log", "nothing <HOST>"],
    &["20.log", "nothing <HOST>"],
    &["20.log", "nothing <HOST>", "--print-all-missed"],
    &["30.log", "bad <HOST>", "bad"],
    &["30.log", "bad <HOST>", "bad", "--print-all-ignored"],
    &["30.log", "many.conf", "-v"],
    &["30.log", "many.conf", "--no-check-all", "--print-all-matched"],
    &["30.log", "late.conf", "-v"],
    &["30.log", "bad <HOST>", "-L", "4"],
    &["latin.log", "bad .* from <HOST>", "-o", "msg"],
    &["latin.log", "bad .* from <HOST>", "-e", "latin1", "-o", "msg"],
    &["latin.log", "bad .* from <HOST>", "-e", "ascii", "--print-all-matched"],
    &["empty.log", "bad <HOST>"],
    &["/nowhere.log", "bad <HOST>"],
    &["/dev/null", "bad <HOST>"],
    &["", "bad <HOST>"],
    &[LONG, "^ begin (?P<n>\\w)<SKIPLINES>^ end (?P=n) <HOST>$", "-L", "9"],
    &[LONG, "end \\w <HOST>"],
    &["1767323045.5 bad 192.0.2.1", "bad <HOST>", "-v"],
    &["@4000000043bb8d0a00000000 bad 192.0.2.1", "bad <HOST>", "-v"],
    &["Fri Jan 02 03:04:05 2026 bad 192.0.2.0/24", "bad <SUBNET>", "-v"],
    &["bad host.example", "bad <HOST>", "--usedns=raw", "-o", "id"],
    &["bad host.example", "bad <HOST>", "-r", "-o", "id"],
    &["bad host.example", "bad <HOST>", "--usedns=no"],
    &["mail.log", "nobody.conf"],
    &["mail.log", "nowhere.conf"],
    &["mail.log", "mail.conf[mode]"],
    &["mail.log", ""],
    &["mail.log", "nobody"],
    &["mail.log", "(?P<n>x) <F-USER>y</F-USER>"],
    &["mail.log", "from <HOST>", "x["],
    &["mail.log", "[a"],
    &["mail.log", "a**"],
    &["mail.log", "*a"],
    &["mail.log", "(?P<n>x)(?P<n>y)"],
    &["mail.log", "\\q"],
    &["mail.log", "a)"],
    &["mail.log", "(a"],
    &["mail.log", "(?<n>x)"],
    &["mail.log", "(?P=n)"],
    &["mail.log", "[z-a]"],
    &["mail.log", "a{3,1}"],
    &["mail.log", "(?<=a*)b"],
    &["mail.log", "x(?i)y"],
    &["mail.log", "from <HOST>", "-L", "-1"],
];

#[test]
fn debians_program_prints_the_same() {
    if !Path::new(THEIRS).exists() {
        return skip("Debian's fail2ban-regex beside ours: not installed");
    }
    let bench = Bench::new();
    for words in RUNS {
        let words: Vec<&str> = ["-c", "etc"].iter().chain(*words).copied().collect();
        let (code, theirs, _) = bench.run(Path::new(THEIRS), &words);
        let theirs = newer(&theirs);
        let (our_code, ours, err) = bench.ours(&words);
        assert_eq!((our_code, &*err), (code, ""), "{words:?}");
        assert_eq!(dated(&ours), dated(&theirs), "{words:?}");
    }
}

/// In the words of 1.1.
fn newer(text: &str) -> String {
    text.replace("Use   failregex filter file :", "Use      filter file :")
        .replace("(?:T|  ?)Ex24hourExMinuteExSecond", "(?:-|T|  ?)Ex24hour:?ExMinute:?ExSecond")
}

/// The present time, which a line without a date has, is not compared.
fn dated(text: &str) -> String {
    let year = jiff::Zoned::now().strftime("%a %b %d ").to_string();
    let lines = text.lines().map(|line| match line.split_once(&year) {
        Some((before, _)) if line.starts_with("|      ") => format!("{before}now"),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}
