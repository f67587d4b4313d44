//! What a machine does to a daemon: it goes on banning, says what is wrong, and recovers by itself.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use stockade::store::Store;
use stockade::time::UnixTime;

use crate::lab::{Lab, read, ssh_failure, syslog, until};

const FIRST: &str = "198.51.100.1";
const SECOND: &str = "198.51.100.2";
const THIRD: &str = "198.51.100.3";

/// A jail whose log is there.
fn jail(lab: &Lab, name: &str, more: &str) {
    lab.ssh_jail(name, more);
    lab.append(&format!("logs/{name}.log"), "");
}

fn fails(lab: &Lab, jail: &str, address: &str) {
    for _ in 0..3 {
        lab.append(&format!("logs/{jail}.log"), &ssh_failure(address));
    }
}

fn warns(lab: &Lab, of: &str) -> bool {
    lab.json(&["status"])["warnings"].to_string().contains(of)
}

/// A path as the daemon sees it.
fn seen_by(lab: &Lab, path: &Path) -> PathBuf {
    format!("/proc/{}/root{}", lab.pid().as_raw_nonzero(), path.display()).into()
}

/// Starts the daemon in a mount namespace of its own, after a shell command.
fn start_behind(lab: &mut Lab, mounts: &str) {
    let script = format!("{mounts} && exec \"$0\" \"$@\"");
    lab.launch_by(&["unshare", "--mount", "sh", "-c", &script], &[]);
    until("the daemon is ready", || lab.is_ready());
}

/// A host that is booted has all three bans again.
fn all_come_back(lab: &mut Lab) {
    lab.end(libc::SIGTERM);
    lab.nft("flush ruleset");
    lab.start(&[]);
    let mut banned = lab.banned("ssh");
    banned.sort();
    assert_eq!(banned, [FIRST, SECOND, THIRD].map(|address| format!("{address} enforced")));
}

#[test]
fn a_full_disk_lifts_no_ban_is_said_and_is_made_good() {
    let mut lab = Lab::new(&[]);
    jail(&lab, "ssh", "");
    let disk = lab.path("disk");
    fs::create_dir(&disk).unwrap();
    let (at, store) = (disk.display().to_string(), disk.join("stockade.sqlite3"));
    let mount =
        format!("mount -t tmpfs -o size=1m none {at} && export STOCKADE_DAEMON__STORE={}", store.display());
    start_behind(&mut lab, &mount);
    fails(&lab, "ssh", FIRST);
    lab.until_banned("ssh", FIRST);
    let filler = seen_by(&lab, &disk.join("filler"));
    let mut file = fs::File::create(&filler).unwrap();
    while file.write(&[0; 4096]).is_ok_and(|written| written > 0) {}
    drop(file);
    // More than fits into what the files have left.
    let many: String = (0..3000).map(|n| ssh_failure(&format!("10.0.{}.{}", n / 250, n % 250))).collect();
    lab.append("logs/ssh.log", &many);
    fails(&lab, "ssh", SECOND);
    lab.until_banned("ssh", SECOND);
    until("status says it", || {
        warns(&lab, "what happens is not on disk yet, bans hold: `store` cannot grow: the disk is full")
    });
    fails(&lab, "ssh", THIRD);
    lab.until_banned("ssh", THIRD);
    fs::remove_file(&filler).unwrap();
    until("it is on disk", || !warns(&lab, "not on disk yet"));
    assert!(lab.log().contains("what happened meanwhile is on disk"), "{}", lab.log());
    // Its mount goes with the daemon: what is on disk is looked at before.
    lab.stockade(&["ban", "203.0.113.1"]);
    for end in ["", "-wal"] {
        let _ = fs::copy(
            seen_by(&lab, &disk).join(format!("stockade.sqlite3{end}")),
            lab.path(&format!("copy{end}")),
        );
    }
    let now = UnixTime::from_secs(jiff::Timestamp::now().as_second());
    let saved = Store::open(&lab.path("copy"), now).unwrap().store.load("ssh", now).unwrap();
    let banned: Vec<_> = saved.bans.iter().map(|ban| ban.id.to_string()).collect();
    assert_eq!(banned, [FIRST, SECOND, THIRD, "203.0.113.1"]);
    assert_eq!(saved.counters.len(), 3000);
}

#[test]
fn a_store_that_turns_read_only_lifts_no_ban_is_said_and_is_made_good() {
    let mut lab = Lab::new(&[]);
    jail(&lab, "ssh", "");
    start_with(&mut lab, "disk", "DISK_READ_ONLY", "read-only");
    fails(&lab, "ssh", FIRST);
    lab.until_banned("ssh", FIRST);
    lab.write("read-only", "");
    fails(&lab, "ssh", SECOND);
    lab.until_banned("ssh", SECOND);
    until("status says it", || warns(&lab, "what happens is not on disk yet, bans hold"));
    fails(&lab, "ssh", THIRD);
    lab.until_banned("ssh", THIRD);
    fs::remove_file(lab.path("read-only")).unwrap();
    until("it is on disk", || !warns(&lab, "not on disk yet"));
    all_come_back(&mut lab);
}

#[test]
fn a_store_that_cannot_be_written_at_the_start_is_taken_up_when_it_can() {
    let mut lab = Lab::new(&[]);
    jail(&lab, "ssh", "");
    lab.start(&[]);
    lab.append("logs/ssh.log", &ssh_failure(THIRD));
    fails(&lab, "ssh", FIRST);
    lab.until_banned("ssh", FIRST);
    lab.end(libc::SIGTERM);
    // A folder in its place: nobody can write that, not even root. Host and log begin anew meanwhile.
    let (store, kept) = (lab.path("stockade.sqlite3"), lab.path("kept"));
    fs::rename(&store, &kept).unwrap();
    fs::create_dir(&store).unwrap();
    lab.nft("flush ruleset");
    lab.write("logs/ssh.log", "");
    lab.start(&[]);
    assert!(warns(&lab, "nothing is remembered"));
    fails(&lab, "ssh", SECOND);
    lab.until_banned("ssh", SECOND);
    assert_eq!(lab.banned("ssh"), [format!("{SECOND} enforced")]);
    fs::remove_dir(&store).unwrap();
    fs::rename(&kept, &store).unwrap();
    lab.until_banned("ssh", FIRST);
    until("the store is there", || !warns(&lab, "nothing is remembered"));
    assert_eq!(lab.json(&["status"])["store"], store.display().to_string());
    lab.append("logs/ssh.log", &ssh_failure(THIRD).repeat(2));
    lab.until_banned("ssh", THIRD);
    all_come_back(&mut lab);
    assert_eq!(lab.log().matches(&format!("[ssh] Ban {SECOND}\n")).count(), 1, "{}", lab.log());
}

#[test]
fn a_kernel_that_refuses_in_the_middle_is_said_and_asked_again() {
    for (error, words) in [("EPERM", "Operation not permitted"), ("ENOBUFS", "No buffer space available")] {
        let mut lab = Lab::new(&[]);
        jail(&lab, "ssh", "");
        lab.start(&["--fault", &format!("firewall.send=fail:{error}@2-3")]);
        fails(&lab, "ssh", FIRST);
        lab.until_banned("ssh", FIRST);
        fails(&lab, "ssh", SECOND);
        let refused = format!("{SECOND} not enforced: nftables: {words} (os error ");
        until("status says it", || lab.banned("ssh").iter().any(|ban| ban.starts_with(&refused)));
        lab.until_banned("ssh", SECOND);
        assert_eq!(lab.log().matches(&format!("[ssh] Ban {SECOND}\n")).count(), 1, "{}", lab.log());
    }
}

#[test]
fn rules_that_the_kernel_refuses_are_not_said_to_be_in_force_and_come_by_themselves() {
    let mut lab = Lab::new(&[]);
    jail(&lab, "ssh", "ports = [22]");
    // It refuses the change, and at once, a second and three seconds later to take all anew.
    lab.start(&["--fault", "firewall.send=fail:ENOBUFS@1", "--fault", "firewall.replace=fail:ENOBUFS@1-3"]);
    let text = crate::lab::read(&lab.path("etc/jails.d/ssh.toml"));
    lab.write("etc/jails.d/ssh.toml", &text.replace("ports = [22]", "ports = [25]"));
    let output = lab.stockade(&["reload", "--json"]);
    let answer = crate::lab::answer(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{answer}");
    let mistakes = answer["mistakes"].to_string();
    let refused = "ssh: its rules are not in the firewall yet: nftables: No buffer space available";
    assert!(mistakes.contains(refused), "{mistakes}");
    until("status says it", || warns(&lab, "the firewall could not be filled"));
    assert!(lab.nft("list ruleset").contains("dport 22"), "what was in force is");
    until("they are in force", || lab.nft("list ruleset").contains("dport 25"));
    until("status says nothing any more", || !warns(&lab, "the firewall could not be filled"));
    assert_eq!(lab.json(&["reload"])["mistakes"], serde_json::json!([]));
}

#[test]
fn bans_that_the_kernel_refuses_at_a_start_are_not_said_to_be_in_force_and_come_by_themselves() {
    let mut lab = Lab::new(&[]);
    jail(&lab, "ssh", "");
    lab.start(&[]);
    fails(&lab, "ssh", FIRST);
    lab.until_banned("ssh", FIRST);
    assert_eq!(lab.end(libc::SIGTERM).code(), Some(0));
    // What is of another shape cannot be gone on with. It refuses to replace it, at once, a second and three seconds later.
    assert_eq!(lab.nft("add chain inet stockade somebody"), "");
    lab.start(&["--fault", "firewall.replace=fail:ENOBUFS@1-3"]);
    assert!(warns(&lab, "the firewall could not be filled, it is tried again: nftables: No buffer space"));
    assert!(lab.nft("list ruleset").contains(FIRST), "what was in force is");
    until("all is replaced", || !lab.nft("list ruleset").contains("somebody"));
    until("status says nothing any more", || !warns(&lab, "the firewall could not be filled"));
    lab.until_banned("ssh", FIRST);
    assert!(lab.nft("list set inet stockade ssh4").contains(FIRST));
}

#[test]
fn without_a_descriptor_left_it_bans_and_rests_and_goes_on_when_there_are_some() {
    let mut lab = Lab::new(&[]);
    jail(&lab, "ssh", "");
    lab.start(&[]);
    fails(&lab, "ssh", FIRST);
    lab.until_banned("ssh", FIRST);
    let pid = lab.pid().as_raw_nonzero();
    let limit = |count: usize| {
        let limit =
            Command::new("prlimit").args([format!("--pid={pid}"), format!("--nofile={count}:4096")]).status();
        assert!(limit.expect("prlimit (util-linux) is needed").success());
    };
    // All numbers below are in use.
    limit(3);
    let peer = std::os::unix::net::UnixStream::connect(lab.path("stockade.sock")).unwrap();
    fails(&lab, "ssh", SECOND);
    until("it bans", || lab.nft("list set inet stockade ssh4").contains(SECOND));
    fs::rename(lab.path("logs/ssh.log"), lab.path("logs/ssh.log.1")).unwrap();
    fails(&lab, "ssh", THIRD);
    until("it has met the limit", || lab.log().contains("Too many open files"));
    let (before, since) = (busy(pid.get()), Instant::now());
    until("it could have spun", || since.elapsed() > Duration::from_secs(2));
    let spent = busy(pid.get()) - before;
    assert!(spent < 100, "it spins: {spent} hundredths of a second in two seconds");
    drop(peer);
    limit(4096);
    lab.until_banned("ssh", THIRD);
    assert_eq!(lab.banned("ssh").len(), 3);
}

/// Processor time that a process has used, in hundredths of a second.
fn busy(pid: i32) -> u64 {
    let stat = read(Path::new(&format!("/proc/{pid}/stat")));
    let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn a_resolver_that_hangs_delays_only_whom_it_is_asked_about() {
    const RESOLVER: &str = "192.0.2.53";
    let mut lab = Lab::new(&[RESOLVER]);
    jail(&lab, "ssh", "ignore = ['127.0.0.1', 'friend.example.org']");
    jail(&lab, "other", "");
    lab.write("resolv.conf", &format!("nameserver {RESOLVER}\noptions timeout:30 attempts:5\n"));
    // Nobody hears that nobody listens there.
    for rule in [
        "add table inet test",
        "add chain inet test in { type filter hook input priority -10; }",
        &format!("add rule inet test in ip saddr {RESOLVER} drop"),
    ] {
        assert_eq!(lab.nft(rule), "");
    }
    let conf = lab.path("resolv.conf").display().to_string();
    start_behind(&mut lab, &format!("mount --bind {conf} /etc/resolv.conf"));
    fails(&lab, "ssh", FIRST);
    fails(&lab, "other", FIRST);
    lab.until_banned("other", FIRST);
    assert_eq!(lab.banned("ssh"), [""; 0], "it waits for the answer");
    assert_eq!(
        lab.stockade(&["ban", "--jail", "ssh", SECOND]).status.code(),
        Some(0),
        "the jail does not wait"
    );
    // It loses patience: nobody is spared by a name that nobody can tell.
    lab.until_banned("ssh", FIRST);
}

#[test]
fn an_action_that_floods_is_cut_and_costs_no_memory() {
    let mut lab = Lab::new(&[]);
    let flood = "yes flood | head -c 300000000; yes flood | head -c 300000000 >&2; echo > done";
    jail(&lab, "ssh", &format!("[[jail.ssh.actions]]\nname = \"flood\"\nban = '''{flood}'''\n"));
    jail(&lab, "other", "");
    lab.start(&[]);
    let before = resident(&lab);
    fails(&lab, "ssh", FIRST);
    fails(&lab, "other", SECOND);
    lab.until_banned("ssh", FIRST);
    lab.until_banned("other", SECOND);
    until("the flood is over", || lab.path("done").exists());
    let grown = resident(&lab).saturating_sub(before);
    assert!(grown < 16 << 10, "resident memory grew by {grown} KiB");
    let said = fs::metadata(lab.path("daemon.log")).unwrap().len();
    assert!(said < 1 << 20, "{said} bytes were logged");
}

fn resident(lab: &Lab) -> u64 {
    memory(lab, "VmRSS:")
}

fn memory(lab: &Lab, what: &str) -> u64 {
    let status = read(Path::new(&format!("/proc/{}/status", lab.pid().as_raw_nonzero())));
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// As a `make soak` has it a million, else a fifth of that, which is twice what is counted at once.
#[test]
fn a_flood_of_spoofed_addresses_is_forgotten_and_the_real_attackers_are_banned() {
    const ATTACKERS: u32 = 20;
    let spoofed = if std::env::var_os("STOCKADE_SOAK").is_some() { 1_000_000 } else { 200_000 };
    let mut lab = Lab::new(&[]);
    jail(&lab, "ssh", "");
    lab.start(&[]);
    let date = syslog(0);
    let line = |address: std::net::Ipv4Addr| {
        format!("{date} victim sshd[4711]: Failed password for root from {address} port 22 ssh2\n")
    };
    for flood in 0..spoofed / 10_000 {
        // Each attacker fails once in 60,000 lines.
        let first = 0x0a00_0000 + flood * 10_000;
        let fake = (first..first + 10_000).map(|number| line(number.into()));
        let real = (0..ATTACKERS).filter(|attacker| attacker % 6 == flood % 6);
        let real = real.map(|attacker| line((0xc633_6400 + attacker).into()));
        lab.append("logs/ssh.log", &real.chain(fake).collect::<String>());
    }
    let lines = |lab: &Lab| lab.status("ssh")["lines"].as_u64().unwrap();
    let begun = Instant::now();
    for read in (10_000..=spoofed).step_by(10_000) {
        until("the next lines of the flood are read", || lines(&lab) >= u64::from(read));
    }
    let status = lab.status("ssh");
    assert!(status["evicted_total"].as_u64().unwrap() > u64::from(spoofed) - 110_000, "{status}");
    let peak = memory(&lab, "VmHWM:");
    println!("{spoofed} spoofed addresses: {} MiB at most, {:?}", peak / 1024, begun.elapsed());
    assert!(peak < 150 * 1024, "{peak} KiB");
    for attacker in 0..ATTACKERS {
        lab.until_banned("ssh", &std::net::Ipv4Addr::from(0xc633_6400 + attacker).to_string());
    }
}

#[test]
fn a_host_that_was_suspended_ends_its_bans_and_reads_on() {
    let mut lab = Lab::new(&[]);
    jail(&lab, "ssh", "ban_time = \"5s\"");
    jail(&lab, "other", "");
    lab.start(&[]);
    fails(&lab, "ssh", FIRST);
    lab.until_banned("ssh", FIRST);
    let banned = Instant::now();
    lab.signal(libc::SIGSTOP);
    fails(&lab, "other", SECOND);
    until("its time is over", || banned.elapsed() > Duration::from_secs(5));
    lab.signal(libc::SIGCONT);
    lab.until_banned("other", SECOND);
    until("the ban is over", || lab.banned("ssh").is_empty());
    assert_eq!(lab.log().matches(&format!("[ssh] Unban {FIRST}\n")).count(), 1, "{}", lab.log());
}

const DAY: i64 = 86_400;

/// Starts the daemon with one of `faults/*.c` between it and the C library; `variable` names the file that steers it.
fn start_with(lab: &mut Lab, shim: &str, variable: &str, file: &str) {
    let source = format!("{}/integration/faults/{shim}.c", env!("CARGO_MANIFEST_DIR"));
    let built_as = lab.path(&format!("{shim}.so"));
    let mut cc = Command::new("cc");
    let built = cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&built_as).arg(source).status();
    assert!(built.expect("cc (build-essential) is needed").success());
    let preload = format!("LD_PRELOAD={}", built_as.display());
    let steer = format!("{variable}={}", lab.path(file).display());
    lab.launch_by(&["env", &preload, &steer], &[]);
    until("the daemon is ready", || lab.is_ready());
}

/// Starts the daemon with the clock that `shift` says.
fn start_by_clock(lab: &mut Lab) {
    start_with(lab, "clock", "CLOCK_SHIFT", "shift");
}

/// Sets the clock, of the daemon and of whoever writes the log, and bans somebody.
fn bans_by_clock(lab: &Lab, shift: i64, address: &str) {
    lab.write("shift", &shift.to_string());
    for port in 0..3 {
        let date = syslog(-shift);
        let said = format!("Failed password for root from {address} port {port} ssh2");
        lab.append("logs/ssh.log", &format!("{date} victim sshd[4711]: {said}\n"));
    }
    lab.until_banned("ssh", address);
}

#[test]
fn a_clock_that_is_set_back_and_forward_a_day_costs_no_ban() {
    let mut lab = Lab::new(&[]);
    jail(&lab, "ssh", "ban_time = \"1w\"");
    lab.write("shift", "0");
    start_by_clock(&mut lab);
    let steps = [(0, FIRST), (-DAY, SECOND), (DAY, THIRD), (0, "198.51.100.4")];
    for (shift, address) in steps {
        bans_by_clock(&lab, shift, address);
    }
    assert!(lab.stockade(&["ban", "203.0.113.1"]).status.success(), "all is on the disk now");
    lab.end(libc::SIGKILL);
    start_by_clock(&mut lab);
    bans_by_clock(&lab, -DAY, "198.51.100.5");
    assert_eq!(lab.banned("ssh").len(), 6, "{:?}", lab.banned("ssh"));
    for last in 1..=4 {
        assert_eq!(lab.log().matches(&format!("[ssh] Ban 198.51.100.{last}\n")).count(), 1, "{}", lab.log());
    }
    assert!(!lab.log().contains("Unban"), "{}", lab.log());
}
