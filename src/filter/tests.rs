use std::fmt::Write;

use proptest::prelude::*;

use super::*;

const NOW: UnixTime = UnixTime::from_secs(1_767_323_045); // 2026-01-02T03:04:05Z
const WEEK: Duration = Duration::from_secs(604_800);

fn reading() -> Reading {
    Reading { now: NOW, since: NOW, live: true, find_time: WEEK }
}

fn catching_up() -> Reading {
    Reading { live: false, ..reading() }
}

fn options(prefix: Option<&str>, patterns: &[&str]) -> FilterOptions {
    FilterOptions {
        prefix: prefix.map(str::to_owned),
        patterns: patterns.iter().map(|&pattern| pattern.to_owned()).collect(),
        ..FilterOptions::default()
    }
}

fn filter(prefix: Option<&str>, patterns: &[&str]) -> Filter {
    Filter::with_zone(&options(prefix, patterns), Zone::utc()).unwrap()
}

const SSHD_PREFIX: &str = r"^<F-MLFID>\s*\S+ sshd(?:-session)?\[\d+\]: </F-MLFID><F-CONTENT>.+</F-CONTENT>$";
const SSHD: &[&str] = &[
    r"^Failed (?!publickey)\S+ for (?:invalid user )?<F-USER>.*</F-USER> from <HOST> port \d+(?: ssh\d)?$",
    r"^<F-NOFAIL>Failed publickey</F-NOFAIL> for (?:invalid user )?<F-USER>.*</F-USER> from <HOST> port \d+(?: ssh\d)?(?:: .*)?$",
    r"^Invalid user <F-USER>.*</F-USER> from <HOST> port \d+$",
    r"^<F-NOFAIL>pam_unix</F-NOFAIL>\(sshd:auth\): authentication failure; .* rhost=<HOST>(?:  user=<F-USER>\S*</F-USER>)?\s*$",
    r"^<F-MLFGAINED>Accepted</F-MLFGAINED> \S+ for <F-USER>\S+</F-USER> from <HOST> port \d+ ssh\d(?:: .*)?$",
    r"^<F-NOFAIL><F-MLFFORGET>(?:Disconnected|Connection (?:closed|reset))</F-MLFFORGET></F-NOFAIL> (?:from|by) (?:\S+ user \S+ )?<HOST> port \d+(?: \[preauth\])?$",
];

/// The verdict in a word: `-` nothing, `~` pending, `old`, `ignored 0`, `?` undecided, or id, seconds from now, data.
fn said(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Nothing => "-".to_owned(),
        Outcome::Ignored(index) => format!("ignored {index}"),
        Outcome::Pending(_) => "~".to_owned(),
        Outcome::TooOld => "old".to_owned(),
        Outcome::Undecided => "?".to_owned(),
        Outcome::Failure(failure) => {
            let mut text = format!("{} {:+}", failure.id, failure.time.secs() - NOW.secs());
            for (name, value) in failure.data.iter() {
                let _ = write!(text, " {name}={value}");
            }
            text
        }
    }
}

/// So many cases of a property; `make fuzz` multiplies them.
pub(super) fn cases(count: u32) -> ProptestConfig {
    let times = std::env::var("STOCKADE_FUZZ").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    ProptestConfig::with_cases(count * times)
}

impl Filter {
    pub(super) fn patterns(&mut self) -> &mut Patterns {
        match &mut self.judge {
            Judge::Native(native) => &mut native.patterns,
            Judge::Fail2Ban(judge) => &mut judge.patterns,
        }
    }
}

fn judge(filter: &mut Filter, line: &str, at: &Reading) -> String {
    said(&filter.line(line.as_bytes(), at))
}

#[test]
fn who_failed() {
    for (pattern, line, want) in [
        ("^from <HOST>$", "from 192.0.2.1", "192.0.2.1 +0"),
        ("^from <HOST>$", "from [192.0.2.1]", "192.0.2.1 +0"),
        ("^from <HOST>$", "from ::ffff:192.0.2.1", "192.0.2.1 +0"),
        ("^from <HOST>$", "from 2001:DB8::0:1", "2001:db8::1 +0"),
        ("^from <HOST>$", "from 2001:db8::", "2001:db8:: +0"),
        ("^from <HOST>$", "from [2001:db8::1]", "2001:db8::1 +0"),
        ("^from <HOST>$", "from ::1", "::1 +0"),
        ("^from <HOST>$", "from 999.1.1.1", "-"),
        ("^from <HOST>$", "from 1:2:3", "-"),
        ("^from <HOST>$", "from example.com", "-"),
        ("^from <HOST>$", "from 192.0.2.1 ", "-"),
        ("^from <ADDR>:<F-PORT/>$", "from [2001:db8::1]:22", "2001:db8::1 +0 fport=22"),
        ("^from <SUBNET>$", "from 192.0.2.77/24", "192.0.2.0/24 +0"),
        ("^from <SUBNET>$", "from 192.0.2.77", "192.0.2.77 +0"),
        ("^from <SUBNET>$", "from 192.0.2.77/99", "-"),
        ("^from <SUBNET>$", "from [2001:db8::1/64]", "2001:db8::/64 +0"),
        ("^user <F-ID>.+</F-ID>$", "user bob smith", "bob smith +0"),
        ("^user <F-ID>.+</F-ID>$", "user 192.0.2.1", "192.0.2.1 +0"),
        ("^user <F-ID/>$", "user 0.0.0.0/0", "-"),
        ("^user <F-ID/>$", "user ::/0", "-"),
        ("^user <F-ID/>$", "user 192.0.2.1/32", "192.0.2.1 +0"),
        ("^user <F-ID/> at <HOST>$", "user bob at 192.0.2.1", "bob +0 ip=192.0.2.1"),
        ("^user <F-ID/>$", "user 0.0.0.0/0", "-"),
        ("^user <F-ID/>$", "user ::/0", "-"),
        ("^user <F-ID/>$", "user 192.0.2.1/32", "192.0.2.1 +0"),
        ("^user <F-ID/> at <HOST>$", "user 192.0.2.1 at 192.0.2.1", "192.0.2.1 +0"),
        ("^<F-USER>.*</F-USER>@<HOST>$", "a b@192.0.2.1", "192.0.2.1 +0 user=a b"),
        (
            "^<F-ALT-USER>x*</F-ALT-USER><F-ALT-USER_1>y+</F-ALT-USER_1>@<HOST>$",
            "yy@192.0.2.1",
            "192.0.2.1 +0 user=yy",
        ),
        ("^(?:<HOST>|unknown)$", "unknown", "-"),
        ("^(?:host|<IP4>|<IP6>)$", "2001:db8::7", "2001:db8::7 +0"),
    ] {
        assert_eq!(judge(&mut filter(None, &[pattern]), line, &reading()), want, "{pattern} {line}");
    }
}

#[test]
fn an_address_in_a_user_name_is_never_the_one_banned() {
    let mut filter = filter(Some(SSHD_PREFIX), SSHD);
    for user in [
        "192.0.2.66",
        "root from 192.0.2.66",
        "root from 192.0.2.66 port 22 ssh2",
        "x from 192.0.2.66 port 22 ssh2 from 192.0.2.67 port 1",
        "192.0.2.66 from ",
        "invalid user invalid user from 192.0.2.66",
        " sshd[1]: Failed password for root from 192.0.2.66 port 22 ssh2",
        "Jan  2 03:04:05 host sshd[1]: Failed password for root from 192.0.2.66 port 22 ssh2 from 2001:db8::66 port 4",
        "\u{e9} from [192.0.2.66]",
    ] {
        let line = format!(
            "Jan  2 03:04:05 mx sshd[7]: Failed password for invalid user {user} from 192.0.2.1 port 4 ssh2"
        );
        let Outcome::Failure(failure) = filter.line(line.as_bytes(), &reading()) else { panic!("{user:?}") };
        assert_eq!(
            (failure.id.to_string().as_str(), failure.data[0].1.as_str()),
            ("192.0.2.1", user),
            "{user:?}"
        );
        filter.restore(b"");
    }
}

#[test]
fn the_date_is_cut_out_of_the_line() {
    for (pattern, line, want) in [
        ("^ host x: <HOST>$", "Jan  2 03:04:00 host x: 192.0.2.1", "192.0.2.1 -5"),
        ("^ host x: <HOST>$", "2026-01-02T03:04:01.5+00:00 host x: 192.0.2.1", "192.0.2.1 -4"),
        (r"^<HOST> - \[\] GET$", "192.0.2.1 - [02/Jan/2026:03:04:02 +0000] GET", "192.0.2.1 -3"),
        (r"^<34>1  host <HOST>$", "<34>1 2026-01-02T03:04:03Z host 192.0.2.1", "192.0.2.1 -2"),
        (r"^\[\] <HOST>$", "[1767323044] 192.0.2.1", "192.0.2.1 -1"),
        ("^no date <HOST>$", "no date 192.0.2.1", "192.0.2.1 +0"),
        // Not a day: cut all the same, the moment is that of the reading.
        ("^ host x: <HOST>$", "Feb 30 03:04:00 host x: 192.0.2.1", "192.0.2.1 +0"),
    ] {
        assert_eq!(judge(&mut filter(None, &[pattern]), line, &reading()), want, "{pattern} {line}");
    }
}

/// A literal of the pattern may be joined by the cut: then it does not stand in the line as it was written.
#[test]
fn a_block_finds_literals_that_the_cut_joins() {
    for (pattern, line) in [
        (r#"^<HOST> - - \[\] "GET /secret$"#, r#"192.0.2.1 - - [02/Jan/2026:03:04:02 +0000] "GET /secret"#),
        (r"^<HOST> - user\[\]$", "192.0.2.1 - user[02/Jan/2026:03:04:02 +0000]"),
        (r"^\[\] <HOST>$", "[1767323044] 192.0.2.1"),
        (r"^--abc <HOST>$", "--1767323044abc 192.0.2.1"),
        (r"^--: abc <HOST>$", "--1767323044: abc 192.0.2.1"),
    ] {
        let mut said = Vec::new();
        let mut filter = filter(None, &[pattern]);
        filter.block(
            format!("x\n{line}\n").as_bytes().into(),
            &reading(),
            Wanted::Everything,
            &mut |_, outcome| {
                said.push(self::said(&outcome));
            },
        );
        assert_eq!(said.len(), usize::from(line != "--1767323044abc 192.0.2.1"), "{pattern}: {said:?}");
    }
}

#[test]
fn rules_of_time() {
    let hour = Duration::from_secs(3600);
    let restarted = Reading { since: NOW - hour, ..reading() };
    for (date, at, want) in [
        ("Jan  2 03:04:05", reading(), "+0"),
        ("Jan  2 03:03:05", reading(), "-60"),
        ("Jan  2 03:03:04", reading(), "+0"),
        ("Jan  1 03:04:05", reading(), "+0"),
        ("Jan  2 03:05:05", reading(), "+0"),
        ("Jan  2 13:05:05", reading(), "+0"),
        ("-", reading(), "+0"),
        // Read after a restart: written some time since the last saved read.
        ("Jan  2 02:30:05", restarted, "-2040"),
        ("Jan  2 02:04:05", restarted, "-3600"),
        ("Jan  2 02:03:05", restarted, "-3660"),
        ("Jan  2 02:03:04", restarted, "-3600"),
        ("Jan  1 02:03:04", restarted, "-3600"),
        // Old content.
        ("Jan  2 03:03:04", catching_up(), "-61"),
        ("Dec 26 03:04:05", catching_up(), "-604800"),
        ("Dec 26 03:04:04", catching_up(), "old"),
        ("Jan  2 04:04:05", catching_up(), "+0"),
        ("-", catching_up(), "old"),
        ("Feb 30 03:04:05", catching_up(), "old"),
    ] {
        let line = format!("{date} 192.0.2.1");
        let got = judge(&mut filter(None, &["^(?:-)? <HOST>$"]), &line, &at);
        assert_eq!(got.trim_start_matches("192.0.2.1 "), want, "{date} {at:?}");
    }
}

#[test]
fn an_undated_line_takes_the_last_date_if_that_is_fresh() {
    for (first, at, want) in [
        ("Jan  2 03:04:00 nothing", reading(), "192.0.2.1 -5"),
        ("Jan  2 03:03:05 nothing", reading(), "192.0.2.1 +0"),
        ("Jan  2 03:03:06 nothing", reading(), "192.0.2.1 -59"),
        ("Jan  2 03:04:00 nothing", catching_up(), "192.0.2.1 -5"),
        ("Jan  2 03:03:05 nothing", catching_up(), "old"),
    ] {
        let mut filter = filter(None, &["^x <HOST>$"]);
        assert_eq!(judge(&mut filter, first, &at), "-");
        assert_eq!(judge(&mut filter, "x 192.0.2.1", &at), want, "{first} {at:?}");
    }
}

#[test]
fn the_first_pattern_wins_and_ignore_patterns_can_forbid_it() {
    let mut options = options(None, &["^a <HOST>$", "^. <HOST>$", "^b <HOST>$"]);
    options.ignore = vec!["never".to_owned(), r"192\.0\.2\.[0-4]$".to_owned()];
    let mut filter = Filter::with_zone(&options, Zone::utc()).unwrap();
    for (line, want) in [("a 192.0.2.7", 0), ("b 192.0.2.7", 1)] {
        let Outcome::Failure(failure) = filter.line(line.as_bytes(), &reading()) else { panic!("{line}") };
        assert_eq!(failure.pattern, want, "{line}");
    }
    assert_eq!(judge(&mut filter, "b 192.0.2.4", &reading()), "ignored 1");
    assert_eq!(filter.pattern_text(1), "^. <HOST>$");
    assert_eq!(filter.pattern_text(9), "");
}

#[test]
fn a_prefix_without_a_plain_end_works_too() {
    for (prefix, line, want) in [
        (r"^x <F-CONTENT>.+</F-CONTENT> y$", "x 192.0.2.1 y", "192.0.2.1 +0"),
        (r"^x <F-CONTENT>.*</F-CONTENT>$", "x 192.0.2.1", "192.0.2.1 +0"),
        (r"^(?=x)\S <F-CONTENT>.+</F-CONTENT>$", "x 192.0.2.1", "192.0.2.1 +0"),
        (r"^x (?:<F-CONTENT>.+</F-CONTENT>)$", "x 192.0.2.1", "192.0.2.1 +0"),
        (r"^x <F-USER>\S+</F-USER> <F-CONTENT>.+</F-CONTENT>$", "x bob 192.0.2.1", "192.0.2.1 +0 user=bob"),
        // The head would take all: it has to give something back.
        (r"^x.* ?<F-CONTENT>.+</F-CONTENT>$", "x 1", "-"),
        (r"^x\d* <F-CONTENT>.+</F-CONTENT>$", "y 192.0.2.1", "-"),
        // No content: the patterns see the whole line.
        (r" y$", "192.0.2.1 y", "-"),
        (r"^\d", "192.0.2.1", "192.0.2.1 +0"),
    ] {
        assert_eq!(
            judge(&mut filter(Some(prefix), &["^<HOST>$"]), line, &reading()),
            want,
            "{prefix} {line}"
        );
    }
}

#[test]
fn groups_of_the_prefix_are_inherited_and_replaced() {
    let mut filter = filter(
        Some(r"^<F-USER>\w+</F-USER>@<HOST> <F-CONTENT>.+</F-CONTENT>$"),
        &["^failed$", "^failed as <F-USER>.*</F-USER>$", "^failed (?:x|<F-USER>y</F-USER>)$"],
    );
    for (line, want) in [
        ("a@192.0.2.1 failed", "192.0.2.1 +0 user=a"),
        ("a@192.0.2.1 failed as b", "192.0.2.1 +0 user=b"),
        ("a@192.0.2.1 failed x", "192.0.2.1 +0 user=a"),
        ("a@192.0.2.1 failed y", "192.0.2.1 +0 user=y"),
    ] {
        assert_eq!(judge(&mut filter, line, &reading()), want, "{line}");
    }
}

#[test]
fn conditionals_and_look_around_keep_their_meaning() {
    let pattern = r"^(?:<F-X>quoted</F-X> )?from (?(x)'<HOST>'|<IP4>)$";
    assert_eq!(
        Filter::with_zone(&options(None, &[pattern]), Zone::utc()).unwrap_err()[0].to_string(),
        "patterns[0] does not compile: there is a second <HOST> at `(?P<ip4>(?:\\d{1,3}\\.`"
    );
    let mut filter =
        filter(None, &[r"^(?P<x>q )?from (?(x)'|)<HOST>(?(x)'|)$", r"^(?<!a)b(?= )(?!  ) <HOST>$"]);
    for (line, want) in [
        ("from 192.0.2.1", "192.0.2.1 +0"),
        ("q from '192.0.2.1'", "192.0.2.1 +0 x=q "),
        ("q from 192.0.2.1", "-"),
        ("from '192.0.2.1'", "-"),
        ("b 192.0.2.1", "192.0.2.1 +0"),
        ("b  192.0.2.1", "-"),
    ] {
        assert_eq!(judge(&mut filter, line, &reading()), want, "{line}");
    }
}

#[test]
fn bytes_that_are_no_text_match_and_are_shown_as_text() {
    let mut filter = filter(None, &[r"^user <F-USER>.*</F-USER> from <HOST>$"]);
    let Outcome::Failure(failure) = filter.line(b"user \xff\x00\xc3\xa9 from 192.0.2.1", &reading()) else {
        panic!()
    };
    assert_eq!(failure.data[0].1, "\u{fffd}\0\u{e9}");
    assert_eq!(&*failure.lines[0], "user \u{fffd}\0\u{e9} from 192.0.2.1");

    let long =
        [b"user ".to_vec(), "\u{e9}".repeat(30_000).into_bytes(), b" from 192.0.2.1".to_vec()].concat();
    let Outcome::Failure(failure) = filter.line(&long, &reading()) else { panic!() };
    assert_eq!((failure.data[0].1.len(), failure.lines[0].len()), (512, 1_999));
}

#[test]
fn at_its_limit_an_engine_says_so() {
    let hard = r"^(?=x)(?:x+x+)+y<HOST>$";
    let mut filter = filter(None, &[hard]);
    let line = format!("{}y192.0.2.1", "x".repeat(40));
    assert_eq!(judge(&mut filter, &line, &reading()), "192.0.2.1 +0");
    // The over-approximation tells that this is none, however long fancy-regex would take.
    assert_eq!(judge(&mut filter, &format!("{line} "), &reading()), "-");
    assert_eq!(judge(&mut filter, &"x".repeat(60_000), &reading()), "-");

    let mut filter = super::tests::filter(None, &[r"^(?:x+x+)+(?<!x)y<HOST>$"]);
    assert_eq!(judge(&mut filter, &line, &reading()), "?");
    assert_eq!(judge(&mut filter, &format!("{}y192.0.2.1", "x".repeat(60_000)), &reading()), "?");
}

#[test]
fn every_mistake_is_named_at_once() {
    let options = FilterOptions {
        prefix: Some("(".to_owned()),
        patterns: ["<HOST>", "a**<HOST>", "", "no host", "<F-USER>x", "x</F-USER>", "<DNS>", "<loop>"]
            .map(str::to_owned)
            .to_vec(),
        ignore: vec!["[".to_owned()],
        define: vec![("loop".to_owned(), "a<loop>".to_owned())],
        ..FilterOptions::default()
    };
    let errors = Filter::with_zone(&options, Zone::utc()).unwrap_err();
    let got: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        got,
        [
            "prefix does not compile: `(` is never closed at `(`",
            "patterns[1] does not compile: a repetition is repeated at `*\\[?(?:(?:::[Ff]{4,6`",
            "patterns[2] is empty",
            "patterns[4] opens <F-USER> and does not close it",
            "patterns[5] has </F-USER> without the tag that opens it",
            "patterns[6] has <DNS>, but names are never looked up: use <HOST>",
            "patterns[7] uses <loop>, which contains itself",
            "ignore[0] does not compile: `[` is never closed at `[`",
        ]
    );
    assert_eq!(errors[1].option(), ("patterns", Some(1)));
    let mistakes =
        Filter::with_zone(&super::tests::options(None, &["a", "<HOST>", "b"]), Zone::utc()).unwrap_err();
    let got: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    assert_eq!(got, ["patterns[0] has no <HOST>", "patterns[2] has no <HOST>"]);
}

#[test]
fn fragments_nest_and_keep_their_branches_together() {
    let mut options = options(None, &["^<who> (?P<user>x)<at>$"]);
    options.define = [("who", "user <name>"), ("name", "a|b"), ("at", " at <HOST>"), ("user", "never")]
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .to_vec();
    let mut filter = Filter::with_zone(&options, Zone::utc()).unwrap();
    assert_eq!(judge(&mut filter, "user b x at 192.0.2.1", &reading()), "192.0.2.1 +0 user=x");
    assert_eq!(judge(&mut filter, "user a", &reading()), "-");
}

#[test]
fn state_goes_through_a_restart_in_the_middle_of_a_session() {
    let lines = [
        "Jan  2 03:04:01 mx sshd[7]: pam_unix(sshd:auth): authentication failure; logname= uid=0 rhost=192.0.2.1  user=root",
        "Jan  2 03:04:02 mx sshd[7]: Failed password for root from 192.0.2.1 port 4 ssh2",
        "Jan  2 03:04:03 mx sshd[7]: Failed publickey for bob from 192.0.2.1 port 4 ssh2",
        "Jan  2 03:04:04 mx sshd[7]: Connection closed by 192.0.2.1 port 4 [preauth]",
    ];
    let judge_all = |restart_before: usize| {
        let mut filter = filter(Some(SSHD_PREFIX), SSHD);
        lines
            .iter()
            .enumerate()
            .map(|(index, line)| {
                if index == restart_before {
                    let state = filter.state();
                    filter = super::tests::filter(Some(SSHD_PREFIX), SSHD);
                    filter.restore(&state);
                }
                filter.line(line.as_bytes(), &reading())
            })
            .collect::<Vec<_>>()
    };
    let whole = judge_all(usize::MAX);
    for restart in 0..lines.len() {
        assert_eq!(judge_all(restart), whole, "restart before line {restart}");
    }
    let said: Vec<String> = whole.iter().map(said).collect();
    assert_eq!(said, ["~", "192.0.2.1 -3 user=root", "192.0.2.1 -2 user=bob", "192.0.2.1 -1 user=bob"]);
}

#[test]
fn a_filter_can_move_to_another_thread() {
    fn moves<T: Send + 'static>() {}
    moves::<Filter>();
}

#[test]
fn a_state_that_is_none_begins_anew() {
    let mut filter = filter(None, &["^<HOST>$"]);
    for state in [
        &b""[..],
        b"null",
        b"{}",
        b"[1",
        b"{\"last\":\"x\"}",
        &[0xff; 40],
        b"{\"last\":1,\"sessions\":{\"known\":[{}]}}",
    ] {
        filter.restore(state);
        assert_eq!(
            filter.state(),
            super::tests::filter(None, &["^<HOST>$"]).state(),
            "{}",
            state.escape_ascii()
        );
    }
}

/// Lines as attackers and ordinary programs write them, damaged here and there.
fn lines() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let date = prop::sample::select(vec![
        "Jan  2 03:04:0",
        "Jan  2 03:02:0",
        "Dec 20 03:04:0",
        "Feb 30 03:04:0",
        "2026-01-02T03:04:0",
        "[2026-01-02 03:03:1",
        "<34>1 2026-01-02T03:04:0",
        "x [02/Jan/2026:03:04:0",
        "",
        "undated ",
    ]);
    let body = prop::sample::select(vec![
        "] \"Failed password for root from 192.0.2.1 port 4 ssh2",
        "mx sshd[7]: Failed password for invalid user  from 192.0.2.1 port 4 ssh2",
        "mx sshd[8]: Failed publickey for bob from 192.0.2.2 port 4 ssh2",
        "mx sshd[8]: Invalid user from 192.0.2.66 from 2001:db8::1 port 4",
        "mx sshd-session[7]: pam_unix(sshd:auth): authentication failure; logname= uid=0 rhost=192.0.2.1  user=root",
        "mx sshd[8]: Accepted publickey for bob from 192.0.2.2 port 4 ssh2: ED25519 x",
        "mx sshd[8]: Connection closed by 192.0.2.2 port 4 [preauth]",
        "mx sshd[8]: Disconnected from invalid user a 999.0.2.2 port 4 [preauth]",
        "mx CRON[1]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)",
        "",
    ]);
    let damage = prop::option::weighted(0.3, (any::<prop::sample::Index>(), any::<u8>()));
    let line = (date, "[0-9]Z? ?", body, damage).prop_map(|(date, end, body, damage)| {
        let mut line =
            if date.len() < 9 { format!("{date}{body}") } else { format!("{date}{end}{body}") }.into_bytes();
        if let Some((at, byte)) = damage
            && !line.is_empty()
            && byte != b'\n'
        {
            let at = at.index(line.len());
            line[at] = byte;
        }
        line
    });
    prop::collection::vec(line, 0..30)
}

proptest! {
    #![proptest_config(cases(100))]

    /// A block judged at once gives what its lines give one by one, to a filter that has neither literals nor
    /// over-approximations: what is passed over means nothing, and that its date was not read cannot be told.
    #[test]
    fn blocks_are_judged_as_their_lines(lines in lines(), live in any::<bool>(), cut in any::<prop::sample::Index>()) {
        let at = Reading { live, ..reading() };
        for prefix in [Some(SSHD_PREFIX), None] {
            let mut patient = filter(prefix, SSHD);
            patient.patterns().literals = None;
            patient.patterns().first.gate = prefilter::Gate::default();
            let mut want = Vec::new();
            for line in &lines {
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                let outcome = patient.line(line, &at);
                if outcome != Outcome::Nothing {
                    want.push((line.to_vec(), outcome));
                }
            }
            let mut quick = filter(prefix, SSHD);
            assert!(quick.patterns().literals.is_some());
            let mut got = Vec::new();
            let (first, second) = lines.split_at(cut.index(lines.len() + 1));
            for lines in [first, second] {
                let block: Vec<u8> = lines.iter().flat_map(|line| [line, &b"\n"[..]].concat()).collect();
                quick.block((&block[..]).into(), &at, Wanted::Everything, &mut |line, outcome| got.push((line.to_vec(), outcome)));
            }
            prop_assert_eq!(got, want);
            prop_assert_eq!(quick.state(), patient.state());
        }
    }

    #[test]
    fn no_line_makes_it_panic(line in prop::collection::vec(any::<u8>(), 0..200), state in prop::collection::vec(any::<u8>(), 0..60)) {
        let mut filter = filter(Some(SSHD_PREFIX), SSHD);
        filter.restore(&state);
        filter.line(&line, &reading());
        filter.block((&line[..]).into(), &catching_up(), Wanted::Failures, &mut |_, _| {});
    }
}

#[test]
fn the_state_changes_only_when_something_is_remembered() {
    let mut filter = filter(None, &["^ <HOST>$"]);
    for (line, want) in [
        ("Jan  2 03:04:01 192.0.2.1", true),
        ("Jan  2 03:04:01 192.0.2.2", false),
        ("Jan  2 03:04:02 no failure", true),
        ("undated", false),
    ] {
        filter.line(line.as_bytes(), &reading());
        assert_eq!(filter.state_changed(), want, "{line}");
        assert!(!filter.state_changed());
    }
}
