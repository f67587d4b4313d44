//! Connections of a banned host end with its ban, and nobody else's.

use serde_json::Value;

use crate::heal;
use crate::lab::{Connection, Lab, read, ssh_failure, until};

const ATTACKER: &str = "192.0.2.66";
const FRIEND: &str = "192.0.2.77";
const SIX: &str = "2001:db8::66";

fn cuts(lab: &Lab) -> Value {
    lab.json(&["status"])["cuts"].clone()
}

/// A jail for port 22 of a victim, with attacker and friend, and more of its options.
fn lab(more: &str) -> Lab {
    let lab = Lab::new(&[ATTACKER, FRIEND, SIX]);
    lab.ssh_jail("ssh", more);
    lab.append("logs/ssh.log", "");
    lab
}

/// Something at this port that takes every connection and tells in a file what becomes of them. One whose packets are
/// dropped, and that is not cut, would stay for ever: it ends after a while.
fn serve(lab: &Lab, listen: &str, port: u16) -> impl Drop + use<> {
    let log = lab.path("server.log").display().to_string();
    let listen = format!("{listen}:{port},fork,reuseaddr");
    lab.serve_by(port, &["socat", "-T100", "-lf", &log, "-u", &listen, "OPEN:/dev/null"])
}

/// What the accepted socket of a connection that was cut says to its service.
fn aborted(lab: &Lab) -> usize {
    read(&lab.path("server.log")).matches("Software caused connection abort").count()
}

#[test]
fn connections_of_a_banned_host_end_and_nobody_elses() {
    let mut lab = lab("ports = [22, \"100-200\"]\nprotocol = [\"tcp\", \"udp\"]");
    let _servers = [(22, "TCP6-LISTEN"), (150, "TCP4-LISTEN"), (23, "TCP4-LISTEN")]
        .map(|(port, listen)| serve(&lab, listen, port));
    lab.start(&[]);
    let mut attackers = [22, 22, 150].map(|port| lab.connect(ATTACKER, port));
    let mut others = [lab.connect(ATTACKER, 23), lab.connect(FRIEND, 22), lab.connect(SIX, 22)];
    lab.append("logs/ssh.log", &ssh_failure(ATTACKER).repeat(3));
    until("the attacker's connections end", || attackers.iter_mut().all(Connection::is_over));
    until("their service is told", || aborted(&lab) == 3);
    until("it is counted", || cuts(&lab)["connections"] == 3);
    assert!(lab.log().contains(&format!("[ssh] cut 3 connections of {ATTACKER}\n")), "{}", lab.log());
    assert!(others.iter_mut().all(|one| !one.is_over()));
    assert_eq!((lab.connections(22).len(), lab.connections(23).len()), (2, 1));

    // By hand, IPv6.
    assert!(lab.stockade(&["ban", &format!("{SIX}/124"), "--jail", "ssh"]).status.success());
    until("it ends, too", || others[2].is_over());
    assert!(others.iter_mut().take(2).all(|one| !one.is_over()));
    until("it is counted", || {
        cuts(&lab) == serde_json::json!({ "connections": 4, "hosts": 2, "missed": 0, "cannot": null })
    });
    let shown = String::from_utf8(lab.stockade(&["status"]).stdout).unwrap();
    assert!(shown.contains("cut: 4 connections of 2 bans\n"), "{shown}");
}

#[test]
fn a_connection_of_udp_ends_if_its_port_is_shut() {
    let mut lab = lab("ports = [53]\nprotocol = \"udp\"");
    let mut server = lab.tool("socat");
    let mut server = server.args(["-T100", "-u", "UDP4-LISTEN:53,fork", "OPEN:/dev/null"]).spawn().unwrap();
    lab.start(&[]);
    let mut sender = None;
    until("the victim has the connection", || {
        // It may not listen yet.
        let mut one = lab.talk(&format!("UDP4:192.0.2.1:53,bind={ATTACKER}"));
        let _ = std::io::Write::write_all(one.stdin.as_mut().unwrap(), b"hello\n");
        sender.replace(one).into_iter().for_each(end);
        lab.connections(53).iter().any(|peer| peer.starts_with(ATTACKER))
    });
    assert!(lab.stockade(&["ban", ATTACKER, "--jail", "ssh"]).status.success());
    until("it ends", || lab.connections(53).is_empty());
    until("it is counted", || cuts(&lab)["connections"].as_u64() >= Some(1));
    sender.into_iter().for_each(end);
    let _ = server.kill();
    let _ = server.wait();
}

fn end(mut child: std::process::Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// As of a published port of a container: the connection has no socket here.
#[test]
fn a_connection_that_goes_through_is_forgotten() {
    let mut lab = lab("ports = [80]\nhooks = [\"input\", \"forward\"]");
    let inner = lab.publish();
    let _server = lab.serve_behind(&inner, 80);
    let held = [ATTACKER, FRIEND].map(|from| lab.talk(&format!("TCP4:192.0.2.1:8080,bind={from}")));
    let stands = |lab: &Lab, of: &str| lab.tracked(of).iter().any(|line| line.contains("ESTABLISHED"));
    until("both stand", || stands(&lab, ATTACKER) && stands(&lab, FRIEND));
    lab.start(&[]);
    lab.append("logs/ssh.log", &ssh_failure(ATTACKER).repeat(3));
    until("the attacker's is forgotten", || lab.tracked(ATTACKER).is_empty());
    until("it is counted", || cuts(&lab)["connections"] == 1);
    assert!(stands(&lab, FRIEND));
    assert!(lab.log().contains(&format!("[ssh] cut 1 connection of {ATTACKER}\n")), "{}", lab.log());
    held.into_iter().for_each(end);
}

/// Fail2Ban leaves them alone, and so do its jails here unless they say otherwise.
#[test]
fn a_jail_of_fail2bans_cuts_nothing_unless_it_says_so() {
    let lab = heal::exact(&[ATTACKER, FRIEND]);
    let _server = serve(&lab, "TCP6-LISTEN", 22);
    let mut attackers = [lab.connect(ATTACKER, 22), lab.connect(FRIEND, 22)];
    lab.append("logs/ssh.log", &ssh_failure(ATTACKER).repeat(3));
    lab.until_banned("ssh", ATTACKER);
    lab.write("etc/jail.local", "[ssh]\ncut = true\n");
    assert!(lab.stockade(&["reload"]).status.success());
    // The reload came after the ban, and touches none.
    lab.append("logs/ssh.log", &ssh_failure(FRIEND).repeat(3));
    until("the second one ends", || attackers[1].is_over());
    assert!(!attackers[0].is_over() && lab.connections(22).len() == 1);
    until("it is counted", || cuts(&lab)["connections"] == 1);
}

#[test]
fn bans_that_come_back_at_a_start_end_what_came_up_meanwhile() {
    let mut lab = lab("cut = false\nports = [22]");
    let _server = serve(&lab, "TCP6-LISTEN", 22);
    lab.start(&[]);
    let mut attacker = lab.connect(ATTACKER, 22);
    lab.append("logs/ssh.log", &ssh_failure(ATTACKER).repeat(3));
    lab.until_banned("ssh", ATTACKER);
    lab.end(15);
    assert!(!attacker.is_over() && lab.connections(22).len() == 1, "cut = false");
    lab.ssh_jail("ssh", "ports = [22]");
    lab.start(&[]);
    until("it ends", || attacker.is_over());
}

#[test]
fn ten_thousand_bans_at_once_are_a_few_looks() {
    let mut lab = lab("ports = [22]");
    lab.write("etc/stockade.toml", "[daemon]\nlog_level = \"DEBUG\"\n");
    let _server = serve(&lab, "TCP6-LISTEN", 22);
    lab.start(&[]);
    let mut attacker = lab.connect(ATTACKER, 22);
    let mut nets: Vec<_> =
        (0..10_000_u32).map(|n| std::net::Ipv4Addr::from(0x0a00_0000 + n).to_string()).collect();
    nets.push(ATTACKER.to_owned());
    for chunk in nets.chunks(2000) {
        let words = ["ban", "--jail", "ssh"].into_iter().chain(chunk.iter().map(String::as_str));
        assert!(lab.stockade(&words.collect::<Vec<_>>()).status.success());
    }
    until("it ends", || attacker.is_over());
    // All come back at once.
    lab.end(9);
    let before = lab.log().len();
    lab.start(&[]);
    let looks = || {
        let log = lab.log();
        let looks = log[before..].lines().filter_map(|line| line.split_once("looked for connections of "));
        looks.map(|(_, rest)| rest.split(' ').next().unwrap().parse::<usize>().unwrap()).collect::<Vec<_>>()
    };
    until("all were looked for", || looks().iter().sum::<usize>() == nets.len());
    assert!(looks().len() < 20, "{:?}", looks());
}

#[test]
fn a_kernel_that_cannot_is_said_once_and_bans_go_on() {
    let mut lab = lab("ports = [22]");
    let _server = serve(&lab, "TCP6-LISTEN", 22);
    lab.start(&["--fault", "cut.destroy=fail:EPERM@1+"]);
    let mut held = [lab.connect(ATTACKER, 22), lab.connect(FRIEND, 22)];
    for (count, address) in [ATTACKER, FRIEND].into_iter().enumerate() {
        lab.append("logs/ssh.log", &ssh_failure(address).repeat(3));
        lab.until_banned("ssh", address);
        until("it is known", || !cuts(&lab)["cannot"].is_null());
        assert!(!held[count].is_over());
    }
    let why = "connections of banned hosts end by themselves only: CAP_NET_ADMIN is missing";
    assert_eq!(lab.log().matches(why).count(), 1, "{}", lab.log());
    let shown = String::from_utf8(lab.stockade(&["status"]).stdout).unwrap();
    assert!(shown.contains(&format!("warning: {why}")), "{shown}");
    let output = lab.stockade(&["doctor", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let finding =
        report["findings"].as_array().unwrap().iter().find(|one| one["check"] == "connections").unwrap();
    assert_eq!(finding["state"], "look", "{report:#}");
    assert!(finding["what"].as_str().unwrap().contains("CAP_NET_ADMIN is missing"), "{report:#}");
}
