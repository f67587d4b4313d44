//! All clients behind one address, as rootless containers see them: nobody is locked out, and it is said why nobody is
//! banned. The engines' ways are made of namespaces: a router that masquerades, and connections from an own address.

use std::process::Output;

use crate::lab::{GATEWAY, Lab, ssh_failure, until};

const DOCKER: &str = "DOCKERD_ROOTLESS_ROOTLESSKIT_PORT_DRIVER=slirp4netns";
const PODMAN: &str = "--network slirp4netns:port_handler=slirp4netns and NETWORK_INTERFACE=tap0";

fn text(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
}

/// The sentence about this address is in the log once, in `status`, in its JSON and in `check`.
fn is_said_everywhere(lab: &Lab, jail: &str, cause: &str, address: &str) {
    let log = lab.log();
    let said = log.lines().filter(|line| line.contains("WARNING") && line.contains(PODMAN)).count();
    assert_eq!(said, 1, "{log}");
    let sentence = format!("failures within 10 minutes came from {address}, ");
    let (status, check) = (lab.stockade(&["status"]), lab.stockade(&["check"]));
    for (output, code) in [(&status, 0), (&check, 1)] {
        let text = text(output);
        assert!(text.contains(&sentence) && text.contains(DOCKER) && text.contains(PODMAN), "{text}");
        assert_eq!(output.status.code(), Some(code), "{text}");
    }
    assert!(text(&status).contains(&format!("warning: {jail}: ")), "{}", text(&status));
    let masked = &lab.status(jail)["masked"][0];
    assert_eq!((masked["cause"].as_str(), masked["address"].as_str()), (Some(cause), Some(address)));
    let warnings = lab.json(&["status"])["warnings"].to_string();
    assert!(warnings.contains(&sentence), "{warnings}");
}

/// As Docker's builtin port driver does it: everybody comes from the gateway.
#[test]
fn all_clients_behind_the_gateway_are_not_locked_out() {
    let mut lab = Lab::new(&[GATEWAY, "192.0.2.66", "192.0.2.10"]);
    lab.ssh_jail("sshd", "");
    let behind = lab.masquerade(&["198.51.100.66", "198.51.100.67", "198.51.100.10"]);
    let _service = lab.serve_and_log(22, "logs/sshd.log");
    lab.start(&[]);
    for _ in 0..4 {
        for attacker in ["198.51.100.66", "198.51.100.67"] {
            assert!(lab.reaches_from_behind(&behind, attacker, 22));
        }
    }
    until("all failures are counted", || lab.status("sshd")["ignored_total"] == 8);
    assert!(crate::lab::read(&lab.path("logs/sshd.log")).contains(&format!("from {GATEWAY} port")));
    assert_eq!(lab.banned("sshd"), [] as [&str; 0]);
    is_said_everywhere(&lab, "sshd", "gateway", GATEWAY);
    assert!(lab.reaches_from_behind(&behind, "198.51.100.10", 22));

    // Whose address does arrive is banned, and then not all are masked any more.
    for _ in 0..3 {
        assert!(lab.reaches("192.0.2.66", 22));
    }
    lab.until_banned("sshd", "192.0.2.66");
    assert!(!lab.reaches("192.0.2.66", 22));
    assert!(lab.reaches("192.0.2.10", 22) && lab.reaches_from_behind(&behind, "198.51.100.66", 22));
    assert_eq!(lab.banned("sshd"), ["192.0.2.66 enforced"]);
    assert_eq!(lab.stockade(&["check"]).status.code(), Some(0));
}

/// As Podman's own port handler does it: everybody comes from the container's own address.
#[test]
fn all_clients_from_the_containers_own_address_are_not_locked_out() {
    let mut lab = Lab::new(&[]);
    lab.ssh_jail("sshd", "");
    for words in [
        "ip link add tap0 type veth peer name slirp",
        "ip address add 10.0.2.100/24 dev tap0",
        "ip link set slirp up",
        "ip link set tap0 up",
        "ip route add default via 10.0.2.2 dev tap0",
    ] {
        assert!(lab.run_inside(words), "{words}");
    }
    let _service = lab.serve_and_log(22, "logs/sshd.log");
    lab.launch_by(&["env", "NETWORK_INTERFACE=tap0"], &[]);
    until("the daemon is ready", || lab.is_ready());
    for _ in 0..8 {
        assert!(lab.reaches_itself("10.0.2.100", 22));
    }
    until("all failures are counted", || lab.status("sshd")["ignored_total"] == 8);
    assert_eq!(lab.banned("sshd"), [] as [&str; 0]);
    assert!(lab.reaches_itself("10.0.2.100", 22));
    is_said_everywhere(&lab, "sshd", "own", "10.0.2.100");
    // Of the other interface nothing was said.
    lab.append("logs/sshd.log", &ssh_failure("192.0.2.1").repeat(3));
    lab.until_banned("sshd", "192.0.2.1");

    // Where no daemon answers, the log tells.
    assert_eq!(lab.end(libc::SIGTERM).code(), Some(0), "{}", lab.log());
    lab.write("logs/sshd.log", &ssh_failure("10.0.2.100").repeat(3));
    let check = lab.stockade(&["check"]);
    assert_eq!(check.status.code(), Some(1), "{check:?}");
    assert!(text(&check).contains("3 of 3 failures within 10 minutes came from 10.0.2.100"), "{check:?}");
}

#[test]
fn an_interface_that_is_not_there_is_said_once_and_all_count() {
    let mut lab = Lab::new(&[]);
    lab.ssh_jail("sshd", "");
    lab.launch_by(&["env", "NETWORK_INTERFACE=eth0"], &[]);
    until("the daemon is ready", || lab.is_ready());
    lab.append("logs/sshd.log", &ssh_failure("192.0.2.1").repeat(3));
    until("all failures are counted", || lab.status("sshd")["ignored_total"] == 3);
    let what = "there is no network interface eth0";
    assert_eq!(lab.log().matches(what).count(), 1, "{}", lab.log());
    assert!(text(&lab.stockade(&["status"])).contains(what));
    assert!(lab.run_inside("ip link add eth0 type veth peer name other"));
    until("it is there", || !text(&lab.stockade(&["status"])).contains(what));
}

/// `ignoreself = false` and `ignore_own = false` count them; banned they are not.
#[test]
fn own_addresses_and_gateways_are_never_banned_automatically() {
    let mut lab = Lab::new(&[GATEWAY]);
    assert!(lab.run_inside(&format!("ip route add default via {GATEWAY}")));
    lab.ssh_jail("native", "ignore_own = false\nignore = []\nfirewall = \"none\"");
    let log = lab.path("logs/tree.log");
    let jail = format!(
        "[DEFAULT]\nignoreself = false\nmaxretry = 3\n[tree]\nenabled = true\nbackend = auto\nfilter = some\n\
         logpath = {}\n",
        log.display()
    );
    lab.append("logs/tree.log", "");
    lab.write("etc/jail.conf", &jail);
    lab.write("etc/fail2ban.conf", "[Definition]\nlogtarget = STDOUT\n");
    std::fs::create_dir_all(lab.path("etc/filter.d")).unwrap();
    let filter = "[Definition]\nfailregex = Failed password for root from <HOST> port \\d+\n";
    lab.write("etc/filter.d/some.conf", filter);
    lab.start(&[]);
    for jail in ["native", "tree"] {
        for address in ["127.0.0.1", "192.0.2.1", GATEWAY, "2001:db8::1"] {
            lab.append(&format!("logs/{jail}.log"), &ssh_failure(address).repeat(4));
        }
        lab.append(&format!("logs/{jail}.log"), &ssh_failure("198.51.100.7").repeat(3));
        lab.until_banned(jail, "198.51.100.7");
        assert_eq!(lab.banned(jail), ["198.51.100.7 enforced"]);
        let status = lab.status(jail);
        assert_eq!((&status["failed_total"], &status["ignored_total"]), (&19.into(), &0.into()), "{status}");
        assert_eq!(
            (&status["spared_total"], status["spared"].as_array().map(Vec::len)),
            (&4.into(), Some(4))
        );
        let said = format!("[{jail}] {GATEWAY} is not banned: {GATEWAY} is the default gateway");
        assert!(lab.log().contains(&said), "{}", lab.log());
    }
}
