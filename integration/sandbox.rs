//! What the started daemon has given up, and what runs all the same: Fail2Ban's actions, mail, `/etc/hosts.deny`.

mod commands;
mod group;

use std::collections::BTreeMap;
use std::fs;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter};
use serde_json::Value;

use crate::lab::{Lab, skip, ssh_failure, until};

const ATTACKER: &str = "198.51.100.1";

/// `Key → value` of a `/proc/…/status`.
fn fields(path: &str) -> BTreeMap<String, String> {
    let text = fs::read_to_string(path).unwrap();
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.map(|(key, value)| (key.to_owned(), value.trim().to_owned())).collect()
}

/// The status of each thread of the daemon, with the thread's name.
fn threads(lab: &Lab) -> Vec<BTreeMap<String, String>> {
    let tasks = format!("/proc/{}/task", lab.pid().as_raw_nonzero());
    let paths = fs::read_dir(tasks).unwrap().map(|task| task.unwrap().path().join("status"));
    paths.map(|path| fields(path.to_str().unwrap())).collect()
}

/// The processes that this one started.
fn children(pid: i32) -> Vec<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

fn sandbox(lab: &Lab) -> Value {
    lab.json(&["status"])["sandbox"].clone()
}

fn open(lab: &Lab) -> String {
    sandbox(lab)["open"].to_string()
}

/// `CAP_DAC_READ_SEARCH` and `CAP_NET_ADMIN`, as the kernel prints them.
const LEFT: &str = "0000000000001004";

#[test]
fn every_thread_has_given_up_what_it_does_not_need() {
    let mut lab = Lab::new(&[ATTACKER]);
    lab.ssh_jail("ssh", "");
    lab.append("logs/ssh.log", "");
    lab.start(&[]);
    lab.append("logs/ssh.log", &ssh_failure(ATTACKER).repeat(3));
    lab.until_banned("ssh", ATTACKER);
    let closed = sandbox(&lab);
    assert_eq!(closed["capabilities"], "CAP_DAC_READ_SEARCH CAP_NET_ADMIN", "{closed}");
    assert_eq!((&closed["no_new_privs"], &closed["seccomp"]), (&true.into(), &true.into()), "{closed}");
    assert_eq!((&closed["broker"], open(&lab)), (&Value::Null, "[]".to_owned()), "{closed}");
    let threads = threads(&lab);
    assert!(threads.len() > 4, "{threads:?}");
    for thread in &threads {
        let name = &thread["Name"];
        for (field, value) in [
            ("CapInh", "0000000000000000"),
            ("CapPrm", LEFT),
            ("CapEff", LEFT),
            ("CapBnd", LEFT),
            ("CapAmb", "0000000000000000"),
            ("NoNewPrivs", "1"),
            ("Seccomp", "2"),
        ] {
            assert_eq!(thread[field], value, "{field} of {name}");
        }
        // Those that read logs have a second filter.
        let reads = name.starts_with("actix-rt") || name.starts_with("notify");
        let filters = thread.get("Seccomp_filters").map(String::as_str);
        assert!(
            filters.is_none_or(|filters| filters == if reads { "2" } else { "1" }),
            "{name}: {filters:?}"
        );
    }
    // Nothing in this configuration needs a command: there is nobody to run one.
    assert_eq!(children(lab.pid().as_raw_nonzero().get()), [0; 0]);
    assert!(
        String::from_utf8(lab.stockade(&["status"]).stdout)
            .unwrap()
            .contains("\nsandbox: CAP_DAC_READ_SEARCH CAP_NET_ADMIN, no new privileges, landlock ")
    );
}

/// Whether this kernel keeps the daemon from files.
fn has_landlock(lab: &Lab) -> bool {
    let has = sandbox(lab)["landlock"].is_u64();
    if !has {
        skip(&format!("what is outside of the sandbox, for this kernel has no Landlock: {}", open(lab)));
    }
    has
}

#[test]
fn what_is_outside_is_out_of_reach_and_a_reload_says_what_to_do() {
    let mut lab = Lab::new(&[ATTACKER]);
    lab.ssh_jail("ssh", "");
    lab.append("logs/ssh.log", "");
    lab.start(&[]);
    if !has_landlock(&lab) {
        return;
    }
    let elsewhere = tempfile::tempdir().unwrap();
    let outside = elsewhere.path().join("new.log");
    let refused = lab.stockade(&["log", "--target", outside.to_str().unwrap()]);
    let said =
        String::from_utf8_lossy(&refused.stderr).into_owned() + &String::from_utf8_lossy(&refused.stdout);
    assert!(said.contains("is outside of the sandbox: restart the daemon to log there"), "{said}");
    assert!(!outside.exists());
    let own = lab.path("moved.log");
    assert!(lab.stockade(&["log", "--target", own.to_str().unwrap()]).status.success());
    // What the sandbox was not closed for: a folder of others, and commands.
    lab.ssh_jail("ssh", "actions = [{name = \"x\", ban = \"true\"}]");
    lab.write(
        "etc/jails.d/more.toml",
        "[jail.more]\nenabled = true\nlogs = [\"/root/no-such-folder/a.log\"]\nfirewall = \"none\"\n\
         [jail.more.filter]\npatterns = ['^x <HOST>$']\n",
    );
    let reload = lab.stockade(&["reload"]);
    let said = String::from_utf8_lossy(&[&reload.stdout[..], &reload.stderr].concat()).into_owned();
    assert_eq!(reload.status.code(), Some(1), "{said}");
    for line in [
        "more: /root/no-such-folder is outside of the sandbox that was closed at the start: a restart of the daemon \
         lets it read there",
        "ssh: commands need a restart of the daemon: at its start there were none in the configuration",
    ] {
        assert!(said.contains(line), "{line} in {said}");
    }
    // The firewall's bans need no command.
    lab.append("logs/ssh.log", &ssh_failure(ATTACKER).repeat(3));
    until("it is banned", || lab.banned("ssh").iter().any(|ban| ban.starts_with(ATTACKER)));
}

#[test]
fn it_can_be_left_open() {
    for (mode, prevs, seccomp) in [("off", "0", "0"), ("capabilities", "1", "0")] {
        let mut lab = Lab::new(&[]);
        lab.ssh_jail("ssh", "");
        let own = fields("/proc/thread-self/status");
        lab.start(&["--set", &format!("daemon.sandbox={mode}")]);
        for thread in threads(&lab) {
            assert_eq!((&*thread["NoNewPrivs"], &*thread["Seccomp"]), (prevs, seccomp), "{mode}");
            let left = if mode == "off" { &own["CapBnd"] } else { LEFT };
            assert_eq!(thread["CapBnd"], left, "{mode}");
        }
        assert_eq!(sandbox(&lab).is_null(), mode == "off");
    }
}

#[test]
fn in_a_container_that_grants_little_it_keeps_what_it_needs_to_read() {
    let mut lab = Lab::new(&[ATTACKER]);
    lab.ssh_jail("ssh", "");
    lab.append("logs/ssh.log", "");
    // As with `cap_drop: ALL`, `cap_add: NET_ADMIN, DAC_OVERRIDE, CHOWN`: the bounding set cannot be made smaller.
    let bound = ["setpriv", "--bounding-set", "-all,+net_admin,+dac_override,+chown"];
    lab.launch_by(&bound, &[]);
    until("the daemon is ready", || lab.is_ready());
    lab.append("logs/ssh.log", &ssh_failure(ATTACKER).repeat(3));
    lab.until_banned("ssh", ATTACKER);
    assert_eq!(sandbox(&lab)["capabilities"], "CAP_DAC_OVERRIDE CAP_NET_ADMIN");
    assert_eq!(open(&lab), "[\"bounding set: CAP_CHOWN stay, there is no CAP_SETPCAP\"]");
    assert!(lab.log().contains("not closed: bounding set: CAP_CHOWN stay"), "{}", lab.log());
    assert!(threads(&lab).iter().all(|thread| thread["CapEff"] == "0000000000001002"));
}

/// Refuses this thread, and what it starts, Landlock and filters, as an engine may.
fn refuse_landlock_and_filters() {
    let calls = [libc::SYS_landlock_create_ruleset, libc::SYS_seccomp];
    let rules = calls.into_iter().map(|call| (call, Vec::new())).collect();
    let refuse = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let arch = TargetArch::try_from(std::env::consts::ARCH).unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch).unwrap();
    apply_filter(&BpfProgram::try_from(filter).unwrap()).unwrap();
}

#[test]
fn what_an_engine_refuses_is_said_and_costs_nothing_else() {
    let mut lab = Lab::new(&[ATTACKER]);
    lab.ssh_jail("ssh", "");
    lab.append("logs/ssh.log", "");
    std::thread::scope(|scope| {
        let launched = scope.spawn(|| {
            refuse_landlock_and_filters();
            lab.launch(&[]);
        });
        launched.join().unwrap();
    });
    until("the daemon is ready", || lab.is_ready());
    lab.append("logs/ssh.log", &ssh_failure(ATTACKER).repeat(3));
    lab.until_banned("ssh", ATTACKER);
    let closed = sandbox(&lab);
    assert_eq!((&closed["landlock"], &closed["seccomp"]), (&Value::Null, &false.into()), "{closed}");
    let open = open(&lab);
    assert!(open.contains("files (landlock): ") && open.contains("system calls (seccomp): "), "{open}");
    assert!(threads(&lab).iter().all(|thread| thread["CapEff"] == LEFT && thread["NoNewPrivs"] == "1"));
}
