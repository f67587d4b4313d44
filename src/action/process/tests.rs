use std::path::Path;

use super::*;

/// Long enough for anything that ends at all.
const LONG: Duration = Duration::from_secs(60);

fn script(text: &str, argv: &[&str]) -> Script {
    Script { text: text.to_owned(), argv: argv.iter().map(|value| (*value).to_owned()).collect() }
}

fn sh(text: &str) -> Outcome {
    run(&script(text, &[]), LONG, None)
}

#[test]
fn ends() {
    for (text, end, stdout, stderr) in [
        ("true", End::Exit(0), "", ""),
        ("echo out; echo err >&2; exit 3", End::Exit(3), "out\n", "err\n"),
        ("kill -9 $$", End::Signal(9), "", ""),
        ("cat", End::Exit(0), "", ""),
        ("no-such-command-at-all 2>/dev/null", End::Exit(127), "", ""),
    ] {
        let outcome = sh(text);
        let printed = (String::from_utf8_lossy(&outcome.stdout), String::from_utf8_lossy(&outcome.stderr));
        assert_eq!((outcome.end, &*printed.0, &*printed.1), (end, stdout, stderr), "{text}");
    }
}

#[test]
fn values_arrive_byte_for_byte() {
    let values = ["$(echo no)", "`no`", "a\nb\rc", "'\"\\", "*", " two  blanks ", "", "-n", "ä\u{fffd}"];
    let outcome = run(&script("printf '%s|' \"$0\" \"$@\"", &values), LONG, None);
    let want: String = values.iter().flat_map(|value| [*value, "|"]).collect();
    assert_eq!(String::from_utf8_lossy(&outcome.stdout), want);
}

#[test]
fn what_no_process_can_be_given_is_refused_with_a_reason() {
    for bad in
        [script("x\0y", &[]), script(&"#".repeat(200_000), &[]), script("true", &[&"x".repeat(200_000)])]
    {
        let End::NotStarted(why) = run(&bad, LONG, None).end else { panic!("it was started") };
        assert!(!why.is_empty());
    }
}

#[test]
fn output_is_bounded_and_blocks_nobody() {
    let outcome = sh("yes 0123456789 | head -c 3000000; yes e | head -c 3000000 >&2");
    assert_eq!(outcome.end, End::Exit(0));
    assert_eq!((outcome.stdout.len(), outcome.stderr.len()), (OUTPUT_CAP, OUTPUT_CAP));
    assert!(outcome.stdout.starts_with(b"0123456789\n"));
}

/// Whether a process exists and is no zombie.
fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.trim()).join("stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with(['Z', 'X']))
}

#[test]
fn when_the_time_is_over_the_descendants_end_too() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name);
    // One ends at once, one passes over the first signal.
    let limit = Duration::from_secs(2);
    for (text, name) in [("", "plain"), ("trap '' TERM;", "stubborn")] {
        let text = format!("{text} sleep 1000 & echo $! $$ > {}; wait; sleep 1000", file(name).display());
        let outcome = run(&script(&text, &[]), limit, None);
        assert_eq!(outcome.end, End::TimeOver(limit), "{name}");
        let pids = std::fs::read_to_string(file(name)).unwrap();
        // The last of them is reaped by another; it may take a moment.
        for pid in pids.split_whitespace() {
            let deadline = Instant::now() + LONG;
            while lives(pid) {
                assert!(Instant::now() < deadline, "{name}: {pid} of {pids}");
                std::thread::yield_now();
            }
        }
    }
}

#[test]
fn a_script_has_its_own_session_and_no_descriptor_of_ours() {
    let open = std::fs::File::open("/proc/self/stat").unwrap();
    let outcome = sh("cat /proc/self/stat; echo $$; ls -l /proc/self/fd");
    let text = String::from_utf8_lossy(&outcome.stdout).into_owned();
    let mut lines = text.lines();
    let stat = lines.next().unwrap().rsplit(')').next().unwrap();
    let fields: Vec<&str> = stat.split_whitespace().collect();
    let shell = lines.next().unwrap();
    assert_eq!((fields[2], fields[3], fields[4]), (shell, shell, "0"), "group, session, no terminal: {stat}");
    assert!(!text.contains("/self/stat"), "{text}");
    drop(open);
}

#[test]
fn a_background_process_goes_on_and_is_not_waited_for() {
    let outcome = sh("sleep 1000 & echo $!");
    let pid = String::from_utf8(outcome.stdout).unwrap();
    assert_eq!((outcome.end, lives(&pid)), (End::Exit(0), true));
    assert!(sh(&format!("kill {pid}")).end.is_success());
}

#[test]
fn no_zombie_stays() {
    let mut pids = Vec::new();
    for _ in 0..20 {
        pids.push(String::from_utf8(sh("echo $$").stdout).unwrap());
    }
    let mine = |pid: &String| {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        stat.contains(") Z ")
    };
    assert!(!pids.iter().any(mine), "{pids:?}");
}

#[test]
fn cancelling_ends_what_runs_and_what_comes() {
    let cancel = Cancel::new().unwrap();
    let other = cancel.clone();
    let dir = tempfile::tempdir().unwrap();
    let started = dir.path().join("started");
    let text = format!("touch {}; sleep 1000", started.display());
    let thread = std::thread::spawn(move || run(&script(&text, &[]), LONG, Some(&other)));
    while !started.exists() {
        std::thread::yield_now();
    }
    cancel.cancel();
    assert_eq!(thread.join().unwrap().end, End::Cancelled);
    assert_eq!(run(&script("sleep 1000", &[]), LONG, Some(&cancel)).end, End::Cancelled);
}
