use crate::sandbox::Closed;
use std::sync::Arc;

use super::*;
use crate::control::request::FileStatus;
use crate::id::Id;
use crate::jail::Spared;

const NOW: i64 = 1_767_323_045; // 2026-01-02 03:04:05 UTC

fn view() -> View {
    View {
        now: UnixTime::from_secs(NOW),
        zone: TimeZone::fixed(jiff::tz::offset(1)),
        width: None,
        colour: false,
        detail: false,
    }
}

fn shown(response: &Response, view: &View) -> String {
    let mut out = Vec::new();
    write(&mut out, response, view).unwrap();
    String::from_utf8(out).unwrap()
}

fn ban(id: &str, state: &str, until: Option<i64>, failures: u32) -> BanStatus {
    BanStatus {
        id: Id::parse(id),
        since: UnixTime::from_secs(NOW - 3600),
        until: until.map(|secs| UnixTime::from_secs(NOW + secs)),
        count: 2,
        failures,
        state: state.to_owned().into(),
        lines: vec![Arc::from("Jan  2 sshd: bad \x1b]0;owned\x07")],
    }
}

fn sshd() -> JailStatus {
    JailStatus {
        name: "sshd".into(),
        number: 2,
        state: "running".into(),
        enforcement: "nftables: drop tcp 22 in input".into(),
        max_retry: 6,
        find_time: 604_800,
        ban_time: Some(604_800),
        files: vec![
            FileStatus { path: "/var/log/auth.log".into(), state: "reading".into(), offset: 512, cut: 1 },
            FileStatus {
                path: "/var/log/secure".into(),
                state: "waiting for it to appear".into(),
                ..FileStatus::default()
            },
        ],
        lines: 1234,
        failed_now: 1,
        failed_total: 17,
        ignored_total: 3,
        banned_now: 2,
        banned_total: 4,
        ..JailStatus::default()
    }
}

fn status(jails: Vec<JailStatus>) -> Response {
    Response::Status(Box::new(Status {
        version: "0.1.0".into(),
        pid: 4711,
        started: UnixTime::from_secs(NOW - 183_601),
        ready: true,
        store: "/var/lib/stockade/stockade.sqlite3".into(),
        sandbox: Some(Closed {
            capabilities: "CAP_NET_ADMIN".into(),
            no_new_privs: true,
            landlock: Some(4),
            seccomp: false,
            broker: Some(12),
            open: vec!["system calls (seccomp): refused".into()],
        }),
        drifts: Drifts::default(),
        cuts: Cuts::default(),
        warnings: vec!["nginx: jails.d/nginx.toml:3: unknown mode".into()],
        on_trial: None,
        panics: 0,
        jails,
    }))
}

#[test]
fn what_others_did_to_the_firewall_is_shown() {
    let Response::Status(mut status) = status(Vec::new()) else { unreachable!() };
    status.drifts = Drifts {
        seen: 3,
        healed: 1,
        by: Some("nft\u{1b} (pid 7)".into()),
        at: Some(UnixTime::from_secs(NOW - 60)),
        waits_until: Some(UnixTime::from_secs(NOW + 8)),
        deaf: None,
    };
    let text = shown(&Response::Status(status), &view());
    for line in [
        "banned hosts get in until they are put back, in 8s",
        "firewall: changed by others 3 times, the last time by nft\\u{1b} (pid 7) at 2026-01-02 04:03:05; put back 1 time\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[test]
fn what_waits_to_be_confirmed_and_who_is_spared_is_shown() {
    let spared = Spared {
        id: Id::parse("198.51.100.7"),
        why: "root is logged in from 198.51.100.7 (pts/0\u{1b})".into(),
        times: 2,
        last: UnixTime::from_secs(NOW),
    };
    let sshd = JailStatus { spared: vec![spared], spared_total: 3, ..sshd() };
    let Response::Status(mut status) = status(vec![sshd]) else { unreachable!() };
    let (since, until) = (UnixTime::from_secs(NOW - 20), UnixTime::from_secs(NOW + 40));
    status.on_trial = Some(OnTrial { since, until, jails: vec!["sshd".into()] });
    let response = Response::Status(status);
    let spared = "198.51.100.7 is not banned: root is logged in from 198.51.100.7 (pts/0\\u{1b}) (2 times)";
    let text = shown(&response, &view());
    for line in [
        "warning: the configuration of 2026-01-02 04:03:45 (sshd) awaits `stockade confirm`, or the one before returns in 40s\n",
        &format!("spared: sshd: {spared}\n"),
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    let text = shown(&response, &View { detail: true, ..view() });
    assert!(text.contains(&format!("  spared       {spared}\n")), "{text}");
    assert!(text.contains("2 now, 4 in total, 3 not made (own addresses"), "{text}");
}

#[test]
fn what_was_cut_is_shown_and_what_cannot_be() {
    let Response::Status(mut status) = status(Vec::new()) else { unreachable!() };
    assert!(!shown(&Response::Status(status.clone()), &view()).contains("connections"));
    status.cuts = Cuts { connections: 3, hosts: 1, missed: 2, cannot: Some("no\nway".into()) };
    let text = shown(&Response::Status(status), &view());
    for line in [
        "cut: 3 connections of 1 ban\n",
        "warning: too many bans at once: the connections of 2 bans were not cut\n",
        "warning: connections of banned hosts end by themselves only: no\\nway\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[test]
fn an_overview_names_what_is_wrong_first() {
    let dovecot = JailStatus {
        name: "dovecot".into(),
        number: 1,
        state: "parked".into(),
        enforcement: "notify only".into(),
        not_enforced: vec![(Id::parse("192.0.2.1"), "the set is full".into())],
        ..JailStatus::default()
    };
    let response = status(vec![dovecot, sshd()]);
    let want = "\
stockade 0.1.0 (pid 4711), ready, up 2d 3h
warning: nginx: jails.d/nginx.toml:3: unknown mode
warning: dovecot: 1 ban is not enforced, such as 192.0.2.1: the set is full
store: /var/lib/stockade/stockade.sqlite3
sandbox: CAP_NET_ADMIN, no new privileges, landlock 4, command broker 12
not closed: system calls (seccomp): refused

 NO  JAIL     STATE       FAILED     TOTAL     BANNED     TOTAL  ENFORCEMENT
  1  dovecot  parked           ?         ?          ?         ?  notify only
  2  sshd     running          1        17          2         4  nftables: drop tcp 22 in input
";
    assert_eq!(shown(&response, &view()), want);

    let narrow = shown(&response, &View { width: Some(80), ..view() });
    let table: Vec<_> = narrow.lines().skip(7).collect();
    assert!(table.iter().all(|line| line.chars().count() <= 80), "{narrow}");
    assert!(table[2].ends_with("nftables: drop…"), "{narrow}");

    let coloured = shown(&response, &View { colour: true, ..view() });
    assert!(coloured.contains("\x1b[31mwarning:\x1b[0m nginx"), "{coloured}");
    assert!(coloured.contains("\x1b[31m  1  dovecot  parked"), "{coloured}");
    assert!(coloured.ends_with(
        "  2  sshd     running          1        17          2         4  nftables: drop tcp 22 in input\n"
    ));
}

#[test]
fn one_jail_is_told_in_full() {
    let mut jail = sshd();
    jail.undecided_total = 5;
    jail.evicted_total = 7;
    jail.bans = vec![
        ban("192.0.2.7", "enforced", Some(604_799), 6),
        ban("2001:db8::/64", "not enforced: no room", None, 0),
    ];
    jail.not_enforced = vec![(Id::parse("2001:db8::/64"), "no room".into())];
    let want = "\
stockade 0.1.0 (pid 4711), ready, up 2d 3h
warning: nginx: jails.d/nginx.toml:3: unknown mode
warning: sshd: 1 ban is not enforced, such as 2001:db8::/64: no room
store: /var/lib/stockade/stockade.sqlite3
sandbox: CAP_NET_ADMIN, no new privileges, landlock 4, command broker 12
not closed: system calls (seccomp): refused

sshd: running
  rule         6 failures within 1w: banned for 1w
  enforcement  nftables: drop tcp 22 in input
  reload alone stockade reload sshd, or SIGRTMIN+2
  files        /var/log/auth.log: reading at byte 512, 1 long line cut
               /var/log/secure: waiting for it to appear
  lines        1234 read, 5 undecided (the regexes did not come to an end)
  failures     17 in total, 3 ignored; 1 address counted now, 7 given up for lack of room
  bans         2 now, 4 in total
  not enforced 2001:db8::/64: no room

  BANNED         SINCE                UNTIL                   LEFT  TIMES  FAILURES  STATE
  192.0.2.7      2026-01-02 03:04:05  2026-01-09 04:04:04   6d 23h      2         6  enforced
  2001:db8::/64  2026-01-02 03:04:05  for ever                          2   by hand  not enforced: no room
";
    assert_eq!(shown(&status(vec![jail]), &View { detail: true, ..view() }), want);

    let by_hand = JailStatus { files: Vec::new(), ban_time: None, ..sshd() };
    let text = shown(&status(vec![by_hand]), &View { detail: true, ..view() });
    assert!(text.contains("\n  rule         bans by hand only, for ever unless told otherwise\n"), "{text}");
}

#[test]
fn of_a_jail_that_does_not_answer_nothing_is_made_up() {
    let silent = JailStatus {
        name: "sshd".into(),
        number: 2,
        state: "busy: it has not answered for 2 s".into(),
        enforcement: "nftables: drop tcp 22 in input".into(),
        ..JailStatus::default()
    };
    let text = shown(&status(vec![silent]), &View { detail: true, ..view() });
    let want = "
sshd: busy: it has not answered for 2 s
  enforcement  nftables: drop tcp 22 in input
  reload alone stockade reload sshd, or SIGRTMIN+2
  all else     is not known, as long as it does not answer
";
    assert!(text.ends_with(want), "{text}");
}

#[test]
fn bans_by_jail_and_nothing_that_speaks_to_the_terminal() {
    let told =
        |jail: &str, ban: BanStatus| JailBans { jail: jail.into(), bans: vec![ban], ..JailBans::default() };
    let silent = |jail: &str| JailBans {
        jail: jail.into(),
        unknown: Some("busy: it has not answered for 2 s".into()),
        ..JailBans::default()
    };
    let jails = vec![
        JailBans { jail: "custom".into(), ..JailBans::default() },
        silent("stuck"),
        told("sshd", ban("192.0.2.7", "enforced", Some(90), 6)),
        told("web", ban("eve\u{202e}\n", "wanted", Some(-1), 6)),
    ];
    let stuck = "warning: stuck: who is banned is not known, for it is busy: it has not answered for 2 s\n";
    let want = "\
sshd: 1 banned
  BANNED     SINCE                UNTIL                   LEFT  TIMES  FAILURES  STATE
  192.0.2.7  2026-01-02 03:04:05  2026-01-02 04:05:35   1m 30s      2         6  enforced
    Jan  2 sshd: bad \\u{1b}]0;owned\\u{7}

web: 1 banned
  BANNED         SINCE                UNTIL                   LEFT  TIMES  FAILURES  STATE
  eve\\u{202e}\\n  2026-01-02 03:04:05  2026-01-02 04:04:04       0s      2         6  wanted
    Jan  2 sshd: bad \\u{1b}]0;owned\\u{7}
";
    let shown_all = shown(&Response::Banned(jails), &View { detail: true, ..view() });
    assert_eq!(shown_all, format!("{stuck}{want}"));
    assert_eq!(shown(&Response::Banned(vec![]), &view()), "nobody is banned\n");
    assert_eq!(shown(&Response::Banned(vec![silent("stuck")]), &view()), stuck);
}

#[test]
fn short_answers() {
    let verdict = |id: &str, jail: &str, what: &str| Verdict {
        id: id.into(),
        jail: jail.into(),
        done: true,
        what: what.into(),
        ..Verdict::default()
    };
    let reloaded = |moved: &[&str], same: &[&str], mistakes: &[&str]| {
        let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let (moved, same, mistakes) = (list(moved), list(same), list(mistakes));
        Response::Reloaded(Reloaded { moved, same, mistakes, confirm_until: None })
    };
    for (response, want) in [
        (
            Response::Pong { version: "0.1.0".into(), pid: 7, ready: false },
            "stockade 0.1.0 (pid 7), starting\n",
        ),
        (
            Response::Verdicts(vec![
                verdict("192.0.2.1", "sshd", "banned until 2026-01-09T03:04:05Z"),
                verdict("x\r", "", "`x\r` is neither"),
            ]),
            "sshd: 192.0.2.1: banned until 2026-01-09T03:04:05Z\nx\\r: `x\\r` is neither\n",
        ),
        (reloaded(&["sshd: ports"], &["a", "b"], &[]), "sshd: ports\nunchanged: a, b\n"),
        (reloaded(&[], &["a", "b"], &[]), "nothing differs in a, b\n"),
        (reloaded(&[], &["a"], &["x.toml:1: y: z"]), "unchanged: a\nx.toml:1: y: z\n"),
        (reloaded(&[], &[], &["x.toml:1: y: z"]), "x.toml:1: y: z\n"),
        (reloaded(&[], &[], &[]), "there is no jail to reload\n"),
        (Response::Confirmed { jails: vec![] }, "confirmed\n"),
        (Response::Confirmed { jails: vec!["a".into(), "b".into()] }, "confirmed: a, b\n"),
        (
            Response::Reloaded(Reloaded {
                moved: vec!["sshd: max_retry".into()],
                confirm_until: Some(UnixTime::from_secs(NOW)),
                ..Reloaded::default()
            }),
            "sshd: max_retry\non trial: unless `stockade confirm` comes before 2026-01-02 04:04:05, the configuration before returns\n",
        ),
        (Response::Log { level: "INFO".into(), target: "STDOUT".into() }, "level INFO, target STDOUT\n"),
        (Response::Stopping, "stopping\n"),
        (Response::Error("not ready".into()), "not ready\n"),
        (
            status(vec![]),
            "stockade 0.1.0 (pid 4711), ready, up 2d 3h\nwarning: nginx: jails.d/nginx.toml:3: unknown mode\nstore: /var/lib/stockade/stockade.sqlite3\nsandbox: CAP_NET_ADMIN, no new privileges, landlock 4, command broker 12\nnot closed: system calls (seccomp): refused\n\nno jail runs\n",
        ),
    ] {
        assert_eq!(shown(&response, &view()), want, "{response:?}");
    }
}

#[test]
fn the_two_largest_terms() {
    for (secs, text) in
        [(0, "0s"), (59, "59s"), (3661, "1h 1m"), (604_799, "6d 23h"), (604_800 + 60, "1w 1m")]
    {
        assert_eq!(brief(Duration::from_secs(secs)), text, "{secs}");
    }
}

#[test]
fn a_moment_out_of_the_calendar_is_a_number() {
    assert_eq!(local(UnixTime::from_micros(i64::MIN), &TimeZone::UTC), "-9223372036855");
}
