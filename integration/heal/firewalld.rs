//! Debian's firewalld itself, on a bus of its own inside the victim: its reloads touch none of our bans.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal};

use super::{drifts, ruleset};
use crate::lab::{Lab, skip, ssh_failure, until};

const ATTACKER: &str = "192.0.2.66";
const FRIEND: &str = "192.0.2.77";
/// Everybody may do everything, as on a bus that only this test can reach.
const BUS: &str = "<busconfig><type>system</type><listen>unix:path=BUS</listen><auth>EXTERNAL</auth>\
    <policy context=\"default\"><allow user=\"*\"/><allow own=\"*\"/><allow send_type=\"method_call\"/>\
    <allow send_destination=\"*\" eavesdrop=\"true\"/><allow receive_sender=\"*\"/></policy></busconfig>";

/// Ends what runs, as a service manager does.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = rustix::process::kill_process(Pid::from_child(&self.0), Signal::TERM);
        let _ = self.0.wait();
    }
}

/// A program of the victim on the bus of this test.
fn on_bus(lab: &Lab, program: &str) -> Command {
    let mut command = lab.tool(program);
    command.env("DBUS_SYSTEM_BUS_ADDRESS", format!("unix:path={}", lab.path("bus").display()));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn firewall_cmd(lab: &Lab, word: &str) -> bool {
    on_bus(lab, "firewall-cmd").arg(word).status().unwrap().success()
}

fn firewalld(lab: &Lab) -> Running {
    let mut command = on_bus(lab, "firewalld");
    command.args(["--nofork", "--nopid", "--log-target=file"]);
    command.arg(format!("--log-file={}", lab.path("firewalld.log").display()));
    command.arg(format!("--system-config={}", lab.path("firewalld").display()));
    let running = Running(command.spawn().unwrap());
    until("firewalld runs", || firewall_cmd(lab, "--state"));
    running
}

#[test]
fn bans_hold_through_the_reloads_and_a_restart_of_firewalld() {
    let missing: Vec<_> = ["/usr/sbin/firewalld", "/usr/bin/firewall-cmd", "/usr/bin/dbus-daemon"]
        .into_iter()
        .filter(|path| !Path::new(path).exists())
        .collect();
    if !missing.is_empty() {
        skip(&format!(
            "a reload by a running firewalld: {} missing (apt-get install firewalld)",
            missing.join(", ")
        ));
        return;
    }
    let mut lab = Lab::new(&[ATTACKER, FRIEND]);
    lab.ssh_jail("ssh", "ports = [22]");
    lab.append("logs/ssh.log", "");
    std::fs::create_dir(lab.path("firewalld")).unwrap();
    lab.write("bus.conf", &BUS.replace("BUS", &lab.path("bus").display().to_string()));
    let config = format!("--config-file={}", lab.path("bus.conf").display());
    let mut bus = lab.tool("dbus-daemon");
    bus.args([&config, "--nofork", "--nopidfile"]).stderr(Stdio::null());
    let _bus = Running(bus.spawn().unwrap());
    until("the bus is there", || lab.path("bus").exists());
    let mut running = firewalld(&lab);
    let _server = lab.serve(22);
    lab.start(&[]);
    lab.append("logs/ssh.log", &ssh_failure(ATTACKER).repeat(3));
    lab.until_banned("ssh", ATTACKER);
    let ours = || {
        ruleset(&lab)
            .into_iter()
            .filter(|line| line.contains("ssh") || line.contains(ATTACKER))
            .collect::<Vec<_>>()
    };
    let kept = ours();
    assert!(kept.iter().any(|line| line.contains(ATTACKER)), "{kept:?}");
    for word in ["--reload", "--reload", "--complete-reload", "restart"] {
        if word == "restart" {
            drop(running);
            running = firewalld(&lab);
        } else {
            assert!(firewall_cmd(&lab, word), "{word}");
        }
        assert_eq!(ours(), kept, "after {word}");
        assert!(lab.nft("list tables").contains("inet firewalld"), "after {word}");
        assert!(!lab.reaches(ATTACKER, 22) && lab.reaches(FRIEND, 22), "after {word}");
    }
    assert_eq!((&drifts(&lab)["seen"], &drifts(&lab)["healed"]), (&0.into(), &0.into()), "{}", lab.log());
    // After a flush of everything, as by nftables.service, firewalld misses its own tables: its reload fails, and with what
    // it leaves then it may shut out everybody.
    assert!(lab.run_inside("nft flush ruleset"));
    firewall_cmd(&lab, "--reload");
    until("our own is back", || ours() == kept);
    assert!(!lab.reaches(ATTACKER, 22));
    drop(running);
}
