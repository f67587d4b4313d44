//! `stockade doctor`: as an operator, or a monitor, asks whether bans hold.

use serde_json::Value;

use crate::lab::{Lab, by, ssh_failure};

/// The findings of a check.
fn of<'r>(report: &'r Value, check: &str) -> Vec<(&'r str, &'r str)> {
    let all = report["findings"].as_array().expect("findings");
    let of = all.iter().filter(|finding| finding["check"] == check);
    of.map(|finding| (finding["state"].as_str().unwrap(), finding["what"].as_str().unwrap())).collect()
}

#[test]
fn a_daemon_that_is_well_is_said_to_be() {
    let mut lab = Lab::new(&[]);
    lab.ssh_jail("ssh", "");
    lab.start(&[]);
    lab.append("logs/ssh.log", &ssh_failure("198.51.100.1").repeat(3));
    lab.until_banned("ssh", "198.51.100.1");
    let output = lab.stockade(&["doctor", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((output.status.code(), &report["healthy"]), (Some(0), &Value::Bool(true)), "{report:#}");
    let proof = of(&report, "kernel");
    assert!(proof[0].0 == "fine" && proof[0].1.contains("behind another table's accept"), "{proof:?}");
    assert_eq!(of(&report, "rights")[0].0, "fine");
    assert_eq!(of(&report, "connections"), [("fine", "those of a banned host end with its ban (0 so far)")]);
    assert_eq!(of(&report, "enforced"), [("fine", "the firewall has confirmed 1 ban")]);
    assert_eq!(of(&report, "logs"), [("fine", "1 log file can be read")]);
    // Nothing of the trial is left where we are.
    assert!(!lab.nft("list ruleset").contains("doctor"));

    lab.end(15);
    let output = lab.stockade(&["doctor", "--quiet"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("WRONG   daemon") && !text.contains("ok  "), "{text}");
}

#[test]
fn a_log_that_may_not_be_read_and_a_kernel_that_may_not_be_changed_are_said() {
    let lab = Lab::new(&[]);
    lab.ssh_jail("ssh", "");
    lab.append("logs/ssh.log", "");
    let wrapper = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"];
    std::fs::set_permissions(lab.path("logs/ssh.log"), std::os::unix::fs::PermissionsExt::from_mode(0o000))
        .unwrap();
    let output =
        by(&wrapper, &lab.command(&["doctor", "--json"])).output().expect("setpriv (util-linux) is needed");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(output.status.code(), Some(1), "{report:#}");
    let logs = of(&report, "logs");
    assert!(logs[0].0 == "wrong" && logs[0].1.contains("cannot be read"), "{report:#}");
    assert_eq!(of(&report, "kernel")[0].0, "unknown", "{report:#}");
}

#[test]
fn a_log_whose_dates_are_not_the_clocks_is_said_whoever_dates_it() {
    let lab = Lab::new(&[]);
    lab.ssh_jail("ssh", "");
    let hours_ago = jiff::Timestamp::now().as_second() - 7200;
    lab.append("logs/ssh.log", &format!("{} victim sshd[1]: nothing\n", crate::lab::syslog(7200)));
    lab.append("logs/tree.log", &format!("{hours_ago} nothing\n"));
    let log = lab.path("logs/tree.log");
    let jail = format!("[tree]\nenabled = true\nfilter = tree\nlogpath = {}\naction =\n", log.display());
    lab.write("etc/jail.conf", &jail);
    std::fs::create_dir(lab.path("etc/filter.d")).unwrap();
    lab.write("etc/filter.d/tree.conf", "[Definition]\nfailregex = ^fail <HOST>$\ndatepattern = ^EPOCH\n");
    let output = lab.stockade(&["doctor", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for log in ["ssh.log", "tree.log"] {
        let said =
            |(state, what): &(&str, &str)| *state == "look" && what.contains(log) && what.contains("120 min");
        assert!(of(&report, "clock").iter().any(said), "{log}: {report:#}");
    }
}
