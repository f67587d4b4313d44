use super::*;
use crate::cli::doctor::host::JailFact;
use crate::id::Id;
use crate::jail::Futile;
use crate::sandbox::Closed;
use crate::time::UnixTime;

const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

fn log(path: &str) -> LogFact {
    LogFact { path: path.to_owned(), refused: None, modified: Some(NOW), dated: Some(NOW) }
}

fn jail(name: &str, logs: Vec<LogFact>) -> JailFact {
    JailFact {
        name: name.into(),
        hooks: Some(vec![Hook::Input]),
        cuts: true,
        patterns: vec!["/var/log/auth.log".to_owned()],
        wants_files: true,
        logs,
    }
}

fn running(name: &str) -> JailStatus {
    JailStatus { name: name.to_owned(), state: "running".to_owned(), banned_now: 2, ..JailStatus::default() }
}

/// A host on which all is well.
fn well() -> Facts {
    Facts {
        now: NOW,
        mistakes: 0,
        jails: vec![jail("sshd", vec![log("/var/log/auth.log")])],
        status: Ok(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: 7,
            ready: true,
            jails: vec![running("sshd")],
            sandbox: Some(Closed { capabilities: "CAP_NET_ADMIN".to_owned(), ..Closed::default() }),
            ..Status::default()
        }),
        rights: Some(Rights { net_admin: true, all_logs: true }),
        proof: Proof::Holds { accepted: true, uncut: None },
        clock: Clock::Synchronised,
        forwards: false,
        bridges: Vec::new(),
    }
}

#[test]
fn a_host_on_which_all_is_well() {
    let findings = all(&well());
    assert_eq!(
        findings.iter().filter(|finding| finding.state != State::Fine).collect::<Vec<_>>(),
        Vec::<&Finding>::new()
    );
    let checks: Vec<_> = findings.iter().map(|finding| finding.check).collect();
    let want = [
        "configuration",
        "logs",
        "clock",
        "kernel",
        "daemon",
        "rights",
        "sandbox",
        "enforced",
        "reached",
        "addresses",
        "connections",
        "forwarding",
    ];
    assert_eq!(checks, want);
}

/// Changes what is well.
type Change = fn(&mut Facts);

fn of_jail(facts: &mut Facts) -> &mut JailStatus {
    &mut facts.status.as_mut().unwrap().jails[0]
}

#[test]
fn what_is_not_well_is_found_by_its_check_alone() {
    let cases: &[(&str, State, &str, Change)] = &[
        ("configuration", State::Wrong, "2 mistakes", |facts| facts.mistakes = 2),
        ("configuration", State::Wrong, "no jail is enabled", |facts| {
            facts.jails.clear();
        }),
        ("logs", State::Wrong, "/var/log/auth.log cannot be read: permission denied", |facts| {
            let log = &mut facts.jails[0].logs[0];
            (log.refused, log.modified, log.dated) = (Some("permission denied".to_owned()), None, None);
        }),
        ("logs", State::Look, "sshd: no log file is there yet", |facts| facts.jails[0].logs.clear()),
        ("silent", State::Look, "nothing was written for a day to /var/log/auth.log", |facts| {
            let day = NOW - SILENT;
            (facts.jails[0].logs[0].modified, facts.jails[0].logs[0].dated) = (Some(day), Some(day));
        }),
        ("clock", State::Look, "is dated 60 min before it was written", |facts| {
            facts.jails[0].logs[0].dated = Some(NOW - Duration::from_secs(3600));
        }),
        ("clock", State::Look, "is dated 120 min after it was written", |facts| {
            facts.jails[0].logs[0].dated = Some(NOW + Duration::from_secs(7200));
        }),
        ("clock", State::Look, "no time server", |facts| facts.clock = Clock::Free),
        ("kernel", State::Wrong, "no nf_tables", |facts| {
            facts.proof = Proof::Fails("no nf_tables".to_owned());
        }),
        ("kernel", State::Unknown, "could not be tried: not permitted", |facts| {
            facts.proof = Proof::Untried("not permitted".to_owned());
        }),
        ("connections", State::Look, "end by themselves only: no sockets", |facts| {
            facts.proof = Proof::Holds { accepted: true, uncut: Some("no sockets".to_owned()) };
        }),
        ("connections", State::Look, "end by themselves only: not permitted", |facts| {
            facts.status.as_mut().unwrap().cuts.cannot = Some("not permitted".to_owned());
        }),
        ("daemon", State::Wrong, "no daemon answers: refused", |facts| {
            facts.status = Err("refused".to_owned());
        }),
        ("daemon", State::Wrong, "not ready", |facts| facts.status.as_mut().unwrap().ready = false),
        ("daemon", State::Wrong, "a jail was refused (and 1 more)", |facts| {
            facts.status.as_mut().unwrap().warnings = vec!["a jail was refused".to_owned(), "x".to_owned()];
        }),
        ("daemon", State::Wrong, "does not run: sshd", |facts| of_jail(facts).state = "parked".to_owned()),
        ("daemon", State::Look, "it is version 0.0.1", |facts| {
            facts.status.as_mut().unwrap().version = "0.0.1".to_owned();
        }),
        ("rights", State::Wrong, "no CAP_NET_ADMIN", |facts| {
            facts.rights = Some(Rights { net_admin: false, all_logs: true });
        }),
        ("sandbox", State::Look, "keeps all rights", |facts| facts.status.as_mut().unwrap().sandbox = None),
        ("sandbox", State::Look, "not closed: files: refused", |facts| {
            facts.status.as_mut().unwrap().sandbox.as_mut().unwrap().open = vec!["files: refused".to_owned()];
        }),
        ("rights", State::Look, "only logs that its user", |facts| {
            facts.rights = Some(Rights { net_admin: true, all_logs: false });
        }),
        ("enforced", State::Wrong, "1 ban is not enforced, such as 192.0.2.1 in sshd: full", |facts| {
            of_jail(facts).not_enforced = vec![(Id::Text("192.0.2.1".into()), "full".to_owned())];
        }),
        ("reached", State::Wrong, "sshd: 192.0.2.1 is banned, and fails all the same", |facts| {
            of_jail(facts).futile = Some(Futile { id: Id::Text("192.0.2.1".into()), offences: 3 });
        }),
        ("forwarding", State::Look, "published ports of containers are not protected", |facts| {
            (facts.forwards, facts.bridges) = (true, vec!["docker0".to_owned()]);
        }),
    ];
    for (check, state, what, change) in cases {
        let mut facts = well();
        change(&mut facts);
        let findings = all(&facts);
        let odd: Vec<_> = findings.iter().filter(|finding| finding.state != State::Fine).collect();
        assert_eq!(odd.len(), 1, "{what}: {odd:?}");
        assert_eq!((odd[0].check, odd[0].state), (*check, *state), "{what}");
        assert!(odd[0].what.contains(what), "{what}: {}", odd[0].what);
    }
}

#[test]
fn jails_that_look_at_forwarded_packets_are_not_blind() {
    let mut facts = well();
    (facts.forwards, facts.bridges) = (true, vec!["docker0".to_owned()]);
    for (hooks, state) in [
        (Some(vec![Hook::Input, Hook::Forward]), State::Fine),
        (Some(vec![Hook::Prerouting]), State::Fine),
        (None, State::Fine),
        (Some(vec![Hook::Input]), State::Look),
    ] {
        facts.jails[0].hooks = hooks;
        assert_eq!(all(&facts).last().unwrap().state, state, "{:?}", facts.jails[0].hooks);
    }
}
